/* imap/seqmap: which UID stands at which message number of a folder, as one immutable, shared, compact map.
 * Sessions hold references to versions; a change makes a new version that shares all chunks but those it touches. A
 * chunk covers SEQMAP_SPAN UIDs and keeps them as runs or, where they are ragged, as bits: a folder of 100,000 messages
 * takes 1 KiB where nothing was expunged and never more than some 14 KiB for each 100,000 UIDs it spans.
 * No I/O. A version may be used by any thread; counts of references are atomic. */
#ifndef IMAP_SEQMAP_H
#define IMAP_SEQMAP_H

#include <stddef.h>
#include <stdint.h>

#define SEQMAP_SPAN 4096 /* UIDs a chunk covers */

struct seqmap;

/* uids rising. One reference is the caller's. NULL: no memory. */
struct seqmap *seqmap_new(const uint32_t *uids, size_t n, uint64_t modseq);
/* Without `gone` and with `born`, both rising; UIDs that are missing or there already do no harm. NULL: no memory. */
struct seqmap *seqmap_edit(const struct seqmap *old, const uint32_t *gone, size_t n_gone, const uint32_t *born,
                           size_t n_born, uint64_t modseq);
struct seqmap *seqmap_ref(struct seqmap *m);
void seqmap_unref(struct seqmap *m); /* accepts NULL */

uint64_t seqmap_modseq(const struct seqmap *m);
uint32_t seqmap_count(const struct seqmap *m);
/* The highest UID; 0: empty. */
uint32_t seqmap_last(const struct seqmap *m);
/* UID of message number seq (from 1); 0: no such message. */
uint32_t seqmap_uid(const struct seqmap *m, uint32_t seq);
/* Message number of a UID; 0: not in the folder. */
uint32_t seqmap_seq(const struct seqmap *m, uint32_t uid);
/* How many UIDs are below this one. */
uint32_t seqmap_below(const struct seqmap *m, uint32_t uid);
/* The UIDs from lo to hi, rising, at most max of them; says how many were written. */
size_t seqmap_uids(const struct seqmap *m, uint32_t lo, uint32_t hi, uint32_t *out, size_t max);
/* Memory of this version with its chunks, shared or not. */
size_t seqmap_bytes(const struct seqmap *m);

#endif
