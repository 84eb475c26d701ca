/* bench/queue_bench: what waiting mail costs the scheduler.
 *
 *     queue_bench FOLDER ROWS...
 *
 * For each number of rows (waiting for their next attempt, spread over 1,000 destinations, and as many that are due now for one
 * dead destination): the server at rest, and how long mail for others takes meanwhile. FOLDER must not exist; it is left for
 * the caller to remove. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue.h"
#include "store/blob.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/mailq.h"

#define PER_MESSAGE 500
#define ROUTES      1000
#define PROBES      50

static const char text[] = "Subject: x\r\n\r\nbody\r\n";

static void must(enum rc rc, const char *what)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, rc_name(rc));
    exit(1);
}

static double cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e3 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static uint64_t put_blob(struct store *s)
{
    struct blob_writer *w;
    uint64_t id;
    must(blob_begin(s, 0, &w), "blob");
    must(blob_append(w, view_of(text, sizeof text - 1)), "blob");
    must(blob_finish(w, &id), "blob");
    return id;
}

/* route NULL: spread over many. */
static void fill(struct store *s, size_t rows, const char *route, int64_t due_ms)
{
    static struct mailq_rcpt rcpts[PER_MESSAGE];
    static char names[PER_MESSAGE][32];
    for (size_t done = 0; done < rows;) {
        struct mailq_message m = {.blob = put_blob(s), .size = sizeof text - 1, .created_ms = clock_real_ms()};
        size_t n = rows - done < PER_MESSAGE ? rows - done : PER_MESSAGE;
        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], "d%zu.test", (done + i) % ROUTES);
            rcpts[i] = (struct mailq_rcpt){.address = VIEW("x@dead.test"), .route = view_str(route ? route : names[i]),
                                           .due_ms = due_ms + (int64_t)((done + i) % 1000)};
        }
        must(mailq_submit(s, &m, rcpts, n), "submit");
        done += n;
    }
}

static uint32_t count_inbox(struct store *s, uint64_t account)
{
    struct mailbox *mb;
    struct folder f;
    struct arena a;
    arena_init(&a, 1u << 20);
    must(mailbox_open(s, account, &mb), "mailbox");
    must(mailbox_folder(mb, VIEW("INBOX"), &a, &f), "folder");
    mailbox_close(mb);
    arena_clear(&a);
    return f.exists;
}

/* From submission to the mailbox, mean of some: *local; and, for a domain that bounces at once, the bounce: *remote. */
static void probe(struct store *s, uint64_t account, double *local, double *remote)
{
    int64_t spent[2] = {0};
    for (int i = 0; i < 2 * PROBES; i++) {
        uint32_t before = count_inbox(s, account);
        struct mailq_message m = {.blob = put_blob(s), .size = sizeof text - 1, .created_ms = clock_real_ms(), .sender = VIEW("a@ici.test")};
        struct mailq_rcpt r = {.account = i % 2 ? 0 : account, .address = VIEW("a@ici.test"), .due_ms = clock_real_ms(),
                               .route = i % 2 ? VIEW("null.test") : VIEW("")};
        int64_t begin = clock_mono_ms();
        must(mailq_submit(s, &m, &r, 1), "submit");
        while (count_inbox(s, account) == before)
            nap(1);
        spent[i % 2] += clock_mono_ms() - begin;
    }
    *local = (double)spent[0] / PROBES;
    *remote = (double)spent[1] / PROBES;
}

static void measure(const char *folder, size_t rows)
{
    char path[4096];
    struct store *s;
    struct dns *dns;
    struct queue *q;
    struct arena a;
    struct queue_counts counts;
    uint64_t account;
    const char *why = "";
    double local, remote;
    snprintf(path, sizeof path, "%s-%zu", folder, rows);
    arena_init(&a, 1u << 20);
    must(store_open(&(struct store_settings){.data = path, .node = "bench"}, &a, &s, &why), "store");
    must(directory_domain_add(s, VIEW("ici.test")), "domain");
    must(directory_account_add(s, VIEW("a@ici.test"), &account), "account");
    fill(s, rows, NULL, clock_real_ms() + 3600000);
    must(dns_new_scripted("null.test MX 0 .\ndead.test MX 10 mx.dead.test\nmx.dead.test A 127.0.9.9\n", &dns), "dns");
    struct queue_settings set = {.hostname = "mx.ici.test", .port = 9, .retry_ms = {3600000}, .n_retry = 1};
    must(queue_new(&set, s, dns, NULL, &q), "queue");
    nap(500);
    double cpu = cpu_ms();
    nap(3000);
    double rest = (cpu_ms() - cpu) / 3;
    probe(s, account, &local, &remote);
    printf("%zu waiting: at rest %.2f ms of CPU a second; local mail %.1f ms, a decision for another domain %.1f ms\n", rows, rest, local,
           remote);
    queue_drain(q, deadline_in(5000));
    queue_free(q);
    fill(s, rows, "dead.test", clock_real_ms() - 2000);
    must(queue_new(&set, s, dns, NULL, &q), "queue");
    nap(200);
    probe(s, account, &local, &remote);
    queue_count(q, &counts);
    printf("%zu due for one dead host: local mail %.1f ms, a decision for another domain %.1f ms; %zu of them in memory\n", rows, local,
           remote, counts.active);
    fflush(stdout);
    queue_drain(q, deadline_in(5000));
    queue_free(q);
    dns_free(dns);
    store_close(s);
    arena_clear(&a);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_ERROR);
    for (int i = 2; i < argc; i++)
        measure(argv[1], (size_t)strtoull(argv[i], NULL, 10));
    if (argc < 3)
        fprintf(stderr, "usage: queue_bench FOLDER ROWS...\n");
    return argc < 3 ? 2 : 0;
}
