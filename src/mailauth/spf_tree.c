#include "mailauth/spf_tree.h"

#include "mailauth/spf_impl.h"

struct walk {
    struct dns *dns;
    int64_t deadline_ms;
    struct arena *a;
    struct spf_tree *tree;
    struct spf_node **last;
    unsigned n_nodes;
    struct view path[SPF_TREE_DEPTH_MAX + 1]; /* domains above */
    enum rc rc;
};

static struct spf_node *add(struct walk *w, unsigned depth, struct view domain, struct view term)
{
    struct spf_node *n = w->n_nodes < SPF_TREE_NODES_MAX ? arena_new(w->a, struct spf_node) : NULL;
    if (!n) {
        w->tree->cut = true;
        if (w->n_nodes < SPF_TREE_NODES_MAX)
            w->rc = RC_TEMP;
        return NULL;
    }
    *n = (struct spf_node){.depth = depth, .domain = domain, .term = term};
    *w->last = n;
    w->last = &n->next;
    w->n_nodes++;
    return n;
}

static void trouble(struct walk *w, struct spf_node *n, const char *words)
{
    if (!n)
        return;
    n->problem = view_str(words);
    w->tree->problems++;
}

/* The one SPF record of a domain (RFC 7208 §4.5). *why: words when there is not just one. */
static enum rc find_record(struct walk *w, struct view domain, enum dns_status *status, size_t *n_records, struct view *out,
                           const char **why)
{
    struct dns_answer answer;
    struct view *texts;
    size_t n;
    *n_records = 0;
    *why = "";
    *status = dns_txt(w->dns, domain, w->deadline_ms, w->a, &answer, &texts, &n);
    if (*status == DNS_TEMP || *status == DNS_BOGUS) {
        *why = "its records cannot be read now";
        return RC_TEMP;
    }
    for (size_t i = 0; *status == DNS_OK && i < n; i++)
        if (spf_is_record(texts[i]) && (*n_records)++ == 0)
            *out = texts[i];
    if (*n_records == 1)
        return RC_OK;
    *why = *n_records > 1 ? "it has several SPF records, where one alone may be"
           : *status == DNS_NXDOMAIN ? "there is no such domain"
                                     : "it has no SPF record";
    return RC_NOTFOUND;
}

static bool is_above(const struct walk *w, unsigned depth, struct view domain)
{
    for (unsigned i = 0; i <= depth; i++)
        if (view_ieq(w->path[i], domain))
            return true;
    return false;
}

static struct view walk_record(struct walk *w, unsigned depth, struct view domain, struct view text);

/* include: and redirect=. How the record found there ends. */
static struct view follow(struct walk *w, unsigned depth, struct spf_node *node, const struct spf_term *t)
{
    struct view ascii, record = {0};
    enum dns_status status;
    size_t n;
    const char *why;
    if (view_chr(t->spec, '%') != VIEW_NONE) {
        w->tree->cut = true; /* who is asked depends on the client */
    } else if (dns_domain_ascii(t->spec, w->a, &ascii) != RC_OK) {
        trouble(w, node, "this is not a domain name");
    } else if (is_above(w, depth, ascii)) {
        trouble(w, node, "this leads back to where it came from, and never ends");
    } else if (depth + 1 > SPF_TREE_DEPTH_MAX || w->tree->lookups > 3 * SPF_LOOKUPS_MAX) {
        w->tree->cut = true;
    } else if (find_record(w, ascii, &status, &n, &record, &why) != RC_OK) {
        trouble(w, node, why);
    } else {
        w->path[depth + 1] = ascii;
        return walk_record(w, depth + 1, ascii, record);
    }
    return (struct view){0};
}

/* Gives the term that ends it: its own "all", or that of where it is redirected to. */
static struct view walk_record(struct walk *w, unsigned depth, struct view domain, struct view text)
{
    struct spf_record r;
    struct spf_term t;
    struct view where, all = {0};
    const char *why;
    if (spf_record_parse(text, &r, &why, &where) != RC_OK) {
        trouble(w, add(w, depth, domain, where), why);
        return all;
    }
    while (w->rc == RC_OK && spf_term_next(&r.terms, &t, &why) == RC_OK) {
        bool counts = t.kind == SPF_INCLUDE || t.kind == SPF_A || t.kind == SPF_MX || t.kind == SPF_PTR || t.kind == SPF_EXISTS ||
                      (t.kind == SPF_REDIRECT && !r.has_all);
        struct spf_node *node = add(w, depth, domain, t.text);
        if (!node)
            break;
        node->is_lookup = counts;
        w->tree->lookups += counts;
        if ((t.kind == SPF_A || t.kind == SPF_MX) && view_chr(t.spec, '%') == VIEW_NONE)
            node->asked = t.spec.n > 0 ? t.spec : domain;
        node->asks_mx = t.kind == SPF_MX;
        if (t.kind == SPF_INCLUDE)
            follow(w, depth, node, &t); /* only whether it passes matters to who includes */
        if (t.kind == SPF_REDIRECT && counts)
            all = follow(w, depth, node, &t);
        if (t.kind == SPF_ALL && all.n == 0)
            all = t.text;
        if (t.kind == SPF_PTR)
            trouble(w, node, "ptr is slow, often wrong and not to be used (RFC 7208 \xc2\xa7""5.5)");
        if (t.kind == SPF_ALL && t.qualifier == SPF_PASS)
            trouble(w, node, "this lets the whole world send in the domain's name");
    }
    return all;
}

enum rc spf_tree(struct dns *dns, struct view domain, int64_t deadline_ms, struct arena *a, struct spf_tree *out)
{
    struct walk w = {.dns = dns, .deadline_ms = deadline_ms, .a = a, .tree = out, .last = &out->nodes};
    const char *why;
    *out = (struct spf_tree){0};
    if (find_record(&w, domain, &out->status, &out->n_records, &out->record, &why) != RC_OK)
        return RC_OK;
    w.path[0] = domain;
    out->all = walk_record(&w, 0, domain, out->record);
    return w.rc;
}
