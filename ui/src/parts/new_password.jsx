import { useId, useState } from 'preact/hooks';
import { t } from '../i18n.js';
import { Button } from './button.jsx';

// without letters and digits that look alike; 20 of them hold more than 100 bits
const LETTERS = 'abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789';
function invent() {
  const out = [];
  for (const n of crypto.getRandomValues(new Uint32Array(20))) out.push(LETTERS[n % LETTERS.length]);
  return out.join('').replace(/(.{5})(?=.)/g, '$1-');
}

/** A field for a password to be set: shown on request, or thought up by the browser. `of`: whose it is, for password managers. */
export function NewPassword({ label, hint, name, of }) {
  const id = useId();
  const [value, setValue] = useState('');
  const [shown, setShown] = useState(false);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {of && <input type="text" autocomplete="username" value={of} hidden readOnly />}
      <input id={id} name={name} type={shown ? 'text' : 'password'} class={shown ? 'mono' : undefined} value={value} onInput={(e) => setValue(e.currentTarget.value)}
        autocomplete="new-password" required minLength={8} aria-describedby={id + 'h'} spellcheck={false} autocapitalize="none" />
      <p class="hint" id={id + 'h'}>{hint}</p>
      <div class="form-foot">
        <Button kind="quiet" onClick={() => { setValue(invent()); setShown(true); }}>{t('password.invent')}</Button>
        <Button kind="quiet" onClick={() => setShown(!shown)}>{t(shown ? 'password.hide' : 'password.show')}</Button>
      </div>
    </div>
  );
}
