/* Unit tests of message/compose: what people write comes back by our own readers, and nothing that they write makes a field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "message/compose.h"
#include "message/encoded.h"
#include "message/header.h"

static const struct compose_mailbox anne = {VIEW_INIT("Anne \xc3\x89lise"), VIEW_INIT("anne"), VIEW_INIT("ici.test"), VIEW_INIT("anne@ici.test")};

static struct compose plain(void)
{
    return (struct compose){.from = anne, .to = &anne, .n_to = 1, .subject = VIEW("hello"), .text = VIEW("a\nb\r\nc"),
                            .message_id = VIEW("1@ici.test"), .unique = {1, 2}, .now_s = 0};
}

static bool has(const struct buf *b, const char *text)
{
    return view_find(buf_view(b), view_str(text)) != VIEW_NONE;
}

static void lines_are_short_and_end_at_crlf(const struct buf *b)
{
    size_t line = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->p[i] == '\n') {
            assert_true(i > 0 && b->p[i - 1] == '\r');
            line = 0;
        } else {
            assert_true(b->p[i] != '\r' || (i + 1 < b->n && b->p[i + 1] == '\n'));
            assert_true((unsigned char)b->p[i] < 0x80);
            assert_true(++line <= 999);
        }
    }
}

static void a_plain_text(void **state)
{
    struct compose c = plain();
    struct buf out;
    const char *why;
    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(compose_write(&c, &out, &why), RC_OK);
    lines_are_short_and_end_at_crlf(&out);
    assert_true(has(&out, "From: =?utf-8?") || has(&out, "From: =?UTF-8?"));
    assert_true(has(&out, " <anne@ici.test>\r\n"));
    assert_true(has(&out, "Subject: hello\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@ici.test>\r\n") || has(&out, "Date: Thu, 01 Jan 1970"));
    assert_true(has(&out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\na\r\nb\r\nc\r\n"));
    buf_clear(&out);
}

/* RFC 5322 §2.1.1: what has no blank to fold at is encoded, or refused where an encoded word would mean something else. */
static void endless_words(void **state)
{
    char word[1500];
    struct compose c = plain();
    struct compose_field field = {VIEW_INIT("X-Order"), {0}};
    struct compose_mailbox m;
    struct buf out;
    struct arena a;
    const char *why;
    (void)state;
    memset(word, 'x', sizeof word);
    c.subject = view_of(word, sizeof word);
    buf_init(&out, 1 << 20);
    assert_int_equal(compose_write(&c, &out, &why), RC_OK);
    lines_are_short_and_end_at_crlf(&out);
    c.fields = &field;
    c.n_fields = 1;
    field.value = view_of(word, 800);
    buf_reset(&out);
    assert_int_equal(compose_write(&c, &out, &why), RC_OK);
    lines_are_short_and_end_at_crlf(&out);
    field.value = view_of(word, 801);
    assert_int_equal(compose_write(&c, &out, &why), RC_SYNTAX);
    field = (struct compose_field){view_of(word, COMPOSE_TYPE_MAX + 1), VIEW("x")};
    memcpy(word, "X-", 2);
    assert_int_equal(compose_write(&c, &out, &why), RC_SYNTAX);
    memcpy(word + COMPOSE_NAME_MAX, " <a@ici.test>", 13);
    arena_init(&a, 65536);
    assert_int_equal(compose_mailbox_read(view_of(word, COMPOSE_NAME_MAX + 13), &a, &m), RC_OK);
    memcpy(word + COMPOSE_NAME_MAX, "x <a@ici.test>", 14);
    assert_int_equal(compose_mailbox_read(view_of(word, COMPOSE_NAME_MAX + 14), &a, &m), RC_SYNTAX);
    arena_clear(&a);
    buf_clear(&out);
}

static void parts_and_names(void **state)
{
    static const struct compose_part parts[] = {
        {VIEW_INIT("plain.pdf"), VIEW_INIT("application/pdf"), VIEW_INIT("%PDF")},
        {VIEW_INIT("\xc3\xa9t\xc3\xa9 \"2026\" un nom de fichier qui est vraiment tr\xc3\xa8s long, comme on en voit.txt"), VIEW_INIT("text/plain"), VIEW_INIT("x")},
        {VIEW_INIT("mail.eml"), VIEW_INIT("message/rfc822"), VIEW_INIT("Subject: x\n\n")},
    };
    struct compose c = plain();
    struct buf out;
    const char *why;
    (void)state;
    c.html = VIEW("<p>\xc3\xa9</p>");
    c.parts = parts;
    c.n_parts = 3;
    buf_init(&out, 1 << 20);
    assert_int_equal(compose_write(&c, &out, &why), RC_OK);
    lines_are_short_and_end_at_crlf(&out);
    assert_true(has(&out, "Content-Type: multipart/mixed;") && has(&out, "Content-Type: multipart/alternative;"));
    assert_true(has(&out, "filename=\"plain.pdf\"\r\n"));
    assert_true(has(&out, "filename*0*=utf-8''%C3%A9t%C3%A9%20%222026%22") && has(&out, ";\r\n\tfilename*1*="));
    assert_false(has(&out, "message/rfc822"));
    buf_clear(&out);
}

/* Each is refused, or harmless. */
static void nothing_makes_a_field(void **state)
{
    static const struct compose_field bad[] = {{VIEW_INIT("From"), VIEW_INIT("x@y")}, {VIEW_INIT("Bcc"), VIEW_INIT("x@y")},
                                               {VIEW_INIT("X-A: b\r\nBcc"), VIEW_INIT("x")}, {VIEW_INIT("X-A"), VIEW_INIT("b\r\nBcc: x")},
                                               {VIEW_INIT("DKIM-Signature"), VIEW_INIT("x")}, {VIEW_INIT("Received"), VIEW_INIT("x")},
                                               {VIEW_INIT("Content-Type"), VIEW_INIT("x")}, {VIEW_INIT(""), VIEW_INIT("x")}};
    static const struct compose_part bad_parts[] = {{VIEW_INIT("a\r\nX: y"), VIEW_INIT(""), VIEW_INIT("")},
                                                    {VIEW_INIT("a"), VIEW_INIT("text/plain\r\nX: y"), VIEW_INIT("")},
                                                    {VIEW_INIT("a"), VIEW_INIT("text"), VIEW_INIT("")},
                                                    {VIEW_INIT("a"), VIEW_INIT("text/plain; charset=x"), VIEW_INIT("")}};
    static const char *const not_mailboxes[] = {"", "anne", "a@b, c@d", "a@b\r\nBcc: c@d", "@b", "group: a@b;", "\xc3\xa9@b.test", "a@b@c"};
    struct arena a;
    struct buf out;
    struct compose_mailbox box;
    const char *why;
    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct compose c = plain();
        c.fields = &bad[i];
        c.n_fields = 1;
        assert_int_equal(compose_write(&c, &out, &why), RC_SYNTAX);
    }
    for (size_t i = 0; i < sizeof bad_parts / sizeof *bad_parts; i++) {
        struct compose c = plain();
        c.parts = &bad_parts[i];
        c.n_parts = 1;
        assert_int_equal(compose_write(&c, &out, &why), RC_SYNTAX);
    }
    struct compose c = plain();
    c.subject = VIEW("a\nBcc: x");
    assert_int_equal(compose_write(&c, &out, &why), RC_SYNTAX);
    assert_int_equal(out.n, 0);
    for (size_t i = 0; i < sizeof not_mailboxes / sizeof *not_mailboxes; i++)
        assert_int_equal(compose_mailbox_read(view_str(not_mailboxes[i]), &a, &box), RC_SYNTAX);
    assert_int_equal(compose_mailbox_read(VIEW("\"Doe, John\" <John.Doe@x.test>"), &a, &box), RC_OK);
    assert_true(view_eq(box.address, VIEW("John.Doe@x.test")) && view_eq(box.name, VIEW("Doe, John")));
    buf_clear(&out);
    arena_clear(&a);
}

static void a_long_line_and_a_long_subject(void **state)
{
    char text[3000], subject[1500];
    struct compose c = plain();
    struct buf out, back;
    const char *why;
    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i + 1 < sizeof subject; i += 2)
        memcpy(subject + i, "\xc3\xa9", 2);
    c.text = view_of(text, sizeof text);
    c.subject = view_of(subject, sizeof subject);
    buf_init(&out, 1 << 20);
    buf_init(&back, 1 << 20);
    assert_int_equal(compose_write(&c, &out, &why), RC_OK);
    lines_are_short_and_end_at_crlf(&out);
    encoded_decode(header_value(header_of(buf_view(&out)), VIEW("Subject")), &back);
    assert_true(view_eq(buf_view(&back), c.subject));
    buf_clear(&out);
    buf_clear(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_text),
        cmocka_unit_test(endless_words), cmocka_unit_test(parts_and_names),
        cmocka_unit_test(nothing_makes_a_field),
        cmocka_unit_test(a_long_line_and_a_long_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
