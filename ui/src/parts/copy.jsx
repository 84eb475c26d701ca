import { t } from '../i18n.js';
import { Button } from './button.jsx';
import { say } from './toast.jsx';

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    say(t('ui.copied'));
  } catch {
    say(t('ui.not_copied'), 'bad'); // without TLS browsers have no clipboard
  }
}

/** What is to be copied, with its button. `what` names it for those who do not see it. */
export function Copy({ text, what }) {
  return (
    <div class="copy">
      <code>{text}</code>
      <Button kind="quiet" icon="copy" aria-label={t('ui.copy_what', { what })} onClick={() => copyText(text)}>{t('ui.copy')}</Button>
    </div>
  );
}
