/* Who sends in a domain's name, from the DMARC reports of others: the answer first, then what it rests on. */
import { useState } from 'preact/hooks';
import { seg } from '../api.js';
import { useData } from '../data.js';
import { number, percent } from '../format.js';
import { language, t, T } from '../i18n.js';
import { href } from '../router.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Facts, Grid, Stat } from '../parts/card.jsx';
import { Chart, everyDay } from '../parts/chart.jsx';
import { adviceDo, adviceMark, adviceText, country, Exports, FirstDomain, Kind, KINDS, MARK_ICONS, needsCare, periodQuery, ReportsPage, share, shareText, usePeriod, wordFor } from '../parts/desk.jsx';
import { Field } from '../parts/form.jsx';
import { Icon } from '../parts/icons.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Bar } from '../parts/spark.jsx';
import { Table } from '../parts/table.jsx';

/** The answer in one sentence; what is still to be done in a second. */
function Answer({ s, sources, showThem }) {
  const ok = share(s.aligned, s.messages);
  const care = (sources ?? []).filter(needsCare).length;
  const calm = care === 0;
  return (
    <section class={'answer mark-' + (calm ? 'good' : 'warn')}>
      <p class="answer-main"><T k="dmarc.answer" share={<strong>{percent(ok)}</strong>} n={s.messages} /></p>
      <Bar share={ok} mark="good" label={percent(ok)} />
      {sources && (
        <p class="answer-next">
          <Mark mark={calm ? 'good' : 'warn'}>{calm ? t('dmarc.attention_none') : t('dmarc.attention', { n: care })}</Mark>
          {!calm && <Button kind="quiet" onClick={showThem}>{t('dmarc.show_them')}</Button>}
        </p>
      )}
    </section>
  );
}

function Numbers({ s }) {
  const stopped = (s.disposition.quarantine ?? 0) + (s.disposition.reject ?? 0);
  return (
    <Grid small>
      <Stat label={t('dmarc.messages')} value={number(s.messages)} note={t('dmarc.from_reports', { n: s.reports })} />
      <Stat label={t('dmarc.by_spf')} value={shareText(s.spf_aligned, s.messages)} note={t('dmarc.by_spf_note')} />
      <Stat label={t('dmarc.by_dkim')} value={shareText(s.dkim_aligned, s.messages)} note={t('dmarc.by_dkim_note')} />
      <Stat label={t('dmarc.stopped')} value={number(stopped)} note={t('dmarc.stopped_note', { p: s.path?.now || '–' })} />
    </Grid>
  );
}

function Days({ s }) {
  const days = everyDay(s.days, s.from, s.to, { messages: 0, aligned: 0, spf: 0, dkim: 0 });
  const names = days.map((d) => d.day);
  const part = (key) => days.map((d) => (d.messages > 0 ? d[key] / d.messages : null));
  return (
    <div class="pair">
      <Card title={t('dmarc.volume')}>
        <Chart days={names} kind={names.length > 62 ? 'area' : 'bars'} stacked label={t('dmarc.volume')} series={[
          { label: t('dmarc.proven'), colour: '--chart-good', values: days.map((d) => d.aligned) },
          { label: t('dmarc.not_proven'), colour: '--chart-bad', values: days.map((d) => d.messages - d.aligned) },
        ]} />
      </Card>
      <Card title={t('dmarc.alignment')}>
        <Chart days={names} kind="line" unit="percent" label={t('dmarc.alignment')} series={[
          { label: t('dmarc.either'), colour: '--chart-good', values: part('aligned') },
          { label: 'SPF', colour: '--chart-1', values: part('spf') },
          { label: 'DKIM', colour: '--chart-2', values: part('dkim'), dash: [6, 4] },
        ]} />
      </Card>
    </div>
  );
}

/** What receivers did with the messages of a source, in words: "12 refused, 3 to junk". */
export function dispositions(d) {
  const said = ['reject', 'quarantine'].filter((k) => d?.[k] > 0).map((k) => t('disposition.count.' + k, { n: d[k] }));
  return said.length ? said.join(', ') : t('disposition.all_delivered');
}

/** A sentence on what it is, and one on what to do. */
function Advice({ s }) {
  const mark = adviceMark(s.advice);
  return (
    <div class={'advice mark-' + mark}>
      <p><Icon name={MARK_ICONS[mark]} />{adviceText(s.advice, s.advice_args)}</p>
      {mark !== 'good' && <p class="hint">{adviceDo(s.advice, s.advice_args)}</p>}
    </div>
  );
}

export const sourcePath = (domain, key) => href(`/reports/${seg(domain)}/sources/${seg(key)}`, periodQuery());

function Sources({ domain, sources, filter, setFilter }) {
  const q = filter.q.trim().toLowerCase();
  const shown = sources.filter((s) => (!filter.kind || (filter.kind === 'attention' ? needsCare(s) : s.kind === filter.kind))
    && (!q || `${s.name} ${s.organization ?? ''} ${s.key}`.toLowerCase().includes(q)));
  const kinds = KINDS.filter((k) => sources.some((s) => s.kind === k));
  const columns = [
    {
      key: 'name', label: t('dmarc.source'), main: true, show: (s) => (
        <div class="source">
          <a href={sourcePath(domain, s.key)}>{s.name}</a>
          <div class="source-about"><Kind kind={s.kind} />{[s.organization !== s.name && s.organization, country(s.country, language())].filter(Boolean).join(' · ')}</div>
        </div>
      ),
    },
    { key: 'messages', label: t('dmarc.messages'), number: true },
    { key: 'spf', label: 'SPF', number: true, value: (s) => share(s.spf, s.messages), show: (s) => shareText(s.spf, s.messages) },
    { key: 'dkim', label: 'DKIM', number: true, value: (s) => share(s.dkim, s.messages), show: (s) => shareText(s.dkim, s.messages) },
    { key: 'aligned', label: t('dmarc.proven'), number: true, value: (s) => share(s.aligned, s.messages), show: (s) => (
      <span class="share">{shareText(s.aligned, s.messages)}<Bar share={share(s.aligned, s.messages)} mark="good" label={t('dmarc.proven')} /></span>
    ) },
    { key: 'fate', label: t('dmarc.outcome'), value: (s) => (s.disposition?.reject ?? 0) + (s.disposition?.quarantine ?? 0), show: (s) => dispositions(s.disposition) },
  ];
  return (
    <div class="sources" id="sources" tabIndex={-1}><Card title={t('dmarc.sources')} lead={t('dmarc.sources_lead')} actions={<LinkButton kind="quiet" icon="edit" href={href('/senders')}>{t('senders.title')}</LinkButton>} wide flush>
      <form class="filters no-print" role="search" aria-label={t('ui.filters')} onSubmit={(e) => e.preventDefault()}>
        <Field label={t('dmarc.find_source')} type="search" value={filter.q} onInput={(e) => setFilter({ ...filter, q: e.currentTarget.value })} />
        <Field label={t('dmarc.kind')} type="select" value={filter.kind} onChange={(e) => setFilter({ ...filter, kind: e.currentTarget.value })}
          options={[['', t('dmarc.all_kinds')], ['attention', t('dmarc.only_attention')], ...kinds.map((k) => [k, t('kind.' + k)])]} />
      </form>
      {shown.length === 0 ? <Empty icon="search" title={t('dmarc.no_source')} />
        : <Table caption={t('dmarc.sources')} columns={columns} rows={shown} row={(s) => s.key} sort={['messages', 'descending']} below={(s) => <Advice s={s} />} />}
    </Card></div>
  );
}

function Overrides({ overrides }) {
  const found = Object.entries(overrides ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return (
    <Card title={t('dmarc.overrides')} lead={t('dmarc.overrides_lead')}>
      {found.length === 0 ? <p class="hint">{t('dmarc.overrides_none')}</p> : <Facts facts={found.map(([type, n]) => [wordFor('override', type), number(n)])} />}
    </Card>
  );
}

function Policy({ domain, s }) {
  const { path } = s;
  return (
    <Card title={t('dmarc.policy')}>
      <p>{t(path.now ? 'policy.' + path.now : 'policy.missing')}</p>
      {path.next && <p class="hint">{path.would_break === 0 ? t('path.ready', { p: path.next }) : t('path.would_break', { n: path.would_break, p: path.next })}</p>}
      <Facts facts={(s.policy?.seen ?? []).map((one) => [`p=${one.p}`, t('dmarc.seen_under', { n: one.messages })])} />
      <LinkButton href={href(`/reports/${seg(domain)}/path`, periodQuery())}>{t('dmarc.see_path')}</LinkButton>
    </Card>
  );
}

/** No report yet: that is normal on the first day, and a fault after three. */
export function NoReports({ domain }) {
  return (
    <Empty icon="inbox" title={t('desk.none', { domain })} action={<LinkButton kind="main" href={href('/doctor/' + seg(domain))}>{t('desk.none_check')}</LinkButton>}>{t('desk.none_why')}</Empty>
  );
}

export const Start = () => <FirstDomain to="/reports/:domain" />;

export default function Dmarc({ domain }) {
  const { from, to } = usePeriod();
  const summary = useData('/reports/dmarc/summary', { domain, from, to });
  const sources = useData('/reports/dmarc/sources', { domain, from, to });
  const [filter, setFilter] = useState({ q: '', kind: '' });
  const showThem = () => {
    setFilter({ q: '', kind: 'attention' });
    const at = document.getElementById('sources');
    at?.scrollIntoView({ block: 'start' });
    at?.focus({ preventScroll: true });
  };
  return (
    <ReportsPage domain={domain} tab="" title={t('dmarc.title', { domain })} lead={t('dmarc.lead')} actions={<Exports domain={domain} kind="sources" />}>
      <Loaded of={summary}>{(s) => (s.messages === 0 ? <NoReports domain={domain} /> : (
        <>
          <Answer s={s} sources={sources.data?.sources} showThem={showThem} />
          <Numbers s={s} />
          <Days s={{ ...s, from, to }} />
          <Loaded of={sources}>{(d) => <Sources domain={domain} sources={d.sources} filter={filter} setFilter={setFilter} />}</Loaded>
          <div class="pair"><Policy domain={domain} s={s} /><Overrides overrides={s.overrides} /></div>
        </>
      ))}</Loaded>
    </ReportsPage>
  );
}
