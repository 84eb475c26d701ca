/* mailauth/authres: Authentication-Results (RFC 8601): writes ours, finds those that others wrote in our name, and reads
 * what our own said. Pure: no I/O, no globals, any thread. */
#ifndef MAILAUTH_AUTHRES_H
#define MAILAUTH_AUTHRES_H

#include "base/arena.h"
#include "base/buf.h"
#include "message/header.h"

#define AUTHRES_FIELD_MAX  16384 /* bytes of one field that we write or read */
#define AUTHRES_REASON_MAX 200   /* bytes of one reason, comment or property; the rest is cut */

/* --- writing: begin, then for each method its properties, then end --- */

struct authres {
    struct buf line; /* one long line; end folds it */
    size_t n;        /* results so far */
};
/* authserv_id: our host name. */
void authres_begin(struct authres *r, struct view authserv_id);
/* "dkim" "pass"; comment goes into parentheses and reason into reason="", both may be empty. Bytes that may not stand there
 * are replaced, so no text of a stranger ends the line or the token. */
void authres_add(struct authres *r, const char *method, const char *result, struct view comment, struct view reason);
/* "header", "d", "example.org" to the last result; nothing where the value is empty. Written as a token, an address, or a
 * quoted string. */
void authres_property(struct authres *r, const char *ptype, const char *property, struct view value);
/* All verdicts of DKIM, "none" without any; the verdict of ARC. */
struct dkim_list;
struct arc_verdict;
void authres_dkim(struct authres *r, const struct dkim_list *list);
void authres_arc(struct authres *r, const struct arc_verdict *v);
/* Appends "Authentication-Results: ..." CRLF, folded; "none" where there was no result (RFC 8601 §2.2). Frees. The first failure
 * since authres_begin is returned, and nothing appended then. */
enum rc authres_end(struct authres *r, struct buf *out);

/* --- reading --- */

/* The authserv-id of a field's value, moving *value past it and its version up to the first result (for "none":
 * the empty view). RC_SYNTAX: none there. */
enum rc authres_id(struct view *value, struct arena *a, struct view *id);
/* Whether a field's value claims to be ours: RFC 8601 §5 has such fields of strangers removed. Errs on the side of yes:
 * comments, quoting, case and a version change nothing, and what cannot be read but contains the name is also ours. */
bool authres_is_ours(struct view value, struct view authserv_id);
/* The fields to leave out of an incoming message (results in our name; BIMI-Location and BIMI-Indicator, which only we may set), ascending, as header_cuts gives them. RC_LIMIT: more than max_cuts. */
enum rc authres_forged(struct view message, struct view authserv_id, struct header_cut *cuts, size_t max_cuts, size_t *n_cuts);
/* Appends what our own fields say, without authserv-id, joined by "; " on one line: for ARC-Authentication-Results. */
enum rc authres_collect(struct view header, struct view authserv_id, struct arena *a, struct buf *out);
/* One result of the results (of authres_id, or of an ARC set). */
struct authres_item {
    struct view method, result; /* lower case */
    struct view rest;           /* reason and properties, as written */
};
/* The next one that can be read, moving past it; what cannot is left out. RC_NOTFOUND: no more. RC_TEMP: no memory. */
enum rc authres_next(struct view *results, struct arena *a, struct authres_item *out);
/* The value of "header.from" and its like, without quoting; empty where it is not there. RC_TEMP. */
enum rc authres_property_of(const struct authres_item *r, const char *name, struct arena *a, struct view *out);
/* The result of the first `method` in the results (of authres_id, or of an ARC set): "pass" in lower case. RC_NOTFOUND. */
enum rc authres_result(struct view results, const char *method, struct arena *a, struct view *out);

#endif
