/* A build without pages (page_files.c) says what to do about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "web/web_impl.h"

static void a_build_without_pages_says_so(void **state)
{
    struct http_request r = {.method = VIEW("GET"), .path = VIEW("/admin/")};
    struct http_response out = {.status = 200};
    (void)state;
    buf_init(&out.body, 4096);
    pages_answer(&r, &out);
    assert_int_equal(out.status, 404);
    assert_string_equal(out.content_type, "text/plain; charset=utf-8");
    static const char *const words[] = {"Install nodejs and npm", "Installez nodejs et npm", "-Dpages=enabled", "/admin/api"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_true(view_find(buf_view(&out.body), view_str(words[i])) != VIEW_NONE);
    for (size_t i = 0; i < out.n_fields; i++)
        free((char *)(uintptr_t)out.fields[i].value.p);
    buf_clear(&out.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_build_without_pages_says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
