/* facteur apply FILE [--dry-run]: makes domains, accounts and aliases equal to a text file; apply --export prints the present
 * state in that form:
 *     domain  ici.test
 *     account anne@ici.test [operator|owner|user]
 *     alias   info@ici.test anne@ici.test bob@elsewhere.example
 * "#" starts a comment. Passwords are not in it: a new account gets one by `facteur account passwd`. What the file does not
 * name is removed, so mistakes in the file stop everything before the first change. */
#include <stdio.h>
#include <stdlib.h>

#include "app/commands.h"
#include "app/domain_keys.h"
#include "app/noted.h"
#include "app/people.h"
#include "sys/file.h"

#define APPLY_FILE_MAX (64u << 20)
#define APPLY_MAX      1000000 /* entries */

struct entry {
    enum { ENTRY_DOMAIN, ENTRY_ACCOUNT, ENTRY_ALIAS } kind;
    struct view name;  /* normal form */
    const char *text;  /* the same, NUL-ended */
    enum directory_role role;
    struct view *targets;
    size_t n_targets;
    unsigned line; /* of the file */
};
static const char *const kind_names[] = {"domain", "account", "alias"};

struct state {
    struct entry *v;
    size_t n, size;
};
struct apply {
    struct app *app;
    bool dry;
    struct state want, have;
    unsigned changes, failures;
    unsigned without_password; /* accounts that were made */
    json_t *json;
};

static struct entry *add_entry(struct apply *a, struct state *s, int kind, struct view name)
{
    struct arena *arena = &a->app->arena;
    if (s->n == s->size) {
        size_t size = s->size ? s->size * 2 : 64;
        struct entry *v = size <= APPLY_MAX ? arena_new_array(arena, size, struct entry) : NULL;
        if (!v)
            return NULL;
        if (s->n > 0)
            memcpy(v, s->v, s->n * sizeof *v);
        s->v = v;
        s->size = size;
    }
    struct entry *e = &s->v[s->n];
    e->kind = kind;
    e->name = name;
    e->text = arena_cstr(arena, name);
    if (!e->text)
        return NULL;
    s->n++;
    return e;
}

/* --- the file --- */

static bool next_word(struct view *line, struct view *word)
{
    *line = view_trim(*line);
    size_t n = 0;
    while (n < line->n && !is_wsp((unsigned char)line->p[n]))
        n++;
    *word = view_slice(*line, 0, n);
    view_skip(line, n);
    return n > 0;
}

/* "@domain" stays; an address gets its normal form. */
static enum rc normalise(struct apply *a, struct view text, struct view *out)
{
    struct view probe;
    if (!view_starts(text, VIEW("@")))
        return directory_normalise(text, &a->app->arena, out);
    const char *full = arena_printf(&a->app->arena, "x%.*s", VIEW_FMT(text));
    enum rc rc = full ? directory_normalise(view_str(full), &a->app->arena, &probe) : RC_TEMP;
    if (rc == RC_OK)
        *out = view_from(probe, 1);
    return rc;
}

static const char *read_line(struct apply *a, struct view line)
{
    struct view kind, name, word;
    struct entry *e;

    next_word(&line, &kind);
    if (!next_word(&line, &name))
        return "a name is missing";
    if (view_eq(kind, VIEW("domain"))) {
        const char *full = arena_printf(&a->app->arena, "@%.*s", VIEW_FMT(name));
        if (!full || normalise(a, view_str(full), &name) != RC_OK)
            return "not a domain name";
        return add_entry(a, &a->want, ENTRY_DOMAIN, view_from(name, 1)) ? next_word(&line, &word) ? "one domain a line" : NULL
                                                                        : "too many entries";
    }
    bool account = view_eq(kind, VIEW("account"));
    if (!account && !view_eq(kind, VIEW("alias")))
        return "a line begins with domain, account or alias";
    if (normalise(a, name, &name) != RC_OK)
        return "not an address";
    e = add_entry(a, &a->want, account ? ENTRY_ACCOUNT : ENTRY_ALIAS, name);
    if (!e)
        return "too many entries";
    if (account) {
        if (next_word(&line, &word)) {
            const char *role = arena_cstr(&a->app->arena, word);
            if (!role || !people_role_parse(role, &e->role))
                return "a role is user, owner or operator";
        }
        return next_word(&line, &word) ? "an account has a role at most" : NULL;
    }
    e->targets = arena_new_array(&a->app->arena, DIRECTORY_TARGETS_MAX, struct view);
    if (!e->targets)
        return "out of memory";
    while (next_word(&line, &word)) {
        if (e->n_targets == DIRECTORY_TARGETS_MAX)
            return "too many targets";
        if (normalise(a, word, &e->targets[e->n_targets]) != RC_OK || view_starts(word, VIEW("@")))
            return "a target is not an address";
        e->n_targets++;
    }
    return e->n_targets > 0 ? NULL : "an alias needs a target";
}

static int compare_entries(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : view_icmp(a->name, b->name);
}

static void sort(struct state *s)
{
    if (s->n > 1)
        qsort(s->v, s->n, sizeof *s->v, compare_entries);
}

/* In a sorted state. */
static struct entry *find(struct state *s, const struct entry *like)
{
    return s->n > 0 ? bsearch(like, s->v, s->n, sizeof *s->v, compare_entries) : NULL;
}

static int read_file(struct apply *a, const char *path)
{
    struct buf *text = arena_new(&a->app->arena, struct buf);
    struct view rest, line;
    unsigned number = 0, mistakes = 0;

    if (!text)
        return app_fail_rc(RC_TEMP, "read the file");
    buf_init(text, APPLY_FILE_MAX);
    if (!app_become(a->app, APP_ROOT))
        return EXIT_FAILED;
    enum rc rc = file_read(path, APPLY_FILE_MAX, text);
    if (!app_become(a->app, APP_STORE_USER))
        return EXIT_FAILED;
    if (rc != RC_OK) {
        const char *what = arena_printf(&a->app->arena, "read %s", path);
        return app_fail_rc(rc, what ? what : "read the file");
    }
    for (rest = buf_view(text); rest.n > 0;) {
        view_split(&rest, '\n', &line);
        number++;
        line = view_trim(view_slice(line, 0, view_chr(line, '#')));
        size_t before = a->want.n;
        const char *mistake = line.n > 0 ? read_line(a, line) : NULL;
        if (!mistake && a->want.n > before)
            a->want.v[before].line = number;
        if (mistake) {
            fprintf(stderr, "%s:%u: %s\n", path, number, mistake);
            mistakes++;
        }
    }
    buf_clear(text);
    sort(&a->want);
    for (size_t i = 1; i < a->want.n; i++)
        if (compare_entries(&a->want.v[i - 1], &a->want.v[i]) == 0) {
            fprintf(stderr, "%s:%u: %s is there twice\n", path, a->want.v[i].line, a->want.v[i].text);
            mistakes++;
        }
    return mistakes == 0 ? EXIT_DONE : app_fail("nothing was changed because of %u mistakes in %s", mistakes, path);
}

/* --- the present state --- */

static int read_store(struct apply *a)
{
    struct arena *arena = &a->app->arena;
    struct view *domains;
    struct directory_account *accounts;
    struct directory_alias *aliases;
    size_t n;
    enum rc rc = directory_domains(a->app->store, arena, &domains, &n);

    for (size_t i = 0; rc == RC_OK && i < n; i++)
        rc = add_entry(a, &a->have, ENTRY_DOMAIN, domains[i]) ? RC_OK : RC_LIMIT;
    if (rc == RC_OK)
        rc = directory_accounts(a->app->store, VIEW(""), arena, &accounts, &n);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        struct entry *e = add_entry(a, &a->have, ENTRY_ACCOUNT, accounts[i].address);
        if (!e)
            rc = RC_LIMIT;
        else
            e->role = accounts[i].role;
    }
    if (rc == RC_OK)
        rc = directory_aliases(a->app->store, VIEW(""), arena, &aliases, &n);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        struct entry *e = add_entry(a, &a->have, ENTRY_ALIAS, aliases[i].address);
        if (!e) {
            rc = RC_LIMIT;
        } else {
            e->targets = aliases[i].targets;
            e->n_targets = aliases[i].n_targets;
        }
    }
    sort(&a->have);
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "read the present state");
}

static json_t *entry_json(const struct entry *e)
{
    json_t *j = json_pack("{s:s, s:o}", "kind", kind_names[e->kind], "name", app_json(e->name)), *targets;
    if (j && e->kind == ENTRY_ACCOUNT)
        json_object_set_new(j, "role", json_string(people_role_name(e->role)));
    if (j && e->kind == ENTRY_ALIAS) {
        json_object_set_new(j, "targets", targets = json_array());
        for (size_t i = 0; i < e->n_targets; i++)
            json_array_append_new(targets, app_json(e->targets[i]));
    }
    return j;
}

static int print_state(struct apply *a)
{
    if (a->app->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < a->have.n; i++)
            json_array_append_new(list, entry_json(&a->have.v[i]));
        return app_print_json(list);
    }
    for (size_t i = 0; i < a->have.n; i++) {
        const struct entry *e = &a->have.v[i];
        if (e->kind == ENTRY_DOMAIN)
            printf("domain  %s\n", e->text);
        if (e->kind == ENTRY_ACCOUNT)
            printf("account %s %s\n", e->text, people_role_name(e->role));
        if (e->kind == ENTRY_ALIAS) {
            printf("alias   %s", e->text);
            for (size_t j = 0; j < e->n_targets; j++)
                printf(" %.*s", VIEW_FMT(e->targets[j]));
            printf("\n");
        }
    }
    return fflush(stdout) == 0 ? EXIT_DONE : app_fail("cannot write to standard output");
}

/* --- the difference --- */

static bool same_targets(const struct entry *x, const struct entry *y)
{
    size_t same = 0;
    for (size_t i = 0; i < x->n_targets; i++)
        for (size_t j = 0; j < y->n_targets; j++)
            same += view_ieq(x->targets[i], y->targets[j]);
    return x->n_targets == y->n_targets && same == x->n_targets;
}

/* A role, or where an alias leads; "-" where it is not there. */
static const char *state_text(struct apply *a, const struct entry *e)
{
    struct buf text;
    if (!e || e->kind != ENTRY_ALIAS)
        return e ? people_role_name(e->role) : "-";
    buf_init(&text, 2000); /* what is longer is cut, as details are */
    for (size_t i = 0; i < e->n_targets; i++)
        buf_printf(&text, "%s%.*s", i > 0 ? ", " : "", VIEW_FMT(e->targets[i]));
    const char *out = arena_cstr(&a->app->arena, view_of(text.p, text.n));
    buf_clear(&text);
    return out ? out : "-";
}

/* In the audit trail, by the words of the other commands. */
static void note(struct apply *a, const struct entry *now, const struct entry *old)
{
    const struct entry *e = now ? now : old;
    if (e->kind == ENTRY_ALIAS)
        noted_change(a->app, now ? "alias.set" : "alias.remove", e->text, state_text(a, old), state_text(a, now));
    else if (now && old)
        noted_change(a->app, "account.role", e->text, state_text(a, old), state_text(a, now));
    else if (e->kind == ENTRY_ACCOUNT)
        noted(a->app, now ? "account.add" : "account.remove", e->text, now ? state_text(a, now) : "");
    else
        noted(a->app, now ? "domain.add" : "domain.remove", e->text, "");
}

static void change(struct apply *a, const char *verb, const struct entry *now, const struct entry *old, enum rc rc)
{
    const struct entry *e = now ? now : old;
    a->changes++;
    if (rc == RC_OK && !a->dry)
        note(a, now, old);
    if (rc != RC_OK) {
        a->failures++;
        fprintf(stderr, "facteur: cannot %s %s %s: %s\n", verb, kind_names[e->kind], e->text, rc_name(rc));
    } else if (a->json) {
        json_array_append_new(a->json, json_pack("{s:s, s:s, s:s}", "change", verb, "kind", kind_names[e->kind], "name", e->text));
    } else {
        printf("%s%s %s %s\n", a->dry ? "would " : "", verb, kind_names[e->kind], e->text);
    }
}

static enum rc add_domain(struct apply *a, const struct entry *e)
{
    enum rc rc = directory_domain_add(a->app->store, e->name);
    if (rc == RC_OK && domain_keys_make(a->app, e->name, DKIM_KEY_ACTIVE) != EXIT_DONE)
        rc = RC_TEMP;
    return rc;
}

static enum rc remove_domain(struct apply *a, const struct entry *e)
{
    enum rc rc = directory_domain_remove(a->app->store, e->name);
    if (rc == RC_OK && domain_keys_remove(a->app, e->name) != EXIT_DONE)
        rc = RC_TEMP;
    return rc;
}

static void remove_entry(struct apply *a, const struct entry *e)
{
    enum rc rc = RC_OK;
    if (!a->dry && e->kind == ENTRY_DOMAIN)
        rc = remove_domain(a, e);
    if (!a->dry && e->kind == ENTRY_ACCOUNT)
        rc = people_remove(a->app, e->text) == EXIT_DONE ? RC_OK : RC_TEMP;
    if (!a->dry && e->kind == ENTRY_ALIAS)
        rc = directory_alias_remove(a->app->store, e->name, NULL, 0);
    change(a, "remove", NULL, e, rc);
}

static void add_or_change(struct apply *a, const struct entry *e, const struct entry *old)
{
    enum rc rc = RC_OK;
    uint64_t id;
    bool differs = !old || (e->kind == ENTRY_ALIAS && !same_targets(e, old)) || (e->kind == ENTRY_ACCOUNT && e->role != old->role);

    if (!differs)
        return;
    if (!a->dry && e->kind == ENTRY_DOMAIN)
        rc = add_domain(a, e);
    if (!a->dry && e->kind == ENTRY_ACCOUNT) {
        if (!old)
            rc = directory_account_add(a->app->store, e->name, &id);
        if (rc == RC_OK)
            rc = directory_account_set_role(a->app->store, e->name, e->role);
        a->without_password += !old && rc == RC_OK;
    }
    if (!a->dry && e->kind == ENTRY_ALIAS)
        rc = directory_alias_set(a->app->store, e->name, e->targets, e->n_targets);
    change(a, old ? "change" : "add", e, old, rc);
}

/* Aliases go before accounts, accounts before domains; they come in the other order. */
static void make_equal(struct apply *a)
{
    static const int down[] = {ENTRY_ALIAS, ENTRY_ACCOUNT, ENTRY_DOMAIN}, up[] = {ENTRY_DOMAIN, ENTRY_ACCOUNT, ENTRY_ALIAS};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < a->have.n; i++)
            if ((int)a->have.v[i].kind == down[k] && !find(&a->want, &a->have.v[i]))
                remove_entry(a, &a->have.v[i]);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < a->want.n; i++)
            if ((int)a->want.v[i].kind == up[k])
                add_or_change(a, &a->want.v[i], find(&a->have, &a->want.v[i]));
}

int cmd_apply(struct app *app, int argc, char **argv)
{
    struct apply a = {.app = app};
    bool print = argc == 2 && strcmp(argv[1], "--export") == 0;
    const char *file = NULL;

    for (int i = 1; i < argc && !print; i++)
        if (strcmp(argv[i], "--dry-run") == 0)
            a.dry = true;
        else if (!file && argv[i][0] != '-')
            file = argv[i];
        else
            return app_usage(app);
    if (!file && !print)
        return app_usage(app);
    if (!app_store(app))
        return EXIT_FAILED;
    int code = read_store(&a);
    if (code != EXIT_DONE || print)
        return code == EXIT_DONE ? print_state(&a) : code;
    code = read_file(&a, file);
    if (code != EXIT_DONE)
        return code;
    a.json = app->json ? json_array() : NULL;
    make_equal(&a);
    if (a.json)
        code = app_print_json(a.json);
    else if (a.changes == 0)
        printf("nothing to do\n");
    if (a.without_password > 0)
        fprintf(stderr, "facteur: new accounts have no password yet: `facteur account passwd ADDRESS` gives one\n");
    if (a.failures > 0)
        return app_fail("%u of %u changes could not be made", a.failures, a.changes);
    return code;
}
