/* policy/records: the DNS records that one of our domains should publish: MX, SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 9989), MTA-STS (RFC
 * 8461), TLS-RPT (RFC 8460), TLSA (RFC 7672), the services' SRV (RFC 6186, 8314), and the address of our host where it lies in the
 * domain. As zone-file data (RFC 1035 §5) that a DNS server loads unchanged. Asks the store alone, not the DNS. Any thread. */
#ifndef POLICY_RECORDS_H
#define POLICY_RECORDS_H

#include "net/addr.h"
#include "store/store.h"

#define RECORDS_TTL_S    3600
#define RECORDS_TLSA_MAX 2
#define RECORDS_LOGO_PATH "/bimi/logo.svg" /* at https://mta-sts.DOMAIN */

/* In the order in which their records stand. */
enum records_service { RECORDS_SUBMISSIONS, RECORDS_SUBMISSION, RECORDS_IMAPS, RECORDS_IMAP, RECORDS_POP3S, RECORDS_POP3, RECORDS_SERVICES };

/* What the records say about this server. */
struct records_settings {
    const char *hostname;
    const struct addr *hosts;   /* its own addresses, as far as they are known */
    size_t n_hosts;
    const struct addr *sources; /* of what it sends, beside those of the MX */
    size_t n_sources;
    const char *relay;          /* a smarthost; NULL: none */
    bool https;                 /* MTA-STS policies are served */
    bool ask_failure;           /* DMARC asks for single messages too */
    unsigned ports[RECORDS_SERVICES]; /* 0: not served */
};
/* Copies what is borrowed into the arena. RC_TEMP. */
enum rc records_settings_dup(struct arena *a, const struct records_settings *set, struct records_settings *out);

/* Keys of the host's certificates, for DANE. */
struct records_tlsa {
    uint8_t key[RECORDS_TLSA_MAX][32]; /* data of records 3 1 1 */
    size_t n;                          /* 0: the host's address is not proven by DNSSEC, or there is no certificate */
};

struct records_row {
    const char *name, *type, *value; /* "_dmarc.ici.test.", "TXT", "\"v=DMARC1; p=none\"" */
};
struct records {
    struct records_row *rows;
    size_t n;
    size_t n_keys; /* DKIM keys among them */
};
/* Rows and texts lie in the arena. `domain` is a name as people write it. RC_NOTFOUND: not ours. RC_SYNTAX; RC_TEMP. */
enum rc records_make(const struct records_settings *set, const struct records_tlsa *tlsa, struct store *s, struct view domain, struct arena *a,
                     struct records *out);
/* Is the host's name below the domain, so that its records lie in the domain's zone? */
bool records_has_host(const struct records_settings *set, struct view domain);
/* One line of a zone file. */
void records_write(const struct records_row *r, struct buf *out);

#endif
