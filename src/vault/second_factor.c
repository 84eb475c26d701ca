#include "vault/second_factor.h"

#include "crypto/digest.h"
#include "crypto/equal.h"
#include "crypto/random.h"
#include "vault/credentials_internal.h"

#define LETTERS 16

struct totp {
    uint8_t secret[TOTP_SECRET];
    bool confirmed;
    int64_t last_step; /* of the last code that was taken */
    uint32_t wrong;
    int64_t wrong_s;   /* when it was counted last */
};

enum rc totp_code(const uint8_t secret[TOTP_SECRET], uint64_t step, uint32_t *out)
{
    uint8_t counter[8], mac[SHA1_SIZE];

    for (int i = 7; i >= 0; i--, step >>= 8)
        counter[i] = (uint8_t)step;
    enum rc rc = hmac_sha1(view_of(secret, TOTP_SECRET), view_of(counter, sizeof counter), mac);
    const unsigned at = mac[SHA1_SIZE - 1] & 15; /* at most 15, and four bytes from there are within the 20 */
    *out = ((uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 | mac[at + 3]) % 1000000;
    wipe(mac, sizeof mac);
    return rc;
}

/* Six digits, blanks between them allowed as apps show them. */
static bool read_code(struct view text, uint32_t *out)
{
    unsigned n = 0;

    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ')
            continue;
        if (!is_digit((unsigned char)text.p[i]) || n++ == TOTP_DIGITS)
            return false;
        *out = *out * 10 + (uint32_t)(text.p[i] - '0');
    }
    return n == TOTP_DIGITS;
}

/* The step whose code this is, later than the last one taken. All are computed, so that the time tells nothing. */
static enum rc find_step(const struct totp *t, uint32_t code, int64_t now_s, int64_t *step)
{
    const int64_t now = now_s / TOTP_STEP_S;
    enum rc rc = RC_OK;

    *step = -1;
    for (int64_t s = now - TOTP_WINDOW; s <= now + TOTP_WINDOW && rc == RC_OK; s++) {
        uint32_t wanted = 0;
        rc = totp_code(t->secret, (uint64_t)s, &wanted);
        if (rc == RC_OK && equal_secret(view_of(&wanted, sizeof wanted), view_of(&code, sizeof code)) && s > t->last_step && *step < 0)
            *step = s;
    }
    return rc != RC_OK ? rc : *step < 0 ? RC_DENIED : RC_OK;
}

/* --- rows; the lock is held --- */

static enum rc begin(struct credentials *c)
{
    return vault_db_rc(c->db, sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), "begin");
}

/* RC_OK and what the caller decided (RC_DENIED, say) are kept; a failure undoes all. */
static enum rc end(struct credentials *c, enum rc rc, bool keep)
{
    if (!keep) {
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    enum rc ended = vault_db_rc(c->db, sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL), "commit");
    if (ended != RC_OK)
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return ended == RC_OK ? rc : ended;
}

static enum rc read_totp(struct credentials *c, uint64_t account, struct totp *t)
{
    sqlite3_stmt *st = credentials_prepare(c, "SELECT secret, confirmed, last_step, wrong, wrong_s FROM totp WHERE account = ?1");
    enum rc rc = RC_TEMP;

    if (!st)
        return RC_TEMP;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    int got = sqlite3_step(st);
    if (got == SQLITE_ROW) {
        rc = credentials_blob(st, 0, t->secret, sizeof t->secret) ? RC_OK : RC_TEMP;
        t->confirmed = sqlite3_column_int(st, 1) != 0;
        t->last_step = sqlite3_column_int64(st, 2);
        t->wrong = (uint32_t)sqlite3_column_int(st, 3);
        t->wrong_s = sqlite3_column_int64(st, 4);
    } else {
        rc = got == SQLITE_DONE ? RC_NOTFOUND : vault_db_rc(c->db, got, "read a second factor");
    }
    sqlite3_finalize(st);
    return rc;
}

static enum rc write_totp(struct credentials *c, uint64_t account, const struct totp *t)
{
    sqlite3_stmt *st = credentials_prepare(c, "INSERT OR REPLACE INTO totp (account, secret, confirmed, last_step, wrong, wrong_s)"
                                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    if (!st)
        return RC_TEMP;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    sqlite3_bind_blob(st, 2, t->secret, sizeof t->secret, SQLITE_STATIC);
    sqlite3_bind_int(st, 3, t->confirmed);
    sqlite3_bind_int64(st, 4, t->last_step);
    sqlite3_bind_int(st, 5, (int)t->wrong);
    sqlite3_bind_int64(st, 6, t->wrong_s);
    return credentials_run(c, st, "write a second factor", NULL);
}

static enum rc count_recovery(struct credentials *c, uint64_t account, unsigned *n)
{
    sqlite3_stmt *st = credentials_prepare(c, "SELECT count(*) FROM recovery WHERE account = ?1");
    if (!st)
        return RC_TEMP;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    enum rc rc = vault_db_rc(c->db, sqlite3_step(st), "count recovery codes");
    *n = rc == RC_OK ? (unsigned)sqlite3_column_int(st, 0) : 0;
    sqlite3_finalize(st);
    return rc;
}

static enum rc remove_of(struct credentials *c, uint64_t account, const char *sql, int *changed)
{
    sqlite3_stmt *st = credentials_prepare(c, sql);
    if (!st)
        return RC_TEMP;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    return credentials_run(c, st, "remove a second factor", changed);
}

static enum rc bind_recovery(struct credentials *c, uint64_t account, const uint8_t hash[SHA256_SIZE], const char *sql, int *changed)
{
    sqlite3_stmt *st = credentials_prepare(c, sql);
    if (!st)
        return RC_TEMP;
    sqlite3_bind_int64(st, 1, (sqlite3_int64)account);
    sqlite3_bind_blob(st, 2, hash, SHA256_SIZE, SQLITE_STATIC);
    return credentials_run(c, st, "recovery code", changed);
}

/* HMAC under the file's own random number, of account and letters. */
static enum rc hash_recovery(const struct credentials *c, uint64_t account, const char letters[LETTERS], uint8_t hash[SHA256_SIZE])
{
    char text[sizeof account + LETTERS];
    memcpy(text, &account, sizeof account);
    memcpy(text + sizeof account, letters, LETTERS);
    enum rc rc = hmac_sha256(view_of(c->secret, sizeof c->secret), view_of(text, sizeof text), hash);
    wipe(text, sizeof text);
    return rc;
}

static bool read_letters(struct view text, char letters[LETTERS])
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char ch = (unsigned char)text.p[i];
        if (ch == '-' || ch == ' ')
            continue;
        if (n == LETTERS || (!is_alpha(ch) && (ch < '2' || ch > '7')))
            return false;
        letters[n++] = (char)to_lower(ch);
    }
    return n == LETTERS;
}

/* --- public --- */

enum rc second_factor_state(struct credentials *c, uint64_t account, struct second_factor *out)
{
    struct totp t;

    *out = (struct second_factor){0};
    pthread_mutex_lock(&c->lock);
    enum rc rc = read_totp(c, account, &t);
    out->totp = rc == RC_OK && t.confirmed;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        rc = count_recovery(c, account, &out->recovery);
    pthread_mutex_unlock(&c->lock);
    wipe(&t, sizeof t);
    return rc;
}

enum rc totp_begin(struct credentials *c, uint64_t account, uint8_t secret[TOTP_SECRET])
{
    struct totp t;

    pthread_mutex_lock(&c->lock);
    enum rc rc = begin(c);
    if (rc == RC_OK) {
        rc = read_totp(c, account, &t);
        rc = rc == RC_OK && t.confirmed ? RC_EXISTS : rc == RC_NOTFOUND ? RC_OK : rc;
        if (rc == RC_OK) {
            t = (struct totp){.last_step = -1};
            random_bytes(t.secret, sizeof t.secret);
            memcpy(secret, t.secret, sizeof t.secret);
            rc = write_totp(c, account, &t);
        }
        rc = end(c, rc, rc == RC_OK);
    }
    pthread_mutex_unlock(&c->lock);
    wipe(&t, sizeof t);
    return rc;
}

enum rc totp_confirm(struct credentials *c, uint64_t account, struct view text, int64_t now_s)
{
    struct totp t = {0};
    uint32_t code;
    int64_t step;

    if (!read_code(text, &code))
        return RC_DENIED;
    pthread_mutex_lock(&c->lock);
    enum rc rc = begin(c);
    if (rc == RC_OK) {
        rc = read_totp(c, account, &t);
        if (rc == RC_OK && t.confirmed)
            rc = RC_NOTFOUND;
        if (rc == RC_OK)
            rc = find_step(&t, code, now_s, &step);
        if (rc == RC_OK) {
            t.confirmed = true;
            t.last_step = step;
            rc = write_totp(c, account, &t);
        }
        rc = end(c, rc, rc == RC_OK);
    }
    pthread_mutex_unlock(&c->lock);
    wipe(&t, sizeof t);
    return rc;
}

enum rc totp_remove(struct credentials *c, uint64_t account, bool recovery_too)
{
    int had = 0;

    pthread_mutex_lock(&c->lock);
    enum rc rc = begin(c);
    if (rc == RC_OK) {
        rc = remove_of(c, account, "DELETE FROM totp WHERE account = ?1", &had);
        if (rc == RC_OK && recovery_too)
            rc = remove_of(c, account, "DELETE FROM recovery WHERE account = ?1", NULL);
        rc = end(c, rc, rc == RC_OK);
    }
    pthread_mutex_unlock(&c->lock);
    return rc == RC_OK && had == 0 ? RC_NOTFOUND : rc;
}

static enum rc add_recovery(struct credentials *c, uint64_t account, struct buf *codes)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[LETTERS], hash[SHA256_SIZE];
    char letters[LETTERS];

    random_bytes(random, sizeof random);
    for (size_t i = 0; i < LETTERS; i++) {
        letters[i] = alphabet[random[i] % 32];
        if (i > 0 && i % 4 == 0)
            buf_chr(codes, '-');
        buf_chr(codes, letters[i]);
    }
    buf_chr(codes, '\n');
    enum rc rc = hash_recovery(c, account, letters, hash);
    if (rc == RC_OK)
        rc = bind_recovery(c, account, hash, "INSERT INTO recovery (account, hash) VALUES (?1, ?2)", NULL);
    wipe(random, sizeof random);
    wipe(letters, sizeof letters);
    return rc;
}

enum rc recovery_make(struct credentials *c, uint64_t account, struct buf *codes)
{
    pthread_mutex_lock(&c->lock);
    enum rc rc = begin(c);
    if (rc == RC_OK) {
        rc = remove_of(c, account, "DELETE FROM recovery WHERE account = ?1", NULL);
        for (int i = 0; i < RECOVERY_CODES && rc == RC_OK; i++)
            rc = add_recovery(c, account, codes);
        if (rc == RC_OK)
            rc = buf_rc(codes);
        rc = end(c, rc, rc == RC_OK);
    }
    pthread_mutex_unlock(&c->lock);
    return rc;
}

static uint32_t wrong_now(const struct totp *t, int64_t now_s)
{
    const int64_t faded = now_s > t->wrong_s ? (now_s - t->wrong_s) / CODES_WRONG_FADE_S : 0;
    return faded >= t->wrong ? 0 : t->wrong - (uint32_t)faded;
}

/* A wrong code is written down too, so that a restart forgets none. */
static enum rc check_totp(struct credentials *c, uint64_t account, uint32_t code, int64_t now_s)
{
    struct totp t = {0};
    int64_t step;
    enum rc rc = begin(c);

    if (rc != RC_OK)
        return rc;
    rc = read_totp(c, account, &t);
    if (rc == RC_OK && !t.confirmed)
        rc = RC_NOTFOUND;
    if (rc == RC_OK && wrong_now(&t, now_s) >= CODES_WRONG_MAX)
        rc = RC_LIMIT;
    if (rc == RC_OK)
        rc = find_step(&t, code, now_s, &step);
    if (rc == RC_OK) {
        t.last_step = step;
        t.wrong = 0;
        rc = write_totp(c, account, &t);
    } else if (rc == RC_DENIED) {
        t.wrong = wrong_now(&t, now_s) + 1;
        t.wrong_s = now_s;
        enum rc wrote = write_totp(c, account, &t);
        rc = wrote == RC_OK ? RC_DENIED : wrote;
    }
    wipe(&t, sizeof t);
    return end(c, rc, rc == RC_OK || rc == RC_DENIED);
}

static enum rc check_recovery(struct credentials *c, uint64_t account, struct view text)
{
    char letters[LETTERS];
    uint8_t hash[SHA256_SIZE];
    int taken = 0;

    if (!read_letters(text, letters))
        return RC_DENIED;
    enum rc rc = hash_recovery(c, account, letters, hash);
    if (rc == RC_OK) /* found by its hash: what that search's time tells is of a MAC under a key that nobody has */
        rc = bind_recovery(c, account, hash, "DELETE FROM recovery WHERE account = ?1 AND hash = ?2", &taken);
    wipe(letters, sizeof letters);
    return rc == RC_OK && taken == 0 ? RC_DENIED : rc;
}

enum rc second_factor_check(struct credentials *c, uint64_t account, struct view text, int64_t now_s, bool *recovery)
{
    uint32_t code;
    bool digits = read_code(text, &code);

    pthread_mutex_lock(&c->lock);
    enum rc rc = digits ? check_totp(c, account, code, now_s) : check_recovery(c, account, text);
    pthread_mutex_unlock(&c->lock);
    *recovery = rc == RC_OK && !digits;
    return rc;
}
