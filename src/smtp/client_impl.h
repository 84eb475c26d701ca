/* smtp/client's parts among themselves. */
#ifndef SMTP_CLIENT_IMPL_H
#define SMTP_CLIENT_IMPL_H

#include "smtp/client.h"

enum {
    EXT_PIPELINING = 1, EXT_8BITMIME = 2, EXT_SMTPUTF8 = 4, EXT_CHUNKING = 8, EXT_BINARYMIME = 16, EXT_DSN = 32, EXT_STARTTLS = 64,
    EXT_SIZE = 128, EXT_PRIORITY = 256, EXT_DELIVERBY = 512, EXT_AUTH_PLAIN = 1024, EXT_REQUIRETLS = 2048,
};

struct smtp_client {
    struct smtp_client_settings set; /* times filled in; hostname and secrets borrowed while opening only */
    struct conn *conn;
    char host[256];
    char tls_version[16];
    unsigned ext;
    uint64_t size_max;           /* 0: not said */
    uint64_t min_by;             /* DELIVERBY's own minimum */
    size_t rcpt_max, mail_max;   /* LIMITS; 0: not said */
    unsigned sent, grade;
    char policy[SMTP_POLICY_MAX];
    bool verified;
};

/* A whole reply. RC_OK with its code; RC_SYNTAX: not SMTP; RC_LIMIT; RC_CLOSED, RC_TIMEOUT: *r says so in our words. */
enum rc client_read_reply(struct smtp_client *c, int64_t timeout_ms, struct smtp_client_reply *r);
/* Our own words as a reply. */
void client_say(struct smtp_client_reply *r, const char *status, const char *text);
/* Writes a message for DATA: dots stuffed, every line end CRLF, and the final dot. Front ends with a line's end, or is empty. */
void client_write_data(struct conn *c, struct view front, struct view bytes);

#endif
