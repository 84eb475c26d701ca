/* facteur doctor [DOMAIN]: looks at a domain from outside, as a suspicious peer would, and says what is wrong and how to mend it. */
#include <stdio.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/health_own.h"
#include "app/health_route.h"
#include "app/resolver.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "health/health_json.h"
#include "store/directory.h"
#include "sys/file.h"

#define DOCTOR_MS 120000 /* for one domain */
#define TRUST_MAX (4u << 20)
#define HTTPS_PORT 443
#define NS_PORT 53

struct doctor {
    struct app *app;
    enum lang lang;
    json_t *list; /* NULL: text */
};

static void tell_progress(void *ctx, const char *what, struct view about)
{
    const struct doctor *d = ctx;
    if (!d->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s %.*s ...", lang_of(health_words, d->lang, what), VIEW_FMT(about));
}

static void end_progress(const struct doctor *d)
{
    if (!d->list && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

/* --- what is shown --- */

static const char *const signs[LANG_N][HEALTH_UNKNOWN + 1] = {{"ok  ", "note", "WARN", "BAD ", "?   "},
                                                              {"ok    ", "note  ", "ALERTE", "FAUX  ", "?     "}};
static const struct lang_pair doctor_words[] = {
    {"   (1 look-up)", "   (1 requête)"},
    {"  %u good, %u to note, %u warnings, %u bad, %u could not be told\n",
     "  %u bons, %u à noter, %u alertes, %u faux, %u indéterminés\n"},
    {NULL, NULL},
};

static void print_spf_tree(const struct doctor *d, const struct health *h)
{
    for (const struct spf_node *n = h->spf.nodes; n; n = n->next)
        printf("            %*s%.*s%s\n", (int)n->depth * 2, "", VIEW_FMT(n->term),
               n->is_lookup ? lang_of(doctor_words, d->lang, "   (1 look-up)") : "");
}

/* The way to an inherited policy, or to none. */
static void print_walk(const struct health *h)
{
    for (const struct health_dmarc_step *step = h->dmarc; step && !h->dmarc->used; step = step->next)
        printf("            %c %.*s  %.*s\n", step->used ? '*' : ' ', VIEW_FMT(step->name), VIEW_FMT(step->record.n > 0 ? step->record : VIEW("-")));
}

static void print_points(const struct doctor *d, const struct health *h)
{
    const char *area = "";
    struct buf sums;
    printf("%.*s\n", VIEW_FMT(h->domain));
    for (const struct health_point *p = h->points; p; p = p->next) {
        if (strcmp(area, p->area) != 0)
            printf("  %s\n", lang_of(health_words, d->lang, p->area));
        area = p->area;
        printf("    %s  ", signs[d->lang][p->mark]);
        if (p->subject.n > 0 && !view_eq(p->subject, h->domain))
            printf("%.*s: ", VIEW_FMT(p->subject));
        printf("%.*s\n", VIEW_FMT(p->text[d->lang]));
        if (strcmp(p->id, "spf.record") == 0 && p->mark == HEALTH_GOOD)
            print_spf_tree(d, h);
        if (strcmp(p->id, "dmarc.record") == 0)
            print_walk(h);
        if (p->repair[d->lang].n > 0)
            printf("          -> %.*s\n", VIEW_FMT(p->repair[d->lang]));
    }
    buf_init(&sums, 1000);
    lang_printf(&sums, doctor_words, d->lang, "  %u good, %u to note, %u warnings, %u bad, %u could not be told\n", h->n[HEALTH_GOOD],
                h->n[HEALTH_NOTE], h->n[HEALTH_WARN], h->n[HEALTH_BAD], h->n[HEALTH_UNKNOWN]);
    printf("%.*s", VIEW_FMT(buf_view(&sums)));
    buf_clear(&sums);
}

static struct tls_client *open_trust(const struct config *c)
{
    struct tls_client *trust = NULL;
    struct buf pem;
    const char *why;
    buf_init(&pem, TRUST_MAX);
    for (size_t i = 0; c && i < c->tls.trust.n; i++)
        if (file_read(c->tls.trust.v[i], TRUST_MAX, &pem) != RC_OK)
            fprintf(stderr, "facteur: %s cannot be read; its authorities are unknown\n", c->tls.trust.v[i]);
    buf_chr(&pem, '\0');
    if (buf_rc(&pem) != RC_OK || tls_client_new(pem.n > 1 ? pem.p : NULL, &trust, &why) != RC_OK)
        fprintf(stderr, "facteur: the authorities cannot be read: certificates are not judged\n");
    buf_clear(&pem);
    return trust;
}

/* Authorities for mark certificates. */
static bool read_roots(const char *path, struct buf *out)
{
    if (file_read(path, TRUST_MAX, out) != RC_OK)
        fprintf(stderr, "facteur: %s cannot be read; no mark certificate holds without authorities\n", path);
    buf_chr(out, '\0');
    return buf_rc(out) == RC_OK && out->n > 1;
}

static int look(struct doctor *d, struct health_settings *set, struct view domain)
{
    struct app *app = d->app;
    struct health h;
    enum rc rc = health_own(app->store, domain, &app->arena, set);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read what is known of the domain");
    rc = health_look(set, domain, deadline_in(DOCTOR_MS), &app->arena, &h);
    end_progress(d);
    if (rc == RC_SYNTAX)
        return app_fail("'%.*s' is not a domain name", VIEW_FMT(domain));
    if (rc != RC_OK)
        return app_fail_rc(rc, "look at the domain");
    if (d->list)
        json_array_append_new(d->list, health_json(&h, d->lang));
    else
        print_points(d, &h);
    return h.n[HEALTH_BAD] > 0 ? EXIT_FAILED : EXIT_DONE;
}

static bool add_blocklists(struct app *app, const struct config *c, struct health_settings *set)
{
    const char **lists = arena_new_array(&app->arena, c->health.blocklists.n + 1, const char *);
    for (size_t i = 0; lists && i < c->health.blocklists.n; i++)
        if (!(lists[i] = arena_cstr(&app->arena, c->health.blocklists.v[i])))
            return false;
    set->blocklists = lists;
    set->n_blocklists = c->health.blocklists.n;
    set->sources = c->outbound.bind.v;
    set->n_sources = c->outbound.bind.n;
    return lists != NULL;
}

int cmd_doctor(struct app *app, int argc, char **argv)
{
    const struct config *c;
    struct view one = {0}, *domains = &one;
    struct buf roots;
    size_t n = 1;
    int code = EXIT_DONE;
    struct doctor d = {.app = app, .lang = lang_environment()};

    for (int i = 1; i + 1 < argc; i++) { /* "--lang fr" before or after the domain */
        if (strcmp(argv[i], "--lang") != 0)
            continue;
        if (!lang_read(view_str(argv[i + 1]), &d.lang))
            return app_fail("there are the languages en and fr");
        memmove(&argv[i], &argv[i + 2], (size_t)(argc - i - 1) * sizeof *argv);
        argc -= 2;
        break;
    }
    if (argc > 2)
        return app_usage(app);
    log_set_level(LOG_ERROR); /* what is found is told in points */
    if (!app_config_if_any(app, &c) || (c && !app_store(app)))
        return EXIT_FAILED;
    if (argc == 2) {
        one = view_str(argv[1]);
    } else if (!c) {
        return app_fail("which domain? There is no configuration that lists ours");
    } else {
        enum rc rc = directory_domains(app->store, &app->arena, &domains, &n);
        if (rc != RC_OK)
            return app_fail_rc(rc, "list the domains");
        if (n == 0)
            return app_fail("no domain is hosted here yet: `facteur domain add DOMAIN`");
    }
    struct health_settings set = {.dns = app_resolver(app),
                                  .hostname = c ? c->hostname : "localhost",
                                  .port = c ? c->outbound.port : 25,
                                  .ns_port = NS_PORT,
                                  .https_port = HTTPS_PORT,
                                  .connect = true,
                                  .now_s = clock_real_s(),
                                  .progress = tell_progress,
                                  .ctx = &d};
    struct health_route route = {.dns = set.dns, .hostname = set.hostname, .port = set.port, .https_port = HTTPS_PORT};
    set.decide = health_route_decide;
    set.decide_ctx = &route;
    for (size_t i = 0; c && i < c->outbound.bind.n; i++)
        *(addr_is_ipv6(&c->outbound.bind.v[i]) ? &set.bind6 : &set.bind4) = &c->outbound.bind.v[i];
    if (c && !add_blocklists(app, c, &set))
        return app_fail("out of memory");
    if (!set.dns)
        return EXIT_FAILED;
    fetch_init();
    struct tls_client *trust = open_trust(c);
    set.trust = trust;
    buf_init(&roots, TRUST_MAX);
    set.mark_roots = c && c->bimi.roots && read_roots(c->bimi.roots, &roots) ? roots.p : NULL;
    const struct sts_settings sts = {.store = app->store, .dns = set.dns, .trust = trust, .only_asked = true};
    if (c && trust && sts_cache_new(&sts, &route.sts) != RC_OK)
        fprintf(stderr, "facteur: without memory for policies: MTA-STS is left out of what a sender would do\n");
    d.list = app->json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++)
        if (look(&d, &set, domains[i]) != EXIT_DONE)
            code = EXIT_FAILED;
    sts_cache_free(route.sts);
    tls_client_free(trust);
    dns_free(set.dns);
    buf_clear(&roots);
    if (d.list && app_print_json(d.list) != EXIT_DONE)
        code = EXIT_FAILED;
    return code;
}
