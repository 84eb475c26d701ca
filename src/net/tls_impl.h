/* net/tls_impl: what conn.c needs of TLS contexts. Inside net/ only: OpenSSL's types end here. */
#ifndef NET_TLS_IMPL_H
#define NET_TLS_IMPL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "net/tls.h"

struct tls_client {
    atomic_uint refs;
    SSL_CTX *ctx;
};

/* A new server or client side over bio, which it owns from then on, also on failure. NULL: no memory. */
SSL *tls_server_ssl(struct tls_server *t, BIO *bio, const struct tls_offer *offer);
struct conn_tls_options;
/* NULL also: a name that is none, or no record that OpenSSL can use. */
SSL *tls_client_ssl(struct tls_client *t, BIO *bio, const struct conn_tls_options *o);
enum tls_fault tls_fault_of(long verify_result);
/* RFC 9266, RFC 5929. RC_NOTFOUND: a type that we do not know or that this connection cannot give. */
enum rc tls_channel_binding(SSL *ssl, struct view type, struct buf *out);

#endif
