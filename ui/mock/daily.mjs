// Data of the pages of daily work.
const ago = (s) => new Date(Date.now() - s * 1000).toISOString().slice(0, 19) + 'Z';
const wave = (n, top, seed) => Array.from({ length: n }, (_, i) => Math.max(0, Math.round(top * (0.5 + 0.35 * Math.sin(i / 7 + seed) + 0.25 * Math.sin(i * 1.7 + seed)))));
const minutes = (top, seed) => wave(60, top, seed).map((n, i) => ({ minute: ago((60 - i) * 60), n }));

const domains = [
  { domain: 'ici.test', created: ago(86400 * 200), accounts: 5, aliases: 4, mta_sts: { mode: 'enforce', id: '20260801T000000' }, health: { good: 24, note: 2, warn: 0, bad: 0, unknown: 0, made: ago(3000) },
    keys: [{ selector: 'r2026c', algorithm: 'rsa', state: 'active', created: ago(86400 * 40) }, { selector: 'e2026c', algorithm: 'ed25519', state: 'active', created: ago(86400 * 40) },
      { selector: 'r2026b', algorithm: 'rsa', state: 'retired', created: ago(86400 * 130) }] },
  { domain: 'atelier.test', created: ago(86400 * 90), accounts: 1, aliases: 1, mta_sts: { mode: 'testing', id: '20261101T000000' }, health: { good: 19, note: 3, warn: 2, bad: 1, unknown: 0, made: ago(3000) },
    keys: [{ selector: 'r2026c', algorithm: 'rsa', state: 'active', created: ago(86400 * 40) }] },
  { domain: 'verger.test', created: ago(3600), accounts: 0, aliases: 0, mta_sts: { mode: 'none', id: '' }, health: null, keys: [] },
];
const accounts = [
  { address: 'anne@ici.test', role: 'operator', created: ago(86400 * 200), disabled: false, quota: 0, used: 8.1e9, messages: 48211 },
  { address: 'bert@ici.test', role: 'user', created: ago(86400 * 190), disabled: false, quota: 10e9, used: 3.42e9, messages: 20144 },
  { address: 'claire.dubois@ici.test', role: 'owner', created: ago(86400 * 100), disabled: false, quota: 5e9, used: 4.81e9, messages: 31007 },
  { address: 'david@ici.test', role: 'user', created: ago(86400 * 60), disabled: true, quota: 5e9, used: 1.2e8, messages: 911 },
  { address: 'eva@ici.test', role: 'user', created: ago(86400 * 2), disabled: false, quota: 2e9, used: 0, messages: 0 },
  { address: 'atelier@atelier.test', role: 'owner', created: ago(86400 * 90), disabled: false, quota: 20e9, used: 20.1e9, messages: 88120 },
].map((a) => ({ ...a, domain: a.address.split('@')[1] }));
const aliases = [
  { address: 'info@ici.test', targets: ['anne@ici.test'] },
  { address: 'equipe@ici.test', targets: ['anne@ici.test', 'bert@ici.test', 'claire.dubois@ici.test', 'gaston@example.org'] },
  { address: 'postmaster@ici.test', targets: ['anne@ici.test'] },
  { address: '@ici.test', targets: ['claire.dubois@ici.test'] },
  { address: 'contact@atelier.test', targets: ['atelier@atelier.test'] },
];
const story = [
  { at: ago(7300), mx: 'mx1.labas.test', address: '192.0.2.25', tls: 'TLSv1.3', policy: 'TLS when offered', reply: '451 4.7.1 Greylisted, please come back in a few minutes', result: 'deferred' },
  { at: ago(3700), mx: 'mx1.labas.test', address: '192.0.2.25', tls: '', policy: 'TLS when offered', reply: 'Connection refused', reply_ours: true, result: 'unreachable' },
  { at: ago(3690), mx: 'mx2.labas.test', address: '192.0.2.26', tls: 'TLSv1.3', policy: 'TLS when offered', reply: '452 4.2.2 The mailbox of zoe is full', result: 'deferred' },
];
const rcpt = (address, more) => ({ address, route: address.split('@')[1], sender: 'bert@ici.test', local: false, state: 'ready', attempts: 0, next_attempt: ago(-900), last_attempt: '', last_reply: '', last_reply_ours: false, reason: '', last_mx: '', story: [], ...more });
let queue = [
  { id: '2f1a', created: ago(9000), size: 48213, sender: 'bert@ici.test', priority: 0, peer: '198.51.100.7', recipients: [
    rcpt('zoe@labas.test', { attempts: 3, last_attempt: ago(3690), last_reply: '452 4.2.2 The mailbox of zoe is full', reason: 'full', last_mx: 'mx2.labas.test', story }),
    rcpt('yves@labas.test', { attempts: 1, last_attempt: ago(3690), last_reply: '451 4.7.1 Greylisted, please come back in a few minutes', reason: 'greylisted', last_mx: 'mx1.labas.test', story: story.slice(0, 1) })] },
  { id: '2f22', created: ago(600), size: 2310, sender: 'anne@ici.test', priority: 0, peer: '198.51.100.9', recipients: [
    rcpt('office@fabrik.example', { attempts: 2, last_reply: 'mail.fabrik.example: TLS could not be started: certificate has expired', last_reply_ours: true, reason: 'tls', last_mx: 'mail.fabrik.example', story: [{ ...story[0], result: 'tls', reply: 'TLS could not be started: certificate has expired', reply_ours: true, policy: 'the domain\'s MTA-STS policy (enforce) requires TLS with a valid certificate for this host' }] })] },
  { id: '2f23', created: ago(300), size: 431120, sender: 'claire.dubois@ici.test', priority: 0, peer: '198.51.100.12', recipients: [rcpt('archive@example.net', { state: 'held' })] },
  { id: '2f24', created: ago(2), size: 1120, sender: '', priority: 0, peer: '', recipients: [rcpt('sender@example.org', {})] },
];
const trace = [
  { id: '2f01', session: '9c1', sender: 'news@jardin.example', recipients: ['bert@ici.test'], peer: '203.0.113.25', began: ago(4000), result: 'delivered', steps: [
    { at: ago(4000), event: 'smtp.message.accepted', text: '', fields: { peer: '203.0.113.25', helo: 'mail.jardin.example', tls: 'TLSv1.3', sender: 'news@jardin.example', rcpts: 1, spf: 'pass', dkim: 'pass (jardin.example)', dmarc: 'pass', size: 48112, action: 'accept' } },
    { at: ago(4000), event: 'queue.delivered', text: '', fields: { to: 'bert@ici.test', folder: 'inbox', ms: 12 } }] },
  { id: '2f1a', session: '9d0', sender: 'bert@ici.test', recipients: ['zoe@labas.test', 'yves@labas.test'], peer: '198.51.100.7', began: ago(9000), result: 'deferred', steps: [
    { at: ago(9000), event: 'smtp.message.accepted', text: '', fields: { peer: '198.51.100.7', login: 'bert@ici.test', tls: 'TLSv1.3', sender: 'bert@ici.test', rcpts: 2, size: 48213 } },
    { at: ago(8999), event: 'queue.mx.connected', text: '', fields: { mx: 'mx1.labas.test', address: '192.0.2.25', tls: 'TLSv1.3', reason: 'no policy: TLS where offered' } },
    { at: ago(7300), event: 'queue.deferred', text: '', fields: { to: 'yves@labas.test', mx: 'mx1.labas.test', reply: '451 4.7.1 Greylisted, please come back in a few minutes' } },
    { at: ago(3690), event: 'queue.deferred', text: '', fields: { to: 'zoe@labas.test', mx: 'mx2.labas.test', reply: '452 4.2.2 The mailbox of zoe is full' } }] },
  { id: '2ee9', session: '9a2', sender: 'ceo@ici.test', recipients: ['anne@ici.test'], peer: '203.0.113.99', began: ago(50000), result: 'refused', steps: [
    { at: ago(50000), event: 'smtp.message.rejected', text: '', fields: { peer: '203.0.113.99', helo: 'localhost', spf: 'fail', dkim: 'none', dmarc: 'fail', policy: 'reject', code: 550, reason: 'the domain of the author asks to refuse what fails DMARC' } }] },
];
let apps = [
  { id: 1, name: 'My phone', scope: 'all', created: ago(86400 * 90), last_used: ago(60), last_peer: '198.51.100.7' },
  { id: 2, name: 'Printer', scope: 'send', created: ago(86400 * 30), last_used: ago(86400 * 3), last_peer: '198.51.100.80' },
  { id: 3, name: 'Old laptop', scope: 'read', created: ago(86400 * 300), last_used: null, last_peer: '' },
];
let hooks = [{ id: 1, url: 'https://shop.example/mail-events', events: ['delivered', 'bounced', 'complained'], created: ago(86400 * 9), last: '200', last_at: ago(500) }];
let text = `hostname = "mx.ici.test"\ndata     = "/var/lib/facteur"\nlisten {\n    smtp        = "0.0.0.0:25"\n    submissions = "0.0.0.0:465"\n    imaps       = "0.0.0.0:993"\n    https       = "0.0.0.0:443"\n}\nlimits {\n    message-size = 50mb\n}\n`;
const setting = (section, name, value, def, meaning, line) => ({ section, name, value, default: def, type: 'text', meaning, line });

export const routes = {
  'GET /overview': () => ({
    domains: 3, accounts: 42, queue: { messages: queue.length, recipients: 5, held: 1, bytes: 482133 }, alerts: 1,
    messages: { received_today: 1284, sent_today: 341, rejected_today: 2207 },
    dmarc: [{ domain: 'ici.test', messages: 48210, aligned: 47998, days: wave(30, 40, 1).map((n, i) => ({ day: ago((30 - i) * 86400).slice(0, 10), messages: 1000, aligned: 960 + n })) },
      { domain: 'atelier.test', messages: 812, aligned: 640, days: wave(30, 200, 3).map((n, i) => ({ day: ago((30 - i) * 86400).slice(0, 10), messages: 1000, aligned: 640 + n })) }],
    version: '0.1.0', since: ago(86400 * 12),
  }),
  'GET /domains': () => ({ domains }),
  'POST /domains': ({ body }) => (/^[a-z0-9.-]+\.[a-z]+$/.test(body.domain) ? [201, domains[domains.push({ domain: body.domain, accounts: 0, aliases: 0, mta_sts: { mode: 'none' }, keys: [], health: null }) - 1]]
    : [400, { error: { code: 'domain.invalid', text: 'no', field: 'domain' } }]),
  'PATCH /domains/{d}': ({ args, body }) => Object.assign(domains.find((d) => d.domain === args[0]), { mta_sts: { mode: body.mta_sts } }),
  'GET /accounts': ({ query }) => ({ accounts: accounts.filter((a) => !query.domain || a.domain === query.domain), next: null }),
  'POST /accounts': ({ body }) => { accounts.push({ ...body, domain: body.address.split('@')[1], created: ago(0), used: 0, messages: 0 }); return [201, {}]; },
  'PATCH /accounts/{a}': ({ args, body }) => Object.assign(accounts.find((a) => a.address === args[0]), body),
  'DELETE /accounts/{a}': ({ args }) => { accounts.splice(accounts.findIndex((a) => a.address === args[0]), 1); return [204]; },
  'GET /aliases': ({ query }) => ({ aliases: aliases.filter((a) => !query.domain || a.address.endsWith('@' + query.domain)) }),
  'PUT /aliases/{a}': ({ args, body }) => { const found = aliases.find((a) => a.address === args[0]); if (found) found.targets = body.targets; else aliases.push({ address: args[0], targets: body.targets }); return {}; },
  'DELETE /aliases/{a}': ({ args }) => { aliases.splice(aliases.findIndex((a) => a.address === args[0]), 1); return [204]; },
  'GET /queue': ({ query }) => ({ queue: queue.filter((m) => !query.state || m.recipients.some((r) => (query.state === 'held') === (r.state === 'held'))), counts: { messages: 4, recipients: 5, held: 1, bytes: 482763 }, next: null }),
  'GET /queue/{id}': ({ args }) => ({ message: queue.find((m) => m.id === args[0]), headers: 'Received: from laptop by mx.ici.test\nFrom: Bert <bert@ici.test>\nTo: zoe@labas.test\nSubject: The minutes of Tuesday\nMessage-ID: <1@ici.test>\n' }),
  'POST /queue/{id}/remove': ({ args }) => { queue = queue.filter((m) => m.id !== args[0]); return { recipients: 1 }; },
  'POST /queue/{id}/{what}': ({ args }) => { const m = queue.find((q) => q.id === args[0]); for (const r of m.recipients) r.state = args[1] === 'hold' ? 'held' : 'ready'; return { recipients: 1 }; },
  'POST /queue/flush': () => ({ recipients: 4 }),
  'GET /trace': ({ query }) => ({ trace: trace.filter((m) => (!query.sender || m.sender.includes(query.sender)) && (!query.recipient || m.recipients.some((r) => r.includes(query.recipient))) && (!query.id || m.id === query.id)), next: null }),
  'GET /live': () => ({
    sessions: [{ service: 'imaps', peer: '198.51.100.7', account: 'bert@ici.test', since: ago(4000), tls: 'TLSv1.3' }, { service: 'smtp', peer: '203.0.113.25', account: '', since: ago(3), tls: 'TLSv1.3' },
      { service: 'smtp', peer: '203.0.113.180', account: '', since: ago(1), tls: '' }, { service: 'submissions', peer: '198.51.100.9', account: 'anne@ici.test', since: ago(20), tls: 'TLSv1.3' }],
    rates: { received: minutes(24, 0), sent: minutes(8, 1), deferred: minutes(2, 2), bounced: minutes(1, 3), logins: minutes(14, 4), refused: minutes(30, 5) },
    processes: ['parent', 'vault', 'mta', 'access'].map((name, i) => ({ name, pid: 4411 + i, since: ago(86400 * 12), starts: 1 })),
  }),
  'GET /log': () => ({ log: [
    { at: ago(5), level: 'info', process: 'mta', event: 'smtp.session.end', fields: { sid: '9e1', peer: '203.0.113.180', helo: 'localhost', mails: 0, errors: 1, last: 'AUTH' } },
    { at: ago(7), level: 'warn', process: 'mta', event: 'smtp.auth.failed', fields: { sid: '9e1', peer: '203.0.113.180', name: 'admin', reason: 'no such account' } },
    { at: ago(70), level: 'error', process: 'mta', event: 'queue.blob.failed', fields: { id: '2f01', blob: '17', reason: 'checksum' } }], next: null }),
  'GET /settings': () => ({ file: '/etc/facteur/facteur.conf', text, settings: [
    setting('', 'hostname', 'mx.ici.test', '', 'Our name in greetings, Received fields and certificates.', 1),
    setting('', 'data', '/var/lib/facteur', '/var/lib/facteur', 'Where databases, blobs, queue and policies are kept.', 2),
    setting('listen', 'smtp', '0.0.0.0:25', '', 'Where mail of other servers comes in.', 4),
    setting('limits', 'message-size', '50mb', '50mb', 'The largest message that is taken.', 10),
    setting('queue', 'expire', null, '5d', 'After this time a message that could not be delivered goes back to its sender.', null)] }),
  'POST /settings/check': ({ body }) => ({ errors: body.text.includes('hostnam ') ? [{ line: 1, text: 'there is no setting "hostnam"' }] : [] }),
  'PUT /settings': ({ body }) => { text = body.text; return [204]; },
  'GET /audit': () => ({ audit: [
    { at: ago(400), who: 'anne@ici.test', peer: '198.51.100.9', what: 'queue.hold', about: '2f23', detail: '' },
    { at: ago(86400 * 2), who: 'anne@ici.test', peer: '198.51.100.9', what: 'account.add', about: 'eva@ici.test', detail: 'role user' }], next: null }),
  'PATCH /me': () => ({}),
  'PUT /me/password': ({ body }) => (body.old === 'wrong' ? [403, { error: { code: 'password.wrong', text: '', field: 'old' } }] : [204]),
  'GET /me/sessions': () => ({ sessions: [
    { id: 'a1', peer: '198.51.100.9', agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', created: ago(4000), seen: ago(1), current: true },
    { id: 'b2', peer: '198.51.100.7', agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit Safari/605', created: ago(86400 * 3), seen: ago(86400), current: false }] }),
  'GET /me/app-passwords': () => ({ app_passwords: apps }),
  'POST /me/app-passwords': ({ body }) => { apps.push({ id: 9, ...body, created: ago(0), last_used: null }); return { id: 9, password: 'kfzc-4m7h-wq2p-8rtd-nx6v' }; },
  'DELETE /me/app-passwords/{id}': ({ args }) => { apps = apps.filter((a) => String(a.id) !== args[0]); return [204]; },
  'POST /me/totp': () => ({ secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Facteur:anne%40ici.test?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Facteur' }),
  'PUT /me/totp': ({ body }) => (body.code === '000000' ? [400, { error: { code: 'code.wrong' } }] : { recovery: ['4kq8-zmxw', '7hnd-ppr3', 'q2vb-9tks', 'm5fc-x8jw', 'w3zd-h6rp', 'b9nk-t4mv'] }),
  'GET /me/passkeys': () => ({ passkeys: [{ id: 'k1', name: 'Laptop', created: ago(86400 * 20), last_used: ago(4000) }] }),
  'GET /me/deleted': () => ({ deleted: [
    { id: 1, folder: 'INBOX', subject: 'The minutes of Tuesday', from: 'Claire <claire.dubois@ici.test>', date: ago(86400 * 4), deleted: ago(7200), size: 48211 },
    { id: 2, folder: 'Projects/Orchard', subject: 'Re: apple trees', from: 'Gaston <gaston@example.org>', date: ago(86400 * 40), deleted: ago(86400 * 5), size: 9211 }], next: null }),
  'POST /me/deleted/restore': ({ body }) => ({ restored: body.ids.length }),
  'GET /me/suppressions': () => ({ suppressions: [
    { address: 'gone@example.org', kind: 'bounce', reason: '550 5.1.1 No such user', since: ago(86400 * 8), count: 3 }, { address: 'angry@example.net', kind: 'complaint', reason: '', since: ago(86400), count: 1 }], next: null }),
  'GET /me/webhooks': () => ({ webhooks: hooks }),
  'POST /me/webhooks': ({ body }) => { hooks = [...hooks, { id: 2, ...body, last: null }]; return [201, { id: 2, secret: 'whsec_5b1c8d0f7a' }]; },
  'DELETE /me/webhooks/{id}': ({ args }) => { hooks = hooks.filter((h) => String(h.id) !== args[0]); return [204]; },
};
