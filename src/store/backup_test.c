#include <pthread.h>
#include <stdatomic.h>

#include "store/backup.h"
#include "store/compact.h"
#include "store/db.h"
#include "store/tools_fixture.h"

enum { N = 80 };

static struct store *open_at(const char *folder)
{
    return fixture_open(folder);
}

static void fill(struct fixture *f, uint64_t account, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        (void)add_to(f->s, account, i % 3 ? "INBOX" : "Work/Old", i, i % 2 ? FLAG_SEEN : FLAG_FLAGGED);
}

static void remove_all(struct store *s, uint64_t account, const char *path)
{
    struct arena a;
    struct folder folder;
    struct mailbox *mb;
    uint32_t *uids = NULL;
    size_t n;

    arena_init(&a, 1u << 20);
    assert_int_equal(mailbox_open(s, account, &mb), RC_OK);
    assert_int_equal(mailbox_folder(mb, view_str(path), &a, &folder), RC_OK);
    assert_int_equal(mailbox_uids(mb, folder.id, &a, &folder, &uids, &n), RC_OK);
    assert_int_equal(mailbox_remove(mb, folder.id, uids, n), RC_OK);
    free(uids);
    mailbox_close(mb);
    arena_clear(&a);
}

static void make(struct fixture *f, const char *dir, struct backup_stats *stats)
{
    struct backup_settings set = {.progress = NULL};
    assert_int_equal(backup_make(f->s, dir, &set, stats), RC_OK);
}

static void remove_tree(const char *path)
{
    nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static void check_all(struct store *s, uint64_t account, unsigned n)
{
    unsigned seen[N + 40];
    uint32_t flags[N + 40];
    count_messages(s, account, seen, flags, N + 40);
    for (unsigned i = 0; i < N + 40; i++) {
        assert_int_equal(seen[i], i < n);
        if (i < n)
            assert_int_equal(flags[i], i % 2 ? FLAG_SEEN : FLAG_FLAGGED);
    }
}

static void date_accounts(const struct fixture *f, const char *when)
{
    char cmd[300];
    snprintf(cmd, sizeof cmd, "touch -d '%s' %s/accounts/*/*", when, f->folder);
    assert_int_equal(system(cmd), 0);
}

static void everything_comes_back(void **state)
{
    struct fixture *f = *state;
    char dir[128], data[128];
    struct backup_stats st;
    uint64_t anna = fixture_account(f, "anna@ici.test"), bert = fixture_account(f, "bert@ici.test");
    unsigned found[FINDING_GAP + 1];

    snprintf(dir, sizeof dir, "%s.backup", f->folder);
    snprintf(data, sizeof data, "%s.restored", f->folder);
    fill(f, anna, 0, N);
    fill(f, bert, 0, 5);
    make(f, dir, &st);
    assert_int_equal(st.accounts, 2);
    uint64_t first = st.bytes;
    assert_true(first > 0);
    fill(f, anna, N, N + 10); /* the second time only what is new */
    date_accounts(f, "now");
    make(f, dir, &st);
    assert_true(st.bytes < first || first < 4u << 20);
    assert_int_equal(st.unchanged, 0);
    date_accounts(f, "1 hour ago");
    make(f, dir, &st);
    assert_int_equal(st.unchanged, 2);
    remove_all(f->s, anna, "INBOX"); /* the original goes on */
    assert_int_equal(backup_restore_all(dir, f->folder, NULL, &st), RC_EXISTS);
    assert_int_equal(backup_restore_all(f->folder, data, NULL, &st), RC_NOTFOUND);
    assert_int_equal(backup_restore_all(dir, data, NULL, &st), RC_OK);
    struct store *s = open_at(data);
    check_all(s, anna, N + 10);
    check_all(s, bert, 5);
    assert_int_equal(verify(s, found), 0);
    store_close(s);
    remove_tree(dir);
    remove_tree(data);
}

static void the_vault_goes_along(void **state)
{
    struct fixture *f = *state;
    char dir[128], vault[160], back[160];
    struct backup_stats st;
    struct db *db;

    snprintf(dir, sizeof dir, "%s.backup", f->folder);
    snprintf(vault, sizeof vault, "%s/v.db", f->folder);
    snprintf(back, sizeof back, "%s/back.db", f->folder);
    struct db_settings set = {.path = vault, .create = true, .page_bytes = 4096, .cache_kib = 64, .checkpoint_kib = 64};
    assert_int_equal(db_open(&set, &db), RC_OK);
    assert_int_equal(db_define(db, "CREATE TABLE secret (a INTEGER NOT NULL)"), RC_OK);
    assert_int_equal(backup_add_vault(dir, vault), RC_NOTFOUND); /* not a backup yet */
    make(f, dir, &st);
    assert_int_equal(backup_restore_vault(dir, back), RC_NOTFOUND);
    assert_int_equal(backup_add_vault(dir, "/nowhere/v.db"), RC_NOTFOUND);
    assert_int_equal(backup_add_vault(dir, vault), RC_OK);
    db_close(db);
    assert_int_equal(backup_restore_vault(dir, back), RC_OK);
    set.path = back;
    set.create = false;
    assert_int_equal(db_open(&set, &db), RC_OK);
    assert_true(db_has_table(db, "secret"));
    db_close(db);
    remove_tree(dir);
}

static void other_folders_are_left_alone(void **state)
{
    struct fixture *f = *state;
    struct backup_settings set = {.progress = NULL};
    struct backup_stats st;
    assert_int_equal(backup_make(f->s, f->folder, &set, &st), RC_EXISTS);
    assert_int_equal(backup_make(f->s, "/etc", &set, &st), RC_EXISTS);
}

static void an_account_comes_back_and_nothing_twice(void **state)
{
    struct fixture *f = *state;
    char dir[128];
    struct backup_stats st;
    struct restore_stats rs;
    uint64_t anna = fixture_account(f, "anna@ici.test"), now;

    snprintf(dir, sizeof dir, "%s.backup", f->folder);
    fill(f, anna, 0, N);
    make(f, dir, &st);
    assert_int_equal(backup_restore_account(dir, f->s, VIEW("anna@ici.test"), NULL, &rs), RC_OK);
    assert_int_equal(rs.messages, 0);
    assert_int_equal(rs.present, N);
    remove_all(f->s, anna, "INBOX");
    assert_int_equal(backup_restore_account(dir, f->s, VIEW("Anna@ICI.test"), NULL, &rs), RC_OK);
    assert_true(rs.messages > 0 && rs.messages + rs.present == N);
    check_all(f->s, anna, N);
    assert_int_equal(backup_restore_account(dir, f->s, VIEW("nobody@ici.test"), NULL, &rs), RC_NOTFOUND);
    assert_int_equal(directory_account_remove(f->s, VIEW("anna@ici.test"), &now), RC_OK);
    assert_int_equal(backup_restore_account(dir, f->s, VIEW("anna@ici.test"), NULL, &rs), RC_OK);
    assert_true(rs.account_made);
    struct directory_account account;
    assert_int_equal(directory_account(f->s, VIEW("anna@ici.test"), &f->a, &account), RC_OK);
    assert_int_not_equal(account.id, anna);
    check_all(f->s, account.id, N);
    remove_tree(dir);
}

static void one_message_comes_back(void **state)
{
    struct fixture *f = *state;
    char dir[128];
    struct backup_stats st;
    struct restore_stats rs;
    uint64_t anna = fixture_account(f, "anna@ici.test");
    struct view address = VIEW("anna@ici.test"), inbox = VIEW("INBOX");
    unsigned seen[N];

    snprintf(dir, sizeof dir, "%s.backup", f->folder);
    fill(f, anna, 0, N);
    make(f, dir, &st);
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 0, VIEW("<m7@ici.test>"), &rs), RC_EXISTS);
    remove_all(f->s, anna, "INBOX");
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 0, VIEW("<m7@ici.test>"), &rs), RC_OK);
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 0, VIEW("m7@ici.test"), &rs), RC_EXISTS);
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 2, VIEW(""), &rs), RC_OK);
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 0, VIEW("<m9@ici.test>"), &rs), RC_NOTFOUND);
    assert_int_equal(backup_restore_message(dir, f->s, address, inbox, 9999, VIEW(""), &rs), RC_NOTFOUND);
    count_messages(f->s, anna, seen, NULL, N);
    assert_int_equal(seen[7], 1);
    assert_int_equal(seen[2], 1);
    remove_tree(dir);
}

struct busy {
    struct store *s;
    uint64_t account;
    atomic_bool stop;
    unsigned n;
};
static void *add_on(void *arg)
{
    struct busy *b = arg;
    for (b->n = 0; !b->stop && b->n < 3000; b->n++)
        (void)add_to(b->s, b->account, "INBOX", b->n, 0);
    return NULL;
}

/* Copies made while mail comes in and goes are whole: no row without its blob, in each of the rounds. */
static void a_copy_under_load_is_consistent(void **state)
{
    struct fixture *f = *state;
    char dir[128];
    struct backup_stats st;
    struct busy b = {.s = f->s, .account = fixture_account(f, "anna@ici.test")};
    uint64_t bert = fixture_account(f, "bert@ici.test");
    unsigned found[FINDING_GAP + 1];
    pthread_t t;

    snprintf(dir, sizeof dir, "%s.backup", f->folder);
    assert_int_equal(pthread_create(&t, NULL, add_on, &b), 0);
    for (unsigned round = 0; round < 5; round++) {
        struct compact_settings set = {.age_s = -1, .dead_percent = 5};
        struct compact_stats cs;
        fill(f, bert, 0, 30);
        make(f, dir, &st);
        remove_all(f->s, bert, "INBOX");
        struct store *copy = open_at(dir);
        assert_int_equal(verify(copy, found), 0);
        store_close(copy);
        if (round == 4)
            b.stop = true; /* with age_s < 0 compaction cannot know what is on its way into a row */
        if (b.stop) {
            pthread_join(t, NULL);
            assert_int_equal(compact_run(f->s, &set, &cs), RC_OK);
            make(f, dir, &st);
        }
    }
    struct store *copy = open_at(dir);
    assert_int_equal(verify(copy, found), 0);
    store_close(copy);
    assert_int_equal(verify(f->s, found), 0);
    remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
        T(everything_comes_back),
        T(the_vault_goes_along),
        T(other_folders_are_left_alone),
        T(an_account_comes_back_and_nothing_twice),
        T(one_message_comes_back),
        T(a_copy_under_load_is_consistent),
    };
    return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
