#include "dns/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define T0 ((int64_t)1000000)

struct ctx {
    struct dns_cache *cache;
    struct arena arena;
};

static int setup(void **state)
{
    struct ctx *c = calloc(1, sizeof *c);
    arena_init(&c->arena, 4 << 20);
    c->cache = dns_cache_new(1 << 20, 1024);
    *state = c;
    return c->cache ? 0 : 1;
}

static int teardown(void **state)
{
    struct ctx *c = *state;
    dns_cache_free(c->cache);
    arena_clear(&c->arena);
    free(c);
    return 0;
}

static void put(struct ctx *c, const char *name, enum dns_type type, enum dns_status status, uint32_t ttl_s, const char *data)
{
    /* Exact-size blocks, gone afterwards: what is given later is a copy. */
    size_t n = strlen(data);
    char *bytes = malloc(n ? n : 1);
    memcpy(bytes, data, n);
    struct view rdata = view_of(bytes, n);
    struct dns_answer answer = {.status = status, .ttl_s = ttl_s, .rdata = &rdata, .n = status == DNS_OK ? 1 : 0};
    dns_cache_put(c->cache, view_str(name), type, T0, &answer);
    free(bytes);
}

static bool get(struct ctx *c, const char *name, enum dns_type type, int64_t now_ms, struct dns_answer *out)
{
    return dns_cache_get(c->cache, view_str(name), type, now_ms, &c->arena, out);
}

static void gives_what_was_put(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    struct view rdata[] = {VIEW("\3one"), VIEW(""), VIEW("two\0three")};
    struct dns_answer in = {.status = DNS_OK, .secure = true, .canonical = VIEW("host.example"), .ttl_s = 60, .rdata = rdata, .n = 3};
    assert_false(get(c, "alias.example", DNS_TXT, T0, &out));
    dns_cache_put(c->cache, VIEW("Alias.Example"), DNS_TXT, T0, &in);
    assert_true(get(c, "aLIAS.exaMPLE", DNS_TXT, T0 + 500, &out));
    assert_int_equal(out.status, DNS_OK);
    assert_true(out.secure);
    assert_null(out.why);
    assert_true(view_eq(out.canonical, in.canonical));
    assert_int_equal(out.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(view_eq(out.rdata[i], rdata[i]));
    assert_false(get(c, "alias.example", DNS_A, T0, &out)); /* another type, name, or part of it */
    assert_false(get(c, "lias.example", DNS_TXT, T0, &out));
    assert_false(get(c, "alias.example.org", DNS_TXT, T0, &out));
    put(c, "alias.example", DNS_TXT, DNS_NODATA, 60, ""); /* replaced, not put beside */
    assert_true(get(c, "alias.example", DNS_TXT, T0, &out));
    assert_true(out.status == DNS_NODATA && out.n == 0 && !out.rdata && out.canonical.n == 0 && !out.secure);
    dns_cache_drop(c->cache);
    assert_false(get(c, "alias.example", DNS_TXT, T0, &out));
}

static void time_to_live(void **state)
{
    struct ctx *c = *state;
    static const struct {
        enum dns_status status;
        uint32_t ttl_s;
        int64_t after_ms; /* now still known; not one ms later. -1: never */
        uint32_t left_s;  /* then */
    } rows[] = {
        {DNS_OK, 1, 999, 1},
        {DNS_OK, 60, 1, 60},
        {DNS_OK, 60, 59999, 1},
        {DNS_OK, 0, -1, 0}, /* RFC 1035 §3.2.1: only for the transaction in progress */
        {DNS_OK, UINT32_MAX, CACHE_TTL_MAX_S * 1000 - 1, 1},
        {DNS_NXDOMAIN, 5, 4999, 1},
        {DNS_NODATA, 86400, CACHE_NEGATIVE_MAX_S * 1000 - 1, 1},
        {DNS_NODATA, 0, -1, 0},
        {DNS_TEMP, 60, -1, 0},
        {DNS_BOGUS, 60, -1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dns_answer out;
        dns_cache_drop(c->cache);
        put(c, "a.example", DNS_A, rows[i].status, rows[i].ttl_s, "abcd");
        bool known = rows[i].after_ms >= 0;
        assert_int_equal(get(c, "a.example", DNS_A, T0 + (known ? rows[i].after_ms : 0), &out), known);
        if (known)
            assert_int_equal(out.ttl_s, rows[i].left_s);
        if (rows[i].left_s == 1)
            assert_false(get(c, "a.example", DNS_A, T0 + rows[i].after_ms + 1, &out));
    }
}

/* A trouble that comes after an answer does not take the answer away before its time. */
static void trouble_is_not_kept(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    put(c, "a.example", DNS_A, DNS_OK, 60, "abcd");
    put(c, "a.example", DNS_A, DNS_TEMP, 60, "");
    assert_true(get(c, "a.example", DNS_A, T0, &out));
    assert_int_equal(out.status, DNS_OK);
}

/* A stranger who makes us ask for a hundred times what fits: neither entries nor bytes pass their limit, and what is
 * asked for now and then stays. */
static void hostile_fill(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    size_t entries, bytes;
    char name[64];
    static char big[4096];
    memset(big, 'x', sizeof big - 1);
    put(c, "often.example", DNS_TXT, DNS_OK, 60, "v=spf1 -all");
    for (int i = 0; i < 102400; i++) {
        snprintf(name, sizeof name, "n%d.hostile.example", i);
        put(c, name, DNS_TXT, i % 3 ? DNS_NXDOMAIN : DNS_OK, 3600, i % 3 ? "" : big);
        if (i % 16 == 0)
            assert_true(get(c, "often.example", DNS_TXT, T0, &out));
        arena_reset(&c->arena);
    }
    dns_cache_size(c->cache, &entries, &bytes);
    assert_true(entries <= 1024 && entries > 64 && bytes <= 1 << 20);
    assert_true(get(c, name, DNS_TXT, T0, &out)); /* the newest is there */
    dns_cache_drop(c->cache);
    dns_cache_size(c->cache, &entries, &bytes);
    assert_true(entries == 0 && bytes == 0);
}

static void all_asked_for_still_makes_room(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    char name[64];
    size_t entries, bytes;
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        put(c, name, DNS_A, DNS_OK, 60, "abcd");
        assert_true(get(c, name, DNS_A, T0, &out));
        arena_reset(&c->arena);
    }
    dns_cache_size(c->cache, &entries, &bytes);
    assert_true(entries <= 1024 && entries > 900);
}

static void too_large_or_no_room(void **state)
{
    struct ctx *c = *state;
    struct dns_answer out;
    struct arena small;
    char *huge = calloc(1, CACHE_ANSWER_MAX + 2);
    memset(huge, 'x', CACHE_ANSWER_MAX + 1);
    put(c, "huge.example", DNS_TXT, DNS_OK, 60, huge);
    assert_false(get(c, "huge.example", DNS_TXT, T0, &out));
    huge[CACHE_ANSWER_MAX] = 0;
    put(c, "huge.example", DNS_TXT, DNS_OK, 60, huge);
    assert_true(get(c, "huge.example", DNS_TXT, T0, &out));
    arena_init(&small, 1024);
    assert_false(dns_cache_get(c->cache, VIEW("huge.example"), DNS_TXT, T0, &small, &out));
    arena_clear(&small);
    memset(huge, 'n', CACHE_ANSWER_MAX);
    put(c, huge, DNS_TXT, DNS_OK, 60, "abcd"); /* longer than any name */
    assert_false(get(c, huge, DNS_TXT, T0, &out));
    free(huge);
    /* nothing fits at all */
    struct dns_cache *tiny = dns_cache_new(0, 0);
    struct dns_answer in = {.status = DNS_NXDOMAIN, .ttl_s = 60};
    dns_cache_put(tiny, VIEW("a.example"), DNS_A, T0, &in);
    assert_false(dns_cache_get(tiny, VIEW("a.example"), DNS_A, T0, &c->arena, &out));
    dns_cache_free(tiny);
    dns_cache_free(NULL);
}

static void *work(void *arg)
{
    struct dns_cache *cache = arg;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        char name[32];
        struct dns_answer out;
        snprintf(name, sizeof name, "n%d.example", i * 7919 % 3000);
        struct view rdata = view_str(name);
        struct dns_answer in = {.status = DNS_OK, .ttl_s = 60, .rdata = &rdata, .n = 1};
        if (dns_cache_get(cache, view_str(name), DNS_A, T0, &a, &out))
            assert_true(out.n == 1 && view_eq(out.rdata[0], view_str(name)));
        else
            dns_cache_put(cache, view_str(name), DNS_A, T0, &in);
        if (i % 5000 == 0)
            dns_cache_drop(cache);
        arena_reset(&a);
    }
    arena_clear(&a);
    return NULL;
}

static void many_threads(void **state)
{
    struct ctx *c = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, c->cache), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_what_was_put, setup, teardown),
        cmocka_unit_test_setup_teardown(time_to_live, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_fill, setup, teardown),
        cmocka_unit_test_setup_teardown(all_asked_for_still_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(too_large_or_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
    };
    return cmocka_run_group_tests_name("dns_cache", tests, NULL, NULL);
}
