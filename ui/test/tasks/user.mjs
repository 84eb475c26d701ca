// What everybody does on the pages of the own account.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';

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

export const user = {
  async 'log in: the own account, and nothing of others'(h, who) {
    await h.logIn(who.address, who.password);
    await h.title('My account');
    const items = await h.page.locator('nav.menu').first().locator('a').allTextContents();
    assert.equal(items.length, 6, items.join());
    for (const page of ['/queue', '/domains', '/reports/ici.test', '/alerts', '/audit']) {
      await h.type(page);
      await h.page.getByText('Only operators and domain owners see this page.').waitFor();
    }
    await h.type('/settings');
    await h.page.getByText('Only operators see this page.').waitFor();
  },

  async 'choose another password, and log in with it'(h, who) {
    await h.menu('Profile and password');
    await h.fill(h.field('Your present password'), 'not this one');
    await h.fill(h.field('New password'), 'quite another one');
    await h.press(h.button('Change the password'));
    await h.page.getByRole('alert').waitFor();
    await h.fill(h.field('Your present password'), who.password);
    await h.press(h.button('Change the password'));
    await h.said('Your password was changed.');
    who.password = 'quite another one';
    await h.logOut();
    await h.logIn(who.address, who.password);
    await h.title('My account');
  },

  async 'read the pages in French'(h) {
    await h.menu('Profile and password');
    await h.pick(h.field('Français'));
    await h.title('Mon compte');
    await h.page.reload();
    await h.title('Mon compte');
    await h.pick(h.field('English'));
    await h.title('My account');
  },

  async 'make a password for a phone, and take it back'(h) {
    const name = 'My phone';
    await h.menu('App passwords');
    await h.press(h.button('Make an app password'));
    const d = h.dialog('Make an app password');
    await h.fill(h.field('Name', d), name);
    await h.pick(h.field('Only read mail', d));
    await h.press(h.button('Make an app password', d));
    const made = h.dialog(/^The password of/);
    const secret = await made.locator('code').innerText();
    assert.ok(secret.length > 12);
    assert.equal(await h.copied(h.button(/^Copy/, made)), secret);
    await h.press(h.button('Done', made));
    await h.row(name).getByText('Only read mail').waitFor();
    await h.press(h.button(`Remove “${name}”`));
    await h.press(h.button('Take it back', h.dialog(/^Take back/)));
    await h.said('was taken back');
    await h.row(name).waitFor({ state: 'hidden' });
  },

  async 'switch on codes, and log in with one'(h, who) {
    await h.menu('Log-in security');
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
    await h.button('Switch off').waitFor();
    await h.logOut();
    await h.logIn(who.address, who.password);
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
    const devtools = await h.context.newCDPSession(h.page);
    await devtools.send('WebAuthn.enable');
    await devtools.send('WebAuthn.addVirtualAuthenticator', { options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    const name = 'My laptop';
    await h.menu('Log-in security');
    await h.press(h.button('Add a passkey'));
    const d = h.dialog('Add a passkey');
    await h.fill(h.field('Name', d), name);
    await h.press(h.button('Go on', d));
    await h.press(h.button('Done', h.dialog('Your recovery codes')));
    await h.row(name).waitFor();
    await h.logOut();
    await h.press(h.button('Use a passkey'));
    await h.row(name).waitFor();
    await h.press(h.button(`Remove “${name}”`));
    await h.press(h.button('Remove', h.dialog(/^Remove/)));
    await h.row(name).waitFor({ state: 'hidden' });
  },

  async 'bring back a deleted message'(h) {
    await h.menu('Deleted mail');
    await h.tick(h.row('Apples').getByRole('checkbox'));
    await h.press(h.button('Bring back'));
    await h.said('One message is back in its folder.');
  },

  async 'see whom a program no longer reaches, and let it try again'(h) {
    const dead = `gone.${h.how}@labas.test`;
    await h.menu('Suppressed addresses');
    await h.row(dead).waitFor();
    await h.press(h.button('Allow again: ' + dead));
    await h.said('is written to again');
    await h.row(dead).waitFor({ state: 'hidden' });
  },

  async 'add a webhook, and remove it'(h) {
    const url = `https://shop.example/${h.how}`;
    await h.menu('Webhooks');
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
    await h.logOut();
  },
};
