/* app/config: facteur.conf, read by libconfuse into one read-only struct. Only app/ knows this file; every module gets
 * its own small settings struct made from here.
 * Reading does no I/O beyond the file itself: certificates and the like are named here, not opened. A struct config never
 * changes once made; a reload makes another. Any thread may read one. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/destination.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "mailauth/dmarc.h"

#define CONFIG_TEXT_MAX   (1u << 20) /* bytes of the file */
#define CONFIG_ERRORS_MAX 20         /* mistakes told at once */
#define CONFIG_DEFAULT    "/etc/facteur/facteur.conf"

enum config_service {
    SERVICE_SMTP,
    SERVICE_SUBMISSION,
    SERVICE_SUBMISSIONS,
    SERVICE_IMAP,
    SERVICE_IMAPS,
    SERVICE_POP3,
    SERVICE_POP3S,
    SERVICE_SIEVE,
    SERVICE_HTTP,
    SERVICE_HTTPS,
    SERVICE_COUNT,
};
/* "smtp", "submission", ...: the key inside `listen`. */
const char *config_service_name(enum config_service service);
/* TLS from the first byte. */
bool config_service_is_tls(enum config_service service);

struct config_listener {
    enum config_service service;
    struct addr addr;
};
struct config_listeners {
    struct config_listener *v;
    size_t n;
};
struct config_strings {
    const char **v;
    size_t n;
};
struct config_nets {
    struct addr_net *v;
    size_t n;
};
struct config_domains {
    struct view *v; /* A-labels, lower case */
    size_t n;
};
struct config_addrs {
    struct addr *v;
    size_t n;
};
struct config_times {
    int64_t *v;
    size_t n;
};

/* A setting as the text has it, for people. */
struct config_seen {
    const char *section, *name; /* section "": the top */
    const char *type;           /* "text", "path", "flag", "number", "size", "time", "address", ... */
    bool is_list, is_path;
    int line;                   /* 0: not set */
    struct config_strings values;
};

struct config {
    struct arena arena;  /* owns all below */
    struct config_seen *seen; /* all settings that there are */
    size_t n_seen;
    const char *file;    /* as it was named */
    struct view text;    /* what was read */

    const char *hostname; /* default: the system's */
    const char *data;
    const char *user, *vault_user;
    const char *store, *blobs;
    enum log_level log_level;
    struct {
        int64_t keep;
        uint64_t size; /* 0: nothing is kept */
    } log;
    struct config_nets relay_from, proxy_from;
    bool relay_any_sender; /* relay-from may send for foreign domains also */
    bool plaintext_login;  /* loopback clients may log in without TLS */

    struct config_listeners listen;

    struct {
        struct config_strings certificate, key; /* pairs by position */
        struct config_strings trust;
        const char *client_trust; /* whose certificates log in at submission; NULL: none are asked for */
    } tls;
    struct {
        const char *directory; /* NULL: certificates are files alone */
        const char *contact;
        const char *eab_key_id, *eab_key_file;
    } acme;
    struct {
        struct config_addrs servers; /* default port 53 */
        const char *trust_anchor;    /* NULL: the root's */
    } dns;
    struct {
        struct config_addrs bind; /* at most one an address family counts */
        uint32_t port;
        uint32_t connections;     /* deliveries at once, in all */
        uint32_t per_destination;
        struct config_destinations {
            struct config_destination *v;
            size_t n;
        } destinations; /* in their order; `trust` is a path */
    } outbound;
    struct {
        const char *host; /* without port; NULL: no smarthost */
        uint32_t port;
        const char *username, *password_file;
    } relay;
    struct {
        uint64_t message_size;
        uint32_t recipients;
        uint32_t connections_per_address, connections;
        uint32_t workers;
        int64_t keep_deleted; /* ms */
    } limits;
    struct {
        bool check;   /* mail from strangers is judged */
        bool enforce; /* and what its authors' domains ask for is done */
        bool arc;
        int64_t time_limit; /* of what a message waits for the DNS */
        struct config_domains trusted_sealers;
        struct config_nets trusted_forwarders;
        enum dmarc_method organizational_domain;
    } authentication;
    struct {
        bool aggregate, failure, tls;
        bool ask_failure; /* our DMARC records ask others for reports on single messages */
        const char *from;         /* NULL: postmaster */
        const char *organization; /* NULL: the domain of `from` */
        const char *contact;
        struct config_domains never; /* addresses among them */
        uint32_t per_day, per_destination, failures_per_domain;
        const char *country_file; /* in MaxMind's form; NULL: none */
    } reports;
    struct {
        bool webhooks_private; /* webhooks may lead to addresses that are not of the public Internet */
        struct config_nets metrics_from;
        struct config_nets proxies; /* in front of us: their word about the client counts */
        int64_t idle, longest;      /* how long a session of the pages may rest, and last */
    } web;
    struct {
        struct config_domains blocklists;
    } health;
    struct {
        bool check;        /* logos of incoming mail are looked for */
        const char *roots; /* PEM file of authorities for mark certificates */
    } bimi;
    struct {
        struct config_addrs server; /* the first counts; none: nothing is published */
        struct config_domains zones; /* empty: each domain is its own */
        const char *key_name, *key_algorithm, *key_file;
        int64_t ttl; /* of what is published */
    } dns_update;
    struct {
        struct config_times retry; /* the last one repeats */
        int64_t delay_notice, expire;
    } queue;
};

/* Reads the file. *errors gets one line a mistake, "FILE:LINE: what", whatever the result.
 * RC_NOTFOUND, RC_DENIED: cannot be opened. RC_SYNTAX: mistakes. RC_LIMIT: too long. RC_TEMP: no memory or I/O error. */
enum rc config_load(const char *file, struct config **out, struct buf *errors);
/* As above from memory; relative paths are taken from the folder of `file`. */
enum rc config_parse(const char *file, struct view text, struct config **out, struct buf *errors);
/* Where the outside finds our HTTPS: the port of the listener, or 443 where a reverse proxy stands in front of http. 0: nowhere. */
unsigned config_https_port(const struct config *c);
void config_free(struct config *c); /* accepts NULL */

/* "50mb" and "4h", whole strings. RC_SYNTAX, RC_LIMIT: larger than max. A bare number is bytes; times need a unit. */
enum rc config_size(struct view v, uint64_t max, uint64_t *out);
enum rc config_duration(struct view v, int64_t max_ms, int64_t *out_ms);

#endif
