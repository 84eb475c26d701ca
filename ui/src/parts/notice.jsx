import { t } from '../i18n.js';
import { Button } from './button.jsx';
import { Icon } from './icons.jsx';

const ICONS = { good: 'check', note: 'info', warn: 'warn', bad: 'bad', unknown: 'unknown' };

/** A sentence that matters. mark: good, note, warn, bad. */
export function Notice({ mark = 'note', title, children, action, live }) {
  return (
    <div class={'notice mark-' + mark} role={live ? 'alert' : undefined}>
      <Icon name={ICONS[mark]} />
      <div class="notice-text">{title && <strong>{title}</strong>}{children && <div>{children}</div>}</div>
      {action}
    </div>
  );
}

/** A state in a word with its icon. */
export function Mark({ mark = 'note', children }) {
  return <span class={'mark mark-' + mark}><Icon name={ICONS[mark]} />{children}</span>;
}

/** Nothing here: says so, and what to do next. */
export function Empty({ icon = 'inbox', title, children, action }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p class="empty-title">{title}</p>
      {children && <p class="hint">{children}</p>}
      {action}
    </div>
  );
}

export const Loading = () => <p class="loading" role="status">{t('ui.loading')}</p>;

/** What a failed request means, with another try where that may help. */
export function Failure({ error, retry }) {
  return (
    <Notice mark="bad" live action={retry && error.status !== 403 && <Button kind="quiet" onClick={retry}>{t('ui.again')}</Button>}>{error.text ?? String(error)}</Notice>
  );
}

/** Shows `children(data)` once there is data: <Loaded of={useData(...)}>{(d) => ...}</Loaded> */
export function Loaded({ of, children }) {
  if (of.error && !of.data) return <Failure error={of.error} retry={of.reload} />;
  if (!of.data) return <Loading />;
  return (
    <>
      {of.error && <Failure error={of.error} retry={of.reload} />}
      {children(of.data)}
    </>
  );
}
