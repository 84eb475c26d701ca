/* report/destination: where reports go: the addresses of a record's rua or ruf, and whether those who have them want reports about
 * this domain (RFC 9990, "Verifying External Destinations"; RFC 9991 has the same). Blocks on the resolver alone; any thread. */
#ifndef REPORT_DESTINATION_H
#define REPORT_DESTINATION_H

#include "mailauth/dmarc.h"

#define DESTINATION_ADDRESS_MAX 254

enum destination_state {
    DESTINATION_OK,
    DESTINATION_BAD,        /* not "mailto:", or no address that could be written to */
    DESTINATION_REFUSED,    /* elsewhere, and nobody there has agreed */
    DESTINATION_UNKNOWN,    /* cannot be asked now */
};
struct destination {
    enum destination_state state;
    struct view uri;        /* as the record has it */
    struct view address;    /* "local@domain", domain as A-labels; also for REFUSED and UNKNOWN */
    struct view domain;
    bool web;               /* not by mail: `address` is the URI, `domain` its host */
    uint64_t max_size;      /* bytes of a mail; 0: any */
    bool external, replaced; /* replaced: the address is the one that the destination's own record names */
    const char *why;        /* words for all but OK; static or in the arena */
};

/* The address of a "mailto:" URI, percent-encoding undone: a dot-atom at a domain (RFC 6068 §2). Header fields after "?" are not
 * read. RC_SYNTAX: anything else, such as several addresses, quoted strings, control characters, literals. */
enum rc destination_read(struct view address, struct arena *a, struct view *out, struct view *domain);

/* All of a list, each address once. `policy_domain`: where the record is. failure: for ruf. Views are in the arena or borrow `uris`. */
enum rc destinations_find(struct dns *dns, const struct dmarc_settings *set, struct view policy_domain, const struct dmarc_uri *uris,
                          size_t n_uris, bool failure, int64_t deadline_ms, struct arena *a, struct destination **out, size_t *n);

#endif
