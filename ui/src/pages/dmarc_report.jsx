/* One DMARC report as it came: who made it, what it found, row by row. */
import { seg } from '../api.js';
import { useData } from '../data.js';
import { number } from '../format.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { Card, Facts } from '../parts/card.jsx';
import { periodQuery, usePeriod, wordFor } from '../parts/desk.jsx';
import { Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { span } from './dmarc_received.jsx';

export const Result = ({ result }) => <Mark mark={result === 'pass' ? 'good' : result === 'fail' ? 'bad' : 'note'}>{wordFor('result', result || 'none')}</Mark>;

const authText = (found) => (found ?? []).map((a) => `${a.domain}${a.selector ? ` (${a.selector})` : ''} ${a.result}`).join(', ');

/** Both names that messages give themselves: From, and the return address below where it is another. */
export function Names({ row }) {
  const [from, back] = [row.header_from, row.envelope_from].map((names) => [names ?? []].flat().join(', '));
  return <div>{from}{back && back !== from && <p class="hint">{t('source.returns', { domain: back })}</p>}</div>;
}

function Rows({ r }) {
  const columns = [
    { key: 'source_ip', label: t('source.address'), main: true, show: (row) => <code>{row.source_ip}</code> },
    { key: 'count', label: t('dmarc.messages'), number: true },
    { key: 'spf', label: 'SPF', show: (row) => <div class="judged"><Result result={row.spf} /><p class="hint">{authText(row.auth_results?.spf)}</p></div> },
    { key: 'dkim', label: 'DKIM', show: (row) => <div class="judged"><Result result={row.dkim} /><p class="hint">{authText(row.auth_results?.dkim)}</p></div> },
    {
      key: 'disposition', label: t('dmarc.fate'), show: (row) => (
        <div>{wordFor('disposition', row.disposition)}<p class="hint">{(row.reasons ?? []).map((x) => wordFor('override', x.type ?? x) + (x.comment ? ` (${x.comment})` : '')).join(', ')}</p></div>
      ),
    },
    { key: 'header_from', label: t('source.names'), show: (row) => <Names row={row} /> },
  ];
  return <Table caption={t('report.rows')} columns={columns} rows={r.rows} row={(row, i) => i} sort={['count', 'descending']} />;
}

function Report({ r }) {
  const verdict = r.verdict ?? {};
  return (
    <>
      {!verdict.counted && <Notice mark="warn" title={t('received.not_counted')}>{wordFor('received.why', verdict.why || 'unknown')}</Notice>}
      <div class="pair">
        <Card title={t('report.about')}>
          <Facts facts={[
            [t('received.org'), r.org], [t('report.contact'), r.email], [t('report.id'), <code>{r.report_id}</code>], [t('received.period'), span(r)],
            [t('received.received'), <Time at={r.received} as="moment" />], [t('report.via'), wordFor('via', r.via)], [t('dmarc.messages'), number(r.messages)],
          ]} />
        </Card>
        <Card title={t('report.policy')} lead={t('report.policy_lead')}>
          <Facts facts={Object.entries(r.policy ?? {}).filter(([, v]) => typeof v !== 'object').map(([tag, v]) => [tag, <code>{String(v)}</code>])} />
          <h3>{t('report.own')}</h3>
          <p class="marks">{['spf', 'dkim', 'dmarc'].map((k) => <span key={k}>{k.toUpperCase()} <Result result={verdict[k]} /></span>)}</p>
        </Card>
      </div>
      <Card title={t('report.rows')} lead={r.rows_total > r.rows.length ? t('report.rows_first', { n: r.rows.length, total: number(r.rows_total) }) : null} wide flush><Rows r={r} /></Card>
    </>
  );
}

export default function DmarcReport({ domain, id }) {
  const { from, to } = usePeriod();
  const of = useData('/reports/dmarc/' + seg(id), { domain, from, to });
  return (
    <Page title={of.data ? t('report.title', { org: of.data.org || of.data.email }) : t('report.title_any')} back={[href(`/reports/${seg(domain)}/received`, periodQuery()), t('desk.tab.received')]}>
      <Loaded of={of}>{(r) => <Report r={r} />}</Loaded>
    </Page>
  );
}
