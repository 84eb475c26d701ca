/* One source of mail in a domain's name: its addresses, what they signed, who reported them; and the reader's own word about it. */
import { useState } from 'preact/hooks';
import { put, seg } from '../api.js';
import { useData } from '../data.js';
import { day, number } from '../format.js';
import { language, t } from '../i18n.js';
import { href } from '../router.js';
import { Button } from '../parts/button.jsx';
import { Card, Facts, Grid, Stat } from '../parts/card.jsx';
import { Chart, everyDay } from '../parts/chart.jsx';
import { adviceDo, adviceMark, adviceText, country, Kind, KINDS, periodQuery, shareText, usePeriod } from '../parts/desk.jsx';
import { Dialog } from '../parts/dialog.jsx';
import { Field, Form } from '../parts/form.jsx';
import { Loaded, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { Table } from '../parts/table.jsx';
import { say } from '../parts/toast.jsx';
import { dispositions } from './dmarc.jsx';
import { Names } from './dmarc_report.jsx';

function OwnWord({ domain, source, done, close }) {
  return (
    <Dialog title={t('source.word')} onClose={close}>
      <Form submit={t('ui.save')} onCancel={close} onSubmit={async ({ name, kind }) => {
        await put('/reports/dmarc/sources/' + seg(source.key) + '?domain=' + seg(domain), { domain, name, kind });
        say(t('source.word_saved'));
        close();
        done();
      }}>
        <p>{t('source.word_lead')}</p>
        <Field label={t('source.name')} name="name" defaultValue={source.name} maxLength={100} required />
        <Field label={t('dmarc.kind')} name="kind" type="select" defaultValue={source.kind} options={KINDS.map((k) => [k, t('kind.' + k) + ' — ' + t('kind.' + k + '.about')])} />
      </Form>
    </Dialog>
  );
}

function Addresses({ rows }) {
  const columns = [
    { key: 'ip', label: t('source.address'), main: true, show: (a) => <div class="source"><code>{a.ip}</code><div class="source-about">{[a.host, country(a.country, language())].filter(Boolean).join(' · ')}</div></div> },
    { key: 'messages', label: t('dmarc.messages'), number: true },
    { key: 'spf', label: 'SPF', number: true, show: (a) => shareText(a.spf, a.messages) },
    { key: 'dkim', label: 'DKIM', number: true, show: (a) => shareText(a.dkim, a.messages) },
    { key: 'header_from', label: t('source.names'), show: (a) => <Names row={a} /> },
    { key: 'selectors', label: t('source.selectors'), value: (a) => (a.selectors ?? []).join(' '), show: (a) => (a.selectors?.length ? <code>{a.selectors.join(', ')}</code> : t('source.no_selector')) },
  ];
  return <Table caption={t('source.addresses')} columns={columns} rows={rows} row={(a) => a.ip} sort={['messages', 'descending']} />;
}

function Story({ domain, data, from, to, reload }) {
  const [edits, edit] = useState(false);
  const { source } = data;
  const days = everyDay(data.days, from, to, { messages: 0, aligned: 0, spf: 0, dkim: 0 });
  const mark = adviceMark(source.advice);
  const forget = async () => {
    await put('/reports/dmarc/sources/' + seg(source.key) + '?domain=' + seg(domain), { domain, name: '', kind: '' });
    say(t('source.forgotten'));
    reload();
  };
  return (
    <>
      <p class="source-about"><Kind kind={source.kind} />{t('kind.' + source.kind + '.about')}<Button kind="quiet" icon="edit" onClick={() => edit(true)}>{t('source.word')}</Button>{source.said && <Button kind="quiet" icon="restore" onClick={forget}>{t('source.forget')}</Button>}</p>
      <Notice mark={mark} title={adviceText(source.advice, source.advice_args)}>{adviceDo(source.advice, source.advice_args)}</Notice>
      <Grid small>
        <Stat label={t('dmarc.messages')} value={number(source.messages)} />
        <Stat label={t('dmarc.proven')} value={shareText(source.aligned, source.messages)} />
        <Stat label="SPF" value={shareText(source.spf, source.messages)} />
        <Stat label="DKIM" value={shareText(source.dkim, source.messages)} />
      </Grid>
      <Card title={t('dmarc.volume')}>
        <Chart days={days.map((d) => d.day)} kind={days.length > 62 ? 'area' : 'bars'} stacked label={t('dmarc.volume')} height={180} series={[
          { label: t('dmarc.proven'), colour: '--chart-good', values: days.map((d) => d.aligned) },
          { label: t('dmarc.not_proven'), colour: '--chart-bad', values: days.map((d) => d.messages - d.aligned) },
        ]} />
      </Card>
      <Card title={t('source.addresses')} wide flush><Addresses rows={data.addresses} />{data.addresses_rest?.messages > 0 && <p class="rest">{t('source.addresses_rest', { messages: number(data.addresses_rest.messages) })}</p>}</Card>
      <div class="pair">
        <Card title={t('source.reporters')} lead={t('source.reporters_lead')}><Facts facts={[...(data.reporters ?? []).map((r) => [r.org, number(r.messages)]), ...(data.reporters_rest > 0 ? [[t('source.reporters_rest'), number(data.reporters_rest)]] : [])]} /></Card>
        <Card title={t('source.about')}>
          <Facts facts={[
            [t('source.organization'), source.organization], [t('source.country'), country(source.country, language())],
            [t('source.first'), source.first && day(source.first)], [t('source.last'), source.last && day(source.last)], [t('dmarc.fate'), dispositions(source.disposition)],
          ]} />
        </Card>
      </div>
      {edits && <OwnWord domain={domain} source={source} done={reload} close={() => edit(false)} />}
    </>
  );
}

export default function DmarcSource({ domain, source: key }) {
  const { from, to } = usePeriod();
  const of = useData('/reports/dmarc/sources/' + seg(key), { domain, from, to });
  return (
    <Page title={of.data?.source.name ?? key} lead={t('source.lead', { domain })} back={[href('/reports/' + seg(domain), periodQuery()), t('dmarc.sources')]}>
      <Loaded of={of}>{(d) => <Story domain={domain} data={d} from={from} to={to} reload={of.reload} />}</Loaded>
    </Page>
  );
}
