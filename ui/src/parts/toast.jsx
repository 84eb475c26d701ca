import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n.js';
import { Icon } from './icons.jsx';

let show = () => {};
/** Says at the foot of the page that something was done (mark good) or not (bad). */
export const say = (text, mark = 'good') => show({ text, mark, at: Date.now() });

export function Toasts() {
  const [toast, setToast] = useState(null);
  show = setToast;
  useEffect(() => {
    if (!toast || toast.mark === 'bad') return undefined; // what failed stays until it is closed
    const timer = setTimeout(() => setToast(null), 6000);
    return () => clearTimeout(timer);
  }, [toast]);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toast && (
        <div class={'toast mark-' + toast.mark}>
          <Icon name={toast.mark === 'bad' ? 'bad' : 'check'} />
          <span>{toast.text}</span>
          <button type="button" class="icon-button" aria-label={t('ui.close')} onClick={() => setToast(null)}><Icon name="close" /></button>
        </div>
      )}
    </div>
  );
}
