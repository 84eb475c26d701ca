/* Unit tests of trail/: lines come back as they were written, whatever peers said; what is looked for is found, newest first, over
 * files and within bounds; a message's steps are its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/logfile.h"
#include "trail/trace.h"
#include "trail/words.h"

#define ALL UINT64_MAX

struct fixture {
    char data[64];
    struct arena a;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[128];
    snprintf(f->data, sizeof f->data, "/tmp/trail.XXXXXX");
    if (!mkdtemp(f->data))
        return 1;
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER, f->data);
    arena_init(&f->a, 16 << 20);
    *state = f;
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    log_keep(-1);
    snprintf(command, sizeof command, "rm -r %s", f->data);
    arena_clear(&f->a);
    int rc = system(command);
    free(f);
    return rc;
}

static void put(struct fixture *f, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER "/%s", f->data, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void what_was_written_comes_back(void **state)
{
    struct fixture *f = *state;
    const struct logfile_settings set = {.data = f->data, .keep_s = 86400, .bytes = 1 << 20, .owner = (uid_t)-1};
    static const char nasty[] = "a \"b\" \\ = \x01\r\n sid=77 \xc3\xa9\xff";
    struct trail *t;
    struct trail_line l;
    struct view line, raw, name, rest;
    size_t n = 0;

    logfile_turn(&set);
    assert_true(logfile_fd() >= 0);
    log_warn("test.one", F_ID("sid", 0xabc), F_VIEW("odd", view_of(nasty, sizeof nasty - 1)), F_INT("n", -5), F_CSTR("none", ""));
    assert_int_equal(trail_open(f->data, &t), RC_OK);
    assert_int_equal(trail_older(t, VIEW(""), ALL, &line), RC_OK);
    assert_int_equal(trail_parse(line, &l), RC_OK);
    assert_true(view_eq(l.event, VIEW("test.one")) && l.level == LOG_WARN && view_eq(l.process, VIEW("facteur")));
    assert_int_equal(trail_id(&l, "sid"), 0xabc);
    assert_true(view_eq(trail_field(&l, "odd", &f->a), view_of(nasty, sizeof nasty - 1)));
    assert_true(view_eq(trail_field(&l, "n", &f->a), VIEW("-5")));
    assert_true(view_eq(trail_field(&l, "none", &f->a), VIEW("")));
    for (rest = l.fields; trail_next_field(&rest, &name, &raw);)
        n++;
    assert_int_equal(n, 4);
    assert_int_equal(trail_older(t, VIEW(""), ALL, &line), RC_NOTFOUND);
    trail_close(t);
}

static void odd_lines_are_refused(void **state)
{
    static const char *const lines[] = {"", "x", "2026-11-22T07:00:00.123Z", "2026-11-22T07:00:00.123Z info mta ", "2026-13-22T07:00:00.123Z info mta e",
                                        "2026-11-22T07:00:00.123Z loud mta e", "2026-11-22 07:00:00.123Z info mta e"};
    struct trail_line l;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(trail_parse(view_str(lines[i]), &l), RC_SYNTAX);
    assert_int_equal(trail_parse(VIEW("2026-11-22T07:00:00.123Z info mta e"), &l), RC_OK);
    assert_true(l.at_ms == 1795330800123);
    assert_int_equal(trail_parse(VIEW("2024-02-29T23:59:59.999Z error vault a.b x=\"cut"), &l), RC_OK);
    assert_true(l.at_ms == 1709251199999);
    struct arena a;
    arena_init(&a, 4096);
    assert_true(view_eq(trail_field(&l, "x", &a), VIEW("cut")));
    arena_clear(&a);
}

#define DAY1 "20261121T000000Z.log"
#define DAY2 "20261122T000000Z.log"

static void questions_are_answered_newest_first(void **state)
{
    struct fixture *f = *state;
    struct view words[2] = {VIEW("ANNE@ici.test"), VIEW("550")}, line;
    struct trail_query q = {.words = words, .n_words = 1};
    struct trail_line l;
    struct trail *t;
    char place[TRAIL_PLACE_MAX];

    put(f, DAY1, "2026-11-21T10:00:00.000Z info mta smtp.rcpt.rejected sid=1 rcpt=anne@ici.test code=550\n"
                 "2026-11-21T11:00:00.000Z warn mta smtp.other sid=1 x=anne@ici.test\n");
    put(f, DAY2, "2026-11-22T10:00:00.000Z info mta smtp.rcpt.rejected sid=2 rcpt=bert@ici.test code=550\n"
                 "2026-11-22T11:00:00.000Z info mta smtp.rcptother sid=3 rcpt=anne@ici.test code=451\n"
                 "damage\n"
                 "2026-11-22T12:00:00.000Z info mta smtp.rcpt.rejected sid=4 rcpt=anne@ici.test code=451\n2026-11-22T13:0");
    assert_int_equal(trail_open(f->data, &t), RC_OK);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_int_equal(trail_id(&l, "sid"), 4);
    trail_place(t, place);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_int_equal(trail_id(&l, "sid"), 3);
    assert_int_equal(trail_return(t, view_str(place)), RC_OK);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_int_equal(trail_id(&l, "sid"), 3);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_true(view_eq(l.event, VIEW("smtp.other")));
    trail_close(t);

    q = (struct trail_query){.event = VIEW("smtp.rcpt"), .from_ms = 1795262400000, .to_ms = 1795345200000}; /* until 11:00 */
    assert_int_equal(trail_open(f->data, &t), RC_OK);
    trail_seek(t, q.to_ms);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_int_equal(trail_id(&l, "sid"), 2);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_NOTFOUND); /* the others are older than from_ms */
    assert_int_equal(trail_return(t, VIEW("20250101T000000Z.log:5")), RC_NOTFOUND);
    assert_int_equal(trail_return(t, VIEW("nonsense")), RC_SYNTAX);
    trail_close(t);

    q = (struct trail_query){.words = words, .n_words = 2, .level = LOG_INFO};
    assert_int_equal(trail_open(f->data, &t), RC_OK);
    assert_int_equal(trail_find(t, &q, 10, &l, &line), RC_LIMIT);
    assert_int_equal(trail_find(t, &q, ALL, &l, &line), RC_OK);
    assert_int_equal(trail_id(&l, "sid"), 1);
    trail_close(t);
}

/* Two messages of one session, to people of two domains; a refused one; a bounce. */
#define STORY                                                                                                                      \
    "2026-11-22T10:00:00.000Z info mta smtp.auth.ok sid=a1 peer=192.0.2.7 login=anne@ici.test\n"                                    \
    "2026-11-22T10:00:01.000Z info mta smtp.rcpt.rejected sid=a1 peer=192.0.2.7 sender=anne@ici.test rcpt=no@ici.test code=550 reason=x n=1\n" \
    "2026-11-22T10:00:02.000Z info mta smtp.message.accepted sid=a1 n=1 id=30 peer=192.0.2.7 login=anne@ici.test sender=anne@ici.test rcpts=2 targets=2 to=bert@labas.test,cleo@tiers.test\n" \
    "2026-11-22T10:00:03.000Z info mta smtp.message.accepted sid=a1 n=2 id=33 peer=192.0.2.7 login=anne@ici.test sender=anne@ici.test rcpts=1 targets=1 to=dora@labas.test\n" \
    "2026-11-22T10:00:04.000Z info mta queue.mx.connected route=labas.test mx=mx.labas.test id=30\n"                                \
    "2026-11-22T10:00:05.000Z info mta queue.sent id=30 from=anne@ici.test to=bert@labas.test mx=mx.labas.test\n"                   \
    "2026-11-22T10:00:06.000Z info mta queue.deferred id=30 from=anne@ici.test to=cleo@tiers.test reason=later\n"                   \
    "2026-11-22T10:00:07.000Z info mta queue.sent id=33 from=anne@ici.test to=dora@labas.test mx=mx.labas.test\n"                   \
    "2026-11-22T10:00:08.000Z info mta smtp.session.end sid=a1 peer=192.0.2.7 helo=laptop mails=2\n"                                \
    "2026-11-22T10:01:00.000Z info mta smtp.message.rejected sid=b2 n=1 peer=198.51.100.9 sender=spam@labas.test code=550 reason=no\n" \
    "2026-11-22T10:02:00.000Z info mta queue.bounced id=30 from=anne@ici.test to=cleo@tiers.test reason=never\n"                    \
    "2026-11-22T10:02:00.100Z info mta queue.notice id=35 about=30 to=anne@ici.test kind=failure\n"                                 \
    "2026-11-22T10:02:01.000Z info mta queue.delivered id=35 to=anne@ici.test account=1 uid=9\n"

static int64_t older_ms; /* of the last one */

static size_t ask(struct fixture *f, struct trail **t, const struct trace_query *q, struct trace **out)
{
    size_t n;
    assert_int_equal(trail_open(f->data, t), RC_OK);
    assert_int_equal(trace_find(*t, q, &f->a, out, &n, &older_ms), RC_OK);
    return n;
}

static bool has_step(const struct trace *t, const char *event)
{
    for (size_t i = 0; i < t->n_steps; i++)
        if (view_eq(t->steps[i].event, view_str(event)))
            return true;
    return false;
}

static void a_message_is_told_from_beginning_to_end(void **state)
{
    struct fixture *f = *state;
    struct trace *x;
    struct trail *t;
    put(f, DAY2, STORY);

    struct trace_query q = {.recipient = VIEW("Bert@labas")};
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_int_equal(x->id, 0x30);
    assert_int_equal(x->session, 0xa1);
    assert_int_equal(x->result, TRACE_BOUNCED);
    assert_int_equal(x->n_steps, 9); /* all but those of the second message, and of the refused one */
    assert_true(view_eq(x->steps[0].event, VIEW("smtp.auth.ok")));
    assert_true(view_eq(x->steps[8].event, VIEW("queue.notice")));
    assert_true(has_step(x, "smtp.rcpt.rejected") && has_step(x, "queue.mx.connected") && has_step(x, "smtp.session.end"));
    assert_int_equal(x->n_recipients, 3);
    trail_close(t);

    q = (struct trace_query){.sender = VIEW("anne@ici.test")};
    assert_int_equal(ask(f, &t, &q, &x), 2);
    assert_int_equal(x[0].n, 1); /* both began with the login; the order between them is free */
    trail_close(t);
    q = (struct trace_query){.id = VIEW("a1.2")};
    assert_int_equal(ask(f, &t, &q, &x), 2);
    trail_close(t);
    q = (struct trace_query){.id = VIEW("33")};
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_int_equal(x->result, TRACE_DELIVERED);
    assert_false(has_step(x, "smtp.rcpt.rejected"));
    trail_close(t);
    q = (struct trace_query){.sender = VIEW("spam@")};
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_int_equal(x->result, TRACE_REFUSED);
    assert_int_equal(x->id, 0);
    trail_close(t);
    q = (struct trace_query){.limit = 1};
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_int_equal(x->result, TRACE_REFUSED);
    trail_close(t);
    q.to_ms = older_ms;
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_int_equal(x->id, 0x33);
    assert_true(older_ms > 0);
    trail_close(t);
    q = (struct trace_query){.sender = VIEW("spam@"), .budget = 1}; /* a piece of the file at least is looked at */
    assert_int_equal(ask(f, &t, &q, &x), 1);
    trail_close(t);
    q = (struct trace_query){.recipient = VIEW("nobody@")};
    assert_int_equal(ask(f, &t, &q, &x), 0);
    trail_close(t);
}

static void an_owner_sees_what_concerns_the_domain(void **state)
{
    struct fixture *f = *state;
    struct trace *x;
    struct trail *t;
    put(f, DAY2, STORY);

    struct trace_query q = {.sender = VIEW("anne"), .domain = VIEW("tiers.test")};
    assert_int_equal(ask(f, &t, &q, &x), 1);
    assert_true(x->is_part);
    assert_int_equal(x->n_recipients, 1);
    assert_true(view_eq(x->recipients[0], VIEW("cleo@tiers.test")));
    assert_false(has_step(x, "queue.mx.connected") || has_step(x, "queue.sent") || has_step(x, "smtp.rcpt.rejected"));
    assert_true(has_step(x, "queue.deferred") && has_step(x, "smtp.message.accepted"));
    trail_close(t);
    q.recipient = VIEW("bert@labas.test");
    assert_int_equal(ask(f, &t, &q, &x), 0);
    trail_close(t);
    q.recipient = VIEW("");
    q.domain = VIEW("ici.test");
    assert_int_equal(ask(f, &t, &q, &x), 2);
    assert_false(x[0].is_part);
    trail_close(t);
    q.domain = VIEW("elsewhere.test");
    assert_int_equal(ask(f, &t, &q, &x), 0);
    trail_close(t);
}

static void files_are_begun_and_removed(void **state)
{
    struct fixture *f = *state;
    struct logfile_settings set = {.data = f->data, .keep_s = 86400, .bytes = 1 << 20, .owner = (uid_t)-1};
    struct logfile *list;
    struct stat st;
    char path[160];
    size_t n;
    put(f, "20200101T000000Z.log", "old\n");
    put(f, "20200102T000000Z.log", "old\n");
    put(f, "notes.txt", "not ours\n");
    logfile_turn(&set);
    assert_int_equal(logfile_list(f->data, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 2); /* the last of the old ones reaches until now */
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER "/%s", f->data, list[1].name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    log_info("test.line");
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 20);
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER "/notes.txt", f->data);
    assert_int_equal(stat(path, &st), 0);
    put(f, "29990101T000000Z.log", ""); /* a newer one: all go on there */
    logfile_follow(&set);
    log_info("test.line");
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER "/29990101T000000Z.log", f->data);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 20);
}

static void reasons_are_read_again_in_french(void **state)
{
    static const struct {
        const char *said, *fr;
    } rows[] = {
        {"TLS when offered", "TLS s'il est proposé"},
        {"Connection refused", "connexion refusée"},
        {"451 4.7.1 come back; later: please", "451 4.7.1 come back; later: please"}, /* theirs */
        {"451-4.7.1 TLS when offered", "451-4.7.1 TLS when offered"},
        {"DNS of the domain fails: the name servers fail (SERVFAIL)", "le DNS du domaine est en panne : les serveurs de noms sont en panne (SERVFAIL)"},
        {"DNS of the domain fails: ", "le DNS du domaine est en panne : "},
        {"mx.loin.test: TLS could not be started: self-signed certificate; our configuration requires verified TLS for this destination",
         "mx.loin.test : TLS n'a pas pu être établi : certificat autosigné ; notre configuration exige un TLS vérifié pour cette destination"},
        {"mx.loin.test: 554 5.7.1 go; away: now; our configuration requires TLS for this destination",
         "mx.loin.test : 554 5.7.1 go; away: now ; notre configuration exige TLS pour cette destination"},
        {"554 go; our configuration requires TLS for this destination", "554 go ; notre configuration exige TLS pour cette destination"},
        {"ici.test does not vouch for this message (DMARC): SPF fail for la.test; no DKIM signature; none of it aligned; p=reject at _dmarc.ici.test",
         "ici.test ne se porte pas garant de ce message (DMARC) : SPF fail pour la.test ; aucune signature DKIM ; rien d'aligné ; p=reject à "
         "_dmarc.ici.test"},
        {"DKIM fail for a.test (the signature has expired)", "DKIM fail pour a.test (la signature a expiré)"},
        {"words of nobody", "words of nobody"},
        {"", ""},
        {";", ";"},
        {"; ; : ", " ;  ;  : "},
    };
    for (const struct lang_pair *p = trail_reasons; p->en; p++)
        assert_true(lang_pair_agrees(p));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t n = strlen(rows[i].said);
        char *said = malloc(n + 1); /* what would be read behind it is seen */
        struct buf out;
        memcpy(said, rows[i].said, n);
        said = realloc(said, n > 0 ? n : 1);
        buf_init(&out, 4096);
        trail_say(view_of(said, n), LANG_EN, &out);
        assert_true(view_eq(buf_view(&out), view_str(rows[i].said)));
        buf_reset(&out);
        trail_say(view_of(said, n), LANG_FR, &out);
        if (!view_eq(buf_view(&out), view_str(rows[i].fr)))
            print_message("%.*s\n", VIEW_FMT(buf_view(&out)));
        assert_true(view_eq(buf_view(&out), view_str(rows[i].fr)));
        buf_clear(&out);
        free(said);
    }
    (void)state;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_written_comes_back),             T(odd_lines_are_refused),
        T(questions_are_answered_newest_first),     T(a_message_is_told_from_beginning_to_end),
        T(an_owner_sees_what_concerns_the_domain),  T(files_are_begun_and_removed),
        cmocka_unit_test(reasons_are_read_again_in_french),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
