/* web/api: what the handlers of the JSON API share (/admin/api, described by openapi.json). The dispatcher finds the route,
 * proves the session and its right, refuses requests from other sites, reads the body as JSON; then the handler, which is short:
 * it asks the store and answers. Handlers run on http/'s threads, several at once.
 * Add a route: a row in the area's table (api_*.c; a new table also goes into `areas` of api.c), its words in openapi/AREA.json
 * (a test holds them together; what all routes share is added by openapi/openapi.py). */
#ifndef WEB_API_H
#define WEB_API_H

#include <jansson.h>

#include "web/web.h"

#define API_PREFIX    "/admin/api"
#define API_ARGS_MAX  3
#define API_LIMIT     100  /* rows of a list unless the client asks for others */
#define API_LIMIT_MAX 1000
#define API_BODY_MAX     (1u << 20)  /* bytes of a body, unless the route has more */
#define API_BODY_NOBODY  (64u << 10) /* of who has no session */
#define API_ARENA        (64u << 20) /* memory of one call */

enum api_right {
    API_ANYBODY,  /* no session */
    API_USER,     /* any session */
    API_OWNER,    /* owners (of the domains that api_domain lets through) and operators */
    API_OPERATOR,
};
struct api_who {
    uint64_t account;     /* 0: nobody */
    struct view address, domain;
    enum directory_role role;
    struct view session;  /* its id as shown to people; empty: none */
    uint64_t session_id;  /* 0: none */
    struct view language; /* that the account has chosen; or empty */
};
struct api_call {
    const struct http_request *http;
    struct http_response *response;
    const struct web_settings *set; /* hostname, store and what else app/ lends */
    struct store *store;
    struct api_who who;
    const struct addr *peer;        /* the client; behind a trusted proxy the one it names */
    bool is_secure;                 /* by TLS: cookies are for TLS alone then */
    struct arena *arena;            /* of this call */
    struct view args[API_ARGS_MAX]; /* what stands at each {name} of the path, decoded */
    json_t *body;                   /* of a write with JSON: an object, else NULL; the dispatcher's */
};
struct api_route {
    const char *method;  /* "GET" */
    const char *path;    /* below API_PREFIX: "/domains/{domain}" */
    enum api_right right;
    void (*handle)(struct api_call *c);
    bool raw;            /* the body is not JSON: handlers read c->http->body */
    bool basic;          /* Authorization: Basic with an application password that may send opens it too */
    size_t body_max;     /* bytes that the body may have; 0: API_BODY_MAX */
};

/* Answers with `j`, which is taken; NULL: no memory, 500. Status 200 unless set in c->response before. */
void api_reply(struct api_call *c, json_t *j);
/* Answers without content: 204. */
void api_done(struct api_call *c);
/* {"error": {"code", "text"}}. Codes are stable ("domain.exists"); text is a plain sentence that says what to do. */
void api_refuse(struct api_call *c, int status, const char *code, const char *text);
/* The same for a failure of the store: 404, 409, 503 ... ; logs what an operator must know. */
void api_refuse_rc(struct api_call *c, enum rc rc);

/* 400 "request.field": "NAME: what is wrong", with "field": name. */
void api_refuse_field(struct api_call *c, const char *name, const char *text);

/* May this caller see the domain? Else it has been refused (403 for all that is not theirs, there or not). */
bool api_domain(struct api_call *c, struct view domain);
/* The query's parameter "domain", normal form, allowed and ours; else refused. */
bool api_query_domain(struct api_call *c, struct view *out);

/* Texts and numbers of the body and the query. Missing: empty view, or `otherwise`. */
struct view api_text(const struct api_call *c, const char *name);
int64_t api_number(const struct api_call *c, const char *name, int64_t otherwise);
bool api_has(const struct api_call *c, const char *name); /* in the body, whatever it is */
struct view api_query(const struct api_call *c, const char *name);
/* The query's "limit", from 1 to API_LIMIT_MAX. */
size_t api_limit(const struct api_call *c);
/* The query's `name` as a day or time, in seconds since 1970; `otherwise` where it is missing or not one. */
int64_t api_when(const struct api_call *c, const char *name, int64_t otherwise);

/* A view as a JSON string (bytes that are not UTF-8 become U+FFFD); a time as text, 0: null. */
json_t *api_view(struct view v);
json_t *api_time(int64_t s);

/* Logs `account` in: a session and its cookie; answers with {"account": ...} as GET /session does. Whoever calls has proven who it is. */
void api_log_in(struct api_call *c, const struct directory_account *account);
/* {"account"} of this session. */
json_t *api_account(const struct api_call *c, const struct directory_account *account);
/* "user", "owner", "operator"; and back. */
const char *api_role_name(enum directory_role role);

/* For the audit trail: what was done ("account.add"), about what, and a detail without secrets. */
void api_audit(struct api_call *c, const char *what, struct view about, struct view detail);
/* "FROM -> TO" as the detail; NULL: nothing. */
void api_audit_change(struct api_call *c, const char *what, struct view about, const char *from, const char *to);

/* The areas' tables; each ends with a row without method. */
extern const struct api_route api_session_routes[], api_people_routes[], api_records_routes[], api_queue_routes[], api_trace_routes[], api_report_routes[],
    api_health_routes[], api_alert_routes[], api_self_routes[], api_send_routes[], api_settings_routes[];

#endif
