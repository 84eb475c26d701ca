/* net/tls_flight: the first words of a TLS handshake, written and read by hand, to learn what a server would agree to that OpenSSL no longer
 * speaks: SSL 3, RC4, compression. A ClientHello out, the server's flight in; no handshake is ever finished.
 * Pure; any thread. What a server says is hostile. RFC 5246 §7.4, RFC 8446 §4.1, RFC 8422 §5.4, RFC 5746. */
#ifndef NET_TLS_FLIGHT_H
#define NET_TLS_FLIGHT_H

#include "base/buf.h"

#define TLS_FLIGHT_FLIGHT_MAX 65536 /* bytes of a server's answer that are looked at */

enum { TLS_FLIGHT_SSL3 = 0x0300, TLS_FLIGHT_1_0 = 0x0301, TLS_FLIGHT_1_1 = 0x0302, TLS_FLIGHT_1_2 = 0x0303 };

struct tls_flight {
    uint16_t version;        /* the highest that we say we know */
    const uint16_t *suites;  /* by preference */
    size_t n_suites;
    const uint16_t *groups;  /* named groups; NULL: the usual ones */
    size_t n_groups;
    bool compression;        /* also DEFLATE */
    const char *server_name; /* NULL: none */
    uint8_t random[32];
};
/* One record. RC_LIMIT: too long. */
enum rc tls_flight_write(const struct tls_flight *offer, struct buf *out);

struct tls_flight_answer {
    bool agreed;        /* there was a ServerHello; else `alert` */
    uint8_t alert;      /* 0: the server has just gone */
    uint16_t version, suite;
    bool compression;
    bool renegotiation_info; /* RFC 5746 */
    bool extended_master;    /* RFC 7627 */
    uint16_t group;          /* of an elliptic-curve key exchange; 0: none */
    unsigned dh_bits;        /* of a finite-field one; 0: none */
    uint16_t signature;      /* hash and algorithm of TLS 1.2's ServerKeyExchange; 0: none */
};
/* Reads all that has come. RC_OK: enough is known. RC_TEMP: more must come first (at the end of the connection *out has what is known).
 * RC_SYNTAX: this is not TLS. */
enum rc tls_flight_read(struct view in, struct tls_flight_answer *out);

#endif
