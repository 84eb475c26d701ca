/* app/destination: one value of `outbound { destination }`: what the operator says of TLS to a destination, as text such as
 *     "bank.example tls=required mx=*.bank.example trust=bank-ca.pem"
 * Pure; any thread. The file of `trust` is named, not read. */
#ifndef APP_DESTINATION_H
#define APP_DESTINATION_H

#include "base/arena.h"
#include "queue/queue.h"

#define DESTINATION_KEYS_MAX 16
#define DESTINATION_MX_MAX   64

struct config_destination {
    const char *domain; /* A-labels, perhaps behind "*." */
    int tls;            /* DESTINATION_... of queue.h */
    const char *mx[DESTINATION_MX_MAX];
    size_t n_mx;
    const char *trust;  /* file as written, or NULL */
    uint8_t keys[DESTINATION_KEYS_MAX][32]; /* SHA-256 of the host's public key (SubjectPublicKeyInfo) */
    size_t n_keys;
};
/* RC_SYNTAX with *why (static or arena text). RC_TEMP: no memory. */
enum rc destination_parse(struct view text, struct arena *a, struct config_destination *out, const char **why);

#endif
