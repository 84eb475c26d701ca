import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Dialog, useConfirm } from '../parts/dialog.jsx';
import { Field, Filters, Form } from '../parts/form.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';
import { setQuery } from '../router.js';

/** Addresses that lead to others; with several targets they are groups. */
export default function Aliases({ query }) {
  const list = useData('/aliases', { domain: query.domain });
  const domains = useData('/domains');
  const [editing, setEditing] = useState(query.add ? {} : null);
  const ask = useConfirm();
  const close = () => { setEditing(null); setQuery({ add: '' }); };
  const names = domains.data?.domains.map((d) => d.domain) ?? [];
  const remove = (a) => ask.now({
    title: t('aliases.remove_title', { address: a.address }), text: t('aliases.remove_text'), button: t('aliases.remove'),
    act: async () => {
      await api.del('/aliases/' + api.seg(a.address));
      say(t('aliases.removed', { address: a.address }));
      list.reload();
    },
  });
  return (
    <Page title={t('aliases.title')} lead={t('aliases.lead')}
      actions={<Button kind="main" icon="plus" onClick={() => setEditing({})}>{t('aliases.add')}</Button>}>
      {names.length > 1 && (
        <Filters onChange={setQuery}>
          <Field label={t('domains.domain')} name="domain" type="select" value={query.domain ?? ''} options={[['', t('accounts.all_domains')], ...names.map((n) => [n, n])]} />
        </Filters>
      )}
      <Card flush>
        <Loaded of={list}>
          {({ aliases }) => (aliases.length === 0 ? <Empty icon="alias" title={t('aliases.none')}>{t('aliases.none_hint')}</Empty>
            : <AliasTable aliases={aliases} onEdit={setEditing} onRemove={remove} />)}
        </Loaded>
      </Card>
      {editing && <Edit alias={editing} domain={query.domain ?? names[0]} onClose={close} onDone={() => { close(); list.reload(); }} />}
      {ask.dialog}
    </Page>
  );
}

export function AliasTable({ aliases, onEdit, onRemove }) {
  const acts = { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (a) => (
    <>
      <Button kind="quiet" icon="edit" aria-label={t('aliases.edit_one', { address: a.address })} onClick={() => onEdit(a)}>{t('ui.edit')}</Button>
      <Button kind="quiet" icon="trash" aria-label={t('aliases.remove_one', { address: a.address })} onClick={() => onRemove(a)}>{t('ui.remove')}</Button>
    </>
  ) };
  return (
    <Table caption={t('aliases.title')} rows={aliases} row={(a) => a.address} sort={['address', 'ascending']} columns={[
      { key: 'address', label: t('aliases.address'), main: true, show: (a) => (a.address.startsWith('@') ? <>{a.address} <Mark mark="note">{t('aliases.catch_all')}</Mark></>
        : a.targets.length > 1 ? <>{a.address} <Mark mark="note">{t('aliases.group', { n: a.targets.length })}</Mark></> : a.address) },
      { key: 'targets', label: t('aliases.targets'), value: (a) => a.targets.join(), show: (a) => a.targets.join(', ') },
      ...(onEdit ? [acts] : []),
    ]} />
  );
}

function Edit({ alias, domain, onClose, onDone }) {
  const fresh = !alias.address;
  const save = async ({ address, targets }) => {
    const name = fresh ? address.trim() : alias.address;
    await api.put('/aliases/' + api.seg(name), { targets: targets.split(/[\s,;]+/).filter(Boolean) });
    say(t('aliases.saved', { address: name }));
    onDone();
  };
  return (
    <Dialog title={fresh ? t('aliases.add') : t('aliases.edit_one', { address: alias.address })} onClose={onClose}>
      <Form submit={t('ui.save')} onSubmit={save} onCancel={onClose}>
        {fresh && <Field label={t('aliases.address')} hint={t('aliases.address_hint', { domain: domain ?? 'example.org' })} name="address" required autoFocus
          placeholder={'info@' + (domain ?? 'example.org')} autocapitalize="none" spellcheck={false} />}
        <Field label={t('aliases.targets')} hint={t('aliases.targets_hint')} name="targets" type="textarea" required autoFocus={!fresh} defaultValue={alias.targets?.join('\n')}
          autocapitalize="none" spellcheck={false} />
      </Form>
    </Dialog>
  );
}
