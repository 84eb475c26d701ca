/* The DMARC reports that came, each with the verdict on the report itself: only what is proven to come from its sender counts. */
import { seg } from '../api.js';
import { useList } from '../data.js';
import { day, number } from '../format.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { LinkButton } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Exports, periodQuery, ReportsPage, usePeriod, wordFor } from '../parts/desk.jsx';
import { Loaded, Mark } from '../parts/notice.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { NoReports } from './dmarc.jsx';

/** Counted or not, and why. */
export function Counted({ verdict }) {
  const why = <p class="hint verdict">{wordFor('received.why', verdict?.why || 'unknown')}</p>;
  if (verdict?.counted) return <div><Mark mark="good">{t('received.counted')}</Mark>{verdict.why && why}</div>;
  return <div><Mark mark="warn">{t('received.not_counted')}</Mark>{why}</div>;
}

export const span = (r) => (day(r.begin) === day(r.end) ? day(r.begin) : `${day(r.begin)} – ${day(r.end)}`);

function Reports({ domain, rows, more }) {
  const columns = [
    { key: 'org', label: t('received.org'), main: true, show: (r) => <div class="source"><a href={href(`/reports/${seg(domain)}/received/${seg(r.id)}`, periodQuery())}>{r.org || r.email}</a><div class="source-about">{r.email}</div></div> },
    { key: 'begin', label: t('received.period'), show: (r) => <span class="firm">{span(r)}</span> },
    { key: 'messages', label: t('dmarc.messages'), number: true },
    { key: 'rows_total', label: t('received.rows'), number: true },
    { key: 'received', label: t('received.received'), show: (r) => <Time at={r.received} /> },
    { key: 'verdict', label: t('received.verdict'), value: (r) => (r.verdict?.counted ? 0 : 1), show: (r) => <Counted verdict={r.verdict} /> },
  ];
  const left = rows.filter((r) => !r.verdict?.counted);
  return (
    <Card title={t('received.list')} lead={left.length ? t('received.left_out', { n: left.length, messages: number(left.reduce((a, r) => a + r.messages, 0)) }) : t('received.all_counted')} wide flush>
      <Table caption={t('received.list')} columns={columns} rows={rows} more={more} />
    </Card>
  );
}

export default function DmarcReceived({ domain }) {
  const { from, to } = usePeriod();
  const of = useList('/reports/dmarc', 'dmarc', { domain, from, to, limit: 25, rows: 0 });
  return (
    <ReportsPage domain={domain} tab="/received" title={t('received.title', { domain })} lead={t('received.lead')}
      actions={<><LinkButton href={href('/read-reports')} icon="up">{t('upload.open')}</LinkButton><Exports domain={domain} kind="dmarc" /></>}>
      <Loaded of={of}>{() => (of.rows.length === 0 ? <NoReports domain={domain} /> : <Reports domain={domain} rows={of.rows} more={of.more} />)}</Loaded>
    </ReportsPage>
  );
}
