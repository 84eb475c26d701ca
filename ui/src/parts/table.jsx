import { Fragment } from 'preact';
import { useId, useState } from 'preact/hooks';
import { locale, t } from '../i18n.js';
import { Button } from './button.jsx';
import { Icon } from './icons.jsx';

const compare = (a, b) => {
  if (a === b) return 0;
  if (a === null || a === undefined || a === '') return 1;
  if (b === null || b === undefined || b === '') return -1;
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), locale(), { numeric: true });
};

/* In one piece, for phones, where it stands beside its label. */
const Cell = ({ children }) => (children === null || children === undefined || children === '' || children === false ? null : <div>{children}</div>);

/** On a phone there is no row of headings to press. */
function SortBy({ columns, sort, set }) {
  const at = useId();
  return (
    <p class="sort-by no-print">
      <label for={at}>{t('ui.sort_by')}</label>
      <select id={at} value={sort ? sort.join(' ') : ''} onChange={(e) => set(e.currentTarget.value ? e.currentTarget.value.split(' ') : null)}>
        <option value="">{t('ui.as_it_came')}</option>
        {columns.flatMap((c) => ['ascending', 'descending'].map((way) => <option key={c.key + way} value={`${c.key} ${way}`}>{t(`ui.sorted_${way}`, { name: c.label })}</option>))}
      </select>
    </p>
  );
}

/** columns: [{key, label, show(row), value(row) (to sort by; false: not to be sorted), number (right-aligned), main (the row's name)}].
 * caption names the table for those who do not see it. On a phone each row becomes a block with the labels inside.
 * `more`: loads further rows (useList). `row`: the key of a row. `select`: {chosen: Set, set(Set), name(row)} gives boxes to tick.
 * `below(row)`: what stands under the row in its whole width. */
export function Table({ caption, columns, rows, row = (r, i) => r.id ?? i, more, sort: first, select, rowClass, below }) {
  const [sort, setSort] = useState(first ?? null); // [key, 'ascending' | 'descending']
  const value = (c, r) => (c.value ? c.value(r) : r[c.key]);
  let shown = rows;
  const by = sort && columns.find((c) => c.key === sort[0]);
  if (by) {
    shown = [...rows].sort((a, b) => compare(value(by, a), value(by, b)));
    if (sort[1] === 'descending') shown.reverse();
  }
  const turn = (c) => setSort((s) => [c.key, s?.[0] === c.key ? (s[1] === 'ascending' ? 'descending' : 'ascending') : c.number ? 'descending' : 'ascending']);
  const sortable = columns.filter((c) => c.value !== false && c.label);
  const keys = shown.map(row);
  const all = select && keys.length > 0 && keys.every((k) => select.chosen.has(k));
  const tick = (k) => {
    const next = new Set(select.chosen);
    if (!next.delete(k)) next.add(k);
    select.set(next);
  };
  return (
    <div class="table-box">
      {sortable.length > 1 && shown.length > 2 && <SortBy columns={sortable} sort={sort} set={setSort} />}
      <table role="table">
        <caption class="unseen">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {select && (
              <th role="columnheader" class="tick">
                <input type="checkbox" aria-label={t('ui.select_all')} checked={all} onChange={() => select.set(new Set(all ? [] : keys))} />
              </th>
            )}
            {columns.map((c) => (
              <th key={c.key} role="columnheader" class={c.number ? 'number' : undefined} aria-sort={sort?.[0] === c.key ? sort[1] : undefined}>
                {c.value === false || !c.label ? <span class={c.hidden ? 'unseen' : undefined}>{c.label}</span> : (
                  <button type="button" class="sort" onClick={() => turn(c)}>
                    {c.label}<Icon name={sort?.[0] !== c.key ? 'sort' : sort[1] === 'ascending' ? 'sort_up' : 'sort_down'} />
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {shown.map((r, i) => (
            <Fragment key={keys[i]}>
              <tr role="row" class={rowClass?.(r)}>
                {select && (
                  <td role="cell" class="tick">
                    <input type="checkbox" aria-label={t('ui.select_row', { name: select.name?.(r) || keys[i] })} checked={select.chosen.has(keys[i])} onChange={() => tick(keys[i])} />
                  </td>
                )}
                {columns.map((c) => (
                  <td key={c.key} role="cell" data-label={c.hidden ? undefined : c.label} class={[c.number && 'number', c.main && 'main', c.hidden && 'acts'].filter(Boolean).join(' ') || undefined}>
                    <Cell>{c.show ? c.show(r) : c.number ? (r[c.key] ?? 0).toLocaleString(locale()) : r[c.key]}</Cell>
                  </td>
                ))}
              </tr>
              {below && <tr role="row" class="below"><td role="cell" colSpan={columns.length + (select ? 1 : 0)}>{below(r)}</td></tr>}
            </Fragment>
          ))}
        </tbody>
      </table>
      {more && <p class="more"><Button onClick={more}>{t('ui.more')}</Button></p>}
    </div>
  );
}
