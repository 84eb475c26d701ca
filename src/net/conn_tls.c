/* The TLS side of net/conn. */
#include "net/conn_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>

#include "base/log.h"
#include "net/tls_impl.h"
#include "sys/board.h"

/* --- OpenSSL's way to our socket: as its own, but without SIGPIPE --- */

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static int set_result(BIO *b, ssize_t n, int retry_flag)
{
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_flags(b, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int read_bio(BIO *b, char *p, int n)
{
    const struct conn *c = BIO_get_data(b);
    ssize_t got = recv(c->fd, p, (size_t)n, 0);
    if (got == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return set_result(b, got, BIO_FLAGS_READ);
}

static int write_bio(BIO *b, const char *p, int n)
{
    const struct conn *c = BIO_get_data(b);
    return set_result(b, send(c->fd, p, (size_t)n, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long control_bio(BIO *b, int command, long n, void *p)
{
    (void)n, (void)p;
    if (command == BIO_CTRL_FLUSH)
        return 1;
    return command == BIO_CTRL_EOF && BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
    if (!method)
        return;
    BIO_meth_set_read(method, read_bio);
    BIO_meth_set_write(method, write_bio);
    BIO_meth_set_ctrl(method, control_bio);
}

static BIO *new_bio(struct conn *c)
{
    pthread_once(&method_once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (b) {
        BIO_set_data(b, c);
        BIO_set_init(b, 1);
    }
    return b;
}

/* --- records --- */

static enum rc rc_of_ssl(struct conn *c, int result, short *events)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ: *events = POLLIN; return RC_TEMP;
    case SSL_ERROR_WANT_WRITE: *events = POLLOUT; return RC_TEMP;
    default: return RC_CLOSED;
    }
}

enum rc conn_tls_read(struct conn *c, char *p, size_t n, size_t *done, short *events)
{
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, p, n, done);
    return result == 1 ? RC_OK : rc_of_ssl(c, result, events);
}

enum rc conn_tls_write(struct conn *c, struct view v, size_t *done, short *events)
{
    ERR_clear_error();
    int result = SSL_write_ex(c->ssl, v.p, v.n, done);
    return result == 1 ? RC_OK : rc_of_ssl(c, result, events);
}

void conn_tls_end(struct conn *c)
{
    if (!c->ssl)
        return;
    ERR_clear_error();
    if (c->fail == RC_OK && SSL_is_init_finished(c->ssl))
        SSL_shutdown(
            c->ssl); /* the socket does not block; what cannot go out at once is not worth waiting for */
    ERR_clear_error();
    SSL_free(c->ssl);
    c->ssl = NULL;
}

/* --- handshakes --- */

/* Words that live for ever. */
static const char *handshake_error(enum rc rc)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (rc == RC_TIMEOUT)
        return "the handshake timed out";
    return reason ? reason : "the peer closed during the handshake";
}

static void note_alpn(struct conn *c)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(c->ssl, &p, &n);
    if (n > 0 && view_cstr(view_of(p, n), c->alpn, sizeof c->alpn) != RC_OK)
        c->alpn[0] = '\0';
}

enum rc conn_tls_step(struct conn *c, struct tls_server *t)
{
    enum rc rc;
    short events = 0;

    if (!c->ssl) {
        c->ssl = tls_server_ssl(t, new_bio(c), c->offer);
        if (!c->ssl)
            return c->fail = RC_TEMP;
        c->tls = tls_server_ref(t);
    }
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(c->ssl);
        if (result == 1)
            break;
        rc = rc_of_ssl(c, result, &events);
        if (rc == RC_TEMP && events == POLLIN)
            return RC_TEMP;
        if (rc == RC_TEMP)
            rc = conn_wait(c, POLLOUT);
        if (rc != RC_OK) {
            board_count(BOARD_TLS_IN, "failed");
            log_info("net.tls.failed", F_ID("sid", c->id), F_CSTR("peer", c->peer_text),
                     F_CSTR("reason", handshake_error(rc)));
            ERR_clear_error();
            return c->fail = rc;
        }
    }
    tls_server_free(c->tls);
    c->tls = NULL;
    note_alpn(c);
    board_count(BOARD_TLS_IN, SSL_get_version(c->ssl));
    board_tls(c->pool.place, SSL_get_version(c->ssl));
    return RC_OK;
}

enum rc conn_start_tls(struct conn *c, struct tls_server *t)
{
    enum rc rc;
    if (c->ssl)
        return c->fail = RC_SYNTAX;
    rc = conn_flush(c);
    conn_eat(c, c->in_n); /* whoever put it there, it was not said inside TLS (RFC 3207 §4.2) */
    while (rc == RC_OK && (rc = conn_tls_step(c, t)) == RC_TEMP && c->fail == RC_OK)
        rc = conn_wait(c, POLLIN);
    return rc;
}

enum rc conn_start_tls_client(struct conn *c, struct tls_client *t, struct conn_tls_options *o)
{
    enum rc rc;
    short events = 0;

    o->why = "";
    o->fault = TLS_FAULT_HANDSHAKE;
    if (c->ssl || c->in_n > 0) {
        o->why = "the server sent plain text behind its reply to STARTTLS";
        return c->fail = RC_SYNTAX;
    }
    if (o->verify && !o->server_name) {
        o->why = "no name to verify";
        return c->fail = RC_DENIED;
    }
    rc = conn_flush(c);
    if (rc != RC_OK) {
        o->why = handshake_error(rc);
        return rc;
    }
    c->ssl = tls_client_ssl(t, new_bio(c), o);
    if (!c->ssl) {
        o->why = "the server's name is not a name, or out of memory";
        return c->fail = RC_TEMP;
    }
    c->tls_named = o->server_name != NULL;
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(c->ssl);
        if (result == 1)
            break;
        rc = rc_of_ssl(c, result, &events);
        if (rc == RC_TEMP)
            rc = conn_wait(c, events);
        if (rc == RC_OK)
            continue;
        long verdict = SSL_get_verify_result(c->ssl);
        if (rc == RC_CLOSED && o->verify && verdict != X509_V_OK) {
            o->why = X509_verify_cert_error_string(verdict);
            o->fault = tls_fault_of(verdict);
            rc = RC_DENIED;
        } else {
            o->why = handshake_error(rc);
        }
        ERR_clear_error();
        return c->fail = rc;
    }
    o->fault = tls_fault_of(SSL_get_verify_result(c->ssl));
    note_alpn(c);
    return RC_OK;
}

/* --- facts --- */

static int64_t expiry_of(const X509 *certificate)
{
    struct tm tm;
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    return timegm(&tm);
}

bool conn_tls(const struct conn *c, struct tls_info *out)
{
    *out = (struct tls_info){.version = "", .cipher = "", .server_name = "", .alpn = "", .peer_error = ""};
    if (!c->ssl || !SSL_is_init_finished(c->ssl))
        return false;
    out->version = SSL_get_version(c->ssl);
    out->cipher = SSL_get_cipher_name(c->ssl);
    out->bits = SSL_get_cipher_bits(c->ssl, NULL);
    const char *name = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    if (name)
        out->server_name = name;
    out->alpn = c->alpn;
    if (SSL_is_server(c->ssl)) {
        out->peer_verified = SSL_get0_peer_certificate(c->ssl) && SSL_get_verify_result(c->ssl) == X509_V_OK;
    } else {
        long verdict = SSL_get_verify_result(c->ssl);
        out->peer_expires_s = expiry_of(SSL_get0_peer_certificate(c->ssl));
        out->peer_verified = verdict == X509_V_OK && c->tls_named && SSL_get0_peer_certificate(c->ssl);
        if (verdict != X509_V_OK)
            out->peer_error = X509_verify_cert_error_string(verdict);
        else if (!out->peer_verified)
            out->peer_error = "no name to verify";
    }
    return true;
}

enum rc conn_peer_mailboxes(struct conn *c, struct arena *a, struct view **out, size_t *n)
{
    struct tls_info tls;
    *n = 0;
    *out = NULL;
    if (!conn_tls(c, &tls) || !SSL_is_server(c->ssl) || !tls.peer_verified)
        return RC_NOTFOUND;
    GENERAL_NAMES *names = X509_get_ext_d2i(SSL_get0_peer_certificate(c->ssl), NID_subject_alt_name, NULL, NULL);
    enum rc rc = RC_OK;
    *out = arena_new_array(a, CONN_MAILBOXES_MAX, struct view);
    if (!*out)
        rc = RC_TEMP;
    for (int i = 0; rc == RC_OK && i < sk_GENERAL_NAME_num(names) && *n < CONN_MAILBOXES_MAX; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_EMAIL)
            rc = view_dup(a, view_of(ASN1_STRING_get0_data(g->d.rfc822Name), (size_t)ASN1_STRING_length(g->d.rfc822Name)), &(*out)[(*n)++]);
    }
    GENERAL_NAMES_free(names);
    return rc != RC_OK ? rc : *n > 0 ? RC_OK : RC_NOTFOUND;
}

enum rc conn_channel_binding(struct conn *c, struct view type, struct buf *out)
{
    if (!c->ssl || !SSL_is_init_finished(c->ssl))
        return RC_NOTFOUND;
    return tls_channel_binding(c->ssl, type, out);
}
