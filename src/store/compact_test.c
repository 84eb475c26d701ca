#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "store/blob_test.h"
#include "store/compact.h"

enum { N = 600, SIZE = 9000 };

static enum rc compact(struct blobs *b, const uint64_t *ids, const bool *live, size_t n, struct compact_settings set,
                       struct compact_stats *stats)
{
    struct id_set rows = {0};
    uint32_t *segments = NULL;
    size_t n_segments = 0;
    int lock;
    enum rc rc = blobs_lock(b, true, &lock);

    *stats = (struct compact_stats){0};
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (live[i])
            assert_int_equal(id_set_add(&rows, &ids[i], 1), RC_OK);
    id_set_order(&rows);
    rc = blobs_list(b, "seg", &segments, &n_segments);
    if (rc == RC_OK)
        rc = compact_blobs(b, segments, n_segments, &rows, &set, stats);
    close(lock);
    free(segments);
    id_set_clear(&rows);
    return rc;
}

static void fill(struct blobs *b, uint64_t *ids, bool *live)
{
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(put_front(b, i, i % 2 ? 800 : 0, SIZE, SIZE, &ids[i]), RC_OK);
        live[i] = i % 3 != 0;
    }
    assert_int_equal(blobs_sync(b), RC_OK);
}

static void check_living(struct blobs *b, const uint64_t *ids, const bool *live)
{
    for (unsigned i = 0; i < N; i++)
        if (live[i])
            assert_true(has(b, ids[i], i, SIZE));
}

static size_t count_files(struct blobs *b, const char *kind)
{
    uint32_t *list = NULL;
    size_t n = 0;
    assert_int_equal(blobs_list(b, kind, &list, &n), RC_OK);
    free(list);
    return n;
}

static void ids_stay_over_many_rounds(void **state)
{
    static uint64_t ids[N];
    static bool live[N];
    struct compact_stats st;
    struct blobs *b = open_blobs(SMALL_SEGMENT), *other = open_blobs(SMALL_SEGMENT);
    struct blob held;
    (void)state;
    fill(b, ids, live);
    size_t before = count_files(b, "seg");
    assert_true(has(other, ids[1], 1, SIZE)); /* has a mapping of what goes */
    assert_int_equal(blobs_get(other, ids[4], true, &held), RC_OK);
    assert_int_equal(compact(b, ids, live, N, (struct compact_settings){0}, &st), RC_OK);
    assert_int_equal(st.compacted, 0); /* too young */
    assert_int_equal(compact(b, ids, live, N, (struct compact_settings){.age_s = -1}, &st), RC_OK);
    assert_true(st.compacted > 0 && st.moved > 0 && count_files(b, "moved") > 0);
    check_living(b, ids, live);
    check_living(other, ids, live);
    struct blob got;
    assert_int_equal(blobs_get(b, ids[0], true, &got), RC_NOTFOUND);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < N; i++)
            live[i] = live[i] && (i % 7 != round && i % 5 != round);
        blobs_seal(b);
        assert_int_equal(compact(b, ids, live, N, (struct compact_settings){.age_s = -1, .dead_percent = 10}, &st), RC_OK);
        assert_true(st.compacted > 0);
        check_living(b, ids, live);
        check_living(other, ids, live);
    }
    char *p = make_body(4, SIZE);
    assert_memory_equal(held.bytes.p, p, SIZE); /* the file is long gone */
    free(p);
    blob_close(&held);
    assert_true(count_files(b, "seg") < before);
    memset(live, 0, sizeof live);
    blobs_seal(b);
    assert_int_equal(compact(b, ids, live, N, (struct compact_settings){.age_s = -1}, &st), RC_OK);
    assert_int_equal(count_files(b, "moved"), 0);
    assert_true(count_files(b, "seg") <= 2);
    blobs_close(b);
    blobs_close(other);
}

static void backups_keep_it_out(void **state)
{
    static uint64_t ids[N];
    static bool live[N];
    struct compact_stats st;
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    int lock, lock2;
    (void)state;
    assert_int_equal(blobs_lock(b, false, &lock), RC_OK);
    assert_int_equal(blobs_lock(b, false, &lock2), RC_OK);
    assert_int_equal(compact(b, ids, live, 0, (struct compact_settings){0}, &st), RC_TEMP);
    close(lock);
    close(lock2);
    assert_int_equal(compact(b, ids, live, 0, (struct compact_settings){0}, &st), RC_OK);
    blobs_close(b);
}

static void damaged_segments_stay(void **state)
{
    static uint64_t ids[N];
    static bool live[N];
    struct compact_stats st;
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    char path[128], name[24];
    (void)state;
    log_set_level(LOG_ERROR + 1);
    fill(b, ids, live);
    blobs_name(blob_segment(ids[1]), "seg", name);
    snprintf(path, sizeof path, "%s/blobs/%s", folder, name);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)blob_offset(ids[1]) + RECORD_HEAD + 5, SEEK_SET), 0);
    assert_true(fputs("damage", f) >= 0);
    fclose(f);
    assert_int_equal(compact(b, ids, live, N, (struct compact_settings){.age_s = -1}, &st), RC_OK);
    assert_int_equal(access(path, F_OK), 0);
    live[1] = false;
    check_living(b, ids, live);
    blobs_close(b);
}

struct killer {
    enum compact_step at;
    int left;
};
static void maybe_die(void *ctx, enum compact_step step, uint32_t segment)
{
    struct killer *k = ctx;
    (void)segment;
    if (step == k->at && k->left-- == 0)
        kill(getpid(), SIGKILL);
}

static void a_crash_at_any_step_loses_nothing(void **state)
{
    static uint64_t ids[N];
    static bool live[N];
    struct compact_stats st;
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    int status, deaths = 0;
    (void)state;
    fill(b, ids, live);
    blobs_close(b);
    for (int i = 0; i < 20; i++) {
        struct killer k = {.at = (enum compact_step)(i % 5), .left = i / 10};
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct compact_settings set = {.age_s = -1, .dead_percent = 5, .progress = maybe_die, .ctx = &k};
            b = open_blobs(SMALL_SEGMENT);
            (void)compact(b, ids, live, N, set, &st);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        deaths += WIFSIGNALED(status);
        b = open_blobs(SMALL_SEGMENT);
        check_living(b, ids, live);
        uint64_t id; /* writing goes on */
        assert_int_equal(put(b, 77, 100, 100, &id), RC_OK);
        assert_true(has(b, id, 77, 100));
        blobs_close(b);
        for (int n = 0; n < N; n++)
            live[n] = live[n] && n % 19 != i;
    }
    assert_true(deaths > 4);
}

struct shared {
    struct blobs *b;
    const uint64_t *ids;
    atomic_bool live[N], stop;
    atomic_int bad;
};
static void *read_on(void *arg)
{
    struct shared *s = arg;
    for (unsigned i = 0; !s->stop; i = (i + 1) % N)
        if (s->live[i] && !has(s->b, s->ids[i], i, SIZE) && s->live[i])
            s->bad++;
    return NULL;
}
static void *write_on(void *arg)
{
    struct shared *s = arg;
    uint64_t id;
    for (unsigned i = 0; !s->stop && i < 2000; i++)
        if (put(s->b, i, 500, 500, &id) != RC_OK || blobs_sync(s->b) != RC_OK || !has(s->b, id, i, 500))
            s->bad++;
    return NULL;
}

static void readers_and_writers_go_on(void **state)
{
    static uint64_t ids[N];
    static bool live[N];
    static struct shared s;
    struct compact_stats st;
    struct blobs *b = open_blobs(SMALL_SEGMENT), *other = open_blobs(SMALL_SEGMENT);
    pthread_t t[2];
    (void)state;
    fill(b, ids, live);
    s.b = other;
    s.ids = ids;
    for (unsigned i = 0; i < N; i++)
        s.live[i] = live[i];
    assert_int_equal(pthread_create(&t[0], NULL, read_on, &s), 0);
    assert_int_equal(pthread_create(&t[1], NULL, write_on, &s), 0);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < N; i++)
            if (i % 11 == round)
                s.live[i] = live[i] = false;
        blobs_seal(b);
        /* age: the other writer's segments are young; ours are sealed and all that is live is known */
        assert_int_equal(compact(b, ids, live, N, (struct compact_settings){.age_s = -1, .dead_percent = 5}, &st), RC_OK);
    }
    s.stop = true;
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    assert_int_equal(s.bad, 0);
    check_living(b, ids, live);
    blobs_close(b);
    blobs_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
        T(ids_stay_over_many_rounds),
        T(backups_keep_it_out),
        T(damaged_segments_stay),
        T(a_crash_at_any_step_loses_nothing),
        T(readers_and_writers_go_on),
    };
    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
