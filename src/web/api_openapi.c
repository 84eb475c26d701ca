/* The document that describes the API: for programs, for people who write some, and for the tests. */
#include "web/api_impl.h"

static void get_openapi(struct api_call *c)
{
    c->response->content_type = "application/json";
    buf_add(&c->response->body, view_of(api_openapi, api_openapi_n));
}

const struct api_route api_openapi_routes[] = {
    {"GET", "/openapi.json", API_ANYBODY, get_openapi},
    {NULL},
};
