#include "desk/advice.h"

static const char *const kinds[] = {"ours", "service", "forwarder", "list", "threat", "unknown"};

static const char *find_kind(struct view kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (view_eq(kind, view_str(kinds[i])))
            return kinds[i];
    return NULL;
}

bool advice_is_kind(struct view kind)
{
    return find_kind(kind) != NULL;
}

/* Of a thousand. */
static uint64_t share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : part > whole ? 1000 : part * 1000 / whole;
}

const char *advice_kind(const struct ledger_source *s)
{
    const struct ledger_sum *m = &s->sum;
    const char *known = find_kind(s->said_kind.n > 0 ? s->said_kind : s->kind);
    if (known)
        return known;
    if (share(m->listed, m->messages) >= 500)
        return "list";
    if (m->aligned == 0 && (view_starts(s->key, VIEW("net:")) || (m->spf_passed == 0 && m->dkim_passed == 0)))
        return "threat"; /* nothing vouches for it, or nobody has given it a name */
    if (share(m->spf, m->messages) >= 500)
        return "ours"; /* the domain's own SPF record names it */
    if (share(m->dkim, m->messages) >= 500 || share(m->forwarded, m->messages) >= 500)
        return "forwarder"; /* our signature came through, from an address that we never named */
    return "unknown";
}

bool advice_is_wanted(const char *kind)
{
    return strcmp(kind, "threat") != 0;
}

static const char *for_ours(const struct ledger_sum *m)
{
    if (share(m->dkim, m->messages) < ADVICE_READY_SHARE)
        return "ours.unsigned";
    return share(m->spf, m->messages) < ADVICE_READY_SHARE ? "ours.spf" : "ours.good";
}

static const char *for_service(const struct ledger_sum *m)
{
    if (share(m->aligned, m->messages) >= ADVICE_READY_SHARE)
        return share(m->dkim, m->messages) >= ADVICE_READY_SHARE ? "service.good" : "service.unsigned";
    return share(m->aligned, m->messages) < 100 ? "service.unaligned" : "service.partly";
}

const char *advice_code(const struct ledger_source *s, const char *kind)
{
    const struct ledger_sum *m = &s->sum;
    const bool passes = share(m->aligned, m->messages) >= 900;
    switch (kind[0]) {
    case 'o': return for_ours(m);
    case 's': return for_service(m);
    case 'f': return passes ? "forwarder.good" : "forwarder.broken";
    case 'l': return passes ? "list.good" : "list.broken";
    case 't': return share(m->quarantine + m->reject, m->messages) >= 500 ? "threat.stopped" : "threat.open";
    default: return share(m->aligned, m->messages) >= ADVICE_READY_SHARE ? "unknown.good" : "unknown.failing";
    }
}

void advice_path(struct view p, const struct ledger_summary *sum, const struct ledger_source *sources, size_t n, struct advice_path *out)
{
    *out = (struct advice_path){.now = view_eq(p, VIEW("reject")) ? "reject" : view_eq(p, VIEW("quarantine")) ? "quarantine" : "none"};
    out->next = strcmp(out->now, "none") == 0 ? "quarantine" : strcmp(out->now, "quarantine") == 0 ? "reject" : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!advice_is_wanted(advice_kind(&sources[i])))
            continue;
        out->messages += sources[i].sum.messages;
        out->would_break += sources[i].sum.messages - sources[i].sum.aligned;
    }
    if (!out->next)
        out->why = "path.done";
    else if (sum->sum.messages == 0)
        out->why = "path.none";
    else if (share(out->messages - out->would_break, out->messages) < ADVICE_READY_SHARE)
        out->why = "path.failing";
    else if (sum->n_days < ADVICE_READY_DAYS)
        out->why = "path.few";
    else
        out->why = "path.ready";
    out->ready = strcmp(out->why, "path.ready") == 0;
}

struct advice_enforce advice_enforce(enum directory_sts mode, const struct ledger_tls_summary *sum)
{
    if (mode == STS_ENFORCE)
        return (struct advice_enforce){false, "enforce.already"};
    if (mode == STS_NONE)
        return (struct advice_enforce){false, "enforce.off"};
    if (sum->sessions == 0)
        return (struct advice_enforce){false, "enforce.none"};
    if (share(sum->failures, sum->sessions) > ADVICE_TLS_FAILURES)
        return (struct advice_enforce){false, "enforce.failing"};
    if (sum->n_days < ADVICE_READY_DAYS)
        return (struct advice_enforce){false, "enforce.few"};
    return (struct advice_enforce){true, "enforce.ready"};
}
