/* vault/wire: requests and answers between the vault and its clients: one SEQPACKET message each (sys/fdpass.h).
 * Both ends are this program, but the vault trusts no client: what it reads is checked like any other input.
 * Pure; any thread. */
#ifndef VAULT_WIRE_H
#define VAULT_WIRE_H

#include "base/buf.h"

#define VAULT_MESSAGE_MAX 65536

enum vault_op {
    VAULT_OP_PASSWORD = 1, /* a: password; n: name_hash of struct vault_login, as in the next two */
    VAULT_OP_SCRAM_START,  /* a: name */
    VAULT_OP_SCRAM_FINISH, /* a: AuthMessage; key: ClientProof; answer: ServerSignature, id; n as LOGIN */
    VAULT_OP_TLS_SIGN,     /* a: input; key: of which key; n: enum tls_sign_kind */
    VAULT_OP_TLS_CHAIN,    /* n: which */
    VAULT_OP_DKIM_SIGN,    /* a: selector SP domain; key: the digest; n: enum pkey_kind */
    VAULT_OP_DKIM_FORGET,  /* a: selector SP domain */
    VAULT_OP_KEY_PUBLIC,   /* a: name; n: enum tls_key_which (vault/tls_keys.h), as in the next */
    VAULT_OP_KEY_SIGN,     /* a: name; key: the digest; n */
    VAULT_OP_KEY_INSTALL,  /* a: name LF chain in PEM */
    VAULT_OP_LOGIN,        /* as PASSWORD, but application passwords fit too; answer: n scope and second factor, a: id */
    VAULT_OP_APP_MAKE,     /* account; n: enum vault_scope; answer: id, password */
    VAULT_OP_APP_REMOVE,   /* account; a: id */
    VAULT_OP_PASSWORD_SET,    /* account; a: password */
    VAULT_OP_PASSWORD_REMOVE, /* account */
    VAULT_OP_DKIM_MAKE,       /* a: selector SP domain; n: enum pkey_kind; answer: public key */
    VAULT_OP_DKIM_LEAVE,      /* a: domain */
    VAULT_OP_FACTOR_STATE, /* account; answer: n: 1 where TOTP is on, and 2 for each recovery code */
    VAULT_OP_FACTOR_CHECK, /* as PASSWORD; a: code; answer: n: 1 for a recovery code */
    VAULT_OP_TOTP_BEGIN,   /* account; answer: the secret */
    VAULT_OP_TOTP_CONFIRM, /* account; a: code */
    VAULT_OP_TOTP_REMOVE,  /* account; n: 1: recovery codes too */
    VAULT_OP_RECOVERY_MAKE, /* account; answer: codes, one a line */
    VAULT_OP_LAST = VAULT_OP_RECOVERY_MAKE,
};
struct vault_request {
    uint32_t seq;     /* comes back in the answer */
    enum vault_op op;
    uint32_t n;
    uint64_t account;
    uint8_t peer[16];
    uint8_t key[32];
    struct view a;
};
struct vault_answer {
    uint32_t seq;
    enum rc rc;
    uint32_t n;        /* SCRAM_START: iterations */
    uint32_t delay_ms; /* the client waits so long before it tells: the vault's threads are too dear for that */
    struct view a;     /* salt, ServerSignature, signature, PEM */
};

/* Which password fitted (vault/app_passwords.h), in an answer's n and 8 bytes of its a. */
struct vault_match;
uint32_t vault_match_number(const struct vault_match *m);
void vault_id_write(uint64_t id, struct buf *out);
bool vault_id_parse(struct view *in, uint64_t *id);
bool vault_match_parse(uint32_t n, struct view id, struct vault_match *out);

/* Appended; a message that is too long is remembered by the buffer. */
void vault_request_write(const struct vault_request *r, struct buf *out);
void vault_answer_write(const struct vault_answer *r, struct buf *out);
/* Views borrow from msg. RC_SYNTAX: not such a message. */
enum rc vault_request_parse(struct view msg, struct vault_request *out);
enum rc vault_answer_parse(struct view msg, struct vault_answer *out);

#endif
