/* Which alerts are sent, from when on, and to whom. */
import { put } from '../api.js';
import { useData } from '../data.js';
import { has, t } from '../i18n.js';
import { href } from '../router.js';
import { Card } from '../parts/card.jsx';
import { wordFor } from '../parts/desk.jsx';
import { Check, Field, Form } from '../parts/form.jsx';
import { Loaded } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { say } from '../parts/toast.jsx';

const words = (group, kind) => (has(`${group}.${kind}`) ? t(`${group}.${kind}`) : '');

function Settings({ s, reload }) {
  const kinds = Object.entries(s.kinds ?? {});
  const save = async (values) => {
    const mail = values.mail.split(/[\s,;]+/).filter(Boolean);
    const changed = Object.fromEntries(kinds.map(([kind, k]) => [kind, { ...k, on: values['on ' + kind] === 'on', threshold: k.threshold === null || k.threshold === undefined ? k.threshold : Number(values['at ' + kind]) }]));
    await put('/alerts/settings', { mail, webhook: values.webhook.trim() || null, kinds: changed });
    say(t('alerts.saved'));
    reload();
  };
  return (
    <Form submit={t('ui.save')} onSubmit={save}>
      <Card title={t('alerts.to')}>
        <Field label={t('alerts.mail')} hint={t('alerts.mail_hint')} name="mail" defaultValue={(s.mail ?? []).join(', ')} />
        <Field label={t('alerts.webhook')} hint={t('alerts.webhook_hint')} name="webhook" type="url" placeholder="https://" defaultValue={s.webhook ?? ''} />
      </Card>
      <Card title={t('alerts.kinds')}>
        {kinds.map(([kind, k]) => (
          <div class="alert-setting" key={kind}>
            <Check label={wordFor('alert', kind)} hint={words('alert.about', kind)} name={'on ' + kind} defaultChecked={k.on} />
            {k.threshold !== null && k.threshold !== undefined && <Field label={words('alert.threshold', kind) || t('alerts.threshold')} name={'at ' + kind} type="number" min="0" step="any" defaultValue={k.threshold} />}
          </div>
        ))}
      </Card>
    </Form>
  );
}

export default function AlertSettings() {
  const of = useData('/alerts/settings');
  return (
    <Page title={t('alerts.settings')} lead={t('alerts.settings_lead')} back={[href('/alerts'), t('alerts.title')]}>
      <Loaded of={of}>{(s) => <Settings s={s} reload={of.reload} />}</Loaded>
    </Page>
  );
}
