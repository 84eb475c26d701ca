// Builds the pages: JavaScript, styles and strings by esbuild, with hashed names, gzipped.
//   node build.mjs                    into ui/out, to look at with mock.mjs
//   node build.mjs --c FILE DEPFILE   as a table in C (src/web/page_files.h), which is what meson asks for
// Packages are installed by `npm ci` first where they are missing, by one build at a time. Where that cannot be done the
// table is empty, unless --must is given.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, 'node_modules');
const installed = path.join(modules, '.package-lock.json');
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml', '.json': 'application/json',
};

/** Are the packages there that the lock file names? */
function isInstalled() {
  if (!fs.existsSync(installed)) return false;
  const want = JSON.parse(fs.readFileSync(path.join(here, 'package-lock.json'), 'utf8')).packages;
  const have = JSON.parse(fs.readFileSync(installed, 'utf8')).packages;
  return Object.entries(want).every(([name, p]) => name === '' || p.optional || have[name]?.version === p.version);
}

/** Builds of several folders may run at once: the lock ends with the process that holds it. */
function install() {
  if (isInstalled()) return;
  spawnSync('flock', [path.join(here, '.install.lock'), process.execPath, fileURLToPath(import.meta.url), '--install'],
    { stdio: 'inherit' });
  if (!isInstalled()) throw new Error('npm ci failed in ui/: the packages of the pages could not be installed');
}

function tryInstall() {
  try {
    install();
    return true;
  } catch {
    return false;
  }
}

function installLocked() {
  if (!isInstalled()) spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: here, stdio: 'inherit' });
}

/** Gives [{path, type, bytes}] and the sources that went in. */
export async function build() {
  install();
  const { build: run } = await import('esbuild');
  const result = await run({
    absWorkingDir: here,
    entryPoints: { main: 'src/main.jsx', style: 'src/style/main.css' },
    outdir: 'assets', entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', assetNames: '[name]-[hash]',
    bundle: true, splitting: true, format: 'esm', minify: true, target: ['es2021', 'chrome100', 'firefox100', 'safari15'],
    jsx: 'automatic', jsxImportSource: 'preact', loader: { '.svg': 'file' },
    legalComments: 'none', metafile: true, write: false, charset: 'utf8', logLevel: 'warning',
  });
  const files = result.outputFiles.map((f) => ({ path: 'assets/' + path.basename(f.path), bytes: Buffer.from(f.contents) }));
  const named = (name, ext) => files.find((f) => path.basename(f.path).startsWith(name + '-') && f.path.endsWith(ext)).path;
  const html = fs.readFileSync(path.join(here, 'src/index.html'), 'utf8')
    .replace('{script}', named('main', '.js')).replace('{style}', named('style', '.css')).replace('{logo}', named('logo', '.svg'));
  files.push({ path: 'index.html', bytes: Buffer.from(html) });
  for (const f of files) f.type = TYPES[path.extname(f.path)];
  const inputs = Object.keys(result.metafile.inputs).concat('src/index.html', 'build.mjs', 'package-lock.json');
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), inputs: inputs.map((i) => path.join(here, i)) };
}

function table(files) {
  const out = ['/* Made by ui/build.mjs. */', '#include "web/page_files.h"', ''];
  const rows = files.map((f, i) => {
    const gz = zlib.gzipSync(f.bytes, { level: 9 });
    out.push(`static const unsigned char f${i}[] = {`);
    for (let at = 0; at < gz.length; at += 40) out.push([...gz.subarray(at, at + 40)].join(',') + ',');
    out.push('};');
    const etag = createHash('sha256').update(f.bytes).digest('hex').slice(0, 16);
    return `    {"${f.path}", "${f.type}", "\\"${etag}\\"", ${f.path.startsWith('assets/')}, f${i}, sizeof f${i}, ${f.bytes.length}},`;
  });
  out.push('const struct page_file page_files[] = {', ...rows, '    {0},', '};');
  out.push('');
  return out.join('\n');
}

async function writeC(file, depfile, must) {
  let made;
  if (!must && !tryInstall()) {
    made = { files: [], inputs: [installed] };
    console.error('warning: npm could not install the packages of the pages: the program is built without them. ' +
      '`ninja` tries again; behind a proxy that opens TLS set NODE_EXTRA_CA_CERTS (docs/install.md)');
  } else {
    made = await build();
  }
  fs.writeFileSync(file, table(made.files));
  // What is missing is named too, so that the next build tries again.
  fs.writeFileSync(depfile, `${file}: ${made.inputs.map((i) => i.replaceAll(' ', '\\ ')).join(' ')}\n`);
}

async function writeFolder() {
  const out = path.join(here, 'out');
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(path.join(out, 'assets'), { recursive: true });
  for (const f of (await build()).files) fs.writeFileSync(path.join(out, f.path), f.bytes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2).filter((a) => a !== '--must');
  if (args[0] === '--install') installLocked();
  else if (args[0] === '--c') await writeC(args[1], args[2], process.argv.includes('--must'));
  else await writeFolder();
}
