#include "dns/update.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#define FUDGE_S    300
#define TSIG_ERROR 5 /* among a TSIG record's fields (RFC 8945 §4.2) */

const char *dns_update_outcome_name(enum dns_update_outcome outcome)
{
    static const char *const names[] = {"same", "changed", "kept"};
    return names[outcome];
}

/* --- one exchange --- */

/* "hmac-sha256" as the name of an algorithm. */
static const char *algorithm_name(const struct dns_update_server *s, struct arena *a)
{
    return arena_printf(a, "%s.", s->algorithm ? s->algorithm : "hmac-sha256");
}

static enum rc sign(const struct dns_update_server *s, ldns_pkt *q, struct arena *a, const char **why)
{
    const char *algorithm = algorithm_name(s, a);
    *why = "the key cannot be used: see dns-update { key-algorithm, key-file }";
    if (!s->key_name)
        return RC_OK;
    if (!algorithm || !s->secret || ldns_pkt_tsig_sign(q, s->key_name, s->secret, FUDGE_S, algorithm, NULL) != LDNS_STATUS_OK)
        return RC_DENIED;
    return RC_OK;
}

/* An answer that is not signed by our key may come from anybody. */
static bool is_proven(const struct dns_update_server *s, ldns_pkt *q, ldns_pkt *answer, const uint8_t *wire, size_t n)
{
    ldns_rr *tsig = ldns_pkt_tsig(q);
    return !s->key_name || (tsig && ldns_pkt_tsig(answer) && ldns_rr_rd_count(tsig) > 3 &&
                            ldns_pkt_tsig_verify(answer, wire, n, s->key_name, s->secret, ldns_rr_rdf(tsig, 3)));
}

/* Others refuse, which needs no proof to be heeded. "No such name" needs it: what is said not to be there would be added. */
static bool says_what_is(const ldns_pkt *answer)
{
    const ldns_pkt_rcode rcode = ldns_pkt_get_rcode(answer);
    return rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN;
}

/* *answer is for ldns_pkt_free. */
static enum rc exchange(const struct dns_update_server *s, ldns_pkt *q, struct arena *a, ldns_pkt **answer, const char **why)
{
    const struct timeval timeout = {.tv_sec = DNS_UPDATE_TIMEOUT_MS / 1000};
    ldns_buffer *wire = ldns_buffer_new(LDNS_MAX_PACKETLEN);
    uint8_t *bytes = NULL;
    size_t n = 0;
    *answer = NULL;
    ldns_pkt_set_random_id(q);
    enum rc rc = sign(s, q, a, why);
    if (rc == RC_OK) {
        *why = "the changes do not fit into one message";
        rc = wire && ldns_pkt2buffer_wire(wire, q) == LDNS_STATUS_OK ? RC_OK : RC_SYNTAX;
    }
    if (rc == RC_OK) {
        *why = "the DNS server does not answer";
        rc = ldns_tcp_send(&bytes, wire, &s->addr.ss, s->addr.len, timeout, &n) == LDNS_STATUS_OK ? RC_OK : RC_TEMP;
    }
    if (rc == RC_OK) {
        *why = "the DNS server's answer cannot be read";
        rc = ldns_wire2pkt(answer, bytes, n) == LDNS_STATUS_OK && ldns_pkt_id(*answer) == ldns_pkt_id(q) ? RC_OK : RC_TEMP;
    }
    if (rc == RC_OK && says_what_is(*answer) && !is_proven(s, q, *answer, bytes, n)) {
        *why = "the DNS server's answer is not signed with our key";
        rc = RC_DENIED;
    }
    ldns_buffer_free(wire);
    free(bytes);
    return rc;
}

/* What the server says against the key itself (RFC 8945 §5.2, §5.3); 0: nothing. */
static unsigned key_error(const ldns_pkt *answer)
{
    const ldns_rr *tsig = ldns_pkt_tsig(answer);
    const ldns_rdf *error = tsig && ldns_rr_rd_count(tsig) > TSIG_ERROR ? ldns_rr_rdf(tsig, TSIG_ERROR) : NULL;
    return error && ldns_rdf_size(error) == 2 ? ldns_rdf2native_int16(error) : 0;
}

static enum rc judge_key(const ldns_pkt *answer, const char **why)
{
    switch (key_error(answer)) {
    case 16: *why = "the DNS server has another secret for the key (BADSIG): see dns-update { key-file }"; return RC_DENIED;
    case 17: *why = "the DNS server does not know the key (BADKEY): see dns-update { key-name, key-algorithm }"; return RC_DENIED;
    case 18: *why = "the clocks of the DNS server and of this machine differ (BADTIME): set both by NTP"; return RC_TEMP;
    case 22: *why = "the DNS server wants longer signatures (BADTRUNC)"; return RC_DENIED;
    default: *why = "the DNS server does not serve the zone, or does not accept the key: see dns-update { zones, key-name }"; return RC_DENIED;
    }
}

static enum rc judge_answer(const ldns_pkt *answer, const char **why)
{
    switch (ldns_pkt_get_rcode(answer)) {
    case LDNS_RCODE_NOERROR: *why = ""; return RC_OK;
    case LDNS_RCODE_REFUSED: *why = "the DNS server refuses: the key has no right to change these records, or the zone is not served there"; return RC_DENIED;
    case LDNS_RCODE_NOTAUTH: return judge_key(answer, why);
    case LDNS_RCODE_NOTIMPL: *why = "the DNS server does not take updates"; return RC_DENIED;
    case LDNS_RCODE_NOTZONE: *why = "a record is outside the zone"; return RC_SYNTAX;
    case LDNS_RCODE_FORMERR: *why = "the DNS server cannot read the update"; return RC_SYNTAX;
    default: *why = "the DNS server fails"; return RC_TEMP;
    }
}

/* --- what is there --- */

static ldns_rr *make_rr(const struct dns_update_server *s, const struct dns_update_set *set, const char *value, struct arena *a)
{
    const char *text = arena_printf(a, "%s %u IN %s %s", set->name, s->ttl_s, set->type, value);
    ldns_rr *rr = NULL;
    if (!text || ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL) != LDNS_STATUS_OK)
        return NULL;
    return rr;
}

static enum rc read_set(const struct dns_update_server *s, const struct dns_update_set *set, struct arena *a, ldns_rr_list **out, const char **why)
{
    ldns_pkt *q = NULL, *answer = NULL;
    const ldns_rr_type type = ldns_get_rr_type_by_name(set->type);
    ldns_rdf *name = ldns_dname_new_frm_str(set->name);
    *why = "a record's name or type is not one";
    enum rc rc = name && type != 0 ? RC_OK : RC_SYNTAX;
    if (rc == RC_OK) {
        q = ldns_pkt_query_new(name, type, LDNS_RR_CLASS_IN, 0); /* owns the name */
        rc = q ? exchange(s, q, a, &answer, why) : RC_TEMP;
    } else {
        ldns_rdf_deep_free(name);
    }
    if (rc == RC_OK && ldns_pkt_get_rcode(answer) != LDNS_RCODE_NXDOMAIN)
        rc = judge_answer(answer, why);
    if (rc == RC_OK) {
        *out = ldns_pkt_rr_list_by_type(answer, type, LDNS_SECTION_ANSWER); /* copies */
        if (!*out)
            *out = ldns_rr_list_new();
        rc = *out ? RC_OK : RC_TEMP;
    }
    ldns_pkt_free(q);
    ldns_pkt_free(answer);
    return rc;
}

/* The strings of a TXT record joined, as far as they fit. */
static size_t join_text(const ldns_rr *rr, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
        const uint8_t *bytes = ldns_rdf_data(rdf);
        for (size_t k = 1; k < ldns_rdf_size(rdf) && n < size; k++)
            out[n++] = (char)bytes[k];
    }
    return n;
}

static bool has_purpose(const struct dns_update_set *set, const ldns_rr *rr)
{
    char text[64];
    if (!set->purpose || set->purpose[0] == '\0' || ldns_rr_get_type(rr) != LDNS_RR_TYPE_TXT)
        return true;
    return view_istarts(view_of(text, join_text(rr, text, sizeof text)), view_str(set->purpose));
}

/* Case counts in text alone; and how a text is cut into strings does not. */
static bool same_data(const ldns_rr *x, const ldns_rr *y)
{
    char a[4096], b[4096];
    if (ldns_rr_get_type(x) != LDNS_RR_TYPE_TXT || ldns_rr_get_type(y) != LDNS_RR_TYPE_TXT)
        return ldns_rr_compare(x, y) == 0;
    return view_eq(view_of(a, join_text(x, a, sizeof a)), view_of(b, join_text(y, b, sizeof b)));
}

/* --- what is to change --- */

static enum rc push_change(ldns_rr_list *changes, const ldns_rr *rr, bool removes)
{
    ldns_rr *copy = ldns_rr_clone(rr);
    if (!copy)
        return RC_TEMP;
    if (removes) { /* RFC 2136 §2.5.4 */
        ldns_rr_set_class(copy, LDNS_RR_CLASS_NONE);
        ldns_rr_set_ttl(copy, 0);
    }
    if (ldns_rr_list_push_rr(changes, copy))
        return RC_OK;
    ldns_rr_free(copy);
    return RC_TEMP;
}

static void note_found(struct dns_update_set *set, const ldns_rr *rr, struct arena *a)
{
    char *text = ldns_rr2str(rr);
    struct view v = view_str(text ? text : "");
    for (int i = 0; i < 4; i++) { /* name, ttl, class, type */
        size_t at = view_chr(v, '\t');
        v = at == VIEW_NONE ? v : view_from(v, at + 1);
    }
    view_dup(a, view_trim(v), &set->found);
    free(text);
}

static enum rc compare_set(const struct dns_update_server *s, struct dns_update_set *set, const ldns_rr_list *there, struct arena *a,
                           ldns_rr_list *changes, const char **why)
{
    bool wanted[DNS_UPDATE_VALUES_MAX] = {false};
    ldns_rr *ours[DNS_UPDATE_VALUES_MAX] = {NULL};
    const ldns_rr *other = NULL;
    enum rc rc = RC_OK;
    size_t n_there = 0;
    set->outcome = DNS_UPDATE_SAME;
    for (size_t i = 0; i < set->n && rc == RC_OK; i++) {
        ours[i] = make_rr(s, set, set->values[i], a);
        wanted[i] = true;
        *why = "a record's value is not one of its type";
        rc = ours[i] ? RC_OK : RC_SYNTAX;
    }
    for (size_t i = 0; i < ldns_rr_list_rr_count(there) && rc == RC_OK; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(there, i);
        bool is_ours = false;
        if (!has_purpose(set, rr))
            continue;
        n_there++;
        for (size_t k = 0; k < set->n; k++)
            if (same_data(rr, ours[k])) {
                is_ours = true;
                wanted[k] = false;
            }
        if (!is_ours && !other)
            other = rr;
        if (!is_ours && set->rule == DNS_UPDATE_OURS) {
            set->outcome = DNS_UPDATE_CHANGED;
            rc = push_change(changes, rr, true);
        }
    }
    bool lacks = false;
    for (size_t i = 0; i < set->n; i++)
        lacks |= wanted[i];
    if (rc == RC_OK && lacks && set->rule == DNS_UPDATE_GENTLE && n_there > 0) {
        set->outcome = DNS_UPDATE_KEPT;
        if (other)
            note_found(set, other, a);
        lacks = false;
    }
    for (size_t i = 0; i < set->n && rc == RC_OK && lacks; i++) {
        if (!wanted[i])
            continue;
        set->outcome = DNS_UPDATE_CHANGED;
        rc = push_change(changes, ours[i], false);
    }
    for (size_t i = 0; i < set->n; i++)
        ldns_rr_free(ours[i]);
    return rc;
}

static enum rc send_changes(const struct dns_update_server *s, const char *zone, const ldns_rr_list *changes, struct arena *a, const char **why)
{
    ldns_rdf *name = ldns_dname_new_frm_str(zone);
    ldns_pkt *q = NULL, *answer = NULL;
    *why = "the zone's name is not one";
    enum rc rc = name ? RC_OK : RC_SYNTAX;
    if (rc == RC_OK) {
        q = ldns_update_pkt_new(name, LDNS_RR_CLASS_IN, NULL, changes, NULL); /* owns the name, copies the list */
        rc = q ? exchange(s, q, a, &answer, why) : RC_TEMP;
        if (!q)
            ldns_rdf_deep_free(name);
    }
    if (rc == RC_OK)
        rc = judge_answer(answer, why);
    ldns_pkt_free(q);
    ldns_pkt_free(answer);
    return rc;
}

enum rc dns_update_apply(const struct dns_update_server *server, const char *zone, struct dns_update_set *sets, size_t n, struct arena *a,
                         const char **why)
{
    ldns_rr_list *changes = ldns_rr_list_new();
    enum rc rc = changes ? RC_OK : RC_TEMP;
    *why = "out of memory";
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        ldns_rr_list *there = NULL;
        rc = read_set(server, &sets[i], a, &there, why);
        if (rc == RC_OK)
            rc = compare_set(server, &sets[i], there, a, changes, why);
        ldns_rr_list_deep_free(there);
    }
    if (rc == RC_OK && ldns_rr_list_rr_count(changes) > 0)
        rc = send_changes(server, zone, changes, a, why);
    ldns_rr_list_deep_free(changes);
    if (rc == RC_OK)
        *why = "";
    return rc;
}
