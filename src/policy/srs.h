/* policy/srs: the sender rewriting scheme, "guarded" form (Meng Wong's paper of 2003; libsrs2 and postsrsd write the same
 * shape): the return address of a forwarded message becomes one of ours, so that SPF of the next host holds (RFC 7208 §10.3),
 * and tells where a bounce belongs.
 *     marie@labas.test                       -> SRS0=HHHHHHHH=TT=labas.test=marie@ici.test
 *     SRS0=hash=tt=labas.test=marie@vous.test -> SRS1=HHHHHHHH=vous.test==hash=tt=labas.test=marie@ici.test
 *     SRS1=hash=vous.test=rest@eux.test       -> SRS1=HHHHHHHH=vous.test=rest@ici.test
 * The way back from an SRS1 leads to vous.test, which made the SRS0 and checks its hash and date: a third forwarder does not grow
 * the address. Pure: no I/O, no globals, any thread; secret and time come in. Input is hostile.
 *
 * HHHHHHHH are 40 bits of an HMAC-SHA256 in base32. Local parts lose their case on the way (some hosts fold it), so what is
 * signed is lower-cased ASCII and the hash compares without case. 40 bits: at a thousand guesses a second one in 17 years hits,
 * and wins a single address for three weeks; the usual 20 bits would fall in minutes. TT is the day, modulo 1024. */
#ifndef POLICY_SRS_H
#define POLICY_SRS_H

#include "base/buf.h"

#define SRS_SECRET_SIZE 32
#define SRS_HASH_CHARS  8
#define SRS_LIFE_DAYS   21  /* five days in the next host's queue, twice over, and holidays of a third */
/* RFC 5321 §4.5.3.1.3 less brackets. Local parts may pass the 64 octets of §4.5.3.1.1: its last paragraph and §4.5.3.1 want no
 * limits where they can be avoided, hosts in use keep to the whole path's, and the way back is to us. */
#define SRS_ADDRESS_MAX 254

/* Appends the return address that `sender` gets when a host for `domain` (A-labels, ours) passes its message on.
 * `sender` is "local@domain", quoted where it must be, its domain in A-labels. RC_SYNTAX: not such an address (a literal's domain
 * is none). RC_LIMIT: it would be longer than SRS_ADDRESS_MAX. RC_TEMP. */
enum rc srs_write(struct view secret, struct view sender, struct view domain, int64_t now_s, struct buf *out);

/* Whether the address claims to be one: its local part begins with SRS0 or SRS1 and a separator. */
bool srs_is_form(struct view address);

/* Appends where a bounce to such an address of ours goes (for an SRS1 the first forwarder's SRS0). RC_NOTFOUND: not srs_is_form.
 * RC_DENIED: not written with this secret. RC_TIMEOUT: too old. RC_TEMP. */
enum rc srs_read(struct view secret, struct view address, int64_t now_s, struct buf *out);

#endif
