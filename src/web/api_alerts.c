/* Alerts: what there is, silence, and to whom they are told. They are found and sent by the other process (app/alerts.c). */
#include <stdlib.h>

#include "base/clock.h"
#include "store/alert.h"
#include "web/alert_settings.h"
#include "web/api_health.h"

#define DAY_S    86400
#define DAYS_MAX 3650

static json_t *alert_json(const struct alert *v, enum lang lang)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)v->id, "kind", api_view(v->kind), "domain",
                     v->domain.n > 0 ? api_view(v->domain) : json_null(), "subject", api_view(v->subject), "text", api_view(v->text[lang]), "repair",
                     api_view(v->repair[lang]), "first", api_time(v->first_s), "last", api_time(v->last_s), "told", api_time(v->told_s),
                     "silenced_until", api_time(v->silenced_s), "closed", api_time(v->closed_s));
}

/* Owners see those of their domain, and none about the server. */
static void get_alerts(struct api_call *c)
{
    const bool all = c->who.role == ROLE_OPERATOR;
    struct view domain = api_query(c, "domain");
    struct alert *list;
    size_t n;
    if ((domain.n > 0 || !all) && !api_domain(c, domain = domain.n > 0 ? domain : c->who.domain))
        return;
    enum rc rc = alert_list(c->store, domain, !view_eq(api_query(c, "state"), VIEW("all")), api_limit(c), c->arena, &list, &n);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, alert_json(&list[i], api_lang(c)));
    api_reply(c, json_pack("{s:o}", "alerts", out));
}

/* The path's one, if the caller may see it: one that is not theirs is answered as one that is not there. */
static bool find_alert(struct api_call *c, struct alert *out)
{
    uint64_t id;
    enum rc rc = view_is_u64(c->args[0], INT64_MAX, &id) ? alert_get(c->store, id, c->arena, out) : RC_NOTFOUND;
    if (rc == RC_OK && c->who.role != ROLE_OPERATOR && !view_eq(out->domain, c->who.domain))
        rc = RC_NOTFOUND;
    if (rc == RC_NOTFOUND)
        api_refuse(c, c->who.role == ROLE_OPERATOR ? 404 : 403, "alert.none", "There is no such alert.");
    else if (rc != RC_OK)
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

static void changed(struct api_call *c)
{
    if (c->set->alerts_changed)
        c->set->alerts_changed(c->set->app);
}

static void quiet(struct api_call *c, int64_t until_s)
{
    struct alert alert;
    if (!find_alert(c, &alert))
        return;
    enum rc rc = alert_silence(c->store, alert.id, until_s);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    api_audit(c, until_s > 0 ? "alert.silence" : "alert.open", alert.domain.n > 0 ? alert.domain : alert.subject, alert.kind);
    changed(c);
    api_done(c);
}

static void post_silence(struct api_call *c)
{
    const int64_t days = api_number(c, "days", 7);
    if (days < 1 || days > DAYS_MAX)
        api_refuse_field(c, "days", "a number of days, such as 7");
    else
        quiet(c, clock_real_s() + days * DAY_S);
}

static void post_open(struct api_call *c)
{
    quiet(c, 0);
}

/* Those that are set, else the defaults. */
static enum rc read_settings(struct api_call *c, struct alert_settings *out)
{
    struct view text;
    const char *field;
    alert_settings_default(out);
    enum rc rc = alert_settings_get(c->store, c->arena, &text);
    if (rc != RC_OK)
        return rc == RC_NOTFOUND ? RC_OK : rc;
    json_t *j = json_loadb(text.p, text.n, 0, NULL);
    rc = j ? alert_settings_read(j, c->arena, out, &field) : RC_CORRUPT;
    json_decref(j);
    return rc;
}

/* Until somebody says otherwise: operators. */
static enum rc add_operators(struct api_call *c, struct alert_settings *set)
{
    struct directory_account *accounts;
    size_t n;
    if (set->mail_set)
        return RC_OK;
    enum rc rc = directory_accounts(c->store, VIEW(""), c->arena, &accounts, &n);
    for (size_t i = 0; rc == RC_OK && i < n && set->n_mail < ALERT_MAILS_MAX; i++)
        if (accounts[i].role == ROLE_OPERATOR && !accounts[i].disabled)
            set->mail[set->n_mail++] = accounts[i].address;
    return rc;
}

static void get_settings(struct api_call *c)
{
    struct alert_settings set;
    enum rc rc = read_settings(c, &set);
    if (rc == RC_OK)
        rc = add_operators(c, &set);
    if (rc == RC_OK)
        api_reply(c, alert_settings_json(&set));
    else
        api_refuse_rc(c, rc);
}

static void put_settings(struct api_call *c)
{
    struct alert_settings set;
    const char *field;
    enum rc rc = read_settings(c, &set);
    if (rc == RC_OK)
        rc = alert_settings_read(c->body, c->arena, &set, &field);
    if (rc == RC_SYNTAX) {
        api_refuse_field(c, field, strcmp(field, "mail") == 0      ? "a list of addresses"
                                   : strcmp(field, "webhook") == 0 ? "an address that begins with https://, or nothing"
                                                                   : "on or off, and a number");
        return;
    }
    json_t *j = rc == RC_OK ? alert_settings_json(&set) : NULL;
    if (j && !set.mail_set)
        json_object_del(j, "mail");
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (rc == RC_OK)
        rc = text ? alert_settings_put(c->store, view_str(text)) : RC_TEMP;
    if (rc == RC_OK) {
        api_audit(c, "alert.settings", VIEW("alerts"), view_str(text));
        changed(c);
        get_settings(c);
    } else {
        api_refuse_rc(c, rc);
    }
    free(text);
}

const struct api_route api_alert_routes[] = {
    {"GET", "/alerts", API_OWNER, get_alerts},
    {"GET", "/alerts/settings", API_OPERATOR, get_settings},
    {"PUT", "/alerts/settings", API_OPERATOR, put_settings},
    {"POST", "/alerts/{id}/silence", API_OWNER, post_silence},
    {"POST", "/alerts/{id}/open", API_OWNER, post_open},
    {0},
};
