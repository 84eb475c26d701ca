#include "imap/fetch.h"
#include "imap/wire_test.h"
#include "message/summary.h"

static const struct {
    const char *in;
    enum rc rc;
    size_t n;
    const char *label; /* of the last item */
} grammar[] = {
    {"FLAGS", RC_OK, 1, NULL},
    {"ALL", RC_OK, 4, NULL},
    {"full", RC_OK, 5, NULL},
    {"(FLAGS UID RFC822.SIZE)", RC_OK, 3, NULL},
    {"BODY", RC_OK, 1, NULL},
    {"BODY[]", RC_OK, 1, "BODY[]"},
    {"BODY.PEEK[]<0.100>", RC_OK, 1, "BODY[]<0>"},
    {"BODY[1.2.MIME]", RC_OK, 1, "BODY[1.2.MIME]"},
    {"BODY[2.HEADER]", RC_OK, 1, "BODY[2.HEADER]"},
    {"body[header.fields (From \"To\" {2}\r\nCc)]", RC_OK, 1, "BODY[HEADER.FIELDS (From To Cc)]"},
    {"BODY[HEADER.FIELDS.NOT (\"a b\")]", RC_OK, 1, "BODY[HEADER.FIELDS.NOT (\"a b\")]"},
    {"(UID RFC822.HEADER RFC822.TEXT RFC822)", RC_OK, 4, "RFC822"},
    {"BINARY[1]", RC_OK, 1, "BINARY[1]"},
    {"BINARY.PEEK[1.2]<5.10>", RC_OK, 1, "BINARY[1.2]<5>"},
    {"BINARY.SIZE[1]", RC_OK, 1, "BINARY.SIZE[1]"},
    {"(FLAGS) (CHANGEDSINCE 5)", RC_OK, 1, NULL},
    {"FLAGS (CHANGEDSINCE 5 VANISHED)", RC_SYNTAX, 0, NULL}, /* QRESYNC's */
    {"", RC_SYNTAX, 0, NULL},
    {"()", RC_SYNTAX, 0, NULL},
    {"(FLAGS", RC_SYNTAX, 0, NULL},
    {"FLAGS UID", RC_SYNTAX, 0, NULL},
    {"(ALL)", RC_SYNTAX, 0, NULL},
    {"NONSENSE", RC_SYNTAX, 0, NULL},
    {"BODY[", RC_SYNTAX, 0, NULL},
    {"BODY[]<0.0>", RC_SYNTAX, 0, NULL},
    {"BODY[]<5>", RC_SYNTAX, 0, NULL},
    {"BODY[]<-1.5>", RC_SYNTAX, 0, NULL},
    {"BODY[]<4294967296.5>", RC_SYNTAX, 0, NULL},
    {"BODY[0]", RC_SYNTAX, 0, NULL},
    {"BODY[1.]", RC_SYNTAX, 0, NULL},
    {"BODY[1..2]", RC_SYNTAX, 0, NULL},
    {"BODY[.1]", RC_SYNTAX, 0, NULL},
    {"BODY[1TEXT]", RC_SYNTAX, 0, NULL},
    {"BODY[MIME]", RC_SYNTAX, 0, NULL},
    {"BODY[HEADER.FIELDS]", RC_SYNTAX, 0, NULL},
    {"BODY[HEADER.FIELDS ()]", RC_SYNTAX, 0, NULL},
    {"BINARY[TEXT]", RC_SYNTAX, 0, NULL},
    {"BINARY.SIZE[1]<0.5>", RC_SYNTAX, 0, NULL},
    {"BODY[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"
     ".1.1.1.1.1.1.1]", RC_LIMIT, 0, NULL},
    {"FLAGS (CHANGEDSINCE x)", RC_SYNTAX, 0, NULL},
    {"FLAGS (CHANGEDSINCE 1) x", RC_SYNTAX, 0, NULL},
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(grammar); i++) {
        struct view block = exact(view_str(grammar[i].in));
        struct arena a;
        struct fetch f;
        arena_init(&a, 1u << 20);
        enum rc rc = imap_fetch_parse(block, &a, &f);
        if (rc != grammar[i].rc)
            fail_msg("%s: %s", grammar[i].in, rc_name(rc));
        if (rc == RC_OK) {
            assert_int_equal(f.n, grammar[i].n);
            if (grammar[i].label)
                assert_view(f.items[f.n - 1].label, view_str(grammar[i].label));
        }
        arena_clear(&a);
        release(block);
    }
}

static const char letter[] = "From: a@b.test\r\n"
                             "Subject: x\r\n"
                             " y\r\n"
                             "Content-Type: multipart/mixed; boundary=b\r\n"
                             "\r\n"
                             "--b\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Transfer-Encoding: base64\r\n"
                             "\r\n"
                             "aGVsbG8=\r\n"
                             "--b\r\n"
                             "Content-Type: message/rfc822\r\n"
                             "\r\n"
                             "Subject: inner\r\n"
                             "\r\n"
                             "inside\r\n"
                             "--b--\r\n";

static const struct {
    const char *ask;
    enum rc rc;
    const char *out;
} sections[] = {
    {"BODY[1]", RC_OK, "aGVsbG8="},
    {"BODY[1]<2.3>", RC_OK, "Vsb"},
    {"BODY[1]<100.3>", RC_OK, ""},
    {"BINARY[1]", RC_OK, "hello"},
    {"BINARY[1]<1.2>", RC_OK, "el"},
    {"BODY[1.MIME]", RC_OK, "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"},
    {"BODY[2.HEADER]", RC_OK, "Subject: inner\r\n\r\n"},
    {"BODY[2.TEXT]", RC_OK, "inside"},
    {"BODY[2.1]", RC_OK, "inside"},
    {"BODY[2]", RC_OK, "Subject: inner\r\n\r\ninside"},
    {"BODY[HEADER.FIELDS (subject x)]", RC_OK, "Subject: x\r\n y\r\n\r\n"},
    {"BODY[HEADER.FIELDS (x)]", RC_OK, "\r\n"},
    {"BODY[HEADER.FIELDS.NOT (subject content-type)]", RC_OK, "From: a@b.test\r\n\r\n"},
    {"BODY[2.HEADER.FIELDS (SUBJECT)]", RC_OK, "Subject: inner\r\n\r\n"},
    {"BODY[3]", RC_NOTFOUND, NULL},
    {"BODY[1.HEADER]", RC_NOTFOUND, NULL}, /* no message within */
    {"BODY[1.1.1]", RC_NOTFOUND, NULL},
};

static void test_sections(void **state)
{
    struct arena a;
    struct summary sum;
    struct view message = exact(view_str(letter));
    struct buf scratch;

    (void)state;
    arena_init(&a, SUMMARY_ARENA_MAX);
    buf_init(&scratch, 10000);
    assert_int_equal(summary_make(message, &a, &sum), RC_OK);
    for (size_t i = 0; i < COUNT(sections); i++) {
        struct fetch f;
        struct view out;
        assert_int_equal(imap_fetch_parse(view_str(sections[i].ask), &a, &f), RC_OK);
        buf_reset(&scratch);
        enum rc rc = imap_section_get(&f.items[0], message, sum.index, &scratch, &out);
        if (rc != sections[i].rc)
            fail_msg("%s: %s", sections[i].ask, rc_name(rc));
        if (rc == RC_OK)
            assert_view(out, view_str(sections[i].out));
    }
    struct fetch whole;
    struct view out;
    assert_int_equal(imap_fetch_parse(VIEW("BODY[]"), &a, &whole), RC_OK);
    assert_int_equal(imap_section_get(&whole.items[0], message, VIEW(""), &scratch, &out), RC_OK);
    assert_view(out, message);
    assert_int_equal(imap_fetch_parse(VIEW("BODY[1]"), &a, &whole), RC_OK);
    assert_int_equal(imap_section_get(&whole.items[0], message, VIEW("rubbish"), &scratch, &out), RC_CORRUPT);
    buf_clear(&scratch);
    arena_clear(&a);
    release(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grammar), cmocka_unit_test(test_sections)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
