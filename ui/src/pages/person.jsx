import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { number } from '../format.js';
import { t } from '../i18n.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Facts, Grid } from '../parts/card.jsx';
import { Dialog, useConfirm } from '../parts/dialog.jsx';
import { Field, Form } from '../parts/form.jsx';
import { NewPassword } from '../parts/new_password.jsx';
import { Empty, Loaded, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { GB, Quota, quotaBytes, roles, State } from './accounts.jsx';

/** One account, for those who look after it. */
export default function Person({ address, account }) {
  const list = useData('/accounts', { domain: address.slice(address.lastIndexOf('@') + 1), limit: 1000 });
  const [resetting, setResetting] = useState(false);
  const ask = useConfirm();
  const own = address === account.address;

  const change = async (what) => {
    await api.patch('/accounts/' + api.seg(address), what);
    say(t('person.saved'));
    list.reload();
  };
  const remove = () => ask.now({
    title: t('person.remove_title', { address }), text: t('person.remove_text'), button: t('person.remove'),
    act: async () => {
      await api.del('/accounts/' + api.seg(address));
      say(t('person.removed', { address }));
      go('/accounts');
    },
  });
  const disable = () => ask.now({
    title: t('person.disable_title', { address }), text: t('person.disable_text'), button: t('person.disable'), act: () => change({ disabled: true }),
  });
  return (
    <Page title={address} lead={t('person.lead')} back={['#/accounts', t('accounts.title')]}>
      <Loaded of={list}>
        {({ accounts }) => {
          const a = accounts.find((one) => one.address === address);
          if (!a) return <Card><Empty icon="people" title={t('error.404')} /></Card>;
          return (
            <>
              {a.disabled && <Notice mark="warn" title={t('accounts.disabled')}
                action={<Button onClick={() => change({ disabled: false })}>{t('person.enable')}</Button>}>{t('person.disabled_text')}</Notice>}
              <Grid>
                <Card title={t('person.about')}>
                  <Facts facts={[
                    [t('accounts.state'), <State disabled={a.disabled} />],
                    [t('accounts.role'), t(`role.${a.role}`)],
                    [t('accounts.used'), <Quota of={a} />],
                    [t('accounts.messages'), number(a.messages)],
                    [t('person.created'), <Time at={a.created} as="moment" />],
                  ]} />
                  <p class="actions">
                    <LinkButton icon="trace" href={href('/trace', { recipient: address })}>{t('person.trace_to')}</LinkButton>
                    <LinkButton icon="trace" href={href('/trace', { sender: address })}>{t('person.trace_from')}</LinkButton>
                  </p>
                </Card>
                <Card title={t('person.change')}>
                  <Form submit={t('ui.save')} kind="plain"
                    onSubmit={({ role, quota }) => change({ ...(own ? {} : { role }), quota: quota ? quotaBytes(quota) : 0 })}>
                    {!own && <Field label={t('accounts.role')} name="role" type="select" defaultValue={a.role} options={roles(account)} hint={t('accounts.role_hint')} />}
                    <Field label={t('accounts.quota')} name="quota" inputMode="decimal" defaultValue={a.quota ? String(a.quota / GB) : ''} hint={t('accounts.quota_hint')} />
                  </Form>
                </Card>
              </Grid>
              <Card title={t('person.password')} lead={t('person.password_lead')}>
                <p class="actions"><Button icon="key" onClick={() => setResetting(true)}>{t('person.reset')}</Button></p>
              </Card>
              {!own && (
                <Card title={t('person.end')} lead={t('person.end_lead')}>
                  <p class="actions">
                    {!a.disabled && <Button icon="pause" onClick={disable}>{t('person.disable')}</Button>}
                    <Button kind="danger" icon="trash" onClick={remove}>{t('person.remove')}</Button>
                  </p>
                </Card>
              )}
            </>
          );
        }}
      </Loaded>
      {resetting && (
        <Dialog title={t('person.reset')} onClose={() => setResetting(false)}>
          <Form submit={t('person.reset')} onCancel={() => setResetting(false)} onSubmit={async ({ password }) => { await change({ password }); setResetting(false); }}>
            <NewPassword name="password" label={t('accounts.password')} hint={t('accounts.password_hint')} of={address} />
          </Form>
        </Dialog>
      )}
      {ask.dialog}
    </Page>
  );
}
