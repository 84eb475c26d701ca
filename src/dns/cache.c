#include "dns/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

#include "crypto/random.h"

struct entry {
    struct entry *next;           /* in its bucket */
    struct entry *older, *newer;  /* in its shard, in the order of arrival */
    uint64_t hash;
    int64_t expires_ms;
    size_t bytes;                 /* of all of it */
    bool was_asked;               /* since it came, or since it was last spared */
    bool secure;
    enum dns_status status;
    enum dns_type type;
    struct view name, canonical;  /* the bytes follow the views of rdata */
    size_t n;
    struct view rdata[];
};

struct shard {
    pthread_mutex_t lock; /* guards all of the shard and its entries */
    struct entry **buckets;
    struct entry *oldest, *newest;
    size_t entries, bytes;
};

struct dns_cache {
    uint64_t seed; /* names that meet in one bucket cannot be prepared */
    size_t max_bytes, max_entries, n_buckets; /* of a shard */
    struct shard shards[CACHE_SHARDS];
};

/* A name as it is compared. */
struct key {
    uint64_t hash;
    enum dns_type type;
    size_t n;
    char name[CACHE_NAME_MAX];
};

static bool key_make(const struct dns_cache *c, struct view name, enum dns_type type, struct key *out)
{
    if (name.n > sizeof out->name)
        return false;
    for (size_t i = 0; i < name.n; i++)
        out->name[i] = (char)to_lower((unsigned char)name.p[i]);
    out->n = name.n;
    out->type = type;
    out->hash = XXH3_64bits_withSeed(out->name, name.n, c->seed + (uint64_t)type);
    return true;
}

static struct shard *shard_of(struct dns_cache *c, uint64_t hash)
{
    return &c->shards[hash % CACHE_SHARDS];
}

static struct entry **bucket_of(const struct dns_cache *c, const struct shard *s, uint64_t hash)
{
    return &s->buckets[hash / CACHE_SHARDS % c->n_buckets];
}

static struct entry *find(const struct dns_cache *c, const struct shard *s, const struct key *key)
{
    struct entry *e = *bucket_of(c, s, key->hash);
    while (e && (e->hash != key->hash || e->type != key->type || !view_eq(e->name, view_of(key->name, key->n))))
        e = e->next;
    return e;
}

/* --- a shard's entries in the order of arrival --- */

static void line_up(struct shard *s, struct entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    if (e->older)
        e->older->newer = e;
    else
        s->oldest = e;
    s->newest = e;
}

static void leave_line(struct shard *s, struct entry *e)
{
    if (e->older)
        e->older->newer = e->newer;
    else
        s->oldest = e->newer;
    if (e->newer)
        e->newer->older = e->older;
    else
        s->newest = e->older;
}

static void drop(const struct dns_cache *c, struct shard *s, struct entry *e)
{
    struct entry **at = bucket_of(c, s, e->hash);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    leave_line(s, e);
    s->entries--;
    s->bytes -= e->bytes;
    free(e);
}

/* The oldest go, but those that were asked for since they came go to the end of the line once more. */
static void make_room(const struct dns_cache *c, struct shard *s, size_t bytes, int64_t now_ms)
{
    while (s->oldest && (s->entries >= c->max_entries || s->bytes + bytes > c->max_bytes)) {
        struct entry *e = s->oldest;
        if (!e->was_asked || e->expires_ms <= now_ms) {
            drop(c, s, e);
            continue;
        }
        e->was_asked = false;
        leave_line(s, e);
        line_up(s, e);
    }
}

static size_t bytes_of(const struct dns_answer *answer)
{
    size_t bytes = answer->canonical.n;
    for (size_t i = 0; i < answer->n; i++)
        bytes += answer->rdata[i].n;
    return bytes;
}

static struct view append(char **at, struct view v)
{
    struct view copy = view_of(*at, v.n);
    if (v.n > 0)
        memcpy(*at, v.p, v.n);
    *at += v.n;
    return copy;
}

static struct entry *entry_new(const struct key *key, const struct dns_answer *answer, int64_t expires_ms)
{
    size_t bytes = sizeof(struct entry) + answer->n * sizeof(struct view) + key->n + bytes_of(answer);
    struct entry *e = malloc(bytes);
    if (!e)
        return NULL;
    *e = (struct entry){.hash = key->hash, .expires_ms = expires_ms, .bytes = bytes, .secure = answer->secure,
                        .status = answer->status, .type = key->type, .n = answer->n};
    char *at = (char *)&e->rdata[answer->n];
    e->name = append(&at, view_of(key->name, key->n));
    e->canonical = append(&at, answer->canonical);
    for (size_t i = 0; i < answer->n; i++)
        e->rdata[i] = append(&at, answer->rdata[i]);
    return e;
}

static bool give(const struct entry *e, int64_t now_ms, struct arena *a, struct dns_answer *out)
{
    size_t bytes = e->canonical.n;
    for (size_t i = 0; i < e->n; i++)
        bytes += e->rdata[i].n;
    struct view *rdata = arena_new_array(a, e->n, struct view);
    char *at = arena_alloc(a, bytes);
    if (!rdata || !at)
        return false;
    *out = (struct dns_answer){.status = e->status, .secure = e->secure, .n = e->n,
                               .ttl_s = (uint32_t)((e->expires_ms - now_ms + 999) / 1000)};
    out->canonical = append(&at, e->canonical);
    for (size_t i = 0; i < e->n; i++)
        rdata[i] = append(&at, e->rdata[i]);
    out->rdata = e->n > 0 ? rdata : NULL;
    return true;
}

/* --- public --- */

struct dns_cache *dns_cache_new(size_t max_bytes, size_t max_entries)
{
    struct dns_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->seed = random_u64();
    c->max_bytes = max_bytes / CACHE_SHARDS;
    c->max_entries = max_entries / CACHE_SHARDS;
    c->n_buckets = c->max_entries + 1;
    bool ok = true;
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        pthread_mutex_init(&c->shards[i].lock, NULL);
        c->shards[i].buckets = calloc(c->n_buckets, sizeof(struct entry *));
        ok = ok && c->shards[i].buckets;
    }
    if (!ok) {
        dns_cache_free(c);
        return NULL;
    }
    return c;
}

void dns_cache_free(struct dns_cache *c)
{
    if (!c)
        return;
    dns_cache_drop(c);
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        free(c->shards[i].buckets);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
    free(c);
}

bool dns_cache_get(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms, struct arena *a,
                   struct dns_answer *out)
{
    struct key key;
    if (!key_make(c, name, type, &key))
        return false;
    struct shard *s = shard_of(c, key.hash);
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(c, s, &key);
    bool found = e && e->expires_ms > now_ms && give(e, now_ms, a, out);
    if (found)
        e->was_asked = true;
    pthread_mutex_unlock(&s->lock);
    return found;
}

bool dns_cache_has(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms)
{
    struct key key;
    if (!key_make(c, name, type, &key))
        return false;
    struct shard *s = shard_of(c, key.hash);
    pthread_mutex_lock(&s->lock);
    struct entry *e = find(c, s, &key);
    bool found = e && e->expires_ms > now_ms;
    pthread_mutex_unlock(&s->lock);
    return found;
}

void dns_cache_put(struct dns_cache *c, struct view name, enum dns_type type, int64_t now_ms, const struct dns_answer *answer)
{
    struct key key;
    uint32_t max_s = answer->status == DNS_OK ? CACHE_TTL_MAX_S : CACHE_NEGATIVE_MAX_S;
    uint32_t ttl_s = answer->ttl_s < max_s ? answer->ttl_s : max_s;
    if (answer->status >= DNS_TEMP || ttl_s == 0 || bytes_of(answer) > CACHE_ANSWER_MAX || !key_make(c, name, type, &key))
        return;
    struct entry *fresh = entry_new(&key, answer, now_ms + (int64_t)ttl_s * 1000);
    if (!fresh)
        return;
    struct shard *s = shard_of(c, key.hash);
    pthread_mutex_lock(&s->lock);
    struct entry *known = find(c, s, &key);
    if (known) {
        fresh->was_asked = known->was_asked;
        drop(c, s, known);
    }
    make_room(c, s, fresh->bytes, now_ms);
    if (s->entries < c->max_entries && s->bytes + fresh->bytes <= c->max_bytes) {
        struct entry **bucket = bucket_of(c, s, key.hash);
        fresh->next = *bucket;
        *bucket = fresh;
        line_up(s, fresh);
        s->entries++;
        s->bytes += fresh->bytes;
        fresh = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(fresh);
}

void dns_cache_drop(struct dns_cache *c)
{
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        while (s->oldest)
            drop(c, s, s->oldest);
        pthread_mutex_unlock(&s->lock);
    }
}

void dns_cache_size(struct dns_cache *c, size_t *entries, size_t *bytes)
{
    *entries = *bytes = 0;
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct shard *s = &c->shards[i];
        pthread_mutex_lock(&s->lock);
        *entries += s->entries;
        *bytes += s->bytes;
        pthread_mutex_unlock(&s->lock);
    }
}
