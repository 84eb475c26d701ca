import { number } from '../format.js';

/** A part of a page with a heading of its own. */
export function Card({ title, lead, actions, children, wide, flush }) {
  return (
    <section class={'card' + (wide ? ' wide' : '') + (flush ? ' flush' : '')}>
      {(title || actions) && (
        <div class="card-head">
          <div>
            {title && <h2>{title}</h2>}
            {lead && <p class="hint">{lead}</p>}
          </div>
          {actions && <div class="actions">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

/** Cards side by side where there is room. */
export const Grid = ({ children, small, three }) => <div class={'grid' + (small ? ' small' : '') + (three ? ' three' : '')}>{children}</div>;

/** A number with its name; `href` leads to where it comes from. */
export function Stat({ label, value, note, href, mark }) {
  const inside = (
    <>
      <span class="stat-label">{label}</span>
      <span class="stat-value">{typeof value === 'number' ? number(value) : value}</span>
      {note && <span class="stat-note">{note}</span>}
    </>
  );
  const of = 'stat' + (mark ? ' mark-' + mark : '');
  return href ? <a class={of} href={href}>{inside}</a> : <div class={of}>{inside}</div>;
}

/** Names and values: facts={[[name, value], ...]}; those without value are left out. */
export function Facts({ facts }) {
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false).map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}
