#include "health/health_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

#define TEXT_MAX 2000

const char *health_mark_name(enum health_mark mark)
{
    static const char *const names[] = {"good", "note", "warn", "bad", "unknown"};
    return names[mark];
}

/* "spf.lookups" -> "SPF" */
static const char *area_of(const char *id)
{
    static const struct {
        const char *start, *area;
    } areas[] = {{"mx.", "MX"},       {"dnssec.", "DNSSEC"}, {"ptr.", "Reverse DNS"}, {"ipv6.", "IPv6"},  {"spf.", "SPF"}, {"dkim.", "DKIM"},
                 {"dmarc.", "DMARC"}, {"tls.", "STARTTLS"},  {"sts.", "MTA-STS"},     {"dane.", "DANE"}, {"tlsrpt.", "TLS-RPT"}};
    for (size_t i = 0; i < sizeof areas / sizeof *areas; i++)
        if (strncmp(id, areas[i].start, strlen(areas[i].start)) == 0)
            return areas[i].area;
    return "Mail";
}

static void add_point(struct look *l, const char *id, enum health_mark mark, struct view subject, struct view repair, const char *fmt,
                      va_list args)
{
    char text[TEXT_MAX];
    struct health_point *p = l->n_points < HEALTH_POINTS_MAX ? arena_new(l->a, struct health_point) : NULL;
    if (!p) {
        if (l->n_points < HEALTH_POINTS_MAX)
            l->rc = RC_TEMP;
        return;
    }
    vsnprintf(text, sizeof text, fmt, args); /* cut where it is too long */
    for (char *c = text; *c; c++)            /* names of others are in it */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    *p = (struct health_point){.id = id, .area = area_of(id), .mark = mark, .subject = subject, .repair = repair};
    if (view_dup(l->a, view_str(text), &p->text) != RC_OK)
        l->rc = RC_TEMP;
    *l->last = p;
    l->last = &p->next;
    l->n_points++;
    l->out->n[mark]++;
}

void health_say(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *repair, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_point(l, id, mark, subject, view_str(repair ? repair : ""), fmt, args);
    va_end(args);
}

void health_say_repair(struct look *l, const char *id, enum health_mark mark, struct view subject, struct view repair, const char *fmt,
                       ...)
{
    va_list args;
    va_start(args, fmt);
    add_point(l, id, mark, subject, repair, fmt, args);
    va_end(args);
}

void health_progress(const struct look *l, const char *what, struct view about)
{
    if (l->set->progress)
        l->set->progress(l->set->ctx, what, about);
}

bool health_unanswered(struct look *l, const char *id, struct view subject, const struct dns_answer *answer)
{
    if (answer->status == DNS_BOGUS)
        health_say(l, id, HEALTH_BAD, subject, "Look at the zone with a DNSSEC debugger: whoever validates, as Facteur does, cannot read it.",
                   "The DNSSEC signatures do not hold.");
    else if (answer->status == DNS_TEMP)
        health_say(l, id, HEALTH_UNKNOWN, subject, "Try again; if it stays so, ask whoever runs the domain's name servers.",
                   "The name servers give no answer (%s).", answer->why ? answer->why : "no reason");
    return answer->status == DNS_BOGUS || answer->status == DNS_TEMP;
}

enum rc health_look(const struct health_settings *set, struct view domain, int64_t deadline_ms, struct arena *a, struct health *out)
{
    struct look l = {.set = set, .out = out, .a = a, .deadline_ms = deadline_ms, .last = &out->points};
    *out = (struct health){0};
    enum rc rc = dns_domain_ascii(domain, a, &out->domain);
    if (rc != RC_OK || view_starts(out->domain, VIEW("[")))
        return rc == RC_TEMP ? RC_TEMP : RC_SYNTAX;
    health_mx(&l);
    health_spf(&l);
    health_dkim(&l);
    health_dmarc(&l);
    health_tls(&l);
    health_sts(&l);
    health_dane(&l);
    health_tlsrpt(&l);
    return l.rc;
}
