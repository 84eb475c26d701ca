import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Copy } from '../parts/copy.jsx';
import { Dialog, useConfirm } from '../parts/dialog.jsx';
import { Check, Field, Form } from '../parts/form.jsx';
import { Empty, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';

const EVENTS = ['delivered', 'deferred', 'bounced', 'complained'];

/** Programs that want to be told what became of a message. */
export default function Webhooks() {
  const list = useData('/me/webhooks');
  const [adding, setAdding] = useState(false);
  const ask = useConfirm();
  const remove = (h) => ask.now({
    title: t('webhooks.remove_title'), text: t('webhooks.remove_text', { url: h.url }), button: t('ui.remove'),
    act: async () => {
      await api.del('/me/webhooks/' + api.seg(h.id));
      list.reload();
    },
  });
  return (
    <Page title={t('webhooks.title')} lead={t('webhooks.lead')} actions={<Button kind="main" icon="plus" onClick={() => setAdding(true)}>{t('webhooks.add')}</Button>}>
      <Card flush>
        <Loaded of={list}>
          {({ webhooks }) => (webhooks.length === 0 ? <Empty icon="hook" title={t('webhooks.none')}>{t('webhooks.none_hint')}</Empty> : (
            <Table caption={t('webhooks.title')} rows={webhooks} columns={[
              { key: 'url', label: t('webhooks.url'), main: true },
              { key: 'events', label: t('webhooks.events'), value: false, show: (h) => h.events.map((e) => t(`webhooks.on_${e}`)).join(', ') },
              { key: 'last', label: t('webhooks.last'), value: (h) => h.last_at, show: (h) => <Last of={h} /> },
              { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (h) => (
                <Button kind="quiet" icon="trash" aria-label={t('webhooks.remove_one', { url: h.url })} onClick={() => remove(h)}>{t('ui.remove')}</Button>
              ) },
            ]} />
          ))}
        </Loaded>
      </Card>
      {adding && <Add onClose={() => { setAdding(false); list.reload(); }} />}
      {ask.dialog}
    </Page>
  );
}

function Last({ of }) {
  if (!of.last) return <span class="soft">{t('app.never')}</span>;
  const fine = /^2\d\d\b|^ok\b/i.test(of.last);
  return (
    <>
      <Mark mark={fine ? 'good' : 'bad'}>{fine ? t('webhooks.fine') : t('webhooks.failed')}</Mark> <Time at={of.last_at} />
      {!fine && <code class="block">{of.last}</code>}
    </>
  );
}

function Add({ onClose }) {
  const [made, setMade] = useState(null);
  const add = async (values) => setMade(await api.post('/me/webhooks', { url: values.url.trim(), events: EVENTS.filter((e) => values[e]) }));
  if (made) {
    return (
      <Dialog title={t('webhooks.made')} onClose={onClose}>
        <Notice mark="warn">{t('webhooks.once')}</Notice>
        <Copy text={made.secret} what={t('webhooks.secret')} />
        <div class="form-foot"><Button kind="main" onClick={onClose}>{t('ui.done')}</Button></div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t('webhooks.add')} onClose={onClose}>
      <Form submit={t('webhooks.add')} onCancel={onClose} onSubmit={add}>
        <Field label={t('webhooks.url')} hint={t('webhooks.url_hint')} name="url" type="url" required autoFocus placeholder="https://example.org/mail-events" />
        <fieldset>
          <legend>{t('webhooks.events')}</legend>
          {EVENTS.map((e) => <Check key={e} name={e} label={t(`webhooks.on_${e}`)} defaultChecked />)}
        </fieldset>
      </Form>
    </Dialog>
  );
}
