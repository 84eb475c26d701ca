#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/blob_test.h"

static void path_of(uint32_t number, const char *kind, char *out, size_t n)
{
    char name[24];
    blobs_name(number, kind, name);
    snprintf(out, n, "%s/blobs/%s", folder, name);
}

static void blobs_come_back(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 63, 10240, BLOB_INLINE - 1, BLOB_INLINE, BLOB_INLINE + 1, 300000, 3000000, 5};
    enum { N = sizeof sizes / sizeof *sizes };
    uint64_t id[N];
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    (void)state;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(put(b, i, sizes[i], i % 2 ? 1000 : 70000, &id[i]), RC_OK);
        assert_true(id[i] > 0 && id[i] <= INT64_MAX);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(id[k], id[i]);
        assert_true(has(b, id[i], i, sizes[i]));
    }
    assert_int_equal(blobs_sync(b), RC_OK);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < N; i++)
            assert_true(has(b, id[i], i, sizes[i]));
        blobs_close(b);
        b = open_blobs(SMALL_SEGMENT);
    }
    blobs_close(b);
}

/* What is put in front at the end is read first. */
static void fronts_come_back(void **state)
{
    static const struct {
        size_t body, front;
        bool streamed;
    } t[] = {
        {0, 1, false},
        {0, BLOB_FRONT_MAX, false},
        {1, 7, false},
        {10240, 600, false},
        {10240, 601, false},
        {BLOB_INLINE - 1, BLOB_FRONT_MAX, false},
        {BLOB_INLINE, BLOB_FRONT_MAX, false},
        {BLOB_INLINE, 3, false},
        {BLOB_INLINE + 1, 8, true},
        {BLOB_INLINE + 1, BLOB_FRONT_MAX, true},
        {300001, BLOB_FRONT_MAX - 8, true},
        {3000003, 1024, true},
        {5, 5, false},
    };
    enum { N = sizeof t / sizeof *t };
    uint64_t id[N];
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    (void)state;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(put_front(b, i, t[i].front, t[i].front + t[i].body, i % 2 ? 1000 : 70000, &id[i]), RC_OK);
        assert_true(has(b, id[i], i, t[i].front + t[i].body));
    }
    assert_int_equal(blobs_sync(b), RC_OK);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < N; i++)
            assert_true(has(b, id[i], i, t[i].front + t[i].body));
        blobs_close(b);
        b = open_blobs(SMALL_SEGMENT);
    }
    blobs_close(b);
}

static void fronts_have_rules(void **state)
{
    static const size_t sizes[] = {100, BLOB_INLINE, BLOB_INLINE + 1, 400000};
    struct blobs *b = open_blobs(0);
    struct blob_writer *w;
    char *p = make_body(1, 400000);
    uint64_t id;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int expected = 0; expected < 2; expected++) { /* too long; not told of before */
            assert_int_equal(blobs_begin(b, 0, &w), RC_OK);
            if (expected)
                blob_expect_front(w);
            assert_int_equal(blob_append(w, view_of(p, sizes[i])), RC_OK);
            assert_true(blob_is_streamed(w) == (sizes[i] > BLOB_INLINE));
            assert_int_equal(blob_prepend(w, view_of(p, expected ? BLOB_FRONT_MAX + 8 : 8)), RC_LIMIT);
            assert_int_equal(blob_finish(w, &id), RC_LIMIT);
        }
        assert_int_equal(blobs_begin(b, 0, &w), RC_OK); /* expected, and then there is none */
        blob_expect_front(w);
        assert_int_equal(blob_append(w, view_of(p, sizes[i])), RC_OK);
        assert_int_equal(blob_prepend(w, VIEW("")), RC_OK);
        assert_int_equal(blob_finish(w, &id), RC_OK);
        struct blob got;
        assert_int_equal(blobs_get(b, id, true, &got), RC_OK);
        assert_int_equal(got.bytes.n, sizes[i]);
        assert_memory_equal(got.bytes.p, p, sizes[i]);
        blob_close(&got);
    }
    free(p);
    blobs_close(b);
}

/* The room that a front did not fill is a gap of zeros: a walk over the segment meets the records and nothing else. */
static void gaps_before_fronts_are_zero(void **state)
{
    uint64_t id[4], at = SEGMENT_HEAD, gap = 0;
    struct blobs *b = open_blobs(0);
    struct segment_head head;
    struct blob_writer *w;
    struct record r;
    struct view file;
    char *p = make_body(9, 300000), name[24];
    (void)state;
    assert_int_equal(blobs_begin(b, 0, &w), RC_OK); /* bytes of one that was given up do not stay in the gap */
    blob_expect_front(w);
    assert_int_equal(blob_append(w, view_of(p, 300000)), RC_OK);
    assert_int_equal(blob_prepend(w, view_of(p, 8000)), RC_OK);
    blob_abort(w);
    free(p);
    assert_int_equal(put_front(b, 0, 800, 200000, 5000, &id[0]), RC_OK);
    assert_int_equal(put_front(b, 1, 0, 200000, 5000, &id[1]), RC_OK);
    assert_int_equal(put_front(b, 2, BLOB_FRONT_MAX, 200000, 5000, &id[2]), RC_OK);
    assert_int_equal(put_front(b, 3, 1600, 200000, 5000, &id[3]), RC_OK);
    assert_int_equal(id[1], id[0] + record_span(200000)); /* no room is lost where no front is expected, */
    assert_int_equal(id[2], id[1] + record_span(200000)); /* or where all of it is used */
    assert_int_equal(id[3], id[2] + record_span(200000) + BLOB_FRONT_MAX - 1600);
    uint64_t unreadable = 0;
    blobs_name(blob_segment(id[0]), "seg", name);
    assert_int_equal(blobs_load(b->dir_fd, name, &file, &unreadable), RC_OK);
    assert_int_equal(segment_head_parse(file, &head), RC_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(record_next(file, head.salt, &at, &r, &gap), RC_OK);
        assert_int_equal(r.offset, blob_offset(id[i]));
        assert_int_equal(record_body_sum(record_body(file, &r)), r.body_sum);
    }
    assert_int_equal(record_next(file, head.salt, &at, &r, &gap), RC_NOTFOUND);
    assert_int_equal(gap, 0);
    blobs_unload(&file);
    blobs_close(b);
}

static void wrong_ids_are_refused(void **state)
{
    struct blobs *b = open_blobs(0);
    struct blob got;
    uint64_t id;
    (void)state;
    assert_int_equal(put(b, 1, 1000, 1000, &id), RC_OK);
    uint64_t wrong[] = {0, 1, id + 8, id + 1, id + 100000, blob_id(2, SEGMENT_HEAD), UINT64_MAX, INT64_MAX, blob_id(1, 0)};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_not_equal(blobs_get(b, wrong[i], false, &got), RC_OK);
    assert_true(has(b, id, 1, 1000));
    blob_close(&(struct blob){.ref = NULL});
    blobs_close(b);
}

static void abort_gives_the_place_back(void **state)
{
    struct blobs *b = open_blobs(0);
    struct blob_writer *w;
    char *p = make_body(3, 2000000), path[128];
    struct stat st;
    uint64_t id, id2;
    (void)state;
    assert_int_equal(put(b, 1, 200000, 200000, &id), RC_OK);
    assert_int_equal(blobs_begin(b, 0, &w), RC_OK);
    assert_int_equal(blob_append(w, view_of(p, 2000000)), RC_OK);
    assert_int_equal(blob_written(w), 2000000);
    blob_abort(w);
    path_of(blob_segment(id), "seg", path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 300000);
    assert_int_equal(put(b, 2, 200000, 200000, &id2), RC_OK);
    assert_int_equal(id2, id + record_span(200000));
    assert_true(has(b, id, 1, 200000) && has(b, id2, 2, 200000));
    blob_abort(NULL);
    free(p);
    blobs_close(b);
}

/* Two processes never write one segment; a closed one is taken up again where it ended. */
static void segments_are_adopted(void **state)
{
    struct blobs *a = open_blobs(0), *b = open_blobs(0);
    uint64_t ida, idb, idc;
    (void)state;
    assert_int_equal(put(a, 1, 5000, 5000, &ida), RC_OK);
    assert_int_equal(put(b, 2, 5000, 5000, &idb), RC_OK);
    assert_int_not_equal(blob_segment(ida), blob_segment(idb));
    assert_true(has(a, idb, 2, 5000) && has(b, ida, 1, 5000));
    blobs_close(b);
    b = open_blobs(0);
    assert_int_equal(put(b, 3, 5000, 5000, &idc), RC_OK);
    assert_int_equal(idc, idb + record_span(5000));
    blobs_close(a);
    blobs_close(b);
}

static void damage_is_found(void **state)
{
    struct blobs *b = open_blobs(0);
    struct blob got;
    uint64_t id[3];
    char path[128], byte;
    int fd;
    (void)state;
    log_set_level(LOG_ERROR + 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(b, (uint64_t)i, 5000, 5000, &id[i]), RC_OK);
    path_of(blob_segment(id[0]), "seg", path, sizeof path);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    /* one byte of the body: seen by a check only; one of the head: always */
    assert_int_equal(pread(fd, &byte, 1, (off_t)blob_offset(id[1]) + RECORD_HEAD + 77), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)blob_offset(id[1]) + RECORD_HEAD + 77), 1);
    assert_int_equal(blobs_get(b, id[1], true, &got), RC_CORRUPT);
    assert_int_equal(blobs_get(b, id[1], false, &got), RC_OK);
    blob_close(&got);
    for (int k = 0; k < RECORD_HEAD; k++) {
        assert_int_equal(pread(fd, &byte, 1, (off_t)blob_offset(id[1]) + k), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)blob_offset(id[1]) + k), 1);
        assert_int_equal(blobs_get(b, id[1], false, &got), RC_CORRUPT);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)blob_offset(id[1]) + k), 1);
    }
    assert_true(has(b, id[0], 0, 5000) && has(b, id[2], 2, 5000));
    /* cut beneath a mapping: an error, not a signal */
    assert_int_equal(ftruncate(fd, (off_t)blob_offset(id[2]) + RECORD_HEAD + 10), 0);
    assert_int_equal(blobs_get(b, id[2], true, &got), RC_CORRUPT);
    assert_int_equal(ftruncate(fd, (off_t)blob_offset(id[2])), 0);
    assert_int_not_equal(blobs_get(b, id[2], true, &got), RC_OK);
    assert_true(has(b, id[0], 0, 5000));
    /* the segment's own head: its salt is taken from the records */
    assert_int_equal(pwrite(fd, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32, 0), 32);
    blobs_trim(b, 0);
    assert_true(has(b, id[0], 0, 5000));
    assert_int_equal(ftruncate(fd, 0), 0);
    blobs_trim(b, 0);
    assert_int_equal(blobs_get(b, id[0], true, &got), RC_CORRUPT);
    close(fd);
    blobs_close(b);
    log_set_level(LOG_INFO);
}

/* A body that holds the bytes of whole records of other blobs must not give birth to blobs when a segment is walked. */
static void bodies_cannot_forge_records(void **state)
{
    struct segment_head head = {.number = 1, .salt = 42};
    char seg[4096] = {0}, forged[256] = {0};
    struct record r = {.offset = SEGMENT_HEAD, .size = sizeof forged}, fake, got;
    uint64_t at = SEGMENT_HEAD, gap = 0, salt;
    (void)state;
    segment_head_write(&head, seg);
    fake = (struct record){.offset = SEGMENT_HEAD + RECORD_HEAD, .size = 8, .owner = 7};
    record_head_write(&fake, 41, forged); /* whoever sends a message cannot know the salt */
    memcpy(seg + SEGMENT_HEAD + RECORD_HEAD, forged, sizeof forged);
    record_head_write(&r, head.salt, seg + SEGMENT_HEAD);
    r.offset += record_span(sizeof forged);
    r.size = 16;
    record_head_write(&r, head.salt, seg + r.offset);
    seg[SEGMENT_HEAD + 4] ^= 1; /* the true head is damaged: the walk meets the forged one */
    assert_int_equal(record_next(view_of(seg, sizeof seg), head.salt, &at, &got, &gap), RC_OK);
    assert_int_equal(got.offset, r.offset);
    assert_true(gap > 0);
    assert_int_equal(record_next(view_of(seg, sizeof seg), head.salt, &at, &got, &gap), RC_NOTFOUND);
    assert_int_equal(segment_guess_salt(view_of(seg, r.offset + 100), &salt), RC_OK);
}

static int failing_datasync(int fd)
{
    (void)fd;
    return -1;
}

static void failed_sync_is_not_forgotten(void **state)
{
    struct blobs *b = open_blobs(0);
    uint64_t id, id2;
    (void)state;
    log_set_level(LOG_ERROR + 1);
    assert_int_equal(blobs_sync(b), RC_OK);
    assert_int_equal(put(b, 1, 5000, 5000, &id), RC_OK);
    b->datasync = failing_datasync;
    assert_int_equal(blobs_sync(b), RC_TEMP);
    assert_int_equal(blobs_sync(b), RC_TEMP);
    assert_int_equal(put(b, 2, 5000, 5000, &id2), RC_OK);
    assert_int_not_equal(blob_segment(id), blob_segment(id2));
    b->datasync = fdatasync;
    assert_int_equal(blobs_sync(b), RC_OK);
    assert_true(has(b, id, 1, 5000) && has(b, id2, 2, 5000));
    blobs_close(b);
    log_set_level(LOG_INFO);
}

/* A disk without room: nothing is damaged, no id is wasted, and it goes on by itself. */
static void a_full_disk_recovers(void **state)
{
    static uint64_t ids[400];
    struct rlimit old, tight = {.rlim_cur = 600000};
    struct blobs *b = open_blobs(0);
    struct blob_writer *w;
    uint64_t id;
    size_t n = 0;
    char *p = make_body(1, 500000);
    (void)state;
    log_set_level(LOG_ERROR + 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    while (put(b, n, 9000, 9000, &ids[n]) == RC_OK)
        n++;
    assert_true(n > 50 && n < 70);
    assert_int_equal(put(b, n, 9000, 9000, &id), RC_FULL);
    assert_int_equal(blobs_begin(b, 0, &w), RC_OK); /* a large one fails on its way */
    enum rc rc = blob_append(w, view_of(p, 500000));
    if (rc == RC_OK)
        rc = blob_append(w, view_of(p, 500000));
    assert_int_equal(rc, RC_FULL);
    assert_int_equal(blob_append(w, VIEW("x")), RC_FULL);
    blob_abort(w);
    assert_int_equal(blobs_sync(b), RC_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    for (size_t i = n; i < n + 100; i++)
        assert_int_equal(put(b, i, 9000, 9000, &ids[i]), RC_OK);
    assert_int_equal(ids[n], ids[n - 1] + record_span(9000)); /* the place that failed is used */
    assert_int_equal(blobs_sync(b), RC_OK);
    for (size_t i = 0; i < n + 100; i++)
        assert_true(has(b, ids[i], i, 9000));
    blobs_close(b);
    free(p);
}

enum { THREADS = 8, EACH = 200 };
struct job {
    struct blobs *b;
    uint64_t key;
    uint64_t id[EACH];
    size_t size[EACH];
};

static void *write_many(void *arg)
{
    struct job *j = arg;
    for (unsigned i = 0; i < EACH; i++) {
        j->size[i] = i % 50 == 49 ? 200000 : (i * 7919) % 9000;
        size_t front = i % 3 && j->size[i] > 3200 ? 1600 : 0;
        if (put_front(j->b, j->key + i, front, j->size[i], 3000, &j->id[i]) != RC_OK || blobs_sync(j->b) != RC_OK ||
            !has(j->b, j->id[i], j->key + i, j->size[i]))
            return j;
    }
    return NULL;
}

static void threads_write_together(void **state)
{
    struct blobs *b = open_blobs(SMALL_SEGMENT);
    static struct job job[THREADS];
    pthread_t t[THREADS];
    void *failed;
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        job[i] = (struct job){.b = b, .key = i * 100000};
        assert_int_equal(pthread_create(&t[i], NULL, write_many, &job[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
    blobs_close(b);
    b = open_blobs(SMALL_SEGMENT);
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < EACH; k++)
            assert_true(has(b, job[i].id[k], job[i].key + k, job[i].size[k]));
    blobs_close(b);
}

struct told {
    uint64_t id, key, size;
};

static _Noreturn void write_until_killed(int pipe_fd, uint64_t key)
{
    struct blobs *b;
    if (blobs_open_at(folder, "child", SMALL_SEGMENT, &b) != RC_OK)
        _exit(1);
    for (int i = 0; i < 100000; i++, key++) {
        struct told t = {.key = key, .size = i % 20 == 19 ? 200000 : (key * 7919) % 9000};
        size_t front = i % 40 == 39 || (i % 3 == 1 && t.size > 1600) ? 1600 : 0;
        if (put_front(b, t.key, front, t.size, 3000, &t.id) != RC_OK || blobs_sync(b) != RC_OK ||
            write(pipe_fd, &t, sizeof t) != sizeof t)
            _exit(1);
    }
    _exit(0);
}

/* Whatever was synced before kill -9 is there, and the next process writes on without harming it. */
static void killed_writers_lose_nothing(void **state)
{
    enum { ROUNDS = 12, MAX = 4000 };
    static struct told seen[MAX];
    size_t n = 0;
    struct blobs *b;
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        int fd[2], status;
        struct told t;
        size_t stop = n + 5 + (round * 37) % 60;
        assert_int_equal(pipe(fd), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed(fd[1], round * 1000000 + 1);
        close(fd[1]);
        while (n < stop && read(fd[0], &t, sizeof t) == sizeof t)
            seen[n++] = t;
        assert_int_equal(n, stop);
        kill(pid, SIGKILL);
        while (n < MAX && read(fd[0], &t, sizeof t) == sizeof t)
            seen[n++] = t;
        close(fd[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        b = open_blobs(SMALL_SEGMENT);
        for (size_t i = 0; i < n; i++)
            assert_true(has(b, seen[i].id, seen[i].key, seen[i].size));
        blobs_close(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
        T(blobs_come_back),
        T(fronts_come_back),
        T(fronts_have_rules),
        T(gaps_before_fronts_are_zero),
        T(wrong_ids_are_refused),
        T(abort_gives_the_place_back),
        T(segments_are_adopted),
        T(damage_is_found),
        T(bodies_cannot_forge_records),
        T(failed_sync_is_not_forgotten),
        T(a_full_disk_recovers),
        T(threads_write_together),
        T(killed_writers_lose_nothing),
    };
    return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
