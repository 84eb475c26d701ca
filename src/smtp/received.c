#include "smtp/received.h"

#include "message/date.h"
#include "smtp/path.h"

/* What is no domain or address literal may still hold the name that a configurator wants to see: odd bytes
 * become '?', so that no comment, field or line can be made of it. */
static void write_helo(struct view helo, struct buf *out)
{
    struct view rest = helo, domain;
    if (view_is_ascii(helo) && smtp_domain_parse(&rest, &domain) == RC_OK && rest.n == 0) {
        buf_add(out, helo);
        return;
    }
    helo = view_slice(helo, 0, SMTP_DOMAIN_MAX);
    for (size_t i = 0; i < helo.n; i++) {
        unsigned char c = (unsigned char)helo.p[i];
        buf_chr(out, is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' ? (char)c : '?');
    }
    if (helo.n == 0)
        buf_str(out, "unknown");
}

static void write_protocol(const struct smtp_received *r, struct buf *out)
{
    buf_str(out, r->utf8 ? "UTF8SMTP" : r->esmtp ? "ESMTP" : "SMTP");
    if (!r->utf8 && !r->esmtp)
        return;
    buf_str(out, r->tls ? "S" : "");
    buf_str(out, r->login ? "A" : "");
}

void smtp_received_write(const struct smtp_received *r, struct buf *out)
{
    bool ipv6 = view_chr(view_str(r->peer), ':') != VIEW_NONE;
    buf_str(out, "Received: from ");
    write_helo(r->helo, out);
    buf_printf(out, " ([%s%s])\r\n\tby %s with ", ipv6 ? "IPv6:" : "", r->peer, r->hostname);
    write_protocol(r, out);
    buf_str(out, " id ");
    buf_line_part(out, r->id);
    if (r->tls)
        buf_printf(out, "\r\n\t(using %s with cipher %s (%d bits))", r->tls->version, r->tls->cipher,
                   r->tls->bits);
    if (r->recipient.n > 0) {
        buf_str(out, "\r\n\tfor <");
        buf_line_part(out, r->recipient);
        buf_chr(out, '>');
    }
    buf_str(out, ";\r\n\t");
    for (unsigned i = 0; i < r->indent; i++)
        buf_chr(out, ' ');
    date_write((struct date){.utc = r->now_s}, out);
    buf_str(out, "\r\n");
}

void smtp_return_path_write(struct view sender, struct buf *out)
{
    buf_str(out, "Return-Path: <");
    buf_line_part(out, sender);
    buf_str(out, ">\r\n");
}
