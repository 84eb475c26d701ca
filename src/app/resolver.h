/* app/resolver: the resolver that the configuration describes, for commands. */
#ifndef APP_RESOLVER_H
#define APP_RESOLVER_H

#include "app/app.h"
#include "dns/dns.h"

/* Without a configuration file the system's name servers are asked. NULL: the reason is on stderr. To be freed by dns_free. */
struct dns *app_resolver(struct app *app);

#endif
