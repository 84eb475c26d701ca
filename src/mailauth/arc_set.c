#include "mailauth/arc_set.h"

#define RESULTS_FIELD "ARC-Authentication-Results"
#define MESSAGE_FIELD "ARC-Message-Signature"
#define SEAL_FIELD    "ARC-Seal"

static bool read_number(struct view text, unsigned *out)
{
    uint64_t n;
    if (text.n > 2 || !view_is_u64(text, ARC_SETS_MAX, &n) || n == 0)
        return false;
    *out = (unsigned)n;
    return true;
}

/* "i=1; ..." (RFC 8617 §4.2.1): the instance stands first here, since what follows is no list of tags. */
static bool read_results(struct view value, unsigned *instance, struct view *payload)
{
    struct view in = value, number;
    view_take_while(&in, dkim_is_space);
    if (!view_take_chr(&in, 'i'))
        return false;
    view_take_while(&in, dkim_is_space);
    if (!view_take_chr(&in, '=') || !view_split(&in, ';', &number) || !read_number(view_trim(number), instance))
        return false;
    *payload = view_trim(in);
    return true;
}

static bool read_tags(struct view value, struct dkim_tags *tags, unsigned *instance)
{
    if (value.n > DKIM_SIGNATURE_MAX || dkim_tags_parse(value, tags) != RC_OK)
        return false;
    const struct dkim_tag *i = dkim_tags_find(tags, "i");
    return i && read_number(i->value, instance);
}

static void read_cv(const struct dkim_tags *tags, struct arc_fields *set)
{
    const struct dkim_tag *cv = dkim_tags_find(tags, "cv");
    for (int i = ARC_NONE; cv && i <= ARC_FAIL; i++)
        if (view_eq(cv->value, view_str(arc_result_name((enum arc_result)i)))) {
            set->has_cv = true;
            set->cv = (enum arc_result)i;
        }
}

enum rc arc_chain_read(const struct dkim_fields *f, struct arena *a, struct arc_chain *out)
{
    struct dkim_tags tags;

    *out = (struct arc_chain){.sets = arena_new_array(a, ARC_SETS_MAX, struct arc_fields)};
    if (!out->sets)
        return RC_TEMP;
    for (size_t i = 0; i < ARC_SETS_MAX; i++)
        out->sets[i] = (struct arc_fields){.results = DKIM_NO_FIELD, .message = DKIM_NO_FIELD, .seal = DKIM_NO_FIELD};
    for (size_t i = 0; i < f->n; i++) {
        const struct header_field *field = &f->field[i];
        const bool is_results = view_ieq(field->name, VIEW(RESULTS_FIELD)), is_seal = view_ieq(field->name, VIEW(SEAL_FIELD));
        struct view payload = {0};
        unsigned instance;
        if (!is_results && !is_seal && !view_ieq(field->name, VIEW(MESSAGE_FIELD)))
            continue;
        if (is_results ? !read_results(field->value, &instance, &payload) : !read_tags(field->value, &tags, &instance)) {
            out->is_broken = true;
            continue;
        }
        struct arc_fields *set = &out->sets[instance - 1];
        size_t *place = is_results ? &set->results : is_seal ? &set->seal : &set->message;
        out->is_broken |= *place != DKIM_NO_FIELD;
        *place = i;
        out->n = instance > out->n ? instance : out->n;
        if (is_results)
            set->payload = payload;
        if (is_seal)
            read_cv(&tags, set);
    }
    const struct arc_fields *last = out->n > 0 ? &out->sets[out->n - 1] : NULL;
    out->last_failed = last && last->has_cv && last->cv == ARC_FAIL;
    return RC_OK;
}
