#include "crypto/pkey_cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/digest.h"

struct signed_digest {
    struct buf key, signature; /* public key; signature over digest */
    uint8_t digest[SHA256_SIZE];
};

static struct signed_digest sign(enum pkey_kind kind)
{
    struct signed_digest s;
    struct pkey *pkey;
    buf_init(&s.key, 4096);
    buf_init(&s.signature, 4096);
    assert_int_equal(sha256(VIEW("message"), s.digest), RC_OK);
    assert_int_equal(pkey_generate(kind, 1024, &pkey), RC_OK);
    assert_int_equal(pkey_public_write(pkey, &s.key), RC_OK);
    assert_int_equal(pkey_sign(pkey, view_of(s.digest, SHA256_SIZE), &s.signature), RC_OK);
    pkey_free(pkey);
    return s;
}

static void clear(struct signed_digest *s)
{
    buf_clear(&s->key);
    buf_clear(&s->signature);
}

static struct pkey *get(enum pkey_kind kind, struct view bytes)
{
    struct pkey *pkey;
    assert_int_equal(pkey_cache_public(kind, bytes, &pkey), RC_OK);
    return pkey;
}

static bool holds(const struct pkey *pkey, const struct signed_digest *s)
{
    return pkey_verify(pkey, view_of(s->digest, SHA256_SIZE), buf_view(&s->signature)) == RC_OK;
}

static void same_key_again(void **state)
{
    struct signed_digest one = sign(PKEY_RSA), two = sign(PKEY_RSA);
    (void)state;
    struct pkey *first = get(PKEY_RSA, buf_view(&one.key)), *other = get(PKEY_RSA, buf_view(&two.key));
    assert_true(holds(first, &one) && holds(other, &two) && !holds(first, &two));
    pkey_free(first);
    struct pkey *again = get(PKEY_RSA, buf_view(&one.key));
    assert_ptr_equal(again, first);
    assert_true(holds(again, &one) && !holds(again, &two) && pkey_bits(again) == 1024);
    pkey_free(again);
    pkey_free(other);
    clear(&one);
    clear(&two);
}

/* What is no key is none the second time either; the same bytes may be a key of one kind and not of another. */
static void no_keys(void **state)
{
    struct signed_digest ed = sign(PKEY_ED25519);
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct pkey *pkey = NULL;
        assert_int_equal(pkey_cache_public(PKEY_RSA, VIEW("no key"), &pkey), RC_SYNTAX);
        assert_null(pkey);
        pkey = get(PKEY_ED25519, buf_view(&ed.key));
        assert_true(pkey_kind(pkey) == PKEY_ED25519 && holds(pkey, &ed));
        pkey_free(pkey);
        assert_int_equal(pkey_cache_public(PKEY_RSA, buf_view(&ed.key), &pkey), RC_SYNTAX);
        assert_int_equal(pkey_cache_public(PKEY_ED25519, VIEW(""), &pkey), RC_SYNTAX);
    }
    clear(&ed);
}

/* Keys of strangers, several times what fits: one that is in use stays good, and so does one that was let go. */
static void strangers_keys(void **state)
{
    struct signed_digest mine = sign(PKEY_RSA);
    (void)state;
    struct pkey *held = get(PKEY_RSA, buf_view(&mine.key));
    for (uint32_t i = 0; i < 4 * PKEY_CACHE_KEYS; i++) {
        uint8_t raw[SHA256_SIZE];
        assert_int_equal(sha256(view_of(&i, sizeof i), raw), RC_OK);
        pkey_free(get(PKEY_ED25519, view_of(raw, sizeof raw)));
    }
    assert_true(holds(held, &mine));
    struct pkey *again = get(PKEY_RSA, buf_view(&mine.key));
    assert_true(holds(again, &mine));
    pkey_free(again);
    pkey_free(held);
    clear(&mine);
}

static void *verify_often(void *arg)
{
    const struct signed_digest *s = arg;
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t raw[SHA256_SIZE];
        struct pkey *pkey = get(PKEY_RSA, buf_view(&s->key));
        assert_true(holds(pkey, s));
        pkey_free(pkey);
        for (uint32_t k = 0; k < 8; k++) {
            const uint32_t n = i << 8 | k;
            assert_int_equal(sha256(view_of(&n, sizeof n), raw), RC_OK);
            pkey_free(get(PKEY_ED25519, view_of(raw, sizeof raw)));
        }
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct signed_digest s = sign(PKEY_RSA);
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &s), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_key_again),
        cmocka_unit_test(no_keys),
        cmocka_unit_test(strangers_keys),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests_name("pkey_cache", tests, NULL, NULL);
}
