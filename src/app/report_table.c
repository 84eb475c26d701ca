#include "app/report_table.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/app.h"

#define TABLE_ARENA (512u << 20)
#define KINDS_MAX   64 /* reporters, reasons, notes of one domain that are told */

/* A name and how often. */
struct tally {
    struct view name;
    uint64_t n;
};
struct tallies {
    struct tally list[KINDS_MAX];
    size_t n;
    uint64_t others;
};

struct source {
    struct view ip, signer, sender; /* the first DKIM and SPF domains that were told, those that passed first */
    bool signer_passed, sender_passed;
    uint64_t messages, aligned, dkim, spf, quarantined, rejected;
};

struct about { /* one domain */
    struct about *next;
    struct view domain;
    int64_t begin_s, end_s;
    struct view policy;
    uint64_t reports, copies, left_out;
    struct source all, rest;
    size_t n_sources;
    struct tallies reporters, reasons, dispositions, notes;
};

struct tls_line {
    struct tls_line *next;
    struct view domain, type, result, mx, reason; /* result empty: the sum of a policy */
    struct view org;
    uint64_t success, failure;
    int64_t begin_s, end_s;
};

struct failed {
    struct failed *next;
    struct received_failure f; /* its texts copied */
};

struct report_table {
    struct arena arena;
    struct about *first, **last, *now;
    void *sources; /* tree of struct key */
    void *seen;    /* tree of texts: which reports were added up */
    bool is_copy;  /* the report begun last was among them */
    size_t n_sources;
    struct tls_line *tls, **last_tls;
    struct failed *failures, **last_failure;
};

struct key { /* of a source: the same address may send for several domains */
    const struct about *about;
    struct source source;
};

struct report_table *report_table_new(void)
{
    struct report_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    arena_init(&t->arena, TABLE_ARENA);
    t->last = &t->first;
    t->last_tls = &t->tls;
    t->last_failure = &t->failures;
    return t;
}

static void keep_key(void *key)
{
    (void)key; /* the arena's */
}

void report_table_free(struct report_table *t)
{
    if (!t)
        return;
    tdestroy(t->sources, keep_key);
    tdestroy(t->seen, keep_key);
    arena_clear(&t->arena);
    free(t);
}

/* --- adding up --- */

static enum rc count(struct report_table *t, struct tallies *list, struct view name, uint64_t n)
{
    for (size_t i = 0; i < list->n; i++)
        if (view_eq(list->list[i].name, name)) {
            list->list[i].n += n;
            return RC_OK;
        }
    if (list->n == KINDS_MAX) {
        list->others += n;
        return RC_OK;
    }
    struct tally *tally = &list->list[list->n++];
    tally->n = n;
    return view_dup(&t->arena, name, &tally->name);
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->about != y->about)
        return x->about < y->about ? -1 : 1;
    return view_cmp(x->source.ip, y->source.ip);
}

static void add_row(struct source *s, const struct received_row *r)
{
    s->messages += r->count;
    s->aligned += r->dkim || r->spf ? r->count : 0;
    s->dkim += r->dkim ? r->count : 0;
    s->spf += r->spf ? r->count : 0;
    s->quarantined += view_eq(r->disposition, VIEW("quarantine")) ? r->count : 0;
    s->rejected += view_eq(r->disposition, VIEW("reject")) ? r->count : 0;
}

static enum rc name_source(struct report_table *t, struct source *s, const struct received_row *r)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < r->n_dkim && rc == RC_OK && !s->signer_passed; i++) {
        const bool passed = view_eq(r->dkim_results[i].result, VIEW("pass"));
        if ((passed || s->signer.n == 0) && r->dkim_results[i].domain.n > 0)
            rc = view_dup(&t->arena, r->dkim_results[i].domain, &s->signer);
        s->signer_passed = passed;
    }
    for (size_t i = 0; i < r->n_spf && rc == RC_OK && !s->sender_passed; i++) {
        const bool passed = view_eq(r->spf_results[i].result, VIEW("pass"));
        if ((passed || s->sender.n == 0) && r->spf_results[i].domain.n > 0)
            rc = view_dup(&t->arena, r->spf_results[i].domain, &s->sender);
        s->sender_passed = passed;
    }
    return rc;
}

/* NULL with RC_OK: there are too many to tell them apart. */
static enum rc find_source(struct report_table *t, struct about *about, struct view ip, struct source **out)
{
    struct key probe = {.about = about, .source.ip = ip}, *key;
    struct key **found = tfind(&probe, &t->sources, compare_keys);
    *out = found ? &(*found)->source : NULL;
    if (found || t->n_sources >= REPORT_SOURCES_MAX)
        return RC_OK;
    if (!(key = arena_new(&t->arena, struct key)) || view_dup(&t->arena, ip, &key->source.ip) != RC_OK)
        return RC_TEMP;
    key->about = about;
    if (!tsearch(key, &t->sources, compare_keys))
        return RC_TEMP;
    t->n_sources++;
    about->n_sources++;
    *out = &key->source;
    return RC_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* RFC 9990 §3.5.3: the same file may be there as it came and unpacked. */
static enum rc look_for_copy(struct report_table *t, const struct received_aggregate *r)
{
    t->is_copy = false;
    if (r->report_id.n == 0)
        return RC_OK;
    char *key = arena_printf(&t->arena, "%.*s\n%.*s\n%.*s\n%lld", VIEW_FMT(r->org), VIEW_FMT(r->domain), VIEW_FMT(r->report_id), (long long)r->begin_s);
    char **found = key ? tsearch(key, &t->seen, compare_texts) : NULL;
    t->is_copy = found && *found != key;
    return found ? RC_OK : RC_TEMP;
}

enum rc report_table_begin(struct report_table *t, const struct received_aggregate *r)
{
    struct about *a = t->first;
    enum rc rc = RC_OK;
    while (a && !view_eq(a->domain, r->domain))
        a = a->next;
    if (!a) {
        if (!(a = arena_new(&t->arena, struct about)) || view_dup(&t->arena, r->domain, &a->domain) != RC_OK)
            return RC_TEMP;
        *t->last = a;
        t->last = &a->next;
        a->begin_s = r->begin_s;
    }
    t->now = a;
    if ((rc = look_for_copy(t, r)) != RC_OK)
        return rc;
    if (t->is_copy) {
        a->copies++;
        return RC_OK;
    }
    if (r->end_s >= a->end_s) { /* the newest report's */
        char *policy = arena_printf(&t->arena, "p=%.*s%s%.*s%s%.*s%s%.*s", VIEW_FMT(r->p), r->sp.n > 0 ? " sp=" : "", VIEW_FMT(r->sp),
                                    r->np.n > 0 ? " np=" : "", VIEW_FMT(r->np), r->pct.n > 0 ? " pct=" : "", VIEW_FMT(r->pct));
        if (!policy)
            return RC_TEMP;
        a->policy = view_str(policy);
        a->end_s = r->end_s;
    }
    a->begin_s = r->begin_s < a->begin_s ? r->begin_s : a->begin_s;
    a->reports++;
    a->left_out += r->rows_left_out;
    rc = count(t, &a->reporters, r->org.n > 0 ? r->org : VIEW("(no name)"), r->messages);
    for (size_t i = 0; i < r->n_errors && rc == RC_OK; i++)
        rc = count(t, &a->notes, r->errors[i], 1);
    for (size_t i = 0; i < r->n_notes && rc == RC_OK; i++)
        rc = count(t, &a->notes, r->notes[i], 1);
    return rc;
}

enum rc report_table_row(struct report_table *t, const struct received_row *r)
{
    struct about *a = t->now;
    struct source *s;
    if (t->is_copy)
        return RC_OK;
    enum rc rc = find_source(t, a, r->source_ip, &s);
    if (rc != RC_OK)
        return rc;
    add_row(&a->all, r);
    add_row(s ? s : &a->rest, r);
    if (s)
        rc = name_source(t, s, r);
    if (rc == RC_OK)
        rc = count(t, &a->dispositions, r->disposition, r->count);
    for (size_t i = 0; i < r->n_reasons && rc == RC_OK; i++)
        rc = count(t, &a->reasons, r->reasons[i].type.n > 0 ? r->reasons[i].type : VIEW("other"), r->count);
    return rc;
}

static enum rc add_tls(struct report_table *t, const struct received_tls *r, const struct received_tls_policy *p,
                       const struct received_tls_failure *f)
{
    const struct view result = f ? f->result_type.n > 0 ? f->result_type : VIEW("(no result)") : VIEW("");
    const struct view mx = f ? f->receiving_mx : VIEW(""), reason = f ? f->reason_code : VIEW("");
    const struct view domain = p->domain.n > 0 ? p->domain : r->domain;
    struct tls_line *l = t->tls;
    while (l && !(view_eq(l->domain, domain) && view_eq(l->type, p->type) && view_eq(l->result, result) && view_eq(l->mx, mx) &&
                  view_eq(l->reason, reason) && view_eq(l->org, r->org)))
        l = l->next;
    if (!l) {
        struct arena *a = &t->arena;
        if (!(l = arena_new(a, struct tls_line)) || view_dup(a, domain, &l->domain) != RC_OK || view_dup(a, p->type, &l->type) != RC_OK ||
            view_dup(a, result, &l->result) != RC_OK || view_dup(a, mx, &l->mx) != RC_OK || view_dup(a, reason, &l->reason) != RC_OK ||
            view_dup(a, r->org, &l->org) != RC_OK)
            return RC_TEMP;
        l->begin_s = r->begin_s;
        *t->last_tls = l;
        t->last_tls = &l->next;
    }
    l->begin_s = r->begin_s < l->begin_s ? r->begin_s : l->begin_s;
    l->end_s = r->end_s > l->end_s ? r->end_s : l->end_s;
    l->success += f ? 0 : p->success;
    l->failure += f ? f->count : p->failure;
    return RC_OK;
}

enum rc report_table_tls(struct report_table *t, const struct received_tls *r)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < r->n_policies && rc == RC_OK; i++) {
        rc = add_tls(t, r, &r->policies[i], NULL);
        for (size_t k = 0; k < r->policies[i].n_failures && rc == RC_OK; k++)
            rc = add_tls(t, r, &r->policies[i], &r->policies[i].failures[k]);
    }
    return rc;
}

enum rc report_table_failure(struct report_table *t, const struct received_failure *r)
{
    struct failed *f = arena_new(&t->arena, struct failed);
    if (!f)
        return RC_TEMP;
    f->f = (struct received_failure){.arrival_s = r->arrival_s, .incidents = r->incidents};
    if (view_dup(&t->arena, r->type, &f->f.type) != RC_OK || view_dup(&t->arena, r->source_ip, &f->f.source_ip) != RC_OK ||
        view_dup(&t->arena, r->original_from, &f->f.original_from) != RC_OK || view_dup(&t->arena, r->original_to, &f->f.original_to) != RC_OK ||
        view_dup(&t->arena, r->header_from, &f->f.header_from) != RC_OK || view_dup(&t->arena, r->subject, &f->f.subject) != RC_OK ||
        view_dup(&t->arena, r->auth_failure, &f->f.auth_failure) != RC_OK)
        return RC_TEMP;
    *t->last_failure = f;
    t->last_failure = &f->next;
    return RC_OK;
}

/* --- printing --- */

/* "3,047" */
static const char *number(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

/* Neither 100 nor 0 where it is not all or nothing. */
static const char *percent(uint64_t part, uint64_t whole, char out[32])
{
    double p = whole > 0 ? (double)part * 100 / (double)whole : 0;
    if (part < whole && p > 99.9)
        p = 99.9;
    if (part > 0 && p < 0.1)
        p = 0.1;
    if (whole == 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, part == whole || part == 0 ? "%.0f %%" : "%.1f %%", p);
    return out;
}

static void print_day(int64_t s)
{
    char out[32];
    time_t t = (time_t)s;
    struct tm tm;
    if (s > 0 && gmtime_r(&t, &tm) && strftime(out, sizeof out, "%Y-%m-%d", &tm) > 0)
        fputs(out, stdout);
}

/* Ends are the last second, or the first of the next day. */
static void print_days(int64_t begin_s, int64_t end_s)
{
    print_day(begin_s);
    if (end_s > begin_s && (end_s - 1) / 86400 != begin_s / 86400) {
        fputs(" to ", stdout);
        print_day(end_s - 1);
    }
}

static int compare_tallies(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : view_cmp(x->name, y->name);
}

static void print_tallies(const char *label, struct tallies *t)
{
    char text[32];
    if (t->n == 0)
        return;
    qsort(t->list, t->n, sizeof *t->list, compare_tallies);
    printf("  %-18s", label);
    for (size_t i = 0; i < t->n && i < 8; i++)
        printf("%s%.*s %s", i > 0 ? ", " : "", VIEW_FMT(t->list[i].name), number(t->list[i].n, text));
    printf(t->n > 8 ? ", ...\n" : "\n");
}

static void print_share(const char *label, uint64_t part, uint64_t whole)
{
    char n[32], share[32];
    printf("  %-18s%11s%9s\n", label, number(part, n), percent(part, whole, share));
}

static int compare_sources(const void *a, const void *b)
{
    const struct source *x = *(const struct source *const *)a, *y = *(const struct source *const *)b;
    return x->messages != y->messages ? (x->messages < y->messages ? 1 : -1) : view_cmp(x->ip, y->ip);
}

struct collecting {
    const struct about *about;
    const struct source **list;
    size_t n;
};

static void collect(const void *node, VISIT visit, void *ctx)
{
    struct collecting *c = ctx;
    const struct key *key = *(const struct key *const *)node;
    if ((visit == postorder || visit == leaf) && key->about == c->about)
        c->list[c->n++] = &key->source;
}

static void print_source(struct view name, const struct source *s)
{
    char n[32], a[32], d[32], f[32], q[32], r[32];
    printf("  %-*.*s%11s%9s%9s%9s%9s%9s", name.n > 15 ? 39 : 20, VIEW_FMT(name), number(s->messages, n), percent(s->aligned, s->messages, a),
           percent(s->dkim, s->messages, d), percent(s->spf, s->messages, f), s->quarantined > 0 ? number(s->quarantined, q) : "",
           s->rejected > 0 ? number(s->rejected, r) : "");
    if (s->signer.n > 0)
        printf("  dkim %.*s%s", VIEW_FMT(s->signer), s->signer_passed ? "" : " (fails)");
    if (s->sender.n > 0)
        printf("  spf %.*s%s", VIEW_FMT(s->sender), s->sender_passed ? "" : " (fails)");
    putchar('\n');
}

static enum rc print_sources(struct report_table *t, const struct about *a)
{
    struct source rest = a->rest;
    struct collecting c = {.about = a, .list = calloc(a->n_sources + 1, sizeof *c.list)};
    char text[64];
    if (!c.list)
        return RC_TEMP;
    twalk_r(t->sources, collect, &c);
    qsort(c.list, c.n, sizeof *c.list, compare_sources);
    printf("\n  %-20s%11s%9s%9s%9s%9s%9s  %s\n", "source", "messages", "aligned", "dkim", "spf", "to Junk", "refused", "in whose name");
    for (size_t i = 0; i < c.n && i < REPORT_SHOWN; i++)
        print_source(c.list[i]->ip, c.list[i]);
    for (size_t i = REPORT_SHOWN; i < c.n; i++) {
        rest.messages += c.list[i]->messages;
        rest.aligned += c.list[i]->aligned;
        rest.dkim += c.list[i]->dkim;
        rest.spf += c.list[i]->spf;
        rest.quarantined += c.list[i]->quarantined;
        rest.rejected += c.list[i]->rejected;
    }
    if (rest.messages > 0) {
        snprintf(text, sizeof text, a->rest.messages > 0 ? "others" : "%zu others", c.n - REPORT_SHOWN);
        print_source(view_str(text), &rest);
    }
    free(c.list);
    return RC_OK;
}

static enum rc print_about(struct report_table *t, struct about *a)
{
    char text[32];
    printf("DMARC  %.*s  ", VIEW_FMT(a->domain));
    print_days(a->begin_s, a->end_s);
    printf("\n  %-18s%s, %.*s\n", "reports", number(a->reports, text), VIEW_FMT(a->policy));
    print_tallies("messages told by", &a->reporters);
    printf("  %-18s%11s\n", "messages", number(a->all.messages, text));
    print_share("aligned", a->all.aligned, a->all.messages);
    print_share("  by DKIM", a->all.dkim, a->all.messages);
    print_share("  by SPF", a->all.spf, a->all.messages);
    print_share("not aligned", a->all.messages - a->all.aligned, a->all.messages);
    print_tallies("done with them", &a->dispositions);
    print_tallies("for other reasons", &a->reasons);
    for (size_t i = 0; i < a->notes.n && i < 8; i++)
        printf("  note: %.*s\n", VIEW_FMT(a->notes.list[i].name));
    if (a->copies > 0)
        printf("  note: %s report%s came more than once, and counted once\n", number(a->copies, text), PLURAL(a->copies));
    if (a->left_out > 0)
        printf("  note: %s record%s could not be read\n", number(a->left_out, text), PLURAL(a->left_out));
    enum rc rc = a->n_sources > 0 ? print_sources(t, a) : RC_OK;
    putchar('\n');
    return rc;
}

static void print_tls(const struct tls_line *first)
{
    char n[32], share[32];
    size_t shown = 0;
    const struct view *domain = NULL;
    for (const struct tls_line *l = first; l; l = l->next) {
        if (l->result.n > 0) {
            if (shown++ < REPORT_SHOWN)
                printf("    %-34.*s%11s  %.*s%s%.*s\n", VIEW_FMT(l->result), number(l->failure, n), VIEW_FMT(l->mx), l->reason.n > 0 ? "  " : "",
                       VIEW_FMT(l->reason));
            else if (shown == REPORT_SHOWN + 1)
                printf("    ...\n");
            continue;
        }
        shown = 0;
        if (!domain || !view_eq(*domain, l->domain))
            printf("TLS  %.*s\n", VIEW_FMT(l->domain));
        domain = &l->domain;
        printf("  ");
        print_days(l->begin_s, l->end_s);
        printf("  %.*s, policy %.*s: %s session%s, ", VIEW_FMT(l->org), VIEW_FMT(l->type), number(l->success + l->failure, n), PLURAL(l->success + l->failure));
        printf("%s failed (%s)\n", number(l->failure, n), percent(l->failure, l->success + l->failure, share));
    }
    if (first)
        putchar('\n');
}

static void print_failures(const struct failed *first)
{
    if (first)
        printf("FAILED MESSAGES AND COMPLAINTS\n");
    for (const struct failed *at = first; at; at = at->next) {
        const struct received_failure *f = &at->f;
        printf("  ");
        print_day(f->arrival_s);
        printf("  %.*s%s%.*s  from %.*s  to %.*s", VIEW_FMT(f->type), f->auth_failure.n > 0 ? "/" : "", VIEW_FMT(f->auth_failure),
               VIEW_FMT(f->header_from.n > 0 ? f->header_from : f->original_from), VIEW_FMT(f->original_to));
        if (f->source_ip.n > 0)
            printf("  by %.*s", VIEW_FMT(f->source_ip));
        if (f->incidents > 1)
            printf("  %llu times", (unsigned long long)f->incidents);
        printf("\n      %.*s\n", VIEW_FMT(f->subject));
    }
    if (first)
        putchar('\n');
}

/* Sums before their parts, domains together. */
static int compare_tls(const void *a, const void *b)
{
    const struct tls_line *x = *(const struct tls_line *const *)a, *y = *(const struct tls_line *const *)b;
    int order = view_cmp(x->domain, y->domain);
    if (order == 0)
        order = view_cmp(x->org, y->org);
    if (order == 0)
        order = view_cmp(x->type, y->type);
    if (order == 0 && (x->result.n > 0) != (y->result.n > 0))
        return x->result.n > 0 ? 1 : -1;
    if (order == 0 && x->failure != y->failure)
        return x->failure < y->failure ? 1 : -1;
    return order != 0 ? order : view_cmp(x->result, y->result);
}

static enum rc sort_tls(struct report_table *t)
{
    size_t n = 0;
    for (const struct tls_line *l = t->tls; l; l = l->next)
        n++;
    struct tls_line **list = calloc(n + 1, sizeof *list);
    if (!list)
        return RC_TEMP;
    n = 0;
    for (struct tls_line *l = t->tls; l; l = l->next)
        list[n++] = l;
    qsort(list, n, sizeof *list, compare_tls);
    for (size_t i = 0; i < n; i++)
        list[i]->next = list[i + 1]; /* the last one is NULL */
    t->tls = list[0];
    free(list);
    return RC_OK;
}

enum rc report_table_print(struct report_table *t)
{
    enum rc rc = sort_tls(t);
    for (struct about *a = t->first; a && rc == RC_OK; a = a->next)
        rc = print_about(t, a);
    if (rc == RC_OK) {
        print_tls(t->tls);
        print_failures(t->failures);
    }
    return rc;
}
