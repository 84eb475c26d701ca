#include "app/own_records.h"

#include <netinet/in.h>

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
                                     .https = port_of(c, SERVICE_HTTPS) != 0};
    for (size_t i = 0; i < c->listen.n; i++)
        if (c->listen.v[i].service == SERVICE_SMTP && !is_any(&c->listen.v[i].addr))
            hosts[out->n_hosts++] = c->listen.v[i].addr;
    for (size_t i = 0; i < RECORDS_SERVICES; i++)
        out->ports[i] = port_of(c, services[i]);
    return RC_OK;
}
