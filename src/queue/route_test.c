#include "queue/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char script[] = "two.test MX 20 b.two.test\ntwo.test MX 10 a.two.test\n"
                             "a.two.test A 192.0.2.1\na.two.test AAAA 2001:db8::1\nb.two.test A 192.0.2.2\n"
                             "plain.test A 192.0.2.3\n"
                             "alias.test CNAME two.test\n"
                             "round.test CNAME round.test\n"
                             "null.test MX 0 .\n"
                             "mute.test MX 10 nowhere.test\n"
                             "half.test MX 10 nowhere.test\nhalf.test MX 20 b.two.test\n"
                             "deaf.test MX !temp\n"
                             "forged.test MX !bogus\n"
                             "fog.test MX 10 fog.mx.test\nfog.mx.test A !temp\nfog.mx.test AAAA !temp\n"
                             "nothing.test TXT \"x\"\n"
                             "us.test MX 10 mx.ici.test\nus.test MX 20 b.two.test\n"
                             "third.test MX 10 a.two.test\nthird.test MX 20 mx.ici.test\nthird.test MX 20 b.two.test\nthird.test MX 30 plain.test\n"
                             "ourip.test MX 10 ours.test\nours.test A 192.0.2.25\n"
                             "nil.test MX 10 nil.mx.test\nnil.mx.test A 0.0.0.0\n"
                             "six.test AAAA 2001:db8::6\n"
                             "smart.test A 192.0.2.99\n";

struct ctx {
    struct dns *dns;
    struct arena arena;
    struct addr own;
    struct queue_settings set;
};

static int setup(void **state)
{
    struct ctx *c = calloc(1, sizeof *c);
    arena_init(&c->arena, 1u << 20);
    *state = c;
    if (addr_parse(VIEW("192.0.2.25:25"), &c->own) != RC_OK)
        return 1;
    c->set = (struct queue_settings){.hostname = "mx.ici.test", .port = 25, .own = &c->own, .n_own = 1, .relay_port = 587};
    return dns_new_scripted(script, &c->dns) == RC_OK ? 0 : 1;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    dns_free(c->dns);
    arena_clear(&c->arena);
    free(c);
    return 0;
}

static struct route decide(struct ctx *c, const char *hop)
{
    struct route r;
    assert_int_equal(route_decide(&(struct route_ask){.dns = c->dns, .set = &c->set, .hop = view_str(hop), .deadline_ms = NO_DEADLINE}, &c->arena, &r), RC_OK);
    return r;
}

/* RFC 5321 §5.1, RFC 7505, RFC 3463 */
static void verdicts(void **state)
{
    static const struct {
        const char *hop;
        enum route_verdict verdict;
        const char *status, *hosts; /* names in order */
    } rows[] = {
        {"two.test", ROUTE_OK, "", "a.two.test b.two.test "},
        {"plain.test", ROUTE_OK, "", "plain.test "},
        {"alias.test", ROUTE_OK, "", "a.two.test b.two.test "},
        {"half.test", ROUTE_OK, "", "b.two.test "},
        {"third.test", ROUTE_OK, "", "a.two.test "},
        {"[192.0.2.7]", ROUTE_OK, "", "192.0.2.7 "},
        {"[ipv6:2001:db8::7]", ROUTE_OK, "", "2001:db8::7 "},
        {"[192.0.2.25]", ROUTE_FAIL, "5.4.6", ""},
        {"[nonsense]", ROUTE_FAIL, "5.1.3", ""},
        {"null.test", ROUTE_FAIL, "5.1.10", ""},
        {"mute.test", ROUTE_FAIL, "5.4.4", ""},
        {"nowhere.test", ROUTE_FAIL, "5.1.2", ""},
        {"nothing.test", ROUTE_FAIL, "5.1.2", ""},
        {"us.test", ROUTE_FAIL, "5.4.6", ""},
        {"ourip.test", ROUTE_FAIL, "5.4.6", ""},
        {"nil.test", ROUTE_FAIL, "5.4.6", ""},
        {"[ipv6:::]", ROUTE_FAIL, "5.4.6", ""},
        {"[127.0.0.1]", ROUTE_OK, "", "127.0.0.1 "},
        {"deaf.test", ROUTE_TEMP, "4.4.3", ""},
        {"fog.test", ROUTE_TEMP, "4.4.3", ""},
        {"round.test", ROUTE_TEMP, "4.4.3", ""},
        {"forged.test", ROUTE_TEMP, "4.7.5", ""},
    };
    struct ctx *c = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route r = decide(c, rows[i].hop);
        struct buf names;
        buf_init(&names, 1024);
        for (size_t k = 0; k < r.n_hosts; k++) {
            buf_add(&names, r.hosts[k].name);
            buf_chr(&names, ' ');
        }
        if (r.verdict != rows[i].verdict || !view_eq(buf_view(&names), view_str(rows[i].hosts)))
            print_error("%s: %d %s, %.*s\n", rows[i].hop, r.verdict, r.why, VIEW_FMT(buf_view(&names)));
        assert_int_equal(r.verdict, rows[i].verdict);
        assert_string_equal(r.status, rows[i].status);
        assert_true(view_eq(buf_view(&names), view_str(rows[i].hosts)));
        for (size_t k = 0; k < r.n_hosts; k++)
            assert_int_equal(r.hosts[k].level, SMTP_TLS_OPPORTUNISTIC);
        buf_clear(&names);
    }
}

/* Whoever listens at all addresses listens at these. */
static void loopback_is_our_own(void **state)
{
    struct ctx *c = *state;
    assert_int_equal(addr_parse(VIEW("0.0.0.0:25"), &c->own), RC_OK);
    assert_int_equal(decide(c, "[127.0.0.1]").verdict, ROUTE_FAIL);
    assert_int_equal(decide(c, "[127.9.0.1]").verdict, ROUTE_FAIL);
    assert_int_equal(decide(c, "[ipv6:::1]").verdict, ROUTE_OK);
    assert_int_equal(decide(c, "[192.0.2.25]").verdict, ROUTE_OK);
    assert_int_equal(addr_parse(VIEW("[::]:25"), &c->own), RC_OK);
    assert_int_equal(decide(c, "[ipv6:::1]").verdict, ROUTE_FAIL);
    assert_int_equal(decide(c, "[127.0.0.1]").verdict, ROUTE_OK);
    c->set.port = 10025; /* somebody else's */
    assert_int_equal(decide(c, "[ipv6:::1]").verdict, ROUTE_OK);
}

static void both_families_and_one(void **state)
{
    struct ctx *c = *state;
    struct route r = decide(c, "two.test");
    assert_int_equal(r.hosts[0].n_addrs, 2);
    assert_true(addr_is_ipv6(&r.hosts[0].addrs[0]));
    /* Bound to an IPv4 address alone, IPv6 ones are of no use. */
    assert_int_equal(addr_parse_ip(VIEW("192.0.2.25"), 0, &c->set.bind4), RC_OK);
    r = decide(c, "two.test");
    assert_int_equal(r.hosts[0].n_addrs, 1);
    assert_false(addr_is_ipv6(&r.hosts[0].addrs[0]));
    r = decide(c, "six.test");
    assert_int_equal(r.verdict, ROUTE_TEMP);
}

static void smarthost_takes_all(void **state)
{
    struct ctx *c = *state;
    c->set.relay_host = "smart.test";
    c->set.relay_username = "us";
    struct route r = decide(c, "null.test");
    assert_int_equal(r.verdict, ROUTE_OK);
    assert_int_equal(r.hosts[0].level, SMTP_TLS_VERIFIED);
    assert_true(r.login);
    assert_int_equal(addr_port(&r.hosts[0].addrs[0]), 587);
    c->set.relay_host = "nowhere.test"; /* our own mistake: never a bounce */
    assert_int_equal(decide(c, "two.test").verdict, ROUTE_TEMP);
}

/* Within one preference each host comes first now and then. */
static void equal_preference_is_random(void **state)
{
    struct ctx *c = *state;
    struct dns *dns;
    unsigned first = 0;
    assert_int_equal(dns_new_scripted("e.test MX 5 a.e.test\ne.test MX 5 b.e.test\na.e.test A 192.0.2.1\nb.e.test A 192.0.2.2\n", &dns), RC_OK);
    for (int i = 0; i < 200; i++) {
        struct route r;
        assert_int_equal(route_decide(&(struct route_ask){.dns = dns, .set = &c->set, .hop = VIEW("e.test"), .deadline_ms = NO_DEADLINE}, &c->arena, &r), RC_OK);
        first += view_eq(r.hosts[0].name, VIEW("a.e.test"));
        arena_reset(&c->arena);
    }
    assert_in_range(first, 50, 150);
    dns_free(dns);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(verdicts), T(loopback_is_our_own), T(both_families_and_one), T(smarthost_takes_all), T(equal_preference_is_random)};
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
