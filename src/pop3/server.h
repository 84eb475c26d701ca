/* pop3/server: the POP3 session (RFC 1939) with CAPA (2449), STLS (2595), RESP-CODES and AUTH-RESP-CODE (2449, 3206),
 * SASL (5034), PIPELINING, UIDL, TOP and UTF8 (6856). One exclusive session an account; messages are removed at QUIT alone.
 * A message's unique-id is UIDVALIDITY and UID of INBOX, so it never changes and never is used again.
 * I/O: the connection, the store; runs on the pool's workers. */
#ifndef POP3_SERVER_H
#define POP3_SERVER_H

#include "login/sasl.h"
#include "net/pool.h"

#define POP3_LOGIN_MS   60000  /* per command before login */
#define POP3_IDLE_MS    600000 /* autologout; RFC 1939 §3 asks for ten minutes at least */
#define POP3_ERRORS_MAX 20     /* bad commands before we hang up */
#define POP3_SEND_RATE  1024   /* octets a second that a client must take at least while a message is sent */

struct pop3_server;
struct pop3_settings {
    struct sasl_settings sasl; /* who may log in, and how without TLS */
    struct pool *pool;         /* for STLS: its current TLS context */
};
/* Copies the settings. NULL: no memory. Free after the pool is. */
struct pop3_server *pop3_server_new(const struct pop3_settings *set);
void pop3_server_free(struct pop3_server *s);
/* For pop3 and pop3s listeners alike; borrows the server. */
struct pool_service pop3_service(struct pop3_server *s, const char *name);

#endif
