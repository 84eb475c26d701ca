/* store/ledger_internal: what the files of store/ledger share.
 *     ledger_db.c      the database, its small tables
 *     ledger_write.c   a report on its way in
 *     ledger_rollup.c  its sums; addresses that change their source
 *     ledger_tls.c     the same of TLS
 *     ledger_look.c    questions
 *     ledger_names.c   names of addresses and sources
 *     ledger_forget.c  what goes with time */
#ifndef STORE_LEDGER_INTERNAL_H
#define STORE_LEDGER_INTERNAL_H

#include <pthread.h>

#include "store/db.h"
#include "store/ledger.h"
#include "store/store_internal.h"

struct ledger {
    pthread_mutex_t write_mutex, look_mutex; /* each guards its connection; NULL until first wanted */
    struct db *write, *look;
};
enum rc ledger_new(struct ledger **out);
void ledger_free(struct ledger *r); /* accepts NULL */
enum rc ledger_change(struct store *s, db_fn fn, void *ctx);
/* RC_NOTFOUND: no report ever came. */
enum rc ledger_look(struct store *s, db_fn fn, void *ctx);
/* For questions that have "nothing" as an answer. */
static inline enum rc ledger_nothing(enum rc rc)
{
    return rc == RC_NOTFOUND ? RC_OK : rc;
}
enum rc ledger_sync(struct store *s);
bool ledger_is_there(struct store *s);

/* The row's number; made where there is none. find: RC_NOTFOUND instead. */
enum rc ledger_domain(struct db *db, struct view name, int64_t *id);
enum rc ledger_domain_find(struct db *db, struct view name, int64_t *id);
enum rc ledger_reporter(struct db *db, struct view name, int64_t *id);
enum rc ledger_source_row(struct db *db, const struct ledger_name *name, int64_t *id);
enum rc ledger_source_find(struct db *db, struct view key, int64_t *id);
/* The first number of the first row, and the query is done. */
enum rc ledger_number(struct db_query *q, enum rc rc, int64_t *out);
/* The address as text, in the arena. */
enum rc ledger_ip_text(struct view ip, struct arena *a, struct view *out);

/* --- one address of a report, and its sums --- */

struct part_address {
    uint8_t ip[16];
    uint8_t ip_n;
    uint32_t source; /* index in parts.sources */
    struct ledger_sum sum;
    struct view header_from, envelope_from, selector; /* the first that was told */
};
struct part_source {
    struct ledger_name name;
    struct ledger_sum rest; /* of addresses that are not told apart */
};
struct part_word {
    struct view word;
    uint64_t messages;
};
struct part_tls {
    struct ledger_tls policy;
};
/* All that a report adds up to. */
struct parts {
    struct ledger_sum total;
    struct part_address *addresses;
    size_t n_addresses;
    struct part_source *sources;
    size_t n_sources;
    struct part_word *reasons;
    size_t n_reasons;
    struct ledger_tls *tls;
    size_t n_tls;
    struct ledger_tls_failure *tls_failures;
    size_t n_tls_failures;
};
struct rollup {
    int64_t domain, reporter, day, now_s; /* rows of their tables; the day from 1970 */
    struct view p;
};
#define SUM_NAMES  "messages, aligned, spf, dkim, spf_passed, dkim_passed, d_none, d_quarantine, d_reject, forwarded, listed"
#define SUM_TOTALS                                                                                                                  \
    "SUM(messages), SUM(aligned), SUM(spf), SUM(dkim), SUM(spf_passed), SUM(dkim_passed), SUM(d_none), SUM(d_quarantine), SUM(d_reject)," \
    " SUM(forwarded), SUM(listed)"
void ledger_sum_add(struct ledger_sum *to, const struct ledger_sum *add);
struct ledger_sum ledger_sum_of(struct db_query *q, int column);
/* The sums of a report go into the days. */
enum rc ledger_rollup_dmarc(struct db *db, const struct rollup *r, const struct parts *p);
enum rc ledger_rollup_tls(struct db *db, const struct rollup *r, const struct parts *p);
/* The address belongs to another source from now on: its sums of all days move. */
enum rc ledger_move(struct db *db, int64_t address, int64_t from, int64_t to, enum ledger_basis basis);
/* One more address of the source (more 1), or what is known of one (0): its country is told. */
enum rc ledger_add_country(struct db *db, int64_t address, int64_t source, int64_t domain, int more);
/* A report with its rows; its sums stay as they are. */
enum rc ledger_drop(struct db *db, int64_t report);

static inline int64_t ledger_day_of(int64_t begin_s, int64_t end_s)
{
    int64_t middle = begin_s + (end_s > begin_s ? (end_s - begin_s) / 2 : 0);
    return middle / LEDGER_DAY_S - (middle % LEDGER_DAY_S < 0);
}

#endif
