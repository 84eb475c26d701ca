/* Unit tests of policy/forward: whose sender is rewritten, and where bounces go. */
#include "policy/forward.h"

#include "store/store_fixture.h"

#define NOW_S INT64_C(1800000000)
#define A50   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct view sender_for(struct fixture *f, const char *sender, const char *rcpt)
{
    struct view out;
    assert_int_equal(forward_sender(f->s, view_str(sender), view_str(rcpt), NOW_S, &f->a, &out), RC_OK);
    return out;
}

static void foreign_senders_alone_are_rewritten(void **state)
{
    static const struct {
        const char *sender, *rcpt, *end; /* of the new one; NULL: it stays */
    } cases[] = {
        {"marie@labas.test", "info@ici.test", "=labas.test=marie@ici.test"},
        {"marie@labas.test", "info@ICI.test", "=labas.test=marie@ici.test"},
        {"marie@labas.test", "info@second.test", "=labas.test=marie@second.test"},
        {"marie@labas.test", "postmaster", "=labas.test=marie@ici.test"},
        {"marie@labas.test", "postmaster@[192.0.2.1]", "=labas.test=marie@ici.test"},
        {"marie@m\xc3\xbcnchen.test", "info@ici.test", "=xn--mnchen-3ya.test=marie@ici.test"},
        {"", "info@ici.test", NULL},
        {"anna@ici.test", "info@ici.test", NULL},
        {"anna@SECOND.test", "info@ici.test", NULL},
        {"marie@[192.0.2.9]", "info@ici.test", NULL},
        {A50 A50 A50 A50 "@long-enough-to-be-too-much.test", "info@ici.test", NULL},
    };
    struct fixture *f = *state;

    fixture_account(f, "anna@ici.test");
    assert_int_equal(directory_domain_add(f->s, VIEW("second.test")), RC_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view out = sender_for(f, cases[i].sender, cases[i].rcpt);
        if (cases[i].end)
            assert_true(view_starts(out, VIEW("SRS0=")) && view_ends(out, view_str(cases[i].end)));
        else
            assert_int_equal(out.n, 0);
    }
}

static void bounces_find_the_sender(void **state)
{
    struct fixture *f = *state;
    struct view srs, back;

    fixture_account(f, "anna@ici.test");
    srs = sender_for(f, "marie@labas.test", "info@ici.test");
    fixture_reopen(f); /* the secret stays */
    assert_int_equal(forward_back(f->s, srs, NOW_S, &f->a, &back), RC_OK);
    assert_true(view_eq(back, VIEW("marie@labas.test")));
    assert_int_equal(forward_back(f->s, srs, NOW_S + 22 * 86400, &f->a, &back), RC_TIMEOUT);
    assert_int_equal(forward_back(f->s, VIEW("SRS0=AAAAAAAA=LB=labas.test=marie@ici.test"), NOW_S, &f->a, &back), RC_DENIED);
    assert_int_equal(forward_back(f->s, VIEW("anna@ici.test"), NOW_S, &f->a, &back), RC_NOTFOUND);
    /* Forwarded by us, then by others, then by us: the way back passes us twice. */
    const char *round = arena_printf(&f->a, "SRS1=theirs=ici.test=%.*s@labas.test",
                                     (int)(view_rchr(srs, '@') - 4), srs.p + 4);
    srs = sender_for(f, round, "info@ici.test");
    assert_true(view_starts(srs, VIEW("SRS1=")));
    assert_int_equal(forward_back(f->s, srs, NOW_S, &f->a, &back), RC_OK);
    assert_true(view_eq(back, VIEW("marie@labas.test")));
    /* The sender's domain has become ours. */
    srs = sender_for(f, "marie@labas.test", "info@ici.test");
    assert_int_equal(directory_domain_add(f->s, VIEW("labas.test")), RC_OK);
    assert_int_equal(forward_back(f->s, srs, NOW_S, &f->a, &back), RC_OK);
    assert_true(view_eq(back, VIEW("marie@labas.test")));
}

static void circles_end(void **state)
{
    struct fixture *f = *state;
    struct view srs, back;

    fixture_account(f, "anna@ici.test");
    /* An SRS0 of a host whose domain is ours now, but not of our hand. */
    srs = sender_for(f, "SRS0=hash=tt=far.test=x@labas.test", "info@ici.test");
    assert_int_equal(directory_domain_add(f->s, VIEW("labas.test")), RC_OK);
    assert_int_equal(forward_back(f->s, srs, NOW_S, &f->a, &back), RC_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(foreign_senders_alone_are_rewritten, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(bounces_find_the_sender, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(circles_end, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
