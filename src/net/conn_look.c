#include "net/conn_look.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <time.h>

#include "net/conn_impl.h"

static const char *key_name(int type)
{
    switch (type) {
    case EVP_PKEY_RSA: return "RSA";
    case EVP_PKEY_RSA_PSS: return "RSA-PSS";
    case EVP_PKEY_EC: return "ECDSA";
    case EVP_PKEY_ED25519: return "Ed25519";
    case EVP_PKEY_ED448: return "Ed448";
    case EVP_PKEY_DSA: return "DSA";
    default: return "?";
    }
}

static struct conn_certificate look_at(X509 *cert)
{
    struct conn_certificate out = {.key = "?", .signature = ""};
    EVP_PKEY *key = X509_get0_pubkey(cert);
    int digest = NID_undef;
    if (key) {
        out.key = key_name(EVP_PKEY_get_base_id(key));
        out.bits = (unsigned)EVP_PKEY_get_bits(key);
    }
    if (X509_get_signature_info(cert, &digest, NULL, NULL, NULL) == 1 && digest != NID_undef)
        out.signature = OBJ_nid2sn(digest);
    out.self_signed = (X509_get_extension_flags(cert) & EXFLAG_SS) != 0;
    return out;
}

size_t conn_look_chain(const struct conn *c, struct conn_certificate out[CONN_CHAIN_MAX])
{
    STACK_OF(X509) *chain = c->ssl ? SSL_get_peer_cert_chain(c->ssl) : NULL;
    size_t n = 0;
    for (int i = 0; chain && i < sk_X509_num(chain) && n < CONN_CHAIN_MAX; i++)
        out[n++] = look_at(sk_X509_value(chain, i));
    ERR_clear_error();
    return n;
}

static bool keep_part(X509_NAME *from, int nid, struct arena *a, struct view *out)
{
    const int at = X509_NAME_get_index_by_NID(from, nid, -1);
    unsigned char *text = NULL;
    const int n = at >= 0 ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(from, at))) : -1;
    *out = (struct view){0};
    const bool ok = n <= 0 || view_dup(a, view_of(text, (size_t)n), out) == RC_OK;
    OPENSSL_free(text);
    return ok;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool keep_names(X509 *cert, struct arena *a, struct conn_leaf *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool ok = true;
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(names) && out->n_names < CONN_NAMES_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            ok = view_dup(a, view_of(ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)),
                          &out->names[out->n_names++]) == RC_OK;
    }
    GENERAL_NAMES_free(names);
    return ok;
}

bool conn_look_leaf(const struct conn *c, struct arena *a, struct conn_leaf *out)
{
    X509 *cert = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    struct view organization, name;
    *out = (struct conn_leaf){0};
    if (!cert)
        return false;
    bool ok = keep_part(X509_get_subject_name(cert), NID_commonName, a, &out->subject) &&
              keep_part(X509_get_issuer_name(cert), NID_organizationName, a, &organization) &&
              keep_part(X509_get_issuer_name(cert), NID_commonName, a, &name) && keep_names(cert, a, out);
    const char *issuer = arena_printf(a, "%.*s%s%.*s", VIEW_FMT(organization), organization.n > 0 && name.n > 0 ? ", " : "", VIEW_FMT(name));
    out->issuer = view_str(issuer ? issuer : "");
    out->not_before_s = seconds_of(X509_get0_notBefore(cert));
    out->not_after_s = seconds_of(X509_get0_notAfter(cert));
    ERR_clear_error();
    return ok && issuer;
}

bool conn_look_name(const struct conn *c, const char *host)
{
    X509 *cert = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    return cert && X509_check_host(cert, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

unsigned conn_look_early_data(const struct conn *c)
{
    const SSL_SESSION *session = c->ssl ? SSL_get0_session(c->ssl) : NULL;
    return session ? SSL_SESSION_get_max_early_data(session) : 0;
}

const char *conn_look_group(const struct conn *c)
{
    EVP_PKEY *key = NULL;
    const char *name = "";
    if (c->ssl && SSL_get_peer_tmp_key(c->ssl, &key) == 1 && key) {
        char group[64];
        int nid = EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 ? OBJ_txt2nid(group) : EVP_PKEY_get_base_id(key);
        const char *known = nid != NID_undef ? OBJ_nid2sn(nid) : NULL;
        name = known ? known : "";
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
    return name;
}

enum rc conn_look_renegotiate(struct conn *c)
{
    if (!c->ssl || SSL_version(c->ssl) >= TLS1_3_VERSION)
        return RC_DENIED;
    ERR_clear_error();
    SSL_clear_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    if (SSL_renegotiate(c->ssl) != 1) {
        ERR_clear_error();
        return RC_DENIED;
    }
    for (;;) {
        int result = SSL_do_handshake(c->ssl);
        int error = SSL_get_error(c->ssl, result);
        enum rc rc = RC_DENIED;
        if (result == 1)
            return SSL_renegotiate_pending(c->ssl) ? RC_DENIED : RC_OK;
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
            rc = conn_wait(c, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
        ERR_clear_error();
        if (rc != RC_OK) {
            c->fail = RC_CLOSED;
            return RC_DENIED;
        }
    }
}
