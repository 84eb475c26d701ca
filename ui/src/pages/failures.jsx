/* Failure reports (ARF): single messages in a domain's name that did not pass, with their headers. */
import { useList } from '../data.js';
import { t } from '../i18n.js';
import { Card, Facts } from '../parts/card.jsx';
import { Exports, ReportsPage, usePeriod, wordFor } from '../parts/desk.jsx';
import { Empty, Loaded } from '../parts/notice.jsx';
import { Button } from '../parts/button.jsx';
import { Time } from '../parts/time.jsx';
import { copyText } from '../parts/copy.jsx';

function Failure({ f }) {
  return (
    <Card title={f.subject || t('failures.no_subject')} lead={t('failures.came', { org: f.reporter })} actions={<Button kind="quiet" icon="copy" onClick={() => copyText(f.headers)}>{t('failures.copy')}</Button>}>
      <Facts facts={[
        [t('failures.from'), f.original_from], [t('failures.to'), f.original_to], [t('failures.arrival'), <Time at={f.arrival || f.received} as="moment" />],
        [t('source.address'), f.source_ip && <code>{f.source_ip}</code>], [t('failures.kind'), wordFor('failures.type', f.type)], [t('failures.failed'), f.auth_failure && wordFor('failures.auth', f.auth_failure)],
      ]} />
      <details><summary>{t('failures.headers')}</summary><pre>{f.headers}</pre></details>
    </Card>
  );
}

export default function Failures({ domain }) {
  const { from, to } = usePeriod();
  const of = useList('/reports/failure', 'failure', { domain, from, to });
  return (
    <ReportsPage domain={domain} tab="/failures" title={t('failures.title', { domain })} lead={t('failures.lead')} actions={<Exports domain={domain} kind="failure" />}>
      <Loaded of={of}>{() => (of.rows.length === 0 ? <Empty icon="inbox" title={t('failures.none')}>{t('failures.none_why')}</Empty> : (
        <>
          {of.rows.map((f) => <Failure key={f.id} f={f} />)}
          {of.more && <p class="more"><Button onClick={of.more}>{t('ui.more')}</Button></p>}
        </>
      ))}</Loaded>
    </ReportsPage>
  );
}
