#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "net/addr.h"
#include "net/conn.h"
#include "net/hello.h"
#include "net/tls_challenge.h"
#include "net/tls_impl.h"
#include "net/tls_key.h"

#define MAX_CHAINS 64

/* RFC 9325 §4.2: forward secrecy and AEAD first. CBC with ECDHE stays at the end, for mail servers that would
 * otherwise fall back to no encryption at all (RFC 7435). */
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!PSK:!DSS"
/* As a client we take what the peer has, down to RSA key exchange, for the same reason. */
#define CLIENT_CIPHERS                                                                                       \
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:AES:!aNULL:!eNULL:!PSK:!SRP:!DSS"

/* Certificates for the same names: one of each kind of key. */
struct identity {
    SSL_CTX *ctx;
    X509 *rsa, *ec; /* borrowed from ctx, or NULL */
};

struct tls_server {
    atomic_uint refs;
    X509_STORE *clients; /* authorities of clients' certificates, or NULL */
    STACK_OF(X509_NAME) *client_names; /* of these authorities, to be told to clients */
    enum rc (*challenge)(void *ctx, struct view host, uint8_t proof[32]);
    void *challenge_ctx;
    size_t n;
    struct identity ids[MAX_CHAINS]; /* the first is the default */
};

static void set_common(SSL_CTX *ctx)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record in one recv instead of two */
}

static enum rc add_authorities(X509_STORE *store, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert;
    size_t n = 0;
    while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (X509_STORE_add_cert(store, cert) == 1)
            n++;
        X509_free(cert);
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    return n > 0 && at_end ? RC_OK : RC_SYNTAX;
}

/* --- server --- */

static bool names_match(X509 *cert, struct view name)
{
    return X509_check_host(cert, name.p, name.n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* The first DNS name of a certificate, for finding its twin with the other kind of key. */
static struct view first_name(X509 *cert, GENERAL_NAMES **hold)
{
    *hold = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(*hold); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(*hold, i);
        if (g->type == GEN_DNS)
            return view_of(ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
    }
    return (struct view){0};
}

static bool is_twin(const struct identity *id, X509 *cert, bool ec)
{
    X509 *other = ec ? id->rsa : id->ec;
    GENERAL_NAMES *hold = NULL;
    if ((ec ? id->ec : id->rsa) || !other)
        return false;
    struct view name = first_name(other, &hold);
    bool twin = name.n > 0 && names_match(cert, name);
    GENERAL_NAMES_free(hold);
    return twin;
}

/* The client's choice of name picks the certificate. An unknown name gets the default one (RFC 6066 §3 allows
 * going on): mail servers send whatever name the MX record had. */
static int choose_identity(SSL *ssl, int *alert, void *arg)
{
    struct tls_server *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_get_SSL_CTX(ssl) != t->ids[0].ctx) /* see_hello has chosen */
        return SSL_TLSEXT_ERR_OK;
    for (size_t i = 0; i < t->n; i++) {
        const struct identity *id = &t->ids[i];
        if ((id->rsa && names_match(id->rsa, view_str(name))) ||
            (id->ec && names_match(id->ec, view_str(name)))) {
            SSL_set_SSL_CTX(ssl, id->ctx);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* In the client's list, its own bytes. */
static bool find_protocol(struct view list, struct view wanted, struct view *found)
{
    while (hello_protocol(&list, found))
        if (view_eq(*found, wanted))
            return true;
    return false;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned in_n, void *arg)
{
    const struct tls_offer *offer = SSL_get_app_data(ssl);
    struct view ours = view_str(offer ? offer->protocols : NULL), one, found;
    (void)arg;
    if (ours.n == 0)
        return SSL_TLSEXT_ERR_NOACK;
    while (ours.n > 0) {
        view_split(&ours, ',', &one);
        if (!find_protocol(view_of(in, in_n), one, &found))
            continue;
        *out = (const unsigned char *)found.p;
        *out_n = (unsigned char)found.n;
        return SSL_TLSEXT_ERR_OK;
    }
    return offer->optional ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A client whose certificate is of no use to us is one without: what it may do is decided when it logs in. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static struct view extension_of(SSL *ssl, unsigned type)
{
    const unsigned char *p;
    size_t n;
    return SSL_client_hello_get0_ext(ssl, type, &p, &n) == 1 ? view_of(p, n) : VIEW("");
}

static SSL_CTX *new_server_ctx(struct tls_server *t);

/* An authority that looks whether a host is ours names that one protocol alone (RFC 8737 §3). */
static int see_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_server *t = arg;
    const struct tls_offer *offer = SSL_get_app_data(ssl);
    struct view host = hello_host_of(extension_of(ssl, TLSEXT_TYPE_server_name));
    struct view protocols = hello_protocols_of(extension_of(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation)), one;
    uint8_t proof[32];
    if (!t->challenge || !offer || !hello_protocol(&protocols, &one) || !view_eq(one, VIEW(TLS_ALPN_ACME)) || protocols.n > 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    if (t->challenge(t->challenge_ctx, host, proof) != RC_OK)
        return SSL_CLIENT_HELLO_ERROR;
    *alert = SSL_AD_INTERNAL_ERROR;
    SSL_CTX *ctx = new_server_ctx(t);
    bool ok = ctx && tls_challenge_use(ctx, host, proof) == RC_OK && SSL_set_SSL_CTX(ssl, ctx);
    SSL_CTX_free(ctx); /* the connection has its own reference */
    return ok ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

static SSL_CTX *new_server_ctx(struct tls_server *t)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return NULL;
    set_common(ctx);
    SSL_CTX_set_cipher_list(ctx, SERVER_CIPHERS);
    SSL_CTX_set_dh_auto(ctx, 1);
    /* Tickets are stateless under random keys of this context; one is enough. */
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"facteur", 7);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_identity);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, t);
    SSL_CTX_set_client_hello_cb(ctx, see_hello, t);
    if (t->clients)
        SSL_CTX_set1_verify_cert_store(ctx, t->clients);
    return ctx;
}

/* The host's certificate, and those that follow it in PEM. */
static enum rc use_chain(SSL_CTX *ctx, X509 *leaf, BIO *bio, const char **why)
{
    X509 *above;
    *why = "OpenSSL does not take the certificate";
    if (SSL_CTX_use_certificate(ctx, leaf) != 1)
        return RC_SYNTAX;
    *why = "the chain after the certificate cannot be read";
    ERR_clear_error();
    while ((above = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, above) != 1) {
            X509_free(above);
            return RC_SYNTAX;
        }
    }
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? RC_OK : RC_SYNTAX;
}

enum rc tls_chain_check(const char *pem, const char **why)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    SSL_CTX *ctx = leaf ? SSL_CTX_new(TLS_server_method()) : NULL;
    *why = leaf ? "out of memory" : "no certificate in PEM form";
    enum rc rc = ctx ? use_chain(ctx, leaf, bio, why) : leaf ? RC_TEMP : RC_SYNTAX;
    SSL_CTX_free(ctx);
    X509_free(leaf);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

static enum rc add_chain(struct tls_server *t, const struct tls_server_settings *set, const char *pem,
                         const char **why)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = NULL;
    struct identity *id = NULL;
    enum rc rc = RC_SYNTAX;

    *why = "no certificate in PEM form";
    if (!leaf)
        goto done;
    *why = "the certificate's key is neither RSA nor ECDSA";
    key = tls_key_new(leaf, set->sign, set->sign_ctx);
    if (!key)
        goto done;
    bool ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
    for (size_t i = 0; i < t->n && !id; i++)
        if (is_twin(&t->ids[i], leaf, ec))
            id = &t->ids[i];
    if (!id) {
        *why = "too many certificates";
        if (t->n == MAX_CHAINS)
            goto done;
        id = &t->ids[t->n];
        *why = "out of memory";
        rc = RC_TEMP;
        id->ctx = new_server_ctx(t);
        if (!id->ctx)
            goto done;
        t->n++;
    }
    rc = use_chain(id->ctx, leaf, bio, why);
    if (rc != RC_OK)
        goto done;
    rc = RC_SYNTAX;
    *why = "OpenSSL does not take the certificate";
    if (SSL_CTX_use_PrivateKey(id->ctx, key) != 1)
        goto done;
    *(ec ? &id->ec : &id->rsa) = SSL_CTX_get0_certificate(id->ctx);
    rc = RC_OK;
done:
    X509_free(leaf);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

static enum rc read_clients(struct tls_server *t, const char *pem, const char **why)
{
    t->clients = X509_STORE_new();
    t->client_names = sk_X509_NAME_new_null();
    *why = "the authorities of clients hold no certificate in PEM form";
    enum rc rc = t->clients && t->client_names ? add_authorities(t->clients, pem) : RC_TEMP;
    if (rc != RC_OK)
        return rc;
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(t->clients); /* nobody else has the store yet */
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        X509_NAME *name = cert ? X509_NAME_dup(X509_get_subject_name(cert)) : NULL;
        if (cert && (!name || sk_X509_NAME_push(t->client_names, name) == 0)) {
            X509_NAME_free(name);
            return RC_TEMP;
        }
    }
    X509_STORE_set_purpose(t->clients, X509_PURPOSE_SSL_CLIENT);
    return RC_OK;
}

enum rc tls_server_new(const struct tls_server_settings *set, struct tls_server **out, const char **why)
{
    struct tls_server *t = calloc(1, sizeof *t);
    enum rc rc = RC_TEMP;

    *out = NULL;
    *why = "out of memory";
    if (!t)
        return rc;
    atomic_init(&t->refs, 1);
    t->challenge = set->challenge;
    t->challenge_ctx = set->challenge_ctx;
    rc = set->client_ca_pem ? read_clients(t, set->client_ca_pem, why) : RC_OK;
    for (size_t i = 0; rc == RC_OK && set->chain_pem[i]; i++)
        rc = add_chain(t, set, set->chain_pem[i], why);
    if (rc == RC_OK && t->n == 0) {
        *why = "no certificate";
        rc = RC_SYNTAX;
    }
    if (rc != RC_OK) {
        tls_server_free(t);
        return rc;
    }
    *why = "";
    *out = t;
    return RC_OK;
}

struct tls_server *tls_server_ref(struct tls_server *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_server_free(struct tls_server *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    for (size_t i = 0; i < t->n; i++)
        SSL_CTX_free(t->ids[i].ctx);
    X509_STORE_free(t->clients);
    sk_X509_NAME_pop_free(t->client_names, X509_NAME_free);
    free(t);
}

SSL *tls_server_ssl(struct tls_server *t, BIO *bio, const struct tls_offer *offer)
{
    SSL *ssl = bio ? SSL_new(t->ids[0].ctx) : NULL;
    if (!ssl) {
        BIO_free(bio);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    SSL_set_app_data(ssl, (void *)(uintptr_t)offer);
    if (offer && offer->ask_certificate && t->clients) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
        SSL_set0_CA_list(ssl, SSL_dup_CA_list(t->client_names));
    }
    return ssl;
}

/* --- client --- */

/* Read once, not at each handshake: a confined process may not see the folder later. */
static void load_system_authorities(SSL_CTX *ctx)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *env = getenv(X509_get_default_cert_file_env());
    if (env && SSL_CTX_load_verify_file(ctx, env) == 1)
        return;
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
        if (access(bundles[i], R_OK) == 0 && SSL_CTX_load_verify_file(ctx, bundles[i]) == 1)
            return;
    SSL_CTX_set_default_verify_paths(ctx);
}

enum rc tls_client_new(const char *extra_ca_pem, struct tls_client **out, const char **why)
{
    struct tls_client *t = calloc(1, sizeof *t);
    enum rc rc = RC_TEMP;

    *out = NULL;
    *why = "out of memory";
    if (!t)
        return rc;
    atomic_init(&t->refs, 1);
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (!t->ctx)
        goto done;
    set_common(t->ctx);
    SSL_CTX_set_cipher_list(t->ctx, CLIENT_CIPHERS);
    if (SSL_CTX_dane_enable(t->ctx) != 1)
        goto done;
    load_system_authorities(t->ctx);
    ERR_clear_error();
    *why = "the extra authorities hold no certificate in PEM form";
    rc = extra_ca_pem ? add_authorities(SSL_CTX_get_cert_store(t->ctx), extra_ca_pem) : RC_OK;
done:
    ERR_clear_error();
    if (rc != RC_OK) {
        tls_client_free(t);
        return rc;
    }
    *why = "";
    *out = t;
    return RC_OK;
}

static enum rc record_of(X509 *cert, struct arena *a, struct tls_record *out)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    *out = (struct tls_record){.usage = 2};
    enum rc rc = n > 0 ? view_dup(a, view_of(der, (size_t)n), &out->data) : RC_TEMP;
    OPENSSL_free(der);
    return rc;
}

enum rc tls_records_of_pem(const char *pem, struct arena *a, struct tls_record **out, size_t *n)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    enum rc rc = RC_OK;
    *n = 0;
    *out = arena_new_array(a, MAX_CHAINS, struct tls_record);
    if (!bio || !*out)
        rc = RC_TEMP;
    for (X509 *cert; rc == RC_OK && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL));) {
        rc = *n < MAX_CHAINS ? record_of(cert, a, &(*out)[*n]) : RC_SYNTAX;
        ++*n;
        X509_free(cert);
    }
    if (rc == RC_OK && (*n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
        rc = RC_SYNTAX;
    BIO_free(bio);
    ERR_clear_error();
    return rc;
}

bool tls_record_is_readable(const struct tls_record *r)
{
    const unsigned char *p = (const unsigned char *)r->data.p;
    X509 *cert = r->selector == 0 ? d2i_X509(NULL, &p, (long)r->data.n) : NULL;
    EVP_PKEY *key = r->selector == 1 ? d2i_PUBKEY(NULL, &p, (long)r->data.n) : NULL;
    bool whole = (key || (cert && X509_get0_pubkey(cert))) && (const char *)p == r->data.p + r->data.n;
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return whole;
}

struct tls_client *tls_client_ref(struct tls_client *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_client_free(struct tls_client *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

#define HOST_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

enum rc tls_client_lend(struct tls_client *t, void *ssl_ctx, const char *host)
{
    SSL_CTX *ctx = ssl_ctx;
    SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(t->ctx));
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx), HOST_FLAGS);
    return X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(ctx), host, 0) == 1 ? RC_OK : RC_TEMP;
}

/* Whom we mean to talk to: the name to be sent (SNI) and checked (RFC 9525 §6). An address literal is checked
 * only, as SNI has no form for it (RFC 6066 §3). */
static bool set_name(SSL *ssl, const char *server_name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct view name = view_str(server_name);
    char host[256];
    struct addr a;

    if (addr_parse_ip(name, 0, &a) == RC_OK)
        return X509_VERIFY_PARAM_set1_ip_asc(param, server_name) == 1;
    if (view_ends(name, VIEW(".")))
        name.n--;
    if (name.n == 0 || view_cstr(name, host, sizeof host) != RC_OK)
        return false;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* DANE in OpenSSL: RFC 7671's chain, names and agility, by one of its authors. */
static bool set_records(SSL *ssl, const struct conn_tls_options *o)
{
    size_t usable = 0;
    if (o->n_records == 0)
        return true;
    if (SSL_dane_enable(ssl, o->server_name) != 1)
        return false;
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7672 §3.1.1 */
    for (size_t i = 0; i < o->n_records; i++) {
        const struct tls_record *r = &o->records[i];
        if (SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, (const unsigned char *)r->data.p, r->data.n) == 1)
            usable++;
    }
    ERR_clear_error();
    return usable > 0;
}

static bool set_names(SSL *ssl, const struct conn_tls_options *o)
{
    bool ok = !o->server_name || set_name(ssl, o->server_name);
    /* RFC 7672 §3.2.3 lets a certificate without DNS names have its one name in the subject; RFC 9525 does not. */
    SSL_set_hostflags(ssl, o->n_records > 0 ? X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS : HOST_FLAGS);
    ok = ok && set_records(ssl, o);
    for (size_t i = 0; ok && i < o->n_names; i++)
        ok = SSL_add1_host(ssl, o->names[i]) == 1;
    return ok;
}

SSL *tls_client_ssl(struct tls_client *t, BIO *bio, const struct conn_tls_options *o)
{
    SSL *ssl = bio ? SSL_new(t->ctx) : NULL;
    if (!ssl) {
        BIO_free(bio);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    /* Unverified means opportunistic: small keys are then better than none. */
    SSL_set_security_level(ssl, o->verify ? 2 : 0);
    SSL_set_verify(ssl, o->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (!set_names(ssl, o) || (o->old_versions && !o->verify && SSL_set_min_proto_version(ssl, TLS1_VERSION) != 1) ||
        (o->below_1_3 && SSL_set_max_proto_version(ssl, TLS1_2_VERSION) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

enum tls_fault tls_fault_of(long verify_result)
{
    switch (verify_result) {
    case X509_V_OK:                    return TLS_FAULT_NONE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_FAULT_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_FAULT_EXPIRED;
    case X509_V_ERR_DANE_NO_MATCH:     return TLS_FAULT_RECORD;
    default:                           return TLS_FAULT_UNTRUSTED;
    }
}

/* --- channel bindings --- */

/* RFC 5929 §4.1: the hash of the certificate's own signature, but SHA-256 for MD5 and SHA-1. */
static enum rc bind_end_point(SSL *ssl, struct buf *out)
{
    X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n;
    int md = NID_undef;
    if (!cert || X509_get_signature_info(cert, &md, NULL, NULL, NULL) != 1 || md == NID_undef)
        return RC_NOTFOUND;
    if (md == NID_md5 || md == NID_sha1 || md == NID_md5_sha1)
        md = NID_sha256;
    const EVP_MD *method = EVP_get_digestbynid(md);
    if (!method || X509_digest(cert, method, hash, &n) != 1)
        return RC_NOTFOUND;
    buf_add(out, view_of(hash, n));
    return buf_rc(out);
}

/* RFC 5929 §3.1: the first Finished of the handshake, which the client sends unless the session was resumed.
 * Only with the extended master secret, without which two connections may share it (RFC 7627 §1). */
static enum rc bind_unique(SSL *ssl, struct buf *out)
{
    unsigned char finished[64];
    if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1)
        return RC_NOTFOUND;
    bool ours = (SSL_is_server(ssl) != 0) == (SSL_session_reused(ssl) != 0);
    size_t n = ours ? SSL_get_finished(ssl, finished, sizeof finished)
                    : SSL_get_peer_finished(ssl, finished, sizeof finished);
    if (n == 0 || n > sizeof finished)
        return RC_NOTFOUND;
    buf_add(out, view_of(finished, n));
    return buf_rc(out);
}

enum rc tls_channel_binding(SSL *ssl, struct view type, struct buf *out)
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 §2 */
    unsigned char key[32];
    if (view_eq(type, VIEW("tls-server-end-point")))
        return bind_end_point(ssl, out);
    if (view_eq(type, VIEW("tls-unique")))
        return bind_unique(ssl, out);
    if (!view_eq(type, VIEW("tls-exporter")) || SSL_version(ssl) < TLS1_3_VERSION ||
        SSL_export_keying_material(ssl, key, sizeof key, label, sizeof label - 1, NULL, 0, 0) != 1)
        return RC_NOTFOUND;
    buf_add(out, view_of(key, sizeof key));
    return buf_rc(out);
}
