/* vault/second_factor: codes by time (TOTP, RFC 6238 over RFC 4226: HMAC-SHA-1, six digits, 30 seconds) and recovery codes, kept in
 * vault.db beside the passwords (vault/credentials.h). A code is good for its step and the one before and after it, once. Of
 * recovery codes (80 random bits, hence no slow hash) HMAC-SHA-256 is kept; each is good once.
 * Who knows the password could try codes: after CODES_WRONG_MAX wrong ones the account's next are not looked at for a while, from
 * wherever they come (besides what vault/failures.h does); recovery codes still are.
 * Blocks on the disk. Any thread. Time is handed in. */
#ifndef VAULT_SECOND_FACTOR_H
#define VAULT_SECOND_FACTOR_H

#include "base/buf.h"
#include "vault/credentials.h"

#define TOTP_SECRET         20  /* bytes: RFC 4226 §4 R6 */
#define TOTP_STEP_S         30
#define TOTP_DIGITS         6
#define TOTP_WINDOW         1   /* steps before and after */
#define CODES_WRONG_MAX     20
#define CODES_WRONG_FADE_S  300 /* one is forgotten after so long */
#define RECOVERY_CODES      10
#define RECOVERY_CODE_TEXT  19  /* "abcd-efgh-ijkl-mnop" */

struct second_factor {
    bool totp;         /* confirmed: it is asked for */
    unsigned recovery; /* codes left */
};
/* RC_TEMP. */
enum rc second_factor_state(struct credentials *c, uint64_t account, struct second_factor *out);
/* A new secret that holds nothing until it is confirmed; one that was not confirmed goes. RC_EXISTS: one is in force. */
enum rc totp_begin(struct credentials *c, uint64_t account, uint8_t secret[TOTP_SECRET]);
/* In force from here on. RC_DENIED: the code is not that of now. RC_NOTFOUND: nothing was begun. */
enum rc totp_confirm(struct credentials *c, uint64_t account, struct view code, int64_t now_s);
/* Takes it off; recovery codes go too where told. RC_NOTFOUND: none was in force. */
enum rc totp_remove(struct credentials *c, uint64_t account, bool recovery_too);
/* New recovery codes in place of all before, one a line. */
enum rc recovery_make(struct credentials *c, uint64_t account, struct buf *codes);
/* A code of either kind. *recovery: it was one of those. RC_DENIED; RC_LIMIT: too many wrong ones; RC_NOTFOUND: there is no second
 * factor that has codes. */
enum rc second_factor_check(struct credentials *c, uint64_t account, struct view code, int64_t now_s, bool *recovery);

/* The code of a step (RFC 4226 §5.3); exported for tests. */
enum rc totp_code(const uint8_t secret[TOTP_SECRET], uint64_t step, uint32_t *out);

#endif
