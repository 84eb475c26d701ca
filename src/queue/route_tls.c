/* queue/route, second part: the TLS that a host must have. */
#include "policy/dane.h"
#include "queue/route_impl.h"

/* --- what is said of the hop --- */

static bool is_meant(struct view pattern, struct view hop)
{
    if (view_take(&pattern, VIEW("*"))) /* "*.example.org": all below; "*": everybody */
        return view_iends(hop, pattern) && hop.n > pattern.n;
    return view_ieq(pattern, hop);
}

static const struct queue_destination *find_own(const struct routing *r)
{
    for (size_t i = 0; i < r->set->n_destinations; i++)
        if (is_meant(view_str(r->set->destinations[i].domain), r->ask->hop))
            return &r->set->destinations[i];
    return NULL;
}

/* Elements of policies as TLS-RPT shows them: a line each, without line ends of the file. */
static struct view policy_lines(struct view file, struct arena *a)
{
    struct buf b;
    struct view line, out = {0};
    buf_init(&b, MTA_STS_POLICY_MAX);
    while (file.n > 0) {
        view_split(&file, '\n', &line);
        line = view_trim(line);
        if (line.n > 0 && b.n > 0)
            buf_chr(&b, '\n');
        buf_add(&b, line);
    }
    if (buf_rc(&b) != RC_OK || view_dup(a, buf_view(&b), &out) != RC_OK)
        out = VIEW("");
    buf_clear(&b);
    return out;
}

static struct view join_lines(const struct view *v, size_t n, struct arena *a)
{
    struct buf b;
    struct view out = {0};
    buf_init(&b, 1u << 20);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_chr(&b, '\n');
        buf_add(&b, v[i]);
    }
    if (buf_rc(&b) != RC_OK || view_dup(a, buf_view(&b), &out) != RC_OK)
        out = VIEW("");
    buf_clear(&b);
    return out;
}

static bool ignores_policies(const struct routing *r)
{
    return r->own && r->own->tls != DESTINATION_PUBLISHED;
}

enum rc route_tls_begin(struct routing *r)
{
    r->own = find_own(r);
    r->out->reported = r->ask->wish != ROUTE_TLS_OPTIONAL && !ignores_policies(r);
    if (!r->set->sts || ignores_policies(r) || r->ask->wish == ROUTE_TLS_OPTIONAL)
        return RC_OK;
    enum rc rc = sts_look_up(r->set->sts, r->ask->hop, r->ask->deadline_ms, r->a, &r->sts);
    if (rc != RC_OK)
        return RC_TEMP;
    if (r->sts.found)
        r->out->sts_policy = (struct route_policy){TLSRPT_STS, policy_lines(r->sts.text, r->a), join_lines(r->sts.policy.mx, r->sts.policy.n_mx, r->a)};
    r->out->sts_policy.type = TLSRPT_STS;
    r->out->sts_fault = r->sts.fault;
    r->out->sts_why = r->sts.why;
    return RC_OK;
}

/* --- what is said of one host --- */

static void bar(struct route_host *host, const char *status, enum tlsrpt_result result, const char *why)
{
    host->barred = why ? why : "no memory";
    host->barred_status = status;
    host->barred_result = result;
    host->only_told = false;
}

static void demand(struct route_host *host, enum smtp_client_tls level, const char *why)
{
    host->level = level;
    host->why = why ? why : "";
}

static void ask_own(struct routing *r, struct route_host *host)
{
    const struct queue_destination *own = r->own;
    bool allowed = own->n_mx == 0;
    for (size_t i = 0; i < own->n_mx && !allowed; i++)
        allowed = mta_sts_pattern_matches(view_str(own->mx[i]), host->name);
    if (!allowed)
        bar(host, "4.7.5", TLSRPT_SUCCESS, "it is not one of the hosts that our configuration allows for this destination");
    host->proof.records = own->records;
    host->proof.n_records = own->n_records;
    switch (own->tls) {
    case DESTINATION_REQUIRED:  demand(host, SMTP_TLS_VERIFIED, "our configuration requires verified TLS for this destination"); break;
    case DESTINATION_ENCRYPTED: demand(host, SMTP_TLS_ENCRYPTED, "our configuration requires TLS for this destination"); break;
    case DESTINATION_LEGACY:
        host->proof.old_versions = true;
        demand(host, SMTP_TLS_OPPORTUNISTIC, "TLS when offered, old versions too, as our configuration says");
        break;
    case DESTINATION_OPTIONAL:
    case DESTINATION_PUBLISHED: demand(host, SMTP_TLS_OPPORTUNISTIC, "TLS when offered, as our configuration says"); break;
    }
}

/* RFC 7672 §3.2.2: the base domain first (it is the one for SNI), then the hop, and where its alias led. */
static enum rc name_records(struct routing *r, struct route_host *host, const struct dane *d)
{
    const struct view further[] = {r->ask->hop, r->mx_canonical, host->name};
    const char **names = arena_new_array(r->a, 3, const char *);
    host->proof.server_name = arena_cstr(r->a, d->base);
    host->proof.names = names;
    if (!names || !host->proof.server_name)
        return RC_TEMP;
    for (size_t i = 0; i < 3; i++) {
        if (further[i].n == 0 || view_ieq(further[i], d->base))
            continue;
        names[host->proof.n_names] = arena_cstr(r->a, further[i]);
        if (!names[host->proof.n_names++])
            return RC_TEMP;
    }
    return RC_OK;
}

/* *done: DANE has spoken, and nobody else is asked. */
static enum rc ask_dane(struct routing *r, struct route_host *host, const struct dns_answer *addrs, bool *done)
{
    struct dane d;
    enum rc rc = dane_look_up(r->ask->dns, host->name, r->set->port, addrs, r->ask->deadline_ms, r->a, &d);
    if (rc != RC_OK)
        return rc;
    *done = d.verdict != DANE_NONE;
    if (*done)
        host->policy = (struct route_policy){.type = TLSRPT_TLSA, .text = join_lines(d.texts, d.n_texts, r->a), .mx = d.base};
    switch (d.verdict) {
    case DANE_NONE: return RC_OK;
    case DANE_TEMP: bar(host, d.bogus ? "4.7.5" : "4.4.3", TLSRPT_DNSSEC_INVALID, d.why); return RC_OK;
    case DANE_UNUSABLE: demand(host, SMTP_TLS_ENCRYPTED, "its TLSA records (DANE) require TLS, but none of them can be used"); return RC_OK;
    case DANE_USABLE: break;
    }
    host->proof.records = d.records;
    host->proof.n_records = d.n;
    demand(host, SMTP_TLS_VERIFIED, "its TLSA records (DANE) require a certificate that fits them");
    return name_records(r, host, &d);
}

static void ask_sts(struct routing *r, struct route_host *host)
{
    bool enforce = r->sts.policy.mode == MTA_STS_ENFORCE;
    host->policy = r->out->sts_policy;
    if (!mta_sts_policy_allows(&r->sts.policy, host->name)) {
        bar(host, "4.7.5", TLSRPT_VALIDATION_FAILURE, "the domain's MTA-STS policy does not list this mail host");
        host->only_told = !enforce;
    }
    if (enforce)
        demand(host, SMTP_TLS_VERIFIED, "the domain's MTA-STS policy (enforce) requires TLS with a valid certificate for this host");
    else
        demand(host, SMTP_TLS_OPPORTUNISTIC, "TLS when offered; the domain's MTA-STS policy is in testing mode");
}

/* RFC 8689 §4.2.1: steps 2 and 4. */
static void raise_to_required(struct routing *r, struct route_host *host)
{
    bool sts_allows = r->sts.found && r->sts.policy.mode != MTA_STS_NONE && mta_sts_policy_allows(&r->sts.policy, host->name);
    bool own_requires = r->own && r->own->tls == DESTINATION_REQUIRED;
    if (host->barred && !host->only_told)
        return;
    if (!r->mx_secure && !r->mx_direct && !sts_allows && !own_requires) {
        bar(host, "5.7.10", TLSRPT_SUCCESS,
            "the sender demands TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS proves that this is a mail host of the domain");
        return;
    }
    if (host->level != SMTP_TLS_VERIFIED)
        demand(host, SMTP_TLS_VERIFIED, "the sender demands TLS with a valid certificate (REQUIRETLS)");
}

enum rc route_tls_host(struct routing *r, struct route_host *host, const struct dns_answer *addrs)
{
    bool done = false;
    demand(host, SMTP_TLS_OPPORTUNISTIC, "TLS when offered");
    if (ignores_policies(r)) {
        ask_own(r, host);
    } else if (r->ask->wish == ROUTE_TLS_OPTIONAL) {
        demand(host, SMTP_TLS_OPPORTUNISTIC, "TLS when offered, as the message asks (TLS-Required: No)");
    } else {
        enum rc rc = r->mx_secure ? ask_dane(r, host, addrs, &done) : RC_OK;
        if (rc != RC_OK)
            return rc;
        if (!done && r->sts.found && r->sts.policy.mode != MTA_STS_NONE)
            ask_sts(r, host);
    }
    if (r->ask->wish == ROUTE_TLS_REQUIRED)
        raise_to_required(r, host);
    return RC_OK;
}
