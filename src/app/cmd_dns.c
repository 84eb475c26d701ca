/* facteur dns DOMAIN: the records that DOMAIN should publish, as zone-file lines (RFC 1035 §5) that a DNS server loads
 * unchanged: MX, SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989), MTA-STS (RFC 8461), TLS-RPT (RFC 8460), TLSA (RFC 7672), the services' SRV (RFC 6186, 8314), and the address of our host where it lies in DOMAIN. */
#include <netinet/in.h>
#include <stdio.h>

#include "app/commands.h"
#include "app/domain_keys.h"
#include "app/resolver.h"
#include "app/tlsa.h"
#include "crypto/hex.h"
#include "dns/dns.h"
#include "store/directory.h"

#define DNS_ASK_MS 3000

struct records {
    struct app *app;
    json_t *json; /* array of {name, type, value}, or NULL: print */
};

static void record(struct records *r, const char *name, const char *type, const char *value)
{
    if (r->json)
        json_array_append_new(r->json, json_pack("{s:s, s:s, s:s}", "name", name, "type", type, "value", value));
    else
        printf("%s 3600 IN %s %s\n", name, type, value);
}

static bool is_any(const struct addr *a)
{
    if (addr_is_ipv6(a))
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
    return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* The host's own addresses, where the host lies in the domain and the configuration names them. */
static void host_records(struct records *r, const struct config *c, struct view domain)
{
    struct view host = view_str(c->hostname);
    if (!view_iends(host, domain) || (host.n > domain.n && host.p[host.n - domain.n - 1] != '.'))
        return;
    for (size_t i = 0; i < c->listen.n; i++) {
        const struct config_listener *l = &c->listen.v[i];
        char ip[ADDR_TEXT_MAX];
        if (l->service != SERVICE_SMTP || is_any(&l->addr))
            continue;
        addr_write_ip(&l->addr, ip);
        const char *name = arena_printf(&r->app->arena, "%s.", c->hostname);
        record(r, name ? name : "", addr_is_ipv6(&l->addr) ? "AAAA" : "A", ip);
    }
}

/* What sends for us: the MX hosts, the source addresses that are set, the smarthost. */
static void spf_record(struct records *r, const struct config *c, const char *owner)
{
    struct buf text;
    buf_init(&text, 2000);
    buf_str(&text, "\"v=spf1 mx");
    for (size_t i = 0; i < c->outbound.bind.n; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&c->outbound.bind.v[i], ip);
        buf_printf(&text, " %s:%s", addr_is_ipv6(&c->outbound.bind.v[i]) ? "ip6" : "ip4", ip);
    }
    if (c->relay.host)
        buf_printf(&text, " a:%s", c->relay.host);
    /* A smarthost may send from addresses that only its owner knows. */
    buf_printf(&text, " %s\"", c->relay.host ? "~all" : "-all");
    buf_chr(&text, '\0');
    if (buf_rc(&text) == RC_OK)
        record(r, owner, "TXT", text.p);
    buf_clear(&text);
}

/* Keys that are to sign, that sign, and that signed what may still be on its way. */
static int key_records(struct records *r, struct view domain)
{
    struct directory_dkim_key *keys;
    size_t n;

    if (domain_keys_list(r->app, domain, &keys, &n) != EXIT_DONE)
        return EXIT_FAILED;
    for (size_t i = 0; i < n; i++) {
        const char *owner = domain_keys_owner(r->app, &keys[i]), *value = domain_keys_record(r->app, &keys[i]);
        if (!owner || !value)
            return app_fail_rc(RC_TEMP, "write the records");
        record(r, owner, "TXT", value);
    }
    if (n == 0)
        fprintf(stderr, "facteur: %.*s has no DKIM keys, its mail goes unsigned: `facteur domain rotate-keys %.*s` makes them\n",
                VIEW_FMT(domain), VIEW_FMT(domain));
    return EXIT_DONE;
}

/* Everything that leaves is signed, so that what is not may be put aside; postmaster hears who sends in our name. */
static void dmarc_record(struct records *r, struct view domain)
{
    const char *name = arena_printf(&r->app->arena, "_dmarc.%.*s.", VIEW_FMT(domain));
    const char *value = arena_printf(&r->app->arena, "\"v=DMARC1; p=quarantine; rua=mailto:postmaster@%.*s\"", VIEW_FMT(domain));
    if (name && value)
        record(r, name, "TXT", value);
}

/* The id changes with the mode, so that others fetch the policy again (RFC 8461 §3.1). In mode none, which withdraws a policy, it
 * has to be seen just as well. */
static enum rc sts_records(struct records *r, const struct config *c, struct view domain)
{
    struct directory_domain d;
    struct arena *a = &r->app->arena;
    bool serves = false;
    for (size_t i = 0; i < c->listen.n; i++)
        serves |= c->listen.v[i].service == SERVICE_HTTPS;
    if (!serves)
        return RC_OK;
    enum rc rc = directory_domain(r->app->store, domain, a, &d);
    if (rc != RC_OK)
        return rc;
    const char *txt = arena_printf(a, "_mta-sts.%.*s.", VIEW_FMT(domain)), *host = arena_printf(a, "mta-sts.%.*s.", VIEW_FMT(domain));
    const char *id = arena_printf(a, "\"v=STSv1; id=%lld;\"", (long long)d.sts_changed_s), *to = arena_printf(a, "%s.", c->hostname);
    if (!txt || !host || !id || !to)
        return RC_TEMP;
    record(r, txt, "TXT", id);
    record(r, host, "CNAME", to);
    return RC_OK;
}

/* RFC 8460 §3: postmaster hears when others cannot send to us over TLS. */
static void tlsrpt_record(struct records *r, struct view domain)
{
    const char *name = arena_printf(&r->app->arena, "_smtp._tls.%.*s.", VIEW_FMT(domain));
    const char *value = arena_printf(&r->app->arena, "\"v=TLSRPTv1; rua=mailto:postmaster@%.*s\"", VIEW_FMT(domain));
    if (name && value)
        record(r, name, "TXT", value);
}

/* Only where DNSSEC proves the host's address, and so the records: elsewhere nobody may believe them (RFC 7672 §2.2). One for the key that
 * serves, one for the next, so that no sender is ever without the right one (RFC 7671 §8.1). */
static int tlsa_records(struct records *r, const struct config *c, struct view domain)
{
    struct app *app = r->app;
    struct dns_answer answer;
    struct addr *addrs;
    struct tlsa_keys keys;
    size_t n;
    struct view host = view_str(c->hostname);
    if (!view_iends(host, domain) || (host.n > domain.n && host.p[host.n - domain.n - 1] != '.'))
        return EXIT_DONE;
    struct dns *dns = app_resolver(app);
    if (!dns)
        return EXIT_FAILED;
    dns_addrs(dns, host, 0, deadline_in(DNS_ASK_MS), &app->arena, &answer, &addrs, &n);
    bool serves = n > 0 && answer.secure;
    dns_free(dns);
    if (!serves)
        return EXIT_DONE;
    if (tlsa_keys_find(app, &keys) != EXIT_DONE)
        return EXIT_FAILED;
    const char *name = arena_printf(&app->arena, "_25._tcp.%s.", c->hostname);
    for (size_t i = 0; name && i < keys.n; i++) {
        char value[6 + 2 * SHA256_SIZE + 1] = "3 1 1 ";
        hex_write(view_of(keys.key[i], SHA256_SIZE), &value[6]);
        record(r, name, "TLSA", value);
    }
    return EXIT_DONE;
}

static void service_records(struct records *r, const struct config *c, const char *owner)
{
    static const struct {
        enum config_service service;
        const char *label;
    } services[] = {
        {SERVICE_SUBMISSIONS, "_submissions"}, {SERVICE_SUBMISSION, "_submission"}, {SERVICE_IMAPS, "_imaps"},
        {SERVICE_IMAP, "_imap"},               {SERVICE_POP3S, "_pop3s"},           {SERVICE_POP3, "_pop3"},
    };
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        unsigned port = 0;
        for (size_t j = 0; j < c->listen.n && port == 0; j++)
            if (c->listen.v[j].service == services[i].service)
                port = addr_port(&c->listen.v[j].addr);
        const char *name = arena_printf(&r->app->arena, "%s._tcp.%s", services[i].label, owner);
        /* "." says that the service is not there (RFC 6186 §3.4). */
        const char *value = port ? arena_printf(&r->app->arena, "0 1 %u %s.", port, c->hostname) : "0 0 0 .";
        if (name && value)
            record(r, name, "SRV", value);
    }
}

int cmd_dns(struct app *app, int argc, char **argv)
{
    struct records r = {.app = app};
    bool ours;
    struct view domain;

    if (argc != 2)
        return app_usage(app);
    const struct config *c = app_config(app);
    if (!c || !app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_has_domain(app->store, view_str(argv[1]), &ours);
    if (rc == RC_OK && !ours)
        return app_fail("%s is not hosted here: `facteur domain add %s` first", argv[1], argv[1]);
    if (rc == RC_OK)
        rc = dns_domain_ascii(view_str(argv[1]), &app->arena, &domain); /* name servers know A-labels alone */
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the domain");
    const char *owner = arena_printf(&app->arena, "%.*s.", VIEW_FMT(domain));
    const char *mx = arena_printf(&app->arena, "10 %s.", c->hostname);
    if (!owner || !mx)
        return app_fail_rc(RC_TEMP, "write the records");
    r.json = app->json ? json_array() : NULL;
    record(&r, owner, "MX", mx);
    host_records(&r, c, domain);
    spf_record(&r, c, owner);
    if (key_records(&r, domain) != EXIT_DONE) {
        json_decref(r.json);
        return EXIT_FAILED;
    }
    dmarc_record(&r, domain);
    rc = sts_records(&r, c, domain);
    if (rc != RC_OK) {
        json_decref(r.json);
        return app_fail_rc(rc, "read the domain");
    }
    tlsrpt_record(&r, domain);
    if (tlsa_records(&r, c, domain) != EXIT_DONE) {
        json_decref(r.json);
        return EXIT_FAILED;
    }
    service_records(&r, c, owner);
    return app->json ? app_print_json(r.json) : EXIT_DONE;
}
