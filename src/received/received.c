#include "received/received_impl.h"

#include <stdio.h>

enum rc walk_refuse(struct walk *w, const char *fmt, ...)
{
    char raw[RECEIVED_REASON + RECEIVED_TEXT_MAX];
    struct arena a;
    struct view reason;
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    w->told++;
    if (!w->sink->refused)
        return RC_OK;
    arena_init(&a, RECEIVED_TEXT_MAX * 4);
    enum rc rc = text_clean(&a, view_str(raw), RECEIVED_TEXT_MAX, &reason);
    if (rc == RC_OK)
        rc = w->sink->refused(w->sink->ctx, &w->origin, reason);
    arena_clear(&a);
    return rc;
}

/* Why a content could not be read. */
static enum rc refuse_content(struct walk *w, const struct reader *r, enum rc rc)
{
    return rc == RC_TEMP ? RC_TEMP : walk_refuse(w, "%s", r->reason[0] ? r->reason : "it cannot be read");
}

static enum rc look_member(struct walk *w, struct zip *z, struct content *c, unsigned depth, bool *more)
{
    const struct view outer = w->origin.name;
    struct view name;
    bool encrypted;
    enum rc rc = zip_next(z, &c->member, &name, &encrypted);
    *more = rc == RC_OK;
    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc == RC_SYNTAX)
        return walk_refuse(w, "%s", z->reason);
    if (rc == RC_OK)
        rc = text_clean(&w->arena, name, RECEIVED_TEXT_MAX, &w->origin.name);
    if (rc == RC_OK)
        rc = encrypted ? walk_refuse(w, "it is encrypted in its archive") : content_look(w, c, depth, true);
    w->origin.name = outer;
    return rc;
}

static enum rc look_zip(struct walk *w, struct view data, unsigned depth, bool quiet)
{
    struct content c = {.kind = CONTENT_ZIP, .data = data};
    const unsigned before = w->told;
    bool more = true;
    struct zip z;
    enum rc rc = zip_open(&z, data);
    if (rc == RC_SYNTAX)
        rc = walk_refuse(w, "%s", z.reason);
    else
        while (rc == RC_OK && more && w->members < RECEIVED_MEMBERS_MAX)
            rc = look_member(w, &z, &c, depth, &more);
    zip_close(&z);
    if (rc == RC_OK && more && w->members >= RECEIVED_MEMBERS_MAX)
        return walk_refuse(w, "there are more than %d files in it; the rest was not read", RECEIVED_MEMBERS_MAX);
    return rc == RC_OK && w->told == before && !quiet ? walk_refuse(w, "the archive holds no report") : rc;
}

static enum rc look_base64(struct walk *w, struct view data, unsigned depth, bool quiet)
{
    struct buf plain;
    buf_init(&plain, RECEIVED_INNER_MAX);
    content_decode(ENCODING_BASE64, data, &plain);
    const struct content inner = {.kind = CONTENT_PLAIN, .data = buf_view(&plain)};
    enum rc rc = buf_rc(&plain) == RC_OK      ? content_look(w, &inner, depth, quiet)
                 : buf_rc(&plain) == RC_LIMIT ? walk_refuse(w, "what is packed in it is too large")
                                              : RC_TEMP;
    buf_clear(&plain);
    return rc;
}

/* A container or mail: held in memory, and looked into. */
static enum rc look_inside(struct walk *w, enum kind kind, struct view data, unsigned depth, bool quiet)
{
    struct content inner = {.kind = CONTENT_GZIP, .data = data};
    if (depth >= RECEIVED_DEPTH_MAX)
        return walk_refuse(w, "more than %d containers stand within each other", RECEIVED_DEPTH_MAX);
    if (kind == KIND_MAIL)
        return mail_read(w, data, depth + 1);
    if (kind == KIND_BASE64)
        return look_base64(w, data, depth + 1, quiet);
    return kind == KIND_ZIP ? look_zip(w, data, depth + 1, quiet) : content_look(w, &inner, depth + 1, quiet);
}

static bool is_tls(struct view json)
{
    static const struct view names[] = {VIEW_INIT("\"policies\""), VIEW_INIT("\"organization-name\""), VIEW_INIT("\"report-id\""),
                                        VIEW_INIT("\"date-range\"")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (view_find(json, names[i]) != VIEW_NONE)
            return true;
    return false;
}

static enum rc look_whole(struct walk *w, struct reader *r, enum kind kind, unsigned depth, bool quiet)
{
    struct buf all;
    buf_init(&all, RECEIVED_INNER_MAX + RECEIVED_CHUNK);
    const bool in_memory = r->content->kind == CONTENT_PLAIN;
    enum rc rc = in_memory ? RC_OK : reader_all(r, &all);
    const struct view data = in_memory ? r->content->data : buf_view(&all);
    if (!in_memory)
        w->left -= r->out < w->left ? r->out : w->left;
    if (rc != RC_OK)
        rc = refuse_content(w, r, rc);
    else if (kind == KIND_JSON)
        rc = quiet && !is_tls(data) ? RC_OK : tls_read(w, data);
    else
        rc = look_inside(w, kind, data, depth, quiet);
    buf_clear(&all);
    return rc;
}

enum rc content_look(struct walk *w, const struct content *c, unsigned depth, bool quiet)
{
    struct reader r;
    struct buf head;
    w->members++;
    buf_init(&head, RECEIVED_HEAD);
    enum rc rc = reader_open(&r, c, w->left);
    char *room = rc == RC_OK ? buf_room(&head, RECEIVED_HEAD) : NULL;
    for (size_t got = 1; rc == RC_OK && room && got > 0 && head.n < RECEIVED_HEAD;) { /* pieces are small at first */
        rc = reader_read(&r, head.p + head.n, RECEIVED_HEAD - head.n, &got);
        buf_grew(&head, got);
    }
    if (rc == RC_OK && !room)
        rc = RC_TEMP;
    const enum kind kind = rc == RC_OK || (rc == RC_SYNTAX && head.n > 0) ? container_kind(buf_view(&head)) : KIND_OTHER;
    if (rc == RC_SYNTAX && kind == KIND_FEEDBACK)
        rc = RC_OK; /* the report may be whole all the same */
    reader_close(&r);
    if (rc != RC_OK) {
        rc = refuse_content(w, &r, rc);
    } else if (kind == KIND_FEEDBACK) {
        rc = aggregate_read(w, c);
    } else if (kind == KIND_XML || kind == KIND_OTHER) {
        if (!quiet)
            rc = head.n == 0         ? walk_refuse(w, "it is empty")
                 : kind == KIND_XML  ? walk_refuse(w, "it is XML, but has no <feedback> element near its beginning")
                                     : walk_refuse(w, "it is neither a DMARC or TLS report nor a mail or archive that holds one");
    } else {
        rc = reader_open(&r, c, w->left);
        if (rc == RC_OK)
            rc = look_whole(w, &r, kind, depth, quiet);
        else
            rc = refuse_content(w, &r, rc);
        reader_close(&r);
    }
    buf_clear(&head);
    return rc;
}

/* A container in a container may be tiny, and what is in that one huge: what counts is what came. */
static uint64_t plain_of(struct view file)
{
    const uint64_t most = RECEIVED_RATIO_FROM + (uint64_t)file.n * RECEIVED_RATIO_MAX;
    return most < RECEIVED_PLAIN_MAX ? most : RECEIVED_PLAIN_MAX;
}

enum rc received_read(struct view file, const struct received_sink *sink)
{
    return received_read_within(file, RECEIVED_PLAIN_MAX, sink);
}

enum rc received_read_within(struct view file, uint64_t plain_max, const struct received_sink *sink)
{
    const uint64_t most = plain_of(file);
    struct walk w = {.sink = sink, .left = most < plain_max ? most : plain_max};
    const struct content c = {.kind = CONTENT_PLAIN, .data = file};
    arena_init(&w.arena, RECEIVED_ARENA);
    enum rc rc = content_look(&w, &c, 0, false);
    if (rc == RC_OK && w.told == 0)
        rc = walk_refuse(&w, w.origin.is_mail ? "the mail holds no report" : "it holds no report");
    arena_clear(&w.arena);
    return rc;
}
