/* crypto/pkey: RSA and Ed25519 keys and their signatures over a SHA-256 digest, by OpenSSL's EVP: what DKIM needs (RFC 8017,
 * RFC 8032, RFC 8410). Whether a key is strong enough is for others to say. Pure; a key may be used by several threads
 * at once after it was made. */
#ifndef CRYPTO_PKEY_H
#define CRYPTO_PKEY_H

#include "base/buf.h"

#define PKEY_RSA_BITS_MAX 8192 /* larger public keys are not read */
#define PKEY_ED25519_SIZE 32   /* raw public key */
#define PKEY_PEM_MAX      16384

enum pkey_kind { PKEY_RSA, PKEY_ED25519 };
struct pkey;
void pkey_free(struct pkey *k); /* accepts NULL */
/* The same key, to be freed once more. */
struct pkey *pkey_hold(struct pkey *k);

/* A public key. RSA: DER, either SubjectPublicKeyInfo or RSAPublicKey, nothing after it. Ed25519: the 32 raw bytes.
 * RC_SYNTAX: not such a key. RC_LIMIT: too large. RC_TEMP. */
enum rc pkey_public(enum pkey_kind kind, struct view bytes, struct pkey **out);
/* A private key in PEM without pass phrase. RC_SYNTAX: it cannot be read, or is of another kind. RC_TEMP. */
enum rc pkey_private(struct view pem, struct pkey **out);
/* A new one; rsa_bits is for PKEY_RSA. RC_SYNTAX: rsa_bits are not 1024 to 4096. RC_TEMP. */
enum rc pkey_generate(enum pkey_kind kind, unsigned rsa_bits, struct pkey **out);

enum pkey_kind pkey_kind(const struct pkey *k);
unsigned pkey_bits(const struct pkey *k);
/* Appends the public part as pkey_public reads it (RSA: SubjectPublicKeyInfo). RC_TEMP. */
enum rc pkey_public_write(const struct pkey *k, struct buf *out);
/* Appends the private key in PEM (PKCS #8): a secret. RC_DENIED: there is none. RC_TEMP. */
enum rc pkey_private_write(const struct pkey *k, struct buf *out);

/* A signature over a SHA-256 digest: RSA by RSASSA-PKCS1-v1_5; Ed25519 over the digest's 32 bytes as the message (RFC 8463
 * §3). Appends. RC_DENIED: no private key. RC_TEMP. */
enum rc pkey_sign(const struct pkey *k, struct view digest, struct buf *signature);
/* RC_OK: it holds. RC_DENIED: it does not. RC_TEMP: no memory. */
enum rc pkey_verify(const struct pkey *k, struct view digest, struct view signature);

#endif
