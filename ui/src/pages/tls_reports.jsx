/* How others reached us by TLS: sessions and failures by result, sender and host, and whether MTA-STS may be enforced. */
import { seg } from '../api.js';
import { useData, useList } from '../data.js';
import { number, percent } from '../format.js';
import { has, t, T } from '../i18n.js';
import { href } from '../router.js';
import { LinkButton } from '../parts/button.jsx';
import { Card, Facts, Grid, Stat } from '../parts/card.jsx';
import { Chart, everyDay } from '../parts/chart.jsx';
import { Exports, ReportsPage, share, usePeriod, wordFor } from '../parts/desk.jsx';
import { Empty, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Bar } from '../parts/spark.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { Counted, span } from './dmarc_received.jsx';

const known = (code) => (has('tls.result.' + code) ? code : 'other');

function Answer({ s }) {
  const good = s.sessions - s.failures;
  const calm = s.failures === 0;
  return (
    <section class={'answer mark-' + (calm ? 'good' : 'warn')}>
      <p class="answer-main"><T k="tls.answer" share={<strong>{percent(share(good, s.sessions))}</strong>} n={s.sessions} /></p>
      <Bar share={share(good, s.sessions)} mark="good" label={percent(share(good, s.sessions))} />
      <p class="answer-next"><Mark mark={calm ? 'good' : 'warn'}>{calm ? t('tls.no_failure') : t('tls.failures_to', { n: s.failures })}</Mark></p>
    </section>
  );
}

/** May the policy go from testing to enforce? */
function Enforce({ domain, e }) {
  if (!e) return null;
  if (e.mode === 'enforce') return <Notice mark="good" title={t('tls.enforced')}>{t('tls.enforced_why')}</Notice>;
  if (e.mode !== 'testing') return <Notice mark="note" title={t('tls.no_sts')} action={<LinkButton href={href('/setup/' + seg(domain))}>{t('tls.to_setup')}</LinkButton>}>{t('tls.no_sts_why')}</Notice>;
  if (e.ready) return <Notice mark="good" title={t('tls.ready')} action={<LinkButton href={href('/domains/' + seg(domain))}>{t('tls.to_domain')}</LinkButton>}>{t('tls.ready_why', { n: e.sessions, days: e.days })}</Notice>;
  const why = e.why === 'enforce.failing' ? 'failures' : 'few';
  return <Notice mark="warn" title={t('tls.wait')}>{t('tls.wait.' + why, { n: e.failures, days: e.days, sessions: e.sessions })}</Notice>;
}

function Results({ rows }) {
  if (rows.length === 0) return <Empty icon="check" title={t('tls.no_failure')}>{t('tls.no_failure_why')}</Empty>;
  return (
    <ul class="results">
      {[...rows].sort((a, b) => b.count - a.count).map((r) => (
        <li key={r.result_type + (r.mx ?? '')}>
          <p><strong>{t('tls.result.' + known(r.result_type))}</strong> <code class="soft">{r.result_type}</code></p>
          <p class="hint">{[t('tls.times', { n: r.count }), r.mx && t('tls.at', { mx: r.mx })].filter(Boolean).join(' · ')}</p>
          <p>{t('tls.result.' + known(r.result_type) + '.do')}</p>
        </li>
      ))}
    </ul>
  );
}

function By({ title, name, rows, words }) {
  const columns = [
    { key: name, label: title, main: true, show: (r) => (words ? wordFor(words, r[name]) : r[name] || t('tls.unnamed')) },
    { key: 'success', label: t('tls.good'), number: true },
    { key: 'failure', label: t('tls.failed'), number: true },
  ];
  return <Card title={title} flush><Table caption={title} columns={columns} rows={rows} row={(r, i) => r[name] || i} sort={['success', 'descending']} /></Card>;
}

function Received({ domain, from, to }) {
  const of = useList('/reports/tls', 'tls', { domain, from, to });
  const columns = [
    { key: 'org', label: t('received.org'), main: true },
    { key: 'begin', label: t('received.period'), show: (r) => <span class="firm">{span(r)}</span> },
    { key: 'good', label: t('tls.good'), number: true, value: (r) => r.policies.reduce((a, p) => a + p.success, 0), show: (r) => number(r.policies.reduce((a, p) => a + p.success, 0)) },
    { key: 'failed', label: t('tls.failed'), number: true, value: (r) => r.policies.reduce((a, p) => a + p.failure, 0), show: (r) => number(r.policies.reduce((a, p) => a + p.failure, 0)) },
    { key: 'received', label: t('received.received'), show: (r) => <Time at={r.received} /> },
    { key: 'verdict', label: t('received.verdict'), value: (r) => (r.verdict?.counted ? 0 : 1), show: (r) => <Counted verdict={r.verdict} /> },
  ];
  return <Card title={t('received.list')} flush><Loaded of={of}>{() => <Table caption={t('received.list')} columns={columns} rows={of.rows} more={of.more} />}</Loaded></Card>;
}

function Story({ domain, s, from, to }) {
  const days = everyDay(s.days, from, to, { success: 0, failure: 0 });
  return (
    <>
      <Answer s={s} />
      <Enforce domain={domain} e={s.enforce} />
      <Grid small>
        <Stat label={t('tls.sessions')} value={number(s.sessions)} note={s.reports ? t('dmarc.from_reports', { n: s.reports }) : null} />
        <Stat label={t('tls.failed')} value={number(s.failures)} mark={s.failures ? 'warn' : undefined} />
        <Stat label={t('tls.organizations')} value={number(s.organizations.length)} />
      </Grid>
      <Card title={t('tls.days')}>
        <Chart days={days.map((d) => d.day)} kind={days.length > 62 ? 'area' : 'bars'} stacked label={t('tls.days')} series={[
          { label: t('tls.good'), colour: '--chart-good', values: days.map((d) => d.success) },
          { label: t('tls.failed'), colour: '--chart-bad', values: days.map((d) => d.failure) },
        ]} />
      </Card>
      <Card title={t('tls.results')} lead={t('tls.results_lead')}><Results rows={s.results} /></Card>
      <div class="pair">
        <By title={t('tls.by_org')} name="org" rows={s.organizations} />
        <By title={t('tls.by_mx')} name="mx" rows={s.mx} />
      </div>
      <Card title={t('tls.policies')} lead={t('tls.policies_lead')}><Facts facts={s.policies.map((p) => [wordFor('tls.policy', p.type), t('tls.of', { n: p.success, all: p.success + p.failure })])} /></Card>
      <Received domain={domain} from={from} to={to} />
    </>
  );
}

export default function TlsReports({ domain }) {
  const { from, to } = usePeriod();
  const of = useData('/reports/tls/summary', { domain, from, to });
  return (
    <ReportsPage domain={domain} tab="/tls" title={t('tls.title', { domain })} lead={t('tls.lead')} actions={<Exports domain={domain} kind="tls" />}>
      <Loaded of={of}>{(s) => (s.sessions === 0
        ? <Empty icon="lock" title={t('tls.none', { domain })} action={<LinkButton kind="main" href={href('/doctor/' + seg(domain))}>{t('desk.none_check')}</LinkButton>}>{t('tls.none_why')}</Empty>
        : <Story domain={domain} s={s} from={from} to={to} />)}</Loaded>
    </ReportsPage>
  );
}
