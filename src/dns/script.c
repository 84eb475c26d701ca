/* Answers from a text, for tests of everything that asks. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "dns/ask.h"

#define SCRIPT_CNAMES_MAX 8 /* of a chain */

struct script_line {
    struct script_line *next;
    struct view name;
    enum dns_type type; /* 0: any */
    enum dns_status status;
    bool secure;
    struct view rdata;
};
struct script {
    struct arena arena;
    struct script_line *first;
};

static enum dns_type type_of(struct view word)
{
    static const struct {
        struct view name;
        enum dns_type type;
    } types[] = {{VIEW_INIT("A"), DNS_A},     {VIEW_INIT("AAAA"), DNS_AAAA}, {VIEW_INIT("CNAME"), DNS_CNAME}, {VIEW_INIT("PTR"), DNS_PTR},
                 {VIEW_INIT("MX"), DNS_MX},   {VIEW_INIT("TXT"), DNS_TXT},   {VIEW_INIT("TLSA"), DNS_TLSA},
                 {VIEW_INIT("NS"), DNS_NS},   {VIEW_INIT("SRV"), DNS_SRV},   {VIEW_INIT("CAA"), DNS_CAA}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (view_ieq(types[i].name, word))
            return types[i].type;
    return 0;
}

static void put_name(struct buf *out, struct view name)
{
    if (view_ends(name, VIEW(".")))
        name.n--;
    while (name.n > 0) {
        struct view label;
        view_split(&name, '.', &label);
        buf_chr(out, (char)label.n);
        buf_add(out, label);
    }
    buf_chr(out, 0);
}

static enum rc put_hex(struct buf *out, struct view hex)
{
    for (; hex.n >= 2; view_skip(&hex, 2)) {
        char pair[3] = {hex.p[0], hex.p[1], 0}, *end;
        unsigned long byte = strtoul(pair, &end, 16);
        if (*end)
            return RC_SYNTAX;
        buf_chr(out, (char)byte);
    }
    return hex.n == 0 ? RC_OK : RC_SYNTAX;
}

static enum rc put_number(struct buf *out, struct view *in, uint32_t max)
{
    uint32_t n;
    view_take_wsp(in);
    enum rc rc = view_u32(in, max, &n);
    if (rc == RC_OK && max > 255)
        buf_chr(out, (char)(n >> 8));
    if (rc == RC_OK)
        buf_chr(out, (char)n);
    view_take_wsp(in);
    return rc;
}

/* Presentation to wire format. */
static enum rc put_rdata(enum dns_type type, struct view data, struct buf *out)
{
    char text[INET6_ADDRSTRLEN], ip[16];
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        if (view_cstr(data, text, sizeof text) != RC_OK || inet_pton(type == DNS_A ? AF_INET : AF_INET6, text, ip) != 1)
            return RC_SYNTAX;
        buf_add(out, view_of(ip, type == DNS_A ? 4 : 16));
        return RC_OK;
    case DNS_MX:
        if (put_number(out, &data, 65535) != RC_OK)
            return RC_SYNTAX;
        put_name(out, data);
        return RC_OK;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR: put_name(out, data); return RC_OK;
    case DNS_SRV:
        for (int i = 0; i < 3; i++)
            if (put_number(out, &data, 65535) != RC_OK)
                return RC_SYNTAX;
        put_name(out, data);
        return RC_OK;
    case DNS_CAA: { /* 0 issue "ca.test" */
        struct view tag;
        if (put_number(out, &data, 255) != RC_OK || !view_split(&data, ' ', &tag) || tag.n > 255 || !view_take_chr(&data, '"') || data.n == 0)
            return RC_SYNTAX;
        buf_chr(out, (char)tag.n);
        buf_add(out, tag);
        buf_add(out, view_slice(data, 0, data.n - 1));
        return RC_OK;
    }
    case DNS_TXT:
        while (data.n > 0) {
            struct view part;
            if (!view_take_chr(&data, '"') || !view_split(&data, '"', &part) || part.n > 255)
                return RC_SYNTAX;
            buf_chr(out, (char)part.n);
            buf_add(out, part);
            view_take_wsp(&data);
        }
        return RC_OK;
    case DNS_TLSA:
        for (int i = 0; i < 3; i++)
            if (put_number(out, &data, 255) != RC_OK)
                return RC_SYNTAX;
        return put_hex(out, data);
    }
    return RC_SYNTAX;
}

static enum rc add_line(struct script *s, struct view line)
{
    static const struct {
        struct view word;
        enum dns_status status;
    } failures[] = {{VIEW_INIT("!temp"), DNS_TEMP}, {VIEW_INIT("!bogus"), DNS_BOGUS}, {VIEW_INIT("!nodata"), DNS_NODATA}};
    struct view name, type;
    bool secure = view_take_chr(&line, '+');
    if (!view_split(&line, ' ', &name) || !view_split(&line, ' ', &type))
        return RC_SYNTAX;
    struct script_line *l = arena_new(&s->arena, struct script_line);
    if (!l)
        return RC_TEMP;
    *l = (struct script_line){.next = s->first, .name = name, .secure = secure};
    l->type = type_of(type);
    if (!l->type && !view_eq(type, VIEW("*")))
        return RC_SYNTAX;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (view_eq(line, failures[i].word))
            l->status = failures[i].status;
    if (l->status == DNS_OK) {
        struct buf rdata;
        buf_init(&rdata, 65535);
        enum rc rc = put_rdata(l->type, line, &rdata);
        if (rc == RC_OK)
            rc = rdata.fail == RC_OK ? view_dup(&s->arena, buf_view(&rdata), &l->rdata) : RC_TEMP;
        buf_clear(&rdata);
        if (rc != RC_OK)
            return rc;
    }
    s->first = l;
    return RC_OK;
}

enum rc script_new(const char *text, struct script **out)
{
    struct script *s = calloc(1, sizeof *s);
    struct view in = view_str(text), line;
    enum rc rc = RC_OK;
    if (!s)
        return RC_TEMP;
    arena_init(&s->arena, 4u << 20);
    char *copy = arena_cstr(&s->arena, in);
    in = view_str(copy);
    while (rc == RC_OK && copy && in.n > 0) {
        view_split(&in, '\n', &line);
        if (view_trim(line).n > 0)
            rc = add_line(s, view_trim(line));
    }
    if (rc == RC_OK && copy)
        *out = s;
    else
        script_free(s);
    return copy ? rc : RC_TEMP;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    arena_clear(&s->arena);
    free(s);
}

static const struct script_line *find_cname(const struct script *s, struct view name)
{
    for (const struct script_line *l = s->first; l; l = l->next)
        if (l->type == DNS_CNAME && view_ieq(l->name, name))
            return l;
    return NULL;
}

static struct view name_of_rdata(struct view rdata, struct arena *a)
{
    struct view out = {0};
    struct buf text;
    buf_init(&text, DNS_NAME_MAX);
    for (int n; (n = view_next(&rdata)) > 0; view_skip(&rdata, (size_t)n)) {
        if (text.n > 0)
            buf_chr(&text, '.');
        buf_add(&text, view_slice(rdata, 0, (size_t)n));
    }
    if (view_dup(a, buf_view(&text), &out) != RC_OK)
        out.n = 0;
    buf_clear(&text);
    return out;
}

void script_answer(const struct script *s, const char *text, enum dns_type type, struct arena *a, struct dns_answer *out)
{
    struct view name = view_str(text);
    const struct script_line *cname;
    bool known = false;
    *out = (struct dns_answer){.status = DNS_NXDOMAIN, .ttl_s = 300, .secure = true};
    if (view_ends(name, VIEW(".")))
        name.n--;
    for (int i = 0; type != DNS_CNAME && (cname = find_cname(s, name)); i++) {
        if (i == SCRIPT_CNAMES_MAX) {
            *out = (struct dns_answer){.status = DNS_TEMP, .why = "too many CNAMEs"};
            return;
        }
        out->secure &= cname->secure;
        name = out->canonical = name_of_rdata(cname->rdata, a);
    }
    out->rdata = arena_new_array(a, DNS_RDATA_MAX, struct view);
    bool secure = true;
    for (const struct script_line *l = s->first; l && out->rdata; l = l->next) {
        if (!view_ieq(l->name, name))
            continue;
        known = true;
        if (l->type && l->type != type)
            continue;
        secure &= l->secure;
        if (l->status != DNS_OK) {
            *out = (struct dns_answer){.status = l->status, .why = "as the script says", .secure = l->secure};
            return;
        }
        if (out->n < DNS_RDATA_MAX)
            out->rdata[out->n++] = l->rdata;
    }
    if (out->n > 0)
        out->status = DNS_OK;
    else if (known)
        out->status = DNS_NODATA;
    out->secure &= out->n > 0 && secure;
}
