/* mailauth/dkim_tags: the tag=value lists of signatures and key records (RFC 6376 §3.2), with the values that both
 * share. Pure: no I/O, no globals, any thread. Input is hostile and may hold any byte; views borrow it. */
#ifndef MAILAUTH_DKIM_TAGS_H
#define MAILAUTH_DKIM_TAGS_H

#include "base/arena.h"

#define DKIM_TAGS_MAX 50 /* of one list */

struct dkim_tag {
    struct view name;  /* case matters */
    struct view value; /* without white space at its ends; may be empty; folds inside are kept */
    size_t at, n;      /* all between "=" and ";", white space included, as bytes of the list */
};
struct dkim_tags {
    struct dkim_tag tag[DKIM_TAGS_MAX];
    size_t n;
};

/* RC_SYNTAX: not such a list, or a tag twice. RC_LIMIT: more than DKIM_TAGS_MAX. */
enum rc dkim_tags_parse(struct view text, struct dkim_tags *out);
/* NULL: it is not there. */
const struct dkim_tag *dkim_tags_find(const struct dkim_tags *t, const char *name);

/* The next item of a colon-separated list, white space around it removed; moves past it. False at the end; an empty
 * list has one empty item. *more is true before the first call. */
bool dkim_list_next(struct view *in, bool *more, struct view *item);
/* Whether such a list has the item; case matters (RFC 6376 §3.2). */
bool dkim_list_has(struct view list, const char *item);
/* Base64 with white space anywhere, padding or not. RC_SYNTAX: something else. RC_TEMP: the arena is full. */
enum rc dkim_base64(struct view text, struct arena *a, struct view *out);
/* Without white space anywhere. RC_TEMP: the arena is full. */
enum rc dkim_squeeze(struct view text, struct arena *a, struct view *out);
bool dkim_is_space(unsigned char c); /* blank, CR or LF */

#endif
