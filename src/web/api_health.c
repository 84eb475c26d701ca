/* The doctor, and records against the DNS. Everything that needs the network is done by the other process. */
#include "web/api_health.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "dns/dns.h"
#include "mailauth/bimi_svg.h"
#include "net/addr.h"
#include "policy/records.h"
#include "store/logo.h"
#include "web/api_impl.h"

#define POLL_MS 100

static atomic_int waiters;

enum lang api_lang(const struct api_call *c)
{
    enum lang lang;
    if (lang_read(api_query(c, "lang"), &lang))
        return lang;
    return lang_accept(http_field(c->http, "Accept-Language"));
}

bool api_any_domain(struct api_call *c, struct view name, struct view *out)
{
    struct addr addr;
    const size_t dot = view_rchr(name, '.');
    const struct view last = dot == VIEW_NONE ? name : view_from(name, dot + 1);
    const bool is_number = last.n > 0 && last.p[0] >= '0' && last.p[0] <= '9'; /* no top-level domain begins with a digit */
    if (dot == VIEW_NONE || is_number || view_starts(name, VIEW("[")) || addr_parse_ip(name, 0, &addr) == RC_OK ||
        dns_domain_ascii(name, c->arena, out) != RC_OK) {
        api_refuse(c, 422, "domain.syntax", "This is not the name of a mail domain, such as example.org.");
        return false;
    }
    return true;
}

void api_health_refuse(struct api_call *c, enum rc rc)
{
    if (rc != RC_LIMIT) {
        api_refuse_rc(c, rc);
        return;
    }
    http_respond(c->response, "Retry-After", VIEW("60"));
    api_refuse(c, 429, "health.busy", "Too many domains are being looked at. Please wait a minute and try again.");
}

/* Each time from an arena of its own: a result is long, and the call's is bounded. */
static bool is_there(struct api_call *c, enum health_asked kind, struct view domain)
{
    struct health_result r;
    struct arena a;
    arena_init(&a, 4u << 20);
    const bool there = health_result_get(c->store, kind, domain, &a, &r) == RC_OK && !r.waiting;
    arena_clear(&a);
    return there;
}

static void wait_for(struct api_call *c, enum health_asked kind, struct view domain)
{
    const int64_t until_ms = deadline_in(API_HEALTH_WAIT_MS);
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    if (atomic_fetch_add(&waiters, 1) < API_HEALTH_WAITERS)
        while (clock_mono_ms() < until_ms && !is_there(c, kind, domain))
            nanosleep(&pause, NULL);
    atomic_fetch_sub(&waiters, 1);
}

enum rc api_health_ask(struct api_call *c, enum health_asked kind, struct view domain, struct view question, int64_t max_age_s,
                       struct health_result *out)
{
    const int64_t now_s = clock_real_s();
    enum rc rc = health_result_get(c->store, kind, domain, c->arena, out);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    if (rc == RC_NOTFOUND)
        *out = (struct health_result){.kind = kind, .domain = domain};
    if (rc == RC_OK && !out->waiting && kind != HEALTH_ASK_PUBLISH && out->made_s > now_s - max_age_s && out->made_s <= now_s)
        return RC_OK;
    const struct health_result ask = {.kind = kind, .domain = domain, .question = question, .asker = c->who.account};
    rc = health_result_ask(c->store, &ask);
    if (rc != RC_OK)
        return rc;
    if (c->set->health_asked)
        c->set->health_asked(c->set->app);
    wait_for(c, kind, domain);
    struct health_result now;
    rc = health_result_get(c->store, kind, domain, c->arena, &now);
    if (rc != RC_OK)
        return rc;
    if (now.waiting)
        return RC_TIMEOUT;
    *out = now;
    return RC_OK;
}

/* The list of one domain is an array, for the command's list of ours has the same form. */
static void get_doctor(struct api_call *c)
{
    struct health_result r;
    struct view domain;
    if (!api_any_domain(c, api_query(c, "domain"), &domain))
        return;
    const bool fresh = view_eq(api_query(c, "fresh"), VIEW("1"));
    enum rc rc = api_health_ask(c, HEALTH_ASK_DOCTOR, domain, VIEW(""), fresh ? API_HEALTH_FRESH_S : API_HEALTH_DAY_S, &r);
    if (rc != RC_OK && rc != RC_TIMEOUT) {
        api_health_refuse(c, rc);
        return;
    }
    if (rc == RC_TIMEOUT) {
        c->response->status = 202;
        api_reply(c, json_pack("{s:[], s:b}", "doctor", "waiting", 1));
        return;
    }
    const struct view text = r.text[api_lang(c)];
    json_t *found = text.n > 0 ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    if (!found) {
        api_refuse(c, 503, "health.failed", "The domain could not be looked at. The log has the reason; try again later.");
        return;
    }
    api_reply(c, json_pack("{s:[o]}", "doctor", found));
}

void api_records_status(struct api_call *c, struct view domain, json_t *question)
{
    struct health_result r;
    char *text = question ? json_dumps(question, JSON_COMPACT) : NULL;
    enum rc rc = text ? api_health_ask(c, HEALTH_ASK_RECORDS, domain, view_str(text), API_RECORDS_FRESH_S, &r) : RC_TEMP;
    json_decref(question);
    free(text);
    json_t *found = rc == RC_OK && r.text[LANG_EN].n > 0 ? json_loadb(r.text[LANG_EN].p, r.text[LANG_EN].n, 0, NULL) : NULL;
    if (rc == RC_TIMEOUT) {
        c->response->status = 202;
        api_reply(c, json_pack("{s:[], s:b}", "records", "waiting", 1));
    } else if (found) {
        api_reply(c, found);
    } else if (rc != RC_OK) {
        api_health_refuse(c, rc);
    } else {
        api_refuse(c, 503, "health.failed", "The DNS could not be asked. The log has the reason; try again later.");
    }
}

/* --- records published by DNS update --- */

static void get_publish(struct api_call *c)
{
    struct directory_domain d;
    struct health_result r = {0};
    if (!api_path_domain(c, &d))
        return;
    enum rc rc = health_result_get(c->store, HEALTH_ASK_PUBLISH, d.name, c->arena, &r);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        api_refuse_rc(c, rc);
        return;
    }
    const struct view text = r.text[LANG_EN];
    json_t *last = rc == RC_OK && text.n > 0 ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    api_reply(c, json_pack("{s:b, s:s?, s:b, s:o}", "configured", c->set->update_server != NULL, "server", c->set->update_server, "waiting",
                           (int)r.waiting, "last", last ? last : json_null()));
}

static void post_publish(struct api_call *c)
{
    struct directory_domain d;
    struct health_result r;
    if (!api_path_domain(c, &d))
        return;
    if (!c->set->update_server) {
        api_refuse(c, 409, "publish.unconfigured", "No DNS server is configured for updates: see dns-update in the settings.");
        return;
    }
    enum rc rc = api_health_ask(c, HEALTH_ASK_PUBLISH, d.name, VIEW(""), 0, &r);
    json_t *found = rc == RC_OK && r.text[LANG_EN].n > 0 ? json_loadb(r.text[LANG_EN].p, r.text[LANG_EN].n, 0, NULL) : NULL;
    api_audit(c, "domain.publish", d.name, VIEW(""));
    if (rc == RC_TIMEOUT) {
        c->response->status = 202;
        api_reply(c, json_pack("{s:b}", "waiting", 1));
    } else if (rc != RC_OK) {
        api_health_refuse(c, rc);
    } else if (found) {
        api_reply(c, found);
    } else {
        api_refuse(c, 503, "publish.failed", "The records could not be published. The log has the reason; try again later.");
    }
}

/* --- our own logo --- */

/* The drawing as a mail program would show it: a data: URI, since pages load nothing from elsewhere. */
static json_t *image_of(struct view svg)
{
    struct buf b;
    buf_init(&b, 2 * LOGO_MAX);
    buf_str(&b, "data:image/svg+xml;base64,");
    base64_encode(svg, &b);
    json_t *j = buf_rc(&b) == RC_OK ? api_view(buf_view(&b)) : NULL;
    buf_clear(&b);
    return j;
}

/* What the doctor found last, for a logo that is served elsewhere. */
static json_t *found_elsewhere(struct api_call *c, struct view domain)
{
    struct health_result r;
    if (health_result_get(c->store, HEALTH_ASK_DOCTOR, domain, c->arena, &r) != RC_OK || r.made_s == 0)
        return NULL;
    const struct view text = r.text[api_lang(c)];
    json_t *all = text.n > 0 ? json_loadb(text.p, text.n, 0, NULL) : NULL, *bimi = json_object_get(all, "bimi");
    json_t *found = json_is_object(bimi) ? json_incref(bimi) : NULL;
    json_decref(all);
    return found;
}

static void get_bimi(struct api_call *c)
{
    struct view domain, svg;
    if (!api_query_domain(c, &domain))
        return;
    enum rc rc = logo_get(c->store, domain, c->arena, &svg);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *elsewhere = found_elsewhere(c, domain), *certificate = json_object_get(elsewhere, "certificate");
    const char *url = arena_printf(c->arena, "https://mta-sts.%.*s" RECORDS_LOGO_PATH, VIEW_FMT(domain));
    const char *record = arena_printf(c->arena, "v=BIMI1; l=%s; a=", url ? url : "");
    if (rc == RC_OK && url && record)
        api_reply(c, json_pack("{s:s, s:o, s:[], s:s, s:O}", "logo", url, "image", image_of(svg), "svg_errors", "record", record, "certificate",
                               certificate ? certificate : json_null()));
    else if (elsewhere)
        api_reply(c, json_incref(elsewhere));
    else
        api_reply(c, json_pack("{s:n, s:n, s:[], s:n, s:n}", "logo", "image", "svg_errors", "record", "certificate"));
    json_decref(elsewhere);
}

static void put_logo(struct api_call *c)
{
    struct directory_domain d;
    struct bimi_svg svg;
    if (!api_path_domain(c, &d))
        return;
    bimi_svg_check(c->http->body, c->arena, &svg);
    if (svg.fault != BIMI_SVG_OK) {
        const char *code = arena_printf(c->arena, "logo.%s", bimi_svg_code(svg.fault));
        api_refuse(c, 422, code ? code : "logo.invalid", bimi_svg_words(svg.fault));
        return;
    }
    enum rc rc = logo_put(c->store, d.name, svg.text);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "domain.logo", d.name, VIEW("set"));
    api_reply(c, json_pack("{s:[]}", "svg_errors"));
}

static void delete_logo(struct api_call *c)
{
    struct directory_domain d;
    if (!api_path_domain(c, &d))
        return;
    enum rc rc = logo_remove(c->store, d.name);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "domain.logo", d.name, VIEW("removed"));
    api_done(c);
}

const struct api_route api_health_routes[] = {
    {"GET", "/bimi", API_OWNER, get_bimi, false},
    {"PUT", "/domains/{domain}/logo", API_OWNER, put_logo, true},
    {"DELETE", "/domains/{domain}/logo", API_OWNER, delete_logo, false},
    {"GET", "/doctor", API_OWNER, get_doctor, false},
    {"GET", "/domains/{domain}/publish", API_OWNER, get_publish, false},
    {"POST", "/domains/{domain}/publish", API_OWNER, post_publish, false},
    {0},
};
