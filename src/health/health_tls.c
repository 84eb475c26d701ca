/* The MX hosts as a sending server meets them: greeting, STARTTLS (RFC 3207), certificate; and where failures are reported to
 * (TLS-RPT, RFC 8460). With DANE also whether the certificate is one that the TLSA records mean (RFC 7672). */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/health_impl.h"
#include "policy/tlsrpt_record.h"
#include "smtp/client.h"

#define DAY_S                86400
#define CERTIFICATE_DAYS_MIN 14

/* What to do about a certificate that does not hold, by what is wrong with it. */
static const char *certificate_repair(enum tls_fault fault)
{
    switch (fault) {
    case TLS_FAULT_EXPIRED: return "Renew it now, and find out why it was not renewed by itself; if its dates are right, set the clock of the server.";
    case TLS_FAULT_NAME: return "Get a certificate that has the MX host's name among its DNS names.";
    case TLS_FAULT_UNTRUSTED:
        return "Get a certificate from a public authority (Let's Encrypt is free), and serve its whole chain: the intermediate certificates too.";
    default: return "Get a certificate for exactly this name from a public authority (Let's Encrypt is free), and renew it by itself.";
    }
}

/* Days that are over count from the first: one that expired an hour ago has -1. */
static int64_t days_until(int64_t then_s, int64_t now_s)
{
    return then_s >= now_s ? (then_s - now_s) / DAY_S : -((now_s - then_s + DAY_S - 1) / DAY_S);
}

/* The certificate as a verifying sender judges it (RFC 8461 §4.1, RFC 9525). */
static void say_certificate(struct look *l, const struct look_host *host, const struct tls_info *tls, enum tls_fault fault, struct health_seen *seen)
{
    struct health_point **point = l->last;
    if (!l->set->trust)
        return;
    seen->valid = tls->peer_verified;
    seen->has_days = tls->peer_expires_s > 0;
    seen->days = seen->has_days ? days_until(tls->peer_expires_s, l->set->now_s) : 0;
    if (!tls->peer_verified) {
        if (view_dup(l->a, view_str(tls->peer_error), &seen->why) != RC_OK)
            l->rc = RC_TEMP;
        health_say(l, "tls.certificate", HEALTH_WARN, host->name, certificate_repair(fault),
                   "Its certificate would not be accepted by senders that look (MTA-STS): %s.", tls->peer_error);
    } else if (seen->has_days && seen->days < CERTIFICATE_DAYS_MIN) {
        health_say(l, "tls.certificate", HEALTH_WARN, host->name, "Renew it now, and find out why it was not renewed by itself.",
                   "Its certificate is good, but expires soon; days left: %lld.", (long long)seen->days);
    } else {
        health_say(l, "tls.certificate", HEALTH_GOOD, host->name, NULL, "Its certificate is good for another %lld days.", (long long)seen->days);
    }
    if (*point) {
        (*point)->has_days = seen->has_days;
        (*point)->days = seen->days;
        (*point)->valid = seen->valid;
    }
}

/* Nobody there, or nobody who wants to talk with us: each has another cure. */
static void say_unreached(struct look *l, const struct look_host *host, const struct addr *addr, const char *ip, const struct smtp_client_reply *why)
{
    const enum health_mark mark = addr_is_ipv6(addr) && l->n_ipv4 > 0 ? HEALTH_WARN : HEALTH_BAD;
    if (why->code >= 400)
        health_say(l, "tls.connect", mark, host->name,
                   "See in its settings and blocklists why it refuses this address; others may be let in. If it is to take no mail, name it in no MX record.",
                   "%s refuses to talk with us: %s", ip, why->text);
    else if (why->code > 0)
        health_say(l, "tls.connect", mark, host->name, "See what listens at port 25 there: it does not speak SMTP as it should (RFC 5321 \xc2\xa7""4.2).",
                   "%s does not answer as a mail server: %s", ip, why->text);
    else if (strcmp(why->status, "4.4.1") == 0 && addr_is_ipv6(addr) && !l->has_ipv6)
        health_say(l, "tls.connect", HEALTH_UNKNOWN, host->name, "Look again from a machine with IPv6.",
                   "%s cannot be reached, as no IPv6 address could: this machine seems to have no IPv6 (%s).", ip, why->text);
    else if (strcmp(why->status, "4.4.1") == 0)
        health_say(l, "tls.connect", mark, host->name,
                   "See that the server runs, that port 25 is open in every firewall, and that the address is right.",
                   "No connection to port 25 of %s: %s", ip, why->text);
    else
        health_say(l, "tls.connect", mark, host->name, "See what listens at port 25 there, and what it waits for before it greets (its own look-ups in the DNS, most often).",
                   "%s takes the connection, but does not answer as a mail server: %s", ip, why->text);
}

static void say_greeting(struct look *l, const struct look_host *host, const char *ip, int64_t ms)
{
    if (ms >= HEALTH_SLOW_MS)
        health_say(l, "tls.greeting", HEALTH_WARN, host->name,
                   "Find out what it waits for: look-ups in the DNS that fail, or a delay that is set on purpose, which five seconds of are enough.",
                   "%s is slow: it took %lld seconds until TLS was there; some senders give up.", ip, (long long)(ms / 1000));
}

static void keep_leaf(struct look *l, const struct look_host *host, const struct conn *c)
{
    struct conn_certificate chain[CONN_CHAIN_MAX];
    struct health_host *h = host->shown;
    if (conn_look_chain(c, chain) == 0)
        return;
    h->has_leaf = conn_look_leaf(c, l->a, &h->leaf);
    h->key = chain[0].key;
    h->bits = chain[0].bits;
    if (!h->has_leaf)
        l->rc = RC_TEMP;
}

/* A host that hangs holds a look no longer than this, nor than its end. */
static struct smtp_client_settings times_of(const struct look *l, int64_t greeting_ms)
{
    const int64_t left_ms = l->deadline_ms - clock_mono_ms(), least_ms = left_ms > 1 ? left_ms : 1;
    const int64_t each_ms = HEALTH_CONNECT_MS < least_ms ? HEALTH_CONNECT_MS : least_ms;
    return (struct smtp_client_settings){.hostname = l->set->hostname, .connect_ms = each_ms, .mail_ms = each_ms,
                                         .greeting_ms = greeting_ms < least_ms ? greeting_ms : least_ms};
}

/* One address. True: TLS is spoken there; *has_1_3 by it. */
static bool talk(struct look *l, const struct look_host *host, const struct addr *addr, bool *has_1_3)
{
    const struct health_settings *set = l->set;
    const struct smtp_client_settings client = times_of(l, HEALTH_GREETING_MS);
    const char *name = arena_cstr(l->a, host->name);
    struct smtp_client_tls_report report = {0};
    struct smtp_client_target to = {.addr = addr,
                                    .bind = addr_is_ipv6(addr) ? set->bind6 : set->bind4,
                                    .host = name,
                                    .level = SMTP_TLS_OPPORTUNISTIC,
                                    .report = &report,
                                    .tls = set->trust};
    struct health_seen *seen = &host->shown->seen[host->shown->n_seen++];
    struct smtp_client_reply why = {0};
    struct smtp_client *c = NULL;
    struct tls_info tls;
    char ip[ADDR_TEXT_MAX];
    bool has_tls = false;
    *seen = (struct health_seen){0};
    addr_write_ip(addr, ip);
    if (!name || view_dup(l->a, view_str(ip), &seen->address) != RC_OK) {
        l->rc = RC_TEMP;
        return false;
    }
    const int64_t began_ms = clock_mono_ms();
    enum rc rc = smtp_client_open(&client, &to, &c, &why);
    seen->answers = rc == RC_OK || rc == RC_DENIED;
    if (rc == RC_DENIED) {
        health_say(l, "tls.starttls", HEALTH_BAD, host->name, "Look at the server's TLS settings: versions (1.2 and 1.3), certificate and key.",
                   "%s offers STARTTLS, but the handshake fails: %s", ip, why.text);
        return false;
    }
    if (rc != RC_OK) {
        say_unreached(l, host, addr, ip, &why);
        return false;
    }
    say_greeting(l, host, ip, clock_mono_ms() - began_ms);
    if (!conn_tls(smtp_client_conn(c), &tls)) {
        health_say(l, "tls.starttls", HEALTH_BAD, host->name, "Switch STARTTLS on for port 25, with a certificate.",
                   "%s does not offer STARTTLS: all mail to it can be read on the way.", ip);
    } else {
        has_tls = true;
        health_say(l, "tls.starttls", HEALTH_GOOD, host->name, NULL, "%s answers and offers STARTTLS (%s, %s).", ip, tls.version, tls.cipher);
        *has_1_3 = view_eq(view_str(tls.version), VIEW("TLSv1.3"));
        if (view_dup(l->a, view_str(tls.version), &seen->tls) != RC_OK || view_dup(l->a, view_str(tls.cipher), &seen->cipher) != RC_OK)
            l->rc = RC_TEMP;
        l->at = seen->address;
        say_certificate(l, host, &tls, report.fault, seen);
        health_certificates(l, host, smtp_client_conn(c));
        l->at = (struct view){0};
        if (!host->shown->has_leaf)
            keep_leaf(l, host, smtp_client_conn(c));
    }
    smtp_client_close(c, true);
    return has_tls;
}

/* One address against the TLSA records, as a sender with DANE judges it (RFC 7672 §3). False: nobody answered there. */
static bool compare(struct look *l, const struct look_host *host, size_t which, const struct smtp_client_proof *proof, unsigned *fits)
{
    const struct health_settings *set = l->set;
    const struct smtp_client_settings client = times_of(l, HEALTH_CONNECT_MS);
    const struct addr *addr = &host->addrs[which];
    struct health_seen *seen = &host->shown->seen[which];
    struct smtp_client_tls_report report;
    struct smtp_client_reply why = {0};
    struct smtp_client *c = NULL;
    char ip[ADDR_TEXT_MAX];
    const struct smtp_client_target to = {.addr = addr,
                                          .bind = addr_is_ipv6(addr) ? set->bind6 : set->bind4,
                                          .host = proof->server_name,
                                          .level = SMTP_TLS_VERIFIED,
                                          .proof = *proof,
                                          .report = &report,
                                          .tls = set->trust};
    addr_write_ip(addr, ip);
    enum rc rc = smtp_client_open(&client, &to, &c, &why);
    smtp_client_close(c, true);
    *fits += rc == RC_OK;
    seen->dane = rc == RC_OK ? HEALTH_DANE_FITS : HEALTH_DANE_NONE;
    if (rc == RC_OK || report.stage == SMTP_TLS_UNKNOWN || report.stage == SMTP_TLS_DONE)
        return rc == RC_OK;
    seen->dane = HEALTH_DANE_FAILS;
    if (report.stage == SMTP_TLS_FAILED && report.fault != TLS_FAULT_HANDSHAKE)
        health_say(l, "dane.match", HEALTH_BAD, host->name,
                   set->ours ? "Publish what `facteur dns` prints now; when keys change, the new record first and the old one away last."
                             : "Publish a TLSA record of the key that is served; when keys change, the new record first and the old one away last.",
                   "The certificate at %s fits none of its TLSA records (%s): senders that use DANE do not deliver.", ip, report.reason);
    else
        health_say(l, "dane.match", HEALTH_BAD, host->name, "Mend STARTTLS, or take the TLSA records away until it works.",
                   "It has TLSA records, but no TLS at %s (%s): senders that use DANE do not deliver.", ip, report.reason);
    return true;
}

/* The proof that deliveries would ask for. */
static const struct smtp_client_proof *find_proof(const struct look *l, struct view host)
{
    for (size_t i = 0; i < l->sending.n_hosts; i++)
        if (view_ieq(l->sending.hosts[i].name, host) && l->sending.hosts[i].proof.n_records > 0)
            return &l->sending.hosts[i].proof;
    return NULL;
}

void health_dane_served(struct look *l, const struct look_host *host)
{
    const struct smtp_client_proof *proof = find_proof(l, host->name);
    unsigned tried = 0, fits = 0;
    if (!l->set->connect || !l->set->trust || !proof)
        return;
    health_progress(l, "comparing with its TLSA records", host->name);
    for (size_t i = 0; i < host->n_addrs && i < host->shown->n_seen && !health_is_over(l); i++)
        if (host->shown->seen[i].answers)
            tried += compare(l, host, i, proof, &fits);
    if (tried > 0 && fits == tried)
        health_say(l, "dane.match", HEALTH_GOOD, host->name, NULL, "The certificate that it serves fits them.");
}

void health_sending(struct look *l)
{
    struct health_sending *s = &l->sending;
    if (!l->set->decide || l->no_mail)
        return;
    health_progress(l, "how mail would be sent to", l->out->domain);
    if (l->set->decide(l->set->decide_ctx, l->out->domain, l->deadline_ms, l->a, s) != RC_OK) {
        l->rc = RC_TEMP;
        return;
    }
    if (!s->possible) {
        health_say(l, "send.route", HEALTH_BAD, l->out->domain, "See what is said of its MX records and hosts.",
                   "A sender like us would not know where to deliver: %s.", s->why);
        return;
    }
    for (size_t i = 0; i < s->n_hosts && i < HEALTH_HOSTS_MAX; i++) {
        const struct health_sending_host *h = &s->hosts[i];
        if (h->barred && !h->only_told)
            health_say(l, "send.host", HEALTH_BAD, h->name, "Make records, policy and host say the same again.",
                       "A sender like us would not deliver to it: %s.", h->barred);
        else if (h->barred)
            health_say(l, "send.host", HEALTH_WARN, h->name, "Make records, policy and host say the same again, before the policy is enforced.",
                       "A sender like us would deliver to it for now, and report: %s.", h->barred);
        else
            health_say(l, "send.host", HEALTH_GOOD, h->name, NULL, "A sender like us would deliver to it so: %s.", h->why);
    }
}

/* Whether IPv6 leads anywhere from here: a route is enough to tell. */
static bool has_ipv6(void)
{
    struct addr far;
    const int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool ok = s >= 0 && addr_parse_ip(VIEW("2001:500:2f::f"), 53, &far) == RC_OK && connect(s, (const struct sockaddr *)&far.ss, far.len) == 0;
    if (s >= 0)
        close(s);
    return ok;
}

static void look_at_tls(struct look *l, const struct look_host *host)
{
    struct health_point **from = l->last;
    size_t spoken = 0;
    health_progress(l, "connecting to", host->name);
    l->n_ipv4 = 0;
    for (size_t i = 0; i < host->n_addrs; i++)
        l->n_ipv4 += !addr_is_ipv6(&host->addrs[i]);
    for (size_t i = 0; i < host->n_addrs && i < HEALTH_ADDRS_MAX && !health_is_over(l); i++) {
        bool has_1_3 = false;
        if (!talk(l, host, &host->addrs[i], &has_1_3))
            continue;
        spoken++;
        l->at = host->shown->seen[host->shown->n_seen - 1].address;
        if (l->set->trust)
            health_probe(l, host, &host->addrs[i], has_1_3);
        l->at = (struct view){0};
    }
    health_merge(l, from, spoken);
    if (host->n_addrs > HEALTH_ADDRS_MAX)
        health_say(l, "tls.more", HEALTH_NOTE, host->name, "Nothing must be done; look at the others with a list of addresses of your own.",
                   "It has %zu addresses, of which the first %d were connected to.", host->n_addrs, HEALTH_ADDRS_MAX);
}

void health_tls(struct look *l)
{
    l->has_ipv6 = has_ipv6();
    for (size_t i = 0; l->set->connect && i < l->n_hosts && !health_is_over(l); i++)
        look_at_tls(l, &l->hosts[i]);
}

/* RFC 8460 §3. */
void health_tlsrpt(struct look *l)
{
    struct dns_answer answer;
    struct view *texts, found = {0};
    struct tlsrpt_record record;
    size_t n, n_records = 0;
    const char *name = arena_printf(l->a, "_smtp._tls.%.*s", VIEW_FMT(l->out->domain));
    if (l->no_mail || !name)
        return;
    dns_txt(l->set->dns, view_str(name), l->deadline_ms, l->a, &answer, &texts, &n);
    if (health_unanswered(l, "tlsrpt.record", l->out->domain, &answer))
        return;
    for (size_t i = 0; answer.status == DNS_OK && i < n; i++)
        if (tlsrpt_is_record(texts[i])) {
            found = texts[i];
            n_records++;
        }
    if (n_records == 0)
        health_say(l, "tlsrpt.record", HEALTH_NOTE, l->out->domain,
                   "Publish at _smtp._tls the TXT record \"v=TLSRPTv1; rua=mailto:...\".",
                   "There is no TLS-RPT record: nobody tells you when encryption on the way to you fails.");
    else if (n_records > 1)
        health_say(l, "tlsrpt.record", HEALTH_WARN, l->out->domain, "Leave one record, with rua=.",
                   "There are several TLS-RPT records; they count as none.");
    else if (tlsrpt_record_parse(found, &record) == RC_OK)
        health_say(l, "tlsrpt.record", HEALTH_GOOD, l->out->domain, NULL, "%.*s", VIEW_FMT(found));
    else
        health_say(l, "tlsrpt.record", HEALTH_WARN, l->out->domain, "Make it \"v=TLSRPTv1; rua=mailto:...\", addresses parted by commas.",
                   "The TLS-RPT record cannot be read, or names no address (rua), so nobody reports: %.*s", VIEW_FMT(found));
}
