/* net/testcert: keys and certificates made on the spot, for unit tests of whatever speaks TLS. Not in the
 * program. */
#ifndef NET_TESTCERT_H
#define NET_TESTCERT_H

#include "net/tls.h"

struct testcert {
    void *key; /* EVP_PKEY */
    char *pem; /* the certificate, signed by itself, or with what signed it */
    unsigned signatures;
    bool broken; /* sign fails, as when the vault is away */
};
/* rsa: RSA 2048, else ECDSA P-256. For the DNS names given, separated by commas ("DNS:a.test,DNS:b.test"). */
void testcert_init(struct testcert *t, bool rsa, const char *names);
/* Signed by another one, which follows it in pem. names NULL: it is an authority. issuer NULL: by itself. */
void testcert_init_by(struct testcert *t, bool rsa, const char *names, const struct testcert *issuer);
void testcert_clear(struct testcert *t);
/* A tls_sign_fn that signs with the one of the certs (a NULL-ended array of pointers as ctx) whose key is
 * meant. */
enum rc testcert_sign(void *ctx, const uint8_t key[32], enum tls_sign_kind kind, struct view input,
                      struct buf *signature);

#endif
