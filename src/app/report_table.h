/* app/report_table: what received reports say, added up for each domain and printed for people: by result and by sending source. Pure but
 * for printing; single-threaded. */
#ifndef APP_REPORT_TABLE_H
#define APP_REPORT_TABLE_H

#include "received/received.h"

#define REPORT_SOURCES_MAX 200000 /* told apart; further ones are added up as one */
#define REPORT_SHOWN       40     /* lines of one table */

struct report_table;

struct report_table *report_table_new(void); /* NULL: no memory */
void report_table_free(struct report_table *t); /* accepts NULL */
/* All RC_TEMP: no memory. Rows belong to the report begun last. */
enum rc report_table_begin(struct report_table *t, const struct received_aggregate *r);
enum rc report_table_row(struct report_table *t, const struct received_row *r);
enum rc report_table_tls(struct report_table *t, const struct received_tls *r);
enum rc report_table_failure(struct report_table *t, const struct received_failure *r);
enum rc report_table_print(struct report_table *t);

#endif
