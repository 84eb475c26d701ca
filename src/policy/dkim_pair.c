#include "policy/dkim_pair.h"

#include <time.h>

#include "base/clock.h"
#include "crypto/pkey.h"
#include "store/directory.h"

#define PUBLIC_MAX 1024 /* of RSA-2048: 294 */

static const enum pkey_kind kinds[] = {PKEY_RSA, PKEY_ED25519};
#define N_KINDS (sizeof kinds / sizeof *kinds)

/* "a" to "z", "aa", "ab", ... */
static void write_ending(unsigned n, char out[8])
{
    char back[8];
    size_t len = 0;
    do {
        back[len++] = (char)('a' + n % 26);
        n = n / 26;
    } while (n-- > 0 && len < sizeof back - 1);
    for (size_t i = 0; i < len; i++)
        out[i] = back[len - 1 - i];
    out[len] = '\0';
}

static const char *selector_of(struct arena *a, enum pkey_kind kind, unsigned n)
{
    const time_t now = (time_t)clock_real_s();
    char ending[8];
    struct tm tm;

    write_ending(n, ending);
    gmtime_r(&now, &tm);
    return arena_printf(a, "%c%04d%02d%s", kind == PKEY_RSA ? 'r' : 'e', tm.tm_year + 1900, tm.tm_mon + 1, ending);
}

static bool is_used(const struct directory_dkim_key *keys, size_t n, const char *selector)
{
    for (size_t i = 0; i < n; i++)
        if (view_eq(keys[i].selector, view_str(selector)))
            return true;
    return false;
}

struct maker {
    dkim_pair_fn make;
    void *ctx;
    struct arena *a;
    const struct directory_dkim_key *used;
    size_t n_used;
};

/* A pair with this ending. RC_EXISTS: one of the selectors was used before. */
static enum rc make_pair(const struct maker *m, unsigned ending, struct directory_dkim_key pair[N_KINDS])
{
    struct buf public_key;
    enum rc rc = RC_OK;

    buf_init(&public_key, PUBLIC_MAX);
    for (size_t i = 0; rc == RC_OK && i < N_KINDS; i++) {
        const char *selector = selector_of(m->a, kinds[i], ending);
        if (!selector)
            rc = RC_TEMP;
        else if (is_used(m->used, m->n_used, selector))
            rc = RC_EXISTS;
        else
            pair[i].selector = view_str(selector);
    }
    for (size_t i = 0; rc == RC_OK && i < N_KINDS; i++) {
        buf_reset(&public_key);
        pair[i].algorithm = (int)kinds[i];
        rc = m->make(m->ctx, pair[i].domain, pair[i].selector, (int)kinds[i], &public_key);
        if (rc == RC_OK)
            rc = view_dup(m->a, buf_view(&public_key), &pair[i].public_key);
    }
    buf_clear(&public_key);
    return rc;
}

/* The domain as the directory has it: A-labels. */
static enum rc normalise(struct view domain, struct arena *a, struct view *out)
{
    const char *address = arena_printf(a, "x@%.*s", VIEW_FMT(domain));
    enum rc rc = address ? directory_normalise(view_str(address), a, out) : RC_TEMP;
    if (rc == RC_OK)
        view_skip(out, 2);
    return rc;
}

enum rc dkim_pair_make(struct store *s, struct view domain, enum dkim_key_state state, dkim_pair_fn make, void *ctx, struct arena *a)
{
    struct directory_dkim_key *used = NULL, pair[N_KINDS] = {{.state = state}, {.state = state}};
    struct view name;
    size_t n = 0;

    enum rc rc = normalise(domain, a, &name);
    if (rc == RC_OK)
        rc = directory_dkim_keys(s, name, a, &used, &n);
    if (rc != RC_OK)
        return rc;
    const struct maker m = {make, ctx, a, used, n};
    for (size_t i = 0; i < N_KINDS; i++)
        pair[i].domain = name;
    rc = RC_EXISTS;
    for (unsigned ending = 0; rc == RC_EXISTS && ending < n + 100; ending++) /* the vault may know some that no row tells of */
        rc = make_pair(&m, ending, pair);
    return rc == RC_OK ? directory_dkim_add(s, pair, N_KINDS) : rc;
}
