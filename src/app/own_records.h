/* app/own_records: what the configuration says about us, as records_make (policy/records.h) wants it. */
#ifndef APP_OWN_RECORDS_H
#define APP_OWN_RECORDS_H

#include "app/config.h"
#include "policy/records.h"

/* Borrows from c, the rest lies in the arena. RC_TEMP. */
enum rc own_records(const struct config *c, struct arena *a, struct records_settings *out);

#endif
