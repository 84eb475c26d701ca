/* Unit tests of web/'s texts. Pages are tested from outside: test/test_http.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "web/web.h"

static void policies_say_their_mode(void **state)
{
    (void)state;
    static const struct {
        enum directory_sts mode;
        const char *text;
    } cases[] = {
        {STS_TESTING, "version: STSv1\r\nmode: testing\r\nmx: mx.ici.test\r\nmax_age: 604800\r\n"},
        {STS_ENFORCE, "version: STSv1\r\nmode: enforce\r\nmx: mx.ici.test\r\nmax_age: 604800\r\n"},
        {STS_NONE, "version: STSv1\r\nmode: none\r\nmx: mx.ici.test\r\nmax_age: 604800\r\n"},
    };
    struct buf out;
    buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&out);
        web_sts_policy(cases[i].mode, "mx.ici.test", &out);
        assert_true(view_eq(buf_view(&out), view_str(cases[i].text)));
    }
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(policies_say_their_mode)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
