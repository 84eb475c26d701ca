#include "store/seen.h"

#include "crypto/random.h"
#include "store/seen_internal.h"
#include "store/store_internal.h"

#define COUNT_DAYS  3  /* counts of mails are kept so long */
#define PAUSE_DAYS  60 /* a bounce is forgotten after so long */

static enum rc look(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->seen->mutex);
    enum rc rc = db_look(s->seen->db, fn, ctx);
    pthread_mutex_unlock(&s->seen->mutex);
    return rc;
}

static enum rc change(struct store *s, db_fn fn, void *ctx)
{
    pthread_mutex_lock(&s->seen->mutex);
    enum rc rc = db_txn(s->seen->db, fn, ctx);
    pthread_mutex_unlock(&s->seen->mutex);
    return rc;
}

static int64_t day_of(int64_t time_s)
{
    return time_s - time_s % SEEN_DAY_S;
}

/* The first number of a row; RC_NOTFOUND: none. */
static enum rc take_number(struct db_query *q, enum rc rc, int64_t *out)
{
    if (rc == RC_OK)
        *out = db_number(q, 0);
    db_done(q);
    return rc;
}

/* --- collecting --- */

struct adding {
    enum seen_kind kind;
    const struct seen_add *rows;
    size_t n;
    uint64_t max_rows, max_reports, lost;
};

#define REPORTS_BEGUN "reports begun"

static enum rc add_count(struct db *db, int64_t day, struct view name)
{
    return db_exec(db, "INSERT INTO seen_count (day_s, name, n) VALUES ($1, $2, 1) ON CONFLICT (day_s, name)"
                       " DO UPDATE SET n = seen_count.n + 1", DB_N(day), DB_T(name));
}

static enum rc read_count(struct db *db, int64_t day, struct view name, int64_t *out)
{
    struct db_query *q;
    *out = 0;
    enum rc rc = db_first(db, &q, "SELECT n FROM seen_count WHERE day_s = $1 AND name = $2", DB_N(day), DB_T(name));
    rc = take_number(q, rc, out);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* The report that collects for this domain on this day, made where there is none. RC_LIMIT: too many. */
static enum rc open_report(struct db *db, const struct adding *x, const struct seen_add *r, int64_t *id)
{
    const enum seen_kind kind = x->kind;
    struct db_query *q;
    int64_t day = day_of(r->time_s), begin = day, begun = 0;
    enum rc rc = db_first(db, &q, "SELECT id FROM seen_report WHERE kind = $1 AND day_s = $2 AND domain = $3 AND end_s = 0",
                          DB_N(kind), DB_N(day), DB_T(r->domain));
    rc = take_number(q, rc, id);
    if (rc != RC_NOTFOUND)
        return rc;
    rc = db_first(db, &q, "SELECT MAX(end_s) FROM seen_report WHERE kind = $1 AND day_s = $2 AND domain = $3", DB_N(kind),
                  DB_N(day), DB_T(r->domain));
    int64_t last = 0;
    rc = take_number(q, rc, &last);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    if (last >= begin)
        begin = last + 1;
    rc = read_count(db, day, VIEW(REPORTS_BEGUN), &begun);
    if (rc == RC_OK && (uint64_t)begun >= x->max_reports)
        return RC_LIMIT;
    if (rc == RC_OK)
        rc = add_count(db, day, VIEW(REPORTS_BEGUN));
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO seen_report (kind, day_s, domain, policy, begin_s, end_s, messages, bad, n_rows, dropped, due_s,"
                     " tries, finished_s, note) VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, $6, 0, 0, '')",
                 DB_N(kind), DB_N(day), DB_T(r->domain), DB_T(r->policy), DB_N(begin), DB_N(r->due_s));
    if (rc != RC_OK)
        return rc;
    rc = db_first(db, &q, "SELECT id FROM seen_report WHERE kind = $1 AND day_s = $2 AND domain = $3 AND end_s = 0", DB_N(kind),
                  DB_N(day), DB_T(r->domain));
    return take_number(q, rc, id);
}

static enum rc add_row(struct db *db, struct adding *x, const struct seen_add *r)
{
    int64_t id = 0, fresh = 0, dropped = 0;
    enum rc rc = open_report(db, x, r, &id);
    if (rc == RC_LIMIT) {
        x->lost += r->n;
        return RC_OK;
    }
    const struct view key = view_of(r->key, sizeof r->key);
    if (rc == RC_OK)
        rc = db_exec(db, "UPDATE seen_row SET n = n + $1 WHERE report = $2 AND key = $3", DB_N(r->n), DB_N(id), DB_B(key));
    if (rc == RC_OK && db_changed(db) == 0) {
        rc = db_exec(db, "INSERT INTO seen_row (report, key, n, data) SELECT $1, $2, $3, $4 FROM seen_report WHERE id = $1 AND n_rows < $5",
                     DB_N(id), DB_B(key), DB_N(r->n), DB_B(r->row), DB_N(x->max_rows));
        fresh = rc == RC_OK && db_changed(db) > 0;
        dropped = fresh ? 0 : (int64_t)r->n;
    }
    if (rc != RC_OK)
        return rc;
    return db_exec(db, "UPDATE seen_report SET policy = $1, messages = messages + $2, bad = bad + $3, n_rows = n_rows + $4,"
                       " dropped = dropped + $5 WHERE id = $6",
                   DB_T(r->policy), DB_N(r->n), DB_N(r->n_bad), DB_N(fresh), DB_N(dropped), DB_N(id));
}

static enum rc add_rows(struct db *db, void *ctx)
{
    struct adding *x = ctx;
    enum rc rc = RC_OK;
    x->lost = 0;
    for (size_t i = 0; i < x->n && rc == RC_OK; i++)
        rc = add_row(db, x, &x->rows[i]);
    return rc;
}

enum rc seen_add(struct store *s, enum seen_kind kind, const struct seen_add *rows, size_t n, uint64_t max_rows, uint64_t max_reports,
                 uint64_t *lost)
{
    struct adding x = {.kind = kind, .rows = rows, .n = n, .max_rows = max_rows, .max_reports = max_reports};
    enum rc rc = n == 0 ? RC_OK : change(s, add_rows, &x);
    *lost = x.lost;
    return rc;
}

/* --- reports --- */

struct sealing {
    int64_t day_s, now_s;
    uint64_t n;
};

/* What is wanted now is due now. */
static enum rc seal(struct db *db, void *ctx)
{
    struct sealing *x = ctx;
    x->n = 0;
    enum rc rc = db_exec(db, "UPDATE seen_report SET end_s = day_s + 86399 WHERE end_s = 0 AND day_s <= $1", DB_N(x->now_s - SEEN_DAY_S));
    if (rc != RC_OK)
        return rc;
    x->n = (uint64_t)db_changed(db);
    if (x->day_s <= 0)
        return RC_OK;
    rc = db_exec(db, "UPDATE seen_report SET end_s = CASE WHEN begin_s > $1 THEN begin_s ELSE $1 END WHERE end_s = 0 AND day_s = $2",
                 DB_N(x->now_s), DB_N(x->day_s));
    if (rc != RC_OK)
        return rc;
    x->n += (uint64_t)db_changed(db);
    return db_exec(db, "UPDATE seen_report SET due_s = $1 WHERE finished_s = 0 AND day_s = $2 AND due_s > $1", DB_N(x->now_s),
                   DB_N(x->day_s));
}

static enum rc look_for_unsealed(struct db *db, void *ctx)
{
    struct sealing *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM seen_report WHERE end_s = 0 AND day_s <= $1 LIMIT 1", DB_N(x->now_s - SEEN_DAY_S));
    x->n = rc == RC_OK;
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc seen_seal(struct store *s, int64_t day_s, int64_t now_s, uint64_t *n)
{
    struct sealing x = {.day_s = day_s, .now_s = now_s};
    enum rc rc = day_s > 0 ? RC_OK : look(s, look_for_unsealed, &x); /* asked often, and mostly in vain: no transaction for that */
    if (rc == RC_OK && (day_s > 0 || x.n > 0))
        rc = change(s, seal, &x);
    *n = x.n;
    return rc;
}

struct listing {
    bool due;
    enum seen_kind kind;
    int64_t now_s;
    uint64_t after;
    size_t max, n;
    struct arena *a;
    struct seen_report *out;
};

#define REPORT_COLUMNS "id, kind, domain, policy, begin_s, end_s, messages, bad, n_rows, dropped, due_s, tries, finished_s, note"

static enum rc take_report(struct db_query *q, struct arena *a, struct seen_report *r)
{
    *r = (struct seen_report){.id = (uint64_t)db_number(q, 0),
                              .kind = (enum seen_kind)db_number(q, 1),
                              .begin_s = db_number(q, 4),
                              .end_s = db_number(q, 5),
                              .messages = (uint64_t)db_number(q, 6),
                              .bad = (uint64_t)db_number(q, 7),
                              .rows = (uint64_t)db_number(q, 8),
                              .dropped = (uint64_t)db_number(q, 9),
                              .due_s = db_number(q, 10),
                              .tries = (unsigned)db_number(q, 11),
                              .finished_s = db_number(q, 12)};
    enum rc rc = db_bytes_dup(q, 2, a, &r->domain);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 3, a, &r->policy);
    if (rc == RC_OK)
        rc = db_bytes_dup(q, 13, a, &r->note);
    return rc;
}

static enum rc list_reports(struct db *db, void *ctx)
{
    struct listing *x = ctx;
    struct db_query *q = NULL;
    enum rc rc;
    x->n = 0;
    if (x->due)
        rc = db_query(db, &q, "SELECT " REPORT_COLUMNS " FROM seen_report WHERE finished_s = 0 AND end_s > 0 AND due_s <= $1"
                              " AND kind = $2 ORDER BY due_s, id LIMIT $3", DB_N(x->now_s), DB_N(x->kind), DB_N(x->max));
    else
        rc = db_query(db, &q, "SELECT " REPORT_COLUMNS " FROM seen_report WHERE id > $1 ORDER BY id LIMIT $2", DB_N(x->after),
                      DB_N(x->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = take_report(q, x->a, &x->out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc ask_reports(struct store *s, struct listing *x, struct seen_report **out, size_t *n)
{
    *out = x->out = arena_new_array(x->a, x->max, struct seen_report);
    *n = 0;
    if (!x->out)
        return RC_TEMP;
    enum rc rc = look(s, list_reports, x);
    *n = rc == RC_OK ? x->n : 0;
    return rc;
}

enum rc seen_due(struct store *s, enum seen_kind kind, int64_t now_s, size_t max, struct arena *a, struct seen_report **out, size_t *n)
{
    struct listing x = {.due = true, .kind = kind, .now_s = now_s, .max = max, .a = a};
    return ask_reports(s, &x, out, n);
}

enum rc seen_reports(struct store *s, uint64_t after, size_t max, struct arena *a, struct seen_report **out, size_t *n)
{
    struct listing x = {.after = after, .max = max, .a = a};
    return ask_reports(s, &x, out, n);
}

struct row_listing {
    uint64_t report;
    struct view after;
    size_t max, n;
    struct arena *a;
    struct seen_row *out;
};

static enum rc list_rows(struct db *db, void *ctx)
{
    struct row_listing *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT key, n, data FROM seen_row WHERE report = $1 AND key > $2 ORDER BY key LIMIT $3",
                          DB_N(x->report), DB_B(x->after), DB_N(x->max));
    x->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        struct seen_row *row = &x->out[x->n++];
        struct view key = db_bytes(q, 0);
        if (key.n != sizeof row->key) {
            rc = RC_CORRUPT;
            break;
        }
        memcpy(row->key, key.p, sizeof row->key);
        row->n = (uint64_t)db_number(q, 1);
        rc = db_bytes_dup(q, 2, x->a, &row->row);
    }
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc seen_rows(struct store *s, uint64_t report, const uint8_t *after, size_t max, struct arena *a, struct seen_row **out, size_t *n)
{
    struct row_listing x = {.report = report, .after = view_of(after, after ? SEEN_KEY_SIZE : 0), .max = max, .a = a};
    *out = x.out = arena_new_array(a, max, struct seen_row);
    *n = 0;
    if (!x.out)
        return RC_TEMP;
    enum rc rc = look(s, list_rows, &x);
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

struct finishing {
    uint64_t report;
    int64_t now_s, later_s;
    struct view note;
};

static enum rc finish(struct db *db, void *ctx)
{
    const struct finishing *x = ctx;
    if (x->later_s > 0)
        return db_exec(db, "UPDATE seen_report SET due_s = $1, tries = tries + 1, note = $2 WHERE id = $3", DB_N(x->later_s),
                       DB_T(x->note), DB_N(x->report));
    return db_exec(db, "UPDATE seen_report SET finished_s = $1, note = $2 WHERE id = $3", DB_N(x->now_s), DB_T(x->note),
                   DB_N(x->report));
}

enum rc seen_finish(struct store *s, uint64_t report, int64_t now_s, int64_t later_s, struct view note)
{
    struct finishing x = {report, now_s, later_s, note};
    return change(s, finish, &x);
}

#define FORGET_ROWS "500" /* in one transaction */

struct forgetting {
    int64_t before;
    bool more;
};

static enum rc forget(struct db *db, void *ctx)
{
    struct forgetting *x = ctx;
    struct db_query *q;
    int64_t id = 0, day = 0;
    enum rc rc = db_first(db, &q, "SELECT id, day_s FROM seen_report ORDER BY id LIMIT 1"); /* the oldest has the lowest */
    if (rc == RC_OK) {
        id = db_number(q, 0);
        day = db_number(q, 1);
        db_done(q);
        if (day >= x->before)
            rc = RC_NOTFOUND;
    }
    x->more = rc == RC_OK;
    if (rc == RC_NOTFOUND) {
        rc = db_exec(db, "DELETE FROM seen_count WHERE day_s < $1", DB_N(x->before - COUNT_DAYS * SEEN_DAY_S));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM seen_mail WHERE report = 0 AND sent_s < $1", DB_N(x->before));
        return rc != RC_OK ? rc : db_exec(db, "DELETE FROM seen_pause WHERE until_s < $1", DB_N(x->before - PAUSE_DAYS * SEEN_DAY_S));
    }
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM seen_row WHERE report = $1 AND key IN (SELECT key FROM seen_row WHERE report = $1 ORDER BY key"
                         " LIMIT " FORGET_ROWS ")", DB_N(id));
    if (rc != RC_OK || db_changed(db) > 0)
        return rc;
    rc = db_exec(db, "DELETE FROM seen_mail WHERE report = $1", DB_N(id));
    return rc == RC_OK ? db_exec(db, "DELETE FROM seen_report WHERE id = $1", DB_N(id)) : rc;
}

enum rc seen_forget(struct store *s, int64_t before_s)
{
    struct forgetting x = {.before = before_s, .more = true};
    enum rc rc = RC_OK;
    while (rc == RC_OK && x.more)
        rc = change(s, forget, &x);
    return rc;
}

/* --- mails --- */

struct counting {
    uint64_t report;
    struct view address;
    int64_t now_s;
    const struct seen_cap *caps;
    size_t n, which;
};

static enum rc count_mail(struct db *db, void *ctx)
{
    struct counting *x = ctx;
    int64_t day = day_of(x->now_s);
    for (size_t i = 0; i < x->n; i++) {
        int64_t n;
        enum rc rc = read_count(db, day, x->caps[i].name, &n);
        if (rc != RC_OK)
            return rc;
        x->which = i;
        if ((uint64_t)n >= x->caps[i].max)
            return RC_LIMIT;
    }
    if (x->report > 0) {
        enum rc rc = db_exec(db, "INSERT INTO seen_mail (report, address, sent_s) VALUES ($1, $2, $3) ON CONFLICT (report, address) DO NOTHING",
                             DB_N(x->report), DB_T(x->address), DB_N(x->now_s));
        if (rc != RC_OK)
            return rc;
        if (db_changed(db) == 0)
            return RC_EXISTS;
    } else {
        enum rc rc = db_exec(db, "INSERT INTO seen_mail (report, address, sent_s) VALUES (0, $1, $2) ON CONFLICT (report, address)"
                                 " DO UPDATE SET sent_s = $2", DB_T(x->address), DB_N(x->now_s));
        if (rc != RC_OK)
            return rc;
    }
    for (size_t i = 0; i < x->n; i++) {
        enum rc rc = add_count(db, day, x->caps[i].name);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc seen_count_mail(struct store *s, uint64_t report, struct view address, int64_t now_s, const struct seen_cap *caps, size_t n,
                        size_t *which)
{
    struct counting x = {.report = report, .address = address, .now_s = now_s, .caps = caps, .n = n};
    enum rc rc = change(s, count_mail, &x);
    *which = x.which;
    return rc;
}

struct mailed {
    struct view after;
    size_t max, n;
    struct arena *a;
    struct view *out;
};

static enum rc list_mailed(struct db *db, void *ctx)
{
    struct mailed *x = ctx;
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT DISTINCT address FROM seen_mail WHERE address > $1 ORDER BY address LIMIT $2", DB_T(x->after),
                          DB_N(x->max));
    x->n = 0;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK)
        rc = db_bytes_dup(q, 0, x->a, &x->out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc seen_mailed(struct store *s, struct view after, size_t max, struct arena *a, struct view **out, size_t *n)
{
    struct mailed x = {.after = after, .max = max, .a = a, .out = arena_new_array(a, max, struct view)};
    *out = x.out;
    *n = 0;
    if (!x.out)
        return RC_TEMP;
    enum rc rc = look(s, list_mailed, &x);
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}

static enum rc uncount_mail(struct db *db, void *ctx)
{
    const struct counting *x = ctx;
    enum rc rc = db_exec(db, "DELETE FROM seen_mail WHERE report = $1 AND address = $2", DB_N(x->report), DB_T(x->address));
    for (size_t i = 0; i < x->n && rc == RC_OK; i++)
        rc = db_exec(db, "UPDATE seen_count SET n = n - 1 WHERE day_s = $1 AND name = $2", DB_N(day_of(x->now_s)),
                     DB_T(x->caps[i].name));
    return rc;
}

enum rc seen_uncount_mail(struct store *s, uint64_t report, struct view address, int64_t now_s, const struct seen_cap *caps, size_t n)
{
    struct counting x = {.report = report, .address = address, .now_s = now_s, .caps = caps, .n = n};
    return change(s, uncount_mail, &x);
}

struct pausing {
    struct view address, why;
    int64_t now_s, first_s, max_s, until_s;
    struct arena *a;
    struct view *told;
};

static enum rc pause_address(struct db *db, void *ctx)
{
    struct pausing *x = ctx;
    struct db_query *q;
    int64_t bounces = 0, wait = x->first_s;
    enum rc rc = db_first(db, &q, "SELECT bounces FROM seen_pause WHERE address = $1", DB_T(x->address));
    rc = take_number(q, rc, &bounces);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    for (int64_t i = 0; i < bounces && wait < x->max_s; i++)
        wait *= 2;
    x->until_s = x->now_s + (wait < x->max_s ? wait : x->max_s);
    return db_exec(db, "INSERT INTO seen_pause (address, bounces, until_s, why) VALUES ($1, 1, $2, $3) ON CONFLICT (address)"
                       " DO UPDATE SET bounces = seen_pause.bounces + 1, until_s = $2, why = $3",
                   DB_T(x->address), DB_N(x->until_s), DB_T(x->why));
}

enum rc seen_bounced(struct store *s, struct view address, int64_t now_s, int64_t first_s, int64_t max_s, struct view why,
                     int64_t *until_s)
{
    struct pausing x = {.address = address, .why = why, .now_s = now_s, .first_s = first_s, .max_s = max_s};
    enum rc rc = change(s, pause_address, &x);
    *until_s = x.until_s;
    return rc;
}

static enum rc look_at_pause(struct db *db, void *ctx)
{
    struct pausing *x = ctx;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT until_s, why FROM seen_pause WHERE address = $1", DB_T(x->address));
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    x->until_s = db_number(q, 0);
    rc = db_bytes_dup(q, 1, x->a, x->told);
    db_done(q);
    return rc;
}

enum rc seen_paused(struct store *s, struct view address, struct arena *a, int64_t *until_s, struct view *why)
{
    struct pausing x = {.address = address, .a = a, .told = why};
    *why = (struct view){0};
    enum rc rc = look(s, look_at_pause, &x);
    *until_s = x.until_s;
    return rc;
}

/* --- small things --- */

struct secret {
    const char *name;
    uint8_t bytes[SEEN_SECRET_SIZE];
};

static enum rc take_secret(struct db *db, void *ctx)
{
    struct secret *x = ctx;
    struct db_query *q;
    random_bytes(x->bytes, sizeof x->bytes);
    enum rc rc = db_exec(db, "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                         DB_T(view_str(x->name)), DB_B(view_of(x->bytes, sizeof x->bytes)));
    if (rc == RC_OK)
        rc = db_first(db, &q, "SELECT value FROM secret WHERE name = $1", DB_T(view_str(x->name)));
    if (rc != RC_OK)
        return rc;
    struct view v = db_bytes(q, 0);
    if (v.n == sizeof x->bytes)
        memcpy(x->bytes, v.p, v.n);
    else
        rc = RC_CORRUPT;
    db_done(q);
    return rc;
}

enum rc seen_secret(struct store *s, const char *name, uint8_t out[SEEN_SECRET_SIZE])
{
    struct secret x = {.name = name};
    enum rc rc = change(s, take_secret, &x);
    memcpy(out, x.bytes, sizeof x.bytes);
    return rc;
}

#define ASKED     "reports asked for"
#define ASKED_DAY "reports asked for: day"
#define ANSWERED  "reports answered"

static enum rc read_counter(struct db *db, const char *name, int64_t *out)
{
    struct db_query *q;
    *out = 0;
    enum rc rc = db_first(db, &q, "SELECT value FROM counter WHERE name = $1", DB_T(view_str(name)));
    rc = take_number(q, rc, out);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc set_counter(struct db *db, const char *name, int64_t value)
{
    return db_exec(db, "INSERT INTO counter (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2",
                   DB_T(view_str(name)), DB_N(value));
}

static enum rc ask(struct db *db, void *ctx)
{
    int64_t *n = ctx;
    enum rc rc = read_counter(db, ASKED, &n[0]);
    if (rc == RC_OK)
        rc = set_counter(db, ASKED, ++n[0]);
    return rc == RC_OK ? set_counter(db, ASKED_DAY, n[1]) : rc;
}

enum rc seen_ask(struct store *s, int64_t day_s, uint64_t *number)
{
    int64_t n[2] = {0, day_s};
    enum rc rc = change(s, ask, n);
    *number = (uint64_t)n[0];
    return rc;
}

static enum rc answer(struct db *db, void *ctx)
{
    return set_counter(db, ANSWERED, *(const int64_t *)ctx);
}

enum rc seen_answer(struct store *s, uint64_t number)
{
    int64_t n = (int64_t)number;
    return change(s, answer, &n);
}

static enum rc look_at_asked(struct db *db, void *ctx)
{
    int64_t *n = ctx;
    enum rc rc = read_counter(db, ASKED, &n[0]);
    if (rc == RC_OK)
        rc = read_counter(db, ASKED_DAY, &n[1]);
    return rc == RC_OK ? read_counter(db, ANSWERED, &n[2]) : rc;
}

enum rc seen_asked(struct store *s, uint64_t *asked, int64_t *day_s, uint64_t *answered)
{
    int64_t n[3] = {0};
    enum rc rc = look(s, look_at_asked, n);
    *asked = (uint64_t)n[0];
    *day_s = n[1];
    *answered = (uint64_t)n[2];
    return rc;
}
