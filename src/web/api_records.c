/* The records that a domain should publish, and whether the DNS shows them. */
#include "web/api_health.h"
#include "web/records_json.h"

#define ZONE_MAX (1u << 20) /* bytes as a zone file */

json_t *records_json(const struct records *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", r->rows[i].name, "type", r->rows[i].type, "value", r->rows[i].value));
    return list;
}

/* Did the doctor find the MX and its host proven by DNSSEC when it last looked? Else nobody may believe TLSA records (RFC 7672 §2.2). */
static bool is_proven(struct api_call *c, struct view domain)
{
    struct health_result r;
    struct arena a;
    json_t *j = NULL;
    size_t i;
    const json_t *point;
    bool proven = false;

    arena_init(&a, 4u << 20);
    if (health_result_get(c->store, HEALTH_ASK_DOCTOR, domain, &a, &r) == RC_OK && r.text[LANG_EN].n > 0)
        j = json_loadb(r.text[LANG_EN].p, r.text[LANG_EN].n, 0, NULL);
    json_array_foreach(json_object_get(j, "points"), i, point) {
        const char *id = json_string_value(json_object_get(point, "id")), *mark = json_string_value(json_object_get(point, "mark"));
        proven |= id && mark && strcmp(id, "dnssec.mx") == 0 && strcmp(mark, "good") == 0;
    }
    json_decref(j);
    arena_clear(&a);
    return proven;
}

/* Those of the path's domain; else refused. */
static bool find_records(struct api_call *c, struct records *out)
{
    struct directory_domain d;
    if (!api_path_domain(c, &d))
        return false;
    const bool tlsa = c->set->tlsa.n > 0 && records_has_host(&c->set->records, d.name) && is_proven(c, d.name);
    enum rc rc = records_make(&c->set->records, tlsa ? &c->set->tlsa : NULL, c->store, d.name, c->arena, out);
    if (rc != RC_OK)
        api_refuse_rc(c, rc);
    return rc == RC_OK;
}

static void get_records(struct api_call *c)
{
    struct records r;
    struct buf zone;
    if (!find_records(c, &r))
        return;
    buf_init(&zone, ZONE_MAX);
    for (size_t i = 0; i < r.n; i++)
        records_write(&r.rows[i], &zone);
    api_reply(c, json_pack("{s:o, s:o}", "records", records_json(&r), "zone", buf_rc(&zone) == RC_OK ? api_view(buf_view(&zone)) : NULL));
    buf_clear(&zone);
}

static void get_status(struct api_call *c)
{
    struct records r;
    if (find_records(c, &r))
        api_records_status(c, c->args[0], json_pack("{s:o}", "records", records_json(&r)));
}

const struct api_route api_records_routes[] = {
    {"GET", "/domains/{domain}/records", API_OWNER, get_records},
    {"GET", "/domains/{domain}/records/status", API_OWNER, get_status},
    {NULL},
};
