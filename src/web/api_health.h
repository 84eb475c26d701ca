/* web/api_health: what handlers of several areas ask of the process that has the network (store/health_result.h). */
#ifndef WEB_API_HEALTH_H
#define WEB_API_HEALTH_H

#include "store/health_result.h"
#include "web/api_impl.h"

#define API_HEALTH_WAIT_MS 8000  /* for an answer */
#define API_HEALTH_WAITERS 1     /* handlers that wait at once; others are told at once that it is being made */
#define API_HEALTH_FRESH_S 20    /* a look of so long ago is as good as a new one */
#define API_RECORDS_FRESH_S 4   /* likewise; people watch these */
#define API_HEALTH_DAY_S   90000 /* where nothing newer is asked for: a day, and time to make the next */

/* An answer no older than max_age_s (of HEALTH_ASK_PUBLISH always a new one). RC_TIMEOUT: it is being made; *out is the one before, its
 * made_s 0 where there is none. RC_LIMIT: too many questions. */
enum rc api_health_ask(struct api_call *c, enum health_asked kind, struct view domain, struct view question, int64_t max_age_s,
                       struct health_result *out);
/* The language of the query's "lang", else of Accept-Language. */
enum lang api_lang(const struct api_call *c);
/* The domain's normal form, ours or not; else refused. An address is not one. */
bool api_any_domain(struct api_call *c, struct view name, struct view *out);
/* Answers a question that RC_LIMIT or the store has refused. */
void api_health_refuse(struct api_call *c, enum rc rc);
/* {"records": [{"name", "type", "value"}]} compared with the DNS, as GET /domains/{domain}/records/status answers; 202 with
 * {"records": [], "waiting": true} while that is being done. `question` is taken. */
void api_records_status(struct api_call *c, struct view domain, json_t *question);

#endif
