import { Facts } from './card.jsx';
import { Icon } from './icons.jsx';
import { Time } from './time.jsx';

const ICONS = { good: 'check', note: 'next', warn: 'clock', bad: 'bad', unknown: 'unknown' };

/** What happened, in order. steps: [{at, mark, title, text, facts, words (as the other side said it), after (a span)}] */
export function Timeline({ steps }) {
  return (
    <ol class="timeline">
      {steps.map((s, i) => (
        <li key={i} class={'mark-' + (s.mark ?? 'note')}>
          <span class="timeline-dot"><Icon name={s.icon ?? ICONS[s.mark ?? 'note']} /></span>
          <div class="timeline-body">
            <p class="timeline-head"><strong>{s.title}</strong> <Time at={s.at} as="exact" />{s.after && <span class="soft">{s.after}</span>}</p>
            {s.text && <p>{s.text}</p>}
            {s.words && <blockquote>{s.words}</blockquote>}
            {s.facts && <Facts facts={s.facts} />}
          </div>
        </li>
      ))}
    </ol>
  );
}
