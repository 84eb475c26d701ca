/* store/blob: immutable bodies, named by a 63-bit id, appended to segment files; each has a checksum (XXH3).
 * An id is stable for ever: compaction moves the bytes and leaves a forwarding table behind.
 * Segments are written by one process each (file lock) and read by all through mmap.
 * I/O: disk. Any thread; a writer belongs to one thread. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "store/store.h"

#define BLOB_INLINE (128u << 10) /* a writer keeps this much in memory before it takes a segment for itself */
#define BLOB_FRONT_MAX 16384 /* what a header that is known only at the end may take */

struct blob_writer;
/* `owner`: the account it is first for, kept for salvage (0: none). */
enum rc blob_begin(struct store *s, uint64_t owner, struct blob_writer **out);
/* RC_FULL, RC_TEMP: the writer is only good for blob_abort then. */
enum rc blob_append(struct blob_writer *w, struct view bytes);
/* blob_prepend will be called: before the first blob_append. It costs a streamed blob up to BLOB_FRONT_MAX of empty room. */
void blob_expect_front(struct blob_writer *w);
/* Puts bytes in front of all that was appended: once, after the last blob_append. At most BLOB_FRONT_MAX (RC_LIMIT);
 * where blob_is_streamed() says yes their number is a multiple of 8. */
enum rc blob_prepend(struct blob_writer *w, struct view bytes);
bool blob_is_streamed(const struct blob_writer *w); /* it has outgrown BLOB_INLINE */
uint64_t blob_written(const struct blob_writer *w); /* bytes so far */
/* Completes the record; frees the writer whatever the result. Readable at once, durable after blob_sync. */
enum rc blob_finish(struct blob_writer *w, uint64_t *id);
/* Gives the place back. Accepts NULL. */
void blob_abort(struct blob_writer *w);
/* Everything that blob_finish completed before this call is on the disk when it returns RC_OK. Concurrent calls share
 * one fdatasync a segment. */
enum rc blob_sync(struct store *s);

/* A blob in memory: `bytes` stays valid until blob_close. */
struct blob {
    struct view bytes;
    void *ref; /* the mapping */
};
/* RC_NOTFOUND: no such blob. RC_CORRUPT: its record is damaged (with `check` the whole body is verified). */
enum rc blob_open(struct store *s, uint64_t id, bool check, struct blob *out);
void blob_close(struct blob *b); /* accepts a zeroed struct */

#endif
