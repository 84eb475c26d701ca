/* From p=none to p=reject: where a domain stands, what the next step would break today, and what to publish for it. */
import { seg } from '../api.js';
import { useData } from '../data.js';
import { percent } from '../format.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { LinkButton } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Copy } from '../parts/copy.jsx';
import { adviceDo, adviceText, Kind, ReportsPage, usePeriod } from '../parts/desk.jsx';
import { Loaded, Mark, Notice } from '../parts/notice.jsx';
import { sourcePath, NoReports } from './dmarc.jsx';

const STEPS = ['none', 'quarantine', 'reject'];

/** The record with another policy; what else it says stays. */
export function recordWith(record, p) {
  const tags = record.split(';').map((tag) => tag.trim()).filter((tag) => tag && !/^(p|sp|pct|t)\s*=/i.test(tag));
  return [tags[0] ?? 'v=DMARC1', `p=${p}`, ...tags.slice(1)].join('; ');
}

/** What the domain should publish, as the server says; an address of its own where that is not known. */
function NextRecord({ domain, p }) {
  const of = useData(`/domains/${seg(domain)}/records`);
  const ours = of.data?.records.find((r) => r.name.startsWith('_dmarc.'));
  const text = ours ? ours.value.replace(/"\s*"/g, '').replace(/^"|"$/g, '') : `v=DMARC1; rua=mailto:postmaster@${domain}`;
  return of.loading ? null : <Copy text={recordWith(text, p)} what={t('path.record')} />;
}

function Blockers({ domain, rows }) {
  return (
    <ul class="blockers">
      {[...rows].sort((a, b) => b.messages - a.messages).map((b) => (
        <li key={b.source}>
          <p><a href={sourcePath(domain, b.source)}>{b.name}</a> {b.kind && <Kind kind={b.kind} />} <span class="hint">{t('path.blocked', { n: b.messages })}</span></p>
          {b.advice && <p class="hint">{adviceText(b.advice, b.advice_args)} {adviceDo(b.advice, b.advice_args)}</p>}
        </li>
      ))}
    </ul>
  );
}

/** Is the next step safe today? */
function Verdict({ path, p, n }) {
  const hit = percent(1 - path.share);
  if (path.ready && path.would_break === 0) return <Notice mark="good" title={t('path.safe')}>{t('path.safe_why', { n })}</Notice>;
  if (path.ready) return <Notice mark="good" title={t('path.nearly', { n: path.would_break, share: hit })}>{t('path.nearly_why')}</Notice>;
  if (path.would_break === 0) return <Notice mark="note" title={t('path.few')}>{t('path.few_why')}</Notice>;
  return <Notice mark="warn" title={t('path.not_yet', { n: path.would_break, share: hit })}>{t('path.not_yet_why.' + p)}</Notice>;
}

function Step({ p, state, s, domain }) {
  const { path } = s;
  const next = state === 'next';
  return (
    <li class={'step step-' + state} aria-current={state === 'now' ? 'step' : undefined}>
      <h2>{t('path.step.' + p)} <code>p={p}</code> {state === 'now' && <Mark mark="good">{t('path.here')}</Mark>}{state === 'done' && <Mark mark="good">{t('path.done')}</Mark>}</h2>
      <p>{t('path.step.' + p + '.about')}</p>
      {next && <Verdict path={path} p={p} n={s.messages} />}
      {next && path.blockers?.length > 0 && <><h3>{t('path.blockers')}</h3><Blockers domain={domain} rows={path.blockers} /></>}
      {next && (
        <details class="record" open={path.ready}>
          <summary>{t('path.record')}</summary>
          <p class="hint">{t('path.record_where', { name: '_dmarc.' + domain })}</p>
          <NextRecord domain={domain} p={p} />
        </details>
      )}
    </li>
  );
}

function Steps({ domain, s }) {
  const at = STEPS.indexOf(s.path.now);
  const state = (i) => (i < at ? 'done' : i === at ? 'now' : i === at + 1 ? 'next' : 'later');
  return (
    <>
      {at < 0 && <Notice mark="warn" title={t('policy.missing')} action={<LinkButton href={href('/setup/' + seg(domain))}>{t('path.publish')}</LinkButton>}>{t('path.missing_why')}</Notice>}
      {at === 2 && <Notice mark="good" title={t('path.arrived')}>{t('path.arrived_why')}</Notice>}
      <Card><ol class="steps">{STEPS.map((p, i) => <Step key={p} p={p} state={state(i)} s={s} domain={domain} />)}</ol></Card>
    </>
  );
}

export default function DmarcPath({ domain }) {
  const { from, to } = usePeriod();
  const of = useData('/reports/dmarc/summary', { domain, from, to });
  return (
    <ReportsPage domain={domain} tab="/path" title={t('path.title', { domain })} lead={t('path.lead')}>
      <Loaded of={of}>{(s) => (s.messages === 0 ? <NoReports domain={domain} /> : <Steps domain={domain} s={s} />)}</Loaded>
    </ReportsPage>
  );
}
