#include <errno.h>

#include "store/blob_internal.h"
#include "store/db.h"
#include "store/mailq.h"
#include "store/tools_fixture.h"

enum { N = 60 };

static void fill(struct fixture *f, uint64_t account, uint64_t *ids)
{
    for (unsigned i = 0; i < N; i++)
        ids[i] = add_to(f->s, account, i % 3 ? "INBOX" : "Work/Old", i, 0);
}

static void path_of(struct fixture *f, uint64_t id, char *out, size_t n)
{
    char name[24];
    blobs_name(blob_segment(id), "seg", name);
    snprintf(out, n, "%s/blobs/%s", f->folder, name);
}

static void a_whole_store_has_no_damage(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[N], account = fixture_account(f, "anna@ici.test");
    unsigned n[FINDING_GAP + 1];

    fill(f, account, ids);
    assert_int_equal(verify(f->s, n), 0);
    assert_int_equal(n[FINDING_UNREFERENCED], 0);
    (void)fixture_blob(f, VIEW("nobody asks for this"));
    assert_int_equal(verify(f->s, n), 0);
    assert_int_equal(n[FINDING_UNREFERENCED], 1);
}

static void each_damage_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[N], account = fixture_account(f, "anna@ici.test");
    unsigned n[FINDING_GAP + 1];
    char path[200];

    log_set_level(LOG_ERROR + 1);
    fill(f, account, ids);
    path_of(f, ids[3], path, sizeof path);
    change_file(path, (long)blob_offset(ids[3]) + RECORD_HEAD + 50, "DAMAGE", 6);
    assert_int_equal(verify(f->s, n), 2);
    assert_int_equal(n[FINDING_BLOB], 1);
    assert_int_equal(n[FINDING_ITEM_DAMAGED], 1);
    change_file(path, (long)blob_offset(ids[4]) + 8, "DAMAGE", 6); /* its head */
    assert_int_equal(verify(f->s, n), 3);
    assert_int_equal(n[FINDING_ITEM_MISSING], 1);
    assert_true(n[FINDING_GAP] > 0);
    change_file(path, 0, "DAMAGE", 6); /* the segment's head: all the rest is still found */
    assert_int_equal(verify(f->s, n), 4);
    assert_int_equal(n[FINDING_SEGMENT], 1);
    /* a queue row */
    struct mailq_rcpt rcpt = {.account = account, .address = VIEW("anna@ici.test"), .original = VIEW("anna@ici.test")};
    struct mailq_message m = {.blob = ids[4], .size = 100, .sender = VIEW("x@labas.test")};
    assert_int_equal(mailq_submit(f->s, &m, &rcpt, 1), RC_OK);
    assert_int_equal(verify(f->s, n), 5);
    assert_int_equal(n[FINDING_QUEUE_MISSING], 1);
    /* the whole segment */
    assert_int_equal(unlink(path), 0);
    verify(f->s, n);
    assert_true(n[FINDING_ITEM_MISSING] > 10);
    log_set_level(LOG_INFO);
}

/* All into the database file, and no log beside it. */
static void fold_log(const char *path)
{
    const struct db_settings set = {.path = path, .page_bytes = 1024, .cache_kib = 64, .checkpoint_kib = 64};
    struct db *db;
    char side[220];

    assert_int_equal(db_open(&set, &db), RC_OK);
    assert_int_equal(db_checkpoint(db), RC_OK);
    db_close(db);
    for (int i = 0; i < 2; i++) { /* the last to close may have done it */
        snprintf(side, sizeof side, "%s-%s", path, i ? "shm" : "wal");
        assert_true(unlink(side) == 0 || errno == ENOENT);
    }
}

static void a_damaged_database_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t ids[N], account = fixture_account(f, "anna@ici.test");
    unsigned n[FINDING_GAP + 1];
    char path[200], junk[4096];

    fill(f, account, ids);
    fixture_reopen(f);
    snprintf(path, sizeof path, "%s/accounts/%02x/%llx.db", f->folder, (unsigned)(account & 255), (unsigned long long)account);
    memset(junk, 0x5a, sizeof junk);
    fold_log(path); /* what still stands in the log is not read from the database */
    change_file(path, 4096, junk, sizeof junk);
    log_set_level(LOG_ERROR + 1);
    assert_true(verify(f->s, n) > 0);
    assert_true(n[FINDING_DATABASE] > 0);
    assert_int_equal(unlink(path), 0);
    fixture_reopen(f);
    assert_true(verify(f->s, n) > 0);
    assert_true(n[FINDING_DATABASE] > 0);
    log_set_level(LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
        T(a_whole_store_has_no_damage),
        T(each_damage_is_told),
        T(a_damaged_database_is_told),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
