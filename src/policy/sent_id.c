#include "policy/sent_id.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/hex.h"
#include "crypto/random.h"
#include "store/directory.h"

#define PROOF_BYTES 10

/* "RANDOM.ACCOUNT" and its proof in hexadecimal. */
static enum rc prove(struct store *s, struct view what, char proof[2 * PROOF_BYTES + 1])
{
    uint8_t secret[DIRECTORY_SECRET_SIZE], mac[SHA256_SIZE];
    enum rc rc = directory_secret(s, VIEW("sent-id"), secret);
    if (rc == RC_OK)
        rc = hmac_sha256(view_of(secret, sizeof secret), what, mac);
    if (rc == RC_OK)
        hex_write(view_of(mac, PROOF_BYTES), proof);
    wipe(secret, sizeof secret);
    return rc;
}

enum rc sent_id_write(struct store *s, uint64_t account, const char *hostname, struct arena *a, struct view *out)
{
    char what[64], proof[2 * PROOF_BYTES + 1];
    snprintf(what, sizeof what, "%016llx.%llx", (unsigned long long)random_u64(), (unsigned long long)account);
    enum rc rc = prove(s, view_str(what), proof);
    if (rc != RC_OK)
        return rc;
    *out = view_str(arena_printf(a, "%s.%s@%s", what, proof, hostname));
    return out->n > 0 ? RC_OK : RC_TEMP;
}

enum rc sent_id_read(struct store *s, struct view id, uint64_t *account)
{
    char proof[2 * PROOF_BYTES + 1];
    struct view local, rest, random, number;
    id = view_trim(id);
    view_take_chr(&id, '<');
    if (!view_split(&id, '@', &local))
        return RC_NOTFOUND;
    size_t last = view_rchr(local, '.');
    rest = view_slice(local, 0, last == VIEW_NONE ? 0 : last);
    const struct view what = rest;
    if (last == VIEW_NONE || !view_split(&rest, '.', &random) || random.n != 16)
        return RC_NOTFOUND;
    number = rest;
    if (!view_is_hex(number, INT64_MAX, account) || *account == 0)
        return RC_NOTFOUND;
    enum rc rc = prove(s, what, proof);
    if (rc != RC_OK)
        return rc;
    return equal_secret(view_from(local, last + 1), view_str(proof)) ? RC_OK : RC_NOTFOUND;
}
