#include "app/webhook_post.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/hex.h"
#include "fetch/fetch.h"
#include "report/tls.h"

#define POST_ARENA (1u << 20)

static enum rc fail(enum rc rc, char why[WEBHOOK_WHY_MAX], const char *text)
{
    snprintf(why, WEBHOOK_WHY_MAX, "%s", text);
    return rc;
}

/* Only what may be called stays. libcurl is given these addresses and asks nobody itself, so that no second answer of the DNS counts. */
static size_t keep_allowed(const struct webhook_post *p, struct addr *addrs, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        addr_unmap(&addrs[i]);
        if (p->allow_private || addr_is_public(&addrs[i]))
            addrs[kept++] = addrs[i];
    }
    return kept;
}

static enum rc sign(const struct webhook_post *p, struct buf *field)
{
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    struct buf text;
    buf_init(&text, p->body.n + 64);
    buf_printf(&text, "%lld.", (long long)p->now_s);
    buf_add(&text, p->body);
    enum rc rc = buf_rc(&text);
    if (rc == RC_OK)
        rc = hmac_sha256(p->secret, buf_view(&text), mac);
    buf_clear(&text);
    if (rc != RC_OK)
        return rc;
    hex_write(view_of(mac, sizeof mac), hex);
    buf_printf(field, "Facteur-Signature: t=%lld,v1=%s", (long long)p->now_s, hex);
    buf_chr(field, 0);
    return buf_rc(field);
}

static enum rc call(const struct webhook_post *p, const struct tls_uri *to, const struct addr *addrs, size_t n, const char *signature,
                    char why[WEBHOOK_WHY_MAX])
{
    const char *const fields[] = {signature, NULL};
    const struct fetch_request r = {.host = to->host, .port = to->port, .path = to->path, .type = "application/json", .addrs = addrs, .n_addrs = n,
                                    .trust = p->trust, .deadline_ms = deadline_in(WEBHOOK_POST_MS), .stop = p->stop};
    const struct fetch_upload upload = {.method = "POST", .bytes = p->body, .type = "application/json", .fields = signature ? fields : NULL};
    struct fetch_reply reply;
    struct buf body;
    char words[FETCH_WHY_MAX];
    buf_init(&body, WEBHOOK_REPLY_MAX);
    enum fetch_fault fault = fetch_exchange(&r, &upload, &reply, &body, words);
    buf_clear(&body);
    if (fault != FETCH_OK && fault != FETCH_TOO_LONG)
        return fail(RC_TEMP, why, words);
    snprintf(why, WEBHOOK_WHY_MAX, "%u", reply.status);
    if (fault == FETCH_TOO_LONG || reply.status / 100 == 2)
        return RC_OK;
    return reply.status == 410 ? RC_DENIED : RC_TEMP; /* RFC 9110 §15.5.11: gone for good */
}

enum rc webhook_post(const struct webhook_post *p, char why[WEBHOOK_WHY_MAX])
{
    struct arena a;
    struct tls_uri to;
    struct dns_answer answer;
    struct addr *addrs = NULL;
    size_t n = 0;
    struct buf signature;
    enum rc rc;

    arena_init(&a, POST_ARENA);
    buf_init(&signature, 256);
    if (tls_uri_read(p->url, &a, &to) != RC_OK) {
        rc = fail(RC_DENIED, why, "this is no address that begins with https://");
    } else if (dns_addrs(p->dns, view_str(to.host), to.port, deadline_in(WEBHOOK_POST_MS), &a, &answer, &addrs, &n) != DNS_OK || n == 0) {
        rc = fail(RC_TEMP, why, "its host has no address just now");
    } else if ((n = keep_allowed(p, addrs, n)) == 0) {
        rc = fail(RC_DENIED, why, "its host is not on the public Internet");
    } else if (p->secret.n > 0 && sign(p, &signature) != RC_OK) {
        rc = fail(RC_TEMP, why, "out of memory");
    } else {
        rc = call(p, &to, addrs, n, signature.p, why);
    }
    buf_clear(&signature);
    arena_clear(&a);
    return rc;
}
