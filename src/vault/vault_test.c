#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/base64.h"
#include "crypto/digest.h"
#include "net/tls.h"
#include "sys/fdpass.h"
#include "vault/failures.h"
#include "vault/memo.h"
#include "vault/server.h"
#include "vault/vault.h"

static void requests_and_answers_survive_the_wire(void **state)
{
    (void)state;
    struct buf b;
    struct vault_request r = {.seq = 7, .op = VAULT_OP_TLS_SIGN, .n = 2, .account = 0x123456789abcdefu, .a = VIEW("in\0put")}, r2;
    struct vault_answer a = {.seq = 0xfffffffe, .rc = RC_LIMIT, .n = 9, .delay_ms = 250, .a = VIEW("x")}, a2;
    r.key[31] = 5;
    r.peer[0] = 9;
    buf_init(&b, VAULT_MESSAGE_MAX);
    vault_request_write(&r, &b);
    for (size_t n = 0; n < b.n - r.a.n; n++) { /* cut anywhere in the fixed part */
        char *exact = malloc(n ? n : 1);
        memcpy(exact, b.p, n);
        assert_int_equal(vault_request_parse(view_of(exact, n), &r2), RC_SYNTAX);
        free(exact);
    }
    assert_int_equal(vault_request_parse(buf_view(&b), &r2), RC_OK);
    assert_int_equal(r2.op, r.op);
    assert_int_equal(r2.account, r.account);
    assert_memory_equal(r2.key, r.key, 32);
    assert_memory_equal(r2.peer, r.peer, 16);
    assert_true(view_eq(r2.a, r.a));
    b.p[7] = 99; /* no such operation */
    assert_int_equal(vault_request_parse(buf_view(&b), &r2), RC_SYNTAX);
    buf_reset(&b);
    vault_answer_write(&a, &b);
    assert_int_equal(vault_answer_parse(buf_view(&b), &a2), RC_OK);
    assert_int_equal(a2.rc, RC_LIMIT);
    assert_int_equal(a2.delay_ms, 250);
    assert_int_equal(vault_answer_parse(view_slice(buf_view(&b), 0, 15), &a2), RC_SYNTAX);
    buf_clear(&b);
}

static void scram_keys_are_those_of_rfc_7677(void **state)
{
    (void)state;
    /* RFC 7677 §3: user "user", password "pencil" */
    struct buf salt, proof, wanted;
    uint8_t stored[SCRAM_KEY], server[SCRAM_KEY], signature[SCRAM_KEY];
    buf_init(&salt, 100);
    buf_init(&proof, 100);
    buf_init(&wanted, 100);
    assert_int_equal(base64_decode(VIEW("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt), RC_OK);
    assert_int_equal(base64_decode(VIEW("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), &proof), RC_OK);
    assert_int_equal(base64_decode(VIEW("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &wanted), RC_OK);
    assert_int_equal(scram_keys(VIEW("pencil"), buf_view(&salt), 4096, stored, server), RC_OK);
    const struct view auth = VIEW("n=user,r=rOprNGfwEbeRWgbNEkqO,"
                                  "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
                                  "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_int_equal(scram_verify(stored, server, auth, (uint8_t *)proof.p, signature), RC_OK);
    assert_memory_equal(signature, wanted.p, SCRAM_KEY);
    proof.p[0] ^= 1;
    assert_int_equal(scram_verify(stored, server, auth, (uint8_t *)proof.p, signature), RC_DENIED);
    buf_clear(&salt);
    buf_clear(&proof);
    buf_clear(&wanted);
}

static void hashes_hold_their_password_only(void **state)
{
    (void)state;
    char hash[PASSWORD_HASH_MAX];
    assert_int_equal(password_hash(VIEW("secret"), hash), RC_OK);
    assert_true(view_starts(view_str(hash), VIEW("$argon2id$v=19$m=12288,t=3,p=1$")));
    assert_int_equal(password_verify(hash, VIEW("secret")), RC_OK);
    assert_int_equal(password_verify(hash, VIEW("secreT")), RC_DENIED);
    assert_int_equal(password_verify(hash, VIEW("")), RC_DENIED);
    assert_int_equal(password_verify("rubbish", VIEW("secret")), RC_CORRUPT);
}

static const uint8_t here[16] = {1}, there[16] = {2};

static void guessing_is_slowed_then_refused_then_forgotten(void **state)
{
    (void)state;
    struct failures *f;
    int64_t now = 1000000;
    uint32_t delay = 0;
    assert_int_equal(failures_new(&f), RC_OK);
    for (int i = 0; i < FAILURES_PAIR_LIMIT; i++) {
        assert_int_equal(failures_look(f, now, 5, here), RC_OK);
        uint32_t d = failures_add(f, now, 5, here);
        assert_true(d >= delay);
        if (i < FAILURES_FREE)
            assert_int_equal(d, 0);
        delay = d;
    }
    assert_int_equal(delay, FAILURES_DELAY_MAX_MS);
    assert_int_equal(failures_look(f, now, 5, here), RC_LIMIT);
    /* the owner elsewhere, and another account here, are not touched */
    assert_int_equal(failures_look(f, now, 5, there), RC_OK);
    assert_int_equal(failures_look(f, now, 6, here), RC_OK);
    /* one is forgotten a minute */
    assert_int_equal(failures_look(f, now + FAILURES_PAIR_FADE_MS - 1, 5, here), RC_LIMIT);
    assert_int_equal(failures_look(f, now + FAILURES_PAIR_FADE_MS, 5, here), RC_OK);
    failures_add(f, now + FAILURES_PAIR_FADE_MS, 5, here);
    assert_int_equal(failures_look(f, now + FAILURES_PAIR_FADE_MS, 5, here), RC_LIMIT);
    now += 20 * FAILURES_PAIR_FADE_MS;
    assert_int_equal(failures_add(f, now, 5, here), 0);
    failures_free(f);
}

static void a_success_clears_the_pair_but_not_the_address(void **state)
{
    (void)state;
    struct failures *f;
    const int64_t now = 1000;
    assert_int_equal(failures_new(&f), RC_OK);
    for (int i = 0; i < FAILURES_PEER_LIMIT; i++) { /* spread over many accounts, one's own good login in between */
        assert_int_equal(failures_look(f, now, 100 + (uint64_t)i, here), RC_OK);
        failures_add(f, now, 100 + (uint64_t)i, here);
        failures_clear(f, 7, here);
    }
    assert_int_equal(failures_look(f, now, 7, here), RC_LIMIT);
    assert_int_equal(failures_look(f, now, 7, there), RC_OK);
    for (int i = 0; i < 5; i++)
        failures_add(f, now, 7, there);
    failures_clear(f, 7, there);
    assert_int_equal(failures_add(f, now, 7, there), 0);
    failures_free(f);
}

static void guessing_from_many_addresses_is_slowed_not_refused(void **state)
{
    (void)state;
    struct failures *f;
    uint8_t peer[16] = {0};
    uint32_t delay = 0;
    assert_int_equal(failures_new(&f), RC_OK);
    for (int i = 0; i < 200; i++) {
        peer[3] = (uint8_t)i;
        peer[4] = 77;
        assert_int_equal(failures_look(f, 1000, 5, peer), RC_OK);
        delay = failures_add(f, 1000, 5, peer);
    }
    assert_int_equal(delay, FAILURES_DELAY_MAX_MS);
    assert_int_equal(failures_look(f, 1000, 5, here), RC_OK);
    failures_free(f);
}

static void a_remembered_password_is_bound_to_account_hash_and_time(void **state)
{
    (void)state;
    struct memo *m;
    assert_int_equal(memo_new(&m), RC_OK);
    assert_false(memo_has(m, 1000, 1, "$h1", VIEW("pw")));
    memo_add(m, 1000, 1, "$h1", VIEW("pw"));
    assert_true(memo_has(m, 1000 + MEMO_MS - 1, 1, "$h1", VIEW("pw")));
    assert_false(memo_has(m, 1000 + MEMO_MS, 1, "$h1", VIEW("pw")));
    assert_false(memo_has(m, 1000, 2, "$h1", VIEW("pw")));
    assert_false(memo_has(m, 1000, 1, "$h2", VIEW("pw")));
    assert_false(memo_has(m, 1000, 1, "$h1", VIEW("pwx")));
    memo_free(m);
}

/* --- a whole vault in a temporary folder --- */

struct lab {
    char dir[64], db[96], cert[96], key[96];
    struct credentials *credentials; /* as the commands open it */
    struct vault_server *server;
    struct vault *vault;
    EVP_PKEY *pkey;
};

static void make_certificate(struct lab *l, EVP_PKEY *pkey)
{
    X509 *x = X509_new();
    FILE *f = fopen(l->cert, "w");
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pkey);
    assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    X509_free(x);
    f = fopen(l->key, "w");
    assert_int_equal(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

static void add_channels(struct lab *l, int n)
{
    for (int i = 0; i < n; i++) {
        int fds[2];
        assert_int_equal(fdpass_pair(fds), RC_OK);
        assert_int_equal(vault_server_add_channel(l->server, fds[0], true), RC_OK);
        assert_int_equal(vault_add_channel(l->vault, fds[1]), RC_OK);
    }
}

static void start_server(struct lab *l)
{
    struct arena a;
    struct keys *keys;
    struct credentials *c;
    struct dkim_keys *dkim;
    struct tls_keys *tls;
    const char *why = NULL;
    const char *certs[] = {l->cert}, *key_files[] = {l->key};
    arena_init(&a, 65536);
    if (keys_load(certs, key_files, 1, &a, &keys, &why) != RC_OK)
        fail_msg("%s", why);
    assert_int_equal(credentials_open(l->db, &c, &why), RC_OK);
    assert_int_equal(dkim_keys_open(l->db, &dkim, &why), RC_OK);
    assert_int_equal(tls_keys_open(l->db, &tls, &why), RC_OK);
    assert_int_equal(vault_server_new(c, keys, dkim, tls, &l->server), RC_OK);
    arena_clear(&a);
}

static int start_lab(void **state)
{
    struct lab *l = calloc(1, sizeof *l);
    const char *why;
    snprintf(l->dir, sizeof l->dir, "/tmp/vault_test.XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    snprintf(l->db, sizeof l->db, "%s/vault.db", l->dir);
    snprintf(l->cert, sizeof l->cert, "%s/cert.pem", l->dir);
    snprintf(l->key, sizeof l->key, "%s/key.pem", l->dir);
    l->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    make_certificate(l, l->pkey);
    assert_int_equal(credentials_open(l->db, &l->credentials, &why), RC_OK);
    assert_int_equal(credentials_set(l->credentials, 5, VIEW("secret")), RC_OK);
    start_server(l);
    assert_int_equal(vault_new(&l->vault), RC_OK);
    add_channels(l, 4);
    *state = l;
    return 0;
}

static int stop_lab(void **state)
{
    struct lab *l = *state;
    vault_server_free(l->server);
    vault_free(l->vault);
    credentials_close(l->credentials);
    EVP_PKEY_free(l->pkey);
    unlink(l->db);
    unlink(l->cert);
    unlink(l->key);
    rmdir(l->dir);
    free(l);
    return 0;
}

static void passwords_are_checked_over_the_channel(void **state)
{
    struct lab *l = *state;
    struct vault_login who = {.account = 5, .peer = {1}}, nobody = {.account = 0, .peer = {1}}, other = {.account = 6, .peer = {1}};
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_OK);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_OK); /* remembered */
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("wrong")), RC_DENIED);
    assert_int_equal(vault_check_password(l->vault, &nobody, VIEW("secret")), RC_DENIED);
    assert_int_equal(vault_check_password(l->vault, &nobody, VIEW("nobody has this one")), RC_DENIED);
    assert_int_equal(vault_check_password(l->vault, &other, VIEW("secret")), RC_DENIED);
    char *longer = calloc(1, VAULT_PASSWORD_MAX + 1);
    assert_int_equal(vault_check_password(l->vault, &who, view_of(longer, VAULT_PASSWORD_MAX + 1)), RC_DENIED);
    free(longer);
    /* a new password holds at once, the remembered old one no more */
    assert_int_equal(credentials_set(l->credentials, 5, VIEW("changed")), RC_OK);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_DENIED);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("changed")), RC_OK);
    assert_int_equal(credentials_remove(l->credentials, 5), RC_OK);
    assert_int_equal(credentials_remove(l->credentials, 5), RC_NOTFOUND);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("changed")), RC_DENIED);
}

static void names_that_do_not_exist_get_a_stable_salt(void **state)
{
    struct lab *l = *state;
    struct vault_login nobody = {.account = 0, .peer = {3}};
    struct buf one, two, other;
    uint32_t iterations = 0;
    struct vault_match match;
    uint8_t proof[32] = {0}, signature[32];
    buf_init(&one, 100);
    buf_init(&two, 100);
    buf_init(&other, 100);
    assert_int_equal(vault_scram_start(l->vault, &nobody, VIEW("a@ici.test"), &one, &iterations), RC_OK);
    assert_int_equal(vault_scram_start(l->vault, &nobody, VIEW("a@ici.test"), &two, &iterations), RC_OK);
    assert_int_equal(vault_scram_start(l->vault, &nobody, VIEW("b@ici.test"), &other, &iterations), RC_OK);
    assert_int_equal(iterations, SCRAM_ITERATIONS);
    assert_int_equal(one.n, SCRAM_SALT);
    assert_true(view_eq(buf_view(&one), buf_view(&two)));
    assert_false(view_eq(buf_view(&one), buf_view(&other)));
    assert_int_equal(vault_scram_finish(l->vault, &nobody, VIEW("auth"), proof, signature, &match), RC_DENIED);
    buf_clear(&one);
    buf_clear(&two);
    buf_clear(&other);
}

static void make_proof(struct view password, struct view salt, uint32_t iterations, struct view auth, uint8_t proof[32],
                       uint8_t server_signature[32])
{
    uint8_t salted[32], client[32], stored[32], mac[32], server[32];
    pbkdf2(DIGEST_SHA256, password, salt, iterations, salted);
    hmac_sha256(view_of(salted, 32), VIEW("Client Key"), client);
    hmac_sha256(view_of(salted, 32), VIEW("Server Key"), server);
    sha256(view_of(client, 32), stored);
    hmac_sha256(view_of(stored, 32), auth, mac);
    hmac_sha256(view_of(server, 32), auth, server_signature);
    for (int i = 0; i < 32; i++)
        proof[i] = client[i] ^ mac[i];
}

static void scram_proofs_are_checked_over_the_channel(void **state)
{
    struct lab *l = *state;
    struct vault_login who = {.account = 9, .peer = {4}};
    struct vault_match match;
    struct buf salt;
    uint32_t iterations = 0;
    uint8_t proof[32], signature[32], wanted[32];
    const struct view auth = VIEW("n=,r=x,r=xy,s=,i=,c=biws,r=xy");
    buf_init(&salt, 100);
    assert_int_equal(credentials_set(l->credentials, 9, VIEW("pencil")), RC_OK);
    assert_int_equal(vault_scram_start(l->vault, &who, VIEW("u"), &salt, &iterations), RC_OK);
    make_proof(VIEW("pencil"), buf_view(&salt), iterations, auth, proof, wanted);
    assert_int_equal(vault_scram_finish(l->vault, &who, auth, proof, signature, &match), RC_OK);
    assert_memory_equal(signature, wanted, 32);
    assert_int_equal(match.app_password, 0);
    assert_int_equal(vault_scram_finish(l->vault, &who, VIEW("other"), proof, signature, &match), RC_DENIED);
    buf_clear(&salt);
}

static void application_passwords_fit_as_shown_and_as_typed(void **state)
{
    struct lab *l = *state;
    struct vault_login who = {.account = 11, .peer = {5}}, other = {.account = 12, .peer = {5}}, nobody = {.peer = {5}};
    struct vault_match match;
    struct buf all, reading, salt;
    uint64_t id_all = 0, id_reading = 0;
    uint32_t iterations = 0;
    uint8_t proof[32], signature[32], wanted[32];
    char typed[64];
    size_t n = 0;

    buf_init(&all, 100);
    buf_init(&reading, 100);
    buf_init(&salt, 100);
    assert_int_equal(vault_app_password_make(l->vault, 11, VAULT_SCOPE_ALL, &all, &id_all), RC_NOTFOUND); /* no such account */
    assert_int_equal(credentials_set(l->credentials, 11, VIEW("secret")), RC_OK);
    assert_int_equal(credentials_set(l->credentials, 12, VIEW("secret")), RC_OK);
    assert_int_equal(vault_app_password_make(l->vault, 11, VAULT_SCOPE_ALL, &all, &id_all), RC_OK);
    assert_int_equal(vault_app_password_make(l->vault, 11, VAULT_SCOPE_READ, &reading, &id_reading), RC_OK);
    assert_int_equal(all.n, APP_PASSWORD_TEXT);
    assert_int_not_equal(id_all, id_reading);

    assert_int_equal(vault_check_login(l->vault, &who, buf_view(&all), &match), RC_OK);
    assert_true(match.app_password == id_all && match.scope == VAULT_SCOPE_ALL && !match.second_factor);
    assert_int_equal(vault_check_login(l->vault, &who, buf_view(&reading), &match), RC_OK);
    assert_true(match.app_password == id_reading && match.scope == VAULT_SCOPE_READ);
    for (size_t i = 0; i < all.n; i++) { /* "ABCDE FGHIJ..." */
        typed[n++] = all.p[i] == '-' ? ' ' : (char)(all.p[i] >= 'a' ? all.p[i] - 32 : all.p[i]);
    }
    assert_int_equal(vault_check_login(l->vault, &who, view_of(typed, n), &match), RC_OK);
    assert_int_equal(match.app_password, id_all);
    assert_int_equal(vault_check_login(l->vault, &who, VIEW("secret"), &match), RC_OK);
    assert_int_equal(match.app_password, 0);
    assert_int_equal(vault_check_login(l->vault, &who, view_slice(buf_view(&all), 0, all.n - 1), &match), RC_DENIED);
    assert_int_equal(vault_check_login(l->vault, &who, VIEW("aaaaa-aaaaa-aaaaa-aaaaa"), &match), RC_DENIED);
    assert_int_equal(vault_check_login(l->vault, &other, buf_view(&all), &match), RC_DENIED);
    assert_int_equal(vault_check_login(l->vault, &nobody, buf_view(&all), &match), RC_DENIED);
    assert_int_equal(vault_check_password(l->vault, &who, buf_view(&all)), RC_DENIED); /* not where people log in */

    /* SCRAM, also after the account's own password has changed */
    assert_int_equal(credentials_set(l->credentials, 11, VIEW("another")), RC_OK);
    assert_int_equal(vault_scram_start(l->vault, &who, VIEW("u"), &salt, &iterations), RC_OK);
    make_proof(buf_view(&reading), buf_view(&salt), iterations, VIEW("auth"), proof, wanted);
    assert_int_equal(vault_scram_finish(l->vault, &who, VIEW("auth"), proof, signature, &match), RC_OK);
    assert_true(match.app_password == id_reading && match.scope == VAULT_SCOPE_READ);
    assert_memory_equal(signature, wanted, 32);

    assert_int_equal(vault_app_password_remove(l->vault, 12, id_all), RC_NOTFOUND); /* another's */
    assert_int_equal(vault_app_password_remove(l->vault, 11, id_reading), RC_OK);
    assert_int_equal(vault_app_password_remove(l->vault, 11, id_reading), RC_NOTFOUND);
    assert_int_equal(vault_check_login(l->vault, &who, buf_view(&reading), &match), RC_DENIED);
    assert_int_equal(vault_scram_finish(l->vault, &who, VIEW("auth"), proof, signature, &match), RC_DENIED);
    assert_int_equal(credentials_remove(l->credentials, 11), RC_OK);
    assert_int_equal(vault_check_login(l->vault, &who, buf_view(&all), &match), RC_DENIED);
    buf_clear(&all);
    buf_clear(&reading);
    buf_clear(&salt);
}

static void an_account_has_so_many_application_passwords(void **state)
{
    struct lab *l = *state;
    char text[APP_PASSWORD_TEXT + 1];
    uint64_t id;
    assert_int_equal(credentials_set(l->credentials, 13, VIEW("secret")), RC_OK);
    for (int i = 0; i < APP_PASSWORDS_MAX; i++)
        assert_int_equal(app_passwords_make(l->credentials, 13, VAULT_SCOPE_ALL, text, &id), RC_OK);
    assert_int_equal(app_passwords_make(l->credentials, 13, VAULT_SCOPE_ALL, text, &id), RC_LIMIT);
}

static void handshakes_are_signed_with_the_right_key(void **state)
{
    struct lab *l = *state;
    unsigned char *der = NULL;
    uint8_t id[32], digest[32] = {7};
    struct buf sig;
    buf_init(&sig, 1024);
    int n = i2d_PUBKEY(l->pkey, &der);
    sha256(view_of(der, (size_t)n), id);
    OPENSSL_free(der);
    assert_int_equal(vault_tls_sign(l->vault, id, TLS_SIGN_ECDSA, view_of(digest, 32), &sig), RC_OK);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(l->pkey, NULL);
    EVP_PKEY_verify_init(ctx);
    assert_int_equal(EVP_PKEY_verify(ctx, (unsigned char *)sig.p, sig.n, digest, 32), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_int_equal(vault_tls_sign(l->vault, id, TLS_SIGN_RSA_RAW, view_of(digest, 32), &sig), RC_SYNTAX);
    assert_int_equal(vault_tls_sign(l->vault, id, 77, view_of(digest, 32), &sig), RC_SYNTAX);
    id[0] ^= 1;
    assert_int_equal(vault_tls_sign(l->vault, id, TLS_SIGN_ECDSA, view_of(digest, 32), &sig), RC_NOTFOUND);
    buf_clear(&sig);
}

static void chains_come_as_pem(void **state)
{
    struct lab *l = *state;
    struct arena a;
    const char *const *chains = NULL;
    arena_init(&a, 1 << 20);
    assert_int_equal(vault_tls_chains(l->vault, &a, &chains), RC_OK);
    assert_true(view_starts(view_str(chains[0]), VIEW("-----BEGIN CERTIFICATE-----")));
    assert_null(chains[1]);
    arena_clear(&a);
}

static void a_restarted_vault_is_found_again(void **state)
{
    struct lab *l = *state;
    struct vault_login who = {.account = 11, .peer = {6}};
    assert_int_equal(credentials_set(l->credentials, 11, VIEW("secret")), RC_OK);
    vault_server_free(l->server); /* all channels die */
    start_server(l);
    add_channels(l, 2);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_OK);
}

static void garbage_ends_the_channel_only(void **state)
{
    struct lab *l = *state;
    int fds[2];
    char byte;
    struct vault_login who = {.account = 12, .peer = {7}};
    assert_int_equal(credentials_set(l->credentials, 12, VIEW("secret")), RC_OK);
    assert_int_equal(fdpass_pair(fds), RC_OK);
    assert_int_equal(vault_server_add_channel(l->server, fds[0], true), RC_OK);
    assert_int_equal(send(fds[1], "rubbish", 7, 0), 7);
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_OK);
}

/* What the mta process must not be able to do, and access is. */
static void only_some_channels_change_anything(void **state)
{
    struct lab *l = *state;
    struct vault *other;
    struct vault_login who = {.account = 13, .peer = {8}};
    struct buf out;
    uint64_t id;
    int fds[2];
    buf_init(&out, 4096);
    assert_int_equal(fdpass_pair(fds), RC_OK);
    assert_int_equal(vault_new(&other), RC_OK);
    assert_int_equal(vault_server_add_channel(l->server, fds[0], false), RC_OK);
    assert_int_equal(vault_add_channel(other, fds[1]), RC_OK);
    assert_int_equal(vault_password_set(other, 13, VIEW("stolen")), RC_DENIED);
    assert_int_equal(vault_password_set(l->vault, 13, VIEW("secret")), RC_OK);
    assert_int_equal(vault_password_remove(other, 13), RC_DENIED);
    assert_int_equal(vault_app_password_make(other, 13, VAULT_SCOPE_ALL, &out, &id), RC_DENIED);
    assert_int_equal(vault_app_password_remove(other, 13, 1), RC_DENIED);
    assert_int_equal(vault_dkim_make(other, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &out), RC_DENIED);
    assert_int_equal(vault_dkim_leave(other, VIEW("ici.test")), RC_DENIED);
    assert_int_equal(vault_check_password(other, &who, VIEW("secret")), RC_OK); /* all else goes on */
    assert_int_equal(vault_dkim_make(l->vault, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &out), RC_OK);
    assert_true(out.n > 0);
    assert_int_equal(vault_dkim_make(l->vault, VIEW("ici.test"), VIEW("e1"), PKEY_ED25519, &out), RC_EXISTS);
    assert_int_equal(vault_dkim_make(l->vault, VIEW("ici.test"), VIEW("e2"), 99, &out), RC_SYNTAX);
    assert_int_equal(vault_dkim_leave(l->vault, VIEW("ici.test")), RC_OK);
    assert_int_equal(vault_dkim_leave(l->vault, VIEW("ici.test")), RC_NOTFOUND);
    assert_int_equal(vault_password_set(l->vault, 13, VIEW("")), RC_SYNTAX);
    assert_int_equal(vault_password_set(l->vault, 0, VIEW("x")), RC_SYNTAX);
    assert_int_equal(vault_password_remove(l->vault, 13), RC_OK);
    assert_int_equal(vault_password_remove(l->vault, 13), RC_NOTFOUND);
    assert_int_equal(vault_check_password(l->vault, &who, VIEW("secret")), RC_DENIED);
    vault_free(other);
    buf_clear(&out);
}

static void the_wrong_key_for_a_certificate_is_told(void **state)
{
    struct lab *l = *state;
    struct arena a;
    struct keys *k;
    const char *why = NULL;
    char rsa_key[96];
    const char *certs[] = {l->cert}, *keys[] = {rsa_key}, *missing[] = {"/nonexistent/key.pem"};
    arena_init(&a, 65536);
    snprintf(rsa_key, sizeof rsa_key, "%s/rsa.pem", l->dir);
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    FILE *f = fopen(rsa_key, "w");
    PEM_write_PrivateKey(f, rsa, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    assert_int_equal(keys_load(certs, keys, 1, &a, &k, &why), RC_SYNTAX);
    assert_non_null(strstr(why, "is not that of the certificate"));
    assert_int_equal(keys_load(certs, missing, 1, &a, &k, &why), RC_NOTFOUND);
    assert_non_null(strstr(why, "/nonexistent/key.pem"));
    assert_int_equal(keys_load(keys, keys, 1, &a, &k, &why), RC_SYNTAX);
    unlink(rsa_key);
    EVP_PKEY_free(rsa);
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_answers_survive_the_wire),
        cmocka_unit_test(scram_keys_are_those_of_rfc_7677),
        cmocka_unit_test(hashes_hold_their_password_only),
        cmocka_unit_test(guessing_is_slowed_then_refused_then_forgotten),
        cmocka_unit_test(a_success_clears_the_pair_but_not_the_address),
        cmocka_unit_test(guessing_from_many_addresses_is_slowed_not_refused),
        cmocka_unit_test(a_remembered_password_is_bound_to_account_hash_and_time),
        cmocka_unit_test_setup_teardown(passwords_are_checked_over_the_channel, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(names_that_do_not_exist_get_a_stable_salt, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(scram_proofs_are_checked_over_the_channel, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(only_some_channels_change_anything, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(application_passwords_fit_as_shown_and_as_typed, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(an_account_has_so_many_application_passwords, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(handshakes_are_signed_with_the_right_key, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(chains_come_as_pem, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(a_restarted_vault_is_found_again, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(garbage_ends_the_channel_only, start_lab, stop_lab),
        cmocka_unit_test_setup_teardown(the_wrong_key_for_a_certificate_is_told, start_lab, stop_lab),
    };
    return cmocka_run_group_tests_name("vault", tests, NULL, NULL);
}
