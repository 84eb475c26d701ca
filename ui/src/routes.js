/* All pages: address, file, least role, and where the menu has them. Roles rise: user, owner, operator.
 * Menu labels are keys of the catalogues. */
export const routes = [
  { path: '/', page: () => import('./pages/overview.jsx'), right: 'owner' },
  { path: '/queue', page: () => import('./pages/queue.jsx'), right: 'owner' },
  { path: '/queue/:id', page: () => import('./pages/message.jsx'), right: 'owner' },
  { path: '/trace', page: () => import('./pages/trace.jsx'), right: 'owner' },
  { path: '/live', page: () => import('./pages/live.jsx'), right: 'operator' },
  { path: '/log', page: () => import('./pages/log.jsx'), right: 'operator' },

  { path: '/domains', page: () => import('./pages/domains.jsx'), right: 'owner' },
  { path: '/domains/:domain', page: () => import('./pages/domain.jsx'), right: 'owner' },
  { path: '/accounts', page: () => import('./pages/accounts.jsx'), right: 'owner' },
  { path: '/accounts/:address', page: () => import('./pages/person.jsx'), right: 'owner' },
  { path: '/aliases', page: () => import('./pages/aliases.jsx'), right: 'owner' },

  { path: '/settings', page: () => import('./pages/settings.jsx'), right: 'operator' },
  { path: '/audit', page: () => import('./pages/audit.jsx'), right: 'owner' },

  { path: '/account', page: () => import('./pages/account.jsx'), right: 'user' },
  { path: '/app-passwords', page: () => import('./pages/app_passwords.jsx'), right: 'user' },
  { path: '/security', page: () => import('./pages/security.jsx'), right: 'user' },
  { path: '/deleted', page: () => import('./pages/deleted.jsx'), right: 'user' },
  { path: '/suppressions', page: () => import('./pages/suppressions.jsx'), right: 'user' },
  { path: '/webhooks', page: () => import('./pages/webhooks.jsx'), right: 'user' },

  { path: '/reports', page: () => import('./pages/dmarc.jsx').then((m) => ({ default: m.Start })), right: 'owner' },
  { path: '/reports/:domain', page: () => import('./pages/dmarc.jsx'), right: 'owner' },
  { path: '/reports/:domain/sources/:source', page: () => import('./pages/dmarc_source.jsx'), right: 'owner' },
  { path: '/reports/:domain/path', page: () => import('./pages/dmarc_path.jsx'), right: 'owner' },
  { path: '/reports/:domain/received', page: () => import('./pages/dmarc_received.jsx'), right: 'owner' },
  { path: '/reports/:domain/received/:id', page: () => import('./pages/dmarc_report.jsx'), right: 'owner' },
  { path: '/reports/:domain/tls', page: () => import('./pages/tls_reports.jsx'), right: 'owner' },
  { path: '/reports/:domain/failures', page: () => import('./pages/failures.jsx'), right: 'owner' },
  { path: '/read-reports', page: () => import('./pages/upload.jsx'), right: 'owner' },
  { path: '/senders', page: () => import('./pages/senders.jsx'), right: 'owner' },
  { path: '/doctor', page: () => import('./pages/doctor.jsx'), right: 'owner' },
  { path: '/doctor/:domain', page: () => import('./pages/doctor.jsx').then((m) => ({ default: m.DoctorOf })), right: 'owner' },
  { path: '/setup', page: () => import('./pages/setup.jsx'), right: 'owner' },
  { path: '/setup/:domain', page: () => import('./pages/setup.jsx').then((m) => ({ default: m.SetupOf })), right: 'owner' },
  { path: '/alerts', page: () => import('./pages/alerts.jsx'), right: 'owner' },
  { path: '/alerts/settings', page: () => import('./pages/alert_settings.jsx'), right: 'operator' },
  { path: '/bimi', page: () => import('./pages/bimi.jsx'), right: 'owner' },
  { path: '/bimi/:domain', page: () => import('./pages/bimi.jsx').then((m) => ({ default: m.BimiOf })), right: 'owner' },
];

export const menu = [
  { items: [{ path: '/', label: 'menu.overview', icon: 'home', right: 'owner' }] },
  {
    label: 'menu.mail',
    items: [
      { path: '/queue', label: 'menu.queue', icon: 'queue', right: 'owner' },
      { path: '/trace', label: 'menu.trace', icon: 'trace', right: 'owner' },
      { path: '/live', label: 'menu.live', icon: 'live', right: 'operator' },
    ],
  },
  {
    label: 'menu.health',
    items: [
      { path: '/reports', label: 'menu.reports', icon: 'chart', right: 'owner' },
      { path: '/doctor', label: 'menu.doctor', icon: 'health', right: 'owner' },
      { path: '/alerts', label: 'menu.alerts', icon: 'bell', right: 'owner' },
      { path: '/setup', label: 'menu.setup', icon: 'setup', right: 'owner' },
      { path: '/bimi', label: 'menu.bimi', icon: 'image', right: 'owner' },
    ],
  },
  {
    label: 'menu.people',
    items: [
      { path: '/domains', label: 'menu.domains', icon: 'domains', right: 'owner' },
      { path: '/accounts', label: 'menu.accounts', icon: 'people', right: 'owner' },
      { path: '/aliases', label: 'menu.aliases', icon: 'alias', right: 'owner' },
    ],
  },
  {
    label: 'menu.server',
    items: [
      { path: '/settings', label: 'menu.settings', icon: 'settings', right: 'operator' },
      { path: '/log', label: 'menu.log', icon: 'log', right: 'operator' },
      { path: '/audit', label: 'menu.audit', icon: 'audit', right: 'owner' },
    ],
  },
  {
    label: 'menu.mine', folds: true, // one item, until one of its pages is open; all of them for those who have no others
    items: [
      { path: '/account', label: 'menu.account', icon: 'user', right: 'user' },
      { path: '/app-passwords', label: 'menu.app_passwords', icon: 'key', right: 'user' },
      { path: '/security', label: 'menu.security', icon: 'shield', right: 'user' },
      { path: '/deleted', label: 'menu.deleted', icon: 'restore', right: 'user' },
      { path: '/suppressions', label: 'menu.suppressions', icon: 'block', right: 'user' },
      { path: '/webhooks', label: 'menu.webhooks', icon: 'hook', right: 'user' },
    ],
  },
];
