/* Unit tests of message/mime and message/decode: parts by section, and what they say. */
#include "base/test_util.h"

#include "message/decode.h"
#include "message/mime.h"

static const char nested[] =
    "Subject: =?koi8-r?B?8PLp?=\r\n"
    "Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    "--a\r\n\r\nfirst\r\n"
    "--a\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: inner\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n"
    "--ab\r\nContent-Type: text/plain; charset=windows-1251\r\n\r\n\xef\xf0\xe8\r\n"
    "--ab\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n"
    "--ab--\r\n"
    "--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nlast\r\n\r\n"
    "--a--\r\n";

static struct view index_of(struct view message, struct arena *a)
{
    struct mime mime;
    struct buf b;
    struct view out;
    buf_init(&b, MIME_INDEX_MAX);
    assert_int_equal(mime_parse(message, a, &mime), RC_OK);
    mime_index_write(&mime, &b);
    assert_int_equal(view_dup(a, buf_view(&b), &out), RC_OK);
    buf_clear(&b);
    return out;
}

static void sections_lead_to_their_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *section, *header, *body; /* header NULL: no such part */
    } table[] = {
        {"1", "\r\n", "first"},
        {"2", "Content-Type: message/rfc822\r\n\r\n", NULL},
        {"2.1", "Content-Type: text/plain; charset=windows-1251\r\n\r\n", "\xef\xf0\xe8"},
        {"2.2", "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n", "SGVsbG8="},
        {"3.1", "Subject: plain\r\n\r\n", "last\r\n"},
        {"4", NULL, NULL},
        {"1.1", NULL, NULL},
        {"2.3", NULL, NULL},
        {"3.2", NULL, NULL},
        {"3.1.1", NULL, NULL},
        {"2.1.1", NULL, NULL},
        {"4294967295", NULL, NULL},
    };
    struct arena a;
    unsigned n;
    arena_init(&a, 1 << 20);
    struct view m = exact(view_str(nested)), index = index_of(m, &a);
    assert_int_equal(mime_index_count(index, m.n, &n), RC_OK);
    assert_int_equal(n, 8);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct mime_index_part p;
        struct view section = exact(view_str(table[i].section));
        assert_int_equal(mime_index_find(index, section, &p), table[i].header ? RC_OK : RC_NOTFOUND);
        if (table[i].header)
            expect_text(view_slice(m, p.header_offset, p.header_len), table[i].header);
        if (table[i].body)
            expect_text(view_slice(m, p.body_offset, p.body_len), table[i].body);
        release(section);
    }
    static const char *const wrong[] = {"0", "1.", ".1", "1..1", "a", "1.a", "4294967296", "-1", "1 "};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mime_index_part p;
        assert_int_equal(mime_index_find(index, view_str(wrong[i]), &p), RC_SYNTAX);
    }
    struct mime_index_part part, inner;
    assert_int_equal(mime_index_find(index, VIEW("2"), &part), RC_OK);
    assert_int_equal(mime_index_message(index, &part, &inner), RC_OK);
    expect_text(view_slice(m, inner.header_offset, 14), "Subject: inner");
    assert_int_equal(mime_index_find(index, VIEW("1"), &part), RC_OK);
    assert_int_equal(mime_index_message(index, &part, &inner), RC_NOTFOUND);
    assert_int_equal(mime_index_find(index, VIEW(""), &part), RC_OK);
    assert_int_equal(part.kind, MIME_MULTIPART);
    arena_clear(&a);
    release(m);
}

static void a_message_that_is_one_part_has_section_1(void **state)
{
    (void)state;
    struct arena a;
    struct mime_index_part p;
    arena_init(&a, 1 << 20);
    struct view m = VIEW("Subject: x\n\nbody\n"), index = index_of(m, &a);
    assert_int_equal(mime_index_find(index, VIEW("1"), &p), RC_OK);
    expect_text(view_slice(m, p.body_offset, p.body_len), "body\n");
    assert_int_equal(mime_index_find(index, VIEW("1.1"), &p), RC_NOTFOUND);
    m = VIEW("Content-Type: message/rfc822\n\nSubject: y\n\nin\n");
    index = index_of(m, &a);
    assert_int_equal(mime_index_find(index, VIEW("1"), &p), RC_OK);
    assert_int_equal(p.kind, MIME_MESSAGE);
    assert_int_equal(mime_index_find(index, VIEW("1.1"), &p), RC_OK);
    expect_text(view_slice(m, p.body_offset, p.body_len), "in\n");
    arena_clear(&a);
}

static void a_damaged_index_is_refused(void **state)
{
    (void)state;
    struct arena a;
    unsigned n;
    arena_init(&a, 1 << 20);
    struct view m = view_str(nested), index = index_of(m, &a), copy;
    for (size_t i = 0; i < index.n; i++) {
        copy = exact(view_slice(index, 0, i));
        assert_int_equal(mime_index_count(copy, m.n, &n), RC_CORRUPT);
        release(copy);
    }
    assert_int_equal(mime_index_count(index, m.n - 1, &n), RC_CORRUPT);
    for (size_t i = 0; i < index.n;
         i++) { /* any byte may be wrong: nothing may be read outside the message */
        struct mime_index_part p;
        struct buf b;
        buf_init(&b, index.n);
        buf_add(&b, index);
        b.p[i] = (char)0xff;
        if (mime_index_count(buf_view(&b), m.n, &n) == RC_OK)
            mime_index_find(buf_view(&b), VIEW("2.2"), &p);
        buf_clear(&b);
    }
    arena_clear(&a);
}

/* Depth and number are bounded, and what is past the bounds is not lost but part of something. */
static void nesting_is_bounded(void **state)
{
    (void)state;
    struct arena a;
    struct mime mime;
    struct buf in;
    arena_init(&a, 4 << 20);
    buf_init(&in, 1 << 20);
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&in, "Content-Type: multipart/mixed; boundary=b%u-\r\n\r\n--b%u-\r\n", i, i);
    assert_int_equal(mime_parse(buf_view(&in), &a, &mime), RC_OK);
    unsigned deepest = 0, n = 0;
    for (const struct mime_part *p = mime.root; p; p = mime_next(p), n++)
        deepest = p->depth > deepest ? p->depth : deepest;
    assert_int_equal(deepest, MIME_DEPTH_MAX - 1);
    assert_int_equal(n, mime.n_parts);
    buf_reset(&in);
    buf_str(&in, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (unsigned i = 0; i < 2000; i++)
        buf_printf(&in, "--b\r\n\r\npart %u\r\n", i);
    assert_int_equal(mime_parse(buf_view(&in), &a, &mime), RC_OK);
    assert_in_range(mime.n_parts, MIME_PARTS_MAX - 1, MIME_PARTS_MAX);
    const struct mime_part *last = mime.root->last_child;
    assert_int_equal(last->body_offset + last->body_len, in.n);
    buf_clear(&in);
    arena_clear(&a);
}

static void boundaries_follow_the_rules(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        unsigned n_parts;
    } table[] = {
        {"Content-Type: multipart/mixed; boundary=\"a b\"\n\n--a b  \n\nx\n--a b--", 2},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--a--\n--a\n\nnot a part\n", 2},
        {"Content-Type: multipart/mixed; boundary=a\n\n --a\n\nx\nx--a\n", 2},
        {"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\n", 1},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; "
         "boundary=b\n\n--b\n\n1\n--a\n\n2\n--b\n",
         4},
        {"Content-Type: multipart/mixed; boundary=a\n--a\n--a\n", 2},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a", 2},
        {"Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\ny\n--a--", 3},
        {"Content-Type: multipart/digest; boundary=a\n\n--a\nContent-Type: text\n\nSubject: x\n\ny\n--a--",
         2},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view m = exact(view_str(table[i].message));
        struct arena a;
        struct mime mime;
        arena_init(&a, 1 << 20);
        assert_int_equal(mime_parse(m, &a, &mime), RC_OK);
        if (mime.n_parts != table[i].n_parts)
            fail_msg("%s: %u parts", table[i].message, mime.n_parts);
        for (const struct mime_part *p = mime.root; p; p = mime_next(p)) {
            assert_in_range(p->header_offset + p->header_len, 0, m.n);
            assert_in_range(p->body_offset + p->body_len, 0, m.n);
        }
        arena_clear(&a);
        release(m);
    }
}

static bool body_has(struct view m, struct view index, const char *text)
{
    struct decode_needle needle;
    bool found = false;
    assert_int_equal(decode_needle_init(&needle, view_str(text)), RC_OK);
    assert_int_equal(decode_body_contains(m, index, &needle, &found), RC_OK);
    decode_needle_clear(&needle);
    return found;
}

static bool header_has(struct view m, const char *text)
{
    struct decode_needle needle;
    bool found = false;
    assert_int_equal(decode_needle_init(&needle, view_str(text)), RC_OK);
    assert_int_equal(decode_header_contains(m, &needle, &found), RC_OK);
    decode_needle_clear(&needle);
    return found;
}

static bool named_has(struct view m, const char *name, const char *text)
{
    struct decode_needle needle;
    bool found = false;
    assert_int_equal(decode_needle_init(&needle, view_str(text)), RC_OK);
    assert_int_equal(decode_named_contains(m, view_str(name), &needle, &found), RC_OK);
    decode_needle_clear(&needle);
    return found;
}

static void searches_look_behind_encodings(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct view m = exact(view_str(nested)), index = index_of(m, &a);
    assert_true(body_has(m, index, "FIRST"));
    assert_true(body_has(m, index, "hello"));
    assert_true(body_has(m, index, "\xd0\x9f\xd0\xa0\xd0\xb8"));
    assert_true(body_has(m, index, "subject: INNER"));
    assert_true(body_has(m, index, ""));
    assert_false(body_has(m, index, "SGVsbG8"));
    assert_false(body_has(m, index, "firsst"));
    assert_true(header_has(m, "\xd0\xbf\xd1\x80\xd0\xb8"));
    assert_false(header_has(m, "inner"));
    assert_true(named_has(m, "SUBJECT", "\xd0\xbf\xd1\x80\xd0\xb8"));
    assert_true(named_has(m, "subject", ""));
    assert_false(named_has(m, "from", ""));
    assert_false(named_has(m, "content-type", "koi8"));
    arena_clear(&a);
    release(m);
    struct decode_needle needle;
    assert_int_equal(decode_needle_init(&needle, VIEW("\xff")), RC_SYNTAX);
    decode_needle_clear(&needle);
}

static void case_is_folded_in_every_alphabet(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"AbZ[", "abz["},
        {"\xc3\x89\xc3\x97", "\xc3\xa9\xc3\x97"},
        {"\xc5\xb8\xc4\xb9", "\xc3\xbf\xc4\xba"},
        {"\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83"},
        {"\xd0\x81\xd0\xaf", "\xd1\x91\xd1\x8f"},
        {"\xc5\xbf", "s"},
        {"\xff", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i][0]));
        struct buf out;
        buf_init(&out, 100);
        decode_fold(v, &out);
        expect_text(buf_view(&out), table[i][1]);
        buf_clear(&out);
        release(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_lead_to_their_bytes),
        cmocka_unit_test(a_message_that_is_one_part_has_section_1),
        cmocka_unit_test(a_damaged_index_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(boundaries_follow_the_rules),
        cmocka_unit_test(searches_look_behind_encodings),
        cmocka_unit_test(case_is_folded_in_every_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
