// node peers.mjs ZONE JOBS: mailauth's verdicts, signatures and seals. ZONE: JSON, name -> type -> records. JOBS: one JSON
// object a line. Prints one JSON object a line, in that order.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createReadStream } from 'node:fs';
import mailauth from 'mailauth';

const [zonePath, jobsPath] = process.argv.slice(2);
const zone = JSON.parse(readFileSync(zonePath));
console.log = console.error; // its own remarks

async function resolver(name, type) {
  const records = zone[name.toLowerCase().replace(/\.$/, '')];
  const found = records && records[type];
  if (!found || !found.length) {
    const e = new Error(records ? 'no data' : 'no such name');
    e.code = records ? 'ENODATA' : 'ENOTFOUND';
    throw e;
  }
  if (type === 'TXT') return found.map(t => [t]);
  if (type === 'MX') return found.map(exchange => ({ priority: 10, exchange }));
  return found;
}

const work = {
  async verify(o) {
    const r = await mailauth.dkimVerify(readFileSync(o.file), { resolver });
    const arc = o.arc ? await mailauth.arc(r.arc, { resolver }) : null;
    return {
      dkim: r.results.filter(s => s.signingDomain !== undefined).map(s => ({
        result: s.status.result, comment: s.status.comment || '', domain: s.signingDomain, selector: s.selector,
        b: (s.signature || '').replace(/\s/g, ''), expired: !s.signatureTimeValid })),
      arc: arc ? arc.status.result : undefined, arcComment: arc ? arc.status.comment || '' : undefined,
    };
  },
  async sign(o) {
    const r = await mailauth.dkimSign(readFileSync(o.file), { signTime: new Date(o.time * 1000), signatureData: o.keys });
    if (r.errors.length) throw r.errors[0].err || new Error(JSON.stringify(r.errors));
    return { fields: r.signatures };
  },
  async seal(o) {
    const { arc } = await mailauth.dkimVerify(readFileSync(o.file), { resolver });
    const seen = await mailauth.arc(arc, { resolver });
    const headers = await mailauth.sealMessage(readFileSync(o.file), {
      ...o.key, authResults: o.results, cv: seen.status.result === 'none' ? 'none' : seen.status.result === 'pass' ? 'pass' : 'fail' });
    return { fields: headers.toString('binary') };
  },
  async spf(o) {
    const r = await mailauth.spf({ ip: o.ip, helo: o.helo, sender: o.sender, mta: 'mx.receiver.test', resolver });
    return { result: r.status.result, comment: r.status.comment || '' };
  },
  async dmarc(o) {
    const r = await mailauth.dmarc({ headerFrom: o.from, spfDomains: o.spf, dkimDomains: o.dkim, resolver });
    return r ? { result: r.status.result, policy: r.policy, record: r.rr, alignment: r.alignment, domain: r.domain } : { result: 'false' };
  },
};

for await (const line of createInterface({ input: createReadStream(jobsPath) })) {
  const job = JSON.parse(line);
  let out;
  try {
    out = await work[job.do](job);
  } catch (e) {
    out = { error: String(e.message || e) };
  }
  process.stdout.write(JSON.stringify(out) + '\n');
}
