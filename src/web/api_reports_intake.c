/* Reports that come by HTTP: files that people give us, TLS reports by POST; and the table of known senders. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "desk/desk.h"
#include "web/api_reports.h"

/* The other process looks up names of addresses, and has the table of known senders as well. */
static void tell_other(const struct web_settings *set)
{
    if (set->desk_changed)
        set->desk_changed(set->app);
}

/* --- files --- */

static void note_refused(void *ctx, struct view name, struct view reason)
{
    json_t *list = ctx;
    if (json_array_size(list) < 1000)
        json_array_append_new(list, json_pack("{s:o, s:o}", "file", api_view(name), "reason", api_view(reason)));
}

/* An owner's file counts for his domain alone. */
void reports_upload(struct api_call *c)
{
    struct desk_outcome done;
    char detail[64];
    json_t *refused = json_array();
    struct desk_asked asked = {.file = c->http->body, .via = LEDGER_BY_FILE, .received_s = clock_real_s(), .refused = note_refused, .ctx = refused};
    if (c->who.role != ROLE_OPERATOR)
        asked.domain = c->who.domain;
    enum rc rc = refused ? desk_read(c->set->desk, &asked, &done) : RC_TEMP;
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        json_decref(refused);
        api_refuse_rc(c, rc);
        return;
    }
    snprintf(detail, sizeof detail, "read %u, known %u, refused %u", done.read, done.again, done.refused);
    if (done.read > 0)
        tell_other(c->set);
    api_audit(c, "report.upload", asked.domain, view_str(detail));
    api_reply(c, json_pack("{s:i, s:i, s:o}", "read", (int)done.read, "again", (int)done.again, "refused", refused));
}

/* --- TLS reports by POST --- */

/* Posts of a minute, by network; one network may take another's place in the count, which errs on the side of taking them. */
#define COUNTERS 1024
static struct {
    pthread_mutex_t lock; /* guards all below */
    int64_t minute;
    unsigned all;
    struct {
        uint64_t network;
        unsigned n;
    } of[COUNTERS];
} posts = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* /24, /48. */
static uint64_t network_of(const struct addr *peer)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer->ss;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer->ss;
    uint64_t network = 0;
    if (addr_is_ipv6(peer))
        memcpy(&network, &v6->sin6_addr, 6);
    else
        memcpy(&network, &v4->sin_addr, 3);
    return network + 1;
}

static bool may_post(const struct addr *peer)
{
    const int64_t minute = clock_mono_ms() / 60000;
    const uint64_t network = network_of(peer);
    const size_t at = (network * 0x9e3779b97f4a7c15u) >> 54;
    pthread_mutex_lock(&posts.lock);
    if (posts.minute != minute) {
        memset(posts.of, 0, sizeof posts.of);
        posts.all = 0;
        posts.minute = minute;
    }
    if (posts.of[at].network != network) {
        posts.of[at].network = network;
        posts.of[at].n = 0;
    }
    bool may = posts.of[at].n < REPORTS_POSTS && posts.all < REPORTS_ALL_POSTS;
    posts.of[at].n++;
    posts.all++;
    pthread_mutex_unlock(&posts.lock);
    return may;
}

static void answer(struct http_response *response, int status, const char *text)
{
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    buf_str(&response->body, text);
    buf_str(&response->body, "\n");
}

/* Known ones and those of others' domains are told apart from good ones to nobody: a sender who gets 2xx does not come again. */
void reports_post(const struct web_settings *set, const struct http_request *request, const struct addr *peer, struct http_response *response)
{
    struct desk_outcome done = {0};
    char ip[ADDR_TEXT_MAX];
    const struct desk_asked asked = {.file = request->body, .via = LEDGER_BY_POST, .received_s = clock_real_s()};
    addr_write_ip(peer, ip);
    if (!view_eq(request->method, VIEW("POST"))) {
        http_respond(response, "Allow", VIEW("POST"));
        answer(response, 405, "TLS reports are posted here (RFC 8460).");
        return;
    }
    if (!may_post(peer)) {
        log_info("desk.post.refused", F_CSTR("peer", ip), F_CSTR("reason", "too many"));
        http_respond(response, "Retry-After", VIEW("60"));
        answer(response, 429, "Too many reports. Please try again later.");
        return;
    }
    enum rc rc = set->desk ? desk_read(set->desk, &asked, &done) : RC_NOTFOUND;
    log_info("desk.post", F_CSTR("peer", ip), F_INT("bytes", request->body.n), F_CSTR("result", rc_name(rc)));
    if (done.read > 0)
        tell_other(set);
    if (rc == RC_OK || (rc == RC_NOTFOUND && done.refused == 0)) {
        answer(response, 201, "Thank you.");
    } else if (rc == RC_NOTFOUND) {
        answer(response, 400, "There is no TLS report of ours in it.");
    } else {
        http_respond(response, "Retry-After", VIEW("300"));
        answer(response, 503, "Please try again later.");
    }
}

/* --- known senders --- */

static json_t *domains_json(struct view words)
{
    json_t *list = json_array();
    struct view one;
    while (words.n > 0) {
        view_split(&words, ' ', &one);
        json_array_append_new(list, api_view(one));
    }
    return list;
}

void reports_senders(struct api_call *c)
{
    json_t *list = json_array();
    size_t n;
    const struct sender *all = senders_all(desk_senders(c->set->desk), &n);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "name", api_view(all[i].name), "key", api_view(all[i].key), "kind",
                                              api_view(all[i].kind), "hosts", domains_json(all[i].hosts), "dkim", domains_json(all[i].dkim), "spf",
                                              domains_json(all[i].spf), "changed", all[i].changed));
    desk_senders_done(c->set->desk);
    api_reply(c, json_pack("{s:o}", "senders", list));
}

/* The list of the body as the table has it. False: refused. */
static bool read_domains(struct api_call *c, const char *name, struct view *out)
{
    struct buf b;
    json_t *list = json_object_get(c->body, name), *one;
    size_t i;
    bool good = !list || json_is_array(list);
    buf_init(&b, 64 * 254);
    json_array_foreach(list, i, one) {
        good = good && json_is_string(one);
        buf_printf(&b, "%s%s", i > 0 ? " " : "", good ? json_string_value(one) : "");
    }
    good = good && buf_rc(&b) == RC_OK && senders_is_list(buf_view(&b)) && view_dup(c->arena, buf_view(&b), out) == RC_OK;
    buf_clear(&b);
    if (!good)
        api_refuse_field(c, name, "a list of at most 64 domains in lower case");
    return good;
}

static void set_sender(struct api_call *c, const struct ledger_sender *s)
{
    enum rc rc = ledger_sender_set(c->store, s);
    if (rc == RC_OK)
        rc = desk_senders_changed(c->set->desk);
    if (rc == RC_OK)
        tell_other(c->set);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, s->kind.n > 0 ? "sender.set" : "sender.drop", s->name, s->kind);
    api_done(c);
}

void reports_sender_set(struct api_call *c)
{
    struct ledger_sender s = {.name = view_trim(c->args[0]), .kind = api_text(c, "kind")};
    if (s.name.n == 0 || s.name.n > 100 || view_has_ctl(s.name)) {
        api_refuse_field(c, "name", "at most 100 bytes, and no control characters");
        return;
    }
    if (!senders_is_kind(s.kind)) {
        api_refuse_field(c, "kind", "service, forwarder or list");
        return;
    }
    if (read_domains(c, "hosts", &s.hosts) && read_domains(c, "dkim", &s.dkim) && read_domains(c, "spf", &s.spf))
        set_sender(c, &s);
}

void reports_sender_drop(struct api_call *c)
{
    const struct ledger_sender s = {.name = view_trim(c->args[0])};
    set_sender(c, &s);
}
