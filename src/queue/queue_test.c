/* The queue with a real store, scripted DNS, and mail servers of its own on loopback. */
#include "store/store_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "crypto/pkey.h"
#include "queue/queue.h"
#include "store/directory_dkim.h"
#include "store/mailbox.h"
#include "store/mailq.h"

#define WAIT_MS 10000

/* --- a mail server: the local part says what becomes of a recipient --- */

struct sink {
    int fd;
    struct sockaddr_in addr;
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned connections, messages, rcpts;
    char last[65536]; /* data of the last message */
    const char *greeting;
};

static void sink_say(FILE *f, const char *text)
{
    fputs(text, f);
    fflush(f);
}

static void sink_talk(struct sink *s, FILE *f)
{
    char line[4096], data[65536];
    sink_say(f, s->greeting);
    while (fgets(line, sizeof line, f)) {
        fseek(f, 0, SEEK_CUR);
        if (!strncmp(line, "EHLO", 4)) {
            sink_say(f, "250-sink\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
        } else if (!strncmp(line, "RCPT TO:<gone", 13)) {
            sink_say(f, "550 5.1.1 No such user\r\n");
        } else if (!strncmp(line, "RCPT TO:<later", 14)) {
            sink_say(f, "451 4.2.1 Come back\r\n");
        } else if (!strncmp(line, "RCPT", 4)) {
            pthread_mutex_lock(&s->lock);
            s->rcpts++;
            pthread_mutex_unlock(&s->lock);
            sink_say(f, "250 2.1.5 ok\r\n");
        } else if (!strncmp(line, "DATA", 4)) {
            size_t n = 0;
            sink_say(f, "354 go\r\n");
            while (fgets(line, sizeof line, f) && strcmp(line, ".\r\n") != 0)
                if (n + strlen(line) < sizeof data)
                    n += (size_t)snprintf(data + n, sizeof data - n, "%s", line);
            pthread_mutex_lock(&s->lock);
            memcpy(s->last, data, n + 1);
            s->messages++;
            pthread_mutex_unlock(&s->lock);
            fseek(f, 0, SEEK_CUR);
            sink_say(f, "250 2.0.0 queued\r\n");
        } else if (!strncmp(line, "QUIT", 4)) {
            sink_say(f, "221 bye\r\n");
            return;
        } else {
            sink_say(f, "250 2.0.0 ok\r\n");
        }
    }
}

struct talk {
    struct sink *s;
    int fd;
    pthread_t thread;
};

static void *talk_thread(void *arg)
{
    struct talk *t = arg;
    FILE *f = fdopen(t->fd, "r+");
    sink_talk(t->s, f);
    fclose(f);
    return NULL;
}

static void *sink_thread(void *arg)
{
    struct sink *s = arg;
    struct talk talks[64];
    size_t n = 0;
    for (int fd; n < 64 && (fd = accept(s->fd, NULL, NULL)) >= 0; n++) {
        pthread_mutex_lock(&s->lock);
        s->connections++;
        pthread_mutex_unlock(&s->lock);
        talks[n] = (struct talk){.s = s, .fd = fd};
        pthread_create(&talks[n].thread, NULL, talk_thread, &talks[n]);
    }
    while (n > 0)
        pthread_join(talks[--n].thread, NULL);
    return NULL;
}

/* On the same port as the first one, at another address, so that one `port` setting serves all. */
static struct sink *sink_start(const char *ip, uint16_t port)
{
    struct sink *s = calloc(1, sizeof *s);
    socklen_t len = sizeof s->addr;
    int on = 1;
    s->greeting = "220 sink ESMTP\r\n";
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s->addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &s->addr.sin_addr);
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&s->addr, len), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&s->addr, &len), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, sink_thread, s), 0);
    return s;
}

static unsigned sink_port(const struct sink *s)
{
    return ntohs(s->addr.sin_port);
}

static unsigned sink_count(struct sink *s, const unsigned *what)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = *what;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void sink_stop(struct sink *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    free(s);
}

/* --- helpers --- */

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static uint64_t submit(struct fixture *f, struct mailq_message m, struct mailq_rcpt *rcpts, size_t n, const char *text)
{
    m.blob = fixture_blob(f, view_str(text));
    m.size = strlen(text) - m.skip;
    m.created_ms = m.created_ms ? m.created_ms : clock_real_ms();
    m.peer = VIEW("192.0.2.1");
    for (size_t i = 0; i < n; i++)
        rcpts[i].due_ms = rcpts[i].due_ms ? rcpts[i].due_ms : clock_real_ms();
    assert_int_equal(mailq_submit(f->s, &m, rcpts, n), RC_OK);
    return m.id;
}

static struct mailq_rcpt local_rcpt(uint64_t account, const char *address)
{
    return (struct mailq_rcpt){.account = account, .address = view_str(address), .original = view_str(address)};
}

static struct mailq_rcpt remote_rcpt(const char *address, const char *route)
{
    return (struct mailq_rcpt){.address = view_str(address), .route = view_str(route), .original = view_str(address)};
}

static uint32_t inbox_count(struct fixture *f, uint64_t account)
{
    struct mailbox *mb;
    struct folder inbox;
    assert_int_equal(mailbox_open(f->s, account, &mb), RC_OK);
    assert_int_equal(mailbox_folder(mb, VIEW("INBOX"), &f->a, &inbox), RC_OK);
    mailbox_close(mb);
    return inbox.exists;
}

static void wait_for_inbox(struct fixture *f, uint64_t account, uint32_t n)
{
    int64_t until = deadline_in(WAIT_MS);
    while (inbox_count(f, account) < n && clock_mono_ms() < until)
        nap();
    assert_int_equal(inbox_count(f, account), n);
}

static void wait_for_queue(struct fixture *f, uint64_t n)
{
    struct mailq_counts counts = {0};
    int64_t until = deadline_in(WAIT_MS);
    do {
        assert_int_equal(mailq_count(f->s, &counts), RC_OK);
        if (counts.rcpts == n)
            return;
        nap();
    } while (clock_mono_ms() < until);
    assert_int_equal(counts.rcpts, n);
}

/* The newest message of the account's INBOX. */
static struct view newest(struct fixture *f, uint64_t account)
{
    struct mailbox *mb;
    struct folder inbox;
    struct item item;
    struct blob blob;
    struct view copy;
    assert_int_equal(mailbox_open(f->s, account, &mb), RC_OK);
    assert_int_equal(mailbox_folder(mb, VIEW("INBOX"), &f->a, &inbox), RC_OK);
    assert_int_equal(mailbox_item(mb, inbox.id, inbox.uidnext - 1, ITEM_FLAGS, &f->a, &item), RC_OK);
    assert_int_equal(blob_open(f->s, item.blob, true, &blob), RC_OK);
    assert_int_equal(view_dup(&f->a, blob.bytes, &copy), RC_OK);
    blob_close(&blob);
    mailbox_close(mb);
    return copy;
}

static bool has(struct view text, const char *what)
{
    return view_find(text, view_str(what)) != VIEW_NONE;
}

struct world {
    struct dns *dns;
    struct queue *q;
};

static struct queue_settings settings(unsigned port)
{
    return (struct queue_settings){.hostname = "mx.ici.test", .port = port, .retry_ms = {300}, .n_retry = 1};
}

static struct world open_world(struct fixture *f, const char *script, const struct queue_settings *set)
{
    struct world w;
    assert_int_equal(dns_new_scripted(script, &w.dns), RC_OK);
    assert_int_equal(queue_new(set, f->s, w.dns, NULL, &w.q), RC_OK);
    return w;
}

static void close_world(struct world *w)
{
    queue_drain(w->q, deadline_in(2000));
    queue_free(w->q);
    dns_free(w->dns);
}

#define TEXT "Return-Path: <a@labas.test>\r\nSubject: hello\r\nMessage-ID: <1@labas.test>\r\nDate: Sun, 22 Nov 2026 00:40:00 +0000\r\n\r\nbody\r\n"
#define TEXT_SKIP 29

/* --- tests --- */

static void local_mail_is_there_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test"), two = fixture_account(f, "two@ici.test");
    struct queue_settings set = settings(25);
    struct world w = open_world(f, "", &set);
    struct mailq_rcpt rcpts[] = {local_rcpt(one, "one@ici.test"), local_rcpt(two, "two@ici.test")};
    int64_t begin = clock_mono_ms();
    submit(f, (struct mailq_message){.sender = VIEW("a@labas.test"), .skip = TEXT_SKIP}, rcpts, 2, TEXT);
    wait_for_inbox(f, one, 1);
    wait_for_inbox(f, two, 1);
    print_message("in both mailboxes after %lld ms\n", (long long)(clock_mono_ms() - begin));
    assert_true(view_eq(newest(f, one), VIEW(TEXT)));
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(inbox_count(f, one), 1);
}

/* Rows that a crash left behind are delivered at the next start, and those that had been delivered add nothing. */
static void rows_left_behind_are_delivered_once(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test");
    struct queue_settings set = settings(25);
    struct mailq_rcpt rcpt = local_rcpt(one, "one@ici.test");
    struct mailbox *mb;
    submit(f, (struct mailq_message){.sender = VIEW("a@labas.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    uint64_t delivered = rcpt.id;
    rcpt = local_rcpt(one, "one@ici.test");
    submit(f, (struct mailq_message){.sender = VIEW("a@labas.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    struct delivery d = {.item = {.blob = fixture_blob(f, VIEW(TEXT)), .size = sizeof TEXT - 1, .source = delivered}};
    struct born born;
    assert_int_equal(mailbox_open(f->s, one, &mb), RC_OK);
    assert_int_equal(mailbox_deliver(mb, &d, 1, &born), RC_OK);
    mailbox_close(mb);
    struct world w = open_world(f, "", &set);
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(inbox_count(f, one), 2);
}

static void remote_mail_with_results_each(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test");
    struct sink *sink = sink_start("127.0.9.1", 0);
    struct queue_settings set = settings(sink_port(sink));
    struct world w = open_world(f, "labas.test MX 10 mx.labas.test\nmx.labas.test A 127.0.9.1\n", &set);
    struct mailq_rcpt rcpts[] = {remote_rcpt("ok1@labas.test", "labas.test"), remote_rcpt("gone@labas.test", "labas.test"),
                                 remote_rcpt("ok2@labas.test", "labas.test"), remote_rcpt("later@labas.test", "labas.test")};
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP, .envid = VIEW("E1")}, rcpts, 4, TEXT);
    wait_for_inbox(f, one, 1); /* the bounce of one of them */
    struct view bounce = newest(f, one);
    assert_true(view_starts(bounce, VIEW("Return-Path: <>\r\n")));
    assert_true(has(bounce, "Final-Recipient: rfc822; gone@labas.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.labas.test\r\n"
                            "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"));
    assert_true(has(bounce, "Original-Envelope-Id: E1\r\n"));
    assert_false(has(bounce, "ok1@labas.test"));
    assert_true(has(bounce, "Auto-Submitted: auto-replied\r\n"));
    assert_false(has(bounce, "Return-Path: <a@labas.test>")); /* ours alone */
    wait_for_queue(f, 1); /* later@ */
    pthread_mutex_lock(&sink->lock);
    assert_int_equal(sink->rcpts, 2);
    assert_true(sink->messages >= 1);
    assert_true(view_eq(view_str(sink->last), view_from(VIEW(TEXT), TEXT_SKIP)));
    pthread_mutex_unlock(&sink->lock);
    close_world(&w);
    sink_stop(sink);
}

static void one_connection_for_many_messages(void **state)
{
    struct fixture *f = *state;
    struct sink *sink = sink_start("127.0.9.1", 0);
    struct queue_settings set = settings(sink_port(sink));
    set.workers = 1;
    struct world w = open_world(f, "labas.test MX 10 mx.labas.test\nmx.labas.test A 127.0.9.1\n", &set);
    for (int i = 0; i < 20; i++) {
        struct mailq_rcpt rcpt = remote_rcpt("ok@labas.test", "labas.test");
        submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    }
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(sink_count(sink, &sink->messages), 20);
    assert_int_equal(sink_count(sink, &sink->connections), 1);
    sink_stop(sink);
}

/* 127.0.9.9 refuses, or nothing listens there: others do not wait, and mail goes when the host is back. */
static void dead_destination_rests_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct sink *sink = sink_start("127.0.9.1", 0);
    struct queue_settings set = settings(sink_port(sink));
    struct world w = open_world(f, "labas.test MX 10 mx.labas.test\nmx.labas.test A 127.0.9.1\n"
                                   "dead.test MX 10 mx.dead.test\nmx.dead.test A 127.0.9.9\n", &set);
    for (int i = 0; i < 50; i++) {
        struct mailq_rcpt rcpt = remote_rcpt("x@dead.test", "dead.test");
        submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    }
    struct mailq_rcpt rcpt = remote_rcpt("ok@labas.test", "labas.test");
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    wait_for_queue(f, 50);
    struct sink *back = sink_start("127.0.9.9", (uint16_t)sink_port(sink));
    wait_for_queue(f, 0);
    assert_int_equal(sink_count(back, &back->rcpts), 50);
    close_world(&w);
    sink_stop(back);
    sink_stop(sink);
}

static void domains_that_take_no_mail(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test");
    static const struct {
        const char *domain, *status;
    } rows[] = {{"nowhere.test", "5.1.2"}, {"null.test", "5.1.10"}, {"loop.test", "5.4.6"}, {"mute.test", "5.4.4"}, {"[127.0.0.300]", "5.1.3"}};
    struct queue_settings set = settings(25);
    struct world w = open_world(f, "null.test MX 0 .\nloop.test MX 10 mx.ici.test\nloop.test MX 20 other.test\nmute.test MX 5 a.nowhere.test\n", &set);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailq_rcpt rcpt = remote_rcpt("x@y", rows[i].domain);
        char want[64];
        submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
        wait_for_inbox(f, one, (uint32_t)i + 1);
        snprintf(want, sizeof want, "Status: %s\r\n", rows[i].status);
        assert_true(has(newest(f, one), want));
    }
    wait_for_queue(f, 0);
    /* A null reverse-path hears nothing, and the row goes all the same. */
    struct mailq_rcpt rcpt = remote_rcpt("x@nowhere.test", "nowhere.test");
    submit(f, (struct mailq_message){.skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(inbox_count(f, one), sizeof rows / sizeof *rows);
}

static void delay_notice_once_then_bounce(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test");
    struct queue_settings set = settings(25);
    set.retry_ms[0] = 100;
    set.delay_notice_ms = 250;
    set.expire_ms = 1500;
    struct world w = open_world(f, "broken.test * !temp\n", &set);
    struct mailq_rcpt rcpts[] = {remote_rcpt("x@broken.test", "broken.test"), remote_rcpt("quiet@broken.test", "broken.test")};
    rcpts[1].notify = NOTIFY_NEVER;
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, rcpts, 2, TEXT);
    wait_for_inbox(f, one, 1);
    struct view notice = newest(f, one);
    assert_true(has(notice, "Action: delayed\r\nStatus: 4.4.3\r\n") && has(notice, "Will-Retry-Until: "));
    wait_for_inbox(f, one, 2);
    assert_true(has(newest(f, one), "Action: failed\r\nStatus: 5.4.7\r\n"));
    assert_false(has(newest(f, one), "quiet@"));
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(inbox_count(f, one), 2);
}

static void success_is_told_where_asked(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test"), two = fixture_account(f, "two@ici.test");
    struct sink *sink = sink_start("127.0.9.1", 0);
    struct queue_settings set = settings(sink_port(sink));
    struct world w = open_world(f, "labas.test MX 10 mx.labas.test\nmx.labas.test A 127.0.9.1\n", &set);
    struct mailq_rcpt rcpt = remote_rcpt("ok@labas.test", "labas.test");
    rcpt.notify = NOTIFY_SUCCESS;
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    wait_for_inbox(f, one, 1);
    assert_true(has(newest(f, one), "Action: relayed\r\n"));
    rcpt = local_rcpt(two, "two@ici.test");
    rcpt.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    wait_for_inbox(f, one, 2);
    assert_true(has(newest(f, one), "Action: delivered\r\n"));
    wait_for_queue(f, 0);
    close_world(&w);
    assert_int_equal(inbox_count(f, two), 1);
    sink_stop(sink);
}

static void held_and_future_mail_waits(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test"), n;
    struct queue_settings set = settings(25);
    struct world w = open_world(f, "", &set);
    int64_t begin = clock_real_ms();
    struct mailq_rcpt rcpt = local_rcpt(one, "one@ici.test");
    rcpt.due_ms = begin + 400;
    submit(f, (struct mailq_message){.sender = VIEW("a@labas.test"), .skip = TEXT_SKIP, .release_ms = begin + 400}, &rcpt, 1, TEXT);
    wait_for_inbox(f, one, 1);
    assert_true(clock_real_ms() - begin >= 400);
    close_world(&w);
    rcpt = local_rcpt(one, "one@ici.test");
    uint64_t id = submit(f, (struct mailq_message){.sender = VIEW("a@labas.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    assert_int_equal(mailq_hold(f->s, id, true, &n), RC_OK);
    w = open_world(f, "", &set);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_int_equal(inbox_count(f, one), 1);
    assert_int_equal(mailq_hold(f->s, id, false, &n), RC_OK);
    queue_wake(w.q);
    wait_for_inbox(f, one, 2);
    close_world(&w);
}

static void account_that_has_gone_bounces(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test"), gone;
    struct queue_settings set = settings(25);
    gone = fixture_account(f, "gone@ici.test");
    struct mailq_rcpt rcpt = local_rcpt(gone, "gone@ici.test");
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    assert_int_equal(directory_account_remove(f->s, VIEW("gone@ici.test"), &gone), RC_OK);
    struct world w = open_world(f, "", &set);
    wait_for_inbox(f, one, 1);
    assert_true(has(newest(f, one), "Status: 5.1.1\r\n"));
    wait_for_queue(f, 0);
    close_world(&w);
}

struct told {
    pthread_mutex_t lock;
    char address[64], why[128];
};

static void note_failed(void *ctx, struct view address, struct view why)
{
    struct told *t = ctx;
    pthread_mutex_lock(&t->lock);
    snprintf(t->address, sizeof t->address, "%.*s", VIEW_FMT(address));
    snprintf(t->why, sizeof t->why, "%.*s", VIEW_FMT(why));
    pthread_mutex_unlock(&t->lock);
}

/* Reports that hang in silent servers take a few workers and leave the rest to mail; one that fails makes no bounce. */
static void reports_never_stand_in_the_way(void **state)
{
    struct fixture *f = *state;
    uint64_t one = fixture_account(f, "one@ici.test");
    struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct sink *good = sink_start("127.0.9.1", 0), *silent = sink_start("127.0.9.2", sink_port(good));
    struct queue_settings set = settings(sink_port(good));
    set.workers = QUEUE_REPORTS_MAX + 1;
    set.report_failed = note_failed;
    set.report_ctx = &told;
    silent->greeting = "";
    struct world w = open_world(f, "good.test MX 10 mx.good.test\nmx.good.test A 127.0.9.1\nr1.test A 127.0.9.2\nr2.test A 127.0.9.2\n"
                                   "r3.test A 127.0.9.2\nr4.test A 127.0.9.2\nr5.test A 127.0.9.2\nr6.test A 127.0.9.2\n", &set);
    struct mailq_rcpt gone = remote_rcpt("gone@good.test", "good.test");
    gone.notify = NOTIFY_NEVER;
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP, .lane = LANE_REPORTS}, &gone, 1, TEXT);
    wait_for_queue(f, 0);
    pthread_mutex_lock(&told.lock);
    assert_string_equal(told.address, "gone@good.test");
    assert_string_equal(told.why, "550 5.1.1 No such user");
    pthread_mutex_unlock(&told.lock);
    for (int i = 1; i <= 6; i++) {
        char address[32];
        snprintf(address, sizeof address, "x@r%d.test", i);
        struct mailq_rcpt r = remote_rcpt(address, address + 2);
        submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP, .lane = LANE_REPORTS}, &r, 1, TEXT);
    }
    struct mailq_rcpt mail = remote_rcpt("ok@good.test", "good.test");
    submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &mail, 1, TEXT);
    wait_for_queue(f, 6);
    pthread_mutex_lock(&silent->lock);
    assert_true(silent->connections <= QUEUE_REPORTS_MAX);
    pthread_mutex_unlock(&silent->lock);
    assert_int_equal(inbox_count(f, one), 0);
    close_world(&w);
    sink_stop(good);
    sink_stop(silent);
}

/* A vault that is away first. */
struct hand {
    atomic_uint calls;
    atomic_bool is_there;
};

static enum rc sign_by_hand(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                            struct buf *signature)
{
    static const char bytes[64];
    struct hand *h = ctx;
    (void)domain, (void)selector, (void)algorithm, (void)digest;
    atomic_fetch_add(&h->calls, 1);
    if (!atomic_load(&h->is_there))
        return RC_TEMP;
    buf_add(signature, view_of(bytes, sizeof bytes));
    return buf_rc(signature);
}

static void notices_wait_for_their_signature(void **state)
{
    struct fixture *f = *state;
    struct hand hand = {0};
    uint64_t one = fixture_account(f, "one@ici.test"), flushed;
    const struct directory_dkim_key key = {.domain = VIEW("ici.test"), .selector = VIEW("e1"), .algorithm = PKEY_ED25519,
                                           .public_key = VIEW("x"), .state = DKIM_KEY_ACTIVE};
    struct queue_settings set = settings(25);
    assert_int_equal(directory_dkim_add(f->s, &key, 1), RC_OK);
    assert_int_equal(signer_new(f->s, sign_by_hand, &hand, &set.signer), RC_OK);
    struct world w = open_world(f, "null.test MX 0 .\n", &set);
    struct mailq_rcpt rcpt = remote_rcpt("x@null.test", "null.test");
    uint64_t id = submit(f, (struct mailq_message){.sender = VIEW("one@ici.test"), .skip = TEXT_SKIP}, &rcpt, 1, TEXT);
    for (int64_t until = deadline_in(WAIT_MS); atomic_load(&hand.calls) == 0 && clock_mono_ms() < until;)
        nap();
    assert_true(atomic_load(&hand.calls) > 0);
    assert_int_equal(inbox_count(f, one), 0);
    wait_for_queue(f, 1); /* nothing is lost, nothing goes unsigned */
    atomic_store(&hand.is_there, true);
    for (int64_t until = deadline_in(WAIT_MS); inbox_count(f, one) == 0 && clock_mono_ms() < until; nap()) {
        enum rc rc = mailq_flush(f->s, id, VIEW(""), &flushed);
        assert_true(rc == RC_OK || rc == RC_NOTFOUND); /* it may have gone just now */
        queue_wake(w.q);
    }
    struct view notice = newest(f, one);
    assert_true(has(notice, "DKIM-Signature: v=1; a=ed25519-sha256;") && has(notice, "d=ici.test"));
    assert_true(has(notice, "From: Mail Delivery System <MAILER-DAEMON@ici.test>\r\n"));
    wait_for_queue(f, 0);
    close_world(&w);
    signer_free(set.signer);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(local_mail_is_there_at_once),   T(rows_left_behind_are_delivered_once),   T(remote_mail_with_results_each),
        T(one_connection_for_many_messages), T(dead_destination_rests_and_comes_back), T(domains_that_take_no_mail),
        T(delay_notice_once_then_bounce), T(success_is_told_where_asked),           T(held_and_future_mail_waits),
        T(account_that_has_gone_bounces), T(reports_never_stand_in_the_way),
        T(notices_wait_for_their_signature),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
