/* store/suppression: addresses that an account's mail over the HTTP API does not go to any more, for they do not exist or their owners
 * complained; and the keys by which a message that is sent twice goes once. I/O: disk. Any thread. */
#ifndef STORE_SUPPRESSION_H
#define STORE_SUPPRESSION_H

#include "store/store.h"

#define SUPPRESSION_MAX      100000 /* of an account; further ones are not kept */
#define SUPPRESSION_TEXT_MAX 500    /* bytes of a reason */
#define SEND_KEY_KEEP_S      86400
#define SEND_KEY_STUCK_S     300    /* a request that did not end by then never will */
#define SEND_DIGEST          32

enum suppression_kind { SUPPRESSED_BOUNCE, SUPPRESSED_COMPLAINT };
struct suppression {
    struct view address;  /* lower case */
    enum suppression_kind kind;
    struct view reason;   /* the peer's words */
    int64_t since_s;
};
/* A second one for the address changes nothing. RC_LIMIT: there are too many. */
enum rc suppression_add(struct store *s, uint64_t account, const struct suppression *x);
enum rc suppression_has(struct store *s, uint64_t account, struct view address, bool *out);
/* By address, behind `after`, up to max. */
enum rc suppression_list(struct store *s, uint64_t account, struct view after, size_t max, struct arena *a, struct suppression **out, size_t *n);
/* RC_NOTFOUND. */
enum rc suppression_remove(struct store *s, uint64_t account, struct view address);

/* A message with this key, digests of both. RC_OK: it is new, and send_key_end or send_key_drop must follow. RC_EXISTS: it was sent,
 * *answer is what was answered; empty: it is being sent. RC_DENIED: the key was for another message. */
enum rc send_key_begin(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST], const uint8_t body[SEND_DIGEST], int64_t now_s,
                       struct arena *a, struct view *answer);
enum rc send_key_end(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST], struct view answer);
enum rc send_key_drop(struct store *s, uint64_t account, const uint8_t key[SEND_DIGEST]);

#endif
