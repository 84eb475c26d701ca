/* mailauth/dkim_key: public keys in the DNS (RFC 6376 §3.6, RFC 8301 §3.2, RFC 8463 §4): looked up, read and written. No
 * sockets of its own; dkim_key_fetch blocks on the resolver, all else is pure. Any thread. */
#ifndef MAILAUTH_DKIM_KEY_H
#define MAILAUTH_DKIM_KEY_H

#include "crypto/pkey.h"
#include "dns/dns.h"
#include "mailauth/dkim.h"

#define DKIM_KEY_RECORD_MAX 16384 /* bytes of one record that are read; longer ones are no keys */
#define DKIM_KEY_RECORDS    4     /* of one name that are looked at, where there is more than one */

struct dkim_key {
    enum pkey_kind kind;
    struct view bytes;  /* as pkey_public reads it; never empty */
    bool allows_sha256; /* h= */
    bool is_for_mail;   /* s= */
    bool is_testing;    /* t=y */
    bool is_strict;     /* t=s */
};
/* Reads one record; views are in the arena. RC_SYNTAX: it cannot be used, *why says so. RC_NOTFOUND: revoked (p= empty). RC_LIMIT:
 * too long. RC_TEMP: no memory. */
enum rc dkim_key_parse(struct view txt, struct arena *a, struct dkim_key *out, const char **why);

struct dkim_key_answer {
    enum dkim_result result; /* DKIM_PASS: there are keys; else DKIM_TEMPERROR or DKIM_PERMERROR */
    const char *reason;
    bool secure; /* proven by DNSSEC */
    struct dkim_key keys[DKIM_KEY_RECORDS];
    size_t n;
};
/* Asks for selector._domainkey.domain. */
void dkim_key_fetch(struct dns *dns, struct view selector, struct view domain, int64_t deadline_ms, struct arena *a,
                    struct dkim_key_answer *out);

/* The same question asked ahead: waits for nothing. */
void dkim_key_prefetch(struct dns *dns, struct view selector, struct view domain);

/* Appends the text of the record to publish, without quotes: "v=DKIM1; k=rsa; p=...". To be cut into strings of at most 255
 * bytes. `public_key` as pkey_public reads it. */
void dkim_key_write(enum pkey_kind kind, struct view public_key, struct buf *out);
/* Appends the same as strings of a zone file: "\"v=DKIM1; ...\" \"...\"". */
void dkim_key_write_zone(enum pkey_kind kind, struct view public_key, struct buf *out);

#endif
