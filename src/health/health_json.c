#include "health/health_json.h"

#include <time.h>

#include "base/base64.h"
#include "base/utf8.h"

json_t *health_json_text(struct view v)
{
    json_t *j = json_stringn(v.p ? v.p : "", v.n);
    struct buf clean;
    if (j)
        return j;
    buf_init(&clean, v.n * 3 + 1);
    utf8_clean(v, &clean);
    j = json_stringn(clean.p ? clean.p : "", clean.n);
    buf_clear(&clean);
    return j;
}

static json_t *text_or_null(struct view v)
{
    return v.n > 0 ? health_json_text(v) : json_null();
}

json_t *health_json_time(int64_t s)
{
    char out[32];
    struct tm tm;
    const time_t t = (time_t)s;
    if (s <= 0 || !gmtime_r(&t, &tm) || strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return json_null();
    return json_string(out);
}

json_t *health_svg_errors(const struct bimi_svg *svg, enum lang lang)
{
    json_t *errors = json_array();
    if (svg->fault != BIMI_SVG_OK)
        json_array_append_new(errors, json_pack("{s:s, s:s, s:o, s:i}", "code", bimi_svg_code(svg->fault), "text",
                                                lang_of(health_words, lang, bimi_svg_words(svg->fault)), "detail", text_or_null(svg->detail),
                                                "line", (int)svg->line));
    return errors;
}

json_t *health_mark_json(const struct mark *m, enum lang lang)
{
    return json_pack("{s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "valid", (int)m->valid, "why", lang_of(health_words, lang, m->why), "kind",
                     m->kind, "mark", text_or_null(m->type), "subject", text_or_null(m->subject), "issuer", text_or_null(m->issuer), "not_before",
                     health_json_time(m->not_before_s), "not_after", health_json_time(m->not_after_s));
}

json_t *health_svg_image(struct view svg)
{
    struct buf b;
    if (svg.n == 0)
        return json_null();
    buf_init(&b, 2 * BIMI_SVG_MAX);
    buf_str(&b, "data:image/svg+xml;base64,");
    base64_encode(svg, &b);
    json_t *j = buf_rc(&b) == RC_OK ? health_json_text(buf_view(&b)) : NULL;
    buf_clear(&b);
    return j;
}

static json_t *bimi_json(const struct health_bimi *b, enum lang lang)
{
    const bool drawn = b->svg.n > 0 && b->check.fault == BIMI_SVG_OK; /* nothing else is handed to a browser */
    if (!b->found)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", health_json_text(b->name), "record", health_json_text(b->record), "logo",
                     text_or_null(b->location), "image", health_svg_image(drawn ? b->svg : VIEW("")), "svg_errors", health_svg_errors(&b->check, lang),
                     "certificate", b->has_mark ? health_mark_json(&b->mark, lang) : json_null());
}

json_t *health_json(const struct health *h, enum lang lang)
{
    json_t *points = json_array(), *tree = json_array(), *walk = json_array();
    for (const struct health_point *p = h->points; p; p = p->next)
        json_array_append_new(points, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "id", p->id, "area", lang_of(health_words, lang, p->area),
                                                "mark", health_mark_name(p->mark), "subject", text_or_null(p->subject), "text",
                                                health_json_text(p->text[lang]), "repair", text_or_null(p->repair[lang])));
    for (const struct spf_node *n = h->spf.nodes; n; n = n->next) {
        struct buf problem;
        buf_init(&problem, 4096);
        lang_printf(&problem, health_words, lang, "%.*s", VIEW_FMT(n->problem));
        json_array_append_new(tree, json_pack("{s:i, s:o, s:o, s:b, s:o}", "depth", (int)n->depth, "domain", health_json_text(n->domain), "term",
                                              health_json_text(n->term), "lookup", (int)n->is_lookup, "problem", text_or_null(buf_view(&problem))));
        buf_clear(&problem);
    }
    for (const struct health_dmarc_step *step = h->dmarc; step; step = step->next)
        json_array_append_new(walk, json_pack("{s:o, s:o, s:b}", "name", health_json_text(step->name), "record", text_or_null(step->record),
                                              "used", (int)step->used));
    return json_pack("{s:o, s:o, s:o, s:{s:i, s:o}, s:{s:o}, s:o}", "domain", health_json_text(h->domain), "made",
                     health_json_time(h->made_s), "points", points, "spf", "lookups", (int)h->spf.lookups, "tree", tree, "dmarc", "walk", walk,
                     "bimi", bimi_json(&h->bimi, lang));
}
