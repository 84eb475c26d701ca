// The server's stable words about reports have sentences in both catalogues: node codes.mjs
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
const all = (file, pattern) => [...new Set([...read(file).matchAll(pattern)].map((m) => m[1]))];
const faults = [];

/** What the server may say, and the keys that must be there for it. */
const wanted = [
  ...all('src/desk/advice.c', /"((?:ours|service|forwarder|list|threat|unknown)\.[a-z_]+)"/g).flatMap((code) => [`advice.${code}`, `advice.${code}.do`]),
  ...['ours', 'service', 'forwarder', 'list', 'threat', 'unknown'].flatMap((kind) => [`kind.${kind}`, `kind.${kind}.about`]),
  ...all('src/web/api_reports_tls.c', /"([a-z]+(?:-[a-z]+)+)"/g).flatMap((code) => [`tls.result.${code}`, `tls.result.${code}.do`]),
  ...all('src/desk/verdict.c', /(?:why = |true, )"([a-z.-]+)"/g).map((code) => `received.why.${code}`),
];
if (wanted.length < 50) faults.push(`only ${wanted.length} words were found in the sources: the patterns here no longer fit`);
for (const language of ['en', 'fr']) {
  const texts = JSON.parse(read(`ui/src/lang/desk.${language}.json`));
  for (const key of wanted) if (!(key in texts)) faults.push(`${language} has no ${key}`);
}
for (const fault of faults) console.log(fault);
console.log(`${wanted.length} words of the server, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
