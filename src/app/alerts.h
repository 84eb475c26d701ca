/* app/alerts: watches for what goes wrong without anybody asking (alerts_watch.h), on a thread of the mta process, and tells people once: by mail
 * from postmaster through the queue, in the language of the account, and by POST of JSON to a webhook over HTTPS. */
#ifndef APP_ALERTS_H
#define APP_ALERTS_H

#include "app/config.h"
#include "net/tls.h"
#include "report/mail.h"
#include "store/store.h"

#define ALERTS_FIRST_MS   30000  /* after the start */
#define ALERTS_CHECK_MS   60000  /* between looks at the queue, and mail and POSTs that failed */
#define ALERTS_DOMAINS_S  600    /* between looks at all domains */
#define ALERTS_ONE_MAIL   50     /* alerts in one mail */
#define ALERTS_POST_MS    10000

struct alerts;
struct alerts_settings {
    struct store *store;
    const struct config *config; /* read during the call only */
    struct tls_client *trust;    /* counted */
    mail_sign_fn sign;
    void *sign_ctx;              /* borrowed until alerts_free */
};
/* Opens a resolver of its own. RC_TEMP: logged. */
enum rc alerts_new(const struct alerts_settings *set, struct alerts **out);
enum rc alerts_reload(struct alerts *al, const struct alerts_settings *set);
/* Settings changed, or one is to be told again: looks at everything now. */
void alerts_wake(struct alerts *al);
/* Waits for the step under way. Accepts NULL. */
void alerts_free(struct alerts *al);

#endif
