/* health/health_json: what was found about a domain as JSON, for `facteur doctor --json` and the pages. Pure; any thread. */
#ifndef HEALTH_HEALTH_JSON_H
#define HEALTH_HEALTH_JSON_H

#include <jansson.h>

#include "health/health.h"

/* {"domain", "made", "points": [{"id", "area", "mark", "subject", "text", "repair"}], "spf": {"lookups", "tree"}}. NULL: no memory. */
json_t *health_json(const struct health *h, enum lang lang);

#endif
