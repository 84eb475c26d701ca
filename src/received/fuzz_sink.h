/* received/fuzz_sink: a sink for fuzz targets that holds what is told to the contract of received.h. */
#ifndef RECEIVED_FUZZ_SINK_H
#define RECEIVED_FUZZ_SINK_H

#include "base/utf8.h"
#include "received/received_impl.h"

struct fuzz_count {
    uint64_t rows, messages, rows_due, messages_due;
    bool open;
};

static inline void fuzz_text(struct view v)
{
    bug_if(v.n > RECEIVED_TEXT_MAX || !utf8_is_valid(v) || view_has_ctl(v));
}

static inline enum rc fuzz_begin(void *ctx, const struct received_origin *o, const struct received_aggregate *r)
{
    struct fuzz_count *c = ctx;
    bug_if(c->open || r->rows > RECEIVED_ROWS_MAX || r->n_notes > RECEIVED_LIST_MAX || r->n_errors > RECEIVED_LIST_MAX || r->domain.n == 0);
    bug_if(r->begin_s < 0 || r->end_s < r->begin_s || r->end_s == 0);
    *c = (struct fuzz_count){.open = true, .rows_due = r->rows, .messages_due = r->messages};
    fuzz_text(r->org), fuzz_text(r->email), fuzz_text(r->report_id), fuzz_text(r->domain), fuzz_text(r->p), fuzz_text(o->name), fuzz_text(o->subject);
    for (size_t i = 0; i < r->n_notes; i++)
        fuzz_text(r->notes[i]);
    return RC_OK;
}

static inline enum rc fuzz_row(void *ctx, const struct received_row *r)
{
    struct fuzz_count *c = ctx;
    c->rows++;
    c->messages += r->count;
    bug_if(!c->open || r->source_ip.n == 0 || r->count > RECEIVED_COUNT_MAX || r->n_dkim > RECEIVED_LIST_MAX);
    fuzz_text(r->source_ip), fuzz_text(r->header_from), fuzz_text(r->envelope_from), fuzz_text(r->disposition);
    for (size_t i = 0; i < r->n_dkim; i++)
        fuzz_text(r->dkim_results[i].domain), fuzz_text(r->dkim_results[i].human_result);
    return RC_OK;
}

static inline enum rc fuzz_end(void *ctx)
{
    struct fuzz_count *c = ctx;
    bug_if(!c->open || c->rows != c->rows_due || c->messages != c->messages_due);
    c->open = false;
    return RC_OK;
}

static inline enum rc fuzz_failure(void *ctx, const struct received_origin *o, const struct received_failure *f)
{
    (void)ctx, (void)o;
    fuzz_text(f->type), fuzz_text(f->subject), fuzz_text(f->source_ip), fuzz_text(f->original_from), fuzz_text(f->authentication_results);
    bug_if(f->headers.n > RECEIVED_HEADERS_MAX || f->incidents == 0);
    return RC_OK;
}

static inline enum rc fuzz_tls(void *ctx, const struct received_origin *o, const struct received_tls *t)
{
    (void)ctx, (void)o;
    bug_if(t->n_policies > RECEIVED_POLICIES_MAX);
    for (size_t i = 0; i < t->n_policies; i++) {
        fuzz_text(t->policies[i].type), fuzz_text(t->policies[i].domain);
        bug_if(t->policies[i].n_failures > RECEIVED_FAILURES_MAX || t->policies[i].success > RECEIVED_COUNT_MAX);
    }
    return RC_OK;
}

static inline enum rc fuzz_refused(void *ctx, const struct received_origin *o, struct view reason)
{
    (void)ctx, (void)o;
    fuzz_text(reason);
    bug_if(reason.n == 0);
    return RC_OK;
}

#define FUZZ_SINK(count) {(count), fuzz_begin, fuzz_row, fuzz_end, fuzz_failure, fuzz_tls, fuzz_refused}

#endif
