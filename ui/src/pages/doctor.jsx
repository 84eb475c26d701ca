/* The doctor: any domain seen from outside. What is wrong and how to mend it first; then all that was looked at, by area. */
import { useEffect, useState } from 'preact/hooks';
import { get, seg } from '../api.js';
import { useData } from '../data.js';
import { day } from '../format.js';
import { language, t } from '../i18n.js';
import { go, href } from '../router.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Grid } from '../parts/card.jsx';
import { MARK_ICONS } from '../parts/desk.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Failure, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Icon } from '../parts/icons.jsx';
import { Said } from '../parts/said.jsx';
import { SpfTree } from '../parts/spf_tree.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';

const ORDER = ['bad', 'warn', 'note', 'good', 'unknown'];
/** Which points belong together: by the first part of their ids. */
const AREAS = [
  ['reach', ['domain', 'mx', 'ns', 'ipv6', 'ptr', 'dnssec', 'list']], ['spf', ['spf']], ['dkim', ['dkim']], ['dmarc', ['dmarc']],
  ['tls', ['tls', 'cert', 'caa']], ['sts', ['sts', 'dane', 'tlsrpt']], ['send', ['send']], ['bimi', ['bimi']],
];
const areaOf = (p) => (AREAS.find(([, ids]) => ids.includes(p.id.split('.')[0])) ?? ['other'])[0];
const SHOWN = ['bad', 'warn', 'unknown', 'note'];
const FOLDED = 6;
const worst = (points) => ORDER.find((m) => points.some((p) => p.mark === m)) ?? 'good';
const count = (points, mark) => points.filter((p) => p.mark === mark).length;

function Look({ domain }) {
  return (
    <Form inline submit={t('doctor.look')} onSubmit={({ domain: d }) => go('/doctor/' + seg(d.trim().toLowerCase().replace(/^.*@/, '').replace(/\.$/, '')))}>
      <Field label={t('doctor.which')} name="domain" defaultValue={domain} placeholder="example.net" autocomplete="off" autocapitalize="none" spellcheck={false} required maxLength={253} />
    </Form>
  );
}

function Summary({ points }) {
  const mark = worst(points.filter((p) => p.mark !== 'note' && p.mark !== 'unknown'));
  const parts = ['bad', 'warn', 'note', 'unknown', 'good'].map((m) => [m, count(points, m)]).filter(([, n]) => n > 0);
  return (
    <section class={'answer mark-' + mark}>
      <p class="answer-main">{t('doctor.answer.' + mark, { n: count(points, mark) })}</p>
      <p class="marks">{parts.map(([m, n]) => <Mark mark={m} key={m}>{t('doctor.count.' + m, { n })}</Mark>)}</p>
    </section>
  );
}

function Point({ p, before, domain }) {
  const about = p.subject !== domain && p.subject !== before?.subject ? p.subject : null; // said once of what stands together
  return (
    <li class={'point mark-' + p.mark}>
      <Icon name={MARK_ICONS[p.mark] ?? 'unknown'} />
      <div>
        <p><span class="unseen">{t('mark.' + p.mark)}: </span>{about && <code class="point-about">{about}</code>}<Said text={p.text} /></p>
        {p.repair && <p class="repair"><Said text={p.repair} /></p>}
      </div>
    </li>
  );
}

const Points = ({ of, domain }) => <ul class="points">{of.map((p, i) => <Point key={i} p={p} before={of[i - 1]} domain={domain} />)}</ul>;

/** What is well: said in short where there is much of it. */
function Good({ points, domain }) {
  const list = <Points of={points} domain={domain} />;
  return points.length < FOLDED ? list : <details class="goods mark-good"><summary><Icon name="check" />{t('doctor.goods', { n: points.length })}</summary>{list}</details>;
}

/** What to do, the gravest first. */
function First({ points, domain }) {
  const todo = ['bad', 'warn'].flatMap((m) => points.filter((p) => p.mark === m));
  if (todo.length === 0) return null;
  return <Card title={t('doctor.first')} lead={t('doctor.first_lead')}><Points of={todo} domain={domain} /></Card>;
}

function Walk({ walk }) {
  if (!walk?.length) return null;
  return (
    <details class="more-detail">
      <summary>{t('doctor.walk')}</summary>
      <p class="hint">{t('doctor.walk_lead')}</p>
      <ol class="walk">
        {walk.map((w) => (
          <li key={w.name}><code>{w.name}</code> <Mark mark={w.used ? 'good' : w.record ? 'note' : 'unknown'}>{t(w.used ? 'doctor.walk.used' : w.record ? 'doctor.walk.found' : 'doctor.walk.none')}</Mark>{w.record && <p class="hint"><code>{w.record}</code></p>}</li>
        ))}
      </ol>
    </details>
  );
}

function Selectors({ rows }) {
  if (!rows?.length) return null;
  const columns = [
    { key: 'selector', label: t('doctor.selector'), main: true, show: (k) => <code>{k.selector}</code> },
    { key: 'algorithm', label: t('doctor.algorithm'), show: (k) => (k.algorithm === 'ed25519' ? 'Ed25519' : (k.algorithm ?? '').toUpperCase()) },
    { key: 'bits', label: t('doctor.bits'), number: true },
    { key: 'since', label: t('doctor.since'), show: (k) => (k.since ? day(k.since) : t('doctor.not_known')) },
  ];
  return <Table caption={t('doctor.selectors')} columns={columns} rows={rows} row={(k) => k.selector} />;
}

function Hosts({ rows }) {
  if (!rows?.length) return null;
  const columns = [
    { key: 'host', label: t('doctor.host'), main: true, show: (h) => <div class="source">{h.host}<div class="source-about">{(h.addresses ?? []).join(', ')}</div></div> },
    { key: 'preference', label: t('doctor.preference'), number: true },
    { key: 'tls', label: 'TLS', show: (h) => <span class="firm">{h.tls || t('doctor.no_tls')}</span> },
    { key: 'issuer', label: t('doctor.certificate'), value: (h) => h.certificate?.issuer, show: (h) => (h.certificate ? <div>{h.certificate.issuer}<p class="hint">{(h.certificate.names ?? [h.certificate.subject]).join(', ')}</p></div> : '–') },
    { key: 'not_after', label: t('doctor.until'), value: (h) => h.certificate?.not_after, show: (h) => (h.certificate?.not_after ? day(h.certificate.not_after) : '–') },
    { key: 'dane', label: 'DANE', value: (h) => (h.dane ? 0 : 1), show: (h) => t(h.dane ? 'doctor.yes' : 'doctor.no') },
  ];
  return <Table caption={t('doctor.hosts')} columns={columns} rows={rows} row={(h) => h.host} />;
}

function Logo({ bimi }) {
  const source = bimi?.image ?? bimi?.logo;
  if (!source) return null;
  return <img class="logo-shown" src={source} alt={t('bimi.logo_of')} width="96" height="96" />;
}

function Area({ name, points, d }) {
  const mark = worst(points);
  const sorted = SHOWN.flatMap((m) => points.filter((p) => p.mark === m));
  return (
    <section class="card area" aria-labelledby={'area-' + name}>
      <div class="card-head"><div><h2 id={'area-' + name}>{t('area.' + name)}</h2><p class="hint">{t('area.' + name + '.about')}</p></div><Mark mark={mark}>{t('mark.' + mark)}</Mark></div>
      {sorted.length > 0 && <Points of={sorted} domain={d.domain} />}
      <Good points={points.filter((p) => p.mark === 'good')} domain={d.domain} />
      {name === 'spf' && <SpfTree spf={d.spf} />}
      {name === 'dmarc' && <Walk walk={d.dmarc?.walk} />}
      {name === 'dkim' && <Selectors rows={d.selectors} />}
      {name === 'tls' && <Hosts rows={d.hosts} />}
      {name === 'bimi' && <Logo bimi={d.bimi} />}
    </section>
  );
}

function Result({ d }) {
  const groups = [...AREAS.map(([name]) => name), 'other'].map((name) => [name, d.points.filter((p) => areaOf(p) === name)]).filter(([, points]) => points.length > 0);
  return (
    <>
      <Summary points={d.points} />
      <First points={d.points} domain={d.domain} />
      <h2 class="section">{t('doctor.all')}</h2>
      {groups.map(([name, points]) => <Area key={name} name={name} points={points} d={d} />)}
    </>
  );
}

/** Looks again until the answer is there. */
function useDoctor(domain) {
  const [state, setState] = useState({ d: null, error: null, waiting: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let timer, left = 90, gone = false;
    const ask = async (fresh) => {
      try {
        const answer = await get('/doctor', { domain, lang: language(), fresh });
        if (gone) return;
        const d = answer.doctor?.[0];
        if (d && !answer.waiting) return setState({ d, error: null, waiting: false });
        if (--left > 0) timer = setTimeout(ask, 1000);
        else setState((s) => ({ ...s, waiting: false, error: { text: t('doctor.too_long') } }));
      } catch (error) {
        if (!gone) setState((s) => ({ ...s, error, waiting: false }));
      }
    };
    setState((s) => ({ ...s, error: null, waiting: true }));
    ask(turn > 0 ? 1 : undefined);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [domain, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}

export function DoctorOf({ domain }) {
  const { d, error, waiting, again } = useDoctor(domain);
  return (
    <Page title={t('doctor.of', { domain })} lead={d && <>{t('doctor.made')} <Time at={d.made} as="moment" /></>} back={[href('/doctor'), t('doctor.title')]}
      actions={<><Button icon="retry" busy={waiting} onClick={again}>{t('doctor.again')}</Button><Button kind="quiet" icon="print" onClick={() => { window.print(); }}>{t('desk.print')}</Button></>}>
      {waiting && <p class="waiting" role="status">{t('doctor.waiting', { domain })}</p>}
      {error && <Failure error={error} retry={again} />}
      {d && <Result d={d} />}
    </Page>
  );
}

function Ours({ rows }) {
  return (
    <Grid>
      {rows.map((r) => (
        <a class="card pick" key={r.domain} href={href('/doctor/' + seg(r.domain))}>
          <strong>{r.domain}</strong>
          {r.health ? <span class="marks">{['bad', 'warn', 'note', 'good'].filter((m) => r.health[m] > 0).map((m) => <Mark key={m} mark={m}>{t('doctor.count.' + m, { n: r.health[m] })}</Mark>)}</span> : <span class="hint">{t('doctor.not_yet')}</span>}
        </a>
      ))}
    </Grid>
  );
}

export default function Doctor() {
  const of = useData('/domains');
  return (
    <Page title={t('doctor.title')} lead={t('doctor.lead')}>
      <Card><Look /></Card>
      <h2 class="section">{t('doctor.ours')}</h2>
      <Loaded of={of}>{(d) => (d.domains.length ? <Ours rows={d.domains} /> : <Notice action={<LinkButton href={href('/setup')}>{t('desk.add_domain')}</LinkButton>}>{t('desk.no_domain')}</Notice>)}</Loaded>
    </Page>
  );
}
