#include "vault/wire.h"

#include "vault/app_passwords.h"

#define SECOND_FACTOR 256u /* in the number of a match, above its scope */

static void put_u32(struct buf *b, uint32_t n)
{
    const char bytes[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
    buf_add(b, view_of(bytes, sizeof bytes));
}

static bool take_bytes(struct view *in, void *out, size_t n)
{
    if (in->n < n)
        return false;
    memcpy(out, in->p, n);
    view_skip(in, n);
    return true;
}

static bool take_u32(struct view *in, uint32_t *out)
{
    uint8_t b[4];
    if (!take_bytes(in, b, sizeof b))
        return false;
    *out = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return true;
}

void vault_request_write(const struct vault_request *r, struct buf *out)
{
    put_u32(out, r->seq);
    put_u32(out, r->op);
    put_u32(out, r->n);
    put_u32(out, (uint32_t)(r->account >> 32));
    put_u32(out, (uint32_t)r->account);
    buf_add(out, view_of(r->peer, sizeof r->peer));
    buf_add(out, view_of(r->key, sizeof r->key));
    buf_add(out, r->a); /* to the end of the message */
}

enum rc vault_request_parse(struct view msg, struct vault_request *out)
{
    uint32_t op, high, low;

    *out = (struct vault_request){0};
    if (!take_u32(&msg, &out->seq) || !take_u32(&msg, &op) || !take_u32(&msg, &out->n) || !take_u32(&msg, &high) ||
        !take_u32(&msg, &low) || !take_bytes(&msg, out->peer, sizeof out->peer) ||
        !take_bytes(&msg, out->key, sizeof out->key))
        return RC_SYNTAX;
    if (op < VAULT_OP_PASSWORD || op > VAULT_OP_LAST)
        return RC_SYNTAX;
    out->op = (enum vault_op)op;
    out->account = (uint64_t)high << 32 | low;
    out->a = msg;
    return RC_OK;
}

void vault_answer_write(const struct vault_answer *r, struct buf *out)
{
    put_u32(out, r->seq);
    put_u32(out, r->rc);
    put_u32(out, r->n);
    put_u32(out, r->delay_ms);
    buf_add(out, r->a);
}

enum rc vault_answer_parse(struct view msg, struct vault_answer *out)
{
    uint32_t rc;

    *out = (struct vault_answer){0};
    if (!take_u32(&msg, &out->seq) || !take_u32(&msg, &rc) || !take_u32(&msg, &out->n) || !take_u32(&msg, &out->delay_ms) ||
        rc > RC_TIMEOUT)
        return RC_SYNTAX;
    out->rc = (enum rc)rc;
    out->a = msg;
    return RC_OK;
}

uint32_t vault_match_number(const struct vault_match *m)
{
    return (uint32_t)m->scope | (m->second_factor ? SECOND_FACTOR : 0);
}

void vault_id_write(uint64_t id, struct buf *out)
{
    put_u32(out, (uint32_t)(id >> 32));
    put_u32(out, (uint32_t)id);
}

bool vault_id_parse(struct view *in, uint64_t *id)
{
    uint32_t high, low;
    if (!take_u32(in, &high) || !take_u32(in, &low))
        return false;
    *id = (uint64_t)high << 32 | low;
    return true;
}

bool vault_match_parse(uint32_t n, struct view id, struct vault_match *out)
{
    *out = (struct vault_match){.second_factor = (n & SECOND_FACTOR) != 0, .scope = (enum vault_scope)(n & ~SECOND_FACTOR)};
    return out->scope <= VAULT_SCOPE_SEND && vault_id_parse(&id, &out->app_password) && id.n == 0;
}
