/* web/records_json: records to publish (policy/records.h), as the API and `facteur dns --json` show them. Pure. */
#ifndef WEB_RECORDS_JSON_H
#define WEB_RECORDS_JSON_H

#include <jansson.h>

#include "policy/records.h"

/* [{"name", "type", "value"}]; NULL: no memory. */
json_t *records_json(const struct records *r);

#endif
