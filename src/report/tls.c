#include "report/tls.h"

#include "base/clock.h"
#include "fetch/fetch.h"
#include "policy/tlsrpt_record.h"
#include "report/report.h"
#include "report/row.h"
#include "report/tls_json.h"
#include "store/tlsrpt.h"

#define SEAL_MAX   500 /* domains of one look */
#define SEAL_ARENA (1u << 20)
#define DATA_ARENA (64u << 20)

/* --- closing --- */

/* The domains' times differ from server to server. */
static int64_t due_of(const struct report_settings *set, const struct tlsrpt_open *o)
{
    return plan_due(view_str(set->hostname), o->domain, o->day * SEEN_DAY_S);
}

enum rc tls_seal(struct store *s, const struct report_settings *set, int64_t day_s, int64_t now_s)
{
    const int64_t day = day_s / SEEN_DAY_S, last_day = (now_s - REPORT_START_S) / SEEN_DAY_S - 1;
    struct arena a;
    enum rc rc = RC_OK;
    arena_init(&a, SEAL_ARENA);
    for (size_t n = SEAL_MAX; n == SEAL_MAX && rc == RC_OK;) {
        struct tlsrpt_open *list;
        arena_reset(&a);
        rc = tlsrpt_open(s, day_s > 0 ? day : 0, day_s > 0 ? day : last_day, SEAL_MAX, &a, &list, &n);
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            const int64_t end_s = list[i].day * SEEN_DAY_S + SEEN_DAY_S - 1;
            rc = tlsrpt_seal(s, &list[i], now_s < end_s ? now_s : end_s, day_s > 0 ? now_s : due_of(set, &list[i]));
        }
    }
    arena_clear(&a);
    return rc;
}

/* --- whom to --- */

static struct view take_port(struct view authority, unsigned *port)
{
    uint64_t number;
    size_t colon = view_rchr(authority, ':');
    *port = 443;
    if (colon == VIEW_NONE)
        return authority;
    if (!view_is_u64(view_from(authority, colon + 1), 65535, &number) || number == 0)
        return VIEW("");
    *port = (unsigned)number;
    return view_slice(authority, 0, colon);
}

static bool ends_authority(unsigned char c)
{
    return c == '/' || c == '?';
}

static bool is_authority_chr(unsigned char c)
{
    return !ends_authority(c);
}

enum rc tls_uri_read(struct view uri, struct arena *a, struct tls_uri *out)
{
    struct view host;
    if (uri.n > TLSRPT_URI_MAX || !view_itake(&uri, VIEW("https://")) || view_has_ctl(uri) || !view_is_ascii(uri) ||
        view_chr(uri, '#') != VIEW_NONE || view_chr(uri, ' ') != VIEW_NONE)
        return RC_SYNTAX;
    struct view name = take_port(view_take_while(&uri, is_authority_chr), &out->port);
    enum rc rc = name.n == 0 ? RC_SYNTAX : dns_domain_ascii(name, a, &host);
    if (rc == RC_OK && !row_domain_is_plain(host)) /* address literals, names of users */
        rc = RC_SYNTAX;
    if (rc != RC_OK)
        return rc == RC_TEMP ? rc : RC_SYNTAX;
    out->host = arena_cstr(a, host);
    out->path = arena_printf(a, "%s%.*s", view_starts(uri, VIEW("/")) ? "" : "/", VIEW_FMT(uri));
    return out->host && out->path ? RC_OK : RC_TEMP;
}

static enum rc read_destination(struct view uri, struct arena *a, struct destination *d)
{
    struct view rest = uri;
    struct tls_uri web;
    enum rc rc = RC_SYNTAX;
    *d = (struct destination){.uri = uri, .why = ""};
    if (view_itake(&rest, VIEW("mailto:"))) {
        struct view address;
        view_split(&rest, '?', &address); /* RFC 6068: header fields are not for us */
        rc = destination_read(address, a, &d->address, &d->domain);
    } else if (view_istarts(rest, VIEW("https:"))) {
        rc = tls_uri_read(uri, a, &web);
        d->web = true;
        d->address = uri; /* under which it is counted, and left alone */
        d->domain = rc == RC_OK ? view_str(web.host) : VIEW("");
    } else {
        d->state = DESTINATION_BAD;
        d->why = "only mailto: and https: are known";
        return RC_OK;
    }
    if (rc == RC_SYNTAX) {
        d->state = DESTINATION_BAD;
        d->why = "nothing can be sent to such an address";
        return RC_OK;
    }
    return rc;
}

static bool is_known(const struct plan *p, struct view address)
{
    for (size_t i = 0; i < p->n; i++)
        if (view_ieq(p->entries[i].to.address, address))
            return true;
    return false;
}

static const char *record_name(struct view domain, struct arena *a)
{
    return arena_printf(a, "_smtp._tls.%.*s", VIEW_FMT(domain));
}

void tls_prefetch(struct dns *dns, struct view domain)
{
    struct arena a;
    arena_init(&a, 4096);
    const char *name = record_name(domain, &a);
    if (name)
        dns_prefetch(dns, view_str(name), DNS_TXT);
    arena_clear(&a);
}

enum rc tls_plan(struct store *s, struct dns *dns, const struct report_settings *set, const struct seen_report *r, struct arena *a,
                 struct plan *out)
{
    struct dns_answer answer;
    struct view *texts = NULL;
    size_t n = 0;
    struct tlsrpt_record record;
    const int64_t now_s = clock_real_s();
    *out = (struct plan){0};
    const char *name = record_name(r->domain, a);
    if (!name)
        return RC_TEMP;
    if (!row_domain_is_plain(r->domain)) { /* an address literal has no record */
        out->unwanted = true;
        return RC_OK;
    }
    if (plan_is_never(set, r->domain)) {
        out->why = "the setting `never` names it";
        return RC_OK;
    }
    enum dns_status status = dns_txt(dns, view_str(name), deadline_in(REPORT_TIME_MS), a, &answer, &texts, &n);
    if (status == DNS_TEMP || status == DNS_BOGUS) {
        out->why = "its name servers do not say now where reports go";
        out->later = true;
        return RC_OK;
    }
    enum rc rc = tlsrpt_record_choose(texts, status == DNS_OK ? n : 0, &record);
    if (rc == RC_NOTFOUND)
        out->unwanted = true;
    if (rc == RC_SYNTAX)
        out->why = "its TLS-RPT record cannot be read";
    if (rc != RC_OK)
        return RC_OK;
    out->entries = arena_new_array(a, record.n, struct plan_entry);
    if (!out->entries)
        return RC_TEMP;
    for (size_t i = 0; i < record.n && rc == RC_OK; i++) {
        struct plan_entry *e = &out->entries[out->n];
        rc = read_destination(record.uris[i], a, &e->to);
        if (rc != RC_OK || (e->to.address.n > 0 && is_known(out, e->to.address)))
            continue;
        rc = plan_look_at(s, set, now_s, a, e);
        out->n++;
    }
    return rc;
}

/* --- what --- */

enum rc tls_document(struct store *s, const struct report_settings *set, const struct seen_report *r, struct view from, struct view report_id,
                     struct buf *gzip)
{
    struct arena data;
    struct buf json;
    struct tlsrpt_outcome *o;
    size_t n = 0, at = view_rchr(from, '@');
    const struct view submitter = view_from(from, at == VIEW_NONE ? 0 : at + 1);
    const struct tls_json_meta meta = {.organization = set->organization ? view_str(set->organization) : submitter, .contact = from,
                                       .report_id = report_id, .begin_s = r->begin_s, .end_s = r->end_s};
    arena_init(&data, DATA_ARENA);
    buf_init(&json, TLS_JSON_MAX);
    enum rc rc = tlsrpt_read(s, r->begin_s / SEEN_DAY_S, r->domain, r->id, &data, &o, &n);
    if (rc == RC_OK)
        rc = tls_json_write(&meta, o, n, &json);
    if (rc == RC_OK)
        rc = tls_json_gzip(buf_view(&json), gzip);
    buf_clear(&json);
    arena_clear(&data);
    return rc;
}

/* --- by HTTPS --- */

enum rc tls_post(struct dns *dns, const struct report_settings *set, struct view uri, struct view gzip, const atomic_bool *stop,
                 struct arena *a, const char **why)
{
    static const char type[] = "application/tlsrpt+gzip"; /* RFC 8460 §5.4 */
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    struct tls_uri to;
    struct fetch_reply reply;
    struct buf body;
    char words[FETCH_WHY_MAX];
    const int64_t deadline_ms = deadline_in(TLS_POST_MS);
    *why = "no memory";
    if (tls_uri_read(uri, a, &to) != RC_OK)
        return RC_TEMP;
    *why = "its host has no address just now";
    if (dns_addrs(dns, view_str(to.host), to.port, deadline_ms, a, &answer, &addrs, &n) != DNS_OK)
        return RC_TEMP;
    const struct fetch_request r = {.host = to.host, .port = to.port, .path = to.path, .type = type, .addrs = addrs, .n_addrs = n,
                                    .trust = set->trust, .deadline_ms = deadline_ms, .stop = stop};
    const struct fetch_upload upload = {.method = "POST", .bytes = gzip, .type = type};
    buf_init(&body, TLS_REPLY_MAX);
    enum fetch_fault fault = fetch_exchange(&r, &upload, &reply, &body, words);
    buf_clear(&body);
    if (fault == FETCH_OK && reply.status / 100 == 2)
        return RC_OK;
    *why = fault == FETCH_OK ? arena_printf(a, "its host answers with HTTP status %u", reply.status) : arena_cstr(a, view_str(words));
    if (!*why)
        *why = "no memory";
    return RC_TEMP;
}

int64_t tls_retry_s(unsigned tries)
{
    int64_t wait = TLS_RETRY_S;
    for (unsigned i = 0; i < tries && wait < TLS_RETRY_MAX_S; i++)
        wait *= 2;
    return wait < TLS_RETRY_MAX_S ? wait : TLS_RETRY_MAX_S;
}
