#include "store/audit.h"

#include "base/clock.h"
#include "store/directory_internal.h"
#include "store/store_internal.h"

static enum rc insert_row(struct db *db, void *ctx)
{
    const struct audit_row *r = ctx;
    enum rc rc = db_exec(db, "DELETE FROM audit WHERE at_ms < $1", DB_N(r->at_ms - AUDIT_KEEP_S * 1000));
    if (rc != RC_OK)
        return rc;
    return db_exec(db,
                   "INSERT INTO audit (id, at_ms, who, peer, what, about, detail) SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6"
                   " FROM audit",
                   DB_N(r->at_ms), DB_T(r->who), DB_T(r->peer), DB_T(r->what), DB_T(r->about), DB_T(r->detail));
}

enum rc audit_add(struct store *s, const struct audit_row *row)
{
    struct audit_row copy = *row;
    copy.at_ms = clock_real_ms();
    copy.detail = view_slice(row->detail, 0, AUDIT_DETAIL_MAX);
    return directory_txn(s, insert_row, &copy);
}

struct listing {
    const struct audit_range *range;
    struct view suffix; /* "@DOMAIN" */
    struct arena *a;
    struct audit_row *out;
    size_t n;
};

static enum rc take_row(struct db_query *q, struct arena *a, struct audit_row *out)
{
    struct view *texts[] = {&out->who, &out->peer, &out->what, &out->about, &out->detail};
    enum rc rc = RC_OK;
    out->id = (uint64_t)db_number(q, 0);
    out->at_ms = db_number(q, 1);
    for (int i = 0; i < 5 && rc == RC_OK; i++)
        rc = db_bytes_dup(q, i + 2, a, texts[i]);
    return rc;
}

static enum rc list_rows(struct db *db, void *ctx)
{
    struct listing *x = ctx;
    const struct audit_range *r = x->range;
    struct db_query *q;
    enum rc rc = db_query(db, &q,
                          "SELECT id, at_ms, who, peer, what, about, detail FROM audit WHERE id < $1 AND at_ms >= $2 AND at_ms < $3"
                          " AND ($4 = '' OR about = $4 OR substr(about, -length($5)) = $5) ORDER BY id DESC LIMIT $6",
                          DB_N(r->before ? (int64_t)r->before : INT64_MAX), DB_N(r->from_ms), DB_N(r->to_ms ? r->to_ms : INT64_MAX),
                          DB_T(r->domain), DB_T(x->suffix), DB_N(r->max));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK && x->n < r->max)
        rc = take_row(q, x->a, &x->out[x->n++]);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

enum rc audit_list(struct store *s, const struct audit_range *range, struct arena *a, struct audit_row **out, size_t *n)
{
    const char *suffix = arena_printf(a, "@%.*s", VIEW_FMT(range->domain));
    struct listing x = {.range = range, .suffix = view_str(suffix), .a = a, .out = arena_new_array(a, range->max, struct audit_row)};
    enum rc rc = suffix && x.out ? directory_look(s, list_rows, &x) : RC_TEMP;
    *out = x.out;
    *n = rc == RC_OK ? x.n : 0;
    return rc;
}
