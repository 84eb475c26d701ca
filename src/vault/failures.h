/* vault/failures: how often wrong passwords came, by peer address, by (account, peer address) and by account.
 * Guessing from one address is slowed, then refused for a while; guessing at one account from many addresses is slowed
 * only: an owner elsewhere must get in. Counts fade with time. Fixed memory; the fullest counters outlive a flood of new
 * ones. Time is handed in. Not thread-safe: the caller locks. */
#ifndef VAULT_FAILURES_H
#define VAULT_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

#define FAILURES_PAIR_LIMIT    10        /* of one account from one address: refused beyond */
#define FAILURES_PAIR_FADE_MS  60000     /* one is forgotten each minute */
#define FAILURES_PEER_LIMIT    60        /* of one address in all (there may be many people behind it) */
#define FAILURES_PEER_FADE_MS  30000
#define FAILURES_ACCOUNT_SLOW  20        /* of one account from anywhere: wrong answers take longer beyond */
#define FAILURES_ACCOUNT_FADE_MS 30000
#define FAILURES_FREE          3         /* slips of the hand that cost no time */
#define FAILURES_DELAY_MS      250       /* then this, doubled with each more, */
#define FAILURES_DELAY_MAX_MS  4000      /* up to this */

struct failures;
enum rc failures_new(struct failures **out); /* RC_TEMP: no memory */
void failures_free(struct failures *f);      /* accepts NULL */

/* RC_LIMIT: nothing from there is looked at now. */
enum rc failures_look(const struct failures *f, int64_t now_ms, uint64_t account, const uint8_t peer[16]);
/* A wrong password; gives the milliseconds by which the answer is to be held back. */
uint32_t failures_add(struct failures *f, int64_t now_ms, uint64_t account, const uint8_t peer[16]);
/* A right one: the count of this account from this address is cleared, not that of the address. */
void failures_clear(struct failures *f, uint64_t account, const uint8_t peer[16]);

#endif
