/* The connection, the directory and the vault are played by functions here, so that only login/ is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base64.h"
#include "crypto/digest.h"
#include "login/sasl.h"
#include "login/scram.h"
#include "store/app_password.h"

static struct {
    bool tls, loopback;
    enum rc vault; /* what the vault answers instead, if not RC_OK */
    enum rc directory;
    uint64_t account;
    uint32_t name_hash;
    struct vault_match match;
    bool passkeys, certificate;
    unsigned uses;
} world;
static const struct view salt_bytes = VIEW_INIT("0123456789abcdef");

bool conn_tls(const struct conn *c, struct tls_info *out)
{
    (void)c;
    *out = (struct tls_info){0};
    return world.tls;
}
const struct addr *conn_peer(const struct conn *c)
{
    static struct addr a;
    (void)c;
    return &a;
}
enum rc conn_peer_mailboxes(struct conn *c, struct arena *a, struct view **out, size_t *n)
{
    static struct view mailboxes[] = {VIEW_INIT("nobody@ici.test"), VIEW_INIT("User@ici.test")};
    (void)c, (void)a;
    *out = mailboxes;
    *n = world.certificate ? 2 : 0;
    return world.certificate ? RC_OK : RC_NOTFOUND;
}
enum rc conn_channel_binding(struct conn *c, struct view type, struct buf *out)
{
    (void)c;
    if (!world.tls || !view_eq(type, VIEW("tls-exporter")))
        return RC_NOTFOUND;
    buf_str(out, "the channel's own bytes");
    return RC_OK;
}
bool addr_is_loopback(const struct addr *a)
{
    (void)a;
    return world.loopback;
}
void addr_rate_key(const struct addr *a, uint8_t out[16])
{
    (void)a;
    memset(out, 7, 16);
}
enum rc directory_login(struct store *s, struct view name, struct arena *a, struct directory_account *out)
{
    (void)s;
    (void)a;
    if (world.directory != RC_OK)
        return world.directory;
    if (!view_ieq(name, VIEW("user@ici.test")) && !view_ieq(name, VIEW("a,b=c@ici.test")))
        return RC_NOTFOUND;
    *out = (struct directory_account){.id = 42, .address = VIEW("user@ici.test")};
    return RC_OK;
}
enum rc vault_check_login(struct vault *v, const struct vault_login *who, struct view password, struct vault_match *out)
{
    (void)v;
    *out = world.match;
    world.account = who->account;
    world.name_hash = who->name_hash;
    if (world.vault != RC_OK)
        return world.vault;
    return who->account == 42 && view_eq(password, VIEW("pencil")) ? RC_OK : RC_DENIED;
}
enum rc vault_check_password(struct vault *v, const struct vault_login *who, struct view password)
{
    struct vault_match match;
    return vault_check_login(v, who, password, &match);
}
enum rc app_password_used(struct store *s, uint64_t account, uint64_t id, struct view peer)
{
    (void)s;
    assert_true(account == 42 && id == world.match.app_password && view_eq(peer, VIEW("192.0.2.7")));
    world.uses++;
    return RC_OK;
}
enum rc passkey_any(struct store *s, uint64_t account, bool *out)
{
    (void)s;
    (void)account;
    *out = world.passkeys;
    return RC_OK;
}
void addr_write_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    (void)a;
    memcpy(out, "192.0.2.7", sizeof "192.0.2.7");
}
enum rc vault_scram_start(struct vault *v, const struct vault_login *who, struct view name, struct buf *salt, uint32_t *iterations)
{
    (void)v;
    (void)name;
    if (world.vault != RC_OK)
        return world.vault;
    world.account = who->account;
    buf_add(salt, salt_bytes);
    *iterations = 4096;
    return RC_OK;
}
static void scram_proof(const char *password, struct view auth, uint8_t proof[32], uint8_t signature[32])
{
    uint8_t salted[32], client[32], stored[32], server[32];
    pbkdf2(DIGEST_SHA256, view_str(password), salt_bytes, 4096, salted);
    hmac_sha256(view_of(salted, 32), VIEW("Client Key"), client);
    hmac_sha256(view_of(salted, 32), VIEW("Server Key"), server);
    sha256(view_of(client, 32), stored);
    hmac_sha256(view_of(stored, 32), auth, proof);
    for (int i = 0; i < 32; i++)
        proof[i] ^= client[i];
    hmac_sha256(view_of(server, 32), auth, signature);
}
enum rc vault_scram_finish(struct vault *v, const struct vault_login *who, struct view auth, const uint8_t proof[32],
                           uint8_t server_signature[32], struct vault_match *out)
{
    uint8_t wanted[32];
    (void)v;
    *out = world.match;
    scram_proof("pencil", auth, wanted, server_signature);
    return who->account == 42 && memcmp(wanted, proof, 32) == 0 ? RC_OK : RC_DENIED;
}

static struct sasl_settings settings;

static int reset(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.tls = true;
    settings = (struct sasl_settings){0};
    return 0;
}

static enum sasl_step one_step(const char *mechanism, struct view response)
{
    struct sasl *s;
    struct view challenge;
    char *exact = malloc(response.n ? response.n : 1);
    if (response.n)
        memcpy(exact, response.p, response.n);
    assert_int_equal(sasl_new(&settings, NULL, view_str(mechanism), &s), RC_OK);
    enum sasl_step step = sasl_next(s, view_of(exact, response.n), &challenge);
    if (step == SASL_DONE)
        assert_int_equal(sasl_account(s)->id, 42);
    if (step != SASL_CONTINUE) /* nothing comes after the end */
        assert_int_equal(sasl_next(s, VIEW("x"), &challenge), SASL_MALFORMED);
    sasl_free(s);
    free(exact);
    return step;
}

static void mechanisms_depend_on_tls(void **state)
{
    (void)state;
    struct buf b;
    struct sasl *s;
    buf_init(&b, 200);
    assert_int_equal(sasl_mechanisms(&settings, NULL, &b), RC_OK);
    assert_true(view_eq(buf_view(&b), VIEW("SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN")));
    assert_int_equal(sasl_new(&settings, NULL, VIEW("CRAM-MD5"), &s), RC_NOTFOUND);
    world.tls = false;
    buf_reset(&b);
    sasl_mechanisms(&settings, NULL, &b);
    assert_int_equal(b.n, 0);
    assert_int_equal(sasl_new(&settings, NULL, VIEW("PLAIN"), &s), RC_DENIED);
    settings.plain_without_tls = true; /* and still not from afar */
    assert_int_equal(sasl_new(&settings, NULL, VIEW("PLAIN"), &s), RC_DENIED);
    world.loopback = true;
    sasl_mechanisms(&settings, NULL, &b);
    assert_true(view_eq(buf_view(&b), VIEW("SCRAM-SHA-256 PLAIN LOGIN")));
    assert_int_equal(sasl_new(&settings, NULL, VIEW("SCRAM-SHA-256-PLUS"), &s), RC_DENIED);
    assert_int_equal(sasl_new(&settings, NULL, VIEW("plain"), &s), RC_OK);
    assert_true(sasl_client_first(s));
    sasl_free(s);
    buf_clear(&b);
}

static void external(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 200);
    world.certificate = true;
    sasl_mechanisms(&settings, NULL, &b);
    assert_true(view_ends(buf_view(&b), VIEW(" EXTERNAL")));
    assert_int_equal(one_step("EXTERNAL", VIEW("")), SASL_DONE);
    assert_int_equal(one_step("EXTERNAL", VIEW("user@ici.test")), SASL_DONE);
    assert_int_equal(one_step("EXTERNAL", VIEW("nobody@ici.test")), SASL_WRONG);    /* no account */
    assert_int_equal(one_step("EXTERNAL", VIEW("a,b=c@ici.test")), SASL_WRONG);     /* not of this certificate */
    assert_int_equal(one_step("EXTERNAL", VIEW("user@ici.test\0x")), SASL_WRONG);
    world.directory = RC_DENIED; /* disabled */
    assert_int_equal(one_step("EXTERNAL", VIEW("")), SASL_WRONG);
    world.directory = RC_TEMP;
    assert_int_equal(one_step("EXTERNAL", VIEW("")), SASL_TEMP);
    world.directory = RC_OK;
    world.certificate = false;
    struct sasl *s;
    assert_int_equal(sasl_new(&settings, NULL, VIEW("EXTERNAL"), &s), RC_DENIED);
    buf_clear(&b);
}

static void plain(void **state)
{
    (void)state;
    static const struct {
        struct view response;
        enum sasl_step step;
    } table[] = {
        {VIEW_INIT("\0user@ici.test\0pencil"), SASL_DONE},
        {VIEW_INIT("\0USER@ici.test\0pencil"), SASL_DONE},
        {VIEW_INIT("user@ici.test\0user@ici.test\0pencil"), SASL_DONE},
        {VIEW_INIT("other@ici.test\0user@ici.test\0pencil"), SASL_WRONG},
        {VIEW_INIT("\0user@ici.test\0wrong"), SASL_WRONG},
        {VIEW_INIT("\0nobody@ici.test\0pencil"), SASL_WRONG},
        {VIEW_INIT("\0user@ici.test\0"), SASL_MALFORMED},
        {VIEW_INIT("\0\0pencil"), SASL_MALFORMED},
        {VIEW_INIT("\0user@ici.test\0pen\0cil"), SASL_MALFORMED},
        {VIEW_INIT("user@ici.test\0pencil"), SASL_MALFORMED},
        {VIEW_INIT("\0us\ner@ici.test\0pencil"), SASL_MALFORMED},
        {VIEW_INIT("\0us\xffr@ici.test\0pencil"), SASL_MALFORMED},
        {VIEW_INIT(""), SASL_MALFORMED},
        {VIEW_INIT("\0"), SASL_MALFORMED},
        {VIEW_INIT("\0\0"), SASL_MALFORMED},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (one_step("PLAIN", table[i].response) != table[i].step)
            fail_msg("row %zu", i);
}

static void unknown_names_are_counted_apart(void **state)
{
    (void)state;
    one_step("PLAIN", VIEW("\0nobody@ici.test\0pencil"));
    uint32_t first = world.name_hash;
    assert_int_equal(world.account, 0);
    one_step("PLAIN", VIEW("\0NOBODY@ici.test\0pencil"));
    assert_int_equal(world.name_hash, first);
    one_step("PLAIN", VIEW("\0nobody2@ici.test\0pencil"));
    assert_int_not_equal(world.name_hash, first);
}

static void trouble_behind_is_told_apart(void **state)
{
    (void)state;
    world.vault = RC_LIMIT;
    assert_int_equal(one_step("PLAIN", VIEW("\0user@ici.test\0pencil")), SASL_SLOW);
    assert_int_equal(one_step("SCRAM-SHA-256", VIEW("n,,n=user@ici.test,r=abc")), SASL_SLOW);
    world.vault = RC_TEMP;
    assert_int_equal(one_step("PLAIN", VIEW("\0user@ici.test\0pencil")), SASL_TEMP);
    world.vault = RC_OK;
    world.directory = RC_TEMP;
    assert_int_equal(one_step("PLAIN", VIEW("\0user@ici.test\0pencil")), SASL_TEMP);
    world.directory = RC_DENIED; /* disabled: as if unknown */
    assert_int_equal(one_step("PLAIN", VIEW("\0user@ici.test\0pencil")), SASL_WRONG);
    assert_int_equal(world.account, 0);
}

static void login(void **state)
{
    (void)state;
    for (int initial = 0; initial < 2; initial++) {
        for (int good = 0; good < 2; good++) {
            struct sasl *s;
            struct view challenge;
            assert_int_equal(sasl_new(&settings, NULL, VIEW("LOGIN"), &s), RC_OK);
            assert_false(sasl_client_first(s));
            if (!initial) {
                assert_int_equal(sasl_next(s, VIEW(""), &challenge), SASL_CONTINUE);
                assert_true(view_eq(challenge, VIEW("Username:")));
            }
            assert_int_equal(sasl_next(s, VIEW("user@ici.test"), &challenge), SASL_CONTINUE);
            assert_true(view_eq(challenge, VIEW("Password:")));
            assert_int_equal(sasl_next(s, good ? VIEW("pencil") : VIEW("pen"), &challenge), good ? SASL_DONE : SASL_WRONG);
            assert_true(view_eq(sasl_name(s), VIEW("user@ici.test")));
            sasl_free(s);
        }
    }
}

/* A whole exchange; `meddle` changes the final message. */
static enum sasl_step scram_exchange(const char *mechanism, const char *gs2, const char *name, const char *password,
                                     const char *cbind_data, int meddle)
{
    struct sasl *s;
    struct view challenge;
    struct buf first, final, auth;
    uint8_t proof[32], signature[32];

    buf_init(&first, 4096);
    buf_init(&final, 4096);
    buf_init(&auth, 8192);
    assert_int_equal(sasl_new(&settings, NULL, view_str(mechanism), &s), RC_OK);
    buf_printf(&first, "%sn=%s,r=rOprNGfwEbeRWgbNEkqO", gs2, name);
    enum sasl_step step = sasl_next(s, buf_view(&first), &challenge);
    if (step == SASL_CONTINUE) {
        struct view server_first = challenge, nonce = view_from(challenge, 2);
        assert_true(view_starts(challenge, VIEW("r=rOprNGfwEbeRWgbNEkqO")));
        nonce = view_slice(nonce, 0, view_find(nonce, VIEW(",s=")));
        assert_true(nonce.n > 20 + 20);
        buf_printf(&auth, "%s%s", gs2, cbind_data);
        buf_str(&final, "c=");
        base64_encode(buf_view(&auth), &final);
        buf_printf(&final, ",r=%.*s%s", VIEW_FMT(nonce), meddle == 1 ? "x" : "");
        if (meddle == 2)
            buf_str(&final, ",x=extension");
        buf_reset(&auth);
        buf_printf(&auth, "n=%s,r=rOprNGfwEbeRWgbNEkqO,%.*s,%.*s", name, VIEW_FMT(server_first), VIEW_FMT(buf_view(&final)));
        scram_proof(password, buf_view(&auth), proof, signature);
        buf_str(&final, ",p=");
        base64_encode(view_of(proof, meddle == 3 ? 31 : 32), &final);
        if (meddle == 4)
            buf_str(&final, ",z=z");
        step = sasl_next(s, buf_view(&final), &challenge);
        if (step == SASL_DONE) {
            buf_reset(&auth);
            buf_str(&auth, "v=");
            base64_encode(view_of(signature, 32), &auth);
            assert_true(view_eq(challenge, buf_view(&auth)));
            assert_int_equal(sasl_account(s)->id, 42);
        } else {
            assert_int_equal(challenge.n, 0);
        }
    }
    sasl_free(s);
    buf_clear(&first);
    buf_clear(&final);
    buf_clear(&auth);
    return step;
}

static void scram(void **state)
{
    (void)state;
    const char *const name = "user@ici.test", *const bytes = "the channel's own bytes";
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 0), SASL_DONE);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,a=user@ici.test,", name, "pencil", "", 0), SASL_DONE);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", "a=2Cb=3Dc@ici.test", "pencil", "", 0), SASL_DONE);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 2), SASL_DONE);
    assert_int_equal(scram_exchange("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", name, "pencil", bytes, 0), SASL_DONE);

    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "wrong", "", 0), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", "nobody@ici.test", "pencil", "", 0), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,a=other@ici.test,", name, "pencil", "", 0), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 1), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 3), SASL_MALFORMED);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 4), SASL_MALFORMED);
    /* downgraded by somebody in between: "y" though we offered -PLUS; fine where we did not */
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "y,,", name, "pencil", "", 0), SASL_WRONG);
    /* another channel than ours */
    assert_int_equal(scram_exchange("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", name, "pencil", "another's bytes", 0), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256-PLUS", "p=tls-unknown,,", name, "pencil", "", 0), SASL_WRONG);
    assert_int_equal(scram_exchange("SCRAM-SHA-256-PLUS", "n,,", name, "pencil", "", 0), SASL_MALFORMED);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "p=tls-exporter,,", name, "pencil", bytes, 0), SASL_MALFORMED);
    world.tls = false;
    world.loopback = settings.plain_without_tls = true;
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "y,,", name, "pencil", "", 0), SASL_DONE);
}

static struct sasl_grant granted(enum sasl_step wanted)
{
    struct sasl *s;
    struct view challenge;
    assert_int_equal(sasl_new(&settings, NULL, VIEW("PLAIN"), &s), RC_OK);
    assert_int_equal(sasl_next(s, VIEW("\0user@ici.test\0pencil"), &challenge), wanted);
    struct sasl_grant g = sasl_grant(s);
    sasl_free(s);
    return g;
}

static void application_passwords_open_what_they_are_for(void **state)
{
    (void)state;
    const char *const name = "user@ici.test";
    static const struct {
        enum vault_scope scope;
        enum sasl_use use;
        enum sasl_step step;
        bool read_only;
    } table[] = {
        {VAULT_SCOPE_ALL, SASL_READ, SASL_DONE, false},  {VAULT_SCOPE_ALL, SASL_SEND, SASL_DONE, false},
        {VAULT_SCOPE_READ, SASL_READ, SASL_DONE, true},  {VAULT_SCOPE_READ, SASL_SEND, SASL_SCOPE, true},
        {VAULT_SCOPE_SEND, SASL_READ, SASL_SCOPE, false}, {VAULT_SCOPE_SEND, SASL_SEND, SASL_DONE, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        world.match = (struct vault_match){.app_password = 9, .scope = table[i].scope};
        settings.use = table[i].use;
        struct sasl_grant g = granted(table[i].step);
        assert_int_equal(g.app_password, 9);
        assert_int_equal(g.read_only, table[i].read_only);
        assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", name, "pencil", "", 0), table[i].step);
    }
    assert_int_equal(world.uses, 8);
}

static void a_second_factor_asks_for_application_passwords(void **state)
{
    (void)state;
    assert_int_equal(granted(SASL_DONE).app_password, 0);
    world.match.second_factor = true;
    granted(SASL_APP_ONLY);
    assert_int_equal(scram_exchange("SCRAM-SHA-256", "n,,", "user@ici.test", "pencil", "", 0), SASL_APP_ONLY);
    world.match.second_factor = false;
    world.passkeys = true;
    granted(SASL_APP_ONLY);
    world.match.app_password = 3;
    granted(SASL_DONE);
}

static void messages_of_rfc_7677(void **state)
{
    (void)state;
    struct scram_first f;
    struct scram_final l;
    assert_int_equal(scram_first_parse(VIEW("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &f), RC_OK);
    assert_int_equal(f.flag, 'n');
    assert_true(view_eq(f.gs2, VIEW("n,,")));
    assert_true(view_eq(f.bare, VIEW("n=user,r=rOprNGfwEbeRWgbNEkqO")));
    assert_true(view_eq(f.name, VIEW("user")));
    assert_true(view_eq(f.nonce, VIEW("rOprNGfwEbeRWgbNEkqO")));
    assert_int_equal(scram_final_parse(VIEW("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                                       &l),
                     RC_OK);
    assert_true(view_eq(l.binding, VIEW("biws")));
    assert_true(view_eq(l.nonce, VIEW("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")));
    assert_true(view_eq(l.without_proof, VIEW("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")));
    assert_true(view_eq(l.proof, VIEW("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
}

static void malformed_scram_messages_are_refused(void **state)
{
    (void)state;
    static const char *const firsts[] = {"",       "n",         "n,",       "n,,",          "n,,n=,r=x",    "n,,n=user",      "n,,r=x,n=user",
                                         "x,,n=u,r=x", "p,,n=u,r=x", "p=,,n=u,r=x", "n,b=c,n=u,r=x", "n,,m=1,n=u,r=x", "n,,n=u,r=x,m=1",
                                         "n,,n=u,r=",  "n,,n=u,r=x,", "n,,n=u,r=x y", "n,,n=u,r=x,1=2"};
    static const char *const finals[] = {"",          "c=biws",        "c=biws,r=x",       "c=,r=x,p=aa",      "c=biws,r=,p=aa", "c=biws,r=x,p=",
                                         "r=x,c=biws,p=aa", "c=biws,r=x,m=1,p=aa", "c=biws,r=x,p=aa,p=bb", "c=b!,r=x,p=aa", "c=biws,r=x,,p=aa"};
    struct scram_first f;
    struct scram_final l;
    struct buf b;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        if (scram_first_parse(view_str(firsts[i]), &f) == RC_OK)
            fail_msg("accepted: %s", firsts[i]);
    for (size_t i = 0; i < sizeof finals / sizeof *finals; i++)
        if (scram_final_parse(view_str(finals[i]), &l) == RC_OK)
            fail_msg("accepted: %s", finals[i]);
    buf_init(&b, 100);
    assert_int_equal(scram_name_decode(VIEW("a=2cb"), &b), RC_SYNTAX);
    buf_reset(&b);
    assert_int_equal(scram_name_decode(VIEW("a="), &b), RC_SYNTAX);
    buf_clear(&b);
}

static void every_cut_of_a_message_is_survived(void **state)
{
    (void)state;
    const struct view whole = VIEW("p=tls-exporter,a=user@ici.test,n=user@ici.test,r=rOprNGfwEbeRWgbNEkqO,x=y");
    for (size_t n = 0; n <= whole.n; n++)
        one_step("SCRAM-SHA-256-PLUS", view_slice(whole, 0, n));
    char *huge = calloc(1, SASL_MESSAGE_MAX + 1);
    assert_int_equal(one_step("PLAIN", view_of(huge, SASL_MESSAGE_MAX + 1)), SASL_MALFORMED);
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mechanisms_depend_on_tls, reset),      cmocka_unit_test_setup(external, reset),
        cmocka_unit_test_setup(plain, reset),
        cmocka_unit_test_setup(unknown_names_are_counted_apart, reset), cmocka_unit_test_setup(trouble_behind_is_told_apart, reset),
        cmocka_unit_test_setup(login, reset),                         cmocka_unit_test_setup(scram, reset),
        cmocka_unit_test_setup(messages_of_rfc_7677, reset),          cmocka_unit_test_setup(malformed_scram_messages_are_refused, reset),
        cmocka_unit_test_setup(application_passwords_open_what_they_are_for, reset),
        cmocka_unit_test_setup(a_second_factor_asks_for_application_passwords, reset),
        cmocka_unit_test_setup(every_cut_of_a_message_is_survived, reset),
    };
    return cmocka_run_group_tests_name("sasl", tests, NULL, NULL);
}
