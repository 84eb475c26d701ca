/* app/alerts_watch: what alerts are about: the queue, reports of others, the doctor's looks at our domains, our records in the DNS. Each opens alerts
 * that are so, and closes those that are over (store/alert.h). Asks the store, and the DNS for records. One thread. */
#ifndef APP_ALERTS_WATCH_H
#define APP_ALERTS_WATCH_H

#include <stdatomic.h>

#include "dns/dns.h"
#include "policy/records.h"
#include "store/alert.h"
#include "web/alert_settings.h"

#define ALERTS_OLD_S       86400       /* a message that waits so long is told of */
#define ALERTS_DAYS        3           /* of reports, that shares are counted of */
#define ALERTS_MESSAGES    20          /* below, a share of failures says nothing; */
#define ALERTS_SESSIONS    5           /* likewise of TLS */
#define ALERTS_SOURCE_S    (30 * 86400) /* so long is a source new, and its alert open */
#define ALERTS_RECORDS_S   (6 * 3600)  /* between looks at our records */
#define ALERTS_RECORDS_MS  15000

/* Every sentence of alerts with its French. */
extern const struct lang_pair alert_words[];

struct alerts_watch {
    struct store *store;
    struct dns *dns;
    const struct alert_settings *set;
    const struct records_settings *records;
    int64_t now_s; /* of this round */
    bool fresh;    /* look at all, whenever that was done last */
};
void alerts_watch_queue(const struct alerts_watch *w);
void alerts_watch_sources(const struct alerts_watch *w);
void alerts_watch_domain(const struct alerts_watch *w, struct view domain);

#endif
