// Tasks about the reports that others sent, for whoever looks after a domain.
import assert from 'node:assert/strict';
import { shown } from '../lib.mjs';

const rows = (h) => h.page.locator('#sources tbody tr:not(.below)');
const first = (h) => rows(h).first().locator('a').innerText();
const OF = { mouse: 'Zendesk', keyboard: 'Brevo', phone: 'Amazon SES' }; // the source that each way to work gives a name

/** The reports of `domain`, of which there may be several to choose from. */
async function reportsOf(h, domain, tab) {
  await h.menu('Reports');
  if (await h.field('Domain').inputValue() !== domain) await h.choose(h.field('Domain'), domain);
  await h.page.waitForFunction((d) => location.hash.startsWith('#/reports/' + d), domain);
  if (tab) await h.press(h.link(tab, h.page.getByRole('navigation', { name: 'Reports about this domain' })));
  await shown(h.page);
}

/** `name` is the path of an exported list: the lines of a table, with a head. */
function table(text) {
  const lines = text.trim().split(/\r?\n/);
  return { head: lines[0].replaceAll('"', '').split(','), n: lines.length - 1 };
}

export const reports = (domain) => ({
  async 'who sends in my name: the answer, sorted, filtered, searched'(h) {
    await reportsOf(h, domain);
    await h.title('Who sends as ' + domain);
    assert.match(await h.page.locator('.answer-main').innerText(), /^\d\d(\.\d)?% of \d+,\d{3} messages in your name were proven yours\.$/);
    const all = await rows(h).count();
    assert.ok(all > 8, `${all} sources`);
    assert.match(await first(h), /^mx\./); // most messages first
    await h.sort('Messages', 'ascending');
    assert.doesNotMatch(await first(h), /^mx\./);
    await h.choose(h.field('Kind'), 'Threat');
    await h.page.waitForFunction((n) => document.querySelectorAll('#sources tbody tr:not(.below)').length < n, all);
    for (const row of await rows(h).all()) assert.match(await row.innerText(), /Threat/);
    await h.choose(h.field('Kind'), 'All kinds');
    await h.press(h.button('Show them'));
    const todo = h.page.locator('#sources .advice.mark-warn, #sources .advice.mark-bad');
    assert.ok(await rows(h).count() < all && await todo.count() === await rows(h).count());
    await h.choose(h.field('Kind'), 'All kinds');
    await h.fill(h.field('Find a source'), 'sendg');
    await h.page.waitForFunction(() => document.querySelectorAll('#sources tbody tr:not(.below)').length === 1);
    assert.equal(await first(h), 'Twilio SendGrid');
    await h.fill(h.field('Find a source'), '');
  },

  async 'a source: its advice, its addresses, and my own word about it'(h) {
    const name = OF[h.how], mine = `Newsletter by ${h.how}`;
    await reportsOf(h, domain);
    await h.press(h.link('Twilio SendGrid'));
    await h.title('Twilio SendGrid');
    await h.page.getByText('Switch on DKIM for your domain in its settings').waitFor();
    await h.row('149.72.').first().waitFor();
    await reportsOf(h, domain);
    await h.press(h.link(name));
    await h.title(name);
    await h.press(h.button('Say what it is'));
    const d = h.dialog('Say what it is');
    await h.fill(h.field('Name', d), mine);
    await h.choose(h.field('Kind', d), 'Ours — Your own server.');
    await h.press(h.button('Save', d));
    await h.title(mine);
    await h.page.locator('.source-about').getByText('Ours', { exact: true }).waitFor();
    await reportsOf(h, domain);
    await rows(h).filter({ hasText: mine }).getByText('Ours').waitFor();
    await h.press(h.link(mine));
    await h.press(h.button('Forget my word'));
    await h.title(name);
  },

  async 'charts are drawn, and can be read as tables'(h) {
    await reportsOf(h, domain);
    const colours = await h.page.locator('.chart canvas').first().evaluate((c) => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size);
    assert.ok(colours > 3, 'the canvas is empty');
    const days = () => h.page.locator('.chart-table').first().locator('tbody tr').count();
    await h.press(h.page.locator('.chart-numbers summary').first());
    assert.equal(await days(), 30);
    await h.choose(h.field('Period'), 'Last 7 days');
    await h.page.waitForFunction(() => document.querySelectorAll('.chart-table')[0]?.querySelectorAll('tbody tr').length === 7);
    assert.match(h.page.url(), /days=7/);
  },

  async 'exports as CSV and JSON hold what the page shows'(h) {
    await reportsOf(h, domain);
    await rows(h).first().waitFor();
    const n = await rows(h).count();
    const csv = await h.saved(h.link('CSV'));
    assert.equal(csv.name, `${domain}-sources.csv`);
    assert.equal(table(csv.text).n, n);
    assert.ok(table(csv.text).head.includes('messages'), csv.text.slice(0, 200));
    const json = JSON.parse((await h.saved(h.link('JSON'))).text);
    assert.equal((json.sources ?? json).length, n);
  },

  async 'on paper: text, tables and charts, no menu'(h) {
    if (h.how !== 'mouse') return null; // paper has no hands
    for (const tab of [null, 'Encryption']) {
      await reportsOf(h, domain, tab);
      const pdf = (await h.page.pdf({ format: 'A4' })).toString('latin1');
      assert.ok(pdf.length > 20000 && (pdf.match(/\/Type \/Page\b/g) ?? []).length >= 2, 'the PDF is empty');
      await h.page.emulateMedia({ media: 'print' });
      assert.ok(!(await h.page.locator('.side').isVisible()) && await h.page.locator('h1').isVisible() && await h.page.locator('.answer-main').isVisible());
      await h.page.emulateMedia({ media: null });
    }
  },

  async 'the path to p=reject, its record copied'(h) {
    await reportsOf(h, domain, 'Path to reject');
    await h.page.getByText(/^Today this step would hit \d+ messages/).waitFor();
    await h.page.getByText('What would be hit').waitFor();
    await h.press(h.page.getByText('The record for this step'));
    const record = await h.copied(h.button(/^Copy/).first());
    assert.match(record, /^v=DMARC1; ?p=reject;/);
    assert.ok(record.includes('rua=mailto:dmarc-reports@' + domain), record);
  },

  async 'each report: who sent it, row by row'(h) {
    await reportsOf(h, domain, 'DMARC reports');
    await h.press(h.link('google.com').first());
    await h.title(/google\.com/);
    assert.ok(await h.page.getByRole('row').count() > 4);
    await h.page.getByText('Read in from a file.').waitFor({ state: 'hidden' });
  },

  async 'encryption on the way to us: what failed, what to do'(h) {
    await reportsOf(h, domain, 'Encryption');
    assert.match(await h.page.locator('.answer-main').innerText(), /^\d\d(\.\d)?% of \d,\d{3} sessions/);
    await h.page.getByText('The certificate had expired').waitFor();
    await h.page.getByText('Renew it, and find out why').waitFor();
    await h.row('Microsoft Corporation').first().waitFor();
    const csv = await h.saved(h.link('CSV'));
    assert.ok(table(csv.text).n > 20, csv.text.slice(0, 300));
  },

  async 'a failure report with the headers of the message'(h) {
    await reportsOf(h, domain, 'Failures');
    const card = h.page.locator('.card').filter({ has: h.page.getByRole('heading', { name: 'Invoice 4711' }) });
    await h.press(card.getByText('Headers', { exact: true }));
    await card.getByText('Received: from mail.example.net').waitFor();
    assert.match(await h.copied(h.button('Copy the headers', card)), /^Subject: Invoice 4711$/m);
  },
});

/** Only the operator's domain has one that came unproven. */
export const unproven = {
  async 'a report that nothing proves does not count, and it is said why'(h) {
    await reportsOf(h, 'ici.test', 'DMARC reports');
    const row = h.row('unproven.test').first();
    await row.getByText('Not counted').waitFor();
    await h.press(row.getByRole('link'));
    await h.page.locator('.notice', { hasText: 'Not counted' }).waitFor();
  },
};

export const alerts = (domain) => ({
  async 'an alert: read, silenced, heard again'(h) {
    const name = { mouse: 'Mailchimp', keyboard: 'Mailjet', phone: 'Postmark' }[h.how];
    await h.menu('Alerts');
    const one = h.page.locator('.alert').filter({ hasText: name }).filter({ hasText: domain });
    await one.locator('.repair').waitFor();
    await h.choose(h.field('For how long', one), 'for 30 days');
    await h.press(h.button('Silence', one));
    await one.getByText('Silenced', { exact: true }).waitFor();
    await h.press(h.button('Tell me again', one));
    await h.button('Silence', one).waitFor();
    await h.press(one.getByRole('link'));
    await h.title('Who sends as ' + domain);
  },
});
