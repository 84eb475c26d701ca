#include "health/health_impl.h"

#include <stdarg.h>

#include "base/buf.h"

#define TEXT_MAX 2000

const char *health_mark_name(enum health_mark mark)
{
    static const char *const names[] = {"good", "note", "warn", "bad", "unknown"};
    return names[mark];
}

/* "spf.lookups" is about SPF; in the order in which they are shown. */
static const struct {
    const char *start, *area;
} areas[] = {{"ns.", "Name servers"}, {"mx.", "MX"},           {"dnssec.", "DNSSEC"},    {"ptr.", "Reverse DNS"}, {"ipv6.", "IPv6"},
             {"spf.", "SPF"},         {"dkim.", "DKIM"},       {"dmarc.", "DMARC"},      {"bimi.", "BIMI"},       {"send.", "Delivery"},
             {"tls.", "STARTTLS"},    {"cert.", "Certificates"}, {"caa.", "Certificates"}, {"sts.", "MTA-STS"},   {"dane.", "DANE"},
             {"tlsrpt.", "TLS-RPT"},  {"list.", "Blocklists"}, {"look.", "This look"}};
#define N_AREAS (sizeof areas / sizeof *areas)

static const char *area_of(const char *id)
{
    for (size_t i = 0; i < N_AREAS; i++)
        if (strncmp(id, areas[i].start, strlen(areas[i].start)) == 0)
            return areas[i].area;
    bug_if(true);
    return "";
}

/* Points of an area together, else as they were found. */
static void group_points(struct health *h)
{
    struct health_point *rest = h->points, **last = &h->points;
    for (size_t i = 0; i < N_AREAS; i++)
        for (struct health_point **p = &rest; *p;) {
            struct health_point *point = *p;
            if (point->area != areas[i].area) {
                p = &point->next;
                continue;
            }
            *p = point->next;
            *last = point;
            last = &point->next;
        }
    *last = NULL;
}

/* What was formatted, as one line: names of others are in it. */
static void keep_text(struct look *l, struct buf *b, struct view *out)
{
    for (size_t i = 0; i < b->n; i++)
        if ((unsigned char)b->p[i] < ' ' || b->p[i] == 0x7f)
            b->p[i] = '?';
    if (buf_rc(b) == RC_TEMP || view_dup(l->a, buf_view(b), out) != RC_OK)
        l->rc = RC_TEMP;
    buf_clear(b);
}

static struct health_point *add_point(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *fmt,
                                      va_list args)
{
    struct health_point *p = l->n_points < HEALTH_POINTS_MAX ? arena_new(l->a, struct health_point) : NULL;
    if (!p) {
        if (l->n_points < HEALTH_POINTS_MAX)
            l->rc = RC_TEMP;
        return NULL;
    }
    *p = (struct health_point){.id = id, .area = area_of(id), .mark = mark, .subject = subject, .address = l->at};
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++) {
        struct buf b;
        buf_init(&b, TEXT_MAX); /* what is longer is cut */
        lang_vprintf(&b, health_words, lang, fmt, args);
        keep_text(l, &b, &p->text[lang]);
    }
    *l->last = p;
    l->last = &p->next;
    l->n_points++;
    l->out->n[mark]++;
    return p;
}

void health_say(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *repair, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct health_point *p = add_point(l, id, mark, subject, fmt, args);
    for (enum lang lang = LANG_EN; p && lang < LANG_N; lang++)
        p->repair[lang] = view_str(repair ? lang_of(health_words, lang, repair) : "");
    va_end(args);
}

void health_say_repair(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *repair, struct view about,
                       const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct health_point *p = add_point(l, id, mark, subject, fmt, args);
    for (enum lang lang = LANG_EN; p && lang < LANG_N; lang++) {
        struct buf b;
        buf_init(&b, TEXT_MAX);
        lang_printf(&b, health_words, lang, repair, VIEW_FMT(about));
        keep_text(l, &b, &p->repair[lang]);
    }
    va_end(args);
}

static bool is_alike(const struct health_point *p, const struct health_point *o)
{
    return strcmp(p->id, o->id) == 0 && p->mark == o->mark && view_eq(p->text[LANG_EN], o->text[LANG_EN]) &&
           view_eq(p->repair[LANG_EN], o->repair[LANG_EN]);
}

static void name_address(struct look *l, struct health_point *p)
{
    for (enum lang lang = LANG_EN; lang < LANG_N; lang++) {
        const char *text = arena_printf(l->a, "%.*s: %.*s", VIEW_FMT(p->address), VIEW_FMT(p->text[lang]));
        if (!text)
            l->rc = RC_TEMP;
        p->text[lang] = view_str(text ? text : "");
    }
}

/* The others that say the same go; gives how many say it. */
static size_t drop_alike(struct look *l, struct health_point *p)
{
    size_t n = 1;
    for (struct health_point **o = &p->next; *o;) {
        if ((*o)->address.n == 0 || !is_alike(p, *o)) {
            o = &(*o)->next;
            continue;
        }
        l->out->n[(*o)->mark]--;
        l->n_points--;
        n++;
        if (l->last == &(*o)->next)
            l->last = o;
        *o = (*o)->next;
    }
    return n;
}

static size_t count_alike(const struct health_point *p)
{
    size_t n = 0;
    for (const struct health_point *o = p; o; o = o->next)
        n += o->address.n > 0 && is_alike(p, o);
    return n;
}

void health_merge(struct look *l, struct health_point **from, size_t n_addresses)
{
    for (struct health_point *p = *from; p; p = p->next) {
        if (p->address.n == 0)
            continue;
        if (count_alike(p) < n_addresses) {
            name_address(l, p); /* no other is alike now: what follows keeps its own words */
            continue;
        }
        drop_alike(l, p);
        p->address = (struct view){0};
    }
}

int64_t health_deadline(const struct look *l, int64_t ms)
{
    const int64_t at = deadline_in(ms);
    return at < l->deadline_ms ? at : l->deadline_ms;
}

bool health_is_over(const struct look *l)
{
    return clock_mono_ms() >= l->deadline_ms || (l->set->stop && atomic_load(l->set->stop));
}

void health_progress(const struct look *l, const char *what, struct view about)
{
    if (l->set->progress)
        l->set->progress(l->set->ctx, what, about);
}

bool health_unanswered(struct look *l, const char *id, struct view subject, const struct dns_answer *answer)
{
    if (answer->status == DNS_BOGUS)
        health_say(l, id, HEALTH_BAD, subject,
                   "Look at the zone with a DNSSEC debugger (dnsviz.net, or delv): a signature has expired, or the DS record above is of another key. Whoever validates cannot read it.",
                   "The DNSSEC signatures do not hold (%s).", answer->why ? answer->why : "no reason is known");
    else if (answer->status == DNS_TEMP)
        health_say(l, id, HEALTH_UNKNOWN, subject, "Try again; if it stays so, ask whoever runs the domain's name servers.",
                   "The name servers give no answer (%s).", answer->why ? answer->why : "no reason is known");
    return answer->status == DNS_BOGUS || answer->status == DNS_TEMP;
}

enum rc health_look(const struct health_settings *set, struct view domain, int64_t deadline_ms, struct arena *a, struct health *out)
{
    struct look l = {.set = set, .out = out, .a = a, .deadline_ms = deadline_ms, .last = &out->points};
    *out = (struct health){.made_s = set->now_s};
    enum rc rc = dns_domain_ascii(domain, a, &out->domain);
    if (rc != RC_OK || view_starts(out->domain, VIEW("[")))
        return rc == RC_TEMP ? RC_TEMP : RC_SYNTAX;
    static void (*const subjects[])(struct look *) = {health_ns,   health_mx,  health_spf,  health_dkim,   health_dmarc, health_bimi, health_sending,
                                                      health_tls, health_caa, health_sts, health_dane, health_tlsrpt, health_lists};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects && !health_is_over(&l) && !l.unreadable; i++)
        if (!l.gone || subjects[i] == health_dmarc) /* names that do not exist have a policy too (np=) */
            subjects[i](&l);
    if (l.unreadable)
        health_say(&l, "look.rest", HEALTH_UNKNOWN, out->domain, "Mend that first; then look again.",
                   "Nothing else can be told as long as its records cannot be read.");
    if (clock_mono_ms() >= deadline_ms)
        health_say(&l, "look.time", HEALTH_UNKNOWN, out->domain, "Mend first what is slow to answer, as told here; then look again.",
                   "There was no time left to look at everything: hosts or name servers answer too slowly.");
    group_points(out);
    return l.rc;
}
