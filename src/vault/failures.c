#include "vault/failures.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"

#define SETS 2048 /* of WAYS counters each */
#define WAYS 8

enum kind { PAIR = 1, PEER, ACCOUNT };
struct counter {
    uint64_t account;
    uint8_t peer[16];
    uint32_t kind;  /* 0: free */
    uint32_t count;
    int64_t at_ms;  /* when count was right; it fades from there */
};
struct failures {
    uint64_t seed; /* so that nobody can aim at a set */
    struct counter counters[SETS][WAYS];
};

enum rc failures_new(struct failures **out)
{
    *out = calloc(1, sizeof **out); /* pages are taken as they are touched */
    if (!*out)
        return RC_TEMP;
    (*out)->seed = random_u64();
    return RC_OK;
}

void failures_free(struct failures *f)
{
    free(f);
}

static int64_t fade_ms(uint32_t kind)
{
    return kind == PAIR ? FAILURES_PAIR_FADE_MS : kind == PEER ? FAILURES_PEER_FADE_MS : FAILURES_ACCOUNT_FADE_MS;
}

static uint32_t count_now(const struct counter *c, int64_t now_ms)
{
    int64_t faded = now_ms > c->at_ms ? (now_ms - c->at_ms) / fade_ms(c->kind) : 0;
    return faded >= c->count ? 0 : c->count - (uint32_t)faded;
}

static void make_key(enum kind kind, uint64_t account, const uint8_t peer[16], struct counter *out)
{
    *out = (struct counter){.kind = kind, .account = kind == PEER ? 0 : account};
    if (kind != ACCOUNT)
        memcpy(out->peer, peer, 16);
}

static bool same_key(const struct counter *a, const struct counter *b)
{
    return a->kind == b->kind && a->account == b->account && memcmp(a->peer, b->peer, 16) == 0;
}

static const struct counter *set_of(const struct failures *f, const struct counter *key)
{
    uint64_t h = f->seed ^ key->kind, words[2];
    memcpy(words, key->peer, 16);
    for (int i = 0; i < 3; i++) {
        h ^= i < 2 ? words[i] : key->account;
        h *= 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
        h += f->seed;
    }
    return f->counters[(h >> 20) % SETS];
}

static const struct counter *find(const struct failures *f, const struct counter *key)
{
    const struct counter *set = set_of(f, key);
    for (int i = 0; i < WAYS; i++)
        if (same_key(&set[i], key))
            return &set[i];
    return NULL;
}

static uint32_t count_of(const struct failures *f, int64_t now_ms, enum kind kind, uint64_t account, const uint8_t peer[16])
{
    struct counter key;
    make_key(kind, account, peer, &key);
    const struct counter *c = find(f, &key);
    return c ? count_now(c, now_ms) : 0;
}

/* Counts one more and gives the new count. */
static uint32_t count_one(struct failures *f, int64_t now_ms, enum kind kind, uint64_t account, const uint8_t peer[16])
{
    struct counter key;
    make_key(kind, account, peer, &key);
    struct counter *c = (struct counter *)find(f, &key);
    if (!c) { /* the smallest makes room */
        struct counter *set = (struct counter *)set_of(f, &key);
        c = &set[0];
        for (int i = 1; i < WAYS; i++)
            if (count_now(&set[i], now_ms) < count_now(c, now_ms))
                c = &set[i];
        *c = key;
        c->at_ms = now_ms;
    }
    uint32_t left = count_now(c, now_ms);
    if (left == 0 || left != c->count)
        c->at_ms = now_ms;
    c->count = left < UINT32_MAX ? left + 1 : left;
    return c->count;
}

enum rc failures_look(const struct failures *f, int64_t now_ms, uint64_t account, const uint8_t peer[16])
{
    if (count_of(f, now_ms, PAIR, account, peer) >= FAILURES_PAIR_LIMIT ||
        count_of(f, now_ms, PEER, account, peer) >= FAILURES_PEER_LIMIT)
        return RC_LIMIT;
    return RC_OK;
}

static uint32_t delay_of(uint32_t over)
{
    if (over == 0)
        return 0;
    return over > 5 ? FAILURES_DELAY_MAX_MS : (uint32_t)FAILURES_DELAY_MS << (over - 1);
}

uint32_t failures_add(struct failures *f, int64_t now_ms, uint64_t account, const uint8_t peer[16])
{
    uint32_t pair = count_one(f, now_ms, PAIR, account, peer);
    uint32_t from = count_one(f, now_ms, PEER, account, peer);
    uint32_t all = count_one(f, now_ms, ACCOUNT, account, peer);
    uint32_t worst = pair > FAILURES_FREE ? pair - FAILURES_FREE : 0;

    if (from > 3 * FAILURES_FREE && (from - 3 * FAILURES_FREE) / 4 > worst)
        worst = (from - 3 * FAILURES_FREE) / 4;
    if (all > FAILURES_ACCOUNT_SLOW && all - FAILURES_ACCOUNT_SLOW > worst)
        worst = all - FAILURES_ACCOUNT_SLOW;
    return delay_of(worst);
}

void failures_clear(struct failures *f, uint64_t account, const uint8_t peer[16])
{
    struct counter key;
    make_key(PAIR, account, peer, &key);
    struct counter *c = (struct counter *)find(f, &key);
    if (c)
        *c = (struct counter){0};
}
