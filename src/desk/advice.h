/* desk/advice: what a source is, what to do about it, and how far a domain is from the next policy: stable words that pages turn into sentences
 * (docs/reports-received.md has them all). Pure; any thread. */
#ifndef DESK_ADVICE_H
#define DESK_ADVICE_H

#include "store/directory.h"
#include "store/ledger.h"

#define ADVICE_READY_DAYS    7   /* of reports before a stricter policy is called safe */
#define ADVICE_READY_SHARE   980 /* of a thousand messages that must pass */
#define ADVICE_TLS_FAILURES  1   /* of a thousand sessions that may fail */

/* "ours", "service", "forwarder", "list", "threat", "unknown". */
const char *advice_kind(const struct ledger_source *s);
bool advice_is_kind(struct view kind);
/* "service.unsigned": what is the matter with a source of that kind. */
const char *advice_code(const struct ledger_source *s, const char *kind);
/* Whether its mail is meant to arrive: all kinds but threat. */
bool advice_is_wanted(const char *kind);

/* From p=none to p=reject. */
struct advice_path {
    const char *now, *next;  /* policies; next NULL: there is none stricter */
    bool ready;
    const char *why;         /* path.done, path.none (no reports), path.few (days), path.failing, path.ready */
    uint64_t messages, would_break; /* of sources that are wanted; those that a stricter policy would stop */
};
void advice_path(struct view p, const struct ledger_summary *sum, const struct ledger_source *sources, size_t n, struct advice_path *out);

/* Whether MTA-STS may go from testing to enforce. */
struct advice_enforce {
    bool ready;
    const char *why; /* enforce.already, enforce.off (no policy), enforce.none (no reports), enforce.few, enforce.failing, enforce.ready */
};
struct advice_enforce advice_enforce(enum directory_sts mode, const struct ledger_tls_summary *sum);

#endif
