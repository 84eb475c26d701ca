/* web/web: what we serve by HTTP: the MTA-STS policy of each hosted domain (RFC 8461 §3.2), answers to ACME's challenges (RFC
 * 8555 §8.3), health, the way from HTTP to HTTPS; and below /admin/ the pages (pages.c) and their JSON API (api.h). Reads and
 * writes the store; runs on http/'s threads. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include <jansson.h>

#include "base/lang.h"
#include "http/http.h"
#include "login/sasl.h"
#include "policy/records.h"
#include "store/directory.h"
#include "store/session.h"

#define WEB_STS_MAX_AGE_S (7 * 86400) /* of our policies: long enough to defend, short enough to repair (RFC 8461 §3.2) */
#define WEB_HSTS          "max-age=31536000" /* RFC 6797 */

/* The configuration file, which app/ knows. */
struct web_config {
    /* Each setting: {"name", "section", "value", "default", "meaning", "type", "list", "line"}. */
    enum rc (*list)(const char *file, struct view text, enum lang lang, json_t **out);
    /* One line a mistake, "FILE:LINE: what". */
    enum rc (*check)(const char *file, struct view text, struct buf *errors);
    /* Writes it; was: SHA-256 in hexadecimal of the text that it was made from. RC_EXISTS: the file is another one by now. RC_DENIED: *why. */
    enum rc (*put)(void *app, struct view text, struct view was, struct buf *why);
};

struct web_settings {
    const char *hostname; /* ours: the MX of every hosted domain */
    struct store *store;
    unsigned https_port;  /* where plain HTTP is sent to; 0: nothing listens there */
    /* What the other process must hear of. NULL: nobody listens. */
    void (*queue_changed)(void *app); /* rows of the queue changed */
    const char *update_server; /* where records are published; NULL: nowhere */
    void (*health_asked)(void *app); /* a health_result row waits */
    void (*alerts_changed)(void *app); /* their settings, or one is to be told again */
    /* Whether the rest of the server is well; else *why, a plain sentence. */
    bool (*is_well)(void *app, const char **why);
    void (*account_gone)(void *app, uint64_t account); /* or may no longer log in */
    void (*keys_changed)(void *app); /* DKIM keys came or went */
    void (*desk_changed)(void *app); /* reports came, or the table of known senders changed */
    void *app;
    const struct web_config *config; /* NULL: not to be seen */
    const char *config_file;
    struct view config_text; /* in force */
    const char *data;     /* the folder, for the log in it */
    struct desk *desk; /* reads reports that come by HTTPS, and files that people give us; borrowed */
    struct sasl_settings sasl;
    const struct addr_net *proxies; /* whose X-Forwarded-For and X-Forwarded-Proto count */
    size_t n_proxies;
    const struct addr_net *metrics_from; /* who may read /metrics, beside this machine */
    size_t n_metrics_from;
    struct session_terms terms;
    struct records_settings records;
    struct records_tlsa tlsa; /* where DNSSEC proves the host; that is for the doctor to say */
    struct signer *signer;  /* for what is sent over HTTP (policy/signer.h) */
    size_t message_size;    /* of that, at most */
};
struct web;
/* Settings are copied; what they point to in other modules (store, vault) is borrowed. RC_TEMP. */
enum rc web_new(const struct web_settings *set, struct web **out);
enum rc web_reload(struct web *w, const struct web_settings *set);
void web_free(struct web *w); /* accepts NULL */
/* An http_handler, and its body_max; ctx is struct web *. */
void web_handle(void *ctx, const struct http_request *request, struct http_response *response);
size_t web_body_max(void *ctx, const struct http_request *request);

/* Appends the text of a policy (RFC 8461 §3.2). */
void web_sts_policy(enum directory_sts mode, const char *mx, struct buf *out);

#endif
