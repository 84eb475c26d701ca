#include "acme/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base64.h"
#include "crypto/digest.h"

#define STEP_MS       100
#define RETRY_MAX_S   (7 * 86400)
#define REQUEST_MS    30000

/* --- words --- */

enum rc acme_fail(struct acme_session *s, enum rc rc, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->result->why, sizeof s->result->why, fmt, args); /* cut where it is too long */
    va_end(args);
    for (char *c = s->result->why; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    return rc;
}

const char *acme_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text && strlen(text) < ACME_URL_MAX ? text : "";
}

bool acme_wait(struct acme_session *s, int64_t ms)
{
    const struct timespec step = {0, STEP_MS * 1000000L};
    const int64_t until = deadline_in(ms);
    while (clock_mono_ms() < until) {
        if ((s->set->stop && atomic_load(s->set->stop)) || clock_mono_ms() >= s->deadline_ms)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}

/* --- requests --- */

struct url {
    char host[256];
    unsigned port;
    const char *path;
};

/* "https://host[:port]/path"; nothing else is asked (RFC 8555 §6.1). */
static enum rc url_parse(const char *text, struct url *out)
{
    struct view in = view_str(text), host;
    uint64_t port = 443;
    if (!view_itake(&in, VIEW("https://")) || view_has_ctl(in) || !view_is_ascii(in))
        return RC_SYNTAX;
    size_t slash = view_chr(in, '/');
    host = view_slice(in, 0, slash);
    size_t colon = view_starts(host, VIEW("[")) ? VIEW_NONE : view_chr(host, ':');
    if (colon != VIEW_NONE) {
        if (!view_is_u64(view_from(host, colon + 1), 65535, &port) || port == 0)
            return RC_SYNTAX;
        host.n = colon;
    }
    if (host.n == 0 || view_cstr(host, out->host, sizeof out->host) != RC_OK)
        return RC_SYNTAX;
    out->port = (unsigned)port;
    out->path = slash == VIEW_NONE ? "/" : &text[strlen(text) - (in.n - slash)];
    return RC_OK;
}

/* RFC 9110 §10.2.3: seconds, or a date. */
static int64_t retry_after(const char *text)
{
    struct tm tm = {0};
    uint64_t n = 0;
    if (view_is_u64(view_str(text), RETRY_MAX_S, &n))
        return (int64_t)n;
    if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return 0;
    int64_t left = timegm(&tm) - clock_real_s();
    return left < 0 ? 0 : left > RETRY_MAX_S ? RETRY_MAX_S : left;
}

static enum rc exchange(struct acme_session *s, const char *url, const struct fetch_upload *upload, struct fetch_reply *reply,
                        struct buf *body)
{
    struct url u;
    struct dns_answer answer;
    struct addr *addrs, literal;
    size_t n = 1;
    char why[FETCH_WHY_MAX];
    int64_t deadline = deadline_in(REQUEST_MS);
    if (url_parse(url, &u) != RC_OK)
        return acme_fail(s, RC_DENIED, "'%s' is not an HTTPS address", url);
    arena_reset(&s->arena);
    if (addr_parse_ip(view_str(u.host), u.port, &literal) == RC_OK)
        addrs = &literal;
    else
        dns_addrs(s->set->dns, view_str(u.host), u.port, s->deadline_ms, &s->arena, &answer, &addrs, &n);
    if (n == 0)
        return acme_fail(s, RC_TEMP, "no address is known of the authority's host %s", u.host);
    const struct fetch_request r = {.host = u.host,
                                    .port = u.port,
                                    .path = u.path,
                                    .addrs = addrs,
                                    .n_addrs = n,
                                    .trust = s->set->trust,
                                    .deadline_ms = deadline < s->deadline_ms ? deadline : s->deadline_ms,
                                    .stop = s->set->stop};
    if (fetch_exchange(&r, upload, reply, body, why) != FETCH_OK)
        return acme_fail(s, RC_TEMP, "the authority's host %s does not answer: %s", u.host, why);
    if (reply->nonce[0])
        memcpy(s->nonce, reply->nonce, sizeof s->nonce);
    return RC_OK;
}

static enum rc fresh_nonce(struct acme_session *s)
{
    const struct fetch_upload head = {.method = "HEAD"};
    struct fetch_reply reply;
    struct buf body;
    if (s->nonce[0])
        return RC_OK;
    buf_init(&body, ACME_REPLY_MAX);
    enum rc rc = exchange(s, s->new_nonce, &head, &reply, &body);
    buf_clear(&body);
    if (rc == RC_OK && !s->nonce[0])
        rc = acme_fail(s, RC_TEMP, "the authority gives no nonce");
    return rc;
}

static enum rc sign_by_vault(void *ctx, struct view digest, struct buf *der)
{
    struct acme_session *s = ctx;
    return vault_key_sign(s->set->vault, view_str(s->account_key), TLS_KEY_LATEST, digest, der);
}

static enum rc write_request(struct acme_session *s, const char *url, const json_t *payload, struct buf *out)
{
    json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "ES256", "nonce", s->nonce, "url", url);
    char *text = NULL, *body = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    enum rc rc = RC_TEMP;
    if (header && s->account[0])
        json_object_set_new(header, "kid", json_string(s->account));
    else if (header)
        json_object_set_new(header, "jwk", json_loadb(s->jwk.p, s->jwk.n, 0, NULL));
    if (header && (text = json_dumps(header, JSON_COMPACT)) && (body || !payload))
        rc = jose_es256(view_str(text), view_str(body ? body : ""), sign_by_vault, s, out);
    free(text);
    free(body);
    json_decref(header);
    s->nonce[0] = '\0'; /* used */
    return rc == RC_OK ? RC_OK : acme_fail(s, RC_TEMP, "the request cannot be signed: the vault does not answer");
}

/* What an error reply means (RFC 8555 §6.7). *again: a nonce was bad. */
static enum rc read_problem(struct acme_session *s, const struct fetch_reply *reply, const struct buf *body, bool *again)
{
    json_t *problem = json_loadb(body->n > 0 ? body->p : "", body->n, JSON_REJECT_DUPLICATES, NULL);
    struct view type = view_str(acme_text(problem, "type"));
    view_itake(&type, VIEW("urn:ietf:params:acme:error:"));
    *again = view_eq(type, VIEW("badNonce"));
    bool later = reply->status >= 500 || reply->status == 429 || view_eq(type, VIEW("rateLimited")) || view_eq(type, VIEW("serverInternal")) ||
                 view_eq(type, VIEW("connection")) || view_eq(type, VIEW("dns"));
    s->result->retry_after_s = retry_after(reply->retry_after);
    enum rc rc = acme_fail(s, later ? RC_TEMP : RC_DENIED, "the authority refuses (%u %.*s): %s", reply->status, VIEW_FMT(type), acme_text(problem, "detail"));
    json_decref(problem);
    return rc;
}

enum rc acme_post(struct acme_session *s, const char *url, json_t *payload, struct fetch_reply *reply, struct buf *body)
{
    struct buf request;
    enum rc rc = RC_TEMP;
    bool again = true;
    buf_init(&request, JOSE_TEXT_MAX * 2);
    for (unsigned i = 0; i < ACME_NONCES_MAX && again; i++) {
        buf_reset(&request);
        buf_reset(body);
        again = false;
        rc = fresh_nonce(s);
        if (rc == RC_OK)
            rc = write_request(s, url, payload, &request);
        const struct fetch_upload upload = {.method = "POST", .bytes = buf_view(&request), .type = "application/jose+json"};
        if (rc == RC_OK)
            rc = exchange(s, url, &upload, reply, body);
        if (rc == RC_OK && reply->status >= 400)
            rc = read_problem(s, reply, body, &again);
    }
    buf_clear(&request);
    return rc;
}

static enum rc parse_object(struct acme_session *s, const struct buf *body, json_t **out)
{
    *out = json_loadb(body->n > 0 ? body->p : "", body->n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(*out))
        return RC_OK;
    json_decref(*out);
    *out = NULL;
    return acme_fail(s, RC_TEMP, "the authority's reply cannot be read");
}

enum rc acme_post_json(struct acme_session *s, const char *url, json_t *payload, struct fetch_reply *reply, json_t **out)
{
    struct buf body;
    buf_init(&body, ACME_REPLY_MAX);
    *out = NULL;
    enum rc rc = acme_post(s, url, payload, reply, &body);
    if (rc == RC_OK)
        rc = parse_object(s, &body, out);
    buf_clear(&body);
    return rc;
}

enum rc acme_get_json(struct acme_session *s, const char *url, struct fetch_reply *reply, json_t **out)
{
    const struct fetch_upload get = {.method = "GET"};
    struct buf body;
    bool again;
    buf_init(&body, ACME_REPLY_MAX);
    *out = NULL;
    enum rc rc = exchange(s, url, &get, reply, &body);
    if (rc == RC_OK && reply->status != 200)
        rc = read_problem(s, reply, &body, &again);
    if (rc == RC_OK)
        rc = parse_object(s, &body, out);
    buf_clear(&body);
    return rc;
}

/* --- directory and account --- */

static void take_url(const json_t *directory, const char *member, char out[ACME_URL_MAX])
{
    snprintf(out, ACME_URL_MAX, "%s", acme_text(directory, member));
}

enum rc acme_session_open(struct acme_session *s, const struct acme_settings *set, int64_t deadline_ms, struct acme_result *result)
{
    struct fetch_reply reply;
    struct buf spki;
    json_t *directory = NULL;
    *s = (struct acme_session){.set = set, .deadline_ms = deadline_ms, .result = result};
    *result = (struct acme_result){0};
    buf_init(&s->jwk, 1024);
    arena_init(&s->arena, 1 << 20);
    snprintf(s->account_key, sizeof s->account_key, "account %s", set->directory);
    enum rc rc = acme_get_json(s, set->directory, &reply, &directory);
    if (rc != RC_OK)
        return rc;
    take_url(directory, "newNonce", s->new_nonce);
    take_url(directory, "newAccount", s->new_account);
    take_url(directory, "newOrder", s->new_order);
    take_url(directory, "renewalInfo", s->renewal_info);
    s->needs_eab = json_is_true(json_object_get(json_object_get(directory, "meta"), "externalAccountRequired"));
    json_decref(directory);
    if (!s->new_nonce[0] || !s->new_account[0] || !s->new_order[0])
        return acme_fail(s, RC_DENIED, "%s is not an ACME directory", set->directory);
    buf_init(&spki, 1024);
    rc = vault_key_public(set->vault, view_str(s->account_key), TLS_KEY_LATEST, &spki);
    if (rc == RC_OK)
        rc = jose_jwk(buf_view(&spki), &s->jwk);
    buf_clear(&spki);
    return rc == RC_OK ? RC_OK : acme_fail(s, RC_TEMP, "the vault has no account key");
}

/* RFC 8555 §7.3.4: our account key, under the key that the authority gave to its customer. */
static json_t *external_binding(struct acme_session *s)
{
    const struct acme_settings *set = s->set;
    struct buf key, jws;
    json_t *out = NULL;
    json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "HS256", "kid", set->eab_key_id, "url", s->new_account);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    buf_init(&key, 4096);
    buf_init(&jws, JOSE_TEXT_MAX);
    if (text && base64_decode_url(set->eab_key, &key) == RC_OK &&
        jose_hs256(view_str(text), buf_view(&s->jwk), buf_view(&key), &jws) == RC_OK)
        out = json_loadb(jws.p, jws.n, 0, NULL);
    buf_wipe(&key);
    buf_clear(&key);
    buf_clear(&jws);
    free(text);
    json_decref(header);
    return out;
}

enum rc acme_session_login(struct acme_session *s)
{
    struct fetch_reply reply;
    struct buf body;
    json_t *payload = json_pack("{s:b}", "termsOfServiceAgreed", 1);
    if (payload && s->set->contact)
        json_object_set_new(payload, "contact", json_pack("[s]", s->set->contact));
    if (payload && s->set->eab_key_id) {
        json_t *binding = external_binding(s);
        if (!binding) {
            json_decref(payload);
            return acme_fail(s, RC_DENIED, "the external account key is not base64url");
        }
        json_object_set_new(payload, "externalAccountBinding", binding);
    } else if (payload && s->needs_eab) {
        json_decref(payload);
        return acme_fail(s, RC_DENIED, "the authority wants an external account: set acme { eab-key-id } and { eab-key-file }");
    }
    buf_init(&body, ACME_REPLY_MAX);
    enum rc rc = payload ? acme_post(s, s->new_account, payload, &reply, &body) : acme_fail(s, RC_TEMP, "out of memory");
    if (rc == RC_OK && !reply.location[0])
        rc = acme_fail(s, RC_TEMP, "the authority names no account");
    if (rc == RC_OK)
        snprintf(s->account, sizeof s->account, "%s", reply.location);
    buf_clear(&body);
    json_decref(payload);
    return rc;
}

void acme_session_close(struct acme_session *s)
{
    buf_clear(&s->jwk);
    arena_clear(&s->arena);
}
