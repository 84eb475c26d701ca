import { useData } from '../data.js';
import { t } from '../i18n.js';
import { Grid, Stat } from '../parts/card.jsx';
import { Loaded } from '../parts/notice.jsx';
import { Page } from '../parts/page.jsx';

export default function Overview() {
  const overview = useData('/overview', {}, { every: 30 });
  return (
    <Page title={t('overview.title')} lead={t('overview.lead')}>
      <Loaded of={overview}>
        {(o) => (
          <Grid small>
            <Stat label={t('overview.received')} value={o.messages.received_today} href="#/trace" />
          </Grid>
        )}
      </Loaded>
    </Page>
  );
}
