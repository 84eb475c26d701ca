// The words of the pages: node texts.mjs
// Both catalogues have the same keys; what the sources ask for is there, what is there is asked for; no words stand in the
// sources themselves; French is set as French is.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';

const src = path.join(path.dirname(fileURLToPath(import.meta.url)), '../src');
const faults = [];
const fault = (text) => faults.push(text);

/** A language's catalogue, from both its files; a key that is written twice is a fault. */
function catalogue(name) {
  const parts = [name, 'desk.' + name].map((n) => fs.readFileSync(path.join(src, 'lang', n + '.json'), 'utf8'));
  const keys = parts.flatMap((text) => [...text.matchAll(/^ {2}"([^"]+)":/gm)].map((m) => m[1]));
  for (const [i, key] of keys.entries()) if (keys.indexOf(key) !== i) fault(`${name}: ${key} stands there twice`);
  return Object.assign({}, ...parts.map((text) => JSON.parse(text)));
}
const en = catalogue('en'), fr = catalogue('fr');
for (const key of Object.keys(en)) if (!(key in fr)) fault(`fr has no ${key}`);
for (const key of Object.keys(fr)) if (!(key in en)) fault(`en has no ${key}`);

const texts = (value) => (typeof value === 'string' ? [value] : Object.values(value));
const names = (value) => [...new Set(texts(value).flatMap((t) => [...t.matchAll(/\{(\w+)\}/g)].map((m) => m[1])))].sort().join();
for (const [key, value] of Object.entries(fr)) {
  if (en[key] && names(en[key]) !== names(value)) fault(`${key}: {${names(en[key])}} in English, {${names(value)}} in French`);
  if (en[key] && typeof en[key] !== typeof value) fault(`${key}: plural in one language alone`);
  for (const text of texts(value)) {
    if (/[^\u202f][;!?»]/.test(text) || /[^\u202f\d\w]:(\s|$)/.test(text) || /[\wéè]:(\s|$)/.test(text)) fault(`fr ${key}: narrow no-break space before ; : ! ? » is missing: ${text}`);
    if (/«[^\u202f]/.test(text)) fault(`fr ${key}: narrow no-break space behind « is missing`);
    if (/\w'\w|"/.test(text)) fault(`fr ${key}: straight quote: ${text}`);
  }
}

// what the sources ask for: whole keys, and those that are put together
const files = fs.readdirSync(src, { recursive: true }).filter((f) => /\.jsx?$/.test(f));
const NOT_TEXTS = /status|_bimi|_dmarc/; // names of another kind that are put together likewise
const literal = new Set(), patterns = [];
for (const file of files) {
  const text = fs.readFileSync(path.join(src, file), 'utf8');
  for (const m of text.matchAll(/'([a-z_]+\.[\w.-]+)'|"([a-z_]+\.[\w.-]+)"/g)) literal.add(m[1] ?? m[2]);
  for (const m of text.matchAll(/\b(?:t|has)\('([^']+)'|\bk="([^"]+)"/g)) {
    const key = m[1] ?? m[2];
    if (!(key in en) && !key.endsWith('.') && key.includes('.') && !text.includes(`'${key}' +`) && !file.endsWith('i18n.js')) fault(`${file}: no ${key} in the catalogues`);
  }
  for (const m of text.matchAll(/`([a-z_]+\.[^`]*\$\{[^`]*)`/g)) patterns.push([file, new RegExp('^' + m[1].replace(/[.]/g, '\\.').replace(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, '.+') + '$')]);
  for (const m of text.matchAll(/\bwordFor\('([^']+)'/g)) patterns.push([file, new RegExp('^' + m[1].replace(/[.]/g, '\\.') + '\\..+$')]);
  for (const m of text.matchAll(/'([a-z_]+(?:\.[a-z_]+)*\.)' \+/g)) patterns.push([file, new RegExp('^' + m[1].replace(/[.]/g, '\\.') + '.+$')]);
}
for (const [file, pattern] of patterns) if (!NOT_TEXTS.test(pattern.source) && !Object.keys(en).some((k) => pattern.test(k))) fault(`${file}: no key is like ${pattern.source}`);
for (const key of Object.keys(en)) if (!literal.has(key) && !patterns.some(([, p]) => p.test(key))) fault(`nobody asks for ${key}`);

// words in the sources: as children, and in the properties that people see or hear
const WORD = /\p{L}{2,}/u;
const ALLOWED = /^(Facteur|[\w.@-]+@[\w.-]+|@|https?:\/\/\S+|[\w-]+(\.[\w-]+)+|p=\w+|CSV|JSON|SPF|DKIM|DMARC|TLS|BIMI|DNS|IP|PDF|MX|ARC|SVG|DANE|https:\/\/|info@)$/;
for (const file of files.filter((f) => f.endsWith('.jsx'))) {
  const { code } = await transform(fs.readFileSync(path.join(src, file), 'utf8'), { loader: 'jsx', jsx: 'automatic', jsxImportSource: 'preact', charset: 'utf8' });
  for (const m of code.matchAll(/\b(children|title|label|lead|hint|placeholder|alt|caption|submit|text|"aria-label"): (?:\/\* @__PURE__ \*\/ )?"((?:[^"\\]|\\.)*)"/g)) {
    if (WORD.test(m[2]) && !ALLOWED.test(m[2].trim()) && !(m[2] in en)) fault(`${file}: words in the source: ${m[1]}: "${m[2]}"`);
  }
  for (const m of code.matchAll(/children: \[([^\]]*)/g)) {
    for (const s of m[1].replace(/"input",\s*\{/g, '').matchAll(/^\s*"((?:[^"\\]|\\.)*)",?$/gm)) if (WORD.test(s[1]) && !ALLOWED.test(s[1].trim())) fault(`${file}: words in the source: "${s[1]}"`);
  }
}

for (const f of faults) console.log(f);
console.log(`${Object.keys(en).length} texts, ${files.length} sources, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
