/* store/ledger: reports that others sent us about our domains: DMARC aggregate (RFC 7489, RFC 9990), TLS (RFC 8460), DMARC failures
 * (RFC 6591, RFC 9991). Kept in a database of its own, reports.db, made when the first one comes: so that a million rows being written
 * never hold up the queue. What a report's bytes say is for received/ and desk/; here are its numbers.
 *
 * A report is written in pieces, LEDGER_CHUNK rows a transaction, and is neither seen nor counted before its last one, which adds it to the
 * daily sums that every question is answered from. What a crash leaves unfinished is dropped by ledger_forget. A report of the same
 * (reporter, id) for the same domain counts once; an authentic one takes the place of one that is not. What is not authentic is kept
 * and shown, and adds to no sum.
 *
 * A day is the UTC day of the middle of the report's period. Sources are what addresses belong to: an organization, a host's domain, or
 * a network. An address changes its source when more becomes known of it; its sums go along.
 *
 * Bounds: those below. Beyond them sums stay right; addresses lose their own line, and sources become LEDGER_OTHERS.
 * Any thread; one connection for questions, one for changes. I/O: disk. */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "store/store.h"

#define LEDGER_CHUNK          500     /* rows of one transaction */
#define LEDGER_ROWS_MAX       10000   /* of one report that are kept to be shown; all are counted */
#define LEDGER_ROWS_UNPROVEN  1000    /* likewise, of one that is not authentic */
#define LEDGER_ADDRESSES_MAX  50000   /* of one report that are told apart */
#define LEDGER_ALL_ADDRESSES  2000000 /* known in all */
#define LEDGER_DAY_ADDRESSES  20000   /* pairs of address and reporter that a domain's day tells apart */
#define LEDGER_DOMAIN_SOURCES 5000    /* of one domain */
#define LEDGER_A_DAY          20000   /* reports that are taken for one domain in one day */
#define LEDGER_UNPROVEN_MAX   1000    /* reports of one domain that are not authentic; the oldest go */
#define LEDGER_FAILURES_MAX   10000   /* failure reports of one domain; the oldest go */
#define LEDGER_TEXT_MAX       65536   /* bytes of one text: a policy, the header of a failure report */
#define LEDGER_ROWS_DAYS      100     /* rows and failure reports are kept so long */
#define LEDGER_DAYS           750     /* reports and sums: two years and a little */
#define LEDGER_DAY_S          86400
#define LEDGER_OTHERS         "others" /* key of the source that takes what is beyond the bounds */

enum ledger_kind { LEDGER_DMARC, LEDGER_TLS };
enum ledger_via { LEDGER_BY_MAIL, LEDGER_BY_POST, LEDGER_BY_FILE };
enum ledger_disposition { LEDGER_NONE, LEDGER_QUARANTINE, LEDGER_REJECT };

struct ledger_report {
    uint64_t id;
    enum ledger_kind kind;
    struct view domain;           /* ours, in the directory's normal form */
    struct view org, email;       /* who reports, in its own words */
    struct view report_id;
    int64_t begin_s, end_s, received_s;
    enum ledger_via via;
    struct view spf, dkim, dmarc; /* what our own Authentication-Results field says of the mail; empty: nothing */
    struct view by;               /* the domain that is proven to have sent it; empty: none is */
    bool counted;                 /* authentic */
    struct view why;              /* it is counted or not: a stable word, "dmarc.pass" */
    struct view policy;           /* JSON: as published when the report was made; TLS: its policies */
    struct view p;                /* DMARC: the policy in one word; TLS: empty */
    uint64_t messages, rows, rows_kept; /* TLS: sessions, policies */
};

/* What one source is; the key says it for good: "google", "host:example.net", "net:192.0.2.0/24". */
struct ledger_name {
    struct view key, name;
    struct view kind;   /* "ours", "service", "forwarder", "list" as the table of known senders has it, or empty */
    enum ledger_basis { LEDGER_BY_NETWORK, LEDGER_BY_SIGNATURE, LEDGER_BY_REVERSE, LEDGER_BY_US } basis; /* the later, the surer */
};
#define LEDGER_REASONS_MAX 4
struct ledger_row {
    struct view ip;                        /* 4 or 16 bytes */
    uint64_t messages;
    enum ledger_disposition disposition;
    bool spf_aligned, dkim_aligned;        /* as the reporter evaluated them */
    bool spf_passed, dkim_passed;          /* for whatever domain */
    struct view reasons[LEDGER_REASONS_MAX]; /* types of overrides: "forwarded" */
    size_t n_reasons;
    struct view header_from, envelope_from, selector; /* of a signature in our name, where there is one; else of any */
    struct view detail;                    /* JSON: the row in full but for address and count */
    struct ledger_name source;           /* where the address is not known better */
};
struct ledger_tls {
    struct view type;       /* "sts", "tlsa", "no-policy-found" */
    struct view mx;         /* the host where the policy names one, else empty */
    uint64_t successes, failures;
};
struct ledger_tls_failure {
    struct view result, mx; /* "certificate-expired"; receiving host or empty */
    uint64_t sessions;
};

/* RC_EXISTS: it has been received. RC_LIMIT: too many today. The rest of `report` is copied. */
struct ledger_writer;
enum rc ledger_begin(struct store *s, const struct ledger_report *report, struct ledger_writer **out);
enum rc ledger_add(struct ledger_writer *w, const struct ledger_row *row);
enum rc ledger_add_tls(struct ledger_writer *w, const struct ledger_tls *policy);
enum rc ledger_add_tls_failure(struct ledger_writer *w, const struct ledger_tls_failure *failure);
/* It is there, counted and durable. Frees, as the other does, whatever comes of it. RC_EXISTS: somebody else was faster. */
enum rc ledger_end(struct ledger_writer *w, uint64_t *id);
void ledger_abort(struct ledger_writer *w); /* accepts NULL */

struct ledger_failure {
    uint64_t id;
    struct view domain;
    int64_t received_s, arrival_s;
    struct view type, reporter, source_ip, original_from, original_to, subject, auth_failure, headers;
    struct view verdict;   /* "dmarc=pass by example.net" or why nothing is proven */
    bool counted;
    uint8_t digest[16];    /* of the message: the same one is kept once */
};
enum rc ledger_failure_add(struct store *s, const struct ledger_failure *f); /* RC_EXISTS */

/* --- questions. Days are counted from 1970; both ends belong to the span --- */

struct ledger_span {
    struct view domain;
    int64_t from, to;
};
/* Newest first: those before the pair (before_s of received_s, before_id); 0, 0 begins. */
enum rc ledger_reports(struct store *s, const struct ledger_span *span, enum ledger_kind kind, int64_t before_s, uint64_t before_id,
                         size_t max, struct arena *a, struct ledger_report **out, size_t *n);
enum rc ledger_report(struct store *s, uint64_t id, struct arena *a, struct ledger_report *out); /* RC_NOTFOUND */
/* Rows as they were kept, from number `from` on (0 is the first). */
struct ledger_kept {
    struct view ip, detail; /* ip: as text */
    uint64_t messages;
};
enum rc ledger_rows(struct store *s, uint64_t report, uint64_t from, size_t max, struct arena *a, struct ledger_kept **out, size_t *n);
enum rc ledger_failures(struct store *s, const struct ledger_span *span, uint64_t before_id, size_t max, struct arena *a,
                          struct ledger_failure **out, size_t *n);

struct ledger_sum {
    uint64_t messages, aligned, spf, dkim, spf_passed, dkim_passed; /* spf, dkim: aligned ones */
    uint64_t none, quarantine, reject;
    uint64_t forwarded, listed; /* the reporter knows it as forwarded, or sent by a mailing list */
};
struct ledger_day {
    int64_t day;
    uint64_t reports;
    struct ledger_sum sum;
};
struct ledger_count {
    struct view name;
    uint64_t n;
};
struct ledger_summary {
    uint64_t reports;
    struct ledger_sum sum;
    struct ledger_day *days;        /* those of which something is known, in order */
    size_t n_days;
    struct ledger_count *reasons, *policies; /* messages by type of override, and by the policy in force */
    size_t n_reasons, n_policies;
};
enum rc ledger_summary(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_summary *out);

struct ledger_source {
    struct view key, name, kind; /* as of struct ledger_name */
    struct view said_name, said_kind; /* what people say of it; empty: nothing */
    struct view country;         /* of its addresses where they have one in common */
    uint64_t addresses;          /* known of this domain, whenever seen */
    int64_t first, last;         /* days */
    int64_t since_s;             /* when we heard of it first */
    struct ledger_sum sum;
};
enum rc ledger_sources(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_source **out, size_t *n);
/* One, with its addresses (those with most messages, up to max), days, and who reported (up to max). RC_NOTFOUND. */
struct ledger_address {
    struct view ip, host, country; /* ip: as text; host: empty until known */
    int64_t first, last;
    struct ledger_sum sum;
    struct view header_from, envelope_from, selectors; /* several with a space between */
};
struct ledger_story {
    struct ledger_source source;
    struct ledger_address *addresses;
    size_t n_addresses;
    uint64_t rest_messages, rest_aligned; /* of the source, but of no address above: there are more, or the bounds have left them none */
    struct ledger_day *days;
    size_t n_days;
    struct ledger_count *reporters;
    size_t n_reporters;
    uint64_t rest_reporters; /* messages of the source that no reporter above stands for */
};
enum rc ledger_source(struct store *s, const struct ledger_span *span, struct view key, size_t max, struct arena *a,
                        struct ledger_story *out);
/* The word of people about a source of this domain; empty: none any more. RC_NOTFOUND: there is no such source. */
enum rc ledger_say(struct store *s, struct view domain, struct view key, struct view name, struct view kind);
/* Sources of all domains that were heard of after since_s: for alerts. */
struct ledger_news {
    struct view domain, key, name;
    int64_t since_s;
};
enum rc ledger_new_sources(struct store *s, int64_t since_s, size_t max, struct arena *a, struct ledger_news **out, size_t *n);

struct ledger_tls_line {
    struct view name, also;  /* day: neither; results: also is an organization ... see below */
    int64_t day;
    uint64_t successes, failures;
};
struct ledger_tls_summary {
    uint64_t reports, sessions, failures;
    struct ledger_tls_line *days, *organizations, *mx, *policies; /* name: the organization, the host, the type */
    size_t n_days, n_organizations, n_mx, n_policies;
    struct ledger_tls_line *results; /* name: the result, also: the host; `failures` */
    size_t n_results;
};
enum rc ledger_tls_summary(struct store *s, const struct ledger_span *span, struct arena *a, struct ledger_tls_summary *out);

/* --- the table of known senders, where people changed it (desk/senders). Lists of domains with a space between --- */

struct ledger_sender {
    struct view name, kind, hosts, dkim, spf; /* kind empty: no longer changed; what is shipped counts again */
};
enum rc ledger_senders(struct store *s, struct arena *a, struct ledger_sender **out, size_t *n);
enum rc ledger_sender_set(struct store *s, const struct ledger_sender *sender);

/* --- names of addresses --- */

/* Addresses that nobody has looked up yet, the newest first, as 4 or 16 bytes. */
enum rc ledger_unnamed(struct store *s, size_t max, struct arena *a, struct view **out, size_t *n);
/* What was found; `source` with an empty key changes nothing of what it belongs to. Country: two letters or empty. unsure: the DNS did not
 * answer, ledger_unnamed gives it once more after ledger_unnamed_again. */
enum rc ledger_named(struct store *s, struct view ip, struct view host, struct view country, const struct ledger_name *source, bool unsure);
enum rc ledger_unnamed_again(struct store *s);

/* Drops what is older than the days above, what a crash left, and what is beyond the bounds; many short transactions. */
enum rc ledger_forget(struct store *s, int64_t now_s);

#endif
