/* An SPF record drawn as a tree: each part below the record that it stands in, with the look-ups that it costs. */
import { t } from '../i18n.js';
import { Icon } from './icons.jsx';
import { Mark, Notice } from './notice.jsx';
import { Bar } from './spark.jsx';

const MAX = 10; // RFC 7208 §4.6.4

/** From the flat list with depths: [{term, domain, lookup, problem, parts: [...], cost}], cost being the look-ups of it and of what it leads to. */
export function treeOf(list) {
  const top = { parts: [], depth: -1 };
  const way = [top];
  for (const item of list) {
    const node = { ...item, parts: [], cost: 0 };
    while (way.length > 1 && way[way.length - 1].depth >= item.depth) way.pop();
    way[way.length - 1].parts.push(node);
    way.push(node);
  }
  const add = (node) => {
    node.parts.forEach(add);
    node.cost = (node.lookup ? 1 : 0) + node.parts.reduce((sum, p) => sum + p.cost, 0);
  };
  top.parts.forEach(add);
  return top.parts;
}

function Branch({ nodes }) {
  return (
    <ul>
      {nodes.map((n, i) => (
        <li key={i}>
          <div class="spf-node">
            <code>{n.term}</code>
            {n.cost > 0 && <span class="spf-cost">{t('spf.cost', { n: n.cost })}</span>}
            {n.problem && <Mark mark="bad">{n.problem}</Mark>}
          </div>
          {n.parts.length > 0 && <Branch nodes={n.parts} />}
        </li>
      ))}
    </ul>
  );
}

/** What would save the most look-ups: the parts of the record itself that cost more than one, dearest first. */
function Advice({ tree, lookups }) {
  const dear = tree.filter((n) => n.cost > 1).sort((a, b) => b.cost - a.cost).slice(0, 3);
  if (lookups <= MAX - 3 || dear.length === 0) return null;
  return (
    <Notice mark={lookups > MAX ? 'bad' : 'note'} title={lookups > MAX ? t('spf.too_many', { n: lookups - MAX }) : t('spf.near', { n: MAX - lookups })}>
      <p>{t('spf.how')}</p>
      <ul class="dear">{dear.map((n) => <li key={n.term}><Icon name="next" /><span><code>{n.term}</code> {t('spf.saves', { n: n.cost })}</span></li>)}</ul>
    </Notice>
  );
}

export function SpfTree({ spf }) {
  if (!spf?.tree?.length) return null;
  const tree = treeOf(spf.tree);
  return (
    <div class="spf">
      <p class="spf-count"><strong>{t('spf.lookups', { n: spf.lookups, max: MAX })}</strong></p>
      <Bar share={spf.lookups / MAX} mark={spf.lookups > MAX ? 'bad' : spf.lookups > MAX - 2 ? 'warn' : 'good'} label={t('spf.lookups', { n: spf.lookups, max: MAX })} />
      <div class="spf-tree"><Branch nodes={tree} /></div>
      <Advice tree={tree} lookups={spf.lookups} />
    </div>
  );
}
