/* RFC 7672 §2: which records count, and what an answer that fails leads to. */
#include "policy/dane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHA256 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

#define KEY    "302a300506032b6570032100" SHA256 /* Ed25519 (RFC 8410 §4) */

static const char script[] = "+ok.test A 192.0.2.1\n+_25._tcp.ok.test TLSA 3 1 1 " SHA256 "\n"
                             "+two.test A 192.0.2.1\n+_25._tcp.two.test TLSA 3 1 1 " SHA256 "\n+_25._tcp.two.test TLSA 2 0 2 " SHA256 SHA256 "\n"
                             "+pkix.test A 192.0.2.1\n+_25._tcp.pkix.test TLSA 1 1 1 " SHA256 "\n"
                             "+odd.test A 192.0.2.1\n+_25._tcp.odd.test TLSA 3 2 1 " SHA256 "\n+_25._tcp.odd.test TLSA 3 1 7 " SHA256 "\n"
                             "+short.test A 192.0.2.1\n+_25._tcp.short.test TLSA 3 1 1 001122\n"
                             "+junk.test A 192.0.2.1\n+_25._tcp.junk.test TLSA 3 0 0 3003020100\n+_25._tcp.junk.test TLSA 2 1 0 00\n"
                             "+whole.test A 192.0.2.1\n+_25._tcp.whole.test TLSA 3 1 0 " KEY "\n+_25._tcp.whole.test TLSA 3 1 0 " KEY "00\n"
                             "+none.test A 192.0.2.1\n"
                             "+plain.test A 192.0.2.1\n_25._tcp.plain.test TLSA 3 1 1 " SHA256 "\n"
                             "unsigned.test A 192.0.2.1\n+_25._tcp.unsigned.test TLSA !temp\n"
                             "+lost.test A 192.0.2.1\n+_25._tcp.lost.test TLSA !temp\n"
                             "+forged.test A 192.0.2.1\n+_25._tcp.forged.test TLSA !bogus\n"
                             "+alias.test CNAME ok.test\n"
                             "+alias2.test CNAME none.test\n+_25._tcp.alias2.test TLSA 3 1 1 " SHA256 "\n"
                             "+alias3.test CNAME unsigned.test\n+_25._tcp.alias3.test TLSA 3 1 1 " SHA256 "\n"
                             "alias4.test CNAME ok.test\n"
                             "+alias5.test CNAME lost.test\n+_25._tcp.alias5.test TLSA 3 1 1 " SHA256 "\n";

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        enum dane_verdict verdict;
        size_t n, n_texts;
        const char *base;
    } rows[] = {
        {"ok.test", DANE_USABLE, 1, 1, "ok.test"},
        {"two.test", DANE_USABLE, 2, 2, "two.test"},
        {"pkix.test", DANE_UNUSABLE, 0, 1, "pkix.test"},
        {"odd.test", DANE_UNUSABLE, 0, 2, "odd.test"},
        {"short.test", DANE_UNUSABLE, 0, 1, "short.test"},
        {"junk.test", DANE_UNUSABLE, 0, 2, "junk.test"},
        {"whole.test", DANE_USABLE, 1, 2, "whole.test"},
        {"none.test", DANE_NONE, 0, 0, "none.test"},
        {"plain.test", DANE_NONE, 0, 0, "plain.test"},
        {"unsigned.test", DANE_NONE, 0, 0, "unsigned.test"},
        {"lost.test", DANE_TEMP, 0, 0, "lost.test"},
        {"forged.test", DANE_TEMP, 0, 0, "forged.test"},
        {"alias.test", DANE_USABLE, 1, 1, "ok.test"},
        {"alias2.test", DANE_USABLE, 1, 1, "alias2.test"},
        {"alias3.test", DANE_USABLE, 1, 1, "alias3.test"},
        {"alias4.test", DANE_NONE, 0, 0, "alias4.test"},
        {"alias5.test", DANE_TEMP, 0, 0, "alias5.test"},
    };
    struct dns *dns;
    assert_int_equal(dns_new_scripted(script, &dns), RC_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct dns_answer answer;
        struct addr *addrs;
        struct dane d;
        size_t n;
        arena_init(&a, 1u << 20);
        assert_int_equal(dns_addrs(dns, view_str(rows[i].host), 25, NO_DEADLINE, &a, &answer, &addrs, &n), DNS_OK);
        assert_int_equal(dane_look_up(dns, view_str(rows[i].host), 25, &answer, NO_DEADLINE, &a, &d), RC_OK);
        if (d.verdict != rows[i].verdict)
            print_error("%s: %d %s\n", rows[i].host, d.verdict, d.why);
        assert_int_equal(d.verdict, rows[i].verdict);
        assert_int_equal(d.n, rows[i].n);
        assert_int_equal(d.n_texts, rows[i].n_texts);
        assert_int_equal(d.bogus, strcmp(rows[i].host, "forged.test") == 0);
        assert_int_equal(*d.why != '\0', d.verdict == DANE_TEMP);
        if (d.verdict != DANE_TEMP)
            assert_true(view_eq(d.base, view_str(rows[i].base)));
        if (strcmp(rows[i].host, "short.test") == 0)
            assert_true(view_eq(d.texts[0], VIEW("3 1 1 001122")));
        arena_clear(&a);
    }
    dns_free(dns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts)};
    return cmocka_run_group_tests_name("dane", tests, NULL, NULL);
}
