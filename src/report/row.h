/* report/row: what one message contributes to its policy domain's aggregate report, made from a verdict, kept as bytes, read
 * again (RFC 9990, "record" elements). Pure; any thread.
 * Two messages with the same bytes are one record with a count of two. Nothing in a row tells of a person: domains,
 * addresses of hosts and results alone (RFC 9990, "Data Contained Within Reports"). */
#ifndef REPORT_ROW_H
#define REPORT_ROW_H

#include "policy/judge.h"

#define ROW_SIGNATURES_MAX 20    /* of 100 that RFC 9990 allows; DKIM_SIGNATURES_MAX are looked at */
#define ROW_DOMAIN_MAX     255   /* bytes of a domain or selector; longer ones are cut */
#define ROW_TEXT_MAX       200   /* bytes of words for people */
#define ROW_MAX            24576 /* bytes of a row */

/* What a verdict does not know. */
struct report_facts {
    struct view envelope_to;     /* domain of the (first) recipient; may be empty */
    struct view header;          /* the message's header section */
    bool is_bad;                 /* judged spam or malicious for other reasons than DMARC's */
};

struct row_signature {
    struct view domain, selector, result, human;
};
struct report_row {
    struct view source_ip, disposition; /* "none", "pass", "quarantine", "reject" */
    bool dkim, spf;                     /* aligned and passed */
    struct view reason, comment;        /* PolicyOverrideType; empty: none */
    struct view header_from, envelope_from, envelope_to;
    struct view spf_domain, spf_result, spf_human; /* domain empty: there was none to ask about */
    struct row_signature signatures[ROW_SIGNATURES_MAX]; /* in the order of RFC 9990, "DKIM Signatures in Aggregate Reports" */
    size_t n_signatures;
};

/* RC_NOTFOUND: nothing is owed for this message: no verdict, no author, no address for reports, or a policy domain that no
 * header field or file name could hold. RC_TEMP. Views are in the arena or borrow the verdict's. */
enum rc row_of(const struct judgement *j, const struct report_facts *facts, struct arena *a, struct report_row *out);
/* Appends the row as bytes. */
void row_write(const struct report_row *r, struct buf *out);
/* RC_SYNTAX: not such bytes. Views borrow them. */
enum rc row_parse(struct view bytes, struct report_row *out);

/* Letters, digits, hyphens, underscores and dots, at least one of the last, none at the ends: fit for a field or a file name.
 * No IPv4 address: the last label is no number (RFC 3696 §2). */
bool row_domain_is_plain(struct view domain);

#endif
