#include "received/received_impl.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "message/header.h"

static bool is_gzip(struct view v)
{
    return view_starts(v, view_of("\x1f\x8b", 2));
}

/* RFC 1950 §2.2: some senders call that gzip. */
static bool is_zlib(struct view v)
{
    return v.n > 2 && v.p[0] == 0x78 && (0x7800 + (unsigned char)v.p[1]) % 31 == 0 && !is_alpha((unsigned char)v.p[1]);
}

static bool is_zip(struct view v)
{
    return view_starts(v, VIEW("PK\3\4")) || view_starts(v, VIEW("PK\5\6"));
}

/* Base64 of what reports come in, where nothing says that it is. */
static bool is_base64(struct view v)
{
    v = view_trim(view_slice(v, 0, 200));
    return view_starts(v, VIEW("H4sI")) || view_starts(v, VIEW("UEsD")) || view_starts(v, VIEW("PD94bWwg")) || view_starts(v, VIEW("PGZlZWRiYWNr"));
}

/* A list is one of reports only with an object first. */
static bool is_json(struct view v)
{
    view_take_chr(&v, '[');
    return view_peek(view_trim(v)) == '{';
}

/* Begins with a header field or the separator line of a mailbox file, and has a field that mails have. */
static bool is_mail(struct view v)
{
    static const struct view names[] = {VIEW_INIT("From"), VIEW_INIT("Received"), VIEW_INIT("MIME-Version"), VIEW_INIT("Content-Type"),
                                        VIEW_INIT("Subject"), VIEW_INIT("Message-ID"), VIEW_INIT("Feedback-Type")};
    struct header_field f;
    view_take(&v, VIEW("\xef\xbb\xbf"));
    struct view first = v;
    if (!view_starts(v, VIEW("From ")) && (!header_next(&first, &f) || f.name.n == 0 || !is_alpha((unsigned char)f.name.p[0])))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (header_find(v, names[i], 0, &f) == RC_OK)
            return true;
    return false;
}

enum kind container_kind(struct view head)
{
    if (is_gzip(head) || is_zlib(head))
        return KIND_GZIP;
    if (is_zip(head))
        return KIND_ZIP;
    if (is_base64(head))
        return KIND_BASE64;
    struct buf text;
    buf_init(&text, RECEIVED_HEAD * 4);
    markup_peek(head, &text);
    struct view v = view_trim(buf_view(&text));
    enum kind kind = KIND_OTHER;
    if (is_mail(head)) /* mails may hold reports as text: they come first */
        kind = KIND_MAIL;
    else if (is_json(v))
        kind = KIND_JSON;
    else if (markup_root(v) != VIEW_NONE)
        kind = KIND_FEEDBACK;
    else if (markup_is_xml(v))
        kind = KIND_XML;
    buf_clear(&text);
    return kind;
}

/* --- archives --- */

static enum rc open_archive(struct view data, struct archive **out)
{
    struct archive *a = *out = archive_read_new();
    if (!a)
        return RC_TEMP;
    if (archive_read_support_format_zip(a) != ARCHIVE_OK)
        return RC_TEMP;
    return archive_read_open_memory(a, data.p, data.n) == ARCHIVE_OK ? RC_OK : RC_SYNTAX;
}

static enum rc say_archive(struct archive *a, char reason[RECEIVED_REASON])
{
    const char *why = a ? archive_error_string(a) : NULL;
    snprintf(reason, RECEIVED_REASON, "the zip archive is damaged%s%.200s", why ? ": " : "", why ? why : "");
    return RC_SYNTAX;
}

enum rc zip_open(struct zip *z, struct view data)
{
    *z = (struct zip){0};
    enum rc rc = open_archive(data, &z->archive);
    return rc == RC_SYNTAX ? say_archive(z->archive, z->reason) : rc;
}

enum rc zip_next(struct zip *z, unsigned *member, struct view *name, bool *encrypted)
{
    struct archive_entry *entry;
    int got = archive_read_next_header(z->archive, &entry);
    if (got == ARCHIVE_EOF)
        return RC_NOTFOUND;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
        return say_archive(z->archive, z->reason);
    *member = z->next++;
    *encrypted = archive_entry_is_encrypted(entry) > 0;
    const char *text = archive_entry_pathname_utf8(entry);
    *name = view_str(text ? text : archive_entry_pathname(entry));
    return RC_OK;
}

void zip_close(struct zip *z)
{
    if (z->archive)
        archive_read_free(z->archive);
    z->archive = NULL;
}

static enum rc open_member(struct reader *r)
{
    struct archive_entry *entry;
    enum rc rc = open_archive(r->content->data, &r->archive);
    for (unsigned i = 0; i <= r->content->member && rc == RC_OK; i++) {
        int got = archive_read_next_header(r->archive, &entry);
        rc = got == ARCHIVE_OK || got == ARCHIVE_WARN ? RC_OK : RC_SYNTAX;
    }
    return rc == RC_SYNTAX ? say_archive(r->archive, r->reason) : rc;
}

/* --- readers --- */

static enum rc say(struct reader *r, enum rc rc, const char *why)
{
    snprintf(r->reason, sizeof r->reason, "%s", why);
    return rc;
}

enum rc reader_open(struct reader *r, const struct content *c, uint64_t limit)
{
    *r = (struct reader){.content = c, .limit = limit, .rest = c->data};
    if (c->kind == CONTENT_ZIP)
        return open_member(r);
    if (c->kind == CONTENT_PLAIN)
        return RC_OK;
    r->inflate = calloc(1, sizeof *r->inflate);
    if (!r->inflate || inflateInit2(r->inflate, 15 + 32) != Z_OK) { /* gzip or zlib */
        free(r->inflate);
        r->inflate = NULL;
        return RC_TEMP;
    }
    return RC_OK;
}

static enum rc read_gzip(struct reader *r, char *buf, size_t size, size_t *got)
{
    z_stream *z = r->inflate;
    while (*got == 0 && !r->ended) {
        const size_t in = r->rest.n < RECEIVED_CHUNK ? r->rest.n : RECEIVED_CHUNK;
        z->next_in = (Bytef *)(uintptr_t)r->rest.p;
        z->avail_in = (uInt)in;
        z->next_out = (Bytef *)buf;
        z->avail_out = (uInt)size;
        int rc = inflate(z, Z_NO_FLUSH);
        *got = size - z->avail_out;
        view_skip(&r->rest, in - z->avail_in);
        if (rc == Z_MEM_ERROR)
            return RC_TEMP;
        if (rc == Z_STREAM_END) { /* RFC 1952 §2.2: more members may follow; anything else is padding */
            r->ended = !is_gzip(r->rest);
            inflateReset(z);
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return say(r, RC_SYNTAX, "the gzip data are damaged");
        } else if (*got == 0 && r->rest.n == 0) {
            return say(r, RC_SYNTAX, "the gzip data end early");
        }
    }
    return RC_OK;
}

static enum rc read_zip(struct reader *r, char *buf, size_t size, size_t *got)
{
    la_ssize_t n = archive_read_data(r->archive, buf, size);
    if (n == ARCHIVE_RETRY || n == ARCHIVE_WARN)
        n = archive_read_data(r->archive, buf, size);
    if (n < 0)
        return say_archive(r->archive, r->reason);
    *got = (size_t)n;
    return RC_OK;
}

static enum rc read_plain(struct reader *r, char *buf, size_t size, size_t *got)
{
    *got = r->rest.n < size ? r->rest.n : size;
    if (*got > 0)
        memcpy(buf, r->rest.p, *got);
    view_skip(&r->rest, *got);
    return RC_OK;
}

enum rc reader_read(struct reader *r, char *buf, size_t size, size_t *got)
{
    *got = 0;
    enum rc rc = r->content->kind == CONTENT_GZIP  ? read_gzip(r, buf, size, got)
                 : r->content->kind == CONTENT_ZIP ? read_zip(r, buf, size, got)
                                                   : read_plain(r, buf, size, got);
    r->out += *got;
    if (rc == RC_OK && r->out > r->limit)
        return say(r, RC_LIMIT, "it is too large when decompressed");
    if (rc == RC_OK && r->content->kind != CONTENT_PLAIN && r->out > RECEIVED_RATIO_FROM && r->out / RECEIVED_RATIO_MAX > r->content->data.n)
        return say(r, RC_LIMIT, "it grows more than a thousandfold when decompressed: no report does");
    return rc;
}

void reader_close(struct reader *r)
{
    if (r->inflate)
        inflateEnd(r->inflate);
    free(r->inflate);
    if (r->archive)
        archive_read_free(r->archive);
    r->inflate = NULL;
    r->archive = NULL;
}

enum rc reader_all(struct reader *r, struct buf *out)
{
    for (;;) {
        size_t got = 0;
        char *room = buf_room(out, RECEIVED_CHUNK);
        if (!room)
            return buf_rc(out) == RC_LIMIT ? say(r, RC_LIMIT, "what is packed in it is too large") : RC_TEMP;
        enum rc rc = reader_read(r, room, RECEIVED_CHUNK, &got);
        if (rc != RC_OK || got == 0)
            return rc;
        buf_grew(out, got);
    }
}
