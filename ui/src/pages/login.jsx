import { useEffect, useState } from 'preact/hooks';
import * as api from '../api.js';
import { language, languages, t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Loading, Notice } from '../parts/notice.jsx';
import { canPasskeys, proveWithPasskey } from '../passkey.js';
import { useSession } from '../session.js';
import { Logo } from '../parts/logo.jsx';

/** Everybody's door: password, second factor or passkey; or the one-time link that `facteur quickstart` prints. */
export function Login({ onEnter, token }) {
  const session = useSession();
  useEffect(() => { document.title = `${t('login.title')} · Facteur`; }, [language()]);
  return (
    <main class="login">
      <div class="login-box">
        <Logo size={56} />
        <h1>{t('login.title')}</h1>
        {token ? <ByLink token={token} onEnter={onEnter} /> : <ByPassword onEnter={onEnter} />}
      </div>
      <p class="login-languages">
        {languages.map(([code, name]) => (
          <button key={code} type="button" class="button quiet" lang={code} aria-pressed={language() === code} onClick={() => session.chooseLanguage(code)}>{name}</button>
        ))}
      </p>
    </main>
  );
}

function ByPassword({ onEnter }) {
  const [first, setFirst] = useState(null); // address and password, once a second factor is asked for
  const [methods, setMethods] = useState([]);

  const enter = async (values) => {
    try {
      onEnter((await api.post('/session', { ...first, ...values, code: values.code?.replace(/\s/g, '') || undefined })).account);
    } catch (error) {
      if (error.code !== 'login.second_factor') throw error;
      setFirst({ address: values.address, password: values.password });
      setMethods(error.error.methods ?? ['totp']);
    }
  };
  if (first && (methods.includes('totp') || methods.includes('recovery'))) {
    return (
      <>
        <p class="lead">{t('login.code_lead')}</p>
        <Form key="code" submit={t('login.enter')} onSubmit={enter} onCancel={() => setFirst(null)}>
          <Field label={t('login.code')} hint={t('login.code_hint')} name="code" inputMode="numeric" autocomplete="one-time-code" required autoFocus />
        </Form>
        {methods.includes('passkey') && <ByPasskey onEnter={onEnter} first={first} />}
      </>
    );
  }
  if (first) {
    return (
      <>
        <p class="lead">{t('login.passkey_lead')}</p>
        <ByPasskey onEnter={onEnter} first={first} />
        <Button kind="quiet" onClick={() => setFirst(null)}>{t('ui.cancel')}</Button>
      </>
    );
  }
  return (
    <>
      <p class="lead">{t('login.lead')}</p>
      <Form key="password" submit={t('login.enter')} onSubmit={enter}>
        <Field label={t('login.address')} name="address" type="email" autocomplete="username" required autoFocus />
        <Field label={t('login.password')} name="password" type="password" autocomplete="current-password" required />
      </Form>
      <ByPasskey onEnter={onEnter} />
    </>
  );
}

/** `first`: address and password, where the passkey is the second proof. */
function ByPasskey({ onEnter, first }) {
  if (!canPasskeys()) return null;
  const enter = async () => {
    const begun = await api.post('/session/passkey/begin', first);
    const proof = await proveWithPasskey(begun);
    if (proof) onEnter((await api.post('/session/passkey', proof)).account);
  };
  return (
    <>
      <p class="or"><span>{t('login.or')}</span></p>
      <Button icon="key" onClick={enter}>{t('login.passkey')}</Button>
    </>
  );
}

function ByLink({ token, onEnter }) {
  const [error, setError] = useState(null);
  useEffect(() => {
    api.post('/session/link', { token }).then((answer) => {
      location.replace('#/');
      onEnter(answer.account);
    }, setError);
  }, [token]);
  if (!error) return <Loading />;
  return (
    <>
      <Notice mark="bad" live>{t(error.status === 0 ? 'error.offline' : 'login.link_used')}</Notice>
      <a class="button" href="#/">{t('login.by_password')}</a>
    </>
  );
}
