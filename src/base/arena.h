/* base/arena: memory that lives as long as the command, message or session it serves; freed at once.
 * Not thread-safe: one arena belongs to whoever works with it now. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/view.h"

#define ARENA_BLOCK 4096 /* first block; later ones double up to 256 KiB */

struct arena {
    struct arena_block *head;
    size_t used; /* bytes given out since the last reset */
    size_t cap;  /* never more than this in all */
};

/* Takes no memory until the first allocation. */
void arena_init(struct arena *a, size_t cap);
/* Frees all. The arena can be used again. */
void arena_clear(struct arena *a);
/* Forgets all but keeps the first block for the next command. */
void arena_reset(struct arena *a);
/* Zeroed, aligned for any type. NULL past the cap or out of memory. n may be 0. */
void *arena_alloc(struct arena *a, size_t n);
/* n elements of size bytes, overflow-checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
#define arena_new(a, type)        ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_array(a, n, type) ((type *)arena_array((a), (n), sizeof(type)))
/* A list of n elements with room for one more: its room doubles at each power of two. NULL: as above. */
void *arena_more(struct arena *a, void *list, size_t n, size_t size);
#define arena_room(a, list, n) ((list) = arena_more((a), (list), (n), sizeof *(list)))
/* Copies; gives the view of the copy. RC_TEMP where there is no memory. */
enum rc view_dup(struct arena *a, struct view v, struct view *out);
/* A NUL-ended copy. NULL: no memory, or v contains NUL. */
char *arena_cstr(struct arena *a, struct view v);
/* printf into the arena; NULL when there is no memory. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
