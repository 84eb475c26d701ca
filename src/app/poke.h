/* app/poke: the small datagrams by which processes tell each other to look again: between mta and access over a socket
 * pair, from commands to both over data/run/mta.sock and access.sock. Fixed size, no answer, lossy by design: whoever
 * misses one finds the same in the store a little later. Any thread; never blocks. */
#ifndef APP_POKE_H
#define APP_POKE_H

#include "net/addr.h"

enum poke_kind {
    POKE_BUS = 1,   /* something changed in (account, folder): bus_receive */
    POKE_QUEUE,     /* queue rows changed: look again now */
    POKE_ACCOUNT,   /* this account went: its sessions end */
    POKE_TLS,       /* certificates have changed in the vault */
    POKE_KEYS,      /* DKIM keys came, went or were switched; account 1: look now whether the DNS shows the next ones */
    POKE_REPORTS,   /* seen_ask: reports are wanted now */
    POKE_HEALTH,    /* health_result rows wait for answers */
    POKE_DESK,      /* reports came, or the table of known senders was changed */
    POKE_ALERTS,    /* their settings changed, or one is to be told again: look now */
    POKE_CONNECTION, /* from access to mta: a connection that it has accepted, for submission; poke_send_connection */
    POKE_KINDS,
};
struct poke {
    uint32_t kind;
    uint32_t reserved;
    uint64_t account, folder;
};

#define POKE_MTA_SOCKET    "run/mta.sock" /* below data */
#define POKE_ACCESS_SOCKET "run/access.sock"

/* To the connected socket of a pair. Dropped when it is full or the other side is away. */
void poke_send(int fd, const struct poke *p);
/* To data/NAME. Dropped when nobody listens. */
void poke_send_to(const char *data, const char *name, const struct poke *p);
/* Binds data/NAME anew. RC_TEMP: errno says why. */
enum rc poke_bind(const char *data, const char *name, int *fd);
struct poke_connection {
    int fd; /* the receiver's; -1: none came */
    struct addr peer, local;
};
/* RC_TEMP, RC_CLOSED, RC_TIMEOUT: it was not taken. The descriptor stays the sender's. */
enum rc poke_send_connection(int fd, const struct poke_connection *connection);
/* The next one; RC_NOTFOUND: none waits. RC_SYNTAX: not one of ours (dropped). RC_CLOSED: the other side has gone. */
enum rc poke_receive(int fd, struct poke *out, struct poke_connection *connection);

#endif
