/* The tree walk, alignment and the verdict (RFC 9989 §4.10, §5.3). */
#include "mailauth/dmarc.h"

#include <stdio.h>

#define SCRATCH_MAX (8u << 20) /* answers of one check */

const char *dmarc_result_name(enum dmarc_result result)
{
    static const char *const names[] = {"none", "pass", "fail", "temperror", "permerror"};
    return names[result];
}

const char *dmarc_method_name(enum dmarc_method method)
{
    return method == DMARC_PSL ? "psl" : "treewalk";
}

const char *dmarc_override_name(enum dmarc_override override)
{
    static const char *const names[] = {"", "local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder"};
    return names[override];
}

/* What is known of "_dmarc." before one name. */
struct node {
    struct node *next;
    struct view domain;
    enum { NO_RECORD, RECORD, NO_ANSWER } state;
    struct dmarc_record record;
    bool several;    /* more than one record, so none */
    const char *why; /* of NO_ANSWER */
};

struct check {
    struct dns *dns;
    const struct dmarc_settings *set;
    enum dmarc_method method;
    int64_t deadline_ms;
    struct arena scratch;
    struct node *nodes;  /* asked for already */
    unsigned queries;
    const char *trouble; /* words for RC_TEMP */
};

/* --- records --- */

static struct node *find_node(const struct check *c, struct view domain)
{
    for (struct node *n = c->nodes; n; n = n->next)
        if (view_eq(n->domain, domain))
            return n;
    return NULL;
}

static enum rc read_answer(struct check *c, struct node *node, const struct dns_answer *answer)
{
    struct view *texts;
    size_t n, found = 0;
    if (answer->status == DNS_TEMP || answer->status == DNS_BOGUS) {
        node->state = NO_ANSWER;
        node->why = answer->why ? answer->why : "no answer";
        return RC_OK;
    }
    if (dns_texts(answer, &c->scratch, &texts, &n) != RC_OK)
        return RC_TEMP;
    for (size_t i = 0; i < n; i++) {
        if (!dmarc_is_record(texts[i]))
            continue;
        found++;
        enum rc rc = dmarc_record_parse(texts[i], &c->scratch, &node->record);
        if (rc == RC_TEMP)
            return rc;
        node->state = rc == RC_OK ? RECORD : NO_RECORD;
    }
    node->several = found > 1;
    if (found > 1) /* §4.10 step 2 */
        node->state = NO_RECORD;
    return RC_OK;
}

/* Asks for those of the names that are not known yet, all at once. */
static enum rc ask_nodes(struct check *c, const struct view *domains, size_t n)
{
    struct dns_question q[DMARC_QUERIES_MAX];
    struct node *asked[DMARC_QUERIES_MAX];
    size_t n_asked = 0;
    for (size_t i = 0; i < n; i++) {
        if (find_node(c, domains[i]))
            continue;
        struct node *node = asked[n_asked] = arena_new(&c->scratch, struct node);
        char *name = arena_printf(&c->scratch, "_dmarc.%.*s", VIEW_FMT(domains[i]));
        if (!node || !name)
            return RC_TEMP;
        node->domain = domains[i];
        node->next = c->nodes;
        c->nodes = node;
        q[n_asked++] = (struct dns_question){.name = view_str(name), .type = DNS_TXT};
    }
    c->queries += (unsigned)n_asked;
    dns_query_all(c->dns, q, n_asked, c->deadline_ms, &c->scratch);
    for (size_t i = 0; i < n_asked; i++)
        if (read_answer(c, asked[i], &q[i].answer) != RC_OK)
            return RC_TEMP;
    return RC_OK;
}

/* --- names --- */

static unsigned count_labels(struct view domain)
{
    unsigned n = 1;
    for (size_t i = 0; i < domain.n; i++)
        n += domain.p[i] == '.';
    return n;
}

static struct view right_labels(struct view domain, unsigned n)
{
    struct view label;
    for (unsigned have = count_labels(domain); have > n; have--)
        view_split(&domain, '.', &label);
    return domain;
}

static bool is_within(struct view name, struct view domain)
{
    return view_eq(name, domain) || (name.n > domain.n && view_ends(name, domain) && name.p[name.n - domain.n - 1] == '.');
}

/* The targets of a walk, longest first (§4.10 steps 1, 4 and 7). */
static size_t list_targets(struct view start, struct view out[DMARC_QUERIES_MAX])
{
    unsigned labels = count_labels(start);
    size_t n = 0;
    out[n++] = start;
    for (unsigned keep = labels < DMARC_QUERIES_MAX ? labels - 1 : DMARC_QUERIES_MAX - 1; keep > 0; keep--)
        out[n++] = right_labels(start, keep);
    return n;
}

/* --- the tree walk --- */

struct walk {
    struct view organization;
    const struct node *policy; /* of the start as author: its own record, its organisation's, or the public suffix's */
};

/* RC_TEMP: an answer that was needed did not come. */
static enum rc walk_tree(struct check *c, struct view start, struct walk *out)
{
    struct view targets[DMARC_QUERIES_MAX];
    const struct node *shortest = NULL, *stop = NULL, *own = NULL;
    size_t n = list_targets(start, targets);
    *out = (struct walk){.organization = start};
    if (ask_nodes(c, targets, 1) != RC_OK) {
        c->trouble = "out of memory";
        return RC_TEMP;
    }
    for (size_t i = 0; i < n && !stop; i++) {
        if (i == 1 && ask_nodes(c, targets, n) != RC_OK) {
            c->trouble = "out of memory";
            return RC_TEMP;
        }
        const struct node *node = find_node(c, targets[i]);
        if (node->state == NO_ANSWER) {
            c->trouble = node->why;
            return RC_TEMP;
        }
        if (node->state != RECORD)
            continue;
        if (i == 0)
            own = node;
        shortest = node;
        if (node->record.psd != 'u')
            stop = node;
    }
    if (stop && stop->record.psd == 'y' && stop != own) { /* §4.10.2 rule 2 */
        out->organization = right_labels(start, count_labels(stop->domain) + 1);
        const struct node *at = find_node(c, out->organization);
        out->policy = own ? own : at && at->state == RECORD ? at : stop;
    } else if (shortest) { /* rules 1 and 3 */
        out->organization = shortest->domain;
        out->policy = own ? own : shortest;
    }
    return RC_OK;
}

/* RFC 7489 §3.2, §6.6.3. */
static enum rc walk_list(struct check *c, struct view start, struct walk *out)
{
    struct view names[2] = {start, psl_list_organization(c->set->psl, start)};
    *out = (struct walk){.organization = names[1]};
    for (size_t i = 0; i < 2 && !out->policy; i++) {
        if (ask_nodes(c, &names[i], 1) != RC_OK) {
            c->trouble = "out of memory";
            return RC_TEMP;
        }
        const struct node *node = find_node(c, names[i]);
        if (node->state == NO_ANSWER) {
            c->trouble = node->why;
            return RC_TEMP;
        }
        if (node->state == RECORD)
            out->policy = node;
    }
    return RC_OK;
}

static enum rc find_organization(struct check *c, struct view start, struct walk *out)
{
    if (c->method == DMARC_TREEWALK)
        return walk_tree(c, start, out);
    *out = (struct walk){.organization = psl_list_organization(c->set->psl, start)};
    return RC_OK;
}

/* --- alignment (§4.4, §4.10.2) --- */

/* RC_OK and *aligned, or RC_TEMP. `organization` is the author's; it is found when first needed. */
static enum rc align(struct check *c, struct view author, struct view *organization, struct view raw, bool strict, bool *aligned)
{
    struct view id;
    struct walk walk;
    *aligned = false;
    enum rc rc = dns_domain_ascii(raw, &c->scratch, &id);
    if (rc != RC_OK)
        return rc == RC_TEMP ? RC_TEMP : RC_OK; /* what is no domain name aligns with none */
    *aligned = view_eq(id, author);
    if (*aligned || strict || !view_eq(right_labels(id, 1), right_labels(author, 1)))
        return RC_OK;
    if (organization->n == 0) {
        if (find_organization(c, author, &walk) != RC_OK)
            return RC_TEMP;
        *organization = walk.organization;
    }
    if (!is_within(id, *organization)) /* an organisational domain is the name itself or above it */
        return RC_OK;
    if (find_organization(c, id, &walk) != RC_OK)
        return RC_TEMP;
    *aligned = view_eq(walk.organization, *organization);
    return RC_OK;
}

struct alignment {
    bool spf, dkim, unknown; /* unknown: an answer was missing */
    struct view dkim_domain, organization;
};

/* What may pass later and would be aligned leaves the verdict open (§5.3.6). */
static void align_one(struct check *c, struct view author, struct alignment *out, struct view id, bool strict, bool pass, bool *aligned)
{
    *aligned = false;
    if (align(c, author, &out->organization, id, strict, aligned) != RC_OK) {
        out->unknown = true;
    } else if (*aligned && !pass) {
        out->unknown = true;
        *aligned = false;
        c->trouble = "SPF or DKIM cannot be checked now";
    }
}

static void align_all(struct check *c, const struct dmarc_facts *facts, struct view author, const struct dmarc_record *r,
                      struct alignment *out)
{
    bool aligned;
    if (facts->spf_pass || facts->spf_temporary)
        align_one(c, author, out, facts->spf_domain, r->aspf_strict, facts->spf_pass, &out->spf);
    for (size_t i = 0, looked_at = 0; i < facts->n_dkim && !out->dkim && looked_at < DMARC_IDENTIFIERS_MAX; i++) {
        if (!facts->dkim[i].pass && !facts->dkim[i].temporary)
            continue;
        looked_at++;
        align_one(c, author, out, facts->dkim[i].domain, r->adkim_strict, facts->dkim[i].pass, &aligned);
        if (aligned) {
            out->dkim = true;
            out->dkim_domain = facts->dkim[i].domain;
        }
    }
}

/* --- policy (§4.7, §4.10.1) --- */

/* Which policy of the record is meant for the author. RC_TEMP: whether the name exists is not known; then as if it did. */
static enum rc select_policy(struct check *c, struct view author, const struct node *node, struct dmarc_verdict *out)
{
    const struct dmarc_record *r = &node->record;
    enum rc rc = RC_OK;
    out->policy = r->p;
    out->policy_tag = "p";
    if (view_eq(author, node->domain))
        return RC_OK;
    if (r->has_sp) {
        out->policy = r->sp;
        out->policy_tag = "sp";
    }
    if (r->has_np && c->method == DMARC_TREEWALK) {
        struct dns_question q = {.name = author, .type = DNS_A};
        dns_query_all(c->dns, &q, 1, c->deadline_ms, &c->scratch);
        if (q.answer.status == DNS_NXDOMAIN) { /* §3.2.13 */
            out->policy = r->np;
            out->policy_tag = "np";
        } else if (q.answer.status >= DNS_TEMP) {
            c->trouble = q.answer.why;
            rc = RC_TEMP;
        }
    }
    return rc;
}

static void set_disposition(struct dmarc_verdict *out, const struct dmarc_record *r)
{
    out->disposition = out->policy;
    if (out->policy == DMARC_POLICY_NONE)
        return;
    if (out->method == DMARC_TREEWALK && r->test) { /* §4.7, tag t */
        out->disposition--;
        out->override = DMARC_POLICY_TEST_MODE;
        out->override_comment = VIEW("t=y");
    } else if (out->method == DMARC_PSL && r->pct == 0) { /* RFC 7489 §6.6.4; other shares are taken as all */
        out->disposition--;
        out->override = DMARC_OTHER;
        out->override_comment = VIEW("pct=0");
    }
}

/* --- words --- */

static struct view say(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct view say(struct arena *a, const char *fmt, ...)
{
    char line[2048];
    struct view out = {0};
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
    if (view_dup(a, view_of(line, n < 0 ? 0 : n < (int)sizeof line ? (size_t)n : sizeof line - 1), &out) != RC_OK)
        out.n = 0;
    return out;
}

static void explain_fail(const struct dmarc_facts *facts, struct arena *a, struct dmarc_verdict *out)
{
    size_t passed = 0;
    struct view one = {0}, spf, dkim;
    for (size_t i = 0; i < facts->n_dkim; i++)
        if (facts->dkim[i].pass) {
            passed++;
            one = facts->dkim[i].domain;
        }
    spf = facts->spf_pass ? say(a, "SPF passed for %.*s, which is not aligned", VIEW_FMT(facts->spf_domain)) : VIEW("SPF did not pass");
    dkim = passed == 1  ? say(a, "DKIM passed for %.*s, which is not aligned", VIEW_FMT(one))
           : passed > 1 ? say(a, "DKIM passed for %zu domains, none of them aligned", passed)
                        : VIEW("no DKIM signature passed");
    out->reason = say(a, "nobody vouches for %.*s: %.*s, and %.*s; %.*s asks for %s (%s=%s%s)", VIEW_FMT(out->author), VIEW_FMT(spf),
                      VIEW_FMT(dkim), VIEW_FMT(out->policy_domain), dmarc_policy_name(out->disposition), out->policy_tag,
                      dmarc_policy_name(out->policy), out->override == DMARC_POLICY_TEST_MODE ? ", t=y" : "");
}

static void explain_pass(const struct alignment *got, const struct dmarc_facts *facts, struct arena *a, struct dmarc_verdict *out)
{
    if (got->dkim && got->spf)
        out->reason = say(a, "the DKIM signature of %.*s and SPF for %.*s vouch for %.*s", VIEW_FMT(got->dkim_domain),
                          VIEW_FMT(facts->spf_domain), VIEW_FMT(out->author));
    else if (got->dkim)
        out->reason = say(a, "the DKIM signature of %.*s vouches for %.*s", VIEW_FMT(got->dkim_domain), VIEW_FMT(out->author));
    else
        out->reason = say(a, "SPF for %.*s vouches for %.*s", VIEW_FMT(facts->spf_domain), VIEW_FMT(out->author));
}

static struct view copy(struct arena *a, struct view v)
{
    struct view out = {0};
    return view_dup(a, v, &out) == RC_OK ? out : (struct view){0};
}

/* --- one author --- */

static void temp_error(struct check *c, struct arena *a, struct dmarc_verdict *out)
{
    out->result = DMARC_TEMPERROR;
    out->reason = say(a, "%.*s cannot be judged now: %s", VIEW_FMT(out->author),
                      c->trouble ? c->trouble : "unknown reason");
}

static void judge(struct check *c, const struct dmarc_facts *facts, struct view author, struct arena *a, struct dmarc_verdict *out)
{
    struct walk walk = {0};
    struct alignment got = {0};
    const struct node *node;
    *out = (struct dmarc_verdict){.result = DMARC_NONE, .method = c->method, .author = copy(a, author)};

    /* Its own record is the policy wherever there is one; the walk beyond it may not be needed (§4.10.2). */
    if (ask_nodes(c, &author, 1) != RC_OK) {
        c->trouble = "out of memory";
        temp_error(c, a, out);
        return;
    }
    node = find_node(c, author);
    if (node->state != RECORD) {
        enum rc rc = c->method == DMARC_TREEWALK ? walk_tree(c, author, &walk) : walk_list(c, author, &walk);
        if (rc != RC_OK) {
            temp_error(c, a, out);
            return;
        }
        got.organization = walk.organization;
        node = walk.policy;
    }
    if (!node) {
        out->reason = say(a, find_node(c, author)->several ? "%.*s publishes several DMARC records, which count as none"
                                                           : "neither %.*s nor a domain above it publishes a DMARC policy",
                          VIEW_FMT(author));
        return;
    }
    if (!dmarc_record_is_usable(&node->record)) {
        out->reason = say(a, "the DMARC record of %.*s has neither a valid policy nor an address for reports: it does not apply",
                          VIEW_FMT(node->domain));
        return;
    }
    out->policy_domain = copy(a, node->domain);
    if (dmarc_record_parse(node->record.text, a, &out->record) != RC_OK) {
        c->trouble = "out of memory";
        temp_error(c, a, out);
        return;
    }
    enum rc existence = select_policy(c, author, node, out);
    align_all(c, facts, author, &node->record, &got);
    out->spf_aligned = got.spf;
    out->dkim_aligned = got.dkim;
    out->dkim_domain = copy(a, got.dkim_domain);
    out->organization = copy(a, got.organization);
    if (got.spf || got.dkim) {
        out->result = DMARC_PASS;
        explain_pass(&got, facts, a, out);
    } else if (got.unknown || existence != RC_OK) { /* §5.3.6: neither pass nor fail */
        temp_error(c, a, out);
    } else {
        out->result = DMARC_FAIL;
        set_disposition(out, &node->record);
        explain_fail(facts, a, out);
    }
}

/* A From that names not exactly one author: never a pass; the strictest policy of those it names that nobody vouches for
 * (§11.5, RFC 7489 §6.6.1). */
static void judge_malformed(struct check *c, const struct dmarc_facts *facts, const struct dmarc_authors *authors, struct arena *a,
                            struct dmarc_verdict *out)
{
    struct view worst = {0};
    *out = (struct dmarc_verdict){.result = DMARC_PERMERROR, .method = c->method, .reason = view_str(authors->why)};
    for (size_t i = 0; i < authors->n; i++) {
        struct dmarc_verdict one;
        judge(c, facts, authors->domains[i], a, &one);
        if (one.result == DMARC_FAIL && (one.disposition > out->disposition || out->policy_domain.n == 0)) {
            *out = one;
            worst = one.author;
        }
    }
    out->result = DMARC_PERMERROR;
    out->author = (struct view){0};
    out->spf_aligned = out->dkim_aligned = false;
    out->reason = worst.n > 0 ? say(a, "%s; nobody vouches for %.*s, which asks for %s", authors->why, VIEW_FMT(worst),
                                    dmarc_policy_name(out->disposition))
                              : view_str(authors->why);
    if (authors->more && out->disposition == DMARC_POLICY_NONE) {
        out->disposition = DMARC_POLICY_QUARANTINE; /* or the domain that matters hides behind the limit */
        out->override = DMARC_LOCAL_POLICY;
        out->override_comment = VIEW("the From names more domains than are looked at");
    }
}

static void judge_message(struct dns *dns, const struct dmarc_settings *set, enum dmarc_method method,
                          const struct dmarc_authors *authors, const struct dmarc_facts *facts, int64_t deadline_ms,
                          struct arena *a, struct dmarc_verdict *out)
{
    struct check c = {.dns = dns, .set = set, .method = method, .deadline_ms = deadline_ms};
    arena_init(&c.scratch, SCRATCH_MAX);
    if (authors->kind == DMARC_FROM_OK)
        judge(&c, facts, authors->domains[0], a, out);
    else
        judge_malformed(&c, facts, authors, a, out);
    out->queries = c.queries;
    arena_clear(&c.scratch);
}

/* --- the message --- */

static struct view word_or_none(struct view v)
{
    return v.n > 0 ? v : VIEW("none");
}

static void compare(const struct dmarc_verdict *other, struct arena *a, struct dmarc_verdict *out)
{
    if (other->result == out->result && other->disposition == out->disposition && view_eq(other->policy_domain, out->policy_domain))
        return;
    out->difference = say(a, "by %s: %s, disposition %s, policy of %.*s; by %s: %s, disposition %s, policy of %.*s",
                          out->method == DMARC_PSL ? "the public suffix list (RFC 7489)" : "the tree walk (RFC 9989)",
                          dmarc_result_name(out->result), dmarc_policy_name(out->disposition),
                          VIEW_FMT(word_or_none(out->policy_domain)),
                          other->method == DMARC_PSL ? "the public suffix list (RFC 7489)" : "the tree walk (RFC 9989)",
                          dmarc_result_name(other->result), dmarc_policy_name(other->disposition),
                          VIEW_FMT(word_or_none(other->policy_domain)));
}

void dmarc_prefetch(struct dns *dns, const struct dmarc_authors *authors)
{
    struct view targets[DMARC_QUERIES_MAX];
    size_t n = authors->n > 0 ? list_targets(authors->domains[0], targets) : 0;
    struct buf name;
    buf_init(&name, DNS_NAME_MAX);
    for (size_t i = 0; i < n; i++) {
        buf_reset(&name);
        buf_printf(&name, "_dmarc.%.*s", VIEW_FMT(targets[i]));
        if (name.fail == RC_OK)
            dns_prefetch(dns, buf_view(&name), DNS_TXT);
    }
    buf_clear(&name);
}

void dmarc_check(struct dns *dns, const struct dmarc_settings *set, const struct dmarc_facts *facts, int64_t deadline_ms,
                 struct arena *a, struct dmarc_verdict *out)
{
    struct dmarc_authors authors;
    struct dmarc_verdict other;
    enum dmarc_method method = set->psl ? set->method : DMARC_TREEWALK;
    if (dmarc_authors(facts->header, a, &authors) != RC_OK) {
        *out = (struct dmarc_verdict){.result = DMARC_TEMPERROR, .method = method, .reason = VIEW("out of memory")};
        return;
    }
    judge_message(dns, set, method, &authors, facts, deadline_ms, a, out);
    if (!set->compare || !set->psl)
        return;
    judge_message(dns, set, method == DMARC_PSL ? DMARC_TREEWALK : DMARC_PSL, &authors, facts, deadline_ms, a, &other);
    compare(&other, a, out);
}

enum rc dmarc_organization(struct dns *dns, const struct dmarc_settings *set, struct view domain, int64_t deadline_ms,
                           struct arena *a, struct view *out)
{
    struct check c = {.dns = dns, .set = set, .method = set->psl ? set->method : DMARC_TREEWALK, .deadline_ms = deadline_ms};
    struct walk walk;
    struct view name;
    enum rc rc = dns_domain_ascii(domain, a, &name);
    if (rc != RC_OK)
        return rc;
    arena_init(&c.scratch, SCRATCH_MAX);
    rc = find_organization(&c, name, &walk);
    if (rc == RC_OK)
        rc = view_dup(a, walk.organization, out);
    arena_clear(&c.scratch);
    return rc;
}

void dmarc_override_set(struct dmarc_verdict *v, enum dmarc_override override, enum dmarc_policy disposition, struct view comment)
{
    v->override = override;
    v->override_comment = comment;
    v->disposition = disposition;
}
