/* Unit tests of message/summary: what IMAP shows of a message (RFC 3501 §7.4.2). */
#include "base/test_util.h"

#include "message/summary.h"

static const struct {
    const char *message, *envelope, *structure, *body;
} messages[] = {
    {"From: A <a@x.test>\r\nTo: b@y.test\r\nSubject: hi\r\nDate: Tue, 1 Jul 2003 10:52:37 +0200\r\n"
     "Message-ID: <1@x.test>\r\n\r\nHello\r\nthere\r\n",
     "(\"Tue, 1 Jul 2003 10:52:37 +0200\" \"hi\" ((\"A\" NIL \"a\" \"x.test\")) ((\"A\" NIL \"a\" "
     "\"x.test\")) "
     "((\"A\" NIL \"a\" \"x.test\")) ((NIL NIL \"b\" \"y.test\")) NIL NIL NIL \"<1@x.test>\")",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 14 2 NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 14 2)"},
    {"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)"},
    {"Subject:\r\nTo: u:;\r\nFrom: \"q\\\"\" <\xc3\xa9@x>\r\nSender:\r\n\r\n",
     "(NIL \"\" ((\"q\\\"\" NIL {2}\r\n\xc3\xa9 \"x\")) ((\"q\\\"\" NIL {2}\r\n\xc3\xa9 \"x\")) "
     "((\"q\\\"\" NIL {2}\r\n\xc3\xa9 \"x\")) ((NIL NIL \"u\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)"},
    {"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n"
     "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
     "Content-Language: en, fr\r\n\r\n<p>\r\n--b\r\n"
     "Content-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: BASE64\r\n"
     "Content-Disposition: attachment; filename=\"x.png\"\r\nContent-ID: <c1>\r\nContent-MD5: abc==\r\n"
     "Content-Description: a picture\r\nContent-Location: http://x/\r\n\r\nAAAA\r\n\r\n--b--\r\nepilogue\r\n",
     "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
     "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 3 0 NIL NIL (\"en\" \"fr\") "
     "NIL)"
     "(\"image\" \"png\" (\"name\" \"x.png\") \"<c1>\" \"a picture\" \"BASE64\" 6 \"abc==\" "
     "(\"attachment\" (\"filename\" \"x.png\")) NIL \"http://x/\") \"mixed\" (\"boundary\" \"b\") NIL NIL "
     "NIL)",
     "((\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 3 0)"
     "(\"image\" \"png\" (\"name\" \"x.png\") \"<c1>\" \"a picture\" \"BASE64\" 6) \"mixed\")"},
    {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n",
     "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL "
     "NIL)",
     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 3)"},
    {"Content-Type: multipart/mixed; boundary=b\n\nno part begins\n",
     "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
     "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\" "
     "(\"boundary\" \"b\") NIL NIL NIL)",
     "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")"},
    {"Content-Type: multipart/mixed\n\nno boundary\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 1 NIL NIL NIL NIL)",
     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 1)"},
};

static void structures_follow_the_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct view v = exact(view_str(messages[i].message));
        struct arena a;
        struct summary s;
        struct buf body;
        arena_init(&a, SUMMARY_ARENA_MAX);
        buf_init(&body, SUMMARY_STRUCTURE_MAX);
        assert_int_equal(summary_make(v, &a, &s), RC_OK);
        expect_text(s.envelope, messages[i].envelope);
        expect_text(s.bodystructure, messages[i].structure);
        struct view stored = exact(s.bodystructure);
        assert_int_equal(summary_body_from_structure(stored, &body), RC_OK);
        expect_text(buf_view(&body), messages[i].body);
        for (size_t n = 0; n < stored.n; n++) { /* cut anywhere, it is damaged */
            struct view cut = exact(view_slice(stored, 0, n));
            buf_reset(&body);
            assert_int_equal(summary_body_from_structure(cut, &body), RC_CORRUPT);
            release(cut);
        }
        release(stored);
        buf_clear(&body);
        arena_clear(&a);
        release(v);
    }
}

static void base_subjects_lose_their_marks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        bool is_reply;
    } table[] = {
        {"Re: hello", "hello", true},
        {"  RE :  [list] Re[2]: hello  (fwd) (FWD)", "hello", true},
        {"[list] hello", "hello", false},
        {"[only]", "[only]", false},
        {"[Fwd: Re: inner]", "inner", true},
        {"[fwd: [fwd: x]]", "x", true},
        {"Fw: [a] [b] FWD: y", "y", true},
        {"=?utf-8?Q?Re=3A_=C3=A9?=", "\xc3\xa9", true},
        {"regards: x", "regards: x", false},
        {"a  \r\n\t b", "a b", false},
        {"Re:", "", true},
        {"[unclosed hello", "[unclosed hello", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i].text));
        struct buf out;
        buf_init(&out, SUMMARY_SUBJECT_MAX);
        assert_int_equal(summary_subject_base(v, &out), table[i].is_reply);
        expect_text(buf_view(&out), table[i].want);
        buf_clear(&out);
        release(v);
    }
}

static void threads_are_tied_by_ids(void **state)
{
    (void)state;
    struct arena a;
    struct summary s;
    arena_init(&a, SUMMARY_ARENA_MAX);
    assert_int_equal(
        summary_make(VIEW("References: <1@x> junk <2@x>\n <3@x> <broken\nIn-Reply-To: <9@x>\n"
                          "Message-Id: (c) <m@x>\nDate: Tue, 1 Jul 2003 10:52:37 +0200\nSubject: Re: s\n\n"),
                     &a, &s),
        RC_OK);
    assert_int_equal(s.n_references, 3);
    expect_text(s.references[2], "3@x");
    expect_text(s.message_id, "m@x");
    expect_text(s.subject_base, "s");
    assert_true(s.is_reply && s.has_sent);
    assert_int_equal(s.sent_utc, 1057049557);
    assert_int_equal(s.sent_zone_minutes, 120);
    assert_int_equal(summary_make(VIEW("In-Reply-To: A's mail <9@x> <8@x>\n\n"), &a, &s), RC_OK);
    assert_int_equal(s.n_references, 1);
    expect_text(s.references[0], "9@x");
    struct buf many;
    buf_init(&many, 1 << 20);
    buf_str(&many, "References:");
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&many, " <%u@x>", i);
    assert_int_equal(summary_make(buf_view(&many), &a, &s), RC_OK);
    assert_int_equal(s.n_references, SUMMARY_REFERENCES_MAX);
    expect_text(s.references[0], "0@x");
    expect_text(s.references[1], "901@x");
    expect_text(s.references[99], "999@x");
    buf_clear(&many);
    arena_clear(&a);
}

/* Each piece is repeated to megabytes; whatever it is, the summary stays within its limits. */
static void hostile_messages_stay_small(void **state)
{
    (void)state;
    static const struct {
        const char *head, *piece;
    } table[] = {
        {"", "To: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,\n"},
        {"To:", " a,"},
        {"From: \"", "\\\""},
        {"Content-Type: multipart/mixed; boundary=b\n\n", "--b\n"},
        {"Content-Type: multipart/mixed; boundary=b\n\n",
         "--b\nContent-Type: multipart/mixed; boundary=b\n\n"},
        {"Content-Type: multipart/digest; boundary=b\n\n",
         "--b\n\nDate: \"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\nSubject: "
         "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\n"
         "Message-ID: \"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\nIn-Reply-To: "
         "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\n"
         "Content-Type: cccccccccccccccccccccccccccccccccc/ccccccccccccccccccccccccccccccccccccccccccc\n\n"},
        {"Content-Type: multipart/digest; boundary=b\n\n",
         "--b\n\nTo: a,a,a,a,a,a,a,a,a,a,a,a,a,a\nSubject: \"\"\"\"\"\"\n\n"},
        {"", "Content-Type: message/rfc822\n\n"},
        {"Content-Type: text/plain", "; a=\"\"\"\""},
        {"Content-Type: text/plain; a=", "a "},
        {"Content-Type: text/plain;", " ("},
        {"Content-Type: multipart/mixed; boundary=-\n\n", "---------------------\n"},
        {"Subject:", " =?a?q?"},
        {"Subject:", " [a"},
        {"References:", " <a"},
        {"Date:", " 1 ("},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf in;
        struct arena a;
        struct summary s;
        unsigned n;
        buf_init(&in, 4 << 20);
        buf_str(&in, table[i].head);
        while (in.n < 3 << 20)
            buf_str(&in, table[i].piece);
        arena_init(&a, SUMMARY_ARENA_MAX);
        assert_int_equal(summary_make(buf_view(&in), &a, &s), RC_OK);
        assert_in_range(s.envelope.n, 2, SUMMARY_ENVELOPE_MAX);
        assert_in_range(s.bodystructure.n, 2, SUMMARY_STRUCTURE_MAX);
        assert_int_equal(mime_index_count(s.index, in.n, &n), RC_OK);
        arena_clear(&a);
        buf_clear(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures_follow_the_grammar),
        cmocka_unit_test(base_subjects_lose_their_marks),
        cmocka_unit_test(threads_are_tied_by_ids),
        cmocka_unit_test(hostile_messages_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
