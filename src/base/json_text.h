/* base/json_text: texts of strangers as JSON strings. Pure; any thread. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <jansson.h>

#include "base/view.h"

/* A new string, with U+FFFD for each byte that is not valid UTF-8. NULL: no memory. */
json_t *json_text(struct view v);

#endif
