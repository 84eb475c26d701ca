/* imap/session: one client's connection: order of commands, replies, and what stays between commands.
 * For the cmd_*.c of this folder, one a command family; others see server.h.
 *
 * A command runs on one worker thread from its first byte to its tagged answer. Parked, a session is this struct alone:
 * arena, line and mailbox handle are given back; the sequence map is shared with all who have the folder selected. */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include "imap/parse.h"
#include "imap/seqset.h"
#include "imap/server.h"
#include "imap/shared.h"
#include "store/mailbox.h"

#define IMAP_LINE_MAX          65536  /* a command without its literals */
#define IMAP_COMMAND_MAX       262144 /* with them, APPEND's messages aside */
#define IMAP_LITERAL_AUTH_MAX  65536  /* one literal of a command, APPEND's messages aside */
#define IMAP_LITERAL_LOGIN_MAX 4096   /* one literal before login */
#define IMAP_BAD_MAX           20     /* BAD answers in a row */
#define IMAP_LOGIN_BAD_MAX     5      /* the same before login */
#define IMAP_ARENA_MAX         (32u << 20)
#define IMAP_BATCH             200    /* rows taken from the store at once */
#define IMAP_RATE              1024   /* bytes a second that a peer must take or give beyond command_ms */
#define IMAP_COMMAND_END_MS    (60 * 60 * 1000)

enum imap_state { IMAP_NEW = 1, IMAP_AUTHENTICATED = 2, IMAP_SELECTED = 4 };
/* What may be told of other sessions' changes with the answer to a command (RFC 3501 §5.2, §7.4.1). */
enum imap_news { NEWS_NONE, NEWS_BUT_EXPUNGE, NEWS_ALL };

struct imap_snapshot { /* settings of the sessions that began while they held */
    unsigned refs;
    struct imap_settings set;
    char hostname[256];
};
struct imap_server {
    struct store *store;
    struct pool *pool;
    struct imap_table *table;
    pthread_mutex_t lock; /* guards snapshot */
    struct imap_snapshot *snapshot;
    struct pool_service plain, tls;
};

struct imap_selected {
    struct imap_folder *shared; /* NULL: none selected */
    struct seqmap *map;         /* the folder as the client knows it, changes up to its modseq told */
    uint64_t id;
    uint64_t own_from, own_to;  /* modseqs of this session's last STORE: not news to it */
    uint32_t recent_from;
    uint32_t claimed;           /* UIDs below it are no longer \Recent to sessions that come later */
    bool read_only;
};

struct imap_session {
    struct imap_server *server;
    struct imap_snapshot *snapshot;
    const struct imap_settings *set;
    struct conn *conn;
    uint64_t account;
    struct login_mark mark;     /* by what it was opened */
    int64_t login_by;           /* deadline until logged in */
    enum imap_state state;
    bool condstore;             /* RFC 7162 §3.1: the client knows MODSEQ */
    bool read_only;             /* the application password that opened it may only read */
    bool idling;
    uint8_t bad;                /* BAD answers in a row */
    struct imap_selected sel;
    struct imap_listener listener; /* while idling */
    char tag[IMAP_TAG_MAX + 1]; /* of the command that runs, or of the IDLE that waits */
    const char *last;           /* name of the last command, for the log */

    /* of the running command; empty while parked */
    struct mailbox *mb;
    struct arena arena;
    struct buf line;
    struct imap_literal literal; /* APPEND: the message that is announced at the end of line */
    bool uid;                    /* said with UID before it */
    enum imap_news news;
};

/* A command's function gets what follows its name. RC_OK: the session goes on; else it ends. */
typedef enum rc (*imap_command_fn)(struct imap_session *s, struct view args);

/* --- replies --- */
/* Tells news as the command allows and sends the tagged answer. The text is ours, never the client's. */
enum rc imap_ok(struct imap_session *s, const char *text);
enum rc imap_no(struct imap_session *s, const char *text);
/* Counts; too many end the session. */
enum rc imap_bad(struct imap_session *s, const char *text);
/* NO with the response code (RFC 5530) for what a store call came to. */
enum rc imap_no_rc(struct imap_session *s, enum rc rc);
/* "* BYE text"; gives RC_CLOSED, for `return`. */
enum rc imap_bye(struct imap_session *s, const char *text);

/* --- input within a command --- */
/* Appends the next line without CRLF to s->line. RC_LIMIT: longer than IMAP_LINE_MAX; eaten. */
enum rc imap_read_line(struct imap_session *s);
/* Moves the deadline of reading and writing to command_ms from now, and more for long transfers. */
void imap_deadline(struct imap_session *s);

/* --- what commands share --- */
/* s->mb for this command. */
enum rc imap_mailbox_open(struct imap_session *s);
/* Ends the selection without a word; the store is not asked. */
void imap_deselect(struct imap_session *s);
/* As above when the client says so: what this session was shown as \Recent is so to no other (RFC 3501 §2.3.2). */
void imap_leave_folder(struct imap_session *s);
/* A set of the client as ranges of UIDs that its map knows (seq numbers where s->uid is false). RC_SYNTAX: names message
 * numbers that do not exist. */
enum rc imap_uid_ranges(struct imap_session *s, struct imap_seqset *set);
/* Those UIDs, rising, in the arena. */
enum rc imap_uid_list(struct imap_session *s, const struct imap_seqset *ranges, uint32_t **uids, size_t *n);
/* UIDs `from` up to what mailbox_items may be asked at once: ranges that lie close become one. False at the end. */
bool imap_next_range(const struct imap_seqset *ranges, size_t *i, struct imap_range *out);
/* mailbox_items of the selected folder, up to *batch of them; where rows are so long that the arena does not hold as
 * many, *batch is made smaller. */
enum rc imap_items(struct imap_session *s, uint32_t lo, uint32_t hi, uint64_t since, unsigned columns, size_t *batch,
                   struct arena *a, struct item **out, size_t *n);

/* --- news: sync.c --- */
/* Untagged EXPUNGE, EXISTS, RECENT and FETCH for what others have done. if_published: as imap_folder_map.
 * RC_CLOSED: said BYE (the folder is gone). */
enum rc imap_sync(struct imap_session *s, enum imap_news news, bool if_published);
/* FLAGS of one message as news or answer. */
void imap_write_fetch_flags(struct imap_session *s, uint32_t seq, uint32_t uid, unsigned flags, struct view keywords,
                            uint64_t modseq);
/* Changes with modseqs between these are this session's own. */
void imap_note_own(struct imap_session *s, uint64_t from, uint64_t to);

/* --- the commands --- */
enum rc imap_cmd_capability(struct imap_session *s, struct view args);
enum rc imap_cmd_id(struct imap_session *s, struct view args);
enum rc imap_cmd_noop(struct imap_session *s, struct view args);
enum rc imap_cmd_logout(struct imap_session *s, struct view args);
enum rc imap_cmd_enable(struct imap_session *s, struct view args);
/* cmd_auth.c */
enum rc imap_cmd_starttls(struct imap_session *s, struct view args);
enum rc imap_cmd_login(struct imap_session *s, struct view args);
enum rc imap_cmd_authenticate(struct imap_session *s, struct view args);
/* cmd_mailbox.c */
enum rc imap_cmd_select(struct imap_session *s, struct view args);
enum rc imap_cmd_examine(struct imap_session *s, struct view args);
enum rc imap_cmd_close(struct imap_session *s, struct view args);
enum rc imap_cmd_unselect(struct imap_session *s, struct view args);
enum rc imap_cmd_create(struct imap_session *s, struct view args);
enum rc imap_cmd_delete(struct imap_session *s, struct view args);
enum rc imap_cmd_rename(struct imap_session *s, struct view args);
enum rc imap_cmd_subscribe(struct imap_session *s, struct view args);
enum rc imap_cmd_unsubscribe(struct imap_session *s, struct view args);
/* cmd_list.c */
enum rc imap_cmd_list(struct imap_session *s, struct view args);
enum rc imap_cmd_lsub(struct imap_session *s, struct view args);
enum rc imap_cmd_namespace(struct imap_session *s, struct view args);
/* cmd_status.c */
enum rc imap_cmd_status(struct imap_session *s, struct view args);
struct imap_status_items {
    unsigned wanted; /* STATUS_* of cmd_status.c */
};
enum rc imap_status_items_parse(struct view *in, struct imap_status_items *out);
/* "* STATUS name (...)" */
enum rc imap_status_write(struct imap_session *s, const struct folder *f, const struct imap_status_items *items);
/* cmd_fetch.c */
enum rc imap_cmd_fetch(struct imap_session *s, struct view args);
/* cmd_store.c */
enum rc imap_cmd_store(struct imap_session *s, struct view args);
/* cmd_search.c */
enum rc imap_cmd_search(struct imap_session *s, struct view args);
/* cmd_append.c */
enum rc imap_cmd_append(struct imap_session *s, struct view args);
/* Is the literal announced at the end of s->line APPEND's message? Then it is not read with the command. */
bool imap_append_is_message(struct imap_session *s, struct view text, const struct imap_literal *lit);
/* cmd_copy.c */
enum rc imap_cmd_copy(struct imap_session *s, struct view args);
enum rc imap_cmd_move(struct imap_session *s, struct view args);
enum rc imap_cmd_expunge(struct imap_session *s, struct view args);
/* idle.c */
enum rc imap_cmd_idle(struct imap_session *s, struct view args);
/* A line came while idling. */
enum rc imap_idle_line(struct imap_session *s);
/* The folder changed while idling. */
enum rc imap_idle_event(struct imap_session *s);
void imap_idle_stop(struct imap_session *s);

/* --- life, for server.c --- */
struct imap_session *imap_session_new(struct imap_server *srv, struct imap_snapshot *snapshot, struct conn *c);
enum pool_next imap_session_serve(struct imap_session *s, enum pool_why why);
void imap_session_free(struct imap_session *s);

#endif
