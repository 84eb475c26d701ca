/* app/resolver: the resolver that the configuration describes. */
#ifndef APP_RESOLVER_H
#define APP_RESOLVER_H

#include "app/app.h"
#include "dns/dns.h"

/* f NULL: the system's name servers are asked. *out is to be freed by dns_free. On failure *why is a text that lives for ever. */
enum rc resolver_open(const struct config *f, struct dns **out, const char **why);
/* One that keeps no answer longer than `keep_s`, for looks at what changes. */
enum rc resolver_open_fresh(const struct config *f, unsigned keep_s, struct dns **out, const char **why);
/* For commands, which may run without a configuration file: *out is NULL then. False: the reason is on stderr. */
bool app_config_if_any(struct app *app, const struct config **out);
/* resolver_open for commands. NULL: the reason is on stderr. */
struct dns *app_resolver(struct app *app);

#endif
