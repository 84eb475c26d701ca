#include "store/session.h"

#include "base/clock.h"
#include "crypto/random.h"
#include "store/bus.h"
#include "store/directory_internal.h"
#include "store/store_internal.h"

struct ask {
    struct view hash, peer, agent;
    uint64_t account, id;
    const struct session_terms *terms;
    int64_t now_s;
    struct arena *a;
    struct session_row *row;
    struct directory_account *who;
    bool is_stale; /* seen_s wants to be written */
    size_t n;
};

static struct view hash_view(const uint8_t hash[SESSION_HASH])
{
    return view_of(hash, SESSION_HASH);
}

/* --- sessions --- */

static enum rc insert_session(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM web_session WHERE account = $1 AND id NOT IN (SELECT id FROM web_session WHERE account = $1"
                             " ORDER BY seen_s DESC, id LIMIT $2)",
                         DB_N(x->account), DB_N(SESSIONS_MAX - 1));
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "INSERT INTO web_session (id, token, account, peer, agent, created_s, seen_s) VALUES ($1, $2, $3, $4, $5, $6, $6)",
                   DB_N(x->id), DB_B(x->hash), DB_N(x->account), DB_T(x->peer), DB_T(x->agent), DB_N(x->now_s));
}

enum rc session_open(struct store *s, const uint8_t hash[SESSION_HASH], uint64_t account, struct view peer, struct view agent,
                     uint64_t *id)
{
    struct ask x = {.hash = hash_view(hash), .peer = peer, .agent = view_slice(agent, 0, SESSION_AGENT_MAX), .account = account,
                    .id = random_u64() >> 1, .now_s = clock_real_s()};
    *id = x.id;
    return directory_txn(s, insert_session, &x);
}

static bool has_ended(const struct session_terms *t, int64_t now_s, int64_t created_s, int64_t seen_s)
{
    return now_s - seen_s > t->idle_s || now_s - created_s > t->longest_s;
}

/* One look for both: each request of each page asks. */
static enum rc find_session(struct db *db, void *ctx)
{
    struct ask *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q,
                          "SELECT s.id, s.account, s.peer, s.agent, s.created_s, s.seen_s, a.address, a.role, a.created_s, a.quota,"
                          " a.disabled, a.language FROM web_session s, account a WHERE s.token = $1 AND a.id = s.account",
                          DB_B(x->hash));
    if (rc != RC_OK)
        return rc;
    *x->row = (struct session_row){.id = (uint64_t)db_number(q, 0), .account = (uint64_t)db_number(q, 1), .created_s = db_number(q, 4),
                                   .seen_s = db_number(q, 5)};
    *x->who = (struct directory_account){.id = x->row->account, .role = (enum directory_role)db_number(q, 7), .created_s = db_number(q, 8),
                                         .quota = (uint64_t)db_number(q, 9), .disabled = db_number(q, 10) != 0};
    if (x->who->disabled || has_ended(x->terms, x->now_s, x->row->created_s, x->row->seen_s))
        rc = RC_NOTFOUND;
    x->is_stale = x->now_s - x->row->seen_s >= SESSION_SEEN_S;
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 2, x->a, &x->row->peer);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 3, x->a, &x->row->agent);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 6, x->a, &x->who->address);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 11, x->a, &x->who->language);
    db_done(q);
    return rc;
}

static enum rc update_seen(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    return db_exec(db, "UPDATE web_session SET seen_s = $1, peer = $2 WHERE id = $3", DB_N(x->now_s), DB_T(x->peer), DB_N(x->row->id));
}

enum rc session_find(struct store *s, const uint8_t hash[SESSION_HASH], const struct session_terms *terms, struct view peer,
                     struct arena *a, struct session_row *out, struct directory_account *account)
{
    struct ask x = {.hash = hash_view(hash), .terms = terms, .peer = peer, .now_s = clock_real_s(), .a = a, .row = out, .who = account};
    enum rc rc = directory_look(s, find_session, &x);
    if (rc == RC_OK && x.is_stale)
        rc = directory_txn(s, update_seen, &x);
    return rc;
}

static enum rc list_sessions(struct db *db, void *ctx)
{
    struct ask *x = ctx;
    struct db_query *q;
    enum rc rc = db_query(db, &q, "SELECT id, peer, agent, created_s, seen_s FROM web_session WHERE account = $1 ORDER BY created_s DESC, id",
                          DB_N(x->account));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && x->n < SESSIONS_MAX) {
        struct session_row *r = &x->row[x->n];
        *r = (struct session_row){.id = (uint64_t)db_number(q, 0), .account = x->account, .created_s = db_number(q, 3), .seen_s = db_number(q, 4)};
        if (has_ended(x->terms, x->now_s, r->created_s, r->seen_s))
            continue;
        rc = db_bytes_dup(q, 1, x->a, &r->peer);
        if (rc == RC_OK)
            rc = db_bytes_dup(q, 2, x->a, &r->agent);
        x->n++;
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc session_list(struct store *s, uint64_t account, const struct session_terms *terms, struct arena *a, struct session_row **out,
                     size_t *n)
{
    struct ask x = {.account = account, .terms = terms, .now_s = clock_real_s(), .a = a};
    x.row = arena_new_array(a, SESSIONS_MAX, struct session_row);
    enum rc rc = x.row ? directory_look(s, list_sessions, &x) : RC_TEMP;
    *out = x.row;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

static enum rc delete_session(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM web_session WHERE account = $1 AND id = $2", DB_N(x->account), DB_N(x->id));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

enum rc session_close(struct store *s, uint64_t account, uint64_t id)
{
    struct ask x = {.account = account, .id = id};
    return directory_txn(s, delete_session, &x);
}

enum rc directory_end_sessions(struct db *db, uint64_t account, uint64_t except)
{
    enum rc rc = db_exec(db, "DELETE FROM web_session WHERE account = $1 AND id <> $2", DB_N(account), DB_N(except));
    return rc == RC_OK ? db_exec(db, "DELETE FROM web_link WHERE account = $1", DB_N(account)) : rc;
}

static enum rc delete_sessions(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    enum rc rc = directory_end_sessions(db, x->account, x->id);
    return rc == RC_OK ? directory_end_logins(db, x->account) : rc;
}

enum rc session_close_all(struct store *s, uint64_t account, uint64_t except)
{
    struct ask x = {.account = account, .id = except};
    enum rc rc = directory_txn(s, delete_sessions, &x);
    if (rc == RC_OK)
        bus_publish(s, account, 0);
    return rc;
}

static enum rc delete_ended(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM web_session WHERE seen_s < $1 OR created_s < $2", DB_N(x->now_s - x->terms->idle_s),
                         DB_N(x->now_s - x->terms->longest_s));
    return rc == RC_OK ? db_exec(db, "DELETE FROM web_link WHERE made_s < $1", DB_N(x->now_s - SESSION_LINK_S)) : rc;
}

enum rc session_forget(struct store *s, const struct session_terms *terms)
{
    struct ask x = {.terms = terms, .now_s = clock_real_s()};
    return directory_txn(s, delete_ended, &x);
}

/* --- links --- */

static enum rc insert_link(struct db *db, void *ctx)
{
    const struct ask *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM web_link WHERE account = $1", DB_N(x->account));
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "INSERT INTO web_link (token, account, made_s) VALUES ($1, $2, $3)", DB_B(x->hash), DB_N(x->account), DB_N(x->now_s));
}

enum rc session_link_add(struct store *s, const uint8_t hash[SESSION_HASH], uint64_t account)
{
    struct ask x = {.hash = hash_view(hash), .account = account, .now_s = clock_real_s()};
    return directory_txn(s, insert_link, &x);
}

static enum rc take_link(struct db *db, void *ctx)
{
    struct ask *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT account, made_s FROM web_link WHERE token = $1", DB_B(x->hash));
    if (rc != RC_OK)
        return rc;
    x->account = (uint64_t)db_number(q, 0);
    bool is_old = x->now_s - db_number(q, 1) > SESSION_LINK_S;
    db_done(q);
    if (is_old)
        return RC_NOTFOUND;
    return db_exec(db, "DELETE FROM web_link WHERE token = $1", DB_B(x->hash));
}

enum rc session_link_take(struct store *s, const uint8_t hash[SESSION_HASH], struct arena *a, struct directory_account *account)
{
    struct ask x = {.hash = hash_view(hash), .now_s = clock_real_s()};
    enum rc rc = directory_txn(s, take_link, &x);
    if (rc == RC_OK)
        rc = directory_account_by_id(s, x.account, a, account);
    return rc == RC_OK && account->disabled ? RC_DENIED : rc;
}
