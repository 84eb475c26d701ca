import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useList } from '../data.js';
import { bytes } from '../format.js';
import { t, T } from '../i18n.js';
import { Address } from '../parts/address.jsx';
import { Button } from '../parts/button.jsx';
import { Card, Grid, Stat } from '../parts/card.jsx';
import { useConfirm } from '../parts/dialog.jsx';
import { Field, Filters } from '../parts/form.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';
import { href, setQuery } from '../router.js';
import { next, why } from '../waiting.js';

/** What waits, and why. */
export default function Queue({ query, account }) {
  const list = useList('/queue', 'queue', { q: query.q, state: query.state });
  const [chosen, setChosen] = useState(new Set());
  const ask = useConfirm();

  const act = async (what) => {
    for (const id of chosen) await api.post(`/queue/${api.seg(id)}/${what}`);
    say(t(`queue.done_${what}`, { n: chosen.size }));
    setChosen(new Set());
    list.reload();
  };
  const flush = async () => {
    await api.post('/queue/flush', { route: '' });
    say(t('queue.flushed'));
    list.reload();
  };
  const remove = () => ask.now({
    title: t('queue.remove_title', { n: chosen.size }), text: t('queue.remove_text'), button: t('queue.remove'), act: () => act('remove'),
  });
  const counts = list.data?.counts;
  return (
    <Page title={t('queue.title')} lead={t('queue.lead')}
      actions={<>
        <Button icon="retry" onClick={list.reload}>{t('ui.reload')}</Button>
        {account.role === 'operator' && <Button icon="send" onClick={flush}>{t('queue.flush')}</Button>}
      </>}>
      {counts && (
        <Grid small>
          <Stat label={t('queue.messages')} value={counts.messages} />
          <Stat label={t('queue.recipients')} value={counts.recipients} />
          <Stat label={t('queue.held')} value={counts.held} mark={counts.held ? 'warn' : undefined} />
          <Stat label={t('queue.size')} value={bytes(counts.bytes)} />
        </Grid>
      )}
      <Filters onChange={setQuery}>
        <Field label={t('queue.search')} name="q" type="search" defaultValue={query.q} placeholder={t('queue.search_example')} />
        <Field label={t('queue.state')} name="state" type="select" defaultValue={query.state ?? ''} options={[
          ['', t('queue.state_all')], ['deferred', t('queue.state_deferred')], ['held', t('queue.state_held')], ['ready', t('queue.state_ready')],
        ]} />
      </Filters>
      {chosen.size > 0 && (
        <div class="bulk" role="group" aria-label={t('queue.chosen', { n: chosen.size })}>
          <strong>{t('queue.chosen', { n: chosen.size })}</strong>
          <Button icon="retry" onClick={() => act('retry')}>{t('queue.retry')}</Button>
          <Button icon="pause" onClick={() => act('hold')}>{t('queue.hold')}</Button>
          <Button icon="play" onClick={() => act('release')}>{t('queue.release')}</Button>
          <Button icon="trash" kind="danger" onClick={remove}>{t('queue.remove')}</Button>
        </div>
      )}
      <Card flush>
        <Loaded of={list}>
          {() => (list.rows.length === 0 ? (
            query.q || query.state ? <Empty icon="search" title={t('ui.none_found')}>{t('ui.none_found_hint')}</Empty>
              : <Empty icon="send" title={t('queue.none')}>{t('queue.none_hint')}</Empty>
          ) : (
            <Table caption={t('queue.title')} rows={list.rows} more={list.more} select={{ chosen, set: setChosen, name: (m) => m.recipients[0]?.address }} columns={[
              { key: 'to', label: t('queue.to'), main: true, value: (m) => m.recipients[0]?.address, show: (m) => (
                <a href={href('/queue/' + api.seg(m.id))}>{m.recipients.length > 1
                  ? <T k="queue.to_others" address={<Address of={m.recipients[0].address} />} n={m.recipients.length - 1} />
                  : <Address of={m.recipients[0]?.address ?? m.id} />}</a>
              ) },
              { key: 'sender', label: t('queue.from'), show: (m) => (m.sender ? <Address of={m.sender} /> : t('queue.from_us')) },
              { key: 'why', label: t('queue.why'), value: false, show: (m) => {
                const w = why(m.recipients);
                return <><Mark mark={w.mark}>{w.state}</Mark> <span class="block">{w.text}</span></>;
              } },
              { key: 'next', label: t('queue.next'), value: (m) => next(m.recipients), show: (m) => <Time at={next(m.recipients)} /> },
              { key: 'created', label: t('queue.since'), show: (m) => <Time at={m.created} /> },
              { key: 'size', label: t('queue.size'), number: true, show: (m) => bytes(m.size) },
            ]} />
          ))}
        </Loaded>
      </Card>
      {ask.dialog}
    </Page>
  );
}
