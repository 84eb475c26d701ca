/* app/settings_desk: the configuration file for the pages (web/web.h has what they ask). */
#ifndef APP_SETTINGS_DESK_H
#define APP_SETTINGS_DESK_H

#include "web/web.h"

extern const struct web_config settings_desk; /* its app is struct child * */

#endif
