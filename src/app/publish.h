/* app/publish: keeps the records of our domains right at a DNS server by dynamic update (dns/update.h), where one is configured: after
 * a key rotation, a change of the MTA-STS mode or of certificates, each day, and when somebody asks. A thread of its own; failures
 * are logged and tried again with growing waits. What belongs to the operator (SPF, DMARC, MX ... that are there already and say something
 * else) is left alone and told. */
#ifndef APP_PUBLISH_H
#define APP_PUBLISH_H

#include <jansson.h>

#include "app/config.h"
#include "dns/dns.h"
#include "policy/records.h"
#include "vault/vault.h"

#define PUBLISH_LOOK_MS     15000     /* between looks whether records changed */
#define PUBLISH_AGAIN_MS    86400000  /* all is compared anew so often */
#define PUBLISH_RETRY_MS    30000     /* after the first failure; then twice as long each time */
#define PUBLISH_RETRY_MAX_MS 3600000

/* Where to: from the configuration. `secret` is the key's, base64; NULL where there is none. False: not configured. */
struct publish_target {
    const struct config *config;
    const char *secret;
};
bool publish_is_configured(const struct config *c);
/* Publishes one domain's records now. *out is for people and pages: {"server", "zone", "made", "changed", "error", "records": [{"name",
 * "type", "outcome", "found"}]}. RC_TEMP: no memory; all else is told in *out. *again: it failed for now. */
enum rc publish_now(const struct publish_target *to, const struct records *records, struct store *store, struct view domain, struct arena *a,
                    json_t **out, bool *again);

struct publish;
struct publish_settings {
    struct store *store;
    struct vault *vault;
    struct dns *dns;
    const struct config *config; /* borrowed until the next publish_reload, as the rest */
    struct view secret;
    void (*changed)(void *ctx); /* the DNS server has something new: whoever waits for it may look. On the thread; may be NULL; as given first */
    void *ctx;
};
/* RC_TEMP. */
enum rc publish_new(const struct publish_settings *set, struct publish **out);
enum rc publish_reload(struct publish *p, const struct publish_settings *set);
/* Records may have changed. */
void publish_wake(struct publish *p);
/* For a person who waits: as publish_now. RC_NOTFOUND: not configured, or not ours. */
enum rc publish_domain(struct publish *p, struct view domain, struct arena *a, json_t **out);
/* Waits for the update under way. Accepts NULL. */
void publish_free(struct publish *p);

#endif
