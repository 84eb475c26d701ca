/* Unit tests of sessions on the pages, links, and the audit trail. */
#include "store/store_fixture.h"

#include "store/audit.h"
#include "store/session.h"

static const struct session_terms day = {3600, 86400}, over = {-1, 86400}, old = {3600, -1};

static void token(uint8_t hash[SESSION_HASH], uint8_t n)
{
    memset(hash, 0, SESSION_HASH);
    hash[0] = n;
}

static uint64_t account(struct fixture *f, const char *address)
{
    uint64_t id;
    directory_domain_add(f->s, VIEW("ici.test"));
    assert_int_equal(directory_account_add(f->s, view_str(address), &id), RC_OK);
    return id;
}

static enum rc find(struct fixture *f, uint8_t n, const struct session_terms *terms)
{
    uint8_t hash[SESSION_HASH];
    struct session_row row;
    struct directory_account who;
    token(hash, n);
    enum rc rc = session_find(f->s, hash, terms, VIEW("192.0.2.1"), &f->a, &row, &who);
    if (rc == RC_OK)
        assert_true(view_eq(who.address, VIEW("anne@ici.test")) && view_eq(row.agent, VIEW("Browser")));
    return rc;
}

static void begin(struct fixture *f, uint64_t id, uint8_t n, uint64_t *session)
{
    uint8_t hash[SESSION_HASH];
    token(hash, n);
    assert_int_equal(session_open(f->s, hash, id, VIEW("192.0.2.1"), VIEW("Browser"), session), RC_OK);
}

static void sessions_end(void **state)
{
    struct fixture *f = *state;
    struct session_row *rows;
    uint64_t id = account(f, "anne@ici.test"), other = account(f, "bert@ici.test"), one, two;
    size_t n;
    assert_int_equal(find(f, 1, &day), RC_NOTFOUND);
    begin(f, id, 1, &one);
    begin(f, id, 2, &two);
    assert_int_equal(find(f, 1, &day), RC_OK);
    assert_int_equal(find(f, 3, &day), RC_NOTFOUND);
    assert_int_equal(find(f, 1, &over), RC_NOTFOUND); /* rested too long */
    assert_int_equal(find(f, 1, &old), RC_NOTFOUND);  /* lasted too long */
    assert_int_equal(session_list(f->s, id, &day, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(session_list(f->s, id, &over, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(session_close(f->s, other, one), RC_NOTFOUND); /* another's */
    assert_int_equal(session_close(f->s, id, one), RC_OK);
    assert_int_equal(session_close(f->s, id, one), RC_NOTFOUND);
    assert_int_equal(find(f, 1, &day), RC_NOTFOUND);
    begin(f, id, 1, &one);
    assert_int_equal(session_close_all(f->s, id, one), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_OK);
    assert_int_equal(find(f, 2, &day), RC_NOTFOUND);
    assert_int_equal(session_forget(f->s, &day), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_OK);
    assert_int_equal(session_forget(f->s, &over), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_NOTFOUND);
}

static void what_changes_an_account_ends_its_sessions(void **state)
{
    struct fixture *f = *state;
    const struct view anne = VIEW_INIT("anne@ici.test");
    uint64_t id = account(f, "anne@ici.test"), session;
    begin(f, id, 1, &session);
    assert_int_equal(directory_account_set_quota(f->s, anne, 1000), RC_OK);
    assert_int_equal(directory_account_set_language(f->s, anne, VIEW("fr")), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_OK);
    assert_int_equal(directory_account_set_role(f->s, anne, ROLE_OWNER), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_NOTFOUND);
    begin(f, id, 1, &session);
    assert_int_equal(directory_account_set_disabled(f->s, anne, true), RC_OK);
    assert_int_equal(find(f, 1, &day), RC_NOTFOUND);
    begin(f, id, 2, &session); /* cannot be, and opens nothing */
    assert_int_equal(find(f, 2, &day), RC_NOTFOUND);
    assert_int_equal(directory_account_set_disabled(f->s, anne, false), RC_OK);
    begin(f, id, 3, &session);
    assert_int_equal(directory_account_remove(f->s, anne, &id), RC_OK);
    assert_int_equal(find(f, 3, &day), RC_NOTFOUND);
    assert_int_equal(directory_account_set_quota(f->s, anne, 1), RC_NOTFOUND);
}

static void an_account_has_so_many(void **state)
{
    struct fixture *f = *state;
    struct session_row *rows;
    uint64_t id = account(f, "anne@ici.test"), session;
    size_t n;
    for (int i = 0; i < SESSIONS_MAX + 5; i++)
        begin(f, id, (uint8_t)(i + 1), &session);
    assert_int_equal(session_list(f->s, id, &day, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, SESSIONS_MAX);
    assert_int_equal(find(f, SESSIONS_MAX + 5, &day), RC_OK); /* the newest is among them */
}

static void links_are_good_once(void **state)
{
    struct fixture *f = *state;
    struct directory_account who;
    uint8_t first[SESSION_HASH], second[SESSION_HASH];
    uint64_t id = account(f, "anne@ici.test");
    token(first, 1);
    token(second, 2);
    assert_int_equal(session_link_take(f->s, first, &f->a, &who), RC_NOTFOUND);
    assert_int_equal(session_link_add(f->s, first, id), RC_OK);
    assert_int_equal(session_link_add(f->s, second, id), RC_OK); /* in place of the first */
    assert_int_equal(session_link_take(f->s, first, &f->a, &who), RC_NOTFOUND);
    assert_int_equal(session_link_take(f->s, second, &f->a, &who), RC_OK);
    assert_int_equal(who.id, id);
    assert_int_equal(session_link_take(f->s, second, &f->a, &who), RC_NOTFOUND);
    assert_int_equal(session_link_add(f->s, first, id), RC_OK);
    assert_int_equal(session_close_all(f->s, id, 0), RC_OK); /* a new password ends links, too */
    assert_int_equal(session_link_take(f->s, first, &f->a, &who), RC_NOTFOUND);
    assert_int_equal(session_link_add(f->s, first, id), RC_OK);
    assert_int_equal(directory_account_set_disabled(f->s, VIEW("anne@ici.test"), true), RC_OK);
    assert_int_equal(session_link_take(f->s, first, &f->a, &who), RC_NOTFOUND);
}

static void the_trail_is_told_newest_first(void **state)
{
    struct fixture *f = *state;
    static const char *const abouts[] = {"ici.test", "anne@ici.test", "x@la.test", "xici.test"};
    struct audit_range range = {.max = 10};
    struct audit_row *rows;
    size_t n;
    for (size_t i = 0; i < 4; i++) {
        struct audit_row row = {.who = VIEW("op@ici.test"), .peer = VIEW("192.0.2.1"), .what = VIEW("x.y"), .about = view_str(abouts[i]), .detail = VIEW("d")};
        assert_int_equal(audit_add(f->s, &row), RC_OK);
    }
    assert_int_equal(audit_list(f->s, &range, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 4);
    assert_true(view_eq(rows[0].about, VIEW("xici.test")) && rows[0].id > rows[1].id);
    range.domain = VIEW("ici.test"); /* the domain, and addresses in it */
    assert_int_equal(audit_list(f->s, &range, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 2);
    range.before = rows[0].id;
    assert_int_equal(audit_list(f->s, &range, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_true(view_eq(rows[0].about, VIEW("ici.test")));
    range = (struct audit_range){.max = 10, .to_ms = 1000};
    assert_int_equal(audit_list(f->s, &range, &f->a, &rows, &n), RC_OK);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sessions_end, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_changes_an_account_ends_its_sessions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_account_has_so_many, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(links_are_good_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_trail_is_told_newest_first, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
