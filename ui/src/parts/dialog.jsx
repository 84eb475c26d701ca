import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../i18n.js';
import { Form } from './form.jsx';
import { Icon } from './icons.jsx';

/** A dialog over the page: the browser keeps the focus inside, Esc closes it, and the focus goes back where it was. */
export function Dialog({ title, onClose, children }) {
  const box = useRef(null), id = useId();
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return (
    <dialog class="dialog" ref={box} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }}>
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="icon-button" aria-label={t('ui.close')} onClick={onClose}><Icon name="close" /></button>
      </div>
      {children}
    </dialog>
  );
}

/** Asks before something is done that cannot be undone: const ask = useConfirm(); ask.now({title, text, button, act}); {ask.dialog} */
export function useConfirm() {
  const [question, ask] = useState(null);
  const close = () => ask(null);
  return {
    now: ask,
    dialog: question && (
      <Dialog title={question.title} onClose={close}>
        <Form submit={question.button} danger={question.danger ?? true} onCancel={close} onSubmit={async () => { await question.act(); close(); }}>
          <p>{question.text}</p>
        </Form>
      </Dialog>
    ),
  };
}
