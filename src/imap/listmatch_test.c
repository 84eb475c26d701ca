#include "imap/listmatch.h"
#include "imap/wire_test.h"

static const struct {
    const char *pattern, *path;
    bool yes;
} cases[] = {
    {"*", "a/b/c", true},        {"%", "a", true},          {"%", "a/b", false},       {"a/%", "a/b", true},
    {"a/%", "a/b/c", false},     {"a/*", "a/b/c", true},    {"a/*", "a", false},       {"*c", "a/b/c", true},
    {"%/b/%", "a/b/c", true},    {"%/%", "a/b/c", false},   {"*/%", "a/b/c", true},    {"%/*", "a", false},
    {"a*b*c", "axbxbxc", true},  {"a%b%c", "axbxbxc", true}, {"a%b%c", "axb/bxc", false}, {"a*b%c", "ab/b/bc", true},
    {"", "", true},              {"", "a", false},          {"*", "", true},           {"%%%**%%", "a/b", true},
    {"INBOX", "INBOX", true},    {"INBOX", "INBOX/a", false}, {"a%", "a", true},       {"%a", "b/a", false},
    {"*%a", "b/a", true},
};

static void test_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct view pattern = exact(view_str(cases[i].pattern)), path = exact(view_str(cases[i].path));
        if (imap_list_match(pattern, path) != cases[i].yes)
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].path);
        release(pattern);
        release(path);
    }
}

/* What brings recursive matchers down. */
static void test_hostile(void **state)
{
    static char pattern[LIST_PATTERN_MAX], path[5000];

    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = "*a%"[i % 3];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = 'b';
    assert_true(imap_list_match(view_of(pattern, sizeof pattern - 1), view_of(path, sizeof path)));
    pattern[sizeof pattern - 1] = 'c';
    assert_false(imap_list_match(view_of(pattern, sizeof pattern), view_of(path, sizeof path)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_match), cmocka_unit_test(test_hostile)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
