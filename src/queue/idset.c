#include "queue/idset.h"

#include <stdlib.h>

#define IDSET_FIRST 64

static size_t slot_of(const struct idset *s, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (s->size - 1);
}

/* Where the id is, or the free slot where it would be. */
static size_t find_slot(const struct idset *s, uint64_t id)
{
    size_t i = slot_of(s, id);
    while (s->slots[i] != 0 && s->slots[i] != id)
        i = (i + 1) & (s->size - 1);
    return i;
}

static enum rc grow(struct idset *s)
{
    struct idset bigger = {.size = s->size ? s->size * 2 : IDSET_FIRST};
    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return RC_TEMP;
    for (size_t i = 0; i < s->size; i++)
        if (s->slots[i] != 0)
            bigger.slots[find_slot(&bigger, s->slots[i])] = s->slots[i];
    bigger.n = s->n;
    free(s->slots);
    *s = bigger;
    return RC_OK;
}

enum rc idset_add(struct idset *s, uint64_t id)
{
    bug_if(id == 0);
    if (s->n + 1 > s->size / 4 * 3) {
        enum rc rc = grow(s);
        if (rc != RC_OK)
            return rc;
    }
    size_t i = find_slot(s, id);
    if (s->slots[i] == id)
        return RC_EXISTS;
    s->slots[i] = id;
    s->n++;
    return RC_OK;
}

void idset_remove(struct idset *s, uint64_t id)
{
    if (s->size == 0)
        return;
    size_t hole = find_slot(s, id);
    if (s->slots[hole] == 0)
        return;
    s->slots[hole] = 0;
    s->n--;
    /* Later ids of the same run may have been pushed past the hole: put each in its place again. */
    for (size_t i = (hole + 1) & (s->size - 1); s->slots[i] != 0; i = (i + 1) & (s->size - 1)) {
        uint64_t moved = s->slots[i];
        s->slots[i] = 0;
        s->slots[find_slot(s, moved)] = moved;
    }
}

bool idset_has(const struct idset *s, uint64_t id)
{
    return s->size > 0 && s->slots[find_slot(s, id)] == id;
}

void idset_clear(struct idset *s)
{
    free(s->slots);
    *s = (struct idset){0};
}
