// Walks all pages: node walk.mjs
// On each: axe finds nothing (both themes, both languages), a phone of 360 px needs no sideways scrolling, it weighs less than
// 300 KB, and French shows no English.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { routes } from '../src/routes.js';
import { ask, base, enter, faults, finish, person, shown, site, to, violations } from './lib.mjs';

const lang = path.join(path.dirname(fileURLToPath(import.meta.url)), '../src/lang');
const read = (name) => ['', 'desk.'].reduce((all, part) => Object.assign(all, JSON.parse(fs.readFileSync(path.join(lang, part + name + '.json'), 'utf8'))), {});
const MAX = 300_000;
const who = site?.operator ?? { address: 'anne@ici.test', password: 'secret' };

/** An address for each route; what its pattern names is taken from what there is. */
async function addresses(door) {
  const domain = site?.domain ?? 'ici.test';
  const first = async (p, list, key = 'id') => (await ask(door, 'GET', p))?.[list]?.[0]?.[key];
  const parts = { domain, address: site?.address ?? 'bert@ici.test' };
  const out = [];
  for (const { path: pattern } of routes) {
    if (pattern === '/queue/:id') parts.id = await first('/queue', 'queue');
    if (pattern.endsWith('/received/:id')) parts.id = await first(`/reports/dmarc?domain=${domain}`, 'dmarc');
    if (pattern.endsWith('/:source')) parts.source = await first(`/reports/dmarc/sources?domain=${domain}`, 'sources', 'key');
    const address = pattern.replace(/:(\w+)/g, (_, name) => encodeURIComponent(parts[name] ?? ''));
    if (!pattern.split('/').some((p) => p.startsWith(':') && !parts[p.slice(1)])) out.push(address);
    else faults.push(`no address for ${pattern}`);
  }
  return out;
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
  return (text) => whole.has(text) || patterns.some((p) => p.test(text));
}

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

async function check(page, address, look) {
  await stands(page);
  for (const v of await violations(page)) faults.push(`${address} (${look}): ${v}`);
}

const laptop = await person();
const pages = await addresses(await enter(laptop, who));
let heaviest = 0;

async function inEnglish() {
  for (const address of pages) { // each by itself, for its weight
    const page = await laptop.newPage();
    await to(page, address);
    const weight = await page.evaluate(() => performance.getEntriesByType('resource').filter((r) => !r.name.includes('/api/')).reduce((n, r) => n + r.decodedBodySize, 0));
    if (weight > MAX) faults.push(`${address} weighs ${weight} bytes`);
    heaviest = Math.max(heaviest, weight);
    const failed = page.locator('.notice.mark-bad[role=alert]');
    if (await failed.count()) faults.push(`${address}: ${await failed.first().innerText()}`);
    await check(page, address, 'English, light');
    await page.close();
  }
}

async function inFrench() {
  const isEnglish = knowsEnglish();
  const night = await person({ language: 'fr', theme: 'dark' });
  const page = await enter(night, site?.second ?? who); // somebody else, as a language is the account's
  if (site) await ask(page, 'PATCH', '/me', { language: 'fr' });
  await page.addInitScript(() => localStorage.setItem('language', 'fr'));
  await page.reload(); // the page has seen nobody logged in
  for (const address of pages) {
    await to(page, address);
    if (await page.evaluate(() => document.documentElement.lang) !== 'fr') faults.push(`${address}: not in French`);
    const english = (await page.evaluate(pieces)).filter(isEnglish);
    for (const text of english) faults.push(`${address}: in French there is English: ${text}`);
    await check(page, address, 'French, dark');
    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > 360) faults.push(`${address}: ${wide} px wide on a phone of 360`);
    await page.setViewportSize({ width: 1280, height: 900 });
  }
}

await Promise.all([inEnglish(), inFrench()]);
const stranger = await person();
const door = await stranger.newPage();
if (site) {
  await door.goto(base);
  await shown(door);
  await check(door, 'log-in', 'English, light');
}
console.log(`${pages.length} pages, the heaviest ${Math.round(heaviest / 1000)} KB`);
await finish();
