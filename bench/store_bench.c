/* bench/store_bench: what the calls of the store cost, in microseconds of CPU and bytes written.
 *
 *     store_bench deliver FOLDER ACCOUNTS MESSAGES BATCH    mailbox_deliver, spread over accounts, settle every 1000 calls, as the queue does in a second
 *     store_bench submit FOLDER THREADS MESSAGES            blob and mailq_submit, then mailq_results
 *     store_bench read FOLDER ACCOUNTS                      what clients ask, of what `deliver` left; memory a handle
 *     store_bench queue FOLDER ROWS...                      the scheduler's questions at each number of waiting rows
 *
 * Else FOLDER must not exist; it is left for the caller to look at and remove. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/blob.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/mailq.h"

#define ROUNDS 2000

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e6 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + (double)t.tv_nsec / 1e3;
}

/* Bytes that this process caused to be written to the device so far. */
static double written(void)
{
    char line[128];
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/io", "r");

    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "write_bytes: %llu", &n) == 1)
            break;
    }
    if (f)
        fclose(f);
    return (double)n;
}

static void must(enum rc rc, const char *what)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "store_bench: %s: %s\n", what, rc_name(rc));
    exit(1);
}

static struct store *open_store(const char *folder)
{
    struct arena a;
    struct store_settings set = {.data = folder, .node = "bench"};
    struct store *s;
    const char *why;

    arena_init(&a, 1u << 20);
    enum rc rc = store_open(&set, &a, &s, &why);
    if (rc != RC_OK)
        fprintf(stderr, "store_bench: %s\n", why);
    must(rc, "store_open");
    return s;
}

struct lap {
    double cpu, wall, bytes;
};

static struct lap start(void)
{
    return (struct lap){cpu_us(), wall_us(), written()};
}

static void report(const char *what, struct lap l, double n)
{
    printf("%-28s %8.1f us CPU %8.1f us wall %9.0f bytes written, each\n", what, (cpu_us() - l.cpu) / n, (wall_us() - l.wall) / n,
           (written() - l.bytes) / n);
}

static void bench_deliver(struct store *s, int accounts, int messages, int batch)
{
    static char envelope[420], structure[160], parts[220];
    struct delivery d[64] = {0};
    struct born born[64];
    uint64_t *ids = calloc((size_t)accounts, sizeof *ids), source = 0;
    char address[64];

    must(directory_domain_add(s, VIEW("ici.test")), "domain");
    struct lap l = start();
    for (int i = 0; i < accounts; i++) {
        snprintf(address, sizeof address, "user%d@ici.test", i);
        must(directory_account_add(s, view_str(address), &ids[i]), "account");
    }
    report("account_add", l, accounts);
    for (int i = 0; i < batch; i++)
        d[i].item = (struct new_item){.blob = 1, .size = 10240, .internaldate = 1700000000, .sent_date = 1700000000,
                                      .envelope = view_of(envelope, sizeof envelope),
                                      .structure = view_of(structure, sizeof structure),
                                      .index = view_of(parts, sizeof parts),
                                      .message_id = VIEW("<20261122004734.12345@mx.labas.test>"),
                                      .subject_base = VIEW("the minutes of yesterday's meeting")};
    for (int round = 0; round < 2; round++) { /* the first opens the databases */
        l = start();
        int calls = 0;
        for (int i = 0; i < messages; i += batch, calls++) {
            struct mailbox *mb;
            must(mailbox_open(s, ids[calls % accounts], &mb), "open");
            for (int j = 0; j < batch; j++)
                d[j].item.source = ++source;
            must(mailbox_deliver(mb, d, (size_t)batch, born), "deliver");
            mailbox_close(mb);
            if (calls % 1000 == 999)
                must(store_settle(s), "settle");
        }
        must(store_settle(s), "settle");
        report(round ? "deliver, again" : "deliver", l, messages);
    }
    free(ids);
}

/* Of this process, in KiB. */
static long resident(void)
{
    long pages = 0, all;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4;
}

static void bench_read(struct store *s, int accounts)
{
    struct mailbox **mb = calloc((size_t)accounts, sizeof *mb);
    struct arena a;
    struct folder folder = {0};
    struct item *items;
    uint32_t *uids, *gone;
    struct flagged *flagged;
    uint64_t modseq;
    size_t n = 0, k;

    arena_init(&a, 1u << 28);
    long before = resident();
    struct lap l = start();
    for (int i = 0; i < accounts; i++) {
        must(mailbox_open(s, (uint64_t)i + 1, &mb[i]), "open");
        must(mailbox_folder_modseq(mb[i], FOLDER_INBOX, &modseq), "modseq");
    }
    report("open", l, accounts);
    l = start();
    for (int i = 0; i < ROUNDS; i++)
        must(mailbox_folder_modseq(mb[i % accounts], FOLDER_INBOX, &modseq), "modseq");
    report("folder_modseq", l, ROUNDS);
    l = start();
    for (int i = 0; i < accounts; i++) {
        must(mailbox_uids(mb[i], FOLDER_INBOX, &a, &folder, &uids, &n), "uids");
        if (i + 1 < accounts)
            free(uids);
    }
    printf("%zu messages each\n", n);
    report("uids", l, accounts);
    l = start();
    for (int i = 0; i < 100; i++) {
        arena_reset(&a);
        must(mailbox_items(mb[i % accounts], FOLDER_INBOX, 1, UINT32_MAX, 0, ITEM_FLAGS, 1000, &a, &items, &k), "items");
    }
    report("1000 items with flags", l, 100);
    l = start();
    for (int i = 0; i < 100; i++) {
        arena_reset(&a);
        must(mailbox_items(mb[i % accounts], FOLDER_INBOX, 1, UINT32_MAX, 0, ITEM_ENVELOPE | ITEM_STRUCTURE, 100, &a, &items, &k),
             "items");
    }
    report("100 items with envelope", l, 100);
    printf("%ld KiB more memory, %d handles\n", resident() - before, accounts);
    l = start();
    for (int i = 0; i < 200; i++) {
        arena_reset(&a);
        must(mailbox_flag(mb[i % accounts], FOLDER_INBOX, &uids[i % n], 1, FLAGS_ADD, FLAG_SEEN, VIEW(""), UINT64_MAX, &a,
                          &flagged, &k), "flag");
    }
    report("flag of one, durable", l, 200);
    k = n < 1000 ? n : 1000;
    l = start();
    must(mailbox_flag(mb[0], FOLDER_INBOX, uids, k, FLAGS_ADD, FLAG_DELETED, VIEW(""), UINT64_MAX, &a, &flagged, &n), "flag");
    report("flag of 1000, a message", l, (double)k);
    l = start();
    must(mailbox_expunge(mb[0], FOLDER_INBOX, NULL, 0, &a, &gone, &n, &modseq), "expunge");
    report("expunge of 1000, a message", l, (double)n);
    free(uids);
    for (int i = 0; i < accounts; i++)
        mailbox_close(mb[i]);
    free(mb);
    arena_clear(&a);
}

struct submitter {
    struct store *s;
    int n;
    double results_us;
};

static void *submit(void *ctx)
{
    struct submitter *x = ctx;
    static char body[10240];

    for (int i = 0; i < x->n; i++) {
        struct blob_writer *w;
        struct mailq_message m = {.size = sizeof body, .sender = VIEW("sender@labas.test"), .created_ms = clock_real_ms(),
                                  .peer = VIEW("192.0.2.1")};
        struct mailq_rcpt r = {.account = 1, .address = VIEW("user1@ici.test"), .original = VIEW("user1@ici.test"),
                               .due_ms = m.created_ms};
        must(blob_begin(x->s, 1, &w), "blob");
        must(blob_append(w, view_of(body, sizeof body)), "blob");
        must(blob_finish(w, &m.blob), "blob");
        must(mailq_submit(x->s, &m, &r, 1), "submit");
        struct mailq_result done = {.rcpt = r.id, .kind = RESULT_DONE};
        must(mailq_results(x->s, &done, 1), "results");
    }
    return NULL;
}

static void bench_submit(struct store *s, int threads, int messages)
{
    pthread_t *t = calloc((size_t)threads, sizeof *t);
    struct submitter x = {.s = s, .n = messages / threads};
    struct lap l = start();

    for (int i = 0; i < threads; i++)
        must(pthread_create(&t[i], NULL, submit, &x) == 0 ? RC_OK : RC_TEMP, "thread");
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    report("blob, submit, results", l, messages);
    free(t);
}

/* Waiting rows up to `rows`, due in the next hour, to 5,000 routes. */
static void fill_queue(struct store *s, int *have, int rows)
{
    static struct mailq_rcpt r[1000];
    static char routes[1000][32];

    while (*have < rows) {
        struct mailq_message m = {.blob = 1, .size = 1000, .sender = VIEW("a@labas.test")};
        int n = rows - *have < 1000 ? rows - *have : 1000;
        for (int i = 0; i < n; i++) {
            snprintf(routes[i], sizeof routes[i], "d%ld.test", random() % 5000);
            r[i] = (struct mailq_rcpt){.address = VIEW("someone@far.test"), .route = view_str(routes[i]),
                                       .due_ms = 1000000 + random() % 3600000};
        }
        must(mailq_submit(s, &m, r, (size_t)n), "submit");
        *have += n;
    }
}

static void bench_queue(struct store *s, int *have, int rows)
{
    struct arena a;
    struct mailq_due *due;
    struct mailq_counts counts;
    size_t n = 0;
    int64_t next;
    struct lap l;

    fill_queue(s, have, rows);
    must(mailq_count(s, &counts), "count");
    printf("-- %llu waiting recipients\n", (unsigned long long)counts.rcpts);
    arena_init(&a, 1u << 24);
    l = start();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(&a);
        must(mailq_due(s, 1000000 + random() % 3600000, 0, INT64_MAX, 10, &a, &due, &n), "due");
    }
    report("due (10 rows)", l, ROUNDS);
    l = start();
    for (int i = 0; i < ROUNDS; i++) {
        char route[32];
        arena_reset(&a);
        snprintf(route, sizeof route, "d%ld.test", random() % 5000);
        must(mailq_due_route(s, view_str(route), INT64_MAX, 10, &a, &due, &n), "due_route");
    }
    report("due_route (10 rows)", l, ROUNDS);
    l = start();
    for (int i = 0; i < ROUNDS; i++)
        must(mailq_next_due(s, 1000000 + random() % 3000000, &next) == RC_NOTFOUND ? RC_OK : RC_OK, "next_due");
    report("next_due", l, ROUNDS);
    l = start();
    for (int i = 0; i < 200; i++) {
        struct mailq_result res[20];
        arena_reset(&a);
        must(mailq_due(s, 1000000 + random() % 3000000, 0, INT64_MAX, 20, &a, &due, &n), "due");
        for (size_t j = 0; j < n; j++)
            res[j] = (struct mailq_result){.rcpt = due[j].rcpt, .kind = RESULT_RETRY, .due_ms = due[j].due_ms + 1000,
                                           .count = true, .reply = VIEW("451 4.3.0 later"), .mx = VIEW("mx.far.test")};
        must(mailq_results(s, res, n), "results");
    }
    report("due and retry of 20, a row", l, 200 * 20);
    l = start();
    for (int i = 0; i < 500; i++) {
        struct mailq_message m = {.blob = 1, .size = 1000, .sender = VIEW("a@labas.test")};
        struct mailq_rcpt r = {.address = VIEW("someone@far.test"), .route = VIEW("d17.test"), .due_ms = 2000000};
        must(mailq_submit(s, &m, &r, 1), "submit");
        struct mailq_result done = {.rcpt = r.id, .kind = RESULT_DONE};
        must(mailq_results(s, &done, 1), "results");
    }
    report("submit and done, alone", l, 500);
    arena_clear(&a);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: see the head of bench/store_bench.c\n");
        return 2;
    }
    struct store *s = open_store(argv[2]);
    long arg[16] = {0};
    for (int i = 3; i < argc && i < 16; i++)
        arg[i - 3] = strtol(argv[i], NULL, 10);
    if (strcmp(argv[1], "deliver") == 0) {
        bench_deliver(s, (int)arg[0], (int)arg[1], (int)arg[2]);
    } else if (strcmp(argv[1], "read") == 0) {
        bench_read(s, (int)arg[0]);
    } else if (strcmp(argv[1], "submit") == 0) {
        bench_submit(s, (int)arg[0], (int)arg[1]);
    } else {
        int have = 0;
        for (int i = 3; i < argc; i++)
            bench_queue(s, &have, (int)arg[i - 3]);
    }
    store_close(s);
    return 0;
}
