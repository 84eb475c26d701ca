import { useList } from '../data.js';
import { dayEnd } from '../format.js';
import { has, t } from '../i18n.js';
import { Address } from '../parts/address.jsx';
import { Card } from '../parts/card.jsx';
import { Field, Filters } from '../parts/form.jsx';
import { Empty, Loaded } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { setQuery } from '../router.js';

/** An account, or somebody at the command line ("command:root"). */
const Who = ({ of }) => (of.startsWith('command') ? <>{t('audit.command')} <code class="soft">{of.slice(8)}</code></> : <Address of={of} />);

/** The server's word in the reader's language; names that people gave stay as they are. */
function wordOf(text) {
  for (const key of [`role.${text}`, `sts.${text}`, `kind.${text}`, `alert.${text}`, `audit.word.${text.replaceAll(' ', '_')}`]) if (has(key)) return t(key);
  return text;
}

/** One word, or what was before and what is after ("user -> owner"). */
function Detail({ of }) {
  if (of.startsWith('{')) return <details><summary>{t('audit.whole')}</summary><code>{of.replaceAll(',"', ', "')}</code></details>;
  const files = /^read (\d+), known (\d+), refused (\d+)$/.exec(of);
  if (files) return <>{t('audit.files', { read: files[1], known: files[2], refused: files[3] })}</>;
  const [before, after] = of.split(' -> ');
  if (after === undefined || before === after) return <>{wordOf(before)}</>;
  return <>{before && <><s class="soft"><span class="unseen">{t('audit.before')} </span>{wordOf(before)}</s> </>}<span class="unseen">{t('audit.after')} </span>{wordOf(after)}</>;
}

/** Who changed what. */
export default function Audit({ query }) {
  const list = useList('/audit', 'audit', { from: query.from, to: dayEnd(query.to) });
  return (
    <Page title={t('audit.title')} lead={t('audit.lead')}>
      <Filters onChange={setQuery}>
        <Field label={t('trace.from')} name="from" type="date" defaultValue={query.from} />
        <Field label={t('trace.to')} name="to" type="date" defaultValue={query.to} />
      </Filters>
      <Card flush>
        <Loaded of={list}>
          {() => (list.rows.length === 0 ? <Empty icon="audit" title={t('audit.none')}>{t('audit.none_hint')}</Empty> : (
            <Table caption={t('audit.title')} rows={list.rows} row={(r, i) => i} more={list.more} columns={[
              { key: 'at', label: t('audit.at'), show: (a) => <Time at={a.at} as="exact" /> },
              { key: 'who', label: t('audit.who'), main: true, show: (a) => <Who of={a.who} /> },
              { key: 'what', label: t('audit.what'), show: (a) => (has(`did.${a.what}`) ? t(`did.${a.what}`) : <code>{a.what}</code>) },
              { key: 'about', label: t('audit.about'), show: (a) => <Address of={a.about} /> },
              { key: 'detail', label: t('audit.detail'), show: (a) => a.detail && <Detail of={a.detail} /> },
              { key: 'peer', label: t('audit.peer'), show: (a) => a.peer && <span class="firm">{a.peer}</span> },
            ]} />
          ))}
        </Loaded>
      </Card>
    </Page>
  );
}
