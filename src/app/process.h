/* app/process: what parent and children of `facteur serve` say to each other, and how a child runs.
 *
 * The parent binds listeners, starts the children by fork (so that pages are shared and channels inherited), restarts them and
 * tells them of changes over one control channel each (sys/fdpass.h). A child that sees the end of its control channel
 * finishes what is under way and ends. Children ignore SIGTERM, SIGINT and SIGHUP: the parent drives. */
#ifndef APP_PROCESS_H
#define APP_PROCESS_H

#include <pthread.h>

#include "app/config.h"
#include "app/poke.h"
#include "app/users.h"
#include "login/sasl.h"
#include "net/pool.h"
#include "sys/logfile.h"
#include "vault/vault.h"

#define VAULT_CHANNELS 4     /* for each of mta and access */
#define DRAIN_MS       10000 /* for commands and deliveries under way at SIGTERM */
#define LISTENERS_MAX  256

/* How the log is kept, as the configuration says. */
struct logfile_settings process_logfile(const struct config *c, const struct users *u);

/* First byte of a control message. */
enum {
    CONTROL_READY = 'R',    /* child: everything accepts */
    CONTROL_RELOADED = 'r', /* child: new settings hold */
    CONTROL_VAULT = 'V',    /* to the vault: more channels to serve, second byte CONTROL_ACCESS: of access; to others: channels to a new vault, the old are void */
    CONTROL_LISTEN = 'L',   /* second byte: enum config_service; one listening socket */
    CONTROL_BUS = 'B',      /* the other process has restarted: a new bus socket */
    CONTROL_RELOAD = 'C',   /* files: configuration text, then those of config_side_files */
    CONTROL_SETTINGS = 'S', /* access: a text for the configuration file (settings_write.h); back: enum rc, and why */
    CONTROL_ACCESS = 'A',   /* second byte after CONTROL_VAULT */
    CONTROL_DRAIN = 'D',    /* finish and end */
};

struct listener {
    enum config_service service;
    struct addr addr;
    int fd;
};
/* Files that mta needs and that its user need not be able to open: read as root after the fork, sent at a reload. */
struct side_files {
    struct buf trust;          /* PEM, all of tls.trust */
    struct buf client_trust;   /* PEM of tls.client-trust */
    struct buf relay_password; /* first line of relay.password-file */
    struct buf *destination_trust; /* PEM of each destination's `trust`, in their order; empty for those without */
    size_t n_destinations;
    struct buf eab_key;        /* first line of acme.eab-key-file */
    struct buf update_key;     /* likewise of dns-update.key-file */
    struct buf mark_roots;     /* PEM of bimi.roots */
};

/* All that a child gets at birth. */
struct start {
    const char *name;            /* "mta" */
    struct config *config;
    const struct users *users;
    int control;
    int lock;                    /* held by keeping it open */
    int bus;                     /* datagrams to and from the other of mta and access; -1: vault */
    int channels[2 * VAULT_CHANNELS]; /* to or from the vault; the vault's own: first those of mta, then those of access */
    size_t n_channels;
    struct listener listeners[LISTENERS_MAX]; /* those that this process serves */
    size_t n_listeners;
};

/* The children; the result is the exit status. */
int vault_process(struct start *start);
int mta_process(struct start *start);
int access_process(struct start *start);
/* Which process serves it; NULL: none in this version. */
const char *process_of_service(enum config_service service);

/* --- for children that serve the network --- */

#define CONTROL_MAX 1024 /* bytes of a message of the control channel */

struct settings_wait;
struct child {
    struct start *start;
    const char *name;
    struct config *config; /* replaced at a reload */
    struct side_files side;
    struct vault *vault;
    struct store *store;
    struct pool *pool;
    pthread_mutex_t tls_lock; /* guards tls, and side.client_trust */
    struct tls_server *tls;
    int poke_fd;
    const struct child_ops *ops;
    void *ctx;
    struct settings_wait *settings; /* child_settings.c */
};
struct child_ops {
    /* Service for a listener; NULL: not served. */
    const struct pool_service *(*service)(void *ctx, enum config_service service);
    /* Adds to one that is about to listen what it serves besides (pool_listener's others, and the offer for them). May be NULL. */
    void (*listener)(void *ctx, enum config_service service, struct pool_listener *l);
    /* c->config and c->side are new. RC_OK, or why the old settings stay in force for part of it (logged). */
    enum rc (*reload)(void *ctx, struct child *c);
    void (*poke)(void *ctx, const struct poke *p); /* all but POKE_BUS and POKE_ACCOUNT */
    void (*tick)(void *ctx);                       /* each CHILD_TICK_MS */
    void (*drain)(void *ctx, int64_t deadline_ms); /* what the pool does not know of */
};
#define CHILD_TICK_MS 60000

/* Drops privileges, opens vault channels, store, pool and TLS as the configuration says; `calls` are flags of
 * sys/confine.h. False: logged. */
bool child_begin(struct child *c, struct start *start, const char *poke_socket, unsigned calls);
/* Listens, says ready, and serves the control channel until the end; then drains pool and ops. */
int child_run(struct child *c, const struct child_ops *ops, void *ctx);
/* The end, after child_run: first the pool, then the services, then the rest of what child_begin made. */
void child_close_pool(struct child *c);
void child_end(struct child *c);
struct sasl_settings child_sasl(const struct child *c);
/* Takes the certificates that the vault has now. Any thread. */
bool child_load_tls(struct child *c);
/* An answer to child_write_settings has come. */
void child_settings_answer(struct child *c, struct view message);

/* Has the parent write the configuration file. RC_TIMEOUT, or as settings_write. Any thread. */
enum rc child_write_settings(struct child *c, struct view text, struct view was, struct buf *why);

/* --- side files --- */

/* Opens them in their fixed order for CONTROL_RELOAD; *n of at most `max`. False: logged. */
bool side_files_open(const struct config *c, int *fds, size_t max, size_t *n);
/* Reads them; closes the descriptors. */
bool side_files_read(const struct config *c, const int *fds, size_t n, struct side_files *out);
void side_files_clear(struct side_files *s);

#endif
