// What the browser tests share: Debian's Chromium, a server (or the stand-in with made-up data), log-in, axe, hands.
// SITE names a real server: {"base": "https://.../admin/", "flags": [Chromium's], "parts": {...}}; without it mock.mjs serves.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const axeSource = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const site = process.env.SITE ? JSON.parse(process.env.SITE) : null;

/** The stand-in ends with us. */
async function startMock(role) {
  const port = 20000 + Math.floor(Math.random() * 20000);
  const mock = spawn(process.execPath, [path.join(here, '../mock.mjs'), String(port), role], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => mock.kill());
  await new Promise((ready, failed) => {
    mock.stdout.once('data', ready);
    mock.once('exit', () => failed(new Error('mock.mjs ended')));
  });
  return `http://127.0.0.1:${port}/admin/`;
}

export const faults = [];
export const base = site?.base ?? await startMock('operator');
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage', ...(site?.flags ?? [])],
});

/** A browser of its own. What its scripts throw, and what its policy forbids, is a fault. */
export async function person({ width = 1280, language = 'en', theme = 'light' } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: width < 500 ? 740 : 900 }, locale: language === 'fr' ? 'fr-FR' : 'en-GB', colorScheme: theme,
    hasTouch: width < 500, permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(site?.patience ?? 8000);
  context.on('page', (page) => {
    page.on('pageerror', (e) => faults.push('script: ' + e.message));
    page.on('console', (m) => { if (/Content Security Policy|Refused to/.test(m.text())) faults.push('policy: ' + m.text()); });
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
  await page.waitForFunction((path) => document.getElementById('main')?.dataset.path.startsWith(path), address.split('?')[0]);
  await shown(page);
}

const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };
/** What axe finds, one line a violation. */
export async function violations(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource);
  const found = await page.evaluate((rules) => window.axe.run(document, rules), RULES);
  return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any?.[0]?.message ?? ''}`).join(' | ')}`);
}

export async function finish() {
  await browser.close();
  for (const f of faults) console.log('FAULT ' + f);
  process.exit(faults.length ? 1 : 0);
}
