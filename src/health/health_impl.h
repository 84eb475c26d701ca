/* What the files of health/ share. */
#ifndef HEALTH_HEALTH_IMPL_H
#define HEALTH_HEALTH_IMPL_H

#include "health/health.h"
#include "net/conn.h"
#include "mailauth/dmarc.h"
#include "policy/dane.h"

struct look_host {
    struct view name;
    struct health_host *shown; /* the same for readers */
    struct addr *addrs;
    size_t n_addrs;
    bool secure; /* its addresses are proven by DNSSEC */
};
struct look {
    const struct health_settings *set;
    struct health *out;
    struct arena *a;
    int64_t deadline_ms;
    struct health_point **last;
    unsigned n_points;
    struct view at; /* the address that points are about now; empty: none */
    enum rc rc;
    struct look_host hosts[HEALTH_HOSTS_MAX];
    size_t n_hosts;
    size_t n_ipv4;  /* addresses of the host that is looked at */
    bool has_ipv6;  /* this machine */
    bool gone;      /* there is no such domain */
    bool unreadable; /* its name servers do not answer, or their signatures do not hold: nothing can be told */
    bool no_mail;   /* null MX: the domain takes none (RFC 7505) */
    bool mx_secure; /* the MX records are proven by DNSSEC */
    struct health_sending sending;
    struct dmarc_verdict dmarc; /* as for mail of the domain itself */
};

/* Adds a point in each language (health_words). Texts are formatted into the arena; `repair` may be NULL. */
void health_say(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *repair, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* The same with a repair that has one "%.*s" in it, for `about`. */
void health_say_repair(struct look *l, const char *id, enum health_mark mark, struct view subject, const char *repair, struct view about,
                       const char *fmt, ...) __attribute__((format(printf, 7, 8)));
/* What was said of each of a host's addresses since *from: once where all are alike, else with the address before it. */
void health_merge(struct look *l, struct health_point **from, size_t n_addresses);
/* After so long, but not after the look's end. */
int64_t health_deadline(const struct look *l, int64_t ms);
/* No time is left. */
bool health_is_over(const struct look *l);
void health_progress(const struct look *l, const char *what, struct view about);
/* "the name servers do not answer" for what cannot be told now. */
bool health_unanswered(struct look *l, const char *id, struct view subject, const struct dns_answer *answer);

/* Each is one subject. */
void health_ns(struct look *l);       /* name servers, DNSSEC of the domain */
void health_caa(struct look *l);      /* who may issue certificates for the hosts */
void health_lists(struct look *l);    /* blocklists */
void health_sending(struct look *l);  /* what a sender like us would do; for the others below */
void health_mx(struct look *l);       /* MX, addresses, DNSSEC, reverse DNS; fills in hosts */
void health_spf(struct look *l);
void health_dkim(struct look *l);
void health_dmarc(struct look *l);
void health_tls(struct look *l);      /* talks to the hosts */
void health_sts(struct look *l);
void health_dane(struct look *l);
/* How well TLS is made at one address, within HEALTH_PROBE_MS; what the certificates of a whole connection are. */
void health_probe(struct look *l, const struct look_host *host, const struct addr *addr, bool has_1_3);
void health_certificates(struct look *l, const struct look_host *host, const struct conn *c);
/* Whether the host serves what its TLSA records say. */
void health_dane_served(struct look *l, const struct look_host *host);
void health_tlsrpt(struct look *l);
void health_bimi(struct look *l); /* after health_dmarc */

#endif
