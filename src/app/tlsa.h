/* app/tlsa: the keys that senders who use DANE may meet at our host (RFC 7672): the one that serves, and with ACME the one that
 * comes after it. Single-threaded; as root the effective user changes and comes back to the store's. */
#ifndef APP_TLSA_H
#define APP_TLSA_H

#include "app/app.h"
#include "crypto/digest.h"

#define TLSA_KEYS_MAX 2

struct tlsa_keys {
    uint8_t key[TLSA_KEYS_MAX][SHA256_SIZE]; /* data of records 3 1 1 */
    size_t n;
};
/* An exit code; the reason of a failure is on stderr. n 0: there is no certificate yet. */
int tlsa_keys_find(struct app *app, struct tlsa_keys *out);

#endif
