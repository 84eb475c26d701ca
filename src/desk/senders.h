/* desk/senders: known senders: who sends mail for others, told by reverse names, by the domains that sign, and by those of envelope
 * senders. The table is built in (share/senders.tsv); what people changed stands before it. Pure once made; any thread. */
#ifndef DESK_SENDERS_H
#define DESK_SENDERS_H

#include "store/ledger.h"

#define SENDERS_MAX     5000
#define SENDERS_DOMAINS 64 /* of one sender in one list */

struct sender {
    struct view name, key;        /* "Amazon SES", "amazon-ses" */
    struct view kind;             /* service, forwarder, list */
    struct view hosts, dkim, spf; /* domains with a blank between */
    bool changed;                 /* by people */
};
enum sender_by { SENDER_BY_HOST, SENDER_BY_DKIM, SENDER_BY_SPF };

/* The table that was built in. */
struct view senders_shipped(void);

struct senders;
/* RC_SYNTAX: a line of the table is not one (then *line is its number, from 1); bad changes are left out. RC_TEMP. */
enum rc senders_new(struct view table, const struct ledger_sender *changes, size_t n, struct senders **out, size_t *line);
void senders_free(struct senders *s); /* accepts NULL */
/* All, by name without case. */
const struct sender *senders_all(const struct senders *s, size_t *n);
/* Whose domain it is, or one above it: the longest counts. NULL: nobody's. `domain` in lower case. */
const struct sender *senders_find(const struct senders *s, enum sender_by by, struct view domain);
/* "service", "forwarder", "list". */
bool senders_is_kind(struct view kind);
/* Domains with blanks between, as a table has them. */
bool senders_is_list(struct view domains);

#endif
