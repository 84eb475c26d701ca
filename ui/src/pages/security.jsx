import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Copy, copyText } from '../parts/copy.jsx';
import { Dialog, useConfirm } from '../parts/dialog.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Empty, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { QrCode } from '../parts/qr.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';
import { canPasskeys, makePasskey } from '../passkey.js';
import { useSession } from '../session.js';

/** What protects the log-in here: second factors, passkeys, and where one is logged in. */
export default function Security({ account }) {
  return (
    <Page title={t('security.title')} lead={t('security.lead')}>
      <Totp account={account} />
      <Passkeys />
      <Sessions />
    </Page>
  );
}

function Totp({ account }) {
  const session = useSession();
  const [step, setStep] = useState(null); // {secret, uri}, {recovery} or 'off'
  const close = () => { setStep(null); session.refresh(); };
  return (
    <Card title={t('totp.title')} lead={t('totp.lead')} actions={account.totp ? <Mark mark="good">{t('totp.on')}</Mark> : <Mark mark="warn">{t('totp.off')}</Mark>}>
      <p class="actions">
        {account.totp ? <Button icon="trash" onClick={() => setStep('off')}>{t('totp.switch_off')}</Button>
          : <Button icon="shield" onClick={async () => setStep(await api.post('/me/totp'))}>{t('totp.switch_on')}</Button>}
        {(account.totp || account.passkeys > 0) && <Button icon="retry" onClick={() => setStep('again')}>{t('totp.again')}</Button>}
      </p>
      {step?.uri && <TotpNew step={step} onClose={close} onDone={setStep} />}
      {step?.recovery && <Recovery codes={step.recovery} onClose={close} />}
      {step === 'again' && (
        <Dialog title={t('totp.again')} onClose={close}>
          <p>{t('totp.again_text')}</p>
          <Form submit={t('totp.again')} onCancel={close} onSubmit={async ({ password }) => setStep(await api.post('/me/recovery', { password }))}>
            <Field label={t('login.password')} name="password" type="password" autocomplete="current-password" required autoFocus />
          </Form>
        </Dialog>
      )}
      {step === 'off' && (
        <Dialog title={t('totp.switch_off')} onClose={close}>
          <p>{t('totp.off_text')}</p>
          <Form submit={t('totp.switch_off')} danger onCancel={close} onSubmit={async ({ password }) => { await api.del('/me/totp', { password }); say(t('totp.is_off')); close(); }}>
            <Field label={t('login.password')} name="password" type="password" autocomplete="current-password" required autoFocus />
          </Form>
        </Dialog>
      )}
    </Card>
  );
}

/** Codes for the day the phone is lost; and what changes for mail programs, said when it does. */
function Recovery({ codes, onClose }) {
  return (
    <Dialog title={t('totp.recovery')} onClose={onClose}>
      <Notice mark="warn">{t('totp.recovery_text')}</Notice>
      <ul class="codes">{codes.map((code) => <li key={code}><code>{code}</code></li>)}</ul>
      <p>{t('totp.programs')} <a href="#/app-passwords">{t('menu.app_passwords')}</a></p>
      <div class="form-foot">
        <Button kind="main" onClick={onClose}>{t('ui.done')}</Button>
        <Button icon="copy" onClick={() => copyText(codes.join('\n'))}>{t('ui.copy')}</Button>
      </div>
    </Dialog>
  );
}

function TotpNew({ step, onClose, onDone }) {
  const confirm = async ({ code }) => {
    const answer = await api.put('/me/totp', { code: code.replace(/\s/g, '') });
    say(t('totp.is_on'));
    onDone({ recovery: answer.recovery ?? [] });
  };
  return (
    <Dialog title={t('totp.switch_on')} onClose={onClose}>
      <p>{t('totp.scan')}</p>
      <QrCode text={step.uri} label={t('totp.qr')} />
      <p class="hint">{t('totp.by_hand')}</p>
      <Copy text={step.secret} what={t('totp.secret')} />
      <Form submit={t('totp.confirm')} onCancel={onClose} onSubmit={confirm}>
        <Field label={t('login.code')} hint={t('totp.code_hint')} name="code" inputMode="numeric" autocomplete="one-time-code" required />
      </Form>
    </Dialog>
  );
}

function Passkeys() {
  const list = useData('/me/passkeys');
  const session = useSession();
  const [naming, setNaming] = useState(false);
  const [codes, setCodes] = useState(null);
  const ask = useConfirm();
  const done = () => { list.reload(); session.refresh(); };
  const add = async ({ name }) => {
    const credential = await makePasskey(await api.post('/me/passkeys/begin'));
    setNaming(false);
    if (!credential) return;
    const answer = await api.post('/me/passkeys', { ...credential, name });
    say(t('passkey.added'));
    list.reload();
    if (answer?.recovery) setCodes(answer.recovery);
    else session.refresh();
  };
  const remove = (p) => ask.now({
    title: t('passkey.remove_title', { name: p.name }), text: t('passkey.remove_text'), button: t('ui.remove'),
    act: async () => {
      await api.del('/me/passkeys/' + api.seg(p.id));
      done();
    },
  });
  return (
    <Card flush title={t('passkey.title')} lead={t('passkey.lead')}
      actions={canPasskeys() && <Button icon="plus" onClick={() => setNaming(true)}>{t('passkey.add')}</Button>}>
      <Loaded of={list}>
        {({ passkeys }) => (passkeys.length === 0 ? <Empty icon="key" title={t('passkey.none')}>{t('passkey.none_hint')}</Empty> : (
          <Table caption={t('passkey.title')} rows={passkeys} columns={[
            { key: 'name', label: t('app.name'), main: true },
            { key: 'created', label: t('app.created'), show: (p) => <Time at={p.created} as="moment" /> },
            { key: 'last_used', label: t('app.used'), show: (p) => (p.last_used ? <Time at={p.last_used} /> : <span class="soft">{t('app.never')}</span>) },
            { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (p) => (
              <Button kind="quiet" icon="trash" aria-label={t('app.remove_one', { name: p.name })} onClick={() => remove(p)}>{t('ui.remove')}</Button>
            ) },
          ]} />
        ))}
      </Loaded>
      {naming && (
        <Dialog title={t('passkey.add')} onClose={() => setNaming(false)}>
          <Form submit={t('passkey.go_on')} onCancel={() => setNaming(false)} onSubmit={add}>
            <Field label={t('app.name')} hint={t('passkey.name_hint')} name="name" required maxLength={60} autoFocus />
          </Form>
        </Dialog>
      )}
      {codes && <Recovery codes={codes} onClose={() => { setCodes(null); session.refresh(); }} />}
      {ask.dialog}
    </Card>
  );
}

function Sessions() {
  const list = useData('/me/sessions');
  const end = async (s) => {
    await api.del('/me/sessions/' + api.seg(s.id));
    say(t('sessions.ended'));
    list.reload();
  };
  return (
    <Card flush title={t('sessions.title')} lead={t('sessions.lead')}>
      <Loaded of={list}>
        {({ sessions }) => (
          <Table caption={t('sessions.title')} rows={sessions} columns={[
            { key: 'agent', label: t('sessions.agent'), main: true, show: (s) => <>{browser(s.agent)}{s.current && <> <Mark mark="good">{t('sessions.this')}</Mark></>}</> },
            { key: 'peer', label: t('sessions.peer') },
            { key: 'seen', label: t('sessions.seen'), show: (s) => <Time at={s.seen} /> },
            { key: 'created', label: t('sessions.created'), show: (s) => <Time at={s.created} as="moment" /> },
            { key: 'acts', label: t('ui.actions'), hidden: true, value: false, show: (s) => !s.current && (
              <Button kind="quiet" icon="logout" aria-label={t('sessions.end_one', { name: browser(s.agent) })} onClick={() => end(s)}>{t('sessions.end')}</Button>
            ) },
          ]} />
        )}
      </Loaded>
    </Card>
  );
}

const BROWSERS = [[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl\//, 'curl']];
const SYSTEMS = [[/iPhone|iPad/, 'iOS'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']];
function browser(agent) {
  const name = (list) => list.find(([pattern]) => pattern.test(agent ?? ''))?.[1];
  return [name(BROWSERS), name(SYSTEMS)].filter(Boolean).join(' · ') || agent || t('sessions.unknown');
}
