/* health/health: looks at a mail domain from outside, as a suspicious peer would, ours or not, and says of each point how it
 * is, why, and how to mend it, in English and French: name servers, MX and addresses, DNSSEC, reverse DNS, SPF (as a tree), DKIM, DMARC (with
 * the walk to its record), what a sender would do, STARTTLS with all its settings and certificates of each MX host, MTA-STS, DANE, TLS-RPT, blocklists. One set of points for `facteur doctor` and the pages.
 * Network I/O: the resolver, and connections to the domain's MX hosts (greeting, EHLO, STARTTLS, QUIT; never mail)
 * and its policy host. fetch_init() first. Blocks until
 * its deadline; any thread; all memory is the caller's arena. */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include <stdatomic.h>

#include "base/lang.h"
#include "crypto/mark.h"
#include "dns/dns.h"
#include "mailauth/bimi_svg.h"
#include "mailauth/spf_tree.h"
#include "net/conn_look.h"
#include "net/tls.h"
#include "smtp/client.h"

#define HEALTH_HOSTS_MAX     8     /* MX hosts that are looked at, best first */
#define HEALTH_ADDRS_MAX     4     /* addresses of one host that are connected to */
#define HEALTH_POINTS_MAX    200
#define HEALTH_CONNECT_MS    10000 /* for one host to answer */
#define HEALTH_GREETING_MS   30000 /* for its greeting, when it is met first (RFC 5321 §4.5.3.2.1 lets it have five minutes) */
#define HEALTH_SLOW_MS       5000  /* a greeting that takes so long is told of */
#define HEALTH_PROBE_MS      20000 /* for the TLS settings of one address */
#define HEALTH_SELECTORS_MAX 64

enum health_mark {
    HEALTH_GOOD,
    HEALTH_NOTE,    /* nothing is wrong; better is possible, or good to know */
    HEALTH_WARN,    /* works now, will hurt some mail, or will break */
    HEALTH_BAD,     /* mail is lost, refused or unprotected */
    HEALTH_UNKNOWN, /* cannot tell now: no answer */
};
/* Every sentence of health/ with its French. */
extern const struct lang_pair health_words[];

/* "good", "note", "warn", "bad", "unknown". */
const char *health_mark_name(enum health_mark mark);

struct health_point {
    struct health_point *next;
    const char *id;      /* stable: "spf.lookups" */
    const char *area;    /* "SPF"; in other languages by health_words */
    enum health_mark mark;
    struct view subject; /* the host or name it is about; empty: the domain */
    struct view address; /* of the host, where its addresses are not alike; else empty */
    bool has_days, valid; /* of a certificate: whether a sender that verifies takes it, and the days that it lasts; below 0: expired */
    int64_t days;
    struct view text[LANG_N];   /* what was found, one sentence, in each language */
    struct view repair[LANG_N]; /* what to do; empty where nothing is to be done */
};
/* A key that the domain should publish. */
enum health_key_state { HEALTH_KEY_NEXT, HEALTH_KEY_ACTIVE, HEALTH_KEY_RETIRED, HEALTH_KEY_FOUND /* of others */ };
struct health_selector {
    struct view selector;
    enum health_key_state state;
    int64_t since_s;    /* when it began to sign; 0: unknown, or not yet */
    struct view record; /* the text expected, empty: any key */
};
/* A DKIM key as it was found. */
struct health_key {
    struct health_key *next;
    struct view selector;
    const char *algorithm; /* "rsa", "ed25519"; NULL: not known */
    unsigned bits;         /* 0: not known */
    enum health_key_state state;
    bool published;
    int64_t since_s;       /* as above */
    enum health_mark mark; /* the worst that was said of it */
};
/* An MX host as it was met. */
struct health_seen {
    struct view address;
    bool answers;            /* as a mail server */
    struct view tls, cipher; /* "TLSv1.3"; empty: none */
    bool valid;              /* a sender that verifies takes the certificate; else: */
    struct view why;
    bool has_days;
    int64_t days;            /* that the certificate lasts */
    enum { HEALTH_DANE_NONE, HEALTH_DANE_FITS, HEALTH_DANE_FAILS } dane;
};
struct health_host {
    struct view name;
    int preference;          /* -1: there is no MX record */
    const struct addr *addrs;
    size_t n_addrs;
    struct health_seen seen[HEALTH_ADDRS_MAX]; /* those that were connected to */
    size_t n_seen;
    bool has_leaf;
    struct conn_leaf leaf;   /* of the first address that spoke TLS, as */
    const char *key;         /* "RSA" */
    unsigned bits;
};
/* How mail to the domain would be sent. */
struct health_sending {
    bool possible;   /* else nothing goes there, and `why` */
    const char *why;
    struct health_sending_host {
        struct view name;
        const char *why;     /* the TLS that is asked for, in words */
        const char *barred;  /* nothing would go there, and why; NULL: may be tried */
        bool only_told;      /* ... but for now that is only reported (MTA-STS in mode testing) */
        struct smtp_client_proof proof;
    } *hosts;
    size_t n_hosts;
};
/* One step of the walk to the DMARC record (RFC 9989 §4.10). */
struct health_dmarc_step {
    struct health_dmarc_step *next;
    struct view name;   /* "_dmarc.example.org" */
    struct view record; /* the first; empty: none */
    size_t n_records;   /* more than one count as none */
    bool used;          /* this is the one that counts */
};
/* A domain's logo, as far as one came. */
struct health_bimi {
    bool found;                /* there is a record; else nothing below */
    struct view name, record, location, authority;
    struct view svg;           /* the drawing, uncompressed; empty: not had */
    struct bimi_svg check;     /* of it */
    bool has_mark;
    struct mark mark;
};
struct health_settings {
    struct dns *dns;
    struct tls_client *trust;   /* NULL: certificates are not judged */
    const char *hostname;       /* ours, for EHLO */
    const struct addr *bind4, *bind6; /* NULL: any */
    unsigned port;              /* of MX hosts */
    unsigned ns_port;           /* of name servers */
    unsigned https_port;        /* of policy hosts */
    bool connect;               /* also talk to the MX hosts */
    bool public_only;           /* hosts at private or local addresses are not asked: who names the domain is no operator */
    bool ours;                  /* one of our domains: what we publish and listen for is known */
    const struct health_selector *selectors;
    size_t n_selectors;         /* 0: names that are in use are tried */
    const char *mark_roots;     /* PEM of authorities for mark certificates (BIMI); NULL: none */
    const char *const *blocklists; /* zones of RFC 5782 */
    size_t n_blocklists;
    const struct addr *sources; /* besides MX hosts, addresses that our mail leaves from */
    size_t n_sources;
    /* What a sender like us would do: the decision is that of deliveries. NULL: not looked at. */
    enum rc (*decide)(void *ctx, struct view domain, int64_t deadline_ms, struct arena *a, struct health_sending *out);
    void *decide_ctx;
    int64_t now_s;
    const atomic_bool *stop;    /* may be NULL; set by another thread: ends soon, with what was found so far */
    /* May be NULL. Told before each step that takes long: "asking mx.ici.test". */
    void (*progress)(void *ctx, const char *what, struct view about);
    void *ctx;
};
struct health {
    struct view domain;         /* A-labels */
    int64_t made_s;
    struct health_point *points; /* in the order to be read */
    unsigned n[HEALTH_UNKNOWN + 1]; /* by mark */
    struct spf_tree spf;
    struct health_dmarc_step *dmarc; /* the domain's own first */
    struct health_key *keys;
    struct health_host hosts[HEALTH_HOSTS_MAX]; /* best first */
    size_t n_hosts;
    struct health_bimi bimi;
};
/* RC_SYNTAX: not a domain name. RC_TEMP: no memory. */
enum rc health_look(const struct health_settings *set, struct view domain, int64_t deadline_ms, struct arena *a, struct health *out);

#endif
