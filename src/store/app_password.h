/* store/app_password: what is shown of the application passwords and passkeys of an account. The vault has the verifiers of the
 * former (vault/app_passwords.h), whose ids these are; of passkeys (WebAuthn) there are public keys only, and they are here.
 * Blocks on the disk. Any thread. */
#ifndef STORE_APP_PASSWORD_H
#define STORE_APP_PASSWORD_H

#include "store/store.h"

#define APP_PASSWORD_NAME_MAX 100 /* bytes, UTF-8; of passkeys too */
#define APP_PASSWORD_USED_S   60  /* a use is written down when the last one is so long ago */
#define PASSKEY_ID_MAX        1023 /* WebAuthn §4, credential id */
#define PASSKEY_KEY_MAX       1024 /* COSE key: RSA with 4096 bits fits */
#define PASSKEYS_MAX          50   /* an account */

struct app_password {
    uint64_t id;
    struct view name;
    int scope;             /* enum vault_scope */
    int64_t created_s, used_s; /* used_s 0: never */
    struct view used_peer; /* address that it was last used from */
};
/* RC_SYNTAX: no name, too long, or it has control characters. */
enum rc app_password_add(struct store *s, uint64_t account, uint64_t id, struct view name, int scope);
enum rc app_passwords(struct store *s, uint64_t account, struct arena *a, struct app_password **out, size_t *n); /* by id */
/* Who watches the account (store/bus.h) hears of it: sessions that were opened by it end. RC_NOTFOUND. */
enum rc app_password_remove(struct store *s, uint64_t account, uint64_t id);
/* Notes the use; most calls only look. */
enum rc app_password_used(struct store *s, uint64_t account, uint64_t id, struct view peer);

/* By what somebody logged in, kept while they stay. */
struct login_mark {
    uint64_t account;
    uint64_t app_password; /* 0: the account's own password */
    uint64_t password_n;   /* directory_account.password_n then */
};
/* RC_DENIED: that opens nothing any more: the account has gone or is disabled, the application password was removed, the own one is another. */
enum rc login_mark_look(struct store *s, const struct login_mark *mark);
/* Who logged in by the account's own password has to do so again (a new one does that by itself: session_close_all). */
enum rc login_mark_end(struct store *s, uint64_t account);

struct passkey {
    uint64_t account;
    struct view id;         /* the authenticator's */
    struct view public_key; /* COSE (RFC 9052 §7) */
    struct view rp;         /* host name of the pages that it was made on */
    struct view name;
    uint32_t count;         /* signature counter as last seen */
    int64_t created_s, used_s;
};
/* RC_SYNTAX as above, or longer than the limits; RC_EXISTS: this id is known; RC_LIMIT: PASSKEYS_MAX. */
enum rc passkey_add(struct store *s, const struct passkey *k);
enum rc passkeys(struct store *s, uint64_t account, struct arena *a, struct passkey **out, size_t *n); /* oldest first */
enum rc passkey_any(struct store *s, uint64_t account, bool *out);
enum rc passkey_find(struct store *s, struct view id, struct arena *a, struct passkey *out); /* RC_NOTFOUND */
/* A good assertion: counter and time. */
enum rc passkey_used(struct store *s, struct view id, uint32_t count);
/* Notes that a challenge (its MAC, short) has been answered, until it runs out. RC_EXISTS: it had been. */
enum rc passkey_challenge_used(struct store *s, struct view mac, int64_t until_s);
enum rc passkey_remove(struct store *s, uint64_t account, struct view id); /* RC_NOTFOUND */
enum rc passkey_remove_all(struct store *s, uint64_t account);

#endif
