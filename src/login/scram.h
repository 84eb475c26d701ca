/* login/scram: the messages of SCRAM, server side (RFC 5802 §7, RFC 7677): grammar only. Pure; any thread.
 * Texts are as they came, base64 of SASL framing removed. Views borrow from the input. */
#ifndef LOGIN_SCRAM_H
#define LOGIN_SCRAM_H

#include "base/buf.h"

#define SCRAM_NAME_MAX  512
#define SCRAM_NONCE_MAX 512

struct scram_first { /* client-first-message */
    struct view gs2;     /* "n,,": with both commas, as c= must repeat it */
    char flag;           /* 'n', 'y' or 'p' */
    struct view binding; /* of 'p': "tls-exporter" */
    struct view authzid; /* still escaped; empty: none */
    struct view bare;    /* client-first-message-bare */
    struct view name;    /* still escaped */
    struct view nonce;
};
struct scram_final { /* client-final-message */
    struct view binding;       /* base64 of c= */
    struct view nonce;
    struct view without_proof; /* all before ",p=" */
    struct view proof;         /* base64 */
};
/* RC_SYNTAX: not such a message, or it asks for an extension (m=). RC_LIMIT: name or nonce too long. */
enum rc scram_first_parse(struct view in, struct scram_first *out);
enum rc scram_final_parse(struct view in, struct scram_final *out);
/* saslname: "=2C" and "=3D" become "," and "=". RC_SYNTAX: any other "=", or NUL. */
enum rc scram_name_decode(struct view in, struct buf *out);

#endif
