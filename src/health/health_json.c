#include "health/health_json.h"

#include <time.h>

#include "base/base64.h"
#include "base/json_text.h"

#define DAY_S 86400

json_t *health_json_text(struct view v)
{
    return json_text(v);
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

static json_t *number_or_null(bool has, int64_t n)
{
    return has ? json_integer((json_int_t)n) : json_null();
}

static json_t *point_json(const struct health_point *p, enum lang lang)
{
    json_t *j = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "id", p->id, "area", lang_of(health_words, lang, p->area), "mark",
                          health_mark_name(p->mark), "subject", text_or_null(p->subject), "address", text_or_null(p->address), "text",
                          health_json_text(p->text[lang]), "repair", text_or_null(p->repair[lang]));
    if (j && strcmp(p->id, "tls.certificate") == 0) {
        json_object_set_new(j, "valid", json_boolean(p->valid));
        json_object_set_new(j, "days", number_or_null(p->has_days, p->days));
    }
    return j;
}

static json_t *keys_json(const struct health *h)
{
    static const char *const states[] = {"next", "active", "retired", "found"};
    json_t *list = json_array();
    for (const struct health_key *k = h->keys; k; k = k->next)
        json_array_append_new(list, json_pack("{s:o, s:s?, s:o, s:s, s:o, s:o, s:b, s:s}", "selector", health_json_text(k->selector), "algorithm",
                                              k->algorithm, "bits", number_or_null(k->bits > 0, k->bits), "state", states[k->state], "since",
                                              health_json_time(k->since_s), "days", number_or_null(k->since_s > 0, (h->made_s - k->since_s) / DAY_S),
                                              "published", (int)k->published, "mark", health_mark_name(k->mark)));
    return list;
}

static json_t *seen_json(const struct health_seen *s)
{
    json_t *dane = s->dane == HEALTH_DANE_NONE ? json_null() : json_boolean(s->dane == HEALTH_DANE_FITS);
    return json_pack("{s:o, s:b, s:o, s:o, s:b, s:o, s:o, s:o}", "address", health_json_text(s->address), "answers", (int)s->answers, "tls",
                     text_or_null(s->tls), "cipher", text_or_null(s->cipher), "valid", (int)s->valid, "why", text_or_null(s->why), "days",
                     number_or_null(s->has_days, s->days), "dane", dane);
}

static json_t *certificate_json(const struct health_host *h, const struct health_seen *s)
{
    json_t *names = json_array();
    for (size_t i = 0; i < h->leaf.n_names; i++)
        json_array_append_new(names, health_json_text(h->leaf.names[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:s, s:i}", "subject", health_json_text(h->leaf.subject), "issuer",
                     health_json_text(h->leaf.issuer), "not_before", health_json_time(h->leaf.not_before_s), "not_after",
                     health_json_time(h->leaf.not_after_s), "names", names, "days", number_or_null(s->has_days, s->days), "valid", (int)s->valid,
                     "why", text_or_null(s->why), "key", h->key, "bits", (int)h->bits);
}

static json_t *host_json(const struct health_host *h)
{
    json_t *addresses = json_array(), *seen = json_array();
    const struct health_seen *first = NULL;
    bool fits = false, fails = false;
    for (size_t i = 0; i < h->n_addrs; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&h->addrs[i], ip);
        json_array_append_new(addresses, json_string(ip));
    }
    for (size_t i = 0; i < h->n_seen; i++) {
        json_array_append_new(seen, seen_json(&h->seen[i]));
        first = !first && h->seen[i].tls.n > 0 ? &h->seen[i] : first;
        fits |= h->seen[i].dane == HEALTH_DANE_FITS;
        fails |= h->seen[i].dane == HEALTH_DANE_FAILS;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "host", health_json_text(h->name), "preference",
                     number_or_null(h->preference >= 0, h->preference), "addresses", addresses, "tls", first ? text_or_null(first->tls) : json_null(),
                     "certificate", first && h->has_leaf ? certificate_json(h, first) : json_null(), "dane", (int)(fits && !fails), "seen", seen);
}

json_t *health_json(const struct health *h, enum lang lang)
{
    json_t *points = json_array(), *tree = json_array(), *walk = json_array(), *hosts = json_array();
    for (const struct health_point *p = h->points; p; p = p->next)
        json_array_append_new(points, point_json(p, lang));
    for (size_t i = 0; i < h->n_hosts; i++)
        json_array_append_new(hosts, host_json(&h->hosts[i]));
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
    return json_pack("{s:o, s:o, s:o, s:{s:i, s:o}, s:{s:o}, s:o, s:o, s:o}", "domain", health_json_text(h->domain), "made",
                     health_json_time(h->made_s), "points", points, "spf", "lookups", (int)h->spf.lookups, "tree", tree, "dmarc", "walk", walk,
                     "bimi", bimi_json(&h->bimi, lang), "selectors", keys_json(h), "hosts", hosts);
}
