#include "report/plan.h"

#include "base/clock.h"
#include "report/report.h"
#include "report/tls.h"
#include "store/directory.h"

/* --- who we are --- */

static struct view domain_of(struct view address)
{
    size_t at = view_rchr(address, '@');
    return at == VIEW_NONE ? address : view_from(address, at + 1);
}

static bool is_within(struct view name, struct view domain)
{
    return view_ieq(name, domain) || (name.n > domain.n && view_iends(name, domain) && name.p[name.n - domain.n - 1] == '.');
}

enum rc report_from(struct store *s, const struct report_settings *set, struct arena *a, struct view *out)
{
    struct view *domains;
    size_t n;
    if (set->from)
        return view_dup(a, view_str(set->from), out);
    enum rc rc = directory_domains(s, a, &domains, &n);
    if (rc != RC_OK)
        return rc;
    if (n == 0)
        return RC_NOTFOUND;
    struct view best = domains[0];
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        if (is_within(view_str(set->hostname), domains[i]) && (!found || domains[i].n > best.n)) {
            best = domains[i];
            found = true;
        }
    }
    *out = view_str(arena_printf(a, "postmaster@%.*s", VIEW_FMT(best)));
    return out->n > 0 ? RC_OK : RC_TEMP;
}

/* --- guard rails --- */

bool plan_is_never(const struct report_settings *set, struct view what)
{
    for (size_t i = 0; i < set->n_never; i++) {
        struct view never = set->never[i];
        bool is_address = view_chr(never, '@') != VIEW_NONE;
        if (is_address ? view_ieq(never, what) : is_within(domain_of(what), never))
            return true;
    }
    return false;
}

enum rc plan_caps(const struct report_settings *set, struct view address, struct arena *a, struct seen_cap caps[PLAN_CAPS])
{
    struct tls_uri web;
    /* A web host counts as one, whatever the paths there. */
    bool is_web = view_istarts(address, VIEW("https:")) && tls_uri_read(address, a, &web) == RC_OK;
    char *name = arena_printf(a, "to %.*s", VIEW_FMT(is_web ? view_str(web.host) : address));
    caps[0] = (struct seen_cap){VIEW("mails"), set->per_day ? set->per_day : REPORT_PER_DAY};
    caps[1] = (struct seen_cap){view_str(name), set->per_destination ? set->per_destination : REPORT_PER_DESTINATION};
    return name ? RC_OK : RC_TEMP;
}

static const char *day_text(int64_t s, struct arena *a)
{
    const char *text = arena_printf(a, "it bounced: left alone for another %lld h", (long long)((s + 3599) / 3600));
    return text ? text : "it bounced";
}

enum rc plan_look_at(struct store *s, const struct report_settings *set, int64_t now_s, struct arena *a, struct plan_entry *e)
{
    int64_t until;
    struct view why;
    e->why = e->to.why;
    if (e->to.state == DESTINATION_UNKNOWN)
        e->later = true;
    if (e->to.state != DESTINATION_OK)
        return RC_OK;
    if (plan_is_never(set, e->to.address) || plan_is_never(set, e->to.domain)) {
        e->why = "the setting `never` names it";
        return RC_OK;
    }
    enum rc rc = seen_paused(s, e->to.address, a, &until, &why);
    if (rc != RC_OK)
        return rc;
    e->paused = until > now_s;
    if (e->paused)
        e->why = day_text(until - now_s, a);
    else
        e->go = true;
    return RC_OK;
}

int64_t plan_due(struct view seed, struct view domain, int64_t time_s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < seed.n; i++)
        h = (h ^ (unsigned char)seed.p[i]) * 0x100000001b3u;
    for (size_t i = 0; i < domain.n; i++)
        h = (h ^ (unsigned char)domain.p[i]) * 0x100000001b3u;
    return time_s - time_s % SEEN_DAY_S + SEEN_DAY_S + REPORT_START_S + (int64_t)((h ^ h >> 32) % REPORT_SPREAD_S);
}

/* --- the policy beside the rows --- */

void plan_policy_write(enum dmarc_method method, const struct dmarc_record *r, struct buf *out)
{
    buf_str(out, dmarc_method_name(method));
    buf_chr(out, ' ');
    buf_add(out, r->text);
}

static enum rc read_policy(struct view policy, struct arena *a, struct plan *out)
{
    struct view method;
    if (!view_split(&policy, ' ', &method))
        return RC_SYNTAX;
    out->method = view_eq(method, VIEW("psl")) ? DMARC_PSL : DMARC_TREEWALK;
    return dmarc_record_parse(policy, a, &out->record);
}

enum rc plan_make(struct store *s, struct dns *dns, const struct report_settings *set, const struct seen_report *r, struct arena *a,
                  struct plan *out)
{
    struct destination *list;
    const int64_t now_s = clock_real_s();
    *out = (struct plan){0};
    if (r->kind == SEEN_TLS)
        return tls_plan(s, dns, set, r, a, out);
    enum rc rc = read_policy(r->policy, a, out);
    if (rc == RC_TEMP)
        return rc;
    if (rc != RC_OK)
        return RC_SYNTAX;
    if (!row_domain_is_plain(r->domain))
        out->why = "the domain's name cannot stand in a report";
    else if (r->messages > 0 && r->bad >= r->messages)
        out->why = "all its messages were judged spam or worse: whoever sends those gets no mail from us";
    else if (plan_is_never(set, r->domain))
        out->why = "the setting `never` names it";
    else if (out->record.n_rua == 0)
        out->why = "it asks for no reports any more";
    if (out->why)
        return RC_OK;
    rc = destinations_find(dns, &set->dmarc, r->domain, out->record.rua, out->record.n_rua, false, deadline_in(REPORT_TIME_MS), a, &list,
                           &out->n);
    if (rc != RC_OK)
        return rc;
    out->entries = arena_new_array(a, out->n + 1, struct plan_entry);
    if (!out->entries)
        return RC_TEMP;
    for (size_t i = 0; i < out->n && rc == RC_OK; i++) {
        out->entries[i].to = list[i];
        rc = plan_look_at(s, set, now_s, a, &out->entries[i]);
    }
    return rc;
}
