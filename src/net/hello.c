#include "net/hello.h"

#define RECORD_HANDSHAKE 22
#define CLIENT_HELLO     1
#define EXT_SERVER_NAME  0
#define EXT_ALPN         16
#define RANDOM_N         32

/* A vector of TLS: its length in `size` bytes, then as many (RFC 8446 §3.4). */
static bool take_vector(struct view *in, unsigned size, struct view *out)
{
    struct view rest = *in;
    size_t n = 0;
    for (unsigned i = 0; i < size; i++) {
        int byte = view_next(&rest);
        if (byte < 0)
            return false;
        n = n << 8 | (unsigned)byte;
    }
    if (n > rest.n)
        return false;
    *out = view_slice(rest, 0, n);
    view_skip(&rest, n);
    *in = rest;
    return true;
}

bool hello_protocol(struct view *protocols, struct view *one)
{
    return take_vector(protocols, 1, one) && one->n > 0;
}

struct view hello_protocols_of(struct view extension)
{
    struct view list;
    return take_vector(&extension, 2, &list) && extension.n == 0 ? list : VIEW("");
}

struct view hello_host_of(struct view extension)
{
    struct view list, name;
    if (!take_vector(&extension, 2, &list) || view_next(&list) != 0 || !take_vector(&list, 2, &name))
        return VIEW("");
    return name;
}

/* The handshake's bytes out of their records. */
static enum rc join_records(struct view in, char room[HELLO_MAX], struct view *out)
{
    size_t n = 0, wanted = 4; /* type and length of the message, then all of it */
    while (n < wanted) {
        struct view record;
        if (in.n > 0 && view_peek(in) != RECORD_HANDSHAKE)
            return RC_SYNTAX;
        view_skip(&in, 3); /* type and version */
        if (!take_vector(&in, 2, &record))
            return RC_TEMP;
        if (record.n == 0)
            return RC_SYNTAX;
        if (record.n > HELLO_MAX - n)
            return RC_LIMIT;
        memcpy(&room[n], record.p, record.n);
        n += record.n;
        if (room[0] != CLIENT_HELLO)
            return RC_SYNTAX;
        if (n >= 4)
            wanted = 4 + ((size_t)(unsigned char)room[1] << 16 | (size_t)(unsigned char)room[2] << 8 | (unsigned char)room[3]);
        if (wanted > HELLO_MAX)
            return RC_LIMIT;
    }
    *out = view_of(&room[4], wanted - 4);
    return RC_OK;
}

enum rc hello_read(struct view in, char room[HELLO_MAX], struct hello *out)
{
    struct view body, skipped, extensions;
    *out = (struct hello){0};
    enum rc rc = join_records(in, room, &body);
    if (rc != RC_OK)
        return rc == RC_TEMP && in.n >= HELLO_MAX ? RC_LIMIT : rc;
    if (body.n < 2 + RANDOM_N)
        return RC_SYNTAX;
    view_skip(&body, 2 + RANDOM_N);
    /* session id, cipher suites, compression methods */
    if (!take_vector(&body, 1, &skipped) || !take_vector(&body, 2, &skipped) || !take_vector(&body, 1, &skipped))
        return RC_SYNTAX;
    if (body.n == 0) /* none, as long ago */
        return RC_OK;
    if (!take_vector(&body, 2, &extensions))
        return RC_SYNTAX;
    while (extensions.n > 0) {
        struct view data;
        int high = view_next(&extensions), low = view_next(&extensions);
        if (low < 0 || !take_vector(&extensions, 2, &data))
            return RC_SYNTAX;
        if (high == 0 && low == EXT_SERVER_NAME)
            out->host = hello_host_of(data);
        else if (high == 0 && low == EXT_ALPN)
            out->protocols = hello_protocols_of(data);
    }
    return RC_OK;
}
