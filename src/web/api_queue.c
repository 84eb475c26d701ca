/* The queue over the API: what waits and why, and what an operator or an owner does about it. */
#include <stdio.h>

#include "base/log.h"
#include "message/header.h"
#include "store/blob.h"
#include "web/api.h"
#include "web/api_health.h"
#include "web/queue_json.h"

#define QUEUE_LOOKED_MAX 2000       /* messages that one question walks over; the client goes on from `next` */
#define QUEUE_ARENA      (64u << 20)
#define QUEUE_HEADER_MAX (64u << 10) /* of the message's header that is shown */

/* Printed ids are hexadecimal, as in the log. */
static bool read_id(struct view text, uint64_t *id)
{
    return view_is_hex(text, INT64_MAX, id) && *id > 0;
}

static bool is_of(struct view address, struct view domain)
{
    size_t at = view_rchr(address, '@');
    return at != VIEW_NONE && view_ieq(view_from(address, at + 1), domain);
}

/* What somebody asks for. Owners ask for their own domain. */
struct filter {
    struct view domain; /* empty: any */
    struct view state;  /* "held", "ready", "deferred" or empty */
    struct view text;   /* in an address, a route, a reply or the id; empty: any */
};

/* One message and its recipients. */
struct waiting {
    struct mailq_message m;
    struct mailq_rcpt *rcpts;
    size_t n;
};

static bool is_sent_by(const struct waiting *w, struct view domain)
{
    return is_of(w->m.sender, domain);
}

/* Recipients of their domain, and all those of mail that they sent: others are nobody's business. */
static bool is_shown(const void *ctx, const struct mailq_rcpt *r)
{
    const struct view *domain = ctx;
    return is_of(r->address, *domain) || is_of(r->original, *domain);
}

static bool concerns(const struct waiting *w, struct view domain)
{
    bool any = is_sent_by(w, domain);
    for (size_t i = 0; i < w->n && !any; i++)
        any = is_shown(&domain, &w->rcpts[i]);
    return any;
}

static bool has_state(const struct waiting *w, struct view state)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct mailq_rcpt *r = &w->rcpts[i];
        if (view_eq(state, VIEW("held")) ? r->held : view_eq(state, VIEW("deferred")) ? !r->held && r->attempts > 0 : !r->held)
            return true;
    }
    return false;
}

/* For owners only what they are shown is searched. */
static bool has_text(const struct waiting *w, const struct filter *f, bool all)
{
    char id[24];
    snprintf(id, sizeof id, "%llx", (unsigned long long)w->m.id);
    if (view_ieq(view_str(id), f->text) || view_ifind(w->m.sender, f->text) != VIEW_NONE)
        return true;
    for (size_t i = 0; i < w->n; i++) {
        const struct mailq_rcpt *r = &w->rcpts[i];
        if ((all || is_shown(&f->domain, r)) && (view_ifind(r->address, f->text) != VIEW_NONE || view_ifind(r->route, f->text) != VIEW_NONE ||
                                                 view_ifind(r->last_reply, f->text) != VIEW_NONE))
            return true;
    }
    return false;
}

static bool fits(const struct waiting *w, const struct filter *f, bool all)
{
    return (f->domain.n == 0 || concerns(w, f->domain)) && (f->state.n == 0 || has_state(w, f->state)) &&
           (f->text.n == 0 || has_text(w, f, all || is_sent_by(w, f->domain)));
}

static enum rc load(struct store *s, uint64_t id, struct arena *a, struct waiting *out)
{
    enum rc rc = mailq_message(s, id, a, &out->m);
    return rc == RC_OK ? mailq_rcpts(s, id, a, &out->rcpts, &out->n) : rc;
}

static bool is_operator(const struct api_call *c)
{
    return c->who.role == ROLE_OPERATOR;
}

static enum rc message_json(const struct api_call *c, const struct waiting *w, bool with_story, json_t **out)
{
    const bool all = is_operator(c) || is_sent_by(w, c->who.domain);
    *out = queue_message_json(&w->m);
    enum rc rc = *out ? queue_add_rcpts(c->store, *out, w->m.id, w->rcpts, w->n, with_story, api_lang(c), all ? NULL : is_shown, &c->who.domain) : RC_TEMP;
    if (rc != RC_OK)
        json_decref(*out);
    return rc;
}

/* Fills `list` from the messages behind *after; *more: there are others behind the new *after. */
static enum rc walk(struct api_call *c, const struct filter *f, size_t limit, uint64_t *after, json_t *list, bool *more)
{
    struct arena a;
    enum rc rc = RC_OK;
    size_t looked = 0;
    *more = true;
    arena_init(&a, QUEUE_ARENA);
    while (rc == RC_OK && json_array_size(list) < limit && looked < QUEUE_LOOKED_MAX && *more) {
        uint64_t *ids;
        size_t n;
        arena_reset(&a);
        rc = mailq_list(c->store, *after, API_LIMIT, &a, &ids, &n);
        *more = rc == RC_OK && n == API_LIMIT;
        for (size_t i = 0; i < n && rc == RC_OK; i++) {
            struct waiting w = {0};
            json_t *j;
            if (json_array_size(list) == limit) {
                *more = true;
                break;
            }
            *after = ids[i];
            looked++;
            rc = load(c->store, ids[i], &a, &w);
            if (rc == RC_OK && fits(&w, f, is_operator(c)) && (rc = message_json(c, &w, false, &j)) == RC_OK)
                json_array_append_new(list, j);
            rc = rc == RC_NOTFOUND ? RC_OK : rc; /* delivered meanwhile */
        }
    }
    arena_clear(&a);
    return rc;
}

static json_t *counts_json(const struct mailq_counts *n)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "messages", (json_int_t)n->messages, "recipients", (json_int_t)n->rcpts, "held",
                     (json_int_t)n->held, "bytes", (json_int_t)n->bytes);
}

static void get_queue(struct api_call *c)
{
    struct filter f = {api_query(c, "domain"), api_query(c, "state"), api_query(c, "q")};
    struct view from = api_query(c, "after");
    struct mailq_counts counts;
    uint64_t after = 0;
    bool more;
    char next[24];

    if (!is_operator(c) && f.domain.n == 0)
        f.domain = c->who.domain;
    if (f.domain.n > 0 && !is_operator(c) && !api_domain(c, f.domain))
        return;
    if (from.n > 0 && !read_id(from, &after)) {
        api_refuse(c, 400, "query.after", "`after` is what `next` was in the answer before.");
        return;
    }
    if (f.state.n > 0 && !view_eq(f.state, VIEW("held")) && !view_eq(f.state, VIEW("ready")) && !view_eq(f.state, VIEW("deferred"))) {
        api_refuse(c, 400, "query.state", "`state` is held, ready or deferred.");
        return;
    }
    json_t *list = json_array();
    enum rc rc = walk(c, &f, api_limit(c), &after, list, &more);
    if (rc == RC_OK)
        rc = mailq_count(c->store, &counts);
    if (rc != RC_OK) {
        json_decref(list);
        api_refuse_rc(c, rc);
        return;
    }
    snprintf(next, sizeof next, "%llx", (unsigned long long)after);
    /* How much waits in all is for operators. */
    api_reply(c, json_pack("{s:o, s:o, s:o}", "queue", list, "counts", is_operator(c) ? counts_json(&counts) : json_null(), "next",
                           more ? json_string(next) : json_null()));
}

/* The message that the path names, where the caller may see it (`change`: may change it); else refused. Whether there is one is
 * told to operators alone. */
static bool find(struct api_call *c, bool change, struct waiting *w)
{
    uint64_t id;
    enum rc rc = read_id(c->args[0], &id) ? load(c->store, id, c->arena, w) : RC_NOTFOUND;
    const struct view domain = c->who.domain;
    if (!is_operator(c) && (rc == RC_NOTFOUND || (rc == RC_OK && !(change ? is_sent_by(w, domain) : concerns(w, domain))))) {
        api_refuse(c, 403, "right.missing", "You may not do this.");
        return false;
    }
    if (rc == RC_NOTFOUND)
        api_refuse(c, 404, "queue.gone", "No such message waits: it was delivered, returned or removed.");
    else if (rc != RC_OK)
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

static json_t *header_json(struct store *s, const struct mailq_message *m)
{
    struct blob blob = {0};
    if (blob_open(s, m->blob, false, &blob) != RC_OK)
        return json_null(); /* the queue says the same of it */
    json_t *j = api_view(view_slice(header_of(view_from(blob.bytes, m->skip)), 0, QUEUE_HEADER_MAX));
    blob_close(&blob);
    return j;
}

static void get_message(struct api_call *c)
{
    struct waiting w = {0};
    json_t *j;
    if (!find(c, false, &w))
        return;
    enum rc rc = message_json(c, &w, true, &j);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_reply(c, json_pack("{s:o, s:o}", "message", j, "headers", header_json(c->store, &w.m)));
}

/* "<anne@ici.test> -> <bert@labas.test> (+1)", as it was before. */
static const char *whose(struct api_call *c, const struct waiting *w)
{
    char more[32] = "";
    if (w->n == 0)
        return "";
    if (w->n > 1)
        snprintf(more, sizeof more, " (+%zu)", w->n - 1);
    const char *text = arena_printf(c->arena, "<%.*s> -> <%.*s>%s", VIEW_FMT(w->m.sender), VIEW_FMT(w->rcpts[0].address), more);
    return text ? text : "";
}

/* After a change: the queue looks, the log and the audit trail know who did it. */
static void finish(struct api_call *c, const char *event, const char *what, struct view about, const struct waiting *w, enum rc rc, uint64_t n)
{
    const uint64_t id = w ? w->m.id : 0;
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    if (c->set->queue_changed)
        c->set->queue_changed(c->set->app);
    log_info(event, F_ID("id", id), F_VIEW("about", about), F_VIEW("by", c->who.address), F_INT("rcpts", n));
    api_audit(c, what, about, view_str(w ? whose(c, w) : ""));
    api_reply(c, json_pack("{s:I}", "recipients", (json_int_t)n));
}

static void post_retry(struct api_call *c)
{
    struct waiting w = {0};
    uint64_t n = 0;
    if (!find(c, true, &w))
        return;
    enum rc rc = mailq_flush(c->store, w.m.id, VIEW(""), &n);
    finish(c, "queue.flushed", "queue.retry", c->args[0], &w, rc, n);
}

static void post_hold(struct api_call *c)
{
    struct waiting w = {0};
    uint64_t n = 0;
    if (!find(c, true, &w))
        return;
    enum rc rc = mailq_hold(c->store, w.m.id, true, &n);
    finish(c, "queue.held", "queue.hold", c->args[0], &w, rc, n);
}

static void post_release(struct api_call *c)
{
    struct waiting w = {0};
    uint64_t n = 0;
    if (!find(c, true, &w))
        return;
    enum rc rc = mailq_hold(c->store, w.m.id, false, &n);
    finish(c, "queue.released", "queue.release", c->args[0], &w, rc, n);
}

static void post_remove(struct api_call *c)
{
    struct waiting w = {0};
    uint64_t n = 0;
    if (!find(c, true, &w))
        return;
    enum rc rc = mailq_remove(c->store, w.m.id, &n);
    finish(c, "queue.removed", "queue.remove", c->args[0], &w, rc, n);
}

static void post_flush(struct api_call *c)
{
    struct view route = api_text(c, "route");
    uint64_t n = 0;
    enum rc rc = mailq_flush(c->store, 0, route, &n);
    finish(c, "queue.flushed", "queue.flush", route, NULL, rc, n);
}

const struct api_route api_queue_routes[] = {
    {"GET", "/queue", API_OWNER, get_queue, false},
    {"POST", "/queue/flush", API_OPERATOR, post_flush, false},
    {"GET", "/queue/{id}", API_OWNER, get_message, false},
    {"POST", "/queue/{id}/retry", API_OWNER, post_retry, false},
    {"POST", "/queue/{id}/hold", API_OWNER, post_hold, false},
    {"POST", "/queue/{id}/release", API_OWNER, post_release, false},
    {"POST", "/queue/{id}/remove", API_OWNER, post_remove, false},
    {0},
};
