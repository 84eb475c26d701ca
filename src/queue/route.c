#include "queue/route_impl.h"

#include <stdlib.h>

#include "crypto/random.h"

static void decide(struct routing *r, enum route_verdict verdict, const char *status, const char *why)
{
    r->out->verdict = verdict;
    r->out->status = status;
    r->out->why = why ? why : "";
    if (verdict != ROUTE_OK)
        r->out->n_hosts = 0;
}

static void shuffle(struct addr *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)random_below(i);
        struct addr swap = v[i - 1];
        v[i - 1] = v[k];
        v[k] = swap;
    }
}

static bool is_own(const struct queue_settings *set, const struct addr *a)
{
    if (addr_is_any(a)) /* RFC 1122 §3.2.1.3: nobody's; the kernel connects to this machine */
        return true;
    for (size_t i = 0; i < set->n_own; i++) {
        const struct addr *own = &set->own[i];
        bool all_of_us = addr_is_any(own) && addr_is_loopback(a) && addr_is_ipv6(own) == addr_is_ipv6(a);
        if (addr_port(own) == addr_port(a) && (all_of_us || addr_eq_ip(own, a)))
            return true;
    }
    return false;
}

/* One source address alone keeps us to its family. */
static bool can_reach_family(const struct queue_settings *set, const struct addr *a)
{
    if (addr_is_ipv6(a))
        return set->bind6.len > 0 || set->bind4.len == 0;
    return set->bind4.len > 0 || set->bind6.len == 0;
}

/* Addresses of one host, IPv6 first, each family shuffled. */
static enum dns_status find_addrs(struct routing *r, struct route_host *host, unsigned port, struct dns_answer *answer)
{
    struct addr *addrs;
    size_t n, n6 = 0;
    enum dns_status status = dns_addrs(r->ask->dns, host->name, port, r->ask->deadline_ms, r->a, answer, &addrs, &n);
    if (status != DNS_OK)
        return status;
    while (n6 < n && addr_is_ipv6(&addrs[n6]))
        n6++;
    shuffle(addrs, n6);
    shuffle(addrs + n6, n - n6);
    host->addrs = arena_new_array(r->a, ROUTE_ADDRS_MAX, struct addr);
    if (!host->addrs)
        return DNS_TEMP;
    for (size_t i = 0; i < n && host->n_addrs < ROUTE_ADDRS_MAX; i++) {
        if (i < n6 && n > n6 && host->n_addrs >= ROUTE_ADDRS_MAX / 2)
            continue; /* leaves room for the other family */
        if (can_reach_family(r->set, &addrs[i]))
            host->addrs[host->n_addrs++] = addrs[i];
    }
    return DNS_OK;
}

static const struct dns_answer no_answer;

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3). */
static enum rc route_literal(struct routing *r, struct view hop)
{
    struct view ip = view_slice(hop, 1, hop.n - 2);
    struct route_host *host = arena_new(r->a, struct route_host);
    struct addr *addr = arena_new(r->a, struct addr);
    if (!host || !addr)
        return RC_TEMP;
    view_itake(&ip, VIEW("IPv6:"));
    if (addr_parse_ip(ip, r->set->port, addr) != RC_OK) {
        decide(r, ROUTE_FAIL, "5.1.3", "the address literal cannot be read");
        return RC_OK;
    }
    if (is_own(r->set, addr)) {
        decide(r, ROUTE_FAIL, "5.4.6", "mail for this address literal leads back to this server");
        return RC_OK;
    }
    *host = (struct route_host){.name = ip, .addrs = addr, .n_addrs = 1};
    r->out->hosts = host;
    r->out->n_hosts = 1;
    r->out->reported = false;
    decide(r, ROUTE_OK, "", "address literal");
    return route_tls_host(r, host, &no_answer);
}

static enum rc route_relay(struct routing *r)
{
    const struct queue_settings *set = r->set;
    struct route_host *host = arena_new(r->a, struct route_host);
    struct dns_answer answer;
    struct view name = view_str(set->relay_host);
    enum dns_status status = DNS_OK;
    if (!host)
        return RC_TEMP;
    host->name = name;
    if (view_take_chr(&name, '[') && view_ends(name, VIEW("]")))
        name.n--;
    host->addrs = arena_new(r->a, struct addr);
    if (!host->addrs)
        return RC_TEMP;
    if (addr_parse_ip(name, set->relay_port, host->addrs) == RC_OK) {
        host->name = name;
        host->n_addrs = 1;
    } else {
        status = find_addrs(r, host, set->relay_port, &answer);
    }
    r->out->hosts = host;
    r->out->n_hosts = 1;
    r->out->login = set->relay_username != NULL;
    host->level = SMTP_TLS_VERIFIED;
    host->why = "our configuration's smarthost must have verified TLS";
    if (status == DNS_OK && host->n_addrs > 0)
        decide(r, ROUTE_OK, "", "smarthost of the configuration");
    else /* our own setting is wrong or cannot be looked up: never the sender's fault */
        decide(r, ROUTE_TEMP, "4.4.3", "the smarthost's name cannot be looked up");
    return RC_OK;
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_mx *x = a, *y = b;
    return x->preference < y->preference ? -1 : x->preference > y->preference;
}

/* RFC 5321 §5.1: by preference, within one at random. */
static void order(struct dns_mx *mx, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)random_below(i);
        struct dns_mx swap = mx[i - 1];
        mx[i - 1] = mx[k];
        mx[k] = swap;
    }
    /* qsort need not keep equal ones in their random order, but any order of them will do. */
    qsort(mx, n, sizeof *mx, by_preference);
}

/* Takes the hosts of *mx with their addresses, as far as we do not stand in the list ourselves. */
static enum rc take_hosts(struct routing *r, const struct dns_mx *mx, size_t n)
{
    struct route *out = r->out;
    bool cut = false, temp = false, bogus = false, other_family = false;
    for (size_t i = 0; i < n && i < ROUTE_HOSTS_MAX; i++) {
        struct route_host *host = &out->hosts[out->n_hosts];
        struct dns_answer answer;
        bool own = view_ieq(mx[i].host, view_str(r->set->hostname));
        *host = (struct route_host){.name = mx[i].host, .preference = mx[i].preference};
        enum dns_status status = own ? DNS_OK : find_addrs(r, host, r->set->port, &answer);
        for (size_t k = 0; k < host->n_addrs; k++)
            own |= is_own(r->set, &host->addrs[k]);
        if (own) { /* we and all that are not better than we are left out (RFC 5321 §5.1) */
            while (out->n_hosts > 0 && out->hosts[out->n_hosts - 1].preference >= mx[i].preference)
                out->n_hosts--;
            cut = true;
            break;
        }
        temp |= status == DNS_TEMP;
        bogus |= status == DNS_BOGUS;
        other_family |= status == DNS_OK && host->n_addrs == 0;
        if (host->n_addrs == 0)
            continue;
        enum rc rc = route_tls_host(r, host, &answer);
        if (rc != RC_OK)
            return rc;
        out->n_hosts++;
    }
    if (out->n_hosts > 0)
        decide(r, ROUTE_OK, "", "MX records");
    else if (bogus)
        decide(r, ROUTE_TEMP, "4.7.5", "DNSSEC of the addresses of its mail servers is broken");
    else if (temp)
        decide(r, ROUTE_TEMP, "4.4.3", "the addresses of its mail servers cannot be looked up now");
    else if (cut)
        decide(r, ROUTE_FAIL, "5.4.6", "the domain's mail servers lead back to this server, which does not know it");
    else if (other_family)
        decide(r, ROUTE_TEMP, "4.4.1", "its mail servers have only addresses of a family that this server does not use");
    else
        decide(r, ROUTE_FAIL, "5.4.4", "none of its mail servers has an address");
    return RC_OK;
}

static enum rc route_mx(struct routing *r, struct view hop)
{
    struct dns_answer answer;
    struct dns_mx *mx;
    size_t n;
    enum dns_status status = dns_mx(r->ask->dns, hop, r->ask->deadline_ms, r->a, &answer, &mx, &n);
    r->out->hosts = arena_new_array(r->a, ROUTE_HOSTS_MAX, struct route_host);
    if (!r->out->hosts)
        return RC_TEMP;
    r->mx_secure = answer.secure;
    r->mx_canonical = answer.canonical;
    switch (status) {
    case DNS_OK:
        if (n == 1 && mx[0].host.n == 0) {
            decide(r, ROUTE_FAIL, "5.1.10", "the domain does not accept mail (null MX)");
        } else if (n == 0) {
            decide(r, ROUTE_TEMP, "4.4.3", "its MX records cannot be read");
        } else {
            order(mx, n);
            return take_hosts(r, mx, n);
        }
        return RC_OK;
    case DNS_NODATA: { /* RFC 5321 §5.1: the domain itself is its only host */
        struct dns_mx implicit = {.host = answer.canonical.n > 0 ? answer.canonical : hop};
        struct route_host host = {.name = implicit.host};
        r->mx_direct = answer.canonical.n == 0;
        status = find_addrs(r, &host, r->set->port, &answer);
        if (status == DNS_NODATA || status == DNS_NXDOMAIN) {
            decide(r, ROUTE_FAIL, "5.1.2", "the domain has neither MX nor address records");
            return RC_OK;
        }
        if (status == DNS_OK) {
            enum rc rc = take_hosts(r, &implicit, 1);
            if (r->out->verdict == ROUTE_OK)
                r->out->why = "address records, since there is no MX";
            return rc;
        }
        break;
    }
    case DNS_NXDOMAIN: decide(r, ROUTE_FAIL, "5.1.2", "the domain does not exist"); return RC_OK;
    case DNS_TEMP:
    case DNS_BOGUS: break;
    }
    char *why = arena_printf(r->a, "%s: %s", status == DNS_BOGUS ? "DNSSEC of the domain is broken" : "DNS of the domain fails",
                             answer.why ? answer.why : "");
    decide(r, ROUTE_TEMP, status == DNS_BOGUS ? "4.7.5" : "4.4.3", why);
    return RC_OK;
}

enum rc route_decide(const struct route_ask *ask, struct arena *a, struct route *out)
{
    struct routing r = {.ask = ask, .set = ask->set, .a = a, .out = out};
    struct view hop = ask->hop;
    *out = (struct route){.status = "", .why = "", .sts_why = ""};
    if (ask->set->relay_host)
        return route_relay(&r);
    if (view_starts(hop, VIEW("[")) && view_ends(hop, VIEW("]")) && hop.n > 2)
        return route_literal(&r, hop);
    dns_prefetch(ask->dns, hop, DNS_MX); /* on its way while MTA-STS is looked at */
    if (route_tls_begin(&r) != RC_OK) {
        decide(&r, ROUTE_TEMP, "4.3.0", "the MTA-STS policies that we keep cannot be read now");
        return RC_OK;
    }
    return route_mx(&r, hop);
}
