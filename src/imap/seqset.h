/* imap/seqset: sets of message numbers or UIDs, "1:5,7,9:*" (RFC 3501 §9 sequence-set, RFC 4315 uid-set).
 * Pure: no I/O, no globals, any thread. Input is hostile and may hold any byte. */
#ifndef IMAP_SEQSET_H
#define IMAP_SEQSET_H

#include "base/arena.h"
#include "base/buf.h"

#define IMAP_SEQSET_RANGES_MAX 10000 /* of one set as written */
#define IMAP_SEQSET_STAR       0     /* "*" until imap_seqset_resolve */

struct imap_range {
    uint32_t lo, hi; /* inclusive */
};
struct imap_seqset {
    struct imap_range *ranges;
    size_t n;
};

/* Reads a set at the cursor and moves past it. RC_SYNTAX: none here. RC_LIMIT: too many ranges. RC_TEMP: no memory.
 * On failure *in does not move. */
enum rc imap_seqset_parse(struct view *in, struct arena *a, struct imap_seqset *out);
/* The highest number that the set names, "*" aside; 0: only "*". A range that ends in "*" counts for nothing, for it
 * includes the last message whatever stands on its other side (RFC 3501 §6.4.8). */
uint32_t imap_seqset_highest(const struct imap_seqset *set);
/* Puts `max` for "*", turns ranges the right way round, sorts and merges them and cuts them to 1..max. Nothing is left
 * where max is 0. */
void imap_seqset_resolve(struct imap_seqset *set, uint32_t max);
/* After resolve. */
bool imap_seqset_has(const struct imap_seqset *set, uint32_t n);
/* How many numbers the ranges hold, after resolve. */
uint64_t imap_seqset_count(const struct imap_seqset *set);

/* Appends n numbers in the order given as a set, "1:3,5"; runs that rise by one are joined, so that two such lists go
 * pair by pair (COPYUID, RFC 4315 §3). Nothing for n = 0. */
void imap_seqset_write(struct buf *out, const uint32_t *numbers, size_t n);

#endif
