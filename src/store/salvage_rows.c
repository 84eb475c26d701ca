/* Rows of damaged databases: each table is walked from its beginning to the first page that cannot be read, behind it
 * with growing steps, and from its end backwards. What is met twice counts once. */
#include <stdlib.h>

#include "store/salvage_internal.h"

#define STEPS_MAX 40 /* keys up to 2^40 behind a bad place are tried */

static enum rc open_damaged(const char *path, struct db **out)
{
    struct db_settings set = {.path = path, .page_bytes = 4096, .cache_kib = 1024, .checkpoint_kib = 4096};
    return db_open(&set, out);
}

/* --- facteur.db --- */

struct table {
    const char *types; /* of the columns: n number, t text, b bytes */
    bool number_key;   /* the first column is a number and the key */
    const char *up, *down, *insert;
};
#define COLUMNS_MESSAGE                                                                                                \
    "id, last_rcpt, waiting, blob, skip, size, sender, envid, ret, body, smtputf8, require_tls, priority, created_ms,"  \
    " release_ms, deliver_by_ms, deliver_by_return, account, peer, seal, junk, lane"
#define COLUMNS_RCPT                                                                                                   \
    "id, message, account, route, priority, held, due_ms, attempts, delay_told, notify, forwarded, address, detail,"    \
    " orcpt, original, last_reply, last_mx, last_attempt_ms, sender"
#define COLUMNS_ACCOUNT "id, address, domain, role, created_s, quota, disabled"
static const struct table tables[] = {
    {"tnnn", false, "SELECT name, created_s, sts_mode, sts_changed_s FROM domain ORDER BY name",
     "SELECT name, created_s, sts_mode, sts_changed_s FROM domain ORDER BY name DESC",
     "INSERT INTO domain (name, created_s, sts_mode, sts_changed_s) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"},
    {"nttnnnn", true, "SELECT " COLUMNS_ACCOUNT " FROM account WHERE id > $1 ORDER BY id",
     "SELECT " COLUMNS_ACCOUNT " FROM account ORDER BY id DESC",
     "INSERT INTO account (" COLUMNS_ACCOUNT ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"},
    {"tntt", false, "SELECT address, place, target, domain FROM alias ORDER BY address, place",
     "SELECT address, place, target, domain FROM alias ORDER BY address DESC, place DESC",
     "INSERT INTO alias (address, place, target, domain) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"},
    {"ttnbnnnn", false,
     "SELECT domain, selector, algorithm, public_key, state, created_s, active_s, retired_s FROM dkim_key ORDER BY domain, selector",
     "SELECT domain, selector, algorithm, public_key, state, created_s, active_s, retired_s FROM dkim_key"
     " ORDER BY domain DESC, selector DESC",
     "INSERT INTO dkim_key (domain, selector, algorithm, public_key, state, created_s, active_s, retired_s)"
     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"},
    {"tb", false, "SELECT name, value FROM secret ORDER BY name", "SELECT name, value FROM secret ORDER BY name DESC",
     "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING"},
    {"nnnnnnttnnnnnnnnnnttnn", true, "SELECT " COLUMNS_MESSAGE " FROM queue_message WHERE id > $1 ORDER BY id",
     "SELECT " COLUMNS_MESSAGE " FROM queue_message ORDER BY id DESC",
     "INSERT INTO queue_message (" COLUMNS_MESSAGE ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
     " $15, $16, $17, $18, $19, $20, $21, $22) ON CONFLICT DO NOTHING"},
    {"nnntnnnnnnnttttttnt", true, "SELECT " COLUMNS_RCPT " FROM queue_rcpt WHERE id > $1 ORDER BY id",
     "SELECT " COLUMNS_RCPT " FROM queue_rcpt ORDER BY id DESC",
     "INSERT INTO queue_rcpt (" COLUMNS_RCPT ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
     " $16, $17, $18, $19) ON CONFLICT DO NOTHING"},
};

/* RC_OK: to the end. *last: the key of the last row read. */
static enum rc copy_rows(struct db *from, struct db *into, const struct table *t, const char *sql, bool with_key,
                         int64_t *last, bool *any)
{
    struct db_query *q = NULL;
    struct db_value v[DB_PARAMS_MAX];
    size_t n = strlen(t->types);
    enum rc rc = with_key ? db_query(from, &q, sql, DB_N(*last)) : db_query(from, &q, sql);

    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        for (size_t i = 0; i < n; i++)
            v[i] = t->types[i] == 'n' ? DB_N(db_number(q, (int)i))
                   : t->types[i] == 'b' ? DB_B(db_bytes(q, (int)i))
                                        : DB_T(db_bytes(q, (int)i));
        *any = true;
        if (t->number_key)
            *last = db_number(q, 0);
        enum rc put = db_exec_values(into, t->insert, v, n);
        if (put != RC_OK && put != RC_EXISTS && put != RC_CORRUPT) {
            db_done(q);
            return put == RC_FULL ? RC_FULL : RC_TEMP;
        }
    }
    return rc == RC_NOTFOUND ? RC_OK : rc == RC_OK ? RC_CORRUPT : rc;
}

static enum rc copy_table(struct db *from, struct db *into, const struct table *t)
{
    int64_t last = -1;
    bool any = false;
    enum rc rc = copy_rows(from, into, t, t->up, t->number_key, &last, &any);

    if (rc == RC_OK || rc == RC_FULL)
        return rc;
    for (int step = 0; step < STEPS_MAX && rc != RC_OK && rc != RC_FULL && t->number_key; step++) {
        int64_t at = last + (1ll << step);
        any = false;
        rc = copy_rows(from, into, t, t->up, true, &at, &any);
        if (any) {
            last = at;
            step = -1;
        }
        if (rc == RC_OK)
            break;
    }
    if (rc != RC_FULL)
        rc = copy_rows(from, into, t, t->down, false, &last, &any);
    return rc == RC_FULL ? rc : RC_OK;
}

struct domain_copy {
    struct db *from;
};
static enum rc copy_domain(struct db *into, void *ctx)
{
    struct domain_copy *c = ctx;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < sizeof tables / sizeof *tables && rc == RC_OK; i++)
        rc = copy_table(c->from, into, &tables[i]);
    /* what belongs to nothing any more, and the sums */
    if (rc == RC_OK)
        rc = db_exec(into, "DELETE FROM queue_rcpt WHERE message NOT IN (SELECT id FROM queue_message)");
    if (rc == RC_OK)
        rc = db_exec(into, "DELETE FROM queue_message WHERE id NOT IN (SELECT message FROM queue_rcpt)");
    if (rc == RC_OK)
        rc = db_exec(into, "UPDATE queue_message SET waiting ="
                           " (SELECT COUNT(*) FROM queue_rcpt WHERE queue_rcpt.message = queue_message.id)");
    if (rc == RC_OK)
        rc = db_exec(into, "INSERT INTO domain (name, created_s) SELECT DISTINCT domain, 0 FROM account WHERE domain NOT IN"
                           " (SELECT name FROM domain)");
    if (rc == RC_OK)
        rc = db_exec(into, "UPDATE queue_state SET next_id = 1000 + (SELECT COALESCE(MAX(id), 0) FROM queue_rcpt),"
                           " messages = (SELECT COUNT(*) FROM queue_message), rcpts = (SELECT COUNT(*) FROM queue_rcpt),"
                           " held = (SELECT COUNT(*) FROM queue_rcpt WHERE held <> 0),"
                           " bytes = (SELECT COALESCE(SUM(size), 0) FROM queue_message) WHERE one = 1");
    return rc;
}

enum rc salvage_domain_rows(struct salvage *s, const char *damaged, struct db *into)
{
    struct domain_copy c = {.from = NULL};
    enum rc rc = open_damaged(damaged, &c.from);

    if (rc == RC_OK)
        rc = db_txn(into, copy_domain, &c);
    if (!c.from && rc != RC_FULL) {
        salvage_tell(s, "facteur.db: nothing in it can be read");
        rc = RC_OK;
    }
    db_close(c.from);
    return rc;
}

/* --- a mailbox --- */

static bool grow(void **p, size_t n, size_t *size, size_t each)
{
    if (n < *size)
        return true;
    size_t more = *size ? 2 * *size : 256;
    void *q = realloc(*p, more * each);
    if (!q)
        return false;
    *p = q;
    *size = more;
    return true;
}

static char *copy_text(struct view v)
{
    char *p = malloc(v.n + 1);

    if (p && view_cstr(v, p, v.n + 1) != RC_OK) {
        free(p);
        p = strdup("");
    }
    return p;
}

static enum rc read_folder(struct damaged_mailbox *m, struct db_query *q)
{
    struct damaged_folder f = {.id = (uint64_t)db_number(q, 0), .parent = (uint64_t)db_number(q, 1),
                               .role = (enum folder_role)db_number(q, 3)};
    void *p = m->folders;

    for (size_t i = 0; i < m->n_folders; i++)
        if (m->folders[i].id == f.id)
            return RC_OK;
    if (f.role > FOLDER_ARCHIVE)
        f.role = FOLDER_PLAIN;
    f.name = copy_text(db_bytes(q, 2));
    if (!f.name || !grow(&p, m->n_folders, &m->folders_size, sizeof f)) {
        free(f.name);
        return RC_TEMP;
    }
    m->folders = p;
    m->folders[m->n_folders++] = f;
    return RC_OK;
}

static enum rc read_item(struct damaged_mailbox *m, struct db_query *q)
{
    struct damaged_item i = {.folder = (uint64_t)db_number(q, 0), .uid = (uint32_t)db_number(q, 1),
                             .blob = (uint64_t)db_number(q, 2), .skip = (uint32_t)db_number(q, 3),
                             .size = (uint32_t)db_number(q, 4), .flags = (uint32_t)db_number(q, 5) & FLAGS_ALL,
                             .internaldate = db_number(q, 7)};
    void *p = m->items;

    i.keywords = copy_text(db_bytes(q, 6));
    if (!i.keywords || !grow(&p, m->n_items, &m->items_size, sizeof i)) {
        free(i.keywords);
        return RC_TEMP;
    }
    m->items = p;
    m->items[m->n_items++] = i;
    return RC_OK;
}

/* RC_OK: to the end of what was asked for. RC_TEMP: no memory. Else it cannot be read further. */
static enum rc read_rows(struct damaged_mailbox *m, struct db_query *q, enum rc rc,
                         enum rc (*read)(struct damaged_mailbox *m, struct db_query *q), int64_t *last, int key)
{
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (last)
            *last = db_number(q, key);
        if (read(m, q) != RC_OK) {
            db_done(q);
            return RC_TEMP;
        }
    }
    return rc == RC_NOTFOUND ? RC_OK : rc == RC_OK ? RC_CORRUPT : rc;
}

static void read_folders(struct damaged_mailbox *m, struct db *db, uint64_t account)
{
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT id, parent, name, role FROM folder WHERE account = $1 ORDER BY id", DB_N(account));

    if (read_rows(m, q, rc, read_folder, NULL, 0) == RC_OK)
        return;
    rc = db_query(db, &q, "SELECT id, parent, name, role FROM folder WHERE account = $1 ORDER BY id DESC", DB_N(account));
    (void)read_rows(m, q, rc, read_folder, NULL, 0); /* what it does not give is lost */
}

#define COLUMNS_ITEM "folder, uid, blob, skip, size, flags, keywords, internaldate"
/* *last: the highest uid read. */
static enum rc read_items_up(struct damaged_mailbox *m, struct db *db, uint64_t account, uint64_t folder, int64_t from,
                             int64_t *last)
{
    struct db_query *q = NULL;
    enum rc rc = db_query(db, &q, "SELECT " COLUMNS_ITEM " FROM item WHERE account = $1 AND folder = $2 AND uid > $3"
                                  " AND state = 0 ORDER BY uid",
                          DB_N(account), DB_N(folder), DB_N(from));

    *last = from;
    return read_rows(m, q, rc, read_item, last, 1);
}

static void read_items(struct damaged_mailbox *m, struct db *db, uint64_t account, uint64_t folder)
{
    struct db_query *q = NULL;
    int64_t last, at;
    enum rc rc = read_items_up(m, db, account, folder, 0, &last);

    if (rc == RC_OK)
        return;
    for (int step = 0; step < STEPS_MAX && rc != RC_OK; step++) {
        int64_t from = last + (1ll << step);
        rc = read_items_up(m, db, account, folder, from, &at);
        if (at > from) {
            last = at;
            step = -1;
        }
    }
    rc = db_query(db, &q, "SELECT " COLUMNS_ITEM " FROM item WHERE account = $1 AND folder = $2 AND state = 0"
                          " ORDER BY uid DESC",
                  DB_N(account), DB_N(folder));
    (void)read_rows(m, q, rc, read_item, NULL, 0);
}

static int compare_items(const void *a, const void *b)
{
    const struct damaged_item *x = a, *y = b;

    if (x->folder != y->folder)
        return x->folder < y->folder ? -1 : 1;
    return (x->uid > y->uid) - (x->uid < y->uid);
}

static void order_items(struct damaged_mailbox *m)
{
    size_t n = 0;

    if (m->n_items > 0)
        qsort(m->items, m->n_items, sizeof *m->items, compare_items);
    for (size_t i = 0; i < m->n_items; i++) {
        if (n > 0 && compare_items(&m->items[n - 1], &m->items[i]) == 0)
            free(m->items[i].keywords);
        else
            m->items[n++] = m->items[i];
    }
    m->n_items = n;
}

enum rc salvage_mailbox_rows(const char *damaged, uint64_t account, struct damaged_mailbox *out)
{
    struct db *db = NULL;
    enum rc rc = open_damaged(damaged, &db);

    *out = (struct damaged_mailbox){0};
    if (rc != RC_OK)
        return rc == RC_FULL ? rc : RC_CORRUPT;
    read_folders(out, db, account);
    for (uint64_t role = FOLDER_INBOX; role <= FOLDER_ARCHIVE; role++) { /* there whether their rows are or not */
        size_t i = 0;
        while (i < out->n_folders && out->folders[i].id != role)
            i++;
        if (i == out->n_folders)
            read_items(out, db, account, role);
    }
    for (size_t i = 0; i < out->n_folders; i++)
        read_items(out, db, account, out->folders[i].id);
    order_items(out);
    db_close(db);
    return RC_OK;
}

void salvage_mailbox_clear(struct damaged_mailbox *m)
{
    for (size_t i = 0; i < m->n_folders; i++)
        free(m->folders[i].name);
    for (size_t i = 0; i < m->n_items; i++)
        free(m->items[i].keywords);
    free(m->folders);
    free(m->items);
    *m = (struct damaged_mailbox){0};
}
