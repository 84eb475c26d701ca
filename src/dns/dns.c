#include "dns/dns.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "dns/ask.h"

#define ANY_NAME_TEXT (DNS_NAME_MAX * 4) /* every byte as \DDD */

/* --- names --- */

static bool is_name_byte(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '_' || c == '/';
}

/* RFC 1035 §2.3.4: labels of 1 to 63 bytes. More letters than a host name may have, as in "_25._tcp" or "0/26.2.0.192.in-addr.arpa". */
static enum rc name_check(struct view name, char out[DNS_NAME_MAX])
{
    if (name.n > 1 && view_ends(name, VIEW(".")))
        name.n--;
    if (name.n == 0 || view_cstr(name, out, DNS_NAME_MAX) != RC_OK)
        return RC_SYNTAX;
    for (bool more = true; more;) {
        struct view label;
        more = view_split(&name, '.', &label);
        if (label.n == 0 || label.n > 63)
            return RC_SYNTAX;
        for (size_t i = 0; i < label.n; i++)
            if (!is_name_byte((unsigned char)label.p[i]))
                return RC_SYNTAX;
    }
    return RC_OK;
}

/* Labels of 1 to 63 bytes of any kind, as libunbound reads them: bytes that are not visible, and backslashes, as \DDD
 * (RFC 4343 §2.1). */
static enum rc any_name_check(struct view name, char out[ANY_NAME_TEXT])
{
    struct buf text;
    enum rc rc = RC_SYNTAX;
    buf_init(&text, ANY_NAME_TEXT - 1);
    if (name.n > 1 && view_ends(name, VIEW(".")))
        name.n--;
    if (name.n == 0 || name.n >= DNS_NAME_MAX - 1)
        return RC_SYNTAX;
    for (bool more = true; more;) {
        struct view label;
        more = view_split(&name, '.', &label);
        if (label.n == 0 || label.n > 63)
            goto done;
        for (size_t i = 0; i < label.n; i++) {
            unsigned char c = (unsigned char)label.p[i];
            if (c > ' ' && c < 0x7f && c != '\\')
                buf_chr(&text, (char)c);
            else
                buf_printf(&text, "\\%03u", c);
        }
        if (more)
            buf_chr(&text, '.');
    }
    rc = text.fail == RC_OK ? view_cstr(buf_view(&text), out, ANY_NAME_TEXT) : text.fail;
done:
    buf_clear(&text);
    return rc;
}

/* An uncompressed wire name at the cursor as text. RC_SYNTAX: broken, or a label with a byte that names do not have. */
static enum rc name_read(struct view *in, struct arena *a, struct view *out)
{
    struct buf text;
    enum rc rc = RC_SYNTAX;
    buf_init(&text, DNS_NAME_MAX);
    for (;;) {
        int n = view_next(in);
        if (n == 0)
            break;
        if (n < 0 || n > 63 || in->n < (size_t)n)
            goto done;
        if (text.n > 0)
            buf_chr(&text, '.');
        while (n-- > 0) {
            unsigned char c = (unsigned char)view_next(in);
            if (!is_name_byte(c) && c != '*' && c != '+')
                goto done;
            buf_chr(&text, (char)to_lower(c));
        }
    }
    rc = text.fail == RC_OK ? view_dup(a, buf_view(&text), out) : RC_SYNTAX;
done:
    buf_clear(&text);
    return rc;
}

static enum rc u16_read(struct view *in, uint16_t *out)
{
    if (in->n < 2)
        return RC_SYNTAX;
    *out = (uint16_t)(view_next(in) << 8);
    *out = (uint16_t)(*out | view_next(in));
    return RC_OK;
}

/* --- one question --- */

static int64_t cut_deadline(const struct dns *d, int64_t deadline_ms)
{
    int64_t own = deadline_in(d->timeout_ms);
    return own < deadline_ms ? own : deadline_ms;
}

static enum dns_status no_such_name(struct dns_answer *out)
{
    *out = (struct dns_answer){.status = DNS_NXDOMAIN, .why = "not a domain name"};
    return DNS_NXDOMAIN;
}

/* Answers at once what is known, or begins to ask; finish() gives the answer in the second case. */
struct asking {
    struct unbound_ask *ask;
    bool is_answered;
};

static struct asking begin(struct dns *d, const char *name, enum dns_type type, struct arena *a, struct dns_answer *out)
{
    if (d->script) {
        script_answer(d->script, name, type, a, out);
        return (struct asking){.is_answered = true};
    }
    if (dns_cache_get(d->cache, view_str(name), type, clock_mono_ms(), a, out))
        return (struct asking){.is_answered = true};
    return (struct asking){.ask = unbound_start(d->unbound, name, type)};
}

static void finish(struct dns *d, struct asking asking, int64_t deadline_ms, struct arena *a, struct dns_answer *out)
{
    if (asking.ask)
        unbound_finish(d->unbound, asking.ask, deadline_ms, a, out);
    else if (!asking.is_answered)
        *out = (struct dns_answer){.status = DNS_TEMP, .why = "too many questions to the name servers at once"};
}

enum dns_status dns_query(struct dns *d, struct view name, enum dns_type type, int64_t deadline_ms, struct arena *a,
                          struct dns_answer *out)
{
    char text[DNS_NAME_MAX];
    if (name_check(name, text) != RC_OK)
        return no_such_name(out);
    finish(d, begin(d, text, type, a, out), cut_deadline(d, deadline_ms), a, out);
    return out->status;
}

void dns_query_all(struct dns *d, struct dns_question *q, size_t n, int64_t deadline_ms, struct arena *a)
{
    int64_t until = cut_deadline(d, deadline_ms);
    struct asking asking[DNS_QUESTIONS_MAX];
    bug_if(n > DNS_QUESTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        char text[ANY_NAME_TEXT];
        asking[i] = (struct asking){.is_answered = true};
        if (any_name_check(q[i].name, text) != RC_OK)
            no_such_name(&q[i].answer);
        else
            asking[i] = begin(d, text, q[i].type, a, &q[i].answer);
    }
    for (size_t i = 0; i < n; i++)
        finish(d, asking[i], until, a, &q[i].answer);
}

void dns_prefetch(struct dns *d, struct view name, enum dns_type type)
{
    char text[ANY_NAME_TEXT];
    if (d->unbound && any_name_check(name, text) == RC_OK && !dns_cache_has(d->cache, view_str(text), type, clock_mono_ms()))
        unbound_prefetch(d->unbound, text, type);
}

void dns_forget(struct dns *d)
{
    if (d->cache)
        dns_cache_drop(d->cache);
}

/* --- typed answers: records that are broken are left out --- */

static enum dns_status out_of_memory(struct dns_answer *out)
{
    out->status = DNS_TEMP;
    out->why = "no memory for the answer";
    return DNS_TEMP;
}

enum dns_status dns_mx(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                       struct dns_mx **mx, size_t *n)
{
    *mx = NULL;
    *n = 0;
    if (dns_query(d, name, DNS_MX, deadline_ms, a, out) != DNS_OK)
        return out->status;
    *mx = arena_new_array(a, out->n, struct dns_mx);
    if (!*mx)
        return out_of_memory(out);
    for (size_t i = 0; i < out->n; i++) {
        struct view in = out->rdata[i];
        struct dns_mx *m = &(*mx)[*n];
        if (u16_read(&in, &m->preference) == RC_OK && name_read(&in, a, &m->host) == RC_OK)
            ++*n;
    }
    return out->status;
}

static size_t take_addrs(const struct dns_answer *answer, int family, unsigned port, struct addr *out)
{
    size_t n = 0;
    for (size_t i = 0; i < answer->n; i++) {
        struct view in = answer->rdata[i];
        struct addr *addr = &out[n];
        *addr = (struct addr){0};
        if (family == AF_INET6 && in.n == 16) {
            struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
            memcpy(&sin6.sin6_addr, in.p, 16);
            memcpy(&addr->ss, &sin6, sizeof sin6);
            addr->len = sizeof sin6;
            addr_unmap(addr);
            n++;
        } else if (family == AF_INET && in.n == 4) {
            struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
            memcpy(&sin.sin_addr, in.p, 4);
            memcpy(&addr->ss, &sin, sizeof sin);
            addr->len = sizeof sin;
            n++;
        }
    }
    return n;
}

enum dns_status dns_addrs(struct dns *d, struct view name, unsigned port, int64_t deadline_ms, struct arena *a,
                          struct dns_answer *out, struct addr **addrs, size_t *n)
{
    char text[DNS_NAME_MAX];
    struct dns_answer six, four;
    *addrs = NULL;
    *n = 0;
    if (name_check(name, text) != RC_OK)
        return no_such_name(out);
    int64_t until = cut_deadline(d, deadline_ms);
    struct asking asking_six = begin(d, text, DNS_AAAA, a, &six);
    struct asking asking_four = begin(d, text, DNS_A, a, &four);
    finish(d, asking_four, until, a, &four);
    finish(d, asking_six, until, a, &six);
    /* Both say the same of the name itself; the one that knows more speaks. */
    *out = four.status == DNS_OK || six.status == DNS_NXDOMAIN ? four : six;
    if (six.status != DNS_OK && four.status != DNS_OK) {
        if (four.status >= DNS_TEMP)
            *out = four;
        return out->status;
    }
    if (six.status == DNS_OK && four.status == DNS_OK) {
        out->secure = six.secure && four.secure;
        out->ttl_s = six.ttl_s < four.ttl_s ? six.ttl_s : four.ttl_s;
    }
    *addrs = arena_new_array(a, six.n + four.n, struct addr);
    if (!*addrs)
        return out_of_memory(out);
    *n = take_addrs(&six, AF_INET6, port, *addrs);
    *n += take_addrs(&four, AF_INET, port, &(*addrs)[*n]);
    return out->status;
}

enum rc dns_texts(const struct dns_answer *answer, struct arena *a, struct view **texts, size_t *n)
{
    *n = 0;
    *texts = arena_new_array(a, answer->n, struct view);
    if (!*texts)
        return RC_TEMP;
    for (size_t i = 0; i < answer->n; i++) {
        struct view in = answer->rdata[i];
        struct buf joined;
        buf_init(&joined, in.n);
        for (int len; (len = view_next(&in)) >= 0;) {
            struct view part = view_slice(in, 0, (size_t)len);
            buf_add(&joined, part);
            view_skip(&in, part.n);
        }
        enum rc rc = joined.fail == RC_OK ? view_dup(a, buf_view(&joined), &(*texts)[*n]) : RC_TEMP;
        buf_clear(&joined);
        if (rc != RC_OK)
            return RC_TEMP;
        ++*n;
    }
    return RC_OK;
}

enum dns_status dns_txt(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                        struct view **texts, size_t *n)
{
    *texts = NULL;
    *n = 0;
    if (dns_query(d, name, DNS_TXT, deadline_ms, a, out) != DNS_OK)
        return out->status;
    return dns_texts(out, a, texts, n) == RC_OK ? out->status : out_of_memory(out);
}

/* Records that hold one name. */
static enum dns_status take_names(struct dns_answer *out, struct arena *a, struct view **names, size_t *n)
{
    *names = arena_new_array(a, out->n, struct view);
    if (!*names)
        return out_of_memory(out);
    for (size_t i = 0; i < out->n; i++) {
        struct view in = out->rdata[i];
        if (name_read(&in, a, &(*names)[*n]) == RC_OK)
            ++*n;
    }
    return out->status;
}

/* "1.2.0.192.in-addr.arpa", or nibbles under ip6.arpa (RFC 3596 §2.5). */
static void reverse_name(const struct addr *addr, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    if (addr->ss.ss_family == AF_INET6) {
        struct sockaddr_in6 sin6;
        memcpy(&sin6, &addr->ss, sizeof sin6);
        for (int i = 15; i >= 0; i--) {
            unsigned byte = sin6.sin6_addr.s6_addr[i];
            buf_printf(out, "%c.%c.", hex[byte & 15], hex[byte >> 4]);
        }
        buf_str(out, "ip6.arpa");
    } else {
        struct sockaddr_in sin;
        memcpy(&sin, &addr->ss, sizeof sin);
        uint32_t ip = ntohl(sin.sin_addr.s_addr);
        buf_printf(out, "%u.%u.%u.%u.in-addr.arpa", ip & 255, ip >> 8 & 255, ip >> 16 & 255, ip >> 24);
    }
}

void dns_prefetch_ptr(struct dns *d, const struct addr *addr)
{
    struct buf name;
    buf_init(&name, DNS_NAME_MAX);
    reverse_name(addr, &name);
    if (name.fail == RC_OK)
        dns_prefetch(d, buf_view(&name), DNS_PTR);
    buf_clear(&name);
}

enum dns_status dns_ptr(struct dns *d, const struct addr *addr, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                        struct view **names, size_t *n)
{
    struct buf name;
    *names = NULL;
    *n = 0;
    buf_init(&name, DNS_NAME_MAX);
    reverse_name(addr, &name);
    dns_query(d, buf_view(&name), DNS_PTR, deadline_ms, a, out);
    buf_clear(&name);
    if (out->status != DNS_OK)
        return out->status;
    return take_names(out, a, names, n);
}

enum rc dns_read_name(struct view *rdata, struct arena *a, struct view *out)
{
    return name_read(rdata, a, out);
}

enum dns_status dns_ns(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                       struct view **hosts, size_t *n)
{
    *hosts = NULL;
    *n = 0;
    if (dns_query(d, name, DNS_NS, deadline_ms, a, out) != DNS_OK)
        return out->status;
    return take_names(out, a, hosts, n);
}

enum dns_status dns_tlsa(struct dns *d, struct view name, int64_t deadline_ms, struct arena *a, struct dns_answer *out,
                         struct dns_tlsa **tlsa, size_t *n)
{
    *tlsa = NULL;
    *n = 0;
    if (dns_query(d, name, DNS_TLSA, deadline_ms, a, out) != DNS_OK)
        return out->status;
    *tlsa = arena_new_array(a, out->n, struct dns_tlsa);
    if (!*tlsa)
        return out_of_memory(out);
    for (size_t i = 0; i < out->n; i++) {
        struct view in = out->rdata[i];
        if (in.n < 4) /* RFC 6698 §2.1: three numbers and data */
            continue;
        struct dns_tlsa *t = &(*tlsa)[(*n)++];
        t->usage = (uint8_t)view_next(&in);
        t->selector = (uint8_t)view_next(&in);
        t->matching = (uint8_t)view_next(&in);
        t->data = in;
    }
    return out->status;
}

/* --- life --- */

enum rc dns_new(const struct dns_settings *set, struct dns **out, const char **why)
{
    struct dns *d = calloc(1, sizeof *d);
    enum rc rc = RC_TEMP;
    *why = "out of memory";
    if (!d || !(d->cache = dns_cache_new(CACHE_BYTES, CACHE_ENTRIES)))
        goto done;
    d->timeout_ms = set->timeout_ms > 0 ? set->timeout_ms : DNS_TIMEOUT_MS;
    rc = unbound_new(set, d->cache, &d->unbound, why);
done:
    if (rc == RC_OK)
        *out = d;
    else
        dns_free(d);
    return rc;
}

enum rc dns_new_scripted(const char *text, struct dns **out)
{
    struct dns *d = calloc(1, sizeof *d);
    if (!d)
        return RC_TEMP;
    d->timeout_ms = DNS_TIMEOUT_MS;
    enum rc rc = script_new(text, &d->script);
    if (rc == RC_OK)
        *out = d;
    else
        dns_free(d);
    return rc;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    unbound_free(d->unbound);
    dns_cache_free(d->cache);
    script_free(d->script);
    free(d);
}

enum rc dns_domain_ascii(struct view domain, struct arena *a, struct view *out)
{
    char text[DNS_NAME_MAX * 4], name[DNS_NAME_MAX];
    char *ascii = NULL;
    enum rc rc = RC_SYNTAX;
    bool literal = view_starts(domain, VIEW("[")) && view_ends(domain, VIEW("]"));
    if (!literal && domain.n > 1 && view_ends(domain, VIEW(".")))
        domain.n--;
    if (view_has_ctl(domain) || view_cstr(domain, text, sizeof text) != RC_OK || text[0] == 0)
        return RC_SYNTAX;
    if (!literal && !view_is_ascii(domain)) {
        int err = idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
        if (err != IDN2_OK)
            return err == IDN2_MALLOC ? RC_TEMP : RC_SYNTAX;
        domain = view_str(ascii);
    }
    if (literal || name_check(domain, name) == RC_OK) {
        rc = view_dup(a, domain, out);
        char *p = rc == RC_OK ? arena_alloc(a, domain.n) : NULL;
        for (size_t i = 0; p && i < domain.n; i++)
            p[i] = (char)to_lower((unsigned char)domain.p[i]);
        *out = view_of(p, p ? domain.n : 0);
        rc = p ? RC_OK : RC_TEMP;
    }
    idn2_free(ascii);
    return rc;
}
