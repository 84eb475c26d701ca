import { useId, useState } from 'preact/hooks';
import { t } from '../i18n.js';
import { Button } from './button.jsx';
import { Notice } from './notice.jsx';

/** A form that waits for its onSubmit, which gets the fields' values by name and may be async. What it throws is shown above the
 * button, and beside the field that the error names. */
export function Form({ onSubmit, submit, children, kind = 'main', onCancel, inline, danger }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const send = async (e) => {
    e.preventDefault();
    const form = e.currentTarget;
    const values = Object.fromEntries(new FormData(form));
    setBusy(true);
    setError(null);
    try {
      await onSubmit(values, form);
    } catch (problem) {
      setError(problem);
      form.querySelector(`[name="${problem.field}"]`)?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class={inline ? 'form inline' : 'form'} onSubmit={send}>
      {children}
      {error && <Notice mark="bad" live>{error.text ?? String(error)}</Notice>}
      <div class="form-foot">
        <Button kind={danger ? 'danger' : kind} type="submit" busy={busy}>{submit}</Button>
        {onCancel && <Button kind="quiet" onClick={onCancel}>{t('ui.cancel')}</Button>}
      </div>
    </form>
  );
}

/** One field with its label and a hint. type: text, password, email, number, date, search, textarea, select (options: [[value, words]]). */
export function Field({ label, hint, name, type = 'text', options, class: more, ...rest }) {
  const id = useId();
  const described = hint ? id + 'h' : undefined;
  const shared = { id, name, 'aria-describedby': described, ...rest };
  return (
    <div class={'field' + (more ? ' ' + more : '')}>
      <label for={id}>{label}</label>
      {type === 'textarea' && <textarea {...shared} />}
      {type === 'select' && <select {...shared}>{options.map(([value, words]) => <option key={value} value={value}>{words}</option>)}</select>}
      {type !== 'textarea' && type !== 'select' && <input type={type} {...shared} />}
      {hint && <p class="hint" id={described}>{hint}</p>}
    </div>
  );
}

/** A box to tick. */
export function Check({ label, hint, ...rest }) {
  const id = useId();
  return (
    <div class="check">
      <input type="checkbox" id={id} aria-describedby={hint ? id + 'h' : undefined} {...rest} />
      <div><label for={id}>{label}</label>{hint && <p class="hint" id={id + 'h'}>{hint}</p>}</div>
    </div>
  );
}

/** One of a few, all to be seen. options: [[value, words, hint?]] */
export function Choice({ label, name, options, value, onChange }) {
  const id = useId();
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      {options.map(([v, words, hint]) => (
        <div class="check" key={v}>
          <input type="radio" id={id + v} name={name} value={v} defaultChecked={v === value} onChange={() => onChange?.(v)} />
          <div><label for={id + v}>{words}</label>{hint && <p class="hint">{hint}</p>}</div>
        </div>
      ))}
    </fieldset>
  );
}

/** Filters above a list. They apply as soon as they change (selects, dates) or with Enter. */
export function Filters({ onChange, children, label }) {
  const apply = (e) => {
    e.preventDefault();
    onChange(Object.fromEntries(new FormData(e.currentTarget)));
  };
  return <form class="filters" role="search" aria-label={label ?? t('ui.filters')} onSubmit={apply} onChange={apply}>{children}</form>;
}
