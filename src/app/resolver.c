#include "app/resolver.h"

#include <unistd.h>

struct dns *app_resolver(struct app *app)
{
    const struct config *f = NULL;
    const char *why = NULL, **servers = NULL;
    struct dns *dns = NULL;
    bool has_config = strcmp(app->config_path, CONFIG_DEFAULT) != 0 || access(app->config_path, F_OK) == 0;
    if (has_config && !(f = app_config(app)))
        return NULL;
    size_t n = f ? f->dns.servers.n : 0;
    servers = arena_new_array(&app->arena, n + 1, const char *);
    for (size_t i = 0; servers && i < n; i++) {
        char *text = arena_alloc(&app->arena, ADDR_TEXT_MAX);
        if (!text) {
            app_fail("out of memory");
            return NULL;
        }
        addr_write(&f->dns.servers.v[i], text);
        servers[i] = text;
    }
    const struct dns_settings set = {.servers = servers, .n_servers = n, .trust_anchor = f ? f->dns.trust_anchor : NULL};
    if (!servers || dns_new(&set, &dns, &why) != RC_OK)
        app_fail("cannot ask the DNS: %s", why ? why : "out of memory");
    return dns;
}
