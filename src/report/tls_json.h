/* report/tls_json: the JSON of a TLS report (RFC 8460 §4.4), gzipped (RFC 1952). What hosts of strangers said stands in it as printable
 * ASCII. Pure but for memory; any thread. */
#ifndef REPORT_TLS_JSON_H
#define REPORT_TLS_JSON_H

#include "base/buf.h"
#include "store/tlsrpt.h"

#define TLS_JSON_MAX (32u << 20) /* bytes before and after gzip */

struct tls_json_meta {
    struct view organization, contact; /* contact: an address; its domain is the submitter */
    struct view report_id;
    int64_t begin_s, end_s;
};
/* Outcomes as tlsrpt_read gives them. RC_TEMP: no memory. RC_LIMIT: nothing in it, or too much. */
enum rc tls_json_write(const struct tls_json_meta *meta, const struct tlsrpt_outcome *o, size_t n, struct buf *out);
/* Appends it as gzip. */
enum rc tls_json_gzip(struct view json, struct buf *out);

#endif
