/* RFC 8460 §3: the record, and what is none. The cases of mox (share of its test vectors) are among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/tlsrpt_record.h"

static struct view exact(const char *text, char **held)
{
    size_t n = strlen(text);
    *held = malloc(n > 0 ? n : 1);
    assert_non_null(*held);
    if (n > 0)
        memcpy(*held, text, n);
    return view_of(*held, n);
}

static void records_are_read_by_the_grammar(void **state)
{
    static const struct {
        const char *text;
        size_t n; /* addresses; 0: no record */
        const char *last;
    } cases[] = {
        {"v=TLSRPTv1;rua=mailto:reports@example.com", 1, "mailto:reports@example.com"},
        {"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", 1, "https://reporting.example.com/v1/tlsrpt"},
        {"v=TLSRPTv1; rua=mailto:tlsrpt@mox.example;", 1, "mailto:tlsrpt@mox.example"},
        {"v=TLSRPTv1; rua=mailto:tlsrpt@mox.example; ext=yes", 1, "mailto:tlsrpt@mox.example"},
        {"v=TLSRPTv1 ; rua=mailto:x@x.example; rua=mailto:y@x.example", 2, "mailto:y@x.example"},
        {"v=TLSRPTv1;rua=mailto:a@b \t, https://c/d?e=f;ext.a-b_c=<1>", 2, "https://c/d?e=f"},
        {"v=TLSRPTv1; rua=mailto:a%21b@c  ; ", 1, "mailto:a%21b@c"},
        {"v=TLSRPTv1;rua=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", 8, "a:8"},
        {"", 0, NULL},
        {"v=TLSRPTv1", 0, NULL},
        {"v=TLSRPTv1;", 0, NULL},
        {"v=TLSRPTv0; rua=mailto:a@b", 0, NULL},
        {"v=TLSRPTv10; rua=mailto:a@b", 0, NULL},
        {"v=TLSRPTv2; rua=mailto:a@b", 0, NULL},
        {"V=TLSRPTv1; rua=mailto:a@b", 0, NULL},
        {"v=tlsrptv1; rua=mailto:a@b", 0, NULL},
        {" v=TLSRPTv1; rua=mailto:a@b", 0, NULL},
        {"v=TLSRPTv1 rua=mailto:a@b", 0, NULL},
        {"v=TLSRPTv1; RUA=mailto:a@b", 0, NULL},
        {"v=TLSRPTv1; ext=1", 0, NULL},
        {"v=TLSRPTv1; rua=", 0, NULL},
        {"v=TLSRPTv1; rua=,, ,", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b,", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:x@x.example; 1%=a", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:x@x.example;;", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:x@x.example other", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:x@x.example!10m", 0, NULL},
        {"v=TLSRPTv1; rua=http://bad/%", 0, NULL},
        {"v=TLSRPTv1; rua=http://bad/%4", 0, NULL},
        {"v=TLSRPTv1; rua=x@x.example", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a\x01@b", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b; ext=", 0, NULL},
        {"v=TLSRPTv1; rua=mailto:a@b; abcdefghijklmnopqrstuvwxyz0123456=1", 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tlsrpt_record r;
        char *held;
        enum rc rc = tlsrpt_record_parse(exact(cases[i].text, &held), &r);
        if ((rc == RC_OK) != (cases[i].n > 0) || (rc == RC_OK && r.n != cases[i].n))
            fail_msg("%s: %s with %zu", cases[i].text, rc_name(rc), r.n);
        if (rc == RC_OK && !view_eq(r.uris[r.n - 1], view_str(cases[i].last)))
            fail_msg("%s: %.*s", cases[i].text, VIEW_FMT(r.uris[r.n - 1]));
        free(held);
    }
}

static void several_records_are_none(void **state)
{
    struct tlsrpt_record r;
    const struct view good = VIEW("v=TLSRPTv1; rua=mailto:a@b"), other = VIEW("v=spf1 -all"), broken = VIEW("v=TLSRPTv1; rua=");
    (void)state;
    assert_int_equal(tlsrpt_record_choose(NULL, 0, &r), RC_NOTFOUND);
    assert_int_equal(tlsrpt_record_choose((struct view[]){other}, 1, &r), RC_NOTFOUND);
    assert_int_equal(tlsrpt_record_choose((struct view[]){other, good}, 2, &r), RC_OK);
    assert_int_equal(r.n, 1);
    assert_int_equal(tlsrpt_record_choose((struct view[]){good, good}, 2, &r), RC_NOTFOUND);
    assert_int_equal(tlsrpt_record_choose((struct view[]){good, broken}, 2, &r), RC_NOTFOUND);
    assert_int_equal(tlsrpt_record_choose((struct view[]){broken}, 1, &r), RC_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_by_the_grammar),
        cmocka_unit_test(several_records_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
