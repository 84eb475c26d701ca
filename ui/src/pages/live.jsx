import { useData } from '../data.js';
import { number } from '../format.js';
import { t } from '../i18n.js';
import { Address } from '../parts/address.jsx';
import { Card, Grid } from '../parts/card.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Spark } from '../parts/spark.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';

const RATES = [['received', 'good'], ['sent', 'note'], ['logins', 'note'], ['refused', 'warn'], ['deferred', 'warn'], ['bounced', 'bad']];

/** Who is connected now, and what the last hour brought. */
export default function Live() {
  const live = useData('/live', {}, { every: 5 });
  return (
    <Page title={t('live.title')} lead={t('live.lead')}>
      <Loaded of={live}>
        {({ sessions, sessions_total, rates, processes }) => (
          <>
            <Grid small three>
              {RATES.filter(([name]) => rates[name]).map(([name, mark]) => <Rate key={name} name={name} mark={mark} minutes={rates[name]} />)}
            </Grid>
            <Card flush title={t('live.sessions')} lead={t('live.sessions_lead', { n: sessions_total ?? sessions.length })}>
              {sessions.length === 0 ? <Empty icon="live" title={t('live.none')}>{t('live.none_hint')}</Empty> : (
                <Table caption={t('live.sessions')} rows={sessions} row={(s, i) => s.id ?? i} columns={[
                  { key: 'service', label: t('live.service'), main: true, show: (s) => s.service.toUpperCase() },
                  { key: 'account', label: t('live.account'), show: (s) => (s.account && <Address of={s.account} />) || <span class="soft">{t('live.nobody')}</span> },
                  { key: 'peer', label: t('live.peer') },
                  { key: 'tls', label: t('live.tls'), show: (s) => (s.tls ? <Mark mark="good">{s.tls === true ? t('live.encrypted') : s.tls}</Mark> : <Mark mark="warn">{t('live.clear')}</Mark>) },
                  { key: 'since', label: t('live.since'), show: (s) => <Time at={s.since} /> },
                ]} />
              )}
            </Card>
            {processes?.length > 0 && (
              <Card flush title={t('live.processes')} lead={t('live.processes_lead')}>
                <Table caption={t('live.processes')} rows={processes} row={(p) => p.name} columns={[
                  { key: 'name', label: t('live.process'), main: true },
                  { key: 'pid', label: t('live.pid'), show: (p) => String(p.pid) },
                  { key: 'since', label: t('live.since'), show: (p) => <Time at={p.since} /> },
                  { key: 'starts', label: t('live.starts'), number: true },
                ]} />
              </Card>
            )}
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Rate({ name, mark, minutes }) {
  const values = minutes.map((m) => m.n), all = values.reduce((a, b) => a + b, 0);
  return (
    <div class="stat">
      <span class="stat-label">{t(`live.${name}`)}</span>
      <span class="stat-value">{number(all)}</span>
      <Spark values={values} mark={mark} label={t('live.rate', { n: all, top: Math.max(0, ...values) })} />
      <span class="stat-note">{t('live.hour')}</span>
    </div>
  );
}
