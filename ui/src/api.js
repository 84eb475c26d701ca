/* The client of the JSON API. Answers are objects; what is refused is thrown as ApiError. */
import { has, language, t } from './i18n.js';

export class ApiError extends Error {
  constructor(status, error) {
    super(error?.code ?? 'status.' + status);
    this.status = status;
    this.code = error?.code ?? '';
    this.field = error?.field;
    this.said = error?.text;
    this.error = error;
  }
  /** A sentence for people: by the code where there is one, by the kind of failure otherwise. */
  get text() {
    for (const key of [this.field && 'error.field.' + this.field, 'error.' + this.code, 'error.' + this.status]) if (has(key)) return t(key);
    return t(this.status >= 500 ? 'error.server' : 'error.refused');
  }
}

let onLoggedOut = () => {};
export const whenLoggedOut = (tell) => { onLoggedOut = tell; };

function address(path, params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) if (value !== undefined && value !== null && value !== '') query.set(name, value);
  const text = query.toString();
  return 'api' + path + (text ? '?' + text : '');
}
/** For links to what the browser fetches itself (exports). */
export const apiUrl = address;

async function call(method, path, { params, body, raw, type, signal } = {}) {
  const headers = { Accept: 'application/json', 'Accept-Language': language() };
  if (method !== 'GET') headers['Content-Type'] = type ?? 'application/json';
  let answer;
  try {
    answer = await fetch(address(path, params), {
      method, headers, signal, credentials: 'same-origin', body: raw ?? (method === 'GET' ? undefined : JSON.stringify(body ?? {})),
    });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError(0, { code: 'offline' });
  }
  const text = await answer.text();
  let json = null;
  try {
    json = text ? JSON.parse(text) : null;
  } catch { /* a proxy's page, perhaps */ }
  if (!answer.ok) {
    if (answer.status === 401 && !path.startsWith('/session')) onLoggedOut();
    throw new ApiError(answer.status, json?.error);
  }
  return json;
}

export const get = (path, params, signal) => call('GET', path, { params, signal });
export const post = (path, body) => call('POST', path, { body });
export const put = (path, body) => call('PUT', path, { body });
export const patch = (path, body) => call('PATCH', path, { body });
export const del = (path, body) => call('DELETE', path, { body });
/** A file's bytes as they are: upload('POST', '/reports', file, params). */
export const upload = (method, path, file, params) => call(method, path, { raw: file, type: file.type || 'application/octet-stream', params });
/** A part of a path: seg('a b@c') */
export const seg = encodeURIComponent;
