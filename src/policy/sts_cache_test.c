/* Policies of a domain whose DNS and policy host say what each step wants. */
#include "store/store_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "fetch/fetch.h"
#include "net/conn.h"
#include "net/testcert.h"
#include "policy/sts_cache.h"
#include "policy/tls_outcomes.h"
#include "store/sts.h"
#include "sys/thread.h"

struct ctx {
    struct fixture *f;
    struct testcert cert, *certs[2];
    struct tls_server *tls;
    struct tls_client *trust;
    int listener;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards reply, served */
    const char *reply;
    unsigned served;
};

static void answer(struct ctx *c, int fd)
{
    struct conn *conn;
    struct view line;
    if (conn_new(fd, &conn) != RC_OK)
        return;
    conn_deadline(conn, deadline_in(5000));
    enum rc rc = conn_start_tls(conn, c->tls);
    while (rc == RC_OK && (rc = conn_line(conn, 1000, &line)) == RC_OK && line.n > 0)
        continue;
    pthread_mutex_lock(&c->lock);
    if (rc == RC_OK) {
        c->served++;
        conn_write(conn, VIEW("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"));
        conn_write(conn, view_str(c->reply));
        conn_flush(conn);
    }
    pthread_mutex_unlock(&c->lock);
    conn_free(conn);
}

static void serve(void *arg)
{
    struct ctx *c = arg;
    for (int fd; (fd = accept(c->listener, NULL, NULL)) >= 0;)
        answer(c, fd);
}

static int setup(void **state)
{
    struct ctx *c = calloc(1, sizeof *c);
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sin;
    const char *why;
    fetch_init();
    fixture_setup((void **)&c->f);
    testcert_init(&c->cert, false, "DNS:mta-sts.labas.test");
    c->certs[0] = &c->cert;
    const char *chains[] = {c->cert.pem, NULL};
    struct tls_server_settings set = {.chain_pem = chains, .sign = testcert_sign, .sign_ctx = c->certs};
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c->listener, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(c->listener, 5), 0);
    assert_int_equal(getsockname(c->listener, (struct sockaddr *)&sin, &n), 0);
    c->port = ntohs(sin.sin_port);
    assert_int_equal(tls_server_new(&set, &c->tls, &why), RC_OK);
    assert_int_equal(tls_client_new(c->cert.pem, &c->trust, &why), RC_OK);
    pthread_mutex_init(&c->lock, NULL);
    assert_int_equal(thread_start("host", serve, c, &c->thread), RC_OK);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    void *f = c->f;
    shutdown(c->listener, SHUT_RDWR);
    pthread_join(c->thread, NULL);
    close(c->listener);
    tls_server_free(c->tls);
    tls_client_free(c->trust);
    testcert_clear(&c->cert);
    fixture_teardown(&f);
    free(c);
    return 0;
}

static void say(struct ctx *c, const char *reply)
{
    pthread_mutex_lock(&c->lock);
    c->reply = reply;
    pthread_mutex_unlock(&c->lock);
}

static unsigned served(struct ctx *c)
{
    pthread_mutex_lock(&c->lock);
    unsigned n = c->served;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* What a process that has just started finds out, twice. */
static struct sts_answer look(struct ctx *c, const char *zone)
{
    struct sts_settings set = {.store = c->f->s, .trust = c->trust, .port = c->port};
    struct sts_answer first, again;
    struct sts_cache *cache;
    assert_int_equal(dns_new_scripted(zone, &set.dns), RC_OK);
    assert_int_equal(sts_cache_new(&set, &cache), RC_OK);
    assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &first), RC_OK);
    assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &again), RC_OK);
    assert_int_equal(first.found, again.found);
    assert_int_equal(first.fault, again.fault);
    sts_cache_free(cache);
    dns_free(set.dns);
    return first;
}

#define HOST "mta-sts.labas.test A 127.0.0.1\n"
#define RECORD(id) "_mta-sts.labas.test TXT \"v=STSv1; id=" id "\"\n" HOST
#define POLICY(mode, mx) "version: STSv1\nmode: " mode "\nmx: " mx "\nmax_age: 600\n"

static void a_policy_lives_on(void **state)
{
    struct ctx *c = *state;
    struct sts_answer a = look(c, HOST);
    assert_true(!a.found && a.fault == TLSRPT_SUCCESS);
    assert_int_equal(served(c), 0);
    say(c, POLICY("enforce", "mx.labas.test"));
    a = look(c, RECORD("1"));
    assert_true(a.found && a.fault == TLSRPT_SUCCESS && a.policy.mode == MTA_STS_ENFORCE);
    assert_true(mta_sts_policy_allows(&a.policy, VIEW("mx.labas.test")));
    assert_int_equal(served(c), 1);
    /* RFC 8461 §5.1: neither a withdrawn record nor a broken one nor silence of DNS ends it. */
    static const char *const lies[] = {HOST, "_mta-sts.labas.test TXT !temp\n", "_mta-sts.labas.test TXT !bogus\n",
                                       "_mta-sts.labas.test TXT \"v=STSv1\"\n", RECORD("1") RECORD("2")};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        assert_true(look(c, lies[i]).found);
    assert_int_equal(served(c), 1);
    /* Another id whose policy cannot be had: the old one stays, and the trouble is told. */
    a = look(c, "_mta-sts.labas.test TXT \"v=STSv1; id=2\"\n");
    assert_true(a.found && a.policy.mode == MTA_STS_ENFORCE && a.fault == TLSRPT_STS_POLICY_FETCH_ERROR && *a.why);
    say(c, "<html>");
    a = look(c, RECORD("2"));
    assert_true(a.found && a.fault == TLSRPT_STS_POLICY_INVALID);
    assert_int_equal(served(c), 2); /* once for both: not again within five minutes */
    say(c, POLICY("none", "mx.labas.test"));
    a = look(c, RECORD("3"));
    assert_true(a.found && a.fault == TLSRPT_SUCCESS && a.policy.mode == MTA_STS_NONE);
}

static void what_does_not_count(void **state)
{
    struct ctx *c = *state;
    static const struct {
        const char *zone, *reply;
        enum tlsrpt_result fault;
    } rows[] = {
        {RECORD("1") RECORD("2"), POLICY("enforce", "a.b"), TLSRPT_SUCCESS}, /* two records are none */
        {"_mta-sts.labas.test TXT \"v=STSv1; id=x-y\"\n" HOST, POLICY("enforce", "a.b"), TLSRPT_SUCCESS},
        {RECORD("1"), "", TLSRPT_STS_POLICY_INVALID},
        {RECORD("1"), "version: STSv1\nmode: enforce\nmax_age: 600\n", TLSRPT_STS_POLICY_INVALID},
        {"_mta-sts.labas.test TXT \"v=STSv1; id=1\"\n", "", TLSRPT_STS_POLICY_FETCH_ERROR},
        {"_mta-sts.labas.test TXT \"v=STSv1; id=1\"\nmta-sts.labas.test A 127.0.0.99\n", "", TLSRPT_STS_POLICY_FETCH_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say(c, rows[i].reply);
        struct sts_answer a = look(c, rows[i].zone);
        assert_false(a.found);
        assert_int_equal(a.fault, rows[i].fault);
    }
    struct tls_client *stranger;
    const char *why;
    assert_int_equal(tls_client_new(NULL, &stranger, &why), RC_OK);
    tls_client_free(c->trust);
    c->trust = stranger;
    say(c, POLICY("enforce", "a.b"));
    assert_int_equal(look(c, RECORD("1")).fault, TLSRPT_STS_WEBPKI_INVALID);
}

static bool wait_served(struct ctx *c, unsigned n)
{
    for (int64_t until = deadline_in(10000); clock_mono_ms() < until; usleep(5000))
        if (served(c) >= n)
            return true;
    return false;
}

/* RFC 8461 §3.3: ahead of its expiry, without anybody asking; a failure takes nothing away. */
static void refreshed_ahead(void **state)
{
    struct ctx *c = *state;
    struct sts_settings set = {.store = c->f->s, .trust = c->trust, .port = c->port, .refresh_min_s = 1};
    struct sts_cache *cache;
    struct sts_answer a;
    struct sts_row before, after;
    assert_int_equal(dns_new_scripted(RECORD("1"), &set.dns), RC_OK);
    assert_int_equal(sts_cache_new(&set, &cache), RC_OK);
    say(c, "version: STSv1\nmode: enforce\nmx: mx.labas.test\nmax_age: 4\n");
    assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &a), RC_OK);
    assert_int_equal(sts_get(c->f->s, VIEW("labas.test"), &c->f->a, &before), RC_OK);
    assert_true(wait_served(c, 2));
    say(c, "nonsense");
    assert_true(wait_served(c, 3));
    sts_cache_stop(cache);
    assert_int_equal(sts_get(c->f->s, VIEW("labas.test"), &c->f->a, &after), RC_OK);
    assert_true(after.expires_s > before.expires_s && view_eq(after.policy, before.policy));
    sts_cache_free(cache);
    dns_free(set.dns);
}

static atomic_llong ahead_s;

static int64_t leaping_clock(void)
{
    return clock_real_s() + atomic_load(&ahead_s);
}

static void a_clock_that_leaps(void **state)
{
    struct ctx *c = *state;
    struct sts_settings set = {.store = c->f->s, .trust = c->trust, .port = c->port, .only_asked = true, .real_s = leaping_clock};
    static const int64_t leaps[] = {0, 200, 3600, 320000000, 0, -320000000, 0};
    struct sts_cache *cache;
    struct sts_answer a;
    struct dns *honest;
    assert_int_equal(dns_new_scripted(RECORD("1"), &honest), RC_OK);
    set.dns = honest;
    say(c, POLICY("enforce", "mx.labas.test"));
    assert_int_equal(sts_cache_new(&set, &cache), RC_OK);
    assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &a), RC_OK);
    assert_true(a.found);
    sts_cache_free(cache);
    assert_int_equal(dns_new_scripted("nothing.test A 192.0.2.1\n", &set.dns), RC_OK); /* what the attacker leaves */
    assert_int_equal(sts_cache_new(&set, &cache), RC_OK);
    for (size_t i = 0; i < sizeof leaps / sizeof *leaps; i++) {
        atomic_store(&ahead_s, leaps[i]);
        assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &a), RC_OK);
        assert_true(a.found);
    }
    sts_cache_free(cache);
    /* A clock that was ahead when we began is all that we have. */
    atomic_store(&ahead_s, 3600);
    assert_int_equal(sts_cache_new(&set, &cache), RC_OK);
    assert_int_equal(sts_look_up(cache, VIEW("labas.test"), NO_DEADLINE, &c->f->a, &a), RC_OK);
    assert_false(a.found);
    sts_cache_free(cache);
    dns_free(set.dns);
    dns_free(honest);
}

static void sessions_are_counted(void **state)
{
    struct ctx *c = *state;
    struct tls_outcomes *t;
    struct tlsrpt_outcome o = {.domain = VIEW("labas.test"), .type = TLSRPT_TLSA, .policy = VIEW("3 1 1 00")}, *back;
    size_t n;
    assert_int_equal(tls_outcomes_new(c->f->s, &t), RC_OK);
    int64_t day = clock_real_s() / 86400;
    for (int i = 0; i < 5; i++)
        tls_outcomes_note(t, &o);
    o.result = TLSRPT_TLSA_INVALID;
    for (int i = 0; i < TLS_OUTCOMES_MAX + 5; i++) { /* more than memory keeps */
        o.reason = view_str(arena_printf(&c->f->a, "%d", i % TLS_OUTCOMES_MAX));
        tls_outcomes_note(t, &o);
    }
    tls_outcomes_free(t);
    assert_int_equal(tlsrpt_read(c->f->s, day, VIEW("labas.test"), 0, &c->f->a, &back, &n), RC_OK);
    uint64_t failed = 0;
    for (size_t i = 1; i < n; i++)
        failed += back[i].sessions;
    assert_int_equal(back[0].sessions, 5);
    assert_int_equal(failed, TLS_OUTCOMES_MAX + 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_policy_lives_on), T(what_does_not_count), T(refreshed_ahead), T(a_clock_that_leaps), T(sessions_are_counted)};
    return cmocka_run_group_tests_name("sts_cache", tests, NULL, NULL);
}
