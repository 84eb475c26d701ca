/* facteur check FILE: judges one message as the door would: SPF, DKIM, ARC, DMARC, each step with its reason. */
#include <stdio.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/mbox.h"
#include "mailauth/arc.h"
#include "mailauth/dkim.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"
#include "message/header.h"
#include "sys/file.h"

#define CHECK_MESSAGE_MAX (1u << 30)
#define CHECK_TIME_MS     60000 /* for all look-ups */

struct judged {
    enum dmarc_method method;
    struct spf_facts facts;
    struct spf_verdict spf, helo;
    struct dkim_list dkim;
    struct arc_verdict arc;
    struct dmarc_verdict dmarc;
};

/* --- the message and what was said of the connection --- */

static enum rc read_all(const char *path, struct buf *out)
{
    if (strcmp(path, "-") != 0)
        return file_read(path, CHECK_MESSAGE_MAX, out);
    for (;;) {
        char *room = buf_room(out, 65536);
        ssize_t n = room ? read(STDIN_FILENO, room, 65536) : -1;
        if (n <= 0)
            return n == 0 ? RC_OK : buf_rc(out) != RC_OK ? buf_rc(out) : RC_TEMP;
        buf_grew(out, (size_t)n);
    }
}

/* With line ends as they are on the wire. */
static bool read_message(const char *path, struct buf *out)
{
    struct buf raw;
    buf_init(&raw, CHECK_MESSAGE_MAX);
    enum rc rc = read_all(path, &raw);
    if (rc == RC_OK)
        mbox_to_crlf(buf_view(&raw), out);
    buf_clear(&raw);
    if (rc == RC_NOTFOUND || rc == RC_DENIED)
        return app_fail("%s: %s", path, rc == RC_NOTFOUND ? "no such file" : "not allowed"), false;
    if (rc != RC_OK || buf_rc(out) != RC_OK)
        return app_fail_rc(rc != RC_OK ? rc : buf_rc(out), "read the message"), false;
    return true;
}

/* Without a configuration the system's name servers are asked. */
static struct dns *open_dns(struct app *app)
{
    const struct config *f = NULL;
    const char *why = NULL, **servers = NULL;
    struct dns *dns = NULL;
    bool has_config = strcmp(app->config_path, CONFIG_DEFAULT) != 0 || access(app->config_path, F_OK) == 0;
    if (has_config && !(f = app_config(app)))
        return NULL;
    size_t n = f ? f->dns.servers.n : 0;
    servers = arena_new_array(&app->arena, n + 1, const char *);
    for (size_t i = 0; servers && i < n; i++) {
        char *text = arena_alloc(&app->arena, ADDR_TEXT_MAX);
        if (!text)
            return app_fail("out of memory"), NULL;
        addr_write(&f->dns.servers.v[i], text);
        servers[i] = text;
    }
    const struct dns_settings set = {.servers = servers, .n_servers = n, .trust_anchor = f ? f->dns.trust_anchor : NULL};
    if (!servers || dns_new(&set, &dns, &why) != RC_OK)
        app_fail("cannot ask the DNS: %s", why ? why : "out of memory");
    return dns;
}

/* --- what is shown --- */

static json_t *json_or_null(struct view v)
{
    return v.n > 0 ? app_json(v) : json_null();
}

static json_t *spf_steps_json(const struct spf_verdict *v)
{
    json_t *list = json_array();
    for (const struct spf_step *s = v->steps; s; s = s->next)
        json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "depth", (int)s->depth, "domain", app_json(s->domain), "term",
                                              json_or_null(s->term), "outcome", app_json(s->outcome)));
    return list;
}

static json_t *spf_json(const struct spf_verdict *v)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:i, s:i, s:o}", "result", spf_result_name(v->result), "reason",
                     app_json(v->reason), "identity", spf_identity_name(v->identity), "domain", json_or_null(v->domain), "mechanism",
                     json_or_null(v->mechanism), "explanation", json_or_null(v->explanation), "lookups", (int)v->lookups,
                     "void_lookups", (int)v->voids, "steps", spf_steps_json(v));
}

static json_t *dkim_json(const struct dkim_list *l)
{
    json_t *list = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const struct dkim_verdict *v = &l->verdicts[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:i, s:b, s:b}", "result", dkim_result_name(v->result),
                                              "reason", v->reason, "domain", json_or_null(v->domain), "selector",
                                              json_or_null(v->selector), "identity", json_or_null(v->identity), "algorithm",
                                              dkim_algorithm_name(v->algorithm), "bits", (int)v->bits, "partial", (int)v->is_partial,
                                              "testing", (int)v->is_testing));
    }
    return list;
}

static json_t *arc_json(const struct arc_verdict *v)
{
    json_t *sealers = json_array();
    for (size_t i = 0; i < v->n_sets; i++)
        json_array_append_new(sealers, app_json(v->sets[i].seal_domain));
    return json_pack("{s:s, s:s, s:i, s:i, s:o}", "result", arc_result_name(v->result), "reason", v->reason, "sets",
                     (int)v->last_instance, "failed_at", (int)v->failed_at, "sealers", sealers);
}

static json_t *dmarc_json(const struct dmarc_verdict *v)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:s, s:b, s:b, s:s, s:o, s:o, s:o}", "result", dmarc_result_name(v->result),
                     "reason", app_json(v->reason), "policy", dmarc_policy_name(v->policy), "disposition",
                     dmarc_policy_name(v->disposition), "domain", json_or_null(v->author), "policy_domain",
                     json_or_null(v->policy_domain), "organizational_domain", json_or_null(v->organization), "discovery_method",
                     dmarc_method_name(v->method), "spf_aligned", (int)v->spf_aligned, "dkim_aligned", (int)v->dkim_aligned, "override",
                     dmarc_override_name(v->override), "record", json_or_null(v->record.text), "notes",
                     json_or_null(v->record.notes), "difference", json_or_null(v->difference));
}

static void print_spf(const char *what, const struct spf_verdict *v)
{
    printf("%-6s %s: %.*s\n", what, spf_result_name(v->result), VIEW_FMT(v->reason));
    for (const struct spf_step *s = v->steps; s; s = s->next)
        printf("       %*s%.*s %.*s: %.*s\n", (int)s->depth * 2, "", VIEW_FMT(s->domain), VIEW_FMT(s->term), VIEW_FMT(s->outcome));
    if (v->explanation.n > 0)
        printf("       %.*s explains: %.*s\n", VIEW_FMT(v->domain), VIEW_FMT(v->explanation));
}

static int print_text(const struct judged *j)
{
    print_spf("spf", &j->spf);
    if (j->spf.identity != SPF_HELO && j->facts.helo.n > 0)
        print_spf("helo", &j->helo);
    for (size_t i = 0; i < j->dkim.n; i++) {
        const struct dkim_verdict *v = &j->dkim.verdicts[i];
        printf("dkim   %s: d=%.*s s=%.*s %s%s%s\n", dkim_result_name(v->result), VIEW_FMT(v->domain), VIEW_FMT(v->selector),
               dkim_algorithm_name(v->algorithm), v->reason[0] ? ": " : "", v->reason);
    }
    if (j->dkim.n == 0)
        printf("dkim   none: the message has no signature\n");
    printf("arc    %s: %s\n", arc_result_name(j->arc.result), j->arc.n_sets > 0 || j->arc.reason[0] ? j->arc.reason : "the message has no ARC sets");
    printf("dmarc  %s: %.*s\n", dmarc_result_name(j->dmarc.result), VIEW_FMT(j->dmarc.reason));
    if (j->dmarc.record.notes.n > 0)
        printf("       in the record: %.*s\n", VIEW_FMT(j->dmarc.record.notes));
    if (j->dmarc.difference.n > 0)
        printf("       %.*s\n", VIEW_FMT(j->dmarc.difference));
    return EXIT_DONE;
}

static int print_json(const struct judged *j)
{
    json_t *out = json_pack("{s:o, s:o, s:o, s:o}", "spf", spf_json(&j->spf), "dkim", dkim_json(&j->dkim), "arc",
                            arc_json(&j->arc), "dmarc", dmarc_json(&j->dmarc));
    if (out && j->facts.helo.n > 0)
        json_object_set_new(out, "helo", spf_json(&j->helo));
    return app_print_json(out);
}

/* --- the verdicts --- */

static enum rc judge(struct app *app, struct dns *dns, struct view message, struct judged *j)
{
    struct psl_list *list = NULL;
    int64_t deadline = deadline_in(CHECK_TIME_MS);
    if (psl_list_open(NULL, &list) != RC_OK)
        list = NULL; /* then nothing is compared */
    spf_check(dns, &j->facts, deadline, &app->arena, &j->spf);
    if (j->facts.helo.n > 0)
        spf_check_helo(dns, &j->facts, deadline, &app->arena, &j->helo);
    enum rc rc = dkim_verify_message(message, dns, j->facts.now_s, deadline, &app->arena, &j->dkim);
    if (rc == RC_OK)
        rc = arc_verify_message(message, dns, deadline, &app->arena, &j->arc);
    struct dmarc_dkim *dkim = rc == RC_OK ? arena_new_array(&app->arena, j->dkim.n, struct dmarc_dkim) : NULL;
    for (size_t i = 0; dkim && i < j->dkim.n; i++)
        dkim[i] = (struct dmarc_dkim){.domain = j->dkim.verdicts[i].domain,
                                      .pass = j->dkim.verdicts[i].result == DKIM_PASS && !j->dkim.verdicts[i].is_partial,
                                      .temporary = j->dkim.verdicts[i].result == DKIM_TEMPERROR};
    const struct dmarc_settings set = {.method = j->method, .psl = list, .compare = true};
    const struct dmarc_facts facts = {
        .header = header_of(message), .spf_pass = j->spf.result == SPF_PASS, .spf_temporary = j->spf.result == SPF_TEMPERROR,
        .spf_domain = j->spf.domain, .dkim = dkim, .n_dkim = j->dkim.n};
    if (dkim)
        dmarc_check(dns, &set, &facts, deadline, &app->arena, &j->dmarc);
    psl_list_free(list);
    return dkim ? RC_OK : RC_TEMP;
}

int cmd_check(struct app *app, int argc, char **argv)
{
    struct judged j = {.facts.now_s = clock_real_s()};
    const char *path = NULL;
    struct buf message;
    int code = EXIT_FAILED;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--ip") == 0 && has_value) {
            if (addr_parse_ip(view_str(argv[++i]), 0, &j.facts.ip) != RC_OK)
                return app_fail("%s is not an IP address", argv[i]);
        } else if (strcmp(argv[i], "--helo") == 0 && has_value) {
            j.facts.helo = view_str(argv[++i]);
        } else if (strcmp(argv[i], "--mail-from") == 0 && has_value) {
            j.facts.mail_from = view_str(argv[++i]);
        } else if (strcmp(argv[i], "--psl") == 0) {
            j.method = DMARC_PSL;
        } else if (!path && (argv[i][0] != '-' || strcmp(argv[i], "-") == 0)) {
            path = argv[i];
        } else {
            return app_usage(app);
        }
    }
    if (!path)
        return app_usage(app);
    if (view_eq(j.facts.mail_from, VIEW("<>")))
        j.facts.mail_from = (struct view){0};
    buf_init(&message, CHECK_MESSAGE_MAX);
    struct dns *dns = NULL;
    if (read_message(path, &message) && (dns = open_dns(app))) {
        if (app->config)
            j.facts.receiver = view_str(app->config->hostname);
        if (judge(app, dns, buf_view(&message), &j) != RC_OK)
            code = app_fail("out of memory");
        else
            code = app->json ? print_json(&j) : print_text(&j);
    }
    dns_free(dns);
    buf_clear(&message);
    return code;
}
