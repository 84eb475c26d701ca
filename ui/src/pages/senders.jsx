/* The table of known senders: which names and networks belong to whom. What ships with the program can be corrected here. */
import { useState } from 'preact/hooks';
import { del, put, seg } from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { may } from '../session.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Kind } from '../parts/desk.jsx';
import { Dialog } from '../parts/dialog.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Icon } from '../parts/icons.jsx';
import { Empty, Loaded } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';

const list = (text) => text.split(/[\s,;]+/).filter(Boolean);
const LISTS = ['hosts', 'dkim', 'spf'];
const SENDER_KINDS = ['service', 'forwarder', 'list'];

function Edit({ sender, close, done }) {
  return (
    <Dialog title={sender.name ? t('senders.edit_of', { name: sender.name }) : t('senders.add')} onClose={close}>
      <Form submit={t('ui.save')} onCancel={close} onSubmit={async (v) => {
        await put('/sources/' + seg(sender.name || v.name), { name: v.name ?? sender.name, kind: v.kind, hosts: list(v.hosts), dkim: list(v.dkim), spf: list(v.spf) });
        say(t('senders.saved'));
        close();
        done();
      }}>
        {!sender.name && <Field label={t('source.name')} name="name" required maxLength={100} />}
        <Field label={t('dmarc.kind')} name="kind" type="select" defaultValue={sender.kind ?? 'service'} options={SENDER_KINDS.map((k) => [k, t('kind.' + k)])} />
        {sender.changed && <p><Button kind="quiet" icon="restore" onClick={async () => { await del('/sources/' + seg(sender.name)); say(t('senders.reset_done')); close(); done(); }}>{t('senders.reset')}</Button></p>}
        {LISTS.map((l) => <Field key={l} label={t('senders.' + l)} hint={t('senders.' + l + '_hint')} name={l} defaultValue={(sender[l] ?? []).join(', ')} />)}
      </Form>
    </Dialog>
  );
}

/** One a line: names break badly. */
const Names = ({ of }) => of.map((name) => <span class="block" key={name}>{name}</span>);

const SHOWN = 50; // at first: there are some hundred

export default function Senders({ account }) {
  const of = useData('/sources');
  const [edited, edit] = useState(null);
  const [q, setQ] = useState('');
  const [all, setAll] = useState(false);
  const can = may(account, 'operator');
  const columns = [
    { key: 'name', label: t('source.name'), main: true, show: (s) => <div>{s.name}<div class="source-about"><Kind kind={s.kind} /></div></div> },
    ...LISTS.map((l) => ({ key: l, label: t('senders.' + l), value: (s) => (s[l] ?? []).join(), show: (s) => <Names of={s[l] ?? []} /> })),
    { key: 'changed', label: t('senders.from'), value: (s) => (s.changed ? 0 : 1), show: (s) => t(s.changed ? 'senders.own' : 'senders.shipped') },
  ];
  if (can) columns.push({ key: 'edit', label: t('senders.change'), hidden: true, value: false, show: (s) => <button type="button" class="icon-button" aria-label={t('senders.edit_of', { name: s.name })} title={t('senders.change')} onClick={() => edit(s)}><Icon name="edit" /></button> });
  return (
    <Page title={t('senders.title')} lead={t('senders.lead')} back={[href('/reports'), t('menu.reports')]} actions={can && <Button kind="main" icon="plus" onClick={() => edit({})}>{t('senders.add')}</Button>}>
      <Card wide flush>
        <Loaded of={of}>{(d) => {
          const rows = d.senders.filter((s) => !q || JSON.stringify(s).toLowerCase().includes(q.toLowerCase()));
          return (
            <>
              <div class="filters in-card first"><Field label={t('senders.find')} type="search" value={q} onInput={(e) => setQ(e.currentTarget.value)} /></div>
              {rows.length === 0 ? <Empty icon="search" title={t('dmarc.no_source')} /> : <Table caption={t('senders.title')} columns={columns} rows={all ? rows : rows.slice(0, SHOWN)} row={(s) => s.name} sort={['name', 'ascending']} />}
              {!all && rows.length > SHOWN && <p class="more"><Button onClick={() => setAll(true)}>{t('senders.all', { n: rows.length })}</Button></p>}
            </>
          );
        }}</Loaded>
      </Card>
      {edited && <Edit sender={edited} close={() => edit(null)} done={of.reload} />}
    </Page>
  );
}
