/* The one configuration file: shown with its settings' meaning, checked, and written by the process that may. */
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "web/api_health.h"
#include "web/api_impl.h"

static void hex_digest(struct view text, char out[2 * SHA256_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE] = {0};
    sha256(text, digest);
    hex_write(view_of(digest, sizeof digest), out);
}

static void get_settings(struct api_call *c)
{
    const struct web_settings *set = c->set;
    char was[2 * SHA256_SIZE + 1];
    json_t *list = NULL;
    enum rc rc = set->config ? set->config->list(set->config_file, set->config_text, api_lang(c), &list) : RC_TEMP;
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    hex_digest(set->config_text, was);
    api_reply(c, json_pack("{s:s, s:o, s:s, s:o}", "file", set->config_file, "text", api_view(set->config_text), "was", was, "settings", list));
}

/* "FILE:LINE: what" becomes {"line", "text"}. */
static json_t *errors_json(struct view lines)
{
    json_t *list = json_array();
    struct view line;
    while (lines.n > 0) {
        uint64_t number = 0;
        view_split(&lines, '\n', &line);
        if (line.n == 0)
            continue;
        for (struct view rest = line; view_split(&rest, ':', &(struct view){0}) && rest.n > 0;) {
            struct view at = rest;
            if (view_u64(&at, 10000000, &number) == RC_OK && view_take(&at, VIEW(": "))) {
                line = at;
                break;
            }
            number = 0;
        }
        json_array_append_new(list, json_pack("{s:I, s:o}", "line", (json_int_t)number, "text", api_view(line)));
    }
    return list;
}

static bool check(struct api_call *c, struct buf *errors, enum rc *rc)
{
    struct view text = api_text(c, "text");
    if (!api_has(c, "text") || !c->set->config) {
        api_refuse_field(c, "text", "This is the text of the configuration file.");
        return false;
    }
    *rc = c->set->config->check(c->set->config_file, text, errors);
    return true;
}

static void post_check(struct api_call *c)
{
    struct buf errors;
    enum rc rc;
    buf_init(&errors, 65536);
    if (check(c, &errors, &rc))
        api_reply(c, json_pack("{s:o}", "errors", errors_json(buf_view(&errors))));
    buf_clear(&errors);
}

static void put_settings(struct api_call *c)
{
    struct buf errors;
    enum rc rc;
    buf_init(&errors, 65536);
    if (!check(c, &errors, &rc))
        goto done;
    if (rc != RC_OK) {
        c->response->status = 422;
        api_reply(c, json_pack("{s:{s:s, s:s}, s:o}", "error", "code", "settings.wrong", "text", "The text has mistakes: nothing was changed.",
                               "errors", errors_json(buf_view(&errors))));
        goto done;
    }
    buf_reset(&errors);
    rc = c->set->config->put(c->set->app, api_text(c, "text"), api_text(c, "was"), &errors);
    switch (rc) {
    case RC_OK:
        api_audit(c, "settings.change", view_str("facteur.conf"), VIEW(""));
        api_done(c);
        break;
    case RC_EXISTS:
        api_refuse(c, 409, "settings.changed", "The file was changed meanwhile, or not yet reloaded: look at it again first.");
        break;
    case RC_DENIED: api_refuse(c, 403, "settings.fixed", arena_cstr(c->arena, buf_view(&errors))); break;
    default: api_refuse_rc(c, rc); break;
    }
done:
    buf_clear(&errors);
}

const struct api_route api_settings_routes[] = {
    {"GET", "/settings", API_OPERATOR, get_settings},
    {"POST", "/settings/check", API_OPERATOR, post_check, .body_max = 4u << 20},
    {"PUT", "/settings", API_OPERATOR, put_settings, .body_max = 4u << 20},
    {NULL},
};
