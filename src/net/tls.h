/* net/tls: TLS contexts for both sides. OpenSSL stays inside net/ and crypto/.
 * The private key of a server context is not here: signatures come from a function that app/ hands in (the
 * vault). Contexts are immutable after tls_*_new and counted, so that a reload swaps them while sessions go
 * on. Any thread. RFC 9325, RFC 8446. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/arena.h"
#include "base/buf.h"

struct tls_server; /* certificate chain(s), suites, tickets */
struct tls_client; /* trust anchors for checking others */

enum tls_sign_kind {
    TLS_SIGN_ECDSA,     /* input: digest; output: DER ECDSA-Sig-Value */
    TLS_SIGN_RSA_PKCS1, /* input: DigestInfo (EMSA-PKCS1 without padding); output: signature */
    TLS_SIGN_RSA_RAW,   /* input: modulus-sized block, padded by PSS; output: signature */
};
/* Signs with the private key that belongs to `key` (the SHA-256 of its SubjectPublicKeyInfo). Blocks; any
 * thread. RC_TEMP: the vault does not answer. */
typedef enum rc (*tls_sign_fn)(void *ctx, const uint8_t key[32], enum tls_sign_kind kind, struct view input,
                               struct buf *signature);

struct tls_server_settings {
    const char *const *
        chain_pem; /* NULL-ended list of PEM texts, each a certificate with its chain; first is the default */
    tls_sign_fn sign;
    void *sign_ctx;
    const char *client_ca_pem; /* whose certificates prove clients, where a tls_offer asks for them; NULL: none are asked for */
    /* The SHA-256 that proves this host to be ours to an authority which asks by "acme-tls/1" (RFC 8737 §3). RC_NOTFOUND: none
     * is awaited. NULL: never. Blocks; any thread. */
    enum rc (*challenge)(void *ctx, struct view host, uint8_t proof[32]);
    void *challenge_ctx;
};
/* What a server says of itself on one kind of connection; static. */
struct tls_offer {
    const char *protocols; /* by ALPN (RFC 7301): comma-separated, best first; NULL: none */
    /* Who asks for others only is served all the same: where the choice would be no TLS (SMTP between servers). Else that is
     * an error (RFC 9325 §3.8): bytes meant for one protocol must not reach another. */
    bool optional;
    bool ask_certificate;
};
#define TLS_ALPN_ACME "acme-tls/1"
/* Whether a server can show this chain: all of it can be read, and OpenSSL takes it. RC_SYNTAX with *why (static text). */
enum rc tls_chain_check(const char *pem, const char **why);
/* RC_SYNTAX with *why (static text) when a certificate cannot be read. */
enum rc tls_server_new(const struct tls_server_settings *set, struct tls_server **out, const char **why);
struct tls_server *tls_server_ref(struct tls_server *t);
void tls_server_free(struct tls_server *t); /* drops one reference; accepts NULL */

/* System authorities, and those in extra_ca_pem (PEM text, may be NULL). */
enum rc tls_client_new(const char *extra_ca_pem, struct tls_client **out, const char **why);
struct tls_client *tls_client_ref(struct tls_client *t);
void tls_client_free(struct tls_client *t);
/* Makes the context of a foreign library (an OpenSSL SSL_CTX) trust the same authorities, and no certificate but one that has
 * this host among its DNS names. RC_TEMP: no memory. */
enum rc tls_client_lend(struct tls_client *t, void *ssl_ctx, const char *host);

/* What binds a server to a key or to an authority of its own: a TLSA record (RFC 6698 §2.1, usages 2 and 3), or a setting
 * in that form. */
struct tls_record {
    uint8_t usage, selector, matching;
    struct view data;
};
/* Matching type 0 holds a certificate or a key itself (by the selector, 0 or 1), which must be readable. */
bool tls_record_is_readable(const struct tls_record *r);
/* The certificates of a PEM text as authorities of one's own (usage 2, whole, unhashed). RC_SYNTAX: there is none, or one
 * cannot be read. RC_TEMP: no memory. */
enum rc tls_records_of_pem(const char *pem, struct arena *a, struct tls_record **out, size_t *n);
/* What is wrong with a server's TLS. */
enum tls_fault {
    TLS_FAULT_NONE,
    TLS_FAULT_HANDSHAKE, /* none came about; nothing is known of a certificate */
    TLS_FAULT_NAME,      /* the certificate is for others */
    TLS_FAULT_EXPIRED,   /* or not valid yet */
    TLS_FAULT_UNTRUSTED, /* no authority that counts stands behind it, or its chain is broken */
    TLS_FAULT_RECORD,    /* none of the records fits it */
};

/* What a finished handshake says. Strings are owned by the connection. */
struct tls_info {
    const char *version;     /* "TLSv1.3" */
    const char *cipher;      /* "TLS_AES_256_GCM_SHA384" */
    int bits;                /* secret bits of the cipher */
    const char *server_name; /* SNI from the client, or "" */
    const char *alpn;        /* chosen, or "" */
    bool peer_verified;      /* client side: chain and name hold (RFC 9525); server side: a client's certificate of client_ca_pem */
    const char *peer_error;  /* why not, in words; "" when verified */
    int64_t peer_expires_s;  /* client side: end of its certificate, seconds since 1970; 0: unknown */
};

#endif
