#include "app/settings_desk.h"

#include "app/config_words.h"
#include "app/process.h"

static const struct config_word *word_of(const struct config_seen *s)
{
    const struct config_word *w = config_words;
    while (w->name && (strcmp(w->name, s->name) != 0 || strcmp(w->section, s->section) != 0))
        w++;
    return w->name ? w : NULL;
}

static json_t *value_json(const struct config_seen *s)
{
    if (s->line == 0)
        return json_null();
    if (!s->is_list)
        return json_string(s->values.n > 0 ? s->values.v[0] : "");
    json_t *list = json_array();
    for (size_t i = 0; i < s->values.n; i++)
        json_array_append_new(list, json_string(s->values.v[i]));
    return list;
}

/* What this version does not serve has no words, and is not shown. */
static enum rc list_settings(const char *file, struct view text, enum lang lang, json_t **out)
{
    struct config *c = NULL;
    struct buf errors;
    buf_init(&errors, 65536);
    enum rc rc = config_parse(file, text, &c, &errors);
    buf_clear(&errors);
    if (rc != RC_OK)
        return RC_TEMP; /* it is in force: there is no memory */
    *out = json_array();
    for (size_t i = 0; i < c->n_seen; i++) {
        const struct config_seen *s = &c->seen[i];
        const struct config_word *w = word_of(s);
        if (w)
            json_array_append_new(*out, json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:o}", "name", s->name, "section", s->section, "value",
                                                  value_json(s), "default", w->otherwise[lang], "meaning", w->meaning[lang], "type", s->type,
                                                  "list", (int)s->is_list, "line", s->line ? json_integer(s->line) : json_null()));
    }
    config_free(c);
    return *out ? RC_OK : RC_TEMP;
}

static enum rc check_settings(const char *file, struct view text, struct buf *errors)
{
    struct config *c = NULL;
    enum rc rc = text.n > CONFIG_TEXT_MAX ? RC_LIMIT : config_parse(file, text, &c, errors);
    config_free(c);
    return rc;
}

static enum rc put_settings(void *app, struct view text, struct view was, struct buf *why)
{
    return child_write_settings(app, text, was, why);
}

const struct web_config settings_desk = {list_settings, check_settings, put_settings};
