/* app/health_route: lends the doctor (health/) the decision of deliveries (queue/route), which it may not know itself: both say the
 * same of a domain. As a sender sees it that has no settings of its own for it. Any thread. */
#ifndef APP_HEALTH_ROUTE_H
#define APP_HEALTH_ROUTE_H

#include "health/health.h"
#include "queue/route.h"

struct health_route {
    struct dns *dns;
    const char *hostname;
    unsigned port;
    struct sts_cache *sts;  /* NULL: without MTA-STS */
    unsigned https_port;
    bool public_only;       /* policy hosts at private addresses are not asked */
};
/* health_settings.decide; ctx is a struct health_route. */
enum rc health_route_decide(void *ctx, struct view domain, int64_t deadline_ms, struct arena *a, struct health_sending *out);

#endif
