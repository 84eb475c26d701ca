#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/fdpass.h"
#include "vault/credentials.h"
#include "vault/server.h"
#include "vault/vault.h"
#include "vault/vault_db.h"

struct lab {
    char dir[64], db[96];
    struct dkim_keys *keys; /* as the commands open it */
};

static int start_lab(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    const char *why = "";
    snprintf(l->dir, sizeof l->dir, "/tmp/vault_dkim_test.XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->db, sizeof l->db, "%s/vault.db", l->dir);
    assert_int_equal(dkim_keys_open(l->db, &l->keys, &why), RC_OK);
    *state = l;
    return 0;
}

static int stop_lab(void **state)
{
    struct lab *l = *state;
    dkim_keys_close(l->keys);
    unlink(l->db);
    rmdir(l->dir);
    free(l);
    return 0;
}

static const struct view digest = VIEW_INIT("0123456789abcdef0123456789abcdef");

static void make(struct lab *l, struct view domain, struct view selector, enum pkey_kind kind, struct pkey **public_key)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(dkim_keys_make(l->keys, domain, selector, kind, &b), RC_OK);
    assert_int_equal(pkey_public(kind, buf_view(&b), public_key), RC_OK);
    buf_clear(&b);
}

static void expect_sign(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind, const struct pkey *public_key)
{
    struct buf sig;
    buf_init(&sig, 1024);
    assert_int_equal(dkim_keys_sign(k, domain, selector, kind, digest, &sig), RC_OK);
    assert_int_equal(pkey_verify(public_key, digest, buf_view(&sig)), RC_OK);
    buf_clear(&sig);
}

static enum rc try_sign(struct dkim_keys *k, struct view domain, struct view selector, enum pkey_kind kind)
{
    struct buf sig;
    buf_init(&sig, 1024);
    enum rc rc = dkim_keys_sign(k, domain, selector, kind, digest, &sig);
    buf_clear(&sig);
    return rc;
}

static void what_is_made_signs_in_every_opening(void **state)
{
    struct lab *l = *state;
    struct dkim_keys *other;
    const char *why;
    struct pkey *rsa, *ed;

    assert_int_equal(dkim_keys_open(l->db, &other, &why), RC_OK); /* a server that runs already */
    assert_int_equal(try_sign(other, VIEW("ici.test"), VIEW("r1"), PKEY_RSA), RC_NOTFOUND);
    make(l, VIEW("ici.test"), VIEW("r1"), PKEY_RSA, &rsa);
    make(l, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &ed);
    assert_int_equal(pkey_bits(rsa), 2048);
    for (int i = 0; i < 2; i++) { /* read, then from memory */
        expect_sign(other, VIEW("ici.test"), VIEW("r1"), PKEY_RSA, rsa);
        expect_sign(other, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, ed);
    }
    assert_int_equal(try_sign(other, VIEW("ici.test"), VIEW("r1"), PKEY_ED25519), RC_NOTFOUND);
    assert_int_equal(try_sign(other, VIEW("ici.test"), VIEW("r2"), PKEY_RSA), RC_NOTFOUND);
    assert_int_equal(try_sign(other, VIEW("sub.ici.test"), VIEW("r1"), PKEY_RSA), RC_NOTFOUND);
    dkim_keys_close(other);
    pkey_free(rsa);
    pkey_free(ed);
}

static void a_selector_is_made_once(void **state)
{
    struct lab *l = *state;
    struct buf b;
    struct pkey *key;

    make(l, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &key);
    buf_init(&b, 4096);
    assert_int_equal(dkim_keys_make(l->keys, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &b), RC_EXISTS);
    assert_int_equal(b.n, 0);
    expect_sign(l->keys, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, key);
    buf_clear(&b);
    pkey_free(key);
}

static void names_are_those_of_the_dns(void **state)
{
    static const struct view bad[] = {VIEW_INIT(""),     VIEW_INIT("../x"), VIEW_INIT("a/b"), VIEW_INIT("a b"),   VIEW_INIT("a'b"),
                                      VIEW_INIT("A"),    VIEW_INIT(".a"),   VIEW_INIT("a."),  VIEW_INIT("a..b"), VIEW_INIT("a\0b"),
                                      VIEW_INIT("\xc3\xa9")};
    struct lab *l = *state;
    char longest[400];
    struct buf b;

    memset(longest, 'a', sizeof longest);
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(dkim_keys_make(l->keys, bad[i], VIEW("e1"), PKEY_ED25519, &b), RC_SYNTAX);
        assert_int_equal(dkim_keys_make(l->keys, VIEW("ici.test"), bad[i], PKEY_ED25519, &b), RC_SYNTAX);
        assert_int_equal(try_sign(l->keys, bad[i], VIEW("e1"), PKEY_ED25519), RC_NOTFOUND);
        assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), bad[i]), RC_NOTFOUND);
    }
    assert_int_equal(try_sign(l->keys, view_of(longest, sizeof longest), VIEW("e1"), PKEY_ED25519), RC_NOTFOUND);
    assert_int_equal(try_sign(l->keys, VIEW("ici.test"), view_of(longest, 64), PKEY_ED25519), RC_NOTFOUND);
    buf_clear(&b);
}

static void the_newest_key_is_not_forgotten(void **state)
{
    struct lab *l = *state;
    struct pkey *a, *b, *rsa;

    make(l, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &a);
    make(l, VIEW("ici.test"), VIEW("r1"), PKEY_RSA, &rsa);
    assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), VIEW("e1")), RC_DENIED);
    assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), VIEW("e2")), RC_NOTFOUND);
    make(l, VIEW("ici.test"), VIEW("e2"), PKEY_ED25519, &b);
    expect_sign(l->keys, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, a);
    assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), VIEW("e1")), RC_OK);
    assert_int_equal(try_sign(l->keys, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519), RC_NOTFOUND); /* nor from memory */
    assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), VIEW("e2")), RC_DENIED);
    assert_int_equal(dkim_keys_forget(l->keys, VIEW("ici.test"), VIEW("r1")), RC_DENIED);
    assert_int_equal(dkim_keys_remove_domain(l->keys, VIEW("ici.test")), RC_OK);
    assert_int_equal(dkim_keys_remove_domain(l->keys, VIEW("ici.test")), RC_NOTFOUND);
    pkey_free(a);
    pkey_free(b);
    pkey_free(rsa);
}

static void more_keys_than_memory_holds(void **state)
{
    struct lab *l = *state;
    struct pkey *first = NULL;
    char selector[16];

    for (int i = 0; i < DKIM_KEYS_CACHED + 20; i++) {
        struct pkey *key;
        snprintf(selector, sizeof selector, "e%d", i);
        make(l, VIEW("ici.test"), view_str(selector), PKEY_ED25519, &key);
        expect_sign(l->keys, VIEW("ici.test"), view_str(selector), PKEY_ED25519, key);
        if (i == 0)
            first = key;
        else
            pkey_free(key);
    }
    expect_sign(l->keys, VIEW("ici.test"), VIEW("e0"), PKEY_ED25519, first);
    pkey_free(first);
}

/* A number from a database, opened for itself. */
static int number_in(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* vault.db as the version before had it; a copy of that stays. */
static void an_older_file_is_brought_up_to_date(void **state)
{
    struct lab *l = *state;
    struct credentials *c;
    const char *why = "";
    struct pkey *key;
    sqlite3 *db;
    char copy[128];

    dkim_keys_close(l->keys);
    assert_int_equal(credentials_open(l->db, &c, &why), RC_OK);
    assert_int_equal(credentials_set(c, 5, VIEW("secret")), RC_OK);
    credentials_close(c);
    assert_int_equal(vault_db_open(l->db, &db, &why), RC_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE dkim_key; DROP TABLE tls_key; DROP TABLE app_password; DROP TABLE totp; DROP TABLE recovery; PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(dkim_keys_open(l->db, &l->keys, &why), RC_OK);
    make(l, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &key);
    expect_sign(l->keys, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, key);
    pkey_free(key);
    struct credential found;
    assert_int_equal(credentials_open(l->db, &c, &why), RC_OK);
    assert_int_equal(credentials_get(c, 5, &found), RC_OK);
    credentials_close(c);
    snprintf(copy, sizeof copy, "%s.v1-before-v4", l->db);
    assert_int_equal(number_in(copy, "PRAGMA user_version"), 1);
    assert_int_equal(number_in(copy, "SELECT count(*) FROM credential WHERE account = 5"), 1);
    assert_int_equal(number_in(copy, "SELECT count(*) FROM sqlite_master WHERE name IN ('dkim_key', 'tls_key')"), 0);
    unlink(copy);
}

static void signatures_come_over_the_channel(void **state)
{
    struct lab *l = *state;
    struct vault_server *server;
    struct vault *vault;
    struct credentials *c;
    struct dkim_keys *keys;
    struct arena a;
    struct keys *tls;
    struct tls_keys *own;
    struct pkey *ed;
    struct buf sig, out;
    const char *why = "";
    char longest[600];
    int fds[2];

    arena_init(&a, 65536);
    assert_int_equal(keys_load(NULL, NULL, 0, &a, &tls, &why), RC_OK);
    assert_int_equal(credentials_open(l->db, &c, &why), RC_OK);
    assert_int_equal(dkim_keys_open(l->db, &keys, &why), RC_OK);
    assert_int_equal(tls_keys_open(l->db, &own, &why), RC_OK);
    assert_int_equal(vault_server_new(c, tls, keys, own, &server), RC_OK);
    assert_int_equal(vault_new(&vault), RC_OK);
    assert_int_equal(fdpass_pair(fds), RC_OK);
    assert_int_equal(vault_server_add_channel(server, fds[0], true), RC_OK);
    assert_int_equal(vault_add_channel(vault, fds[1]), RC_OK);

    make(l, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &ed);
    buf_init(&sig, 1024);
    assert_int_equal(vault_dkim_sign(vault, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, digest, &sig), RC_OK);
    assert_int_equal(pkey_verify(ed, digest, buf_view(&sig)), RC_OK);
    assert_int_equal(vault_dkim_sign(vault, VIEW("ici.test"), VIEW("e1"), PKEY_RSA, digest, &sig), RC_NOTFOUND);
    assert_int_equal(vault_dkim_sign(vault, VIEW("la.test"), VIEW("e1"), PKEY_ED25519, digest, &sig), RC_NOTFOUND);
    assert_int_equal(vault_dkim_sign(vault, VIEW("ici.test\r\n"), VIEW("e1"), PKEY_ED25519, digest, &sig), RC_NOTFOUND);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(vault_dkim_sign(vault, view_of(longest, sizeof longest), VIEW("e1"), PKEY_ED25519, digest, &sig), RC_NOTFOUND);
    assert_int_equal(vault_dkim_forget(vault, VIEW("ici.test"), VIEW("e1")), RC_DENIED);

    /* What no client of ours sends. */
    static const struct view names[] = {VIEW_INIT(""), VIEW_INIT(" "), VIEW_INIT("e1"), VIEW_INIT("e1 "), VIEW_INIT(" ici.test"),
                                        VIEW_INIT("e1 ici.test x"), VIEW_INIT("e1\0ici.test")};
    buf_init(&out, KEYS_FILE_MAX);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct vault_request r = {.op = VAULT_OP_DKIM_SIGN, .n = PKEY_ED25519, .a = names[i]};
        struct vault_answer answer;
        vault_server_answer(server, &r, &answer, &out);
        assert_int_equal(answer.rc, RC_NOTFOUND);
        r.op = VAULT_OP_DKIM_FORGET;
        vault_server_answer(server, &r, &answer, &out);
        assert_int_equal(answer.rc, RC_NOTFOUND);
    }
    struct vault_request odd = {.op = VAULT_OP_DKIM_SIGN, .n = 77, .a = VIEW("e1 ici.test")};
    struct vault_answer answer;
    vault_server_answer(server, &odd, &answer, &out);
    assert_int_equal(answer.rc, RC_NOTFOUND);
    buf_clear(&out);
    buf_clear(&sig);
    pkey_free(ed);
    vault_server_free(server);
    vault_free(vault);
    arena_clear(&a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_lab, stop_lab)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_made_signs_in_every_opening),
        T(a_selector_is_made_once),
        T(names_are_those_of_the_dns),
        T(the_newest_key_is_not_forgotten),
        T(more_keys_than_memory_holds),
        T(an_older_file_is_brought_up_to_date),
        T(signatures_come_over_the_channel),
    };
    return cmocka_run_group_tests_name("vault_dkim", tests, NULL, NULL);
}
