/* imap/search: SEARCH's keys (RFC 3501 §6.4.4, MODSEQ of RFC 7162, RETURN of RFC 4731), read into a tree and asked of
 * one message after the other. Texts are compared as message/decode.h says: UTF-8, case folded.
 * No I/O but by the function that the caller gives for bodies; one search belongs to one thread. Input is hostile. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "imap/seqmap.h"
#include "imap/seqset.h"
#include "message/decode.h"
#include "store/mailbox.h"

#define SEARCH_DEPTH_MAX 50   /* brackets, NOT and OR within each other */
#define SEARCH_KEYS_MAX  1000 /* in one command */

enum search_kind {
    SEARCH_AND,          /* children; all of none is true */
    SEARCH_OR,           /* two children */
    SEARCH_NOT,          /* one child */
    SEARCH_FLAG, SEARCH_KEYWORD, SEARCH_RECENT,
    SEARCH_SEQ, SEARCH_UID,
    SEARCH_BEFORE, SEARCH_ON, SEARCH_SINCE,             /* INTERNALDATE */
    SEARCH_SENT_BEFORE, SEARCH_SENT_ON, SEARCH_SENT_SINCE, /* Date: */
    SEARCH_LARGER, SEARCH_SMALLER, SEARCH_MODSEQ,
    SEARCH_HEADER, SEARCH_BODY, SEARCH_TEXT,
};
struct search_key {
    enum search_kind kind;
    bool reads_body;             /* this key, or one below it, wants the message's bytes */
    struct search_key *child, *next;
    struct search_key *all_next; /* every key of the search */
    unsigned flag;
    struct imap_seqset set;
    int64_t number;              /* day since 1970, size or modseq */
    struct view name;            /* keyword, header field */
    struct decode_needle needle;
};
enum { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8 };
struct search {
    struct search_key *root, *all;
    unsigned n_keys;
    unsigned returns;   /* RETURN_*; 0: the old SEARCH response */
    unsigned columns;   /* ITEM_* that rows must have */
    bool needs_rows;    /* something is asked that the sequence map does not know */
    bool has_modseq;
};

/* All that follows SEARCH and its space. RC_SYNTAX; RC_LIMIT; RC_NOTFOUND: an unknown charset (BADCHARSET); RC_TEMP.
 * To be cleared in every case. */
enum rc imap_search_parse(struct view in, struct arena *a, struct search *out);
void imap_search_clear(struct search *s);
/* Puts the numbers of this map for "*". Before the first imap_search_match. */
void imap_search_resolve(struct search *s, const struct seqmap *map);

struct search_facts {
    uint32_t seq, uid, recent_from;
    const struct item *item; /* where needs_rows */
    /* The message's bytes; called at most once a message. */
    enum rc (*open)(void *ctx, const struct item *item, struct view *message);
    void *ctx;
    struct view message;     /* once opened */
    bool is_open;
};
/* RC_OK with *found, or what open or the text search came to. */
enum rc imap_search_match(const struct search *s, struct search_facts *f, bool *found);

#endif
