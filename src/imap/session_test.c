/* Sessions on a socket pair with a store in a temporary folder; logins are scripted (this file has its own sasl_*). */
#include <pthread.h>
#include <sys/socket.h>

#include "imap/session.h"
#include "store/store_fixture.h"

struct sasl {
    int step;
    struct directory_account account;
};
static uint64_t the_account;

enum rc sasl_mechanisms(const struct sasl_settings *set, struct conn *c, struct buf *out)
{
    (void)set, (void)c;
    buf_str(out, "PLAIN LOGIN");
    return buf_rc(out);
}

enum sasl_step sasl_password(const struct sasl_settings *set, struct conn *c, struct view name, struct view password,
                             struct arena *a, struct directory_account *out, struct sasl_grant *grant)
{
    (void)set, (void)c, (void)a;
    *grant = (struct sasl_grant){.read_only = view_eq(password, VIEW("reading"))};
    if (grant->read_only)
        password = VIEW("secret");
    if (!view_eq(name, VIEW("u@ici.test")) || !view_eq(password, VIEW("secret")))
        return SASL_WRONG;
    *out = (struct directory_account){.id = the_account, .address = name};
    return SASL_DONE;
}

enum rc sasl_new(const struct sasl_settings *set, struct conn *c, struct view mechanism, struct sasl **out)
{
    (void)set, (void)c;
    if (!view_ieq(mechanism, VIEW("PLAIN")) && !view_ieq(mechanism, VIEW("LOGIN")))
        return RC_NOTFOUND;
    *out = calloc(1, sizeof **out);
    (*out)->step = view_ieq(mechanism, VIEW("LOGIN")) ? 2 : 0;
    (*out)->account = (struct directory_account){.id = the_account, .address = VIEW("u@ici.test")};
    return RC_OK;
}

bool sasl_client_first(const struct sasl *s)
{
    return s->step == 0;
}

enum sasl_step sasl_next(struct sasl *s, struct view response, struct view *challenge)
{
    *challenge = VIEW("");
    if (s->step == 0)
        return view_eq(response, VIEW("\0u@ici.test\0secret")) ? SASL_DONE : SASL_WRONG;
    *challenge = s->step == 2 ? VIEW("Username:") : VIEW("Password:");
    if (s->step == 4)
        return view_eq(response, VIEW("secret")) ? *challenge = VIEW(""), SASL_DONE : SASL_WRONG;
    s->step++;
    return SASL_CONTINUE;
}

struct sasl_grant sasl_grant(const struct sasl *s)
{
    (void)s;
    return (struct sasl_grant){0};
}

const char *sasl_step_word(enum sasl_step step)
{
    (void)step;
    return "wrong";
}

const struct directory_account *sasl_account(const struct sasl *s)
{
    return &s->account;
}

struct view sasl_name(const struct sasl *s)
{
    return s->account.address;
}

void sasl_free(struct sasl *s)
{
    free(s);
}

/* --- running scripts --- */

struct lab {
    struct fixture *store;
    struct pool *pool;
    struct imap_server *server;
};

static int lab_setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    const struct pool_settings pool = {.max_workers = 2, .max_connections = 10, .max_per_address = 10, .handshake_ms = 1000,
                                       .idle_ms = 1000};
    const struct imap_settings set = {.hostname = "mx.ici.test", .sasl = {.plain_without_tls = true}, .max_message = 100000,
                                      .command_ms = 5000, .login_ms = 5000};
    void *fixture;

    fixture_setup(&fixture);
    lab->store = fixture;
    the_account = fixture_account(lab->store, "u@ici.test");
    assert_int_equal(pool_new(&pool, &lab->pool), RC_OK);
    assert_int_equal(imap_server_new(&set, lab->store->s, lab->pool, &lab->server), RC_OK);
    *state = lab;
    return 0;
}

static int lab_teardown(void **state)
{
    struct lab *lab = *state;
    void *fixture = lab->store;

    imap_server_free(lab->server);
    pool_drain(lab->pool, 0);
    pool_free(lab->pool);
    fixture_teardown(&fixture);
    free(lab);
    return 0;
}

struct client {
    const struct pool_service *service;
    struct conn *conn;
    void *session;
    int fd;
    pthread_t reader, writer;
    struct view input;
    struct buf output;
    bool by_bytes;
};

static void *read_all(void *ctx)
{
    struct client *c = ctx;
    char part[4096];

    for (ssize_t n; (n = read(c->fd, part, sizeof part)) > 0;)
        buf_add(&c->output, view_of(part, (size_t)n));
    return NULL;
}

static void *write_all(void *ctx)
{
    struct client *c = ctx;
    struct view in = c->input;

    while (in.n > 0) {
        ssize_t n = send(c->fd, in.p, c->by_bytes ? 1 : in.n, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        view_skip(&in, (size_t)n);
    }
    shutdown(c->fd, SHUT_WR);
    return NULL;
}

/* The session from greeting to end with this input; *out gets all that it said. */
static void run(struct lab *lab, struct view input, bool by_bytes, struct buf *out)
{
    struct client c = {.service = imap_server_service(lab->server, false), .input = input, .by_bytes = by_bytes};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    buf_init(&c.output, 16u << 20);
    c.fd = fds[1];
    assert_int_equal(conn_new(fds[0], &c.conn), RC_OK);
    pthread_create(&c.reader, NULL, read_all, &c);
    pthread_create(&c.writer, NULL, write_all, &c);
    c.session = c.service->open(c.service->ctx, c.conn);
    if (c.session) {
        while (c.service->serve(c.session, POOL_INPUT) == POOL_PARK)
            ;
        c.service->close(c.session);
    }
    conn_free(c.conn);
    pthread_join(c.writer, NULL);
    pthread_join(c.reader, NULL);
    close(c.fd);
    buf_add(out, buf_view(&c.output));
    buf_clear(&c.output);
}

/* Each of the lines of `want` (parted by "|") stands in the output, in this order. */
static void expect(struct view output, const char *want)
{
    struct view rest = output, all = view_str(want), line;

    while (all.n > 0) {
        view_split(&all, '|', &line);
        size_t at = view_find(rest, line);
        if (at == VIEW_NONE)
            fail_msg("\"%.*s\" is missing in:\n%.*s", VIEW_FMT(line), VIEW_FMT(output));
        rest = view_from(rest, at + line.n);
    }
}

static void say(struct lab *lab, const char *input, const char *want)
{
    struct buf out;

    buf_init(&out, 16u << 20);
    run(lab, view_str(input), false, &out);
    expect(buf_view(&out), want);
    buf_clear(&out);
}

#define LOGIN  "a LOGIN u@ici.test secret\r\n"
#define LETTER "From: a@b.test\r\nSubject: hello\r\nDate: Tue, 1 Feb 1994 23:30:00 -0500\r\n\r\nneedle\r\n" /* 80 bytes */

static void test_login(void **state)
{
    struct lab *lab = *state;

    say(lab, "a CAPABILITY\r\nb LOGOUT\r\n",
        "* OK [CAPABILITY IMAP4rev1|AUTH=PLAIN|mx.ici.test|* CAPABILITY IMAP4rev1|a OK|* BYE|b OK");
    say(lab, LOGIN "b NOOP\r\n", "a OK [CAPABILITY IMAP4rev1|IDLE|b OK");
    say(lab, "a LOGIN u@ici.test wrong\r\nb LOGIN {10}\r\nu@ici.test {6+}\r\nsecret\r\n",
        "a NO [AUTHENTICATIONFAILED]|+ |b OK");
    say(lab, "a AUTHENTICATE PLAIN AHVAaWNpLnRlc3QAc2VjcmV0\r\n", "a OK");
    say(lab, "a AUTHENTICATE PLAIN\r\nAHVAaWNpLnRlc3QAc2VjcmV0\r\n", "+ \r\n|a OK");
    say(lab, "a AUTHENTICATE PLAIN =\r\n", "a NO");
    say(lab, "a AUTHENTICATE LOGIN\r\nYQ==\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\r\n|+ UGFzc3dvcmQ6\r\n|a OK");
    say(lab, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n", "+ \r\n|a BAD|b OK");
    say(lab, "a AUTHENTICATE PLAIN !!\r\n", "a BAD");
    say(lab, "a AUTHENTICATE NOSUCH\r\n", "a NO");
    say(lab, "a SELECT INBOX\r\nb LOGIN\r\nc FETCH 1 UID\r\n", "a BAD|b BAD|c BAD");
    say(lab, "a STARTTLS\r\n", "a BAD"); /* none configured */
}

static void test_bad_input(void **state)
{
    struct lab *lab = *state;
    struct buf in, out;

    say(lab, "\r\n", "* BAD");
    say(lab, "a\r\n", "a BAD");
    say(lab, "+ NOOP\r\n", "* BAD");
    say(lab, "a NOSUCH\r\n", "a BAD");
    say(lab, "a UID NOOP\r\n", "a BAD");
    say(lab, "a\nb NOOP\r\n", "a BAD"); /* a bare LF ends nothing */
    say(lab, "a A\r\na A\r\na A\r\na A\r\na A\r\na NOOP\r\n", "a BAD|a BAD|a BAD|a BAD|a BAD|* BYE");
    say(lab, "a LOGIN {4097}\r\nb NOOP\r\n", "a BAD [TOOBIG]|b OK");       /* never asked for: not sent */
    say(lab, "a LOGIN {4097+}\r\nb NOOP\r\n", "a BAD [TOOBIG]|* BYE");     /* would be taken for commands */
    say(lab, "a LOGIN {99999999999999}\r\nb NOOP\r\n", "a BAD [TOOBIG]|b OK");
    buf_init(&in, 1u << 20);
    buf_init(&out, 1u << 20);
    buf_str(&in, LOGIN "b NOOP ");
    for (int i = 0; i < IMAP_LINE_MAX; i++)
        buf_chr(&in, 'x');
    buf_str(&in, "\r\nc NOOP\r\n");
    run(lab, buf_view(&in), false, &out);
    expect(buf_view(&out), "b BAD [TOOBIG]|c OK");
    buf_clear(&in);
    buf_clear(&out);
}

static void test_append_and_fetch(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b APPEND INBOX (\\Flagged $x) \"17-Jul-1996 02:44:25 -0700\" {80}\r\n" LETTER "\r\nc SELECT INBOX\r\n"
        "d FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)\r\n"
        "e FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\nf FETCH 1 BODY[TEXT]<2.3>\r\ng FETCH 1 FLAGS\r\n"
        "h UID FETCH 1:* RFC822\r\ni FETCH 2 FLAGS\r\nj FETCH 1 BODY[2]\r\nk FETCH 1 (BINARY.SIZE[1] BINARY[1])\r\n"
        "l FETCH 1:* (FLAGS)\r\nm FETCH 1 MODSEQ\r\n",
        "+ Ready|b OK [APPENDUID |c OK [READ-WRITE]|* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent $x)|"
        "INTERNALDATE \"17-Jul-1996 09:44:25 +0000\"|RFC822.SIZE 80|"
        "ENVELOPE (\"Tue, 1 Feb 1994 23:30:00 -0500\" \"hello\"|BODYSTRUCTURE (\"text\" \"plain\"|d OK|"
        "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {18}\r\nSubject: hello\r\n\r\n)|e OK|"
        "BODY[TEXT]<2> {3}\r\nedl FLAGS (\\Flagged \\Seen \\Recent $x))|f OK|FLAGS (\\Flagged \\Seen|g OK|"
        "* 1 FETCH (UID 1 RFC822 {80}\r\nFrom: a@b.test|needle\r\n)|h OK|i BAD|BODY[2] NIL|j OK|"
        "BINARY.SIZE[1] 8 BINARY[1] {8}\r\nneedle\r\n)|k OK|l OK|MODSEQ (|m OK");
}

static void test_append_forms(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b APPEND Nosuch {80+}\r\n" LETTER "\r\nc APPEND {5}\r\nINBOX {80+}\r\n" LETTER " (\\Seen) {80}\r\n" LETTER
        "\r\nd APPEND INBOX {200000}\r\ne APPEND INBOX {3+}\r\nabc x\r\nf APPEND INBOX {0+}\r\n\r\n"
        "g APPEND INBOX (\\Nosuch) {3+}\r\nabc\r\nh APPEND INBOX\r\ni STATUS INBOX (MESSAGES UNSEEN SIZE)\r\n",
        "b NO [TRYCREATE]|+ Go|+ Ready|c OK [APPENDUID |1:2]|d NO [TOOBIG]|e BAD|f NO|g BAD|h BAD|"
        "* STATUS \"INBOX\" (MESSAGES 2 UNSEEN 1 SIZE 160)|i OK");
}

static void test_store_and_expunge(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b APPEND INBOX {80+}\r\n" LETTER " {80+}\r\n" LETTER " {80+}\r\n" LETTER "\r\nc SELECT INBOX\r\n"
        "d STORE 2 +FLAGS (\\Deleted)\r\ne STORE 1:3 +FLAGS.SILENT \\Seen $k\r\nf FETCH 1:3 FLAGS\r\n"
        "g UID STORE 3 (UNCHANGEDSINCE 1) FLAGS ()\r\nh EXPUNGE\r\ni FETCH 1:* UID\r\nj EXAMINE INBOX\r\nk STORE 1 FLAGS ()\r\n"
        "l STORE 5 FLAGS ()\r\nm STORE 1 FLAGS (\\Recent)\r\n",
        "c OK|* 2 FETCH (UID 2 FLAGS (\\Deleted \\Recent))|d OK|e OK|* 1 FETCH (FLAGS (\\Seen \\Recent $k))|"
        "* 2 FETCH (FLAGS (\\Deleted \\Seen|f OK|g OK [MODIFIED 3]|* 2 EXPUNGE|h OK|* 1 FETCH (UID 1)|* 2 FETCH (UID 3)|i OK|"
        "CLOSED|[PERMANENTFLAGS ()]|j OK [READ-ONLY]|k NO [READ-ONLY]|l NO|m BAD");
}

static void test_copy_and_move(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b CREATE a/b\r\nc APPEND INBOX {80+}\r\n" LETTER " {80+}\r\n" LETTER "\r\nd SELECT INBOX\r\n"
        "e COPY 1:2 a/b\r\nf COPY 1 Nosuch\r\ng UID MOVE 2 a/b\r\nh STATUS a/b (MESSAGES)\r\ni CLOSE\r\nj SELECT a/b\r\n"
        "k COPY 9 INBOX\r\nl UID COPY 99 INBOX\r\nm STORE 1:* +FLAGS \\Deleted\r\nn UID EXPUNGE 2\r\no CLOSE\r\n"
        "p STATUS a/b (MESSAGES)\r\n",
        "b OK|c OK|e OK [COPYUID |1:2 1:2]|f NO [TRYCREATE]|* OK [COPYUID |2 3]|* 2 EXPUNGE|g OK|(MESSAGES 3)|i OK|* 3 EXISTS|"
        "k BAD|l OK Done|m OK|* 2 EXPUNGE|n OK|o OK|(MESSAGES 0)|p OK");
}

static void test_search(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b APPEND INBOX {80+}\r\n" LETTER " (\\Seen) {80+}\r\n" LETTER "\r\nc SELECT INBOX\r\nd SEARCH ALL\r\n"
        "e SEARCH TEXT NEEDLE UNSEEN\r\nf UID SEARCH SEEN\r\ng SEARCH RETURN (MIN MAX COUNT) BODY needle\r\n"
        "h UID SEARCH RETURN () 1:*\r\ni SEARCH CHARSET NOSUCH ALL\r\nj SEARCH NONSENSE\r\nk SEARCH TEXT {7}\r\nnowhere\r\n"
        "l SEARCH MODSEQ 1\r\nm SEARCH 2 SEEN\r\n",
        "* SEARCH 1 2\r\nd OK|* SEARCH 1\r\ne OK|* SEARCH 2\r\nf OK|* ESEARCH (TAG \"g\") MIN 1 MAX 2 COUNT 2\r\n|"
        "* ESEARCH (TAG \"h\") UID ALL 1:2\r\n|i NO [BADCHARSET|j BAD|+ |* SEARCH\r\nk OK|* SEARCH 1 2 (MODSEQ |l OK|* SEARCH 2\r\nm OK");
}

static void test_mailboxes(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b CREATE Entw&APw-rfe/x\r\nc CREATE inbox\r\nd CREATE ../etc\r\ne CREATE \"a\tb\"\r\nf CREATE &AOk\r\n"
        "g LIST \"\" \"Entw*\"\r\nh LIST \"\" %\r\ni SUBSCRIBE Entw&APw-rfe/x\r\nj LSUB \"\" Entw*\r\nk RENAME Entw&APw-rfe y\r\n"
        "l LIST \"\" y*\r\nm DELETE y\r\nn DELETE y/x\r\no DELETE INBOX\r\np DELETE y\r\nq SELECT y\r\nr LIST \"\" \"\"\r\n"
        "s LIST (SPECIAL-USE) \"\" * RETURN (STATUS (MESSAGES))\r\nt NAMESPACE\r\nu CREATE Sent2 (USE (\\Sent))\r\n"
        "v CREATE a//b\r\n",
        "b OK|c NO [ALREADYEXISTS]|d NO|e NO [CANNOT]|f NO [CANNOT]|* LIST (\\HasChildren) \"/\" \"Entw&APw-rfe\"|"
        "* LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe/x\"|g OK|\"INBOX\"|\\Sent) \"/\" \"Sent\"|h OK|i OK|* LSUB|/x\"|j OK|k OK|"
        "\"y\"|\"y/x\"|l OK|m NO [HASCHILDREN]|n OK|o NO|p OK|q NO [NONEXISTENT]|* LIST (\\Noselect) \"/\" \"\"|r OK|"
        "\\Drafts|* STATUS \"Drafts\" (MESSAGES 0)|s OK|* NAMESPACE ((\"\" \"/\")) NIL NIL|t OK|u NO [USEATTR]|v NO");
}

/* RFC 3501 §5.1: INBOX is the same in any case, and so above its children. */
static void test_inbox_has_no_case(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b CREATE inbox/sub\r\nc LIST \"\" Inbox/%\r\nd LIST \"\" inbox\r\ne LIST inbox/ sub\r\nf LIST \"\" INBOX/SUB\r\n",
        "b OK|* LIST (\\HasNoChildren) \"/\" \"INBOX/sub\"\r\nc OK|* LIST (\\HasChildren) \"/\" \"INBOX\"\r\nd OK|"
        "\"INBOX/sub\"\r\ne OK|f OK");
}

static void test_small_commands(void **state)
{
    struct lab *lab = *state;

    say(lab, LOGIN "b ID NIL\r\nc ID (\"name\" \"x\" \"v\" NIL)\r\nd ID (\r\ne ENABLE CONDSTORE X\r\nf CHECK\r\ng SELECT INBOX (CONDSTORE)\r\n"
        "h CHECK\r\ni UNSELECT\r\nj FETCH 1 UID\r\nk STATUS INBOX (NOSUCH)\r\nl STATUS Nosuch (MESSAGES)\r\nm SELECT INBOX (X)\r\n",
        "* ID (\"name\" \"Facteur\"|b OK|c OK|d BAD|* ENABLED CONDSTORE|e OK|f BAD|HIGHESTMODSEQ|g OK|h OK|i OK|j BAD|k BAD|"
        "l NO [NONEXISTENT]|m BAD");
}

/* Two sessions on one folder, driven by hand. */
struct hand {
    const struct pool_service *service;
    struct conn *conn;
    void *session;
    int fd;
};

static void hand_open(struct lab *lab, struct hand *h)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    h->service = imap_server_service(lab->server, false);
    h->fd = fds[1];
    assert_int_equal(conn_new(fds[0], &h->conn), RC_OK);
    h->session = h->service->open(h->service->ctx, h->conn);
    assert_non_null(h->session);
}

static void hand_close(struct hand *h)
{
    h->service->close(h->session);
    conn_free(h->conn);
    close(h->fd);
}

/* What the session says to this input (NULL: to an event) must hold `want`, and not `wrong`. */
static void hand_say(struct hand *h, const char *input, const char *want, const char *wrong)
{
    static char text[65536];

    if (input)
        assert_int_equal(send(h->fd, input, strlen(input), 0), strlen(input));
    assert_int_equal(h->service->serve(h->session, input ? POOL_INPUT : POOL_EVENT), POOL_PARK);
    ssize_t n = recv(h->fd, text, sizeof text, MSG_DONTWAIT);
    struct view out = view_of(text, n > 0 ? (size_t)n : 0);
    expect(out, want);
    if (wrong && view_find(out, view_str(wrong)) != VIEW_NONE)
        fail_msg("\"%s\" is in:\n%.*s", wrong, VIEW_FMT(out));
}

static void test_news(void **state)
{
    struct lab *lab = *state;
    struct hand a, b;

    hand_open(lab, &a);
    hand_open(lab, &b);
    hand_say(&a, LOGIN "s SELECT INBOX\r\n", "s OK", NULL);
    hand_say(&b, LOGIN "s SELECT INBOX\r\ni IDLE\r\n", "s OK|+ idling", NULL);
    hand_say(&a, "c APPEND INBOX {80+}\r\n" LETTER " {80+}\r\n" LETTER "\r\n", "* 2 EXISTS|c OK", NULL);
    hand_say(&b, NULL, "* 2 EXISTS\r\n* 2 RECENT\r\n", "FETCH");
    hand_say(&a, "d STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "d OK", "FETCH");
    hand_say(&b, NULL, "* 1 FETCH (UID 1 FLAGS (\\Deleted", "EXISTS");
    hand_say(&b, "DONE\r\n", "i OK", NULL);
    hand_say(&a, "e EXPUNGE\r\n", "* 1 EXPUNGE|e OK", "FETCH");
    hand_say(&b, "f FETCH 1:2 (UID)\r\n", "* 2 FETCH (UID 2)|f OK", "EXPUNGE"); /* the numbers hold, RFC 3501 §7.4.1 */
    hand_say(&b, "g STORE 2 +FLAGS (\\Seen)\r\n", "* 2 FETCH (UID 2 FLAGS|g OK", "EXPUNGE");
    hand_say(&b, "h NOOP\r\n", "* 1 EXPUNGE|h OK", "FETCH"); /* its own STORE is no news */
    hand_say(&a, "i NOOP\r\n", "* 1 FETCH (UID 2 FLAGS (\\Seen|i OK", NULL);
    hand_say(&a, "j UID STORE 2 +FLAGS (\\Deleted)\r\nk CLOSE\r\n", "k OK", "EXPUNGE");
    hand_say(&b, "l UID FETCH 1:* FLAGS\r\n", "* 1 EXPUNGE|l OK", NULL);
    hand_say(&b, "m IDLE\r\n", "+ idling", NULL);
    hand_say(&b, "nonsense\r\n", "m BAD", NULL);
    hand_say(&b, "n NOOP\r\n", "n OK", NULL);
    hand_close(&a);
    hand_close(&b);
}

static void test_folder_vanishes(void **state)
{
    struct lab *lab = *state;
    struct hand a, b;

    hand_open(lab, &a);
    hand_open(lab, &b);
    hand_say(&a, LOGIN "s CREATE x\r\n", "s OK", NULL);
    hand_say(&b, LOGIN "s SELECT x\r\n", "s OK", NULL);
    hand_say(&a, "t SELECT x\r\nu DELETE x\r\nv NOOP\r\n", "CLOSED|u OK|v OK", NULL);
    assert_int_equal(send(b.fd, "w NOOP\r\n", 8, 0), 8);
    assert_int_equal(b.service->serve(b.session, POOL_INPUT), POOL_CLOSE);
    hand_close(&a);
    hand_close(&b);
}

static const char long_script[] = LOGIN "b APPEND INBOX (\\Seen) {80+}\r\n" LETTER "\r\nc SELECT INBOX\r\nd FETCH 1:* (FLAGS BODY[])\r\n"
                                        "e SEARCH TEXT {6+}\r\nneedle\r\nf IDLE\r\nDONE\r\ng STORE 1 FLAGS ()\r\nh LOGOUT\r\n";

static void test_by_bytes(void **state)
{
    struct lab *lab = *state;
    struct buf out;

    buf_init(&out, 1u << 20);
    run(lab, view_str(long_script), true, &out);
    expect(buf_view(&out), "a OK|b OK|c OK|BODY[] {80}|d OK|* SEARCH 1|e OK|+ idling|f OK|g OK|* BYE|h OK");
    buf_clear(&out);
}

/* Cut anywhere, the session ends by itself, and the next one finds all in order. */
static void test_cut(void **state)
{
    struct lab *lab = *state;
    struct buf out;

    buf_init(&out, 1u << 20);
    for (size_t n = 0; n < sizeof long_script - 1; n++) {
        buf_reset(&out);
        run(lab, view_of(long_script, n), false, &out);
        expect(buf_view(&out), "* OK");
    }
    buf_clear(&out);
    say(lab, LOGIN "b STATUS INBOX (MESSAGES)\r\n", "b OK");
}

static void test_parked_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct imap_session) < 1536);
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(test_login),         LAB(test_bad_input),      LAB(test_append_and_fetch),
        LAB(test_append_forms),  LAB(test_store_and_expunge), LAB(test_copy_and_move),
        LAB(test_search),        LAB(test_mailboxes), LAB(test_inbox_has_no_case),      LAB(test_small_commands),
        LAB(test_news),          LAB(test_folder_vanishes), LAB(test_by_bytes),
        LAB(test_cut),           cmocka_unit_test(test_parked_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
