#include "app/reading.h"

#include <netinet/in.h>

#include "base/log.h"

static bool is_any(const struct addr *a)
{
    if (addr_is_ipv6(a))
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
    return ((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Where we listen for mail, and where we send it from. The list is from the arena. */
static enum rc settings_of(const struct config *c, struct store *s, struct arena *a, struct desk_settings *out)
{
    struct addr *own = arena_new_array(a, c->listen.n + c->outbound.bind.n + 1, struct addr);
    *out = (struct desk_settings){.store = s, .hostname = c->hostname, .own = own};
    for (size_t i = 0; own && i < c->listen.n; i++)
        if (c->listen.v[i].service == SERVICE_SMTP && !is_any(&c->listen.v[i].addr))
            own[out->n_own++] = c->listen.v[i].addr;
    for (size_t i = 0; own && i < c->outbound.bind.n; i++)
        own[out->n_own++] = c->outbound.bind.v[i];
    return own ? RC_OK : RC_TEMP;
}

static enum rc with_settings(struct desk *d, const struct config *c, struct store *s, struct desk **out)
{
    struct desk_settings set;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = settings_of(c, s, &a, &set);
    if (rc == RC_OK)
        rc = d ? desk_reload(d, &set) : desk_new(&set, out);
    arena_clear(&a);
    return rc;
}

enum rc reading_desk(const struct config *c, struct store *s, struct desk **out)
{
    return with_settings(NULL, c, s, out);
}

enum rc reading_reload(struct desk *d, const struct config *c, struct store *s)
{
    return with_settings(d, c, s, NULL);
}

void reading_open_files(struct reading *r, const struct config *c)
{
    enum rc rc = c->reports.country_file ? country_open(c->reports.country_file, &r->countries) : RC_OK;
    if (rc != RC_OK)
        log_error("desk.countries.failed", F_CSTR("file", c->reports.country_file),
                  F_CSTR("reason", rc == RC_NOTFOUND ? "cannot be opened" : rc == RC_CORRUPT ? "is no MaxMind file" : rc_name(rc)));
}

bool reading_begin(struct reading *r, const struct config *c, struct store *s, struct dns *dns)
{
    r->store = s;
    return reading_desk(c, s, &r->desk) == RC_OK && naming_new(r->desk, s, dns, r->countries, &r->naming) == RC_OK;
}

void reading_tick(struct reading *r, int64_t now_s, bool daily)
{
    desk_senders_changed(r->desk);
    if (daily)
        ledger_forget(r->store, now_s);
}

void reading_wake(struct reading *r)
{
    desk_senders_changed(r->desk);
    naming_wake(r->naming);
}

void reading_end(struct reading *r)
{
    naming_free(r->naming);
    desk_free(r->desk);
    country_close(r->countries);
    *r = (struct reading){0};
}

enum rc reading_take(void *ctx, const struct local_desk_mail *mail)
{
    struct reading *r = ctx;
    struct desk_outcome outcome;
    size_t at = view_rchr(mail->address, '@');
    const struct desk_asked asked = {.file = mail->message, .via = LEDGER_BY_MAIL, .trusted = mail->trusted,
                                     .domain = at == VIEW_NONE ? VIEW("") : view_from(mail->address, at + 1),
                                     .received_s = mail->created_ms / 1000};
    enum rc rc = desk_read(r->desk, &asked, &outcome);
    if (outcome.read > 0)
        naming_wake(r->naming);
    return rc;
}
