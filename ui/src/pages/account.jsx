import * as api from '../api.js';
import { language, languages, t } from '../i18n.js';
import { LinkButton } from '../parts/button.jsx';
import { Card, Facts, Grid } from '../parts/card.jsx';
import { Choice, Field, Form } from '../parts/form.jsx';
import { NewPassword } from '../parts/new_password.jsx';
import { Mark } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';
import { say } from '../parts/toast.jsx';
import { useSession } from '../session.js';

/** What everybody may know and change about the own account. */
export default function Account({ account }) {
  const session = useSession();
  const password = async (values, form) => {
    await api.put('/me/password', { old: values.old, new: values.password });
    form.reset();
    say(t('account.password_saved'));
  };
  return (
    <Page title={t('account.title')} lead={t('account.lead')}>
      <Grid>
        <Card title={t('account.about')}>
          <Facts facts={[
            [t('accounts.address'), account.address],
            [t('accounts.role'), t(`role.${account.role}`)],
            [t('account.factor'), account.totp || account.passkeys > 0 ? <Mark mark="good">{t('account.factor_on')}</Mark> : <Mark mark="warn">{t('account.factor_off')}</Mark>],
          ]} />
          <p class="actions">
            <LinkButton icon="shield" href="#/security">{t('menu.security')}</LinkButton>
            <LinkButton icon="key" href="#/app-passwords">{t('menu.app_passwords')}</LinkButton>
          </p>
        </Card>
        <Card title={t('account.language')} lead={t('account.language_lead')}>
          <Choice label={t('account.language')} name="language" value={language()} options={languages.map(([code, name]) => [code, name])}
            onChange={(code) => session.chooseLanguage(code)} />
        </Card>
      </Grid>
      <Card title={t('account.password')} lead={t('account.password_lead')}>
        <Form submit={t('account.password_set')} kind="plain" onSubmit={password}>
          <Field label={t('account.password_old')} name="old" type="password" autocomplete="current-password" required />
          <NewPassword name="password" label={t('account.password_new')} hint={t('account.password_hint')} of={account.address} />
        </Form>
      </Card>
    </Page>
  );
}
