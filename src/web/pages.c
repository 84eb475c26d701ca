/* The front end (page_files.h): files by name, and for every other path below /admin/ its first page, which finds its way by itself. */
#include <zlib.h>

#include "web/page_files.h"
#include "web/web_impl.h"

#define PREFIX "/admin/"
#define NO_PAGES                                                                                                                 \
    "This program was built without pages. Install nodejs and npm, then build again:\n"                                          \
    "Ce programme a été construit sans pages. Installez nodejs et npm, puis reconstruisez-le :\n\n"                               \
    "    meson setup --reconfigure -Dpages=enabled build && ninja -C build\n\n"                                                                   \
    "API: /admin/api/openapi.json\n"
/* No inline scripts, nothing from elsewhere, no frames (CSP Level 3). */
#define POLICY                                                                                                                   \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "       \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct page_file *find_file(struct view name)
{
    for (const struct page_file *f = page_files; f->path; f++)
        if (view_eq(name, view_str(f->path)))
            return f;
    return NULL;
}

/* RFC 9110 §12.5.3, as far as it says that gzip may be sent. */
static bool takes_gzip(const struct http_request *r)
{
    struct view list = http_field(r, "Accept-Encoding"), one;
    while (list.n > 0) {
        view_split(&list, ',', &one);
        struct view coding;
        bool has_weight = view_split(&one, ';', &coding);
        if (!view_ieq(view_trim(coding), VIEW("gzip")) && !view_eq(view_trim(coding), VIEW("*")))
            continue;
        struct view weight = view_trim(one);
        if (!has_weight || !view_itake(&weight, VIEW("q=0")))
            return true;
        while (view_take_chr(&weight, '.') || view_take_chr(&weight, '0'))
            ;
        if (weight.n > 0) /* more than nothing */
            return true;
    }
    return false;
}

static bool has_etag(const struct http_request *r, struct view etag)
{
    struct view list = http_field(r, "If-None-Match"), one;
    while (list.n > 0) {
        view_split(&list, ',', &one);
        one = view_trim(one);
        view_take(&one, VIEW("W/")); /* RFC 9110 §13.1.2: weak comparison */
        if (view_eq(one, etag) || view_eq(one, VIEW("*")))
            return true;
    }
    return false;
}

/* For the few clients that take no gzip. */
static void inflate_into(const struct page_file *f, struct buf *out)
{
    z_stream z = {0};
    char *room = buf_room(out, f->n + 1);
    if (!room || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        out->fail = RC_TEMP;
        return;
    }
    z.next_in = (unsigned char *)(uintptr_t)f->gzip;
    z.avail_in = (unsigned)f->n_gzip;
    z.next_out = (unsigned char *)room;
    z.avail_out = (unsigned)f->n + 1;
    int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (end == Z_STREAM_END && z.total_out == f->n)
        buf_grew(out, f->n);
    else
        out->fail = RC_TEMP;
}

static void refuse(struct http_response *out, int status, const char *text)
{
    out->status = status;
    out->content_type = "text/plain; charset=utf-8";
    buf_str(&out->body, text);
}

void pages_answer(const struct http_request *r, struct http_response *out)
{
    struct view name = view_from(r->path, strlen(PREFIX));
    const struct page_file *f = find_file(name);

    http_respond(out, "Content-Security-Policy", VIEW(POLICY));
    http_respond(out, "X-Frame-Options", VIEW("DENY"));
    http_respond(out, "Referrer-Policy", VIEW("no-referrer"));
    http_respond(out, "Cross-Origin-Opener-Policy", VIEW("same-origin"));
    http_respond(out, "Cross-Origin-Resource-Policy", VIEW("same-origin"));
    if (!view_eq(r->method, VIEW("GET"))) {
        refuse(out, 405, "GET only.\n");
        http_respond(out, "Allow", VIEW("GET, HEAD"));
        return;
    }
    if (!f && view_starts(name, VIEW("assets/"))) { /* of a build before: never another kind of thing under its name */
        refuse(out, 404, "Nothing here.\n");
        return;
    }
    if (!f)
        f = find_file(VIEW("index.html"));
    if (!f) {
        refuse(out, 404, NO_PAGES);
        return;
    }
    http_respond(out, "ETag", view_str(f->etag));
    http_respond(out, "Vary", VIEW("Accept-Encoding"));
    http_respond(out, "Cache-Control", f->is_hashed ? VIEW("public, max-age=31536000, immutable") : VIEW("no-cache"));
    if (has_etag(r, view_str(f->etag))) {
        out->status = 304;
        return;
    }
    out->content_type = f->type;
    if (takes_gzip(r)) {
        http_respond(out, "Content-Encoding", VIEW("gzip"));
        buf_add(&out->body, view_of(f->gzip, f->n_gzip));
    } else {
        inflate_into(f, &out->body);
    }
}
