import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Grid } from '../parts/card.jsx';
import { useConfirm } from '../parts/dialog.jsx';
import { Choice, Form } from '../parts/form.jsx';
import { HealthMarks } from '../parts/health.jsx';
import { Empty, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { Time } from '../parts/time.jsx';
import { say } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { People } from './accounts.jsx';
import { AliasTable } from './aliases.jsx';

/** One domain: its people, aliases, policy and keys. */
export default function Domain({ domain, account }) {
  const list = useData('/domains');
  const people = useData('/accounts', { domain });
  const aliases = useData('/aliases', { domain });
  const ask = useConfirm();
  const remove = () => ask.now({
    title: t('domain.remove_title', { domain }), text: t('domain.remove_text'), button: t('domain.remove'),
    act: async () => {
      await api.del('/domains/' + api.seg(domain));
      say(t('domain.removed', { domain }));
      go('/domains');
    },
  });
  return (
    <Page title={domain} lead={t('domain.lead')} back={['#/domains', t('domains.title')]}
      actions={account.role === 'operator' && <Button kind="danger" icon="trash" onClick={remove}>{t('domain.remove')}</Button>}>
      <Loaded of={list}>
        {({ domains }) => {
          const d = domains.find((one) => one.domain === domain);
          if (!d) return <Card><Empty icon="domains" title={t('error.404')} /></Card>;
          return (
            <>
              <Grid>
                <Card title={t('domains.health')} lead={t('domain.health_lead')}>
                  <p><HealthMarks health={d.health} /></p>
                  {d.health?.made && <p class="hint">{t('domain.looked')} <Time at={d.health.made} /></p>}
                  <p class="actions">
                    <LinkButton icon="health" href={'#/doctor/' + api.seg(domain)}>{t('domain.health')}</LinkButton>
                    <LinkButton icon="setup" href={'#/setup/' + api.seg(domain)}>{t('domain.setup')}</LinkButton>
                  </p>
                </Card>
                <Policy d={d} onDone={list.reload} />
              </Grid>
              <Card flush title={t('domain.people')} actions={<LinkButton icon="plus" href={href('/accounts', { domain, add: 1 })}>{t('accounts.add')}</LinkButton>}>
                <Loaded of={people}>
                  {({ accounts }) => (accounts.length === 0 ? <Empty icon="people" title={t('accounts.none')}>{t('accounts.none_hint')}</Empty>
                    : <People accounts={accounts} />)}
                </Loaded>
              </Card>
              <Card flush title={t('aliases.title')} actions={<LinkButton icon="plus" href={href('/aliases', { domain, add: 1 })}>{t('aliases.add')}</LinkButton>}>
                <Loaded of={aliases}>
                  {(a) => (a.aliases.length === 0 ? <Empty icon="alias" title={t('aliases.none')}>{t('aliases.none_hint')}</Empty>
                    : <AliasTable aliases={a.aliases} />)}
                </Loaded>
              </Card>
              <Keys domain={domain} keys={d.keys ?? []} onDone={list.reload} />
            </>
          );
        }}
      </Loaded>
      {ask.dialog}
    </Page>
  );
}

function Policy({ d, onDone }) {
  const save = async ({ mode }) => {
    await api.patch('/domains/' + api.seg(d.domain), { mta_sts: mode });
    say(t('domain.sts_saved'));
    onDone();
  };
  return (
    <Card title={t('domain.sts')} lead={t('domain.sts_lead')}>
      <Form submit={t('ui.save')} kind="plain" onSubmit={save}>
        <Choice label={t('domain.sts_mode')} name="mode" value={d.mta_sts?.mode ?? 'none'} options={[
          ['enforce', t('sts.enforce'), t('sts.enforce_hint')], ['testing', t('sts.testing'), t('sts.testing_hint')], ['none', t('sts.none'), t('sts.none_hint')],
        ]} />
      </Form>
    </Card>
  );
}

const KEY_MARKS = { active: 'good', next: 'note', retired: 'unknown' };
const ALGORITHMS = { rsa: 'RSA', ed25519: 'Ed25519' };

function Keys({ domain, keys, onDone }) {
  const make = async () => {
    await api.post(`/domains/${api.seg(domain)}/keys`);
    say(t('domain.keys_made'));
    onDone();
  };
  return (
    <Card flush title={t('domain.keys')} lead={t('domain.keys_lead')} actions={<Button icon="key" onClick={make}>{t('domain.keys_make')}</Button>}>
      {keys.length === 0 ? <Notice mark="warn">{t('domain.no_keys')}</Notice> : (
        <Table caption={t('domain.keys')} rows={keys} row={(k) => k.selector} columns={[
          { key: 'selector', label: t('domain.selector'), main: true, show: (k) => <code>{k.selector}</code> },
          { key: 'algorithm', label: t('domain.algorithm'), show: (k) => ALGORITHMS[k.algorithm] ?? k.algorithm },
          { key: 'state', label: t('domain.state'), show: (k) => <Mark mark={KEY_MARKS[k.state] ?? 'note'}>{t(`key.${k.state}`)}</Mark> },
          { key: 'created', label: t('domain.made'), show: (k) => <Time at={k.created} as="moment" /> },
        ]} />
      )}
    </Card>
  );
}
