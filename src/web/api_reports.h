/* web/api_reports: what the handlers of received reports share. */
#ifndef WEB_API_REPORTS_H
#define WEB_API_REPORTS_H

#include "store/ledger.h"
#include "web/api.h"

#define REPORTS_DAYS     30  /* that an answer spans unless it is asked otherwise */
#define REPORTS_DAYS_MAX LEDGER_DAYS
#define REPORTS_LIMIT    25  /* reports of one answer unless it is asked otherwise */
#define REPORTS_ROWS     100 /* of one report */
#define REPORTS_ALL_ROWS 1500 /* of one answer */
#define REPORTS_FILE_MAX (32u << 20) /* bytes of an uploaded file */
#define REPORTS_POST_MAX (4u << 20)  /* bytes of a TLS report by POST */
#define REPORTS_POSTS    30          /* of one network in a minute */
#define REPORTS_ALL_POSTS 300        /* of all */
#define REPORTS_EXPORT   200000      /* rows of one file */

/* "domain", "from" and "to" of the query. False: refused. */
bool reports_span(struct api_call *c, struct ledger_span *out);
json_t *reports_day(int64_t day);
/* Names and numbers of sources by what the page sorts; sources are reordered, *n may shrink by "q". */
void reports_arrange(struct api_call *c, struct ledger_source *sources, size_t *n);
/* The name that people see. */
struct view reports_name(const struct ledger_source *s);

void reports_tls(struct api_call *c);
void reports_tls_summary(struct api_call *c);
void reports_failures(struct api_call *c);
void reports_export(struct api_call *c);
void reports_upload(struct api_call *c);
void reports_senders(struct api_call *c);
void reports_sender_set(struct api_call *c);
void reports_sender_drop(struct api_call *c);

/* A TLS report by POST (RFC 8460 §5.4). */
void reports_post(const struct web_settings *set, const struct http_request *request, const struct addr *peer, struct http_response *response);

#endif
