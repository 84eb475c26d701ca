/* Sending over HTTP, and what a sender keeps: suppressed addresses, webhooks. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "crypto/random.h"
#include "message/compose.h"
#include "policy/sent_id.h"
#include "store/suppression.h"
#include "store/webhook.h"
#include "sys/board.h"
#include "web/api.h"
#include "web/send.h"

#define SEND_RCPTS_MAX 1000
#define SEND_BODY_MAX  (64u << 20) /* of a request; the message itself must keep to limits { message-size } */
#define SEND_LOG_TO    10          /* recipients that a log line names */
#define KEY_MAX        255         /* of Idempotency-Key */
#define SECRET_BYTES   24          /* of a webhook's secret that we make */

/* What a request asks for. */
struct order {
    struct compose mail;
    struct view *to; /* of the envelope, each once */
    size_t n_to;
    struct view *suppressed;
    size_t n_suppressed;
};

/* --- reading it --- */

static struct view text_of(const json_t *j)
{
    return json_is_string(j) ? view_of(json_string_value(j), json_string_length(j)) : (struct view){0};
}

static bool add_recipient(struct order *o, struct view address)
{
    for (size_t i = 0; i < o->n_to; i++)
        if (view_ieq(o->to[i], address))
            return true;
    if (o->n_to == SEND_RCPTS_MAX)
        return false;
    o->to[o->n_to++] = address;
    return true;
}

/* A text, or an array of texts: mailboxes of one field. False: refused. */
static bool read_mailboxes(struct api_call *c, const char *field, struct order *o, bool receives, const struct compose_mailbox **out, size_t *n)
{
    const json_t *j = json_object_get(c->body, field);
    const size_t size = json_is_array(j) ? json_array_size(j) : j && !json_is_null(j) ? 1 : 0;
    struct compose_mailbox *list = size <= SEND_RCPTS_MAX ? arena_new_array(c->arena, size, struct compose_mailbox) : NULL;
    *n = 0;
    *out = list;
    if (!list) {
        api_refuse_field(c, field, "At most 1000 recipients a message.");
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        const json_t *one = json_is_array(j) ? json_array_get(j, i) : j;
        if (!json_is_string(one) || compose_mailbox_read(text_of(one), c->arena, &list[i]) != RC_OK) {
            api_refuse_field(c, field, "Each is one address, \"anne@example.org\" or \"Anne <anne@example.org>\", with its domain in ASCII.");
            return false;
        }
        if (receives && !add_recipient(o, list[i].address)) {
            api_refuse_field(c, field, "At most 1000 recipients a message.");
            return false;
        }
        ++*n;
    }
    return true;
}

static bool read_fields(struct api_call *c, struct order *o)
{
    json_t *j = json_object_get(c->body, "headers");
    const char *name;
    json_t *value;
    struct compose_field *list = arena_new_array(c->arena, json_object_size(j), struct compose_field);
    if ((j && !json_is_object(j)) || !list) {
        api_refuse_field(c, "headers", "An object: names, and a text each.");
        return false;
    }
    json_object_foreach(j, name, value) {
        if (!json_is_string(value)) {
            api_refuse_field(c, "headers", "An object: names, and a text each.");
            return false;
        }
        list[o->mail.n_fields++] = (struct compose_field){view_str(name), text_of(value)};
    }
    o->mail.fields = list;
    return true;
}

static bool read_attachments(struct api_call *c, struct order *o)
{
    const json_t *j = json_object_get(c->body, "attachments");
    const size_t n = json_array_size(j);
    struct compose_part *list = n <= COMPOSE_PARTS_MAX ? arena_new_array(c->arena, n, struct compose_part) : NULL;
    bool ok = (!j || json_is_array(j)) && list;
    for (size_t i = 0; i < n && ok; i++) {
        const json_t *one = json_array_get(j, i);
        const struct view content = text_of(json_object_get(one, "content"));
        struct buf bytes;
        buf_init(&bytes, content.n + 16);
        ok = json_is_string(json_object_get(one, "content")) && base64_decode(content, &bytes) == RC_OK &&
             view_dup(c->arena, buf_view(&bytes), &list[i].bytes) == RC_OK;
        buf_clear(&bytes);
        list[i].name = text_of(json_object_get(one, "name"));
        list[i].type = text_of(json_object_get(one, "type"));
    }
    if (!ok)
        api_refuse_field(c, "attachments", "At most 100, each with name, type and content in base64 without line ends.");
    o->mail.parts = list;
    o->mail.n_parts = n;
    return ok;
}

/* From must be the sender's own. */
static bool read_from(struct api_call *c, struct order *o)
{
    if (compose_mailbox_read(api_text(c, "from"), c->arena, &o->mail.from) != RC_OK) {
        api_refuse_field(c, "from", "One address of yours, \"anne@example.org\" or \"Anne <anne@example.org>\".");
        return false;
    }
    enum rc rc = directory_may_send(c->store, c->who.account, o->mail.from.address);
    if (rc == RC_DENIED || rc == RC_SYNTAX)
        api_refuse(c, 403, "send.from", "From must be an address of your account, or an alias that leads to it.");
    else if (rc != RC_OK)
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

static bool read_order(struct api_call *c, struct order *o)
{
    const struct compose_mailbox *bcc;
    size_t n_bcc;
    if (!c->body) {
        api_refuse(c, 400, "request.json", "The body must be a JSON object.");
        return false;
    }
    o->to = arena_new_array(c->arena, SEND_RCPTS_MAX, struct view);
    o->suppressed = arena_new_array(c->arena, SEND_RCPTS_MAX, struct view);
    if (!o->to || !o->suppressed) {
        api_refuse_rc(c, RC_TEMP);
        return false;
    }
    o->mail.subject = api_text(c, "subject");
    o->mail.text = api_text(c, "text");
    o->mail.html = api_text(c, "html");
    if (!read_from(c, o) || !read_mailboxes(c, "to", o, true, &o->mail.to, &o->mail.n_to) ||
        !read_mailboxes(c, "cc", o, true, &o->mail.cc, &o->mail.n_cc) || !read_mailboxes(c, "bcc", o, true, &bcc, &n_bcc) ||
        !read_mailboxes(c, "reply_to", o, false, &o->mail.reply_to, &o->mail.n_reply_to) || !read_fields(c, o) || !read_attachments(c, o))
        return false;
    if (o->n_to == 0)
        api_refuse_field(c, "to", "Somebody must get it: to, cc or bcc.");
    return o->n_to > 0;
}

/* Addresses that bounced or complained get nothing any more. */
static enum rc leave_out_suppressed(struct api_call *c, struct order *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->n_to; i++) {
        bool suppressed;
        enum rc rc = suppression_has(c->store, c->who.account, o->to[i], &suppressed);
        if (rc != RC_OK)
            return rc;
        if (suppressed)
            o->suppressed[o->n_suppressed++] = o->to[i];
        else
            o->to[n++] = o->to[i];
    }
    o->n_to = n;
    return RC_OK;
}

/* --- sending it --- */

static struct view peer_text(const struct api_call *c)
{
    char *ip = arena_alloc(c->arena, ADDR_TEXT_MAX);
    if (ip)
        addr_write_ip(c->peer, ip);
    return view_str(ip);
}

static void log_sent(const struct api_call *c, const struct order *o, const struct send *x, uint64_t id)
{
    struct buf to;
    buf_init(&to, 4096);
    for (size_t i = 0; i < o->n_to && i < SEND_LOG_TO; i++)
        buf_printf(&to, "%s%.*s", i > 0 ? "," : "", VIEW_FMT(o->to[i]));
    if (o->n_to > SEND_LOG_TO)
        buf_str(&to, ",...");
    log_info("web.message.accepted", F_ID("id", id), F_VIEW("peer", x->peer), F_VIEW("login", c->who.address), F_VIEW("sender", x->sender),
             F_INT("rcpts", o->n_to), F_INT("targets", o->n_to), F_INT("size", x->message.n), F_VIEW("to", buf_view(&to)),
             F_INT("suppressed", o->n_suppressed));
    buf_clear(&to);
    board_count(BOARD_RECEIVED, "http");
    board_add(BOARD_RECEIVED_BYTES, "http", x->message.n);
    if (c->set->queue_changed)
        c->set->queue_changed(c->set->app);
}

static json_t *answer_json(const struct order *o, uint64_t id)
{
    char hex[24];
    json_t *left_out = json_array();
    for (size_t i = 0; i < o->n_suppressed; i++)
        json_array_append_new(left_out, api_view(o->suppressed[i]));
    snprintf(hex, sizeof hex, "%llx", (unsigned long long)id);
    return json_pack("{s:o, s:o, s:I, s:o}", "id", id ? json_string(hex) : json_null(), "message_id", id ? api_view(o->mail.message_id) : json_null(),
                     "recipients", (json_int_t)o->n_to, "suppressed", left_out);
}

static void refuse_queue(struct api_call *c, enum rc rc, struct view to)
{
    if (rc == RC_NOTFOUND)
        api_refuse(c, 422, "send.recipient", arena_printf(c->arena, "There is no %.*s here.", VIEW_FMT(to)));
    else if (rc == RC_DENIED)
        api_refuse(c, 422, "send.recipient", arena_printf(c->arena, "No mail can be sent to %.*s.", VIEW_FMT(to)));
    else if (rc == RC_LIMIT)
        api_refuse(c, 422, "send.recipient", arena_printf(c->arena, "%.*s leads to too many addresses.", VIEW_FMT(to)));
    else
        api_refuse_rc(c, rc);
}

/* Composes and queues; *answer: what to say, NULL: refused. */
static void send_order(struct api_call *c, struct order *o, json_t **answer)
{
    struct send x = {.account = c->who.account, .sender = o->mail.from.address, .peer = peer_text(c), .to = o->to, .n_to = o->n_to,
                     .unique = random_u64()};
    struct buf message;
    const char *why = NULL;
    uint64_t id = 0;
    size_t bad = 0;
    buf_init(&message, c->set->message_size ? c->set->message_size : SEND_BODY_MAX);
    o->mail.now_s = clock_real_s();
    random_bytes(o->mail.unique, sizeof o->mail.unique);
    enum rc rc = sent_id_write(c->store, c->who.account, c->set->hostname, c->arena, &o->mail.message_id);
    if (rc != RC_OK) {
        buf_clear(&message);
        api_refuse_rc(c, rc);
        return;
    }
    rc = compose_write(&o->mail, &message, &why);
    x.message = buf_view(&message);
    if (rc == RC_LIMIT) {
        api_refuse(c, 413, "send.size", "The message is larger than this server takes.");
    } else if (rc != RC_OK) {
        api_refuse(c, 400, "send.message", why && rc == RC_SYNTAX ? arena_printf(c->arena, "It cannot be written: %s.", why) : "It cannot be written.");
    } else if (o->n_to > 0 && (rc = send_queue(c->set, &x, c->arena, &id, &bad)) != RC_OK) {
        refuse_queue(c, rc, o->to[bad]);
    } else {
        if (id)
            log_sent(c, o, &x, id);
        *answer = answer_json(o, id);
    }
    buf_clear(&message);
}

/* Digests of the key and of all that is sent with it. False: there is no key. */
static bool read_key(struct api_call *c, uint8_t key[SEND_DIGEST], uint8_t body[SEND_DIGEST])
{
    struct view text = http_field(c->http, "Idempotency-Key");
    return text.n > 0 && sha256(text, key) == RC_OK && sha256(c->http->body, body) == RC_OK;
}

static void post_messages(struct api_call *c)
{
    struct order o = {0};
    uint8_t key[SEND_DIGEST], body[SEND_DIGEST];
    struct view before;
    json_t *answer = NULL;
    if (http_field(c->http, "Idempotency-Key").n > KEY_MAX) {
        api_refuse(c, 400, "send.key", "Idempotency-Key has 255 bytes at most.");
        return;
    }
    if (!read_order(c, &o))
        return;
    const bool has_key = read_key(c, key, body);
    enum rc rc = has_key ? send_key_begin(c->store, c->who.account, key, body, clock_real_s(), c->arena, &before) : RC_OK;
    if (rc == RC_DENIED) {
        api_refuse(c, 409, "send.key", "This Idempotency-Key was used for another message.");
        return;
    }
    if (rc == RC_EXISTS && before.n == 0) {
        api_refuse(c, 409, "send.pending", "A request with this Idempotency-Key is under way.");
        return;
    }
    if (rc == RC_EXISTS) {
        c->response->status = 202;
        api_reply(c, json_loadb(before.p, before.n, 0, NULL));
        return;
    }
    if (rc == RC_OK)
        rc = leave_out_suppressed(c, &o);
    if (rc != RC_OK)
        api_refuse_rc(c, rc);
    else
        send_order(c, &o, &answer);
    if (has_key && answer) {
        char *text = json_dumps(answer, JSON_COMPACT);
        if (text)
            send_key_end(c->store, c->who.account, key, view_str(text));
        free(text);
    } else if (has_key) {
        send_key_drop(c->store, c->who.account, key);
    }
    if (!answer)
        return;
    c->response->status = o.n_to > 0 ? 202 : 200; /* 200: nobody was left to send it to */
    api_reply(c, answer);
}

/* --- suppressed addresses --- */

static void get_suppressions(struct api_call *c)
{
    static const char *const kinds[] = {"bounce", "complaint"};
    struct suppression *list;
    size_t n, limit = api_limit(c);
    enum rc rc = suppression_list(c->store, c->who.account, api_query(c, "after"), limit, c->arena, &list, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *j = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(j, json_pack("{s:o, s:s, s:o, s:o}", "address", api_view(list[i].address), "kind", kinds[list[i].kind], "reason",
                                           api_view(list[i].reason), "since", api_time(list[i].since_s)));
    api_reply(c, json_pack("{s:o, s:o}", "suppressions", j, "next", n == limit ? api_view(list[n - 1].address) : json_null()));
}

static void delete_suppression(struct api_call *c)
{
    enum rc rc = suppression_remove(c->store, c->who.account, c->args[0]);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "suppression.remove", c->who.address, c->args[0]);
    api_done(c);
}

/* --- webhooks --- */

static const struct {
    const char *name;
    enum webhook_event event;
} events[] = {{"delivered", WEBHOOK_DELIVERED}, {"deferred", WEBHOOK_DEFERRED}, {"bounced", WEBHOOK_BOUNCED}, {"complained", WEBHOOK_COMPLAINED}};
#define N_EVENTS (sizeof events / sizeof *events)

static json_t *events_json(unsigned bits)
{
    json_t *j = json_array();
    for (size_t i = 0; i < N_EVENTS; i++)
        if (bits & events[i].event)
            json_array_append_new(j, json_string(events[i].name));
    return j;
}

/* 0: not a list of them. */
static unsigned read_events(const json_t *j)
{
    unsigned bits = 0;
    for (size_t k = 0; k < json_array_size(j); k++) {
        unsigned bit = 0;
        for (size_t i = 0; i < N_EVENTS; i++)
            if (view_eq(text_of(json_array_get(j, k)), view_str(events[i].name)))
                bit = events[i].event;
        if (!bit)
            return 0;
        bits |= bit;
    }
    return bits;
}

static void get_webhooks(struct api_call *c)
{
    struct webhook *list;
    size_t n;
    enum rc rc = webhook_list(c->store, c->who.account, c->arena, &list, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *j = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(j, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_sprintf("%llu", (unsigned long long)list[i].id), "url",
                                           api_view(list[i].url), "events", events_json(list[i].events), "created", api_time(list[i].created_s),
                                           "last", list[i].last.n > 0 ? api_view(list[i].last) : json_null(), "last_at", api_time(list[i].last_s)));
    api_reply(c, json_pack("{s:o}", "webhooks", j));
}

static bool is_https_url(struct view url)
{
    struct view host = url;
    if (url.n > WEBHOOK_URL_MAX || view_has_ctl(url) || !view_is_ascii(url) || view_chr(url, ' ') != VIEW_NONE || !view_take(&host, VIEW("https://")))
        return false;
    return host.n > 0 && view_chr(host, '@') == VIEW_NONE && view_chr(host, '#') == VIEW_NONE && is_alnum((unsigned char)host.p[0]);
}

static void post_webhooks(struct api_call *c)
{
    uint8_t random[SECRET_BYTES];
    char made[2 * SECRET_BYTES + 1];
    struct webhook w = {.url = api_text(c, "url"), .secret = api_text(c, "secret"), .events = read_events(json_object_get(c->body, "events")),
                        .created_s = clock_real_s()};
    uint64_t id;
    if (!is_https_url(w.url)) {
        api_refuse_field(c, "url", "An address that begins with https://, without a password in it.");
        return;
    }
    if (!w.events) {
        api_refuse_field(c, "events", "A list of delivered, deferred, bounced and complained.");
        return;
    }
    if (w.secret.n > WEBHOOK_SECRET_MAX || (w.secret.n > 0 && w.secret.n < 16)) {
        api_refuse_field(c, "secret", "16 to 128 bytes; without one we make it.");
        return;
    }
    random_bytes(random, sizeof random);
    hex_write(view_of(random, sizeof random), made);
    if (w.secret.n == 0)
        w.secret = view_str(made);
    enum rc rc = webhook_add(c->store, c->who.account, &w, &id);
    if (rc == RC_LIMIT) {
        api_refuse(c, 409, "webhook.many", "An account has 10 webhooks at most: remove one.");
        return;
    }
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "webhook.add", w.url, VIEW(""));
    c->response->status = 201;
    api_reply(c, json_pack("{s:o, s:o}", "id", json_sprintf("%llu", (unsigned long long)id), "secret", api_view(w.secret)));
}

static void delete_webhook(struct api_call *c)
{
    uint64_t id;
    enum rc rc = view_is_u64(c->args[0], INT64_MAX, &id) ? webhook_remove(c->store, c->who.account, id) : RC_NOTFOUND;
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, "webhook.remove", c->args[0], VIEW(""));
    api_done(c);
}

const struct api_route api_send_routes[] = {
    {"POST", "/messages", API_USER, post_messages, .body_max = SEND_BODY_MAX, .basic = true},
    {"GET", "/me/suppressions", API_USER, get_suppressions},
    {"DELETE", "/me/suppressions/{address}", API_USER, delete_suppression},
    {"GET", "/me/webhooks", API_USER, get_webhooks},
    {"POST", "/me/webhooks", API_USER, post_webhooks},
    {"DELETE", "/me/webhooks/{id}", API_USER, delete_webhook},
    {0},
};
