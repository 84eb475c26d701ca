#include "app/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct config *parse_ok(const char *text)
{
    struct buf errors;
    struct config *c = NULL;
    buf_init(&errors, 65536);
    char *exact = malloc(strlen(text) + 1);
    memcpy(exact, text, strlen(text));
    enum rc rc = config_parse("/etc/f/facteur.conf", view_of(exact, strlen(text)), &c, &errors);
    if (rc != RC_OK)
        print_message("%.*s\n", VIEW_FMT(buf_view(&errors)));
    assert_int_equal(rc, RC_OK);
    assert_int_equal(errors.n, 0);
    free(exact);
    buf_clear(&errors);
    return c;
}

static void expect_errors(const char *text, const char *wanted)
{
    struct buf errors;
    struct config *c = NULL;
    buf_init(&errors, 65536);
    assert_int_equal(config_parse("facteur.conf", view_str(text), &c, &errors), RC_SYNTAX);
    assert_null(c);
    buf_chr(&errors, 0);
    assert_string_equal(errors.p, wanted);
    buf_clear(&errors);
}

static void the_documented_example_is_read(void **state)
{
    (void)state;
    struct config *c = parse_ok("hostname = \"mx.ici.test\"  # our name\n"
                                "data     = \"/var/lib/facteur\"\n"
                                "user     = \"facteur\"\n"
                                "vault-user = \"facteur-vault\"\n"
                                "store    = \"sqlite\"\n"
                                "blobs    = \"segments\"\n"
                                "relay-from = {\"127.0.0.10/32\"}\n"
                                "proxy-from = {\"127.0.0.9/32\"}\n"
                                "listen {\n"
                                "    smtp        = \"127.0.0.2:25\"\n"
                                "    submissions = {\"127.0.0.2:465\", \"[::1]:465\"}\n"
                                "    https       = \"127.0.0.2:443\"\n"
                                "}\n"
                                "tls {\n"
                                "    certificate = \"cert.pem\"\n"
                                "    key         = \"/k/key.pem\"\n"
                                "    trust       = \"extra-ca.pem\"\n"
                                "}\n"
                                "dns {\n"
                                "    servers      = {\"127.0.0.1:5300\", \"192.0.2.1\"}\n"
                                "    trust-anchor = \"root.key\"\n"
                                "}\n"
                                "outbound {\n"
                                "    bind = \"127.0.0.2\"\n"
                                "    port = 25\n"
                                "}\n"
                                "relay {\n"
                                "    host          = \"smarthost.example:2587\"\n"
                                "    username      = \"us\"\n"
                                "    password-file = \"smarthost.secret\"\n"
                                "}\n"
                                "limits {\n"
                                "    message-size            = 20mb\n"
                                "    recipients              = 1000\n"
                                "    connections-per-address = 50\n"
                                "    workers                 = 512\n"
                                "}\n"
                                "authentication {\n"
                                "    enforce               = no\n"
                                "    time-limit            = 5s\n"
                                "    trusted-sealers       = {\"Lists.Example.ORG\", \"b\xc3\xbc" "cher.test\"}\n"
                                "    trusted-forwarders    = {\"192.0.2.1\", \"2001:db8::/32\"}\n"
                                "    organizational-domain = \"public-suffix-list\"\n"
                                "}\n"
                                "queue {\n"
                                "    retry        = {1min, 5min, 15min, 1h, 4h}\n"
                                "    delay-notice = 4h\n"
                                "    expire       = 5d\n"
                                "}\n");
    char text[ADDR_TEXT_MAX];
    assert_string_equal(c->hostname, "mx.ici.test");
    assert_int_equal(c->relay_from.n, 1);
    assert_int_equal(c->listen.n, 4);
    assert_int_equal(c->listen.v[0].service, SERVICE_SMTP);
    assert_int_equal(c->listen.v[2].service, SERVICE_SUBMISSIONS);
    addr_write(&c->listen.v[2].addr, text);
    assert_string_equal(text, "[::1]:465");
    assert_string_equal(c->tls.certificate.v[0], "/etc/f/cert.pem");
    assert_string_equal(c->tls.key.v[0], "/k/key.pem");
    assert_string_equal(c->tls.trust.v[0], "/etc/f/extra-ca.pem");
    assert_int_equal(c->dns.servers.n, 2);
    assert_int_equal(addr_port(&c->dns.servers.v[0]), 5300);
    assert_int_equal(addr_port(&c->dns.servers.v[1]), 53);
    assert_string_equal(c->dns.trust_anchor, "/etc/f/root.key");
    assert_int_equal(c->outbound.bind.n, 1);
    assert_int_equal(c->outbound.port, 25);
    assert_string_equal(c->relay.host, "smarthost.example");
    assert_int_equal(c->relay.port, 2587);
    assert_int_equal(c->limits.message_size, 20 << 20);
    assert_true(c->authentication.check && !c->authentication.enforce && c->authentication.arc);
    assert_int_equal(c->authentication.time_limit, 5000);
    assert_int_equal(c->authentication.trusted_sealers.n, 2);
    assert_true(view_eq(c->authentication.trusted_sealers.v[0], VIEW("lists.example.org")));
    assert_true(view_eq(c->authentication.trusted_sealers.v[1], VIEW("xn--bcher-kva.test")));
    assert_int_equal(c->authentication.trusted_forwarders.n, 2);
    assert_int_equal(c->authentication.organizational_domain, DMARC_PSL);
    assert_int_equal(c->queue.retry.n, 5);
    assert_int_equal(c->queue.retry.v[4], 4 * 3600 * 1000);
    assert_int_equal(c->queue.expire, 5LL * 24 * 3600 * 1000);
    config_free(c);
}

static void defaults_hold_for_an_almost_empty_file(void **state)
{
    (void)state;
    struct config *c = parse_ok("hostname = mx.ici.test");
    assert_string_equal(c->data, "/var/lib/facteur");
    assert_int_equal(c->listen.n, 0);
    assert_int_equal(c->limits.workers, 512);
    assert_int_equal(c->queue.retry.n, 5);
    assert_null(c->relay.host);
    assert_true(c->authentication.check && c->authentication.enforce && c->authentication.arc);
    assert_int_equal(c->authentication.time_limit, 20000);
    assert_int_equal(c->authentication.organizational_domain, DMARC_TREEWALK);
    config_free(c);
}

static void destinations_have_their_own_tls(void **state)
{
    (void)state;
    struct config *c = parse_ok("hostname = a.test\noutbound { destination = {\"Bank.test tls=required mx=*.bank.test mx=mx.bank.test\",\n"
                                "\"*.b\xc3\xbc" "cher.test trust=ca.pem\", \"old.test tls=legacy\",\n"
                                "\"k.test key=00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\"} }\n");
    const struct config_destination *d = c->outbound.destinations.v;
    assert_int_equal(c->outbound.destinations.n, 4);
    assert_string_equal(d[0].domain, "bank.test");
    assert_int_equal(d[0].tls, DESTINATION_REQUIRED);
    assert_int_equal(d[0].n_mx, 2);
    assert_string_equal(d[0].mx[0], "*.bank.test");
    assert_string_equal(d[1].domain, "*.xn--bcher-kva.test");
    assert_int_equal(d[1].tls, DESTINATION_REQUIRED);
    assert_string_equal(d[1].trust, "/etc/f/ca.pem");
    assert_int_equal(d[2].tls, DESTINATION_LEGACY);
    assert_int_equal(d[3].n_keys, 1);
    assert_int_equal(d[3].keys[0][31], 0xff);
    config_free(c);
}

static void mistakes_are_told_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *errors;
    } table[] = {
        {"hostname = a.test\nlisen = 1\n", "facteur.conf:2: no such option 'lisen'\n"},
        {"hostname = a.test\nlistten {\n smtp = \"127.0.0.1:25\"\n}\nuser = \"\"\n",
         "facteur.conf:2: no such option 'listten'\nfacteur.conf:5: 'user' is empty\n"},
        {"hostname = a.test\nlisten {\n smpt = \"127.0.0.1:25\"\n}\n", "facteur.conf:3: no such option 'smpt'\n"},
        {"hostname = \"a b\"\n", "facteur.conf:1: 'hostname' must be a host name, not 'a b'\n"},
        {"hostname = a.test\nhostname = b.test\n", "facteur.conf:2: 'hostname' was set before, on line 1\n"},
        {"hostname = a.test\nlisten {\n\n smtp = \"mx.test:25\"\n}\n",
         "facteur.conf:4: 'smtp' must be an address and port such as \"127.0.0.2:25\" or \"[::1]:25\", not 'mx.test:25'\n"},
        {"hostname = a.test\nlisten { imaps = \"127.0.0.1:993\" }\n",
         "facteur.conf:2: 'imaps' needs a certificate and key in tls { }, or acme { }\n"},
        {"hostname = a.test\ntls {\n certificate = {a, b}\n key = a\n}\n",
         "facteur.conf:3: 2 'certificate' but 1 'key': they go in pairs\n"},
        {"hostname = a.test\nlimits {\n workers = many\n recipients = 0\n}\n",
         "facteur.conf:3: 'workers' must be a number from 1 to 10000, not 'many'\n"
         "facteur.conf:4: 'recipients' must be a number from 1 to 100000, not '0'\n"},
        {"hostname = a.test\nqueue { expire = 5 }\n",
         "facteur.conf:2: 'expire' must be a time such as 30s, 5min, 4h or 5d (1s to 365 days), not '5'\n"},
        {"hostname = a.test\nlimits { message-size = 9gb }\n",
         "facteur.conf:2: 'message-size' must be a size such as 50mb (1 kb to 1024 mb), not '9gb'\n"},
        {"hostname = a.test\nrelay-from = {\"127.0.0.1/99\"}\n",
         "facteur.conf:2: 'relay-from' must be networks such as \"192.0.2.0/24\", not '127.0.0.1/99'\n"},
        {"hostname = a.test\noutbound { destination = \"tls=required\" }\n",
         "facteur.conf:2: 'destination' must begin with a domain, or \"*.\" and a domain for all below it\n"},
        {"hostname = a.test\noutbound { destination = \"a.test\" }\n", "facteur.conf:2: a 'destination' needs a word behind its domain\n"},
        {"hostname = a.test\noutbound { destination = \"a.test tls=optional trust=x\" }\n",
         "facteur.conf:2: 'trust' and 'key' of a 'destination' go with tls=required\n"},
        {"hostname = a.test\noutbound { destination = \"a.test tls=none\" }\n",
         "facteur.conf:2: 'tls=none' is not a word of 'destination': tls=optional, legacy, encrypted or required, mx=HOST or mx=*.DOMAIN, "
         "trust=FILE, key=SHA-256 (64 hexadecimal digits)\n"},
        {"hostname = a.test\nstore = \"postgresql://x\"\n",
         "facteur.conf:2: 'store' can only be \"sqlite\" in this version, not 'postgresql://x'\n"},
        {"hostname = a.test\nrelay {\n username = us\n}\n",
         "facteur.conf:3: 'username' and 'password-file' go together\nfacteur.conf:3: relay { } needs a 'host'\n"},
        {"hostname = a.test\nauthentication {\n check = perhaps\n time-limit = 1h\n trusted-sealers = {a.test, \"b c\"}\n"
         " trusted-forwarders = here\n organizational-domain = guess\n}\n",
         "facteur.conf:3: 'check' must be yes or no, not 'perhaps'\n"
         "facteur.conf:4: 'time-limit' must be a time such as 20s or 1min (at most 5 minutes), not '1h'\n"
         "facteur.conf:5: 'trusted-sealers' must be domain names such as \"lists.example.org\", not 'b c'\n"
         "facteur.conf:6: 'trusted-forwarders' must be networks such as \"192.0.2.0/24\", not 'here'\n"
         "facteur.conf:7: 'organizational-domain' must be \"tree-walk\" or \"public-suffix-list\", not 'guess'\n"},
        {"hostname = a.test\nplaintext-login = maybe\n", "facteur.conf:2: 'plaintext-login' must be yes or no, not 'maybe'\n"},
        {"hostname = a.test\nlog-level = loud\n", "facteur.conf:2: 'log-level' must be debug, info, warn or error\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_errors(table[i].text, table[i].errors);
}

static void broken_syntax_is_an_error(void **state)
{
    (void)state;
    static const char *const table[] = {"listen {", "hostname", "hostname = ", "hostname = {a, b}", "= 3", "}", "hostname = \"abc",
                                        "listen { smtp = { }", "\x80\xff = \x01"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buf errors;
        struct config *c;
        buf_init(&errors, 65536);
        if (config_parse("facteur.conf", view_str(table[i]), &c, &errors) != RC_SYNTAX)
            fail_msg("accepted: %s", table[i]);
        assert_true(view_starts(buf_view(&errors), VIEW("facteur.conf:")));
        buf_clear(&errors);
    }
    expect_errors("x", "facteur.conf:1: no such option 'x'\n");
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct buf errors;
    struct config *c;
    buf_init(&errors, 65536);
    assert_int_equal(config_parse("facteur.conf", view_of("hostname = a\0b", 14), &c, &errors), RC_SYNTAX);
    buf_clear(&errors);
}

static void sizes_and_times(void **state)
{
    (void)state;
    uint64_t n;
    int64_t ms;
    assert_int_equal(config_size(VIEW("50mb"), UINT64_MAX, &n), RC_OK);
    assert_int_equal(n, 50 << 20);
    assert_int_equal(config_size(VIEW("3 KB"), UINT64_MAX, &n), RC_OK);
    assert_int_equal(n, 3072);
    assert_int_equal(config_size(VIEW("7"), UINT64_MAX, &n), RC_OK);
    assert_int_equal(config_size(VIEW("50m"), UINT64_MAX, &n), RC_SYNTAX);
    assert_int_equal(config_size(VIEW("mb"), UINT64_MAX, &n), RC_SYNTAX);
    assert_int_equal(config_size(VIEW("-1kb"), UINT64_MAX, &n), RC_SYNTAX);
    assert_int_equal(config_size(VIEW("17179869184gb"), UINT64_MAX, &n), RC_LIMIT);
    assert_int_equal(config_size(VIEW("2kb"), 1024, &n), RC_LIMIT);
    assert_int_equal(config_duration(VIEW("250ms"), INT64_MAX, &ms), RC_OK);
    assert_int_equal(ms, 250);
    assert_int_equal(config_duration(VIEW("4h"), INT64_MAX, &ms), RC_OK);
    assert_int_equal(ms, 4 * 3600 * 1000);
    assert_int_equal(config_duration(VIEW("4"), INT64_MAX, &ms), RC_SYNTAX);
    assert_int_equal(config_duration(VIEW("4m"), INT64_MAX, &ms), RC_SYNTAX);
    assert_int_equal(config_duration(VIEW("999999999999999999d"), INT64_MAX, &ms), RC_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_example_is_read),   cmocka_unit_test(defaults_hold_for_an_almost_empty_file),
        cmocka_unit_test(destinations_have_their_own_tls), cmocka_unit_test(mistakes_are_told_with_file_and_line), cmocka_unit_test(broken_syntax_is_an_error),
        cmocka_unit_test(a_nul_byte_is_refused),            cmocka_unit_test(sizes_and_times),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
