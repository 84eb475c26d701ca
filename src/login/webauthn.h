/* login/webauthn: what an authenticator says and signs (WebAuthn level 3 §6): authenticator data, attestation objects, assertions.
 * Which challenge, origin and account belong to it is for web/ to say. Attestation statements are not looked at: any authenticator
 * will do (§7.1 step 24, "none"). Pure: no I/O, any thread. Input is hostile. */
#ifndef LOGIN_WEBAUTHN_H
#define LOGIN_WEBAUTHN_H

#include "base/view.h"

#define WEBAUTHN_DATA_MAX 8192 /* bytes of authenticator data */

struct webauthn_data {
    uint8_t rp[32];      /* SHA-256 of the RP ID */
    bool present;        /* somebody touched it */
    bool verified;       /* and proved by a PIN, finger or face to be its owner */
    uint32_t count;      /* of signatures; 0: this one does not count */
    struct view id, key; /* a new credential's: its id and COSE key; else empty */
};
/* RC_SYNTAX: not such data, or a key that crypto/cose.h does not know. RC_LIMIT. Views borrow from `in`. */
enum rc webauthn_data_parse(struct view in, struct webauthn_data *out);
/* The authenticator data of an attestation object. RC_SYNTAX. */
enum rc webauthn_attestation_parse(struct view in, struct view *data);
/* Is the signature by this key over the data and the client's data (§7.2 step 20)? RC_DENIED; RC_SYNTAX; RC_LIMIT; RC_TEMP. */
enum rc webauthn_verify(struct view key, struct view data, struct view client_data, struct view signature);

#endif
