// A stand-in for the server, with made-up data (mock/*.mjs), to work on pages without building the program:
//   node mock.mjs [PORT] [ROLE]      builds, then serves http://127.0.0.1:8088/admin/ as operator, owner or user
// Sources that change are built again when the page is loaded again. Any password is right but "wrong".
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const port = Number(process.argv[2] ?? 8088);
let role = process.argv[3] ?? 'operator', loggedIn = !process.env.LOGGED_OUT;
const account = () => ({ address: role === 'user' ? 'bert@ici.test' : 'anne@ici.test', role, domain: 'ici.test', language: null, totp: false, passkeys: 1, version: '0.1.0' });

const tables = [];
for (const file of fs.readdirSync(path.join(here, 'mock')).filter((f) => f.endsWith('.mjs'))) tables.push((await import('./mock/' + file)).routes);
const own = {
  'GET /session': () => (loggedIn ? { account: account() } : [401, { error: { code: 'session.none', text: 'Please log in.' } }]),
  'POST /session': ({ body }) => {
    if (body.password === 'wrong') return [401, { error: { code: 'login.wrong', text: 'Wrong.' } }];
    if (body.address.startsWith('totp') && !body.code) return [401, { error: { code: 'login.second_factor', methods: ['totp', 'passkey'] } }];
    loggedIn = true;
    return { account: account() };
  },
  'DELETE /session': () => { loggedIn = false; return [204]; },
};
const all = Object.assign({}, ...tables, own);

function find(method, url) {
  for (const [key, handle] of Object.entries(all)) {
    const [m, pattern] = key.split(' ');
    const found = m === method && new RegExp('^' + pattern.replace(/\{\w+\}/g, '([^/]+)') + '$').exec(url);
    if (found) return [handle, found.slice(1).map(decodeURIComponent)];
  }
  return [];
}

let files = new Map(), newest = 0, building = null;
async function rebuild() {
  const seen = Math.max(...fs.readdirSync(path.join(here, 'src'), { recursive: true }).map((f) => fs.statSync(path.join(here, 'src', f)).mtimeMs));
  if (seen !== newest) {
    newest = seen;
    building = build().then((made) => { files = new Map(made.files.map((f) => [f.path, f])); });
  }
  await building;
}

http.createServer(async (request, answer) => {
  const url = new URL(request.url, 'http://localhost');
  const say = (status, json) => answer.writeHead(status, { 'Content-Type': 'application/json' }).end(json === undefined ? '' : JSON.stringify(json));
  try {
    if (url.pathname.startsWith('/admin/api/')) {
      const [handle, args] = find(request.method, url.pathname.slice('/admin/api'.length));
      let text = '';
      for await (const piece of request) text += piece;
      if (!handle) return say(404, { error: { code: 'route.unknown', text: 'No such route.' } });
      const body = request.headers['content-type'] === 'application/json' && text ? JSON.parse(text) : text;
      const result = handle({ args, body, query: Object.fromEntries(url.searchParams), role });
      return Array.isArray(result) ? say(...result) : say(200, result);
    }
    if (url.pathname === '/admin/') await rebuild();
    const file = files.get(url.pathname.replace(/^\/admin\//, '') || 'index.html');
    if (!file) return answer.writeHead(302, { Location: '/admin/' }).end();
    answer.writeHead(200, { 'Content-Type': file.type, 'Cache-Control': 'no-store',
      'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'" });
    answer.end(file.bytes);
  } catch (e) {
    console.error(e);
    say(500, { error: { code: 'mock', text: String(e) } });
  }
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/admin/`));
