/* Why a message waits, in words: from the state of its recipients and the last answers. */
import { t } from './i18n.js';

/* The first that fits explains. Status codes are those of RFC 3463. */
const REASONS = [
  [/\b[45]\.2\.2\b|quota|mailbox.*full|over.?quota/i, 'full'],
  [/gr[ea]y.?list|\b4\.7\.1\b.*(later|again)|try again later|come back/i, 'greylisted'],
  [/\b4\.7\.[45]\b|certificate|TLS|MTA-STS|DANE/i, 'tls'],
  [/\b4\.4\.3\b|name server|DNS|MX record|looked up/i, 'dns'],
  [/too many|rate|throttl|4\.7\.28|limit/i, 'slowed'],
  [/\b4\.4\.[12]\b|refused|timed out|unreachable|no route|cannot connect|connection/i, 'unreachable'],
  [/\b4\.3\.0\b.*(store|memory|read)/i, 'ours'],
];
export const reason = (reply) => REASONS.find(([pattern]) => pattern.test(reply))?.[1] ?? 'other';

/** The first time that something is tried again, or ''. */
export const next = (recipients) => recipients.filter((r) => r.state !== 'held' && r.next_attempt).map((r) => r.next_attempt).sort()[0] ?? '';

/** {mark, state, text}: of the recipient that waits longest. */
export function why(recipients) {
  const worst = recipients.find((r) => r.state === 'held') ?? [...recipients].sort((a, b) => b.attempts - a.attempts)[0];
  if (!worst) return { mark: 'note', state: t('wait.new'), text: t('wait.new_text') };
  if (worst.state === 'held') return { mark: 'warn', state: t('wait.held'), text: t('wait.held_text') };
  if (worst.attempts === 0 && !worst.last_reply) return { mark: 'note', state: t('wait.new'), text: t('wait.new_text') };
  return { mark: worst.attempts > 3 ? 'warn' : 'note', state: t('wait.deferred'), text: t(`wait.${reason(worst.last_reply)}`) };
}
