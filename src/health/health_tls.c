/* The MX hosts as a sending server meets them: greeting, STARTTLS (RFC 3207), certificate; and where failures are reported to
 * (TLS-RPT, RFC 8460). With DANE also whether the certificate is one that the TLSA records mean (RFC 7672). */
#include <stdio.h>
#include <time.h>

#include "health/health_impl.h"
#include "policy/tlsrpt_record.h"
#include "smtp/client.h"

#define DAY_S 86400

/* The certificate as a verifying sender judges it (RFC 8461 §4.1, RFC 9525). */
static void say_certificate(struct look *l, const struct look_host *host, const struct tls_info *tls)
{
    int64_t days = (tls->peer_expires_s - l->set->now_s) / DAY_S;
    if (!l->set->trust)
        return;
    if (!tls->peer_verified)
        health_say(l, "tls.certificate", HEALTH_WARN, host->name,
                   "Get a certificate for exactly this name from a public authority (Let's Encrypt is free), and renew it by itself.",
                   "Its certificate would not be accepted by senders that look (MTA-STS): %s.", tls->peer_error);
    else if (tls->peer_expires_s > 0 && days < 14)
        health_say(l, "tls.certificate", HEALTH_WARN, host->name, "Renew it now, and find out why it was not renewed by itself.",
                   "Its certificate is good, but expires soon; days left: %lld.", (long long)days);
    else
        health_say(l, "tls.certificate", HEALTH_GOOD, host->name, NULL, "Its certificate is good for another %lld days.", (long long)days);
}

/* One address. True: TLS is spoken there; *has_1_3 by it. `first`: of the host, whose certificates are looked at. */
static bool talk(struct look *l, const struct look_host *host, const struct addr *addr, bool first, bool *has_1_3)
{
    const struct health_settings *set = l->set;
    const struct smtp_client_settings client = {.hostname = set->hostname, .connect_ms = HEALTH_CONNECT_MS, .greeting_ms = HEALTH_CONNECT_MS};
    const char *name = arena_cstr(l->a, host->name);
    struct smtp_client_target to = {.addr = addr,
                                    .bind = addr_is_ipv6(addr) ? set->bind6 : set->bind4,
                                    .host = name,
                                    .level = SMTP_TLS_OPPORTUNISTIC,
                                    .tls = set->trust};
    struct smtp_client_reply why = {0};
    struct smtp_client *c = NULL;
    struct tls_info tls;
    char ip[ADDR_TEXT_MAX];
    if (!name) {
        l->rc = RC_TEMP;
        return false;
    }
    addr_write_ip(addr, ip);
    enum rc rc = smtp_client_open(&client, &to, &c, &why);
    if (rc == RC_DENIED) {
        health_say(l, "tls.starttls", HEALTH_BAD, host->name, "Look at the server's TLS settings: versions (1.2 and 1.3), certificate and key.",
                   "%s offers STARTTLS, but the handshake fails: %s", ip, why.text);
        return false;
    }
    if (rc != RC_OK) {
        health_say(l, "tls.connect", addr_is_ipv6(addr) ? HEALTH_WARN : HEALTH_BAD, host->name,
                   "See that the server runs, that port 25 is open in every firewall, and that the address is right.",
                   "%s does not answer as a mail server: %s", ip, why.text);
        return false;
    }
    if (!conn_tls(smtp_client_conn(c), &tls)) {
        health_say(l, "tls.starttls", HEALTH_BAD, host->name, "Switch STARTTLS on for port 25, with a certificate.",
                   "%s does not offer STARTTLS: all mail to it can be read on the way.", ip);
    } else {
        health_say(l, "tls.starttls", HEALTH_GOOD, host->name, NULL, "%s answers and offers STARTTLS (%s, %s).", ip, tls.version, tls.cipher);
        say_certificate(l, host, &tls);
        if (first)
            health_certificates(l, host, smtp_client_conn(c));
        *has_1_3 = view_eq(view_str(tls.version), VIEW("TLSv1.3"));
        smtp_client_close(c, true);
        return true;
    }
    smtp_client_close(c, true);
    return false;
}

/* One address against the TLSA records, as a sender with DANE judges it (RFC 7672 §3). False: nobody answered there. */
static bool compare(struct look *l, const struct look_host *host, const struct addr *addr, const struct smtp_client_proof *proof, unsigned *fits)
{
    const struct health_settings *set = l->set;
    const struct smtp_client_settings client = {.hostname = set->hostname, .connect_ms = HEALTH_CONNECT_MS, .greeting_ms = HEALTH_CONNECT_MS};
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
    if (rc == RC_OK || report.stage == SMTP_TLS_UNKNOWN || report.stage == SMTP_TLS_DONE)
        return rc == RC_OK;
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
    for (size_t i = 0; i < host->n_addrs && i < HEALTH_ADDRS_MAX && !health_is_over(l); i++)
        tried += compare(l, host, &host->addrs[i], proof, &fits);
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

void health_tls(struct look *l)
{
    for (size_t i = 0; l->set->connect && i < l->n_hosts; i++) {
        const struct look_host *host = &l->hosts[i];
        const struct addr *first = NULL;
        bool has_1_3 = false, this_has_1_3 = false;
        health_progress(l, "connecting to", host->name);
        for (size_t j = 0; j < host->n_addrs && j < HEALTH_ADDRS_MAX && !health_is_over(l); j++)
            if (talk(l, host, &host->addrs[j], !first, &this_has_1_3) && !first) {
                first = &host->addrs[j];
                has_1_3 = this_has_1_3;
            }
        if (first && l->set->trust)
            health_probe(l, host, first, has_1_3);
    }
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
