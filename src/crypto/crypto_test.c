#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/hex.h"
#include "crypto/random.h"

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    char text[2 * DIGEST_SIZE_MAX + 1];
    hex_write(view_of(got, n), text);
    assert_string_equal(text, want);
}

static void test_sha(void **state)
{
    uint8_t out[DIGEST_SIZE_MAX];
    (void)state;
    assert_int_equal(sha256(VIEW("abc"), out), RC_OK); /* FIPS 180-4 examples */
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(VIEW(""), out), RC_OK);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(sha256((struct view){0}, out), RC_OK);
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(sha1(VIEW("abc"), out), RC_OK);
    assert_hex(out, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void test_pieces(void **state)
{
    uint8_t out[SHA256_SIZE];
    struct digest *d = digest_new(DIGEST_SHA256), *copy;
    (void)state;
    digest_add(d, VIEW("a"));
    digest_add(d, VIEW(""));
    copy = digest_copy(d);
    digest_add(d, VIEW("bc"));
    assert_int_equal(digest_end(d, out), RC_OK);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_add(copy, VIEW("bc"));
    assert_int_equal(digest_end(copy, out), RC_OK);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_free(d);
    digest_free(copy);
    digest_free(NULL);
}

static void test_hmac(void **state)
{
    const struct view text = VIEW("what do ya want for nothing?");
    uint8_t out[SHA256_SIZE];
    (void)state;
    assert_int_equal(hmac_sha256(VIEW("Jefe"), text, out), RC_OK); /* RFC 4231 §4.3 */
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(hmac_sha1(VIEW("Jefe"), text, out), RC_OK); /* RFC 2202 §3 */
    assert_hex(out, 20, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_int_equal(hmac_sha256((struct view){0}, VIEW(""), out), RC_OK);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_pbkdf2(void **state)
{
    uint8_t out[DIGEST_SIZE_MAX];
    (void)state;
    assert_int_equal(pbkdf2(DIGEST_SHA1, VIEW("password"), VIEW("salt"), 4096, out), RC_OK); /* RFC 6070 §2 */
    assert_hex(out, 20, "4b007901b765489abead49d926f721d065a429c1");
    assert_int_equal(pbkdf2(DIGEST_SHA256, VIEW("password"), VIEW("salt"), 2, out), RC_OK);
    assert_hex(out, 32, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");
    assert_int_equal(pbkdf2(DIGEST_SHA256, VIEW("password"), VIEW("salt"), 0, out), RC_SYNTAX);
}

static void test_random(void **state)
{
    uint8_t a[64] = {0}, b[64] = {0};
    (void)state;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    for (int i = 0; i < 1000; i++)
        assert_in_range(random_below(7), 0, 6);
    assert_int_equal(random_below(1), 0);
    assert_int_equal(random_below(0), 0);
}

static void test_equal(void **state)
{
    char secret[] = "secret";
    (void)state;
    assert_true(equal_secret(VIEW("secret"), view_str(secret)));
    assert_false(equal_secret(VIEW("secreT"), view_str(secret)));
    assert_false(equal_secret(VIEW("secre"), view_str(secret)));
    assert_true(equal_secret((struct view){0}, VIEW("")));
    wipe(secret, sizeof secret);
    assert_memory_equal(secret, "\0\0\0\0\0\0", sizeof secret);
}

static void test_hex(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 64);
    hex_encode(VIEW("\x00\xff\x1a"), &b);
    assert_true(view_eq(buf_view(&b), VIEW("00ff1a")));
    buf_reset(&b);
    assert_int_equal(hex_decode(VIEW("00FF1a"), &b), RC_OK);
    assert_true(view_eq(buf_view(&b), VIEW("\x00\xff\x1a")));
    assert_int_equal(hex_decode(VIEW("0"), &b), RC_SYNTAX);
    assert_int_equal(hex_decode(VIEW("0g"), &b), RC_SYNTAX);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha),    cmocka_unit_test(test_pieces), cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_pbkdf2), cmocka_unit_test(test_random), cmocka_unit_test(test_equal),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
