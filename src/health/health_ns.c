/* The domain's name servers (RFC 1034 §4.1, RFC 2182 §5, RFC 3901), DNSSEC of the domain, and who may issue certificates for its mail
 * hosts (RFC 8659). */
#include "crypto/random.h"
#include "health/health_impl.h"
#include "net/conn.h"

#define NS_MAX     13
#define ANSWER_MAX 65535

/* The zone that the name is in: the nearest name above with NS records, below the root. */
static bool find_zone(struct look *l, struct dns_answer *answer, struct view **hosts, size_t *n)
{
    for (struct view name = l->out->domain; name.n > 0;) {
        if (dns_ns(l->set->dns, name, l->deadline_ms, l->a, answer, hosts, n) == DNS_OK && *n > 0)
            return true;
        if (answer->status == DNS_TEMP || answer->status == DNS_BOGUS)
            return false;
        size_t dot = view_chr(name, '.');
        name = dot == VIEW_NONE ? VIEW("") : view_from(name, dot + 1);
    }
    return false;
}

static void put_name(struct buf *out, struct view name)
{
    struct view label;
    while (name.n > 0) {
        view_split(&name, '.', &label);
        buf_chr(out, (char)label.n);
        buf_add(out, label);
    }
    buf_chr(out, 0);
}

/* By TCP, which every name server has to speak (RFC 7766): whether it answers for the domain at all. */
static bool answers(struct look *l, const struct addr *addr)
{
    struct buf q;
    struct view in = {0};
    struct conn *c;
    const char *why;
    uint8_t id[2];
    bool ok = false;
    random_bytes(id, sizeof id);
    buf_init(&q, 600);
    buf_add(&q, view_of("\0\0", 2)); /* its length, below */
    buf_add(&q, view_of(id, 2));
    buf_add(&q, view_of("\0\0\0\1\0\0\0\0\0\0", 10)); /* one question, no recursion */
    put_name(&q, l->out->domain);
    buf_add(&q, view_of("\0\6\0\1", 4)); /* SOA IN */
    if (buf_rc(&q) == RC_OK && conn_dial(addr, addr_is_ipv6(addr) ? l->set->bind6 : l->set->bind4, deadline_in(HEALTH_CONNECT_MS / 2), &c, &why) == RC_OK) {
        q.p[0] = (char)((q.n - 2) >> 8);
        q.p[1] = (char)(q.n - 2);
        conn_deadline(c, deadline_in(HEALTH_CONNECT_MS / 2));
        conn_write(c, buf_view(&q));
        enum rc rc = conn_flush(c);
        if (rc == RC_OK)
            rc = conn_fill(c, &in);
        while (rc == RC_OK && in.n < 6)
            rc = conn_fill_more(c, &in);
        /* its id, an answer, without error (NXDOMAIN would be one) */
        ok = rc == RC_OK && in.p[2] == (char)id[0] && in.p[3] == (char)id[1] && (in.p[4] & 0x80) && (in.p[5] & 0x0f) == 0;
        conn_free(c);
    }
    buf_clear(&q);
    return ok;
}

static void say_count(struct look *l, size_t n, size_t n6)
{
    const struct view domain = l->out->domain;
    if (n < 2)
        health_say(l, "ns.count", HEALTH_WARN, domain, "Add a second name server, at another place.", "There is one name server: when it fails, so does all mail.");
    else
        health_say(l, "ns.count", HEALTH_GOOD, domain, NULL, "Name servers: %zu.", n);
    if (n6 >= 2)
        health_say(l, "ns.ipv6", HEALTH_GOOD, domain, NULL, "Name servers with IPv6: %zu.", n6);
    else
        health_say(l, "ns.ipv6", HEALTH_NOTE, domain, "Ask your DNS provider for name servers with IPv6 addresses.",
                   n6 == 1 ? "One name server alone has IPv6." : "No name server has IPv6.");
}

static void look_at_servers(struct look *l, const struct view *hosts, size_t n)
{
    size_t n6 = 0, silent = 0, tried = 0;
    for (size_t i = 0; i < n && i < NS_MAX && !health_is_over(l); i++) {
        struct dns_answer answer;
        struct addr *addrs;
        size_t n_addrs;
        bool has6 = false, works[2] = {false, false}, has[2] = {false, false};
        dns_addrs(l->set->dns, hosts[i], l->set->ns_port, l->deadline_ms, l->a, &answer, &addrs, &n_addrs);
        if (n_addrs == 0) {
            health_say(l, "ns.host", HEALTH_WARN, hosts[i], "Correct its name in the delegation, or give it an address.", "This name server has no address.");
            continue;
        }
        for (size_t k = 0; k < n_addrs; k++)
            has6 |= addr_is_ipv6(&addrs[k]);
        n6 += has6;
        for (size_t k = 0; l->set->connect && k < n_addrs && k < HEALTH_ADDRS_MAX; k++) {
            const bool v6 = addr_is_ipv6(&addrs[k]);
            if ((l->set->public_only && !addr_is_public(&addrs[k])) || works[v6])
                continue;
            has[v6] = true;
            works[v6] = answers(l, &addrs[k]);
        }
        for (int v6 = 0; v6 < 2; v6++) {
            tried += has[v6];
            if (!has[v6] || works[v6])
                continue;
            silent++;
            health_say(l, "ns.host", HEALTH_WARN, hosts[i], "See that it runs, knows the zone, and that port 53 is open for TCP too.",
                       v6 ? "It does not answer for the domain by IPv6." : "It does not answer for the domain by IPv4.");
        }
    }
    say_count(l, n, n6);
    if (tried > 0 && silent == 0)
        health_say(l, "ns.host", HEALTH_GOOD, l->out->domain, NULL, "All name servers answer for the domain.");
}

void health_ns(struct look *l)
{
    struct dns_answer answer = {0};
    struct view *hosts = NULL, domain = l->out->domain;
    size_t n = 0;
    health_progress(l, "the name servers of", domain);
    const bool found = find_zone(l, &answer, &hosts, &n);
    if (health_unanswered(l, "ns.count", domain, &answer))
        return;
    if (found)
        look_at_servers(l, hosts, n);
    struct dns_answer own;
    dns_query(l->set->dns, domain, DNS_TXT, l->deadline_ms, l->a, &own);
    if (own.status == DNS_BOGUS || own.status == DNS_TEMP || own.status == DNS_NXDOMAIN)
        return; /* others say so */
    if (own.secure)
        health_say(l, "dnssec.domain", HEALTH_GOOD, domain, NULL, "The domain is signed, and its signatures hold (DNSSEC).");
    else
        health_say(l, "dnssec.domain", HEALTH_NOTE, domain, "Sign the zone at your DNS provider (most do so with one switch); DANE needs it.",
                   "The domain is not signed by DNSSEC: its records, SPF, DKIM and DMARC among them, can be forged on the way.");
}

/* RFC 8659 §3: the nearest name at or above the host that has CAA records. */
static void look_at_caa(struct look *l, struct view host)
{
    size_t dot;
    for (struct view name = host; name.n > 0; dot = view_chr(name, '.'), name = dot == VIEW_NONE ? VIEW("") : view_from(name, dot + 1)) {
        struct dns_answer answer;
        struct buf issuers;
        dns_query(l->set->dns, name, DNS_CAA, l->deadline_ms, l->a, &answer);
        if (health_unanswered(l, "caa.record", host, &answer))
            return;
        if (answer.status != DNS_OK)
            continue;
        buf_init(&issuers, 2000);
        for (size_t i = 0; i < answer.n; i++) {
            struct view in = answer.rdata[i], tag;
            view_next(&in);
            tag = view_slice(view_from(in, 1), 0, in.n > 0 ? (unsigned char)in.p[0] : 0);
            if (!view_ieq(tag, VIEW("issue")))
                continue;
            view_skip(&in, 1 + tag.n);
            buf_str(&issuers, issuers.n > 0 ? ", " : "");
            buf_add(&issuers, in.n > 0 && !view_eq(in, VIEW(";")) ? in : VIEW("-"));
        }
        health_say(l, "caa.record", HEALTH_GOOD, host, NULL, "CAA records at %.*s say who may issue certificates: %.*s.", VIEW_FMT(name),
                   VIEW_FMT(buf_view(&issuers)));
        buf_clear(&issuers);
        return;
    }
    health_say(l, "caa.record", HEALTH_NOTE, host, "Publish a CAA record that names the authority you use: 0 issue \"letsencrypt.org\".",
               "There is no CAA record: any authority may issue certificates for it.");
}

void health_caa(struct look *l)
{
    for (size_t i = 0; i < l->n_hosts && !health_is_over(l); i++)
        look_at_caa(l, l->hosts[i].name);
}
