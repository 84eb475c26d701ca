/* received/received: the reports that others send: DMARC aggregate reports (RFC 7489 appendix C, RFC 9990), DMARC failure reports and abuse
 * complaints (RFC 5965, RFC 6591, RFC 9991) and TLS reports (RFC 8460), found in whatever they come in: plain, gzip, zip, one within another,
 * a mail with parts of any claimed type, mails within mails. What counts is the content, never a name or a type.
 * Bytes in, structs out: whether the sender may be believed, and what is kept, is for others. No I/O, no globals; any thread.
 *
 * Nothing is told of a report before the whole of it was read and found whole: a sink has nothing to take back. For that a DMARC report is
 * read twice, and its rows are never all in memory.
 *
 * All text is fit for a terminal and a page: UTF-8 without control characters, direction marks and line ends, blanks trimmed, cut at
 * RECEIVED_TEXT_MAX. Views live until the callback returns. Domains and the words of results are in lower case, addresses of hosts are written as
 * inet_ntop writes them. How deviations of senders are read: docs/reports.md. */
#ifndef RECEIVED_RECEIVED_H
#define RECEIVED_RECEIVED_H

#include "base/buf.h"

#define RECEIVED_TEXT_MAX     1000               /* bytes of one text; longer ones are cut */
#define RECEIVED_HEADERS_MAX  32768              /* bytes of the header of a reported message; the rest is left out */
#define RECEIVED_ROWS_MAX     2000000            /* of one report; more: refused */
#define RECEIVED_LIST_MAX     100                /* errors, reasons, signatures, SPF results of one row, ... (RFC 9990 §3.1.3); the rest is left out */
#define RECEIVED_POLICIES_MAX 1000               /* of one TLS report; more: refused */
#define RECEIVED_FAILURES_MAX 10000              /* failure details of one TLS report; more: refused */
#define RECEIVED_COUNT_MAX    UINT64_C(1000000000000) /* messages or sessions of one row; more: not believed */
#define RECEIVED_PLAIN_MAX    (UINT64_C(1) << 31) /* decompressed bytes of one file or mail, all members together */
#define RECEIVED_RATIO_MAX    1000               /* decompressed bytes for one byte of the file and of each container in it, past the first 64 MiB */
#define RECEIVED_INNER_MAX    (64u << 20)        /* bytes of a container or mail within a container, and of a TLS report: held in memory */
#define RECEIVED_MEMBERS_MAX  1000               /* files of archives and parts of mails that are looked at, and so reports */
#define RECEIVED_DEPTH_MAX    8                  /* containers and mails within each other */

/* Where a report stood. */
struct received_origin {
    bool is_mail;            /* the file is a mail; the rest is of the outermost one */
    struct view header;      /* its raw header section */
    struct view from;        /* first address of From, "local@domain"; empty where there is none */
    struct view from_domain; /* lower case */
    struct view subject;     /* decoded */
    struct view name;        /* of the part or archive member as its sender named it; may be empty */
};

struct received_reason {
    struct view type, comment; /* RFC 7489: forwarded, sampled_out, ...; RFC 9990: policy_test_mode, ... */
};
struct received_dkim {
    struct view domain, selector, result, human_result;
};
struct received_spf {
    struct view domain, scope, result, human_result;
};

/* A DMARC aggregate report without its rows. Empty: not said. */
struct received_aggregate {
    struct view version;
    struct view org;       /* org_name; where empty, the domain of email */
    struct view email, contact, report_id, generator;
    struct view domain;    /* policy_published/domain; where missing, the first row's header_from */
    int64_t begin_s, end_s; /* without either the report is refused */
    struct view p, sp, np, pct, adkim, aspf, fo, testing, discovery_method; /* as published */
    struct view *errors;   /* what the reporter says went wrong */
    size_t n_errors;
    struct view *notes;    /* what we found odd in it, in English: "row 3: left out: ..." */
    size_t n_notes;
    bool is_rfc9990;       /* by its namespace, or an element that only it has */
    uint64_t rows;         /* that will be told */
    uint64_t rows_left_out; /* unreadable: no address, no count */
    uint64_t messages;     /* sum over the rows */
};

struct received_row {
    struct view source_ip;
    uint64_t count;
    struct view disposition;  /* none, pass (RFC 9990), quarantine, reject; none where not said */
    bool dkim, spf;           /* policy_evaluated: passes and aligns */
    struct view header_from;
    bool has_envelope_from, has_envelope_to; /* said, be it empty: a null reverse-path (RFC 9990 §3.1.1.11) */
    struct view envelope_from, envelope_to;
    struct received_reason *reasons;
    size_t n_reasons;
    struct received_dkim *dkim_results;
    size_t n_dkim;
    struct received_spf *spf_results;
    size_t n_spf;
};

/* A message that failed DMARC (type auth-failure), or of which somebody complains (abuse, fraud, not-spam, virus, other, ...). */
struct received_failure {
    struct view type, user_agent, version;
    struct view source_ip;
    struct view original_from, original_to, original_envelope_id; /* envelope, without brackets; original_to is the first of them */
    int64_t arrival_s;  /* 0: not said */
    struct view reporting_mta, reported_domain, reported_uri, authentication_results;
    uint64_t incidents; /* 1 unless said */
    struct view auth_failure, delivery_result, identity_alignment; /* RFC 6591 §3.1, RFC 9991 §4 */
    struct view dkim_domain, dkim_identity, dkim_selector, spf_dns;
    /* Of the reported message, as far as it is there: */
    struct view header_from, header_from_domain, header_to, subject, message_id;
    struct view headers; /* its header section: lines end with LF, clean UTF-8, at most RECEIVED_HEADERS_MAX */
};

struct received_tls_failure {
    struct view result_type, sending_mta_ip, receiving_mx, receiving_mx_helo, receiving_ip, additional_information, reason_code;
    uint64_t count;
};
struct received_tls_policy {
    struct view type, domain; /* sts, tlsa, no-policy-found */
    struct view *strings, *mx_hosts;
    size_t n_strings, n_mx_hosts;
    uint64_t success, failure; /* as its summary says; without one: 0, and the sum of its failures */
    struct received_tls_failure *failures;
    size_t n_failures;
};
struct received_tls {
    struct view org, contact, report_id;
    struct view domain; /* of the first policy that names one; of TLSA policies it may be the name of an MX */
    int64_t begin_s, end_s; /* 0: not said */
    struct received_tls_policy *policies;
    size_t n_policies;
};

/* What is found, in order. A result but RC_OK ends the reading and is what received_read gives. NULL: not wanted. */
struct received_sink {
    void *ctx;
    enum rc (*aggregate_begin)(void *ctx, const struct received_origin *origin, const struct received_aggregate *report);
    enum rc (*aggregate_row)(void *ctx, const struct received_row *row); /* report->rows times */
    enum rc (*aggregate_end)(void *ctx);
    enum rc (*failure)(void *ctx, const struct received_origin *origin, const struct received_failure *report);
    enum rc (*tls)(void *ctx, const struct received_origin *origin, const struct received_tls *report);
    /* Something that is or was to be a report and cannot be read: an English sentence without full stop says why. */
    enum rc (*refused)(void *ctx, const struct received_origin *origin, struct view reason);
};

/* Finds and tells all reports of a file, an HTTP body or a mail as received. A file in which there is nothing is told as refused, too.
 * RC_OK: all was told. RC_TEMP: no memory. Else what the sink gave. */
enum rc received_read(struct view file, const struct received_sink *sink);
/* The same, where no more than so many decompressed bytes are worth the work: for strangers. */
enum rc received_read_within(struct view file, uint64_t plain_max, const struct received_sink *sink);

#endif
