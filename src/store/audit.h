/* store/audit: what was changed, when, by whom and from where: on the pages and by commands. Details hold no secrets. Kept for
 * AUDIT_KEEP_S. Blocks on the disk. Any thread. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/store.h"

#define AUDIT_KEEP_S     (2 * 366 * 86400LL)
#define AUDIT_DETAIL_MAX 2000 /* bytes; longer ones are cut */

struct audit_row {
    uint64_t id;        /* rises; set by audit_add */
    int64_t at_ms;      /* set by audit_add */
    struct view who;    /* an account's address, or "command" and the system's user: "command:root" */
    struct view peer;   /* IP address; empty for commands */
    struct view what;   /* "account.add" */
    struct view about;  /* the address, domain, or other thing */
    struct view detail; /* words for people */
};
enum rc audit_add(struct store *s, const struct audit_row *row);

struct audit_range {
    int64_t from_ms, to_ms; /* at_ms from..to, to not included; 0: open */
    struct view domain;     /* about this domain, or an address in it; empty: all */
    uint64_t before;        /* rows with a lower id; 0: all */
    size_t max;
};
/* Newest first. */
enum rc audit_list(struct store *s, const struct audit_range *range, struct arena *a, struct audit_row **out, size_t *n);

#endif
