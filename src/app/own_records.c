#include "app/own_records.h"

#include <netinet/in.h>
#include <stdio.h>

#include "acme/acme.h"
#include "crypto/digest.h"

static bool is_any(const struct addr *a)
{
    if (addr_is_ipv6(a))
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
    return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* The port of the first listener; 0: none. */
static unsigned port_of(const struct config *c, enum config_service service)
{
    for (size_t i = 0; i < c->listen.n; i++)
        if (c->listen.v[i].service == service)
            return addr_port(&c->listen.v[i].addr);
    return 0;
}

enum rc own_records(const struct config *c, struct arena *a, struct records_settings *out)
{
    static const enum config_service services[RECORDS_SERVICES] = {SERVICE_SUBMISSIONS, SERVICE_SUBMISSION, SERVICE_IMAPS,
                                                                   SERVICE_IMAP,        SERVICE_POP3S,      SERVICE_POP3};
    struct addr *hosts = arena_new_array(a, c->listen.n, struct addr);
    if (!hosts)
        return RC_TEMP;
    *out = (struct records_settings){.hostname = c->hostname,
                                     .hosts = hosts,
                                     .sources = c->outbound.bind.v,
                                     .n_sources = c->outbound.bind.n,
                                     .relay = c->relay.host,
                                     .https = config_https_port(c) != 0,
                                     .ask_failure = c->reports.ask_failure};
    for (size_t i = 0; i < c->listen.n; i++)
        if (c->listen.v[i].service == SERVICE_SMTP && !is_any(&c->listen.v[i].addr))
            hosts[out->n_hosts++] = c->listen.v[i].addr;
    for (size_t i = 0; i < RECORDS_SERVICES; i++)
        out->ports[i] = port_of(c, services[i]);
    return RC_OK;
}

static enum rc add_key(struct vault *v, struct view name, enum tls_key_which which, struct records_tlsa *out)
{
    struct buf spki;
    buf_init(&spki, 4096);
    enum rc rc = vault_key_public(v, name, which, &spki);
    if (rc == RC_OK)
        rc = sha256(buf_view(&spki), out->key[out->n]);
    out->n += rc == RC_OK;
    buf_clear(&spki);
    return rc;
}

/* The first certificate in files that is for the host. */
static enum rc add_file(const struct config *c, struct vault *v, struct records_tlsa *out)
{
    const char *const *chains;
    struct arena a;
    arena_init(&a, 64u << 20);
    enum rc rc = vault_tls_chains(v, &a, &chains);
    bool found = false;
    for (size_t i = 0; rc == RC_OK && chains[i] && !found; i++)
        found = acme_certificate_covers(view_str(chains[i]), c->hostname) && acme_certificate_key(view_str(chains[i]), out->key[out->n]) == RC_OK;
    out->n += found;
    arena_clear(&a);
    return rc;
}

enum rc own_tlsa(const struct config *c, struct vault *v, struct records_tlsa *out)
{
    char name[300];
    *out = (struct records_tlsa){0};
    snprintf(name, sizeof name, "cert %s", c->hostname);
    enum rc rc = add_key(v, view_str(name), TLS_KEY_SERVING, out);
    const bool has_own = rc == RC_OK;
    if ((rc == RC_OK || rc == RC_NOTFOUND) && c->acme.directory)
        rc = add_key(v, view_str(name), TLS_KEY_NEXT, out);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    return has_own ? RC_OK : add_file(c, v, out);
}
