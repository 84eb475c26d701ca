/* acme/session: a conversation with an ACME server (RFC 8555 §6, §7.1 to §7.3): its directory, nonces, our account, and signed
 * requests. Inside of acme/ only. */
#ifndef ACME_SESSION_H
#define ACME_SESSION_H

#include <jansson.h>

#include "acme/acme.h"
#include "acme/jose.h"

struct acme_session {
    const struct acme_settings *set;
    struct acme_result *result;
    int64_t deadline_ms;
    char new_nonce[ACME_URL_MAX], new_account[ACME_URL_MAX], new_order[ACME_URL_MAX], renewal_info[ACME_URL_MAX]; /* "": none */
    bool needs_eab;
    char nonce[FETCH_FIELD_MAX]; /* "": ask for one */
    char account[ACME_URL_MAX];  /* its URL; "": not known yet */
    char account_key[ACME_URL_MAX + 16]; /* name in the vault */
    struct buf jwk;
    struct arena arena;
};
/* Reads the directory. */
enum rc acme_session_open(struct acme_session *s, const struct acme_settings *set, int64_t deadline_ms, struct acme_result *result);
/* Finds our account, or makes it. */
enum rc acme_session_login(struct acme_session *s);
void acme_session_close(struct acme_session *s);

/* A signed POST; `payload` NULL: POST-as-GET. Any of reply and body may be NULL. RC_DENIED, RC_TEMP: result says why. */
enum rc acme_post(struct acme_session *s, const char *url, json_t *payload, struct fetch_reply *reply, struct buf *body);
/* The same where a JSON object comes back; to be freed by json_decref. */
enum rc acme_post_json(struct acme_session *s, const char *url, json_t *payload, struct fetch_reply *reply, json_t **out);
/* A plain GET of a JSON object. */
enum rc acme_get_json(struct acme_session *s, const char *url, struct fetch_reply *reply, json_t **out);

/* A member that is a text of at most ACME_URL_MAX; "" otherwise. */
const char *acme_text(const json_t *object, const char *member);
/* Sets why, and gives rc. */
enum rc acme_fail(struct acme_session *s, enum rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Waits; false: stopped, or the deadline has come. */
bool acme_wait(struct acme_session *s, int64_t ms);

#endif
