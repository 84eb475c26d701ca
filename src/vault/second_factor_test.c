#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base32.h"
#include "vault/app_passwords.h"
#include "vault/second_factor.h"

#define NOW 1800000000
#define ACCOUNT 5

struct lab {
    char dir[32], db[64];
    struct credentials *c;
};

static int start_lab(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    const char *why;
    snprintf(l->dir, sizeof l->dir, "/tmp/facteur-vault-XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->db, sizeof l->db, "%s/vault.db", l->dir);
    assert_int_equal(credentials_open(l->db, &l->c, &why), RC_OK);
    assert_int_equal(credentials_set(l->c, ACCOUNT, VIEW("secret")), RC_OK);
    *state = l;
    return 0;
}

static int stop_lab(void **state)
{
    struct lab *l = *state;
    credentials_close(l->c);
    unlink(l->db);
    rmdir(l->dir);
    free(l);
    return 0;
}

static void codes_are_those_of_rfc_6238(void **state)
{
    (void)state;
    static const struct {
        int64_t time_s;
        uint32_t code;
    } table[] = {{59, 287082},        {1111111109, 81804},   {1111111111, 50471},
                 {1234567890, 5924}, {2000000000, 279037}, {20000000000, 353130}}; /* Appendix B, its last six digits */
    uint32_t code;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(totp_code((const uint8_t *)"12345678901234567890", (uint64_t)table[i].time_s / TOTP_STEP_S, &code), RC_OK);
        assert_int_equal(code, table[i].code);
    }
    /* RFC 4226 Appendix D */
    static const uint32_t hotp[] = {755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(totp_code((const uint8_t *)"12345678901234567890", i, &code), RC_OK);
        assert_int_equal(code, hotp[i]);
    }
}

static void base32_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {{"", ""}, {"f", "MY"}, {"fo", "MZXQ"}, {"foo", "MZXW6"}, {"foob", "MZXW6YQ"}, {"fooba", "MZXW6YTB"}, {"foobar", "MZXW6YTBOI"}};
    struct buf b;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        buf_reset(&b);
        base32_encode(view_str(table[i].in), &b);
        assert_true(view_eq(buf_view(&b), view_str(table[i].out)));
    }
    buf_clear(&b);
}

static struct view code_at(const uint8_t secret[TOTP_SECRET], int64_t time_s, char text[16])
{
    uint32_t code;
    assert_int_equal(totp_code(secret, (uint64_t)time_s / TOTP_STEP_S, &code), RC_OK);
    snprintf(text, 16, "%06u", code);
    return view_str(text);
}

static void enrol(struct lab *l, uint8_t secret[TOTP_SECRET])
{
    char text[16];
    assert_int_equal(totp_begin(l->c, ACCOUNT, secret), RC_OK);
    assert_int_equal(totp_confirm(l->c, ACCOUNT, code_at(secret, NOW, text), NOW), RC_OK);
}

static void it_holds_from_its_confirmation_on(void **state)
{
    struct lab *l = *state;
    struct second_factor f;
    uint8_t first[TOTP_SECRET], secret[TOTP_SECRET];
    char text[16];
    bool recovery;

    assert_int_equal(totp_confirm(l->c, ACCOUNT, VIEW("123456"), NOW), RC_NOTFOUND);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, VIEW("123456"), NOW, &recovery), RC_NOTFOUND);
    assert_int_equal(totp_begin(l->c, ACCOUNT, first), RC_OK);
    assert_int_equal(totp_begin(l->c, ACCOUNT, secret), RC_OK); /* begun anew: the first secret is void */
    assert_int_equal(totp_confirm(l->c, ACCOUNT, code_at(first, NOW, text), NOW), RC_DENIED);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, NOW, text), NOW, &recovery), RC_NOTFOUND);
    assert_int_equal(second_factor_state(l->c, ACCOUNT, &f), RC_OK);
    assert_false(f.totp);
    assert_int_equal(totp_confirm(l->c, ACCOUNT, code_at(secret, NOW, text), NOW), RC_OK);
    assert_int_equal(second_factor_state(l->c, ACCOUNT, &f), RC_OK);
    assert_true(f.totp && f.recovery == 0);
    assert_int_equal(totp_begin(l->c, ACCOUNT, first), RC_EXISTS);
    assert_int_equal(totp_confirm(l->c, ACCOUNT, code_at(secret, NOW + 60, text), NOW + 60), RC_NOTFOUND);
    assert_int_equal(totp_remove(l->c, ACCOUNT, true), RC_OK);
    assert_int_equal(totp_remove(l->c, ACCOUNT, true), RC_NOTFOUND);
}

static void a_code_is_good_once_and_for_its_time(void **state)
{
    struct lab *l = *state;
    uint8_t secret[TOTP_SECRET];
    char text[16];
    bool recovery;

    enrol(l, secret);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, NOW, text), NOW, &recovery), RC_DENIED); /* that of the enrolment */
    const int64_t later = NOW + 300;
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, later - 60, text), later, &recovery), RC_DENIED);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, later + 60, text), later, &recovery), RC_DENIED);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, later - 30, text), later, &recovery), RC_OK);
    assert_false(recovery);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, later + 30, text), later, &recovery), RC_OK);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, later, text), later, &recovery), RC_DENIED); /* older than the last */
    static const struct view bad[] = {VIEW_INIT(""), VIEW_INIT("12345"), VIEW_INIT("1234567"), VIEW_INIT("12345a"), VIEW_INIT("-12345"),
                                      VIEW_INIT("123 456 7"), VIEW_INIT("12\0456")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(second_factor_check(l->c, ACCOUNT, bad[i], later, &recovery), RC_DENIED);
    char spaced[16];
    struct view code = code_at(secret, later + 90, text);
    snprintf(spaced, sizeof spaced, "%.3s %.3s", code.p, code.p + 3);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, view_str(spaced), later + 90, &recovery), RC_OK);
}

static void guessing_codes_ends(void **state)
{
    struct lab *l = *state;
    uint8_t secret[TOTP_SECRET];
    char text[16];
    struct buf codes;
    struct view rest, one;
    bool recovery;
    int64_t now = NOW + 3000;

    enrol(l, secret);
    buf_init(&codes, 1000);
    assert_int_equal(recovery_make(l->c, ACCOUNT, &codes), RC_OK);
    for (int i = 0; i < CODES_WRONG_MAX; i++)
        assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, now + 6000, text), now, &recovery), RC_DENIED);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, now, text), now, &recovery), RC_LIMIT);
    rest = buf_view(&codes);
    assert_true(view_split(&rest, '\n', &one));
    assert_int_equal(second_factor_check(l->c, ACCOUNT, one, now, &recovery), RC_OK); /* the owner still gets in */
    assert_true(recovery);
    now += CODES_WRONG_FADE_S;
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, now, text), now, &recovery), RC_OK);
    assert_int_equal(second_factor_check(l->c, ACCOUNT, code_at(secret, now + 6000, text), now, &recovery), RC_DENIED); /* counted from 0 */
    buf_clear(&codes);
}

static void recovery_codes_are_good_once(void **state)
{
    struct lab *l = *state;
    struct second_factor f;
    struct buf codes, old;
    struct view rest, one;
    unsigned n = 0;
    bool recovery;

    buf_init(&codes, 1000);
    buf_init(&old, 1000);
    assert_int_equal(recovery_make(l->c, ACCOUNT, &old), RC_OK);
    assert_int_equal(recovery_make(l->c, ACCOUNT, &codes), RC_OK);
    for (rest = buf_view(&old); view_split(&rest, '\n', &one);)
        if (one.n > 0)
            assert_int_equal(second_factor_check(l->c, ACCOUNT, one, NOW, &recovery), RC_DENIED);
    for (rest = buf_view(&codes); view_split(&rest, '\n', &one) && one.n > 0; n++) {
        char typed[32];
        assert_int_equal(one.n, RECOVERY_CODE_TEXT);
        for (size_t i = 0; i < one.n; i++)
            typed[i] = one.p[i] == '-' ? ' ' : (char)(one.p[i] >= 'a' ? one.p[i] - 32 : one.p[i]);
        assert_int_equal(second_factor_check(l->c, ACCOUNT + 1, one, NOW, &recovery), RC_DENIED);
        assert_int_equal(second_factor_check(l->c, ACCOUNT, view_of(typed, one.n), NOW, &recovery), RC_OK);
        assert_true(recovery);
        assert_int_equal(second_factor_check(l->c, ACCOUNT, one, NOW, &recovery), RC_DENIED);
    }
    assert_int_equal(n, RECOVERY_CODES);
    assert_int_equal(second_factor_state(l->c, ACCOUNT, &f), RC_OK);
    assert_int_equal(f.recovery, 0);
    buf_clear(&codes);
    buf_clear(&old);
}

static void an_account_that_goes_takes_all_along(void **state)
{
    struct lab *l = *state;
    struct second_factor f;
    uint8_t secret[TOTP_SECRET];
    struct buf codes;
    buf_init(&codes, 1000);
    enrol(l, secret);
    assert_int_equal(recovery_make(l->c, ACCOUNT, &codes), RC_OK);
    assert_int_equal(credentials_remove(l->c, ACCOUNT), RC_OK);
    assert_int_equal(second_factor_state(l->c, ACCOUNT, &f), RC_OK);
    assert_true(!f.totp && f.recovery == 0);
    buf_clear(&codes);
}

#define WITH_LAB(test) cmocka_unit_test_setup_teardown(test, start_lab, stop_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_rfc_6238),      cmocka_unit_test(base32_is_that_of_rfc_4648),
        WITH_LAB(it_holds_from_its_confirmation_on),        WITH_LAB(a_code_is_good_once_and_for_its_time),
        WITH_LAB(guessing_codes_ends),                      WITH_LAB(recovery_codes_are_good_once),
        WITH_LAB(an_account_that_goes_takes_all_along),
    };
    return cmocka_run_group_tests_name("second_factor", tests, NULL, NULL);
}
