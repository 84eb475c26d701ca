#include "trail/trace.h"

#include <stdlib.h>

#define TIME_EVERY 256 /* lines, after which it is seen whether others can still be older */
#define SLOTS 1024 /* of the table of keys; a power of two, four times the traces */

struct building {
    struct trace t;
    size_t size;       /* of steps */
    int64_t newest_ms;
    uint64_t targets, done;
    bool has_accepted, is_sender; /* is_sender: the owner's domain sent it */
};
struct search {
    const struct trace_query *q;
    struct arena *a;
    struct building *list;
    size_t n;
    uint16_t by_id[SLOTS], by_session[SLOTS]; /* index + 1 of one with that key; more of a session follow by walking the list */
    int64_t oldest_ms;
};

const char *trace_result_name(enum trace_result r)
{
    static const char *const names[] = {"refused", "accepted", "deferred", "delivered", "bounced", "removed"};
    return names[r];
}

bool trace_hides(struct view field)
{
    static const char *const names[] = {"rcpts", "targets", "to", "login", "size", "as"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (view_eq(field, view_str(names[i])))
            return true;
    return false;
}

/* --- keys --- */

static size_t slot_of(uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15u >> 54) & (SLOTS - 1);
}

/* The trace of a queue id. */
static struct building *find_id(struct search *x, uint64_t id)
{
    for (size_t at = slot_of(id); id && x->by_id[at]; at = (at + 1) & (SLOTS - 1))
        if (x->list[x->by_id[at] - 1].t.id == id)
            return &x->list[x->by_id[at] - 1];
    return NULL;
}

static bool has_session(const struct search *x, uint64_t session)
{
    for (size_t at = slot_of(session); session && x->by_session[at]; at = (at + 1) & (SLOTS - 1))
        if (x->list[x->by_session[at] - 1].t.session == session)
            return true;
    return false;
}

static struct building *find_session(struct search *x, uint64_t session, uint64_t n)
{
    for (size_t i = 0; has_session(x, session) && i < x->n; i++)
        if (x->list[i].t.session == session && x->list[i].t.n == n)
            return &x->list[i];
    return NULL;
}

static void put_slot(uint16_t *slots, uint64_t key, size_t index)
{
    size_t at = slot_of(key);
    while (slots[at])
        at = (at + 1) & (SLOTS - 1);
    slots[at] = (uint16_t)(index + 1);
}

/* What a line says of the message's names. */
static void learn(struct search *x, struct building *b, uint64_t id, uint64_t session, uint64_t n)
{
    const size_t index = (size_t)(b - x->list);
    if (id && !b->t.id) {
        b->t.id = id;
        put_slot(x->by_id, id, index);
    }
    if (session && !b->t.session) {
        b->t.session = session;
        b->t.n = n;
        put_slot(x->by_session, session, index);
    }
}

static uint64_t number_of(const struct trail_line *l, const char *name, struct arena *a)
{
    uint64_t n = 0;
    return view_is_u64(trail_field(l, name, a), UINT32_MAX, &n) ? n : 0;
}

/* --- what fits --- */

static bool is_of(struct view address, struct view domain)
{
    size_t at = view_rchr(address, '@');
    return at != VIEW_NONE && view_ieq(view_from(address, at + 1), domain);
}

static struct view sender_of(const struct trail_line *l, struct arena *a)
{
    return trail_field(l, view_starts(l->event, VIEW("queue.")) ? "from" : "sender", a);
}

/* One recipient, or several with commas between. */
static struct view recipients_of(const struct trail_line *l, struct arena *a)
{
    struct view v = trail_field(l, "rcpt", a);
    return v.n > 0 ? v : trail_field(l, "to", a);
}

static bool is_accepted(struct view event)
{
    return view_ends(event, VIEW(".message.accepted"));
}

static bool is_about_message(struct view event)
{
    static const char *const events[] = {"smtp.message.accepted", "web.message.accepted", "smtp.message.rejected", "smtp.rcpt.rejected", "smtp.mail.rejected",
                                         "queue.delivered", "queue.sent", "queue.deferred", "queue.bounced", "queue.dropped",
                                         "queue.local.failed"};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (view_eq(event, view_str(events[i])))
            return true;
    return false;
}

/* Does this line make its message one that was asked for? What another line must say is looked at in the end. */
static bool fits(const struct search *x, const struct trail_line *l, uint64_t id, uint64_t session)
{
    const struct trace_query *q = x->q;
    struct view want = q->id, part;
    uint64_t key;
    if (want.n > 0) {
        view_split(&want, '.', &part);
        return view_is_hex(part, UINT64_MAX, &key) && (key == id || key == session);
    }
    if (q->recipient.n > 0)
        return view_ifind(recipients_of(l, x->a), q->recipient) != VIEW_NONE;
    return q->sender.n == 0 || view_ifind(sender_of(l, x->a), q->sender) != VIEW_NONE;
}

/* --- the first pass --- */

static struct building *add(struct search *x)
{
    if (x->n == x->q->limit)
        return NULL;
    x->list[x->n] = (struct building){.newest_ms = 0};
    return &x->list[x->n++];
}

/* False: there are as many as were asked for. */
static bool take_candidate(struct search *x, const struct trail_line *l)
{
    uint64_t id = trail_id(l, "id"), session = trail_id(l, "sid"), n = session ? number_of(l, "n", x->a) : 0;
    if (!is_about_message(l->event) || (!id && !session) || !fits(x, l, id, session))
        return true;
    struct building *b = find_id(x, id);
    if (!b && session)
        b = find_session(x, session, n);
    if (!b && !(b = add(x)))
        return false;
    learn(x, b, id, session, n);
    x->oldest_ms = l->at_ms;
    return true;
}

/* The rarest words that a line must hold. */
static struct view word_of(const struct trace_query *q, struct view *id)
{
    struct view rest = q->id;
    view_split(&rest, '.', id);
    if (q->id.n > 0)
        return *id;
    if (q->recipient.n > 0)
        return q->recipient;
    return q->sender.n > 0 ? q->sender : VIEW("smtp.");
}

static enum rc find_candidates(struct trail *t, struct search *x, int64_t *older_ms)
{
    int64_t seen_ms = 0;
    struct view id, word = word_of(x->q, &id), line;
    struct trail_line l;
    enum rc rc;
    if (x->q->to_ms > 0)
        trail_seek(t, x->q->to_ms);
    while ((rc = trail_older(t, word, x->q->budget, &line)) == RC_OK) {
        if (trail_parse(line, &l) != RC_OK || (x->q->to_ms > 0 && l.at_ms > x->q->to_ms))
            continue;
        if (l.at_ms < x->q->from_ms - TRAIL_DISORDER_MS)
            return RC_OK;
        if (l.at_ms < x->q->from_ms)
            continue;
        seen_ms = l.at_ms;
        if (!take_candidate(x, &l)) {
            *older_ms = l.at_ms;
            return RC_OK;
        }
    }
    if (rc == RC_LIMIT && (rc = trail_older(t, VIEW(""), UINT64_MAX, &line)) == RC_OK) /* how far it came */
        *older_ms = trail_parse_time(line, &seen_ms) == RC_OK || seen_ms > 0 ? seen_ms : 0;
    return RC_OK;
}

/* --- the second pass --- */

static void add_step(struct search *x, struct building *b, const struct trail_line *l)
{
    if (b->t.n_steps == TRACE_STEPS_MAX)
        return;
    if (b->t.n_steps == b->size) {
        size_t size = b->size ? b->size * 2 : 8;
        struct trail_line *more = arena_new_array(x->a, size, struct trail_line);
        if (!more)
            return;
        if (b->t.n_steps > 0)
            memcpy(more, b->t.steps, b->t.n_steps * sizeof *more);
        b->t.steps = more;
        b->size = size;
    }
    b->t.steps[b->t.n_steps++] = *l; /* turned round in the end */
}

/* A line of a session that tells of no message in particular is a step of each. */
static void add_to_session(struct search *x, const struct trail_line *l, uint64_t session, uint64_t n)
{
    for (size_t i = 0; i < x->n; i++) {
        struct building *b = &x->list[i];
        if (b->t.session == session && (n == 0 || b->t.n == n))
            add_step(x, b, l);
    }
}

static void gather_line(struct search *x, const struct trail_line *l)
{
    const bool is_queue = view_starts(l->event, VIEW("queue."));
    const bool is_origin = is_accepted(l->event) || view_eq(l->event, VIEW("queue.notice")) || view_starts(l->event, VIEW("report."));
    const uint64_t id = is_queue || is_origin ? trail_id(l, "id") : 0;
    struct building *b = find_id(x, id), *about = is_queue ? find_id(x, trail_id(l, "about")) : NULL;
    const uint64_t session = is_queue ? 0 : trail_id(l, "sid");

    if (about)
        add_step(x, about, l);
    if (b) {
        if (session)
            learn(x, b, id, session, number_of(l, "n", x->a));
        b->has_accepted |= is_origin;
        if (b != about)
            add_step(x, b, l);
    } else if (session && has_session(x, session) && id == 0) {
        add_to_session(x, l, session, number_of(l, "n", x->a));
    }
}

/* How far back the lines of all that were found can reach. */
static bool is_gathered(struct search *x, int64_t at_ms)
{
    if (at_ms > x->oldest_ms - TRACE_SESSION_MS)
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (x->list[i].t.id && !x->list[i].has_accepted)
            return false;
    return true;
}

/* Does a line bear one of our keys? Of a million lines few do: those alone are read. */
static bool has_key(struct search *x, struct view line)
{
    size_t at;
    while ((at = view_chr(line, '=')) != VIEW_NONE) {
        struct view before = view_slice(line, 0, at), value;
        view_skip(&line, at + 1);
        const bool is_id = view_ends(before, VIEW("id")), is_about = view_ends(before, VIEW(" about"));
        uint64_t key;
        if (!is_id && !is_about)
            continue;
        value = view_slice(line, 0, view_chr(line, ' '));
        if (view_is_hex(value, UINT64_MAX, &key) && (find_id(x, key) || has_session(x, key)))
            return true;
    }
    return false;
}

static void gather(struct trail *t, struct search *x)
{
    struct view line;
    struct trail_line l;
    size_t looked = 0;
    const uint64_t budget = trail_budget(t, x->q->budget);
    trail_seek(t, INT64_MAX / 2);
    while (x->n > 0 && trail_older(t, VIEW(""), budget, &line) == RC_OK) {
        if (++looked % TIME_EVERY == 0 && trail_parse_time(line, &l.at_ms) == RC_OK && is_gathered(x, l.at_ms))
            return;
        if (!has_key(x, line) || trail_parse(line, &l) != RC_OK)
            continue;
        gather_line(x, &l);
    }
}

/* --- the end --- */

static bool has_recipient(const struct trace *t, struct view address)
{
    for (size_t i = 0; i < t->n_recipients; i++)
        if (view_ieq(t->recipients[i], address))
            return true;
    return false;
}

static void add_recipients(struct search *x, struct building *b, const struct trail_line *l)
{
    struct view list = recipients_of(l, x->a), one;
    while (list.n > 0) {
        view_split(&list, ',', &one);
        if (one.n == 0 || view_eq(one, VIEW("...")) || has_recipient(&b->t, one))
            continue;
        struct view *more = arena_new_array(x->a, b->t.n_recipients + 1, struct view);
        if (!more)
            return;
        if (b->t.n_recipients > 0)
            memcpy(more, b->t.recipients, b->t.n_recipients * sizeof *more);
        more[b->t.n_recipients] = one;
        b->t.recipients = more;
        b->t.n_recipients++;
    }
}

static void judge_step(struct search *x, struct building *b, const struct trail_line *l)
{
    struct trace *t = &b->t;
    if (t->began_ms == 0)
        t->began_ms = l->at_ms;
    if (t->peer.n == 0)
        t->peer = trail_field(l, "peer", x->a);
    if (t->sender.n == 0)
        t->sender = sender_of(l, x->a);
    if (is_about_message(l->event))
        add_recipients(x, b, l);
    if (is_accepted(l->event)) {
        b->targets = number_of(l, "targets", x->a);
        t->result = TRACE_ACCEPTED;
        t->sender = sender_of(l, x->a);
    } else if (view_eq(l->event, VIEW("queue.bounced"))) {
        t->result = TRACE_BOUNCED;
    } else if (view_eq(l->event, VIEW("queue.removed"))) {
        t->result = TRACE_REMOVED;
    } else if (view_eq(l->event, VIEW("queue.deferred")) && t->result <= TRACE_DEFERRED) {
        t->result = TRACE_DEFERRED;
    } else if (view_eq(l->event, VIEW("queue.delivered")) || view_eq(l->event, VIEW("queue.sent")) || view_eq(l->event, VIEW("queue.dropped"))) {
        b->done++;
        if (b->done >= b->targets && t->result <= TRACE_DELIVERED)
            t->result = TRACE_DELIVERED;
    }
}

/* For the owner of a domain that only receives it: what tells of other recipients goes. */
static bool is_step_shown(const struct search *x, const struct trail_line *l)
{
    struct view list = recipients_of(l, x->a), route = trail_field(l, "route", x->a), one;
    if (is_accepted(l->event) || view_eq(l->event, VIEW("queue.notice")))
        return true;
    if (list.n == 0)
        return route.n == 0 || view_ieq(route, x->q->domain);
    while (list.n > 0) {
        view_split(&list, ',', &one);
        if (is_of(one, x->q->domain))
            return true;
    }
    return false;
}

static bool is_to(const struct trace *t, struct view recipient)
{
    bool any = recipient.n == 0;
    for (size_t i = 0; i < t->n_recipients && !any; i++)
        any = view_ifind(t->recipients[i], recipient) != VIEW_NONE;
    return any;
}

static void hide_others(const struct search *x, struct trace *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_steps; i++)
        if (is_step_shown(x, &t->steps[i]))
            t->steps[n++] = t->steps[i];
    t->n_steps = n;
    n = 0;
    for (size_t i = 0; i < t->n_recipients; i++)
        if (is_of(t->recipients[i], x->q->domain))
            t->recipients[n++] = t->recipients[i];
    t->n_recipients = n;
    t->is_part = true;
}

/* Puts the steps in order and says what came of it. False: it is not what was asked for, or not for this owner. */
static bool finish(struct search *x, struct building *b)
{
    struct trace *t = &b->t;
    const struct trace_query *q = x->q;
    for (size_t i = 0; i < t->n_steps / 2; i++) {
        struct trail_line other = t->steps[i];
        t->steps[i] = t->steps[t->n_steps - 1 - i];
        t->steps[t->n_steps - 1 - i] = other;
    }
    for (size_t i = 0; i < t->n_steps; i++)
        judge_step(x, b, &t->steps[i]);
    if (q->sender.n > 0 && view_ifind(t->sender, q->sender) == VIEW_NONE)
        return false;
    if (q->domain.n > 0 && !is_of(t->sender, q->domain)) {
        hide_others(x, t);
        if (t->n_recipients == 0 || !is_to(t, q->recipient)) /* nobody finds out by asking who else got it */
            return false;
    }
    return t->n_steps > 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct trace *x = a, *y = b;
    return x->began_ms < y->began_ms ? 1 : x->began_ms > y->began_ms ? -1 : 0;
}

enum rc trace_find(struct trail *t, const struct trace_query *asked, struct arena *a, struct trace **out, size_t *n, int64_t *older_ms)
{
    struct trace_query q = *asked;
    struct search *x = arena_new(a, struct search);
    struct view id, rest = q.id;
    uint64_t key;
    *n = 0;
    *older_ms = 0;
    view_split(&rest, '.', &id);
    if (q.id.n > 0 && !view_is_hex(id, UINT64_MAX, &key))
        return RC_SYNTAX;
    if (q.limit == 0 || q.limit > TRACE_LIMIT_MAX)
        q.limit = TRACE_LIMIT_MAX;
    if (q.budget == 0)
        q.budget = UINT64_MAX;
    *out = arena_new_array(a, q.limit, struct trace);
    if (!x || !*out)
        return RC_TEMP;
    *x = (struct search){.q = &q, .a = a, .list = arena_new_array(a, q.limit, struct building)};
    if (!x->list)
        return RC_TEMP;
    enum rc rc = find_candidates(t, x, older_ms);
    if (rc == RC_OK)
        gather(t, x);
    for (size_t i = 0; i < x->n && rc == RC_OK; i++)
        if (finish(x, &x->list[i]))
            (*out)[(*n)++] = x->list[i].t;
    qsort(*out, *n, sizeof **out, newest_first);
    return rc;
}
