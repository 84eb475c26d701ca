#include "base/rc.h"

#include <stdlib.h>

#include "base/log.h"

const char *rc_name(enum rc rc)
{
    switch (rc) {
    case RC_OK:       return "ok";
    case RC_SYNTAX:   return "syntax";
    case RC_LIMIT:    return "limit";
    case RC_NOTFOUND: return "notfound";
    case RC_EXISTS:   return "exists";
    case RC_DENIED:   return "denied";
    case RC_TEMP:     return "temp";
    case RC_FULL:     return "full";
    case RC_CORRUPT:  return "corrupt";
    case RC_CLOSED:   return "closed";
    case RC_TIMEOUT:  return "timeout";
    }
    return "unknown";
}

_Noreturn void rc_bug(const char *file, int line, const char *what)
{
    log_error("bug", F_CSTR("file", file), F_INT("line", line), F_CSTR("what", what));
    abort();
}
