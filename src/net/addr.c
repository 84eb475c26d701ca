#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static const struct sockaddr_in *in4(const struct addr *a)
{
    return (const struct sockaddr_in *)&a->ss;
}

static const struct sockaddr_in6 *in6(const struct addr *a)
{
    return (const struct sockaddr_in6 *)&a->ss;
}

/* IPv4 as ::ffff:a.b.c.d. False: no IP address. */
static bool get_bytes(const struct addr *a, uint8_t out[16])
{
    if (a->len > 0 && a->ss.ss_family == AF_INET) {
        memcpy(out, mapped_prefix, 12);
        memcpy(out + 12, &in4(a)->sin_addr, 4);
        return true;
    }
    if (a->len > 0 && a->ss.ss_family == AF_INET6) {
        memcpy(out, &in6(a)->sin6_addr, 16);
        return true;
    }
    return false;
}

static bool is_mapped(const uint8_t bytes[16])
{
    return memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

enum rc addr_parse_ip(struct view text, unsigned port, struct addr *out)
{
    char ip[INET6_ADDRSTRLEN];
    *out = (struct addr){0};
    if (port > 65535 || view_cstr(text, ip, sizeof ip) != RC_OK)
        return RC_SYNTAX;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->ss;
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        out->len = sizeof *v4;
        return RC_OK;
    }
    if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        out->len = sizeof *v6;
        return RC_OK;
    }
    *out = (struct addr){0};
    return RC_SYNTAX;
}

enum rc addr_parse(struct view text, struct addr *out)
{
    struct view host, port = text;
    uint64_t n;
    *out = (struct addr){0};
    if (view_take_chr(&text, '[')) {
        if (!view_split(&text, ']', &host) || !view_take_chr(&text, ':') || view_chr(host, ':') == VIEW_NONE)
            return RC_SYNTAX;
        port = text;
    } else if (!view_split(&port, ':', &host) || view_chr(port, ':') != VIEW_NONE) {
        return RC_SYNTAX;
    }
    if (!view_is_u64(port, 65535, &n))
        return RC_SYNTAX;
    return addr_parse_ip(host, (unsigned)n, out);
}

enum rc addr_net_parse(struct view text, struct addr_net *out)
{
    struct view ip;
    struct addr a;
    uint64_t bits;
    bool has_bits = view_split(&text, '/', &ip);

    *out = (struct addr_net){0};
    if (addr_parse_ip(ip, 0, &a) != RC_OK)
        return RC_SYNTAX;
    unsigned width = addr_is_ipv6(&a) ? 128 : 32;
    if (!has_bits)
        bits = width;
    else if (!view_is_u64(text, width, &bits))
        return RC_SYNTAX;
    get_bytes(&a, out->bytes);
    out->bits = (unsigned)bits + 128 - width;
    return RC_OK;
}

bool addr_in_net(const struct addr *a, const struct addr_net *net)
{
    uint8_t bytes[16];
    if (!get_bytes(a, bytes))
        return false;
    if (net->bits == 0) /* "::/0" means IPv6 only, as people who write it expect */
        return !is_mapped(bytes);
    size_t whole = net->bits / 8;
    if (memcmp(bytes, net->bytes, whole) != 0)
        return false;
    unsigned rest = net->bits % 8;
    return rest == 0 || ((bytes[whole] ^ net->bytes[whole]) >> (8 - rest)) == 0;
}

bool addr_in_nets(const struct addr *a, const struct addr_net *nets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (addr_in_net(a, &nets[i]))
            return true;
    return false;
}

void addr_unmap(struct addr *a)
{
    uint8_t bytes[16];
    if (!addr_is_ipv6(a) || !get_bytes(a, bytes) || !is_mapped(bytes))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = in6(a)->sin6_port};
    memcpy(&v4.sin_addr, bytes + 12, 4);
    *a = (struct addr){.len = sizeof v4};
    memcpy(&a->ss, &v4, sizeof v4);
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
    uint8_t x[16], y[16];
    return get_bytes(a, x) && get_bytes(b, y) && memcmp(x, y, sizeof x) == 0;
}

unsigned addr_port(const struct addr *a)
{
    if (a->len == 0)
        return 0;
    return ntohs(addr_is_ipv6(a) ? in6(a)->sin6_port : in4(a)->sin_port);
}

bool addr_is_ipv6(const struct addr *a)
{
    return a->len > 0 && a->ss.ss_family == AF_INET6;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    uint8_t bytes[16];
    if (!get_bytes(a, bytes))
        return false;
    return is_mapped(bytes) ? bytes[12] == 127 : memcmp(bytes, loopback6, sizeof bytes) == 0;
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t any6[16];
    uint8_t bytes[16];
    if (!get_bytes(a, bytes))
        return false;
    return memcmp(is_mapped(bytes) ? &bytes[12] : bytes, any6, is_mapped(bytes) ? 4 : sizeof bytes) == 0;
}

bool addr_is_public(const struct addr *a)
{
    static const char *const special[] = {
        "0.0.0.0/8",       "10.0.0.0/8",      "100.64.0.0/10",   "127.0.0.0/8",  "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24",    "192.88.99.0/24",  "192.168.0.0/16",  "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "2001::/23",       "2001:db8::/32",   "2002::/16"};
    static const char *const given[] = {"0.0.0.0/0", "2000::/3"}; /* all else of IPv6 is not given out yet */
    struct addr_net net;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (addr_net_parse(view_str(special[i]), &net) == RC_OK && addr_in_net(a, &net))
            return false;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (addr_net_parse(view_str(given[i]), &net) == RC_OK && addr_in_net(a, &net))
            return true;
    return false;
}

void addr_write_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    const void *ip = addr_is_ipv6(a) ? (const void *)&in6(a)->sin6_addr : &in4(a)->sin_addr;
    if (a->len == 0 || !inet_ntop(a->ss.ss_family, ip, out, ADDR_TEXT_MAX))
        snprintf(out, ADDR_TEXT_MAX, "unknown");
}

void addr_write(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    addr_write_ip(a, ip);
    snprintf(out, ADDR_TEXT_MAX, addr_is_ipv6(a) ? "[%.45s]:%u" : "%.45s:%u", ip, addr_port(a));
}

void addr_rate_key(const struct addr *a, uint8_t out[16])
{
    memset(out, 0, 16);
    if (get_bytes(a, out) && !is_mapped(out))
        memset(out + 8, 0, 8); /* one customer commonly has a /64 */
}
