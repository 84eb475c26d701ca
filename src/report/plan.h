/* report/plan: would this report go out, and to whom: every guard rail in one place, for the sender and `facteur report list`
 * alike. Blocks on store and resolver; any thread. */
#ifndef REPORT_PLAN_H
#define REPORT_PLAN_H

#include "report/destination.h"
#include "net/tls.h"
#include "policy/tls_outcomes.h"
#include "report/mail.h"
#include "store/seen.h"

#define REPORT_PER_DAY         1000
#define REPORT_PER_DESTINATION 100 /* who collects reports for many domains gets one for each */
#define REPORT_FAILURES        10    /* failure reports about one domain and day */
#define REPORT_KEPT_S          (8 * 86400)
#define REPORT_PAUSE_FIRST_S   86400
#define REPORT_PAUSE_MAX_S     (32 * 86400)
#define REPORT_TIME_MS         8000  /* for the look-ups of one report */

struct report_settings {
    bool aggregate, failure, tls;
    const char *hostname;
    const char *from;          /* address; NULL: postmaster at report_from's choice */
    const char *organization;  /* NULL: the domain of `from` */
    const char *contact;       /* NULL: none */
    const struct view *never;  /* domains (with all below) and addresses that nothing is sent to or about */
    size_t n_never;
    uint64_t per_day, per_destination, failures; /* 0: the values above */
    struct dmarc_settings dmarc;
    const uint8_t *bounce_key; /* BOUNCE_KEY_SIZE bytes; set by report_new; NULL: mail leaves in the name of `from` itself */
    struct tls_client *trust;      /* for POSTs; a reference is taken. May be NULL where nothing is sent */
    struct tls_outcomes *outcomes; /* what is counted in memory, borrowed; NULL: nothing */
    mail_sign_fn sign;         /* NULL: reports go unsigned */
    void *sign_ctx;
};

/* Our own address: the one set, else postmaster at the domain of ours that the host name lies in, else at the first one.
 * RC_NOTFOUND: no domain is hosted here. */
enum rc report_from(struct store *s, const struct report_settings *set, struct arena *a, struct view *out);

struct plan_entry {
    struct destination to;
    bool go;
    bool later;      /* not now, but perhaps later */
    bool paused;
    const char *why; /* for those that do not go */
};
struct plan {
    enum dmarc_method method;
    struct dmarc_record record;
    struct plan_entry *entries;
    size_t n;
    const char *why; /* the whole report is left out: words; else NULL */
    bool later;      /* only for now */
    bool unwanted;   /* nobody ever asked for it, and nobody need hear of that */
};
/* Of either kind. RC_SYNTAX: the policy cannot be read. */
enum rc plan_make(struct store *s, struct dns *dns, const struct report_settings *set, const struct seen_report *r, struct arena *a,
                  struct plan *out);

/* Fills in what our own rules say of entry->to. */
enum rc plan_look_at(struct store *s, const struct report_settings *set, int64_t now_s, struct arena *a, struct plan_entry *e);
/* When the report about a domain may go: after the day of time_s, each at its own time; `seed` makes it another one. */
int64_t plan_due(struct view seed, struct view domain, int64_t time_s);

/* A policy as it is kept beside rows: the method and the record. */
void plan_policy_write(enum dmarc_method method, const struct dmarc_record *r, struct buf *out);

/* Whether a list of domains and addresses names this one. */
bool plan_is_never(const struct report_settings *set, struct view domain_or_address);
/* The caps for a mail to this address. `names` holds the text. */
#define PLAN_CAPS 2
enum rc plan_caps(const struct report_settings *set, struct view address, struct arena *a, struct seen_cap caps[PLAN_CAPS]);

#endif
