/* Data from the API in components. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { get } from './api.js';

/** const { data, error, loading, reload } = useData('/queue', {state}, {every: 10}). Path null: nothing is asked for.
 * What was there stays while newer data is fetched. `every`: seconds, while the page is seen. */
export function useData(path, params, { every } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: path !== null });
  const key = path === null ? null : path + JSON.stringify(params ?? {});
  const turn = useRef(0);

  const reload = useCallback(async () => {
    if (path === null) return;
    const mine = ++turn.current;
    setState((s) => ({ ...s, loading: true }));
    try {
      const data = await get(path, params);
      if (mine === turn.current) setState({ data, error: null, loading: false });
    } catch (error) {
      if (mine === turn.current) setState((s) => ({ data: error.status === 0 ? s.data : null, error, loading: false }));
    }
  }, [key]);

  useEffect(() => {
    reload();
    return () => { turn.current++; };
  }, [key]);
  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => { if (!document.hidden) reload(); }, every * 1000);
    return () => clearInterval(timer);
  }, [key, every]);
  return { ...state, reload };
}

/** A list in pieces: const { rows, data, error, loading, more, reload } = useList('/audit', 'audit', params). `more` is null at the end. */
export function useList(path, name, params) {
  const first = useData(path, params);
  const [rest, setRest] = useState({ rows: [], next: undefined });
  const key = path + JSON.stringify(params ?? {});
  useEffect(() => setRest({ rows: [], next: undefined }), [first.data, key]);
  const next = rest.next === undefined ? first.data?.next : rest.next;
  const more = next ? async () => {
    const page = await get(path, { ...params, after: next });
    setRest((r) => ({ rows: [...r.rows, ...page[name]], next: page.next ?? null }));
  } : null;
  return { ...first, rows: first.data ? [...(first.data[name] ?? []), ...rest.rows] : null, more };
}
