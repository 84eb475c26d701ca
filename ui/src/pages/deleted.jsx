import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useList } from '../data.js';
import { bytes } from '../format.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Empty, Loaded } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';

/** Mail that was deleted within the last days, to be brought back. */
export default function Deleted() {
  const list = useList('/me/deleted', 'deleted', {});
  const [chosen, setChosen] = useState(new Set());
  const restore = async () => {
    const { restored } = await api.post('/me/deleted/restore', { ids: [...chosen] });
    say(t('deleted.restored', { n: restored }));
    setChosen(new Set());
    list.reload();
  };
  return (
    <Page title={t('deleted.title')} lead={t('deleted.lead')}>
      {chosen.size > 0 && (
        <div class="bulk" role="group" aria-label={t('queue.chosen', { n: chosen.size })}>
          <strong>{t('queue.chosen', { n: chosen.size })}</strong>
          <Button kind="main" icon="restore" onClick={restore}>{t('deleted.restore')}</Button>
        </div>
      )}
      <Card flush>
        <Loaded of={list}>
          {() => (list.rows.length === 0 ? <Empty icon="trash" title={t('deleted.none')}>{t('deleted.none_hint')}</Empty> : (
            <Table caption={t('deleted.title')} rows={list.rows} more={list.more} select={{ chosen, set: setChosen, name: (m) => m.subject }} columns={[
              { key: 'subject', label: t('deleted.subject'), main: true, show: (m) => m.subject || t('deleted.no_subject') },
              { key: 'from', label: t('deleted.from') },
              { key: 'folder', label: t('deleted.folder') },
              { key: 'date', label: t('deleted.date'), show: (m) => <Time at={m.date} as="moment" /> },
              { key: 'deleted', label: t('deleted.deleted'), show: (m) => <Time at={m.deleted} /> },
              { key: 'size', label: t('queue.size'), number: true, show: (m) => bytes(m.size) },
            ]} />
          ))}
        </Loaded>
      </Card>
    </Page>
  );
}
