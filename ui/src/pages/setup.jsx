/* Setting a domain up: named, its records published, seen in the DNS, looked at by the doctor. */
import { useRef, useState } from 'preact/hooks';
import { post, seg } from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { go, href } from '../router.js';
import { may } from '../session.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Grid } from '../parts/card.jsx';
import { Copy } from '../parts/copy.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Empty, Failure, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Bar } from '../parts/spark.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';

/** What records are for, in the order in which they are needed. */
const GROUPS = [
  ['mx', (r) => r.type === 'MX' || r.type === 'A' || r.type === 'AAAA'],
  ['sender', (r) => /v=spf1|v=DMARC1/i.test(r.value) || /_domainkey\./.test(r.name)],
  ['tls', (r) => /^_?mta-sts\.|^_smtp\._tls\.|\._tcp\..*/.test(r.name) && (r.type === 'TLSA' || !/_tcp/.test(r.name))],
  ['clients', () => true],
];
const STATE_MARKS = { published: 'good', different: 'bad', missing: 'warn', unknown: 'unknown' };
const groupOf = (r) => GROUPS.find(([, fits]) => fits(r))[0];
/** TXT values come as quoted pieces; forms of DNS providers want the text. */
const plain = (r) => (r.type === 'TXT' ? r.value.replace(/"\s+"/g, '').replace(/^"|"$/g, '') : r.value);

function saveAs(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function Record({ r, domain }) {
  const short = r.name.replace(/\.$/, '');
  const state = r.state ?? 'unknown';
  const what = `${r.type} ${short}`;
  const head = <><span class="dns-type">{r.type}</span><code class="dns-name">{short}</code><Mark mark={STATE_MARKS[state] ?? 'unknown'}>{t('setup.state.' + state)}</Mark></>;
  const lines = (
    <>
      {short !== domain && <div class="dns-line"><span>{t('setup.name')}</span><Copy text={short.replace('.' + domain, '')} what={t('setup.name_of', { what })} /></div>}
      <div class="dns-line"><span>{t('setup.value')}</span><Copy text={plain(r)} what={t('setup.value_of', { what })} /></div>
      {state === 'different' && r.found?.length > 0 && <p class="hint">{t('setup.found')} <code>{r.found.join(' · ')}</code></p>}
    </>
  );
  if (state === 'published') return <li class="dns-record"><details><summary class="dns-head">{head}</summary><div class="dns-lines">{lines}</div></details></li>;
  return <li class="dns-record"><div class="dns-head">{head}</div><div class="dns-lines">{lines}</div></li>;
}

/** Facteur changes the zone itself, where facteur.conf says how. */
function Publish({ domain, done }) {
  const of = useData(`/domains/${seg(domain)}/publish`);
  if (!of.data?.configured) return null;
  return (
    <Notice mark="note" title={t('setup.publish')} action={<Button kind="main" onClick={async () => { await post(`/domains/${seg(domain)}/publish`, {}); say(t('setup.published')); of.reload(); done(); }}>{t('setup.publish_now')}</Button>}>
      <p>{t('setup.publish_why', { server: of.data.server ?? '' })}</p>
      {of.data.last && <p class="hint"><Time at={of.data.last.at} /> — {of.data.last.ok ? t('setup.publish_ok') : of.data.last.text}</p>}
    </Notice>
  );
}

function Records({ domain, wanted, status }) {
  const seen = new Map((status.data?.records ?? []).map((r) => [r.name + r.type + r.value, r]));
  const all = wanted.records.map((r) => ({ ...r, ...seen.get(r.name + r.type + r.value) }));
  const good = all.filter((r) => r.state === 'published').length;
  const zone = wanted.zone ?? all.map((r) => `${r.name} 3600 IN ${r.type} ${r.value}`).join('\n') + '\n';
  return (
    <>
      <ol class="setup-steps">
        <li class="done"><Mark mark="good">1</Mark> {t('setup.step.added')}</li>
        <li class={good === all.length ? 'done' : 'now'} aria-current={good < all.length ? 'step' : undefined}><Mark mark={good === all.length ? 'good' : 'note'}>2</Mark> {t('setup.step.records')}</li>
        <li class={good === all.length ? 'now' : ''} aria-current={good === all.length ? 'step' : undefined}><Mark mark={good === all.length ? 'note' : 'unknown'}>3</Mark> {t('setup.step.check')}</li>
        <li><Mark mark="unknown">4</Mark> {t('setup.step.people')}</li>
      </ol>
      <section class={'answer mark-' + (good === all.length ? 'good' : 'note')} aria-live="polite">
        <p class="answer-main">{good === all.length ? t('setup.all_seen') : t('setup.seen', { n: good, all: all.length })}</p>
        <Bar share={good / all.length} mark="good" label={t('setup.seen', { n: good, all: all.length })} />
        <p class="hint">{status.data?.made ? <>{t('setup.looked')} <Time at={status.data.made} />. {t('setup.polls')}</> : t('setup.looking')}</p>
        {good === all.length && <p class="actions"><LinkButton kind="main" href={href('/doctor/' + seg(domain))}>{t('setup.to_doctor')}</LinkButton><LinkButton href={href('/accounts')}>{t('setup.to_people')}</LinkButton></p>}
      </section>
      <Publish domain={domain} done={status.reload} />
      {status.error && <Failure error={status.error} retry={status.reload} />}
      {GROUPS.map(([name]) => [name, all.filter((r) => groupOf(r) === name)]).filter(([, rows]) => rows.length > 0).map(([name, rows]) => (
        <Card key={name} title={t('setup.group.' + name)} lead={t('setup.group.' + name + '.about')}><ul class="dns-records">{rows.map((r) => <Record key={r.name + r.type + r.value} r={r} domain={domain} />)}</ul></Card>
      ))}
      <Card title={t('setup.zone')} lead={t('setup.zone_lead')} actions={<Button icon="down" onClick={() => saveAs(domain + '.zone', zone)}>{t('setup.zone_save')}</Button>}>
        <details><summary>{t('setup.zone_show')}</summary><pre>{zone}</pre></details>
      </Card>
    </>
  );
}

export function SetupOf({ domain }) {
  const wanted = useData(`/domains/${seg(domain)}/records`);
  const status = useData(`/domains/${seg(domain)}/records/status`, {}, { every: 10 });
  const last = useRef(null); // while the next answer is made there are no records in it
  if (status.data?.records?.length > 0) last.current = status.data;
  return (
    <Page title={t('setup.of', { domain })} lead={t('setup.of_lead')} back={[href('/setup'), t('setup.title')]}>
      <Loaded of={wanted}>{(w) => <Records domain={domain} wanted={w} status={{ ...status, data: last.current }} />}</Loaded>
    </Page>
  );
}

export default function Setup({ account }) {
  const of = useData('/domains');
  const [added, setAdded] = useState('');
  const add = async ({ domain }) => {
    const name = domain.trim().toLowerCase().replace(/\.$/, '');
    await post('/domains', { domain: name });
    setAdded(name);
    go('/setup/' + seg(name));
  };
  return (
    <Page title={t('setup.title')} lead={t('setup.lead')}>
      {may(account, 'operator') && (
        <Card title={t('setup.add')} lead={t('setup.add_lead')}>
          <Form inline submit={t('setup.add_button')} onSubmit={add}><Field label={t('setup.domain')} name="domain" placeholder="example.net" required maxLength={253} autocomplete="off" autocapitalize="none" spellcheck={false} /></Form>
        </Card>
      )}
      <Card title={t('setup.have')}>
        <Loaded of={of}>{(d) => (d.domains.length === 0 ? <Empty icon="domains" title={t('desk.no_domain')} /> : (
          <Grid>{d.domains.map((x) => <a class="card pick" key={x.domain} href={href('/setup/' + seg(x.domain))}><strong>{x.domain}</strong><span class="hint">{t('setup.open')}</span></a>)}</Grid>
        ))}</Loaded>
      </Card>
      <p class="unseen" role="status">{added}</p>
    </Page>
  );
}
