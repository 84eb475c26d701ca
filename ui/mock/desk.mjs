// Data of the pages about reports and health: a month of a small company. The numbers are drawn from a fixed seed, so that every run
// shows the same.

const DAY = 86400000;

function random(seed) {
  let s = seed;
  return () => {
    s = (s * 1664525 + 1013904223) % 4294967296;
    return s / 4294967296;
  };
}

const day = (t) => new Date(t).toISOString().slice(0, 10);

const SOURCES = [
  { key: 'mx.ici.test', name: 'mx.ici.test', organization: 'ici.test', kind: 'ours', country: 'FR', addresses: 2, volume: 240, aligned: 1, spf: 1, dkim: 1, advice: 'ours.good' },
  { key: 'sendgrid', name: 'SendGrid', organization: 'Twilio', kind: 'service', country: 'US', addresses: 14, volume: 92, aligned: 1, spf: 1, dkim: 0, advice: 'service.unsigned' },
  { key: 'brevo', name: 'Brevo', organization: 'Sendinblue SAS', kind: 'service', country: 'FR', addresses: 6, volume: 41, aligned: 1, spf: 0, dkim: 1, advice: 'service.good' },
  { key: 'zendesk', name: 'Zendesk', organization: 'Zendesk Inc.', kind: 'service', country: 'US', addresses: 3, volume: 4.2, aligned: 0, spf: 0, dkim: 0, advice: 'service.unaligned' },
  { key: 'gmail-forward', name: 'Google Workspace', organization: 'Google LLC', kind: 'forwarder', country: 'US', addresses: 31, volume: 11, aligned: 0.92, spf: 0, dkim: 0.92, advice: 'forwarder.good' },
  { key: 'lists.asso.test', name: 'lists.asso.test', organization: 'asso.test', kind: 'list', country: 'DE', addresses: 1, volume: 1.4, aligned: 0.05, spf: 0, dkim: 0.05, advice: 'list.broken' },
  { key: '198.51.100.0/24', name: '198.51.100.0/24', organization: '', kind: 'threat', country: 'RU', addresses: 57, volume: 3.1, aligned: 0, spf: 0, dkim: 0, advice: 'threat.open' },
  { key: 'host.scan.test', name: 'host.scan.test', organization: '', kind: 'unknown', country: null, addresses: 1, volume: 0.6, aligned: 0, spf: 0, dkim: 0, advice: 'unknown.failing' },
];

function fromTo(query, now) {
  const to = query.get('to') || day(now - DAY);
  const from = query.get('from') || day(new Date(to).getTime() - 29 * DAY);
  return { from, to };
}

function daysOf(from, to) {
  const out = [];
  for (let t = new Date(from).getTime(); t <= new Date(to).getTime(); t += DAY)
    out.push(day(t));
  return out;
}

function build(domain, from, to) {
  const draw = random(domain.length * 7919);
  const days = daysOf(from, to);
  const sources = SOURCES.map((s) => ({ ...s, messages: 0, n: { aligned: 0, spf: 0, dkim: 0 }, days: [] }));
  const total = days.map((d) => {
    const weekday = new Date(d).getUTCDay();
    const swing = weekday === 0 || weekday === 6 ? 0.35 : 1;
    const row = { day: d, messages: 0, aligned: 0, spf: 0, dkim: 0, rejected: 0, quarantined: 0 };
    for (const s of sources) {
      const n = Math.round(s.volume * (s.kind === 'threat' ? draw() * 3 : swing * (0.75 + draw() * 0.5)));
      const one = { day: d, messages: n, aligned: Math.round(n * s.aligned), spf: Math.round(n * s.spf), dkim: Math.round(n * s.dkim), rejected: 0, quarantined: 0 };
      s.days.push(one);
      s.messages += n;
      for (const k of ['aligned', 'spf', 'dkim']) {
        s.n[k] += one[k];
        row[k] += one[k];
      }
      row.messages += n;
    }
    row.quarantined = Math.round((row.messages - row.aligned) * 0.1);
    return row;
  });
  return { days: total, sources };
}

const sourceRow = (s, from, to) => ({
  key: s.key, name: s.name, organization: s.organization, kind: s.kind, country: s.country, addresses: s.addresses, messages: s.messages,
  aligned: s.n.aligned, spf: s.n.spf, dkim: s.n.dkim, disposition: { none: s.messages - Math.round((s.messages - s.n.aligned) * 0.1), quarantine: Math.round((s.messages - s.n.aligned) * 0.1), reject: 0 },
  first: from, last: to, advice: s.advice, advice_args: { domain: 'ici.test' },
});

function summary(domain, from, to) {
  const { days, sources } = build(domain, from, to);
  const sum = (k) => days.reduce((a, d) => a + d[k], 0);
  const broken = sources.filter((s) => s.messages > s.n.aligned && !['threat'].includes(s.kind))
    .map((s) => ({ source: s.key, name: s.name, kind: s.kind, messages: s.messages - s.n.aligned, advice: s.advice }));
  const messages = sum('messages');
  const breaks = broken.reduce((a, b) => a + b.messages, 0);
  return {
    domain, from, to, reports: 214, messages, aligned: sum('aligned'), spf_aligned: sum('spf'), dkim_aligned: sum('dkim'),
    disposition: { none: messages - sum('quarantined') - sum('rejected'), quarantine: sum('quarantined'), reject: sum('rejected') },
    overrides: { forwarded: 312, mailing_list: 41, local_policy: 9 }, days,
    policy: { published: { p: 'none', sp: 'none', pct: 100, adkim: 'r', aspf: 'r' }, seen: [{ p: 'none', messages }] },
    path: { now: 'none', next: 'quarantine', ready: false, why: 'path.failing', would_break: breaks, share: 1 - breaks / messages, blockers: broken },
  };
}

const REPORTERS = [['google.com', 'noreply-dmarc-support@google.com'], ['Outlook.com', 'dmarcreport@microsoft.com'], ['Yahoo', 'noreply@dmarc.yahoo.com'], ['Fastmail Pty Ltd', 'reports@fastmaildmarc.com'], ['gmx.net', 'noreply@dmarc.gmx.net'], ['labas.test', 'postmaster@labas.test']];

function dmarcReports(domain, from, to) {
  const out = [];
  let id = 0;
  const draw = random(42);
  for (const d of daysOf(from, to).reverse())
    for (const [org, email] of REPORTERS) {
      if (draw() < 0.3)
        continue;
      const begin = new Date(d).getTime();
      const forged = draw() < 0.04;
      const rows = SOURCES.filter(() => draw() < 0.5).map((s) => ({
        source_ip: s.kind === 'ours' ? '192.0.2.25' : `198.51.100.${1 + Math.floor(draw() * 250)}`, count: 1 + Math.floor(draw() * s.volume / 4), disposition: 'none',
        dkim: s.dkim ? 'pass' : 'fail', spf: s.spf ? 'pass' : 'fail', header_from: domain, envelope_from: s.spf ? domain : `bounce.${s.key}`,
        reasons: s.kind === 'forwarder' ? [{ type: 'forwarded', comment: '' }] : [],
        auth_results: { dkim: s.dkim ? [{ domain, selector: 'r2026', result: 'pass' }] : [], spf: [{ domain: s.spf ? domain : `bounce.${s.key}`, scope: 'mfrom', result: 'pass' }] },
      }));
      out.push({
        id: String(++id), org: forged ? 'securite-mail.test' : org, email: forged ? 'alerte@securite-mail.test' : email, report_id: `${begin / 1000}.${1000 + id}`, domain,
        begin: new Date(begin).toISOString().replace('.000', ''), end: new Date(begin + DAY - 1000).toISOString().replace('.000', ''),
        received: new Date(begin + DAY + 3600000 * 4).toISOString().replace('.000', ''), messages: rows.reduce((a, r) => a + r.count, 0), rows, rows_total: rows.length,
        policy: { p: 'none', sp: 'none', pct: 100, adkim: 'r', aspf: 'r' },
        verdict: forged ? { spf: 'fail', dkim: 'none', dmarc: 'fail', counted: false, why: 'unauthenticated' } : { spf: 'pass', dkim: 'pass', dmarc: 'pass', counted: true, why: '' }, via: 'mail',
      });
    }
  return out;
}

function tlsSummary(domain, from, to) {
  const draw = random(99);
  const days = daysOf(from, to).map((d) => ({ day: d, success: 300 + Math.floor(draw() * 220), failure: draw() < 0.2 ? Math.floor(draw() * 14) : 0 }));
  const sessions = days.reduce((a, d) => a + d.success + d.failure, 0);
  const failures = days.reduce((a, d) => a + d.failure, 0);
  const big = Math.round(failures * 0.7);
  return {
    domain, from, to, reports: 88, sessions, failures, days,
    results: failures ? [{ result_type: 'certificate-expired', count: big, advice: 'certificate-expired', mx: 'mx2.ici.test' },
      { result_type: 'starttls-not-supported', count: failures - big, advice: 'starttls-not-supported', mx: 'mx2.ici.test' }] : [],
    organizations: [{ org: 'Google Inc.', success: Math.round(sessions * 0.61), failure: big }, { org: 'Microsoft Corporation', success: Math.round(sessions * 0.3), failure: failures - big }, { org: 'labas.test', success: Math.round(sessions * 0.06), failure: 0 }],
    mx: [{ mx: 'mx.ici.test', success: Math.round(sessions * 0.9), failure: 0 }, { mx: 'mx2.ici.test', success: sessions - failures - Math.round(sessions * 0.9), failure: failures }],
    policies: [{ type: 'sts', success: Math.round(sessions * 0.9) - failures, failure: failures }, { type: 'tlsa', success: Math.round(sessions * 0.1), failure: 0 }],
    enforce: { mode: 'testing', ready: false, why: 'enforce.failing', days: 30, sessions, failures },
  };
}

const HEADERS = `Return-Path: <bounce@zendesk.test>
Received: from out7.zendesk.test (out7.zendesk.test [198.51.100.77])
    by mx.labas.test with ESMTPS (TLSv1.3); Fri, 20 Nov 2026 09:12:44 +0000
From: Support <support@ici.test>
To: <bert@labas.test>
Subject: [Ticket 4711] Votre demande
Date: Fri, 20 Nov 2026 09:12:40 +0000
Message-ID: <4711@zendesk.test>
`;

const failures = () => ['2026-11-20T09:12:44Z', '2026-11-19T16:40:02Z', '2026-11-12T05:01:59Z'].map((at, i) => ({
  id: String(i + 1), received: at, type: 'auth-failure', reporter: ['labas.test', 'antispam.test', 'labas.test'][i], source_ip: `198.51.100.${77 + i}`, original_from: 'support@ici.test',
  original_to: 'bert@labas.test', subject: ['[Ticket 4711] Votre demande', 'Facture impayée', '[Ticket 4690] Merci'][i], arrival: at, auth_failure: 'dmarc', headers: HEADERS,
}));

const P = (id, area, mark, subject, text, repair = '') => ({ id, area, mark, subject, text, repair });

export function doctor(domain, lang) {
  const fr = lang === 'fr';
  const points = [
    P('mx.records', 'mx', 'good', domain, fr ? '2 enregistrements MX.' : '2 MX records.'),
    P('mx.host', 'mx', 'good', `mx.${domain}`, fr ? 'L’hôte a 1 adresse IPv4 et 1 adresse IPv6.' : 'It has 1 IPv4 and 1 IPv6 address.'),
    P('ipv6.host', 'mx', 'note', `mx2.${domain}`, fr ? 'L’hôte n’est pas joignable en IPv6.' : 'It cannot be reached by IPv6.', fr ? 'Donnez-lui un enregistrement AAAA quand le serveur répond en IPv6.' : 'Give it an AAAA record once the server is reachable by IPv6.'),
    P('dnssec.mx', 'dnssec', 'good', domain, fr ? 'DNSSEC prouve les enregistrements MX et les adresses.' : 'MX records and host addresses are proven by DNSSEC.'),
    P('ptr.name', 'ptr', 'good', `mx.${domain}`, fr ? '192.0.2.25 porte ce nom, et ce nom ramène à l’adresse.' : `192.0.2.25 is called mx.${domain}, and that name leads back.`),
    P('spf.record', 'spf', 'good', domain, 'v=spf1 mx include:_spf.sendgrid.test include:spf.brevo.test -all'),
    P('spf.lookups', 'spf', 'note', domain, fr ? 'Il demande 9 recherches sur 10 au plus.' : 'It takes 9 of at most 10 look-ups.', fr ? 'Réfléchissez avant d’ajouter un service : une inclusion de plus peut le casser.' : 'Think before adding another service: one more include may break it.'),
    P('spf.end', 'spf', 'good', domain, fr ? 'Il finit par -all : tous les autres n’ont pas le droit d’envoyer.' : 'It ends with -all: all others may not send.'),
    P('dkim.key', 'dkim', 'good', `r2026._domainkey.${domain}`, fr ? 'Une clé RSA de 2 048 bits.' : 'An RSA key of 2048 bits.'),
    P('dkim.key', 'dkim', 'good', `e2026._domainkey.${domain}`, fr ? 'Une clé Ed25519.' : 'An Ed25519 key.'),
    P('dmarc.record', 'dmarc', 'good', domain, `v=DMARC1; p=none; rua=mailto:dmarc@${domain}`),
    P('dmarc.policy', 'dmarc', 'warn', domain, fr ? 'La politique de ce nom est none : les faux sont distribués.' : 'The policy for this name is none: forged mail is delivered.', fr ? 'Quand les rapports montrent que tout votre courrier passe, publiez p=quarantine, puis p=reject.' : 'When the reports show that all your own mail passes, go to p=quarantine and then p=reject.'),
    P('tls.starttls', 'tls', 'good', `mx.${domain}`, fr ? '192.0.2.25 répond et propose STARTTLS (TLSv1.3).' : '192.0.2.25 answers and offers STARTTLS (TLSv1.3, TLS_AES_256_GCM_SHA384).'),
    P('tls.certificate', 'tls', 'good', `mx.${domain}`, fr ? 'Son certificat est valable 61 jours encore.' : 'Its certificate is good for another 61 days.'),
    P('tls.certificate', 'tls', 'bad', `mx2.${domain}`, fr ? 'Son certificat a expiré il y a 3 jours.' : 'Its certificate expired 3 days ago.', fr ? 'Renouvelez-le maintenant, et cherchez pourquoi il ne l’a pas été tout seul.' : 'Renew it now, and find out why it was not renewed by itself.'),
    P('sts.mode', 'sts', 'note', domain, fr ? 'La politique est en mode testing.' : 'The policy is in mode testing (id 2026112200): failures are reported, but mail still goes.', fr ? 'Passez à enforce quand les rapports TLS ne montrent plus d’échec depuis deux semaines.' : 'When TLS reports show no failures for two weeks, go to mode enforce.'),
    P('tlsrpt.record', 'tlsrpt', 'good', domain, `v=TLSRPTv1; rua=mailto:tls@${domain}`),
    P('dane.tlsa', 'dane', 'good', `mx.${domain}`, fr ? '2 enregistrements TLSA, prouvés par DNSSEC.' : '2 TLSA records, proven by DNSSEC.'),
    P('bimi.record', 'bimi', 'note', domain, fr ? 'Aucun enregistrement BIMI : votre logo n’est pas montré.' : 'There is no BIMI record: your logo is not shown.', fr ? 'Ajoutez un logo quand la politique DMARC est quarantine ou reject.' : 'Add a logo once the DMARC policy is quarantine or reject.'),
    P('list.listed', 'list', 'unknown', '192.0.2.25', fr ? 'Pas de réponse de zen.spamhaus.test.' : 'No answer from zen.spamhaus.test.', fr ? 'Demandez de nouveau plus tard.' : 'Ask again later.'),
  ];
  const node = (depth, d, term, lookup, problem = null, lookups = undefined) => ({ depth, domain: d, term, lookup, problem, lookups });
  return {
    domain, made: '2026-11-22T06:55:00Z', points,
    spf: { lookups: 9, tree: [node(0, domain, 'mx', true), node(0, domain, 'include:_spf.sendgrid.test', true), node(1, '_spf.sendgrid.test', 'include:ab.sendgrid.test', true), node(2, 'ab.sendgrid.test', 'ip4:198.51.100.0/24', false), node(1, '_spf.sendgrid.test', 'ip4:203.0.113.0/24', false), node(1, '_spf.sendgrid.test', '~all', false), node(0, domain, 'include:spf.brevo.test', true), node(1, 'spf.brevo.test', 'include:a.brevo.test', true), node(1, 'spf.brevo.test', 'include:b.brevo.test', true), node(1, 'spf.brevo.test', 'a:out.brevo.test', true), node(1, 'spf.brevo.test', 'a:out2.brevo.test', true), node(1, 'spf.brevo.test', '-all', false), node(0, domain, 'ptr', true, fr ? 'lent et déconseillé' : 'slow, and advised against'), node(0, domain, '-all', false)] },
    dmarc: { walk: [{ name: `_dmarc.${domain}`, found: true, record: `v=DMARC1; p=none; rua=mailto:dmarc@${domain}`, used: true }, { name: '_dmarc.test', found: false, record: '', used: false }] },
    selectors: [{ selector: 'r2026', algorithm: 'rsa', bits: 2048, state: 'active', since: '2026-09-01' }, { selector: 'e2026', algorithm: 'ed25519', bits: 256, state: 'active', since: '2026-09-01' }],
    hosts: [{ host: `mx.${domain}`, preference: 10, addresses: ['192.0.2.25', '2001:db8::25'], tls: 'TLSv1.3', certificate: { subject: `mx.${domain}`, issuer: "Let's Encrypt R11", not_after: '2027-01-22T00:00:00Z', names: [`mx.${domain}`] }, dane: true },
      { host: `mx2.${domain}`, preference: 20, addresses: ['192.0.2.26'], tls: 'TLSv1.2', certificate: { subject: `mx2.${domain}`, issuer: "Let's Encrypt R10", not_after: '2026-11-19T00:00:00Z', names: [`mx2.${domain}`] }, dane: false }],
    bimi: null,
  };
}

const ALERTS = [
  { id: '1', kind: 'certificate.bad', domain: 'ici.test', subject: 'mx2.ici.test', text: 'The certificate of mx2.ici.test expired 3 days ago.', repair: 'Renew it now, and find out why it was not renewed by itself.', first: '2026-11-19T00:10:00Z', last: '2026-11-22T05:00:00Z', told: '2026-11-19T00:11:00Z', silenced_until: null, closed: null },
  { id: '2', kind: 'dmarc.source', domain: 'ici.test', subject: 'host.scan.test', text: 'A new source sends in the name of ici.test: host.scan.test, 18 messages, none proven.', repair: 'If it is yours, sign its mail; if it is not, nothing is to be done: p=reject will stop it.', first: '2026-11-21T06:00:00Z', last: '2026-11-21T06:00:00Z', told: '2026-11-21T06:01:00Z', silenced_until: null, closed: null },
  { id: '3', kind: 'queue.growing', domain: '', subject: '', text: '412 messages wait for delivery, ten times as many as usual.', repair: 'Look at the queue by destination: most wait for labas.test.', first: '2026-11-20T14:00:00Z', last: '2026-11-20T15:00:00Z', told: '2026-11-20T14:01:00Z', silenced_until: '2026-11-29T00:00:00Z', closed: null },
  { id: '4', kind: 'dns.gone', domain: 'labas.test', subject: '_smtp._tls.labas.test', text: 'The TLS-RPT record of labas.test was gone.', repair: '', first: '2026-11-10T14:00:00Z', last: '2026-11-11T15:00:00Z', told: '2026-11-10T14:01:00Z', silenced_until: null, closed: '2026-11-11T15:30:00Z' },
];

const RECORDS = (d) => [
  { name: `${d}.`, type: 'MX', value: `10 mx.${d}.` },
  { name: `${d}.`, type: 'TXT', value: '"v=spf1 mx -all"' },
  { name: `r2026._domainkey.${d}.`, type: 'TXT', value: '"v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Vh6mGx3y0v7mYt6c5bQy8v7Qp0f0m5Q3b7o2S9r1F4uGZk2WcQ9XoJ2m4o7Yb5uK1" "d0QwIDAQAB"' },
  { name: `e2026._domainkey.${d}.`, type: 'TXT', value: '"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="' },
  { name: `_dmarc.${d}.`, type: 'TXT', value: `"v=DMARC1; p=none; rua=mailto:dmarc@${d}"` },
  { name: `_mta-sts.${d}.`, type: 'TXT', value: '"v=STSv1; id=2026112200;"' },
  { name: `mta-sts.${d}.`, type: 'CNAME', value: `mx.${d}.` },
  { name: `_smtp._tls.${d}.`, type: 'TXT', value: `"v=TLSRPTv1; rua=mailto:tls@${d}"` },
  { name: `_submissions._tcp.${d}.`, type: 'SRV', value: `0 1 465 mx.${d}.` },
  { name: `_imaps._tcp.${d}.`, type: 'SRV', value: `0 1 993 mx.${d}.` },
];

const LOGO = 'data:image/svg+xml,' + encodeURIComponent("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'><rect width='64' height='64' fill='#1f6f5c'/><path d='M12 22h40v22H12z' fill='#fff'/><path d='M12 22l20 13 20-13' fill='none' stroke='#1f6f5c' stroke-width='3'/></svg>");

function answer(method, path, query, body, now = Date.now()) {
  const domain = query.get('domain') || '';
  const { from, to } = fromTo(query, now);
  const empty = domain === 'vide.test';
  const ok = (json, status = 200) => ({ status, json });
  let m;
  switch (`${method} ${path}`) {
  case 'GET /domains':
    return ok({ domains: ['ici.test', 'atelier.test', 'vide.test'].map((d, i) => ({ domain: d, created: '2026-09-01T08:00:00Z', accounts: 12 - i * 4, aliases: 3, mta_sts: { mode: 'testing', id: '1' }, keys: [], health: i === 2 ? null : { good: 18 - i, note: 2, warn: 1, bad: 1 - i, unknown: 0, made: '2026-11-22T06:00:00Z' } })) });
  case 'GET /reports/dmarc/summary':
    if (empty)
      return ok({ domain, from, to, reports: 0, messages: 0, aligned: 0, spf_aligned: 0, dkim_aligned: 0, disposition: { none: 0, quarantine: 0, reject: 0 }, overrides: {}, days: [], policy: { published: null, seen: [] }, path: { now: 'none', next: 'quarantine', ready: false, why: 'path.none', would_break: 0, share: 1, blockers: [] } });
    return ok(summary(domain, from, to));
  case 'GET /reports/dmarc/sources':
    return ok({ sources: empty ? [] : build(domain, from, to).sources.map((s) => sourceRow(s, from, to)) });
  case 'GET /reports/dmarc':
    return ok({ dmarc: empty ? [] : dmarcReports(domain, from, to), next: null });
  case 'GET /reports/tls/summary':
    return ok(empty ? { domain, from, to, reports: 0, sessions: 0, failures: 0, days: [], results: [], organizations: [], mx: [], policies: [], enforce: { mode: 'testing', ready: false, why: 'enforce.none', days: 0, sessions: 0, failures: 0 } } : tlsSummary(domain, from, to));
  case 'GET /reports/tls':
    return ok({ tls: empty ? [] : [{ id: '1', org: 'Google Inc.', report_id: '2026-11-20T00:00:00Z_ici.test', begin: `${to}T00:00:00Z`, end: `${to}T23:59:59Z`, received: `${to}T23:59:59Z`, policies: [{ type: 'sts', domain, success: 311, failure: 3, failures: [{ result_type: 'certificate-expired', count: 3, receiving_mx: `mx2.${domain}` }] }], verdict: { spf: 'pass', dkim: 'pass', dmarc: 'pass', counted: true, why: '' } }], next: null });
  case 'GET /reports/failure':
    return ok({ failure: empty ? [] : failures(), next: null });
  case 'POST /reports':
    return ok({ read: 2, again: 1, refused: [{ file: 'photo.jpg', reason: 'This is not a report: neither XML, JSON nor a mail with one.' }] });
  case 'GET /sources':
    return ok({ senders: [{ name: 'SendGrid', kind: 'service', hosts: ['sendgrid.net'], dkim: ['sendgrid.net', 'sendgrid.info'], spf: ['sendgrid.net'], changed: false }, { name: 'Brevo', kind: 'service', hosts: ['brevo.test', 'sendinblue.test'], dkim: ['brevo.test'], spf: ['brevo.test'], changed: false }, { name: 'Asso Listes', kind: 'list', hosts: ['lists.asso.test'], dkim: [], spf: [], changed: true }] });
  case 'GET /doctor':
    if (query.get('fresh') === '1')
      return ok({ doctor: [], waiting: true }, 202);
    return ok({ doctor: [doctor(domain || 'ici.test', query.get('lang'))] });
  case 'GET /alerts':
    return ok({ alerts: ALERTS.filter((a) => query.get('state') === 'all' || !a.closed) });
  case 'GET /alerts/settings':
    return ok({ mail: ['anne@ici.test'], webhook: null, kinds: { 'dmarc.source': { on: true, threshold: 10 }, 'dmarc.failures': { on: true, threshold: 5 }, 'tls.failures': { on: true, threshold: 2 }, 'certificate.expiring': { on: true, threshold: 14 }, 'dns.gone': { on: true, threshold: null }, 'dns.changed': { on: true, threshold: null }, 'blocklist.listed': { on: true, threshold: null }, 'queue.growing': { on: false, threshold: 500 } } });
  case 'PUT /alerts/settings':
    return ok(body);
  case 'GET /bimi':
    return ok(empty ? { logo: null, svg_errors: [], record: '', certificate: null } : { logo: LOGO, svg_errors: [], record: `v=BIMI1; l=https://mta-sts.${domain}/bimi/logo.svg; a=;`, certificate: null });
  }
  if ((m = path.match(/^\/reports\/dmarc\/sources\/(.+)$/))) {
    const found = build(domain, from, to).sources.find((s) => s.key === decodeURIComponent(m[1])) || build(domain, from, to).sources[0];
    if (method === 'PUT')
      return ok({});
    return ok({
      source: sourceRow(found, from, to), days: found.days, reporters: REPORTERS.slice(0, 4).map(([org], i) => ({ org, messages: Math.round(found.messages / (i + 2)) })),
      addresses: Array.from({ length: Math.min(found.addresses, 6) }, (_, i) => ({ ip: `198.51.100.${20 + i}`, host: `o${i + 1}.${found.key}`, country: found.country, messages: Math.round(found.messages / (i + 2)), aligned: Math.round(found.n.aligned / (i + 2)), spf: Math.round(found.n.spf / (i + 2)), dkim: Math.round(found.n.dkim / (i + 2)), header_from: [domain], envelope_from: [found.spf ? domain : `bounce.${found.key}`], selectors: found.dkim ? ['r2026'] : [] })),
    });
  }
  if ((m = path.match(/^\/reports\/(dmarc|tls|failure)\/(\d+)$/)))
    return ok(m[1] === 'dmarc' ? dmarcReports(domain, from, to).find((r) => r.id === m[2]) : failures()[0]);
  if ((m = path.match(/^\/alerts\/(\d+)\/(silence|open)$/)))
    return ok({});
  if ((m = path.match(/^\/sources\/(.+)$/)))
    return ok({});
  if ((m = path.match(/^\/domains\/([^/]+)\/(records|records\/status|publish|logo)$/))) {
    const d = decodeURIComponent(m[1]);
    if (m[2] === 'records')
      return ok({ records: RECORDS(d), zone: RECORDS(d).map((r) => `${r.name} 3600 IN ${r.type} ${r.value}`).join('\n') + '\n' });
    if (m[2] === 'records/status')
      return ok({ made: new Date(now).toISOString(), records: RECORDS(d).map((r, i) => ({ ...r, state: i < 5 ? 'published' : i === 5 ? 'different' : 'missing', found: i < 5 ? [r.value] : i === 5 ? ['"v=STSv1; id=2025;"'] : [] })) });
    if (m[2] === 'publish')
      return ok(method === 'GET' ? { configured: true, server: '192.0.2.53', zone: d, last: null } : { changed: 4 });
    return ok({ svg_errors: [] });
  }
  return null;
}

const PATHS = [
  'GET /domains', 'GET /reports/dmarc/summary', 'GET /reports/dmarc/sources', 'GET /reports/dmarc/sources/{key}', 'PUT /reports/dmarc/sources/{key}', 'GET /reports/dmarc',
  'GET /reports/dmarc/{id}', 'GET /reports/tls', 'GET /reports/tls/summary', 'GET /reports/failure', 'POST /reports', 'GET /sources', 'PUT /sources/{name}', 'DELETE /sources/{name}', 'GET /doctor', 'GET /alerts',
  'GET /alerts/settings', 'PUT /alerts/settings', 'POST /alerts/{id}/silence', 'POST /alerts/{id}/open', 'GET /bimi', 'GET /domains/{d}/records', 'GET /domains/{d}/records/status',
  'GET /domains/{d}/publish', 'POST /domains/{d}/publish', 'PUT /domains/{d}/logo', 'DELETE /domains/{d}/logo',
];
export const routes = Object.fromEntries(PATHS.map((route) => [route, ({ args, query, body }) => {
  const [method, pattern] = route.split(' ');
  let i = 0;
  const { status, json } = answer(method, pattern.replace(/\{\w+\}/g, () => encodeURIComponent(args[i++])), new URLSearchParams(query), body);
  return [status, json];
}]));
