#include "net/proxy.h"

#include <netinet/in.h>

static const struct view v2_signature = VIEW_INIT("\r\n\r\n\0\r\nQUIT\n");

static bool starts_like(struct view in, struct view word)
{
    size_t n = in.n < word.n ? in.n : word.n;
    return view_eq(view_slice(in, 0, n), view_slice(word, 0, n));
}

/* The bytes up to the next space; what follows must not be another one. */
static bool take_word(struct view *in, struct view *out)
{
    return view_split(in, ' ', out) && out->n > 0;
}

/* "TCP4 192.0.2.1 192.0.2.2 56324 443" */
static enum proxy_state parse_v1(struct view line, struct proxy_header *out)
{
    struct view family, from, to, from_port;
    uint64_t port, to_port;

    if (view_eq(line, VIEW("UNKNOWN")) || view_starts(line, VIEW("UNKNOWN ")))
        return PROXY_DONE;
    if (!take_word(&line, &family) || !take_word(&line, &from) || !take_word(&line, &to) ||
        !take_word(&line, &from_port))
        return PROXY_BAD;
    bool v6 = view_eq(family, VIEW("TCP6"));
    if (!v6 && !view_eq(family, VIEW("TCP4")))
        return PROXY_BAD;
    if (!view_is_u64(from_port, 65535, &port) || !view_is_u64(line, 65535, &to_port) ||
        addr_parse_ip(from, (unsigned)port, &out->from) != RC_OK ||
        addr_parse_ip(to, (unsigned)to_port, &out->to) != RC_OK || addr_is_ipv6(&out->from) != v6 ||
        addr_is_ipv6(&out->to) != v6)
        return PROXY_BAD;
    out->known = true;
    return PROXY_DONE;
}

static unsigned take_u16(struct view *in)
{
    unsigned high = (unsigned)view_next(in);
    return high << 8 | (unsigned)view_next(in);
}

static void take_bytes(struct view *in, void *out, size_t n)
{
    memcpy(out, in->p, n);
    view_skip(in, n);
}

/* Behind signature and length: command, family, addresses, extensions (which we do not need). */
static enum proxy_state parse_v2(unsigned command, unsigned family, struct view body,
                                 struct proxy_header *out)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET}, b4 = a4;
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6}, b6 = a6;

    if (command == 0x20) /* LOCAL: a health check of the proxy itself */
        return PROXY_DONE;
    if (command != 0x21)
        return PROXY_BAD;
    switch (family) {
    case 0x11:
        if (body.n < 12)
            return PROXY_BAD;
        take_bytes(&body, &a4.sin_addr, 4);
        take_bytes(&body, &b4.sin_addr, 4);
        a4.sin_port = htons((uint16_t)take_u16(&body));
        b4.sin_port = htons((uint16_t)take_u16(&body));
        memcpy(&out->from.ss, &a4, out->from.len = sizeof a4);
        memcpy(&out->to.ss, &b4, out->to.len = sizeof b4);
        break;
    case 0x21:
        if (body.n < 36)
            return PROXY_BAD;
        take_bytes(&body, &a6.sin6_addr, 16);
        take_bytes(&body, &b6.sin6_addr, 16);
        a6.sin6_port = htons((uint16_t)take_u16(&body));
        b6.sin6_port = htons((uint16_t)take_u16(&body));
        memcpy(&out->from.ss, &a6, out->from.len = sizeof a6);
        memcpy(&out->to.ss, &b6, out->to.len = sizeof b6);
        break;
    default: /* UNSPEC, Unix sockets, datagrams: as if LOCAL */ return PROXY_DONE;
    }
    out->known = true;
    return PROXY_DONE;
}

enum proxy_state proxy_parse(struct view in, struct proxy_header *out, size_t *used)
{
    struct view rest = in;

    *out = (struct proxy_header){0};
    *used = 0;
    if (view_take(&rest, VIEW("PROXY "))) {
        size_t end = view_find(view_slice(in, 0, PROXY_V1_MAX), VIEW("\r\n"));
        if (end == VIEW_NONE)
            return in.n < PROXY_V1_MAX && view_chr(in, '\n') == VIEW_NONE ? PROXY_MORE : PROXY_BAD;
        *used = end + 2;
        return parse_v1(view_slice(in, 6, end - 6), out);
    }
    if (view_take(&rest, v2_signature)) {
        if (rest.n < 4)
            return PROXY_MORE;
        int command = view_next(&rest), family = view_next(&rest);
        size_t n = take_u16(&rest);
        if (v2_signature.n + 4 + n > PROXY_MAX || (command >> 4) != 2)
            return PROXY_BAD;
        if (rest.n < n)
            return PROXY_MORE;
        *used = v2_signature.n + 4 + n;
        return parse_v2((unsigned)command, (unsigned)family, view_slice(rest, 0, n), out);
    }
    return starts_like(in, VIEW("PROXY ")) || starts_like(in, v2_signature) ? PROXY_MORE : PROXY_BAD;
}
