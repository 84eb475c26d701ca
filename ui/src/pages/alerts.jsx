/* Alerts: what went wrong without anybody asking; what to do; and silence for what is known. */
import { useState } from 'preact/hooks';
import { post, seg } from '../api.js';
import { useData } from '../data.js';
import { language, t } from '../i18n.js';
import { href, setQuery, useRoute } from '../router.js';
import { may } from '../session.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Field } from '../parts/form.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { wordFor } from '../parts/desk.jsx';
import { Said } from '../parts/said.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';

/** Where the matter can be looked at. */
function whereOf(a) {
  const domain = seg(a.domain || '');
  const area = a.kind.split('.')[0];
  if (area === 'queue') return ['/queue', t('alerts.see_queue')];
  if (!a.domain) return null;
  if (area === 'dmarc') return ['/reports/' + domain, t('alerts.see_reports')];
  if (area === 'tls') return [`/reports/${domain}/tls`, t('alerts.see_reports')];
  return ['/doctor/' + domain, t('alerts.see_doctor')];
}

/** Somebody wants to hear nothing of it for now. */
export const silent = (a) => a.silenced_until && Date.parse(a.silenced_until) > Date.now();

function Alert({ a, reload }) {
  const [days, setDays] = useState('7');
  const where = whereOf(a);
  const state = a.closed ? 'good' : silent(a) ? 'unknown' : 'warn';
  const act = (path, body, words) => async () => {
    await post(`/alerts/${seg(a.id)}/${path}`, body);
    say(words);
    reload();
  };
  return (
    <li class={'card alert mark-' + state}>
      <div class="card-head">
        <div>
          <p class="alert-kind"><Mark mark={state}>{a.closed ? t('alerts.closed') : silent(a) ? t('alerts.silent') : t('alerts.open')}</Mark> {wordFor('alert', a.kind)}{a.domain ? ' · ' + a.domain : ''}</p>
          <h2><Said text={a.text} /></h2>
        </div>
      </div>
      {a.repair && <p class="repair"><Said text={a.repair} /></p>}
      <p class="hint">{t('alerts.since')} <Time at={a.first} />{a.last !== a.first && <> · {t('alerts.seen')} <Time at={a.last} /></>}{a.told && <> · {t('alerts.told')} <Time at={a.told} /></>}{silent(a) && <> · {t('alerts.silent_until')} <Time at={a.silenced_until} as="moment" /></>}</p>
      {!a.closed && (
        <div class="actions">
          {where && <LinkButton kind="main" href={href(where[0])}>{where[1]}</LinkButton>}
          {silent(a) ? <Button icon="bell" onClick={act('open', {}, t('alerts.opened'))}>{t('alerts.wake')}</Button> : (
            <>
              <Button onClick={act('silence', { days: Number(days) }, t('alerts.silenced'))}>{t('alerts.silence')}</Button>
              <select class="silence-days" aria-label={t('alerts.for')} value={days} onChange={(e) => setDays(e.currentTarget.value)}>
                {[1, 7, 30, 365].map((n) => <option key={n} value={String(n)}>{t('alerts.days', { n })}</option>)}
              </select>
            </>
          )}
        </div>
      )}
    </li>
  );
}

export default function Alerts({ account }) {
  const { query } = useRoute();
  const state = query.state === 'all' ? 'all' : 'open';
  const of = useData('/alerts', { state, lang: language() }, { every: 60 });
  return (
    <Page title={t('alerts.title')} lead={t('alerts.lead')} actions={may(account, 'operator') && <LinkButton icon="settings" href={href('/alerts/settings')}>{t('alerts.settings')}</LinkButton>}>
      <div class="filters"><Field label={t('alerts.which')} type="select" value={state} options={[['open', t('alerts.only_open')], ['all', t('alerts.all')]]} onChange={(e) => setQuery({ state: e.currentTarget.value })} /></div>
      <Loaded of={of}>{(d) => (d.alerts.length === 0
        ? <Empty icon="check" title={t('alerts.none')}>{t('alerts.none_why')}</Empty>
        : <ul class="alerts">{d.alerts.map((a) => <Alert key={a.id} a={a} reload={of.reload} />)}</ul>)}</Loaded>
    </Page>
  );
}
