/* dns: libunbound behind typed answers with their DNSSEC status (RFC 1034, 4035), and scripted answers for tests.
 * Every question blocks its thread for at most its deadline; questions run side by side, so that a dead name server
 * delays only those who ask it; whoever asks what is being asked already waits for the same answer. Answers are kept
 * for their time to live, of which an hour counts, and five minutes of an absence. Network I/O; any thread.
 *
 * Where servers are set, they are asked for every name, `.test`, loopback and private ranges included, which
 * libunbound denies by itself (RFC 6761); without, those of /etc/resolv.conf are asked.
 * Trust anchors: the file set; else, when no servers are set, DNS_ROOT_KEY where it is there; else nothing is secure. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/arena.h"
#include "base/clock.h"
#include "net/addr.h"

#define DNS_ROOT_KEY    "/usr/share/dns/root.key"
#define DNS_TIMEOUT_MS  20000 /* a question takes no longer, whatever its deadline says */
#define DNS_RDATA_MAX   256   /* records of one answer that are looked at */
#define DNS_PENDING_MAX 4096  /* questions under way in all; further ones are answered DNS_TEMP */
#define DNS_NAME_MAX    255   /* text without the final dot, and NUL */

enum dns_status {
    DNS_OK,       /* there are records */
    DNS_NODATA,   /* the name exists, such records do not */
    DNS_NXDOMAIN, /* the name does not exist, or cannot (not a domain name) */
    DNS_TEMP,     /* cannot tell now: no answer, SERVFAIL, no memory */
    DNS_BOGUS,    /* signatures do not hold: to be treated as DNS_TEMP by whoever delivers */
};
enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_TLSA = 52,
    DNS_CAA = 257,
};

struct dns;
struct dns_settings {
    const char *const *servers; /* "127.0.0.1:5300", "[::1]:53", "192.0.2.1"; copied */
    size_t n_servers;           /* 0: /etc/resolv.conf */
    const char *trust_anchor;   /* file, or NULL */
    int64_t timeout_ms;         /* of one question; 0: DNS_TIMEOUT_MS */
    unsigned keep_s;            /* no answer is kept longer, for those who wait for changes; 0: as said above */
};
/* *why: static words when it fails. RC_SYNTAX: a server's address or the anchor file. RC_TEMP. */
enum rc dns_new(const struct dns_settings *set, struct dns **out, const char **why);
/* Answers from lines "name TYPE data": "ici.test MX 10 mx.ici.test", "a.test A 192.0.2.1", `a.test TXT "v=spf1 -all"`,
 * "b.test CNAME a.test". Data may be "!temp", "!bogus", or "!nodata"; a "+" before the name makes the line's answer secure. A
 * name on no line is DNS_NXDOMAIN. The text is copied. RC_SYNTAX: cannot read it. */
enum rc dns_new_scripted(const char *script, struct dns **out);
void dns_free(struct dns *d); /* no question may be under way; accepts NULL */

/* What every answer has. Views are in the asker's arena. */
struct dns_answer {
    enum dns_status status;
    bool secure;           /* proven by DNSSEC: records, or their absence, CNAMEs included */
    struct view canonical; /* where CNAMEs led; empty when there was none. Lower case, no final dot */
    uint32_t ttl_s;
    struct view *rdata;    /* wire format */
    size_t n;
    const char *why;       /* for DNS_TEMP and DNS_BOGUS, in words */
};
/* The status is also the result. `name` is ASCII, with or without final dot. */
enum dns_status dns_query(struct dns *d, struct view name, enum dns_type type, int64_t deadline_ms, struct arena *a,
                          struct dns_answer *out);

/* Several questions side by side, for whoever knows early what will be asked. Their names may hold any bytes, as macros
 * of SPF make them; "." parts labels. At most DNS_QUESTIONS_MAX. */
#define DNS_QUESTIONS_MAX 16
struct dns_question {
    struct view name;
    enum dns_type type;
    struct dns_answer answer;
};
void dns_query_all(struct dns *d, struct dns_question *q, size_t n, int64_t deadline_ms, struct arena *a);
/* Asks and waits for nothing: whoever asks the same soon finds the answer here or on its way. */
void dns_prefetch(struct dns *d, struct view name, enum dns_type type);
void dns_prefetch_ptr(struct dns *d, const struct addr *addr);
/* Answers kept here are asked for again. libunbound goes on to keep its own until their time is over. */
void dns_forget(struct dns *d);
/* The strings of each TXT record of an answer joined (RFC 7208 §3.3). RC_TEMP: no memory. */
enum rc dns_texts(const struct dns_answer *answer, struct arena *a, struct view **texts, size_t *n);

struct dns_mx {
    uint16_t preference;
    struct view host; /* lower case, no final dot; empty for the root (null MX, RFC 7505) */
};
/* *mx in the order of the answer. */
enum dns_status dns_mx(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                       struct dns_mx **mx, size_t *n);
/* A and AAAA, asked side by side; port as given. DNS_OK where either has records; else DNS_TEMP where either is.
 * `secure` speaks of all that is in the answer. IPv6 addresses come first. */
enum dns_status dns_addrs(struct dns *d, struct view name, unsigned port, int64_t deadline_ms, struct arena *a,
                          struct dns_answer *out, struct addr **addrs, size_t *n);
/* The strings of each record joined (RFC 7208 §3.3). */
enum dns_status dns_txt(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                        struct view **texts, size_t *n);
/* Names of an address. */
enum dns_status dns_ptr(struct dns *d, const struct addr *addr, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                        struct view **names, size_t *n);
/* A name at the front of an answer's data, which is moved past it: lower case, no final dot. RC_SYNTAX. RC_TEMP. */
enum rc dns_read_name(struct view *rdata, struct arena *a, struct view *out);
/* Hosts of NS records, each once. */
enum dns_status dns_ns(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                       struct view **hosts, size_t *n);
struct dns_tlsa {
    uint8_t usage, selector, matching;
    struct view data;
};
enum dns_status dns_tlsa(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                         struct dns_tlsa **tlsa, size_t *n);

/* The form in which domains are asked for and compared: A-labels (RFC 5890, by UTS 46), lower case, no final dot. An
 * address literal "[...]" is lower-cased. RC_SYNTAX: not a domain name. */
enum rc dns_domain_ascii(struct view domain, struct arena *a, struct view *out);

#endif
