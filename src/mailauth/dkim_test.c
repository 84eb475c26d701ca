/* DKIM's rules one by one; the published samples and other implementations run in test/test_mailauth.py. */
#include "mailauth/dkim.h"

#include "base/base64.h"
#include "base/test_util.h"
#include "mailauth/dkim_sign.h"
#include "mailauth/dkim_signature.h"

#define NOW 1700000000

static struct {
    struct pkey *rsa, *ed25519;
    struct buf zone; /* script of answers */
} world;

static void add_key(const char *name, const struct pkey *k, const char *tags)
{
    struct buf bytes, text;
    buf_init(&bytes, 4096);
    buf_init(&text, 4096);
    assert_int_equal(pkey_public_write(k, &bytes), RC_OK);
    base64_encode(buf_view(&bytes), &text);
    buf_printf(&world.zone, "%s._domainkey.ici.test TXT \"%s\" \"p=%.*s\"", name, tags, VIEW_FMT(view_slice(buf_view(&text), 0, 200)));
    buf_printf(&world.zone, " \"%.*s\"\n", VIEW_FMT(view_from(buf_view(&text), 200)));
    buf_clear(&bytes);
    buf_clear(&text);
}

static int set_up(void **state)
{
    (void)state;
    buf_init(&world.zone, 1u << 20);
    assert_int_equal(pkey_generate(PKEY_RSA, 1024, &world.rsa), RC_OK);
    assert_int_equal(pkey_generate(PKEY_ED25519, 0, &world.ed25519), RC_OK);
    add_key("r", world.rsa, "v=DKIM1; ");
    add_key("e", world.ed25519, "v=DKIM1; k=ed25519;");
    add_key("bare", world.rsa, "");
    add_key("test", world.rsa, "v=DKIM1; t=y:s:other; n=a note; x1=what; ");
    add_key("sha1", world.rsa, "h=sha1;");
    add_key("both", world.rsa, "h=sha1 : sha256; s=other : email;");
    add_key("web", world.rsa, "s=tlsrpt;");
    add_key("dkim2", world.rsa, "v=DKIM2; ");
    add_key("late", world.rsa, "k=rsa; v=DKIM1; ");
    add_key("dsa", world.rsa, "v=DKIM1; k=dsa; ");
    add_key("twice", world.rsa, "v=DKIM1; k=rsa; k=rsa; ");
    add_key("wrong", world.ed25519, "v=DKIM1; k=rsa; ");
    add_key("several", world.rsa, "v=DKIM1; ");
    buf_str(&world.zone, "several._domainkey.ici.test TXT \"v=spf1 -all\"\n"
                         "revoked._domainkey.ici.test TXT \"v=DKIM1; p=\"\n"
                         "no-p._domainkey.ici.test TXT \"v=DKIM1; k=rsa\"\n"
                         "junk._domainkey.ici.test TXT \"v=DKIM1; p=!!!!\"\n"
                         "der._domainkey.ici.test TXT \"v=DKIM1; p=MIGfMA0GCSqG\"\n"
                         "short._domainkey.ici.test TXT \"v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX"
                         "/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ==\"\n"
                         "temp._domainkey.ici.test TXT !temp\nbogus._domainkey.ici.test TXT !bogus\n");
    buf_chr(&world.zone, 0);
    return world.zone.fail;
}

static int tear_down(void **state)
{
    (void)state;
    pkey_free(world.rsa);
    pkey_free(world.ed25519);
    buf_clear(&world.zone);
    return 0;
}

static void verify(struct view message, int64_t now_s, struct arena *a, struct dkim_list *out)
{
    struct view copy = exact(message);
    struct dns *dns;
    assert_int_equal(dns_new_scripted(world.zone.p, &dns), RC_OK);
    assert_int_equal(dkim_verify_message(copy, dns, now_s, NO_DEADLINE, a, out), RC_OK);
    release(copy);
    dns_free(dns);
}

static void hash_body(enum dkim_canon canon, struct view body, uint64_t length, uint8_t out[SHA256_SIZE])
{
    struct dkim_body *b = dkim_body_new();
    size_t slot;
    assert_int_equal(dkim_body_want(b, canon, length, &slot), RC_OK);
    dkim_body_add(b, body);
    assert_int_equal(dkim_body_end(b), RC_OK);
    if (!dkim_body_hash(b, slot, out)) /* a liar's l= */
        memset(out, 0, SHA256_SIZE);
    dkim_body_free(b);
}

/* A message with a signature of these tags, which are anything; what is needed to verify is right where that can be. */
static void forge(const char *tags, const char *message, struct buf *out)
{
    uint8_t hash[SHA256_SIZE], digest[SHA256_SIZE];
    struct view rest = view_str(message), signature;
    struct dkim_signature s;
    struct dkim_fields f;
    struct buf field, text, raw;
    struct arena a;

    arena_init(&a, 1u << 20);
    buf_init(&field, 1u << 16);
    buf_init(&text, 1u << 20);
    buf_init(&raw, 4096);
    buf_printf(&field, "DKIM-Signature: %s; b=AAAA\r\n\r\n", tags);
    assert_int_equal(dkim_fields_new(buf_view(&field), &a, &f), RC_OK);
    assert_int_equal(dkim_signature_read(DKIM_SIGNATURE, &f, 0, &a, &s), RC_OK);
    const bool is_relaxed = strstr(tags, "/relaxed") != NULL;
    struct view l = view_str(strstr(tags, " l="));
    uint64_t length = DKIM_WHOLE;
    view_itake(&l, VIEW(" l="));
    view_u64(&l, DKIM_WHOLE - 1, &length);
    hash_body(is_relaxed ? DKIM_RELAXED : DKIM_SIMPLE, header_body(rest), length, hash);
    buf_reset(&field);
    buf_printf(&field, "DKIM-Signature: %s; bh=", tags);
    base64_encode(view_of(hash, sizeof hash), &field);
    buf_str(&field, "; b=");
    buf_add(&text, buf_view(&field));
    buf_printf(&text, "AAAA\r\n%s", message);
    assert_int_equal(dkim_fields_new(buf_view(&text), &a, &f), RC_OK);
    assert_int_equal(dkim_signature_read(DKIM_SIGNATURE, &f, 0, &a, &s), RC_OK);
    buf_add(out, buf_view(&field));
    signature = VIEW("AAAA");
    if (s.b_n > 0) {
        assert_int_equal(dkim_signature_digest(&s, &f, digest), RC_OK);
        const struct pkey *k = s.algorithm == DKIM_ED25519_SHA256 ? world.ed25519 : world.rsa;
        assert_int_equal(pkey_sign(k, view_of(digest, sizeof digest), &raw), RC_OK);
        signature = buf_view(&raw);
    }
    base64_encode(signature, out);
    buf_printf(out, "\r\n%s", message);
    assert_int_equal(buf_rc(out), RC_OK);
    buf_clear(&field);
    buf_clear(&text);
    buf_clear(&raw);
    arena_clear(&a);
}

static const char simple_message[] = "From: a@ici.test\r\nTo: b@ici.test\r\nSubject:  s \r\n\r\nHello  there \r\n\r\n\r\n";

static void test_signatures(void **state)
{
    static const struct {
        const char *tags;
        enum dkim_result result;
    } cases[] = {
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from", DKIM_PASS},
        {"v=1; a=ed25519-sha256; d=ici.test; s=e; h=from", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=From:To:Subject; c=relaxed/relaxed", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=From:To:Subject; c=simple/relaxed", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from:subject; c=relaxed", DKIM_PASS},
        {" v = 1 ;\r\n\ta=rsa-sha256;d=ICI.Test;s=R ; h = from :\r\n to;", DKIM_NEUTRAL}, /* ";;" before bh */
        {" v = 1 ;\r\n\ta=rsa-sha256;d=ICI.Test;s=R ; h = from :\r\n to", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; q=http:dns/txt; z=From:x|To:y; extra=1", DKIM_PASS},
        /* the field itself (RFC 6376 §6.1.1) */
        {"a=rsa-sha256; d=ici.test; s=r; h=from", DKIM_NEUTRAL},
        {"v=2; a=rsa-sha256; d=ici.test; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; d=ici.test; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=RSA-SHA256; d=ici.test; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha512; d=ici.test; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha1; d=ici.test; s=r; h=from", DKIM_FAIL}, /* RFC 8301 §3.1 */
        {"v=1; a=rsa-sha256; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici..test; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=[192.0.2.1]; s=r; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=to:subject", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; h=from", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; d=la.test", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; =; ", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; c=", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; c=nofws", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; c=relaxed/simple/simple", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; q=http", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; t=soon", DKIM_NEUTRAL},
        /* time */
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; t=1600000000; x=1800000000", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; t=1600000000; x=1600000001", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; t=1800000000; x=1700000001", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; x=9999999999999", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; x=-1", DKIM_NEUTRAL},
        /* identity */
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; i=a@ici.test", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; i=a=20b@Sub.ici.test", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; i=a@notici.test", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; i=a@test", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; i=nobody", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=test; h=from; i=@ici.test", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=test; h=from; i=@sub.ici.test", DKIM_PERMERROR},
        /* length */
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=0", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=5", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=15", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=16", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=99999999999999999999999999", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=", DKIM_NEUTRAL},
        {"v=1; a=rsa-sha256; d=ici.test; s=r; h=from; l=-5", DKIM_NEUTRAL},
        /* keys (§6.1.2) */
        {"v=1; a=rsa-sha256; d=ici.test; s=bare; h=from", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=test; h=from", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=both; h=from", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=several; h=from", DKIM_PASS},
        {"v=1; a=rsa-sha256; d=ici.test; s=sha1; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=web; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=dkim2; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=late; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=dsa; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=twice; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=wrong; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=e; h=from", DKIM_PERMERROR},
        {"v=1; a=ed25519-sha256; d=ici.test; s=r; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=revoked; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=no-p; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=junk; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=der; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=short; h=from", DKIM_PERMERROR}, /* 512 bits */
        {"v=1; a=rsa-sha256; d=ici.test; s=none; h=from", DKIM_PERMERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=temp; h=from", DKIM_TEMPERROR},
        {"v=1; a=rsa-sha256; d=ici.test; s=bogus; h=from", DKIM_TEMPERROR},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dkim_list list;
        struct arena a;
        struct buf text;
        arena_init(&a, 1u << 22);
        buf_init(&text, 1u << 20);
        forge(cases[i].tags, simple_message, &text);
        verify(buf_view(&text), NOW, &a, &list);
        if (list.n != 1 || list.verdicts[0].result != cases[i].result)
            fail_msg("%s: %s (%s)", cases[i].tags, list.n ? dkim_result_name(list.verdicts[0].result) : "nothing",
                     list.n ? list.verdicts[0].reason : "");
        assert_int_equal(list.verdicts[0].reason[0] == 0, list.verdicts[0].result == DKIM_PASS);
        buf_clear(&text);
        arena_clear(&a);
    }
}

/* What a pass tells: enough that policy does not believe more than was signed. */
static void test_verdict_words(void **state)
{
    struct dkim_list list;
    struct arena a;
    struct buf text;
    (void)state;
    arena_init(&a, 1u << 22);
    buf_init(&text, 1u << 20);
    forge("v=1; a=rsa-sha256; d=Ici.Test; s=test; h=from; l=5; t=1600000000; x=1800000000; i=\"a=0D=0Ab\"@ici.test", simple_message, &text);
    verify(buf_view(&text), NOW, &a, &list);
    const struct dkim_verdict *v = &list.verdicts[0];
    assert_int_equal(v->result, DKIM_PASS);
    assert_true(v->is_partial && v->length == 5 && v->is_testing && v->is_strict && !v->is_expired);
    assert_true(view_eq(v->domain, VIEW("ici.test")) && view_eq(v->selector, VIEW("test")));
    assert_true(view_eq(v->identity, VIEW("\"a??b\"@ici.test"))); /* no line ends from outside */
    assert_true(v->bits == 1024 && v->signature.n == 8 && v->signed_at_s == 1600000000 && v->expires_s == 1800000000);
    buf_clear(&text);
    arena_clear(&a);
}

static void expect_result(struct view message, enum dkim_result result)
{
    struct dkim_list list;
    struct arena a;
    arena_init(&a, 1u << 24);
    verify(message, NOW, &a, &list);
    assert_true(list.n > 0);
    assert_int_equal(list.verdicts[0].result, result);
    arena_clear(&a);
}

/* RFC 6376 §5.4.2, §8.15: fields are taken from the bottom, and a name listed once more than it occurs forbids more. */
static void test_header_choice(void **state)
{
    struct buf text, changed;
    (void)state;
    buf_init(&text, 1u << 20);
    buf_init(&changed, 1u << 20);
    forge("v=1; a=rsa-sha256; d=ici.test; s=r; h=from:subject; c=relaxed/relaxed", simple_message, &text);
    buf_str(&changed, "From: liar@ici.test\r\n");
    buf_add(&changed, buf_view(&text));
    expect_result(buf_view(&changed), DKIM_PASS); /* the one that was signed is still the lowest: DMARC sees two */
    buf_reset(&text);
    buf_reset(&changed);
    forge("v=1; a=rsa-sha256; d=ici.test; s=r; h=from:from:subject:x-none:DKIM-Signature; c=relaxed/relaxed", simple_message, &text);
    expect_result(buf_view(&text), DKIM_PASS); /* its own field is not one of those in h= */
    buf_str(&changed, "From : liar@ici.test\r\n");
    buf_add(&changed, buf_view(&text));
    expect_result(buf_view(&changed), DKIM_FAIL);
    buf_reset(&changed);
    buf_str(&changed, "X-None: now there is one\r\n");
    buf_add(&changed, buf_view(&text));
    expect_result(buf_view(&changed), DKIM_FAIL);
    buf_clear(&text);
    buf_clear(&changed);
}

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    assert_ptr_equal(ctx, &world);
    assert_true(view_eq(domain, VIEW("ici.test")) && selector.n == 1);
    return pkey_sign(algorithm == DKIM_RSA_SHA256 ? world.rsa : world.ed25519, digest, signature);
}
static enum rc sign_nothing(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                            struct buf *signature)
{
    (void)ctx, (void)domain, (void)selector, (void)digest, (void)signature;
    return algorithm == DKIM_RSA_SHA256 ? RC_OK : RC_TEMP;
}

static const struct dkim_signing_key both_keys[] = {{VIEW_INIT("r"), DKIM_RSA_SHA256}, {VIEW_INIT("e"), DKIM_ED25519_SHA256}};

static void test_signing(void **state)
{
    static const char *const messages[] = {
        simple_message,
        "From: a@ici.test\r\n\r\n",
        "From: a@ici.test\r\n",
        "From:a@ici.test\nFrom: b@ici.test\nReceived: x\nList-Id: <l>\nContent-Type: text/plain;\n\tcharset=utf-8\n\nbody \t \nx",
    };
    struct dkim_sign_settings set = {VIEW("ici.test"), both_keys, 2, NOW, 0};
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct dkim_list list;
        struct arena a;
        struct buf text;
        arena_init(&a, 1u << 22);
        buf_init(&text, 1u << 20);
        set.lifetime_s = (int64_t)i * 1000;
        assert_int_equal(dkim_sign_message(&set, view_str(messages[i]), sign, &world, &text), RC_OK);
        struct view in = buf_view(&text), line;
        while (header_line(&in, &line))
            assert_true(line.n <= 78 && view_ends(line, VIEW("\r\n")));
        buf_str(&text, messages[i]);
        verify(buf_view(&text), NOW, &a, &list);
        assert_int_equal(list.n, 2);
        assert_int_equal(list.verdicts[0].result, DKIM_PASS);
        assert_int_equal(list.verdicts[1].result, DKIM_PASS);
        assert_int_equal(list.verdicts[1].algorithm, DKIM_ED25519_SHA256);
        assert_int_equal(list.verdicts[0].expires_s, i ? NOW + (int64_t)i * 1000 : 0);
        buf_clear(&text);
        arena_clear(&a);
    }
}

static void test_signing_refused(void **state)
{
    struct dkim_sign_settings set = {VIEW("ici.test"), both_keys, 2, NOW, 0};
    struct buf out;
    (void)state;
    buf_init(&out, 1u << 20);
    assert_int_equal(dkim_sign_message(&set, VIEW("To: a@ici.test\r\n\r\nx"), sign, &world, &out), RC_SYNTAX);
    assert_int_equal(dkim_sign_message(&set, view_str(simple_message), sign_nothing, NULL, &out), RC_TEMP);
    set.keys = &both_keys[1], set.n_keys = 1;
    assert_int_equal(dkim_sign_message(&set, view_str(simple_message), sign_nothing, NULL, &out), RC_TEMP);
    set.domain = VIEW("ici.test; h=");
    assert_int_equal(dkim_sign_message(&set, view_str(simple_message), sign, &world, &out), RC_SYNTAX);
    set.domain = VIEW("ici.test\r\nX: y");
    assert_int_equal(dkim_sign_message(&set, view_str(simple_message), sign, &world, &out), RC_SYNTAX);
    assert_int_equal(out.n, 0);
    buf_clear(&out);
}

/* Fed whole, byte by byte, and cut after every byte: one hash. */
static void test_body_in_pieces(void **state)
{
    static const struct {
        const char *body, *simple, *relaxed; /* canonical forms (RFC 6376 §3.4.3, §3.4.4) */
    } cases[] = {
        {"", "\r\n", ""},
        {"\r\n\r\n\n", "\r\n", ""},
        {" \t\r\n", " \t\r\n", ""},
        {"a", "a\r\n", "a\r\n"},
        {"a\n", "a\r\n", "a\r\n"},
        {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, /* §3.4.5 */
        {"a\r\n\r\n \r\nb", "a\r\n\r\n \r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
        {"a\rb\r", "a\rb\r\r\n", "a\rb\r\r\n"},
        {"\r\r\n\r", "\r\r\n\r\r\n", "\r\r\n\r\r\n"},
        {"a\r \r\n\r\n", "a\r \r\n", "a\r\r\n"},
        {"a  ", "a  \r\n", "a \r\n"},
        {"a\r\n  ", "a\r\n  \r\n", "a\r\n \r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t cut = 0; cut <= strlen(cases[i].body) + 1; cut++)
            for (int canon = DKIM_SIMPLE; canon <= DKIM_RELAXED; canon++) {
                struct view body = view_str(cases[i].body), want = view_str(canon == DKIM_SIMPLE ? cases[i].simple : cases[i].relaxed);
                uint8_t got[SHA256_SIZE], wanted[SHA256_SIZE], part[SHA256_SIZE];
                struct dkim_body *b = dkim_body_new();
                size_t slot, half, beyond;
                assert_int_equal(dkim_body_want(b, (enum dkim_canon)canon, DKIM_WHOLE, &slot), RC_OK);
                assert_int_equal(dkim_body_want(b, (enum dkim_canon)canon, want.n / 2, &half), RC_OK);
                assert_int_equal(dkim_body_want(b, (enum dkim_canon)canon, want.n + 1, &beyond), RC_OK);
                if (cut > body.n) {
                    for (size_t k = 0; k < body.n; k++)
                        dkim_body_add(b, view_slice(body, k, 1));
                } else {
                    dkim_body_add(b, view_slice(body, 0, cut));
                    dkim_body_add(b, view_from(body, cut));
                }
                assert_int_equal(dkim_body_end(b), RC_OK);
                sha256(want, wanted);
                assert_true(dkim_body_hash(b, slot, got));
                assert_memory_equal(got, wanted, sizeof got);
                assert_int_equal(dkim_body_length(b, slot), want.n);
                sha256(view_slice(want, 0, want.n / 2), part);
                assert_true(dkim_body_hash(b, half, got));
                assert_memory_equal(got, part, sizeof got);
                assert_false(dkim_body_hash(b, beyond, got));
                dkim_body_free(b);
            }
}

static void add_many(struct buf *out, const char *text, size_t n)
{
    while (n-- > 0)
        buf_str(out, text);
}

/* What a stranger can send to make us work: each is bounded, and answered. */
static void test_bombs(void **state)
{
    struct buf text, tags;
    struct dkim_list list;
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 26);
    buf_init(&text, 8u << 20);
    buf_init(&tags, 1u << 20);
    add_many(&text, "DKIM-Signature: v=1; a=rsa-sha256; d=ici.test; s=r; h=from; bh=AAAA; b=AAAA\r\n", 1000);
    buf_str(&text, simple_message);
    verify(buf_view(&text), NOW, &a, &list);
    assert_int_equal(list.n, DKIM_SIGNATURES_MAX);
    assert_int_equal(list.n_skipped, 1000 - DKIM_SIGNATURES_MAX);

    buf_reset(&text); /* 10,000 fields under a signature that lists thousands of names */
    buf_str(&tags, "v=1; a=rsa-sha256; d=ici.test; s=r; h=from");
    add_many(&tags, ":X", 6000);
    buf_str(&text, "DKIM-Signature: ");
    buf_add(&text, buf_view(&tags));
    buf_str(&text, "; bh=AAAA; b=AAAA\r\n");
    add_many(&text, "X: y\r\n", HEADER_FIELDS_MAX - 4);
    buf_str(&text, simple_message);
    arena_reset(&a);
    verify(buf_view(&text), NOW, &a, &list);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.verdicts[0].result, DKIM_FAIL);

    buf_reset(&text); /* 10,000 fields of no meaning beside the others do not hide a signature */
    add_many(&text, "X: y\r\n", 10000);
    forge("v=1; a=rsa-sha256; d=ici.test; s=r; h=from", simple_message, &text);
    arena_reset(&a);
    verify(buf_view(&text), NOW, &a, &list);
    assert_true(list.n == 1 && list.n_skipped == 0 && list.verdicts[0].result == DKIM_PASS);

    buf_reset(&text); /* more fields than are looked at: nothing is believed */
    add_many(&text, "X: y\r\n", HEADER_FIELDS_MAX);
    forge("v=1; a=rsa-sha256; d=ici.test; s=r; h=from", simple_message, &text);
    arena_reset(&a);
    verify(buf_view(&text), NOW, &a, &list);
    assert_true(list.n == 0 && list.n_skipped == 1);

    buf_reset(&text); /* b= without end, and more tags than are read */
    buf_str(&text, "DKIM-Signature: v=1; a=rsa-sha256; d=ici.test; s=r; h=from; bh=AAAA; b=");
    add_many(&text, "AAAA\r\n ", 100000);
    buf_str(&text, "\r\nDKIM-Signature: ");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "t%d=x; ", i);
    buf_printf(&text, "\r\n%s", simple_message);
    arena_reset(&a);
    verify(buf_view(&text), NOW, &a, &list);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.verdicts[0].result, DKIM_NEUTRAL);
    assert_int_equal(list.verdicts[1].result, DKIM_NEUTRAL);
    buf_clear(&text);
    buf_clear(&tags);
    arena_clear(&a);
}

static void test_no_signature(void **state)
{
    struct dkim_list list;
    struct arena a;
    (void)state;
    arena_init(&a, 1u << 20);
    verify(VIEW(""), NOW, &a, &list);
    assert_int_equal(list.n, 0);
    verify(view_str(simple_message), NOW, &a, &list);
    assert_int_equal(list.n, 0);
    arena_clear(&a);
}

static void test_records(void **state)
{
    struct buf bytes, zone;
    (void)state;
    buf_init(&bytes, 4096);
    buf_init(&zone, 4096);
    assert_int_equal(pkey_public_write(world.rsa, &bytes), RC_OK);
    dkim_key_write_zone(PKEY_RSA, buf_view(&bytes), &zone);
    assert_true(view_starts(buf_view(&zone), VIEW("\"v=DKIM1; k=rsa; p=MIGf")));
    buf_reset(&bytes);
    buf_reset(&zone);
    assert_int_equal(pkey_private_write(world.rsa, &bytes), RC_OK);
    struct pkey *again;
    assert_int_equal(pkey_private(buf_view(&bytes), &again), RC_OK);
    assert_int_equal(pkey_bits(again), 1024);
    pkey_free(again);
    assert_int_equal(pkey_private(VIEW("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), &again), RC_SYNTAX);
    buf_wipe(&bytes);
    buf_clear(&bytes);
    buf_clear(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),     cmocka_unit_test(test_verdict_words), cmocka_unit_test(test_header_choice),
        cmocka_unit_test(test_signing),        cmocka_unit_test(test_signing_refused), cmocka_unit_test(test_body_in_pieces),
        cmocka_unit_test(test_bombs),          cmocka_unit_test(test_no_signature),  cmocka_unit_test(test_records),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
