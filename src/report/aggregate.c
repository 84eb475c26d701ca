#include "report/aggregate.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "report/xml.h"

#define CHUNK_MAX (ROW_MAX * 8) /* XML of one row or of the head, escapes included */

struct aggregate {
    z_stream z;
    struct buf xml;  /* not compressed yet */
    struct buf gzip;
    size_t n_rows;
    enum rc fail;
};

/* Moves what is in xml through zlib. */
static void squeeze(struct aggregate *g, int flush)
{
    int status = Z_OK;
    if (g->fail == RC_OK)
        g->fail = buf_rc(&g->xml);
    g->z.next_in = (Bytef *)(g->xml.p ? g->xml.p : "");
    g->z.avail_in = (uInt)g->xml.n;
    while (g->fail == RC_OK && (g->z.avail_in > 0 || (flush == Z_FINISH && status != Z_STREAM_END))) {
        char *room = buf_room(&g->gzip, 16384);
        if (!room) {
            g->fail = buf_rc(&g->gzip);
            return;
        }
        g->z.next_out = (Bytef *)room;
        g->z.avail_out = 16384;
        status = deflate(&g->z, flush);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            g->fail = RC_TEMP;
        buf_grew(&g->gzip, 16384 - g->z.avail_out);
    }
    buf_reset(&g->xml);
}

static void write_metadata(struct buf *x, const struct aggregate_meta *m)
{
    xml_open(x, 1, "report_metadata");
    xml_element(x, 2, "org_name", m->organization);
    xml_element(x, 2, "email", m->email);
    if (m->contact.n > 0)
        xml_element(x, 2, "extra_contact_info", m->contact);
    xml_element(x, 2, "report_id", m->report_id);
    xml_open(x, 2, "date_range");
    xml_number(x, 3, "begin", (uint64_t)m->begin_s);
    xml_number(x, 3, "end", (uint64_t)m->end_s);
    xml_close(x, 2, "date_range");
    if (m->dropped > 0 || m->record->notes.n > 0) {
        char text[96] = "";
        struct buf error;
        buf_init(&error, 2048);
        if (m->dropped > 0)
            snprintf(text, sizeof text, "%llu further messages are not listed: too many different records. ", (unsigned long long)m->dropped);
        buf_str(&error, text);
        if (m->record->notes.n > 0) {
            buf_str(&error, "In the DMARC record: ");
            buf_add(&error, view_slice(m->record->notes, 0, 1024));
        }
        xml_element(x, 2, "error", view_trim(buf_view(&error)));
        buf_clear(&error);
    }
    xml_element(x, 2, "generator", m->generator);
    xml_close(x, 1, "report_metadata");
}

static void write_fo(struct buf *x, unsigned fo)
{
    static const struct {
        unsigned bit;
        const char *letter;
    } all[] = {{DMARC_FO_ALL, "0"}, {DMARC_FO_ANY, "1"}, {DMARC_FO_DKIM, "d"}, {DMARC_FO_SPF, "s"}};
    char text[8];
    size_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        if (!(fo & all[i].bit))
            continue;
        if (n > 0)
            text[n++] = ':';
        text[n++] = *all[i].letter;
    }
    xml_element(x, 2, "fo", view_of(text, n));
}

/* Tags that are not there have their default values. */
static void write_policy(struct buf *x, const struct aggregate_meta *m)
{
    const struct dmarc_record *r = m->record;
    enum dmarc_policy sp = r->has_sp ? r->sp : r->p;
    xml_open(x, 1, "policy_published");
    xml_element(x, 2, "domain", m->domain);
    xml_element(x, 2, "discovery_method", view_str(dmarc_method_name(m->method)));
    xml_element(x, 2, "p", view_str(dmarc_policy_name(r->p)));
    xml_element(x, 2, "sp", view_str(dmarc_policy_name(sp)));
    if (m->method == DMARC_TREEWALK)
        xml_element(x, 2, "np", view_str(dmarc_policy_name(r->has_np ? r->np : sp)));
    xml_element(x, 2, "adkim", r->adkim_strict ? VIEW("s") : VIEW("r"));
    xml_element(x, 2, "aspf", r->aspf_strict ? VIEW("s") : VIEW("r"));
    write_fo(x, r->fo);
    xml_element(x, 2, "testing", r->test ? VIEW("y") : VIEW("n"));
    xml_close(x, 1, "policy_published");
}

enum rc aggregate_begin(const struct aggregate_meta *meta, struct aggregate **out)
{
    struct aggregate *g = calloc(1, sizeof *g);
    *out = NULL;
    if (!g)
        return RC_TEMP;
    if (deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) { /* 16: gzip */
        free(g);
        return RC_TEMP;
    }
    buf_init(&g->xml, CHUNK_MAX);
    buf_init(&g->gzip, AGGREGATE_MAX);
    buf_str(&g->xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n");
    xml_element(&g->xml, 1, "version", VIEW("1.0"));
    write_metadata(&g->xml, meta);
    write_policy(&g->xml, meta);
    squeeze(g, Z_NO_FLUSH);
    *out = g;
    return RC_OK;
}

static void write_reason(struct buf *x, const struct report_row *r)
{
    if (r->reason.n == 0)
        return;
    xml_open(x, 4, "reason");
    xml_element(x, 5, "type", r->reason);
    if (r->comment.n > 0)
        xml_element(x, 5, "comment", r->comment);
    xml_close(x, 4, "reason");
}

static void write_results(struct buf *x, const struct report_row *r)
{
    xml_open(x, 2, "auth_results");
    for (size_t i = 0; i < r->n_signatures; i++) {
        xml_open(x, 3, "dkim");
        xml_element(x, 4, "domain", r->signatures[i].domain);
        xml_element(x, 4, "selector", r->signatures[i].selector);
        xml_element(x, 4, "result", r->signatures[i].result);
        if (r->signatures[i].human.n > 0)
            xml_element(x, 4, "human_result", r->signatures[i].human);
        xml_close(x, 3, "dkim");
    }
    if (r->spf_domain.n > 0) {
        xml_open(x, 3, "spf");
        xml_element(x, 4, "domain", r->spf_domain);
        xml_element(x, 4, "scope", VIEW("mfrom"));
        xml_element(x, 4, "result", r->spf_result);
        if (r->spf_human.n > 0)
            xml_element(x, 4, "human_result", r->spf_human);
        xml_close(x, 3, "spf");
    }
    xml_close(x, 2, "auth_results");
}

void aggregate_row(struct aggregate *g, const struct report_row *r, uint64_t count)
{
    struct buf *x = &g->xml;
    xml_open(x, 1, "record");
    xml_open(x, 2, "row");
    xml_element(x, 3, "source_ip", r->source_ip);
    xml_number(x, 3, "count", count);
    xml_open(x, 3, "policy_evaluated");
    xml_element(x, 4, "disposition", r->disposition);
    xml_element(x, 4, "dkim", r->dkim ? VIEW("pass") : VIEW("fail"));
    xml_element(x, 4, "spf", r->spf ? VIEW("pass") : VIEW("fail"));
    write_reason(x, r);
    xml_close(x, 3, "policy_evaluated");
    xml_close(x, 2, "row");
    xml_open(x, 2, "identifiers");
    xml_element(x, 3, "header_from", r->header_from);
    xml_element(x, 3, "envelope_from", r->envelope_from); /* empty for the null reverse-path */
    if (r->envelope_to.n > 0)
        xml_element(x, 3, "envelope_to", r->envelope_to);
    xml_close(x, 2, "identifiers");
    write_results(x, r);
    xml_close(x, 1, "record");
    g->n_rows++;
    squeeze(g, Z_NO_FLUSH);
}

enum rc aggregate_end(struct aggregate *g, struct buf *gzip)
{
    buf_str(&g->xml, "</feedback>\n");
    squeeze(g, Z_FINISH);
    enum rc rc = g->n_rows == 0 ? RC_LIMIT : g->fail;
    if (rc == RC_OK) {
        buf_add(gzip, buf_view(&g->gzip));
        rc = buf_rc(gzip);
    }
    aggregate_free(g);
    return rc;
}

void aggregate_free(struct aggregate *g)
{
    if (!g)
        return;
    deflateEnd(&g->z);
    buf_clear(&g->xml);
    buf_clear(&g->gzip);
    free(g);
}
