#include "base/lang.h"

#include <stdlib.h>
#include <string.h>

const char *lang_name(enum lang lang)
{
    return lang == LANG_FR ? "fr" : "en";
}

bool lang_read(struct view tag, enum lang *out)
{
    const bool is_en = view_istarts(tag, VIEW("en")), is_fr = view_istarts(tag, VIEW("fr"));
    if ((!is_en && !is_fr) || (tag.n > 2 && tag.p[2] != '-' && tag.p[2] != '_' && tag.p[2] != '.' && tag.p[2] != '@'))
        return false;
    *out = is_fr ? LANG_FR : LANG_EN;
    return true;
}

/* ";q=0.8" in thousandths. */
static unsigned quality(struct view params)
{
    unsigned value = 0, place = 100;
    size_t at = view_find(params, VIEW("q="));
    if (at == VIEW_NONE)
        return 1000;
    struct view v = view_from(params, at + 2);
    if (view_starts(v, VIEW("1")))
        return 1000;
    if (!view_take(&v, VIEW("0.")))
        return 0;
    for (size_t i = 0; i < v.n && i < 3 && v.p[i] >= '0' && v.p[i] <= '9'; i++, place /= 10)
        value += (unsigned)(v.p[i] - '0') * place;
    return value;
}

enum lang lang_accept(struct view field)
{
    enum lang best = LANG_EN, lang;
    unsigned best_q = 0;
    while (field.n > 0) {
        struct view range, tag;
        view_split(&field, ',', &range);
        view_split(&range, ';', &tag);
        unsigned q = quality(range);
        if (!lang_read(view_trim(tag), &lang) || q <= best_q)
            continue;
        best = lang;
        best_q = q;
    }
    return best;
}

enum lang lang_environment(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    enum lang lang = LANG_EN;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value)
            continue;
        lang_read(view_str(value), &lang);
        break; /* the first that is set says it, whatever it says */
    }
    return lang;
}

const char *lang_of(const struct lang_pair *pairs, enum lang lang, const char *en)
{
    for (; lang != LANG_EN && pairs && pairs->en; pairs++)
        if (strcmp(pairs->en, en) == 0)
            return pairs->fr;
    return en;
}

/* --- formats --- */

enum kind { KIND_TEXT, KIND_VIEW, KIND_INT, KIND_UNSIGNED, KIND_SIZE, KIND_LONG, KIND_NONE };

/* Moves past plain text (given in *plain) and one conversion; *place is its number in "%2$s", or 0. False: the format ended. */
static bool next_conversion(struct view *fmt, struct view *plain, enum kind *kind, unsigned *place)
{
    static const struct {
        const char *text;
        enum kind kind;
    } kinds[] = {{"s", KIND_TEXT}, {".*s", KIND_VIEW}, {"d", KIND_INT}, {"u", KIND_UNSIGNED}, {"zu", KIND_SIZE}, {"lld", KIND_LONG}};
    size_t at = view_chr(*fmt, '%');
    *place = 0;
    *plain = at == VIEW_NONE ? *fmt : view_slice(*fmt, 0, at);
    if (at == VIEW_NONE)
        return false;
    *fmt = view_from(*fmt, at + 1);
    if (view_take_chr(fmt, '%')) {
        *plain = view_of(plain->p, plain->n + 1); /* one of the two */
        *kind = KIND_NONE;
        return true;
    }
    if (fmt->n > 2 && fmt->p[0] >= '1' && fmt->p[0] <= '9' && fmt->p[1] == '$') {
        *place = (unsigned)(fmt->p[0] - '0');
        *fmt = view_from(*fmt, 2);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (view_take(fmt, view_str(kinds[i].text))) {
            *kind = kinds[i].kind;
            return true;
        }
    *kind = KIND_NONE;
    return true;
}

struct arg {
    enum kind kind;
    struct view text;
    long long number;
    unsigned long long natural;
};

static size_t kinds_of(const char *en, struct arg args[LANG_ARGS_MAX])
{
    struct view fmt = view_str(en), plain;
    unsigned place;
    enum kind kind;
    size_t n = 0;
    while (n < LANG_ARGS_MAX && next_conversion(&fmt, &plain, &kind, &place))
        if (kind != KIND_NONE)
            args[n++].kind = kind;
    return n;
}

static void take_arg(struct arg *arg, va_list *args)
{
    int n;
    const char *p;
    switch (arg->kind) {
    case KIND_TEXT:
        p = va_arg(*args, const char *);
        arg->text = view_str(p ? p : "");
        break;
    case KIND_VIEW:
        n = va_arg(*args, int);
        p = va_arg(*args, const char *);
        arg->text = view_of(p, n > 0 ? (size_t)n : 0);
        break;
    case KIND_INT: arg->number = va_arg(*args, int); break;
    case KIND_LONG: arg->number = va_arg(*args, long long); break;
    case KIND_UNSIGNED: arg->natural = va_arg(*args, unsigned); break;
    case KIND_SIZE: arg->natural = va_arg(*args, size_t); break;
    case KIND_NONE: break;
    }
}

static struct view translate(const struct lang_pair *pairs, enum lang lang, struct view text)
{
    for (; lang != LANG_EN && pairs && pairs->en; pairs++)
        if (view_eq(view_str(pairs->en), text))
            return view_str(pairs->fr);
    return text;
}

static void write_arg(struct buf *out, const struct lang_pair *pairs, enum lang lang, const struct arg *arg)
{
    switch (arg->kind) {
    case KIND_TEXT:
    case KIND_VIEW: buf_add(out, translate(pairs, lang, arg->text)); break;
    case KIND_INT:
    case KIND_LONG: buf_printf(out, "%lld", arg->number); break;
    case KIND_UNSIGNED:
    case KIND_SIZE: buf_printf(out, "%llu", arg->natural); break;
    case KIND_NONE: break;
    }
}

void lang_vprintf(struct buf *out, const struct lang_pair *pairs, enum lang lang, const char *en, va_list from)
{
    struct arg args[LANG_ARGS_MAX] = {0};
    struct view fmt = view_str(lang_of(pairs, lang, en)), plain;
    const size_t n = kinds_of(en, args);
    unsigned place, next = 1;
    enum kind kind;
    va_list copy;

    va_copy(copy, from);
    for (size_t i = 0; i < n; i++)
        take_arg(&args[i], &copy);
    va_end(copy);
    while (next_conversion(&fmt, &plain, &kind, &place)) {
        buf_add(out, plain);
        if (kind == KIND_NONE)
            continue;
        unsigned which = place > 0 ? place : next++;
        if (which <= n)
            write_arg(out, pairs, lang, &args[which - 1]);
    }
    buf_add(out, plain);
}

void lang_printf(struct buf *out, const struct lang_pair *pairs, enum lang lang, const char *en, ...)
{
    va_list args;
    va_start(args, en);
    lang_vprintf(out, pairs, lang, en, args);
    va_end(args);
}

/* --- read again --- */

static bool is_number(struct view v)
{
    view_take_chr(&v, '-');
    for (size_t i = 0; i < v.n; i++)
        if (!is_digit((unsigned char)v.p[i]))
            return false;
    return v.n > 0;
}

/* Takes what an argument was from the front of *text: all before the first `plain`; at the format's end, before the last. */
static bool reread_arg(struct view *text, struct view plain, bool at_end, struct arg *arg)
{
    size_t n = at_end ? text->n - plain.n : view_find(*text, plain);
    if (at_end ? !view_ends(*text, plain) : plain.n == 0 || n == VIEW_NONE)
        return false;
    arg->text = view_slice(*text, 0, n);
    *text = view_from(*text, n + plain.n);
    if (arg->kind != KIND_TEXT && arg->kind != KIND_VIEW)
        return is_number(arg->text);
    /* What has borders is no argument, but other sentences beside this one. */
    return arg->text.n > 0 && view_find(arg->text, VIEW("; ")) == VIEW_NONE && view_find(arg->text, VIEW(": ")) == VIEW_NONE;
}

/* The arguments with which `en` made `text`. */
static bool reread_args(const char *en, struct view text, struct arg args[LANG_ARGS_MAX])
{
    struct view fmt = view_str(en), plain;
    unsigned place;
    enum kind kind;
    bool more = next_conversion(&fmt, &plain, &kind, &place);
    if (!view_take(&text, plain))
        return false;
    for (size_t n = 0; more; n++) {
        if (n == LANG_ARGS_MAX || kind == KIND_NONE)
            return false;
        args[n].kind = kind;
        more = next_conversion(&fmt, &plain, &kind, &place);
        if (!reread_arg(&text, plain, !more, &args[n]))
            return false;
    }
    return text.n == 0;
}

bool lang_reread(struct buf *out, const struct lang_pair *pairs, enum lang lang, struct view text)
{
    for (const struct lang_pair *p = pairs; p->en; p++) {
        struct arg args[LANG_ARGS_MAX] = {0};
        struct view fmt = view_str(lang == LANG_EN ? p->en : p->fr), plain;
        unsigned place, next = 1;
        enum kind kind;
        if (!reread_args(p->en, text, args))
            continue;
        if (!out)
            return true;
        while (next_conversion(&fmt, &plain, &kind, &place)) {
            buf_add(out, plain);
            const struct view arg = args[(place > 0 ? place : next++) - 1].text; /* lang_pair_agrees: there is one */
            if (!lang_reread(out, pairs, lang, arg)) /* it is shorter than the text, which has words of the format too */
                buf_add(out, arg);
        }
        buf_add(out, plain);
        return true;
    }
    return false;
}

bool lang_pair_agrees(const struct lang_pair *pair)
{
    struct arg en[LANG_ARGS_MAX] = {0};
    struct view fmt = view_str(pair->fr), plain;
    const size_t n = kinds_of(pair->en, en);
    size_t n_fr = 0;
    unsigned place, seen = 0;
    enum kind kind;
    while (next_conversion(&fmt, &plain, &kind, &place)) {
        if (kind == KIND_NONE)
            continue;
        size_t which = place > 0 ? place - 1 : n_fr;
        n_fr++;
        if (which >= n || en[which].kind != kind)
            return false;
        seen |= 1u << which;
    }
    return seen == (1u << n) - 1;
}
