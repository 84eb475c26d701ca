/* TLS reports (RFC 8460 §4). What is missing is left empty: reports without a contact, a policy, details or a period are met. */
#include "received/received_impl.h"

#include <jansson.h>
#include <stdio.h>

#include "base/utf8.h"

#define JSON_TEXT_MAX   (16u << 20)
#define JSON_VALUES_MAX 500000 /* the parser takes some 100 bytes for each */
#define JSON_DEPTH_MAX  32     /* the format has 5 */
#define TLS_ARENA       (64u << 20)

struct tls {
    struct arena a;
    struct received_tls out;
    size_t n_failures;
    enum rc rc;
};

static void keep(struct tls *t, enum rc rc)
{
    if (t->rc == RC_OK)
        t->rc = rc;
}

/* Whether a parser may have it: nested and long within reason. */
static const char *look(struct view v)
{
    unsigned depth = 0, values = 0;
    bool quoted = false;
    for (size_t i = 0; i < v.n; i++) {
        const char c = v.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++, values++;
        else if (!quoted && (c == '}' || c == ']'))
            depth -= depth > 0;
        else if (!quoted && c == ',')
            values++;
        if (depth > JSON_DEPTH_MAX)
            return "its JSON is nested too deeply";
        if (values > JSON_VALUES_MAX)
            return "it has more values than a TLS report needs";
    }
    return NULL;
}

static struct view raw(const json_t *j)
{
    return json_is_string(j) ? view_of(json_string_value(j), json_string_length(j)) : VIEW("");
}

/* A number is taken for its digits. */
static struct view text(struct tls *t, const json_t *j)
{
    char digits[24];
    struct view out = VIEW("");
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
    keep(t, text_clean(&t->a, json_is_integer(j) ? view_str(digits) : raw(j), RECEIVED_TEXT_MAX, &out));
    return out;
}

/* 0: not said. */
static int64_t when(struct tls *t, const json_t *j)
{
    int64_t s;
    return text_time(text(t, j), &s) ? s : 0;
}

static struct view word(struct tls *t, const json_t *j)
{
    struct view out = VIEW("");
    keep(t, text_word(&t->a, raw(j), &out));
    return out;
}

static struct view domain(struct tls *t, const json_t *j)
{
    struct view out = VIEW("");
    keep(t, text_domain(&t->a, raw(j), &out));
    return out;
}

/* As inet_ntop writes it where it is an address, else as it stands. */
static struct view ip(struct tls *t, const json_t *j)
{
    struct view out = VIEW("");
    return text_ip(&t->a, raw(j), &out) == RC_OK ? out : text(t, j);
}

/* A member by its name; else by one that has underscores for hyphens or other case. */
static json_t *get(const json_t *j, const char *name)
{
    json_t *found = json_object_get(j, name), *value;
    const char *key;
    if (found || !json_is_object(j))
        return found;
    json_object_foreach((json_t *)(uintptr_t)j, key, value) {
        size_t i = 0;
        while (key[i] && (to_lower((unsigned char)key[i]) == (unsigned char)name[i] || (key[i] == '_' && name[i] == '-')))
            i++;
        if (key[i] == '\0' && name[i] == '\0')
            return value;
    }
    return NULL;
}

/* Also as a text of digits or a real. False: not one to be believed. */
static bool number(const json_t *j, uint64_t *out)
{
    if (json_is_string(j))
        return text_number(raw(j), RECEIVED_COUNT_MAX, out);
    const double real = json_number_value(j);
    if (!json_is_number(j) || !(real >= 0 && real <= (double)RECEIVED_COUNT_MAX))
        return false;
    *out = json_is_integer(j) ? (uint64_t)json_integer_value(j) : (uint64_t)real;
    return true;
}

/* A list of texts; one alone for a list of one. */
static void texts(struct tls *t, const json_t *j, struct view **out, size_t *n)
{
    const size_t many = json_is_string(j) ? 1 : json_array_size(j);
    *n = 0;
    *out = arena_new_array(&t->a, many < RECEIVED_LIST_MAX ? many : RECEIVED_LIST_MAX, struct view);
    if (!*out)
        keep(t, RC_TEMP);
    for (size_t i = 0; t->rc == RC_OK && i < many && i < RECEIVED_LIST_MAX; i++)
        (*out)[(*n)++] = text(t, json_is_string(j) ? j : json_array_get(j, i));
}

static json_t *either(const json_t *j, const char *name, const char *other)
{
    json_t *found = get(j, name);
    return found ? found : get(j, other);
}

static bool read_failure(struct tls *t, const json_t *j, struct received_tls_failure *f)
{
    f->result_type = word(t, get(j, "result-type"));
    f->sending_mta_ip = ip(t, get(j, "sending-mta-ip"));
    f->receiving_mx = domain(t, get(j, "receiving-mx-hostname"));
    f->receiving_mx_helo = text(t, get(j, "receiving-mx-helo"));
    f->receiving_ip = ip(t, get(j, "receiving-ip"));
    f->additional_information = text(t, either(j, "additional-information", "additional-info-uri"));
    f->reason_code = text(t, get(j, "failure-reason-code"));
    const json_t *count = get(j, "failed-session-count");
    return !count || json_is_null(count) || number(count, &f->count);
}

/* NULL, or why it cannot be read. */
static const char *read_policy(struct tls *t, const json_t *j, struct received_tls_policy *p)
{
    const json_t *policy = get(j, "policy"), *summary = get(j, "summary"), *details = get(j, "failure-details");
    uint64_t sum = 0;
    if (!json_is_object(policy)) /* all on one level */
        policy = j;
    if (!summary)
        summary = get(policy, "summary");
    if (!json_is_object(summary))
        summary = j;
    if (!details)
        details = get(policy, "failure-details");
    const json_t *success = get(summary, "total-successful-session-count"), *failure = get(summary, "total-failure-session-count");
    p->type = word(t, get(policy, "policy-type"));
    p->domain = domain(t, get(policy, "policy-domain"));
    texts(t, get(policy, "policy-string"), &p->strings, &p->n_strings);
    texts(t, either(policy, "mx-host", "mx-host-pattern"), &p->mx_hosts, &p->n_mx_hosts);
    const size_t n = json_is_object(details) ? 1 : json_array_size(details);
    t->n_failures += n;
    if (t->n_failures > RECEIVED_FAILURES_MAX)
        return "it has more failure details than we read of one report";
    p->failures = arena_new_array(&t->a, n, struct received_tls_failure);
    if (!p->failures)
        keep(t, RC_TEMP);
    for (size_t i = 0; t->rc == RC_OK && i < n; i++) {
        struct received_tls_failure *f = &p->failures[p->n_failures++];
        if (!read_failure(t, json_is_object(details) ? details : json_array_get(details, i), f))
            return "a failed-session-count is not to be believed";
        sum += f->count;
    }
    if ((success && !json_is_null(success) && !number(success, &p->success)) || (failure && !json_is_null(failure) && !number(failure, &p->failure)))
        return "a session count is not to be believed";
    if (!failure || json_is_null(failure))
        p->failure = sum;
    return NULL;
}

static const char *read_report(struct tls *t, const json_t *j)
{
    struct received_tls *o = &t->out;
    const json_t *range = get(j, "date-range"), *policies = get(j, "policies");
    const char *why = NULL;
    o->org = text(t, get(j, "organization-name"));
    o->contact = text(t, get(j, "contact-info"));
    o->report_id = text(t, get(j, "report-id"));
    if (o->org.n == 0 && view_chr(o->contact, '@') != VIEW_NONE)
        keep(t, text_domain(&t->a, o->contact, &o->org));
    o->begin_s = when(t, get(range, "start-datetime"));
    o->end_s = when(t, get(range, "end-datetime"));
    text_period(&o->begin_s, &o->end_s);
    const size_t n = json_is_object(policies) ? 1 : json_array_size(policies);
    if (n > RECEIVED_POLICIES_MAX)
        return "it has more policies than we read of one report";
    o->policies = arena_new_array(&t->a, n, struct received_tls_policy);
    if (!o->policies)
        keep(t, RC_TEMP);
    for (size_t i = 0; t->rc == RC_OK && !why && i < n; i++) {
        struct received_tls_policy *p = &o->policies[o->n_policies++];
        why = read_policy(t, json_is_object(policies) ? policies : json_array_get(policies, i), p);
        if (o->domain.n == 0)
            o->domain = p->domain;
    }
    return why;
}

static bool is_report(const json_t *j)
{
    return get(j, "policies") || get(j, "organization-name") || get(j, "date-range") || get(j, "report-id");
}

static enum rc tell(struct walk *w, const json_t *j)
{
    struct tls t = {0};
    arena_init(&t.a, TLS_ARENA);
    const char *why = is_report(j) ? read_report(&t, j) : "it is JSON, but no TLS report";
    enum rc rc = t.rc;
    if (rc == RC_OK && why) {
        rc = walk_refuse(w, "%s", why);
    } else if (rc == RC_OK) {
        w->told++;
        rc = w->sink->tls ? w->sink->tls(w->sink->ctx, &w->origin, &t.out) : RC_OK;
    }
    arena_clear(&t.a);
    return rc;
}

/* One document: a report, or a list of them. */
static enum rc tell_all(struct walk *w, const json_t *j)
{
    enum rc rc = RC_OK;
    if (json_array_size(j) == 0)
        return tell(w, j);
    for (size_t i = 0; i < json_array_size(j) && rc == RC_OK && w->members < RECEIVED_MEMBERS_MAX; i++) {
        w->members++;
        rc = tell(w, json_array_get(j, i));
    }
    return rc;
}

enum rc tls_read(struct walk *w, struct view json)
{
    struct buf clean;
    json_error_t error;
    if (json.n > JSON_TEXT_MAX)
        return walk_refuse(w, "its JSON is longer than a TLS report needs");
    const char *why = look(json);
    if (why)
        return walk_refuse(w, "%s", why);
    buf_init(&clean, (size_t)JSON_TEXT_MAX * 3);
    view_take(&json, VIEW("\xef\xbb\xbf"));
    utf8_clean(json, &clean);
    enum rc rc = buf_rc(&clean) == RC_OK ? RC_OK : RC_TEMP;
    struct view rest = buf_view(&clean);
    do { /* one after another; what follows the last is no matter of ours */
        json_t *j = rc == RC_OK ? json_loadb(rest.p ? rest.p : "", rest.n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error) : NULL;
        if (j)
            rc = tell_all(w, j);
        else if (rc == RC_OK)
            rc = walk_refuse(w, "its JSON cannot be read: %s, in line %d", error.text, error.line);
        rest = j ? view_trim(view_from(rest, (size_t)error.position)) : VIEW("");
        json_decref(j);
        w->members++;
    } while (rc == RC_OK && view_peek(rest) == '{' && w->members < RECEIVED_MEMBERS_MAX);
    buf_clear(&clean);
    return rc;
}
