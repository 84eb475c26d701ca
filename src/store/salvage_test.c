#include "store/blob_internal.h"
#include "store/mailq.h"
#include "store/salvage.h"
#include "store/tools_fixture.h"

enum { N = 150, ACCOUNTS = 2 };

struct world {
    uint64_t account[ACCOUNTS];
    uint64_t blob[ACCOUNTS][N];
    bool readable[ACCOUNTS][N];
};

static void fill(struct fixture *f, struct world *w)
{
    static const char *const folders[] = {"INBOX", "Work", "Work/Old", "Archive"};
    static const char *const names[] = {"anna@ici.test", "bert@ici.test"};
    for (unsigned k = 0; k < ACCOUNTS; k++) {
        w->account[k] = fixture_account(f, names[k]);
        for (unsigned i = 0; i < N; i++)
            w->blob[k][i] = add_to(f->s, w->account[k], folders[i % 4], i, i % 2 ? FLAG_SEEN : 0);
    }
}

/* What of the messages can be read at all. */
static void look(struct fixture *f, struct world *w)
{
    struct blobs *b;
    struct blob blob;
    assert_int_equal(blobs_open_at(f->folder, "look", 1u << 20, &b), RC_OK);
    for (unsigned k = 0; k < ACCOUNTS; k++)
        for (unsigned i = 0; i < N; i++) {
            w->readable[k][i] = blobs_get(b, w->blob[k][i], true, &blob) == RC_OK;
            blob_close(&blob);
        }
    blobs_close(b);
}

static void tell(void *ctx, struct view what)
{
    (void)ctx;
    assert_true(what.n > 0);
}

static void salvage_and_check(struct fixture *f, struct world *w, struct salvage_stats *st, bool names_lost)
{
    struct salvage_settings set = {.tell = tell};
    unsigned seen[N], found[FINDING_GAP + 1];
    char to[128];

    look(f, w);
    snprintf(to, sizeof to, "%s.saved", f->folder);
    assert_int_equal(salvage_run(f->folder, to, &set, st), RC_OK);
    struct store *s = fixture_open(to);
    for (unsigned k = 0; k < ACCOUNTS; k++) {
        count_messages(s, w->account[k], seen, NULL, N);
        for (unsigned i = 0; i < N; i++) {
            if (seen[i] != w->readable[k][i])
                print_error("account %u message %u: %u times, %s\n", k, i, seen[i], w->readable[k][i] ? "readable" : "lost");
            assert_int_equal(seen[i], w->readable[k][i]);
        }
        struct directory_account account;
        assert_int_equal(directory_account_by_id(s, w->account[k], &f->a, &account), RC_OK);
        if (!names_lost)
            assert_true(view_ends(account.address, VIEW("@ici.test")));
    }
    assert_int_equal(verify(s, found), 0);
    (void)add_to(s, w->account[0], "INBOX", 1, 0); /* work goes on */
    uint64_t id = 0;
    assert_int_equal(directory_domain_add(s, VIEW("neu.test")), RC_OK);
    assert_int_equal(directory_account_add(s, VIEW("neu@neu.test"), &id), RC_OK);
    assert_true(id > w->account[1]);
    store_close(s);
    nftw(to, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static void close_store(struct fixture *f)
{
    store_close(f->s);
    f->s = NULL;
    log_set_level(LOG_ERROR + 1);
}

static void a_whole_store_is_taken_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct world w;
    struct salvage_stats st;
    fill(f, &w);
    close_store(f);
    salvage_and_check(f, &w, &st, false);
    assert_int_equal(st.lost + st.from_blobs + st.databases_damaged + st.accounts_renamed, 0);
    assert_int_equal(st.messages, ACCOUNTS * N);
    struct salvage_settings set = {.tell = NULL};
    assert_int_equal(salvage_run(f->folder, f->folder, &set, &st), RC_EXISTS);
    assert_int_equal(salvage_run("/nowhere/at/all", "/nowhere/else", &set, &st), RC_NOTFOUND);
}

static void db_path(struct fixture *f, uint64_t account, char *out, size_t n)
{
    snprintf(out, n, "%s/accounts/%02x/%llx.db", f->folder, (unsigned)(account & 255), (unsigned long long)account);
}

static void a_missing_mailbox_comes_from_blobs(void **state)
{
    struct fixture *f = *state;
    struct world w;
    struct salvage_stats st;
    char path[200];
    fill(f, &w);
    close_store(f);
    db_path(f, w.account[0], path, sizeof path);
    assert_int_equal(unlink(path), 0);
    salvage_and_check(f, &w, &st, false);
    assert_int_equal(st.from_blobs, N);
}

static void a_lost_directory_leaves_numbers(void **state)
{
    struct fixture *f = *state;
    struct world w;
    struct salvage_stats st;
    char path[200];
    fill(f, &w);
    close_store(f);
    snprintf(path, sizeof path, "%s/facteur.db", f->folder);
    assert_int_equal(unlink(path), 0);
    salvage_and_check(f, &w, &st, true);
    assert_int_equal(st.accounts_renamed, ACCOUNTS);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void damage_file(const char *path, uint64_t *x, bool segment)
{
    struct stat st;
    char junk[64];
    assert_int_equal(stat(path, &st), 0);
    if (st.st_size == 0)
        return;
    switch (next_random(x) % (segment ? 3 : 4)) {
    case 0: /* single bits */
        for (int i = 0; i < 10; i++) {
            junk[0] = (char)next_random(x);
            change_file(path, (long)(next_random(x) % (uint64_t)st.st_size), junk, 1);
        }
        break;
    case 1: /* a page, all of it */
        memset(junk, (int)next_random(x), sizeof junk);
        for (uint64_t at = next_random(x) % (uint64_t)st.st_size & ~2047ull, i = 0; i < 2048; i += sizeof junk)
            change_file(path, (long)(at + i), junk, sizeof junk);
        break;
    case 2:
        assert_int_equal(truncate(path, (off_t)(next_random(x) % (uint64_t)st.st_size)), 0);
        break;
    default: /* the beginning */
        memset(junk, 0, sizeof junk);
        change_file(path, 0, junk, sizeof junk);
    }
}

static void random_damage_loses_no_more_than_it_must(void **state)
{
    struct fixture *f = *state;
    struct world w;
    struct salvage_stats st;
    char copy[128], cmd[400], path[200], name[24];
    uint64_t x = 88172645463325252ull;

    fill(f, &w);
    close_store(f);
    snprintf(copy, sizeof copy, "%s.whole", f->folder);
    snprintf(cmd, sizeof cmd, "cp -a '%s' '%s'", f->folder, copy);
    assert_int_equal(system(cmd), 0);
    for (int round = 0; round < 12; round++) {
        snprintf(cmd, sizeof cmd, "rm -rf '%s' && cp -a '%s' '%s'", f->folder, copy, f->folder);
        assert_int_equal(system(cmd), 0);
        if (round % 3 != 1) {
            db_path(f, w.account[round & 1], path, sizeof path);
            damage_file(path, &x, false);
        }
        if (round % 3 != 0) {
            blobs_name(blob_segment(w.blob[0][next_random(&x) % N]), "seg", name);
            snprintf(path, sizeof path, "%s/blobs/%s", f->folder, name);
            damage_file(path, &x, true);
        }
        if (round % 6 == 5) {
            snprintf(path, sizeof path, "%s/facteur.db", f->folder);
            damage_file(path, &x, false);
        }
        salvage_and_check(f, &w, &st, round % 6 == 5);
    }
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", copy);
    assert_int_equal(system(cmd), 0);
}

static int teardown(void **state)
{
    log_set_level(LOG_INFO);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, teardown)
        T(a_whole_store_is_taken_as_it_is),
        T(a_missing_mailbox_comes_from_blobs),
        T(a_lost_directory_leaves_numbers),
        T(random_damage_loses_no_more_than_it_must),
    };
    return cmocka_run_group_tests_name("salvage", tests, NULL, NULL);
}
