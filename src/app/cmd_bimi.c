/* facteur bimi FILE...: is a drawing a logo that mail programs may show (BIMI), and does a mark certificate hold for it? No network. */
#include <stdio.h>

#include "app/commands.h"
#include "app/resolver.h"
#include "health/health_json.h"
#include "sys/file.h"

struct asked {
    struct app *app;
    enum lang lang;
    const char *certificate, *domain;
    json_t *list; /* NULL: text */
    int code;
};

static bool read_bytes(struct app *app, const char *path, size_t max, struct view *out)
{
    struct buf b;
    buf_init(&b, max);
    enum rc rc = file_read(path, max, &b);
    if (rc == RC_OK)
        rc = view_dup(&app->arena, buf_view(&b), out);
    buf_clear(&b);
    if (rc == RC_LIMIT)
        app_fail("%s is too large for what it is to be", path);
    else if (rc != RC_OK)
        app_fail("%s cannot be read", path);
    return rc == RC_OK;
}

static bool check_mark(struct asked *q, const struct bimi_svg *svg, struct mark *mark)
{
    const struct config *c;
    struct app *app = q->app;
    struct view pem, roots = VIEW("");
    struct bimi_svg inside;
    const char *names[] = {q->domain, arena_printf(&app->arena, "default._bimi.%s", q->domain)};
    if (!names[1] || !app_config_if_any(app, &c) || !read_bytes(app, q->certificate, MARK_PEM_MAX, &pem))
        return false;
    if (c && c->bimi.roots && !read_bytes(app, c->bimi.roots, MARK_PEM_MAX, &roots))
        return false;
    mark_check(pem, arena_cstr(&app->arena, roots), names, 2, clock_real_s(), &app->arena, mark);
    if (!mark->valid)
        return true;
    bimi_svg_check(mark->logo, &app->arena, &inside);
    if (!view_eq(inside.text, svg->text)) {
        mark->valid = false;
        mark->why = "it is for another drawing";
    }
    return true;
}

static void show(struct asked *q, const char *path, const struct bimi_svg *svg, const struct mark *mark)
{
    if (q->list) {
        json_array_append_new(q->list, json_pack("{s:s, s:b, s:o, s:o, s:o}", "file", path, "valid", (int)(svg->fault == BIMI_SVG_OK), "title",
                                                 health_json_text(svg->title), "svg_errors", health_svg_errors(svg, q->lang), "certificate",
                                                 mark ? health_mark_json(mark, q->lang) : json_null()));
        return;
    }
    printf("%s: ", path);
    if (svg->fault != BIMI_SVG_OK) {
        printf("%s", lang_of(health_words, q->lang, bimi_svg_words(svg->fault)));
        if (svg->detail.n > 0)
            printf(" (%.*s, %ld)", VIEW_FMT(svg->detail), svg->line);
        printf("\n");
    } else {
        printf("%s\n", lang_of(health_words, q->lang, "The logo is in the profile SVG Tiny PS."));
    }
    if (mark)
        printf("%s: %s %.*s, %.*s: %s\n", q->certificate, mark->kind, VIEW_FMT(mark->type), VIEW_FMT(mark->subject),
               mark->valid ? "ok" : lang_of(health_words, q->lang, mark->why));
}

static bool check_one(struct asked *q, const char *path)
{
    struct bimi_svg svg;
    struct mark mark;
    struct view bytes;
    if (!read_bytes(q->app, path, 16 * BIMI_SVG_MAX, &bytes))
        return false;
    bimi_svg_check(bytes, &q->app->arena, &svg);
    if (q->certificate && !check_mark(q, &svg, &mark))
        return false;
    if (svg.fault != BIMI_SVG_OK || (q->certificate && !mark.valid))
        q->code = EXIT_FAILED;
    show(q, path, &svg, q->certificate ? &mark : NULL);
    return true;
}

int cmd_bimi(struct app *app, int argc, char **argv)
{
    struct asked q = {.app = app, .lang = lang_environment()};
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--certificate") == 0 && i + 1 < argc)
            q.certificate = argv[++i];
        else if (strcmp(argv[i], "--domain") == 0 && i + 1 < argc)
            q.domain = argv[++i];
        else
            argv[++n] = argv[i];
    }
    if (n == 0 || (q.certificate && !q.domain))
        return app_usage(app);
    q.list = app->json ? json_array() : NULL;
    for (int i = 1; i <= n; i++)
        if (!check_one(&q, argv[i]))
            q.code = EXIT_FAILED;
    return q.list && app_print_json(q.list) != EXIT_DONE ? EXIT_FAILED : q.code;
}
