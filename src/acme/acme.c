/* Orders (RFC 8555 §7.4, §7.5, §8.3, RFC 8737): from the names to a chain in the vault. */
#include "acme/acme.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "acme/certificate.h"
#include "acme/session.h"
#include "base/base64.h"
#include "base/log.h"

#define LOCATION_MAX ACME_URL_MAX
#define EARLY_MAX_S  86400 /* a certificate may begin so much later: our clock may be behind */

struct order {
    struct acme_session *s;
    struct view key_name;
    enum tls_key_which which;
    const struct view *names;
    size_t n;
    char url[LOCATION_MAX];
    json_t *json; /* as it was seen last */
};

static int64_t poll_ms(const struct fetch_reply *reply)
{
    uint64_t s;
    if (!view_is_u64(view_str(reply->retry_after), 60, &s) || s == 0)
        return ACME_POLL_MS;
    return (int64_t)s * 1000;
}

/* Looks until the object's status is none of those that mean "wait". */
static enum rc poll_status(struct order *o, const char *url, const char *wait1, const char *wait2, json_t **out)
{
    struct acme_session *s = o->s;
    for (;;) {
        struct fetch_reply reply;
        json_t *object;
        enum rc rc = acme_post_json(s, url, NULL, &reply, &object);
        if (rc != RC_OK)
            return rc;
        const char *status = acme_text(object, "status");
        if (strcmp(status, wait1) != 0 && strcmp(status, wait2) != 0) {
            *out = object;
            return RC_OK;
        }
        json_decref(object);
        if (!acme_wait(s, poll_ms(&reply)))
            return acme_fail(s, RC_TEMP, "the authority takes too long");
    }
}

static enum rc begin_order(struct order *o)
{
    struct acme_session *s = o->s;
    struct fetch_reply reply;
    json_t *list = json_array();
    for (size_t i = 0; i < o->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s%}", "type", "dns", "value", o->names[i].p, o->names[i].n));
    json_t *payload = json_pack("{s:o}", "identifiers", list);
    enum rc rc = payload ? acme_post_json(s, s->new_order, payload, &reply, &o->json) : acme_fail(s, RC_TEMP, "out of memory");
    json_decref(payload);
    if (rc == RC_OK && !reply.location[0])
        rc = acme_fail(s, RC_TEMP, "the authority gives the order no address");
    if (rc == RC_OK)
        snprintf(o->url, sizeof o->url, "%s", reply.location);
    return rc;
}

/* --- one name --- */

static const char *const way_names[] = {[ACME_HTTP] = "http-01", [ACME_TLS] = "tls-alpn-01"};

static const json_t *find_challenge(const json_t *authorization, enum acme_way way)
{
    const json_t *list = json_object_get(authorization, "challenges"), *c;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, c)
        if (strcmp(acme_text(c, "type"), way_names[way]) == 0)
            return c;
    return NULL;
}

/* The one that we can meet and like best; NULL: none. */
static const json_t *choose_challenge(const struct acme_settings *set, const json_t *authorization, enum acme_way *way)
{
    const json_t *http = set->by_http ? find_challenge(authorization, ACME_HTTP) : NULL;
    const json_t *tls = set->by_tls ? find_challenge(authorization, ACME_TLS) : NULL;
    *way = tls && (set->tls_first || !http) ? ACME_TLS : ACME_HTTP;
    return *way == ACME_TLS ? tls : http;
}

/* A token stands in a path: nothing but base64url may be in it (RFC 8555 §8.3). */
static bool is_token(struct view token)
{
    bool ok = token.n >= 16 && token.n <= 200;
    for (size_t i = 0; ok && i < token.n; i++)
        ok = is_alnum((unsigned char)token.p[i]) || token.p[i] == '-' || token.p[i] == '_';
    return ok;
}

static enum rc say_failure(struct acme_session *s, const json_t *authorization, enum acme_way way, const char *name)
{
    const json_t *error = json_object_get(find_challenge(authorization, way), "error");
    const char *detail = error ? acme_text(error, "detail") : "no reason given";
    if (way == ACME_TLS)
        return acme_fail(s, RC_DENIED, "the authority could not see that %s is ours: %s. It asks by TLS at port 443", name, detail);
    return acme_fail(s, RC_DENIED, "the authority could not see that %s is ours: %s. It asks http://%s/ at port 80", name, detail, name);
}

static enum rc prove(struct order *o, const char *url, json_t *authorization)
{
    struct acme_session *s = o->s;
    enum acme_way way;
    const json_t *challenge = choose_challenge(s->set, authorization, &way);
    const char *token = acme_text(challenge, "token"), *name = acme_text(json_object_get(authorization, "identifier"), "value");
    struct fetch_reply reply;
    struct buf answer;
    json_t *object = NULL;
    if (!challenge || !is_token(view_str(token)))
        return acme_fail(s, RC_DENIED, "the authority offers no challenge for %s that we can meet: it needs a listener for http or https", name);
    const struct view subject = view_str(way == ACME_TLS ? name : token);
    buf_init(&answer, 1024);
    buf_printf(&answer, "%s.", token);
    enum rc rc = jose_thumbprint(buf_view(&s->jwk), &answer);
    if (rc == RC_OK)
        rc = s->set->publish(s->set->ctx, way, subject, buf_view(&answer));
    if (rc != RC_OK) {
        buf_clear(&answer);
        return acme_fail(s, RC_TEMP, "the answer to the challenge cannot be published");
    }
    json_t *empty = json_object();
    rc = acme_post_json(s, acme_text(challenge, "url"), empty, &reply, &object); /* ready */
    json_decref(empty);
    json_decref(object);
    object = NULL;
    if (rc == RC_OK)
        rc = poll_status(o, url, "pending", "processing", &object);
    if (rc == RC_OK && strcmp(acme_text(object, "status"), "valid") != 0)
        rc = say_failure(s, object, way, name);
    json_decref(object);
    s->set->withdraw(s->set->ctx, way, subject);
    buf_clear(&answer);
    return rc;
}

static enum rc prove_all(struct order *o)
{
    struct acme_session *s = o->s;
    const json_t *list = json_object_get(o->json, "authorizations");
    enum rc rc = json_array_size(list) > ACME_NAMES_MAX ? acme_fail(s, RC_DENIED, "the authority wants too much") : RC_OK;
    for (size_t i = 0; rc == RC_OK && i < json_array_size(list); i++) {
        const char *url = json_string_value(json_array_get(list, i));
        struct fetch_reply reply;
        json_t *authorization = NULL;
        rc = acme_post_json(s, url ? url : "", NULL, &reply, &authorization);
        if (rc == RC_OK && strcmp(acme_text(authorization, "status"), "valid") != 0) /* proven lately */
            rc = prove(o, url, authorization);
        json_decref(authorization);
    }
    return rc;
}

/* --- the certificate --- */

static enum rc sign_by_vault(void *ctx, struct view digest, struct buf *der)
{
    struct order *o = ctx;
    return vault_key_sign(o->s->set->vault, o->key_name, o->which, digest, der);
}

static enum rc write_csr(struct order *o, struct buf *out)
{
    struct buf spki, der;
    buf_init(&spki, 1024);
    buf_init(&der, 65536);
    enum rc rc = vault_key_public(o->s->set->vault, o->key_name, o->which, &spki);
    if (rc == RC_OK)
        rc = acme_request_write(buf_view(&spki), o->names, o->n, sign_by_vault, o, &der);
    if (rc == RC_OK)
        base64_encode_url(buf_view(&der), out);
    buf_clear(&spki);
    buf_clear(&der);
    return rc == RC_OK && buf_rc(out) == RC_OK ? RC_OK : acme_fail(o->s, RC_TEMP, "the request for the certificate cannot be made");
}

static enum rc finalize(struct order *o)
{
    struct acme_session *s = o->s;
    struct fetch_reply reply;
    struct buf csr;
    json_t *object = NULL;
    buf_init(&csr, 90000);
    /* All names are proven; the authority may take a moment to see that itself. */
    enum rc rc = poll_status(o, o->url, "pending", "pending", &object);
    if (rc == RC_OK && strcmp(acme_text(object, "status"), "ready") != 0)
        rc = acme_fail(s, RC_DENIED, "the order became %s", acme_text(object, "status"));
    if (rc == RC_OK)
        rc = write_csr(o, &csr);
    json_t *payload = rc == RC_OK ? json_pack("{s:s%}", "csr", csr.p, csr.n) : NULL;
    json_t *answer = NULL;
    if (rc == RC_OK)
        rc = acme_post_json(s, acme_text(object, "finalize"), payload, &reply, &answer);
    json_decref(payload);
    json_decref(answer);
    json_decref(object);
    buf_clear(&csr);
    object = NULL;
    if (rc == RC_OK)
        rc = poll_status(o, o->url, "processing", "ready", &object);
    if (rc == RC_OK && strcmp(acme_text(object, "status"), "valid") != 0) {
        rc = acme_fail(s, RC_DENIED, "the authority did not issue it: %s", acme_text(json_object_get(object, "error"), "detail"));
    } else if (rc == RC_OK) {
        json_decref(o->json);
        o->json = json_incref(object);
    }
    json_decref(object);
    return rc;
}

/* What would not serve must not take the place of what does: the chain whole, and its time now. */
static enum rc check_chain(struct acme_session *s, struct view pem)
{
    const char *text, *why;
    struct acme_certificate facts;
    const int64_t now_s = clock_real_s();
    arena_reset(&s->arena);
    text = arena_cstr(&s->arena, pem);
    if (!text)
        return acme_fail(s, RC_TEMP, "what the authority issued has a zero byte, or there is no memory");
    if (tls_chain_check(text, &why) != RC_OK || acme_certificate_read(pem, &facts) != RC_OK)
        return acme_fail(s, RC_TEMP, "what the authority issued cannot be used: %s", why);
    if (facts.until_s <= now_s || facts.from_s > now_s + EARLY_MAX_S)
        return acme_fail(s, RC_TEMP, "the certificate that was issued %s", facts.until_s <= now_s ? "has expired" : "is not valid yet");
    return RC_OK;
}

static enum rc install(struct order *o)
{
    struct acme_session *s = o->s;
    struct fetch_reply reply;
    struct buf pem;
    buf_init(&pem, ACME_REPLY_MAX);
    enum rc rc = acme_post(s, acme_text(o->json, "certificate"), NULL, &reply, &pem);
    if (rc == RC_OK)
        rc = check_chain(s, buf_view(&pem));
    for (size_t i = 0; rc == RC_OK && i < o->n; i++) {
        char name[256];
        if (view_cstr(o->names[i], name, sizeof name) != RC_OK || !acme_certificate_covers(buf_view(&pem), name))
            rc = acme_fail(s, RC_DENIED, "the certificate that was issued is not for %.*s", VIEW_FMT(o->names[i]));
    }
    if (rc == RC_OK && (rc = vault_key_install(s->set->vault, o->key_name, buf_view(&pem))) != RC_OK)
        rc = acme_fail(s, RC_TEMP, "the vault does not take the certificate (%s)", rc_name(rc));
    buf_clear(&pem);
    return rc;
}

enum rc acme_obtain(const struct acme_settings *set, struct view key_name, enum tls_key_which which, const struct view *names,
                    size_t n, int64_t deadline_ms, struct acme_result *result)
{
    struct acme_session s;
    struct order o = {.s = &s, .key_name = key_name, .which = which, .names = names, .n = n};
    enum rc rc = acme_session_open(&s, set, deadline_ms, result);
    if (rc == RC_OK)
        rc = acme_session_login(&s);
    if (rc == RC_OK)
        rc = begin_order(&o);
    if (rc == RC_OK)
        rc = prove_all(&o);
    if (rc == RC_OK)
        rc = finalize(&o);
    if (rc == RC_OK)
        rc = install(&o);
    json_decref(o.json);
    acme_session_close(&s);
    return rc;
}

/* --- renewal information --- */

/* RFC 3339, as RFC 9773 §4.2 has it; offsets other than Z are rare enough to be passed over. */
static bool time_parse(const char *text, int64_t *out)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || (*end != 'Z' && *end != '.'))
        return false;
    *out = timegm(&tm);
    return true;
}

enum rc acme_renewal_window(const struct acme_settings *set, struct view pem, int64_t deadline_ms, int64_t *start_s, int64_t *end_s)
{
    struct acme_session s;
    struct acme_result result;
    struct fetch_reply reply;
    struct buf url;
    json_t *info = NULL;
    buf_init(&url, 2 * ACME_URL_MAX);
    enum rc rc = acme_session_open(&s, set, deadline_ms, &result);
    if (rc == RC_OK && !s.renewal_info[0])
        rc = RC_NOTFOUND;
    if (rc == RC_OK) {
        buf_printf(&url, "%s/", s.renewal_info);
        rc = acme_certificate_id(pem, &url);
        buf_chr(&url, '\0');
    }
    if (rc == RC_OK && buf_rc(&url) == RC_OK)
        rc = acme_get_json(&s, url.p, &reply, &info);
    if (rc == RC_OK) {
        const json_t *window = json_object_get(info, "suggestedWindow");
        bool ok = time_parse(acme_text(window, "start"), start_s) && time_parse(acme_text(window, "end"), end_s) && *end_s > *start_s;
        rc = ok ? RC_OK : RC_NOTFOUND;
    }
    json_decref(info);
    buf_clear(&url);
    acme_session_close(&s);
    return rc;
}
