/* base/rc: how functions of this program say what came of them.
 * Pure; any thread. */
#ifndef BASE_RC_H
#define BASE_RC_H

enum rc {
    RC_OK,
    RC_SYNTAX,   /* the input is not what the grammar asks for */
    RC_LIMIT,    /* a named limit was passed */
    RC_NOTFOUND, /* surely not there */
    RC_EXISTS,   /* there already */
    RC_DENIED,   /* known, and not allowed */
    RC_TEMP,     /* cannot tell or do it now; later may differ (out of memory, I/O, DNS, database) */
    RC_FULL,     /* no room: disk or quota */
    RC_CORRUPT,  /* what we stored is damaged */
    RC_CLOSED,   /* the peer has gone */
    RC_TIMEOUT,  /* the deadline passed */
};

/* A short English word for logs: "ok", "syntax", ... Never NULL. */
const char *rc_name(enum rc rc);

/* A broken invariant is our bug: logs file, line and expression, and stops this process. No input may reach one. */
#define bug_if(cond) ((cond) ? rc_bug(__FILE__, __LINE__, #cond) : (void)0)
_Noreturn void rc_bug(const char *file, int line, const char *what);

#endif
