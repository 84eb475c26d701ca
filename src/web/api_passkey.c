/* Passkeys (WebAuthn level 3): kept, shown, removed; and logging in by one, alone or after the password.
 * A challenge names what it is for under a MAC (directory_secret) and is good for CHALLENGE_S: nothing is kept of those that nobody
 * answers, so nobody can crowd out others' challenges. One that was answered well is written down until it has run out.
 * Origin and RP ID are those of the page that asks: the dispatcher refused requests from other origins, and behind a proxy the
 * Host field is the page's. */
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "login/webauthn.h"
#include "store/app_password.h"
#include "web/api_factor.h"
#include "web/api_impl.h"

#define CHALLENGE_S    300
#define RANDOM         16
#define CLIENT_MAX     8192  /* bytes of clientDataJSON */
#define OBJECT_MAX     32768 /* of an attestation object, whose statement may hold certificates */

enum purpose { TO_KEEP = 1, TO_LOG_IN, TO_FOLLOW }; /* FOLLOW: the password was right */
struct challenge {
    uint8_t purpose;
    uint64_t account; /* 0: anybody's */
    int64_t until_s;
    uint8_t random[RANDOM];
    uint8_t mac[SHA256_SIZE];
};
#define CHALLENGE_BYTES (1 + 8 + 8 + RANDOM + SHA256_SIZE)

/* --- challenges --- */

static void put_u64(uint64_t n, struct buf *out)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_chr(out, (char)(n >> shift));
}

static uint64_t take_u64(struct view *in)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | (unsigned char)view_next(in);
    return n;
}

static void write_head(const struct challenge *h, struct buf *out)
{
    buf_chr(out, (char)h->purpose);
    put_u64(h->account, out);
    put_u64((uint64_t)h->until_s, out);
    buf_add(out, view_of(h->random, sizeof h->random));
}

static enum rc mac_of(const struct api_call *c, const struct challenge *h, uint8_t mac[SHA256_SIZE])
{
    uint8_t key[DIRECTORY_SECRET_SIZE];
    struct buf head;

    buf_init(&head, CHALLENGE_BYTES);
    write_head(h, &head);
    enum rc rc = directory_secret(c->store, VIEW("passkey-challenge"), key);
    if (rc == RC_OK)
        rc = hmac_sha256(view_of(key, sizeof key), buf_view(&head), mac);
    wipe(key, sizeof key);
    buf_clear(&head);
    return rc;
}

/* base64url, appended. */
static enum rc make_challenge(const struct api_call *c, enum purpose purpose, uint64_t account, struct buf *out)
{
    struct challenge h = {.purpose = (uint8_t)purpose, .account = account, .until_s = clock_real_s() + CHALLENGE_S};
    struct buf raw;

    random_bytes(h.random, sizeof h.random);
    buf_init(&raw, CHALLENGE_BYTES);
    enum rc rc = mac_of(c, &h, h.mac);
    write_head(&h, &raw);
    buf_add(&raw, view_of(h.mac, sizeof h.mac));
    base64_encode_url(buf_view(&raw), out);
    buf_clear(&raw);
    return rc == RC_OK ? buf_rc(out) : rc;
}

/* RC_DENIED: not one of ours, or it has run out. */
static enum rc read_challenge(const struct api_call *c, struct view text, struct challenge *h)
{
    struct buf raw;
    uint8_t mac[SHA256_SIZE];
    enum rc rc = RC_DENIED;

    buf_init(&raw, CHALLENGE_BYTES);
    if (base64_decode_url(text, &raw) == RC_OK && raw.n == CHALLENGE_BYTES) {
        struct view in = buf_view(&raw);
        h->purpose = (uint8_t)view_next(&in);
        h->account = take_u64(&in);
        h->until_s = (int64_t)take_u64(&in);
        memcpy(h->random, in.p, sizeof h->random);
        view_skip(&in, sizeof h->random);
        memcpy(h->mac, in.p, sizeof h->mac);
        rc = mac_of(c, h, mac);
        if (rc == RC_OK && (!equal_secret(view_of(mac, sizeof mac), view_of(h->mac, sizeof mac)) || h->until_s < clock_real_s()))
            rc = RC_DENIED;
    }
    buf_clear(&raw);
    return rc;
}

/* --- what browsers send --- */

/* The name of the page's host: the RP ID. Empty: none. */
static struct view rp_of(const struct api_call *c)
{
    struct view host = http_field(c->http, "Host");
    size_t colon = view_rchr(host, ':');
    return colon == VIEW_NONE ? host : view_slice(host, 0, colon);
}

/* Member `name` of the credential's response (or, without `response`, of the credential), base64url, decoded. */
static bool decode_member(const json_t *object, const char *name, size_t max, struct buf *out)
{
    const json_t *j = json_object_get(object, name);
    buf_init(out, max);
    return json_is_string(j) && base64_decode_url(view_of(json_string_value(j), json_string_length(j)), out) == RC_OK && out->n > 0;
}

static bool is_text(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* Type, challenge and origin of clientDataJSON (§7.1 steps 7 to 11, §7.2 steps 11 to 14). */
static enum rc check_client(const struct api_call *c, struct view client, const char *type, struct challenge *h)
{
    json_error_t why;
    json_t *j = json_loadb(client.p, client.n, JSON_REJECT_DUPLICATES, &why);
    const json_t *origin = json_object_get(j, "origin"), *challenge = json_object_get(j, "challenge");
    enum rc rc = RC_DENIED;

    if (json_is_string(origin) && json_is_string(challenge) && is_text(j, "type", type) && !json_is_true(json_object_get(j, "crossOrigin")) &&
        api_is_own_origin(c, view_of(json_string_value(origin), json_string_length(origin))))
        rc = read_challenge(c, view_of(json_string_value(challenge), json_string_length(challenge)), h);
    json_decref(j);
    return rc;
}

static enum rc check_data(const struct api_call *c, const struct webauthn_data *d, bool verified)
{
    uint8_t rp[SHA256_SIZE];
    enum rc rc = sha256(rp_of(c), rp);
    if (rc == RC_OK && (!equal_secret(view_of(rp, sizeof rp), view_of(d->rp, sizeof rp)) || !d->present || (verified && !d->verified)))
        rc = RC_DENIED;
    return rc;
}

static json_t *encode(struct view bytes)
{
    struct buf text;
    buf_init(&text, 2 * bytes.n + 4);
    base64_encode_url(bytes, &text);
    json_t *j = buf_rc(&text) == RC_OK ? api_view(buf_view(&text)) : NULL;
    buf_clear(&text);
    return j;
}

static json_t *key_list(const struct passkey *keys, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "type", "public-key", "id", encode(keys[i].id)));
    return list;
}

/* --- /me/passkeys --- */

static void get_passkeys(struct api_call *c)
{
    struct passkey *keys;
    size_t n;
    enum rc rc = passkeys(c->store, c->who.account, c->arena, &keys, &n);

    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "id", encode(keys[i].id), "name", api_view(keys[i].name), "created",
                                              api_time(keys[i].created_s), "last_used", api_time(keys[i].used_s)));
    api_reply(c, json_pack("{s:o}", "passkeys", list));
}

static json_t *creation_options(const struct api_call *c, struct view challenge, const struct passkey *keys, size_t n)
{
    struct buf user;
    buf_init(&user, 8);
    put_u64(c->who.account, &user);
    json_t *j = json_pack("{s:{s:{s:o, s:s}, s:{s:o, s:o, s:o}, s:o, s:[{s:s, s:i}, {s:s, s:i}, {s:s, s:i}], s:i, s:o, s:{s:s, s:s}, s:s}}",
                          "publicKey", "rp", "id", api_view(rp_of(c)), "name", c->set->hostname, "user", "id", encode(buf_view(&user)), "name",
                          api_view(c->who.address), "displayName", api_view(c->who.address), "challenge", api_view(challenge),
                          "pubKeyCredParams", "type", "public-key", "alg", -7, "type", "public-key", "alg", -8, "type", "public-key",
                          "alg", -257, "timeout", CHALLENGE_S * 1000, "excludeCredentials", key_list(keys, n), "authenticatorSelection",
                          "residentKey", "preferred", "userVerification", "preferred", "attestation", "none");
    buf_clear(&user);
    return j;
}

static void begin_keeping(struct api_call *c)
{
    struct passkey *keys;
    struct buf challenge;
    size_t n;

    buf_init(&challenge, 2 * CHALLENGE_BYTES);
    enum rc rc = passkeys(c->store, c->who.account, c->arena, &keys, &n);
    if (rc == RC_OK)
        rc = make_challenge(c, TO_KEEP, c->who.account, &challenge);
    if (rc == RC_OK)
        api_reply(c, creation_options(c, buf_view(&challenge), keys, n));
    else
        api_refuse_rc(c, rc);
    buf_clear(&challenge);
}

/* A new credential (§7.1). *key borrows from `object`. */
static enum rc check_creation(struct api_call *c, struct view client, struct view object, struct passkey *key, struct challenge *h)
{
    struct webauthn_data d;
    struct view data;
    enum rc rc = check_client(c, client, "webauthn.create", h);

    if (rc == RC_OK && (h->purpose != TO_KEEP || h->account != c->who.account))
        rc = RC_DENIED;
    if (rc == RC_OK && (webauthn_attestation_parse(object, &data) != RC_OK || webauthn_data_parse(data, &d) != RC_OK || d.key.n == 0))
        rc = RC_SYNTAX;
    if (rc == RC_OK)
        rc = check_data(c, &d, false);
    *key = rc == RC_OK ? (struct passkey){.account = c->who.account, .id = d.id, .public_key = d.key, .rp = rp_of(c), .count = d.count}
                       : (struct passkey){0};
    return rc;
}

/* The first second factor brings recovery codes. */
static void tell_kept(struct api_call *c, const struct passkey *key)
{
    struct api_factors f;
    json_t *j = json_pack("{s:o}", "id", encode(key->id));

    if (api_factors_read(c, c->who.account, &f) == RC_OK && f.codes.recovery == 0)
        json_object_set_new(j, "recovery", api_recovery_codes(c));
    c->response->status = 201;
    api_reply(c, j);
}

static void post_passkey(struct api_call *c)
{
    const json_t *response = json_object_get(c->body, "response");
    struct buf client, object;
    struct passkey key = {0};
    struct challenge h;
    bool ok = decode_member(response, "clientDataJSON", CLIENT_MAX, &client);

    ok = decode_member(response, "attestationObject", OBJECT_MAX, &object) && ok;
    enum rc rc = ok ? check_creation(c, buf_view(&client), buf_view(&object), &key, &h) : RC_SYNTAX;
    if (rc == RC_OK) {
        key.name = api_text(c, "name");
        rc = passkey_challenge_used(c->store, view_of(h.mac, sizeof h.mac), h.until_s);
        if (rc == RC_EXISTS)
            rc = RC_DENIED;
        if (rc == RC_OK && (rc = passkey_add(c->store, &key)) == RC_SYNTAX)
            rc = RC_NOTFOUND;
    }
    if (rc == RC_OK)
        rc = login_mark_end(c->store, c->who.account); /* the password alone opens no mail client any more */
    if (rc == RC_OK) {
        api_audit(c, "passkey.add", c->who.address, key.name);
        tell_kept(c, &key);
    } else if (rc == RC_NOTFOUND) {
        api_refuse_field(c, "name", "name: say which device this is, in up to 100 bytes");
    } else if (rc == RC_SYNTAX || rc == RC_DENIED) {
        api_refuse(c, 400, "passkey.bad", "This passkey was not made for this page, or too long ago: try again.");
    } else {
        api_refuse_rc(c, rc);
    }
    buf_clear(&client);
    buf_clear(&object);
}

static void delete_passkey(struct api_call *c)
{
    struct buf id;
    struct api_factors f;

    buf_init(&id, PASSKEY_ID_MAX);
    enum rc rc = base64_decode_url(c->args[0], &id) == RC_OK ? passkey_remove(c->store, c->who.account, buf_view(&id)) : RC_NOTFOUND;
    if (rc == RC_OK) {
        api_audit(c, "passkey.remove", c->who.address, c->args[0]);
        if (api_factors_read(c, c->who.account, &f) == RC_OK && !f.codes.totp && f.passkeys == 0)
            vault_totp_remove(c->set->sasl.vault, c->who.account, true); /* recovery codes of what is off */
        api_done(c);
    } else {
        api_refuse_rc(c, rc);
    }
    buf_clear(&id);
}

/* --- logging in --- */

static json_t *request_options(const struct api_call *c, struct view challenge, bool alone, const struct passkey *keys, size_t n)
{
    return json_pack("{s:{s:o, s:o, s:i, s:o, s:s}}", "publicKey", "challenge", api_view(challenge), "rpId", api_view(rp_of(c)), "timeout",
                     CHALLENGE_S * 1000, "allowCredentials", key_list(keys, n), "userVerification", alone ? "required" : "preferred");
}

static void reply_challenge(struct api_call *c, enum purpose purpose, uint64_t account)
{
    struct passkey *keys = NULL;
    struct buf challenge;
    size_t n = 0;

    buf_init(&challenge, 2 * CHALLENGE_BYTES);
    enum rc rc = account ? passkeys(c->store, account, c->arena, &keys, &n) : RC_OK;
    if (rc == RC_OK)
        rc = make_challenge(c, purpose, account, &challenge);
    if (rc == RC_OK)
        api_reply(c, request_options(c, buf_view(&challenge), purpose == TO_LOG_IN, keys, n));
    else
        api_refuse_rc(c, rc);
    buf_clear(&challenge);
}

static void begin_login(struct api_call *c)
{
    struct directory_account account;

    if (!api_has(c, "password"))
        reply_challenge(c, TO_LOG_IN, 0);
    else if (api_password_right(c, api_text(c, "address"), &account))
        reply_challenge(c, TO_FOLLOW, account.id);
}

static bool is_handle_of(struct view handle, uint64_t account)
{
    return handle.n == 8 && take_u64(&handle) == account;
}

/* An assertion (§7.2): the key is known, its page is ours, it signed our challenge, and its counter has not gone back. */
static enum rc check_assertion(struct api_call *c, struct view id, struct view client, struct view data, struct view signature, struct view user,
                               struct passkey *key, struct challenge *h)
{
    struct webauthn_data d;
    enum rc rc = check_client(c, client, "webauthn.get", h);

    if (rc == RC_OK && h->purpose != TO_LOG_IN && h->purpose != TO_FOLLOW)
        rc = RC_DENIED;
    if (rc == RC_OK)
        rc = passkey_find(c->store, id, c->arena, key);
    if (rc == RC_OK && user.n > 0 && !is_handle_of(user, key->account)) /* §7.2 step 6 */
        rc = RC_DENIED;
    if (rc == RC_NOTFOUND || (rc == RC_OK && ((h->account != 0 && h->account != key->account) || !view_eq(key->rp, rp_of(c)))))
        rc = RC_DENIED;
    if (rc == RC_OK && webauthn_data_parse(data, &d) != RC_OK)
        rc = RC_DENIED;
    if (rc == RC_OK)
        rc = check_data(c, &d, h->purpose == TO_LOG_IN);
    if (rc == RC_OK)
        rc = webauthn_verify(key->public_key, data, client, signature);
    if (rc == RC_OK && (d.count > 0 || key->count > 0) && d.count <= key->count) {
        log_warn("web.passkey.copied", F_INT("account", key->account), F_VIEW("name", key->name));
        rc = RC_DENIED;
    }
    if (rc == RC_OK)
        rc = passkey_challenge_used(c->store, view_of(h->mac, sizeof h->mac), h->until_s);
    return rc == RC_OK ? passkey_used(c->store, key->id, d.count) : rc;
}

static void post_login(struct api_call *c)
{
    const json_t *response = json_object_get(c->body, "response");
    struct directory_account account;
    struct passkey key = {0};
    struct challenge h = {0};
    struct buf id, client, data, signature, user;
    char ip[ADDR_TEXT_MAX];
    bool ok = decode_member(c->body, "rawId", PASSKEY_ID_MAX, &id);

    ok = decode_member(response, "clientDataJSON", CLIENT_MAX, &client) && ok;
    ok = decode_member(response, "authenticatorData", WEBAUTHN_DATA_MAX, &data) && ok;
    ok = decode_member(response, "signature", 1024, &signature) && ok;
    decode_member(response, "userHandle", 64, &user); /* not all give it */
    enum rc rc = ok ? check_assertion(c, buf_view(&id), buf_view(&client), buf_view(&data), buf_view(&signature), buf_view(&user),
                              &key, &h) : RC_SYNTAX;
    if (rc == RC_OK)
        rc = directory_account_by_id(c->store, key.account, c->arena, &account);
    if (rc == RC_OK && account.disabled)
        rc = RC_DENIED;
    if (rc == RC_OK) {
        api_log_in(c, &account);
    } else if (rc == RC_TEMP || rc == RC_FULL || rc == RC_CORRUPT) {
        api_refuse_rc(c, rc);
    } else {
        addr_write_ip(c->peer, ip);
        log_info("web.login.failed", F_INT("account", key.account), F_CSTR("peer", ip), F_CSTR("reason", "passkey"));
        api_refuse(c, 401, "login.passkey", "This passkey opens nothing here, or it took too long: try again.");
    }
    buf_clear(&id);
    buf_clear(&client);
    buf_clear(&data);
    buf_clear(&signature);
    buf_clear(&user);
}

const struct api_route api_passkey_routes[] = {
    {"POST", "/session/passkey/begin", API_ANYBODY, begin_login},
    {"POST", "/session/passkey", API_ANYBODY, post_login},
    {"GET", "/me/passkeys", API_USER, get_passkeys},
    {"POST", "/me/passkeys/begin", API_USER, begin_keeping},
    {"POST", "/me/passkeys", API_USER, post_passkey},
    {"DELETE", "/me/passkeys/{id}", API_USER, delete_passkey},
    {NULL},
};
