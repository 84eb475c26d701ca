/* app/health_own: what the doctor knows of our own domains besides the DNS. Any thread. */
#ifndef APP_HEALTH_OWN_H
#define APP_HEALTH_OWN_H

#include "health/health.h"
#include "store/store.h"

/* Fills in ours and selectors (of keys that sign, will, or did and must still be found; in the arena). `store` NULL: nothing is ours. */
enum rc health_own(struct store *store, struct view domain, struct arena *a, struct health_settings *set);

#endif
