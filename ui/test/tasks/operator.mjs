// What an operator does.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { alone } from '../hands.mjs';
import { shown, site } from '../lib.mjs';
import { health } from './health.mjs';
import { alerts, reports, unproven } from './reports.mjs';

const { domain } = site;

/** The very pages that owners work by keyboard and on phones too. */
const byMouse = (tasks) => Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, (h, who) => (h.how === 'mouse' ? task(h, who) : null)]));

export const operator = {
  async 'log in, after a wrong password'(h, who) {
    await h.logIn(who.address, 'not this one');
    await h.page.getByText('This address and password do not belong together.').waitFor();
    await h.logIn(who.address, who.password);
    await h.title('Overview');
    await h.page.getByRole('heading', { name: 'Mail today' }).waitFor();
    const n = Number((await h.page.getByText(/^\d+ more alerts are open$/).innerText()).split(' ')[0]);
    assert.ok(n >= 4, `${n} more alerts`);
  },

  async 'add an account, give it room, disable it, remove it'(h) {
    const name = 'new-' + h.how, address = `${name}@${domain}`;
    await h.menu('Accounts');
    await h.press(h.button('Add an account'));
    const d = h.dialog('Add an account');
    await h.fill(h.field('Name before the @', d), name);
    await h.choose(h.field('Domain', d), '@' + domain);
    await h.press(h.button('Think one up', d));
    assert.match(await h.field('Password', d).inputValue(), /^(\w{5}-){3}\w{5}$/);
    await h.choose(h.field('Role', d), 'Domain owner');
    await h.fill(h.field('Space in GB', d), '2');
    await h.press(h.button('Add an account', d));
    await h.said(`${address} was added.`);
    await h.press(h.link(address));
    await h.title(address);
    await h.page.getByText('of 2 GB').first().waitFor();
    await h.fill(h.field('Space in GB'), '5');
    await h.press(h.button('Save'));
    await h.page.getByText('of 5 GB').first().waitFor();
    await h.press(h.button('Disable'));
    await h.press(h.button('Disable', h.dialog(/^Disable/)));
    await h.page.getByText('Nobody can log in to this account.').waitFor();
    await h.press(h.button('Enable'));
    await h.button('Disable').waitFor();
    await h.press(h.button('Remove for good'));
    const sure = h.dialog(/^Remove/);
    await sure.waitFor();
    await h.page.keyboard.press('Escape'); // thinks better of it, and then does
    await sure.waitFor({ state: 'hidden' });
    await h.press(h.button('Remove for good'));
    await h.press(h.button('Remove for good', sure));
    await h.said(`${address} was removed.`);
    await h.title('Accounts');
    assert.equal(await h.link(address).count(), 0);
  },

  async 'make a group, change it, remove it'(h, who) {
    const address = `team-${h.how}@${domain}`;
    await h.menu('Aliases and groups');
    await h.press(h.button('Add an alias or group'));
    const d = h.dialog('Add an alias or group');
    await h.fill(h.field('Address', d), address);
    await h.fill(h.field('Leads to', d), `${who.address}\nfriend@example.org`);
    await h.press(h.button('Save', d));
    await h.said('was saved');
    await h.row(address).getByText('group of 2').waitFor();
    await h.press(h.button(`Edit ${address}`));
    const e = h.dialog(`Edit ${address}`);
    await h.fill(h.field('Leads to', e), who.address);
    await h.press(h.button('Save', e));
    await h.row(address).getByText('group of').waitFor({ state: 'hidden' });
    await h.press(h.button(`Remove ${address}`));
    await h.press(h.button('Remove the alias', h.dialog(/^Remove/)));
    await h.said('was removed');
    await h.row(address).waitFor({ state: 'hidden' });
  },

  async 'set the encryption policy of a domain'(h) {
    await h.menu('Domains');
    await h.press(h.link(domain));
    await h.title(domain);
    await h.page.getByText('Signing keys (DKIM)').first().waitFor();
    await h.pick(h.field('Testing'));
    await h.press(h.button('Save'));
    await h.said('The policy was saved.');
  },

  async 'add a domain: its records copied, saved as a file, seen one by one; and remove it'(h) {
    const name = `neuf-${h.how}.test`; // its MX is in the DNS already
    await h.menu('Set-up');
    await h.fill(h.field('Domain'), name);
    await h.press(h.button('Add'));
    await h.title('Set up ' + name);
    await h.page.getByText(/^1 of \d+ records are seen in the DNS\.$/).waitFor({ timeout: 30000 });
    const tls = await h.copied(h.button(`Copy: value of TXT _smtp._tls.${name}`));
    assert.equal(tls, `v=TLSRPTv1; rua=mailto:tls-reports@${name}`);
    assert.equal(await h.copied(h.button(`Copy: name of TXT _smtp._tls.${name}`)), '_smtp._tls');
    const zone = await h.saved(h.button('Save'));
    assert.equal(zone.name, name + '.zone');
    assert.match(zone.text, new RegExp(`^_dmarc\\.${name.replace('.', '\\.')}\\. .*v=DMARC1`, 'm'));
    await h.menu('Domains');
    await h.press(h.link(name));
    await h.title(name);
    await h.press(h.button('Remove the domain'));
    const sure = h.page.getByRole('dialog');
    await h.press(h.button('Remove the domain', sure));
    await h.title('Domains');
    await h.link(name).waitFor({ state: 'hidden' });
  },

  async 'ask why a message waits, hold it, release it'(h) {
    const to = h.how + '@deaf.test';
    await h.menu('Queue');
    await h.press(h.link(to));
    await h.title('A waiting message');
    await h.page.getByText('The other server cannot be reached').first().waitFor();
    await h.page.getByText('What was tried').first().waitFor();
    await h.press(h.button('Hold'));
    await h.page.getByText('Somebody stopped it.').first().waitFor();
    await h.press(h.button('Release'));
    await h.button('Hold').waitFor();
    await h.press(h.link('Queue', h.page.getByRole('article')));
    await h.title('Queue');
    await h.tick(h.row(to).getByRole('checkbox'));
    await h.press(h.button('Try now'));
    await h.said('The message is tried now.');
  },

  async 'find a message'(h) {
    await h.menu('Find a message');
    await h.fill(h.field('Recipient'), 'emil@ici.test');
    await h.fill(h.field('Sender'), 'bert@labas.test');
    await h.press(h.button('Search'));
    await h.page.waitForFunction(() => location.hash.includes('recipient=') && document.querySelectorAll('summary').length > 0 && document.querySelectorAll('summary').length < 4);
    await h.press(h.page.locator('summary').filter({ hasNotText: 'team@' }).first());
    await h.page.getByText('The message was accepted').first().waitFor();
    await h.page.getByText('Put into the mailbox').first().waitFor();
  },

  async 'look at the log and at who is connected'(h) {
    await h.menu('Log');
    await h.choose(h.field('Level'), 'Warnings and errors');
    await shown(h.page);
    await h.menu('Live');
    await h.page.getByRole('heading', { name: 'Connections' }).waitFor();
    await h.page.getByRole('img', { name: /in the last hour/ }).first().waitFor();
  },

  async 'change the settings, after a mistake; the trail says who did'(h) {
    await alone('settings', async () => {
      await h.menu('Settings');
      const box = h.field('Text of the file'), before = await box.inputValue();
      await h.fill(box, before.replace('hostname ', 'hostnam '));
      await h.press(h.button('Check'));
      await h.page.getByText('One mistake').waitFor();
      await h.page.getByText(/^Line \d+: /).waitFor();
      await h.fill(box, before.replace(/message-size = \d+mb/, 'message-size = 4' + { mouse: 1, keyboard: 2, phone: 3 }[h.how] + 'mb'));
      await h.press(h.button('Check and save'));
      await h.said('Saved.');
    });
    await h.menu('Audit trail');
    await h.page.getByText('Changed the settings').first().waitFor();
  },

  async 'report files read in, and refused with a reason'(h) {
    await h.menu('Reports');
    await h.press(h.link('DMARC reports', h.page.getByRole('navigation', { name: 'Reports about this domain' })));
    await h.press(h.link('Read in a file'));
    await h.button('Choose files').waitFor();
    const box = h.page.locator('input[type=file]');
    await box.setInputFiles({ name: 'not-one.xml', mimeType: 'text/xml', buffer: Buffer.from('<feedback/>') });
    await h.page.locator('.uploads').getByText('Refused').first().waitFor();
    if (!site.samples || h.how !== 'mouse') return;
    const folder = path.join(site.samples, 'dmarc-reports/aggregate/parsedmarc'); // as real senders make them; none is about us
    const files = fs.readdirSync(folder).map((f) => path.join(folder, f));
    await box.setInputFiles(files);
    await h.page.waitForFunction((n) => document.querySelectorAll('.uploads > li').length === n, files.length + 1);
    for (const one of await h.page.locator('.uploads > li').all()) assert.match(await one.innerText(), /Refused\s+\S+ \S+/);
  },

  async 'a known sender changed, and as it was again'(h) {
    const name = { mouse: 'Zoho Mail', keyboard: 'Zendesk', phone: 'Wix' }[h.how];
    await h.menu('Reports');
    await h.press(h.link('Known senders'));
    await h.title('Known senders');
    await h.fill(h.field('Find a sender'), name);
    await h.press(h.button(`Change ${name}`));
    const d = h.page.getByRole('dialog');
    await h.choose(h.field('Kind', d), 'Forwarder');
    await h.press(h.button('Save', d));
    await h.row(name).getByText('Forwarder').waitFor();
    await h.press(h.button(`Change ${name}`));
    await h.press(h.button('Back to what is shipped', h.page.getByRole('dialog')));
    await h.row(name).getByText('Service').waitFor();
  },

  ...byMouse({ ...health(domain, site.foreign), ...reports(site.other) }),
  ...unproven,
  ...alerts(site.other),

  async 'say which alerts are sent, and where to'(h) {
    await alone('alerts', async () => {
      await h.menu('Alerts');
      await h.press(h.link('Alert settings'));
      await h.title('Alert settings');
      await h.fill(h.field('Mail addresses'), 'not an address');
      await h.press(h.button('Save'));
      await h.page.getByRole('alert').waitFor();
      await h.fill(h.field('Mail addresses'), `${h.how}@${domain}`);
      await h.press(h.button('Save'));
      await h.said('Saved');
      await h.page.reload();
      await shown(h.page);
      assert.equal(await h.field('Mail addresses').inputValue(), `${h.how}@${domain}`);
    });
  },

  async 'log out'(h) {
    await h.logOut();
  },
};
