/* app/judge_settings: what the configuration says of how mail is judged, for the door and for `facteur check`. Pure. */
#ifndef APP_JUDGE_SETTINGS_H
#define APP_JUDGE_SETTINGS_H

#include "app/config.h"
#include "policy/judge.h"

/* The lists are the configuration's, the list of suffixes (may be NULL) the caller's. */
struct judge_settings judge_settings_of(const struct config *f, const struct psl_list *psl);

#endif
