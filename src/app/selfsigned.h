/* app/selfsigned: a key and a certificate signed by itself, to begin with: clients warn, servers encrypt (RFC 7435).
 * Pure; any thread. */
#ifndef APP_SELFSIGNED_H
#define APP_SELFSIGNED_H

#include "base/buf.h"

#define SELFSIGNED_DAYS 3650

/* PEM of an ECDSA P-256 key and of its certificate for this host name. RC_TEMP: OpenSSL has no memory. Wipe the key. */
enum rc selfsigned_make(const char *hostname, struct buf *certificate, struct buf *key);

#endif
