/* Unit tests of store/mailq: what was promised is there, once; what is due is found by index. */
#include "store/store_fixture.h"

#include <pthread.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "store/mailq.h"
#include "store/suppression.h"
#include "store/webhook.h"

static struct mailq_message a_message(struct fixture *f)
{
    return (struct mailq_message){.blob = fixture_blob(f, VIEW("Subject: x\r\n\r\nhello\r\n")), .skip = 3, .size = 20,
                                  .sender = VIEW("a@labas.test"), .envid = VIEW("QQ1"), .ret = RET_HDRS, .body = BODY_8BIT,
                                  .smtputf8 = true, .priority = -3, .created_ms = 1000, .deliver_by_ms = 77,
                                  .deliver_by_return = true, .deliver_by_trace = true, .account = 9, .peer = VIEW("192.0.2.1")};
}

static struct mailq_rcpt local_rcpt(int64_t due_ms)
{
    return (struct mailq_rcpt){.account = 7, .address = VIEW("b@ici.test"), .detail = VIEW("x"), .due_ms = due_ms,
                               .original = VIEW("B@ici.test"), .notify = NOTIFY_FAILURE | NOTIFY_DELAY,
                               .orcpt = VIEW("rfc822;b@ici.test")};
}

static struct mailq_rcpt remote_rcpt(const char *route, int64_t due_ms)
{
    return (struct mailq_rcpt){.address = VIEW("c@far.test"), .route = view_str(route), .due_ms = due_ms, .forwarded = true};
}

static void rows_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m = a_message(f), back;
    struct mailq_rcpt r[2] = {local_rcpt(10), remote_rcpt("far.test", 20)}, *list, one;
    uint64_t message, *blobs;
    size_t n;

    assert_int_equal(mailq_submit(f->s, &m, r, 2), RC_OK);
    assert_true(m.id > 0 && r[0].id > 0 && r[1].id > r[0].id);
    fixture_reopen(f);
    assert_int_equal(mailq_message(f->s, m.id, &f->a, &back), RC_OK);
    assert_int_equal(back.blob, m.blob);
    assert_int_equal(back.skip, 3);
    assert_int_equal(back.size, 20);
    assert_true(view_eq(back.sender, m.sender));
    assert_true(view_eq(back.envid, m.envid));
    assert_true(view_eq(back.peer, m.peer));
    assert_int_equal(back.ret, RET_HDRS);
    assert_int_equal(back.body, BODY_8BIT);
    assert_true(back.smtputf8 && back.deliver_by_return && back.deliver_by_trace && !back.require_tls);
    assert_int_equal(back.priority, -3);
    assert_int_equal(back.deliver_by_ms, 77);
    assert_int_equal(back.account, 9);
    assert_int_equal(mailq_rcpts(f->s, m.id, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(list[0].account, 7);
    assert_int_equal(list[0].notify, NOTIFY_FAILURE | NOTIFY_DELAY);
    assert_true(view_eq(list[0].detail, VIEW("x")));
    assert_true(view_eq(list[0].orcpt, VIEW("rfc822;b@ici.test")));
    assert_true(view_eq(list[0].original, VIEW("B@ici.test")));
    assert_true(list[1].forwarded);
    assert_int_equal(mailq_rcpt(f->s, r[1].id, &f->a, &message, &one), RC_OK);
    assert_int_equal(message, m.id);
    assert_true(view_eq(one.route, VIEW("far.test")));
    assert_int_equal(mailq_rcpt(f->s, 999, &f->a, &message, &one), RC_NOTFOUND);
    assert_int_equal(mailq_message(f->s, 999, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(mailq_blobs(f->s, &blobs, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(blobs[0], m.blob);
    free(blobs);
}

static void due_rows_are_met_in_order(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m = a_message(f);
    struct mailq_rcpt r[6] = {remote_rcpt("b.test", 50), remote_rcpt("a.test", 30), remote_rcpt("a.test", 30),
                              local_rcpt(10),            remote_rcpt("a.test", 90), remote_rcpt("b.test", 20)};
    struct mailq_due *due;
    int64_t next;
    size_t n;

    r[5].held = true;
    assert_int_equal(mailq_next_due(f->s, 0, &next), RC_NOTFOUND);
    assert_int_equal(mailq_submit(f->s, &m, r, 6), RC_OK);
    assert_int_equal(mailq_due(f->s, 0, 0, 50, 100, &f->a, &due, &n), RC_OK);
    assert_int_equal(n, 4);
    assert_int_equal(due[0].rcpt, r[3].id);
    assert_int_equal(due[0].account, 7);
    assert_int_equal(due[1].rcpt, r[1].id);
    assert_int_equal(due[2].rcpt, r[2].id);
    assert_int_equal(due[3].rcpt, r[0].id);
    assert_int_equal(due[3].message, m.id);
    assert_int_equal(due[3].priority, -3);
    assert_true(view_eq(due[3].route, VIEW("b.test")));
    assert_int_equal(mailq_due(f->s, due[1].due_ms, due[1].rcpt, 50, 1, &f->a, &due, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(due[0].rcpt, r[2].id);
    assert_int_equal(mailq_due_route(f->s, VIEW("a.test"), 60, 100, &f->a, &due, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(mailq_due_route(f->s, VIEW(""), 60, 100, &f->a, &due, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(mailq_next_due(f->s, 30, &next), RC_OK);
    assert_int_equal(next, 50);
    assert_int_equal(mailq_next_due(f->s, 90, &next), RC_NOTFOUND);
}

static void a_message_goes_with_its_last_recipient(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m = a_message(f), bounce = a_message(f), back;
    struct mailq_rcpt r[2] = {local_rcpt(10), remote_rcpt("far.test", 20)}, b = local_rcpt(5), one;
    struct mailq_result retry = {.rcpt = 0, .kind = RESULT_RETRY, .due_ms = 500, .delay_told = true, .count = true,
                                 .reply = VIEW("451 later"), .mx = VIEW("mx.far.test")};
    struct mailq_result done = {.kind = RESULT_DONE};
    struct mailq_counts c;
    uint64_t message;

    assert_int_equal(mailq_submit(f->s, &m, r, 2), RC_OK);
    retry.rcpt = r[1].id;
    assert_int_equal(mailq_results(f->s, &retry, 1), RC_OK);
    retry.count = false;
    retry.reply = retry.mx = VIEW("");
    retry.due_ms = 600;
    assert_int_equal(mailq_results(f->s, &retry, 1), RC_OK);
    assert_int_equal(mailq_rcpt(f->s, r[1].id, &f->a, &message, &one), RC_OK);
    assert_int_equal(one.attempts, 1);
    assert_int_equal(one.due_ms, 600);
    assert_true(one.delay_told);
    assert_true(view_eq(one.last_reply, VIEW("451 later")));
    assert_true(view_eq(one.last_mx, VIEW("mx.far.test")));
    assert_true(one.last_attempt_ms > 0);

    done.rcpt = r[0].id;
    assert_int_equal(mailq_results(f->s, &done, 1), RC_OK);
    assert_int_equal(mailq_results(f->s, &done, 1), RC_OK); /* once more does no harm */
    assert_int_equal(mailq_message(f->s, m.id, &f->a, &back), RC_OK);
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.messages, 1);
    assert_int_equal(c.rcpts, 1);
    done.rcpt = r[1].id;
    assert_int_equal(mailq_submit_and_results(f->s, &bounce, &b, 1, &done, 1), RC_OK);
    assert_int_equal(mailq_message(f->s, m.id, &f->a, &back), RC_NOTFOUND);
    assert_int_equal(mailq_message(f->s, bounce.id, &f->a, &back), RC_OK);
    assert_true(bounce.id > r[1].id);
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.messages, 1);
    assert_int_equal(c.bytes, 20);
    done.rcpt = b.id;
    assert_int_equal(mailq_results(f->s, &done, 1), RC_OK);
    fixture_reopen(f);
    assert_int_equal(mailq_submit(f->s, &m, r, 2), RC_OK);
    assert_true(m.id > b.id); /* numbers do not come back though the queue was empty */
}

static void operators_hold_flush_and_remove(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m[2] = {a_message(f), a_message(f)};
    struct mailq_rcpt r[2][2] = {{remote_rcpt("a.test", INT64_MAX), remote_rcpt("b.test", INT64_MAX)},
                                 {remote_rcpt("a.test", INT64_MAX), local_rcpt(INT64_MAX)}};
    struct mailq_counts c;
    struct mailq_due *due;
    uint64_t n, *list;
    size_t k;

    assert_int_equal(mailq_submit(f->s, &m[0], r[0], 2), RC_OK);
    assert_int_equal(mailq_submit(f->s, &m[1], r[1], 2), RC_OK);
    assert_int_equal(mailq_list(f->s, 0, 10, &f->a, &list, &k), RC_OK);
    assert_int_equal(k, 2);
    assert_int_equal(list[1], m[1].id);
    assert_int_equal(mailq_list(f->s, list[0], 1, &f->a, &list, &k), RC_OK);
    assert_int_equal(list[0], m[1].id);
    assert_int_equal(mailq_hold(f->s, m[0].id, true, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(mailq_hold(f->s, m[0].id, true, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(mailq_hold(f->s, 999, true, &n), RC_NOTFOUND);
    assert_int_equal(mailq_flush(f->s, 0, VIEW("a.test"), &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(mailq_due(f->s, 0, 0, clock_real_ms(), 10, &f->a, &due, &k), RC_OK);
    assert_int_equal(k, 1);
    assert_int_equal(due[0].rcpt, r[1][0].id);
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.held, 2);
    assert_int_equal(c.ready, 2);
    assert_int_equal(mailq_remove(f->s, m[0].id, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.held, 0);
    assert_int_equal(c.messages, 1);
    assert_int_equal(mailq_flush(f->s, m[1].id, VIEW(""), &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(mailq_remove(f->s, 0, &n), RC_OK);
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.messages + c.rcpts + c.held + c.bytes, 0);
}

#define THREADS    8
#define PER_THREAD 50

struct submitter {
    struct fixture *f;
    int number;
    uint64_t ids[PER_THREAD];
};

static void *submit_many(void *ctx)
{
    struct submitter *x = ctx;

    for (int i = 0; i < PER_THREAD; i++) {
        struct blob_writer *w;
        struct mailq_message m = {.size = 2, .sender = VIEW("a@labas.test")};
        struct mailq_rcpt r[2] = {local_rcpt(1), remote_rcpt("far.test", 2)};
        if (blob_begin(x->f->s, 0, &w) != RC_OK || blob_append(w, VIEW("hi")) != RC_OK || blob_finish(w, &m.blob) != RC_OK ||
            mailq_submit(x->f->s, &m, r, 2) != RC_OK)
            return NULL;
        struct mailq_result done = {.rcpt = r[0].id, .kind = RESULT_DONE};
        if (mailq_results(x->f->s, &done, 1) != RC_OK)
            return NULL;
        x->ids[i] = m.id;
    }
    return x;
}

static void count_wake(void *ctx, const struct mailq_message *m, const struct mailq_rcpt *r, size_t n)
{
    if (m->id > 0 && r[0].id > m->id && n == 2)
        __atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_RELAXED);
}

static void threads_share_commits(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct submitter *x = calloc(THREADS, sizeof *x);
    struct mailq_counts c;
    struct mailq_message m;
    unsigned woken = 0;
    void *ok;

    mailq_set_wake(f->s, count_wake, &woken);
    for (int i = 0; i < THREADS; i++) {
        x[i] = (struct submitter){.f = f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &x[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    assert_int_equal(woken, THREADS * PER_THREAD);
    fixture_reopen(f);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < PER_THREAD; j++)
            assert_int_equal(mailq_message(f->s, x[i].ids[j], &f->a, &m), RC_OK);
    }
    assert_int_equal(mailq_count(f->s, &c), RC_OK);
    assert_int_equal(c.messages, THREADS * PER_THREAD);
    assert_int_equal(c.rcpts, THREADS * PER_THREAD);
    free(x);
}

/* The last ones of each recipient, those of all beside its own, until the message goes. */
static void attempts_are_told_while_it_waits(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m = a_message(f);
    struct mailq_rcpt r[3] = {remote_rcpt("far.test", 10), remote_rcpt("far.test", 10), remote_rcpt("other.test", 10)};
    struct mailq_attempt tries[2] = {{.at_ms = 5, .mx = VIEW("mx.far.test"), .address = VIEW("192.0.2.9"), .tls = VIEW("TLSv1.3"),
                                      .policy = VIEW("asked"), .reply = VIEW("no"), .result = VIEW("unreachable")},
                                     {.at_ms = 6, .mx = VIEW("mx2.far.test"), .reply = VIEW("451 later"), .result = VIEW("deferred")}};
    struct mailq_result put = {.kind = RESULT_RETRY, .due_ms = 20, .count = true, .reply = VIEW("451 later"), .mx = VIEW("mx2.far.test"),
                               .route = VIEW("far.test"), .attempts = tries, .n_attempts = 2};
    struct mailq_attempt *story;
    uint64_t gone;
    size_t n;

    assert_int_equal(mailq_submit(f->s, &m, r, 3), RC_OK);
    put.message = m.id;
    put.rcpt = tries[1].rcpt = r[0].id;
    assert_int_equal(mailq_results(f->s, &put, 1), RC_OK);
    assert_int_equal(mailq_story(f->s, m.id, &r[0], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(story[0].at_ms, 5);
    assert_true(view_eq(story[0].mx, VIEW("mx.far.test")) && view_eq(story[0].address, VIEW("192.0.2.9")));
    assert_true(view_eq(story[0].tls, VIEW("TLSv1.3")) && view_eq(story[0].policy, VIEW("asked")));
    assert_true(view_eq(story[1].reply, VIEW("451 later")) && view_eq(story[1].result, VIEW("deferred")));
    assert_int_equal(mailq_story(f->s, m.id, &r[1], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 1); /* what another recipient was told is not for this one */
    assert_int_equal(mailq_story(f->s, m.id, &r[2], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 0);
    for (int i = 0; i < 2 * MAILQ_STORY_MAX; i++) {
        tries[1].at_ms = 100 + i;
        assert_int_equal(mailq_results(f->s, &put, 1), RC_OK);
    }
    assert_int_equal(mailq_story(f->s, m.id, &r[0], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 2 * MAILQ_STORY_MAX);
    assert_int_equal(story[n - 1].at_ms, 100 + 2 * MAILQ_STORY_MAX - 1);
    assert_int_equal(mailq_remove(f->s, m.id, &gone), RC_OK);
    assert_int_equal(mailq_story(f->s, m.id, &r[0], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(mailq_results(f->s, &put, 1), RC_OK); /* too late: nothing is left behind */
    assert_int_equal(mailq_story(f->s, m.id, &r[0], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 0);
}

static void a_story_ends_with_its_message(void **state)
{
    struct fixture *f = *state;
    struct mailq_message m = a_message(f);
    struct mailq_rcpt r[1] = {remote_rcpt("far.test", 10)};
    struct mailq_attempt try = {.at_ms = 5, .result = VIEW("routing")}, *story;
    struct mailq_result put = {.kind = RESULT_RETRY, .route = VIEW("far.test"), .attempts = &try, .n_attempts = 1};
    size_t n;

    assert_int_equal(mailq_submit(f->s, &m, r, 1), RC_OK);
    put.message = m.id;
    put.rcpt = r[0].id;
    assert_int_equal(mailq_results(f->s, &put, 1), RC_OK);
    put = (struct mailq_result){.rcpt = r[0].id, .kind = RESULT_DONE};
    assert_int_equal(mailq_results(f->s, &put, 1), RC_OK);
    assert_int_equal(mailq_story(f->s, m.id, &r[0], &f->a, &story, &n), RC_OK);
    assert_int_equal(n, 0);
}

/* The plans that keep each call flat: an index is searched, nothing is scanned or sorted. */
static void no_question_scans_the_queue(void **state)
{
    static const struct {
        const char *sql, *index;
    } cases[] = {
        {"SELECT id, message, account, route, due_ms, priority FROM queue_rcpt WHERE held = 0 AND (due_ms, id) > ($1, $2)"
         " AND due_ms <= $3 ORDER BY due_ms, id LIMIT $4", "SEARCH queue_rcpt USING INDEX queue_rcpt_due ("},
        {"SELECT id, message, account, route, due_ms, priority FROM queue_rcpt WHERE held = 0 AND route <> '' AND route = $1"
         " AND due_ms <= $2 ORDER BY due_ms, id LIMIT $3", "SEARCH queue_rcpt USING INDEX queue_rcpt_route ("},
        {"SELECT due_ms FROM queue_rcpt WHERE held = 0 AND due_ms > $1 ORDER BY due_ms, id LIMIT 1",
         "SEARCH queue_rcpt USING INDEX queue_rcpt_due ("},
        {"DELETE FROM queue_rcpt WHERE id > $1 AND id <= $2", "SEARCH queue_rcpt USING INTEGER PRIMARY KEY"},
    };
    struct fixture *f = *state;
    char path[96];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/facteur.db", f->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite3_stmt *st;
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", cases[i].sql);
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        const char *plan = (const char *)sqlite3_column_text(st, 3);
        if (strncmp(plan, cases[i].index, strlen(cases[i].index)) != 0)
            fail_msg("%s: %s", cases[i].sql, plan);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE); /* no temporary b-tree for the order */
        sqlite3_finalize(st);
        sqlite3_free(explain);
    }
    sqlite3_close(db);
}

static size_t n_calls(struct fixture *f)
{
    struct webhook_call *calls;
    int64_t next_s;
    size_t n;
    assert_int_equal(webhook_due(f->s, INT32_MAX, 100, &f->a, &calls, &n, &next_s), RC_OK);
    return n;
}

/* What is told of a result is there when and only when the result is. */
static void events_come_with_results(void **state)
{
    struct fixture *f = *state;
    const struct webhook hook = {.url = VIEW("https://h.test/"), .secret = VIEW("s"), .events = WEBHOOK_BOUNCED | WEBHOOK_DEFERRED};
    struct mailq_message m = a_message(f);
    struct mailq_rcpt r[2] = {remote_rcpt("far.test", 20), remote_rcpt("far.test", 20)};
    bool dead;
    uint64_t id;

    assert_int_equal(webhook_add(f->s, 9, &hook, &id), RC_OK);
    assert_int_equal(mailq_submit(f->s, &m, r, 2), RC_OK);
    struct mailq_result result = {.rcpt = r[0].id, .kind = RESULT_RETRY, .due_ms = 5, .event = {.account = 9, .event = WEBHOOK_DEFERRED, .body = VIEW("{}")}};
    assert_int_equal(mailq_results(f->s, &result, 1), RC_OK);
    assert_int_equal(n_calls(f), 1);
    result = (struct mailq_result){.rcpt = r[0].id, .kind = RESULT_DONE, .event = {.account = 9, .event = WEBHOOK_BOUNCED, .body = VIEW("{}"),
                                   .dead = VIEW("C@far.test"), .reason = VIEW("550 5.1.1")}};
    assert_int_equal(mailq_results(f->s, &result, 1), RC_OK);
    assert_int_equal(n_calls(f), 2);
    assert_true(suppression_has(f->s, 9, VIEW("c@far.test"), &dead) == RC_OK && dead);
    assert_int_equal(mailq_results(f->s, &result, 1), RC_OK); /* the row has gone: so it was told */
    result.rcpt = r[1].id;
    result.event.event = WEBHOOK_DELIVERED; /* nobody asked for it */
    assert_int_equal(mailq_results(f->s, &result, 1), RC_OK);
    assert_int_equal(n_calls(f), 2);
    const struct mailq_event alone = {.account = 9, .event = WEBHOOK_BOUNCED, .body = VIEW("{}")}, others = {.account = 8, .event = WEBHOOK_BOUNCED, .body = VIEW("{}")};
    assert_int_equal(mailq_tell(f->s, &alone), RC_OK);
    assert_int_equal(mailq_tell(f->s, &others), RC_OK);
    fixture_reopen(f);
    assert_int_equal(n_calls(f), 3);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(rows_come_back_as_they_went_in), WITH_STORE(events_come_with_results), WITH_STORE(due_rows_are_met_in_order),
        WITH_STORE(a_message_goes_with_its_last_recipient), WITH_STORE(operators_hold_flush_and_remove),
        WITH_STORE(attempts_are_told_while_it_waits),       WITH_STORE(a_story_ends_with_its_message),
        WITH_STORE(threads_share_commits),                  WITH_STORE(no_question_scans_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
