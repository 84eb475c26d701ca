/* Which TLS a host must have, and why: the operator, DANE, MTA-STS and the message's own wish against each other. */
#include "store/store_fixture.h"

#include "base/clock.h"
#include "queue/route.h"
#include "store/sts.h"

#define SHA256 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char script[] = "+dane.test MX 10 mx.dane.test\n+mx.dane.test A 192.0.2.1\n+_25._tcp.mx.dane.test TLSA 3 1 1 " SHA256 "\n"
                             "+odd.test MX 10 mx.odd.test\n+mx.odd.test A 192.0.2.1\n+_25._tcp.mx.odd.test TLSA 0 1 1 " SHA256 "\n"
                             "+lost.test MX 10 mx.lost.test\n+mx.lost.test A 192.0.2.1\n+_25._tcp.mx.lost.test TLSA !temp\n"
                             "+none.test MX 10 mx.none.test\n+mx.none.test A 192.0.2.1\n"
                             "plain.test MX 10 mx.dane.test\n"
                             "sts.test MX 10 mx.sts.test\nsts.test MX 20 evil.test\nmx.sts.test A 192.0.2.1\nevil.test A 192.0.2.2\n"
                             "try.test MX 10 evil.test\n"
                             "off.test MX 10 evil.test\n"
                             "+both.test MX 10 mx.dane.test\n+both.test MX 20 mx.none.test\n"
                             "spoofed.test MX 10 mx.dane.test\n"
                             "+direct.test MX !nodata\n+direct.test A 192.0.2.1\n+_25._tcp.direct.test TLSA 3 1 1 " SHA256 "\n"
                             "own.test MX 10 evil.test\nown.test MX 20 mx.own.test\nmx.own.test A 192.0.2.1\n"
                             "a.below.test MX 10 evil.test\n";

struct ctx {
    struct fixture *f;
    struct dns *dns;
    struct sts_cache *sts;
    struct tls_client *trust;
    struct queue_settings set;
};

static void keep(struct ctx *c, const char *domain, const char *mode, const char *mx)
{
    const char *text = arena_printf(&c->f->a, "version: STSv1\nmode: %s\nmx: %s\nmax_age: 600\n", mode, mx);
    int64_t now = clock_real_s();
    const struct sts_row row = {view_str(domain), VIEW("1"), view_str(text), now, now + 600, now + 600, now};
    assert_int_equal(sts_put(c->f->s, &row), RC_OK);
}

static int setup(void **state)
{
    static const char *const own_mx[] = {"*.own.test"};
    static const struct queue_destination destinations[] = {
        {.domain = "own.test", .tls = DESTINATION_REQUIRED, .mx = own_mx, .n_mx = 1},
        {.domain = "*.below.test", .tls = DESTINATION_ENCRYPTED},
    };
    struct ctx *c = calloc(1, sizeof *c);
    const char *why;
    fixture_setup((void **)&c->f);
    assert_int_equal(dns_new_scripted(script, &c->dns), RC_OK);
    assert_int_equal(tls_client_new(NULL, &c->trust, &why), RC_OK);
    const struct sts_settings sts = {.store = c->f->s, .dns = c->dns, .trust = c->trust};
    keep(c, "sts.test", "enforce", "*.sts.test");
    keep(c, "try.test", "testing", "mx.try.test");
    keep(c, "off.test", "none", "mx.off.test");
    keep(c, "both.test", "enforce", "mx.both.test");
    keep(c, "spoofed.test", "enforce", "mx.spoofed.test");
    keep(c, "own.test", "enforce", "mx.nowhere.test");
    assert_int_equal(sts_cache_new(&sts, &c->sts), RC_OK);
    c->set = (struct queue_settings){.hostname = "mx.ici.test", .port = 25, .sts = c->sts, .destinations = destinations, .n_destinations = 2};
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    void *f = c->f;
    sts_cache_free(c->sts);
    dns_free(c->dns);
    tls_client_free(c->trust);
    fixture_teardown(&f);
    free(c);
    return 0;
}

static void one_decision(void **state)
{
    static const struct {
        const char *hop;
        enum route_wish wish;
        size_t host;
        const char *name;
        enum smtp_client_tls level;
        enum tlsrpt_type type;
        size_t n_records;
        const char *barred; /* status */
        bool only_told;
    } rows[] = {
        {"dane.test", ROUTE_AS_PUBLISHED, 0, "mx.dane.test", SMTP_TLS_VERIFIED, TLSRPT_TLSA, 1, NULL, false},
        {"odd.test", ROUTE_AS_PUBLISHED, 0, "mx.odd.test", SMTP_TLS_ENCRYPTED, TLSRPT_TLSA, 0, NULL, false},
        {"lost.test", ROUTE_AS_PUBLISHED, 0, "mx.lost.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_TLSA, 0, "4.4.3", false},
        {"none.test", ROUTE_AS_PUBLISHED, 0, "mx.none.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        {"direct.test", ROUTE_AS_PUBLISHED, 0, "direct.test", SMTP_TLS_VERIFIED, TLSRPT_TLSA, 1, NULL, false},
        /* without DNSSEC of the MX records TLSA says nothing (RFC 7672 §2.2.1) */
        {"plain.test", ROUTE_AS_PUBLISHED, 0, "mx.dane.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        {"sts.test", ROUTE_AS_PUBLISHED, 0, "mx.sts.test", SMTP_TLS_VERIFIED, TLSRPT_STS, 0, NULL, false},
        {"sts.test", ROUTE_AS_PUBLISHED, 1, "evil.test", SMTP_TLS_VERIFIED, TLSRPT_STS, 0, "4.7.5", false},
        {"try.test", ROUTE_AS_PUBLISHED, 0, "evil.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_STS, 0, "4.7.5", true},
        {"off.test", ROUTE_AS_PUBLISHED, 0, "evil.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        /* DANE before MTA-STS (RFC 8461 §2), host by host; but not where MX is not proven */
        {"both.test", ROUTE_AS_PUBLISHED, 0, "mx.dane.test", SMTP_TLS_VERIFIED, TLSRPT_TLSA, 1, NULL, false},
        {"both.test", ROUTE_AS_PUBLISHED, 1, "mx.none.test", SMTP_TLS_VERIFIED, TLSRPT_STS, 0, "4.7.5", false},
        {"spoofed.test", ROUTE_AS_PUBLISHED, 0, "mx.dane.test", SMTP_TLS_VERIFIED, TLSRPT_STS, 0, "4.7.5", false},
        /* RFC 8689 */
        {"none.test", ROUTE_TLS_REQUIRED, 0, "mx.none.test", SMTP_TLS_VERIFIED, TLSRPT_NO_POLICY, 0, NULL, false},
        {"dane.test", ROUTE_TLS_REQUIRED, 0, "mx.dane.test", SMTP_TLS_VERIFIED, TLSRPT_TLSA, 1, NULL, false},
        {"odd.test", ROUTE_TLS_REQUIRED, 0, "mx.odd.test", SMTP_TLS_VERIFIED, TLSRPT_TLSA, 0, NULL, false},
        {"plain.test", ROUTE_TLS_REQUIRED, 0, "mx.dane.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, "5.7.10", false},
        {"sts.test", ROUTE_TLS_REQUIRED, 0, "mx.sts.test", SMTP_TLS_VERIFIED, TLSRPT_STS, 0, NULL, false},
        {"try.test", ROUTE_TLS_REQUIRED, 0, "evil.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_STS, 0, "5.7.10", false},
        {"dane.test", ROUTE_TLS_OPTIONAL, 0, "mx.dane.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        {"lost.test", ROUTE_TLS_OPTIONAL, 0, "mx.lost.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        {"sts.test", ROUTE_TLS_OPTIONAL, 1, "evil.test", SMTP_TLS_OPPORTUNISTIC, TLSRPT_NO_POLICY, 0, NULL, false},
        /* the operator before all */
        {"own.test", ROUTE_AS_PUBLISHED, 0, "evil.test", SMTP_TLS_VERIFIED, TLSRPT_NO_POLICY, 0, "4.7.5", false},
        {"own.test", ROUTE_AS_PUBLISHED, 1, "mx.own.test", SMTP_TLS_VERIFIED, TLSRPT_NO_POLICY, 0, NULL, false},
        {"own.test", ROUTE_TLS_OPTIONAL, 1, "mx.own.test", SMTP_TLS_VERIFIED, TLSRPT_NO_POLICY, 0, NULL, false},
        {"a.below.test", ROUTE_AS_PUBLISHED, 0, "evil.test", SMTP_TLS_ENCRYPTED, TLSRPT_NO_POLICY, 0, NULL, false},
    };
    struct ctx *c = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct route_ask ask = {.dns = c->dns, .set = &c->set, .hop = view_str(rows[i].hop), .wish = rows[i].wish, .deadline_ms = NO_DEADLINE};
        struct route r;
        assert_int_equal(route_decide(&ask, &c->f->a, &r), RC_OK);
        assert_int_equal(r.verdict, ROUTE_OK);
        assert_in_range(rows[i].host, 0, r.n_hosts - 1);
        const struct route_host *h = &r.hosts[rows[i].host];
        if (h->level != rows[i].level || (h->barred != NULL) != (rows[i].barred != NULL))
            print_error("%zu %s: level %d, %s, barred: %s\n", i, rows[i].hop, h->level, h->why, h->barred ? h->barred : "");
        assert_true(view_eq(h->name, view_str(rows[i].name)));
        assert_int_equal(h->level, rows[i].level);
        assert_int_equal(h->policy.type, rows[i].type);
        assert_int_equal(h->proof.n_records, rows[i].n_records);
        assert_int_equal(h->barred != NULL, rows[i].barred != NULL);
        if (h->barred)
            assert_string_equal(h->barred_status, rows[i].barred);
        assert_int_equal(h->only_told, rows[i].only_told);
        assert_true(*h->why != '\0');
    }
}

/* RFC 7672 §3.2.2, RFC 8460 §4.5 */
static void names_and_reports(void **state)
{
    struct ctx *c = *state;
    struct route_ask ask = {.dns = c->dns, .set = &c->set, .hop = VIEW("dane.test"), .deadline_ms = NO_DEADLINE};
    struct route r;
    assert_int_equal(route_decide(&ask, &c->f->a, &r), RC_OK);
    assert_string_equal(r.hosts[0].proof.server_name, "mx.dane.test");
    assert_int_equal(r.hosts[0].proof.n_names, 1);
    assert_string_equal(r.hosts[0].proof.names[0], "dane.test");
    assert_true(view_istarts(r.hosts[0].policy.text, VIEW("3 1 1 00112233")));
    ask.hop = VIEW("sts.test");
    assert_int_equal(route_decide(&ask, &c->f->a, &r), RC_OK);
    assert_true(view_eq(r.hosts[0].policy.text, VIEW("version: STSv1\nmode: enforce\nmx: *.sts.test\nmax_age: 600")));
    assert_true(view_eq(r.hosts[0].policy.mx, VIEW("*.sts.test")));
    assert_true(r.reported);
    ask.wish = ROUTE_TLS_OPTIONAL;
    assert_int_equal(route_decide(&ask, &c->f->a, &r), RC_OK);
    assert_false(r.reported);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(one_decision), T(names_and_reports)};
    return cmocka_run_group_tests_name("route_tls", tests, NULL, NULL);
}
