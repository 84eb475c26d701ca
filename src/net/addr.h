/* net/addr: IP addresses, networks and endpoints ("127.0.0.2:25", "[::1]:465"). Pure; any thread. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <sys/socket.h>

#include "base/buf.h"

#define ADDR_TEXT_MAX 64 /* "[" IPv6 "%" scope "]:65535" and NUL */

struct addr {
    struct sockaddr_storage ss;
    socklen_t len; /* 0: none */
};
struct addr_net {      /* "127.0.0.10/32", "2001:db8::/32"; a bare address is a network of one */
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d, so that mapped peers match */
    unsigned bits;     /* of the 128 */
};

/* Only literal addresses; with port. RC_SYNTAX otherwise. */
enum rc addr_parse(struct view text, struct addr *out);
/* A bare IPv4 or IPv6 address ("192.0.2.1", "2001:db8::1"), port as given. */
enum rc addr_parse_ip(struct view text, unsigned port, struct addr *out);
enum rc addr_net_parse(struct view text, struct addr_net *out);
bool addr_in_net(const struct addr *a, const struct addr_net *net);
bool addr_in_nets(const struct addr *a, const struct addr_net *nets, size_t n);
/* IPv4-mapped IPv6 addresses become IPv4, so that text and rules are the same for both. */
void addr_unmap(struct addr *a);
bool addr_eq_ip(const struct addr *a, const struct addr *b);
unsigned addr_port(const struct addr *a);
bool addr_is_ipv6(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
/* 0.0.0.0 or [::]: all addresses of this machine where one listens, and to Linux itself where one connects. */
bool addr_is_any(const struct addr *a);
/* An address that others on the Internet can reach: no private, loopback, link-local, documentation or other special range
 * (RFC 6890), no tunnel that hides one. */
bool addr_is_public(const struct addr *a);
/* "192.0.2.1" / "2001:db8::1", without port. Always NUL-ended. */
void addr_write_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);
/* With port. */
void addr_write(const struct addr *a, char out[ADDR_TEXT_MAX]);
/* The key by which rates are counted: the IPv4 address, or the /64 of an IPv6 address. Fills 16 bytes. */
void addr_rate_key(const struct addr *a, uint8_t out[16]);

#endif
