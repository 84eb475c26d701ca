/* check_host() (RFC 7208 §4, §5, §6). */
#include "mailauth/spf.h"

#include <netinet/in.h>
#include <stdio.h>

#include "mailauth/spf_impl.h"

/* What a mechanism can say (§4.6.2). */
enum outcome { NO_MATCH, MATCH, TEMPERROR, PERMERROR };

struct check {
    struct dns *dns;
    struct arena *out;     /* the caller's: what the verdict shows */
    struct arena scratch;  /* answers; freed after the check */
    int64_t deadline_ms;
    struct spf_macros macros;
    struct addr ip;        /* unmapped */
    unsigned lookups, voids, n_steps;
    unsigned ahead; /* terms asked about before their turn */
    struct spf_step **last_step;
    struct view why;       /* words on the last outcome, in scratch or static */
    bool has_client_names;
    struct view *client_names; /* validated (§5.5) */
    size_t n_client_names;
    /* Of the record that decided, at the top or by redirect. */
    struct view term, source, exp;
};

const char *spf_result_name(enum spf_result result)
{
    static const char *const names[] = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"};
    return names[result];
}

const char *spf_identity_name(enum spf_identity identity)
{
    return identity == SPF_HELO ? "helo" : "mailfrom";
}

/* --- words --- */

/* What we show is visible ASCII and blanks, whatever came from the DNS or the peer. */
static struct view show(struct arena *a, struct view v, size_t max)
{
    char *p = arena_alloc(a, v.n < max ? v.n : max);
    size_t n = p ? (v.n < max ? v.n : max) : 0;
    for (size_t i = 0; i < n; i++)
        p[i] = v.p[i] >= ' ' && v.p[i] < 0x7f ? v.p[i] : '?';
    return view_of(p, n);
}

__attribute__((format(printf, 2, 3))) static void say(struct check *c, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    c->why = show(&c->scratch, view_of(line, n < 0 ? 0 : n < (int)sizeof line ? (size_t)n : sizeof line - 1), sizeof line);
}

static void add_step(struct check *c, unsigned depth, struct view domain, struct view term, struct view outcome)
{
    if (c->n_steps == SPF_STEPS_MAX)
        return;
    struct spf_step *s = arena_new(c->out, struct spf_step);
    if (!s)
        return;
    c->n_steps++;
    s->depth = depth;
    s->domain = show(c->out, domain, DNS_NAME_MAX);
    s->term = show(c->out, term, 256);
    s->outcome = show(c->out, outcome, 512);
    *c->last_step = s;
    c->last_step = &s->next;
}

/* --- questions --- */

static bool is_name(struct view name)
{
    if (name.n == 0 || name.n > DNS_NAME_MAX - 2)
        return false;
    for (bool more = true; more;) {
        struct view label;
        more = view_split(&name, '.', &label);
        if (label.n == 0 || label.n > 63)
            return false;
    }
    return true;
}

/* All questions at once; past the deadline none is asked. */
static void ask_all(struct check *c, struct dns_question *q, size_t n)
{
    if (clock_mono_ms() < c->deadline_ms) {
        dns_query_all(c->dns, q, n, c->deadline_ms, &c->scratch);
        return;
    }
    for (size_t i = 0; i < n && i < SPF_NAMES_MAX; i++) /* the bound is the callers', told to the compiler */
        q[i].answer = (struct dns_answer){.status = DNS_TEMP, .why = "the time for this check is over"};
}

static bool is_temp(enum dns_status status)
{
    return status == DNS_TEMP || status == DNS_BOGUS;
}

static enum outcome no_answer(struct check *c, const struct dns_question *q)
{
    say(c, "the DNS gives no answer about %.*s: %s", VIEW_FMT(q->name), q->answer.why ? q->answer.why : "unknown reason");
    return TEMPERROR;
}

/* One question of a term; finding nothing counts (§4.6.4). A name that is none is not asked about. */
static enum outcome ask_term(struct check *c, struct dns_question *q)
{
    if (!is_name(q->name)) {
        say(c, "%.*s is not a domain name", VIEW_FMT(q->name));
        return NO_MATCH;
    }
    ask_all(c, q, 1);
    if (is_temp(q->answer.status))
        return no_answer(c, q);
    if (q->answer.status == DNS_OK)
        return MATCH;
    if (++c->voids > SPF_VOIDS_MAX) {
        say(c, "more than %d look-ups found nothing (RFC 7208 section 4.6.4)", SPF_VOIDS_MAX);
        return PERMERROR;
    }
    say(c, q->answer.status == DNS_NXDOMAIN ? "%.*s does not exist" : "%.*s has no such record", VIEW_FMT(q->name));
    return NO_MATCH;
}

static enum outcome count_lookup(struct check *c)
{
    if (c->lookups < SPF_LOOKUPS_MAX) {
        c->lookups++;
        return MATCH;
    }
    say(c, "more than %d terms ask the DNS (RFC 7208 section 4.6.4)", SPF_LOOKUPS_MAX);
    return PERMERROR;
}

/* --- addresses --- */

static enum dns_type address_type(const struct check *c)
{
    return addr_is_ipv6(&c->ip) ? DNS_AAAA : DNS_A;
}

static void ip_bytes(const struct addr *ip, uint8_t out[16])
{
    if (addr_is_ipv6(ip)) {
        struct sockaddr_in6 sin6;
        memcpy(&sin6, &ip->ss, sizeof sin6);
        memcpy(out, &sin6.sin6_addr, 16);
    } else {
        struct sockaddr_in sin;
        memcpy(&sin, &ip->ss, sizeof sin);
        memcpy(out, &sin.sin_addr, 4);
    }
}

static bool is_in_net(const struct check *c, const void *net, unsigned bits)
{
    uint8_t ip[16] = {0}, n[16] = {0};
    ip_bytes(&c->ip, ip);
    memcpy(n, net, addr_is_ipv6(&c->ip) ? 16 : 4);
    if (memcmp(ip, n, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((ip[bits / 8] ^ n[bits / 8]) >> (8 - bits % 8)) == 0;
}

static bool has_client(const struct check *c, const struct dns_answer *answer, const struct spf_term *t)
{
    bool six = addr_is_ipv6(&c->ip);
    unsigned bits = !t ? (six ? 128 : 32) : six ? t->bits6 : t->bits4;
    if (answer->status != DNS_OK)
        return false;
    for (size_t i = 0; i < answer->n; i++)
        if (answer->rdata[i].n == (six ? 16u : 4u) && is_in_net(c, answer->rdata[i].p, bits))
            return true;
    return false;
}

/* --- names of the client (§5.5) --- */

static enum outcome find_client_names(struct check *c)
{
    struct dns_question q[SPF_NAMES_MAX];
    struct dns_answer answer = {.status = DNS_TEMP};
    struct view *names;
    size_t n;
    if (c->has_client_names)
        return MATCH;
    c->has_client_names = true;
    if (clock_mono_ms() >= c->deadline_ms || dns_ptr(c->dns, &c->ip, c->deadline_ms, &c->scratch, &answer, &names, &n) != DNS_OK) {
        if ((answer.status == DNS_NXDOMAIN || answer.status == DNS_NODATA) && ++c->voids > SPF_VOIDS_MAX) {
            say(c, "more than %d look-ups found nothing (RFC 7208 section 4.6.4)", SPF_VOIDS_MAX);
            return PERMERROR;
        }
        return MATCH; /* a DNS error means no name */
    }
    if (n > SPF_NAMES_MAX)
        n = SPF_NAMES_MAX;
    for (size_t i = 0; i < n; i++)
        q[i] = (struct dns_question){.name = names[i], .type = address_type(c)};
    ask_all(c, q, n);
    c->client_names = names;
    for (size_t i = 0; i < n; i++)
        if (has_client(c, &q[i].answer, NULL))
            names[c->n_client_names++] = q[i].name;
    return MATCH;
}

static bool is_within(struct view name, struct view domain)
{
    if (view_ends(domain, VIEW(".")))
        domain.n--;
    return view_ieq(name, domain) ||
           (name.n > domain.n && view_iends(name, domain) && name.p[name.n - domain.n - 1] == '.');
}

static enum rc name_of_client(void *ctx, struct view domain, struct view *out)
{
    struct check *c = ctx;
    *out = VIEW("unknown");
    if (count_lookup(c) != MATCH || find_client_names(c) != MATCH)
        return RC_LIMIT;
    for (size_t i = 0; i < c->n_client_names; i++)
        if (view_ieq(c->client_names[i], domain)) {
            *out = c->client_names[i];
            return RC_OK;
        }
    if (c->n_client_names > 0)
        *out = c->client_names[0];
    for (size_t i = 0; i < c->n_client_names; i++)
        if (is_within(c->client_names[i], domain)) {
            *out = c->client_names[i];
            break;
        }
    return RC_OK;
}

/* --- mechanisms (§5) --- */

/* The target-name (§4.8), without final dot and at most 253 bytes (§7.3). */
static enum outcome target_of(struct check *c, struct view spec, struct view domain, struct view *out)
{
    struct buf text;
    enum outcome result = MATCH;
    *out = domain;
    if (spec.n == 0)
        return MATCH;
    buf_init(&text, SPF_EXPANSION_MAX);
    enum rc rc = spf_macro_expand(&c->macros, spec, domain, false, &text);
    struct view name = buf_view(&text);
    if (view_ends(name, VIEW(".")))
        name.n--;
    while (name.n > DNS_NAME_MAX - 2) {
        struct view label;
        if (!view_split(&name, '.', &label))
            break; /* one long label: no name */
    }
    if (rc == RC_LIMIT) {
        if (text.fail == RC_LIMIT)
            say(c, "its domain expands to more than %d bytes", SPF_EXPANSION_MAX);
        result = PERMERROR;
    } else if (rc != RC_OK || view_dup(&c->scratch, name, out) != RC_OK) {
        say(c, "out of memory");
        result = TEMPERROR;
    }
    buf_clear(&text);
    return result;
}

static enum outcome match_a(struct check *c, const struct spf_term *t, struct view target)
{
    struct dns_question q = {.name = target, .type = address_type(c)};
    enum outcome o = ask_term(c, &q);
    if (o != MATCH)
        return o;
    say(c, "the client is not among the addresses of %.*s", VIEW_FMT(target));
    return has_client(c, &q.answer, t) ? MATCH : NO_MATCH;
}

/* The host of an MX record; labels may hold any byte but a dot. */
static bool read_mx_host(struct check *c, struct view rdata, struct view *out)
{
    struct buf name;
    view_skip(&rdata, 2); /* the preference does not matter here */
    buf_init(&name, DNS_NAME_MAX);
    int n;
    while ((n = view_next(&rdata)) > 0) {
        struct view label = view_slice(rdata, 0, (size_t)n);
        if (n > 63 || label.n != (size_t)n || view_chr(label, '.') != VIEW_NONE)
            break;
        if (name.n > 0)
            buf_chr(&name, '.');
        buf_add(&name, label);
        view_skip(&rdata, label.n);
    }
    bool ok = n == 0 && buf_rc(&name) == RC_OK && view_dup(&c->scratch, buf_view(&name), out) == RC_OK;
    buf_clear(&name);
    return ok;
}

static enum outcome match_mx(struct check *c, const struct spf_term *t, struct view target)
{
    struct dns_question q = {.name = target, .type = DNS_MX}, hosts[SPF_NAMES_MAX];
    size_t n = 0;
    enum outcome o = ask_term(c, &q);
    if (o != MATCH)
        return o;
    if (q.answer.n > SPF_NAMES_MAX) {
        say(c, "%.*s has more than %d MX records (RFC 7208 section 4.6.4)", VIEW_FMT(target), SPF_NAMES_MAX);
        return PERMERROR;
    }
    for (size_t i = 0; i < q.answer.n; i++) {
        hosts[n] = (struct dns_question){.type = address_type(c)};
        if (read_mx_host(c, q.answer.rdata[i], &hosts[n].name) && hosts[n].name.n > 0) /* null MX: nobody */
            n++;
    }
    ask_all(c, hosts, n);
    for (size_t i = 0; i < n; i++)
        if (has_client(c, &hosts[i].answer, t))
            return MATCH;
    for (size_t i = 0; i < n; i++)
        if (is_temp(hosts[i].answer.status))
            return no_answer(c, &hosts[i]);
    say(c, "the client is not among the mail hosts of %.*s", VIEW_FMT(target));
    return NO_MATCH;
}

static enum outcome match_ptr(struct check *c, struct view target)
{
    enum outcome o = find_client_names(c);
    if (o != MATCH)
        return o;
    for (size_t i = 0; i < c->n_client_names; i++)
        if (is_within(c->client_names[i], target))
            return MATCH;
    say(c, "the client has no confirmed name below %.*s", VIEW_FMT(target));
    return NO_MATCH;
}

static enum outcome match_exists(struct check *c, struct view target)
{
    struct dns_question q = {.name = target, .type = DNS_A}; /* also where the client has IPv6 (§5.7) */
    return ask_term(c, &q);
}

static enum outcome match_net(struct check *c, const struct spf_term *t)
{
    bool six = t->kind == SPF_IP6;
    c->why = VIEW("the client is not in this network");
    return six == addr_is_ipv6(&c->ip) && is_in_net(c, t->net, six ? t->bits6 : t->bits4) ? MATCH : NO_MATCH;
}

static enum spf_result check_host(struct check *c, struct view domain, unsigned depth, bool included);

/* §5.2 */
static enum outcome match_include(struct check *c, struct view target, unsigned depth)
{
    enum spf_result r = check_host(c, target, depth + 1, true);
    switch (r) {
    case SPF_PASS: return MATCH;
    case SPF_TEMPERROR: return TEMPERROR;
    case SPF_PERMERROR: return PERMERROR;
    case SPF_NONE:
        say(c, "%.*s has no SPF record", VIEW_FMT(target));
        return PERMERROR;
    default:
        say(c, "%.*s says %s", VIEW_FMT(target), spf_result_name(r));
        return NO_MATCH;
    }
}

static enum outcome match(struct check *c, const struct spf_term *t, struct view domain, unsigned depth)
{
    struct view target;
    enum outcome o;
    if (t->kind == SPF_ALL)
        return MATCH;
    if (t->kind == SPF_IP4 || t->kind == SPF_IP6)
        return match_net(c, t);
    if ((o = count_lookup(c)) != MATCH || (o = target_of(c, t->spec, domain, &target)) != MATCH)
        return o;
    switch (t->kind) {
    case SPF_INCLUDE: return match_include(c, target, depth);
    case SPF_A: return match_a(c, t, target);
    case SPF_MX: return match_mx(c, t, target);
    case SPF_PTR: return match_ptr(c, target);
    default: return match_exists(c, target);
    }
}

/* --- records --- */

/* The one SPF record of a domain (§4.4, §4.5). SPF_PASS: *out is it. */
static enum spf_result find_record(struct check *c, struct view domain, struct view *out)
{
    struct dns_question q = {.name = domain, .type = DNS_TXT};
    struct view *texts;
    size_t n, found = 0;
    if (!is_name(domain) || view_chr(domain, '.') == VIEW_NONE) { /* §4.3 */
        say(c, "%.*s is not a domain name of several labels", VIEW_FMT(domain));
        return SPF_NONE;
    }
    ask_all(c, &q, 1);
    if (is_temp(q.answer.status)) {
        no_answer(c, &q);
        return SPF_TEMPERROR;
    }
    if (q.answer.status == DNS_NXDOMAIN) {
        say(c, "%.*s does not exist", VIEW_FMT(domain));
        return SPF_NONE;
    }
    if (dns_texts(&q.answer, &c->scratch, &texts, &n) != RC_OK) {
        say(c, "out of memory");
        return SPF_TEMPERROR;
    }
    for (size_t i = 0; i < n; i++)
        if (spf_is_record(texts[i])) {
            *out = texts[i];
            found++;
        }
    if (found == 1)
        return SPF_PASS;
    say(c, found == 0 ? "%.*s publishes no SPF record" : "%.*s publishes several SPF records", VIEW_FMT(domain));
    return found == 0 ? SPF_NONE : SPF_PERMERROR;
}

/* §6.1 */
static enum spf_result redirect(struct check *c, struct view spec, struct view domain, unsigned depth, bool included)
{
    struct view target;
    enum outcome o;
    if ((o = count_lookup(c)) == MATCH)
        o = target_of(c, spec, domain, &target);
    if (o != MATCH)
        return o == TEMPERROR ? SPF_TEMPERROR : SPF_PERMERROR;
    enum spf_result r = check_host(c, target, depth + 1, included);
    return r == SPF_NONE ? SPF_PERMERROR : r;
}

/* What a term asks the DNS about its target; 0: nothing, or nothing that is known beforehand. */
static enum dns_type question_of(const struct check *c, const struct spf_record *r, const struct spf_term *t)
{
    switch (t->kind) {
    case SPF_INCLUDE: return DNS_TXT;
    case SPF_REDIRECT: return r->has_all ? 0 : DNS_TXT;
    case SPF_MX: return DNS_MX;
    case SPF_EXISTS: return DNS_A;
    case SPF_A: return address_type(c);
    default: return 0;
    }
}

/* Once one term has to ask, those after it are asked about as well, else each would wait for the one before it. A target
 * with macros waits for its turn, and so does what is past the limit. */
static void ask_ahead(struct check *c, const struct spf_record *r, struct view domain)
{
    struct spf_term t;
    const char *why;
    for (struct view rest = r->terms; spf_term_next(&rest, &t, &why) == RC_OK;) {
        enum dns_type type = question_of(c, r, &t);
        if (type == 0 || c->ahead == SPF_LOOKUPS_MAX || view_chr(t.spec, '%') != VIEW_NONE)
            continue;
        c->ahead++;
        dns_prefetch(c->dns, t.spec.n > 0 ? t.spec : domain, type);
    }
}

static enum spf_result evaluate(struct check *c, struct spf_record *r, struct view domain, unsigned depth, bool included)
{
    struct spf_term t;
    const char *why = NULL;
    bool has_asked = false;
    while (spf_term_next(&r->terms, &t, &why) == RC_OK) {
        if (t.kind >= SPF_REDIRECT)
            continue;
        if (!has_asked && question_of(c, r, &t) != 0) {
            ask_ahead(c, r, domain);
            has_asked = true;
        }
        enum outcome o = match(c, &t, domain, depth);
        add_step(c, depth, domain, t.text, o == MATCH ? VIEW("matches") : c->why);
        if (o == NO_MATCH)
            continue;
        if (!included) {
            c->term = t.text;
            c->source = domain;
            if (o == MATCH && t.qualifier == SPF_FAIL && r->has_exp)
                c->exp = r->exp;
        }
        return o == MATCH ? t.qualifier : o == TEMPERROR ? SPF_TEMPERROR : SPF_PERMERROR;
    }
    if (r->has_redirect && !r->has_all)
        return redirect(c, r->redirect, domain, depth, included);
    say(c, "no term of %.*s matches", VIEW_FMT(domain));
    return SPF_NEUTRAL; /* §4.7 */
}

static enum spf_result check_host(struct check *c, struct view domain, unsigned depth, bool included)
{
    struct view txt, where;
    struct spf_record r;
    const char *why;
    enum spf_result result = find_record(c, domain, &txt);
    if (result == SPF_PASS && spf_record_parse(txt, &r, &why, &where) != RC_OK) {
        struct view shown = show(&c->scratch, where, 100);
        say(c, "\"%.*s\" in the record of %.*s: %s", VIEW_FMT(shown), VIEW_FMT(domain), why);
        result = SPF_PERMERROR;
    }
    add_step(c, depth, domain, (struct view){0}, result == SPF_PASS ? txt : c->why);
    return result == SPF_PASS ? evaluate(c, &r, domain, depth, included) : result;
}

/* --- the whole check --- */

/* §6.2: any trouble means no explanation. */
static struct view explain(struct check *c)
{
    struct view target, *texts, out = {0};
    struct buf text;
    size_t n = 0;
    unsigned lookups = c->lookups, voids = c->voids;
    if (c->exp.n == 0 || target_of(c, c->exp, c->source, &target) != MATCH || !is_name(target))
        return out;
    c->lookups = c->voids = 0; /* the limits are for the evaluation, which is over */
    struct dns_question q = {.name = target, .type = DNS_TXT};
    ask_all(c, &q, 1);
    buf_init(&text, SPF_EXPANSION_MAX);
    if (q.answer.status == DNS_OK && dns_texts(&q.answer, &c->scratch, &texts, &n) == RC_OK && n == 1 &&
        spf_macro_is_valid(texts[0], true) && spf_macro_expand(&c->macros, texts[0], c->source, true, &text) != RC_SYNTAX &&
        view_is_ascii(buf_view(&text)) && !view_has_ctl(buf_view(&text)))
        out = show(c->out, buf_view(&text), SPF_EXPLANATION_MAX);
    buf_clear(&text);
    c->lookups = lookups;
    c->voids = voids;
    return out;
}

static struct view reason_of(struct check *c, enum spf_result result)
{
    static const char *const verbs[] = {[SPF_PASS] = "is permitted", [SPF_FAIL] = "is not permitted",
                                        [SPF_SOFTFAIL] = "is probably not permitted",
                                        [SPF_NEUTRAL] = "is neither permitted nor forbidden"};
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(&c->ip, ip);
    if (result == SPF_NONE || result == SPF_TEMPERROR || result == SPF_PERMERROR || c->term.n == 0) {
        if (c->term.n > 0)
            say(c, "\"%.*s\" of %.*s: %.*s", VIEW_FMT(view_slice(c->term, 0, 200)), VIEW_FMT(c->source), VIEW_FMT(c->why));
    } else {
        say(c, "%s %s by \"%.*s\" of %.*s", ip, verbs[result], VIEW_FMT(view_slice(c->term, 0, 200)), VIEW_FMT(c->source));
    }
    return show(c->out, c->why, 512);
}

static void check(struct dns *dns, const struct spf_facts *facts, enum spf_identity identity, int64_t deadline_ms, struct arena *a,
                  struct spf_verdict *out)
{
    struct check c = {.dns = dns, .out = a, .last_step = &out->steps, .ip = facts->ip};
    int64_t own = deadline_in(SPF_TIME_MS);
    struct view domain = facts->helo, local = VIEW("postmaster"); /* §2.4, §4.3 */
    *out = (struct spf_verdict){.identity = identity};
    arena_init(&c.scratch, SPF_SCRATCH_MAX);
    c.deadline_ms = own < deadline_ms ? own : deadline_ms;
    addr_unmap(&c.ip);
    if (identity == SPF_MAILFROM) {
        size_t at = view_rchr(facts->mail_from, '@');
        if (at != VIEW_NONE && at > 0)
            local = view_slice(facts->mail_from, 0, at);
        domain = at == VIEW_NONE ? facts->mail_from : view_from(facts->mail_from, at + 1);
    }
    if (facts->helo.n > SPF_VALUE_MAX || local.n > SPF_VALUE_MAX || domain.n > SPF_VALUE_MAX || !c.ip.len) {
        out->result = SPF_NONE;
        out->reason = c.ip.len ? VIEW("the sender or the HELO name is too long to be one") : VIEW("the client's address is not known");
        goto done;
    }
    if (dns_domain_ascii(domain, &c.scratch, &domain) != RC_OK || view_starts(domain, VIEW("["))) {
        say(&c, domain.n == 0 ? "there is no name to ask about" : "%.*s is not a domain name", VIEW_FMT(domain));
        out->result = SPF_NONE;
        out->reason = show(a, c.why, 512);
        goto done;
    }
    c.macros = (struct spf_macros){.local = local, .sender_domain = domain, .helo = facts->helo, .receiver = facts->receiver,
                                   .ip = &c.ip, .now_s = facts->now_s, .name_of_client = name_of_client, .ctx = &c};
    out->domain = show(a, domain, DNS_NAME_MAX);
    out->result = check_host(&c, domain, 0, false);
    out->reason = reason_of(&c, out->result);
    out->mechanism = show(a, c.term, DNS_NAME_MAX * 2);
    out->source = show(a, c.source, DNS_NAME_MAX);
    out->lookups = c.lookups;
    out->voids = c.voids;
    if (out->result == SPF_FAIL)
        out->explanation = explain(&c);
done:
    arena_clear(&c.scratch);
}

void spf_check(struct dns *dns, const struct spf_facts *facts, int64_t deadline_ms, struct arena *a, struct spf_verdict *out)
{
    check(dns, facts, facts->mail_from.n > 0 ? SPF_MAILFROM : SPF_HELO, deadline_ms, a, out);
}

void spf_check_helo(struct dns *dns, const struct spf_facts *facts, int64_t deadline_ms, struct arena *a, struct spf_verdict *out)
{
    check(dns, facts, SPF_HELO, deadline_ms, a, out);
}
