import { exact, moment, relative } from '../format.js';

/** A time: "5 minutes ago" with the exact time as its title, or the date with as="moment" or "exact". */
export function Time({ at, as = 'relative' }) {
  if (!at) return null;
  return <time dateTime={at} title={exact(at)}>{as === 'relative' ? relative(at) : as === 'exact' ? exact(at) : moment(at)}</time>;
}
