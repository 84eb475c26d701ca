#include "web/alert_settings.h"

#include "base/utf8.h"

static const struct {
    const char *name;
    bool on;
    double threshold;
} kinds[ALERT_KINDS] = {
    [ALERT_DMARC_SOURCE] = {"dmarc.source", true, 10},
    [ALERT_DMARC_FAILURES] = {"dmarc.failures", true, 10},
    [ALERT_TLS_FAILURES] = {"tls.failures", true, 5},
    [ALERT_DNS_GONE] = {"dns.gone", true, -1},
    [ALERT_DNS_CHANGED] = {"dns.changed", true, -1},
    [ALERT_CERTIFICATE_EXPIRING] = {"certificate.expiring", true, 14},
    [ALERT_CERTIFICATE_BAD] = {"certificate.bad", true, -1},
    [ALERT_BLOCKLIST] = {"blocklist.listed", true, -1},
    [ALERT_QUEUE] = {"queue.growing", true, 500},
    [ALERT_DOCTOR] = {"doctor.bad", true, -1},
    [ALERT_DNS_UPDATE] = {"dns.update", true, -1},
};

const char *alert_kind_name(enum alert_kind kind)
{
    return kinds[kind].name;
}

void alert_settings_default(struct alert_settings *out)
{
    *out = (struct alert_settings){0};
    for (int k = 0; k < ALERT_KINDS; k++) {
        out->on[k] = kinds[k].on;
        out->threshold[k] = kinds[k].threshold;
    }
}

static struct view text_of(const json_t *j)
{
    return view_trim(view_of(json_string_value(j), json_string_length(j)));
}

static bool is_address(struct view v)
{
    const size_t at = view_rchr(v, '@');
    return v.n <= 320 && at != VIEW_NONE && at > 0 && at + 1 < v.n && !view_has_ctl(v) && view_chr(v, ' ') == VIEW_NONE &&
           view_chr(v, '<') == VIEW_NONE && view_chr(v, ',') == VIEW_NONE && utf8_is_valid(v);
}

static enum rc read_mail(const json_t *j, struct arena *a, struct alert_settings *out)
{
    if (!json_is_array(j) || json_array_size(j) > ALERT_MAILS_MAX)
        return RC_SYNTAX;
    out->n_mail = 0;
    out->mail_set = true;
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *one = json_array_get(j, i);
        if (!json_is_string(one) || !is_address(text_of(one)))
            return RC_SYNTAX;
        enum rc rc = view_dup(a, text_of(one), &out->mail[out->n_mail++]);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc read_webhook(const json_t *j, struct arena *a, struct alert_settings *out)
{
    if (json_is_null(j) || (json_is_string(j) && text_of(j).n == 0)) {
        out->webhook = VIEW("");
        return RC_OK;
    }
    const struct view url = json_is_string(j) ? text_of(j) : VIEW("");
    if (!view_istarts(url, VIEW("https://")) || url.n < 9 || url.n > ALERT_URL_MAX || view_has_ctl(url) || !view_is_ascii(url) ||
        view_chr(url, ' ') != VIEW_NONE)
        return RC_SYNTAX;
    return view_dup(a, url, &out->webhook);
}

static enum rc read_kind(const json_t *j, enum alert_kind k, struct alert_settings *out)
{
    const json_t *on = json_object_get(j, "on"), *threshold = json_object_get(j, "threshold");
    if (!json_is_object(j) || (on && !json_is_boolean(on)))
        return RC_SYNTAX;
    if (on)
        out->on[k] = json_is_true(on);
    if (!threshold || json_is_null(threshold) || kinds[k].threshold < 0)
        return RC_OK;
    const double n = json_number_value(threshold);
    if (!json_is_number(threshold) || !(n >= 0 && n <= 1e9))
        return RC_SYNTAX;
    out->threshold[k] = n;
    return RC_OK;
}

enum rc alert_settings_read(const json_t *j, struct arena *a, struct alert_settings *out, const char **field)
{
    const json_t *mail = json_object_get(j, "mail"), *webhook = json_object_get(j, "webhook"), *all = json_object_get(j, "kinds");
    *field = "mail";
    enum rc rc = mail ? read_mail(mail, a, out) : RC_OK;
    if (rc == RC_OK && webhook) {
        *field = "webhook";
        rc = read_webhook(webhook, a, out);
    }
    for (int k = 0; k < ALERT_KINDS && rc == RC_OK; k++) {
        const json_t *kind = json_object_get(all, kinds[k].name);
        *field = kinds[k].name;
        if (kind)
            rc = read_kind(kind, (enum alert_kind)k, out);
    }
    return rc;
}

json_t *alert_settings_json(const struct alert_settings *set)
{
    json_t *mail = json_array(), *all = json_object();
    for (size_t i = 0; i < set->n_mail; i++)
        json_array_append_new(mail, json_stringn(set->mail[i].p, set->mail[i].n));
    for (int k = 0; k < ALERT_KINDS; k++)
        json_object_set_new(all, kinds[k].name, json_pack("{s:b, s:o}", "on", (int)set->on[k], "threshold",
                                                          set->threshold[k] < 0 ? json_null() : json_real(set->threshold[k])));
    return json_pack("{s:o, s:o, s:o}", "mail", mail, "webhook", set->webhook.n > 0 ? json_stringn(set->webhook.p, set->webhook.n) : json_null(),
                     "kinds", all);
}
