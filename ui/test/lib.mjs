// What the browser tests share: Debian's Chromium, log-in, axe. SITE names a server with real mail, as test/test_pages.py makes it:
// {"base": "https://.../admin/", "flags": [Chromium's], ...}
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const site = JSON.parse(process.env.SITE);
export const base = site.base;
const { origin } = new URL(base);
export const faults = [];
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage', ...site.flags],
});

// what the server refuses, as it should, is in Chromium's console too
const REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d/;

/** A browser of its own. What its scripts throw, what its console complains of, and a request to anybody else is a fault. */
export async function person({ width = 1280, language = 'en', theme = 'light' } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 500 ? 740 : 900 }, locale: language === 'fr' ? 'fr-FR' : 'en-GB', colorScheme: theme,
    hasTouch: width < 500, permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce', acceptDownloads: true,
  });
  context.setDefaultTimeout(site.patience);
  context.on('request', (r) => { if (!/^(data|blob|about):/.test(r.url()) && new URL(r.url()).origin !== origin) faults.push('a request to somebody else: ' + r.url()); });
  context.on('page', (page) => {
    page.on('pageerror', (e) => faults.push('script: ' + e.message));
    page.on('console', (m) => { if (m.type() === 'error' && !REFUSED.test(m.text())) faults.push('console: ' + m.text()); });
  });
  return context;
}

/** Asks the API as the page would (the names of a lab are known to the browser alone). Gives JSON, or null. */
export const ask = (page, method, where, body) => page.evaluate(async ([m, w, b]) => {
  const answer = await fetch('api' + w, { method: m, body: b && JSON.stringify(b), headers: b ? { 'Content-Type': 'application/json' } : {} });
  return answer.ok ? answer.json().catch(() => ({})) : null;
}, [method, where, body]);

/** Logs in without a hand; gives a page that stands at the door. */
export async function enter(context, { address, password }) {
  const page = await context.newPage();
  await page.goto(base + '#/nothing');
  await page.waitForSelector('#app > *');
  if (!(await ask(page, 'POST', '/session', { address, password }))) throw new Error(`${address} cannot log in`);
  return page;
}

export async function shown(page) {
  await page.waitForSelector('h1');
  await page.waitForFunction(() => !document.querySelector('.loading'));
}

export async function to(page, address) {
  await page.goto(base + '#' + address);
  const at = decodeURIComponent(address.split('?')[0]);
  try {
    await page.waitForFunction((want) => {
      const path = decodeURIComponent(document.getElementById('main')?.dataset.path ?? '');
      return want === '/' ? path === '/' : path.startsWith(want); // some lead on to another
    }, at);
    await shown(page);
  } catch (e) {
    const stands = await page.evaluate(() => `${location.href}, ${document.getElementById('main')?.dataset.path}: ${document.body.innerText.slice(0, 1000)}`);
    throw new Error(`${at} does not come; there stands ${stands}\n${e.message}`);
  }
}

const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };
const COLOURS = { runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] }, resultTypes: ['violations'] };
/** What axe finds, one line a violation; `colours`: only what another theme can change. */
export async function violations(page, colours = false) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource);
  const found = await page.evaluate((rules) => window.axe.run(document, rules), colours ? COLOURS : RULES);
  return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any?.[0]?.message ?? ''}`).join(' | ')}`);
}

export async function finish() {
  await browser.close();
  for (const f of faults) console.log('FAULT ' + f);
  process.exit(faults.length ? 1 : 0);
}
