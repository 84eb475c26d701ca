/* health/health_json: what was found about a domain as JSON, for `facteur doctor --json` and the pages. Pure; any thread. */
#ifndef HEALTH_HEALTH_JSON_H
#define HEALTH_HEALTH_JSON_H

#include <jansson.h>

#include "health/health.h"

/* {"domain", "made", "points": [{"id", "area", "mark", "subject", "text", "repair"}], "spf": {"lookups", "tree"},
 * "dmarc": {"walk": [{"name", "record", "used"}]}, "bimi"}. NULL: no memory. */
json_t *health_json(const struct health *h, enum lang lang);
/* [{"code", "text", "detail", "line"}]; {"valid", "why", "kind", "mark", "subject", "issuer", "not_before", "not_after"}; a data: URI, null
 * where there is nothing. */
json_t *health_svg_errors(const struct bimi_svg *svg, enum lang lang);
json_t *health_mark_json(const struct mark *m, enum lang lang);
json_t *health_svg_image(struct view svg);
/* A text, of which bytes that are not UTF-8 become U+FFFD; a time as "2026-11-22T01:30:00Z", 0: null. */
json_t *health_json_text(struct view v);
json_t *health_json_time(int64_t s);

#endif
