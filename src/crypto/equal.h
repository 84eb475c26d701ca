/* crypto/equal: comparing and forgetting secrets. Pure; any thread. */
#ifndef CRYPTO_EQUAL_H
#define CRYPTO_EQUAL_H

#include "base/view.h"

/* The time depends on the lengths only. Different lengths are unequal. */
bool equal_secret(struct view a, struct view b);
/* Zeroes; the compiler does not take it away. */
void wipe(void *p, size_t n);

#endif
