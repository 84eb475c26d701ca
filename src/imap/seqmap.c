#include "imap/seqmap.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORDS    (SEQMAP_SPAN / 64)
#define RUNS_MAX 128 /* of 4 bytes each: as much as the bits take */

struct run {
    uint16_t start, n;
};
struct chunk {
    atomic_uint refs;
    uint16_t n_runs; /* 0: bits */
    union {
        struct run runs[RUNS_MAX];
        uint64_t bits[WORDS];
    };
};
struct slot {
    uint32_t key;    /* UID / SEQMAP_SPAN */
    uint32_t before; /* messages in earlier chunks */
    struct chunk *chunk;
};
struct seqmap {
    atomic_uint refs;
    uint32_t count;
    uint64_t modseq;
    size_t n;
    struct slot slots[];
};

static size_t chunk_size(unsigned n_runs)
{
    return offsetof(struct chunk, runs) + (n_runs ? n_runs * sizeof(struct run) : WORDS * sizeof(uint64_t));
}

static void chunk_unref(struct chunk *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

static bool bit_is_set(const uint64_t *bits, unsigned i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void bits_set_run(uint64_t *bits, unsigned start, unsigned n)
{
    for (unsigned i = start; i < start + n; i++)
        bits[i / 64] |= 1ull << (i % 64);
}

static void chunk_to_bits(const struct chunk *c, uint64_t bits[WORDS])
{
    if (c->n_runs == 0) {
        memcpy(bits, c->bits, sizeof c->bits);
        return;
    }
    memset(bits, 0, WORDS * sizeof *bits);
    for (unsigned i = 0; i < c->n_runs; i++)
        bits_set_run(bits, c->runs[i].start, c->runs[i].n);
}

static struct chunk *chunk_of_bits(const uint64_t bits[WORDS])
{
    struct run runs[RUNS_MAX];
    unsigned n_runs = 0;

    for (unsigned i = 0; i < SEQMAP_SPAN && n_runs <= RUNS_MAX;) {
        if (!bit_is_set(bits, i)) {
            i++;
            continue;
        }
        unsigned start = i;
        while (i < SEQMAP_SPAN && bit_is_set(bits, i))
            i++;
        if (n_runs < RUNS_MAX)
            runs[n_runs] = (struct run){(uint16_t)start, (uint16_t)(i - start)};
        n_runs++;
    }
    if (n_runs > RUNS_MAX)
        n_runs = 0;
    struct chunk *c = malloc(chunk_size(n_runs));
    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->n_runs = (uint16_t)n_runs;
    if (n_runs)
        memcpy(c->runs, runs, n_runs * sizeof *runs);
    else
        memcpy(c->bits, bits, sizeof c->bits);
    return c;
}

static unsigned bits_count(const uint64_t bits[WORDS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < WORDS; i++)
        n += (unsigned)__builtin_popcountll(bits[i]);
    return n;
}

/* Members below offset i. */
static unsigned chunk_below(const struct chunk *c, unsigned i)
{
    unsigned n = 0;

    if (c->n_runs == 0) {
        for (unsigned w = 0; w < i / 64; w++)
            n += (unsigned)__builtin_popcountll(c->bits[w]);
        if (i % 64)
            n += (unsigned)__builtin_popcountll(c->bits[i / 64] << (64 - i % 64));
        return n;
    }
    for (unsigned r = 0; r < c->n_runs && c->runs[r].start < i; r++)
        n += i - c->runs[r].start < c->runs[r].n ? i - c->runs[r].start : c->runs[r].n;
    return n;
}

static bool chunk_has(const struct chunk *c, unsigned i)
{
    if (c->n_runs == 0)
        return bit_is_set(c->bits, i);
    for (unsigned r = 0; r < c->n_runs && c->runs[r].start <= i; r++) {
        if (i - c->runs[r].start < c->runs[r].n)
            return true;
    }
    return false;
}

/* Offset of the k-th member, from 0, which is there. */
static unsigned chunk_select(const struct chunk *c, unsigned k)
{
    if (c->n_runs == 0) {
        unsigned w = 0;
        for (unsigned n; (n = (unsigned)__builtin_popcountll(c->bits[w])) <= k; w++)
            k -= n;
        uint64_t word = c->bits[w];
        while (k--)
            word &= word - 1;
        return w * 64 + (unsigned)__builtin_ctzll(word);
    }
    unsigned r = 0;
    for (; c->runs[r].n <= k; r++)
        k -= c->runs[r].n;
    return c->runs[r].start + k;
}

static struct seqmap *map_alloc(size_t n_slots, uint64_t modseq)
{
    struct seqmap *m = calloc(1, sizeof *m + n_slots * sizeof m->slots[0]);

    if (m) {
        atomic_init(&m->refs, 1);
        m->modseq = modseq;
    }
    return m;
}

/* Takes over the reference to c. */
static void map_add(struct seqmap *m, uint32_t key, struct chunk *c, unsigned n)
{
    m->slots[m->n++] = (struct slot){key, m->count, c};
    m->count += n;
}

/* Index of the first slot with this key or a later one. */
static size_t find_slot(const struct seqmap *m, uint32_t key)
{
    size_t lo = 0, hi = m->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->slots[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static unsigned slot_count(const struct seqmap *m, size_t i)
{
    return (i + 1 < m->n ? m->slots[i + 1].before : m->count) - m->slots[i].before;
}

struct seqmap *seqmap_new(const uint32_t *uids, size_t n, uint64_t modseq)
{
    static const struct seqmap empty;

    return seqmap_edit(&empty, NULL, 0, uids, n, modseq);
}

static size_t count_keys(const uint32_t *uids, size_t n)
{
    size_t keys = 0;

    for (size_t i = 0; i < n; i++) {
        if (i == 0 || uids[i] / SEQMAP_SPAN != uids[i - 1] / SEQMAP_SPAN)
            keys++;
    }
    return keys;
}

struct seqmap *seqmap_edit(const struct seqmap *old, const uint32_t *gone, size_t n_gone, const uint32_t *born,
                           size_t n_born, uint64_t modseq)
{
    struct seqmap *m = map_alloc(old->n + count_keys(born, n_born), modseq);
    size_t i = 0, g = 0, b = 0;

    if (!m)
        return NULL;
    while (i < old->n || b < n_born) {
        uint32_t key = i < old->n ? old->slots[i].key : UINT32_MAX;
        if (b < n_born && born[b] / SEQMAP_SPAN < key)
            key = born[b] / SEQMAP_SPAN;
        bool is_old = i < old->n && old->slots[i].key == key, touched = false;
        uint64_t bits[WORDS] = {0};
        if (is_old)
            chunk_to_bits(old->slots[i].chunk, bits);
        for (; g < n_gone && gone[g] / SEQMAP_SPAN <= key; g++) {
            if (gone[g] / SEQMAP_SPAN == key) {
                bits[gone[g] % SEQMAP_SPAN / 64] &= ~(1ull << (gone[g] % 64));
                touched = true;
            }
        }
        for (; b < n_born && born[b] / SEQMAP_SPAN == key; b++) {
            bits[born[b] % SEQMAP_SPAN / 64] |= 1ull << (born[b] % 64);
            touched = true;
        }
        if (!touched) {
            struct chunk *c = old->slots[i].chunk;
            atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
            map_add(m, key, c, slot_count(old, i));
        } else if (bits_count(bits) > 0) {
            struct chunk *c = chunk_of_bits(bits);
            if (!c) {
                seqmap_unref(m);
                return NULL;
            }
            map_add(m, key, c, bits_count(bits));
        }
        if (is_old)
            i++;
    }
    return m;
}

struct seqmap *seqmap_ref(struct seqmap *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void seqmap_unref(struct seqmap *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < m->n; i++)
        chunk_unref(m->slots[i].chunk);
    free(m);
}

uint64_t seqmap_modseq(const struct seqmap *m)
{
    return m->modseq;
}

uint32_t seqmap_count(const struct seqmap *m)
{
    return m->count;
}

uint32_t seqmap_last(const struct seqmap *m)
{
    return m->count ? seqmap_uid(m, m->count) : 0;
}

uint32_t seqmap_uid(const struct seqmap *m, uint32_t seq)
{
    size_t lo = 0, hi = m->n;

    if (seq == 0 || seq > m->count)
        return 0;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->slots[mid].before < seq)
            lo = mid;
        else
            hi = mid;
    }
    const struct slot *s = &m->slots[lo];
    return s->key * SEQMAP_SPAN + chunk_select(s->chunk, seq - 1 - s->before);
}

uint32_t seqmap_below(const struct seqmap *m, uint32_t uid)
{
    size_t i = find_slot(m, uid / SEQMAP_SPAN);

    if (i == m->n)
        return m->count;
    const struct slot *s = &m->slots[i];
    return s->key == uid / SEQMAP_SPAN ? s->before + chunk_below(s->chunk, uid % SEQMAP_SPAN) : s->before;
}

uint32_t seqmap_seq(const struct seqmap *m, uint32_t uid)
{
    size_t i = find_slot(m, uid / SEQMAP_SPAN);

    if (i == m->n || m->slots[i].key != uid / SEQMAP_SPAN || !chunk_has(m->slots[i].chunk, uid % SEQMAP_SPAN))
        return 0;
    return m->slots[i].before + chunk_below(m->slots[i].chunk, uid % SEQMAP_SPAN) + 1;
}

size_t seqmap_uids(const struct seqmap *m, uint32_t lo, uint32_t hi, uint32_t *out, size_t max)
{
    size_t n = 0;

    for (size_t i = find_slot(m, lo / SEQMAP_SPAN); i < m->n && n < max; i++) {
        uint64_t bits[WORDS];
        uint32_t base = m->slots[i].key * SEQMAP_SPAN;
        if (base > hi)
            break;
        chunk_to_bits(m->slots[i].chunk, bits);
        for (unsigned w = 0; w < WORDS; w++) {
            for (uint64_t word = bits[w]; word && n < max; word &= word - 1) {
                uint32_t uid = base + w * 64 + (unsigned)__builtin_ctzll(word);
                if (uid >= lo && uid <= hi)
                    out[n++] = uid;
            }
        }
    }
    return n;
}

size_t seqmap_bytes(const struct seqmap *m)
{
    size_t sum = sizeof *m + m->n * sizeof m->slots[0];

    for (size_t i = 0; i < m->n; i++)
        sum += chunk_size(m->slots[i].chunk->n_runs);
    return sum;
}
