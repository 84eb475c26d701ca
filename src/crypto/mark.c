#include "crypto/mark.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/base64.h"

#define OID_PURPOSE  "1.3.6.1.5.5.7.3.31"         /* id-kp-BrandIndicatorforMessageIdentification */
#define OID_LOGOTYPE "1.3.6.1.5.5.7.1.12"         /* RFC 3709 §4.1 */
#define OID_TYPE     "1.3.6.1.4.1.53087.1.13"     /* markType, in the subject */
#define LOGO_MAX     (256u << 10)
#define DER_DEPTH_MAX 16

/* --- the logo inside: RFC 3709 §4.1 --- */

/* One element of DER. False: broken. */
static bool take_element(struct view *in, unsigned *tag, struct view *body)
{
    if (in->n < 2)
        return false;
    *tag = (unsigned char)in->p[0];
    size_t n = (unsigned char)in->p[1], head = 2;
    if ((*tag & 0x1f) == 0x1f)
        return false;
    if (n > 0x80) {
        size_t bytes = n & 0x7f;
        if (bytes > 4 || in->n < 2 + bytes)
            return false;
        n = 0;
        for (size_t i = 0; i < bytes; i++)
            n = n << 8 | (unsigned char)in->p[2 + i];
        head += bytes;
    } else if (n == 0x80) {
        return false;
    }
    if (in->n - head < n)
        return false;
    *body = view_slice(*in, head, n);
    view_skip(in, head + n);
    return true;
}

/* The first address of a drawing (an IA5String) anywhere inside. */
static bool find_uri(struct view in, unsigned depth, struct view *uri)
{
    unsigned tag;
    struct view body;
    while (in.n > 0 && take_element(&in, &tag, &body)) {
        if (tag == 0x16 && view_istarts(body, VIEW("data:image/svg+xml"))) {
            *uri = body;
            return true;
        }
        if ((tag & 0x20) && depth < DER_DEPTH_MAX && find_uri(body, depth + 1, uri))
            return true;
    }
    return false;
}

/* LogotypeExtn ::= SEQUENCE { ..., subjectLogo [2] EXPLICIT LogotypeInfo OPTIONAL, ... } */
static enum rc find_logo(struct view extension, struct arena *a, struct view *out)
{
    struct view all, body, uri = {0};
    unsigned tag;
    if (!take_element(&extension, &tag, &all) || tag != 0x30)
        return RC_SYNTAX;
    while (take_element(&all, &tag, &body))
        if (tag == 0xa2 && find_uri(body, 0, &uri))
            break;
    size_t comma = view_chr(uri, ',');
    if (comma == VIEW_NONE || view_ifind(view_slice(uri, 0, comma), VIEW(";base64")) == VIEW_NONE)
        return RC_SYNTAX;
    struct buf bytes;
    buf_init(&bytes, LOGO_MAX);
    enum rc rc = base64_decode(view_from(uri, comma + 1), &bytes);
    if (rc == RC_OK)
        rc = view_dup(a, buf_view(&bytes), out);
    buf_clear(&bytes);
    return rc;
}

/* --- facts of the certificate --- */

static struct view name_part(X509_NAME *name, const ASN1_OBJECT *what, struct arena *a)
{
    struct view out = {0};
    int at = what ? X509_NAME_get_index_by_OBJ(name, what, -1) : -1;
    ASN1_STRING *text = at >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)) : NULL;
    unsigned char *utf8 = NULL;
    int n = text ? ASN1_STRING_to_UTF8(&utf8, text) : -1;
    if (n > 0 && view_dup(a, view_of(utf8, (size_t)n), &out) != RC_OK)
        out = VIEW("");
    OPENSSL_free(utf8);
    return out;
}

static struct view named_part(X509_NAME *name, const char *oid, struct arena *a)
{
    ASN1_OBJECT *what = OBJ_txt2obj(oid, 0);
    struct view out = name_part(name, what, a);
    ASN1_OBJECT_free(what);
    return out;
}

static int64_t seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static bool has_purpose(X509 *cert)
{
    EXTENDED_KEY_USAGE *uses = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    ASN1_OBJECT *wanted = OBJ_txt2obj(OID_PURPOSE, 1);
    bool found = false;
    for (int i = 0; uses && wanted && i < sk_ASN1_OBJECT_num(uses); i++)
        found |= OBJ_cmp(sk_ASN1_OBJECT_value(uses, i), wanted) == 0;
    ASN1_OBJECT_free(wanted);
    EXTENDED_KEY_USAGE_free(uses);
    return found;
}

static struct view extension_of(X509 *cert, const char *oid)
{
    ASN1_OBJECT *what = OBJ_txt2obj(oid, 1);
    int at = what ? X509_get_ext_by_OBJ(cert, what, -1) : -1;
    const ASN1_OCTET_STRING *data = at >= 0 ? X509_EXTENSION_get_data(X509_get_ext(cert, at)) : NULL;
    ASN1_OBJECT_free(what);
    return data ? view_of(ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data)) : VIEW("");
}

static bool has_name(X509 *cert, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (X509_check_host(cert, names[i], 0, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
            return true;
    return false;
}

/* The first place by http or https (RFC 5280 §4.2.1.13). */
static struct view find_crl(X509 *cert, struct arena *a)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
    struct view out = {0};
    for (int i = 0; out.n == 0 && i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *place = sk_DIST_POINT_value(points, i)->distpoint;
        for (int k = 0; place && place->type == 0 && out.n == 0 && k < sk_GENERAL_NAME_num(place->name.fullname); k++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(place->name.fullname, k);
            const struct view uri = name->type == GEN_URI ? view_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                                                                    (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier))
                                                          : VIEW("");
            if ((view_istarts(uri, VIEW("http://")) || view_istarts(uri, VIEW("https://"))) && view_dup(a, uri, &out) != RC_OK)
                out = VIEW("");
        }
    }
    CRL_DIST_POINTS_free(points);
    return out;
}

/* --- the chain --- */

static STACK_OF(X509) *read_chain(struct view pem)
{
    BIO *bio = pem.n > 0 && pem.n <= MARK_PEM_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *cert;
    while (bio && chain && sk_X509_num(chain) < MARK_CHAIN_MAX && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (sk_X509_push(chain, cert) == 0)
            X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return chain;
}

static const char *verify(X509 *leaf, STACK_OF(X509) *chain, const char *roots, int64_t now_s)
{
    const char *why = "there was no memory to check its chain";
    STACK_OF(X509) *trusted = read_chain(view_str(roots ? roots : ""));
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    for (int i = 0; store && trusted && i < sk_X509_num(trusted); i++)
        X509_STORE_add_cert(store, sk_X509_value(trusted, i));
    if (trusted && sk_X509_num(trusted) == 0) {
        why = "no authority for mark certificates is configured (bimi { roots })";
    } else if (store && ctx && X509_STORE_CTX_init(ctx, store, leaf, chain) == 1) {
        X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)now_s);
        why = X509_verify_cert(ctx) == 1 ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(trusted, X509_free);
    ERR_clear_error();
    return why;
}

enum rc mark_check(struct view pem, const char *roots, const char *const *names, size_t n_names, int64_t now_s, struct arena *a, struct mark *out)
{
    STACK_OF(X509) *chain = read_chain(pem);
    X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
    *out = (struct mark){.why = "it holds no certificate", .kind = ""};
    if (!leaf) {
        sk_X509_pop_free(chain, X509_free);
        return chain ? RC_SYNTAX : RC_TEMP;
    }
    X509_NAME *subject = X509_get_subject_name(leaf), *issuer = X509_get_issuer_name(leaf);
    out->subject = name_part(subject, OBJ_nid2obj(NID_organizationName), a);
    out->issuer = name_part(issuer, OBJ_nid2obj(NID_organizationName), a);
    if (out->issuer.n == 0)
        out->issuer = name_part(issuer, OBJ_nid2obj(NID_commonName), a);
    out->type = named_part(subject, OID_TYPE, a);
    if (view_ieq(out->type, VIEW("Registered Mark")) || view_ieq(out->type, VIEW("Government Mark")))
        out->kind = "VMC";
    else if (out->type.n > 0)
        out->kind = "CMC"; /* "Prior Use Mark", "Modified Registered Mark" */
    out->crl = find_crl(leaf, a);
    out->not_before_s = seconds(X509_get0_notBefore(leaf));
    out->not_after_s = seconds(X509_get0_notAfter(leaf));
    const enum rc logo = find_logo(extension_of(leaf, OID_LOGOTYPE), a, &out->logo);
    if (!has_purpose(leaf))
        out->why = "it is not a certificate for marks";
    else if (!has_name(leaf, names, n_names))
        out->why = "it is for another domain";
    else if (logo != RC_OK)
        out->why = "there is no logo in it";
    else
        out->why = verify(leaf, chain, roots, now_s);
    out->valid = out->why == NULL;
    if (out->valid)
        out->why = "";
    sk_X509_pop_free(chain, X509_free);
    return RC_OK;
}

/* --- revocation --- */

static X509_CRL *read_crl(struct view in)
{
    const unsigned char *p = (const unsigned char *)in.p;
    X509_CRL *crl = in.n > 0 && in.n <= MARK_CRL_MAX ? d2i_X509_CRL(NULL, &p, (long)in.n) : NULL;
    BIO *bio = !crl && in.n > 0 && in.n <= MARK_CRL_MAX ? BIO_new_mem_buf(in.p, (int)in.n) : NULL;
    if (bio)
        crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return crl;
}

/* Signed by one of these, which has issued the certificate too. */
static bool is_signed_by(X509_CRL *crl, X509 *leaf, const STACK_OF(X509) *issuers, int from)
{
    for (int i = from; i < sk_X509_num(issuers); i++) {
        X509 *issuer = sk_X509_value(issuers, i);
        if (X509_check_issued(issuer, leaf) == X509_V_OK && X509_NAME_cmp(X509_get_subject_name(issuer), X509_CRL_get_issuer(crl)) == 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1)
            return true;
    }
    return false;
}

enum mark_revoked mark_revocation(struct view pem, const char *roots, struct view crl, int64_t now_s, const char **why)
{
    STACK_OF(X509) *chain = read_chain(pem), *trusted = read_chain(view_str(roots ? roots : ""));
    X509_CRL *list = read_crl(crl);
    X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
    X509_REVOKED *entry = NULL;
    enum mark_revoked out = MARK_NOT_KNOWN;
    if (!list || !leaf)
        *why = "the list cannot be read";
    else if (!is_signed_by(list, leaf, chain, 1) && !is_signed_by(list, leaf, trusted, 0))
        *why = "the list is not signed by the certificate's authority";
    else if (seconds(X509_CRL_get0_nextUpdate(list)) < now_s || seconds(X509_CRL_get0_lastUpdate(list)) > now_s)
        *why = "the list is out of date";
    else {
        *why = "";
        out = X509_CRL_get0_by_cert(list, &entry, leaf) == 1 ? MARK_REVOKED : MARK_NOT_REVOKED;
    }
    X509_CRL_free(list);
    sk_X509_pop_free(chain, X509_free);
    sk_X509_pop_free(trusted, X509_free);
    ERR_clear_error();
    return out;
}
