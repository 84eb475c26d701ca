#include "policy/records.h"

#include "crypto/hex.h"
#include "crypto/pkey.h"
#include "dns/dns.h"
#include "mailauth/dkim_key.h"
#include "store/directory.h"
#include "store/directory_dkim.h"
#include "store/logo.h"

#define ROWS_FIRST 32
#define KEY_MAX    2048 /* bytes of a DKIM record */

struct making {
    const struct records_settings *set;
    struct store *store;
    struct view domain;
    const char *owner; /* "ici.test." */
    struct arena *a;
    struct records *out;
    size_t room;
    enum rc rc;
};

static void add(struct making *m, const char *name, const char *type, const char *value)
{
    struct records *o = m->out;
    if (m->rc == RC_OK && o->n == m->room) {
        size_t room = m->room ? 2 * m->room : ROWS_FIRST;
        struct records_row *more = arena_new_array(m->a, room, struct records_row);
        if (more && o->n > 0)
            memcpy(more, o->rows, o->n * sizeof *more);
        o->rows = more;
        m->room = room;
    }
    if (!name || !value || !o->rows)
        m->rc = RC_TEMP;
    if (m->rc == RC_OK)
        o->rows[o->n++] = (struct records_row){name, type, value};
}

bool records_has_host(const struct records_settings *set, struct view domain)
{
    struct view host = view_str(set->hostname);
    return view_iends(host, domain) && (host.n == domain.n || host.p[host.n - domain.n - 1] == '.');
}

/* The host's own addresses, where the host lies in the domain and they are known. */
static void host_records(struct making *m)
{
    if (!records_has_host(m->set, m->domain))
        return;
    for (size_t i = 0; i < m->set->n_hosts; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&m->set->hosts[i], ip);
        add(m, arena_printf(m->a, "%s.", m->set->hostname), addr_is_ipv6(&m->set->hosts[i]) ? "AAAA" : "A", arena_printf(m->a, "%s", ip));
    }
}

/* What sends for us: the MX hosts, the source addresses that are set, the smarthost. */
static void spf_record(struct making *m)
{
    struct buf text;
    buf_init(&text, 2000);
    buf_str(&text, "\"v=spf1 mx");
    for (size_t i = 0; i < m->set->n_sources; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&m->set->sources[i], ip);
        buf_printf(&text, " %s:%s", addr_is_ipv6(&m->set->sources[i]) ? "ip6" : "ip4", ip);
    }
    if (m->set->relay)
        buf_printf(&text, " a:%s", m->set->relay);
    /* A smarthost may send from addresses that only its owner knows. */
    buf_printf(&text, " %s\"", m->set->relay ? "~all" : "-all");
    add(m, m->owner, "TXT", buf_rc(&text) == RC_OK ? arena_cstr(m->a, buf_view(&text)) : NULL);
    buf_clear(&text);
}

/* Keys that are to sign, that sign, and that signed what may still be on its way. */
static void key_records(struct making *m)
{
    struct directory_dkim_key *keys;
    struct buf text;
    size_t n;
    m->rc = m->rc == RC_OK ? directory_dkim_keys(m->store, m->domain, m->a, &keys, &n) : m->rc;
    buf_init(&text, KEY_MAX);
    for (size_t i = 0; m->rc == RC_OK && i < n; i++) {
        if (keys[i].state == DKIM_KEY_GONE)
            continue;
        buf_reset(&text);
        dkim_key_write_zone((enum pkey_kind)keys[i].algorithm, keys[i].public_key, &text);
        add(m, arena_printf(m->a, "%.*s._domainkey.%.*s.", VIEW_FMT(keys[i].selector), VIEW_FMT(keys[i].domain)), "TXT",
            buf_rc(&text) == RC_OK ? arena_cstr(m->a, buf_view(&text)) : NULL);
        m->out->n_keys++;
    }
    buf_clear(&text);
}

/* Everything that leaves is signed, so that what is not may be put aside; the desk hears who sends in our name, and if wanted of each
 * message that failed any check (fo=1, RFC 9989 §4.7). */
static void dmarc_record(struct making *m)
{
    const char *single = m->set->ask_failure ? arena_printf(m->a, "; ruf=mailto:" DIRECTORY_DESK_DMARC "@%.*s; fo=1", VIEW_FMT(m->domain)) : "";
    add(m, arena_printf(m->a, "_dmarc.%s", m->owner), "TXT",
        single ? arena_printf(m->a, "\"v=DMARC1; p=quarantine; rua=mailto:" DIRECTORY_DESK_DMARC "@%.*s%s\"", VIEW_FMT(m->domain), single) : NULL);
}

/* The id changes with the mode, so that others fetch the policy again (RFC 8461 §3.1). In mode none, which withdraws a policy, it
 * has to be seen just as well. */
static void sts_records(struct making *m)
{
    struct directory_domain d;
    if (!m->set->https || m->rc != RC_OK)
        return;
    m->rc = directory_domain(m->store, m->domain, m->a, &d);
    if (m->rc != RC_OK)
        return;
    add(m, arena_printf(m->a, "_mta-sts.%s", m->owner), "TXT", arena_printf(m->a, "\"v=STSv1; id=%lld;\"", (long long)d.sts_changed_s));
    add(m, arena_printf(m->a, "mta-sts.%s", m->owner), "CNAME", arena_printf(m->a, "%s.", m->set->hostname));
}

/* RFC 8460 §3: the desk hears when others cannot send to us over TLS. By mail, which can be proven to be theirs: not by HTTPS. */
static void tlsrpt_record(struct making *m)
{
    add(m, arena_printf(m->a, "_smtp._tls.%s", m->owner), "TXT",
        arena_printf(m->a, "\"v=TLSRPTv1; rua=mailto:" DIRECTORY_DESK_TLS "@%.*s\"", VIEW_FMT(m->domain)));
}

/* Where the domain has a logo, which we serve where its policy is. */
static void logo_record(struct making *m)
{
    struct view svg;
    if (!m->set->https || m->rc != RC_OK)
        return;
    enum rc rc = logo_get(m->store, m->domain, m->a, &svg);
    if (rc == RC_OK)
        add(m, arena_printf(m->a, "default._bimi.%s", m->owner), "TXT",
            arena_printf(m->a, "\"v=BIMI1; l=https://mta-sts.%.*s" RECORDS_LOGO_PATH "; a=\"", VIEW_FMT(m->domain)));
    else if (rc != RC_NOTFOUND)
        m->rc = rc;
}

/* One for the key that serves, one for the next, so that no sender is ever without the right one (RFC 7671 §8.1). */
static void tlsa_records(struct making *m, const struct records_tlsa *tlsa)
{
    for (size_t i = 0; tlsa && i < tlsa->n && records_has_host(m->set, m->domain); i++) {
        char value[6 + 2 * 32 + 1] = "3 1 1 ";
        hex_write(view_of(tlsa->key[i], 32), &value[6]);
        add(m, arena_printf(m->a, "_25._tcp.%s.", m->set->hostname), "TLSA", arena_printf(m->a, "%s", value));
    }
}

static void service_records(struct making *m)
{
    static const char *const labels[RECORDS_SERVICES] = {"_submissions", "_submission", "_imaps", "_imap", "_pop3s", "_pop3"};
    for (size_t i = 0; i < RECORDS_SERVICES; i++) {
        unsigned port = m->set->ports[i];
        /* "." says that the service is not there (RFC 6186 §3.4). */
        add(m, arena_printf(m->a, "%s._tcp.%s", labels[i], m->owner), "SRV",
            port ? arena_printf(m->a, "0 1 %u %s.", port, m->set->hostname) : "0 0 0 .");
    }
}

enum rc records_make(const struct records_settings *set, const struct records_tlsa *tlsa, struct store *s, struct view domain, struct arena *a,
                     struct records *out)
{
    struct making m = {.set = set, .store = s, .a = a, .out = out};
    bool ours;

    *out = (struct records){0};
    enum rc rc = directory_has_domain(s, domain, &ours);
    if (rc == RC_OK && !ours)
        rc = RC_NOTFOUND;
    if (rc == RC_OK)
        rc = dns_domain_ascii(domain, a, &m.domain); /* name servers know A-labels alone */
    if (rc != RC_OK)
        return rc;
    m.owner = arena_printf(a, "%.*s.", VIEW_FMT(m.domain));
    add(&m, m.owner, "MX", arena_printf(a, "10 %s.", set->hostname));
    host_records(&m);
    spf_record(&m);
    key_records(&m);
    dmarc_record(&m);
    sts_records(&m);
    tlsrpt_record(&m);
    logo_record(&m);
    tlsa_records(&m, tlsa);
    service_records(&m);
    return m.rc;
}

void records_write(const struct records_row *r, struct buf *out)
{
    buf_printf(out, "%s %d IN %s %s\n", r->name, RECORDS_TTL_S, r->type, r->value);
}

static struct addr *dup_addrs(struct arena *a, const struct addr *from, size_t n)
{
    struct addr *copy = arena_new_array(a, n, struct addr);
    for (size_t i = 0; copy && i < n; i++)
        copy[i] = from[i];
    return copy;
}

enum rc records_settings_dup(struct arena *a, const struct records_settings *set, struct records_settings *out)
{
    *out = *set;
    out->hostname = arena_printf(a, "%s", set->hostname);
    out->relay = set->relay ? arena_printf(a, "%s", set->relay) : NULL;
    out->hosts = dup_addrs(a, set->hosts, set->n_hosts);
    out->sources = dup_addrs(a, set->sources, set->n_sources);
    return out->hostname && out->hosts && out->sources && (!set->relay || out->relay) ? RC_OK : RC_TEMP;
}
