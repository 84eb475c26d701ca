/* app/health_desk: answers what the pages ask of the network (store/health_result.h), on a thread of the mta process: the doctor for
 * any domain, our records against the DNS; and on another thread a look at each of our domains once a day.
 * One question at a time, each with its deadline; how many may wait is the store's to say. */
#ifndef APP_HEALTH_DESK_H
#define APP_HEALTH_DESK_H

#include "app/config.h"
#include "dns/dns.h"
#include "app/publish.h"
#include "net/tls.h"
#include "policy/sts_cache.h"
#include "store/store.h"

#define HEALTH_DESK_LOOK_MS  120000  /* for one domain */
#define HEALTH_DESK_CHECK_MS 60000   /* between looks for questions whose poke was lost */
#define HEALTH_DESK_DAILY_S  86400   /* our own domains are looked at so often, */
#define HEALTH_DESK_FIRST_MS 600000  /* and first so long after the start */
#define HEALTH_DESK_KEEP_S   5       /* answers of the DNS are not kept longer: people wait for changes */

struct health_desk;
struct health_desk_settings {
    struct store *store;
    const struct config *config; /* read during the call only */
    struct tls_client *trust;    /* counted */
    struct sts_cache *sts;       /* borrowed until health_desk_free, as */
    struct publish *publish;
    const char *mark_roots;      /* PEM; copied; NULL: none */
};
/* All that this server listens for mail at is local: so may be the hosts of others. */
bool health_desk_is_lab(const struct config *c);
/* Opens a resolver of its own. RC_TEMP: logged. */
enum rc health_desk_new(const struct health_desk_settings *set, struct health_desk **out);
enum rc health_desk_reload(struct health_desk *d, const struct health_desk_settings *set);
/* There is a question. */
void health_desk_wake(struct health_desk *d);
/* Waits for the step under way. Accepts NULL. */
void health_desk_free(struct health_desk *d);

#endif
