/* report/aggregate: the XML of a DMARC aggregate report (RFC 9990, "DMARC XML Schema"), gzipped as it is written (RFC 1952), so that
 * a large one never stands in memory whole. Pure but for memory; one document belongs to one thread. */
#ifndef REPORT_AGGREGATE_H
#define REPORT_AGGREGATE_H

#include "report/row.h"

#define AGGREGATE_MAX (16u << 20) /* bytes of a gzipped document */

struct aggregate_meta {
    struct view organization, email, contact; /* contact may be empty */
    struct view report_id, generator;
    int64_t begin_s, end_s;
    struct view domain;                       /* the policy domain */
    enum dmarc_method method;
    const struct dmarc_record *record;        /* as it was published there */
    uint64_t dropped;                         /* messages that no record tells of */
};

struct aggregate;
/* RC_TEMP: no memory. */
enum rc aggregate_begin(const struct aggregate_meta *meta, struct aggregate **out);
void aggregate_row(struct aggregate *g, const struct report_row *r, uint64_t count);
/* Appends the whole to *gzip and frees, whatever the result. RC_LIMIT: larger than AGGREGATE_MAX, or no row was added.
 * RC_TEMP. */
enum rc aggregate_end(struct aggregate *g, struct buf *gzip);
void aggregate_free(struct aggregate *g); /* gives up; accepts NULL */

#endif
