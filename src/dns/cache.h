/* dns/cache: answers kept in front of libunbound, which passes each of its own through a pipe and two threads. Time is given, so
 * it does no I/O; any thread. Inside of dns/ only.
 *
 * Only what the DNS has said is kept: records, and their absence where it came with a time to live. "Cannot tell now"
 * and bogus answers are not: libunbound knows for how long to believe in these. What strangers make us ask cannot make
 * it grow, nor push out at once what is asked often: an answer that nobody has asked for again goes first. */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include "dns/dns.h"

#define CACHE_BYTES          (16u << 20) /* entries with their management */
#define CACHE_ENTRIES        65536
#define CACHE_SHARDS         16
#define CACHE_ANSWER_MAX     16384 /* bytes of one; larger answers are not kept */
#define CACHE_TTL_MAX_S      3600
#define CACHE_NEGATIVE_MAX_S 300
#define CACHE_NAME_MAX       (DNS_NAME_MAX * 4)

struct dns_cache;
/* Limits are those of all shards together. NULL: no memory. */
struct dns_cache *dns_cache_new(size_t max_bytes, size_t max_entries);
void dns_cache_free(struct dns_cache *c); /* accepts NULL */

/* `name` without final dot; letters match in any case. Copies; ttl_s is what is left. False: not known (any more), or the
 * arena is full. */
bool dns_cache_get(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms, struct arena *a,
                   struct dns_answer *out);
/* The same without the answer, and without counting as having been asked for. */
bool dns_cache_has(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms);
/* Copies; what was known of the same is replaced. No memory: it is not kept. */
void dns_cache_put(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms, const struct dns_answer *answer);
void dns_cache_drop(struct dns_cache *c); /* all of them */
void dns_cache_size(struct dns_cache *c, size_t *entries, size_t *bytes);

#endif
