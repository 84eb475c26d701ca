/* Unit tests of message/content, message/charset and message/encoded: what texts say once decoded. */
#include "base/test_util.h"

#include "message/charset.h"
#include "message/content.h"
#include "message/encoded.h"

static void types_are_read_as_they_are_met(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* type/subtype and then " name=value" each */
    } table[] = {
        {"text/plain; charset=us-ascii", "text/plain charset=us-ascii"},
        {"image/ jpeg", "image/jpeg"},
        {" text/plain; charset =us-ascii (Plain text)", "text/plain charset=us-ascii"},
        {"application/pgp-signature; x-mac-type=70674453;\n    name=PGP.sig",
         "application/pgp-signature x-mac-type=70674453 name=PGP.sig"},
        {"multipart/mixed; boundary=gc0pJq0M:08jU534c0p", "multipart/mixed boundary=gc0pJq0M:08jU534c0p"},
        {"multipart/mixed;\n     boundary=\"---- main boundary ----\"",
         "multipart/mixed boundary=---- main boundary ----"},
        {"message/external-body;\n    access-type=mail-server\n     server=\"listserv@bogus.bitnet\"",
         "message/external-body access-type=mail-server server=listserv@bogus.bitnet"},
        {"a/b; name=two words.txt ; x=y", "a/b name=two words.txt x=y"},
        {"a/b; name=no semicolon=here", "a/b name=no semicolon=here"},
        {"(hello) text (plain) / (world) plain (eod);charset=us-ascii", "text/plain charset=us-ascii"},
        {"a/b; n=\"q \\\"in\\\" \\\\\"", "a/b n=q \"in\" \\"},
        {"inva/lid; name=\"   ", "inva/lid name=   "},
        {"inva/lid; name=\"x\\", "inva/lid name=x\\"},
        {"text/plain; name=", "text/plain name="},
        {"text/plain;;;", "text/plain"},
        {"text", "text/plain"},
        {"text/", "text/plain"},
        {"/plain", "text/plain"},
        {";", "text/plain"},
        {"", "text/plain"},
        {"(", "text/plain"},
        {"a/b; = c", "a/b"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i].text));
        struct content_type type;
        struct content_param p;
        struct buf out;
        buf_init(&out, 1000);
        content_type_parse(v, &type);
        buf_printf(&out, "%.*s/%.*s", VIEW_FMT(type.type), VIEW_FMT(type.subtype));
        while (content_param_next(&type.params, &p)) {
            buf_printf(&out, " %.*s=", VIEW_FMT(p.name));
            content_param_value(&p, &out);
        }
        expect_text(buf_view(&out), table[i].want);
        buf_clear(&out);
        release(v);
    }
}

static void parameters_come_in_sections(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"; name=x.txt", "x.txt"},
        {"; name*=utf-8'en'%e2%82%ac%20rates", "\xe2\x82\xac rates"},
        {"; name*0*=iso-8859-1''%A3; name*1=\" and \"; name*2*=%E9", "\xc2\xa3 and \xc3\xa9"},
        {"; name*1=b; name*0=a", "ab"},
        {"; name*=no marks", "no marks"},
        {"; name=\"=?iso-8859-1?B?4Q==?= =?utf-8?B?w6k=?= =?iso-8859-1?q?=ED?=.jpeg\"",
         "\xc3\xa1\xc3\xa9\xc3\xad.jpeg"},
        {"; name*=utf-8''%zz%4", "%zz%4"},
        {"; name*0*=x", "x"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i][0]));
        struct buf out;
        buf_init(&out, 1000);
        assert_int_equal(content_param_text(v, VIEW("NAME"), &out), RC_OK);
        expect_text(buf_view(&out), table[i][1]);
        buf_clear(&out);
        release(v);
    }
    struct buf none;
    buf_init(&none, 10);
    assert_int_equal(content_param_text(VIEW("; named=x; name*x=1"), VIEW("name"), &none), RC_NOTFOUND);
}

static void transfer_encodings_are_undone(void **state)
{
    (void)state;
    static const struct {
        const char *encoding, *text, *want;
    } table[] = {
        {"quoted-printable", "a=3Db=\r\nc  \r\nd=\n", "a=bc\r\nd"},
        {"Quoted-Printable", "=3d=Q=", "==Q"},
        {"quoted-printable", "=E2=82=AC=", "\xe2\x82\xac"},
        {"BASE64", "aGVs\r\nbG8=", "hello"},
        {"base64", "aGVsbG8", "hello"},
        {"7bit", "as=20is", "as=20is"},
        {"x-uuencode", "as is", "as is"},
        {"(c) 8bit (c)", "as is", "as is"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i].text));
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(content_decode(content_encoding_parse(view_str(table[i].encoding)), v, &out), RC_OK);
        expect_text(buf_view(&out), table[i].want);
        buf_clear(&out);
        buf_init(&out, 4);
        assert_int_equal(content_decode(ENCODING_8BIT, VIEW("12345"), &out), RC_LIMIT);
        expect_text(buf_view(&out), "1234");
        buf_clear(&out);
        release(v);
    }
}

static void charsets_become_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *text, *want;
        enum rc rc;
    } table[] = {
        {"utf-8", "\xc3\xa9", "\xc3\xa9", RC_OK},
        {"UTF-8", "\xe9", "\xc3\xa9", RC_OK},
        {"us-ascii", "\xc3\xa9", "\xc3\xa9", RC_OK},
        {"iso-8859-1", "\xe9\x80", "\xc3\xa9\xe2\x82\xac", RC_OK},
        {"koi8-r", "\xd0\xd2\xc9", "\xd0\xbf\xd1\x80\xd0\xb8", RC_OK},
        {"Windows-1251", "\xef\xf0\xe8", "\xd0\xbf\xd1\x80\xd0\xb8", RC_OK},
        {"gb2312", "\xc4\xe3", "\xe4\xbd\xa0", RC_OK},
        {"iso-2022-jp", "\x1b$B$\"\x1b(B", "\xe3\x81\x82", RC_OK},
        {"shift_jis", "\x82\xa0\x82", "\xe3\x81\x82\xef\xbf\xbd", RC_OK},
        {"utf-16be", "d", "\xef\xbf\xbd", RC_OK},
        {"no-such-charset", "\xe9", "\xc3\xa9", RC_NOTFOUND},
        {"utf-8//TRANSLIT", "x", "x", RC_NOTFOUND},
        {"../../etc", "x", "x", RC_NOTFOUND},
        {"", "\xe9", "\xc3\xa9", RC_OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i].text));
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(charset_to_utf8(view_str(table[i].charset), v, &out), table[i].rc);
        expect_text(buf_view(&out), table[i].want);
        buf_clear(&out);
        release(v);
    }
    struct buf small;
    buf_init(&small, 3);
    assert_int_equal(charset_to_utf8(VIEW("koi8-r"), VIEW("\xd0\xd2\xc9"), &small), RC_LIMIT);
    expect_text(buf_view(&small), "\xd0\xbf");
    buf_clear(&small);
    assert_true(charset_is_known(VIEW("KOI8-R")) && charset_is_known(VIEW("utf-8")));
    assert_false(charset_is_known(VIEW("x-klingon")));
    assert_false(charset_is_ascii_superset(VIEW("iso-2022-jp")));
    assert_false(charset_is_ascii_superset(VIEW("utf-16")));
    assert_true(charset_is_ascii_superset(VIEW("koi8-r")));
}

static void encoded_words_are_read(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"Re: Saying Hello\r\n", "Re: Saying Hello"},
        {" Fwd: \n\tSaying \n Hello\r\n", "Fwd: \tSaying  Hello"},
        {"=?iso-8859-1?q?this is some text?=", "this is some text"},
        {"=?iso-8859-1?q?this=20is=20some=20text?=", "this is some text"},
        {" =?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\n     "
         "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?= b", "a b"},
        {"=?ISO-8859-1?Q?a_b?=", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
        {"=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
        {"x =?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "x \xe2\x82\xac"},
        {"=", "="},
        {"=?", "=?"},
        {"=?utf-8", "=?utf-8"},
        {"=?utf-8?q", "=?utf-8?q"},
        {"=?utf-8?q?", "=?utf-8?q?"},
        {"=?utf-8?q?a?", "=?utf-8?q?a?"},
        {"=?utf-8?q?a=?=", "a="},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=?utf-8?q?"
         "?=",
         ""},
        {"a\xe9", "a\xc3\xa9"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct view v = exact(view_str(table[i][0]));
        struct buf out;
        buf_init(&out, 1000);
        encoded_decode(v, &out);
        expect_text(buf_view(&out), table[i][1]);
        buf_clear(&out);
        release(v);
    }
}

static void encoded_words_are_written_and_read_back(void **state)
{
    (void)state;
    static const char *const table[] = {
        "plain",
        "\xc3\xa9",
        "a =? b",
        "",
        "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
        "a line for two words, with one euro (\xe2\x82\xac) in the middle",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out, back;
        buf_init(&out, 1000);
        buf_init(&back, 1000);
        encoded_write(view_str(table[i]), &out);
        assert_true(view_is_ascii(buf_view(&out)));
        struct view rest = buf_view(&out), word;
        while (rest.n > 0) {
            view_split(&rest, ' ', &word);
            assert_in_range(word.n, 0, ENCODED_WORD_MAX);
        }
        encoded_decode(buf_view(&out), &back);
        expect_text(buf_view(&back), table[i]);
        buf_clear(&out);
        buf_clear(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_read_as_they_are_met),
        cmocka_unit_test(parameters_come_in_sections),
        cmocka_unit_test(transfer_encodings_are_undone),
        cmocka_unit_test(charsets_become_utf8),
        cmocka_unit_test(encoded_words_are_read),
        cmocka_unit_test(encoded_words_are_written_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
