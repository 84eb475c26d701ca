#include "crypto/pkey_cache.h"

#include <pthread.h>

#include "crypto/digest.h"

#define WAYS 4
#define SETS (PKEY_CACHE_KEYS / WAYS)

struct slot {
    struct pkey *pkey; /* NULL: free */
    bool was_asked;    /* since it came, or since it was last spared */
    uint8_t digest[SHA256_SIZE]; /* of the bytes */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards slots */
static struct slot slots[SETS][WAYS];

static struct slot *set_of(const uint8_t digest[SHA256_SIZE])
{
    return slots[(digest[0] << 8 | digest[1]) % SETS];
}

static struct pkey *find(enum pkey_kind kind, const uint8_t digest[SHA256_SIZE])
{
    struct slot *set = set_of(digest);
    struct pkey *found = NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < WAYS && !found; i++) {
        if (!set[i].pkey || pkey_kind(set[i].pkey) != kind || memcmp(set[i].digest, digest, SHA256_SIZE) != 0)
            continue;
        set[i].was_asked = true;
        found = pkey_hold(set[i].pkey);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* A free place, else one that nobody asked for again. */
static struct slot *choose(struct slot *set)
{
    for (size_t i = 0; i < WAYS; i++)
        if (!set[i].pkey)
            return &set[i];
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i].was_asked)
            return &set[i];
        set[i].was_asked = false;
    }
    return &set[0];
}

static void keep(struct pkey *pkey, const uint8_t digest[SHA256_SIZE])
{
    pthread_mutex_lock(&lock);
    struct slot *slot = choose(set_of(digest));
    struct pkey *old = slot->pkey;
    *slot = (struct slot){.pkey = pkey_hold(pkey)};
    memcpy(slot->digest, digest, SHA256_SIZE);
    pthread_mutex_unlock(&lock);
    pkey_free(old);
}

enum rc pkey_cache_public(enum pkey_kind kind, struct view bytes, struct pkey **out)
{
    uint8_t digest[SHA256_SIZE];
    *out = NULL;
    if (sha256(bytes, digest) != RC_OK)
        return RC_TEMP;
    if ((*out = find(kind, digest)))
        return RC_OK;
    enum rc rc = pkey_public(kind, bytes, out);
    if (rc == RC_OK)
        keep(*out, digest);
    return rc;
}
