import * as api from '../api.js';
import { useList } from '../data.js';
import { t } from '../i18n.js';
import { Address } from '../parts/address.jsx';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';

/** Addresses that are not written to any more, because they refused for good or complained. */
export default function Suppressions() {
  const list = useList('/me/suppressions', 'suppressions', {});
  const allow = async (s) => {
    await api.del('/me/suppressions/' + api.seg(s.address));
    say(t('suppressions.allowed', { address: s.address }));
    list.reload();
  };
  return (
    <Page title={t('suppressions.title')} lead={t('suppressions.lead')}>
      <Card flush>
        <Loaded of={list}>
          {() => (list.rows.length === 0 ? <Empty icon="block" title={t('suppressions.none')}>{t('suppressions.none_hint')}</Empty> : (
            <Table caption={t('suppressions.title')} rows={list.rows} row={(s) => s.address} more={list.more} columns={[
              { key: 'address', label: t('suppressions.address'), main: true, show: (s) => <Address of={s.address} /> },
              { key: 'kind', label: t('suppressions.reason'), show: (s) => (
                <><Mark mark={s.kind === 'complaint' ? 'bad' : 'warn'}>{t(`suppressions.is_${s.kind}`)}</Mark>{s.reason && <code class="block">{s.reason}</code>}</>
              ) },
              { key: 'since', label: t('suppressions.since'), show: (s) => <Time at={s.since} as="moment" /> },
              { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (s) => (
                <Button kind="quiet" icon="check" aria-label={t('suppressions.allow_one', { address: s.address })} onClick={() => allow(s)}>{t('suppressions.allow')}</Button>
              ) },
            ]} />
          ))}
        </Loaded>
      </Card>
    </Page>
  );
}
