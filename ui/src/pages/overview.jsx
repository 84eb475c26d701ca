import { useData } from '../data.js';
import { percent } from '../format.js';
import { language, t } from '../i18n.js';
import { LinkButton } from '../parts/button.jsx';
import { Card, Grid, Stat } from '../parts/card.jsx';
import { HealthMarks } from '../parts/health.jsx';
import { Icon } from '../parts/icons.jsx';
import { Empty, Loaded, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Said } from '../parts/said.jsx';
import { Spark } from '../parts/spark.jsx';
import { Time } from '../parts/time.jsx';
import { href } from '../router.js';
import { silent } from './alerts.jsx';

/** What needs attention now, and how the mail goes today. */
export default function Overview({ account }) {
  const overview = useData('/overview', {}, { every: 30 });
  const domains = useData('/domains');
  const alerts = useData('/alerts', { state: 'open', lang: language() });
  return (
    <Page title={t('overview.title')} lead={t('overview.lead')}>
      <Loaded of={overview}>
        {(o) => (
          <>
            <Attention o={o} domains={domains.data?.domains ?? []} alerts={alerts.data?.alerts ?? []} account={account} />
            <section class="stack" aria-labelledby="today">
              <h2 id="today">{t(isServer(o) ? 'overview.today' : 'menu.people')}</h2>
              <Today o={o} />
            </section>
            <Grid>
              <Domains of={domains} operator={account.role === 'operator'} />
              <Alignment rows={o.dmarc ?? []} />
            </Grid>
            <p class="hint">{o.since && <>{t('overview.since', { version: o.version })} <Time at={o.since} as="moment" /></>}</p>
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** How the server's mail goes is for operators; owners see how many people they look after. */
const isServer = (o) => o.messages.received_today !== null;
function Today({ o }) {
  if (!isServer(o)) {
    return (
      <Grid small>
        <Stat label={t('accounts.title')} value={o.accounts} href="#/accounts" />
        <Stat label={t('aliases.title')} value={o.aliases} href="#/aliases" />
      </Grid>
    );
  }
  return (
    <Grid small>
      <Stat label={t('overview.received')} value={o.messages.received_today} href="#/trace" note={t('overview.messages')} />
      <Stat label={t('overview.sent')} value={o.messages.sent_today} href="#/trace" note={t('overview.messages')} />
      <Stat label={t('overview.refused')} value={o.messages.rejected_today} note={t('overview.refused_note')} />
      <Stat label={t('overview.waiting')} value={o.queue?.messages ?? 0} href="#/queue" note={o.queue?.held ? t('overview.held', { n: o.queue.held }) : t('overview.waiting_note')} />
    </Grid>
  );
}

const TOLD = 3; // alerts with their sentence; of the others there is the number

/** The few things to do now, or that there are none. */
function Attention({ o, domains, alerts, account }) {
  const items = [];
  const loud = alerts.filter((a) => !silent(a)), told = loud.slice(0, TOLD);
  for (const a of told) items.push({ mark: 'warn', key: 'a' + a.id, title: <Said text={a.text} />, text: <Said text={a.repair} />, href: '#/alerts', link: t('overview.see_alerts') });
  const more = (o.alerts ?? loud.length) - told.length;
  if (more > 0) items.push({ mark: 'warn', key: 'a', title: t(told.length ? 'overview.more_alerts' : 'overview.alerts', { n: more }), href: '#/alerts', link: t('overview.see_alerts') });
  for (const d of domains) {
    if (d.health?.bad > 0) {
      items.push({ mark: 'bad', key: 'd' + d.domain, title: t('overview.sick', { domain: d.domain, n: d.health.bad }), text: t('overview.sick_text'),
        href: '#/doctor/' + encodeURIComponent(d.domain), link: t('overview.see_health') });
    }
  }
  if (o.queue?.held > 0) items.push({ mark: 'warn', key: 'held', title: t('overview.held_title', { n: o.queue.held }), text: t('overview.held_text'), href: href('/queue', { state: 'held' }), link: t('overview.see_queue') });
  if (!account.totp && !account.passkeys && account.role !== 'user') {
    items.push({ mark: 'note', key: 'factor', title: t('overview.factor'), text: t('overview.factor_text'), href: '#/security', link: t('overview.see_security') });
  }
  return (
    <section class="stack" aria-labelledby="attention">
      <h2 id="attention">{t('overview.attention')}</h2>
      {items.length === 0 && <Notice mark="good" title={t('overview.nothing')}>{t('overview.nothing_text')}</Notice>}
      {items.map((i) => (
        <Notice key={i.key} mark={i.mark} title={i.title} action={<LinkButton kind="quiet" href={i.href}>{i.link}<Icon name="next" /></LinkButton>}>{i.text}</Notice>
      ))}
    </section>
  );
}

function Domains({ of, operator }) {
  return (
    <Card title={t('overview.health')} lead={t('overview.health_lead')}>
      <Loaded of={of}>
        {({ domains }) => (domains.length === 0
          ? <Empty icon="domains" title={t('domains.none')} action={operator && <a class="button main" href="#/domains">{t('domains.add')}</a>}>{t('domains.none_hint')}</Empty>
          : (
            <ul class="lines">
              {domains.map((d) => (
                <li key={d.domain}><a href={'#/domains/' + encodeURIComponent(d.domain)}>{d.domain}</a><HealthMarks health={d.health} domain={d.domain} /></li>
              ))}
            </ul>
          ))}
      </Loaded>
    </Card>
  );
}

function Alignment({ rows }) {
  const seen = rows.filter((r) => r.messages > 0);
  return (
    <Card title={t('overview.dmarc')} lead={t('overview.dmarc_lead')}>
      {seen.length === 0 ? <Empty icon="chart" title={t('overview.no_reports')}>{t('overview.no_reports_hint')}</Empty> : (
        <ul class="lines">
          {seen.map((r) => <Proven key={r.domain} r={r} />)}
        </ul>
      )}
    </Card>
  );
}

function Proven({ r }) {
  const days = useData('/reports/dmarc/summary', { domain: r.domain }).data?.days?.filter((d) => d.messages > 0) ?? [];
  const share = r.aligned / r.messages;
  return (
    <li class="alignment">
      <span><a href={'#/reports/' + encodeURIComponent(r.domain)}>{r.domain}</a><span class="hint">{t('overview.of', { n: r.messages })}</span></span>
      {days.length > 1 && <Spark values={days.map((d) => d.aligned / d.messages)} max={1} mark={share < 0.9 ? 'warn' : 'good'} label={t('overview.spark', { domain: r.domain })} />}
      <span class="alignment-share">{percent(share)}</span>
    </li>
  );
}
