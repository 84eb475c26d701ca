/* store/blob_internal: the blobs of one data folder without the rest of a store; store.c opens them, blob.c shows them to
 * the world, compaction, verify, salvage and backup look inside.
 *
 * Files in `data`/blobs: NNNNNNNN.seg (blob_format.h), NNNNNNNN.moved where compaction moved the records of a segment
 * that is gone (blob_moved.h), compact.lock (who compacts or copies the folder).
 * A process that appends to a segment holds a lock on it; a crash lets go, and the next one to need room adopts it. */
#ifndef STORE_BLOB_INTERNAL_H
#define STORE_BLOB_INTERNAL_H

#include <pthread.h>

#include "store/blob.h"
#include "store/blob_format.h"

struct blobs {
    char *dir; /* ".../blobs" */
    char *node;
    int dir_fd;
    uint64_t segment_bytes;
    struct blobs_write *w; /* blob_write.c */
    struct blobs_read *r;  /* blob_read.c */
    int (*datasync)(int fd); /* fdatasync; tests make it fail */
    uint32_t compact_next;   /* blobs_maintain, one thread: the segment to look at next */
    int64_t compact_due_ms;
};
/* Makes the folder if it is missing. store_internal.h has blobs_open for store.c. */
enum rc blobs_open_at(const char *data, const char *node, size_t segment_bytes, struct blobs **out);
/* No writer and no open blob may be left. Accepts NULL. */
void blobs_close(struct blobs *b);

/* --- writing (blob.h tells the contracts) --- */
enum rc blobs_writer_open(struct blobs *b);
void blobs_writer_close(struct blobs *b);
enum rc blobs_begin(struct blobs *b, uint64_t owner, struct blob_writer **out);
/* For a copy that keeps its date (compaction, restore); else it is that of blob_finish. */
void blob_set_time(struct blob_writer *w, int64_t time_s);
enum rc blobs_sync(struct blobs *b);
/* From now on nothing goes into the segment written so far: the next blob begins another. */
void blobs_seal(struct blobs *b);

/* --- reading --- */
enum rc blobs_reader_open(struct blobs *b);
void blobs_reader_close(struct blobs *b);
enum rc blobs_get(struct blobs *b, uint64_t id, bool check, struct blob *out);
/* Where the record is now and what its head says. Reads the body when `check`. */
enum rc blobs_find(struct blobs *b, uint64_t id, bool check, uint64_t *final_id, struct record *out);
/* Lets go of mappings that nobody has used for idle_ms. */
void blobs_trim(struct blobs *b, int64_t idle_ms);

/* --- files --- */
/* Numbers of all NNNNNNNN.`kind` files, rising, from malloc. */
enum rc blobs_list(const struct blobs *b, const char *kind, uint32_t **out, size_t *n);
void blobs_name(uint32_t number, const char *kind, char out[24]); /* "00000001.seg" */
/* The file as far as it can be read: unreadable blocks are zeros. Never a mapping, so a bad disk cannot kill us.
 * *unreadable counts such bytes. free() it by blobs_unload. */
enum rc blobs_load(int dir_fd, const char *name, struct view *out, uint64_t *unreadable);
/* The same of an open file, bytes before `from` left zero. */
enum rc blobs_load_fd(int fd, uint64_t from, struct view *out, uint64_t *unreadable);
void blobs_unload(struct view *v);
/* Locks an open file without waiting; closing it, also by a crash, lets go. False: another has it. */
bool blobs_lock_file(int fd, bool exclusive);
/* Takes the lock that compaction holds exclusively and backups share. RC_TEMP: taken by another. close() lets go. */
enum rc blobs_lock(const struct blobs *b, bool exclusive, int *fd);

#endif
