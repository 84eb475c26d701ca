import * as api from '../api.js';
import { useData } from '../data.js';
import { bytes } from '../format.js';
import { has, spaced, t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card, Facts } from '../parts/card.jsx';
import { useConfirm } from '../parts/dialog.jsx';
import { Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Timeline } from '../parts/timeline.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { why } from '../waiting.js';

/** One waiting message: each recipient with all attempts. */
export default function Message({ id }) {
  const found = useData('/queue/' + api.seg(id));
  const ask = useConfirm();
  const act = async (what) => {
    await api.post(`/queue/${api.seg(id)}/${what}`);
    say(t(`queue.done_${what}`, { n: 1 }));
    if (what === 'remove') go('/queue');
    else found.reload();
  };
  const remove = () => ask.now({ title: t('queue.remove_title', { n: 1 }), text: t('queue.remove_text'), button: t('queue.remove'), act: () => act('remove') });
  const held = found.data?.message.recipients.some((r) => r.state === 'held');
  return (
    <Page title={t('message.title')} lead={t('message.lead')} back={['#/queue', t('queue.title')]}
      actions={found.data && <>
        <Button icon="retry" onClick={() => act('retry')}>{t('queue.retry')}</Button>
        {held ? <Button icon="play" onClick={() => act('release')}>{t('queue.release')}</Button>
          : <Button icon="pause" onClick={() => act('hold')}>{t('queue.hold')}</Button>}
        <Button icon="trash" kind="danger" onClick={remove}>{t('queue.remove')}</Button>
      </>}>
      <Loaded of={found}>
        {({ message, headers }) => (
          <>
            <Card>
              <Facts facts={[
                [t('queue.from'), message.sender || t('queue.from_us')],
                [t('message.came'), <Time at={message.created} as="exact" />],
                [t('message.peer'), message.peer],
                [t('queue.size'), bytes(message.size)],
                [t('message.id'), <a href={href('/trace', { id: message.id })}><code>{message.id}</code></a>],
              ]} />
            </Card>
            {message.recipients.map((r) => <Recipient key={r.address} r={r} />)}
            {headers && <Card title={t('message.headers')} lead={t('message.headers_lead')}><pre tabIndex={0}>{headers}</pre></Card>}
          </>
        )}
      </Loaded>
      {ask.dialog}
    </Page>
  );
}

function Recipient({ r }) {
  const w = why([r]);
  return (
    <Card title={t('message.to', { address: r.address })} actions={<Mark mark={w.mark}>{w.state}</Mark>}>
      <Notice mark={w.mark}>{w.text}</Notice>
      <Facts facts={[
        [t('message.route'), r.local ? t('message.local') : r.route],
        [t('message.attempts'), String(r.attempts)],
        [t('queue.next'), r.state !== 'held' && r.next_attempt && <><Time at={r.next_attempt} /> (<Time at={r.next_attempt} as="exact" />)</>],
      ]} />
      {r.story?.length > 0 && (
        <>
          <h3>{t('message.story')}</h3>
          <Timeline steps={[...r.story].reverse().map((s) => ({
            at: s.at, mark: 'warn', title: has(`attempt.${s.result}`) ? t(`attempt.${s.result}`) : t('attempt.deferred'),
            facts: [[t('message.asked'), s.mx && (s.address ? `${s.mx} [${s.address}]` : s.mx)], [t('message.tls'), s.tls || (s.mx && t('message.no_tls'))],
              [t('message.policy'), spaced(s.policy)]],
            text: s.reply_ours && spaced(s.reply), words: !s.reply_ours && s.reply,
          }))} />
        </>
      )}
    </Card>
  );
}
