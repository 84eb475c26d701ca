import qrcode from 'qrcode-generator';

/** A QR code, made here: what it holds leaves the browser for nobody. Dark on light in both themes, as readers want it. */
export function QrCode({ text, label }) {
  const code = qrcode(0, 'M');
  code.addData(text);
  code.make();
  const n = code.getModuleCount(), edge = 4;
  let path = '';
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (code.isDark(y, x)) path += `M${x + edge} ${y + edge}h1v1h-1z`;
  return (
    <svg class="qr" viewBox={`0 0 ${n + 2 * edge} ${n + 2 * edge}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width="100%" height="100%" fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
