/* store/session: who is logged in to the pages, and the links that log somebody in once. Of a session's token and a link's only
 * the SHA-256 is kept: who reads the database can open none. Sessions end by themselves after a while of rest and after a longest
 * life; when the account goes, is disabled or gets another role or password; and when asked to. Blocks on the disk. Any thread. */
#ifndef STORE_SESSION_H
#define STORE_SESSION_H

#include "store/directory.h"

#define SESSION_HASH        32
#define SESSIONS_MAX        50            /* of an account; the longest unseen one makes room */
#define SESSION_AGENT_MAX   200           /* bytes of the browser's own description */
#define SESSION_SEEN_S      60            /* how exactly it is noted when one was used last */
#define SESSION_LINK_S      (24 * 3600)   /* a link can be used so long */

struct session_terms {
    int64_t idle_s, longest_s;
};
struct session_row {
    uint64_t id; /* random; for people, opens nothing */
    uint64_t account;
    struct view peer, agent;
    int64_t created_s, seen_s;
};

enum rc session_open(struct store *s, const uint8_t hash[SESSION_HASH], uint64_t account, struct view peer, struct view agent,
                     uint64_t *id);
/* The session that has this token and its account, and notes that it is in use. RC_NOTFOUND: none, or it has ended. */
enum rc session_find(struct store *s, const uint8_t hash[SESSION_HASH], const struct session_terms *terms, struct view peer,
                     struct arena *a, struct session_row *out, struct directory_account *account);
/* Those of an account that go on, newest first. */
enum rc session_list(struct store *s, uint64_t account, const struct session_terms *terms, struct arena *a, struct session_row **out,
                     size_t *n);
/* RC_NOTFOUND: this account has none of that id. */
enum rc session_close(struct store *s, uint64_t account, uint64_t id);
/* All of an account but `except` (0: all), its links, and what mail clients opened by its own password (store/app_password.h). */
enum rc session_close_all(struct store *s, uint64_t account, uint64_t except);
/* Rows of what has ended go. */
enum rc session_forget(struct store *s, const struct session_terms *terms);

/* A link for this account; it takes the place of those before. */
enum rc session_link_add(struct store *s, const uint8_t hash[SESSION_HASH], uint64_t account);
/* Uses it up. RC_NOTFOUND: none such, used, or too old. RC_DENIED: its account is disabled. */
enum rc session_link_take(struct store *s, const uint8_t hash[SESSION_HASH], struct arena *a, struct directory_account *account);

#endif
