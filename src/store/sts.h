/* store/sts: what is remembered of other domains' TLS: MTA-STS policies (RFC 8461) as they were fetched, and which mail hosts
 * had TLS before. What a policy means is policy/mta_sts.h's; when one is fetched, policy/sts_cache.h's.
 * I/O: disk. Any thread. */
#ifndef STORE_STS_H
#define STORE_STS_H

#include "store/store.h"

struct sts_row {
    struct view domain;  /* A-labels, lower case */
    struct view id;      /* of the TXT record that it was fetched for */
    struct view policy;  /* the file */
    int64_t fetched_s, expires_s;
    int64_t refresh_s;   /* when it is to be looked at again */
    int64_t used_s;      /* a delivery last asked for it; exact to the day */
};
/* Replaces the one of this domain. Durable. */
enum rc sts_put(struct store *s, const struct sts_row *row);
enum rc sts_get(struct store *s, struct view domain, struct arena *a, struct sts_row *out); /* RC_NOTFOUND */
enum rc sts_remove(struct store *s, struct view domain);
enum rc sts_set_refresh(struct store *s, struct view domain, int64_t refresh_s);
enum rc sts_set_used(struct store *s, struct view domain, int64_t used_s);
/* The one whose turn to be looked at comes first. RC_NOTFOUND: there is none. */
enum rc sts_next(struct store *s, struct arena *a, struct sts_row *out);

/* A host was spoken to by TLS. Written once a day and host. */
enum rc tls_host_seen(struct store *s, struct view host, int64_t now_s);
/* *seen_s 0: never. */
enum rc tls_host_get(struct store *s, struct view host, int64_t *seen_s);
/* Forgets hosts not seen since. */
enum rc tls_host_forget(struct store *s, int64_t before_s);

#endif
