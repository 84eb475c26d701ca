#include "app/health_route.h"

static bool is_policy_host_public(const struct health_route *r, struct view domain, int64_t deadline_ms, struct arena *a)
{
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    const char *host = arena_printf(a, "mta-sts.%.*s", VIEW_FMT(domain));
    if (!host || dns_addrs(r->dns, view_str(host), r->https_port, deadline_ms, a, &answer, &addrs, &n) != DNS_OK)
        return false; /* then there is nothing to be fetched either */
    for (size_t i = 0; i < n; i++)
        if (!addr_is_public(&addrs[i]))
            return false;
    return true;
}

enum rc health_route_decide(void *ctx, struct view domain, int64_t deadline_ms, struct arena *a, struct health_sending *out)
{
    const struct health_route *r = ctx;
    const bool asks_sts = r->sts && (!r->public_only || is_policy_host_public(r, domain, deadline_ms, a));
    const struct queue_settings set = {.hostname = "", .port = r->port, .sts = asks_sts ? r->sts : NULL}; /* no host of theirs is us */
    const struct route_ask ask = {.dns = r->dns, .set = &set, .hop = domain, .deadline_ms = deadline_ms};
    struct route route;
    *out = (struct health_sending){.why = ""};
    enum rc rc = route_decide(&ask, a, &route);
    if (rc != RC_OK)
        return rc;
    out->possible = route.verdict == ROUTE_OK;
    out->why = route.why;
    out->hosts = arena_new_array(a, route.n_hosts + 1, struct health_sending_host);
    if (!out->hosts)
        return RC_TEMP;
    for (size_t i = 0; i < route.n_hosts; i++) {
        const struct route_host *h = &route.hosts[i];
        out->hosts[out->n_hosts++] =
            (struct health_sending_host){.name = h->name, .why = h->why, .barred = h->barred, .only_told = h->only_told, .proof = h->proof};
    }
    return RC_OK;
}
