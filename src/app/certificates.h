/* app/certificates: keeps the certificates of our names by ACME (acme/acme.h): the host name, and mta-sts.DOMAIN of each hosted
 * domain whose name leads to some address. A thread of its own looks now and then, gets what is missing, and renews when the
 * authority suggests it (RFC 9773) or at two thirds of a certificate's life. What there is stays in use until the next one is
 * whole; failures are logged and tried again with growing waits. */
#ifndef APP_CERTIFICATES_H
#define APP_CERTIFICATES_H

#include "acme/acme.h"
#include "store/store.h"

#define CERTIFICATES_LOOK_MS    (60 * 1000)       /* between looks at what is due */
#define CERTIFICATES_SUGGEST_MS (6 * 3600 * 1000) /* between questions when to renew (RFC 9773 §4.3.2) */
#define CERTIFICATES_TELL_MS    (3600 * 1000)     /* between log lines about records that are awaited */
#define CERTIFICATES_ORDER_MS   (5 * 60 * 1000)   /* for one certificate */
#define CERTIFICATES_RETRY_S    60                /* after the first failure; then twice as long each time */
#define CERTIFICATES_RETRY_MAX_S 86400

struct certificates_settings {
    const char *directory;   /* NULL: no ACME */
    const char *contact, *eab_key_id;
    struct view eab_key;
    const char *hostname;
    bool http, https;        /* what is served: there an authority may look; with HTTPS mta-sts.DOMAIN needs certificates too */
    struct vault *vault;
    struct store *store;
    struct dns *dns;
    struct tls_client *trust;
    void (*changed)(void *ctx); /* certificates are new: use them. Called on the thread */
    void *ctx;
};
struct certificates;
/* Texts are copied, all else is borrowed. RC_TEMP. */
enum rc certificates_new(const struct certificates_settings *set, struct certificates **out);
/* Ends an order under way first. */
enum rc certificates_reload(struct certificates *c, const struct certificates_settings *set);
/* Ends what is under way. Accepts NULL. */
void certificates_free(struct certificates *c);

#endif
