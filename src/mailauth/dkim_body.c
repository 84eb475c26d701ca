#include "mailauth/dkim_body.h"

#include <stdlib.h>

#define STAGE_SIZE 4096 /* canonical bytes gathered before they are hashed */

struct want {
    enum dkim_canon canon;
    uint64_t length;
    bool is_taken; /* `length` was reached and `hash` is good */
    uint8_t hash[SHA256_SIZE];
};

/* One canonicalisation under way. */
struct canon {
    struct digest *digest; /* NULL: nobody asks for this canonicalisation */
    uint64_t hashed;       /* bytes in digest */
    uint64_t length;       /* of the canonical body so far, the stage included */
    uint64_t line_ends;    /* held back: dropped if nothing but line ends follows */
    bool has_cr;           /* held back: may be the first half of a line end */
    bool has_blank;        /* relaxed: held back, a run of blanks */
    size_t n_stage;
    char stage[STAGE_SIZE];
};

struct dkim_body {
    struct want wants[DKIM_BODY_WANT_MAX];
    size_t n_wants;
    struct canon canons[2]; /* by enum dkim_canon */
    bool failed;
};

/* --- hashing, with a copy wherever an l= ends --- */

static void take_copy(struct dkim_body *b, const struct canon *c, struct want *w)
{
    struct digest *copy = digest_copy(c->digest);
    if (!copy || digest_end(copy, w->hash) != RC_OK)
        b->failed = true;
    digest_free(copy);
    w->is_taken = true;
}

/* The nearest l= that is not yet taken and lies within the next n bytes, or NULL. */
static struct want *next_want(struct dkim_body *b, const struct canon *c, uint64_t n)
{
    struct want *next = NULL;
    for (size_t i = 0; i < b->n_wants; i++) {
        struct want *w = &b->wants[i];
        if (&b->canons[w->canon] != c || w->is_taken || w->length == DKIM_WHOLE || w->length - c->hashed > n)
            continue;
        if (!next || w->length < next->length)
            next = w;
    }
    return next;
}

static void hash(struct dkim_body *b, struct canon *c, struct view v)
{
    struct want *w;
    while ((w = next_want(b, c, v.n))) {
        struct view part = view_slice(v, 0, (size_t)(w->length - c->hashed));
        digest_add(c->digest, part);
        c->hashed += part.n;
        view_skip(&v, part.n);
        take_copy(b, c, w);
    }
    digest_add(c->digest, v);
    c->hashed += v.n;
}

static void flush(struct dkim_body *b, struct canon *c)
{
    hash(b, c, view_of(c->stage, c->n_stage));
    c->n_stage = 0;
}

static void put(struct dkim_body *b, struct canon *c, struct view v)
{
    if (v.n == 0)
        return;
    c->length += v.n;
    if (v.n > STAGE_SIZE - c->n_stage)
        flush(b, c);
    if (v.n > STAGE_SIZE) {
        hash(b, c, v);
        return;
    }
    memcpy(&c->stage[c->n_stage], v.p, v.n);
    c->n_stage += v.n;
}

/* --- the canonicalisations: bytes of a line, and its end --- */

static void put_line_ends(struct dkim_body *b, struct canon *c)
{
    for (; c->line_ends > 0; c->line_ends--)
        put(b, c, VIEW("\r\n"));
}

static void add_simple(struct dkim_body *b, struct canon *c, struct view bytes)
{
    if (bytes.n == 0)
        return;
    put_line_ends(b, c);
    put(b, c, bytes);
}

/* Runs of blanks become one, which waits until it is clear that it ends no line. */
static void add_relaxed(struct dkim_body *b, struct canon *c, struct view bytes)
{
    if (view_take_wsp(&bytes) > 0)
        c->has_blank = true;
    if (bytes.n == 0)
        return;
    put_line_ends(b, c);
    while (bytes.n > 0) {
        struct view part = view_slice(bytes, 0, STAGE_SIZE - 1); /* and the blank that waits */
        if (part.n + 1 > STAGE_SIZE - c->n_stage)
            flush(b, c);
        const size_t before = c->n_stage;
        for (size_t i = 0; i < part.n; i++) {
            if (is_wsp((unsigned char)part.p[i])) {
                c->has_blank = true;
                continue;
            }
            if (c->has_blank)
                c->stage[c->n_stage++] = ' ';
            c->has_blank = false;
            c->stage[c->n_stage++] = part.p[i];
        }
        c->length += c->n_stage - before;
        view_skip(&bytes, part.n);
    }
}

static void add_bytes(struct dkim_body *b, struct canon *c, struct view bytes)
{
    if (c == &b->canons[DKIM_SIMPLE])
        add_simple(b, c, bytes);
    else
        add_relaxed(b, c, bytes);
}

static void add_chunk(struct dkim_body *b, struct canon *c, struct view in)
{
    while (in.n > 0) {
        struct view line = in;
        size_t end = view_chr(in, '\n');
        if (end != VIEW_NONE)
            line.n = end;
        view_skip(&in, end == VIEW_NONE ? line.n : line.n + 1);
        if (c->has_cr && line.n > 0) { /* it was no half of a line end */
            add_bytes(b, c, VIEW("\r"));
            c->has_cr = false;
        }
        bool ends_in_cr = view_ends(line, VIEW("\r"));
        if (ends_in_cr)
            line.n--;
        add_bytes(b, c, line);
        if (end == VIEW_NONE) {
            c->has_cr |= ends_in_cr;
            continue;
        }
        c->has_cr = c->has_blank = false; /* blanks at the end of a line go (RFC 6376 §3.4.4) */
        c->line_ends++;
    }
}

static void end_canon(struct dkim_body *b, struct canon *c)
{
    if (c->has_cr)
        add_bytes(b, c, VIEW("\r"));
    if (c->has_blank) { /* blanks that no line end follows are not at the end of a line */
        put_line_ends(b, c);
        put(b, c, VIEW(" "));
    }
    /* RFC 6376 §3.4.3, §3.4.4: one line end at the end; of an empty body only "simple" makes one. */
    if (c->length > 0 || c == &b->canons[DKIM_SIMPLE])
        put(b, c, VIEW("\r\n"));
    flush(b, c);
}

struct dkim_body *dkim_body_new(void)
{
    return calloc(1, sizeof(struct dkim_body));
}

void dkim_body_free(struct dkim_body *b)
{
    if (!b)
        return;
    digest_free(b->canons[DKIM_SIMPLE].digest);
    digest_free(b->canons[DKIM_RELAXED].digest);
    free(b);
}

enum rc dkim_body_want(struct dkim_body *b, enum dkim_canon canon, uint64_t length, size_t *slot)
{
    for (size_t i = 0; i < b->n_wants; i++)
        if (b->wants[i].canon == canon && b->wants[i].length == length) {
            *slot = i;
            return RC_OK;
        }
    if (b->n_wants == DKIM_BODY_WANT_MAX)
        return RC_LIMIT;
    struct canon *c = &b->canons[canon];
    if (!c->digest && !(c->digest = digest_new(DIGEST_SHA256)))
        return RC_TEMP;
    *slot = b->n_wants++;
    b->wants[*slot] = (struct want){.canon = canon, .length = length};
    return RC_OK;
}

void dkim_body_add(struct dkim_body *b, struct view bytes)
{
    for (int i = DKIM_SIMPLE; i <= DKIM_RELAXED; i++)
        if (b->canons[i].digest)
            add_chunk(b, &b->canons[i], bytes);
}

enum rc dkim_body_end(struct dkim_body *b)
{
    uint8_t whole[2][SHA256_SIZE];
    for (int i = DKIM_SIMPLE; i <= DKIM_RELAXED; i++) {
        struct canon *c = &b->canons[i];
        if (!c->digest)
            continue;
        end_canon(b, c);
        if (digest_end(c->digest, whole[i]) != RC_OK)
            b->failed = true;
    }
    for (size_t i = 0; i < b->n_wants; i++) {
        struct want *w = &b->wants[i];
        if (w->length != DKIM_WHOLE)
            continue;
        memcpy(w->hash, whole[w->canon], SHA256_SIZE);
        w->is_taken = true;
    }
    return b->failed ? RC_TEMP : RC_OK;
}

bool dkim_body_hash(const struct dkim_body *b, size_t slot, uint8_t out[SHA256_SIZE])
{
    const struct want *w = &b->wants[slot];
    if (!w->is_taken || b->failed)
        return false;
    memcpy(out, w->hash, SHA256_SIZE);
    return true;
}

uint64_t dkim_body_length(const struct dkim_body *b, size_t slot)
{
    return b->canons[b->wants[slot].canon].length;
}
