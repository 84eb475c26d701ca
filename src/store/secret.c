/* store/secret: random numbers that are made once and kept with the domains (directory_secret). */
#include "crypto/equal.h"
#include "crypto/random.h"
#include "store/directory_internal.h"
#include "store/store_internal.h"

struct secret {
    struct view name;
    uint8_t *out;
};

static enum rc look_at_secret(struct db *db, void *ctx)
{
    struct secret *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT value FROM secret WHERE name = $1", DB_T(x->name));
    if (rc != RC_OK)
        return rc;
    struct view value = db_bytes(q, 0);
    if (value.n == DIRECTORY_SECRET_SIZE)
        memcpy(x->out, value.p, value.n);
    else
        rc = RC_CORRUPT;
    db_done(q);
    return rc;
}

/* Another process may have been first: then its number counts. */
static enum rc make_secret(struct db *db, void *ctx)
{
    struct secret *x = ctx;
    uint8_t fresh[DIRECTORY_SECRET_SIZE];
    random_bytes(fresh, sizeof fresh);
    enum rc rc = db_exec(db, "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", DB_T(x->name),
                         DB_B(view_of(fresh, sizeof fresh)));
    wipe(fresh, sizeof fresh);
    return rc == RC_OK ? look_at_secret(db, x) : rc;
}

enum rc directory_secret(struct store *s, struct view name, uint8_t out[DIRECTORY_SECRET_SIZE])
{
    struct secret x = {name, out};
    enum rc rc = directory_look(s, look_at_secret, &x);
    return rc == RC_NOTFOUND ? directory_txn(s, make_secret, &x) : rc;
}
