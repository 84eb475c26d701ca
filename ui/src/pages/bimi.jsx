/* BIMI: a domain's logo beside its mail. The drawing, what is wrong with it, the record and the certificate. */
import { useRef } from 'preact/hooks';
import { del, seg, upload } from '../api.js';
import { useData } from '../data.js';
import { day } from '../format.js';
import { language, spaced, t } from '../i18n.js';
import { href } from '../router.js';
import { Button, LinkButton } from '../parts/button.jsx';
import { Card, Facts } from '../parts/card.jsx';
import { Copy } from '../parts/copy.jsx';
import { FirstDomain, Scope } from '../parts/desk.jsx';
import { useConfirm } from '../parts/dialog.jsx';
import { Empty, Loaded, Mark, Notice } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { say } from '../parts/toast.jsx';

/** As mail programs show it: in a round or square frame, on light and on dark. */
function Preview({ logo, domain }) {
  return (
    <div class="previews">
      {['light', 'dark'].map((shade) => (
        <div class={'preview preview-' + shade} key={shade}>
          <img class="round" src={logo} alt={t('bimi.alt', { domain })} width="56" height="56" />
          <div><b>{domain}</b><span>{t('bimi.sample')}</span></div>
          <img class="square" src={logo} alt="" width="40" height="40" />
        </div>
      ))}
    </div>
  );
}

/** What is wrong with the drawing, as the server says it, and where. */
const Wrong = ({ e }) => <li>{spaced(e.text ?? e.code)} {e.detail && <code>{e.detail}</code>}{e.line > 0 && <span class="hint"> {t('bimi.line', { n: e.line })}</span>}</li>;

function Certificate({ c }) {
  if (!c) return <p class="hint">{t('bimi.no_certificate')}</p>;
  return (
    <>
      <p><Mark mark={c.valid ? 'good' : 'bad'}>{t(c.valid ? 'bimi.valid' : 'bimi.not_valid')}</Mark></p>
      {!c.valid && c.why && <p>{spaced(c.why)}</p>}
      <Facts facts={[[t('bimi.kind'), c.kind], [t('bimi.mark'), c.mark], [t('bimi.subject'), c.subject], [t('doctor.certificate'), c.issuer], [t('doctor.until'), c.not_after && day(c.not_after)]]} />
    </>
  );
}

function Logo({ domain, b, reload }) {
  const input = useRef(null);
  const confirm = useConfirm();
  const take = async (file) => {
    await upload('PUT', `/domains/${seg(domain)}/logo`, new Blob([file], { type: 'image/svg+xml' }));
    say(t('bimi.saved'));
    reload();
  };
  const problems = b.svg_errors ?? [];
  return (
    <>
      <Card title={t('bimi.logo')} lead={t('bimi.logo_lead')} actions={(
        <>
          {b.logo && <Button kind="danger" onClick={() => confirm.now({ title: t('bimi.remove'), text: t('bimi.remove_sure', { domain }), button: t('bimi.remove'), act: async () => { await del(`/domains/${seg(domain)}/logo`); reload(); } })}>{t('bimi.remove')}</Button>}
          <Button kind="main" icon="up" onClick={() => input.current.click()}>{t(b.logo ? 'bimi.replace' : 'bimi.upload')}</Button>
        </>
      )}>
        <input ref={input} hidden type="file" accept=".svg,image/svg+xml" aria-label={t('bimi.upload')} onChange={(e) => { const [file] = e.currentTarget.files; e.currentTarget.value = ''; if (file) take(file).catch((error) => say(error.text, 'bad')); }} />
        {b.logo ? <Preview logo={b.image ?? b.logo} domain={domain} /> : <Empty icon="image" title={t('bimi.none')}>{t('bimi.none_why')}</Empty>}
        {b.logo && problems.length === 0 && <p><Mark mark="good">{t('bimi.fits')}</Mark></p>}
        {problems.length > 0 && <Notice mark="bad" title={t('bimi.wrong', { n: problems.length })}><ul class="plain-list">{problems.map((e, i) => <Wrong key={i} e={e} />)}</ul></Notice>}
      </Card>
      {confirm.dialog}
    </>
  );
}

export function BimiOf({ domain }) {
  const of = useData('/bimi', { domain, lang: language() });
  return (
    <Page title={t('bimi.title', { domain })} lead={t('bimi.lead')}>
      <Scope domain={domain} path="/bimi/:domain" period={false} />
      <Loaded of={of}>{(b) => (
        <>
          <Logo domain={domain} b={b} reload={of.reload} />
          <div class="pair">
            <Card title={t('bimi.record')} lead={t('bimi.record_lead', { name: 'default._bimi.' + domain })}>
              {b.record ? <Copy text={b.record} what={t('bimi.record')} /> : <p class="hint">{t('bimi.no_record')}</p>}
              <LinkButton href={href('/doctor/' + seg(domain))}>{t('setup.to_doctor')}</LinkButton>
            </Card>
            <Card title={t('bimi.certificate')} lead={t('bimi.certificate_lead')}>
              <Certificate c={b.certificate} />
            </Card>
          </div>
        </>
      )}</Loaded>
    </Page>
  );
}

export default function Bimi() {
  return <FirstDomain to="/bimi/:domain" />;
}
