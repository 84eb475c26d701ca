// Daily work as a newcomer would do it, by mouse, by keyboard alone, and on a phone of 360 px: node tasks.mjs [WORD]
// Against the server of SITE; without it against the stand-in. One line a task.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { base, faults, finish, shown, site } from './lib.mjs';
import { Hands } from './hands.mjs';

const who = site?.operator ?? { address: 'anne@ici.test', password: 'secret' };
const domain = site?.domain ?? 'ici.test';
const only = process.argv[2];

/** RFC 6238: what an authenticator app shows. */
function totp(secret) {
  let bits = '';
  for (const c of secret.replace(/\s|=/g, '')) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const mac = createHmac('sha1', key).update(counter).digest(), at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1e6).padStart(6, '0');
}

async function logIn(h, address = who.address, password = who.password) {
  await h.fill(h.field('Mail address'), address);
  await h.fill(h.field('Password'), password);
  await h.press(h.button('Log in'));
}

async function logOut(h) {
  if (h.how === 'phone') await h.press(h.button('Menu'));
  await h.press(h.button('Log out', h.page.getByRole('navigation')).first());
}

const tasks = {
  async 'log in, after a wrong password'(h) {
    if (!site) return;
    await logIn(h, who.address, 'not this one');
    await h.page.getByText('This address and password do not belong together.').waitFor();
    await logIn(h);
    await h.title('Overview');
    await h.page.getByRole('heading', { name: 'Mail today' }).waitFor();
  },

  async 'add an account, give it room, disable it, remove it'(h) {
    const name = 'new-' + h.how, address = `${name}@${domain}`;
    await h.menu('Accounts');
    await h.press(h.button('Add an account'));
    const d = h.dialog('Add an account');
    await h.fill(h.field('Name before the @', d), name);
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

  async 'make a group, change it, remove it'(h) {
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

  async 'ask why a message waits, hold it, release it'(h) {
    await h.menu('Queue');
    const link = h.page.getByRole('row').nth(1).getByRole('link');
    await h.press(link);
    await h.title('A waiting message');
    await h.page.getByText(/The other server cannot be reached|mailbox is full/).first().waitFor();
    await h.page.getByText('What was tried').first().waitFor();
    await h.press(h.button('Hold'));
    await h.page.getByText('Somebody stopped it.').first().waitFor();
    await h.press(h.button('Release'));
    await h.button('Hold').waitFor();
    await h.press(h.link('Queue', h.page.getByRole('article')));
    await h.title('Queue');
    await h.tick(h.page.getByRole('row').nth(1).getByRole('checkbox'));
    await h.press(h.button('Try now'));
    await h.said('The message is tried now.');
  },

  async 'find a message'(h) {
    await h.menu('Find a message');
    await h.fill(h.field('Recipient'), site?.delivered ?? 'bert@');
    await h.press(h.button('Search'));
    await h.page.waitForFunction(() => document.querySelectorAll('summary').length === 1); // and so it is open
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

  async 'change the settings, after a mistake'(h) {
    await h.menu('Settings');
    const box = h.field('Text of the file'), before = await box.inputValue();
    await h.fill(box, before.replace('hostname ', 'hostnam '));
    await h.press(h.button('Check'));
    await h.page.getByText('One mistake').waitFor();
    await h.page.getByText(/^Line \d+: /).waitFor();
    await h.fill(box, before.replace(/message-size = \d+mb/, 'message-size = 4' + { mouse: 1, keyboard: 2, phone: 3 }[h.how] + 'mb'));
    await h.press(h.button('Check and save'));
    await h.said('Saved.');
    await h.menu('Audit trail');
    await h.page.getByText(site ? 'Changed the settings' : 'Held a message').first().waitFor();
  },

  async 'read the pages in French'(h) {
    await h.menu('Profile and password', 'My account');
    await h.pick(h.field('Français'));
    await h.title('Mon compte');
    await h.page.reload();
    await h.title('Mon compte');
    await h.pick(h.field('English'));
    await h.title('My account');
  },

  async 'make a password for a phone, and take it back'(h) {
    const name = 'Phone of ' + h.how;
    await h.menu('App passwords', 'My account');
    await h.press(h.button('Make an app password'));
    const d = h.dialog('Make an app password');
    await h.fill(h.field('Name', d), name);
    await h.pick(h.field('Only read mail', d));
    await h.press(h.button('Make an app password', d));
    const made = h.dialog(/^The password of/);
    const secret = await made.locator('code').innerText();
    assert.ok(secret.length > 12);
    await h.press(h.button(/^Copy/, made));
    await h.said('Copied.');
    assert.equal(await h.page.evaluate(() => navigator.clipboard.readText()), secret);
    await h.press(h.button('Done', made));
    await h.row(name).getByText('Only read mail').waitFor();
    await h.press(h.button(`Remove “${name}”`));
    await h.press(h.button('Take it back', h.dialog(/^Take back/)));
    await h.said('was taken back');
    await h.row(name).waitFor({ state: 'hidden' });
  },

  async 'switch on codes, and log in with one'(h) {
    await h.menu('Log-in security', 'My account');
    await h.press(h.button('Switch on'));
    const d = h.dialog('Switch on');
    await d.getByRole('img', { name: /QR code/ }).waitFor();
    const secret = await d.locator('code').innerText();
    await h.fill(h.field('Code', d), totp(secret));
    await h.press(h.button('Confirm', d));
    const codes = h.dialog('Your recovery codes');
    await codes.locator('li').first().waitFor();
    const recovery = await codes.locator('li').allInnerTexts();
    assert.ok(recovery.length >= 6);
    await h.press(h.button('Done', codes));
    if (!site) return;
    await h.button('Switch off').waitFor();
    await logOut(h);
    await logIn(h);
    await h.fill(h.field('Code'), recovery[0]);
    await h.press(h.button('Log in'));
    await h.button('Switch off').waitFor();
    await h.press(h.button('Switch off'));
    const off = h.dialog('Switch off');
    await h.fill(h.field('Password', off), who.password);
    await h.press(h.button('Switch off', off));
    await h.button('Switch on').waitFor();
  },

  async 'log in with a passkey'(h) {
    if (!site) return;
    const devtools = await h.context.newCDPSession(h.page);
    await devtools.send('WebAuthn.enable');
    await devtools.send('WebAuthn.addVirtualAuthenticator', { options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    const name = 'Key of ' + h.how;
    await h.menu('Log-in security', 'My account');
    await h.press(h.button('Add a passkey'));
    const d = h.dialog('Add a passkey');
    await h.fill(h.field('Name', d), name);
    await h.press(h.button('Go on', d));
    await h.press(h.button('Done', h.dialog('Your recovery codes')));
    await h.row(name).waitFor();
    await logOut(h);
    await h.press(h.button('Use a passkey'));
    await h.row(name).waitFor();
    await h.press(h.button(`Remove “${name}”`));
    await h.press(h.button('Remove', h.dialog(/^Remove/)));
    await h.row(name).waitFor({ state: 'hidden' });
  },

  async 'bring back a deleted message'(h) {
    await h.menu('Deleted mail', 'My account');
    await h.tick(h.page.getByRole('row').nth(1).getByRole('checkbox'));
    await h.press(h.button('Bring back'));
    await h.said('One message is back in its folder.');
  },

  async 'add a webhook, and remove it'(h) {
    const url = `https://shop.example/${h.how}`;
    await h.menu('Webhooks', 'My account');
    await h.press(h.button('Add a webhook'));
    const d = h.dialog('Add a webhook');
    await h.fill(h.field('Address', d), url);
    await h.press(h.button('Add a webhook', d));
    await h.press(h.button('Done', h.dialog('The secret of this webhook')));
    await h.press(h.button(`Remove ${url}`));
    await h.press(h.button('Remove', h.dialog('Remove this webhook?')));
    await h.row(url).waitFor({ state: 'hidden' });
  },

  async 'log out'(h) {
    await logOut(h);
    await h.title('Log in to Facteur');
  },
};

for (const how of ['mouse', 'keyboard', 'phone']) {
  const hands = await Hands.of(how, base);
  let failed = 0;
  for (const [name, task] of Object.entries(tasks)) {
    if (failed === 3) break;
    if (only && !name.includes(only) && !name.startsWith('log in, after')) continue;
    const began = Date.now();
    try {
      await task(hands);
      console.log(`ok ${how}: ${name} (${Date.now() - began} ms)`);
    } catch (e) {
      failed++;
      faults.push(`${how}: ${name}: ${e.message.split('\n').slice(0, 6).join(' / ')}`);
      if (process.env.SHOTS) await hands.page.screenshot({ path: `${process.env.SHOTS}/${how}-${name.replace(/\W+/g, '-')}.png` });
      await hands.page.goto(base);
      await shown(hands.page);
    }
  }
  await hands.context.close();
}
await finish();
