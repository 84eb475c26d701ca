// node clients.mjs SEND|READ JSON: nodemailer and imapflow as a user's program has them. Prints one line of JSON.
import { readFileSync } from 'node:fs';
import nodemailer from 'nodemailer';
import { ImapFlow } from 'imapflow';

const [what, argument] = process.argv.slice(2);
const o = JSON.parse(argument);
const tls = { ca: readFileSync(o.ca), servername: o.hostname };

async function send() {
  const transport = nodemailer.createTransport({
    host: o.host, port: o.port, secure: o.secure, requireTLS: !o.secure, name: 'laptop.example.test',
    auth: { user: o.user, pass: o.pass }, tls,
  });
  const info = await transport.sendMail(o.message);
  transport.close();
  return { accepted: info.accepted, response: info.response };
}

async function read() {
  const client = new ImapFlow({ host: o.host, port: o.port, secure: true, auth: { user: o.user, pass: o.pass }, tls, logger: false });
  await client.connect();
  const out = { capabilities: [...client.capabilities.keys()], folders: [], messages: [] };
  for (const f of await client.list()) out.folders.push([f.path, f.specialUse || '']);
  const lock = await client.getMailboxLock('INBOX');
  try {
    for await (const m of client.fetch('1:*', { envelope: true, bodyStructure: true, flags: true, source: true }))
      out.messages.push({ subject: m.envelope.subject, from: m.envelope.from[0]?.address, type: m.bodyStructure.type, source: m.source.toString('latin1') });
    if (o.flag) {
      await client.messageFlagsAdd(o.flag, ['\\Flagged']);
      out.found = await client.search({ flagged: true });
    }
    if (o.append) {
      out.appended = await client.append('INBOX', o.append, ['\\Seen']);
      out.moved = await client.messageMove({ uid: String(out.appended.uid) }, 'Archive', { uid: true });
      out.moved = Boolean(out.moved);
    }
  } finally {
    lock.release();
  }
  await client.logout();
  return out;
}

const plain = (key, value) => (typeof value === 'bigint' ? Number(value) : value);
console.log(JSON.stringify(await (what === 'SEND' ? send() : read()), plain));
