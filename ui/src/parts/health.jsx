import { seg } from '../api.js';
import { t } from '../i18n.js';
import { href } from '../router.js';
import { Mark } from './notice.jsx';

/** What the doctor found, in a few marks: what is bad first; all well in one. With `domain` they lead to the doctor. */
export function HealthMarks({ health, domain }) {
  const marks = <Marks health={health} />;
  return domain ? <a class="to-health" href={href('/doctor/' + seg(domain))}><span class="unseen">{t('health.see', { domain })}</span> {marks}</a> : marks;
}

function Marks({ health }) {
  if (!health) return <Mark mark="unknown">{t('health.not_yet')}</Mark>;
  const worse = ['bad', 'warn'].filter((m) => health[m] > 0);
  if (worse.length === 0) return <Mark mark="good">{t('health.good')}</Mark>;
  return <span class="marks">{worse.map((m) => <Mark key={m} mark={m}>{t(`health.${m}`, { n: health[m] })}</Mark>)}</span>;
}
