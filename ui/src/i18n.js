/* Strings: a catalogue a language in two files, daily work and the desk (lang/en.json and desk.en.json: flat, key -> text or {one, other} by plural).
 * {name} in a text is replaced by a value; numbers are written as the language writes them. */

const LANGUAGES = {
  en: () => Promise.all([import('./lang/en.json'), import('./lang/desk.en.json')]),
  fr: () => Promise.all([import('./lang/fr.json'), import('./lang/desk.fr.json')]),
};
export const languages = [['en', 'English'], ['fr', 'Français']]; // each by its own name
const listeners = new Set();
let texts = {}, current = 'en', plurals;

export const language = () => current;
/** English as it is written with 24 hours; French of France. */
export const locale = () => (current === 'fr' ? 'fr-FR' : 'en-GB');

export async function setLanguage(name) {
  const catalogues = await (LANGUAGES[name] ?? LANGUAGES.en)();
  current = LANGUAGES[name] ? name : 'en';
  texts = Object.assign({}, ...catalogues.map((c) => c.default));
  plurals = new Intl.PluralRules(locale());
  document.documentElement.lang = current;
  for (const tell of listeners) tell();
}

/** What was chosen on this machine before, else the first of the browser's languages that there is. */
export async function startLanguage() {
  const wanted = [remembered(), ...(navigator.languages ?? [])].map((l) => l?.slice(0, 2));
  await setLanguage(wanted.find((l) => LANGUAGES[l]) ?? 'en');
}

function remembered() {
  try {
    return localStorage.getItem('language');
  } catch {
    return null; // storage is switched off
  }
}

export function rememberLanguage(name) {
  try {
    localStorage.setItem('language', name);
  } catch { /* then the browser's language counts next time */ }
}

export function onLanguage(tell) {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

export const has = (key) => key in texts;

function text(key, args) {
  const found = texts[key];
  if (found === undefined) return key;
  return typeof found === 'string' ? found : found[plurals.select(args?.n ?? 0)] ?? found.other;
}

const show = (value) => (typeof value === 'number' ? value.toLocaleString(locale()) : String(value ?? ''));

/** t('queue.waiting', {n: 3}) */
export function t(key, args) {
  return text(key, args).replace(/\{(\w+)\}/g, (all, name) => (args && name in args ? show(args[name]) : all));
}

/** The same with elements: <T k="login.hello" name={<b>Anne</b>} /> */
export function T({ k, ...args }) {
  return text(k, args).split(/\{(\w+)\}/).map((part, i) => (i % 2 === 0 ? part : typeof args[part] === 'number' ? show(args[part]) : args[part]));
}

/** A sentence that the server made, set as French is. */
export const spaced = (text) => (current === 'fr' && text ? text.replace(/(\p{L})'(?=\p{L})/gu, '$1’').replace(/ ([;:!?»])/g, '\u202f$1').replace(/« /g, '«\u202f') : text);
