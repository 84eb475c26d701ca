/* app/noted: what commands change goes into the audit trail (store/audit.h), beside what the pages change. */
#ifndef APP_NOTED_H
#define APP_NOTED_H

#include "app/app.h"

/* After it was done; what, about and detail as api_audit has them. A trail that cannot be written is a line on stderr. */
/* "FROM -> TO" as the detail. */
void noted_change(struct app *app, const char *what, const char *about, const char *from, const char *to);
void noted(struct app *app, const char *what, const char *about, const char *detail);

#endif
