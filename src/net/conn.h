/* net/conn: one TCP connection, plain or TLS, as linear code wants it: blocking calls with deadlines, one
 * bounded reader, one output buffer. The only place that ends lines, and only at CR LF.
 * A connection belongs to one worker thread at a time. Buffers are taken when used and given back when
 * parked.
 *
 * Deadlines: every call that may block ends with RC_TIMEOUT at the deadline set by conn_deadline() (absolute,
 * base/clock.h), whatever trickles in; conn_progress() prolongs it for long transfers at a least data rate.
 * RC_CLOSED: the peer has gone (or sent garbage in TLS). After either the connection is only good for
 * conn_free. RFC 5321 §4.5.3.2 and others give the times; the sessions set them. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/clock.h"
#include "net/addr.h"
#include "net/tls.h"

#define CONN_BUF 16384 /* most bytes that wait unread, hence the longest line that conn_line can give */

struct conn;

/* --- facts --- */
const struct addr *conn_peer(const struct conn *c);  /* from the PROXY header where one was trusted */
const struct addr *conn_local(const struct conn *c); /* likewise */
const char *conn_peer_text(const struct conn *c);    /* IP address without port */
uint64_t conn_id(const struct conn *c); /* the session id of the log lines; unique on this machine */
/* False while plain. */
bool conn_tls(const struct conn *c, struct tls_info *out);

/* Who has logged in: shown with the live sessions (sys/board.h). */
void conn_set_account(struct conn *c, struct view account);

/* --- time --- */
void conn_deadline(struct conn *c, int64_t deadline_ms);
/* Each `bytes` read or written from now on earn 1 s more than `base_ms` (a least rate against slow peers),
 * but never past `end_ms` after now. */
void conn_progress(struct conn *c, int64_t base_ms, size_t bytes_per_s, int64_t end_ms);

/* --- reading --- */
/* The next line without its CRLF. *out borrows until the next read. RC_LIMIT: longer than max (at most
 * CONN_BUF) before CRLF; the line is then eaten up to its CRLF, within the deadline, so the session can
 * answer and go on. */
enum rc conn_line(struct conn *c, size_t max, struct view *out);
/* At least one unread byte; *out borrows all that is buffered. Nothing is consumed until conn_eat. */
enum rc conn_fill(struct conn *c, struct view *out);
/* As conn_fill, but waits for bytes beyond those that conn_fill showed last (never with a full buffer:
 * RC_LIMIT). */
enum rc conn_fill_more(struct conn *c, struct view *out);
void conn_eat(struct conn *c, size_t n);
/* A whole line waits (or as much of one as fits): a further command was pipelined. Half a line does not
 * count, so that sessions park and nobody holds a worker by sending slowly. Never blocks. */
bool conn_has_input(struct conn *c);

/* --- writing --- */
/* Into the output buffer; sends when that is full. Failures are remembered: conn_flush tells. */
void conn_write(struct conn *c, struct view v);
void conn_printf(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sends what is buffered. */
enum rc conn_flush(struct conn *c);

/* --- TLS --- */
/* What the handshake says of us from now on; the pool sets it by its listeners. Borrowed. */
void conn_set_offer(struct conn *c, const struct tls_offer *offer);
/* Server side handshake. Plaintext that is still unread is thrown away: commands that stood behind STARTTLS were not said
 * inside TLS (RFC 3207 §4.2; the attack is named in RFC 9051 §11.1 also). RC_SYNTAX: TLS is on already. */
enum rc conn_start_tls(struct conn *c, struct tls_server *t);
struct conn_tls_options {
    const char *server_name; /* for SNI and the certificate's name; NULL: none */
    const char *const *names; /* further ones that the certificate may be for */
    size_t n_names;
    /* Some: they alone decide, not the authorities; a usage 3 match looks neither at names nor at dates (RFC 7671 §5.1). */
    const struct tls_record *records;
    size_t n_records;
    bool verify;             /* fail (RC_DENIED) unless chain and name hold */
    bool below_1_3;          /* at most TLS 1.2, for those who examine a server */
    bool old_versions;       /* TLS 1.0 and 1.1 will do as well; not with `verify` */
    const char *why;         /* out: static or connection-owned words when it fails */
    enum tls_fault fault;    /* out: why it failed; without `verify` and RC_OK: why it would have */
};
/* Client side. Without `verify` an unknown certificate is noted in tls_info and accepted (opportunistic, RFC
 * 7435). Sessions are never resumed, so what one connection has proven serves no other. */
enum rc conn_start_tls_client(struct conn *c, struct tls_client *t, struct conn_tls_options *o);
/* Server side: the mailboxes (rfc822Name, RFC 5280 §4.2.1.6) that the client's certificate is for, which an authority of
 * tls_server_settings.client_ca_pem has signed. RC_NOTFOUND: there is no such certificate, or it names none. */
#define CONN_MAILBOXES_MAX 16
enum rc conn_peer_mailboxes(struct conn *c, struct arena *a, struct view **out, size_t *n);
/* Channel bindings for SCRAM-PLUS: "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929 §4) and
 * "tls-unique" below TLS 1.3. RC_NOTFOUND: unknown type or no TLS. */
enum rc conn_channel_binding(struct conn *c, struct view type, struct buf *out);

/* --- life, for those who dial --- */
/* Connects from `bind` (may be NULL) with the deadline. RC_TEMP: refused, unreachable; *why in words
 * (static). */
enum rc conn_dial(const struct addr *to, const struct addr *bind, int64_t deadline_ms, struct conn **out,
                  const char **why);
/* Wraps a connected socket, for tests and helpers; owns fd from then on, also on failure. */
enum rc conn_new(int fd, struct conn **out);
/* From any thread, while the connection is known to live: its blocking calls end with RC_CLOSED soon. */
void conn_cut(struct conn *c);
/* close_notify where TLS is on (never blocks), closes, frees. Accepts NULL. */
void conn_free(struct conn *c);

#endif
