/* Passkeys in the browser (WebAuthn level 3). The server speaks JSON with base64url where the browser has bytes. */
export const canPasskeys = () => Boolean(window.PublicKeyCredential && navigator.credentials);

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const list = (keys) => keys?.map((k) => ({ ...k, id: bytes(k.id) }));

/** null: the person thought better of it. */
async function orNull(promise) {
  try {
    return await promise;
  } catch (e) {
    if (e.name === 'NotAllowedError' || e.name === 'AbortError') return null;
    throw e;
  }
}

export async function proveWithPasskey({ publicKey }) {
  const options = { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: list(publicKey.allowCredentials) };
  const c = await orNull(navigator.credentials.get({ publicKey: options }));
  return c && {
    id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: {},
    response: {
      clientDataJSON: text(c.response.clientDataJSON), authenticatorData: text(c.response.authenticatorData),
      signature: text(c.response.signature), userHandle: c.response.userHandle ? text(c.response.userHandle) : null,
    },
  };
}

export async function makePasskey({ publicKey }) {
  const options = {
    ...publicKey, challenge: bytes(publicKey.challenge), user: { ...publicKey.user, id: bytes(publicKey.user.id) },
    excludeCredentials: list(publicKey.excludeCredentials),
  };
  const c = await orNull(navigator.credentials.create({ publicKey: options }));
  return c && {
    id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: {},
    response: { clientDataJSON: text(c.response.clientDataJSON), attestationObject: text(c.response.attestationObject) },
  };
}
