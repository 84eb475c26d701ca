/* All pages: address, file, least role, and where the menu has them. Roles rise: user, owner, operator.
 * Menu labels are keys of the catalogues. */
export const routes = [
  { path: '/', page: () => import('./pages/overview.jsx'), right: 'owner' },
  { path: '/queue', page: () => import('./pages/queue.jsx'), right: 'owner' },

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
    items: [{ path: '/queue', label: 'menu.queue', icon: 'queue', right: 'owner' }],
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
];
