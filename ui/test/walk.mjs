// Walks all pages: node walk.mjs
// As operator: axe finds nothing, by day and by night, in English and in French. As everybody: nothing failed, it weighs less than 300 KB,
// a phone of 360 px needs no sideways scrolling, no script stands in the page, and French shows no English.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { routes } from '../src/routes.js';
import { may } from '../src/session.js';
import { ask, base, enter, faults, finish, person, shown, site, to, violations } from './lib.mjs';

const lang = path.join(path.dirname(fileURLToPath(import.meta.url)), '../src/lang');
const read = (name) => ['', 'desk.'].reduce((all, part) => Object.assign(all, JSON.parse(fs.readFileSync(path.join(lang, part + name + '.json'), 'utf8'))), {});
const MAX = 300_000;

/** An address for each page of a role; what the route's pattern names is taken from what there is. */
async function addresses(door, role) {
  const { domain } = site;
  const first = async (p, list, key = 'id') => (await ask(door, 'GET', p))?.[list]?.[0]?.[key];
  const parts = { domain, address: site.walkers.user };
  const out = [];
  for (const { path: pattern, right } of routes) {
    if (!may({ role }, right)) continue;
    if (pattern === '/queue/:id') parts.id = await first('/queue', 'queue');
    if (pattern.endsWith('/received/:id')) parts.id = await first(`/reports/dmarc?domain=${domain}`, 'dmarc');
    if (pattern.endsWith('/:source')) parts.source = await first(`/reports/dmarc/sources?domain=${domain}`, 'sources', 'key');
    const address = pattern.replace(/:(\w+)/g, (_, name) => encodeURIComponent(parts[name] ?? ''));
    if (!pattern.split('/').some((p) => p.startsWith(':') && !parts[p.slice(1)])) out.push(address);
    else faults.push(`no address for ${pattern}`);
  }
  return [...out, '/nowhere', ...(role === 'operator' ? [] : ['/settings'])];
}

/** Says whether a whole piece of text is an English one that French does not share. */
function knowsEnglish() {
  const en = read('en'), fr = read('fr');
  const flat = (value) => (typeof value === 'string' ? [value] : Object.values(value));
  const french = new Set(Object.values(fr).flatMap(flat));
  const texts = [...new Set(Object.values(en).flatMap(flat))].filter((text) => !french.has(text) && /\p{L}{3}/u.test(text.replace(/\{\w+\}/g, '')));
  const whole = new Set(texts.filter((text) => !/\{\w+\}/.test(text)));
  const patterns = texts.filter((text) => !whole.has(text))
    .map((text) => new RegExp('^' + text.replace(/[.*+?^$()[\]\\|]/g, '\\$&').replace(/\{\w+\}/g, '.+') + '$'));
  return (text) => whole.has(text) || patterns.some((p) => p.test(text)) || ENGLISH.test(text);
}

// words of which no English sentence lacks all, and that no French one has
const ENGLISH = /(^|[\s(“"])(the|is|are|was|were|not|and|with|this|that|has|have|been|which|could|will|its|their|of|to|by|cannot|does|no)(?=$|[\s,.;:!?)”"])/i;

/** Every piece of text on a page, those that are only heard too; what servers and people wrote (code, pre, quotes) is theirs. */
const pieces = () => {
  const out = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest('code, pre, blockquote, textarea, script, [lang]:not(html)')) out.push(walker.currentNode.data.trim());
  for (const e of document.querySelectorAll('[aria-label], [placeholder], [title]')) out.push(...['aria-label', 'placeholder', 'title'].map((a) => e.getAttribute(a)?.trim()));
  return [...new Set(out.filter(Boolean))];
};

/** Some pages lead on to another at once: what is looked at has stood for some frames. */
const stands = (page) => page.evaluate(() => new Promise((done) => {
  let frames = 0;
  const look = () => {
    frames = document.querySelector('h1') && !document.querySelector('.loading') ? frames + 1 : 0;
    if (frames > 5) done();
    else requestAnimationFrame(look);
  };
  look();
}));

async function check(page, address, look, colours) {
  for (const v of await violations(page, colours)) faults.push(`${address} (${look}): ${v}`);
}

/** What holds of every page, whoever looks. */
async function sound(page, address) {
  await stands(page);
  const failed = page.locator('.notice.mark-bad[role=alert]');
  if (await failed.count()) faults.push(`${address}: ${await failed.first().innerText()}`);
  if (await page.evaluate(() => document.querySelector('script:not([src]), style, [style]:not(.uplot, .uplot *), [onclick]') !== null)) faults.push(`${address}: a script or a style stands in the page`);
}

async function fitsAPhone(page, address) {
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 360) faults.push(`${address}: ${wide} px wide on a phone of 360`);
  await page.setViewportSize({ width: 1280, height: 900 });
}

let heaviest = 0, walked = 0;

/** Each page by itself, for its weight; light, then dark. */
async function inEnglish(address) {
  const context = await person();
  const pages = await addresses(await enter(context, { address, password: site.password }), 'operator');
  for (const at of pages) {
    const page = await context.newPage();
    await to(page, at);
    await sound(page, at);
    const weight = await page.evaluate(() => performance.getEntriesByType('resource').reduce((n, r) => n + r.decodedBodySize, 0));
    if (weight > MAX || weight < 10_000) faults.push(`${at} weighs ${weight} bytes`);
    heaviest = Math.max(heaviest, weight);
    await check(page, at, 'English, light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await check(page, at, 'English, dark', true);
    await page.close();
    walked++;
  }
  await context.close();
}

/** Dark, then light. */
async function inFrench(address, role, withAxe) {
  const isEnglish = knowsEnglish();
  const context = await person({ language: 'fr', theme: 'dark' });
  const page = await enter(context, { address, password: site.password }); // somebody else, as a language is the account's
  await ask(page, 'PATCH', '/me', { language: 'fr' });
  await page.addInitScript(() => localStorage.setItem('language', 'fr'));
  const pages = await addresses(page, role);
  await page.reload(); // the page has seen nobody logged in
  for (const at of pages) {
    await to(page, at);
    await sound(page, `${role}: ${at}`);
    if (await page.evaluate(() => document.documentElement.lang) !== 'fr') faults.push(`${at}: not in French`);
    for (const text of (await page.evaluate(pieces)).filter(isEnglish)) faults.push(`${role}: ${at}: in French there is English: ${text}`);
    if (withAxe) {
      await check(page, at, 'French, dark');
      await page.emulateMedia({ colorScheme: 'light' });
      await check(page, at, 'French, light', true);
      await page.emulateMedia({ colorScheme: 'dark' });
    }
    await fitsAPhone(page, at);
    walked++;
  }
  await context.close();
}

async function theDoor() {
  for (const language of ['en', 'fr']) {
    const stranger = await person({ language });
    const door = await stranger.newPage();
    await door.goto(base);
    await shown(door);
    await check(door, 'log-in', language + ', light');
    await door.emulateMedia({ colorScheme: 'dark' });
    await check(door, 'log-in', language + ', dark', true);
    await stranger.close();
  }
}

const { operator: [one, two], owner, user } = site.walkers;
await Promise.all([
  inEnglish(one),
  inFrench(two, 'operator', true),
  theDoor().then(() => inFrench(user, 'user')).then(() => inFrench(owner, 'owner')),
]);
console.log(`${walked} pages, the heaviest ${Math.round(heaviest / 1000)} KB`);
await finish();
