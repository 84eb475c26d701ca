#include "app/resolver.h"

#include <unistd.h>

#define SERVERS_TEXT_MAX 65536

enum rc resolver_open_fresh(const struct config *f, unsigned keep_s, struct dns **out, const char **why)
{
    const size_t n = f ? f->dns.servers.n : 0;
    struct arena a;

    *out = NULL;
    *why = "out of memory";
    arena_init(&a, SERVERS_TEXT_MAX);
    const char **servers = arena_new_array(&a, n + 1, const char *);
    enum rc rc = servers ? RC_OK : RC_TEMP;
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        char *text = arena_alloc(&a, ADDR_TEXT_MAX);
        if (text)
            addr_write(&f->dns.servers.v[i], text);
        servers[i] = text;
        rc = text ? RC_OK : RC_TEMP;
    }
    const struct dns_settings set = {.servers = servers, .n_servers = n, .trust_anchor = f ? f->dns.trust_anchor : NULL, .keep_s = keep_s};
    if (rc == RC_OK)
        rc = dns_new(&set, out, why);
    arena_clear(&a);
    return rc;
}

enum rc resolver_open(const struct config *f, struct dns **out, const char **why)
{
    return resolver_open_fresh(f, 0, out, why);
}

bool app_config_if_any(struct app *app, const struct config **out)
{
    *out = NULL;
    if (strcmp(app->config_path, CONFIG_DEFAULT) == 0 && access(app->config_path, F_OK) != 0)
        return true;
    return (*out = app_config(app)) != NULL;
}

struct dns *app_resolver(struct app *app)
{
    const struct config *f;
    struct dns *dns = NULL;
    const char *why;

    if (app_config_if_any(app, &f) && resolver_open(f, &dns, &why) != RC_OK)
        app_fail("cannot ask the DNS: %s", why);
    return dns;
}
