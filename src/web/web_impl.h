/* What the files of web/ share. */
#ifndef WEB_WEB_IMPL_H
#define WEB_WEB_IMPL_H

#include "web/web.h"

/* Where a request comes from: the connection's peer, or what a trusted proxy says of its client. */
struct web_from {
    struct addr peer;
    bool is_secure; /* in TLS all the way; cookies and HSTS depend on it */
    bool by_proxy;
};

/* api.c: everything below /admin/api. */
void api_answer(const struct web_settings *set, const struct http_request *request, const struct web_from *from,
                struct http_response *response);
/* How long may the body be? For the session's own routes more than for strangers. */
size_t api_body_max(const struct web_settings *set, const struct http_request *request, const struct web_from *from);

/* pages.c: everything else below /admin/. */
void pages_answer(const struct http_request *request, struct http_response *response);

#endif
