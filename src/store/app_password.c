#include "store/app_password.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "store/bus.h"
#include "store/directory_internal.h"

struct order {
    uint64_t account, id;
    struct view name, peer, key_id;
    int scope;
    uint32_t count;
    const struct passkey *key;
    struct arena *a;
    struct app_password *passwords;
    struct passkey *keys;
    size_t n;
    bool found;
    int64_t now_s;
};

static bool is_name(struct view name)
{
    return name.n > 0 && name.n <= APP_PASSWORD_NAME_MAX && utf8_is_valid(name) && !view_has_ctl(name);
}

/* --- application passwords --- */

static enum rc add_password(struct db *db, void *ctx)
{
    struct order *o = ctx;
    return db_exec(db, "INSERT INTO app_password (account, id, name, scope, created_s, used_s, used_peer)"
                       " VALUES ($1, $2, $3, $4, $5, 0, '')",
                   DB_N(o->account), DB_N(o->id), DB_T(o->name), DB_N(o->scope), DB_N(o->now_s));
}

enum rc app_password_add(struct store *s, uint64_t account, uint64_t id, struct view name, int scope)
{
    struct order o = {.account = account, .id = id, .name = name, .scope = scope, .now_s = clock_real_s()};
    return is_name(name) ? directory_txn(s, add_password, &o) : RC_SYNTAX;
}

static enum rc list_passwords(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id, name, scope, created_s, used_s, used_peer FROM app_password WHERE account = $1"
                                  " ORDER BY id", DB_N(o->account));
    o->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(o->a, o->passwords, o->n)) {
            rc = RC_TEMP;
            break;
        }
        struct app_password *p = &o->passwords[o->n++];
        *p = (struct app_password){.id = (uint64_t)db_number(q, 0), .scope = (int)db_number(q, 2), .created_s = db_number(q, 3),
                                   .used_s = db_number(q, 4)};
        rc = db_bytes_dup(q, 1, o->a, &p->name);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 5, o->a, &p->used_peer);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc app_passwords(struct store *s, uint64_t account, struct arena *a, struct app_password **out, size_t *n)
{
    struct order o = {.account = account, .a = a};
    enum rc rc = directory_look(s, list_passwords, &o);
    *out = o.passwords;
    *n = rc == RC_OK ? o.n : 0;
    return rc;
}

static enum rc remove_password(struct db *db, void *ctx)
{
    struct order *o = ctx;
    enum rc rc = db_exec(db, "DELETE FROM app_password WHERE account = $1 AND id = $2", DB_N(o->account), DB_N(o->id));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc app_password_remove(struct store *s, uint64_t account, uint64_t id)
{
    struct order o = {.account = account, .id = id};
    enum rc rc = directory_txn(s, remove_password, &o);
    if (rc == RC_OK)
        bus_publish(s, account, 0);
    return rc;
}

static enum rc look_at_mark(struct db *db, void *ctx)
{
    const struct login_mark *m = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT password_n FROM account WHERE id = $1 AND disabled = 0 AND"
                                  " ($2 = 0 OR EXISTS (SELECT 1 FROM app_password WHERE account = $1 AND id = $2))",
                          DB_N(m->account), DB_N(m->app_password));
    if (rc == RC_OK && m->app_password == 0 && (uint64_t)db_number(q, 0) != m->password_n)
        rc = RC_NOTFOUND;
    db_done(q);
    return rc;
}

enum rc login_mark_look(struct store *s, const struct login_mark *mark)
{
    struct login_mark copy = *mark;
    enum rc rc = directory_look(s, look_at_mark, &copy);
    return rc == RC_NOTFOUND ? RC_DENIED : rc;
}

enum rc directory_end_logins(struct db *db, uint64_t account)
{
    return db_exec(db, "UPDATE account SET password_n = password_n + 1 WHERE id = $1", DB_N(account));
}

static enum rc end_logins(struct db *db, void *ctx)
{
    return directory_end_logins(db, *(const uint64_t *)ctx);
}

enum rc login_mark_end(struct store *s, uint64_t account)
{
    enum rc rc = directory_txn(s, end_logins, &account);
    if (rc == RC_OK)
        bus_publish(s, account, 0);
    return rc;
}

static enum rc look_at_use(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT used_s FROM app_password WHERE account = $1 AND id = $2", DB_N(o->account), DB_N(o->id));
    if (rc == RC_OK)
        o->found = db_number(q, 0) > o->now_s - APP_PASSWORD_USED_S && db_number(q, 0) <= o->now_s;
    db_done(q);
    return rc;
}

static enum rc note_use(struct db *db, void *ctx)
{
    struct order *o = ctx;
    return db_exec(db, "UPDATE app_password SET used_s = $1, used_peer = $2 WHERE account = $3 AND id = $4", DB_N(o->now_s),
                   DB_T(o->peer), DB_N(o->account), DB_N(o->id));
}

enum rc app_password_used(struct store *s, uint64_t account, uint64_t id, struct view peer)
{
    struct order o = {.account = account, .id = id, .peer = peer, .now_s = clock_real_s()};
    enum rc rc = directory_look(s, look_at_use, &o);
    return rc == RC_OK && !o.found ? directory_txn(s, note_use, &o) : rc;
}

/* --- passkeys --- */

static enum rc add_passkey(struct db *db, void *ctx)
{
    struct order *o = ctx;
    const struct passkey *k = o->key;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT count(*) FROM passkey WHERE account = $1", DB_N(k->account));
    if (rc == RC_OK && db_number(q, 0) >= PASSKEYS_MAX)
        rc = RC_LIMIT;
    db_done(q);
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "INSERT INTO passkey (id, account, public_key, rp, name, sign_count, created_s, used_s)"
                       " VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
                   DB_B(k->id), DB_N(k->account), DB_B(k->public_key), DB_T(k->rp), DB_T(k->name), DB_N(k->count), DB_N(o->now_s));
}

enum rc passkey_add(struct store *s, const struct passkey *k)
{
    struct order o = {.key = k, .now_s = clock_real_s()};
    if (!is_name(k->name) || k->id.n == 0 || k->id.n > PASSKEY_ID_MAX || k->public_key.n == 0 || k->public_key.n > PASSKEY_KEY_MAX)
        return RC_SYNTAX;
    return directory_txn(s, add_passkey, &o);
}

#define PASSKEY_COLUMNS "id, account, public_key, rp, name, sign_count, created_s, used_s"

static enum rc take_passkey(struct db_query *q, struct arena *a, struct passkey *k)
{
    *k = (struct passkey){.account = (uint64_t)db_number(q, 1), .count = (uint32_t)db_number(q, 5), .created_s = db_number(q, 6),
                          .used_s = db_number(q, 7)};
    enum rc rc = db_bytes_dup(q, 0, a, &k->id);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 2, a, &k->public_key);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 3, a, &k->rp);
    return rc == RC_OK ? db_bytes_dup(q, 4, a, &k->name) : rc;
}

static enum rc list_passkeys(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT " PASSKEY_COLUMNS " FROM passkey WHERE account = $1 ORDER BY created_s, id", DB_N(o->account));

    o->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = arena_room(o->a, o->keys, o->n) ? take_passkey(q, o->a, &o->keys[o->n++]) : RC_TEMP;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc passkeys(struct store *s, uint64_t account, struct arena *a, struct passkey **out, size_t *n)
{
    struct order o = {.account = account, .a = a};
    enum rc rc = directory_look(s, list_passkeys, &o);
    *out = o.keys;
    *n = rc == RC_OK ? o.n : 0;
    return rc;
}

static enum rc look_for_any(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM passkey WHERE account = $1 LIMIT 1", DB_N(o->account));
    o->found = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc passkey_any(struct store *s, uint64_t account, bool *out)
{
    struct order o = {.account = account};
    enum rc rc = directory_look(s, look_for_any, &o);
    *out = o.found;
    return rc;
}

static enum rc look_for_passkey(struct db *db, void *ctx)
{
    struct order *o = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " PASSKEY_COLUMNS " FROM passkey WHERE id = $1", DB_B(o->key_id));
    if (rc == RC_OK)
        rc = take_passkey(q, o->a, o->keys);
    db_done(q);
    return rc;
}

enum rc passkey_find(struct store *s, struct view id, struct arena *a, struct passkey *out)
{
    struct order o = {.key_id = id, .a = a, .keys = out};
    return directory_look(s, look_for_passkey, &o);
}

static enum rc use_passkey(struct db *db, void *ctx)
{
    struct order *o = ctx;
    return db_exec(db, "UPDATE passkey SET sign_count = $1, used_s = $2 WHERE id = $3", DB_N(o->count), DB_N(o->now_s), DB_B(o->key_id));
}

enum rc passkey_used(struct store *s, struct view id, uint32_t count)
{
    struct order o = {.key_id = id, .count = count, .now_s = clock_real_s()};
    return directory_txn(s, use_passkey, &o);
}

static enum rc remove_passkey(struct db *db, void *ctx)
{
    struct order *o = ctx;
    enum rc rc = db_exec(db, "DELETE FROM passkey WHERE account = $1 AND id = $2", DB_N(o->account), DB_B(o->key_id));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc passkey_remove(struct store *s, uint64_t account, struct view id)
{
    struct order o = {.account = account, .key_id = id};
    return directory_txn(s, remove_passkey, &o);
}

static enum rc remove_passkeys(struct db *db, void *ctx)
{
    struct order *o = ctx;
    return db_exec(db, "DELETE FROM passkey WHERE account = $1", DB_N(o->account));
}

enum rc passkey_remove_all(struct store *s, uint64_t account)
{
    struct order o = {.account = account};
    return directory_txn(s, remove_passkeys, &o);
}

static enum rc use_challenge(struct db *db, void *ctx)
{
    struct order *o = ctx;
    enum rc rc = db_exec(db, "DELETE FROM passkey_challenge WHERE until_s < $1", DB_N(clock_real_s()));
    return rc == RC_OK ? db_exec(db, "INSERT INTO passkey_challenge (mac, until_s) VALUES ($1, $2)", DB_B(o->key_id), DB_N(o->now_s)) : rc;
}

enum rc passkey_challenge_used(struct store *s, struct view mac, int64_t until_s)
{
    struct order o = {.key_id = mac, .now_s = until_s};
    return directory_txn(s, use_challenge, &o);
}
