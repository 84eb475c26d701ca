import { useEffect, useRef } from 'preact/hooks';
import { Icon } from './icons.jsx';

/** A page: its title, a sentence that says what it shows, what can be done on it. `back`: [address, words]. */
export function Page({ title, lead, actions, back, children }) {
  const heading = useRef(null);
  useEffect(() => { document.title = `${title} · Facteur`; }, [title]);
  useEffect(() => { if (document.activeElement === document.body) heading.current?.focus(); }, []);
  return (
    <article class="page">
      {back && <a class="back" href={back[0]}><Icon name="back" />{back[1]}</a>}
      <header class="page-head">
        <div>
          <h1 tabIndex={-1} ref={heading}>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </article>
  );
}
