#include "base/test_util.h"

#include "net/addr.h"
#include "net/proxy.h"

static void test_parse(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"127.0.0.2:25", "127.0.0.2:25"},
        {"[::1]:465", "[::1]:465"},
        {"[2001:DB8:0::1]:0", "[2001:db8::1]:0"},
        {"0.0.0.0:65535", "0.0.0.0:65535"},
        {"127.0.0.2", NULL},
        {"127.0.0.2:", NULL},
        {"127.0.0.2:65536", NULL},
        {"127.0.0.2:25x", NULL},
        {"127.0.0.256:25", NULL},
        {"localhost:25", NULL},
        {"::1:25", NULL},
        {"[::1]", NULL},
        {"[::1]25", NULL},
        {"[::1:25", NULL},
        {"[127.0.0.1]:25", NULL},
        {"", NULL},
        {":25", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view in = exact(view_str(cases[i].in));
        struct addr a;
        char text[ADDR_TEXT_MAX];
        enum rc rc = addr_parse(in, &a);
        assert_int_equal(rc, cases[i].out ? RC_OK : RC_SYNTAX);
        if (cases[i].out) {
            addr_write(&a, text);
            assert_string_equal(text, cases[i].out);
        }
        release(in);
    }
}

static void test_nets(void **state)
{
    static const struct {
        const char *net, *ip;
        bool in;
    } cases[] = {
        {"127.0.0.10/32", "127.0.0.10", true},
        {"127.0.0.10/32", "127.0.0.11", false},
        {"127.0.0.10", "127.0.0.10", true},
        {"127.0.0.0/8", "127.255.0.1", true},
        {"127.0.0.0/8", "128.0.0.1", false},
        {"10.1.128.0/17", "10.1.255.1", true},
        {"10.1.128.0/17", "10.1.127.1", false},
        {"127.0.0.0/8", "::ffff:127.0.0.1", true},
        {"0.0.0.0/0", "192.0.2.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/32", "2001:db8:1::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
    };
    static const char *const bad[] = {
        "", "/", "127.0.0.1/33", "127.0.0.1/", "::1/129", "example.test/8", "127.0.0/8", "127.0.0.1/-1"};
    struct addr_net net;
    struct addr a;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(addr_net_parse(view_str(cases[i].net), &net), RC_OK);
        assert_int_equal(addr_parse_ip(view_str(cases[i].ip), 25, &a), RC_OK);
        assert_int_equal(addr_in_net(&a, &net), cases[i].in);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(addr_net_parse(view_str(bad[i]), &net), RC_SYNTAX);
    assert_false(addr_in_net(&(struct addr){0}, &net));
}

static void test_unmap_and_keys(void **state)
{
    struct addr a, b, c;
    uint8_t x[16], y[16];
    char text[ADDR_TEXT_MAX];
    (void)state;
    addr_parse_ip(VIEW("::ffff:192.0.2.1"), 25, &a);
    addr_parse_ip(VIEW("192.0.2.1"), 26, &b);
    assert_true(addr_eq_ip(&a, &b));
    addr_unmap(&a);
    assert_false(addr_is_ipv6(&a));
    assert_int_equal(addr_port(&a), 25);
    addr_write_ip(&a, text);
    assert_string_equal(text, "192.0.2.1");
    addr_parse_ip(VIEW("2001:db8:0:1::1"), 0, &b);
    addr_parse_ip(VIEW("2001:db8:0:1:ffff::2"), 0, &c);
    addr_rate_key(&b, x);
    addr_rate_key(&c, y);
    assert_memory_equal(x, y, 16); /* the same /64 */
    addr_parse_ip(VIEW("2001:db8:0:2::1"), 0, &c);
    addr_rate_key(&c, y);
    assert_memory_not_equal(x, y, 16);
    addr_parse_ip(VIEW("127.3.2.1"), 0, &a);
    assert_true(addr_is_loopback(&a));
    addr_parse_ip(VIEW("::1"), 0, &a);
    assert_true(addr_is_loopback(&a));
    addr_parse_ip(VIEW("128.0.0.1"), 0, &a);
    assert_false(addr_is_loopback(&a) || addr_is_any(&a));
    addr_parse_ip(VIEW("0.0.0.0"), 0, &a);
    assert_true(addr_is_any(&a));
    addr_parse_ip(VIEW("::"), 0, &a);
    assert_true(addr_is_any(&a));
    static const struct {
        const char *ip;
        bool is_public;
    } reach[] = {{"1.1.1.1", true},          {"223.255.255.255", true}, {"2a00:1450::1", true}, {"10.0.0.1", false},  {"172.31.0.1", false},
                 {"172.32.0.1", true},       {"192.168.1.1", false},    {"127.0.0.1", false},   {"169.254.169.254", false},
                 {"100.64.0.1", false},      {"224.0.0.1", false},      {"255.255.255.255", false}, {"0.0.0.0", false}, {"::1", false},
                 {"fe80::1", false},         {"fd00::1", false},        {"::ffff:10.0.0.1", false}, {"2002:7f00:1::1", false},
                 {"64:ff9b::7f00:1", false}, {"2001:db8::1", false},    {"::", false},          {"192.0.2.1", false}};
    for (size_t i = 0; i < sizeof reach / sizeof *reach; i++) {
        assert_int_equal(addr_parse_ip(view_str(reach[i].ip), 25, &a), RC_OK);
        assert_int_equal(addr_is_public(&a), reach[i].is_public);
    }
    assert_false(addr_is_public(&(struct addr){0}));
    addr_write(&(struct addr){0}, text);
    assert_string_equal(text, "unknown:0");
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static void test_proxy(void **state)
{
    static const struct {
        struct view in;
        enum proxy_state state;
        size_t left; /* bytes behind the header */
        const char *from;
    } cases[] = {
        {VIEW_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nEHLO"), PROXY_DONE, 4, "192.0.2.1:56324"},
        {VIEW_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), PROXY_DONE, 0, "[2001:db8::1]:1"},
        {VIEW_INIT("PROXY UNKNOWN\r\n"), PROXY_DONE, 0, NULL},
        {VIEW_INIT("PROXY UNKNOWN ffff:f:f 1 65535\r\nx"), PROXY_DONE, 1, NULL},
        {VIEW_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r"), PROXY_MORE, 0, NULL},
        {VIEW_INIT("PRO"), PROXY_MORE, 0, NULL},
        {VIEW_INIT(""), PROXY_MORE, 0, NULL},
        {VIEW_INIT("EHLO x\r\n"), PROXY_BAD, 0, NULL},
        {VIEW_INIT("\x16\x03\x01"), PROXY_BAD, 0, NULL},
        {VIEW_INIT(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\1\2\0\x19rest"), PROXY_DONE, 4, "192.0.2.1:258"},
        {VIEW_INIT(V2 "\x21\x11\0\x0f\xc0\0\2\1\xc0\0\2\2\1\2\0\x19\4\0\0"), PROXY_DONE, 0, "192.0.2.1:258"},
        {VIEW_INIT(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\1\2\0"), PROXY_BAD, 0, NULL},
        {VIEW_INIT(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\1\2\0"), PROXY_MORE, 0, NULL},
        {VIEW_INIT(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\1\2\0\x19"), PROXY_DONE, 0, NULL}, /* LOCAL */
        {VIEW_INIT(V2 "\x20\0\0\0"), PROXY_DONE, 0, NULL},
        {VIEW_INIT(V2 "\x21\0\0\0"), PROXY_DONE, 0, NULL},
        {VIEW_INIT(V2 "\x22\x11\0\0"), PROXY_BAD, 0, NULL},
        {VIEW_INIT(V2 "\x31\x11\0\0"), PROXY_BAD, 0, NULL},
        {VIEW_INIT(V2 "\x21\x11\xff\xff"), PROXY_BAD, 0,
         NULL}, /* past PROXY_MAX, before any of it has come */
        {VIEW_INIT("\r\n\r\n\0\r\nQUIT\r"), PROXY_BAD, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct proxy_header h;
        char text[ADDR_TEXT_MAX];
        size_t used;
        struct view in = exact(cases[i].in);
        assert_int_equal(proxy_parse(in, &h, &used), cases[i].state);
        if (cases[i].state == PROXY_DONE) {
            assert_int_equal(in.n - used, cases[i].left);
            assert_int_equal(h.known, cases[i].from != NULL);
            for (size_t n = 0; n < used; n++) { /* however it is cut, nothing is taken too early */
                struct view part = exact(view_slice(in, 0, n));
                size_t dummy;
                assert_int_equal(proxy_parse(part, &h, &dummy), PROXY_MORE);
                release(part);
            }
            assert_int_equal(proxy_parse(in, &h, &used), PROXY_DONE);
        }
        if (cases[i].from) {
            addr_write(&h.from, text);
            assert_string_equal(text, cases[i].from);
        }
        release(in);
    }
}

static void test_proxy_endless_line(void **state)
{
    char line[PROXY_V1_MAX];
    struct proxy_header h;
    size_t used;
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_parse(view_of(line, sizeof line - 1), &h, &used), PROXY_MORE);
    assert_int_equal(proxy_parse(view_of(line, sizeof line), &h, &used), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_nets),
        cmocka_unit_test(test_unmap_and_keys),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
