#include "vault/memo.h"

#include <stdlib.h>

#include "base/buf.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"

#define SETS 1024
#define WAYS 4

struct entry {
    uint8_t mac[SHA256_SIZE];
    int64_t until_ms; /* 0: free */
};
struct memo {
    uint8_t key[32];
    struct entry entries[SETS][WAYS];
};

enum rc memo_new(struct memo **out)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return RC_TEMP;
    random_bytes((*out)->key, sizeof (*out)->key);
    return RC_OK;
}

void memo_free(struct memo *m)
{
    if (!m)
        return;
    wipe(m, sizeof *m);
    free(m);
}

static bool mac_of(const struct memo *m, uint64_t account, const char *hash, struct view password, uint8_t mac[SHA256_SIZE])
{
    struct buf b;
    buf_init(&b, 8192);
    buf_add(&b, view_of(&account, sizeof account));
    buf_add(&b, view_of(hash, strlen(hash) + 1)); /* its NUL ends it */
    buf_add(&b, password);
    bool ok = buf_rc(&b) == RC_OK && hmac_sha256(view_of(m->key, sizeof m->key), buf_view(&b), mac) == RC_OK;
    buf_wipe(&b);
    buf_clear(&b);
    return ok;
}

static size_t set_of(const uint8_t mac[SHA256_SIZE])
{
    return ((size_t)mac[0] << 8 | mac[1]) % SETS;
}

bool memo_has(const struct memo *m, int64_t now_ms, uint64_t account, const char *hash, struct view password)
{
    uint8_t mac[SHA256_SIZE];
    bool found = false;
    if (!mac_of(m, account, hash, password, mac))
        return false;
    const struct entry *set = m->entries[set_of(mac)];
    for (int i = 0; i < WAYS; i++)
        found |= set[i].until_ms > now_ms && equal_secret(view_of(set[i].mac, sizeof mac), view_of(mac, sizeof mac));
    return found;
}

void memo_add(struct memo *m, int64_t now_ms, uint64_t account, const char *hash, struct view password)
{
    uint8_t mac[SHA256_SIZE];
    if (!mac_of(m, account, hash, password, mac))
        return;
    struct entry *set = m->entries[set_of(mac)], *oldest = &set[0];
    for (int i = 1; i < WAYS; i++)
        if (set[i].until_ms < oldest->until_ms)
            oldest = &set[i];
    memcpy(oldest->mac, mac, sizeof mac);
    oldest->until_ms = now_ms + MEMO_MS;
}
