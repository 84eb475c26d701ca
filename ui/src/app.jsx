/* The frame: who is logged in, the menu, the page that the address names. */
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import * as api from './api.js';
import { language, onLanguage, rememberLanguage, setLanguage, t } from './i18n.js';
import { Card } from './parts/card.jsx';
import { Icon } from './parts/icons.jsx';
import { Empty, Failure, Loading } from './parts/notice.jsx';
import { Page } from './parts/page.jsx';
import { Toasts } from './parts/toast.jsx';
import { match, useRoute } from './router.js';
import { menu, routes } from './routes.js';
import { may, Session } from './session.js';
import { Login } from './pages/login.jsx';
import { Logo } from './parts/logo.jsx';

export function App() {
  const [account, setAccount] = useState(undefined); // undefined: not known yet; null: nobody
  const [, again] = useReducer((n) => n + 1, 0);
  const route = useRoute();
  useEffect(() => onLanguage(again), []);

  const enter = async (who) => {
    if (who?.language && who.language !== language()) await setLanguage(who.language);
    setAccount(who);
  };
  const refresh = async () => {
    try {
      await enter((await api.get('/session')).account);
    } catch (error) {
      if (error.status === 0) setTimeout(refresh, 3000);
      setAccount((now) => (error.status === 401 || now === undefined ? null : now));
    }
  };
  useEffect(() => {
    api.whenLoggedOut(() => setAccount(null));
    refresh();
  }, []);

  const session = {
    account, setAccount, refresh,
    logOut: async () => {
      await api.del('/session');
      setAccount(null);
    },
    chooseLanguage: async (name) => {
      rememberLanguage(name);
      await setLanguage(name);
      if (account) await api.patch('/me', { language: name });
    },
  };
  if (account === undefined) return <Loading />;
  const link = match('/link/:token', route.path);
  return (
    <Session.Provider value={session}>
      {account && !link ? <Frame route={route} session={session} key={language()} /> : <Login onEnter={enter} token={link?.token} />}
      <Toasts />
    </Session.Provider>
  );
}

function Frame({ route, session }) {
  const drawer = useRef(null);
  useEffect(() => { drawer.current?.close(); }, [route.path]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>{t('ui.skip')}</a>
      <header class="top">
        <button type="button" class="icon-button" aria-label={t('ui.menu')} onClick={() => drawer.current.showModal()}><Icon name="menu" /></button>
        <Brand />
      </header>
      <dialog class="drawer" ref={drawer} aria-label={t('ui.menu')} onClick={(e) => (e.target === drawer.current || e.target.closest('a')) && drawer.current.close()}>
        <button type="button" class="icon-button" aria-label={t('ui.close')} onClick={() => drawer.current.close()}><Icon name="close" /></button>
        <Menu route={route} session={session} />
      </dialog>
      <header class="side">
        <div class="side-fixed">
          <Brand />
          <Menu route={route} session={session} />
        </div>
      </header>
      <main id="main" tabIndex={-1} data-path={route.path}><Shown route={route} account={session.account} /></main>
    </div>
  );
}

const Brand = () => <a class="brand" href="#/"><Logo size={28} />Facteur</a>;

function Menu({ route, session }) {
  const isHere = (path) => (path === '/' ? route.path === '/' : route.path === path || route.path.startsWith(path + '/'));
  const groups = menu.map((g) => {
    const items = g.items.filter((i) => may(session.account, i.right));
    const folded = g.folds && may(session.account, 'owner') && !items.some((i) => isHere(i.path));
    return folded ? { items: [{ ...items[0], label: g.label }] } : { ...g, items };
  }).filter((g) => g.items.length);
  return (
    <nav class="menu" aria-label={t('ui.menu')}>
      <div class="menu-groups">{groups.map((g) => (
        <div class="menu-group" key={g.label ?? g.items[0].path}>
          {g.label && <p class="menu-label">{t(g.label)}</p>}
          <ul>
            {g.items.map((i) => (
              <li key={i.path}>
                <a href={'#' + i.path} aria-current={isHere(i.path) ? 'page' : undefined}><Icon name={i.icon} />{t(i.label)}</a>
              </li>
            ))}
          </ul>
        </div>
      ))}</div>
      <div class="menu-foot">
        <p class="who">{session.account.address}<span>{t(`role.${session.account.role}`)}</span></p>
        <button type="button" class="icon-button" aria-label={t('ui.log_out')} title={t('ui.log_out')} onClick={session.logOut}><Icon name="logout" /></button>
      </div>
    </nav>
  );
}

/** The page of the address; its code is fetched when it is first looked at. */
function Shown({ route, account }) {
  const [pages, setPages] = useState({});
  const [failed, setFailed] = useState(null);
  let parts = null;
  const found = routes.find((r) => (parts = match(r.path, route.path)));
  const allowed = found && may(account, found.right);
  useEffect(() => {
    if (!allowed || pages[found.path]) return;
    setFailed(null);
    found.page().then((m) => setPages((p) => ({ ...p, [found.path]: m.default })), setFailed);
  }, [route.path]);
  useEffect(() => { scrollTo(0, 0); document.activeElement?.blur(); }, [route.path]);

  if (!allowed) return <Elsewhere account={account} path={route.path} right={found?.right} />;
  if (failed) return <Failure error={{ text: t('error.offline') }} retry={() => location.reload()} />;
  const Shows = pages[found.path];
  return Shows ? <Shows key={route.path} {...parts} query={route.query} account={account} /> : <Loading />;
}

/** The start page of those who have no overview is their account. */
function Elsewhere({ account, path, right }) {
  const home = path === '/' && !may(account, 'owner');
  useEffect(() => { if (home) location.replace('#/account'); }, [home]);
  if (home) return <Loading />;
  const back = <a class="button" href="#/">{t('ui.home')}</a>;
  return (
    <Page title={t(right ? 'ui.not_yours' : 'ui.no_page')}>
      <Card>{right ? <Empty icon="lock" title={t('ui.not_yours_right.' + right)} action={back}>{t('ui.not_yours_ask')}</Empty> : <Empty icon="unknown" title={t('ui.no_page_hint')} action={back} />}</Card>
    </Page>
  );
}
