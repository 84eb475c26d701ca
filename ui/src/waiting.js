/* Why a message waits, in words: from the state of its recipients and the server's code for the last answer. */
import { t } from './i18n.js';

/** The first time that something is tried again, or ''. */
export const next = (recipients) => recipients.filter((r) => r.state !== 'held' && r.next_attempt).map((r) => r.next_attempt).sort()[0] ?? '';

/** {mark, state, text}: of the recipient that waits longest. */
export function why(recipients) {
  const worst = recipients.find((r) => r.state === 'held') ?? [...recipients].sort((a, b) => b.attempts - a.attempts)[0];
  if (!worst) return { mark: 'note', state: t('wait.new'), text: t('wait.new_text') };
  if (worst.state === 'held') return { mark: 'warn', state: t('wait.held'), text: t('wait.held_text') };
  if (worst.attempts === 0 && !worst.reason) return { mark: 'note', state: t('wait.new'), text: t('wait.new_text') };
  return { mark: worst.attempts > 3 ? 'warn' : 'note', state: t('wait.deferred'), text: t(`wait.${worst.reason || 'other'}`) };
}
