#include "health/health_records.h"

#include "base/utf8.h"
#include "crypto/hex.h"
#include "health/health_json.h"

#define VALUE_MAX 8192

const char *health_record_state_name(enum health_record_state state)
{
    static const char *const names[] = {"published", "different", "missing", "unknown"};
    return names[state];
}

/* --- one form for both sides --- */

/* 0: a type that is not compared. */
static enum dns_type type_of(struct view name)
{
    static const struct {
        const char *name;
        enum dns_type type;
    } types[] = {{"A", DNS_A},     {"AAAA", DNS_AAAA}, {"MX", DNS_MX},   {"TXT", DNS_TXT},
                 {"CNAME", DNS_CNAME}, {"SRV", DNS_SRV},   {"TLSA", DNS_TLSA}, {"CAA", DNS_CAA}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (view_ieq(view_str(types[i].name), name))
            return types[i].type;
    return 0;
}

/* Quoted strings of a zone file joined (RFC 1035 §5.1). */
static void join_quoted(struct view text, struct buf *out)
{
    bool quoted = false;
    for (int c; (c = view_next(&text)) >= 0;) {
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && text.n > 0)
            buf_chr(out, (char)view_next(&text));
        else if (quoted || (c != ' ' && c != '\t'))
            buf_chr(out, (char)c);
    }
}

static struct view without_dot(struct view name)
{
    if (name.n > 1 && view_ends(name, VIEW(".")) && !view_ends(name, VIEW(" .")))
        name.n--;
    return name;
}

/* The value as it would look if it came from the DNS. */
static enum rc normal_value(enum dns_type type, struct view value, struct arena *a, struct view *out)
{
    struct buf b;
    buf_init(&b, VALUE_MAX);
    if (type == DNS_TXT) {
        join_quoted(value, &b);
    } else if (type == DNS_A || type == DNS_AAAA) {
        struct addr addr;
        char ip[ADDR_TEXT_MAX];
        if (addr_parse_ip(value, 0, &addr) == RC_OK) {
            addr_write_ip(&addr, ip);
            buf_str(&b, ip);
        }
    } else {
        value = without_dot(value);
        for (size_t i = 0; i < value.n; i++) /* data of these types has no case */
            buf_chr(&b, value.p[i] >= 'A' && value.p[i] <= 'Z' ? (char)(value.p[i] + 32) : value.p[i]);
    }
    enum rc rc = buf_rc(&b) == RC_OK ? view_dup(a, buf_view(&b), out) : buf_rc(&b);
    buf_clear(&b);
    return rc;
}

static unsigned number(struct view *in, int bytes)
{
    unsigned n = 0;
    for (int c; bytes-- > 0 && (c = view_next(in)) >= 0;)
        n = n << 8 | (unsigned)c;
    return n;
}

/* Wire format to the same form; of broken data as much as there is. */
static enum rc wire_value(enum dns_type type, struct view rdata, struct arena *a, struct view *out)
{
    struct buf b;
    struct view name = {0}, tag;
    char hex[2 * 512 + 1];
    unsigned x, y, z;
    buf_init(&b, VALUE_MAX);
    switch (type) {
    case DNS_MX:
        x = number(&rdata, 2);
        dns_read_name(&rdata, a, &name);
        buf_printf(&b, "%u %.*s", x, VIEW_FMT(name.n > 0 ? name : VIEW(".")));
        break;
    case DNS_CNAME:
        dns_read_name(&rdata, a, &name);
        buf_add(&b, name);
        break;
    case DNS_SRV:
        x = number(&rdata, 2);
        y = number(&rdata, 2);
        z = number(&rdata, 2);
        dns_read_name(&rdata, a, &name);
        buf_printf(&b, "%u %u %u %.*s", x, y, z, VIEW_FMT(name.n > 0 ? name : VIEW(".")));
        break;
    case DNS_TLSA:
        x = number(&rdata, 1);
        y = number(&rdata, 1);
        z = number(&rdata, 1);
        hex_write(view_slice(rdata, 0, 512), hex);
        buf_printf(&b, "%u %u %u %s", x, y, z, hex);
        break;
    case DNS_CAA:
        x = number(&rdata, 1);
        y = number(&rdata, 1);
        tag = view_slice(rdata, 0, y);
        view_skip(&rdata, tag.n);
        buf_printf(&b, "%u %.*s \"%.*s\"", x, VIEW_FMT(tag), VIEW_FMT(rdata));
        break;
    default: break;
    }
    enum rc rc = buf_rc(&b) == RC_OK ? view_dup(a, buf_view(&b), out) : buf_rc(&b);
    buf_clear(&b);
    return rc;
}

static enum rc values_found(enum dns_type type, const struct dns_answer *answer, struct arena *a, struct view **out, size_t *n)
{
    struct view *texts;
    *n = 0;
    if (type == DNS_TXT) {
        enum rc rc = dns_texts(answer, a, &texts, n);
        *out = texts;
        return rc;
    }
    *out = arena_new_array(a, answer->n + 1, struct view);
    for (size_t i = 0; *out && i < answer->n; i++)
        if (wire_value(type, answer->rdata[i], a, &(*out)[*n]) == RC_OK)
            ++*n;
    return *out ? RC_OK : RC_TEMP;
}

static enum rc addrs_found(struct dns *dns, struct view name, enum dns_type type, int64_t deadline_ms, struct arena *a,
                           struct dns_answer *answer, struct view **out, size_t *n)
{
    struct addr *addrs;
    size_t n_addrs;
    *n = 0;
    dns_addrs(dns, name, 0, deadline_ms, a, answer, &addrs, &n_addrs);
    *out = arena_new_array(a, n_addrs + 1, struct view);
    for (size_t i = 0; *out && i < n_addrs; i++) {
        char ip[ADDR_TEXT_MAX];
        addr_write_ip(&addrs[i], ip);
        if (addr_is_ipv6(&addrs[i]) == (type == DNS_AAAA) && view_dup(a, view_str(ip), &(*out)[*n]) == RC_OK)
            ++*n;
    }
    return *out ? RC_OK : RC_TEMP;
}

/* --- the comparison --- */

/* TXT records share a name for different purposes, told apart by how they begin: "v=spf1". */
static bool same_purpose(enum dns_type type, struct view wanted, struct view found)
{
    if (type != DNS_TXT || !view_istarts(wanted, VIEW("v=")))
        return true;
    struct view version;
    size_t n = 0;
    while (n < wanted.n && wanted.p[n] != ' ' && wanted.p[n] != ';')
        n++;
    version = view_slice(wanted, 0, n);
    return view_istarts(found, version);
}

/* A DMARC record is right without what it asks beyond need: single failures (RFC 9989 §4.7 ruf and fo). */
static bool is_published(enum dns_type type, struct view wanted, struct view found)
{
    if (type != DNS_TXT)
        return view_ieq(found, wanted);
    const size_t wish = view_starts(wanted, VIEW("v=DMARC1;")) ? view_find(wanted, VIEW("; ruf=")) : VIEW_NONE;
    return view_eq(found, wanted) || (wish != VIEW_NONE && view_eq(found, view_slice(wanted, 0, wish)));
}

static enum rc compare(struct dns *dns, struct health_record *r, int64_t deadline_ms, struct arena *a)
{
    const enum dns_type type = type_of(r->type);
    struct view *found, wanted, name = without_dot(r->name);
    struct dns_answer answer;
    size_t n;
    r->state = HEALTH_RECORD_UNKNOWN;
    enum rc rc = type ? normal_value(type, r->value, a, &wanted) : RC_SYNTAX;
    if (rc != RC_OK)
        return rc == RC_TEMP ? RC_TEMP : RC_OK;
    if (type == DNS_A || type == DNS_AAAA) {
        rc = addrs_found(dns, name, type, deadline_ms, a, &answer, &found, &n);
    } else {
        dns_query(dns, name, type, deadline_ms, a, &answer);
        rc = values_found(type, &answer, a, &found, &n);
    }
    r->found = arena_new_array(a, n + 1, struct view);
    if (rc != RC_OK || !r->found)
        return RC_TEMP;
    if (answer.status == DNS_TEMP || answer.status == DNS_BOGUS)
        return RC_OK;
    r->state = HEALTH_RECORD_MISSING;
    for (size_t i = 0; i < n; i++) {
        if (is_published(type, wanted, found[i]))
            r->state = HEALTH_RECORD_PUBLISHED;
        if (same_purpose(type, wanted, found[i]))
            r->found[r->n_found++] = found[i];
    }
    if (r->state == HEALTH_RECORD_MISSING && r->n_found > 0)
        r->state = HEALTH_RECORD_DIFFERENT;
    return RC_OK;
}

enum rc health_records_compare(struct dns *dns, struct health_record *records, size_t n, int64_t deadline_ms, struct arena *a)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < n; i++) { /* all are on their way when the first is waited for */
        const enum dns_type type = type_of(records[i].type);
        if (type)
            dns_prefetch(dns, without_dot(records[i].name), type);
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = compare(dns, &records[i], deadline_ms, a);
    return rc;
}

/* --- JSON --- */

static struct view text_of(const json_t *j, const char *name)
{
    const json_t *t = json_object_get(j, name);
    return view_of(json_string_value(t), json_string_length(t));
}

enum rc health_records_answer(struct dns *dns, struct view question, int64_t now_s, int64_t deadline_ms, struct arena *a, json_t **out)
{
    json_t *asked = json_loadb(question.p ? question.p : "", question.n, 0, NULL), *list = json_object_get(asked, "records");
    const size_t n = json_array_size(list);
    struct health_record *records = arena_new_array(a, n + 1, struct health_record);
    enum rc rc = !json_is_array(list) || n > HEALTH_RECORDS_MAX ? RC_SYNTAX : records ? RC_OK : RC_TEMP;
    *out = NULL;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        json_t *j = json_array_get(list, i);
        records[i] = (struct health_record){.name = text_of(j, "name"), .type = text_of(j, "type"), .value = text_of(j, "value")};
    }
    if (rc == RC_OK)
        rc = health_records_compare(dns, records, n, deadline_ms, a);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        json_t *j = json_array_get(list, i), *found = json_array();
        for (size_t k = 0; k < records[i].n_found; k++)
            json_array_append_new(found, health_json_text(records[i].found[k]));
        json_object_set_new(j, "state", json_string(health_record_state_name(records[i].state)));
        json_object_set_new(j, "found", found);
    }
    if (rc == RC_OK)
        *out = json_pack("{s:O, s:o}", "records", list, "made", health_json_time(now_s));
    json_decref(asked);
    return rc == RC_OK && !*out ? RC_TEMP : rc;
}
