/* store/health_result: questions that only the process with the network can answer, and what it found: a domain seen by the doctor,
 * our records compared with the DNS, records published. The pages write a row that asks and read it again; mta answers, and
 * looks at our own domains by itself. One row a kind and domain. Any thread. */
#ifndef STORE_HEALTH_RESULT_H
#define STORE_HEALTH_RESULT_H

#include "base/lang.h"
#include "store/store.h"

#define HEALTH_ASKS_MAX      64 /* that wait, in all */
#define HEALTH_ASKS_AT_ONCE  2  /* that wait, of one account */
#define HEALTH_ASKS_PER_HOUR 60 /* of one account */
#define HEALTH_TEXT_MAX      (1u << 20) /* of a question or a result */
#define HEALTH_KEEP_S        (14 * 86400) /* what nobody asked for again goes */

enum health_asked { HEALTH_ASK_DOCTOR, HEALTH_ASK_RECORDS, HEALTH_ASK_PUBLISH };
struct health_result {
    enum health_asked kind;
    struct view domain;       /* A-labels */
    struct view question;     /* JSON, by kind; or empty */
    uint64_t asker;           /* account; 0: ourselves */
    int64_t asked_s, made_s;  /* made_s 0: no result yet */
    bool waiting;
    unsigned n[5];            /* points by mark (enum health_mark) */
    struct view text[LANG_N]; /* JSON in each language */
};
/* RC_LIMIT: too many are waiting, or this account asks too often. Asked already: nothing changes. */
enum rc health_result_ask(struct store *s, const struct health_result *ask);
/* The one that waits longest. RC_NOTFOUND. */
enum rc health_result_next(struct store *s, struct arena *a, struct health_result *out);
/* The answer; it waits no more. asker and asked_s stay as they were. RC_LIMIT: too long. */
enum rc health_result_put(struct store *s, const struct health_result *result);
/* RC_NOTFOUND: never asked. */
enum rc health_result_get(struct store *s, enum health_asked kind, struct view domain, struct arena *a, struct health_result *out);
enum rc health_result_forget(struct store *s, int64_t before_s);

#endif
