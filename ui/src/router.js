/* Pages by the address after '#': '#/queue', '#/queue/17?state=held'. Patterns name parts: '/queue/:id'. */
import { useLayoutEffect, useState } from 'preact/hooks';

export function here() {
  const [path, query] = (location.hash.slice(1) || '/').split('?');
  return { path, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function href(path, query) {
  const given = Object.entries(query ?? {}).filter(([, v]) => v !== undefined && v !== null && v !== '');
  return '#' + path + (given.length ? '?' + new URLSearchParams(given) : '');
}

export const go = (path, query) => { location.hash = href(path, query); };

/** Changes the query of this page, without a step in the browser's history. */
export function setQuery(change) {
  const { path, query } = here();
  history.replaceState(null, '', href(path, { ...query, ...change }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute() {
  const [route, setRoute] = useState(here);
  useLayoutEffect(() => { // not after the painting: an address that changes before it would be missed
    const changed = () => setRoute(here());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}

/** The parts that a pattern names, or null. */
export function match(pattern, path) {
  const want = pattern.split('/'), have = path.split('/');
  if (want.length !== have.length) return null;
  const parts = {};
  for (let i = 0; i < want.length; i++) {
    if (want[i].startsWith(':')) parts[want[i].slice(1)] = decodeURIComponent(have[i]);
    else if (want[i] !== have[i]) return null;
  }
  return parts;
}
