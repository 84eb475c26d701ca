#include "sys/board.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

#define PROBES 32 /* places that are looked at for a free one */

#define SERVICES {"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https", "other"}
#define PROTOCOLS {"smtp", "imap", "pop3", "web", "other"}
static const struct board_about families[BOARD_FAMILIES] = {
    [BOARD_CONNECTIONS] = {"connections", "service", "Connections accepted", SERVICES},
    [BOARD_TURNED_AWAY] = {"connections_refused", "service", "Connections turned away at a limit", SERVICES},
    [BOARD_LOGINS] = {"logins", "protocol", "Logins that succeeded", PROTOCOLS},
    [BOARD_LOGINS_FAILED] = {"logins_failed", "protocol", "Logins that failed", PROTOCOLS},
    [BOARD_TLS_IN] = {"tls_in", "version", "TLS handshakes of clients", {"TLSv1.2", "TLSv1.3", "failed", "other"}},
    [BOARD_TLS_OUT] = {"tls_out", "version", "Connections to mail hosts by TLS version", {"none", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "other"}},
    [BOARD_RECEIVED] = {"messages_received", "service", "Messages taken", {"smtp", "submission", "submissions", "http", "other"}},
    [BOARD_RECEIVED_BYTES] = {"messages_received_bytes", "service", "Bytes of messages taken", {"smtp", "submission", "submissions", "http", "other"}},
    [BOARD_REFUSED] = {"refused", "stage", "What was refused: connections, senders, recipients, whole messages, and those that SPF, DKIM and DMARC speak against",
                       {"connection", "sender", "recipient", "message", "verdict", "other"}},
    [BOARD_SPF] = {"spf", "result", "SPF results of messages from outside",
                   {"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror", "other"}},
    [BOARD_DKIM] = {"dkim", "result", "Best DKIM result of messages from outside",
                    {"pass", "fail", "policy", "neutral", "none", "temperror", "permerror", "other"}},
    [BOARD_DMARC] = {"dmarc", "result", "DMARC results of messages from outside", {"pass", "fail", "none", "temperror", "permerror", "other"}},
    [BOARD_ARC] = {"arc", "result", "ARC results of messages from outside", {"pass", "fail", "none", "other"}},
    [BOARD_DELIVERED] = {"delivered", "folder", "Deliveries into mailboxes here", {"inbox", "junk", "other"}},
    [BOARD_DELIVERIES] = {"deliveries", "result", "Attempts to deliver to other hosts, for each recipient", {"sent", "deferred", "bounced", "dropped", "other"}},
    [BOARD_REPORTS_SENT] = {"reports_sent", "kind", "Reports sent to other domains", {"dmarc", "tls", "failure", "other"}},
    [BOARD_REPORTS_READ] = {"reports_read", "kind", "Reports received from others", {"dmarc", "tls", "failure", "other"}},
    [BOARD_WEBHOOKS] = {"webhooks", "result", "Webhooks called", {"ok", "failed", "dropped", "other"}},
};
static const char *const rate_names[BOARD_RATES] = {"received", "sent", "deferred", "bounced", "logins", "refused"};

enum { FREE, TAKEN, SHOWN };
struct place {
    _Atomic int state;
    _Atomic unsigned version; /* odd while it is written */
    _Atomic uint32_t pid;
    _Atomic uint64_t words[sizeof(struct board_session) / sizeof(uint64_t)];
};
struct board {
    _Atomic uint64_t counts[BOARD_FAMILIES][BOARD_WORDS];
    _Atomic uint64_t minutes[BOARD_RATES][BOARD_MINUTES]; /* minute << 32 | n */
    _Atomic uint64_t today[BOARD_RATES];                  /* day << 40 | n */
    _Atomic unsigned hint;
    struct board_process processes[BOARD_PROCESSES]; /* the parent's */
    struct place places[BOARD_SESSIONS];
};
static struct board *board;

enum rc board_open(void)
{
    void *p = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return RC_TEMP;
    board = p; /* zeroed by the kernel */
    return RC_OK;
}

/* --- counters --- */

static void add_day(enum board_rate r, uint64_t n)
{
    const uint64_t day = (uint64_t)(clock_real_s() / 86400) & 0xffffff;
    uint64_t was = atomic_load_explicit(&board->today[r], memory_order_relaxed), now;
    do
        now = was >> 40 == day ? was + n : day << 40 | n;
    while (!atomic_compare_exchange_weak_explicit(&board->today[r], &was, now, memory_order_relaxed, memory_order_relaxed));
}

static void add_minute(enum board_rate r, uint64_t n)
{
    add_day(r, n);
    const uint64_t minute = (uint64_t)(clock_real_s() / 60) & UINT32_MAX;
    _Atomic uint64_t *at = &board->minutes[r][minute % BOARD_MINUTES];
    uint64_t was = atomic_load_explicit(at, memory_order_relaxed), now;
    do
        now = was >> 32 == minute ? was + n : minute << 32 | n;
    while (!atomic_compare_exchange_weak_explicit(at, &was, now, memory_order_relaxed, memory_order_relaxed));
}

static void add_rate(enum board_family f, size_t word, uint64_t n)
{
    switch (f) {
    case BOARD_RECEIVED: add_minute(RATE_RECEIVED, n); return;
    case BOARD_REFUSED: add_minute(RATE_REFUSED, n); return;
    case BOARD_LOGINS: add_minute(RATE_LOGINS, n); return;
    case BOARD_DELIVERIES: /* its first words are those of the rates */
        if (word <= RATE_BOUNCED - RATE_SENT)
            add_minute(RATE_SENT + (enum board_rate)word, n);
        return;
    default: return;
    }
}

void board_add(enum board_family f, const char *word, uint64_t n)
{
    const char *const *words = families[f].words;
    size_t i = 0;
    if (!board)
        return;
    while (i + 1 < BOARD_WORDS && words[i + 1] && strcmp(words[i], word) != 0)
        i++;
    atomic_fetch_add_explicit(&board->counts[f][i], n, memory_order_relaxed);
    add_rate(f, i, n);
}

const struct board_about *board_about(enum board_family f)
{
    return &families[f];
}

uint64_t board_get(enum board_family f, size_t word)
{
    return board && word < BOARD_WORDS ? atomic_load_explicit(&board->counts[f][word], memory_order_relaxed) : 0;
}

const char *board_rate_name(enum board_rate r)
{
    return rate_names[r];
}

int64_t board_minutes(enum board_rate r, uint64_t out[BOARD_MINUTES])
{
    const int64_t last = clock_real_s() / 60;
    for (int i = 0; i < BOARD_MINUTES; i++) {
        const uint64_t minute = (uint64_t)(last - (BOARD_MINUTES - 1) + i) & UINT32_MAX;
        const uint64_t cell = board ? atomic_load_explicit(&board->minutes[r][minute % BOARD_MINUTES], memory_order_relaxed) : 0;
        out[i] = cell >> 32 == minute ? cell & UINT32_MAX : 0;
    }
    return last;
}

uint64_t board_today(enum board_rate r)
{
    const uint64_t day = (uint64_t)(clock_real_s() / 86400) & 0xffffff;
    const uint64_t cell = board ? atomic_load_explicit(&board->today[r], memory_order_relaxed) : 0;
    return cell >> 40 == day ? cell & ((1ull << 40) - 1) : 0;
}

/* --- sessions --- */

/* A place is written by whoever has the session alone, and read at any time, by another process too: word by word, and what a
 * writer came between is read again. */
#define WORDS (sizeof(struct board_session) / sizeof(uint64_t))
_Static_assert(sizeof(struct board_session) % sizeof(uint64_t) == 0, "a session is whole words");

static void write_place(struct place *p, const struct board_session *s)
{
    uint64_t from[WORDS];
    memcpy(from, s, sizeof from);
    atomic_fetch_add(&p->version, 1);
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&p->words[i], from[i], memory_order_release);
    atomic_fetch_add(&p->version, 1);
}

static void load_place(struct place *p, struct board_session *s)
{
    uint64_t to[WORDS];
    for (size_t i = 0; i < WORDS; i++)
        to[i] = atomic_load_explicit(&p->words[i], memory_order_acquire);
    memcpy(s, to, sizeof to);
}

unsigned board_enter(const char *service, const char *peer)
{
    if (!board)
        return 0;
    unsigned from = atomic_fetch_add_explicit(&board->hint, 1, memory_order_relaxed);
    for (unsigned i = 0; i < PROBES; i++) {
        unsigned at = (from + i * 97) % BOARD_SESSIONS; /* not all look at the same neighbours */
        struct place *p = &board->places[at];
        int is_free = FREE;
        if (!atomic_compare_exchange_strong(&p->state, &is_free, TAKEN))
            continue;
        struct board_session s = {.since_s = clock_real_s()};
        snprintf(s.service, sizeof s.service, "%s", service);
        snprintf(s.peer, sizeof s.peer, "%s", peer);
        atomic_store(&p->pid, (uint32_t)getpid());
        write_place(p, &s);
        atomic_store(&p->state, SHOWN);
        return at + 1;
    }
    return 0;
}

void board_name(unsigned place, struct view account)
{
    if (!board || place == 0)
        return;
    struct place *p = &board->places[place - 1];
    struct board_session s;
    load_place(p, &s);
    snprintf(s.account, sizeof s.account, "%.*s", VIEW_FMT(account));
    write_place(p, &s);
}

void board_tls(unsigned place, const char *version)
{
    if (!board || place == 0)
        return;
    struct place *p = &board->places[place - 1];
    struct board_session s;
    load_place(p, &s);
    snprintf(s.tls, sizeof s.tls, "%s", version);
    write_place(p, &s);
}

void board_leave(unsigned place)
{
    if (board && place > 0)
        atomic_store(&board->places[place - 1].state, FREE);
}

/* False: it was being written, or has gone. */
static bool read_place(struct place *p, struct board_session *out)
{
    for (int i = 0; i < 4; i++) {
        if (atomic_load(&p->state) != SHOWN)
            return false;
        unsigned version = atomic_load(&p->version);
        load_place(p, out);
        if (version % 2 == 0 && atomic_load(&p->version) == version)
            return true;
    }
    return false;
}

size_t board_sessions(struct board_session *out, size_t max, size_t *total)
{
    size_t n = 0, seen = 0;
    for (size_t i = 0; board && i < BOARD_SESSIONS; i++) {
        struct board_session s;
        if (!read_place(&board->places[i], &s))
            continue;
        if (n < max)
            out[n++] = s;
        seen++;
    }
    *total = seen;
    return n;
}

/* --- processes --- */

void board_process(unsigned which, const char *name, uint32_t pid)
{
    if (!board || which >= BOARD_PROCESSES)
        return;
    struct board_process *p = &board->processes[which];
    for (size_t i = 0; pid == 0 && p->pid != 0 && i < BOARD_SESSIONS; i++)
        if (atomic_load(&board->places[i].pid) == p->pid) /* what it had not ended itself */
            atomic_store(&board->places[i].state, FREE);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->pid = pid;
    p->since_s = pid ? clock_real_s() : 0;
    p->starts += pid != 0;
}

size_t board_processes(struct board_process out[BOARD_PROCESSES])
{
    size_t n = 0;
    for (size_t i = 0; board && i < BOARD_PROCESSES; i++)
        if (board->processes[i].pid != 0)
            out[n++] = board->processes[i];
    return n;
}
