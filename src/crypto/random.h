/* crypto/random: unguessable bytes from the kernel (getrandom(2)). Any thread; never blocks once booted. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills out; there is no failure to handle: a kernel without getrandom stops the process. */
void random_bytes(void *out, size_t n);
uint64_t random_u64(void);
/* Evenly spread over 0 .. below-1; 0 where below is 0. */
uint64_t random_below(uint64_t below);

#endif
