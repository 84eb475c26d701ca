/* ARC's rules, and those of Authentication-Results; the public ARC suite runs in test/test_mailauth.py. */
#include "mailauth/arc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"
#include "crypto/pkey.h"
#include "mailauth/authres.h"

static struct {
    struct pkey *key;
    struct dns *dns;
} world;

static int set_up(void **state)
{
    struct buf bytes, zone;
    (void)state;
    buf_init(&bytes, 4096);
    buf_init(&zone, 4096);
    assert_int_equal(pkey_generate(PKEY_ED25519, 0, &world.key), RC_OK);
    assert_int_equal(pkey_public_write(world.key, &bytes), RC_OK);
    buf_str(&zone, "temp._domainkey.ici.test TXT !temp\ns._domainkey.ici.test TXT \"v=DKIM1; k=ed25519; p=");
    base64_encode(buf_view(&bytes), &zone);
    buf_str(&zone, "\"\n");
    buf_chr(&zone, 0);
    assert_int_equal(dns_new_scripted(zone.p, &world.dns), RC_OK);
    buf_clear(&bytes);
    buf_clear(&zone);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pkey_free(world.key);
    dns_free(world.dns);
    return 0;
}

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    (void)ctx, (void)domain, (void)selector, (void)algorithm;
    return pkey_sign(world.key, digest, signature);
}

static void check(struct view message, struct arena *a, struct arc_verdict *out)
{
    char *copy = malloc(message.n ? message.n : 1);
    assert_non_null(copy);
    memcpy(copy, message.p, message.n);
    assert_int_equal(arc_verify_message(view_of(copy, message.n), world.dns, NO_DEADLINE, a, out), RC_OK);
    free(copy);
}

/* Puts one more set on top of *text. */
static enum rc seal(struct buf *text, const char *selector, const char *results)
{
    struct arc_seal_settings set = {VIEW("ici.test"), view_str(selector), DKIM_ED25519_SHA256, VIEW("mx.ici.test"), 1700000000, NULL, 0};
    struct dkim_body *body = dkim_body_new();
    struct arc_verdict found;
    struct buf out;
    struct arena a;
    size_t slot;
    arena_init(&a, 1u << 24);
    buf_init(&out, 4u << 20);
    assert_int_equal(dkim_sign_want(body, &slot), RC_OK);
    dkim_body_add(body, header_body(buf_view(text)));
    assert_int_equal(dkim_body_end(body), RC_OK);
    check(buf_view(text), &a, &found);
    enum rc rc = arc_seal(&set, header_of(buf_view(text)), body, slot, view_str(results), &found, sign, NULL, &out);
    if (rc == RC_OK) {
        buf_add(&out, buf_view(text));
        buf_reset(text);
        buf_add(text, buf_view(&out));
    } else {
        assert_int_equal(out.n, 0);
    }
    assert_int_equal(text->fail, RC_OK);
    dkim_body_free(body);
    buf_clear(&out);
    arena_clear(&a);
    return rc;
}

static void expect(struct view message, enum arc_result result, unsigned instance)
{
    struct arc_verdict v;
    struct arena a;
    arena_init(&a, 1u << 24);
    check(message, &a, &v);
    if (v.result != result)
        fail_msg("%s at %u: %s", arc_result_name(v.result), v.failed_at, v.reason);
    assert_int_equal(v.failed_at, instance);
    assert_true(v.n_sets == 0 || result == ARC_PASS);
    arena_clear(&a);
}

static const char message[] = "From: a@ici.test\r\nTo: l@ici.test\r\nSubject: s\r\n\r\nbody\r\n";

static void test_chain_grows(void **state)
{
    struct arc_verdict v;
    struct arena a;
    struct buf text;
    (void)state;
    arena_init(&a, 1u << 24);
    buf_init(&text, 8u << 20);
    buf_str(&text, message);
    expect(buf_view(&text), ARC_NONE, 0);
    for (unsigned i = 1; i <= ARC_SETS_MAX; i++) {
        assert_int_equal(seal(&text, "s", "spf=pass smtp.mailfrom=a@b;\r\n dmarc=pass"), RC_OK);
        arena_reset(&a);
        struct view copy = buf_view(&text);
        assert_int_equal(arc_verify_message(copy, world.dns, NO_DEADLINE, &a, &v), RC_OK);
        assert_int_equal(v.result, ARC_PASS);
        assert_true(v.n_sets == i && v.last_instance == i && v.oldest_pass == 0 && !v.is_partial);
        assert_true(view_eq(v.sets[i - 1].seal_domain, VIEW("ici.test")));
    }
    assert_int_equal(seal(&text, "s", ""), RC_LIMIT); /* RFC 8617 §4.2.1 */
    buf_clear(&text);
    arena_clear(&a);
}

/* A list that changes the body between two seals breaks only the older message signature. */
static void test_changed_on_the_way(void **state)
{
    struct arc_verdict v;
    struct arena a;
    struct buf text;
    (void)state;
    arena_init(&a, 1u << 24);
    buf_init(&text, 1u << 20);
    buf_str(&text, message);
    assert_int_equal(seal(&text, "s", "dmarc=pass"), RC_OK);
    buf_str(&text, "-- \r\nthe list\r\n");
    expect(buf_view(&text), ARC_FAIL, 1);
    buf_reset(&text);
    buf_str(&text, message);
    assert_int_equal(seal(&text, "s", "dmarc=pass"), RC_OK);
    struct buf listed;
    buf_init(&listed, 1u << 20);
    buf_str(&listed, "Received: by the list\r\n");
    buf_add(&listed, buf_view(&text));
    assert_int_equal(seal(&listed, "s", "arc=pass"), RC_OK);
    arena_reset(&a);
    assert_int_equal(arc_verify_message(buf_view(&listed), world.dns, NO_DEADLINE, &a, &v), RC_OK);
    assert_true(v.result == ARC_PASS && v.n_sets == 2 && v.oldest_pass == 0);
    buf_clear(&listed);
    buf_clear(&text);
    arena_clear(&a);
}

static void test_broken_chains(void **state)
{
    struct buf text, changed;
    struct view at;
    (void)state;
    buf_init(&text, 1u << 20);
    buf_init(&changed, 1u << 20);
    buf_str(&text, message);
    assert_int_equal(seal(&text, "s", "dmarc=fail"), RC_OK);
    buf_add(&changed, buf_view(&text)); /* what the sealer found is changed */
    at = buf_view(&changed);
    changed.p[view_find(at, VIEW("dmarc=fail")) + 6] = 'F';
    expect(buf_view(&changed), ARC_FAIL, 1);
    assert_int_equal(seal(&changed, "s", "arc=fail"), RC_OK); /* cv=fail over our set alone */
    expect(buf_view(&changed), ARC_FAIL, 2);
    assert_int_equal(seal(&changed, "s", "arc=fail"), RC_DENIED); /* §5.1 step 2 */
    static const char *const fields[] = {
        "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=ici.test; s=s; b=AAAA\r\n",
        "ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=ici.test; s=s; b=AAAA\r\n",
        "ARC-Seal: i=51; cv=pass; a=rsa-sha256; d=ici.test; s=s; b=AAAA\r\n",
        "ARC-Seal: i=0; cv=pass\r\n",
        "ARC-Seal: garbage\r\n",
        "ARC-Seal:\r\n",
        "ARC-Message-Signature: i=1\r\n",
        "ARC-Message-Signature: i=50; a=rsa-sha256\r\n",
        "ARC-Authentication-Results: i=1; x; none\r\n",
        "ARC-Authentication-Results: x; i=2; none\r\n",
        "ARC-Authentication-Results: i=999999999999999999999; x\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct arc_verdict v;
        struct arena a;
        arena_init(&a, 1u << 24);
        buf_reset(&changed);
        buf_str(&changed, fields[i]);
        buf_add(&changed, buf_view(&text));
        check(buf_view(&changed), &a, &v);
        assert_int_equal(v.result, ARC_FAIL);
        arena_clear(&a);
    }
    buf_reset(&changed);
    for (int i = 0; i < 9000; i++)
        buf_str(&changed, fields[1]);
    buf_str(&changed, message);
    expect(buf_view(&changed), ARC_FAIL, 0);
    buf_reset(&text); /* all failures are permanent (§5.2.1), but it is told which came of the DNS */
    buf_str(&text, message);
    assert_int_equal(seal(&text, "temp", "none"), RC_OK);
    expect(buf_view(&text), ARC_FAIL, 1);
    buf_clear(&text);
    buf_clear(&changed);
}

static void test_seal_refuses(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 1u << 20);
    buf_str(&text, message);
    assert_int_equal(seal(&text, "s\r\nX:", "none"), RC_SYNTAX);
    buf_clear(&text);
}

/* --- Authentication-Results --- */

static void test_written_results(void **state)
{
    struct authres r;
    struct buf out;
    (void)state;
    buf_init(&out, 1u << 20);
    authres_begin(&r, VIEW("mx.ici.test"));
    assert_int_equal(authres_end(&r, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), VIEW("Authentication-Results: mx.ici.test; none\r\n")));
    buf_reset(&out);
    authres_begin(&r, VIEW("mx.ici.test"));
    authres_add(&r, "spf", "pass", VIEW(""), VIEW(""));
    authres_property(&r, "smtp", "mailfrom", VIEW("a@b.test"));
    authres_property(&r, "smtp", "helo", VIEW(""));
    authres_add(&r, "dkim", "fail", VIEW("2048) (bits"), VIEW("a \"b\"\r\nEvil: 1"));
    authres_property(&r, "header", "b", VIEW("ab/c=="));
    authres_property(&r, "header", "i", VIEW("\"a b\"@c;d"));
    assert_int_equal(authres_end(&r, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), VIEW("Authentication-Results: mx.ici.test; spf=pass smtp.mailfrom=a@b.test;\r\n"
                                             " dkim=fail (2048? ?bits) reason=\"a 'b'??Evil: 1\" header.b=\"ab/c==\"\r\n"
                                             " header.i=\"'a b'@c,d\"\r\n")));
    authres_begin(&r, VIEW("mx.ici.test; dkim=pass"));
    assert_int_equal(authres_end(&r, &out), RC_SYNTAX);
    buf_clear(&out);
}

static void test_forged_results(void **state)
{
    static const struct {
        const char *value;
        bool is_ours;
    } cases[] = {
        {" mx.ici.test; dkim=pass", true},
        {" MX.Ici.Test 1; dkim=pass", true},
        {" (a (nested\\) ) comment)\r\n \"mx.\\ici.test\" (x) ; dkim=pass", true},
        {"mx.ici.test", true},
        {" mx.ici.test=pass; dkim=pass", true}, /* cannot be read, but has the name */
        {" (never ends mx.ici.test; dkim=pass", true},
        {" mx.ici.test.; dkim=pass", true},
        {" mx(c).ici (d) . test; dkim=pass", true}, /* no authserv-id, but who drops comments first reads one */
        {" \"mx\".ici.test; dkim=pass", true},
        {" \"mx.ici.\r\n test\"; dkim=pass", true},
        {"\xc2\xa0mx.ici.test; dkim=pass", true},
        {" mx.ici . example; dkim=pass reason=\"x\"", false},
        {" other.test; dkim=pass", false},
        {" other.test; dkim=pass reason=\"mx.ici.test\"", false},
        {" notmx.ici.test; dkim=pass", false},
        {" ici.test; dkim=pass", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (authres_is_ours(view_str(cases[i].value), VIEW("mx.ici.test")) != cases[i].is_ours)
            fail_msg("%s", cases[i].value);
    struct view text = VIEW("A: b\r\nAuthentication-Results: mx.ici.test; x=pass\r\nB: c\r\nauthentication-results : mx.ici.test;\r\n\tnone\r\n\r\n"
                            "Authentication-Results: mx.ici.test; in the body\r\n");
    struct header_cut cuts[2];
    size_t n;
    assert_int_equal(authres_forged(text, VIEW("mx.ici.test"), cuts, 2, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(cuts[0].offset == 6 && view_starts(view_from(text, cuts[0].offset + cuts[0].n), VIEW("B: c")));
    assert_true(view_starts(view_from(text, cuts[1].offset + cuts[1].n), VIEW("\r\n")));
    assert_int_equal(authres_forged(text, VIEW("mx.ici.test"), cuts, 1, &n), RC_LIMIT);
}

static void test_collected_results(void **state)
{
    struct view header = VIEW("Authentication-Results: mx.ici.test 1; spf=pass (a; b) smtp.mailfrom=\"x;y\"@z;\r\n\tdkim/1 = FAIL;\r\n"
                              "Authentication-Results: other.test; dmarc=pass\r\n"
                              "Authentication-Results: mx.ici.test; none\r\n"
                              "Authentication-Results: mx.ici.test; dmarc=pass\r\n\r\n");
    struct view result;
    struct arena a;
    struct buf out;
    (void)state;
    arena_init(&a, 1u << 20);
    buf_init(&out, 1u << 16);
    assert_int_equal(authres_collect(header, VIEW("mx.ici.test"), &a, &out), RC_OK);
    assert_true(view_eq(buf_view(&out), VIEW("spf=pass (a; b) smtp.mailfrom=\"x;y\"@z;\tdkim/1 = FAIL; dmarc=pass")));
    assert_int_equal(authres_result(buf_view(&out), "dkim", &a, &result), RC_OK);
    assert_true(view_eq(result, VIEW("fail")));
    assert_int_equal(authres_result(buf_view(&out), "dmarc", &a, &result), RC_OK);
    assert_true(view_eq(result, VIEW("pass")));
    assert_int_equal(authres_result(buf_view(&out), "arc", &a, &result), RC_NOTFOUND);
    assert_int_equal(authres_result(VIEW("spf=fail (dmarc=pass; dmarc=pass); x=\"; dmarc=pass\""), "dmarc", &a, &result), RC_NOTFOUND);
    buf_clear(&out);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_grows),     cmocka_unit_test(test_changed_on_the_way), cmocka_unit_test(test_broken_chains),
        cmocka_unit_test(test_seal_refuses),    cmocka_unit_test(test_written_results),    cmocka_unit_test(test_forged_results),
        cmocka_unit_test(test_collected_results),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
