import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Copy } from '../parts/copy.jsx';
import { Dialog, useConfirm } from '../parts/dialog.jsx';
import { Choice, Field, Form } from '../parts/form.jsx';
import { Empty, Loaded, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';

/** Passwords for single devices and programs, which can be taken back one by one. */
export default function AppPasswords() {
  const list = useData('/me/app-passwords');
  const [making, setMaking] = useState(false);
  const ask = useConfirm();
  const remove = (p) => ask.now({
    title: t('app.remove_title', { name: p.name }), text: t('app.remove_text'), button: t('app.remove'),
    act: async () => {
      await api.del('/me/app-passwords/' + api.seg(p.id));
      say(t('app.removed', { name: p.name }));
      list.reload();
    },
  });
  const make = <Button kind="main" icon="plus" onClick={() => setMaking(true)}>{t('app.add')}</Button>;
  return (
    <Page title={t('app.title')} lead={t('app.lead')} actions={make}>
      <Card flush>
        <Loaded of={list}>
          {({ app_passwords: rows }) => (rows.length === 0 ? <Empty icon="key" title={t('app.none')}>{t('app.none_hint')}</Empty> : (
            <Table caption={t('app.title')} rows={rows} columns={[
              { key: 'name', label: t('app.name'), main: true },
              { key: 'scope', label: t('app.scope'), show: (p) => t(`app.scope_${p.scope}`) },
              { key: 'last_used', label: t('app.used'), show: (p) => (p.last_used
                ? <><Time at={p.last_used} />{p.last_peer && <span class="soft block">{t('app.from', { peer: p.last_peer })}</span>}</> : <span class="soft">{t('app.never')}</span>) },
              { key: 'created', label: t('app.created'), show: (p) => <Time at={p.created} as="moment" /> },
              { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (p) => (
                <Button kind="quiet" icon="trash" aria-label={t('app.remove_one', { name: p.name })} onClick={() => remove(p)}>{t('ui.remove')}</Button>
              ) },
            ]} />
          ))}
        </Loaded>
      </Card>
      {making && <Make onClose={() => { setMaking(false); list.reload(); }} />}
      {ask.dialog}
    </Page>
  );
}

function Make({ onClose }) {
  const [made, setMade] = useState(null);
  if (made) {
    return (
      <Dialog title={t('app.made', { name: made.name })} onClose={onClose}>
        <Notice mark="warn">{t('app.once')}</Notice>
        <Copy text={made.password} what={t('accounts.password')} />
        <div class="form-foot"><Button kind="main" onClick={onClose}>{t('ui.done')}</Button></div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t('app.add')} onClose={onClose}>
      <Form submit={t('app.add')} onCancel={onClose}
        onSubmit={async ({ name, scope }) => setMade({ name, ...(await api.post('/me/app-passwords', { name, scope })) })}>
        <Field label={t('app.name')} hint={t('app.name_hint')} name="name" required maxLength={60} autoFocus />
        <Choice label={t('app.scope')} name="scope" value="all" options={['all', 'read', 'send'].map((s) => [s, t(`app.scope_${s}`), t(`app.scope_${s}_hint`)])} />
      </Form>
    </Dialog>
  );
}
