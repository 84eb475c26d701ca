// How somebody works a page: with the mouse, with the keyboard alone, or with a finger on a phone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { base, person, shown, to } from './lib.mjs';

const TABS = 6; // at once: each look costs time
const isHere = (e) => e === document.activeElement;

export class Hands {
  /** how: 'mouse', 'keyboard', 'phone' */
  static async of(how) {
    const hands = new Hands();
    hands.how = how;
    hands.context = await person({ width: how === 'phone' ? 360 : 1280 });
    hands.page = await hands.context.newPage();
    await hands.page.goto(base);
    await hands.page.waitForSelector('h1');
    return hands;
  }

  /** The Tab key until the focus is there. */
  async reach(target) {
    await target.waitFor();
    if (await target.evaluate(isHere)) return;
    await target.evaluate((e) => { e.addEventListener('focus', () => { window.wasThere = e; }, { once: true }); });
    for (let i = 0; i < 15 && !(await target.evaluate((e) => window.wasThere === e)); i++) await Promise.all(Array.from({ length: TABS }, () => this.page.keyboard.press('Tab')));
    for (let i = 0; i < TABS + 2; i++) { // it may have been passed
      if (await target.evaluate(isHere)) return;
      await this.page.keyboard.press('Shift+Tab');
    }
    for (let i = 0; i < 150; i++) { // the page drew it anew meanwhile
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
    const chosen = () => target.evaluate((e) => e.selectedOptions[0].text);
    await this.page.keyboard.press('Home');
    for (let i = 0; i < 60 && await chosen() !== words; i++) await this.page.keyboard.press('ArrowDown');
    return assert.equal(await chosen(), words);
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

  /** The page's last table by a column; on a phone there is a choice in place of the headings. */
  async sort(name, way) {
    if (this.how === 'phone') return this.choose(this.field('Sort by').last(), `${name} ${way === 'ascending' ? '↑' : '↓'}`);
    const head = this.page.getByRole('columnheader', { name }).last();
    for (let i = 0; i < 2 && await head.getAttribute('aria-sort') !== way; i++) await this.press(this.button(name, head));
    return assert.equal(await head.getAttribute('aria-sort'), way);
  }

  /** By an address that somebody typed. */
  async type(address) { await to(this.page, address); }

  /** What the browser saves when that is pressed: its name and its text. */
  async saved(target) {
    const [file] = await Promise.all([this.page.waitForEvent('download'), this.press(target)]);
    return { name: file.suggestedFilename(), text: fs.readFileSync(await file.path(), 'utf8') };
  }

  /** What is copied when that is pressed. All hands share one clipboard. */
  async copied(target) {
    return alone('clipboard', async () => {
      await this.press(target);
      await this.said('Copied.');
      return this.page.evaluate(() => navigator.clipboard.readText());
    });
  }

  /** Nothing reaches beyond the edge of a phone. */
  async fits() {
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${this.page.url()} is ${wide} px too wide`);
  }

  async logIn(address, password) {
    await this.fill(this.field('Mail address'), address);
    await this.fill(this.field('Password'), password);
    await this.press(this.button('Log in'));
  }

  async logOut() {
    if (this.how === 'phone') await this.press(this.button('Menu'));
    await this.press(this.button('Log out', this.page.getByRole('navigation')).first());
    await this.title('Log in to Facteur');
  }
}

const turns = new Map();
/** Hands work side by side; what they share they use one after another. */
export function alone(what, act) {
  const turn = (turns.get(what) ?? Promise.resolve()).then(act);
  turns.set(what, turn.catch(() => {}));
  return turn;
}
