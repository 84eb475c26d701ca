// The pages about reports and health, used as a newcomer would: by mouse, by keyboard alone, at 360 px, on paper.
//   node desk.mjs      builds the pages, serves them with made-up data (mock.mjs), and prints one line a task
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const PORT = Number(process.env.PORT ?? 8089);

/** The stand-in for the server; it ends with us. */
async function startMock() {
  const mock = spawn(process.execPath, [path.join(here, '../mock.mjs'), String(PORT)], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => mock.kill());
  await new Promise((ready, failed) => {
    mock.stdout.once('data', ready);
    mock.once('exit', () => failed(new Error('mock.mjs ended')));
  });
  return `http://127.0.0.1:${PORT}/admin/`;
}

const base = await startMock();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const faults = [];

let shared;
/** A page; without options the one that most tasks share. */
async function open(options) {
  if (!options) {
    shared ??= await openNew({});
    return { ...shared, close: () => {} };
  }
  return openNew(options);
}

async function openNew(options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  page.on('pageerror', (e) => faults.push('script: ' + e.message));
  page.on('console', (m) => m.type() === 'error' && faults.push('console: ' + m.text()));
  await page.goto(base);
  await page.waitForSelector('h1');
  const to = async (where) => {
    await page.goto(base + '#' + where);
    await page.waitForFunction((path) => document.getElementById('main')?.dataset.path.startsWith(path), where.split('?')[0]);
    await page.waitForSelector('h1');
    await page.waitForFunction(() => !document.querySelector('.loading'));
  };
  return { page, to, close: () => context.close() };
}

/** Presses Tab until what has the focus fits. */
async function tabTo(page, fits) {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(fits)) return;
  }
  assert.fail('not reached with the Tab key: ' + fits);
}

const first = (page) => page.locator('#sources tbody tr').first().locator('a').innerText();

const tasks = {
  async 'who sends in my name, and what is to be done'() {
    const { page, to, close } = await open();
    await to('/reports/ici.test');
    assert.match(await page.locator('.answer-main').innerText(), /^\d\d\.\d% of [\d,]+ messages in your name were proven yours\.$/);
    assert.equal(await page.locator('#sources tbody tr:not(.below)').count(), 8);
    await page.getByRole('button', { name: 'Show them' }).click();
    assert.equal(await page.locator('#sources tbody tr:not(.below)').count(), 4);
    await page.getByLabel('Kind').selectOption('');
    await page.getByLabel('Find a source').fill('zend');
    assert.equal(await first(page), 'Zendesk');
    await page.getByLabel('Find a source').fill('');
    await page.getByRole('button', { name: 'Messages' }).click(); // largest first was the start
    assert.equal(await first(page), 'host.scan.test');
    await page.getByRole('link', { name: 'SendGrid' }).click();
    await page.getByText('Switch on DKIM for your domain').waitFor();
    assert.equal(await page.locator('h1').innerText(), 'SendGrid');
    await page.getByRole('button', { name: 'Say what it is' }).click();
    await page.getByLabel('Name').fill('Newsletter');
    const [said] = await Promise.all([page.waitForRequest((r) => r.method() === 'PUT'), page.getByRole('button', { name: 'Save' }).click()]);
    assert.equal(JSON.parse(said.postData()).name, 'Newsletter');
    await close();
  },
  async 'charts are drawn, and can be read as tables'() {
    const { page, to, close } = await open();
    await to('/reports/ici.test');
    const colours = await page.locator('.chart canvas').first().evaluate((c) => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size);
    assert.ok(colours > 3, 'the canvas is empty');
    await page.locator('.chart-numbers summary').first().click();
    assert.equal(await page.locator('.chart-table').first().locator('tbody tr').count(), 30);
    await page.getByLabel('Period', { exact: true }).selectOption('7');
    await page.waitForFunction(() => document.querySelectorAll('.chart-table')[0].querySelectorAll('tbody tr').length === 7);
    assert.match(page.url(), /days=7/);
    await close();
  },
  async 'the path to p=reject, its record copied'() {
    const { page, to, close } = await open();
    await to('/reports/ici.test/path');
    await page.getByText(/^Today this step would hit \d+ messages/).waitFor();
    await page.getByText('The record for this step').click();
    await page.getByRole('button', { name: /^Copy/ }).click();
    await page.getByText('Copied.').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'v=DMARC1; p=quarantine; rua=mailto:dmarc@ici.test');
    await close();
  },
  async 'reports that prove nothing are said not to count'() {
    const { page, to, close } = await open();
    await to('/reports/ici.test/received');
    await page.getByText('Not counted', { exact: true }).first().waitFor();
    await page.getByText('Nothing proves who sent it.').first().waitFor();
    await page.locator('tbody tr', { hasText: 'Not counted' }).first().getByRole('link').click();
    await page.locator('.notice', { hasText: 'Not counted' }).waitFor();
    await page.locator('table caption', { hasText: 'Rows' }).waitFor({ state: 'attached' });
    await close();
  },
  async 'the doctor by keyboard alone: never a red light without a next step'() {
    const { page, to, close } = await open();
    await to('/doctor');
    await tabTo(page, () => document.activeElement.name === 'domain');
    await page.keyboard.type('info@Autre.test');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'autre.test seen from outside' }).waitFor();
    await page.locator('.spf-tree').waitFor();
    for (const mark of ['bad', 'warn'])
      for (const point of await page.locator('.point.mark-' + mark).all()) assert.ok(await point.locator('.repair').count(), await point.innerText());
    assert.match(await page.locator('.spf-count').innerText(), /^9 look-ups of at most 10$/);
    await tabTo(page, () => document.activeElement.tagName === 'SUMMARY');
    await page.keyboard.press('Enter');
    await page.getByText('_dmarc.autre.test').waitFor();
    await close();
  },
  async 'a domain set up: records copied, seen, published'() {
    const { page, to, close } = await open();
    await to('/setup');
    await page.getByLabel('Domain').fill('neuf.test');
    await page.route('**/api/domains', (r) => (r.request().method() === 'POST' ? r.fulfill({ status: 201, json: { domain: 'neuf.test' } }) : r.continue()));
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByText('5 of 10 records are seen in the DNS.').waitFor();
    await page.getByRole('button', { name: 'Copy: value of TXT _smtp._tls.neuf.test' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'v=TLSRPTv1; rua=mailto:tls@neuf.test');
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save' }).click()]);
    assert.equal(file.suggestedFilename(), 'neuf.test.zone');
    const [sent] = await Promise.all([page.waitForRequest((r) => r.method() === 'POST' && r.url().endsWith('/publish')), page.getByRole('button', { name: 'Publish now' }).click()]);
    assert.ok(sent);
    await close();
  },
  async 'an alert silenced by a click'() {
    const { page, to, close } = await open();
    await to('/alerts');
    const [sent] = await Promise.all([page.waitForRequest((r) => r.url().endsWith('/alerts/1/silence')), page.getByRole('button', { name: 'Silence' }).first().click()]);
    assert.deepEqual(JSON.parse(sent.postData()), { days: 7 });
    await page.getByText('Silenced.').waitFor();
    await close();
  },
  async 'report files read in, and refused with a reason'() {
    const { page, to, close } = await open();
    await to('/read-reports');
    await page.locator('input[type=file]').setInputFiles({ name: 'report.xml', mimeType: 'text/xml', buffer: Buffer.from('<feedback/>') });
    await page.getByText('2 reports read').waitFor();
    await page.getByText('This is not a report').waitFor();
    await close();
  },
  async 'exports lead where the API has them'() {
    const { page, to, close } = await open();
    await to('/reports/ici.test?days=7');
    const link = await page.getByRole('link', { name: 'CSV' }).getAttribute('href');
    assert.match(link, /^api\/reports\/export\?domain=ici\.test&kind=sources&format=csv&from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d$/);
    await close();
  },
  async 'on paper: text, tables and charts, no menu'() {
    const { page, to, close } = await open({ colorScheme: 'dark' });
    for (const where of ['/reports/ici.test', '/doctor/ici.test']) {
      await to(where);
      const pdf = (await page.pdf({ format: 'A4' })).toString('latin1');
      assert.ok(pdf.length > 20000 && (pdf.match(/\/Type \/Page\b/g) ?? []).length >= 2, 'the PDF is empty');
      await page.emulateMedia({ media: 'print' });
      assert.ok(!(await page.locator('.side').isVisible()) && (await page.locator('h1').isVisible()) && (await page.locator('.answer-main').isVisible()));
      await page.emulateMedia({ media: null });
    }
    await close();
  },
  async 'in French at 360 px: the answer is there without scrolling sideways'() {
    const { page, to, close } = await open({ locale: 'fr-FR', viewport: { width: 360, height: 740 } });
    await to('/reports/ici.test');
    assert.match(await page.locator('.answer-main').innerText(), /^\d\d,\d\s% des \d\s\d{3} messages envoyés en votre nom sont bien les vôtres/);
    for (const where of ['/reports/ici.test', '/reports/ici.test/tls', '/doctor/ici.test', '/setup/ici.test', '/alerts', '/bimi/ici.test']) {
      await to(where);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), where + ' is too wide');
    }
    await close();
  },
};

for (const [name, task] of Object.entries(tasks)) {
  const began = Date.now();
  try {
    await task();
    if (faults.length) throw new Error(faults.splice(0).join('; '));
    console.log(`ok    ${name} (${Date.now() - began} ms)`);
  } catch (e) {
    process.exitCode = 1;
    faults.length = 0;
    console.log(`FAIL  ${name}: ${e.message}`);
  }
}
await browser.close();
process.exit();
