/* How well the TLS of an MX host is made: versions, suites, their order, key exchange and the rest of what internet.nl looks at. Each is
 * asked by a handshake's first words (net/tls_flight.h) on a connection of its own, which is then dropped. What is good is said by
 * NCSC-NL's guidelines for TLS (2.1); since mail falls back to no TLS at all, little of it is worse than a warning (RFC 7435). */
#include "crypto/random.h"
#include "health/health_impl.h"
#include "net/conn_look.h"
#include "net/tls_flight.h"

#define LINE_MAX_BYTES 2000
#define LINES_MAX      100
#define DH_BITS_MIN    2048
#define RSA_BITS_MIN   2048
#define EC_BITS_MIN    224

/* Elliptic or finite-field key exchange with AES-GCM or ChaCha20, then the same with CBC. */
static const uint16_t good_suites[] = {0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc02b, 0xc02f};
static const uint16_t fair_suites[] = {0xc024, 0xc028, 0xc00a, 0xc014, 0xc023, 0xc027, 0xc009, 0xc013, 0x009f, 0xccaa, 0x009e, 0x006b, 0x0039, 0x0067, 0x0033};
/* No forward secrecy, or 3DES. */
static const uint16_t poor_suites[] = {0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0xc008, 0xc012, 0x0016, 0x000a, 0x0041, 0x0084, 0x0096};
/* RC4, DES, export, nothing at all, without a certificate. */
static const uint16_t bad_suites[] = {0x0005, 0x0004, 0xc011, 0xc007, 0x0009, 0x0015, 0x0003, 0x0006, 0x0008, 0x0014, 0x0001, 0x0002,
                                      0x003b, 0xc006, 0xc010, 0x0018, 0x001b, 0x0034, 0x003a, 0x006c, 0x006d, 0x00a6, 0x00a7, 0xc018, 0xc019};
static const uint16_t finite_suites[] = {0x009f, 0x009e, 0x006b, 0x0039, 0x0067, 0x0033, 0x0016};
static const uint16_t weak_groups[] = {1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20, 21}; /* fewer than 256 bits */
#define COUNT(list) (sizeof(list) / sizeof *(list))

struct probe {
    struct look *l;
    const struct look_host *host;
    const struct addr *addr;
    const char *name;
    int64_t deadline_ms;
    bool lost; /* the host no longer answers: what follows cannot be told */
};

/* --- to the point where TLS begins --- */

/* The last line's code; 0: none. *starttls: a line names it. */
static unsigned read_reply(struct conn *c, bool *starttls)
{
    for (int i = 0; i < LINES_MAX; i++) {
        struct view line;
        uint32_t code;
        if (conn_line(c, LINE_MAX_BYTES, &line) != RC_OK || line.n < 3)
            return 0;
        if (starttls && line.n > 4 && view_ieq(view_trim(view_from(line, 4)), VIEW("STARTTLS")))
            *starttls = true;
        if (line.n > 3 && line.p[3] == '-')
            continue;
        struct view digits = view_slice(line, 0, 3);
        return view_u32(&digits, 999, &code) == RC_OK ? code : 0;
    }
    return 0;
}

/* NULL: not possible now. */
static struct conn *open_tls(struct probe *p)
{
    const struct health_settings *set = p->l->set;
    const struct addr *bind = addr_is_ipv6(p->addr) ? set->bind6 : set->bind4;
    struct conn *c = NULL;
    const char *why;
    bool starttls = false;
    if (p->lost || health_is_over(p->l) || clock_mono_ms() >= p->deadline_ms || conn_dial(p->addr, bind, p->deadline_ms, &c, &why) != RC_OK)
        goto lost;
    conn_deadline(c, p->deadline_ms);
    if (read_reply(c, NULL) != 220)
        goto lost;
    conn_printf(c, "EHLO %s\r\n", set->hostname);
    if (conn_flush(c) != RC_OK || read_reply(c, &starttls) != 250 || !starttls)
        goto lost;
    conn_write(c, VIEW("STARTTLS\r\n"));
    if (conn_flush(c) != RC_OK || read_reply(c, NULL) != 220)
        goto lost;
    return c;
lost:
    conn_free(c);
    p->lost = true;
    return NULL;
}

/* False: nothing was learned. */
static bool ask(struct probe *p, struct tls_flight *offer, struct tls_flight_answer *answer)
{
    struct buf out, in;
    struct view bytes;
    struct conn *c = open_tls(p);
    enum rc rc = RC_TEMP;
    *answer = (struct tls_flight_answer){0};
    if (!c)
        return false;
    random_bytes(offer->random, sizeof offer->random);
    offer->server_name = p->name;
    buf_init(&out, 4096);
    buf_init(&in, TLS_FLIGHT_FLIGHT_MAX);
    if (tls_flight_write(offer, &out) == RC_OK) {
        conn_write(c, buf_view(&out));
        conn_flush(c);
        while (rc == RC_TEMP && conn_fill(c, &bytes) == RC_OK) {
            buf_add(&in, bytes);
            conn_eat(c, bytes.n);
            rc = buf_rc(&in) == RC_OK ? tls_flight_read(buf_view(&in), answer) : RC_LIMIT;
        }
    }
    conn_free(c);
    buf_clear(&out);
    buf_clear(&in);
    return true; /* whoever just goes away does not agree either */
}

static size_t append(uint16_t *list, size_t n, const uint16_t *from, size_t n_from)
{
    for (size_t i = 0; i < n_from; i++)
        list[n++] = from[i];
    return n;
}

static bool holds(const uint16_t *list, size_t n, uint16_t suite)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == suite)
            return true;
    return false;
}

/* --- points --- */

#define POLICY_REPAIR "Set the server's TLS to what its makers call modern or intermediate; Mozilla's SSL Configuration Generator writes it out."

static void look_at_versions(struct probe *p, bool has_1_3, bool has_1_2)
{
    static const struct {
        uint16_t version;
        const char *name;
    } old[] = {{TLS_FLIGHT_1_1, "TLS 1.1"}, {TLS_FLIGHT_1_0, "TLS 1.0"}, {TLS_FLIGHT_SSL3, "SSL 3"}};
    uint16_t all[64];
    size_t n = append(all, 0, fair_suites, COUNT(fair_suites));
    struct look *l = p->l;
    struct tls_flight_answer a;
    const char *worst = NULL;
    n = append(all, n, poor_suites, COUNT(poor_suites));
    for (size_t i = 0; i < COUNT(old); i++) {
        struct tls_flight offer = {.version = old[i].version, .suites = all, .n_suites = n};
        if (ask(p, &offer, &a) && a.agreed && a.version == old[i].version)
            worst = old[i].name;
    }
    if (p->lost)
        return;
    if (worst)
        health_say(l, "tls.versions", HEALTH_WARN, p->host->name, "Switch off all that is older than TLS 1.2 (RFC 8996).",
                   "It still speaks %s.", worst);
    else if (!has_1_3)
        health_say(l, "tls.versions", HEALTH_NOTE, p->host->name, "Switch on TLS 1.3.", "It speaks TLS 1.2, but not TLS 1.3.");
    else
        health_say(l, "tls.versions", HEALTH_GOOD, p->host->name, NULL,
                   has_1_2 ? "It speaks TLS 1.3 and TLS 1.2, and nothing older." : "It speaks TLS 1.3 alone.");
}

static void look_at_suites(struct probe *p)
{
    struct tls_flight bad = {.version = TLS_FLIGHT_1_2, .suites = bad_suites, .n_suites = COUNT(bad_suites)};
    struct tls_flight poor = {.version = TLS_FLIGHT_1_2, .suites = poor_suites, .n_suites = COUNT(poor_suites)};
    struct tls_flight_answer a, b = {0};
    struct look *l = p->l;
    if (!ask(p, &bad, &a) || (!a.agreed && !ask(p, &poor, &b)))
        return;
    if (a.agreed)
        health_say(l, "tls.ciphers", HEALTH_WARN, p->host->name, POLICY_REPAIR, "It takes cipher suites that protect nothing (such as RC4, anonymous, export).");
    else if (b.agreed)
        health_say(l, "tls.ciphers", HEALTH_NOTE, p->host->name, POLICY_REPAIR,
                   "It also takes cipher suites that are to be phased out (without forward secrecy, or 3DES).");
    else
        health_say(l, "tls.ciphers", HEALTH_GOOD, p->host->name, NULL, "It takes good cipher suites only.");
}

/* Of TLS 1.2: worst first, so that a server without an order of its own shows it. True: TLS 1.2 is spoken. */
static bool look_at_hello(struct probe *p)
{
    uint16_t all[64];
    size_t n = append(all, 0, poor_suites, COUNT(poor_suites));
    struct look *l = p->l;
    const struct view host = p->host->name;
    struct tls_flight_answer a;
    n = append(all, n, fair_suites, COUNT(fair_suites));
    n = append(all, n, good_suites, COUNT(good_suites));
    struct tls_flight offer = {.version = TLS_FLIGHT_1_2, .suites = all, .n_suites = n, .compression = true};
    if (!ask(p, &offer, &a) || !a.agreed || a.version != TLS_FLIGHT_1_2)
        return false;
    if (holds(poor_suites, COUNT(poor_suites), a.suite))
        health_say(l, "tls.order", HEALTH_NOTE, host, "Let the server choose by its own order, best first.",
                   "It takes a worse cipher suite where a client names that first.");
    else
        health_say(l, "tls.order", HEALTH_GOOD, host, NULL, "It prefers good cipher suites, whatever order a client has.");
    if (a.compression)
        health_say(l, "tls.compression", HEALTH_WARN, host, "Switch TLS compression off.", "It compresses inside TLS, which gives secrets away.");
    else
        health_say(l, "tls.compression", HEALTH_GOOD, host, NULL, "No compression inside TLS.");
    if (a.renegotiation_info)
        health_say(l, "tls.renegotiation", HEALTH_GOOD, host, NULL, "Renegotiation is bound to its session (RFC 5746).");
    else
        health_say(l, "tls.renegotiation", HEALTH_WARN, host, "Bring the server's TLS library up to date.",
                   "Renegotiation is not bound to its session (RFC 5746): others can put words in front.");
    if (a.extended_master)
        health_say(l, "tls.extended-master", HEALTH_GOOD, host, NULL, "Keys are bound to the whole handshake (RFC 7627).");
    else
        health_say(l, "tls.extended-master", HEALTH_NOTE, host, "Bring the server's TLS library up to date.",
                   "Keys of TLS 1.2 are not bound to the whole handshake (RFC 7627).");
    if (a.signature != 0 && a.signature >> 8 < 3)
        health_say(l, "tls.hash", HEALTH_WARN, host, "Let the server sign key exchanges by SHA-256 or better.",
                   "It signs key exchanges by SHA-1 or MD5, although it was offered better.");
    else if (a.signature != 0)
        health_say(l, "tls.hash", HEALTH_GOOD, host, NULL, "It signs key exchanges by SHA-256 or better.");
    return true;
}

static void look_at_exchange(struct probe *p)
{
    uint16_t elliptic[32];
    size_t n = append(elliptic, 0, good_suites, COUNT(good_suites));
    struct tls_flight finite = {.version = TLS_FLIGHT_1_2, .suites = finite_suites, .n_suites = COUNT(finite_suites)};
    struct tls_flight weak = {.version = TLS_FLIGHT_1_2, .suites = elliptic, .groups = weak_groups, .n_groups = COUNT(weak_groups)};
    struct tls_flight_answer a, b;
    struct look *l = p->l;
    weak.n_suites = append(elliptic, n, fair_suites, 8);
    if (!ask(p, &finite, &a) || !ask(p, &weak, &b))
        return;
    if (a.agreed && a.dh_bits > 0 && a.dh_bits < DH_BITS_MIN)
        health_say(l, "tls.exchange", HEALTH_WARN, p->host->name, "Use the groups of RFC 7919 (ffdhe2048 or larger), or elliptic curves alone.",
                   "Its Diffie-Hellman group has %u bits only.", a.dh_bits);
    else if (b.agreed && b.group != 0)
        health_say(l, "tls.exchange", HEALTH_WARN, p->host->name, "Leave the curves x25519, P-256 and P-384.",
                   "It takes elliptic curves of less than 256 bits.");
    else
        health_say(l, "tls.exchange", HEALTH_GOOD, p->host->name, NULL, "Keys are exchanged by strong groups only.");
}

/* Inside TLS 1.2, asked for by the client: a cheap way to keep a server busy. */
static void look_at_client_renegotiation(struct probe *p)
{
    struct look *l = p->l;
    struct conn_tls_options o = {.server_name = p->name, .below_1_3 = true};
    struct conn *c = open_tls(p);
    if (!c)
        return;
    if (conn_start_tls_client(c, l->set->trust, &o) == RC_OK) {
        conn_deadline(c, p->deadline_ms);
        if (conn_look_renegotiate(c) == RC_OK)
            health_say(l, "tls.client-renegotiation", HEALTH_NOTE, p->host->name,
                       "Switch renegotiation off (in Postfix: tls_ssl_options = NO_RENEGOTIATION).",
                       "Clients may ask for new handshakes inside a session, which can keep the server busy.");
        else
            health_say(l, "tls.client-renegotiation", HEALTH_GOOD, p->host->name, NULL, "Clients cannot ask for new handshakes inside a session.");
    }
    conn_free(c);
}

void health_probe(struct look *l, const struct look_host *host, const struct addr *addr, bool has_1_3)
{
    struct probe p = {.l = l, .host = host, .addr = addr, .name = arena_cstr(l->a, host->name), .deadline_ms = health_deadline(l, HEALTH_PROBE_MS)};
    if (!p.name) {
        l->rc = RC_TEMP;
        return;
    }
    health_progress(l, "the TLS settings of", host->name);
    const bool has_1_2 = look_at_hello(&p);
    look_at_versions(&p, has_1_3, has_1_2);
    if (has_1_2) {
        look_at_suites(&p);
        look_at_exchange(&p);
        look_at_client_renegotiation(&p);
    }
    if (p.lost)
        health_say(l, "tls.versions", HEALTH_UNKNOWN, host->name,
                   "Try again later; many connections one after the other may have annoyed it, or its greeting is slow.",
                   "It stopped answering, or too slowly, so not all of its TLS settings could be looked at.");
}

/* --- what the first, whole connection shows --- */

static bool is_weak(const struct conn_certificate *c)
{
    return view_starts(view_str(c->key), VIEW("RSA")) || view_eq(view_str(c->key), VIEW("DSA")) ? c->bits < RSA_BITS_MIN : c->bits < EC_BITS_MIN;
}

void health_certificates(struct look *l, const struct look_host *host, const struct conn *c)
{
    struct conn_certificate chain[CONN_CHAIN_MAX];
    const size_t n = conn_look_chain(c, chain);
    const char *name = arena_cstr(l->a, host->name);
    const struct conn_certificate *weak = NULL, *weakly_signed = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct view digest = view_str(chain[i].signature);
        if (!weak && is_weak(&chain[i]))
            weak = &chain[i];
        if (!weakly_signed && !chain[i].self_signed && (view_eq(digest, VIEW("SHA1")) || view_starts(digest, VIEW("MD"))))
            weakly_signed = &chain[i];
    }
    if (n == 0 || !name)
        return;
    if (conn_look_name(c, name))
        health_say(l, "cert.name", HEALTH_GOOD, host->name, NULL, "Its certificate is for this name.");
    else
        health_say(l, "cert.name", HEALTH_NOTE, host->name, "Get a certificate that has the MX host's name among its DNS names.",
                   "Its certificate is not for this name; senders that check (MTA-STS) do not deliver.");
    if (weak)
        health_say(l, "cert.key", HEALTH_WARN, host->name, "Make a new key: RSA of 2048 bits or more, or ECDSA P-256, and get a certificate for it.",
                   "A key in its certificate chain is short: %s of %u bits.", weak->key, weak->bits);
    else
        health_say(l, "cert.key", HEALTH_GOOD, host->name, NULL, "Its key is strong: %s of %u bits.", chain[0].key, chain[0].bits);
    if (weakly_signed)
        health_say(l, "cert.signature", HEALTH_WARN, host->name, "Get a new certificate: authorities sign by SHA-256 or better today.",
                   "A certificate of its chain is signed by %s.", weakly_signed->signature);
    else
        health_say(l, "cert.signature", HEALTH_GOOD, host->name, NULL, "The certificates of its chain are signed by SHA-256 or better.");
    if (conn_look_early_data(c) > 0)
        health_say(l, "tls.early-data", HEALTH_NOTE, host->name, "Switch early data (0-RTT) off for mail.",
                   "It takes early data (0-RTT), which others can send again.");
    else
        health_say(l, "tls.early-data", HEALTH_GOOD, host->name, NULL, "No early data (0-RTT) is taken.");
}
