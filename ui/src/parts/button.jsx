import { useState } from 'preact/hooks';
import { say } from './toast.jsx';
import { Icon } from './icons.jsx';

/** kind: plain, main (one a page), danger, quiet. While the promise of onClick runs the button cannot be pressed again; what it
 * throws is said at the foot of the page. */
export function Button({ kind = 'plain', icon, onClick, children, type = 'button', busy, ...rest }) {
  const [works, setWorks] = useState(false);
  const press = async (e) => {
    const result = onClick?.(e);
    if (!result?.then) return;
    setWorks(true);
    try {
      await result;
    } catch (error) {
      say(error.text ?? String(error), 'bad');
    } finally {
      setWorks(false);
    }
  };
  return (
    <button type={type} class={'button ' + kind} onClick={press} aria-busy={works || busy || undefined} disabled={works || busy} {...rest}>
      {icon && <Icon name={icon} />}{children}
    </button>
  );
}

/** A link that looks like a button. */
export function LinkButton({ kind = 'plain', icon, children, ...rest }) {
  return <a class={'button ' + kind} {...rest}>{icon && <Icon name={icon} />}{children}</a>;
}
