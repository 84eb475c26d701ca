/** A line of values in the height of a few words; `label` says what it shows. */
export function Spark({ values, label, max, mark = 'note', height = 40 }) {
  const w = 160, top = Math.max(max ?? 0, ...values, 1), step = values.length > 1 ? w / (values.length - 1) : w;
  const points = values.map((v, i) => `${(i * step).toFixed(1)},${(height - 2 - (v / top) * (height - 6)).toFixed(1)}`);
  return (
    <svg class={'spark mark-' + mark} viewBox={`0 0 ${w} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon class="spark-area" points={`0,${height} ${points.join(' ')} ${w},${height}`} />
      <polyline class="spark-line" points={points.join(' ')} />
    </svg>
  );
}

/** How full something is: a bar beside its words. share: 0 to 1. */
export function Bar({ share, mark = 'note', label }) {
  return (
    <svg class={'bar mark-' + mark} viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="bar-all" width="100" height="6" />
      <rect class="bar-part" width={Math.max(0, Math.min(1, share)) * 100} height="6" />
    </svg>
  );
}
