/* All pages: address, file, least role, and where the menu has them. Roles rise: user, owner, operator.
 * Menu labels are keys of the catalogues. */
export const routes = [
  { path: '/', page: () => import('./pages/overview.jsx'), right: 'owner' },
  { path: '/queue', page: () => import('./pages/queue.jsx'), right: 'owner' },
];

export const menu = [
  { items: [{ path: '/', label: 'menu.overview', icon: 'home', right: 'owner' }] },
  {
    label: 'menu.mail',
    items: [{ path: '/queue', label: 'menu.queue', icon: 'queue', right: 'owner' }],
  },
];
