/* mailauth/dmarc: does somebody who may speak for the author's domain vouch for this message, and what does that domain
 * want done otherwise (RFC 9989, which replaced RFC 7489). Header, SPF's and DKIM's results and a resolver in; verdict,
 * policy and reasons out. No sockets of its own, no store; blocks on the resolver at most until the deadline. Any thread.
 * What is done to the message, and reports, are policy's and report's. */
#ifndef MAILAUTH_DMARC_H
#define MAILAUTH_DMARC_H

#include "dns/dns.h"
#include "mailauth/psl.h"

#define DMARC_QUERIES_MAX     8    /* of one tree walk (RFC 9989 §4.10) */
#define DMARC_RECORD_MAX      8192 /* bytes of a record; longer ones are none */
#define DMARC_URIS_MAX        20   /* of rua and of ruf; further ones are not looked at */
#define DMARC_IDENTIFIERS_MAX 20   /* DKIM domains looked at */
#define DMARC_AUTHORS_MAX     4    /* author domains of a malformed From whose policies are looked up */

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
const char *dmarc_policy_name(enum dmarc_policy policy); /* "none", "quarantine", "reject" */

enum dmarc_fo { DMARC_FO_ALL = 1, DMARC_FO_ANY = 2, DMARC_FO_DKIM = 4, DMARC_FO_SPF = 8 }; /* "0", "1", "d", "s" */
struct dmarc_uri {
    struct view uri;     /* as written, without the obsolete size */
    struct view address; /* of a "mailto:", percent-encoding left as it is; empty for other schemes */
    uint64_t max_size;   /* what "!10m" asked for (RFC 7489 §6.2); 0: nothing */
};

/* A record as it is to be used (RFC 9989 §4.7, §4.8): broken values have become their defaults, `notes` says so. */
struct dmarc_record {
    struct view text;
    enum dmarc_policy p, sp, np; /* sp and np where has_sp, has_np */
    bool has_p, has_sp, has_np;
    bool broken_policy; /* p missing or wrong, or sp or np wrong: then p, sp and np count as none */
    char psd;           /* 'y', 'n' or 'u' */
    bool test;          /* t=y */
    bool adkim_strict, aspf_strict;
    unsigned fo;        /* enum dmarc_fo */
    unsigned pct;       /* RFC 7489 alone; 100 where absent */
    struct dmarc_uri *rua, *ruf;
    size_t n_rua, n_ruf;
    struct view notes; /* what was ignored, in words; may be empty */
};
/* Whether a TXT record is one of ours at all: its first tag is v=DMARC1. */
bool dmarc_is_record(struct view txt);
/* RC_SYNTAX: not such a record, or a tag twice (RFC 6376 §3.2): counts as none. RC_LIMIT: too long. RC_TEMP. */
enum rc dmarc_record_parse(struct view txt, struct arena *a, struct dmarc_record *out);
/* RFC 9989 §4.10.1: without a good policy and without a good rua, DMARC does not apply. */
static inline bool dmarc_record_is_usable(const struct dmarc_record *r)
{
    return !r->broken_policy || r->n_rua > 0;
}

/* --- who the author is --- */

enum dmarc_from {
    DMARC_FROM_OK,       /* one From field, one domain */
    DMARC_FROM_MISSING,  /* no From field */
    DMARC_FROM_SEVERAL,  /* several From fields */
    DMARC_FROM_NOBODY,   /* no address with a domain in it: empty, a name alone, an empty group */
    DMARC_FROM_DOMAINS,  /* addresses of several domains */
    DMARC_FROM_BAD,      /* something in it is not a domain name, or it can be read in several ways */
};
struct dmarc_authors {
    enum dmarc_from kind;
    struct view domains[DMARC_AUTHORS_MAX]; /* A-labels, each once: everything that a reader might see as the author's */
    size_t n;
    bool more; /* there were further ones */
    const char *why; /* words for all kinds but DMARC_FROM_OK */
};
/* From the header section of a message. RC_TEMP: no memory. */
enum rc dmarc_authors(struct view header, struct arena *a, struct dmarc_authors *out);

/* Asks the DNS ahead for the records that dmarc_check() will want for the first of these authors. */
void dmarc_prefetch(struct dns *dns, const struct dmarc_authors *authors);

/* --- the verdict --- */

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
const char *dmarc_result_name(enum dmarc_result result); /* as RFC 8601 writes them */

enum dmarc_method { DMARC_TREEWALK, DMARC_PSL };
const char *dmarc_method_name(enum dmarc_method method); /* "treewalk", "psl" as RFC 9990 has them */

/* Why something else is done than the domain asks for (RFC 9990's PolicyOverrideType). */
enum dmarc_override {
    DMARC_NO_OVERRIDE,
    DMARC_LOCAL_POLICY,
    DMARC_MAILING_LIST,
    DMARC_OTHER,
    DMARC_POLICY_TEST_MODE,
    DMARC_TRUSTED_FORWARDER,
};
const char *dmarc_override_name(enum dmarc_override override);

struct dmarc_settings {
    enum dmarc_method method;
    const struct psl_list *psl; /* needed for DMARC_PSL; NULL otherwise leaves the comparison out */
    bool compare;               /* also judge by the other method and say where they differ */
};
struct dmarc_dkim {
    struct view domain; /* d= */
    bool pass;          /* and the whole body is covered */
    bool temporary;     /* a temperror: it may pass later */
};
struct dmarc_facts {
    struct view header;     /* the message's header section */
    bool spf_pass;          /* of the MAIL FROM identity (RFC 9989 §3.2.5) */
    bool spf_temporary;     /* a temperror: it may pass later */
    struct view spf_domain;
    const struct dmarc_dkim *dkim;
    size_t n_dkim;
};
struct dmarc_verdict {
    enum dmarc_result result;
    enum dmarc_method method;
    enum dmarc_policy policy;      /* what the domain publishes for such a message: p, sp or np */
    enum dmarc_policy disposition; /* what is asked for: none unless the result is fail, or the From is malformed */
    enum dmarc_override override;  /* why disposition is less than policy on a fail; see dmarc_override_set */
    struct view override_comment;
    struct view author;            /* the author's domain, A-labels; empty where there is not just one */
    struct view policy_domain;     /* where the record was found */
    struct view organization;      /* of the author's domain; empty where it was not needed */
    const char *policy_tag;        /* "p", "sp" or "np"; NULL without a record */
    struct dmarc_record record;    /* where policy_domain is set */
    bool spf_aligned, dkim_aligned; /* and passed */
    struct view dkim_domain;       /* the one that did */
    unsigned queries;              /* names asked for */
    struct view reason;            /* one sentence or two */
    struct view difference;        /* where compare was asked for and the other method says something else */
};
/* Without memory: temperror. */
void dmarc_check(struct dns *dns, const struct dmarc_settings *set, const struct dmarc_facts *facts, int64_t deadline_ms,
                 struct arena *a, struct dmarc_verdict *out);
/* The organisational domain of a name (RFC 9990 asks for those of report addresses). RC_SYNTAX: not a domain name. RC_TEMP: an
 * answer is missing, or memory. *out is in the arena. */
enum rc dmarc_organization(struct dns *dns, const struct dmarc_settings *set, struct view domain, int64_t deadline_ms,
                           struct arena *a, struct view *out);
/* Local policy decided otherwise for a failed message (a trusted forwarder, ARC): disposition becomes `disposition`. */
void dmarc_override_set(struct dmarc_verdict *v, enum dmarc_override override, enum dmarc_policy disposition, struct view comment);

#endif
