/* Who may send in the domain's name: SPF, DKIM and DMARC records as their readers see them. */
#include <stdio.h>

#include "base/buf.h"
#include "health/health_impl.h"
#include "mailauth/dkim_key.h"
#include "mailauth/dmarc.h"

#define DAY_S        86400
#define KEY_DAYS_MAX 365 /* then a change is advised */
#define RSA_BITS_MAX 4096 /* that every verifier must take (RFC 8301 §3.2) */
#define VOIDS_ASKED   20  /* terms of an SPF record whose names are asked for */
#define SPF_VOIDS_MAX 2   /* RFC 7208 §4.6.4 */
#define WALK_MAX     8   /* names of RFC 9989 §4.10 */

/* --- SPF --- */

/* What cannot be read or followed leaves nothing to be said of the end. */
static bool is_cut_short(const struct spf_tree *t)
{
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (n->depth == 0 && n->problem.n > 0)
            return true;
    return false;
}

static void say_spf_end(struct look *l, const struct spf_tree *t)
{
    struct view domain = l->out->domain;
    if (t->all.n == 0 && is_cut_short(t))
        return;
    if (t->all.n == 0)
        health_say(l, "spf.end", HEALTH_WARN, domain, "End the record with \"-all\".",
                   "The record does not say what everybody else is (no \"all\"): anybody may send.");
    else if (view_ieq(t->all, VIEW("-all")))
        health_say(l, "spf.end", HEALTH_GOOD, domain, NULL, "It ends with -all: all others may not send.");
    else if (view_ieq(t->all, VIEW("~all")))
        health_say(l, "spf.end", HEALTH_NOTE, domain, "Use \"-all\" when all that sends for you is listed.",
                   "It ends with ~all: others are suspicious, but not forbidden.");
    else
        health_say(l, "spf.end", HEALTH_BAD, domain, "End the record with \"-all\", or \"~all\" while you are looking for senders.",
                   "It ends with %.*s: it forbids nobody.", VIEW_FMT(t->all));
}

/* What a term of the domain's own record costs with all below it. */
static unsigned cost_of(const struct spf_node *n)
{
    unsigned cost = n->is_lookup;
    for (const struct spf_node *below = n->next; below && below->depth > n->depth; below = below->next)
        cost += below->is_lookup;
    return cost;
}

/* Where the look-ups go, so that one knows where to begin. */
static void say_costly_terms(struct look *l, const struct spf_tree *t)
{
    if (t->lookups <= SPF_LOOKUPS_MAX - 2)
        return;
    for (const struct spf_node *n = t->nodes; n; n = n->next) {
        const unsigned cost = cost_of(n);
        if (n->depth != 0 || cost == 0)
            continue;
        if (cost > 1)
            health_say(l, "spf.cost", HEALTH_NOTE, l->out->domain,
                       "Does this service still send for you? If so, let it send from a subdomain with an SPF record of its own.",
                       "%.*s takes %u look-ups with all that it includes.", VIEW_FMT(n->term), cost);
        else if (view_istarts(n->term, VIEW("a")) || view_istarts(n->term, VIEW("mx")))
            health_say(l, "spf.cost", HEALTH_NOTE, l->out->domain, "Write the addresses themselves, by ip4 and ip6: these take no look-up.",
                       "%.*s takes one look-up.", VIEW_FMT(n->term));
    }
}

static void say_spf_problem(struct look *l, const struct spf_node *n)
{
    static const struct {
        const char *problem;
        enum health_mark mark;
        const char *repair;
    } known[] = {
        {"its records cannot be read now", HEALTH_UNKNOWN,
         "Try again; if it stays so, ask whoever runs that domain's name servers: until then receivers cannot judge."},
        {"it has several SPF records, where one alone may be", HEALTH_BAD,
         "Ask whoever runs that domain to leave one; until then take this part out, for receivers count it as an error."},
        {"there is no such domain", HEALTH_BAD, "Remove it, or correct the name: the service may have ended, and receivers count it as an error."},
        {"it has no SPF record", HEALTH_BAD, "Remove it, or correct the name: the service may have ended, and receivers count it as an error."},
        {"this leads back to where it came from, and never ends", HEALTH_BAD, "Take one of the two out: receivers stop with an error."},
        {"ptr is slow, often wrong and not to be used (RFC 7208 \xc2\xa7""5.5)", HEALTH_WARN,
         "Replace it by the addresses themselves, with ip4 and ip6."},
        {"this lets the whole world send in the domain's name", HEALTH_BAD,
         "Let it end with -all or ~all, or take out what includes it: whoever sends passes."},
    };
    enum health_mark mark = HEALTH_BAD;
    const char *repair = "Correct it: receivers count the whole record as an error.";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (view_eq(n->problem, view_str(known[i].problem))) {
            mark = known[i].mark;
            repair = known[i].repair;
        }
    health_say(l, "spf.term", mark, n->domain, repair, "%.*s: %.*s.", VIEW_FMT(n->term), VIEW_FMT(n->problem));
}

/* A term whose name the DNS does not know, or knows nothing of the kind for. */
static bool finds_nothing(struct look *l, const struct spf_node *n)
{
    struct dns_answer answer = {.status = DNS_OK};
    struct addr *addrs;
    struct dns_mx *mx;
    size_t count;
    if (n->asked.n == 0)
        return false;
    if (n->asks_mx)
        dns_mx(l->set->dns, n->asked, l->deadline_ms, l->a, &answer, &mx, &count);
    else
        dns_addrs(l->set->dns, n->asked, 0, l->deadline_ms, l->a, &answer, &addrs, &count);
    return answer.status == DNS_NXDOMAIN || answer.status == DNS_NODATA;
}

/* RFC 7208 §4.6.4: receivers need not bear more than two. */
static void say_spf_voids(struct look *l, const struct spf_tree *t)
{
    size_t asked = 0, voids = 0;
    for (const struct spf_node *n = t->nodes; n && asked < VOIDS_ASKED && !health_is_over(l); n = n->next) {
        asked += n->asked.n > 0;
        if (!finds_nothing(l, n))
            continue;
        voids++;
        health_say(l, "spf.void", HEALTH_NOTE, n->domain, "Remove it, or correct the name: it lets nobody send.", "%.*s finds nothing in the DNS.",
                   VIEW_FMT(n->term));
    }
    if (voids > SPF_VOIDS_MAX)
        health_say(l, "spf.voids", HEALTH_BAD, l->out->domain, "Remove the parts that find nothing; they let nobody send anyway.",
                   "%zu of its look-ups find nothing, and receivers stop with an error after %d.", voids, SPF_VOIDS_MAX);
}

/* RFC 7208 §6.1. */
static void say_spf_redirect(struct look *l, const struct spf_tree *t)
{
    const struct spf_node *redirect = NULL;
    bool has_all = false;
    for (const struct spf_node *n = t->nodes; n; n = n->next) {
        if (n->depth == 0 && view_istarts(n->term, VIEW("redirect=")))
            redirect = n;
        has_all |= n->depth == 0 && view_iends(n->term, VIEW("all")) && n->term.n <= 4;
    }
    if (redirect && has_all)
        health_say(l, "spf.redirect", HEALTH_WARN, l->out->domain, "Remove it; or remove \"all\", if what stands there is meant to count.",
                   "%.*s counts for nothing, since the record has \"all\" itself.", VIEW_FMT(redirect->term));
}

void health_spf(struct look *l)
{
    struct spf_tree *t = &l->out->spf;
    struct view domain = l->out->domain;
    health_progress(l, "the SPF record of", domain);
    if (spf_tree(l->set->dns, domain, l->deadline_ms, l->a, t) != RC_OK) {
        l->rc = RC_TEMP;
        return;
    }
    const struct dns_answer answer = {.status = t->status};
    if (health_unanswered(l, "spf.record", domain, &answer))
        return;
    if (t->n_records == 0) {
        health_say(l, "spf.record", HEALTH_BAD, domain,
                   l->no_mail ? "Publish the TXT record \"v=spf1 -all\"." : "Publish a TXT record such as \"v=spf1 mx -all\".",
                   "There is no SPF record: anybody may send in its name.");
        return;
    }
    if (t->n_records > 1) {
        health_say(l, "spf.record", HEALTH_BAD, domain, "Make one record of them; to receivers all together count as an error.",
                   "There are %zu SPF records, where one alone may be.", t->n_records);
        return;
    }
    health_say(l, "spf.record", HEALTH_GOOD, domain, NULL, "%.*s", VIEW_FMT(t->record));
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (n->problem.n > 0 && !(n->depth == 0 && view_iends(n->term, VIEW("all"))))
            say_spf_problem(l, n); /* how the domain's own record ends is told below */
    say_spf_voids(l, t);
    say_spf_redirect(l, t);
    say_costly_terms(l, t);
    if (t->lookups > SPF_LOOKUPS_MAX)
        health_say(l, "spf.lookups", HEALTH_BAD, domain,
                   "Remove what no longer sends for you; replace a and mx by ip4 and ip6; move a service to a subdomain of its own.",
                   "It takes %u look-ups, and receivers stop with an error after %d.", t->lookups, SPF_LOOKUPS_MAX);
    else
        health_say(l, "spf.lookups", t->lookups > SPF_LOOKUPS_MAX - 2 ? HEALTH_NOTE : HEALTH_GOOD, domain,
                   t->lookups > SPF_LOOKUPS_MAX - 2 ? "Think before adding another service: one more include may break it." : NULL,
                   "It takes %u of at most %d look-ups.", t->lookups, SPF_LOOKUPS_MAX);
    say_spf_end(l, t);
}

/* --- DKIM --- */

/* Selectors that large services and common software use: a domain of others tells nobody which it has. */
static const char *const usual_selectors[] = {"default", "dkim",   "mail",   "email",     "smtp",      "s1",     "s2",    "k1",   "k2",
                                              "k3",      "google", "selector1", "selector2", "fm1",    "fm2",    "fm3",   "mx",   "sig1",
                                              "protonmail", "zoho", "mandrill", "pm",        "krs",    "dkim1",  "key1",  "20230601"};

static struct health_key *keep_key(struct look *l, struct view selector, enum health_key_state state)
{
    struct health_key **last = &l->out->keys;
    struct health_key *key = arena_new(l->a, struct health_key);
    if (!key) {
        l->rc = RC_TEMP;
        return NULL;
    }
    while (*last)
        last = &(*last)->next;
    *key = (struct health_key){.selector = selector, .state = state};
    *last = key;
    return key;
}

/* One of the domain: GOOD is less than a note, a note less than what is wrong; "unknown" is the least of what is wrong. */
static void mark_key(struct health_key *key, enum health_mark mark)
{
    if (key->mark == HEALTH_GOOD || (mark > key->mark && mark != HEALTH_UNKNOWN))
        key->mark = mark;
}

static void say_key(struct look *l, struct view name, const struct dkim_key *key, bool secure, struct health_key *shown)
{
    struct pkey *pkey = NULL;
    unsigned bits = 0;
    if (pkey_public(key->kind, key->bytes, &pkey) == RC_OK)
        bits = pkey_bits(pkey);
    pkey_free(pkey);
    shown->algorithm = key->kind == PKEY_ED25519 ? "ed25519" : "rsa";
    shown->bits = bits;
    if (bits == 0) {
        mark_key(shown, HEALTH_BAD);
        health_say(l, "dkim.key", HEALTH_BAD, name, "Publish the record again as your mail server prints it.", "The key cannot be read.");
    } else if (key->kind == PKEY_ED25519) {
        health_say(l, "dkim.key", HEALTH_GOOD, name, NULL, secure ? "An Ed25519 key, proven by DNSSEC." : "An Ed25519 key.");
    } else if (bits < DKIM_RSA_BITS_MIN) {
        mark_key(shown, HEALTH_BAD);
        health_say(l, "dkim.key", HEALTH_BAD, name, "Make a key of 2048 bits.", "An RSA key of %u bits: receivers do not accept it.", bits);
    } else if (bits < 2048) {
        mark_key(shown, HEALTH_WARN);
        health_say(l, "dkim.key", HEALTH_WARN, name, "Make a key of 2048 bits.", "An RSA key of %u bits, which is short today.", bits);
    } else if (bits > RSA_BITS_MAX) {
        mark_key(shown, HEALTH_WARN);
        health_say(l, "dkim.key", HEALTH_WARN, name, "Make a key of 2048 bits: nobody has to read one of more than 4096 (RFC 8301 \xc2\xa7""3.2).",
                   "An RSA key of %u bits, which is so long that some receivers do not take it.", bits);
    } else {
        health_say(l, "dkim.key", HEALTH_GOOD, name, NULL, secure ? "An RSA key of %u bits, proven by DNSSEC." : "An RSA key of %u bits.", bits);
    }
    if (key->is_testing) {
        mark_key(shown, HEALTH_NOTE);
        health_say(l, "dkim.testing", HEALTH_NOTE, name, "Remove t=y from the record once signing works.",
                   "The key says t=y, testing: some receivers ignore its signatures.");
    }
}

static struct view key_name(struct look *l, struct view selector)
{
    const char *name = arena_printf(l->a, "%.*s._domainkey.%.*s", VIEW_FMT(selector), VIEW_FMT(l->out->domain));
    if (!name)
        l->rc = RC_TEMP;
    return view_str(name ? name : "");
}

/* What it means that one of our keys is not there, or not as it must be. */
static void say_lost(struct look *l, struct view name, const struct health_selector *own, struct health_key *shown)
{
    if (own->state == HEALTH_KEY_NEXT) {
        mark_key(shown, HEALTH_NOTE);
        health_say(l, "dkim.next", HEALTH_NOTE, name, "Publish it as `facteur dns` prints it: the server then signs with it by itself.",
                   "The next key is made, but is not in the DNS yet; the present ones sign until it is.");
    } else if (own->state == HEALTH_KEY_RETIRED) {
        mark_key(shown, HEALTH_WARN);
        health_say(l, "dkim.retired", HEALTH_WARN, name, "Publish it again as `facteur dns` prints it, until that leaves it out.",
                   "This key signs no more, but messages with its signature may still be on their way, and it is not in the DNS.");
    } else {
        mark_key(shown, HEALTH_BAD);
        health_say(l, "dkim.key", HEALTH_BAD, name, "Publish it as `facteur dns` prints it.",
                   "Our mail is signed with this key, but it is not in the DNS: every signature fails.");
    }
}

/* One of ours, which has to be there just so. */
static void look_at_own_key(struct look *l, const struct health_selector *own)
{
    struct dns_answer answer;
    struct view *texts, name = key_name(l, own->selector);
    struct health_key *shown = keep_key(l, own->selector, own->state);
    size_t n;
    if (!shown)
        return;
    shown->since_s = own->since_s;
    dns_txt(l->set->dns, name, l->deadline_ms, l->a, &answer, &texts, &n);
    if (health_unanswered(l, "dkim.key", name, &answer)) {
        mark_key(shown, answer.status == DNS_BOGUS ? HEALTH_BAD : HEALTH_UNKNOWN);
        return;
    }
    if (answer.status != DNS_OK || n == 0) {
        say_lost(l, name, own, shown);
        return;
    }
    struct dkim_key key;
    const char *why;
    enum rc rc = dkim_key_parse(texts[0], l->a, &key, &why);
    const bool good = n == 1 && rc == RC_OK && (own->record.n == 0 || view_eq(texts[0], own->record));
    shown->published = good;
    if (!good)
        mark_key(shown, HEALTH_BAD);
    if (n > 1)
        health_say(l, "dkim.key", HEALTH_BAD, name, "Leave the one that `facteur dns` prints.", "There are %zu records where one may be.", n);
    else if (rc == RC_NOTFOUND)
        health_say(l, "dkim.key", HEALTH_BAD, name, "Publish it as `facteur dns` prints it.",
                   "The DNS says that this key is revoked (p= is empty): every signature fails.");
    else if (rc != RC_OK)
        health_say(l, "dkim.key", HEALTH_BAD, name, "Publish it as `facteur dns` prints it.", "The record cannot be used: %s.", why);
    else if (!good)
        health_say(l, "dkim.key", HEALTH_BAD, name, "Publish it again as `facteur dns` prints it; mind quotes and line breaks.",
                   "The record is not the one of our key: every signature fails.");
    else
        say_key(l, name, &key, answer.secure, shown);
    const int64_t days = (l->set->now_s - own->since_s) / DAY_S;
    if (own->state != HEALTH_KEY_ACTIVE || own->since_s <= 0 || rc != RC_OK)
        return;
    if (days > KEY_DAYS_MAX) {
        mark_key(shown, HEALTH_NOTE);
        health_say(l, "dkim.age", HEALTH_NOTE, name, "`facteur domain rotate-keys` makes new ones, and switches when the DNS shows them.",
                   "This key has signed for %lld days; keys that leak unseen do less harm when they are changed now and then.", (long long)days);
    } else {
        health_say(l, "dkim.age", HEALTH_GOOD, name, NULL, days > 1 ? "This key has signed for %lld days." : "This key is new.", (long long)days);
    }
}

/* What stands under a usual name: a key, one that was taken back, or something that is none. */
static bool look_at_found(struct look *l, struct view selector, const struct dns_question *q)
{
    struct view *texts;
    size_t n = 0;
    struct dkim_key key;
    const char *why;
    if (q->answer.status != DNS_OK || dns_texts(&q->answer, l->a, &texts, &n) != RC_OK || n == 0)
        return false;
    const enum rc rc = dkim_key_parse(texts[0], l->a, &key, &why);
    if (rc != RC_OK && rc != RC_NOTFOUND && view_find(texts[0], VIEW("p=")) == VIEW_NONE)
        return false; /* some other text: a wildcard, most often */
    struct health_key *shown = keep_key(l, selector, HEALTH_KEY_FOUND);
    if (!shown)
        return false;
    shown->published = rc == RC_OK;
    if (rc == RC_OK) {
        say_key(l, q->name, &key, q->answer.secure, shown);
    } else if (rc == RC_NOTFOUND) {
        mark_key(shown, HEALTH_NOTE);
        health_say(l, "dkim.revoked", HEALTH_NOTE, q->name, "Nothing must be done; remove the record once no message signed with it is on its way.",
                   "This key is revoked (p= is empty): signatures by it do not count.");
    } else {
        mark_key(shown, HEALTH_BAD);
        health_say(l, "dkim.key", HEALTH_BAD, q->name, "Publish the record again as your mail server prints it.", "The record cannot be used: %s.", why);
    }
    return rc == RC_OK;
}

static void try_usual_selectors(struct look *l)
{
    enum { N = sizeof usual_selectors / sizeof *usual_selectors };
    struct dns_question q[DNS_QUESTIONS_MAX];
    bool any = false;
    for (size_t from = 0; from < N; from += DNS_QUESTIONS_MAX) {
        size_t n = N - from < DNS_QUESTIONS_MAX ? N - from : DNS_QUESTIONS_MAX;
        for (size_t i = 0; i < n; i++)
            q[i] = (struct dns_question){.name = key_name(l, view_str(usual_selectors[from + i])), .type = DNS_TXT};
        dns_query_all(l->set->dns, q, n, l->deadline_ms, l->a);
        for (size_t i = 0; i < n; i++)
            any |= look_at_found(l, view_str(usual_selectors[from + i]), &q[i]);
    }
    if (any)
        return;
    /* A name with names below it exists, one without does not (RFC 8020). */
    const char *below = arena_printf(l->a, "_domainkey.%.*s", VIEW_FMT(l->out->domain));
    struct dns_answer answer;
    dns_query(l->set->dns, view_str(below ? below : ""), DNS_TXT, l->deadline_ms, l->a, &answer);
    if (health_unanswered(l, "dkim.key", l->out->domain, &answer))
        return;
    if (answer.status == DNS_NXDOMAIN)
        health_say(l, "dkim.key", HEALTH_BAD, l->out->domain, "Let your mail server make keys and sign, and publish what it prints.",
                   "There are no DKIM keys: nothing proves that its mail is its own.");
    else
        health_say(l, "dkim.key", HEALTH_NOTE, l->out->domain,
                   "Look at a message of the domain: `facteur check FILE` says whether its signature holds.",
                   "No key was found under the selectors that are usual; which ones it uses only its messages tell.");
}

void health_dkim(struct look *l)
{
    size_t active = 0;
    health_progress(l, "the DKIM keys of", l->out->domain);
    if (l->no_mail)
        return;
    for (size_t i = 0; i < l->set->n_selectors && i < HEALTH_SELECTORS_MAX; i++)
        active += l->set->selectors[i].state == HEALTH_KEY_ACTIVE;
    if (l->set->ours && active == 0)
        health_say(l, "dkim.key", HEALTH_BAD, l->out->domain, "`facteur domain rotate-keys` makes keys; `facteur dns` prints the records.",
                   "We have no DKIM key for it: our mail leaves unsigned.");
    for (size_t i = 0; i < l->set->n_selectors && i < HEALTH_SELECTORS_MAX && !health_is_over(l); i++)
        look_at_own_key(l, &l->set->selectors[i]);
    if (!l->set->ours)
        try_usual_selectors(l);
}

/* --- DMARC --- */

/* RFC 9990: reports to another domain need its consent. */
static void look_at_receiver(struct look *l, const char *id, const struct dmarc_verdict *v, const struct dmarc_uri *uri)
{
    struct dns_answer answer;
    struct view *texts;
    size_t at = view_rchr(uri->address, '@'), n;
    struct view where = at == VIEW_NONE ? (struct view){0} : view_from(uri->address, at + 1);
    struct view organization = v->organization.n > 0 ? v->organization : v->policy_domain;
    if (where.n == 0) {
        health_say(l, id, HEALTH_WARN, l->out->domain, "Write it as mailto:name@domain.", "\"%.*s\" is not an address to mail to.",
                   VIEW_FMT(uri->uri));
        return;
    }
    if (view_iends(where, organization) && (where.n == organization.n || where.p[where.n - organization.n - 1] == '.'))
        return;
    const char *name = arena_printf(l->a, "%.*s._report._dmarc.%.*s", VIEW_FMT(v->policy_domain), VIEW_FMT(where));
    dns_txt(l->set->dns, view_str(name ? name : ""), l->deadline_ms, l->a, &answer, &texts, &n);
    bool agrees = false;
    for (size_t i = 0; answer.status == DNS_OK && i < n; i++)
        agrees |= view_istarts(texts[i], VIEW("v=DMARC1"));
    if (!agrees && !health_unanswered(l, id, where, &answer))
        health_say_repair(l, id, HEALTH_WARN, where, "Have it publish: %.*s TXT \"v=DMARC1\".", view_str(name ? name : ""),
                          "It does not say that it takes reports about this domain: nobody will send them there.");
}

/* The names that receivers ask, and what they find (RFC 9989 §4.10: from the ninth label on straight to the last seven). */
static void show_walk(struct look *l, struct view policy_domain)
{
    struct health_dmarc_step **last = &l->out->dmarc;
    struct view name = l->out->domain;
    for (int i = 0; i < WALK_MAX && name.n > 0; i++) {
        struct health_dmarc_step *step = arena_new(l->a, struct health_dmarc_step);
        const char *owner = arena_printf(l->a, "_dmarc.%.*s", VIEW_FMT(name));
        struct dns_answer answer;
        struct view *texts;
        size_t n, labels = 1;
        if (!step || !owner) {
            l->rc = RC_TEMP;
            return;
        }
        *step = (struct health_dmarc_step){.name = view_str(owner)};
        dns_txt(l->set->dns, step->name, l->deadline_ms, l->a, &answer, &texts, &n);
        for (size_t k = 0; answer.status == DNS_OK && k < n; k++)
            if (dmarc_is_record(texts[k]) && step->n_records++ == 0)
                step->record = texts[k];
        step->used = step->n_records == 1 && view_ieq(name, policy_domain);
        *last = step;
        last = &step->next;
        for (size_t k = 0; k < name.n; k++)
            labels += name.p[k] == '.';
        for (size_t drop = labels > 8 ? labels - 7 : 1; drop > 0; drop--) {
            size_t dot = view_chr(name, '.');
            name = dot == VIEW_NONE ? VIEW("") : view_from(name, dot + 1);
        }
    }
}

/* Records of the domain itself that count as none, where somebody thinks to have one. */
static bool say_broken_records(struct look *l)
{
    const struct health_dmarc_step *own = l->out->dmarc;
    if (!own || own->used || own->n_records == 0)
        return false;
    if (own->n_records > 1)
        health_say(l, "dmarc.record", HEALTH_BAD, l->out->domain, "Leave one of them.", "There are %zu DMARC records at %.*s: together they count as none.",
                   own->n_records, VIEW_FMT(own->name));
    else
        health_say(l, "dmarc.record", HEALTH_BAD, l->out->domain, "Write it as \"v=DMARC1; p=none; rua=mailto:name@domain\": p= is one of none, quarantine, reject.",
                   "The DMARC record cannot be used, and counts as none: %.*s", VIEW_FMT(own->record));
    return true;
}

static void say_no_dmarc(struct look *l)
{
    const struct view domain = l->out->domain;
    health_say_repair(l, "dmarc.record", HEALTH_BAD, domain,
                      l->no_mail ? "Publish at _dmarc.%.*s the TXT record \"v=DMARC1; p=reject\": it takes no mail, and sends none most likely."
                                 : "Publish at _dmarc.%.*s the TXT record \"v=DMARC1; p=none; rua=mailto:...\", read the reports, then go on to p=reject.",
                      domain, "There is no DMARC record: nobody is told what to do with forged mail in its name.");
}

void health_dmarc(struct look *l)
{
    struct view domain = l->out->domain;
    const char *header = arena_printf(l->a, "From: <postmaster@%.*s>\r\n\r\n", VIEW_FMT(domain));
    const struct dmarc_settings set = {.method = DMARC_TREEWALK};
    const struct dmarc_facts facts = {.header = view_str(header ? header : "")};
    struct dmarc_verdict v;
    health_progress(l, "the DMARC policy of", domain);
    dmarc_check(l->set->dns, &set, &facts, l->deadline_ms, l->a, &v);
    const struct dns_answer answer = {.status = v.result == DMARC_TEMPERROR ? DNS_TEMP : DNS_OK, .why = "for the DMARC record"};
    if (health_unanswered(l, "dmarc.record", domain, &answer))
        return;
    show_walk(l, v.policy_domain);
    l->dmarc = v;
    const bool broken = say_broken_records(l);
    if (v.policy_domain.n == 0) {
        if (!broken && !l->gone)
            say_no_dmarc(l);
        return;
    }
    const struct dmarc_record *r = &v.record;
    health_say(l, "dmarc.record", HEALTH_GOOD, domain, NULL,
               view_eq(v.policy_domain, domain) ? "%.*s: %.*s" : "inherited from %.*s: %.*s", VIEW_FMT(v.policy_domain), VIEW_FMT(r->text));
    if (r->notes.n > 0 && view_ends(r->notes, VIEW("is of RFC 7489 and ignored")) && view_chr(r->notes, ';') == VIEW_NONE)
        health_say(l, "dmarc.syntax", HEALTH_NOTE, v.policy_domain, "Nothing must be done; it can go, since RFC 9989 no longer knows it.",
                   "Something in it is ignored: %.*s", VIEW_FMT(r->notes));
    else if (r->notes.n > 0)
        health_say_repair(l, "dmarc.syntax", HEALTH_WARN, v.policy_domain, "Correct that part of the TXT record at _dmarc.%.*s.", v.policy_domain,
                          "Something in it is ignored: %.*s", VIEW_FMT(r->notes));
    if (v.policy == DMARC_POLICY_NONE)
        health_say(l, "dmarc.policy", HEALTH_WARN, domain,
                   "When the reports show that all your own mail passes, go to p=quarantine and then p=reject.",
                   "The policy for this name is none: forged mail is delivered.");
    else
        health_say(l, "dmarc.policy", HEALTH_GOOD, domain, NULL,
                   v.policy == DMARC_POLICY_REJECT ? "Forged mail is to be rejected." : "Forged mail is to be put into the junk folder.");
    if (view_eq(v.policy_domain, domain) && r->has_sp && r->sp < v.policy)
        health_say(l, "dmarc.sub", HEALTH_WARN, domain, "Remove sp=, or make it as strict as p=.",
                   "Names below it have a weaker policy (sp=): mail forged in their names is delivered more easily.");
    if (r->test)
        health_say(l, "dmarc.test", HEALTH_NOTE, domain, "Remove t=y when you mean it.", "It says t=y, a test: the policy is not applied in full.");
    if (r->n_rua == 0)
        health_say(l, "dmarc.rua", HEALTH_WARN, domain, "Add rua=mailto:... to the record.",
                   "Nobody gets reports: you will not learn who sends in your name.");
    for (size_t i = 0; i < r->n_rua; i++)
        look_at_receiver(l, "dmarc.rua", &v, &r->rua[i]);
    for (size_t i = 0; i < r->n_ruf; i++)
        look_at_receiver(l, "dmarc.ruf", &v, &r->ruf[i]);
    if (r->n_ruf > 0)
        health_say(l, "dmarc.ruf", HEALTH_GOOD, domain, NULL, "Single messages that fail are asked for as well (ruf); few receivers send them.");
}
