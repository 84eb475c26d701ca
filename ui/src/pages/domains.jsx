import { useState } from 'preact/hooks';
import * as api from '../api.js';
import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Button } from '../parts/button.jsx';
import { Card } from '../parts/card.jsx';
import { Dialog } from '../parts/dialog.jsx';
import { Field, Form } from '../parts/form.jsx';
import { HealthMarks } from '../parts/health.jsx';
import { Empty, Loaded, Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';
import { go } from '../router.js';

/** The domains that are served here. */
export default function Domains({ account }) {
  const list = useData('/domains');
  const [adding, setAdding] = useState(false);
  const operator = account.role === 'operator';
  const add = operator && <Button kind="main" icon="plus" onClick={() => setAdding(true)}>{t('domains.add')}</Button>;
  return (
    <Page title={t('domains.title')} lead={t('domains.lead')} actions={add}>
      <Card flush>
        <Loaded of={list}>
          {({ domains }) => (domains.length === 0 ? <Empty icon="domains" title={t('domains.none')}>{t('domains.none_hint')}</Empty> : (
            <Table caption={t('domains.title')} rows={domains} row={(d) => d.domain} sort={['domain', 'ascending']} columns={[
              { key: 'domain', label: t('domains.domain'), main: true, show: (d) => <a href={'#/domains/' + api.seg(d.domain)}>{d.domain}</a> },
              { key: 'health', label: t('domains.health'), value: (d) => d.health?.bad ?? -1, show: (d) => <HealthMarks health={d.health} domain={d.domain} /> },
              { key: 'mta_sts', label: t('domains.sts'), value: (d) => d.mta_sts?.mode, show: (d) => <Sts mode={d.mta_sts?.mode} /> },
              { key: 'accounts', label: t('domains.accounts'), number: true },
              { key: 'aliases', label: t('domains.aliases'), number: true },
            ]} />
          ))}
        </Loaded>
      </Card>
      {adding && <Add onClose={() => setAdding(false)} />}
    </Page>
  );
}

export const Sts = ({ mode }) => <Mark mark={{ enforce: 'good', testing: 'note' }[mode] ?? 'unknown'}>{t(`sts.${mode ?? 'none'}`)}</Mark>;

function Add({ onClose }) {
  const add = async ({ domain }) => {
    const made = await api.post('/domains', { domain: domain.trim().toLowerCase() });
    say(t('domains.added', { domain: made.domain }));
    go('/domains/' + api.seg(made.domain));
  };
  return (
    <Dialog title={t('domains.add')} onClose={onClose}>
      <p class="hint">{t('domains.add_lead')}</p>
      <Form submit={t('domains.add')} onSubmit={add} onCancel={onClose}>
        <Field label={t('domains.domain')} name="domain" placeholder="example.org" required autoFocus autocapitalize="none" spellcheck={false} />
      </Form>
    </Dialog>
  );
}
