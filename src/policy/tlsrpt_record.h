/* policy/tlsrpt_record: where a domain wants reports about TLS on the way to it: the TXT record at _smtp._tls.DOMAIN (RFC 8460 §3).
 * Pure: no I/O, no globals, any thread. Input is hostile. The grammar is kept to the letter; fields that nobody knows are passed over.
 * What an address means is for report/ to say. */
#ifndef POLICY_TLSRPT_RECORD_H
#define POLICY_TLSRPT_RECORD_H

#include "base/view.h"

#define TLSRPT_URIS_MAX 8   /* of a record, that are looked at */
#define TLSRPT_URI_MAX  900 /* bytes of one */

struct tlsrpt_record {
    struct view uris[TLSRPT_URIS_MAX]; /* borrowed, in their order, of any scheme */
    size_t n;
};
/* One text of the TXT records is meant as such a record; others are passed over. */
bool tlsrpt_is_record(struct view txt);
/* RC_SYNTAX: not a record as the RFC has it, or one without rua. */
enum rc tlsrpt_record_parse(struct view txt, struct tlsrpt_record *out);
/* Of all texts at the name: RC_NOTFOUND: none, or several, which is none (RFC 8460 §3). RC_SYNTAX: there is one, and it cannot be read. */
enum rc tlsrpt_record_choose(const struct view *texts, size_t n, struct tlsrpt_record *out);

#endif
