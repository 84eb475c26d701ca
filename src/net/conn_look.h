/* net/conn_look: what a client that has finished its handshake can tell of the server to those who examine it: the certificates of its
 * chain, early data, renegotiation. As conn.h: one thread at a time, deadlines of the connection. RFC 8446 §2.3, §4.2.10; RFC 5746. */
#ifndef NET_CONN_LOOK_H
#define NET_CONN_LOOK_H

#include "base/arena.h"
#include "net/conn.h"

#define CONN_CHAIN_MAX 10
#define CONN_NAMES_MAX 20

struct conn_certificate {
    const char *key;       /* "RSA", "ECDSA", "Ed25519", ...; static */
    unsigned bits;         /* of the key */
    const char *signature; /* digest of its signature: "SHA256", "SHA1"; "" where the algorithm has its own */
    bool self_signed;      /* then its signature proves nothing, and does not matter */
};
/* The chain as served, the server's own first. 0: none, or no memory. */
size_t conn_look_chain(const struct conn *c, struct conn_certificate out[CONN_CHAIN_MAX]);
struct conn_leaf {
    struct view subject, issuer; /* common name; organisation and common name. UTF-8 as the certificate has it, or empty */
    int64_t not_before_s, not_after_s;
    struct view names[CONN_NAMES_MAX]; /* its DNS names */
    size_t n_names;
};
/* The server's own certificate. False: there is none, or no memory. */
bool conn_look_leaf(const struct conn *c, struct arena *a, struct conn_leaf *out);
/* Whether the server's certificate is for this name (RFC 9525). */
bool conn_look_name(const struct conn *c, const char *host);
/* Bytes of early data (0-RTT) that the server would take; known when something was read after the handshake. */
unsigned conn_look_early_data(const struct conn *c);
/* Named group of the key exchange, "" where there is none. */
const char *conn_look_group(const struct conn *c);
/* Asks for a new handshake inside the session, as TLS 1.2 allowed clients. RC_OK: the server did it. RC_DENIED: it did not.
 * The connection is only good for conn_free afterwards. */
enum rc conn_look_renegotiate(struct conn *c);

#endif
