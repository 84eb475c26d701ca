#include "store/alert.h"

#include "store/directory_internal.h"

struct question {
    const struct alert *alert;
    const struct alert_wanted *wanted;
    struct view kind, domain, what, subject;
    int64_t now_s, since_s;
    uint64_t id;
    int mark;
    unsigned left;
    bool flag;
    struct arena *a;
    struct alert *out;
    size_t max, n;
    struct view text;
};

#define COLUMNS "id, kind, domain, subject, en, fr, repair_en, repair_fr, first_s, last_s, told_s, silenced_s, closed_s, hook_left"

static enum rc take_alert(struct db_query *q, struct arena *a, struct alert *out)
{
    struct view *texts[] = {&out->kind, &out->domain, &out->subject, &out->text[LANG_EN], &out->text[LANG_FR], &out->repair[LANG_EN],
                            &out->repair[LANG_FR]};
    enum rc rc = RC_OK;
    out->id = (uint64_t)db_number(q, 0);
    for (int i = 0; i < 7 && rc == RC_OK; i++)
        rc = db_bytes_dup(q, i + 1, a, texts[i]);
    out->first_s = db_number(q, 8);
    out->last_s = db_number(q, 9);
    out->told_s = db_number(q, 10);
    out->silenced_s = db_number(q, 11);
    out->closed_s = db_number(q, 12);
    out->hook_left = (unsigned)db_number(q, 13);
    return rc;
}

/* Takes rows until the end. */
static enum rc take_alerts(struct question *x, struct db_query *q, enum rc rc)
{
    while (rc == RC_OK && x->n < x->max && (rc = db_next(q)) == RC_OK)
        rc = take_alert(q, x->a, &x->out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc see(struct db *db, void *ctx)
{
    struct question *x = ctx;
    const struct alert *v = x->alert;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT id, closed_s FROM alert WHERE kind = $1 AND domain = $2 AND subject = $3 ORDER BY id DESC LIMIT 1",
                          DB_T(v->kind), DB_T(v->domain), DB_T(v->subject));
    const int64_t id = rc == RC_OK ? db_number(q, 0) : 0, closed_s = rc == RC_OK ? db_number(q, 1) : 0;
    db_done(q);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    x->flag = rc == RC_NOTFOUND || closed_s != 0;
    if (rc == RC_OK && (closed_s == 0 || closed_s > x->now_s - ALERT_AGAIN_S))
        return db_exec(db, "UPDATE alert SET en = $1, fr = $2, repair_en = $3, repair_fr = $4, last_s = $5, closed_s = 0 WHERE id = $6",
                       DB_T(v->text[LANG_EN]), DB_T(v->text[LANG_FR]), DB_T(v->repair[LANG_EN]), DB_T(v->repair[LANG_FR]), DB_N(x->now_s), DB_N(id));
    return db_exec(db,
                   "INSERT INTO alert (" COLUMNS ") SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $8, 0, 0, 0, $9 FROM alert",
                   DB_T(v->kind), DB_T(v->domain), DB_T(v->subject), DB_T(v->text[LANG_EN]), DB_T(v->text[LANG_FR]), DB_T(v->repair[LANG_EN]),
                   DB_T(v->repair[LANG_FR]), DB_N(x->now_s), DB_N(ALERT_HOOK_TRIES));
}

static enum rc close_old(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db, "UPDATE alert SET closed_s = $1 WHERE kind = $2 AND domain = $3 AND closed_s = 0 AND last_s < $4", DB_N(x->now_s),
                   DB_T(x->kind), DB_T(x->domain), DB_N(x->since_s));
}

static enum rc read_untold(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    x->n = 0;
    enum rc rc = db_query(db, &q,
                          "SELECT " COLUMNS " FROM alert WHERE closed_s = 0 AND silenced_s <= $1"
                          " AND (($2 = 1 AND told_s = 0) OR ($3 = 1 AND hook_left > 0)) ORDER BY id LIMIT $4",
                          DB_N(x->wanted->now_s), DB_N(x->wanted->by_mail), DB_N(x->wanted->by_hook), DB_N(x->max));
    return take_alerts(x, q, rc);
}

static enum rc tell(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db, "UPDATE alert SET told_s = $1 WHERE id = $2", DB_N(x->now_s), DB_N(x->id));
}

static enum rc hook(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db, "UPDATE alert SET hook_left = $1 WHERE id = $2", DB_N(x->left), DB_N(x->id));
}

static enum rc read_list(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    x->n = 0;
    enum rc rc = db_query(db, &q,
                          "SELECT " COLUMNS " FROM alert WHERE ($1 = '' OR domain = $1) AND ($2 = 0 OR closed_s = 0) ORDER BY id DESC LIMIT $3",
                          DB_T(x->domain), DB_N(x->flag), DB_N(x->max));
    return take_alerts(x, q, rc);
}

static enum rc count(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT COUNT(*) FROM alert WHERE ($1 = '' OR domain = $1) AND closed_s = 0 AND silenced_s <= $2", DB_T(x->domain),
                          DB_N(x->now_s));
    x->n = rc == RC_OK ? (size_t)db_number(q, 0) : 0;
    db_done(q);
    return rc;
}

static enum rc read_one(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT " COLUMNS " FROM alert WHERE id = $1", DB_N(x->id));
    if (rc == RC_OK)
        rc = take_alert(q, x->a, x->out);
    db_done(q);
    return rc;
}

static enum rc silence(struct db *db, void *ctx)
{
    struct question *x = ctx;
    enum rc rc = x->since_s > 0 ? db_exec(db, "UPDATE alert SET silenced_s = $1 WHERE id = $2", DB_N(x->since_s), DB_N(x->id))
                                : db_exec(db, "UPDATE alert SET silenced_s = 0, told_s = 0, hook_left = $1 WHERE id = $2", DB_N(ALERT_HOOK_TRIES),
                                          DB_N(x->id));
    return rc == RC_OK && db_changed(db) == 0 ? RC_NOTFOUND : rc;
}

static enum rc read_known(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT mark FROM alert_known WHERE domain = $1 AND what = $2 AND subject = $3", DB_T(x->domain), DB_T(x->what),
                          DB_T(x->subject));
    x->mark = rc == RC_OK ? (int)db_number(q, 0) : 0;
    db_done(q);
    return rc;
}

static enum rc know(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db,
                   "INSERT INTO alert_known (domain, what, subject, mark, seen_s) VALUES ($1, $2, $3, $4, $5)"
                   " ON CONFLICT (domain, what, subject) DO UPDATE SET mark = $4, seen_s = $5",
                   DB_T(x->domain), DB_T(x->what), DB_T(x->subject), DB_N(x->mark), DB_N(x->now_s));
}

static enum rc forget(struct db *db, void *ctx)
{
    struct question *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM alert WHERE closed_s > 0 AND closed_s < $1", DB_N(x->now_s - ALERT_KEEP_S));
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE alert SET closed_s = $1 WHERE closed_s = 0 AND domain <> '' AND domain NOT IN (SELECT name FROM domain)", DB_N(x->now_s));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM alert_known WHERE domain NOT IN (SELECT name FROM domain)");
    return rc;
}

static enum rc read_settings(struct db *db, void *ctx)
{
    struct question *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT value FROM alert_setting WHERE one = 1");
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, &x->text);
    db_done(q);
    return rc;
}

static enum rc write_settings(struct db *db, void *ctx)
{
    struct question *x = ctx;
    return db_exec(db, "INSERT INTO alert_setting (one, value) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET value = $1", DB_T(x->text));
}

enum rc alert_see(struct store *s, const struct alert *alert, int64_t now_s, bool *is_new)
{
    struct question x = {.alert = alert, .now_s = now_s};
    enum rc rc = directory_txn(s, see, &x);
    *is_new = rc == RC_OK && x.flag;
    return rc;
}

enum rc alert_close(struct store *s, struct view kind, struct view domain, int64_t since_s, int64_t now_s)
{
    struct question x = {.kind = kind, .domain = domain, .since_s = since_s, .now_s = now_s};
    return directory_txn(s, close_old, &x);
}

static enum rc ask_list(struct store *s, db_fn fn, struct question *x, struct alert **out, size_t *n)
{
    *out = x->out = arena_new_array(x->a, x->max, struct alert);
    enum rc rc = x->out ? directory_look(s, fn, x) : RC_TEMP;
    *n = rc == RC_OK ? x->n : 0;
    return rc;
}

enum rc alert_untold(struct store *s, const struct alert_wanted *wanted, size_t max, struct arena *a, struct alert **out, size_t *n)
{
    struct question x = {.wanted = wanted, .max = max, .a = a};
    return ask_list(s, read_untold, &x, out, n);
}

enum rc alert_told(struct store *s, uint64_t id, int64_t now_s)
{
    struct question x = {.id = id, .now_s = now_s};
    return directory_txn(s, tell, &x);
}

enum rc alert_hooked(struct store *s, uint64_t id, unsigned left)
{
    struct question x = {.id = id, .left = left};
    return directory_txn(s, hook, &x);
}

enum rc alert_list(struct store *s, struct view domain, bool only_open, size_t max, struct arena *a, struct alert **out, size_t *n)
{
    struct question x = {.domain = domain, .flag = only_open, .max = max, .a = a};
    return ask_list(s, read_list, &x, out, n);
}

enum rc alert_count(struct store *s, struct view domain, int64_t now_s, uint64_t *out)
{
    struct question x = {.domain = domain, .now_s = now_s};
    enum rc rc = directory_look(s, count, &x);
    *out = x.n;
    return rc;
}

enum rc alert_get(struct store *s, uint64_t id, struct arena *a, struct alert *out)
{
    struct question x = {.id = id, .a = a, .out = out};
    return directory_look(s, read_one, &x);
}

enum rc alert_silence(struct store *s, uint64_t id, int64_t until_s)
{
    struct question x = {.id = id, .since_s = until_s};
    return directory_txn(s, silence, &x);
}

enum rc alert_known(struct store *s, struct view domain, struct view what, struct view subject, int *mark)
{
    struct question x = {.domain = domain, .what = what, .subject = subject};
    enum rc rc = directory_look(s, read_known, &x);
    *mark = x.mark;
    return rc;
}

enum rc alert_know(struct store *s, struct view domain, struct view what, struct view subject, int mark, int64_t now_s)
{
    struct question x = {.domain = domain, .what = what, .subject = subject, .mark = mark, .now_s = now_s};
    return directory_txn(s, know, &x);
}

enum rc alert_forget(struct store *s, int64_t now_s)
{
    struct question x = {.now_s = now_s};
    return directory_txn(s, forget, &x);
}

enum rc alert_settings_get(struct store *s, struct arena *a, struct view *json)
{
    struct question x = {.a = a};
    enum rc rc = directory_look(s, read_settings, &x);
    *json = x.text;
    return rc;
}

enum rc alert_settings_put(struct store *s, struct view json)
{
    struct question x = {.text = json};
    return json.n > ALERT_SETTINGS_MAX ? RC_LIMIT : directory_txn(s, write_settings, &x);
}
