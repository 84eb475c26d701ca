/* What the pages about reports share: the domain and the period that they are about, their tabs, exports, and words for what reports say. */
import { useEffect, useRef } from 'preact/hooks';
import { apiUrl, seg } from '../api.js';
import { useData } from '../data.js';
import { day as writeDay, percent } from '../format.js';
import { has, t } from '../i18n.js';
import { go, here, href, setQuery, useRoute } from '../router.js';
import { Button, LinkButton } from './button.jsx';
import { Field } from './form.jsx';
import { Empty, Mark } from './notice.jsx';
import { Page } from './page.jsx';

const DAY_MS = 86400000;
const iso = (ms) => new Date(ms).toISOString().slice(0, 10);
const SPANS = [7, 30, 90, 365];

/** {from, to, days} of the address's query; the last 30 days (UTC, as reports count) unless it says otherwise. */
export function usePeriod() {
  const { query } = useRoute();
  const to = /^\d{4}-\d\d-\d\d$/.test(query.to ?? '') ? query.to : iso(Date.now());
  const days = Number(query.days) || 30;
  const from = /^\d{4}-\d\d-\d\d$/.test(query.from ?? '') ? query.from : iso(Date.parse(to) - (days - 1) * DAY_MS);
  return { from, to, days: query.from ? 0 : days };
}

/** The part of the query that goes along from page to page. */
export function periodQuery() {
  const { query } = here();
  return { days: query.days, from: query.from, to: query.to };
}

export const share = (part, whole) => (whole > 0 ? part / whole : 0);
/** "98.7 %", or a dash where nothing was counted. */
export const shareText = (part, whole) => (whole > 0 ? percent(part / whole) : '–');

/** The domains that this account may see. */
export const useDomains = () => {
  const of = useData('/domains');
  return { ...of, names: of.data?.domains.map((d) => d.domain) ?? [] };
};

/** Domain and period, above all that is about reports. */
export function Scope({ domain, path, period = true }) {
  const { names } = useDomains();
  const span = usePeriod();
  const all = names.includes(domain) ? names : [domain, ...names];
  return (
    <form class="filters scope no-print" aria-label={t('desk.scope')} onSubmit={(e) => e.preventDefault()}>
      <Field label={t('desk.domain')} type="select" value={domain} options={all.map((d) => [d, d])}
        onChange={(e) => go(path.replace(':domain', seg(e.currentTarget.value)), periodQuery())} />
      {period && (
        <Field label={t('desk.period')} type="select" value={String(span.days)}
          options={[...SPANS.map((n) => [String(n), t('desk.last_days', { n })]), ['0', t('desk.own_period')]]}
          onChange={(e) => {
            const n = Number(e.currentTarget.value);
            setQuery(n ? { days: n, from: '', to: '' } : { days: '', from: span.from, to: span.to });
          }} />
      )}
      {period && span.days === 0 && [['from', span.from], ['to', span.to]].map(([name, value]) => (
        <Field key={name} label={t('desk.' + name)} type="date" value={value} onChange={(e) => e.currentTarget.value && setQuery({ [name]: e.currentTarget.value })} />
      ))}
    </form>
  );
}

const TABS = [['', 'desk.tab.dmarc'], ['/path', 'desk.tab.path'], ['/received', 'desk.tab.received'], ['/tls', 'desk.tab.tls'], ['/failures', 'desk.tab.failures']];

/** One of the pages of a domain's reports. `tab`: the end of its address. */
export function ReportsPage({ domain, tab, title, lead, actions, children }) {
  const span = usePeriod();
  const base = '/reports/' + seg(domain);
  const here = useRef(null);
  useEffect(() => { here.current.scrollLeft = here.current.querySelector('[aria-current]').offsetLeft - here.current.offsetLeft - 32; }, []); // on phones not all have room
  return (
    <Page title={title} lead={lead} actions={actions}>
      <p class="print-only">{t('desk.printed', { domain, from: writeDay(span.from), to: writeDay(span.to) })}</p>
      <Scope domain={domain} path={'/reports/:domain' + tab} />
      <nav class="tabs no-print" ref={here} aria-label={t('desk.tabs')}>
        {TABS.map(([end, label]) => (
          <a key={end} href={href(base + end, periodQuery())} aria-current={end === tab ? 'page' : undefined}>{t(label)}</a>
        ))}
      </nav>
      {children}
    </Page>
  );
}

/** Buttons that save what the page shows. kind: dmarc, sources, tls, failure. */
export function Exports({ domain, kind }) {
  const { from, to } = usePeriod();
  const of = (format) => apiUrl('/reports/export', { domain, kind, format, from, to });
  return (
    <>
      <LinkButton kind="quiet" icon="down" href={of('csv')} download={`${domain}-${kind}.csv`}>CSV</LinkButton>
      <LinkButton kind="quiet" icon="down" href={of('json')} download={`${domain}-${kind}.json`}>JSON</LinkButton>
      <Button kind="quiet" icon="print" onClick={() => { window.print(); }}>{t('desk.print')}</Button>
    </>
  );
}

export const MARK_ICONS = { good: 'check', note: 'info', warn: 'warn', bad: 'bad', unknown: 'unknown' };
export const KINDS = ['ours', 'service', 'forwarder', 'list', 'threat', 'unknown'];
const KIND_MARKS = { ours: 'good', service: 'good', forwarder: 'note', list: 'note', threat: 'bad', unknown: 'unknown' };
export const Kind = ({ kind }) => <Mark mark={KIND_MARKS[kind] ?? 'unknown'}>{t('kind.' + (KINDS.includes(kind) ? kind : 'unknown'))}</Mark>;

/** How a code of advice is meant. Codes are the server's; a test compares its list with the catalogues. */
export function adviceMark(code) {
  const [kind, end] = (code ?? '').split('.');
  if (end === 'good' || end === 'stopped') return 'good';
  if (code === 'ours.unsigned' || code === 'threat.open') return 'bad';
  if (code === 'ours.spf' || kind === 'forwarder' || kind === 'list') return 'note';
  return 'warn';
}
/** Sources that somebody should do something about. */
export const needsCare = (s) => ['warn', 'bad'].includes(adviceMark(s.advice));

const said = (key, args) => (has(key) ? t(key, args) : '');
export const adviceText = (code, args) => said('advice.' + code, args) || t('advice.other', args);
export const adviceDo = (code, args) => said('advice.' + code + '.do', args);

/** A two-letter country in words. */
export function country(code, language) {
  if (!code) return '';
  try {
    return new Intl.DisplayNames([language], { type: 'region' }).of(code);
  } catch {
    return code;
  }
}

/** Words for a code that reports carry ("mailing_list"); the code itself where there are none. */
export const wordFor = (group, code) => said(`${group}.${code}`) || code;

/** Leads to the reports of the first domain; says what to do where there is none. */
export function FirstDomain({ to }) {
  const { data, error, names, reload } = useDomains();
  useEffect(() => { if (names.length) location.replace(href(to.replace(':domain', seg(names[0])))); }, [names.join()]);
  return (
    <Page title={t('menu.reports')}>
      {error && <Empty icon="bad" title={error.text} action={<Button onClick={reload}>{t('ui.again')}</Button>} />}
      {data && names.length === 0 && <Empty icon="domains" title={t('desk.no_domain')} action={<LinkButton kind="main" href={href('/setup')}>{t('desk.add_domain')}</LinkButton>} />}
    </Page>
  );
}
