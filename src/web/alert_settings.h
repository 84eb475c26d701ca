/* web/alert_settings: which alerts are told, from when on, and to whom: as JSON, in which the pages and the store have it. Pure; any thread. */
#ifndef WEB_ALERT_SETTINGS_H
#define WEB_ALERT_SETTINGS_H

#include <jansson.h>

#include "base/arena.h"

#define ALERT_MAILS_MAX 20
#define ALERT_URL_MAX   1024

enum alert_kind {
    ALERT_DMARC_SOURCE, ALERT_DMARC_FAILURES, ALERT_TLS_FAILURES, ALERT_DNS_GONE, ALERT_DNS_CHANGED, ALERT_CERTIFICATE_EXPIRING,
    ALERT_CERTIFICATE_BAD, ALERT_BLOCKLIST, ALERT_QUEUE, ALERT_DOCTOR, ALERT_DNS_UPDATE, ALERT_KINDS,
};
/* "dmarc.source" */
const char *alert_kind_name(enum alert_kind kind);

struct alert_settings {
    bool mail_set;              /* else operators get it */
    struct view mail[ALERT_MAILS_MAX];
    size_t n_mail;
    struct view webhook;        /* "https://..."; empty: none */
    bool on[ALERT_KINDS];
    double threshold[ALERT_KINDS]; /* messages, per cent, days; negative: the kind has none */
};
void alert_settings_default(struct alert_settings *out);
/* Reads over what is in *out; texts are copied into the arena. What is missing stays as it is. *field: the member that is not right.
 * RC_SYNTAX. RC_TEMP. */
enum rc alert_settings_read(const json_t *j, struct arena *a, struct alert_settings *out, const char **field);
/* {"mail", "webhook", "kinds": {"dmarc.source": {"on", "threshold"}}}. NULL: no memory. */
json_t *alert_settings_json(const struct alert_settings *set);

#endif
