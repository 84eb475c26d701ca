/* store/keywords: the user's own flags in the one form in which rows keep them (mailbox_internal.h). Pure. */
#include <stdlib.h>

#include "store/mailbox_internal.h"

struct words {
    struct view v[2 * KEYWORDS_MAX];
    size_t n;
};

static int by_name(const void *a, const void *b)
{
    return view_icmp(*(const struct view *)a, *(const struct view *)b);
}

static bool has_word(const struct words *w, struct view word)
{
    for (size_t i = 0; i < w->n; i++) {
        if (view_ieq(w->v[i], word))
            return true;
    }
    return false;
}

/* Each once, in the spelling that came first. */
static enum rc add_words(struct words *w, struct view text)
{
    struct view word;

    while (text.n > 0) {
        view_split(&text, ' ', &word);
        if (word.n == 0 || has_word(w, word))
            continue;
        if (word.n > KEYWORD_MAX || w->n == sizeof w->v / sizeof w->v[0])
            return RC_LIMIT;
        w->v[w->n++] = word;
    }
    return RC_OK;
}

static enum rc put_words(struct words *w, struct arena *a, struct view *out)
{
    size_t n = 0;

    if (w->n > KEYWORDS_MAX)
        return RC_LIMIT;
    if (w->n > 1)
        qsort(w->v, w->n, sizeof w->v[0], by_name);
    for (size_t i = 0; i < w->n; i++)
        n += w->v[i].n + 1;
    char *text = arena_alloc(a, n);
    if (!text)
        return RC_TEMP;
    n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (i > 0)
            text[n++] = ' ';
        memcpy(text + n, w->v[i].p, w->v[i].n);
        n += w->v[i].n;
    }
    *out = view_of(text, n);
    return RC_OK;
}

enum rc keywords_normalise(struct view in, struct arena *a, struct view *out)
{
    return keywords_union(in, (struct view){0}, a, out);
}

enum rc keywords_union(struct view x, struct view y, struct arena *a, struct view *out)
{
    struct words w = {.n = 0};
    enum rc rc = add_words(&w, x);

    if (rc == RC_OK)
        rc = add_words(&w, y);
    return rc == RC_OK ? put_words(&w, a, out) : rc;
}

enum rc keywords_without(struct view from, struct view less, struct arena *a, struct view *out)
{
    struct words w = {.n = 0}, drop = {.n = 0};
    size_t n = 0;
    enum rc rc = add_words(&w, from);

    if (rc == RC_OK)
        rc = add_words(&drop, less);
    for (size_t i = 0; i < w.n && rc == RC_OK; i++) {
        if (!has_word(&drop, w.v[i]))
            w.v[n++] = w.v[i];
    }
    w.n = n;
    return rc == RC_OK ? put_words(&w, a, out) : rc;
}
