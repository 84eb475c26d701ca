#include "base/test_util.h"

#include "smtp/path.h"

struct path_case {
    const char *in;
    enum rc rc;
    const char *address; /* canonical */
    const char *rest;
};

#define L64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D63 "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

static const struct path_case cases[] = {
    {"<a@b>", RC_OK, "a@b", ""},
    {"<a@b> SIZE=1", RC_OK, "a@b", " SIZE=1"},
    {"<>", RC_OK, "", ""},
    {"<Postmaster>", RC_OK, "Postmaster", ""},
    {"<first.last+tag@ici.test>", RC_OK, "first.last+tag@ici.test", ""},
    {"<!#$%&'*+-/=?^_`{|}~@ici.test>", RC_OK, "!#$%&'*+-/=?^_`{|}~@ici.test", ""},
    {"<\"a b\"@ici.test>", RC_OK, "\"a b\"@ici.test", ""},
    {"<\"user\"@ici.test>", RC_OK, "user@ici.test", ""},
    {"<\"us\\er\"@ici.test>", RC_OK, "user@ici.test", ""},
    {"<\"a\\\"b\\\\c\"@ici.test>", RC_OK, "\"a\\\"b\\\\c\"@ici.test", ""},
    {"<\"\"@ici.test>", RC_OK, "\"\"@ici.test", ""},
    {"<\"a@b\"@ici.test>", RC_OK, "\"a@b\"@ici.test", ""},
    {"<\">\"@ici.test>", RC_OK, "\">\"@ici.test", ""},
    {"<a@[192.0.2.1]>", RC_OK, "a@[192.0.2.1]", ""},
    {"<a@[IPv6:2001:db8::1]>", RC_OK, "a@[IPv6:2001:db8::1]", ""},
    {"<@x.test,@y.test:a@b>", RC_OK, "a@b", ""},
    {"<" L64 "@b>", RC_OK, L64 "@b", ""},
    {"<" L64 L64 L64 "@b>", RC_OK, L64 L64 L64 "@b", ""}, /* as forwarders write it */
    {"<a@" D63 ".test>", RC_OK, "a@" D63 ".test", ""},
    {"<\xc3\xa9@\xc3\xa9.test>", RC_OK, "\xc3\xa9@\xc3\xa9.test", ""},
    /* hostile twins */
    {"", RC_SYNTAX, NULL, NULL},
    {"a@b", RC_SYNTAX, NULL, NULL},
    {"<a@b", RC_SYNTAX, NULL, NULL},
    {"<", RC_SYNTAX, NULL, NULL},
    {"< >", RC_SYNTAX, NULL, NULL},
    {"<a>", RC_SYNTAX, NULL, NULL},
    {"<@b>", RC_SYNTAX, NULL, NULL},
    {"<a@>", RC_SYNTAX, NULL, NULL},
    {"<a@b.>", RC_SYNTAX, NULL, NULL},
    {"<a@.b>", RC_SYNTAX, NULL, NULL},
    {"<a@b..c>", RC_SYNTAX, NULL, NULL},
    {"<a@-b>", RC_SYNTAX, NULL, NULL},
    {"<a@b->", RC_SYNTAX, NULL, NULL},
    {"<.a@b>", RC_SYNTAX, NULL, NULL},
    {"<a.@b>", RC_SYNTAX, NULL, NULL},
    {"<a..a@b>", RC_SYNTAX, NULL, NULL},
    {"<a b@c>", RC_SYNTAX, NULL, NULL},
    {"<a@b@c>", RC_SYNTAX, NULL, NULL},
    {"<a@b c>", RC_SYNTAX, NULL, NULL},
    {"<a@b,c@d>", RC_SYNTAX, NULL, NULL},
    {"<<a@b>>", RC_SYNTAX, NULL, NULL},
    {"<\"a@b>", RC_SYNTAX, NULL, NULL},
    {"<\"a\"b@c>", RC_SYNTAX, NULL, NULL},
    {"<\"a\r\"@c>", RC_SYNTAX, NULL, NULL},
    {"<\"a\\\x01\"@c>", RC_SYNTAX, NULL, NULL},
    {"<\"a\\", RC_SYNTAX, NULL, NULL},
    {"<a\x7f@c>", RC_SYNTAX, NULL, NULL},
    {"<a@[192.0.2.1>", RC_SYNTAX, NULL, NULL},
    {"<a@[192.0.2.256]>", RC_SYNTAX, NULL, NULL},
    {"<a@[2001:db8::1]>", RC_SYNTAX, NULL, NULL},
    {"<a@[IPv6:192.0.2.1]>", RC_SYNTAX, NULL, NULL},
    {"<a@[]>", RC_SYNTAX, NULL, NULL},
    {"<@x.test:>", RC_SYNTAX, NULL, NULL},
    {"<@x.test a@b>", RC_SYNTAX, NULL, NULL},
    {"<@x.test,y.test:a@b>", RC_SYNTAX, NULL, NULL},
    {"<\xc3@b>", RC_SYNTAX, NULL, NULL},
    {"<a@\xff.test>", RC_SYNTAX, NULL, NULL},
    {"<" L64 L64 L64 L64 "@b>", RC_LIMIT, NULL, NULL},
    {"<a@" D63 "d.test>", RC_LIMIT, NULL, NULL},
    {"<" L64 "@" D63 "." D63 "." D63 ">", RC_LIMIT, NULL, NULL},
};

static void path_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view block = exact(view_str(cases[i].in)), in = block;
        struct smtp_path p;
        struct buf out;
        enum rc rc = smtp_path_parse(&in, &p);
        if (rc != cases[i].rc)
            fail_msg("%s: %s", cases[i].in, rc_name(rc));
        buf_init(&out, 1000);
        if (rc == RC_OK) {
            smtp_path_write(&p, &out);
            assert_int_equal(buf_rc(&out), RC_OK);
            expect_text(buf_view(&out), cases[i].address);
            expect_text(in, cases[i].rest);
        } else {
            assert_ptr_equal(in.p, block.p);
            assert_int_equal(in.n, block.n);
        }
        buf_clear(&out);
        release(block);
    }
}

static void path_tells_utf8(void **state)
{
    struct view plain = VIEW("<a@b>"), utf8 = VIEW("<a@\xc3\xa9.test>");
    struct smtp_path p;
    (void)state;
    assert_int_equal(smtp_path_parse(&plain, &p), RC_OK);
    assert_false(p.is_utf8);
    assert_int_equal(smtp_path_parse(&utf8, &p), RC_OK);
    assert_true(p.is_utf8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_reads),
        cmocka_unit_test(path_tells_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
