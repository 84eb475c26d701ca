/* Charts over days, drawn by uPlot on a canvas in the theme's colours. What is drawn can be read as a table too, by everybody:
 * a canvas says nothing to a screen reader, and a mouse is not always there. */
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { decimal, number, percent, shortDay, day as longDay, short } from '../format.js';
import { t } from '../i18n.js';

const DAY_S = 86400;
const seconds = (d) => Date.parse(d + 'T00:00:00Z') / 1000;
const dayOf = (s) => new Date(s * 1000).toISOString().slice(0, 10);

/** Rows for every day from `from` to `to`, with `zero` where there is none. */
export function everyDay(rows, from, to, zero) {
  const known = new Map(rows.map((r) => [r.day, r]));
  const out = [];
  for (let at = seconds(from); at <= seconds(to) && out.length < 1500; at += DAY_S) {
    const d = dayOf(at);
    out.push(known.get(d) ?? { ...zero, day: d });
  }
  return out;
}

/* On paper charts have the colours of the light theme, whatever the screen shows: a canvas knows nothing of the style for print. */
const PAPER = { '--soft': '#444444', '--line': '#cccccc', '--chart-good': '#2f8f63', '--chart-bad': '#d9694f', '--chart-1': '#3b6fb6', '--chart-2': '#a8620d' };
let printing = false;
const colour = (name) => (printing ? PAPER[name] : getComputedStyle(document.documentElement).getPropertyValue(name).trim());

/** With alpha: colours of the theme are written #rrggbb. */
const faint = (c, alpha) => (/^#[0-9a-f]{6}$/i.test(c) ? c + Math.round(alpha * 255).toString(16).padStart(2, '0') : c);

/** What uPlot is to draw. Stacked series are summed up from the last one; the first is drawn on top of the others. */
function plan({ days, series, kind, stacked, unit, height }, width, onDay) {
  const x = days.map(seconds);
  let drawn = series;
  if (stacked) {
    let below = days.map(() => 0);
    drawn = series.map((s) => {
      below = below.map((n, i) => n + (s.values[i] ?? 0));
      return { ...s, values: below };
    }).reverse();
  }
  const axis = {
    stroke: colour('--soft'), font: '12px system-ui, sans-serif', ticks: { show: false },
    grid: { stroke: colour('--line'), width: 1 }, border: { show: false },
  };
  const show = unit === 'percent' ? (v) => percent(v, 0) : short;
  const wide = Math.max(...series.flatMap((s) => s.values.map((v) => v ?? 0)), 1) > 9999;
  return [{
    width, height, padding: [10, 8, 0, 0], legend: { show: false }, tzDate: (s) => uPlot.tzDate(new Date(s * 1000), 'UTC'),
    cursor: { y: false, drag: { x: false, y: false }, points: { show: kind !== 'bars', size: 7 } },
    scales: {
      x: { time: true, range: (u, min, max) => (kind === 'bars' ? [min - DAY_S / 2, max + DAY_S / 2] : [min, max]) },
      y: { range: (u, min, max) => (unit === 'percent' ? [0, 1] : [0, Math.max(max * 1.08, 1)]) },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 64, values: (u, at) => at.map((s) => (s % DAY_S === 0 ? shortDay(dayOf(s)) : '')), size: 28 },
      { ...axis, space: 36, size: wide || unit === 'percent' ? 56 : 44, values: (u, at) => at.map((v) => (unit !== 'percent' && v % 1 ? '' : show(v))) },
    ],
    series: [{}].concat(drawn.map((s) => {
      const c = colour(s.colour);
      if (kind === 'bars') return { stroke: c, fill: c, width: 0, paths: uPlot.paths.bars({ size: [0.72, 28], radius: stacked ? 0 : 0.2 }), points: { show: false } };
      if (kind === 'area') return { stroke: c, fill: stacked ? c : faint(c, 0.16), width: stacked ? 0 : 2, points: { show: false } };
      return { stroke: c, width: 2, dash: s.dash, points: { show: days.length === 1 } };
    })),
    hooks: { setCursor: [(u) => onDay(u.cursor.idx ?? null)] },
  }, [x].concat(drawn.map((s) => s.values))];
}

/** Days of the chart as a table, which a click opens. */
function Numbers({ days, series, show, label }) {
  return (
    <details class="chart-numbers">
      <summary>{t('chart.numbers')}</summary>
      <div class="chart-table" tabindex="0" role="region" aria-label={label}>
        <table>
          <caption class="unseen">{label}</caption>
          <thead>
            <tr><th scope="col">{t('chart.day')}</th>{series.map((s) => <th scope="col" class="number" key={s.label}>{s.label}</th>)}</tr>
          </thead>
          <tbody>
            {days.map((d, i) => (
              <tr key={d}><th scope="row">{longDay(d)}</th>{series.map((s) => <td class="number" key={s.label}>{s.values[i] === null ? '–' : show(s.values[i])}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** days: ["2026-11-01", ...]; series: [{label, values, colour: '--good', dash?}], null where there is no value.
 * kind: bars, area, line; unit: number, percent (values from 0 to 1); label: what the chart is about, in words. */
export function Chart({ days, series, kind = 'bars', stacked = false, unit = 'number', label, height = 220 }) {
  const place = useRef(null);
  const [at, setAt] = useState(null);
  const show = unit === 'percent' ? percent : (v) => (v % 1 ? decimal(v) : number(v));
  const key = JSON.stringify([days, series, kind, stacked, unit, height]);

  useEffect(() => {
    let chart = null;
    const draw = () => {
      chart?.destroy();
      const [options, data] = plan({ days, series, kind, stacked, unit, height }, Math.max(place.current.clientWidth, 120), setAt);
      chart = new uPlot(options, data, place.current);
      chart.root.setAttribute('aria-hidden', 'true');
    };
    draw();
    const resized = new ResizeObserver(() => {
      const width = place.current?.clientWidth ?? 0;
      if (width > 0 && width !== chart.width) chart.setSize({ width, height });
    });
    resized.observe(place.current);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const print = (e) => {
      printing = e.type === 'beforeprint';
      draw();
    };
    dark.addEventListener('change', draw);
    addEventListener('beforeprint', print);
    addEventListener('afterprint', print);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', draw);
      removeEventListener('beforeprint', print);
      removeEventListener('afterprint', print);
      chart.destroy();
    };
  }, [key]);

  const total = (s) => (unit === 'percent' ? null : s.values.reduce((a, v) => a + (v ?? 0), 0));
  return (
    <figure class="chart" aria-label={label}>
      <figcaption class="chart-legend">
        <span class="chart-day">{at === null || !days[at] ? t('chart.whole') : longDay(days[at])}</span>
        {series.map((s) => {
          const value = at === null || !days[at] ? total(s) : s.values[at];
          return (
            <span class="chart-key" key={s.label}>
              <svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" rx="3" class={'fill' + s.colour} /></svg>{s.label}
              {value !== null && value !== undefined && <b>{show(value)}</b>}
            </span>
          );
        })}
      </figcaption>
      <div class="chart-place" ref={place} />
      <Numbers days={days} series={series} show={show} label={label} />
    </figure>
  );
}
