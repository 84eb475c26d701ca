/* acme/acme: gets certificates from an authority by ACME (RFC 8555) with HTTP-01 and TLS-ALPN-01 (RFC 8737), external account binding (§7.3.4) and renewal
 * information (RFC 9773). The keys, the account's and the certificates', are made and held by the vault; here only public
 * halves and signatures pass. What the authority has to find is handed to a function that publishes it.
 * Network I/O; blocks until its deadline; any thread. fetch_init() first.
 *
 * Ours and not a foreign client's, because such a one would hold the keys itself, and call programs of ours from a process
 * that may start none. */
#ifndef ACME_ACME_H
#define ACME_ACME_H

#include <stdatomic.h>

#include "dns/dns.h"
#include "fetch/fetch.h"
#include "vault/vault.h"

#define ACME_REPLY_MAX  (256u << 10) /* bytes of one reply, the chain among them */
#define ACME_NAMES_MAX  100          /* of one certificate */
#define ACME_NONCES_MAX 30           /* a request is repeated so often for a better nonce (RFC 8555 §6.5) */
#define ACME_POLL_MS    1000         /* between looks, where the authority says nothing */
#define ACME_WHY_MAX    600
#define ACME_URL_MAX    FETCH_FIELD_MAX

enum acme_way { ACME_HTTP, ACME_TLS };
struct acme_settings {
    const char *directory; /* https URL */
    const char *contact;   /* "mailto:..." or NULL */
    const char *eab_key_id; /* NULL: none */
    struct view eab_key;   /* as the authority gave it: base64url */
    struct vault *vault;
    struct dns *dns;
    struct tls_client *trust;
    /* Makes http://NAME/.well-known/acme-challenge/TOKEN answer `answer`, at once, or the handshake for NAME prove its digest; and
     * takes it back. */
    enum rc (*publish)(void *ctx, enum acme_way way, struct view token_or_name, struct view answer);
    void (*withdraw)(void *ctx, enum acme_way way, struct view token_or_name);
    void *ctx;
    bool by_http, by_tls; /* what can be shown: at least one */
    bool tls_first;       /* where both can */
    const atomic_bool *stop; /* NULL: never */
};
struct acme_result {
    char why[ACME_WHY_MAX]; /* in words, after a failure */
    int64_t retry_after_s;  /* the authority asks to wait so long; 0: nothing said */
};
/* A certificate for these names (A-labels, the first one counts most), installed in the vault under `key_name` (vault_key_install).
 * which: TLS_KEY_NEXT, a key of its own for each certificate, so that an old one that leaked is worth nothing; or TLS_KEY_SERVING.
 * What is there stays until the new chain is whole. RC_DENIED: the authority refuses. RC_TEMP: try again later. */
enum rc acme_obtain(const struct acme_settings *set, struct view key_name, enum tls_key_which which, const struct view *names,
                    size_t n, int64_t deadline_ms, struct acme_result *result);
/* When the authority suggests to renew this certificate (PEM): a window in seconds since 1970. RC_NOTFOUND: it suggests nothing. */
enum rc acme_renewal_window(const struct acme_settings *set, struct view pem, int64_t deadline_ms, int64_t *start_s, int64_t *end_s);

/* Facts of the first certificate in PEM. RC_SYNTAX: none there. */
struct acme_certificate {
    int64_t from_s, until_s;
    bool self_signed;
};
enum rc acme_certificate_read(struct view pem, struct acme_certificate *out);
/* Whether it is for this host, by its DNS names alone (RFC 9525). */
bool acme_certificate_covers(struct view pem, const char *name);
/* SHA-256 of its SubjectPublicKeyInfo: data of a TLSA record 3 1 1 (RFC 6698). RC_SYNTAX. */
enum rc acme_certificate_key(struct view pem, uint8_t out[32]);

#endif
