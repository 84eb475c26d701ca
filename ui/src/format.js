/* Times, numbers and sizes as the language writes them. Times come as RFC 3339 text, days as "2026-11-22". */
import { locale, t } from './i18n.js';

const cache = new Map();
function made(kind, options) {
  const key = locale() + kind.name + JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new kind(locale(), options));
  return cache.get(key);
}
const dateTime = (options) => made(Intl.DateTimeFormat, options);

export const number = (n) => (n ?? 0).toLocaleString(locale());
export const decimal = (n, digits = 1) => made(Intl.NumberFormat, { maximumFractionDigits: digits }).format(n);
/** 0.9964 -> "99.6 %"; never rounds up to 100 what is not all. */
export function percent(share, digits = 1) {
  const scale = 10 ** (digits + 2);
  const value = share < 1 ? Math.floor(share * scale) / scale : share;
  return made(Intl.NumberFormat, { style: 'percent', maximumFractionDigits: digits }).format(value);
}
export const short = (n) => made(Intl.NumberFormat, { notation: 'compact', maximumFractionDigits: 1 }).format(n);

/** 22 Nov 2026, 14:02 */
export const moment = (at) => dateTime({ dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
/** with seconds, for traces and logs */
export const exact = (at) => dateTime({ dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at));
export const clock = (at) => dateTime({ timeStyle: 'medium' }).format(new Date(at));
/** A day is the same everywhere: it is not moved by the time zone. */
export const day = (d, dateStyle = 'medium') => dateTime({ dateStyle, timeZone: 'UTC' }).format(new Date(d.slice(0, 10) + 'T00:00:00Z'));
export const shortDay = (d) => dateTime({ day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(d.slice(0, 10) + 'T00:00:00Z'));

const STEPS = [['second', 60], ['minute', 60], ['hour', 24], ['day', 30], ['month', 12], ['year', Infinity]];
/** "5 minutes ago", "in 2 hours" */
export function relative(at, now = Date.now()) {
  let n = (new Date(at) - now) / 1000;
  for (const [unit, many] of STEPS) {
    if (Math.abs(n) < many) return made(Intl.RelativeTimeFormat, { numeric: 'auto' }).format(Math.trunc(n), unit);
    n /= many;
  }
}

/** The last second of a day, where a list is asked for up to it. */
export const dayEnd = (d) => (d ? d + 'T23:59:59Z' : d);

/** A span: "1.2 s", "3 min" */
export function span(seconds) {
  if (seconds < 1) return t('unit.ms', { n: Math.round(seconds * 1000) });
  if (seconds < 90) return t('unit.s', { n: Math.round(seconds * 10) / 10 });
  if (seconds < 5400) return t('unit.min', { n: Math.round(seconds / 60) });
  if (seconds < 172800) return t('unit.h', { n: Math.round(seconds / 3600) });
  return t('unit.d', { n: Math.round(seconds / 86400) });
}

const SIZES = ['unit.b', 'unit.kb', 'unit.mb', 'unit.gb', 'unit.tb'];
export function bytes(n) {
  let i = 0;
  for (n ??= 0; n >= 1000 && i < SIZES.length - 1; i++) n /= 1000;
  return t(SIZES[i], { n: n < 10 && i > 0 ? Math.round(n * 10) / 10 : Math.round(n) });
}
