/* Unit tests of store/directory: each good case next to its hostile twin. */
#include "store/directory_dkim.h"
#include "store/store_fixture.h"

static void addresses_have_one_normal_form(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: not an address */
    } cases[] = {
        {"Alice@ICI.test", "alice@ici.test"},
        {"\"Alice\"@ici.test", "alice@ici.test"},
        {"\"a\\\"b\"@ici.test", "a\"b@ici.test"},
        {"\"a@b\"@ici.test", "a@b@ici.test"},
        {"J\xc3\xbcrgen@M\xc3\xbcnchen.test", "j\xc3\xbcrgen@xn--mnchen-3ya.test"},
        {"J\xc3\x9crgen@xn--mnchen-3ya.TEST", "j\xc3\xbcrgen@xn--mnchen-3ya.test"},
        {"\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd@ici.test", "\xd0\xb8\xd0\xb2\xd0\xb0\xd0\xbd@ici.test"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]"},
        {"alice", NULL},
        {"@ici.test", NULL},
        {"alice@", NULL},
        {"alice@a..b", NULL},
        {"alice@.b", NULL},
        {"alice@b.", NULL},
        {"alice@b c", NULL},
        {"al\nice@b", NULL},
        {"al\xff@b", NULL},
        {"\"alice@b", NULL},
        {"alice@[192.0.2.1", NULL},
    };
    struct arena a;
    struct view out;

    (void)state;
    arena_init(&a, 1u << 16);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].in);
        char *exact = malloc(n);
        memcpy(exact, cases[i].in, n);
        enum rc rc = directory_normalise(view_of(exact, n), &a, &out);
        if (cases[i].out) {
            assert_int_equal(rc, RC_OK);
            assert_int_equal(out.n, strlen(cases[i].out));
            assert_memory_equal(out.p, cases[i].out, out.n);
        } else {
            assert_int_equal(rc, RC_SYNTAX);
        }
        free(exact);
    }
    char label[80] = "a@";
    memset(label + 2, 'x', 64); /* RFC 1035 §2.3.4 */
    assert_int_equal(directory_normalise(view_of(label, 65), &a, &out), RC_OK);
    assert_int_equal(directory_normalise(view_of(label, 66), &a, &out), RC_SYNTAX);
    arena_clear(&a);
}

static void domains_come_and_go(void **state)
{
    struct fixture *f = *state;
    bool has;
    struct view *list;
    size_t n;
    uint64_t id;

    assert_int_equal(directory_domain_add(f->s, VIEW("Ici.Test")), RC_OK);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_EXISTS);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici..test")), RC_SYNTAX);
    assert_int_equal(directory_domain_add(f->s, VIEW("-ici.test")), RC_SYNTAX);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici-.test")), RC_SYNTAX);
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test-")), RC_SYNTAX);
    assert_int_equal(directory_domain_add(f->s, VIEW("[192.0.2.1]")), RC_SYNTAX);
    assert_int_equal(directory_has_domain(f->s, VIEW("ICI.TEST"), &has), RC_OK);
    assert_true(has);
    assert_int_equal(directory_has_domain(f->s, VIEW("evil.test"), &has), RC_OK);
    assert_false(has);
    assert_int_equal(directory_has_domain(f->s, VIEW("no domain"), &has), RC_OK);
    assert_false(has);
    assert_int_equal(directory_account_add(f->s, VIEW("a@other.test"), &id), RC_NOTFOUND);
    assert_int_equal(directory_account_add(f->s, VIEW("a@ici.test"), &id), RC_OK);
    assert_int_equal(directory_domain_remove(f->s, VIEW("ici.test")), RC_EXISTS);
    assert_int_equal(directory_account_remove(f->s, VIEW("A@ici.test"), &id), RC_OK);
    assert_int_equal(directory_account_remove(f->s, VIEW("a@ici.test"), &id), RC_NOTFOUND);
    assert_int_equal(directory_domain_add(f->s, VIEW("aa.test")), RC_OK);
    assert_int_equal(directory_domains(f->s, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(view_eq(list[0], VIEW("aa.test")));
    assert_int_equal(directory_domain_remove(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(directory_domain_remove(f->s, VIEW("ici.test")), RC_NOTFOUND);
}

static void account_numbers_are_never_used_again(void **state)
{
    struct fixture *f = *state;
    uint64_t first = fixture_account(f, "alice@ici.test"), second, again;
    struct directory_account account, *list;
    size_t n;

    assert_int_equal(directory_account_add(f->s, VIEW("ALICE@ici.test"), &again), RC_EXISTS);
    second = fixture_account(f, "bob@ici.test");
    assert_int_equal(directory_account_remove(f->s, VIEW("bob@ici.test"), &again), RC_OK);
    assert_int_equal(again, second);
    fixture_reopen(f);
    assert_true(fixture_account(f, "bob@ici.test") > second);
    assert_int_equal(directory_login(f->s, VIEW("Alice@Ici.Test"), &f->a, &account), RC_OK);
    assert_int_equal(account.id, first);
    assert_int_equal(account.role, ROLE_USER);
    assert_int_equal(directory_login(f->s, VIEW("alice"), &f->a, &account), RC_NOTFOUND);
    assert_int_equal(directory_login(f->s, VIEW("eve@ici.test"), &f->a, &account), RC_NOTFOUND);
    assert_int_equal(directory_account_set_role(f->s, VIEW("alice@ici.test"), ROLE_OWNER), RC_OK);
    assert_int_equal(directory_account_set_role(f->s, VIEW("eve@ici.test"), ROLE_OWNER), RC_NOTFOUND);
    assert_int_equal(directory_account_by_id(f->s, first, &f->a, &account), RC_OK);
    assert_int_equal(account.role, ROLE_OWNER);
    assert_int_equal(directory_account_by_id(f->s, 999, &f->a, &account), RC_NOTFOUND);
    assert_int_equal(directory_accounts(f->s, VIEW(""), &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(view_eq(list[1].address, VIEW("bob@ici.test")));
    assert_int_equal(directory_accounts(f->s, VIEW("other.test"), &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 0);
}

static void set_alias(struct fixture *f, const char *alias, const char *one, const char *two)
{
    struct view targets[2] = {view_str(one), view_str(two)};
    assert_int_equal(directory_alias_set(f->s, view_str(alias), targets, two ? 2 : 1), RC_OK);
}

static void routes_lead_to_people(void **state)
{
    struct fixture *f = *state;
    uint64_t alice = fixture_account(f, "alice@ici.test"), bob = fixture_account(f, "bob@ici.test");
    struct directory_target *t;
    size_t n;

    set_alias(f, "info@ici.test", "Alice@ici.test", "Someone@Labas.TEST");
    set_alias(f, "all@ici.test", "info@ici.test", "bob@ici.test");
    set_alias(f, "twice@ici.test", "alice@ici.test", "info@ici.test");
    set_alias(f, "lost@ici.test", "gone@ici.test", NULL);

    assert_int_equal(directory_route(f->s, VIEW("ALICE@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(t[0].account, alice);
    assert_false(t[0].via_alias);
    assert_int_equal(directory_route(f->s, VIEW("alice+Lists@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(t[0].account, alice);
    assert_true(view_eq(t[0].detail, VIEW("lists")));
    assert_true(view_eq(t[0].address, VIEW("alice@ici.test")));
    assert_int_equal(directory_route(f->s, VIEW("all@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(n, 3);
    assert_int_equal(t[0].account, alice);
    assert_true(t[0].via_alias);
    assert_int_equal(t[1].account, 0);
    assert_true(view_eq(t[1].address, VIEW("Someone@labas.test"))); /* RFC 5321 §2.4: a foreign local part as given */
    assert_int_equal(t[2].account, bob);
    assert_int_equal(directory_route(f->s, VIEW("twice@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(n, 2); /* alice once */
    assert_int_equal(directory_route(f->s, VIEW("info+x@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(n, 2);

    assert_int_equal(directory_route(f->s, VIEW("eve@ici.test"), &f->a, &t, &n), RC_NOTFOUND);
    assert_int_equal(directory_route(f->s, VIEW("+x@ici.test"), &f->a, &t, &n), RC_NOTFOUND);
    assert_int_equal(directory_route(f->s, VIEW("lost@ici.test"), &f->a, &t, &n), RC_NOTFOUND);
    assert_int_equal(directory_route(f->s, VIEW("alice@evil.test"), &f->a, &t, &n), RC_DENIED);
    assert_int_equal(directory_route(f->s, VIEW("alice@ici.test@evil.test"), &f->a, &t, &n), RC_DENIED);
    assert_int_equal(directory_route(f->s, VIEW("alice%evil.test@ici.test"), &f->a, &t, &n), RC_NOTFOUND);

    set_alias(f, "@ici.test", "bob@ici.test", NULL);
    assert_int_equal(directory_route(f->s, VIEW("eve@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(t[0].account, bob);
    assert_true(t[0].by_catch_all);
    assert_int_equal(directory_route(f->s, VIEW("info@ici.test"), &f->a, &t, &n), RC_OK);
    assert_false(t[0].by_catch_all || t[1].by_catch_all);
    assert_int_equal(directory_may_send(f->s, bob, VIEW("eve@ici.test")), RC_OK);
    assert_int_equal(directory_may_send(f->s, alice, VIEW("eve@ici.test")), RC_DENIED);
    assert_int_equal(directory_may_send(f->s, bob, VIEW("alice@ici.test")), RC_DENIED);
    assert_int_equal(directory_may_send(f->s, alice, VIEW("info@ici.test")), RC_OK);
    assert_int_equal(directory_may_send(f->s, alice, VIEW("alice+news@ici.test")), RC_OK);
    assert_int_equal(directory_may_send(f->s, alice, VIEW("alice@evil.test")), RC_DENIED);
    assert_int_equal(directory_may_send(f->s, alice, VIEW("nonsense")), RC_DENIED);
    assert_int_equal(directory_alias_remove(f->s, VIEW("@ici.test"), NULL, 0), RC_OK);
    assert_int_equal(directory_alias_remove(f->s, VIEW("@ici.test"), NULL, 0), RC_NOTFOUND);
}

static void there_is_always_a_postmaster(void **state)
{
    struct fixture *f = *state;
    uint64_t alice = fixture_account(f, "alice@ici.test"), bob = fixture_account(f, "bob@ici.test");
    struct directory_target *t;
    size_t n;

    assert_int_equal(directory_route(f->s, VIEW("PostMaster@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(t[0].account, alice);
    assert_int_equal(directory_account_set_role(f->s, VIEW("bob@ici.test"), ROLE_OPERATOR), RC_OK);
    assert_int_equal(directory_route(f->s, VIEW("postmaster@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(t[0].account, bob);
    assert_int_equal(directory_route(f->s, VIEW("postmaster+bounce-1@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(n, 1);
    set_alias(f, "postmaster@ici.test", "post@labas.test", NULL);
    assert_int_equal(directory_route(f->s, VIEW("postmaster@ici.test"), &f->a, &t, &n), RC_OK);
    assert_int_equal(t[0].account, 0);
}

static void circles_are_cut(void **state)
{
    struct fixture *f = *state;
    struct directory_target *t;
    struct directory_alias *list;
    size_t n;
    char alias[32], target[32];

    fixture_account(f, "alice@ici.test");
    set_alias(f, "a@ici.test", "b@ici.test", NULL);
    set_alias(f, "b@ici.test", "a@ici.test", NULL);
    assert_int_equal(directory_route(f->s, VIEW("a@ici.test"), &f->a, &t, &n), RC_LIMIT);
    for (int i = 0; i < DIRECTORY_DEPTH_MAX; i++) {
        snprintf(alias, sizeof alias, "d%d@ici.test", i);
        snprintf(target, sizeof target, "d%d@ici.test", i + 1);
        set_alias(f, alias, target, NULL);
    }
    snprintf(alias, sizeof alias, "d%d@ici.test", DIRECTORY_DEPTH_MAX);
    set_alias(f, alias, "alice@ici.test", NULL);
    assert_int_equal(directory_route(f->s, VIEW("d0@ici.test"), &f->a, &t, &n), RC_LIMIT);
    assert_int_equal(directory_route(f->s, VIEW("d1@ici.test"), &f->a, &t, &n), RC_OK);

    struct view own = VIEW("x@ici.test"), bad = VIEW("no address");
    assert_int_equal(directory_alias_set(f->s, VIEW("alice@ici.test"), &own, 1), RC_EXISTS);
    assert_int_equal(directory_alias_set(f->s, VIEW("x@evil.test"), &own, 1), RC_NOTFOUND);
    assert_int_equal(directory_alias_set(f->s, VIEW("x@ici.test"), &bad, 1), RC_SYNTAX);
    assert_int_equal(directory_aliases(f->s, VIEW("ICI.test"), &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2 + DIRECTORY_DEPTH_MAX + 1);
    assert_true(view_eq(list[0].address, VIEW("a@ici.test")));
    assert_int_equal(list[0].n_targets, 1);
}

static struct directory_dkim_key key_of(const char *selector, enum dkim_key_state state)
{
    return (struct directory_dkim_key){.domain = VIEW("Ici.Test"), .selector = view_str(selector), .algorithm = 0,
                                       .public_key = VIEW("\x30\x00\xff"), .state = state};
}

/* The states of all keys of ici.test by selector: "e1:1 e2:0". */
static void expect_keys(struct fixture *f, const char *want)
{
    struct directory_dkim_key *keys;
    size_t n;
    struct buf b;

    buf_init(&b, 1000);
    assert_int_equal(directory_dkim_keys(f->s, VIEW("ici.test"), &f->a, &keys, &n), RC_OK);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%.*s:%d", i > 0 ? " " : "", VIEW_FMT(keys[i].selector), (int)keys[i].state);
    buf_chr(&b, '\0');
    assert_string_equal(b.p, want);
    buf_clear(&b);
}

static void dkim_keys_have_one_way_through_life(void **state)
{
    struct fixture *f = *state;
    struct directory_dkim_key first[] = {key_of("e1", DKIM_KEY_ACTIVE), key_of("r1", DKIM_KEY_ACTIVE)};
    struct directory_dkim_key second[] = {key_of("e2", DKIM_KEY_NEXT), key_of("r2", DKIM_KEY_NEXT)};
    struct directory_dkim_key third[] = {key_of("e3", DKIM_KEY_ACTIVE), key_of("e1", DKIM_KEY_ACTIVE)}, *keys;
    size_t n;

    assert_int_equal(directory_dkim_add(f->s, first, 2), RC_NOTFOUND); /* no such domain yet */
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(directory_dkim_switch(f->s, VIEW("ici.test")), RC_NOTFOUND);
    assert_int_equal(directory_dkim_add(f->s, first, 2), RC_OK);
    assert_int_equal(directory_dkim_add(f->s, first, 2), RC_EXISTS);
    expect_keys(f, "e1:1 r1:1");
    assert_int_equal(directory_dkim_add(f->s, second, 2), RC_OK);
    assert_int_equal(directory_dkim_add(f->s, second, 1), RC_EXISTS);
    expect_keys(f, "e1:1 e2:0 r1:1 r2:0");
    assert_int_equal(directory_dkim_drop(f->s, VIEW("ici.test"), VIEW("e1")), RC_NOTFOUND); /* it signs */
    assert_int_equal(directory_dkim_switch(f->s, VIEW("ici.test")), RC_OK);
    expect_keys(f, "e1:2 e2:1 r1:2 r2:1");
    assert_int_equal(directory_dkim_active(f->s, VIEW("ICI.test"), &f->a, &keys, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_true(view_eq(keys[0].selector, VIEW("e2")) && keys[0].active_s > 0 && keys[0].public_key.n == 3);
    assert_int_equal(directory_dkim_active(f->s, VIEW("sub.ici.test"), &f->a, &keys, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(directory_dkim_active(f->s, VIEW("no domain"), &f->a, &keys, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(directory_dkim_drop(f->s, VIEW("ici.test"), VIEW("e1")), RC_OK);
    assert_int_equal(directory_dkim_drop(f->s, VIEW("ici.test"), VIEW("e1")), RC_NOTFOUND);
    assert_int_equal(directory_dkim_add(f->s, third, 2), RC_EXISTS); /* e1 was used: nothing of it happens */
    expect_keys(f, "e1:3 e2:1 r1:2 r2:1");
    assert_int_equal(directory_domain_remove(f->s, VIEW("ici.test")), RC_OK);
    expect_keys(f, "e1:3 e2:3 r1:3 r2:3");
    assert_int_equal(directory_domain_add(f->s, VIEW("ici.test")), RC_OK);
    assert_int_equal(directory_dkim_add(f->s, second, 2), RC_EXISTS);
}

static void secrets_are_made_once(void **state)
{
    struct fixture *f = *state;
    uint8_t first[DIRECTORY_SECRET_SIZE] = {0}, again[DIRECTORY_SECRET_SIZE], other[DIRECTORY_SECRET_SIZE];
    static const uint8_t zeros[DIRECTORY_SECRET_SIZE];

    assert_int_equal(directory_secret(f->s, VIEW("srs"), first), RC_OK);
    assert_memory_not_equal(first, zeros, sizeof first);
    assert_int_equal(directory_secret(f->s, VIEW("other"), other), RC_OK);
    assert_memory_not_equal(first, other, sizeof first);
    fixture_reopen(f);
    assert_int_equal(directory_secret(f->s, VIEW("srs"), again), RC_OK);
    assert_memory_equal(first, again, sizeof first);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_normal_form), WITH_STORE(domains_come_and_go),
        WITH_STORE(account_numbers_are_never_used_again), WITH_STORE(routes_lead_to_people),
        WITH_STORE(there_is_always_a_postmaster),         WITH_STORE(circles_are_cut),
        WITH_STORE(dkim_keys_have_one_way_through_life),
        WITH_STORE(secrets_are_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
