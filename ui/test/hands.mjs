// How somebody works a page: with the mouse, with the keyboard alone, or with a finger on a phone.
import assert from 'node:assert/strict';
import { enter, person, site, shown } from './lib.mjs';

const isHere = (e) => e === document.activeElement;

export class Hands {
  /** how: 'mouse', 'keyboard', 'phone' */
  static async of(how, address, options = {}) {
    const hands = new Hands();
    hands.how = how;
    hands.context = await person({ width: how === 'phone' ? 360 : 1280, ...options });
    hands.page = await hands.context.newPage();
    if (!site) await enter(hands.context, { address: 'anne@ici.test', password: 'secret' });
    await hands.page.goto(address);
    await hands.page.waitForSelector('h1');
    return hands;
  }

  /** The Tab key until the focus is there. */
  async reach(target) {
    await target.waitFor();
    for (let i = 0; i < 150; i++) {
      if (await target.evaluate(isHere)) return;
      await this.page.keyboard.press('Tab');
    }
    assert.fail(`not reached with the Tab key: ${target}`);
  }

  async press(target) {
    if (this.how === 'mouse') return target.click();
    if (this.how === 'phone') return target.tap();
    await this.reach(target);
    return this.page.keyboard.press('Enter');
  }

  async fill(target, text) {
    if (this.how !== 'keyboard') return target.fill(text);
    await this.reach(target);
    await this.page.keyboard.press('Control+A');
    return text ? this.page.keyboard.insertText(text) : this.page.keyboard.press('Delete');
  }

  async choose(target, words) {
    if (this.how !== 'keyboard') return target.selectOption({ label: words });
    await this.reach(target);
    return this.page.keyboard.type(words);
  }

  /** Ticks a box. */
  async tick(target) {
    if (this.how === 'mouse') return target.click();
    if (this.how === 'phone') return target.tap();
    await this.reach(target);
    return this.page.keyboard.press('Space');
  }

  /** One of a few round ones: the keyboard comes to the group and goes on by arrows. */
  async pick(target) {
    if (this.how === 'mouse') return target.click();
    if (this.how === 'phone') return target.tap();
    for (let i = 0; i < 150 && !(await target.evaluate((e) => document.activeElement?.name === e.name && document.activeElement?.type === 'radio')); i++) await this.page.keyboard.press('Tab');
    for (let i = 0; i < 10 && !(await target.isChecked()); i++) await this.page.keyboard.press('ArrowDown');
    assert.ok(await target.isChecked());
  }

  button(name, within = this.page) { return within.getByRole('button', { name, exact: typeof name === 'string' }); }
  link(name, within = this.page) { return within.getByRole('link', { name, exact: typeof name === 'string' }); }
  field(name, within = this.page) { return within.getByLabel(name, { exact: typeof name === 'string' }); }
  dialog(name) { return this.page.getByRole('dialog', { name }); }
  row(text) { return this.page.getByRole('row').filter({ hasText: text }); }
  async said(text) { await this.page.getByRole('status').filter({ hasText: text }).waitFor(); }
  async title(text) { await this.page.getByRole('heading', { level: 1, name: text }).waitFor(); }

  /** By the menu, which is a drawer on a phone; `under`: the item that unfolds the group. */
  async menu(name, under) {
    for (const item of under ? [under, name] : [name]) {
      const links = this.page.getByRole('navigation').getByRole('link', { name: item, exact: true });
      if (item !== name && await this.page.getByRole('link', { name, exact: true, includeHidden: true }).count()) continue;
      if (this.how === 'phone') await this.press(this.button('Menu'));
      await this.press(links.first());
      await this.page.waitForFunction(() => !document.querySelector('.drawer[open]'));
      await shown(this.page);
    }
  }
}
