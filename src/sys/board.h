/* sys/board: numbers that the parent and its children share: counters by family and word, what happened in each minute of the last
 * hour, who is connected now, which processes run. A piece of memory made before the first fork; writing to it takes no lock and
 * no system call, so that it may stand beside every log line. Without board_open (commands, tests) nothing is counted.
 * A restart of the server begins at zero, as Prometheus expects of counters. No I/O; any thread, any process. */
#ifndef SYS_BOARD_H
#define SYS_BOARD_H

#include "base/rc.h"
#include "base/view.h"

#define BOARD_WORDS    12   /* of a family; the last one is "other" */
#define BOARD_SESSIONS 4096 /* that are shown; further ones are counted only */
#define BOARD_MINUTES  60

enum board_family {
    BOARD_CONNECTIONS, /* by service */
    BOARD_TURNED_AWAY, /* by service: at a limit */
    BOARD_LOGINS, BOARD_LOGINS_FAILED, /* by protocol */
    BOARD_TLS_IN, BOARD_TLS_OUT, /* by version */
    BOARD_RECEIVED, BOARD_RECEIVED_BYTES, /* by service */
    BOARD_REFUSED,     /* by what of it: connection, sender, recipient, message, verdict */
    BOARD_SPF, BOARD_DKIM, BOARD_DMARC, BOARD_ARC, /* by result */
    BOARD_DELIVERED,   /* by folder */
    BOARD_DELIVERIES,  /* attempts to other hosts: sent, deferred, bounced, dropped */
    BOARD_REPORTS_SENT, BOARD_REPORTS_READ, /* by kind: dmarc, tls, failure */
    BOARD_WEBHOOKS,    /* by result */
    BOARD_FAMILIES,
};
enum board_rate { RATE_RECEIVED, RATE_SENT, RATE_DEFERRED, RATE_BOUNCED, RATE_LOGINS, RATE_REFUSED, BOARD_RATES };
struct board_about {
    const char *name, *label, *help; /* "connections", "service" */
    const char *words[BOARD_WORDS];  /* NULL ends */
};

/* In the parent, before the first fork. RC_TEMP. */
enum rc board_open(void);
/* Words that the family does not have count as its last one. */
void board_add(enum board_family f, const char *word, uint64_t n);
static inline void board_count(enum board_family f, const char *word)
{
    board_add(f, word, 1);
}

const struct board_about *board_about(enum board_family f);
uint64_t board_get(enum board_family f, size_t word);
const char *board_rate_name(enum board_rate r); /* "received" */
/* How often in each of the last 60 minutes, the oldest first; the last is the one that runs. Gives the last one's number since 1970. */
int64_t board_minutes(enum board_rate r, uint64_t out[BOARD_MINUTES]);

/* How often since midnight UTC, or since the server began. */
uint64_t board_today(enum board_rate r);

/* --- sessions --- */
struct board_session {
    char service[16], peer[48], account[128], tls[12]; /* account, tls: "" none */
    int64_t since_s;
};
/* Its place; 0: not shown, as there is no room. Places are the caller's until board_leave, which like the others accepts 0. */
unsigned board_enter(const char *service, const char *peer);
void board_name(unsigned place, struct view account);
void board_tls(unsigned place, const char *version);
void board_leave(unsigned place);
/* Those there are now, up to max; *total: how many there are. */
size_t board_sessions(struct board_session *out, size_t max, size_t *total);

/* --- processes --- */
#define BOARD_PROCESSES 8
struct board_process {
    char name[16];
    int64_t since_s; /* 0: it does not run */
    uint32_t pid, starts;
};
/* By the parent: it began (pid), or ended (0): then its sessions have gone. */
void board_process(unsigned which, const char *name, uint32_t pid);
size_t board_processes(struct board_process out[BOARD_PROCESSES]);

#endif
