// What somebody does who looks after one domain, and sees no other.
import assert from 'node:assert/strict';
import { ask, shown, site } from '../lib.mjs';
import { health } from './health.mjs';
import { operator } from './operator.mjs';
import { alerts, reports } from './reports.mjs';

const { domain, other } = site;
const same = (...names) => Object.fromEntries(names.map((name) => {
  assert.ok(operator[name], name);
  return [name, operator[name]];
}));

/** Nothing on this page is about the other domain. */
async function isOurs(h) {
  await shown(h.page);
  const text = await h.page.locator('main').innerText();
  assert.ok(!text.includes(other), `${h.page.url()} tells of ${other}: ${text.split('\n').find((l) => l.includes(other))}`);
}

export const owner = {
  async 'log in: an overview of the own domain alone'(h, who) {
    await h.logIn(who.address, who.password);
    await h.title('Overview');
    await h.link(domain).first().waitFor();
    await isOurs(h);
  },

  async 'the menu and every list show the own domain alone'(h) {
    const items = await h.page.locator('nav.menu').first().locator('a').allTextContents();
    assert.ok(items.includes('Queue'), items.join());
    for (const name of ['Live', 'Settings', 'Log']) assert.ok(!items.includes(name), name);
    for (const name of ['Queue', 'Find a message', 'Domains', 'Accounts', 'Aliases and groups', 'Audit trail', 'Alerts', 'Set-up', 'Doctor']) {
      await h.menu(name);
      await isOurs(h);
    }
  },

  async 'what is not the own is refused with words'(h) {
    for (const page of ['/live', '/log', '/settings', '/alerts/settings']) {
      await h.type(page);
      await h.title('Not for your account');
      await h.page.getByText('Only operators see this page.').waitFor();
    }
    for (const page of ['/reports/{}', '/reports/{}/path', '/reports/{}/tls', '/reports/{}/failures', '/bimi/{}', '/setup/{}'].map((p) => p.replace('{}', other))) {
      await h.type(page);
      await h.page.getByRole('alert').filter({ hasText: 'This is not for your account' }).first().waitFor();
    }
    for (const page of ['/domains/' + other, '/accounts/vera@' + other]) {
      await h.type(page);
      await h.page.getByText(/does not exist|not for your account/).first().waitFor();
    }
    assert.equal(await ask(h.page, 'GET', '/accounts?domain=' + other), null);
    await h.type('/nothing-here');
    await h.title('There is no such page');
    await h.press(h.link('To the start page'));
    await h.title('Overview');
  },

  ...same('make a group, change it, remove it', 'set the encryption policy of a domain', 'find a message'),
  ...health(domain, site.foreign),
  ...reports(domain),
  ...alerts(domain),

  async 'log out'(h) {
    await h.logOut();
  },
};
