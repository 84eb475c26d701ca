/* report/collect: rows of many messages summed in memory, until they are written to the store a few at a time. Taking a row costs a
 * digest and a short lock; it never waits for the disk. A crash loses what came since the last flush.
 * Any thread. */
#ifndef REPORT_COLLECT_H
#define REPORT_COLLECT_H

#include "store/seen.h"

#define COLLECT_ROWS_MAX  8192        /* different rows in memory; messages beyond are not counted */
#define COLLECT_BYTES_MAX (8u << 20)  /* of them all */
#define COLLECT_WRITE_MAX 100         /* rows of one transaction, so that mail never waits long for it */
#define REPORT_ROWS_MAX   10000       /* of one report; what does not fit is told as a number */
#define REPORT_DAY_MAX    10000       /* reports begun on one day */

struct collect;
enum rc collect_new(struct collect **out);
void collect_free(struct collect *c); /* accepts NULL */
/* Copies what it needs. RC_LIMIT: full: it was counted as lost. RC_TEMP. */
enum rc collect_add(struct collect *c, const struct seen_add *row);
/* Writes all that is there. Rows that could not be written are lost, too, and told in the log. */
void collect_flush(struct collect *c, struct store *s);

#endif
