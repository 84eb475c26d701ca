import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData, useList } from '../data.js';
import { bytes, percent } from '../format.js';
import { t } from '../i18n.js';
import { Address } from '../parts/address.jsx';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Dialog } from '../parts/dialog.jsx';
import { Field, Filters, Form } from '../parts/form.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Bar } from '../parts/spark.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';
import { setQuery } from '../router.js';
import { NewPassword } from '../parts/new_password.jsx';

export const GB = 1e9;
export const quotaBytes = (text) => Math.round(Number(String(text).replace(',', '.')) * GB);

/** Everybody who has a mailbox. */
export default function Accounts({ query, account }) {
  const domains = useData('/domains');
  const list = useList('/accounts', 'accounts', { domain: query.domain, q: query.q });
  const [adding, setAdding] = useState(Boolean(query.add));
  const close = () => { setAdding(false); setQuery({ add: '' }); };
  const names = domains.data?.domains.map((d) => d.domain) ?? [];
  // the server may know no search: what it sent is searched here
  const rows = list.rows?.filter((a) => !query.q || a.address.includes(query.q.toLowerCase()));
  return (
    <Page title={t('accounts.title')} lead={t('accounts.lead')}
      actions={<Button kind="main" icon="plus" onClick={() => setAdding(true)}>{t('accounts.add')}</Button>}>
      <Filters onChange={setQuery}>
        <Field label={t('accounts.search')} name="q" type="search" defaultValue={query.q} />
        {names.length > 1 && <Field label={t('domains.domain')} name="domain" type="select" value={query.domain ?? ''}
          options={[['', t('accounts.all_domains')], ...names.map((n) => [n, n])]} />}
      </Filters>
      <Card flush>
        <Loaded of={list}>
          {() => (rows.length === 0 ? (
            query.q ? <Empty icon="search" title={t('ui.none_found')}>{t('ui.none_found_hint')}</Empty>
              : <Empty icon="people" title={t('accounts.none')}>{t('accounts.none_hint')}</Empty>
          ) : <People accounts={rows} more={list.more} />)}
        </Loaded>
      </Card>
      {adding && names.length > 0 && <Add domains={names} domain={query.domain} account={account} onClose={close} onDone={() => { close(); list.reload(); }} />}
    </Page>
  );
}

export function People({ accounts, more }) {
  return (
    <Table caption={t('accounts.title')} rows={accounts} row={(a) => a.address} sort={['address', 'ascending']} more={more} columns={[
      { key: 'address', label: t('accounts.address'), main: true, show: (a) => <a href={'#/accounts/' + api.seg(a.address)}><Address of={a.address} /></a> },
      { key: 'role', label: t('accounts.role'), show: (a) => t(`role.${a.role}`) },
      { key: 'disabled', label: t('accounts.state'), value: (a) => (a.disabled ? 1 : 0), show: (a) => <State disabled={a.disabled} /> },
      { key: 'used', label: t('accounts.used'), show: (a) => <Quota of={a} /> },
      { key: 'messages', label: t('accounts.messages'), number: true },
    ]} />
  );
}

export const State = ({ disabled }) => (disabled ? <Mark mark="warn">{t('accounts.disabled')}</Mark> : <Mark mark="good">{t('accounts.enabled')}</Mark>);

export function Quota({ of }) {
  if (!of.quota) return bytes(of.used);
  const share = of.used / of.quota, words = t('accounts.used_of', { used: bytes(of.used), quota: bytes(of.quota) });
  return (
    <span class="quota">
      {words}{share >= 0.9 && <> <Mark mark={share >= 1 ? 'bad' : 'warn'}>{percent(share, 0)}</Mark></>}
      <Bar share={share} mark={share >= 1 ? 'bad' : share >= 0.9 ? 'warn' : 'note'} label={words} />
    </span>
  );
}

export const roles = (account) => (account.role === 'operator' ? ['user', 'owner', 'operator'] : ['user', 'owner']).map((r) => [r, t(`role.${r}`)]);

function Add({ domains, domain, account, onClose, onDone }) {
  const add = async ({ local, at, password, role, quota }) => {
    const address = `${local.trim()}@${at ?? domains[0]}`;
    await api.post('/accounts', { address, password, role, quota: quota ? quotaBytes(quota) : 0 });
    say(t('accounts.added', { address }));
    onDone();
  };
  return (
    <Dialog title={t('accounts.add')} onClose={onClose}>
      <Form submit={t('accounts.add')} onSubmit={add} onCancel={onClose}>
        <div class="row">
          <Field label={t('accounts.local')} name="local" required autoFocus autocapitalize="none" spellcheck={false} placeholder="anne.martin" />
          {domains.length > 1
            ? <Field label={t('domains.domain')} name="at" type="select" defaultValue={domain} options={domains.map((d) => [d, '@' + d])} />
            : <Field label={t('domains.domain')} name="at_shown" value={'@' + domains[0]} readOnly />}
        </div>
        <NewPassword name="password" label={t('accounts.password')} hint={t('accounts.password_hint')} />
        <Field label={t('accounts.role')} name="role" type="select" options={roles(account)} hint={t('accounts.role_hint')} />
        <Field label={t('accounts.quota')} name="quota" inputMode="decimal" hint={t('accounts.quota_hint')} />
      </Form>
    </Dialog>
  );
}
