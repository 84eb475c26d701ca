import { useList } from '../data.js';
import { dayEnd } from '../format.js';
import { has, t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Field, Filters } from '../parts/form.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { setQuery } from '../router.js';

const MARKS = { error: 'bad', warn: 'warn', warning: 'warn', info: 'note', debug: 'unknown' };

/** What the server wrote down. */
export default function Log({ query }) {
  const { q, event, level, from, to } = query;
  const list = useList('/log', 'log', { q, event, level, from, to: dayEnd(to) });
  return (
    <Page title={t('log.title')} lead={t('log.lead')} actions={<Button icon="retry" onClick={list.reload}>{t('ui.reload')}</Button>}>
      <Filters onChange={setQuery}>
        <Field label={t('log.search')} name="q" type="search" defaultValue={q} placeholder={t('log.search_example')} />
        <Field label={t('log.event')} name="event" type="search" defaultValue={event} placeholder="smtp.rcpt.rejected" />
        <Field label={t('log.level')} name="level" type="select" defaultValue={level ?? ''} options={[
          ['', t('log.level_all')], ['warn', t('log.level_warn')], ['error', t('log.level_error')],
        ]} />
        <Field label={t('trace.from')} name="from" type="date" defaultValue={from} />
        <Field label={t('trace.to')} name="to" type="date" defaultValue={to} />
      </Filters>
      <Card flush>
        <Loaded of={list}>
          {() => (list.rows.length === 0 ? <Empty icon="search" title={t('ui.none_found')}>{t('ui.none_found_hint')}</Empty> : (
            <Table caption={t('log.title')} rows={list.rows} row={(r, i) => i} more={list.more} columns={[
              { key: 'at', label: t('log.at'), show: (l) => <Time at={l.at} as="exact" /> },
              { key: 'level', label: t('log.level'), show: (l) => <Mark mark={MARKS[l.level] ?? 'note'}>{t(`log.is_${l.level}`)}</Mark> },
              { key: 'event', label: t('log.event'), main: true, show: (l) => (
                <>{has(`step.${l.event}`) && <span class="block">{t(`step.${l.event}`)}</span>}<code>{l.event}</code><Fields fields={l.fields} /></>
              ) },
              { key: 'process', label: t('live.process') },
            ]} />
          ))}
        </Loaded>
      </Card>
    </Page>
  );
}

const Fields = ({ fields }) => (
  <span class="fields">{Object.entries(fields ?? {}).filter(([, value]) => value !== '').map(([name, value]) => <code key={name}><span class="soft">{name}=</span>{String(value)}</code>)}</span>
);
