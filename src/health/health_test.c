/* Unit tests of health/: domains in a scripted DNS, and what is said of them. Hosts that answer are met in test/test_doctor.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/health.h"
#include "health/health_records.h"
#include "sys/thread.h"

static const char zone[] =
    "good.test MX 10 mx.good.test\n"
    "+mx.good.test A 192.0.2.1\n"
    "mx.good.test AAAA 2001:db8::1\n"
    "1.2.0.192.in-addr.arpa PTR mx.good.test\n"
    "good.test TXT \"v=spf1 mx include:_spf.good.test -all\"\n"
    "_spf.good.test TXT \"v=spf1 ip4:192.0.2.0/24 ?all\"\n"
    "_dmarc.good.test TXT \"v=DMARC1; p=reject; rua=mailto:d@good.test,mailto:d@reports.test,mailto:d@silent.test\"\n"
    "good.test._report._dmarc.reports.test TXT \"v=DMARC1\"\n"
    "_smtp._tls.good.test TXT \"v=TLSRPTv1; rua=mailto:t@good.test\"\n"
    "bad.test MX 10 bad-host.test\n"
    "bad.test MX 20 192.0.2.9\n"
    "bad.test MX 30 alias.test\n"
    "alias.test CNAME mx.good.test\n"
    "bad.test TXT \"v=spf1 a mx ptr include:loop.test include:none.test include:a.test include:b.test exists:%{i}.x.test a:1.test"
    " a:2.test a:3.test +all\"\n"
    "loop.test TXT \"v=spf1 include:bad.test -all\"\n"
    "_smtp._tls.loop.test TXT \"v=TLSRPTv1; rua=postmaster@loop.test\"\n"
    "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:x@a.test\"\n"
    "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:y@a.test\"\n"
    "a.test TXT \"v=spf1 ip4:1.2.3 -all\"\n"
    "b.test TXT \"v=spf1 -all\"\n"
    "b.test TXT \"v=spf1 +all\"\n"
    "_dmarc.bad.test TXT \"v=DMARC1; p=none; pct=50\"\n"
    "default._domainkey.bad.test TXT \"v=DKIM1; p=!!\"\n"
    "nomail.test MX 0 .\n"
    "nomail.test TXT \"v=spf1 redirect=redirected.test\"\n"
    "redirected.test TXT \"v=spf1 -all\"\n"
    "good.test NS ns1.good.test\ngood.test NS ns2.good.test\nns1.good.test A 127.0.0.1\nns1.good.test AAAA 2001:db8::53\n"
    "+signed.test NS ns2.good.test\n+signed.test TXT \"v=spf1 -all\"\n+signed.test MX 10 mx.good.test\n"
    "test CAA 0 issue \"ca.example\"\ntest CAA 0 iodef \"mailto:x@y\"\n"
    "2.0.0.127.list.test A 127.0.0.2\n1.2.0.192.list.test A 127.0.0.4\n1.2.0.192.list.test TXT \"see https://list.test/why\"\n"
    "2.0.0.127.dead.test A 127.0.0.2\n1.0.0.127.dead.test A 127.0.0.2\n"
    "2.0.0.127.shut.test A 127.255.255.254\n1.0.0.127.shut.test A 127.255.255.254\n"
    "2.0.0.127.clean.test A 127.0.0.2\n"
    "costly.test TXT \"v=spf1 a mx include:b1.test include:c1.test ip4:192.0.2.1 -all\"\n"
    "b1.test TXT \"v=spf1 a:1.test a:2.test a:3.test a:4.test -all\"\nc1.test TXT \"v=spf1 a:5.test -all\"\n"
    "a1._domainkey.costly.test TXT \"x\"\n_domainkey.costly.test TXT !nodata\n"
    "redir.test MX 10 mx.good.test\nredir.test TXT \"v=spf1 mx -all redirect=spf.redir.test\"\nspf.redir.test TXT \"v=spf1 mx ~all\"\n"
    "_dmarc.redir.test TXT \"v=DMARC1; p=reject\"\n_dmarc.redir.test TXT \"v=DMARC1; p=none\"\n"
    "lost.test MX 10 mx.good.test\nlost.test TXT \"v=spf1 redirect=gone.test\"\n_dmarc.lost.test TXT \"v=DMARC1; rua=a@lost.test\"\n"
    "macro.test MX 10 mx.good.test\nmacro.test TXT \"v=spf1 exists:%{bad} -all\"\n"
    "_dmarc.macro.test TXT \"v=DMARC1; p=reject; sp=none; np=reject; t=y; psd=n; pct=50; rua=mailto:a@macro.test; ruf=mailto:f@reports.test\"\n"
    "keys.test MX 10 mx.good.test\nmail._domainkey.keys.test TXT \"v=DKIM1; k=ed25519; t=y; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
    "smtp._domainkey.keys.test TXT \"v=DKIM1; p=\"\n"
    "broken.test MX !temp\n"
    "lying.test MX !bogus\n";

static struct arena arena;

static struct health look(struct dns *dns, const char *domain)
{
    static const char *const lists[] = {"list.test", "dead.test", "shut.test", "clean.test"};
    const struct health_settings set = {.dns = dns, .hostname = "mx.ici.test", .port = 25, .now_s = 1800000000, .blocklists = lists,
                                        .n_blocklists = 4};
    struct health h;
    assert_int_equal(health_look(&set, view_str(domain), deadline_in(5000), &arena, &h), RC_OK);
    return h;
}

/* The first point so named about this subject ("" any); its mark, or -1. */
static int mark_of(const struct health *h, const char *id, const char *subject, const char *part)
{
    for (const struct health_point *p = h->points; p; p = p->next)
        if (strcmp(p->id, id) == 0 && (subject[0] == '\0' || view_eq(p->subject, view_str(subject))) &&
            view_find(p->text[LANG_EN], view_str(part)) != VIEW_NONE) {
            assert_true(p->mark == HEALTH_GOOD || p->repair[LANG_EN].n > 0 || p->mark == HEALTH_NOTE); /* no red light without a next step */
            return (int)p->mark;
        }
    return -1;
}

static void what_is_good_and_what_is_bad(void **state)
{
    static const struct {
        const char *domain, *id, *subject, *part;
        int mark;
    } cases[] = {
        {"good.test", "mx.records", "", "MX records: 1", HEALTH_GOOD},
        {"good.test", "mx.host", "mx.good.test", "1 IPv4 and 1 IPv6", HEALTH_GOOD},
        {"good.test", "dnssec.mx", "", "The MX records are not proven", HEALTH_NOTE},
        {"good.test", "ptr.name", "", "192.0.2.1 is called mx.good.test", HEALTH_GOOD},
        {"good.test", "ptr.name", "", "2001:db8::1 has no reverse name", HEALTH_WARN},
        {"good.test", "spf.lookups", "", "2 of at most 10", HEALTH_GOOD},
        {"good.test", "spf.end", "", "-all", HEALTH_GOOD},
        {"good.test", "dmarc.policy", "", "rejected", HEALTH_GOOD},
        {"good.test", "dmarc.rua", "silent.test", "", HEALTH_WARN},
        {"good.test", "dmarc.rua", "reports.test", "", -1},
        {"good.test", "dmarc.rua", "good.test", "", -1},
        {"good.test", "tlsrpt.record", "", "", HEALTH_GOOD},
        {"GOOD.test.", "mx.records", "good.test", "", HEALTH_GOOD},
        {"sub.good.test", "dmarc.record", "", "inherited from good.test", HEALTH_GOOD},
        {"bad.test", "mx.host", "bad-host.test", "no address", HEALTH_BAD},
        {"bad.test", "mx.host", "192.0.2.9", "IP address", HEALTH_BAD},
        {"bad.test", "mx.cname", "alias.test", "mx.good.test", HEALTH_WARN},
        {"bad.test", "spf.term", "", "include:loop.test", -1},
        {"bad.test", "spf.term", "loop.test", "never ends", HEALTH_BAD},
        {"bad.test", "spf.term", "bad.test", "include:none.test: there is no such domain", HEALTH_BAD},
        {"bad.test", "spf.term", "a.test", "ip4:1.2.3", HEALTH_BAD},
        {"bad.test", "spf.term", "bad.test", "include:b.test: it has several", HEALTH_BAD},
        {"bad.test", "spf.term", "bad.test", "ptr: ", HEALTH_WARN},
        {"bad.test", "spf.term", "bad.test", "+all: this lets the whole world", -1}, /* told as the end */
        {"bad.test", "spf.end", "", "+all", HEALTH_BAD},
        {"bad.test", "spf.void", "bad.test", "a:3.test finds nothing", HEALTH_NOTE},
        {"bad.test", "spf.voids", "", " of its look-ups find nothing", HEALTH_BAD},
        {"good.test", "spf.void", "", "", -1},
        {"spf.redir.test", "spf.redirect", "", "", -1},
        {"redir.test", "spf.redirect", "", "redirect=spf.redir.test counts for nothing", HEALTH_WARN},
        {"lost.test", "spf.term", "", "redirect=gone.test: there is no such domain", HEALTH_BAD},
        {"lost.test", "spf.end", "", "", -1},
        {"macro.test", "spf.term", "", "%{bad}", HEALTH_BAD},
        {"macro.test", "spf.end", "", "", -1},
        {"redir.test", "dmarc.record", "", "There are 2 DMARC records", HEALTH_BAD},
        {"lost.test", "dmarc.record", "", "counts as none: v=DMARC1; rua=a@lost.test", HEALTH_BAD},
        {"macro.test", "dmarc.sub", "", "weaker", HEALTH_WARN},
        {"macro.test", "dmarc.syntax", "", "pct is of RFC 7489", HEALTH_NOTE},
        {"macro.test", "dmarc.test", "", "t=y", HEALTH_NOTE},
        {"macro.test", "dmarc.ruf", "reports.test", "does not say", HEALTH_WARN},
        {"keys.test", "dkim.key", "mail._domainkey.keys.test", "Ed25519", HEALTH_GOOD},
        {"keys.test", "dkim.testing", "", "t=y", HEALTH_NOTE},
        {"keys.test", "dkim.revoked", "smtp._domainkey.keys.test", "revoked", HEALTH_NOTE},
        {"bad.test", "dkim.key", "default._domainkey.bad.test", "not base64", HEALTH_BAD},
        {"nomail.test", "dmarc.record", "", "no DMARC record", HEALTH_BAD},
        {"bad.test", "spf.lookups", "", "12 look-ups", HEALTH_BAD},
        {"bad.test", "dmarc.policy", "", "none", HEALTH_WARN},
        {"bad.test", "dmarc.rua", "", "Nobody gets reports", HEALTH_WARN},
        {"bad.test", "tlsrpt.record", "", "no TLS-RPT", HEALTH_NOTE},
        {"loop.test", "tlsrpt.record", "", "cannot be read", HEALTH_WARN},
        {"a.test", "tlsrpt.record", "", "several", HEALTH_WARN},
        {"good.test", "ns.count", "", "Name servers: 2", HEALTH_GOOD},
        {"good.test", "ns.ipv6", "", "One name server alone", HEALTH_NOTE},
        {"good.test", "ns.host", "ns2.good.test", "no address", HEALTH_WARN},
        {"signed.test", "ns.count", "", "one name server", HEALTH_WARN},
        {"signed.test", "dnssec.domain", "", "signatures hold", HEALTH_GOOD},
        {"good.test", "dnssec.domain", "", "not signed", HEALTH_NOTE},
        {"good.test", "caa.record", "mx.good.test", "CAA records at test say who may issue certificates: ca.example.", HEALTH_GOOD},
        {"good.test", "list.listed", "mx.good.test", "192.0.2.1 stands on the blocklist list.test: see https://list.test/why", HEALTH_BAD},
        {"good.test", "list.listed", "", "No address stands on the blocklist clean.test", HEALTH_GOOD},
        {"good.test", "list.works", "dead.test", "does not work", HEALTH_NOTE},
        {"good.test", "list.works", "shut.test", "does not answer us", HEALTH_NOTE},
        {"costly.test", "spf.lookups", "", "9 of at most 10", HEALTH_NOTE},
        {"costly.test", "spf.cost", "", "include:b1.test takes 5 look-ups", HEALTH_NOTE},
        {"costly.test", "spf.cost", "", "mx takes one look-up", HEALTH_NOTE},
        {"costly.test", "spf.cost", "", "ip4", -1},
        {"costly.test", "dkim.key", "", "only its messages tell", HEALTH_NOTE},
        {"good.test", "dkim.key", "", "There are no DKIM keys", HEALTH_BAD},
        {"nomail.test", "mx.records", "", "null MX", HEALTH_NOTE},
        {"nomail.test", "spf.end", "", "-all", HEALTH_GOOD},
        {"nomail.test", "tlsrpt.record", "", "", -1},
        {"nowhere.test", "mx.records", "", "no such domain", HEALTH_BAD},
        {"nowhere.test", "spf.record", "", "", -1}, /* nobody is helped by a list of what a name that does not exist lacks */
        {"nowhere.test", "dmarc.record", "", "", -1},
        {"broken.test", "look.rest", "", "", HEALTH_UNKNOWN},
        {"broken.test", "spf.record", "", "", -1},
        {"broken.test", "mx.records", "", "no answer", HEALTH_UNKNOWN},
        {"lying.test", "mx.records", "", "DNSSEC", HEALTH_BAD},
    };
    struct dns *dns = NULL;
    (void)state;
    assert_int_equal(dns_new_scripted(zone, &dns), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct health h = look(dns, cases[i].domain);
        int mark = mark_of(&h, cases[i].id, cases[i].subject, cases[i].part);
        if (mark != cases[i].mark)
            print_error("case %zu: %s %s: mark %d\n", i, cases[i].domain, cases[i].id, mark);
        assert_int_equal(mark, cases[i].mark);
        arena_reset(&arena);
    }
    dns_free(dns);
}

/* A record that includes ten others, each of which does the same: bounded, and said to be too much. */
static void bombs_are_cut(void **state)
{
    struct buf script;
    struct dns *dns = NULL;
    (void)state;
    buf_init(&script, 1 << 20);
    for (int level = 0; level < 12; level++)
        for (int i = 0; i < 10; i++) {
            buf_printf(&script, "%c%d.test TXT \"v=spf1", 'a' + level, i);
            for (int j = 0; j < 10; j++)
                buf_printf(&script, " include:%c%d.test", 'b' + level, j);
            buf_str(&script, " -all\"\n");
        }
    buf_chr(&script, '\0');
    assert_int_equal(dns_new_scripted(script.p, &dns), RC_OK);
    struct health h = look(dns, "a0.test");
    assert_int_equal(mark_of(&h, "spf.lookups", "", "look-ups"), HEALTH_BAD);
    assert_true(h.spf.cut);
    assert_true(h.spf.lookups < 500);
    dns_free(dns);
    buf_clear(&script);
    arena_clear(&arena);
}

static void names_that_are_none(void **state)
{
    static const char *const names[] = {"", ".", "a..b", "[192.0.2.1]", "a b", "a\r\nb.test"};
    struct dns *dns = NULL;
    struct health h;
    (void)state;
    assert_int_equal(dns_new_scripted("", &dns), RC_OK);
    const struct health_settings set = {.dns = dns, .hostname = "x", .port = 25};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(health_look(&set, view_str(names[i]), deadline_in(1000), &arena, &h), RC_SYNTAX);
    dns_free(dns);
    arena_clear(&arena);
}

static void french_takes_the_same_arguments(void **state)
{
    (void)state;
    for (const struct lang_pair *pair = health_words; pair->en; pair++) {
        if (!lang_pair_agrees(pair))
            print_error("%s\n", pair->en);
        assert_true(lang_pair_agrees(pair));
    }
}

static void points_are_told_in_both_languages(void **state)
{
    struct dns *dns = NULL;
    (void)state;
    assert_int_equal(dns_new_scripted(zone, &dns), RC_OK);
    struct health h = look(dns, "bad.test");
    bool found = false;
    for (const struct health_point *p = h.points; p; p = p->next)
        if (strcmp(p->id, "spf.lookups") == 0) {
            found = true;
            assert_true(view_starts(p->text[LANG_FR], VIEW("Il demande 12 ")));
            assert_true(view_starts(p->repair[LANG_FR], VIEW("Retirez")));
        }
    assert_true(found);
    dns_free(dns);
    arena_reset(&arena);
}

/* A name server in small: answers one question, with the rcode given. */
static void serve_dns(void *arg)
{
    int listener = *(int *)arg, s = accept(listener, NULL, NULL);
    char q[600];
    ssize_t n = recv(s, q, sizeof q, 0);
    if (n > 14) {
        q[4] = (char)(q[4] | 0x80); /* an answer; nothing else of it is looked at */
        send(s, q, (size_t)n, MSG_NOSIGNAL);
    }
    close(s);
}

static void name_servers_are_asked(void **state)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    struct dns *dns = NULL;
    struct health h;
    pthread_t thread;
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
    assert_int_equal(thread_start("dns", serve_dns, &listener, &thread), RC_OK);
    assert_int_equal(dns_new_scripted("x.test NS ns.x.test\nns.x.test A 127.0.0.1\n", &dns), RC_OK);
    struct health_settings set = {.dns = dns, .hostname = "mx.ici.test", .port = 1, .ns_port = ntohs(sin.sin_port), .connect = true};
    assert_int_equal(health_look(&set, VIEW("x.test"), deadline_in(5000), &arena, &h), RC_OK);
    assert_int_equal(mark_of(&h, "ns.host", "", "All name servers answer"), HEALTH_GOOD);
    pthread_join(thread, NULL);
    close(listener);
    assert_int_equal(health_look(&set, VIEW("x.test"), deadline_in(5000), &arena, &h), RC_OK);
    assert_int_equal(mark_of(&h, "ns.host", "ns.x.test", "does not answer for the domain by IPv4"), HEALTH_WARN);
    set.public_only = true; /* nobody on the web makes us talk to our own network */
    assert_int_equal(health_look(&set, VIEW("x.test"), deadline_in(5000), &arena, &h), RC_OK);
    assert_int_equal(mark_of(&h, "ns.host", "", ""), -1);
    dns_free(dns);
    arena_reset(&arena);
}

/* RFC 1035 §5.1 on one side, the DNS on the other. */
static void records_are_compared(void **state)
{
    static const char script[] = "ici.test MX 10 MX.ici.test\n"
                                 "mx.ici.test A 192.0.2.1\nmx.ici.test AAAA 2001:db8::1\n"
                                 "ici.test TXT \"v=spf1 \" \"mx -all\"\nici.test TXT \"other=1\"\n"
                                 "_dmarc.ici.test TXT \"v=DMARC1; p=none\"\n"
                                 "_25._tcp.mx.ici.test TLSA 3 1 1 00ff\n"
                                 "_imaps._tcp.ici.test SRV 0 1 993 mx.ici.test\n_pop3._tcp.ici.test SRV 0 0 0 .\n"
                                 "ici.test CAA 0 issue \"ca.test\"\n"
                                 "mta-sts.ici.test CNAME mx.ici.test\nbroken.test TXT !temp\n";
    static const struct {
        const char *name, *type, *value;
        enum health_record_state state;
        size_t n_found;
    } cases[] = {
        {"ici.test.", "MX", "10 mx.ici.test.", HEALTH_RECORD_PUBLISHED, 1},
        {"ici.test.", "MX", "20 mx.ici.test.", HEALTH_RECORD_DIFFERENT, 1},
        {"mx.ici.test.", "A", "192.0.2.1", HEALTH_RECORD_PUBLISHED, 1},
        {"mx.ici.test.", "AAAA", "2001:DB8:0::1", HEALTH_RECORD_PUBLISHED, 1},
        {"ici.test.", "TXT", "\"v=spf1 mx -all\"", HEALTH_RECORD_PUBLISHED, 1},
        {"ici.test.", "TXT", "\"v=spf1 mx a -all\"", HEALTH_RECORD_DIFFERENT, 1},
        {"ici.test.", "TXT", "\"v=BIMI1; l=\"", HEALTH_RECORD_MISSING, 0},
        {"_dmarc.ici.test.", "TXT", "\"v=DMARC1; p=reject\"", HEALTH_RECORD_DIFFERENT, 1},
        {"_dmarc.ici.test.", "TXT", "\"v=DMARC1; p=none; ruf=mailto:x@ici.test; fo=1\"", HEALTH_RECORD_PUBLISHED, 1},
        {"_25._tcp.mx.ici.test.", "TLSA", "3 1 1 00FF", HEALTH_RECORD_PUBLISHED, 1},
        {"_25._tcp.mx.ici.test.", "TLSA", "3 1 1 01FF", HEALTH_RECORD_DIFFERENT, 1},
        {"_imaps._tcp.ici.test.", "SRV", "0 1 993 mx.ici.test.", HEALTH_RECORD_PUBLISHED, 1},
        {"_pop3._tcp.ici.test.", "SRV", "0 0 0 .", HEALTH_RECORD_PUBLISHED, 1},
        {"ici.test.", "CAA", "0 issue \"ca.test\"", HEALTH_RECORD_PUBLISHED, 1},
        {"mta-sts.ici.test.", "CNAME", "mx.ici.test.", HEALTH_RECORD_PUBLISHED, 1},
        {"_smtp._tls.ici.test.", "TXT", "\"v=TLSRPTv1; rua=mailto:x@ici.test\"", HEALTH_RECORD_MISSING, 0},
        {"broken.test.", "TXT", "\"x\"", HEALTH_RECORD_UNKNOWN, 0},
        {"ici.test.", "HINFO", "x", HEALTH_RECORD_UNKNOWN, 0},
    };
    struct dns *dns = NULL;
    json_t *j;
    (void)state;
    assert_int_equal(dns_new_scripted(script, &dns), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct health_record r = {view_str(cases[i].name), view_str(cases[i].type), view_str(cases[i].value)};
        assert_int_equal(health_records_compare(dns, &r, 1, deadline_in(1000), &arena), RC_OK);
        if (r.state != cases[i].state || r.n_found != cases[i].n_found)
            print_error("case %zu: state %d, found %zu\n", i, r.state, r.n_found);
        assert_int_equal(r.state, cases[i].state);
        assert_int_equal(r.n_found, cases[i].n_found);
    }
    const struct view asked = VIEW("{\"records\":[{\"name\":\"ici.test.\",\"type\":\"MX\",\"value\":\"10 mx.ici.test.\"}]}");
    assert_int_equal(health_records_answer(dns, asked, 1, deadline_in(1000), &arena, &j), RC_OK);
    const json_t *first = json_array_get(json_object_get(j, "records"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "state")), "published");
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "found"), 0)), "10 mx.ici.test");
    json_decref(j);
    assert_int_equal(health_records_answer(dns, VIEW("[]"), 1, deadline_in(1000), &arena, &j), RC_SYNTAX);
    dns_free(dns);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_good_and_what_is_bad), cmocka_unit_test(bombs_are_cut),
                                       cmocka_unit_test(names_that_are_none), cmocka_unit_test(french_takes_the_same_arguments),
                                       cmocka_unit_test(points_are_told_in_both_languages), cmocka_unit_test(records_are_compared), cmocka_unit_test(name_servers_are_asked)};
    arena_init(&arena, 64u << 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
