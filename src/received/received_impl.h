/* received/received_impl: what the files of this folder share. Pure; any thread. */
#ifndef RECEIVED_IMPL_H
#define RECEIVED_IMPL_H

#include "base/arena.h"
#include "message/mime.h"
#include "received/received.h"

#define RECEIVED_HEAD       65536 /* bytes by which the kind of a content is told */
#define RECEIVED_CHUNK      65536 /* bytes read at once */
#define RECEIVED_ARENA      (4u << 20)
#define RECEIVED_MIME_ARENA (2u << 20)
#define RECEIVED_REASON     300
#define RECEIVED_RATIO_FROM (64u << 20) /* below, no ratio is suspicious */

/* One reading: where it stands and what was told. */
struct walk {
    const struct received_sink *sink;
    struct received_origin origin;
    uint64_t left;     /* decompressed bytes that may still come */
    unsigned told;     /* reports and refusals */
    unsigned members;  /* contents looked at */
    struct arena arena; /* of the origin */
};

/* Tells why something is no report. */
enum rc walk_refuse(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- container.c: contents, which can be read more than once --- */

struct content {
    enum { CONTENT_PLAIN, CONTENT_GZIP, CONTENT_ZIP } kind;
    struct view data;  /* as it came */
    unsigned member;   /* of a zip archive, the first being 0 */
};

struct reader {
    const struct content *content;
    uint64_t limit, out;        /* bytes that may come, that came */
    struct view rest;           /* input not yet taken */
    struct z_stream_s *inflate; /* gzip */
    struct archive *archive;    /* zip */
    bool ended;
    char reason[RECEIVED_REASON]; /* after RC_SYNTAX and RC_LIMIT: why */
};

enum kind { KIND_OTHER, KIND_GZIP, KIND_ZIP, KIND_BASE64, KIND_FEEDBACK, KIND_XML, KIND_JSON, KIND_MAIL };
/* By its first bytes. */
enum kind container_kind(struct view head);

/* RC_SYNTAX: damaged. Close it in every case. */
enum rc reader_open(struct reader *r, const struct content *c, uint64_t limit);
/* Fills as much of buf as there is; *got 0 at the end. RC_SYNTAX: damaged or cut short. RC_LIMIT: too much. */
enum rc reader_read(struct reader *r, char *buf, size_t size, size_t *got);
void reader_close(struct reader *r);
/* Appends all. As reader_read; RC_LIMIT also: more than out may hold. */
enum rc reader_all(struct reader *r, struct buf *out);

/* The files of an archive in turn: RC_NOTFOUND after the last, RC_SYNTAX: damaged. *name borrows the archive until zip_close. */
struct zip {
    struct archive *archive;
    char reason[RECEIVED_REASON];
    unsigned next;
};
enum rc zip_open(struct zip *z, struct view data);
enum rc zip_next(struct zip *z, unsigned *member, struct view *name, bool *encrypted);
void zip_close(struct zip *z);

/* --- text.c --- */

/* As people and terminals may see it; at most max bytes. RC_TEMP. */
enum rc text_clean(struct arena *a, struct view raw, size_t max, struct view *out);
/* The same, in lower case. */
enum rc text_word(struct arena *a, struct view raw, struct view *out);
/* The domain of a domain or address, in lower case, without final dot. */
enum rc text_domain(struct arena *a, struct view raw, struct view *out);
/* An address as inet_ntop writes it. RC_SYNTAX: it is none. */
enum rc text_ip(struct arena *a, struct view raw, struct view *out);
/* "12", " 12 ", "12.0"; up to max. */
bool text_number(struct view raw, uint64_t max, uint64_t *out);
/* Seconds since 1970, also with a fraction or as milli-, micro- or nanoseconds, or a date of RFC 3339 or RFC 5322, or as 20231114. */
bool text_time(struct view raw, int64_t *out);
/* Of a period of which perhaps but one end is known (0: not known), both; and the right way round. NULL, or what was done, as a note. */
const char *text_period(int64_t *begin_s, int64_t *end_s);

/* --- one kind each: they read and tell, or refuse. What they give: as the sink, or RC_TEMP --- */

enum rc aggregate_read(struct walk *w, const struct content *c);
enum rc tls_read(struct walk *w, struct view json);
/* `feedback`: the message/feedback-report part, decoded; `sample`: the reported message or its header, may be empty. */
enum rc failure_read(struct walk *w, struct view feedback, struct view sample);
/* A report in prose about one message (docs/reports.md). */
bool failure_is_prose(struct view text);
enum rc failure_read_prose(struct walk *w, struct view text);
enum rc mail_read(struct walk *w, struct view mail, unsigned depth);
/* Looks what a content is, and reads it. `quiet`: what is no report is passed over. */
enum rc content_look(struct walk *w, const struct content *c, unsigned depth, bool quiet);

/* --- markup.c: bytes of any charset as clean UTF-8 from "<feedback" on --- */

struct markup {
    struct reader *reader;
    char charset[64];
    enum { MARKUP_UTF8, MARKUP_UTF16LE, MARKUP_UTF16BE, MARKUP_NAMED } form;
    struct buf in, out; /* not yet converted; converted and not yet taken */
    size_t taken;       /* of out */
    bool ended, found;
    unsigned lines;     /* before the root */
    size_t tag;         /* bytes of the tag under way; 0: none */
    char quote;         /* in it */
    const char *why;    /* after RC_SYNTAX that is not the reader's */
    enum rc rc;         /* of the reader */
};
/* Where the report's root element begins in clean UTF-8, or VIEW_NONE. */
size_t markup_root(struct view text);
/* Whether the bytes begin an XML document, be it no report. */
bool markup_is_xml(struct view head);
/* The beginning of a document of any charset, as UTF-8; for looking only. */
void markup_peek(struct view head, struct buf *out);
enum rc markup_open(struct markup *m, struct reader *r);
/* RC_OK with *got 0 at the end. RC_SYNTAX: it declares entities, there is no root, or a tag is longer than any report has. */
enum rc markup_read(struct markup *m, char *buf, size_t size, size_t *got);
void markup_close(struct markup *m);

#endif
