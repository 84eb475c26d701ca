/* What our users and devices hand us is signed in the name of its author's domain, where that is ours (policy/signer.h):
 * the body is hashed while it arrives, the fields go above the message with Received. */
#include "smtp/session.h"

#include "policy/signer.h"

static const char later[] = "The message cannot be signed now, please try again later";

void smtp_signing_clear(struct smtp_signing *g)
{
    dkim_body_free(g->body);
    buf_clear(&g->fields);
    *g = (struct smtp_signing){0};
}

void smtp_signing_begin(struct smtp_session *s)
{
    struct smtp_signing *g = &s->tx.in.signing;

    if (!s->set->signer || s->tx.in.refusal.code)
        return;
    g->body = dkim_body_new();
    if (!g->body || dkim_sign_want(g->body, &g->slot) != RC_OK)
        smtp_intake_refuse(s, 451, "4.3.0", later);
}

void smtp_signing_body(struct smtp_session *s, struct view bytes)
{
    if (s->tx.in.signing.body)
        dkim_body_add(s->tx.in.signing.body, bytes);
}

void smtp_signing_finish(struct smtp_session *s)
{
    struct smtp_signing *g = &s->tx.in.signing;

    if (!g->body)
        return;
    buf_init(&g->fields, SMTP_SIGNATURES_MAX);
    enum rc rc = dkim_body_end(g->body);
    if (rc == RC_OK)
        rc = signer_sign(s->set->signer, buf_view(&s->tx.in.header), g->body, g->slot, &g->fields);
    if (rc == RC_LIMIT)
        smtp_intake_refuse(s, 550, "5.6.0", "The header has too many fields to be signed");
    else if (rc != RC_OK && rc != RC_NOTFOUND)
        smtp_intake_refuse(s, 451, "4.3.0", later);
}
