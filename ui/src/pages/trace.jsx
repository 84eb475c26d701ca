import { useList } from '../data.js';
import { dayEnd, span } from '../format.js';
import { has, spaced, t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Field } from '../parts/form.jsx';
import { Icon } from '../parts/icons.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Time } from '../parts/time.jsx';
import { Timeline } from '../parts/timeline.jsx';
import { setQuery } from '../router.js';

const NAMES = ['recipient', 'sender', 'id', 'from', 'to'];
const MARKS = { delivered: 'good', accepted: 'note', deferred: 'warn', bounced: 'bad', refused: 'bad', removed: 'bad' };

/** What happened to a message, from the connection to the folder. */
export default function Trace({ query }) {
  const wanted = Object.fromEntries(NAMES.map((n) => [n, query[n]]));
  const list = useList('/trace', 'trace', { ...wanted, to: dayEnd(query.to), limit: 20 });
  const search = (e) => {
    e.preventDefault();
    setQuery(Object.fromEntries(new FormData(e.currentTarget)));
  };
  return (
    <Page title={t('trace.title')} lead={t('trace.lead')}>
      <Card>
        <form class="filters even" role="search" aria-label={t('trace.title')} onSubmit={search}>
          <Field label={t('trace.recipient')} name="recipient" type="search" defaultValue={query.recipient} placeholder="bert@example.org" />
          <Field label={t('trace.sender')} name="sender" type="search" defaultValue={query.sender} placeholder="anne@example.org" />
          <Field label={t('trace.id')} name="id" type="search" defaultValue={query.id} placeholder="2f1a" />
          <Field label={t('trace.from')} name="from" type="date" defaultValue={query.from} />
          <Field label={t('trace.to')} name="to" type="date" defaultValue={query.to} />
          <Button kind="main" icon="search" type="submit">{t('trace.search')}</Button>
        </form>
      </Card>
      <Loaded of={list}>
        {() => (list.rows.length === 0
          ? <Card><Empty icon="search" title={t('trace.none')}>{t('trace.none_hint')}</Empty></Card>
          : (
            <div class="stack">
              {list.rows.map((m) => <Found key={m.id + m.session + m.began} m={m} open={list.rows.length === 1} />)}
              {list.more && <p class="more"><Button onClick={list.more}>{t('ui.more')}</Button></p>}
            </div>
          ))}
      </Loaded>
    </Page>
  );
}

function Found({ m, open }) {
  return (
    <details class="card found" open={open}>
      <summary>
        <Icon name="next" />
        <span class="found-who">
          <strong>{m.recipients?.length ? m.recipients.join(', ') : t('trace.nobody')}</strong>
          <span class="soft">{t('trace.by', { sender: m.sender || t('queue.from_us') })}</span>
        </span>
        <span class="found-when"><Mark mark={MARKS[m.result] ?? 'unknown'}>{t(`result.${m.result}`)}</Mark><Time at={m.began} as="moment" /></span>
      </summary>
      <Timeline steps={m.steps.map((s, i) => step(s, m.steps[i - 1]))} />
    </details>
  );
}

const BAD = /reject|bounc|drop|fail|barred|lost|removed|damaged/;
const markOf = (event) => (/deferred|held|notice|unproven|unsealed|told|resting/.test(event) ? 'warn' : BAD.test(event) ? 'bad'
  : /delivered|sent|accepted|ok$/.test(event) ? 'good' : 'note');
// the fields that are worth a line, in this order; the other side's words stand apart
const SHOWN = ['peer', 'rdns', 'helo', 'login', 'sender', 'rcpt', 'rcpts', 'to', 'folder', 'mx', 'address', 'tls', 'policy', 'spf', 'dkim', 'dmarc', 'arc', 'action', 'code', 'size', 'reason'];
const WORDS = new Set(['spf', 'dkim', 'dmarc', 'arc', 'action', 'policy', 'code']); // as the RFCs have them, in all languages

const shownAs = (name, value) => {
  if (name === 'folder' && has(`folder.${value}`)) return t(`folder.${value}`);
  if (name === 'reason' || (name === 'policy' && value.includes(' '))) return spaced(value); // the server's sentence
  return WORDS.has(name) ? <code>{value}</code> : value;
};

function step(s, before) {
  const fields = s.fields ?? {};
  const waited = before ? (new Date(s.at) - new Date(before.at)) / 1000 : 0;
  return {
    at: s.at, mark: markOf(s.event), title: has(`step.${s.event}`) ? t(`step.${s.event}`) : s.event,
    text: has(`step.${s.event}`) ? null : spaced(s.text), after: waited >= 2 ? t('trace.after', { span: span(waited) }) : null,
    words: fields.reply, facts: SHOWN.filter((f) => fields[f] !== undefined && fields[f] !== '').map((f) => [t(`field.${f}`), shownAs(f, String(fields[f]))]),
  };
}
