#include "queue/tls_note.h"

#include "base/clock.h"
#include "base/log.h"
#include "policy/tls_outcomes.h"
#include "store/sts.h"

static void note(const struct deliver_env *env, struct view hop, const struct route *route, const struct route_policy *policy,
                 enum tlsrpt_result result, struct view host, const struct smtp_client_tls_report *report, const char *reason)
{
    char from[ADDR_TEXT_MAX] = "", to[ADDR_TEXT_MAX] = "";
    struct tlsrpt_outcome o = {.domain = hop, .type = policy->type, .policy = policy->text, .mx = policy->mx, .result = result};
    if (!env->set->outcomes || !route->reported)
        return;
    if (result != TLSRPT_SUCCESS) {
        if (report && report->local.len > 0)
            addr_write_ip(&report->local, from);
        if (report && report->peer.len > 0)
            addr_write_ip(&report->peer, to);
        o.host = host;
        o.sent_from = view_str(from);
        o.sent_to = view_str(to);
        o.reason = view_str(reason);
    }
    tls_outcomes_note(env->set->outcomes, &o);
}

void tls_note_route(const struct deliver_env *env, struct view hop, const struct route *route)
{
    static const struct route_policy tlsa = {.type = TLSRPT_TLSA};
    if (route->sts_fault != TLSRPT_SUCCESS)
        note(env, hop, route, &route->sts_policy, route->sts_fault, VIEW(""), NULL, route->sts_why);
    if (route->verdict == ROUTE_TEMP && view_eq(view_str(route->status), VIEW("4.7.5")))
        note(env, hop, route, &tlsa, TLSRPT_DNSSEC_INVALID, VIEW(""), NULL, route->why);
}

void tls_note_barred(const struct deliver_env *env, struct view hop, const struct route *route, const struct route_host *host)
{
    if (host->barred_result != TLSRPT_SUCCESS)
        note(env, hop, route, &host->policy, host->barred_result, host->name, NULL, host->barred);
    log_warn(host->only_told ? "queue.tls.told" : "queue.tls.barred", F_VIEW("route", hop), F_VIEW("mx", host->name),
             F_CSTR("reason", host->barred));
}

static enum tlsrpt_result result_of_fault(enum tls_fault fault)
{
    switch (fault) {
    case TLS_FAULT_NONE:      return TLSRPT_SUCCESS;
    case TLS_FAULT_HANDSHAKE: return TLSRPT_VALIDATION_FAILURE;
    case TLS_FAULT_NAME:      return TLSRPT_CERTIFICATE_HOST_MISMATCH;
    case TLS_FAULT_EXPIRED:   return TLSRPT_CERTIFICATE_EXPIRED;
    case TLS_FAULT_UNTRUSTED: return TLSRPT_CERTIFICATE_NOT_TRUSTED;
    case TLS_FAULT_RECORD:    return TLSRPT_TLSA_INVALID;
    }
    return TLSRPT_VALIDATION_FAILURE;
}

static enum tlsrpt_result result_of(const struct route_host *host, const struct smtp_client_tls_report *report)
{
    if (report->stage == SMTP_TLS_NOT_OFFERED || report->stage == SMTP_TLS_REFUSED)
        return TLSRPT_STARTTLS_NOT_SUPPORTED;
    if (report->stage == SMTP_TLS_FAILED)
        return result_of_fault(report->fault);
    /* TLS is there. Without policy any certificate will do. */
    if (host->policy.type == TLSRPT_NO_POLICY)
        return TLSRPT_SUCCESS;
    if (host->policy.type == TLSRPT_TLSA && host->proof.n_records == 0)
        return TLSRPT_TLSA_INVALID; /* none of its records can be used */
    return result_of_fault(report->fault);
}

static void watch_host(const struct deliver_env *env, struct view hop, const struct route_host *host,
                       const struct smtp_client_tls_report *report)
{
    int64_t seen_s = 0;
    if (report->stage == SMTP_TLS_DONE)
        tls_host_seen(env->store, host->name, clock_real_s());
    else if (tls_host_get(env->store, host->name, &seen_s) == RC_OK && seen_s > 0)
        log_warn("queue.tls.lost", F_VIEW("route", hop), F_VIEW("mx", host->name), F_INT("seen", seen_s),
                 F_CSTR("reason", report->reason));
}

void tls_note_session(const struct deliver_env *env, struct view hop, const struct route *route, const struct route_host *host,
                      const struct smtp_client_tls_report *report)
{
    if (report->stage == SMTP_TLS_UNKNOWN)
        return;
    enum tlsrpt_result result = result_of(host, report);
    note(env, hop, route, &host->policy, result, host->name, report, report->reason);
    if (result != TLSRPT_SUCCESS && report->stage == SMTP_TLS_DONE && host->policy.type == TLSRPT_STS)
        log_warn("queue.tls.told", F_VIEW("route", hop), F_VIEW("mx", host->name), F_CSTR("reason", report->reason));
    watch_host(env, hop, host, report);
}
