import { t } from '../i18n.js';
import { Page } from '../parts/page.jsx';

export default function Queue() {
  return <Page title={t('queue.title')} lead={t('queue.lead')} />;
}
