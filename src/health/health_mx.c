/* Where the domain's mail goes: MX records (RFC 5321 §5.1, RFC 7505), the hosts' addresses, and their names the other way. */
#include "health/health_impl.h"

static bool is_address(struct view host)
{
    struct addr addr;
    return addr_parse_ip(host, 0, &addr) == RC_OK;
}

static bool all_public(const struct addr *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!addr_is_public(&addrs[i]))
            return false;
    return true;
}

/* RFC 5321 §5.1, RFC 2181 §10.3: an MX names a host with addresses, not another name for one. */
static void look_at_host(struct look *l, struct view host, int preference)
{
    struct dns_answer answer;
    struct addr *addrs;
    struct health_host *shown = &l->out->hosts[l->out->n_hosts];
    size_t n, n6 = 0;
    if (l->out->n_hosts == HEALTH_HOSTS_MAX)
        return;
    *shown = (struct health_host){.name = host, .preference = preference};
    l->out->n_hosts++;
    if (is_address(host)) {
        health_say(l, "mx.host", HEALTH_BAD, host, "Give the host a name with an A or AAAA record, and let the MX name that.",
                   "This MX is an IP address; it must be a host name.");
        return;
    }
    dns_addrs(l->set->dns, host, l->set->port, l->deadline_ms, l->a, &answer, &addrs, &n);
    if (health_unanswered(l, "mx.host", host, &answer))
        return;
    if (n == 0) {
        health_say(l, "mx.host", HEALTH_BAD, host, "Add an A or AAAA record for it, or remove it from the MX records.",
                   "This MX host has no address: mail waits, and may bounce after days.");
        return;
    }
    shown->addrs = addrs;
    shown->n_addrs = n;
    if (l->set->public_only && !all_public(addrs, n)) {
        health_say(l, "mx.private", HEALTH_BAD, host, "Publish an address that the Internet can reach.",
                   "This MX host has a private or local address: nobody outside can reach it.");
        return;
    }
    if (answer.canonical.n > 0)
        health_say(l, "mx.cname", HEALTH_WARN, host, "Name the real host in the MX record.",
                   "This MX is an alias (CNAME) of %.*s; some senders refuse that.", VIEW_FMT(answer.canonical));
    l->hosts[l->n_hosts++] = (struct look_host){.name = host, .shown = shown, .addrs = addrs, .n_addrs = n, .secure = answer.secure};
    for (size_t i = 0; i < n; i++)
        n6 += addr_is_ipv6(&addrs[i]);
    health_say(l, "mx.host", HEALTH_GOOD, host, NULL, "Addresses: %zu IPv4 and %zu IPv6.", n - n6, n6);
    if (n6 == 0)
        health_say(l, "ipv6.host", HEALTH_NOTE, host, "Give it an AAAA record once the server is reachable by IPv6.",
                   "It cannot be reached by IPv6.");
}

/* Big receivers refuse mail from hosts whose address has no name that leads back (RFC 8601 §2.7.3, RFC 1912 §2.1). */
static void look_back(struct look *l, const struct look_host *host, const struct addr *addr)
{
    struct dns_answer answer, forward;
    struct view *names;
    struct addr *back;
    char ip[ADDR_TEXT_MAX];
    size_t n, n_back;
    addr_write_ip(addr, ip);
    dns_ptr(l->set->dns, addr, l->deadline_ms, l->a, &answer, &names, &n);
    if (health_unanswered(l, "ptr.name", host->name, &answer))
        return;
    if (n == 0) {
        health_say(l, "ptr.name", HEALTH_WARN, host->name,
                   "Ask whoever rents you the address to set its reverse name (PTR) to the host's name.",
                   "%s has no reverse name: large receivers refuse mail sent from it.", ip);
        return;
    }
    for (size_t i = 0; i < n && i < 5; i++) {
        dns_addrs(l->set->dns, names[i], 0, l->deadline_ms, l->a, &forward, &back, &n_back);
        for (size_t j = 0; j < n_back; j++) {
            if (!addr_eq_ip(&back[j], addr))
                continue;
            bool same = view_ieq(names[i], host->name);
            health_say(l, "ptr.name", same ? HEALTH_GOOD : HEALTH_NOTE, host->name,
                       same ? NULL : "Nothing must be done; the same name both ways is what receivers like best.",
                       "%s is called %.*s, and that name leads back.", ip, VIEW_FMT(names[i]));
            return;
        }
    }
    health_say(l, "ptr.name", HEALTH_WARN, host->name, "Set the reverse name (PTR) to a name whose A or AAAA record is this address.",
               "%s is called %.*s, but that name does not lead back to it.", ip, VIEW_FMT(names[0]));
}

static void say_dnssec(struct look *l)
{
    size_t secure = 0;
    for (size_t i = 0; i < l->n_hosts; i++)
        secure += l->hosts[i].secure;
    if (l->mx_secure && secure == l->n_hosts)
        health_say(l, "dnssec.mx", HEALTH_GOOD, l->out->domain, NULL, "MX records and host addresses are proven by DNSSEC.");
    else
        health_say(l, "dnssec.mx", HEALTH_NOTE, l->out->domain,
                   "Sign the zone at your DNS provider (most do so with one switch); DANE needs it.",
                   l->mx_secure ? "The addresses of an MX host are not proven by DNSSEC: who can forge DNS answers can turn mail to another host."
                                : "The MX records are not proven by DNSSEC: who can forge DNS answers can turn mail to another host.");
}

/* By preference; equal ones as they came. */
static void sort_mx(struct dns_mx *mx, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct dns_mx m = mx[i];
        size_t j = i;
        for (; j > 0 && mx[j - 1].preference > m.preference; j--)
            mx[j] = mx[j - 1];
        mx[j] = m;
    }
}

void health_mx(struct look *l)
{
    struct dns_answer answer;
    struct dns_mx *mx;
    size_t n;
    struct view domain = l->out->domain;
    health_progress(l, "MX and addresses of", domain);
    dns_mx(l->set->dns, domain, l->deadline_ms, l->a, &answer, &mx, &n);
    l->unreadable = health_unanswered(l, "mx.records", domain, &answer);
    if (l->unreadable)
        return;
    l->mx_secure = answer.secure;
    if (answer.status == DNS_NXDOMAIN) {
        l->gone = true;
        health_say(l, "mx.records", HEALTH_BAD, domain, "Check the spelling; register the domain, or mend its delegation.",
                   "There is no such domain in the DNS.");
        return;
    }
    if (n == 1 && mx[0].host.n == 0) {
        l->no_mail = true;
        health_say(l, "mx.records", HEALTH_NOTE, domain, "Nothing must be done if that is so; else name its mail hosts in MX records, and remove this one.",
                   "It says that it takes no mail (null MX).");
        return;
    }
    if (n == 0) {
        health_say(l, "mx.records", HEALTH_WARN, domain, "Add an MX record that names your mail host.",
                   "There is no MX record; senders then try the domain's own address.");
        look_at_host(l, domain, -1);
        return;
    }
    sort_mx(mx, n);
    health_say(l, "mx.records", HEALTH_GOOD, domain, NULL, "MX records: %zu.", n);
    for (size_t i = 0; i < n && i < HEALTH_HOSTS_MAX; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again |= view_ieq(mx[k].host, mx[i].host);
        if (again)
            continue;
        if (mx[i].host.n == 0)
            health_say(l, "mx.null", HEALTH_BAD, domain, "Remove the MX record that names \".\", or all others.",
                       "A null MX stands beside others: it says that the domain takes no mail.");
        else
            look_at_host(l, mx[i].host, mx[i].preference);
    }
    say_dnssec(l);
    for (size_t i = 0; i < l->n_hosts; i++)
        for (size_t j = 0; j < l->hosts[i].n_addrs && j < HEALTH_ADDRS_MAX; j++)
            look_back(l, &l->hosts[i], &l->hosts[i].addrs[j]);
}
