/* kill -9 while threads submit and deliver: what was acknowledged is in a mailbox once after all that was left in the
 * queue has been delivered too. */
#include "store/store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "store/mailbox.h"
#include "store/mailq.h"

#define ROUNDS     8
#define SUBMITTERS 3
#define SERIALS    200000 /* sizes of messages name them */

struct child {
    struct store *s;
    uint64_t account[2];
    int pipe;
    uint32_t serial; /* next; by atomic increments */
};

static void *submit_for_ever(void *ctx)
{
    struct child *c = ctx;

    for (;;) {
        uint32_t serial = __atomic_fetch_add(&c->serial, 1, __ATOMIC_RELAXED);
        struct blob_writer *w;
        struct mailq_message m = {.size = serial, .sender = VIEW("a@labas.test")};
        struct mailq_rcpt r = {.account = c->account[serial & 1], .address = VIEW("b@ici.test")};
        if (blob_begin(c->s, 0, &w) != RC_OK || blob_append(w, VIEW("some bytes")) != RC_OK ||
            blob_finish(w, &m.blob) != RC_OK || mailq_submit(c->s, &m, &r, 1) != RC_OK)
            _exit(3);
        if (write(c->pipe, &serial, sizeof serial) != sizeof serial)
            _exit(4);
    }
    return NULL;
}

/* One page of the queue into the mailboxes. Says how many. */
static size_t deliver_some(struct store *s)
{
    struct arena a;
    struct mailq_due *due;
    struct mailq_result results[50];
    size_t n;

    arena_init(&a, 1u << 20);
    if (mailq_due(s, 0, 0, INT64_MAX, 50, &a, &due, &n) != RC_OK)
        _exit(5);
    for (size_t i = 0; i < n; i++) {
        struct mailq_message m;
        struct mailbox *mb;
        struct born born;
        if (mailq_message(s, due[i].message, &a, &m) != RC_OK || mailbox_open(s, due[i].account, &mb) != RC_OK)
            _exit(6);
        struct delivery d = {.item = {.blob = m.blob, .size = (uint32_t)m.size, .source = due[i].rcpt}};
        if (mailbox_deliver(mb, &d, 1, &born) != RC_OK)
            _exit(7);
        mailbox_close(mb);
        results[i] = (struct mailq_result){.rcpt = due[i].rcpt, .kind = RESULT_DONE};
    }
    if (store_settle(s) != RC_OK || mailq_results(s, results, n) != RC_OK)
        _exit(8);
    arena_clear(&a);
    return n;
}

static _Noreturn void run_child(const char *folder, const uint64_t account[2], int pipe, uint32_t serial)
{
    struct child c = {.s = fixture_open(folder), .account = {account[0], account[1]}, .pipe = pipe, .serial = serial};
    pthread_t t;

    for (int i = 0; i < SUBMITTERS; i++) {
        if (pthread_create(&t, NULL, submit_for_ever, &c) != 0)
            _exit(2);
    }
    for (;;)
        deliver_some(c.s);
}

/* Reads what the child acknowledged, kills it after `kill_at` of them, and reads the rest. */
static uint32_t watch_child(pid_t pid, int pipe, unsigned kill_at, uint8_t *acknowledged)
{
    uint32_t serial, highest = 0;
    unsigned n = 0;

    while (read(pipe, &serial, sizeof serial) == sizeof serial) {
        assert_true(serial < SERIALS);
        acknowledged[serial] = 1;
        if (serial > highest)
            highest = serial;
        if (++n == kill_at)
            kill(pid, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* and no error before that */
    assert_true(n >= kill_at);
    return highest;
}

static void count_items(struct fixture *f, uint64_t account, uint8_t *found)
{
    struct mailbox *mb;
    struct item *items;
    size_t n;
    uint32_t from = 1;

    assert_int_equal(mailbox_open(f->s, account, &mb), RC_OK);
    do {
        arena_reset(&f->a);
        assert_int_equal(mailbox_items(mb, FOLDER_INBOX, from, UINT32_MAX, 0, ITEM_FLAGS, 1000, &f->a, &items, &n), RC_OK);
        for (size_t i = 0; i < n; i++) {
            struct blob b;
            assert_true(items[i].size < SERIALS);
            found[items[i].size]++;
            assert_int_equal(blob_open(f->s, items[i].blob, true, &b), RC_OK);
            assert_true(view_eq(b.bytes, VIEW("some bytes")));
            blob_close(&b);
            from = items[i].uid + 1;
        }
    } while (n > 0);
    mailbox_close(mb);
}

static void what_was_acknowledged_is_there_once(void **state)
{
    struct fixture *f = *state;
    uint8_t *acknowledged = calloc(SERIALS, 1), *found = calloc(SERIALS, 1);
    uint64_t account[2] = {fixture_account(f, "alice@ici.test"), fixture_account(f, "bob@ici.test")};
    uint32_t serial = 1;
    unsigned total = 0;

    store_close(f->s); /* no database may be open across a fork */
    f->s = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            run_child(f->folder, account, ends[1], serial);
        }
        close(ends[1]);
        serial = watch_child(pid, ends[0], 40 + 37 * (unsigned)round, acknowledged) + 1000;
        close(ends[0]);
    }
    f->s = fixture_open(f->folder);
    while (deliver_some(f->s) > 0)
        continue;
    count_items(f, account[0], found);
    count_items(f, account[1], found);
    for (uint32_t i = 0; i < SERIALS; i++) {
        if (acknowledged[i])
            assert_int_equal(found[i], 1);
        assert_true(found[i] <= 1);
        total += found[i];
    }
    assert_true(total >= ROUNDS * 40);
    free(acknowledged);
    free(found);
}

#define PROCESSES 3
#define EACH      100

static _Noreturn void append_many(const char *folder, uint64_t account)
{
    struct store *s = fixture_open(folder);
    struct mailbox *mb;
    struct born born;
    uint32_t uidvalidity;

    if (mailbox_open(s, account, &mb) != RC_OK)
        _exit(2);
    for (int i = 0; i < EACH; i++) {
        struct new_item item = {.blob = 1, .size = 10};
        struct mailq_message m = {.blob = 1, .size = 10};
        struct mailq_rcpt r = {.account = account, .address = VIEW("b@ici.test")};
        if (mailbox_append(mb, FOLDER_INBOX, &item, 1, &born, &uidvalidity) != RC_OK || mailq_submit(s, &m, &r, 1) != RC_OK)
            _exit(3);
    }
    mailbox_close(mb);
    store_close(s);
    _exit(0);
}

static void processes_share_a_store(void **state)
{
    struct fixture *f = *state;
    uint64_t account = fixture_account(f, "alice@ici.test");
    struct folder folder;
    struct mailbox *mb;
    struct mailq_counts counts;
    pid_t pids[PROCESSES];
    uint32_t *uids;
    size_t n;

    store_close(f->s);
    f->s = NULL;
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            append_many(f->folder, account);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    f->s = fixture_open(f->folder);
    assert_int_equal(mailbox_open(f->s, account, &mb), RC_OK);
    assert_int_equal(mailbox_uids(mb, FOLDER_INBOX, &f->a, &folder, &uids, &n), RC_OK);
    assert_int_equal(n, PROCESSES * EACH);
    assert_int_equal(uids[n - 1], n); /* none given twice, none left out */
    free(uids);
    mailbox_close(mb);
    assert_int_equal(mailq_count(f->s, &counts), RC_OK);
    assert_int_equal(counts.rcpts, PROCESSES * EACH);
}

/* As mta and access do on the first start of a server. */
static void processes_make_a_store_together(void **state)
{
    struct fixture *f = *state;
    pid_t pids[4];

    store_close(f->s);
    f->s = NULL;
    for (int round = 0; round < 5; round++) {
        char folder[96];
        snprintf(folder, sizeof folder, "%s/new%d", f->folder, round);
        for (int i = 0; i < 4; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                store_close(fixture_open(folder));
                _exit(0);
            }
        }
        for (int i = 0; i < 4; i++) {
            int status;
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_is_there_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(processes_share_a_store, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(processes_make_a_store_together, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
