/* What forbids others to send to the domain in clear or to the wrong host: MTA-STS (RFC 8461) and DANE (RFC 7672). */
#include <stdio.h>

#include "base/buf.h"
#include "fetch/fetch.h"
#include "health/health_impl.h"
#include "policy/dane.h"
#include "policy/mta_sts.h"

#define FETCH_MS  15000
#define AGE_MIN_S 86400 /* RFC 8461 §3.2 wants weeks */

/* --- MTA-STS --- */

/* The TXT record's id; false where there is none to go on with. */
static bool find_id(struct look *l, struct view *id)
{
    struct dns_answer answer;
    struct view *texts, found = {0}, domain = l->out->domain;
    size_t n, n_records = 0;
    const char *name = arena_printf(l->a, "_mta-sts.%.*s", VIEW_FMT(domain));
    dns_txt(l->set->dns, view_str(name ? name : ""), l->deadline_ms, l->a, &answer, &texts, &n);
    if (health_unanswered(l, "sts.record", domain, &answer))
        return false;
    for (size_t i = 0; answer.status == DNS_OK && i < n; i++)
        if (mta_sts_is_record(texts[i]) && n_records++ == 0)
            found = texts[i];
    if (n_records == 0)
        health_say(l, "sts.record", HEALTH_NOTE, domain,
                   l->set->ours ? "Listen for https, get a certificate for the host mta-sts below the domain, and publish what `facteur dns` prints."
                                : "Publish a TXT record at _mta-sts and serve a policy by HTTPS at the host mta-sts below the domain (RFC 8461); begin with mode testing.",
                   "There is no MTA-STS policy: whoever sits between can strip the encryption of mail to it.");
    else if (n_records > 1)
        health_say(l, "sts.record", HEALTH_BAD, domain, "Leave one of them.", "There are %zu MTA-STS records; they count as none.", n_records);
    else if (mta_sts_record_parse(found, id) != RC_OK)
        health_say(l, "sts.record", HEALTH_BAD, domain, "Write it as \"v=STSv1; id=2026112200;\".", "The MTA-STS record cannot be read: %.*s", VIEW_FMT(found));
    else
        return true;
    return false;
}

static const char *fetch_repair(enum fetch_fault fault)
{
    switch (fault) {
    case FETCH_UNTRUSTED: return "Get a certificate for exactly this name from a public authority.";
    case FETCH_REFUSED: return "Serve the file itself at /.well-known/mta-sts.txt: no redirect, status 200.";
    case FETCH_TYPE: return "Serve it as text/plain.";
    case FETCH_TOO_LONG: return "A policy has a few lines; serve those alone.";
    default: return "See that a web server answers at port 443 of this name.";
    }
}

static bool fetch_policy(struct look *l, struct view host, struct buf *file)
{
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    char why[FETCH_WHY_MAX];
    const char *name = arena_cstr(l->a, host);
    dns_addrs(l->set->dns, host, l->set->https_port, l->deadline_ms, l->a, &answer, &addrs, &n);
    if (health_unanswered(l, "sts.fetch", host, &answer))
        return false;
    if (n == 0) {
        health_say(l, "sts.fetch", HEALTH_BAD, host, "Point it to the web server that has the policy (A, AAAA or CNAME).",
                   "The MTA-STS record is there, but this host has no address: the policy cannot be fetched.");
        return false;
    }
    for (size_t i = 0; l->set->public_only && i < n; i++)
        if (!addr_is_public(&addrs[i])) {
            health_say(l, "sts.fetch", HEALTH_BAD, host, "Publish an address that the Internet can reach.",
                       "This host has a private or local address: nobody outside can fetch the policy.");
            return false;
        }
    const struct fetch_request r = {.host = name,
                                    .port = l->set->https_port,
                                    .path = "/.well-known/mta-sts.txt",
                                    .type = "text/plain",
                                    .addrs = addrs,
                                    .n_addrs = n,
                                    .trust = l->set->trust,
                                    .deadline_ms = health_deadline(l, FETCH_MS)};
    enum fetch_fault fault = name ? fetch_get(&r, file, why) : FETCH_UNREACHABLE;
    if (fault != FETCH_OK)
        health_say(l, "sts.fetch", HEALTH_BAD, host, fetch_repair(fault), "The policy cannot be fetched: %s", why);
    return fault == FETCH_OK;
}

/* RFC 8461 §4.2: what each address served when it was met. */
static void judge_certificates(struct look *l, const struct mta_sts_policy *p)
{
    for (size_t i = 0; i < l->n_hosts; i++)
        for (size_t k = 0; k < l->hosts[i].shown->n_seen; k++) {
            const struct health_seen *s = &l->hosts[i].shown->seen[k];
            if (!s->answers || s->valid || !mta_sts_policy_allows(p, l->hosts[i].name))
                continue;
            health_say(l, "sts.certificate", p->mode == MTA_STS_ENFORCE ? HEALTH_BAD : HEALTH_WARN, l->hosts[i].name,
                       "See what is said of its STARTTLS and certificate; go back to mode testing until that is mended.",
                       p->mode == MTA_STS_ENFORCE ? "At %.*s it has no certificate that holds (%.*s): senders that keep to the policy do not deliver."
                                                  : "At %.*s it has no certificate that holds (%.*s): in mode enforce senders would not deliver.",
                       VIEW_FMT(s->address), VIEW_FMT(s->why.n > 0 ? s->why : VIEW("no TLS")));
        }
}

static void judge_policy(struct look *l, const struct mta_sts_policy *p, struct view id)
{
    struct view domain = l->out->domain;
    bool all = true;
    for (size_t i = 0; i < l->n_hosts; i++) {
        if (p->mode == MTA_STS_NONE || mta_sts_policy_allows(p, l->hosts[i].name))
            continue;
        all = false;
        health_say(l, "sts.mx", HEALTH_BAD, l->hosts[i].name, "Add it to the policy (and change the id in the record), or remove the MX record.",
                   p->mode == MTA_STS_ENFORCE ? "The policy does not name this MX host: others do not deliver to it."
                                              : "The policy does not name this MX host: in mode enforce others would not deliver to it.");
    }
    if (p->mode != MTA_STS_NONE)
        judge_certificates(l, p);
    if (p->mode == MTA_STS_ENFORCE)
        health_say(l, "sts.mode", HEALTH_GOOD, domain, NULL, "Others must use verified TLS (mode enforce, id %.*s).", VIEW_FMT(id));
    else if (p->mode == MTA_STS_TESTING)
        health_say_repair(l, "sts.mode", HEALTH_NOTE, domain,
                          l->set->ours ? "`facteur domain mta-sts %.*s` says when TLS reports show that enforce is safe."
                                       : "When TLS reports of %.*s show no failures for two weeks, go to mode enforce.",
                          domain, "The policy is in mode testing (id %.*s): failures are reported, but mail still goes.", VIEW_FMT(id));
    else
        health_say(l, "sts.mode", HEALTH_NOTE, domain, "Go to mode testing when you want it.", "The policy is withdrawn (mode none).");
    if (p->max_age_s < AGE_MIN_S)
        health_say(l, "sts.age", HEALTH_WARN, domain, "Use at least 604800 (a week).",
                   "max_age is %lld seconds: others forget the policy before they need it.", (long long)p->max_age_s);
    if (all && p->mode != MTA_STS_NONE && l->n_hosts > 0)
        health_say(l, "sts.mx", HEALTH_GOOD, domain, NULL, "The policy names every MX host.");
}

void health_sts(struct look *l)
{
    struct view id, host;
    struct mta_sts_policy policy;
    struct buf file;
    if (l->no_mail || !find_id(l, &id))
        return;
    const char *name = arena_printf(l->a, "mta-sts.%.*s", VIEW_FMT(l->out->domain));
    if (!name || !l->set->trust || !l->set->connect)
        return;
    host = view_str(name);
    health_progress(l, "fetching the policy of", host);
    buf_init(&file, MTA_STS_POLICY_MAX);
    if (fetch_policy(l, host, &file)) {
        enum rc rc = mta_sts_policy_parse(buf_view(&file), l->a, &policy);
        if (rc == RC_OK)
            judge_policy(l, &policy, id);
        else
            health_say(l, "sts.policy", HEALTH_BAD, host, "Write version, mode, mx and max_age, a line each (RFC 8461 \xc2\xa7""3.2).",
                       "The policy file cannot be read: to others there is no policy.");
    }
    buf_clear(&file);
}

/* --- DANE --- */

void health_dane(struct look *l)
{
    for (size_t i = 0; i < l->n_hosts; i++) {
        const struct look_host *h = &l->hosts[i];
        struct dns_answer addrs;
        struct addr *list;
        size_t n;
        struct dane dane;
        dns_addrs(l->set->dns, h->name, l->set->port, l->deadline_ms, l->a, &addrs, &list, &n);
        if (dane_look_up(l->set->dns, h->name, l->set->port, &addrs, l->deadline_ms, l->a, &dane) != RC_OK) {
            l->rc = RC_TEMP;
            return;
        }
        switch (dane.verdict) {
        case DANE_NONE:
            health_say(l, "dane.tlsa", HEALTH_NOTE, h->name,
                       h->secure ? "Publish TLSA records of its key (usage 3, selector 1, matching 1)." : "Sign the host's zone first, then publish TLSA records.",
                       "It has no TLSA records that DNSSEC proves: senders that use DANE cannot check it.");
            break;
        case DANE_USABLE:
            health_say(l, "dane.tlsa", HEALTH_GOOD, h->name, NULL, "TLSA records, proven by DNSSEC: %zu.", dane.n);
            if (dane.n > 1)
                health_say(l, "dane.rollover", HEALTH_GOOD, h->name, NULL, "There is more than one TLSA record: keys can be changed without a gap.");
            else
                health_say(l, "dane.rollover", HEALTH_NOTE, h->name,
                           "Publish a second record of the next key, or of the authority (usage 2), so that a change of keys leaves no gap.",
                           "There is one TLSA record only.");
            health_dane_served(l, h);
            break;
        case DANE_UNUSABLE:
            health_say(l, "dane.tlsa", HEALTH_WARN, h->name, "Publish records of usage 3 (or 2), selector 1, matching 1.",
                       "Its TLSA records cannot be used for mail (RFC 7672 \xc2\xa7""3.1).");
            break;
        case DANE_TEMP:
            health_say(l, "dane.tlsa", HEALTH_BAD, h->name, "Mend the zone's signatures or its name servers: senders that use DANE do not deliver now.",
                       "Its TLSA records cannot be told: %s.", dane.why ? dane.why : "no reason is known");
            break;
        }
    }
}
