/* Reads report files that came another way into the desk. */
import { useRef, useState } from 'preact/hooks';
import { upload } from '../api.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Icon } from '../parts/icons.jsx';
import { Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';

async function read(file) {
  try {
    const answer = await upload('POST', '/reports', file, { name: file.name });
    return { name: file.name, read: answer?.read ?? 0, again: answer?.again ?? 0, refused: answer?.refused ?? [] };
  } catch (error) {
    return { name: file.name, read: 0, again: 0, refused: [{ file: file.name, reason: error.said ?? error.text }] };
  }
}

export default function Upload() {
  const [done, setDone] = useState([]);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const take = async (files) => {
    setBusy(true);
    for (const file of files) {
      const result = await read(file);
      setDone((d) => [result, ...d]);
    }
    setBusy(false);
  };
  const drop = (e) => {
    e.preventDefault();
    setOver(false);
    take([...e.dataTransfer.files]);
  };
  return (
    <Page title={t('upload.title')} lead={t('upload.lead')} back={[href('/reports'), t('menu.reports')]}>
      <Card>
        <div class={'drop' + (over ? ' over' : '')} onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
          <Icon name="up" />
          <p>{t('upload.drop')}</p>
          <Button kind="main" busy={busy} onClick={() => input.current.click()}>{t('upload.choose')}</Button>
          <input ref={input} hidden type="file" multiple aria-label={t('upload.choose')} onChange={(e) => { take([...e.currentTarget.files]); e.currentTarget.value = ''; }} />
          <p class="hint">{t('upload.kinds')}</p>
        </div>
      </Card>
      <div aria-live="polite">
        {done.length > 0 && (
          <Card title={t('upload.done')}>
            <ul class="uploads">
              {done.map((d, i) => (
                <li key={i}><code>{d.name}</code> {d.read > 0 && <Mark mark="good">{t('upload.read', { n: d.read })}</Mark>}{d.again > 0 && <Mark mark="note">{t('upload.again', { n: d.again })}</Mark>}{d.refused.map((r, k) => <p key={k}><Mark mark="bad">{t('upload.refused')}</Mark> {r.reason}</p>)}</li>
              ))}
            </ul>
          </Card>
        )}
      </div>
    </Page>
  );
}
