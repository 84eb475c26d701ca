/* libunbound against a name server of our own that answers late, wrongly, hugely or not at all. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dns/ask.h"

#define REPLY_MAX 65535
#define SOA       6
#define RCODE_NXDOMAIN 3

struct server {
    int udp, tcp, stop[2];
    char address[32];
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t opened;
    bool gate_is_shut;    /* names "gate.." wait for it */
    unsigned n_questions;
};

struct ctx {
    struct server server;
    struct dns *dns;
    struct arena arena;
};

/* --- the server --- */

static void put16(struct buf *out, unsigned n)
{
    buf_chr(out, (char)(n >> 8));
    buf_chr(out, (char)n);
}

static void put_name(struct buf *out, const char *name)
{
    struct view in = view_str(name), label;
    while (in.n > 0) {
        view_split(&in, '.', &label);
        buf_chr(out, (char)label.n);
        buf_add(out, label);
    }
    buf_chr(out, 0);
}

static void put_record(struct buf *out, const char *name, unsigned type, unsigned ttl_s, struct view rdata)
{
    put_name(out, name);
    put16(out, type);
    put16(out, 1);
    put16(out, 0);
    put16(out, ttl_s);
    put16(out, (unsigned)rdata.n);
    buf_add(out, rdata);
}

static void put_cname(struct buf *out, const char *name, const char *target)
{
    struct buf rdata;
    buf_init(&rdata, 300);
    put_name(&rdata, target);
    put_record(out, name, DNS_CNAME, 20, buf_view(&rdata));
    buf_clear(&rdata);
}

static void put_text(struct buf *out, const char *name, size_t n)
{
    struct buf rdata;
    buf_init(&rdata, REPLY_MAX);
    for (size_t left = n; left > 0;) {
        size_t part = left < 255 ? left : 255;
        buf_chr(&rdata, (char)part);
        for (size_t i = 0; i < part; i++)
            buf_chr(&rdata, 'x');
        left -= part;
    }
    put_record(out, name, DNS_TXT, 60, buf_view(&rdata));
    buf_clear(&rdata);
}

static void read_name(struct view *in, char *out, size_t size)
{
    struct buf name;
    buf_init(&name, size - 1);
    for (int n; (n = view_next(in)) > 0;) {
        if (name.n > 0)
            buf_chr(&name, '.');
        buf_add(&name, view_slice(*in, 0, (size_t)n));
        view_skip(in, (size_t)n);
    }
    assert_int_equal(view_cstr(buf_view(&name), out, size), RC_OK);
    buf_clear(&name);
}

/* What the first label says. False: it is not answered. */
static bool reply(struct server *s, struct view query, bool is_tcp, struct buf *out)
{
    struct view in = view_from(query, 12), one = VIEW("\xc0\0\2\1");
    char name[256], next[256];
    unsigned answers = 0, authority = 0, rcode = 0, depth;
    struct buf records;
    buf_init(&records, 1 << 20);
    read_name(&in, name, sizeof name);
    unsigned type = (unsigned)(unsigned char)in.p[1];
    struct view label, rest = view_str(name), question = view_of(query.p + 12, strlen(name) + 2 + 4);
    view_split(&rest, '.', &label);
    pthread_mutex_lock(&s->lock);
    s->n_questions++;
    while (view_eq(label, VIEW("gate")) && s->gate_is_shut)
        pthread_cond_wait(&s->opened, &s->lock);
    pthread_mutex_unlock(&s->lock);
    bool truncated = false;
    if (view_eq(label, VIEW("silent")))
        return false;
    if (view_eq(label, VIEW("nx"))) {
        rcode = RCODE_NXDOMAIN;
    } else if (view_eq(label, VIEW("servfail"))) {
        rcode = 2;
    } else if (view_eq(label, VIEW("zero"))) {
        put_record(&records, name, DNS_A, 0, one);
        answers = 1;
    } else if (view_eq(label, VIEW("alias"))) { /* the target in the same answer */
        put_cname(&records, name, "HOST.target.test");
        put_record(&records, "host.target.test", DNS_A, 30, one);
        answers = 2;
    } else if (view_eq(label, VIEW("othername"))) {
        put_record(&records, "victim.test", DNS_A, 60, one);
        answers = 1;
    } else if (view_eq(label, VIEW("othertype"))) {
        put_record(&records, name, DNS_AAAA, 60, VIEW("0123456789abcdef"));
        answers = 1;
    } else if (view_eq(label, VIEW("poison"))) { /* the right answer, and one that nobody asked for */
        put_record(&records, name, DNS_A, 60, one);
        put_record(&records, "victim.test", DNS_A, 60, one);
        answers = 2;
    } else if (view_eq(label, VIEW("loop"))) { /* a wildcard that leads to itself */
        put_cname(&records, name, name);
        answers = 1;
    } else if (sscanf(name, "c%u.", &depth) == 1) { /* a chain without an end */
        snprintf(next, sizeof next, "c%u.test", depth + 1);
        put_cname(&records, name, next);
        answers = 1;
    } else if (view_eq(label, VIEW("long")) || view_eq(label, VIEW("many"))) {
        truncated = !is_tcp;
        for (; !truncated && answers < (view_eq(label, VIEW("many")) ? 300u : 1u); answers++)
            put_text(&records, name, view_eq(label, VIEW("many")) ? 190 : 60000);
    } else if (view_eq(label, VIEW("broken"))) {
        put_record(&records, name, DNS_A, 60, one);
        records.n -= 2;
        answers = 1;
    } else if (type == DNS_A) {
        put_record(&records, name, DNS_A, 60, one);
        answers = 1;
    }
    if (answers == 0 && rcode != 2 && !truncated) { /* an absence, known for 30 s */
        put_record(&records, "test", SOA, 30, VIEW("\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x1e"));
        authority = 1;
    }
    buf_add(out, view_slice(query, 0, 2));
    put16(out, 0x8580u | (truncated ? 0x200u : 0u) | rcode);
    put16(out, 1);
    put16(out, answers);
    put16(out, authority);
    put16(out, 0);
    buf_add(out, question);
    buf_add(out, buf_view(&records));
    buf_clear(&records);
    return out->fail == RC_OK;
}

static void serve_tcp(struct server *s)
{
    int fd = accept(s->tcp, NULL, NULL);
    unsigned char query[512];
    struct buf out, framed;
    buf_init(&out, REPLY_MAX);
    buf_init(&framed, REPLY_MAX + 2);
    ssize_t n = recv(fd, query, 2, MSG_WAITALL);
    size_t size = n == 2 ? (size_t)query[0] << 8 | query[1] : sizeof query + 1;
    if (size > 12 && size <= sizeof query && recv(fd, query, size, MSG_WAITALL) == (ssize_t)size &&
        reply(s, view_of(query, size), true, &out)) {
        put16(&framed, (unsigned)out.n);
        buf_add(&framed, buf_view(&out));
        for (struct view left = buf_view(&framed); left.n > 0;) {
            ssize_t sent = send(fd, left.p, left.n, MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            view_skip(&left, (size_t)sent);
        }
    }
    buf_clear(&out);
    buf_clear(&framed);
    close(fd);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd fds[] = {{.fd = s->udp, .events = POLLIN}, {.fd = s->tcp, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
    while (poll(fds, 3, -1) >= 0 && !fds[2].revents) {
        unsigned char query[512];
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (fds[1].revents)
            serve_tcp(s);
        if (!fds[0].revents)
            continue;
        ssize_t n = recvfrom(s->udp, query, sizeof query, 0, (struct sockaddr *)&peer, &len);
        struct buf out;
        buf_init(&out, REPLY_MAX);
        if (n > 12 && reply(s, view_of(query, (size_t)n), false, &out))
            sendto(s->udp, out.p, out.n, 0, (struct sockaddr *)&peer, len);
        buf_clear(&out);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->opened, NULL);
    s->tcp = socket(AF_INET, SOCK_STREAM, 0);
    s->udp = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s->tcp, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(s->tcp, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(bind(s->udp, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->tcp, 16), 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void set_gate(struct server *s, bool is_shut)
{
    pthread_mutex_lock(&s->lock);
    s->gate_is_shut = is_shut;
    pthread_cond_broadcast(&s->opened);
    pthread_mutex_unlock(&s->lock);
}

static unsigned questions(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->n_questions;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static struct dns *resolver(const char *const *servers, size_t n)
{
    struct dns_settings set = {.servers = servers, .n_servers = n};
    struct dns *dns;
    const char *why = "";
    assert_int_equal(dns_new(&set, &dns, &why), RC_OK);
    return dns;
}

static int setup(void **state)
{
    struct ctx *c = calloc(1, sizeof *c);
    arena_init(&c->arena, 8 << 20);
    server_start(&c->server);
    const char *servers[] = {c->server.address};
    c->dns = resolver(servers, 1);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    struct server *s = &c->server;
    set_gate(s, false);
    dns_free(c->dns);
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->udp);
    close(s->tcp);
    arena_clear(&c->arena);
    free(c);
    return 0;
}

static enum dns_status ask(struct ctx *c, const char *name, enum dns_type type, struct dns_answer *out)
{
    return dns_query(c->dns, view_str(name), type, deadline_in(10000), &c->arena, out);
}

/* --- the tests --- */

/* Asked again, the server is not asked; absences count too; case does not. */
static void second_answer_is_ours(void **state)
{
    struct ctx *c = *state;
    struct dns_answer first, second;
    static const struct {
        const char *name, *again;
        enum dns_status status;
        uint32_t ttl_s;
    } rows[] = {{"a.test", "A.Test.", DNS_OK, 60}, {"nx.test", "NX.test", DNS_NXDOMAIN, 30}, {"alias.test", "ALIAS.test", DNS_OK, 20}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t entries, entries_then, bytes;
        dns_cache_size(c->dns->cache, &entries, &bytes);
        assert_int_equal(ask(c, rows[i].name, DNS_A, &first), rows[i].status);
        assert_int_equal(first.ttl_s, rows[i].ttl_s);
        dns_cache_size(c->dns->cache, &entries_then, &bytes);
        assert_int_equal(entries_then, entries + 1);
        unsigned n = questions(&c->server);
        assert_int_equal(ask(c, rows[i].again, DNS_A, &second), rows[i].status);
        assert_int_equal(questions(&c->server), n);
        assert_true(view_eq(first.canonical, second.canonical) && first.n == second.n);
        assert_true(second.ttl_s <= rows[i].ttl_s && second.ttl_s + 5 > rows[i].ttl_s);
        if (first.n > 0)
            assert_true(view_eq(first.rdata[0], second.rdata[0]) && second.rdata[0].n == 4);
    }
    assert_true(view_eq(second.canonical, VIEW("host.target.test")));
    dns_forget(c->dns);
    assert_int_equal(ask(c, "a.test", DNS_A, &first), DNS_OK);
    assert_int_equal(ask(c, "zero.test", DNS_A, &first), DNS_OK);
    size_t entries, bytes;
    dns_cache_size(c->dns->cache, &entries, &bytes);
    assert_int_equal(entries, 1); /* "zero" is not kept */
}

struct asker {
    struct ctx *c;
    enum dns_status status;
};

static void *ask_at_gate(void *arg)
{
    struct asker *asker = arg;
    struct arena a;
    struct dns_answer out;
    arena_init(&a, 1 << 16);
    asker->status = dns_query(asker->c->dns, VIEW("GATE.test"), DNS_A, deadline_in(10000), &a, &out);
    arena_clear(&a);
    return NULL;
}

/* A prefetch, and eight who ask meanwhile: one question, which all of them hear. Then the answer is here. */
static void one_question_for_all(void **state)
{
    struct ctx *c = *state;
    pthread_t threads[8];
    struct asker askers[8];
    struct dns_answer out;
    set_gate(&c->server, true);
    dns_prefetch(c->dns, VIEW("gate.test"), DNS_A);
    for (size_t i = 0; i < 8; i++) {
        askers[i] = (struct asker){.c = c};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_at_gate, &askers[i]), 0);
    }
    assert_int_equal(dns_query(c->dns, VIEW("gate.test"), DNS_A, deadline_in(50), &c->arena, &out), DNS_TEMP); /* too early */
    set_gate(&c->server, false);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].status, DNS_OK);
    }
    assert_int_equal(questions(&c->server), 1);
    assert_int_equal(ask(c, "gate.test", DNS_A, &out), DNS_OK);
    assert_int_equal(questions(&c->server), 1);
}

/* What nobody comes for is kept for a while like any answer, and costs nothing when the resolver goes. */
static void prefetched_for_nobody(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    size_t entries = 0, bytes;
    int64_t until = deadline_in(10000);
    dns_prefetch(c->dns, VIEW("b.test"), DNS_A);
    while (entries == 0 && clock_mono_ms() < until)
        dns_cache_size(c->dns->cache, &entries, &bytes);
    unsigned n = questions(&c->server);
    dns_prefetch(c->dns, VIEW("b.test"), DNS_A);
    assert_int_equal(ask(c, "B.test", DNS_A, &out), DNS_OK);
    assert_int_equal(questions(&c->server), n);
    dns_prefetch(c->dns, VIEW("silent.test"), DNS_A);
}

/* A liar is believed about nothing that was not asked, and a loop or a chain without end is no answer. */
static void lies_and_loops(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    static const struct {
        const char *name;
        bool may_be_empty; /* "the name exists, such records do not" is a true word about it */
    } rows[] = {{"othername.test", true}, {"othertype.test", true}, {"loop.test", false}, {"c0.test", false},
                {"broken.test", false},   {"servfail.test", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum dns_status status = ask(c, rows[i].name, DNS_A, &out);
        assert_true(status == DNS_TEMP || (rows[i].may_be_empty && status == DNS_NODATA));
        assert_true(out.n == 0 && !out.secure);
    }
    assert_int_equal(ask(c, "poison.test", DNS_A, &out), DNS_OK);
    assert_int_equal(out.n, 1);
    unsigned n = questions(&c->server);
    assert_int_equal(ask(c, "victim.test", DNS_A, &out), DNS_OK); /* by asking for it */
    assert_true(questions(&c->server) > n);
}

/* Truncated over UDP, whole over TCP; what is too large for the cache is an answer all the same. */
static void large_answers(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    struct view *texts;
    size_t n, entries, bytes;
    assert_int_equal(dns_txt(c->dns, VIEW("long.test"), deadline_in(10000), &c->arena, &out, &texts, &n), DNS_OK);
    assert_true(n == 1 && texts[0].n == 60000);
    assert_int_equal(dns_txt(c->dns, VIEW("many.test"), deadline_in(10000), &c->arena, &out, &texts, &n), DNS_OK);
    assert_int_equal(n, DNS_RDATA_MAX);
    dns_cache_size(c->dns->cache, &entries, &bytes);
    assert_int_equal(entries, 0);
    struct arena small;
    arena_init(&small, 4096);
    assert_int_equal(dns_query(c->dns, VIEW("long.test"), DNS_TXT, deadline_in(10000), &small, &out), DNS_TEMP);
    assert_non_null(out.why);
    arena_clear(&small);
}

/* A name that does not exist costs few bytes; what more of them do than fit is in cache_test. */
static void storm_of_absent_names(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    char name[64];
    size_t entries, bytes;
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "nx.n%d.test", i);
        assert_int_equal(ask(c, name, DNS_A, &out), DNS_NXDOMAIN);
        arena_reset(&c->arena);
    }
    dns_cache_size(c->dns->cache, &entries, &bytes);
    assert_true(entries == 600 && bytes < 600 * 300);
}

/* The dead one of two servers costs a moment, not the deadline. */
static void one_of_two_servers_is_dead(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    char name[64];
    const char *servers[] = {"127.0.0.77:9", c->server.address};
    dns_free(c->dns);
    c->dns = resolver(servers, 2);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "a.n%d.test", i);
        int64_t begun = clock_mono_ms();
        assert_int_equal(ask(c, name, DNS_A, &out), DNS_OK);
        assert_true(clock_mono_ms() - begun < 5000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(second_answer_is_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(one_question_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(prefetched_for_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_and_loops, setup, teardown),
        cmocka_unit_test_setup_teardown(large_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(storm_of_absent_names, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_two_servers_is_dead, setup, teardown),
    };
    return cmocka_run_group_tests_name("dns_unbound", tests, NULL, NULL);
}
