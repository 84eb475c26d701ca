#include "app/check_show.h"

#include <stdio.h>

#include "app/app.h"
#include "mailauth/authres.h"

static const char *action_name(enum judge_action action)
{
    static const char *const names[] = {"accept", "junk", "reject"};
    return names[action];
}

/* --- for programs --- */

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

/* The HELO name as an identity of SPF, and what is odd about it. */
static json_t *helo_json(const struct judgement *v)
{
    json_t *out = spf_json(&v->helo);
    if (out)
        json_object_set_new(out, "note", json_string(v->helo_note));
    return out;
}

static json_t *iprev_json(const struct judge_iprev *v)
{
    return json_pack("{s:s, s:s, s:o}", "result", v->result, "reason", v->reason, "name", json_or_null(v->name));
}

/* The field as the door would write it, on one line. */
static json_t *field_json(const struct judge_settings *set, const struct judgement *v)
{
    struct buf field, line;
    buf_init(&field, 2 * AUTHRES_FIELD_MAX);
    buf_init(&line, 2 * AUTHRES_FIELD_MAX);
    if (judge_results(set, v, AUTHRES_FIELD_MAX, &field) == RC_OK)
        header_unfold(buf_view(&field), &line);
    json_t *out = json_or_null(buf_view(&line));
    buf_clear(&field);
    buf_clear(&line);
    return out;
}

static const char *dkim_reason(const struct dkim_verdict *v)
{
    return v->reason[0] || v->result != DKIM_PASS ? v->reason : "what was signed is unchanged";
}

static const char *arc_reason(const struct arc_verdict *v)
{
    if (v->reason[0])
        return v->reason;
    return v->n_sets > 0 ? "the seals are unbroken" : "the message has no ARC sets";
}

static json_t *dkim_json(const struct dkim_list *l)
{
    json_t *list = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const struct dkim_verdict *v = &l->verdicts[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:i, s:b, s:b}", "result", dkim_result_name(v->result),
                                              "reason", dkim_reason(v), "domain", json_or_null(v->domain), "selector",
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
    return json_pack("{s:s, s:s, s:i, s:i, s:o}", "result", arc_result_name(v->result), "reason", arc_reason(v), "sets",
                     (int)v->last_instance, "failed_at", (int)v->failed_at, "sealers", sealers);
}

static json_t *dmarc_json(const struct dmarc_verdict *v)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:s, s:b, s:b, s:s, s:o, s:o, s:o, s:o}", "result", dmarc_result_name(v->result),
                     "reason", app_json(v->reason), "policy", dmarc_policy_name(v->policy), "disposition",
                     dmarc_policy_name(v->disposition), "domain", json_or_null(v->author), "policy_domain",
                     json_or_null(v->policy_domain), "organizational_domain", json_or_null(v->organization), "discovery_method",
                     dmarc_method_name(v->method), "spf_aligned", (int)v->spf_aligned, "dkim_aligned", (int)v->dkim_aligned, "override",
                     dmarc_override_name(v->override), "override_comment", json_or_null(v->override_comment), "record", json_or_null(v->record.text), "notes",
                     json_or_null(v->record.notes), "difference", json_or_null(v->difference));
}

json_t *check_json(const struct judge_settings *set, const struct judgement *v)
{
    json_t *out = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "action", action_name(v->action), "action_reason", json_or_null(v->text),
                            "spf", spf_json(&v->spf), "dkim", dkim_json(&v->dkim), "arc", arc_json(&v->arc), "dmarc",
                            dmarc_json(&v->dmarc), "authentication_results", field_json(set, v));
    if (out && v->action == JUDGE_REJECT)
        json_object_set_new(out, "reply", json_pack("{s:i, s:s}", "code", v->code, "status", v->status));
    if (out && v->facts.helo.n > 0)
        json_object_set_new(out, "helo", helo_json(v));
    if (out && v->facts.ip.len > 0)
        json_object_set_new(out, "iprev", iprev_json(&v->iprev));
    return out;
}

/* --- for people --- */

static void print_spf(const char *what, const struct spf_verdict *v)
{
    printf("%-6s %s: %.*s\n", what, spf_result_name(v->result), VIEW_FMT(v->reason));
    for (const struct spf_step *s = v->steps; s; s = s->next)
        printf("       %*s%.*s %.*s: %.*s\n", (int)s->depth * 2, "", VIEW_FMT(s->domain), VIEW_FMT(s->term), VIEW_FMT(s->outcome));
    if (v->explanation.n > 0)
        printf("       %.*s explains: %.*s\n", VIEW_FMT(v->domain), VIEW_FMT(v->explanation));
}

static void print_dkim(const struct dkim_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct dkim_verdict *v = &list->verdicts[i];
        printf("dkim   %s: d=%.*s s=%.*s %s: %s\n", dkim_result_name(v->result), VIEW_FMT(v->domain), VIEW_FMT(v->selector),
               dkim_algorithm_name(v->algorithm), dkim_reason(v));
    }
    if (list->n_skipped > 0)
        printf("dkim   %zu further signature%s not looked at\n", list->n_skipped, PLURAL(list->n_skipped));
    else if (list->n == 0)
        printf("dkim   none: the message has no signature\n");
}

static void print_dmarc(const struct dmarc_verdict *v)
{
    printf("dmarc  %s: %.*s\n", dmarc_result_name(v->result), VIEW_FMT(v->reason));
    if (v->override != DMARC_NO_OVERRIDE)
        printf("       %s: %.*s\n", dmarc_override_name(v->override), VIEW_FMT(v->override_comment));
    if (v->record.notes.n > 0)
        printf("       in the record: %.*s\n", VIEW_FMT(v->record.notes));
    if (v->difference.n > 0)
        printf("       %.*s\n", VIEW_FMT(v->difference));
}

void check_print(const struct judgement *v)
{
    if (v->facts.ip.len > 0)
        printf("iprev  %s: %s%s%.*s\n", v->iprev.result, v->iprev.reason, v->iprev.name.n > 0 ? ": " : "", VIEW_FMT(v->iprev.name));
    print_spf("spf", &v->spf);
    if (v->facts.helo.n > 0 && v->spf.identity != SPF_HELO)
        print_spf("helo", &v->helo);
    if (v->facts.helo.n > 0 && v->helo_note[0])
        printf("       %s\n", v->helo_note);
    print_dkim(&v->dkim);
    printf("arc    %s: %s\n", arc_result_name(v->arc.result), arc_reason(&v->arc));
    print_dmarc(&v->dmarc);
    printf("action %s", action_name(v->action));
    if (v->action == JUDGE_REJECT)
        printf(": %d %s", v->code, v->status);
    printf("%s%.*s\n", v->text.n == 0 ? "" : v->action == JUDGE_REJECT ? " " : ": ", VIEW_FMT(v->text));
}

void check_line(const char *file, const struct judgement *v, struct buf *out)
{
    buf_printf(out, "%s: %s, spf %s, dkim ", file, action_name(v->action), spf_result_name(v->spf.result));
    for (size_t i = 0; i < v->dkim.n; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", dkim_result_name(v->dkim.verdicts[i].result));
    buf_printf(out, "%s, arc %s, dmarc %s: %.*s\n", v->dkim.n == 0 ? "none" : "", arc_result_name(v->arc.result),
               dmarc_result_name(v->dmarc.result), VIEW_FMT(v->dmarc.reason));
}
