/* store/seen: what was seen of other domains and is owed to them in a report: counted rows by domain and day, the reports made of
 * them, who got how many mails, and which destinations are left alone. What is in a row is for report/ to say; the same tables
 * serve every kind of report. Any thread; every function is one short transaction.
 *
 * A report collects from begin_s until it is sealed: at the end of its UTC day, or when an operator wants it now, after which
 * the same day goes on with a further one. Its id, period and so its name never change. A sealed report is due until it is
 * finished. */
#ifndef STORE_SEEN_H
#define STORE_SEEN_H

#include "store/store.h"

#define SEEN_KEY_SIZE 16
#define SEEN_DAY_S    86400

enum seen_kind { SEEN_DMARC, SEEN_TLS }; /* TLS: its rows are store/tlsrpt.h's */

struct seen_add {
    struct view domain;         /* who is owed the report */
    struct view policy;         /* what it publishes; the last one stays */
    uint8_t key[SEEN_KEY_SIZE]; /* tells rows apart: a digest of `row` */
    struct view row;
    uint64_t n, n_bad;          /* messages; how many of them were judged spam or worse */
    int64_t time_s;
    int64_t due_s;              /* when a report of this day may go, after it */
};
/* Rows beyond max_rows of one report are not kept; their messages are counted as dropped. Reports beyond max_reports of one day
 * are not begun; *lost: messages for such. */
enum rc seen_add(struct store *s, enum seen_kind kind, const struct seen_add *rows, size_t n, uint64_t max_rows, uint64_t max_reports,
                 uint64_t *lost);

struct seen_report {
    uint64_t id;
    enum seen_kind kind;
    struct view domain, policy;
    int64_t begin_s, end_s;     /* end_s: the last second, once sealed; else 0 */
    uint64_t messages, bad, rows, dropped;
    int64_t due_s;
    unsigned tries;
    int64_t finished_s;         /* 0: owed */
    struct view note;           /* what became of it */
};
/* Those that are not sealed though their day is over, or (day_s > 0) any of the day that begins then. *n: how many. */
enum rc seen_seal(struct store *s, int64_t day_s, int64_t now_s, uint64_t *n);
/* Sealed and owed, due at now_s, up to max, the longest due first. */
enum rc seen_due(struct store *s, enum seen_kind kind, int64_t now_s, size_t max, struct arena *a, struct seen_report **out, size_t *n);
/* All that are kept, by day and domain, with an id above `after`, up to max. */
enum rc seen_reports(struct store *s, uint64_t after, size_t max, struct arena *a, struct seen_report **out, size_t *n);
/* Rows by key, after `after` (NULL: from the first), up to max. */
struct seen_row {
    uint8_t key[SEEN_KEY_SIZE];
    uint64_t n;
    struct view row;
};
enum rc seen_rows(struct store *s, uint64_t report, const uint8_t *after, size_t max, struct arena *a, struct seen_row **out, size_t *n);
/* It is done with, whatever came of it; or (later_s > 0) it is tried again then. */
enum rc seen_finish(struct store *s, uint64_t report, int64_t now_s, int64_t later_s, struct view note);
/* Reports of days that began before, their rows, old counts and pauses; many short transactions. */
enum rc seen_forget(struct store *s, int64_t before_s);

/* --- mails --- */

/* Counts a mail for `address` under each name (NULL-ended), unless one of them has reached its limit on this day. RC_EXISTS: this
 * report went to this address already (report 0: no such check). RC_LIMIT: *which is the name. */
struct seen_cap {
    struct view name;
    uint64_t max;
};
enum rc seen_count_mail(struct store *s, uint64_t report, struct view address, int64_t now_s, const struct seen_cap *caps, size_t n,
                        size_t *which);
/* Addresses that mails went to lately, after `after`, by their bytes, up to max. */
enum rc seen_mailed(struct store *s, struct view after, size_t max, struct arena *a, struct view **out, size_t *n);
/* A mail that was counted could not be queued after all. */
enum rc seen_uncount_mail(struct store *s, uint64_t report, struct view address, int64_t now_s, const struct seen_cap *caps, size_t n);

/* A destination that bounced is left alone for first_s, twice as long each further time, at most max_s. */
enum rc seen_bounced(struct store *s, struct view address, int64_t now_s, int64_t first_s, int64_t max_s, struct view why,
                     int64_t *until_s);
/* *until_s: 0 or in the past: not paused. *why may be empty. */
enum rc seen_paused(struct store *s, struct view address, struct arena *a, int64_t *until_s, struct view *why);

/* A random value made once, under this name, 32 bytes. */
#define SEEN_SECRET_SIZE 32
enum rc seen_secret(struct store *s, const char *name, uint8_t out[SEEN_SECRET_SIZE]);

/* Somebody wants the reports of a day now: the number of his question; and how far the answers are. */
enum rc seen_ask(struct store *s, int64_t day_s, uint64_t *number);
enum rc seen_answer(struct store *s, uint64_t number);
enum rc seen_asked(struct store *s, uint64_t *asked, int64_t *day_s, uint64_t *answered);

#endif
