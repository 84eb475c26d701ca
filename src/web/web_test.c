/* Unit tests of web/'s texts. Pages are tested from outside: test/test_http.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "web/api_impl.h"

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

/* The API's tables and its description say the same. */
static void routes_are_described(void **state)
{
    static const char *const rights[] = {"none", "user", "owner", "operator"};
    json_error_t why;
    const char *path, *method;
    json_t *doc = json_loadb((const char *)api_openapi, api_openapi_n, 0, &why), *paths = json_object_get(doc, "paths"), *methods, *words;
    size_t n_routes = 0, n_described = 0;
    (void)state;

    assert_non_null(doc);
    for (const struct api_route *r = api_route_next(NULL); r; r = api_route_next(r)) {
        char lower[10] = "";
        for (size_t i = 0; r->method[i] && i + 1 < sizeof lower; i++)
            lower[i] = (char)to_lower((unsigned char)r->method[i]);
        words = json_object_get(json_object_get(paths, r->path), lower);
        if (!words || strcmp(json_string_value(json_object_get(words, "x-right")), rights[r->right]) != 0)
            fail_msg("%s %s is not described, or with another right", r->method, r->path);
        n_routes++;
    }
    json_object_foreach(paths, path, methods)
        json_object_foreach(methods, method, words)
            n_described++;
    assert_int_equal(n_routes, n_described);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(policies_say_their_mode), cmocka_unit_test(routes_are_described)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
