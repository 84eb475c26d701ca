/* mailauth/bimi: the logo that a domain may show beside its mail (draft-brand-indicators-for-message-identification): its record, and
 * whether DMARC allows it at all. A resolver and verdicts in, words out; blocks on the resolver until the deadline; any thread.
 * The drawing is bimi_svg.h's, its certificate crypto/mark.h's; fetching is for others. */
#ifndef MAILAUTH_BIMI_H
#define MAILAUTH_BIMI_H

#include "mailauth/dmarc.h"

#define BIMI_SELECTOR     "default"
#define BIMI_SELECTOR_MAX 63   /* bytes */
#define BIMI_RECORD_MAX   4096
#define BIMI_URL_MAX      1024

enum bimi_result { BIMI_NONE, BIMI_PASS, BIMI_FAIL, BIMI_TEMPERROR, BIMI_DECLINED, BIMI_SKIPPED };
/* As Authentication-Results has them: "none", "pass", "fail", "temperror", "declined", "skipped". */
const char *bimi_result_name(enum bimi_result result);

struct bimi_record {
    struct view text;
    struct view location;  /* l=, an https URL; empty: none */
    struct view authority; /* a=, of the certificate; empty: none */
    bool declined;         /* l= and a= empty: no logo is to be shown */
};
bool bimi_is_record(struct view txt);
/* RC_SYNTAX: not such a record, and *why. RC_TEMP: no memory. */
enum rc bimi_record_parse(struct view txt, struct arena *a, struct bimi_record *out, const char **why);
/* "v=BIMI1; s=brand" of a BIMI-Selector field. RC_SYNTAX: not in that form. */
enum rc bimi_selector_parse(struct view value, struct arena *a, struct view *selector);
/* An https URL as host, port and path. False: another one. */
bool bimi_url_split(struct view url, struct view *host, unsigned *port, struct view *path);

struct bimi_found {
    enum bimi_result result; /* BIMI_PASS: there is a record with a location */
    struct view name;        /* where it stands: "default._bimi.example.org" */
    struct view domain;
    struct bimi_record record;
    const char *why;         /* of other results, in words */
};
/* At the author's domain, else at its organisational domain. RC_TEMP: no memory. */
enum rc bimi_find(struct dns *dns, struct view author, struct view organization, struct view selector, int64_t deadline_ms, struct arena *a,
                  struct bimi_found *out);
/* Whether a message with this verdict may have a logo: it passes, and its domain asks for others to be put aside or refused, all of
 * them, subdomains too. *why in words where not. */
bool bimi_dmarc_allows(const struct dmarc_verdict *v, const char **why);

#endif
