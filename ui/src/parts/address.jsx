/** A mail address that breaks, where it must, behind its @. */
export function Address({ of }) {
  const at = of.lastIndexOf('@') + 1;
  return <>{of.slice(0, at)}<wbr />{of.slice(at)}</>;
}
