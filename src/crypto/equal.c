#include "crypto/equal.h"

#include <openssl/crypto.h>

bool equal_secret(struct view a, struct view b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void wipe(void *p, size_t n)
{
    if (n > 0)
        OPENSSL_cleanse(p, n);
}
