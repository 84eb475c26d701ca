/* store/mailbox: one account's folders, items and change log.
 *
 * Every change takes the next number of the account's one rising sequence (`seq`; SCHEMA 1). IMAP's MODSEQ, later DAV
 * sync tokens and MAPI change numbers are that number. An item's id is the number of its birth: stable when it moves,
 * never used again. Each call is one transaction and sees one consistent state; calls that change things are durable
 * when they return RC_OK, mailbox_deliver excepted (see store_settle).
 *
 * A handle may be shared by threads; open ones are cached, so opening is cheap. No call holds anything while the
 * caller talks to the network: results are copied into the caller's arena.
 * After a change is committed the bus (store/bus.h) tells whoever watches the account, in every process. */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include "store/store.h"

#define FOLDER_NAME_MAX  255  /* bytes of one level, UTF-8 */
#define FOLDER_DEPTH_MAX 20
#define FOLDERS_MAX      10000 /* an account */
#define KEYWORD_MAX      100   /* bytes */
#define KEYWORDS_MAX     64    /* an item */

struct mailbox;
/* RC_NOTFOUND: no such account. */
enum rc mailbox_open(struct store *s, uint64_t account, struct mailbox **out);
void mailbox_close(struct mailbox *mb); /* accepts NULL */
uint64_t mailbox_account(const struct mailbox *mb);

/* --- folders --- */
enum folder_role { FOLDER_PLAIN, FOLDER_INBOX, FOLDER_DRAFTS, FOLDER_SENT, FOLDER_JUNK, FOLDER_TRASH, FOLDER_ARCHIVE };
enum folder_kind { KIND_MAIL, KIND_EVENT, KIND_CONTACT, KIND_NOTE };
struct folder {
    uint64_t id, parent; /* parent 0: top */
    struct view path;    /* levels joined by '/', UTF-8 (NFC not enforced); "INBOX" is INBOX in this spelling */
    enum folder_role role;
    enum folder_kind kind; /* IMAP shows mail folders only */
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;     /* of the last change inside: HIGHESTMODSEQ */
    uint32_t exists, unseen, deleted; /* live items, those without \Seen, with \Deleted */
    uint64_t bytes;
    uint32_t recent_from; /* UIDs from here on have been seen by no selecting session (RFC 3501 §2.3.2) */
    bool subscribed, has_children;
};
/* All mail folders sorted by path. */
enum rc mailbox_folders(struct mailbox *mb, struct arena *a, struct folder **out, size_t *n);
/* "inbox" in any case is INBOX. */
enum rc mailbox_folder(struct mailbox *mb, struct view path, struct arena *a, struct folder *out);
enum rc mailbox_folder_by_id(struct mailbox *mb, uint64_t id, struct arena *a, struct folder *out);
enum rc mailbox_folder_by_role(struct mailbox *mb, enum folder_role role, struct arena *a, struct folder *out);
/* Makes missing parents too. RC_EXISTS; RC_SYNTAX: empty level, control character, bad UTF-8, "." or ".."; RC_LIMIT. */
enum rc mailbox_folder_create(struct mailbox *mb, struct view path, enum folder_role role, uint64_t *id);
/* With everything below it. Of INBOX: its messages move into the new folder (RFC 3501 §6.3.5). */
enum rc mailbox_folder_rename(struct mailbox *mb, struct view from, struct view to);
/* RC_DENIED: INBOX, or it has children. */
enum rc mailbox_folder_delete(struct mailbox *mb, struct view path);
enum rc mailbox_folder_subscribe(struct mailbox *mb, struct view path, bool on);
/* For a session that selects read-write: gives recent_from as it was and moves it to uidnext. */
enum rc mailbox_folder_claim_recent(struct mailbox *mb, uint64_t folder, uint32_t *recent_from);

/* --- items --- */
enum {
    FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16,
    FLAGS_ALL = 31
};
struct item {
    uint64_t id, folder;
    uint32_t uid;
    uint64_t modseq;       /* of its last change */
    uint32_t flags;
    struct view keywords;  /* sorted, single spaces; compared without case */
    int64_t internaldate;  /* seconds since 1970 */
    int64_t sent_date;     /* of Date:, seconds; 0 unknown */
    uint64_t blob;
    uint32_t skip;         /* bytes of the blob before the message begins (0 for nearly all) */
    uint32_t size;         /* of the message: RFC822.SIZE */
    struct view envelope, structure, index; /* message/summary.h */
    struct view message_id, subject_base;
    uint64_t thread;       /* id of the thread's first item */
};
enum { ITEM_FLAGS = 0, ITEM_ENVELOPE = 1, ITEM_STRUCTURE = 2, ITEM_INDEX = 4, ITEM_THREADING = 8 }; /* wanted columns */

/* Folder and its live UIDs, rising, in one consistent look. *uids from malloc (NULL when none): the caller frees. */
enum rc mailbox_uids(struct mailbox *mb, uint64_t folder, struct arena *a, struct folder *out, uint32_t **uids, size_t *n);
/* Up to `max` live items of a folder with from <= uid <= to and modseq > since, by uid. Call again from the last
 * uid + 1 for more. Columns that are not wanted are empty views. */
enum rc mailbox_items(struct mailbox *mb, uint64_t folder, uint32_t from, uint32_t to, uint64_t since, unsigned columns,
                      size_t max, struct arena *a, struct item **out, size_t *n);
enum rc mailbox_item(struct mailbox *mb, uint64_t folder, uint32_t uid, unsigned columns, struct arena *a, struct item *out);

/* What happened in a folder after `since`: at most one entry an UID, the last word on it, by rising seq. */
struct change {
    uint64_t seq;
    uint32_t uid;
    enum change_kind { CHANGE_NEW, CHANGE_FLAGS, CHANGE_GONE } kind; /* NEW: born after since, and still there */
    uint32_t flags;       /* of NEW and FLAGS: as now */
    struct view keywords;
};
/* *modseq: the folder's at this look; ask with it next time. RC_LIMIT: since is older than the log reaches: load anew. */
enum rc mailbox_changes(struct mailbox *mb, uint64_t folder, uint64_t since, struct arena *a, struct change **out, size_t *n,
                        uint64_t *modseq);
/* Cheap look whether anything happened: the folder's modseq. RC_NOTFOUND: the folder is gone. */
enum rc mailbox_folder_modseq(struct mailbox *mb, uint64_t folder, uint64_t *modseq);

/* UIDs of expunged items after `since` (for QRESYNC and VANISHED later), rising. */
enum rc mailbox_vanished(struct mailbox *mb, uint64_t folder, uint64_t since, struct arena *a, uint32_t **uids, size_t *n);

struct new_item {
    uint64_t blob;         /* already durable (blob_sync) for append; for deliver the queue row still holds it */
    uint32_t skip, size;
    uint32_t flags;
    struct view keywords;
    int64_t internaldate, sent_date;
    struct view envelope, structure, index, message_id, subject_base;
    struct view references; /* Message-IDs of In-Reply-To and References, space separated, for the thread */
    uint64_t source;       /* deliver: the queue recipient's id; else 0 */
};
/* What a row keeps of its message's text: fills in size, sent_date, envelope, structure, index, message_id, subject_base and
 * references, in `a`; leaves the rest of *out as it is. Pure. RC_TEMP: no memory. RC_LIMIT: longer than MIME_MESSAGE_MAX. */
enum rc mailbox_describe(struct view message, struct arena *a, struct new_item *out);
struct born {
    uint64_t id;
    uint32_t uid;
    uint64_t modseq;
    bool repeated; /* deliver: this source had been delivered before; nothing was added */
};
/* All or none. RC_NOTFOUND: the folder is gone. */
enum rc mailbox_append(struct mailbox *mb, uint64_t folder, const struct new_item *items, size_t n, struct born *out,
                       uint32_t *uidvalidity);
/* As append, idempotent by source, not durable before store_settle. Each with its own folder (0: INBOX). */
struct delivery {
    uint64_t folder;
    struct new_item item;
};
enum rc mailbox_deliver(struct mailbox *mb, const struct delivery *d, size_t n, struct born *out);

enum flags_mode { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };
struct flagged {
    uint32_t uid;
    uint64_t modseq;
    uint32_t flags;
    struct view keywords;
    bool changed;    /* false: was so already (modseq is the old one) */
    bool modified;   /* not touched: its modseq was above unchangedsince (RFC 7162 §3.1.3) */
};
/* uids rising; those that are gone are left out of *out. unchangedsince UINT64_MAX: no condition. */
enum rc mailbox_flag(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, enum flags_mode mode, uint32_t flags,
                     struct view keywords, uint64_t unchangedsince, struct arena *a, struct flagged **out, size_t *n_out);
/* Pairs in out: from_uid[i] became to_uid[i]. Gone ones are left out. RC_NOTFOUND: dest folder is gone. */
struct copied {
    uint32_t uidvalidity;
    uint32_t *from, *to;
    size_t n;
    uint64_t modseq;
};
/* RC_FULL: their sizes are more than `room` (store/quota.h), and nothing was copied. What is moved takes no more room than before. */
enum rc mailbox_copy(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, uint64_t dest, uint64_t room, struct arena *a,
                     struct copied *out);
enum rc mailbox_move(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, uint64_t dest, struct arena *a,
                     struct copied *out);
/* Removes items that have \Deleted: all of the folder (uids NULL), or those among uids. *gone: rising UIDs. */
enum rc mailbox_expunge(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n, struct arena *a, uint32_t **gone,
                        size_t *n_gone, uint64_t *modseq);
/* Removes these whatever their flags (POP3's QUIT, commands). */
enum rc mailbox_remove(struct mailbox *mb, uint64_t folder, const uint32_t *uids, size_t n);

/* Every blob id that rows of this account refer to (sorted, from malloc), for verify and compaction. */
enum rc mailbox_blobs(struct mailbox *mb, uint64_t **out, size_t *n);

#endif
