/* app/reporting: the settings of report/ from the configuration, for the server and for commands. */
#ifndef APP_REPORTING_H
#define APP_REPORTING_H

#include "app/config.h"
#include "report/report.h"
#include "smtp/server.h"

/* The pointers live as long as the configuration; report/ copies. Nothing is signed with until the caller sets `sign`. */
struct report_settings reporting_settings(const struct config *f, const struct psl_list *psl);
/* smtp_seen_fn; ctx is a struct report. */
void reporting_seen(void *report, const struct smtp_seen *seen);
/* queue_settings.report_failed; ctx likewise. */
void reporting_failed(void *report, struct view address, struct view why);

#endif
