#include "mailauth/bimi_svg.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <zlib.h>

#define SVG_NS "http://www.w3.org/2000/svg"

static const struct {
    const char *code, *words;
} faults[] = {
    {"", ""},
    {"LOGO_TOO_LARGE", "The logo is larger than 32 KB."},
    {"INVALID_SVG_FILE", "The file is not an SVG drawing."},
    {"INVALID_BASE_PROFILE", "The logo does not say baseProfile=\"tiny-ps\" and version=\"1.2\"."},
    {"LOGO_MISSING_TITLE", "The logo has no <title>."},
    {"LOGO_INVALID_ROOT_ATTRS", "The outermost element of the logo may not have x or y."},
    {"LOGO_INVALID_ELEMENT", "The logo has an element that may not be in it, such as a script, an animation or an image."},
    {"LOGO_INCLUDES_REFERENCE", "The logo refers to something outside the file."},
    {"LOGO_INVALID_ATTRIBUTE", "The logo has an attribute that may not be in it, such as one that runs or loads something."},
    {"NO_MEMORY", "There was no memory to look at the logo."},
};

const char *bimi_svg_code(enum bimi_svg_fault fault)
{
    return faults[fault].code;
}

const char *bimi_svg_words(enum bimi_svg_fault fault)
{
    return faults[fault].words;
}

/* --- gzip --- */

static enum bimi_svg_fault unpack(struct view bytes, struct arena *a, struct view *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes.p, .avail_in = (uInt)bytes.n};
    char *room = arena_alloc(a, BIMI_SVG_MAX + 1);
    if (!room || inflateInit2(&z, 15 + 16) != Z_OK)
        return BIMI_SVG_NO_MEMORY;
    z.next_out = (Bytef *)room;
    z.avail_out = BIMI_SVG_MAX + 1;
    int rc = inflate(&z, Z_FINISH);
    const size_t n = z.total_out;
    inflateEnd(&z);
    *out = view_of(room, n);
    if (n > BIMI_SVG_MAX)
        return BIMI_SVG_TOO_LARGE;
    return rc == Z_STREAM_END ? BIMI_SVG_OK : BIMI_SVG_NOT_SVG;
}

/* --- elements --- */

struct walk {
    struct bimi_svg *out;
    struct arena *a;
    unsigned n_nodes;
};

static struct view text_of(const xmlChar *s)
{
    return view_str(s ? (const char *)s : "");
}

static bool fail(struct walk *w, enum bimi_svg_fault fault, const xmlNode *node, const xmlChar *what)
{
    w->out->fault = fault;
    w->out->line = xmlGetLineNo(node);
    view_dup(w->a, text_of(what), &w->out->detail);
    return false;
}

static bool is_known_element(struct view name)
{
    static const char *const names[] = {"svg",      "title",   "desc",    "defs",           "g",              "use",        "path", "rect",
                                        "circle",   "ellipse", "line",    "polyline",       "polygon",        "text",       "tspan", "tbreak",
                                        "textArea", "stop",    "metadata", "linearGradient", "radialGradient", "solidColor"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (view_eq(name, view_str(names[i])))
            return true;
    return false;
}

/* "url(#a)" is ours, "url(x" is not. */
static bool refers_outside(struct view value)
{
    for (size_t at; (at = view_ifind(value, VIEW("url("))) != VIEW_NONE;) {
        value = view_from(value, at + 4);
        view_take_wsp(&value);
        if (value.n > 0 && (value.p[0] == '"' || value.p[0] == '\''))
            view_skip(&value, 1);
        if (value.n == 0 || value.p[0] != '#')
            return true;
    }
    return false;
}

static bool check_attribute(struct walk *w, const xmlNode *node, const xmlAttr *attr)
{
    const struct view name = text_of(attr->name);
    xmlChar *text = xmlNodeListGetString(node->doc, attr->children, 1);
    const struct view value = text_of(text);
    bool ok = true;
    if (view_istarts(name, VIEW("on")))
        ok = fail(w, BIMI_SVG_ATTRIBUTE, node, attr->name);
    else if (view_ieq(name, VIEW("href")) || view_ieq(name, VIEW("src")))
        ok = value.n > 1 && value.p[0] == '#' ? true : fail(w, BIMI_SVG_REFERENCE, node, attr->name);
    else if (view_eq(name, VIEW("base")) && attr->ns)
        ok = fail(w, BIMI_SVG_REFERENCE, node, attr->name);
    else if (refers_outside(value) || view_ifind(value, VIEW("@import")) != VIEW_NONE)
        ok = fail(w, BIMI_SVG_REFERENCE, node, attr->name);
    else if (view_ifind(value, VIEW("javascript:")) != VIEW_NONE || view_ifind(value, VIEW("expression(")) != VIEW_NONE)
        ok = fail(w, BIMI_SVG_ATTRIBUTE, node, attr->name);
    xmlFree(text);
    return ok;
}

static bool check_node(struct walk *w, const xmlNode *node, unsigned depth)
{
    for (; node; node = node->next) {
        if (node->type == XML_PI_NODE || node->type == XML_ENTITY_REF_NODE) /* style sheets come by such instructions */
            return fail(w, BIMI_SVG_ELEMENT, node, node->name);
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (++w->n_nodes > BIMI_SVG_NODES_MAX || depth > BIMI_SVG_DEPTH_MAX)
            return fail(w, BIMI_SVG_TOO_LARGE, node, node->name);
        for (const xmlAttr *attr = node->properties; attr; attr = attr->next) /* a foreign reference is worse than the element that has it */
            if (!check_attribute(w, node, attr))
                return false;
        const bool is_svg = node->ns && xmlStrcmp(node->ns->href, (const xmlChar *)SVG_NS) == 0;
        if (!is_svg || !is_known_element(text_of(node->name)) || (depth > 0 && view_eq(text_of(node->name), VIEW("svg"))))
            return fail(w, BIMI_SVG_ELEMENT, node, node->name);
        if (view_eq(text_of(node->name), VIEW("metadata")))
            continue; /* nothing of it is drawn */
        if (!check_node(w, node->children, depth + 1))
            return false;
    }
    return true;
}

/* --- the whole --- */

static struct view attribute(const xmlNode *node, const char *name, struct arena *a)
{
    xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);
    struct view out = {0};
    if (text && view_dup(a, text_of(text), &out) != RC_OK)
        out = VIEW("");
    xmlFree(text);
    return out;
}

static bool find_title(const xmlNode *root, struct arena *a, struct view *out)
{
    for (const xmlNode *node = root->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE || xmlStrcmp(node->name, (const xmlChar *)"title") != 0)
            continue;
        xmlChar *text = xmlNodeGetContent(node);
        const bool ok = text && view_trim(text_of(text)).n > 0 && view_dup(a, view_trim(text_of(text)), out) == RC_OK;
        xmlFree(text);
        return ok;
    }
    return false;
}

/* "0 0 100 100": as wide as high. */
static bool is_square(struct view box)
{
    char text[200], *end = text;
    double v[4];
    if (box.n == 0 || view_cstr(box, text, sizeof text) != RC_OK)
        return true;
    for (int i = 0; i < 4; i++) {
        char *from = end;
        v[i] = strtod(from, &end);
        if (end == from)
            return false;
        while (*end == ' ' || *end == ',')
            end++;
    }
    return v[2] > 0 && v[2] == v[3];
}

static void check_document(xmlDoc *doc, struct arena *a, struct bimi_svg *out)
{
    struct walk w = {.out = out, .a = a};
    const xmlNode *root = xmlDocGetRootElement(doc);
    if (!root || doc->intSubset || xmlStrcmp(root->name, (const xmlChar *)"svg") != 0 || !root->ns ||
        xmlStrcmp(root->ns->href, (const xmlChar *)SVG_NS) != 0) {
        out->fault = BIMI_SVG_NOT_SVG;
        return;
    }
    const struct view version = attribute(root, "version", a);
    out->has_version = view_eq(version, VIEW("1.2"));
    out->is_square = is_square(attribute(root, "viewBox", a));
    if (!view_eq(attribute(root, "baseProfile", a), VIEW("tiny-ps")) || (version.n > 0 && !out->has_version))
        out->fault = BIMI_SVG_PROFILE;
    else if (xmlHasProp(root, (const xmlChar *)"x") || xmlHasProp(root, (const xmlChar *)"y"))
        out->fault = BIMI_SVG_ROOT;
    else if (!find_title(root, a, &out->title))
        out->fault = BIMI_SVG_TITLE;
    else
        check_node(&w, doc->children, 0);
}

void bimi_svg_check(struct view bytes, struct arena *a, struct bimi_svg *out)
{
    *out = (struct bimi_svg){.text = bytes};
    if (bytes.n > BIMI_SVG_MAX) {
        out->fault = BIMI_SVG_TOO_LARGE;
        return;
    }
    if (view_starts(bytes, VIEW("\x1f\x8b")))
        out->fault = unpack(bytes, a, &out->text);
    if (out->fault != BIMI_SVG_OK)
        return;
    xmlParserCtxt *ctx = xmlNewParserCtxt();
    if (!ctx) {
        out->fault = BIMI_SVG_NO_MEMORY;
        return;
    }
    /* No option that loads or expands anything: entities stay references, which check_node refuses. */
    xmlDoc *doc = xmlCtxtReadMemory(ctx, out->text.p ? out->text.p : "", (int)out->text.n, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
    if (doc)
        check_document(doc, a, out);
    else
        out->fault = BIMI_SVG_NOT_SVG;
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctx);
}
