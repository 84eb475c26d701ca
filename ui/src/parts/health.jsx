import { t } from '../i18n.js';
import { Mark } from './notice.jsx';

/** What the doctor found, in a few marks: what is bad first; all well in one. */
export function HealthMarks({ health }) {
  if (!health) return <Mark mark="unknown">{t('health.not_yet')}</Mark>;
  const worse = ['bad', 'warn'].filter((m) => health[m] > 0);
  if (worse.length === 0) return <Mark mark="good">{t('health.good')}</Mark>;
  return <span class="marks">{worse.map((m) => <Mark key={m} mark={m}>{t(`health.${m}`, { n: health[m] })}</Mark>)}</span>;
}
