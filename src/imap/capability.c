#include "imap/capability.h"

static const char always[] = "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE";
static const char logged_in[] = " IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE ESEARCH"
                                " CONDSTORE BINARY MULTIAPPEND LIST-EXTENDED LIST-STATUS STATUS=SIZE";

bool imap_may_login(struct imap_session *s)
{
    struct buf names;
    bool may;

    buf_init(&names, 1024);
    may = sasl_mechanisms(&s->set->sasl, s->conn, &names) == RC_OK && names.n > 0;
    buf_clear(&names);
    return may;
}

static void write_mechanisms(struct imap_session *s, struct buf *out)
{
    struct buf names;

    buf_init(&names, 1024);
    if (sasl_mechanisms(&s->set->sasl, s->conn, &names) == RC_OK) {
        struct view rest = buf_view(&names), name;
        while (rest.n > 0) {
            view_split(&rest, ' ', &name);
            buf_str(out, " AUTH=");
            buf_add(out, name);
        }
    }
    buf_clear(&names);
}

void imap_capability_write(struct imap_session *s, struct buf *out)
{
    struct tls_info tls;
    struct tls_server *server_tls;

    buf_str(out, always);
    if (s->state != IMAP_NEW) {
        buf_str(out, logged_in);
        return;
    }
    if (!conn_tls(s->conn, &tls) && (server_tls = pool_tls(s->server->pool))) {
        buf_str(out, " STARTTLS");
        tls_server_free(server_tls);
    }
    if (!imap_may_login(s))
        buf_str(out, " LOGINDISABLED");
    write_mechanisms(s, out);
}
