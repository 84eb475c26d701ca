/* What the DNS says of the client itself: iprev (RFC 8601 §3) and the name in its HELO (RFC 5321 §4.1.1.1, §4.1.3, §4.1.4). */
#include "policy/judge_impl.h"

#include <netinet/in.h>

#define SCRATCH_MAX (1u << 20) /* answers about one client */

/* --- addresses of names --- */

static enum dns_type type_for(const struct addr *ip)
{
    return addr_is_ipv6(ip) ? DNS_AAAA : DNS_A;
}

static bool answer_has(const struct dns_answer *answer, const struct addr *ip)
{
    struct view bytes;
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    if (addr_is_ipv6(ip)) {
        memcpy(&sin6, &ip->ss, sizeof sin6);
        bytes = view_of(&sin6.sin6_addr, sizeof sin6.sin6_addr);
    } else {
        memcpy(&sin, &ip->ss, sizeof sin);
        bytes = view_of(&sin.sin_addr, sizeof sin.sin_addr);
    }
    for (size_t i = 0; i < answer->n; i++)
        if (view_eq(answer->rdata[i], bytes))
            return true;
    return false;
}

/* --- iprev --- */

static void iprev_is(struct judge_iprev *out, const char *result, const char *reason)
{
    out->result = result;
    out->reason = reason;
}

/* The names' addresses, all asked for at once. */
static void confirm_names(struct dns *dns, const struct addr *ip, const struct view *names, size_t n, int64_t deadline_ms,
                          struct arena *scratch, struct judge_iprev *out)
{
    struct dns_question q[JUDGE_IPREV_NAMES];
    bool some_unknown = false;
    if (n > JUDGE_IPREV_NAMES)
        n = JUDGE_IPREV_NAMES;
    for (size_t i = 0; i < n; i++)
        q[i] = (struct dns_question){.name = names[i], .type = type_for(ip)};
    dns_query_all(dns, q, n, deadline_ms, scratch);
    out->name = names[0];
    for (size_t i = 0; i < n; i++) {
        some_unknown |= q[i].answer.status >= DNS_TEMP;
        if (q[i].answer.status != DNS_OK || !answer_has(&q[i].answer, ip))
            continue;
        out->name = names[i];
        iprev_is(out, "pass", "the address has a name that leads back to it");
        return;
    }
    if (some_unknown)
        iprev_is(out, "temperror", "the address's names could not be looked up");
    else
        iprev_is(out, "fail", "none of the address's names leads back to it");
}

void judge_client_prefetch(struct dns *dns, const struct addr *ip)
{
    struct dns_answer answer;
    struct arena scratch;
    struct view *names;
    size_t n;
    if (ip->len == 0)
        return;
    arena_init(&scratch, SCRATCH_MAX);
    dns_ptr(dns, ip, clock_mono_ms(), &scratch, &answer, &names, &n);
    for (size_t i = 0; i < n && i < JUDGE_IPREV_NAMES; i++)
        dns_prefetch(dns, names[i], type_for(ip));
    arena_clear(&scratch);
}

void judge_client_iprev(struct dns *dns, const struct addr *ip, int64_t deadline_ms, struct arena *a, struct judge_iprev *out)
{
    struct dns_answer answer;
    struct arena scratch;
    struct view *names, name;
    size_t n;

    *out = (struct judge_iprev){.result = "none", .reason = "the client's address is not known"};
    if (ip->len == 0)
        return;
    arena_init(&scratch, SCRATCH_MAX);
    enum dns_status status = dns_ptr(dns, ip, deadline_ms, &scratch, &answer, &names, &n);
    if (status >= DNS_TEMP)
        iprev_is(out, "temperror", "the address's name could not be looked up");
    else if (status != DNS_OK || n == 0)
        iprev_is(out, "permerror", "the address has no name in the DNS");
    else
        confirm_names(dns, ip, names, n, deadline_ms, &scratch, out);
    if (view_dup(a, out->name, &name) != RC_OK)
        name.n = 0;
    out->name = name;
    arena_clear(&scratch);
}

/* --- HELO --- */

static const char *judge_literal(struct view literal, const struct addr *ip)
{
    struct addr claimed;
    if (!view_take_chr(&literal, '[') || !view_ends(literal, VIEW("]")))
        return "the HELO name is not a host name";
    literal.n--;
    bool is_six = view_itake(&literal, VIEW("IPv6:"));
    if (addr_parse_ip(literal, 0, &claimed) != RC_OK || addr_is_ipv6(&claimed) != is_six)
        return "the HELO name is an address literal that cannot be read";
    addr_unmap(&claimed);
    return ip->len == 0 || addr_eq_ip(&claimed, ip) ? "" : "the HELO name is another address than the client's";
}

static const char *judge_name(struct dns *dns, struct view name, const struct addr *ip, int64_t deadline_ms, struct arena *scratch)
{
    struct dns_question q = {.name = name, .type = type_for(ip)};
    if (ip->len == 0)
        return "";
    dns_query_all(dns, &q, 1, deadline_ms, scratch);
    switch (q.answer.status) {
    case DNS_OK:       return answer_has(&q.answer, ip) ? "" : "the HELO name leads to other addresses than the client's";
    case DNS_NODATA:   return "the HELO name has no address of the client's kind";
    case DNS_NXDOMAIN: return "the HELO name does not exist";
    default:           return "";
    }
}

const char *judge_client_helo(struct dns *dns, struct view helo, const struct addr *ip, const char *our_name, int64_t deadline_ms)
{
    struct arena scratch;
    struct addr bare;
    struct view name, ours;
    const char *note;

    if (helo.n == 0)
        return "";
    arena_init(&scratch, SCRATCH_MAX);
    if (view_starts(helo, VIEW("[")))
        note = judge_literal(helo, ip);
    else if (addr_parse_ip(helo, 0, &bare) == RC_OK)
        note = "the HELO name is an address without brackets";
    else if (dns_domain_ascii(helo, &scratch, &name) != RC_OK)
        note = "the HELO name is not a host name";
    else if (dns_domain_ascii(view_str(our_name), &scratch, &ours) == RC_OK && view_eq(name, ours))
        note = "the HELO name is ours";
    else if (view_chr(name, '.') == VIEW_NONE)
        note = "the HELO name is not fully qualified";
    else
        note = judge_name(dns, name, ip, deadline_ms, &scratch);
    arena_clear(&scratch);
    return note;
}
