#include "fetch/fetch.h"

#include <curl/curl.h>
#include <stdio.h>

struct transfer {
    const struct fetch_request *r;
    struct buf *body;
    struct fetch_reply *reply; /* NULL: of no interest */
    size_t header_n;
    bool too_long;
};

void fetch_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    buf_add(t->body, view_of(p, size * n));
    t->too_long |= buf_rc(t->body) == RC_LIMIT;
    return buf_rc(t->body) == RC_OK ? size * n : 0;
}

static void keep_field(struct view line, struct view name, char *out, size_t max)
{
    if (view_itake(&line, name) && view_cstr(view_trim(line), out, max) != RC_OK)
        out[0] = '\0';
}

static void keep_fields(struct fetch_reply *reply, struct view line)
{
    keep_field(line, VIEW("Location:"), reply->location, sizeof reply->location);
    keep_field(line, VIEW("Replay-Nonce:"), reply->nonce, sizeof reply->nonce);
    keep_field(line, VIEW("Retry-After:"), reply->retry_after, sizeof reply->retry_after);
}

static size_t take_header(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    if (t->reply)
        keep_fields(t->reply, view_of(p, size * n));
    t->header_n += size * n;
    t->too_long |= t->header_n > FETCH_HEADER_MAX;
    return t->too_long ? 0 : size * n;
}

static int is_stopped(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return t->r->stop && atomic_load(t->r->stop);
}

static CURLcode lend_trust(CURL *curl, void *ssl_ctx, void *ctx)
{
    const struct transfer *t = ctx;
    (void)curl;
    return tls_client_lend(t->r->trust, ssl_ctx, t->r->host) == RC_OK ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* "host:443:192.0.2.1,[2001:db8::1]": libcurl's cache of names, filled beforehand. */
static struct curl_slist *write_addresses(const struct fetch_request *r)
{
    struct curl_slist *list = NULL;
    struct buf b;
    buf_init(&b, 2048);
    buf_printf(&b, "%s:%u:", r->host, r->port);
    for (size_t i = 0; i < r->n_addrs && i < FETCH_ADDRS_MAX; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&r->addrs[i], ip);
        buf_printf(&b, addr_is_ipv6(&r->addrs[i]) ? "%s[%s]" : "%s%s", i > 0 ? "," : "", ip);
    }
    buf_chr(&b, 0);
    if (buf_rc(&b) == RC_OK)
        list = curl_slist_append(NULL, b.p);
    buf_clear(&b);
    return list;
}

static bool set_options(CURL *curl, struct transfer *t, const char *url, struct curl_slist *addresses, char *words)
{
    int64_t left = t->r->deadline_ms - clock_mono_ms();
    CURLcode err = curl_easy_setopt(curl, CURLOPT_URL, url);
#define SET(option, value) err = err == CURLE_OK ? curl_easy_setopt(curl, option, value) : err
    SET(CURLOPT_ERRORBUFFER, words);
    SET(CURLOPT_RESOLVE, addresses);
    SET(CURLOPT_PROTOCOLS_STR, t->r->plain ? "http" : "https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAINFO, NULL); /* ours are lent instead of being read from the disk each time */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, lend_trust);
    SET(CURLOPT_SSL_CTX_DATA, t);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, is_stopped);
    SET(CURLOPT_XFERINFODATA, t);
#undef SET
    return err == CURLE_OK;
}

static bool has_type(CURL *curl, const char *wanted)
{
    char *text = NULL;
    struct view type, all;
    if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &text) != CURLE_OK || !text)
        return false;
    all = view_str(text);
    view_split(&all, ';', &type);
    return view_ieq(view_trim(type), view_str(wanted));
}

static bool set_upload(CURL *curl, const struct fetch_upload *u, struct curl_slist **fields)
{
    char type[256];
    CURLcode err = CURLE_OK;
    if (strcmp(u->method, "HEAD") == 0)
        return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (strcmp(u->method, "POST") != 0)
        return true;
    snprintf(type, sizeof type, "Content-Type: %s", u->type);
    *fields = curl_slist_append(NULL, type);
    for (const char *const *f = u->fields; f && *f && *fields; f++) {
        struct curl_slist *more = curl_slist_append(*fields, *f);
        if (!more)
            return false;
        *fields = more;
    }
#define SET(option, value) err = err == CURLE_OK ? curl_easy_setopt(curl, option, value) : err
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)u->bytes.n);
    SET(CURLOPT_POSTFIELDS, u->bytes.p);
    SET(CURLOPT_HTTPHEADER, *fields);
#undef SET
    return *fields && err == CURLE_OK;
}

static enum fetch_fault judge(CURL *curl, CURLcode err, const struct transfer *t, const char *words, char *why)
{
    long status = 0;
    if (t->too_long) {
        snprintf(why, FETCH_WHY_MAX, "the reply is too long");
        return FETCH_TOO_LONG;
    }
    if (err != CURLE_OK) {
        snprintf(why, FETCH_WHY_MAX, "%s", *words ? words : curl_easy_strerror(err));
        return err == CURLE_PEER_FAILED_VERIFICATION ? FETCH_UNTRUSTED : FETCH_UNREACHABLE;
    }
    if (t->reply)
        return FETCH_OK;
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200) {
        snprintf(why, FETCH_WHY_MAX, "the host answers with HTTP status %ld", status);
        return FETCH_REFUSED;
    }
    if (!has_type(curl, t->r->type)) {
        snprintf(why, FETCH_WHY_MAX, "the reply is not %s", t->r->type);
        return FETCH_TYPE;
    }
    return FETCH_OK;
}

static void describe(CURL *curl, struct fetch_reply *reply)
{
    char *text = NULL;
    long status = 0;
    struct view type, all;
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        reply->status = (unsigned)status;
    if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &text) != CURLE_OK || !text)
        return;
    all = view_str(text);
    view_split(&all, ';', &type);
    if (view_cstr(view_trim(type), reply->type, sizeof reply->type) != RC_OK)
        reply->type[0] = '\0';
}

static enum fetch_fault run(struct transfer *t, const struct fetch_upload *upload, char *why)
{
    const struct fetch_request *r = t->r;
    struct curl_slist *fields = NULL;
    char words[CURL_ERROR_SIZE] = "", url[1024];
    enum fetch_fault fault = FETCH_UNREACHABLE;
    CURL *curl = curl_easy_init();
    struct curl_slist *addresses = write_addresses(r);
    int n = snprintf(url, sizeof url, "%s://%s:%u%s", r->plain ? "http" : "https", r->host, r->port, r->path);
    snprintf(why, FETCH_WHY_MAX, "out of memory");
    if (!curl || !addresses || n < 0 || (size_t)n >= sizeof url || r->n_addrs == 0)
        goto done;
    if (!set_options(curl, t, url, addresses, words) || (upload && !set_upload(curl, upload, &fields)))
        goto done;
    CURLcode err = curl_easy_perform(curl);
    fault = judge(curl, err, t, words, why);
    if (t->reply)
        describe(curl, t->reply);
done:
    curl_easy_cleanup(curl);
    curl_slist_free_all(addresses);
    curl_slist_free_all(fields);
    if (fault == FETCH_OK)
        *why = '\0';
    return fault;
}

enum fetch_fault fetch_get(const struct fetch_request *r, struct buf *body, char why[FETCH_WHY_MAX])
{
    struct transfer t = {.r = r, .body = body};
    return run(&t, NULL, why);
}

enum fetch_fault fetch_exchange(const struct fetch_request *r, const struct fetch_upload *upload, struct fetch_reply *reply,
                                struct buf *body, char why[FETCH_WHY_MAX])
{
    struct transfer t = {.r = r, .body = body, .reply = reply};
    *reply = (struct fetch_reply){0};
    return run(&t, upload, why);
}
