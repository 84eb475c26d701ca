#include "net/tls_flight.h"

enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };
enum { SERVER_HELLO = 2, SERVER_KEY_EXCHANGE = 12, SERVER_HELLO_DONE = 14 };

/* --- writing --- */

static void put16(struct buf *out, size_t n)
{
    buf_chr(out, (char)(n >> 8));
    buf_chr(out, (char)n);
}

static void put_list(struct buf *out, const uint16_t *v, size_t n)
{
    put16(out, 2 * n);
    for (size_t i = 0; i < n; i++)
        put16(out, v[i]);
}

static void put_extensions(const struct tls_flight *o, struct buf *out)
{
    static const uint16_t usual_groups[] = {29, 23, 24, 25, 30}; /* x25519, P-256, P-384, P-521, x448 */
    /* ECDSA, RSA, RSA-PSS with SHA-256, 384, 512; with SHA-1 and MD5 last, to see who still takes them first */
    static const uint16_t signatures[] = {0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0101};
    const struct view name = view_str(o->server_name ? o->server_name : "");
    const size_t n_groups = o->groups ? o->n_groups : sizeof usual_groups / sizeof *usual_groups;
    if (name.n > 0) {
        put16(out, 0);
        put16(out, name.n + 5);
        put16(out, name.n + 3);
        buf_chr(out, 0);
        put16(out, name.n);
        buf_add(out, name);
    }
    put16(out, 10); /* supported_groups */
    put16(out, 2 * n_groups + 2);
    put_list(out, o->groups ? o->groups : usual_groups, n_groups);
    put16(out, 11); /* ec_point_formats: uncompressed */
    put16(out, 2);
    buf_add(out, view_of("\1\0", 2));
    if (o->version >= TLS_FLIGHT_1_2) {
        put16(out, 13); /* signature_algorithms */
        put16(out, sizeof signatures + 2);
        put_list(out, signatures, sizeof signatures / sizeof *signatures);
    }
    put16(out, 23); /* extended_master_secret */
    put16(out, 0);
    put16(out, 0xff01); /* renegotiation_info, empty */
    put16(out, 1);
    buf_chr(out, 0);
}

enum rc tls_flight_write(const struct tls_flight *o, struct buf *out)
{
    struct buf ext, body;
    buf_init(&ext, 4096);
    buf_init(&body, 8192);
    if (o->version > TLS_FLIGHT_SSL3) /* SSL 3 knows no extensions */
        put_extensions(o, &ext);
    put16(&body, o->version);
    buf_add(&body, view_of(o->random, sizeof o->random));
    buf_chr(&body, 0); /* no session to resume */
    put_list(&body, o->suites, o->n_suites);
    buf_add(&body, o->compression ? view_of("\2\1\0", 3) : view_of("\1\0", 2));
    if (ext.n > 0)
        put16(&body, ext.n);
    buf_add(&body, buf_view(&ext));
    buf_chr(out, RECORD_HANDSHAKE);
    put16(out, o->version > TLS_FLIGHT_1_0 ? TLS_FLIGHT_1_0 : o->version);
    put16(out, body.n + 4);
    buf_chr(out, 1); /* ClientHello */
    buf_chr(out, 0);
    put16(out, body.n);
    buf_add(out, buf_view(&body));
    enum rc rc = buf_rc(&ext) != RC_OK ? buf_rc(&ext) : buf_rc(&body) != RC_OK ? buf_rc(&body) : buf_rc(out);
    buf_clear(&ext);
    buf_clear(&body);
    return rc;
}

/* --- reading --- */

/* False: it ends before. */
static bool take_number(struct view *in, unsigned bytes, uint32_t *out)
{
    *out = 0;
    if (in->n < bytes)
        return false;
    while (bytes-- > 0)
        *out = *out << 8 | (uint32_t)view_next(in);
    return true;
}

/* A vector with its length in front. */
static bool take_vector(struct view *in, unsigned length_bytes, struct view *out)
{
    uint32_t n;
    struct view v = *in;
    if (!take_number(&v, length_bytes, &n) || v.n < n)
        return false;
    *out = view_slice(v, 0, n);
    view_skip(&v, n);
    *in = v;
    return true;
}

static void read_extensions(struct view list, struct tls_flight_answer *out)
{
    uint32_t type;
    struct view data;
    while (take_number(&list, 2, &type) && take_vector(&list, 2, &data)) {
        out->renegotiation_info |= type == 0xff01;
        out->extended_master |= type == 23;
    }
}

static bool read_server_hello(struct view in, struct tls_flight_answer *out)
{
    uint32_t version, suite, compression;
    struct view session, extensions;
    if (!take_number(&in, 2, &version) || in.n < 32)
        return false;
    view_skip(&in, 32);
    if (!take_vector(&in, 1, &session) || !take_number(&in, 2, &suite) || !take_number(&in, 1, &compression))
        return false;
    out->agreed = true;
    out->version = (uint16_t)version;
    out->suite = (uint16_t)suite;
    out->compression = compression != 0;
    if (take_vector(&in, 2, &extensions))
        read_extensions(extensions, out);
    return true;
}

static unsigned bits_of(struct view number)
{
    while (number.n > 0 && number.p[0] == 0)
        view_skip(&number, 1);
    unsigned bits = (unsigned)number.n * 8;
    for (unsigned top = number.n > 0 ? (unsigned char)number.p[0] : 0x80; top < 0x80 && bits > 0; top <<= 1)
        bits--;
    return bits;
}

/* Which form it has depends on the suite; elliptic curves begin with their type, 3 (RFC 8422 §5.4), a prime with its length, whose first
 * byte is 0 or 1 for all that are in use. */
static void read_key_exchange(struct view in, struct tls_flight_answer *out)
{
    uint32_t type, n;
    struct view p, g, y;
    if (in.n > 0 && in.p[0] == 3) {
        if (!take_number(&in, 1, &type) || !take_number(&in, 2, &n) || !take_vector(&in, 1, &y))
            return;
        out->group = (uint16_t)n;
    } else {
        if (!take_vector(&in, 2, &p) || !take_vector(&in, 2, &g) || !take_vector(&in, 2, &y))
            return;
        out->dh_bits = bits_of(p);
    }
    if (out->version >= TLS_FLIGHT_1_2 && take_number(&in, 2, &n))
        out->signature = (uint16_t)n;
}

/* Handshake messages, one after the other. RC_OK: the flight's end. */
static enum rc read_messages(struct view in, struct tls_flight_answer *out)
{
    for (;;) {
        uint32_t type;
        struct view body;
        if (!take_number(&in, 1, &type) || !take_vector(&in, 3, &body))
            return RC_TEMP;
        if (type == SERVER_HELLO && !read_server_hello(body, out))
            return RC_SYNTAX;
        if (type != SERVER_HELLO && !out->agreed)
            return RC_SYNTAX;
        if (type == SERVER_KEY_EXCHANGE)
            read_key_exchange(body, out);
        if (type == SERVER_HELLO_DONE)
            return RC_OK;
    }
}

enum rc tls_flight_read(struct view in, struct tls_flight_answer *out)
{
    struct buf messages;
    enum rc rc = RC_TEMP;
    uint32_t type, version;
    struct view body;
    *out = (struct tls_flight_answer){0};
    buf_init(&messages, TLS_FLIGHT_FLIGHT_MAX);
    while (rc == RC_TEMP) {
        if (in.n > 0 && in.p[0] != RECORD_HANDSHAKE && in.p[0] != RECORD_ALERT) {
            rc = RC_SYNTAX;
            break;
        }
        if (!take_number(&in, 1, &type) || !take_number(&in, 2, &version) || !take_vector(&in, 2, &body))
            break;
        if (version >> 8 != 3) {
            rc = RC_SYNTAX;
        } else if (type == RECORD_ALERT) {
            out->alert = body.n > 1 ? (uint8_t)body.p[1] : 0;
            if (body.n > 1 && body.p[0] == 1)
                continue; /* a warning: such as that the name is not known */
            rc = RC_OK;
        } else {
            buf_add(&messages, body);
            rc = buf_rc(&messages) == RC_OK ? read_messages(buf_view(&messages), out) : RC_SYNTAX;
        }
    }
    buf_clear(&messages);
    return rc;
}
