/* Unit tests of store/schema: databases go forward with a copy kept, and never back. */
#include "store/store_fixture.h"

#include <sqlite3.h>

#include "store/schema.h"

static const char *const first[] = {"CREATE TABLE thing (id BIGINT NOT NULL PRIMARY KEY)",
                                    "INSERT INTO thing (id) VALUES (7)", NULL};
static const char *const second[] = {"ALTER TABLE thing ADD COLUMN name TEXT NOT NULL DEFAULT 'x'", NULL};
static const char *const broken[] = {"DELETE FROM thing", "CREATE NONSENSE", NULL};
static const char *const *const steps[] = {first, second, broken};

static struct db *open_db(const char *path)
{
    struct db_settings set = {.path = path, .create = true, .page_bytes = 1024, .cache_kib = 64, .checkpoint_kib = 64};
    struct db *db = NULL;
    assert_int_equal(db_open(&set, &db), RC_OK);
    return db;
}

static int64_t count_things(struct db *db)
{
    struct db_query *q;
    int64_t n = -1;
    if (db_first(db, &q, "SELECT count(*) FROM thing WHERE id = 7") == RC_OK)
        n = db_number(q, 0);
    db_done(q);
    return n;
}

static void databases_go_forward_with_a_copy(void **state)
{
    struct fixture *f = *state;
    struct schema schema = {"test.db", 1, steps};
    char path[96], copy[128];
    const char *why;
    struct db_query *q;

    snprintf(path, sizeof path, "%s/test.db", f->folder);
    struct db *db = open_db(path);
    assert_int_equal(schema_bring(db, &schema, path, &f->a, &why), RC_OK);
    assert_int_equal(schema_bring(db, &schema, path, &f->a, &why), RC_OK);
    schema.version = 2;
    assert_int_equal(schema_bring(db, &schema, path, &f->a, &why), RC_OK);
    assert_int_equal(db_first(db, &q, "SELECT name FROM thing WHERE id = 7"), RC_OK);
    assert_true(view_eq(db_bytes(q, 0), VIEW("x")));
    db_done(q);
    snprintf(copy, sizeof copy, "%s.v1-before-v2", path);
    struct db *old = open_db(copy);
    assert_int_equal(count_things(old), 1);
    assert_int_equal(db_first(old, &q, "SELECT version FROM schema_info"), RC_OK);
    assert_int_equal(db_number(q, 0), 1);
    db_done(q);
    db_close(old);

    schema.version = 3; /* a step that fails leaves all as it was */
    assert_int_equal(schema_bring(db, &schema, path, &f->a, &why), RC_TEMP);
    assert_int_equal(count_things(db), 1);
    schema.version = 1;
    assert_int_equal(schema_bring(db, &schema, path, &f->a, &why), RC_DENIED);
    assert_string_equal(why, "test.db has schema 2, this program knows 1: install the newer version");
    db_close(db);
}

static void set_version(const char *folder, const char *version)
{
    char path[96], sql[80];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/facteur.db", folder);
    snprintf(sql, sizeof sql, "UPDATE schema_info SET version = %s", version);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_newer_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_settings set = {.data = f->folder, .node = "test"};
    struct store *s = NULL;
    const char *why = NULL;

    store_close(f->s);
    f->s = NULL;
    set_version(f->folder, "7");
    assert_int_equal(store_open(&set, &f->a, &s, &why), RC_DENIED);
    assert_string_equal(why, "facteur.db has schema 7, this program knows 4: install the newer version");
    set_version(f->folder, "4");
    assert_int_equal(store_open(&set, &f->a, &f->s, &why), RC_OK);
}

static void damage_is_said(void **state)
{
    struct fixture *f = *state;
    struct store_settings set = {.data = f->folder, .node = "test"};
    struct store *s = NULL;
    char path[96];
    const char *why = NULL;

    store_close(f->s);
    f->s = NULL;
    snprintf(path, sizeof path, "%s/facteur.db", f->folder);
    FILE *file = fopen(path, "r+");
    for (int i = 0; i < 4096; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(store_open(&set, &f->a, &s, &why), RC_CORRUPT);
    assert_non_null(strstr(why, "facteur.db"));

    file = fopen(path, "w"); /* the folder is a file */
    fclose(file);
    set.data = path;
    assert_int_equal(store_open(&set, &f->a, &s, &why), RC_DENIED);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(databases_go_forward_with_a_copy),
        WITH_STORE(a_newer_store_is_refused),
        WITH_STORE(damage_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
