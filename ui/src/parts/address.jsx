/** A mail address that breaks, where it must, behind its @. Other names stay whole. */
export function Address({ of }) {
  const at = of.lastIndexOf('@') + 1;
  return at > 0 ? <>{of.slice(0, at)}<wbr />{of.slice(at)}</> : <>{of}</>;
}
