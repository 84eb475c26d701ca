/* Unit tests of policy/signer: whose keys sign what, and that what was signed verifies. */
#include "store/store_fixture.h"

#include "crypto/pkey.h"
#include "mailauth/dkim_key.h"
#include "message/header.h"
#include "policy/signer.h"
#include "store/directory_dkim.h"

/* A vault of two keys, which signs for "ici.test" and "xn--t-9fab.test" under every selector that begins as its kind does. */
struct hand {
    struct pkey *rsa, *ed;
    unsigned calls;
    enum rc trouble; /* said in place of a signature */
    struct view lost; /* a selector that it does not have */
};
struct lab {
    struct fixture *f;
    struct hand hand;
    struct signer *s;
};

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    struct hand *h = ctx;
    (void)domain;
    h->calls++;
    if (h->trouble != RC_OK)
        return h->trouble;
    if (h->lost.n > 0 && view_eq(h->lost, selector))
        return RC_NOTFOUND;
    return pkey_sign(algorithm == DKIM_RSA_SHA256 ? h->rsa : h->ed, digest, signature);
}

static void add_keys(struct lab *l, const char *domain, const char *rsa, const char *ed, enum dkim_key_state state)
{
    struct buf r = {.max = 1000}, e = {.max = 1000};
    assert_int_equal(pkey_public_write(l->hand.rsa, &r), RC_OK);
    assert_int_equal(pkey_public_write(l->hand.ed, &e), RC_OK);
    const struct directory_dkim_key keys[] = {
        {.domain = view_str(domain), .selector = view_str(rsa), .algorithm = PKEY_RSA, .public_key = buf_view(&r), .state = state},
        {.domain = view_str(domain), .selector = view_str(ed), .algorithm = PKEY_ED25519, .public_key = buf_view(&e), .state = state}};
    assert_int_equal(directory_dkim_add(l->f->s, keys, 2), RC_OK);
    buf_clear(&r);
    buf_clear(&e);
}

static int start_lab(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    void *f = NULL;
    assert_int_equal(fixture_setup(&f), 0);
    l->f = f;
    assert_int_equal(pkey_generate(PKEY_RSA, 1024, &l->hand.rsa), RC_OK);
    assert_int_equal(pkey_generate(PKEY_ED25519, 0, &l->hand.ed), RC_OK);
    assert_int_equal(signer_new(l->f->s, sign, &l->hand, &l->s), RC_OK);
    assert_int_equal(directory_domain_add(l->f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(directory_domain_add(l->f->s, VIEW("\xc3\xa9t\xc3\xa9.test")), RC_OK);
    assert_int_equal(directory_domain_add(l->f->s, VIEW("bare.test")), RC_OK);
    add_keys(l, "ici.test", "r1", "e1", DKIM_KEY_ACTIVE);
    add_keys(l, "\xc3\xa9t\xc3\xa9.test", "r1", "e1", DKIM_KEY_ACTIVE);
    *state = l;
    return 0;
}

static int stop_lab(void **state)
{
    struct lab *l = *state;
    void *f = l->f;
    signer_free(l->s);
    pkey_free(l->hand.rsa);
    pkey_free(l->hand.ed);
    fixture_teardown(&f);
    free(l);
    return 0;
}

static struct dns *open_dns(struct lab *l, const char *domain, const char *rsa, const char *ed)
{
    struct buf script = {.max = 10000}, key = {.max = 1000};
    struct dns *dns = NULL;
    buf_printf(&script, "%s._domainkey.%s TXT ", rsa, domain);
    assert_int_equal(pkey_public_write(l->hand.rsa, &key), RC_OK);
    dkim_key_write_zone(PKEY_RSA, buf_view(&key), &script);
    buf_reset(&key);
    buf_printf(&script, "\n%s._domainkey.%s TXT ", ed, domain);
    assert_int_equal(pkey_public_write(l->hand.ed, &key), RC_OK);
    dkim_key_write_zone(PKEY_ED25519, buf_view(&key), &script);
    buf_chr(&script, '\0');
    assert_int_equal(dns_new_scripted(script.p, &dns), RC_OK);
    buf_clear(&script);
    buf_clear(&key);
    return dns;
}

#define BODY "\r\nHello\r\n"

static void what_is_signed_verifies_with_both_keys(void **state)
{
    static const struct {
        const char *from, *domain; /* domain NULL: not signed */
    } cases[] = {
        {"From: a@ici.test\r\n", "ici.test"},
        {"From: \"b@evil.test\" <a@ICI.test>\r\n", "ici.test"},
        {"From: a@\xc3\xa9t\xc3\xa9.test\r\n", "xn--t-9fab.test"},
        {"From: a@xn--t-9fab.test\r\n", "xn--t-9fab.test"},
        {"From: z@evil.test, a@ici.test\r\nSender: a@ici.test\r\n", "ici.test"},
        {"From: a@sub.ici.test\r\n", NULL},
        {"From: a@bare.test\r\n", NULL},
        {"From: a@evil.test\r\n", NULL},
        {"From: nobody:;\r\n", NULL},
        {"Sender: a@ici.test\r\n", NULL},
    };
    struct lab *l = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf message = {.max = 100000}, fields = {.max = 100000};
        struct arena a;
        arena_init(&a, 1 << 20);
        buf_printf(&message, "%sSubject: x\r\n" BODY, cases[i].from);
        enum rc rc = signer_sign_message(l->s, buf_view(&message), &fields);
        assert_int_equal(rc, cases[i].domain ? RC_OK : RC_NOTFOUND);
        if (cases[i].domain) {
            struct dns *dns = open_dns(l, cases[i].domain, "r1", "e1");
            struct dkim_list list;
            buf_add(&fields, buf_view(&message));
            assert_int_equal(dkim_verify_message(buf_view(&fields), dns, clock_real_s(), deadline_in(1000), &a, &list), RC_OK);
            assert_int_equal(list.n, 2);
            for (size_t k = 0; k < 2; k++) {
                assert_int_equal(list.verdicts[k].result, DKIM_PASS);
                assert_true(view_eq(list.verdicts[k].domain, view_str(cases[i].domain)));
            }
            assert_int_equal(list.verdicts[0].algorithm, DKIM_RSA_SHA256);
            assert_int_equal(list.verdicts[1].algorithm, DKIM_ED25519_SHA256);
            dns_free(dns);
        } else {
            assert_int_equal(fields.n, 0);
        }
        buf_clear(&message);
        buf_clear(&fields);
        arena_clear(&a);
    }
}

static enum rc try(struct lab *l, const char *selector)
{
    struct buf fields = {.max = 100000};
    enum rc rc = signer_sign_message(l->s, VIEW("From: a@ici.test\r\n" BODY), &fields);
    if (rc == RC_OK && selector)
        assert_int_not_equal(view_find(buf_view(&fields), view_str(selector)), VIEW_NONE);
    if (rc != RC_OK)
        assert_int_equal(fields.n, 0);
    buf_clear(&fields);
    return rc;
}

static void switched_keys_sign_after_a_refresh(void **state)
{
    struct lab *l = *state;

    assert_int_equal(try(l, "s=r1;"), RC_OK);
    add_keys(l, "ici.test", "r2", "e2", DKIM_KEY_NEXT);
    signer_refresh(l->s);
    assert_int_equal(try(l, "s=r1;"), RC_OK);
    assert_int_equal(directory_dkim_switch(l->f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(try(l, "s=r1;"), RC_OK); /* for SIGNER_FRESH_MS, unless told */
    l->hand.lost = VIEW("r1");                /* or unless the key has gone */
    assert_int_equal(try(l, "s=r2;"), RC_OK);
    assert_int_equal(try(l, "s=e2;"), RC_OK);
}

static void nothing_goes_out_unsigned_when_there_are_keys(void **state)
{
    struct lab *l = *state;

    l->hand.trouble = RC_TEMP;
    assert_int_equal(try(l, NULL), RC_TEMP);
    l->hand.trouble = RC_NOTFOUND;
    assert_int_equal(try(l, NULL), RC_TEMP);
    l->hand.trouble = RC_OK;
    l->hand.lost = VIEW("e1"); /* one of the two */
    assert_int_equal(try(l, NULL), RC_TEMP);
    l->hand.lost = VIEW("");
    assert_int_equal(try(l, "s=e1;"), RC_OK);
    assert_int_equal(directory_domain_remove(l->f->s, VIEW("ici.test")), RC_OK);
    l->hand.trouble = RC_NOTFOUND;
    assert_int_equal(try(l, NULL), RC_NOTFOUND); /* ours no more */
}

static void more_domains_than_are_remembered(void **state)
{
    struct lab *l = *state;
    struct buf message = {.max = 1000}, fields = {.max = 10000};

    for (int i = 0; i < 2000; i++) {
        buf_reset(&message);
        buf_reset(&fields);
        buf_printf(&message, "From: a@%d.evil.test\r\n" BODY, i);
        assert_int_equal(signer_sign_message(l->s, buf_view(&message), &fields), RC_NOTFOUND);
        if (i % 200 == 0)
            assert_int_equal(try(l, "s=r1;"), RC_OK);
    }
    buf_clear(&message);
    buf_clear(&fields);
}

static void seals_carry_the_name_asked_for(void **state)
{
    struct lab *l = *state;
    const struct view message = VIEW("From: a@evil.test\r\n" BODY);
    struct dns *dns = open_dns(l, "ici.test", "r1", "e1");
    struct dkim_body *body = dkim_body_new();
    struct arc_verdict found = {.result = ARC_NONE}, after;
    struct buf fields = {.max = 100000};
    struct arena a;
    size_t slot;

    arena_init(&a, 1 << 20);
    assert_int_equal(dkim_sign_want(body, &slot), RC_OK);
    dkim_body_add(body, header_body(message));
    assert_int_equal(dkim_body_end(body), RC_OK);
    assert_int_equal(signer_seal(l->s, VIEW("bare.test"), VIEW("mx.ici.test"), header_of(message), body, slot, VIEW("spf=pass"),
                                 &found, &fields), RC_NOTFOUND);
    assert_int_equal(signer_seal(l->s, VIEW("ici.test"), VIEW("mx.ici.test"), header_of(message), body, slot, VIEW("spf=pass"), &found,
                                 &fields), RC_OK);
    buf_add(&fields, message);
    assert_int_equal(arc_verify_message(buf_view(&fields), dns, deadline_in(1000), &a, &after), RC_OK);
    assert_int_equal(after.result, ARC_PASS);
    assert_true(view_eq(after.sets[0].seal_domain, VIEW("ici.test")));
    buf_reset(&fields);
    found = (struct arc_verdict){.result = ARC_FAIL, .last_instance = 1, .last_failed = true}; /* RFC 8617 §5.1 */
    assert_int_equal(signer_seal(l->s, VIEW("ici.test"), VIEW("mx.ici.test"), header_of(message), body, slot, VIEW("spf=pass"), &found,
                                 &fields), RC_DENIED);
    assert_int_equal(fields.n, 0);
    dkim_body_free(body);
    dns_free(dns);
    buf_clear(&fields);
    arena_clear(&a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_lab, stop_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_signed_verifies_with_both_keys), T(switched_keys_sign_after_a_refresh),
        T(nothing_goes_out_unsigned_when_there_are_keys), T(more_domains_than_are_remembered),
        T(seals_carry_the_name_asked_for),
    };
    return cmocka_run_group_tests_name("signer", tests, NULL, NULL);
}
