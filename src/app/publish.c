#include "app/publish.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "app/own_records.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "dns/update.h"
#include "health/health_json.h"
#include "store/directory.h"
#include "store/directory_dkim.h"
#include "store/health_result.h"
#include "sys/worker.h"

#define MEMORY       (32u << 20)
#define SETTINGS_MAX (1u << 20)
#define DOMAINS_MAX  4096 /* whose last state is remembered */
#define ASK_MS       5000

bool publish_is_configured(const struct config *c)
{
    return c->dns_update.server.n > 0;
}

/* --- what is ours to say --- */

/* "v=spf1 ..." -> "v=spf1": records of one name for different purposes begin so. */
static const char *purpose_of(const struct records_row *row, struct arena *a)
{
    struct view v = view_str(row->value);
    view_take_chr(&v, '"');
    size_t n = 0;
    if (!view_eq(view_str(row->type), VIEW("TXT")) || !view_starts(v, VIEW("v=")))
        return "";
    while (n < v.n && v.p[n] != ' ' && v.p[n] != ';' && v.p[n] != '"')
        n++;
    return arena_cstr(a, view_slice(v, 0, n));
}

/* Keys, ids and certificates are known to us alone; all else may have been changed by the domain's owner for good reasons. */
static enum dns_update_rule rule_of(const struct records_row *row)
{
    const struct view name = view_str(row->name), type = view_str(row->type);
    if (view_eq(type, VIEW("TLSA")))
        return DNS_UPDATE_OURS;
    if (view_eq(type, VIEW("TXT")) && (view_find(name, VIEW("._domainkey.")) != VIEW_NONE || view_starts(name, VIEW("_mta-sts."))))
        return DNS_UPDATE_OURS;
    return DNS_UPDATE_GENTLE;
}

static enum rc add_row(struct dns_update_set *sets, size_t *n, const struct records_row *row, struct arena *a)
{
    const char *purpose = purpose_of(row, a);
    if (!purpose)
        return RC_TEMP;
    if (view_find(view_str(row->name), VIEW("._domainkey.")) != VIEW_NONE)
        purpose = ""; /* nothing else may stand there */
    for (size_t i = 0; i < *n; i++)
        if (strcmp(sets[i].name, row->name) == 0 && strcmp(sets[i].type, row->type) == 0 && strcmp(sets[i].purpose, purpose) == 0) {
            if (sets[i].n < DNS_UPDATE_VALUES_MAX)
                sets[i].values[sets[i].n++] = row->value;
            return RC_OK;
        }
    if (*n == DNS_UPDATE_SETS_MAX)
        return RC_LIMIT;
    sets[(*n)++] = (struct dns_update_set){.name = row->name, .type = row->type, .purpose = purpose, .values = {row->value}, .n = 1, .rule = rule_of(row)};
    return RC_OK;
}

/* Selectors whose keys have gone: their records go. */
static enum rc add_gone(struct dns_update_set *sets, size_t *n, struct store *store, struct view domain, struct arena *a)
{
    struct directory_dkim_key *keys;
    size_t n_keys;
    enum rc rc = directory_dkim_keys(store, domain, a, &keys, &n_keys);
    for (size_t i = 0; i < n_keys && rc == RC_OK && *n < DNS_UPDATE_SETS_MAX; i++) {
        if (keys[i].state != DKIM_KEY_GONE)
            continue;
        const char *name = arena_printf(a, "%.*s._domainkey.%.*s.", VIEW_FMT(keys[i].selector), VIEW_FMT(keys[i].domain));
        if (!name)
            return RC_TEMP;
        sets[(*n)++] = (struct dns_update_set){.name = name, .type = "TXT", .purpose = "", .rule = DNS_UPDATE_OURS};
    }
    return rc;
}

/* The longest zone of the settings that the domain is in; without any, the domain. */
static const char *zone_of(const struct config *c, struct view domain, struct arena *a)
{
    struct view best = domain;
    for (size_t i = 0, n = 0; i < c->dns_update.zones.n; i++) {
        struct view zone = c->dns_update.zones.v[i];
        bool in = view_iends(domain, zone) && (domain.n == zone.n || domain.p[domain.n - zone.n - 1] == '.');
        if (in && zone.n > n) {
            best = zone;
            n = zone.n;
        }
    }
    return arena_printf(a, "%.*s.", VIEW_FMT(best));
}

/* --- one domain --- */

static json_t *describe(const struct dns_update_set *sets, size_t n, const char *server, const char *zone, bool failed, const char *why)
{
    json_t *list = json_array();
    int changed = 0;
    for (size_t i = 0; i < n && !failed; i++) {
        changed += sets[i].outcome == DNS_UPDATE_CHANGED;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", sets[i].name, "type", sets[i].type, "outcome",
                                              dns_update_outcome_name(sets[i].outcome), "found",
                                              sets[i].found.n > 0 ? health_json_text(sets[i].found) : json_null()));
    }
    return json_pack("{s:b, s:s, s:s, s:o, s:i, s:o, s:o}", "configured", 1, "server", server, "zone", zone, "made", health_json_time(clock_real_s()),
                     "changed", changed, "error", failed ? json_string(why) : json_null(), "records", list);
}

enum rc publish_now(const struct publish_target *to, const struct records *records, struct store *store, struct view domain, struct arena *a,
                    json_t **out, bool *again)
{
    const struct config *c = to->config;
    const struct dns_update_server server = {.addr = c->dns_update.server.v[0], .key_name = c->dns_update.key_name,
                                             .algorithm = c->dns_update.key_algorithm, .secret = to->secret,
                                             .ttl_s = (unsigned)(c->dns_update.ttl / 1000)};
    struct dns_update_set *sets = arena_new_array(a, DNS_UPDATE_SETS_MAX, struct dns_update_set);
    const char *zone = zone_of(c, domain, a), *why = "there are too many records";
    char ip[ADDR_TEXT_MAX];
    size_t n = 0;
    enum rc rc = sets && zone ? RC_OK : RC_TEMP;
    *out = NULL;
    *again = false;
    for (size_t i = 0; i < records->n && rc == RC_OK; i++)
        rc = add_row(sets, &n, &records->rows[i], a);
    if (rc == RC_OK)
        rc = add_gone(sets, &n, store, domain, a);
    if (rc == RC_TEMP)
        return rc;
    if (rc == RC_OK)
        rc = dns_update_apply(&server, zone, sets, n, a, &why);
    *again = rc == RC_TEMP;
    addr_write(&server.addr, ip);
    *out = describe(sets, n, ip, zone, rc != RC_OK, why);
    if (rc != RC_OK)
        log_warn("dns.update.failed", F_VIEW("domain", domain), F_CSTR("server", ip), F_CSTR("zone", zone), F_CSTR("reason", why));
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        if (sets[i].outcome != DNS_UPDATE_SAME)
            log_info(sets[i].outcome == DNS_UPDATE_KEPT ? "dns.update.kept" : "dns.update.done", F_VIEW("domain", domain),
                     F_CSTR("name", sets[i].name), F_CSTR("type", sets[i].type));
    return *out ? RC_OK : RC_TEMP;
}

/* --- the thread --- */

struct remembered {
    uint8_t domain[SHA256_SIZE], state[SHA256_SIZE]; /* digests of its name, and of the records that were published last */
    int64_t next_ms, wait_ms;                        /* next_ms: unchanged ones again */
};
struct publish {
    struct store *store;
    struct vault *vault;
    struct dns *dns;
    void (*changed_fn)(void *ctx);
    void *ctx;
    struct worker worker;
    pthread_rwlock_t settings; /* guards all below */
    const struct config *config; /* NULL: not configured */
    char *secret;
    struct remembered *known;
    size_t n_known;
};

/* Only where DNSSEC proves the host's address (RFC 7672 §2.2). RC_TEMP: not all keys are known, and half of them would cut mail off. */
static enum rc find_tlsa(struct publish *p, const struct config *c, struct arena *a, struct records_tlsa *out)
{
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    *out = (struct records_tlsa){0};
    dns_addrs(p->dns, view_str(c->hostname), 0, deadline_in(ASK_MS), a, &answer, &addrs, &n);
    return n > 0 && answer.secure ? own_tlsa(c, p->vault, out) : RC_OK;
}

/* Under the settings' lock. */
static enum rc make_records(struct publish *p, struct view domain, struct arena *a, struct records *out)
{
    struct records_settings set;
    struct records_tlsa tlsa = {0};
    enum rc rc = own_records(p->config, a, &set);
    if (rc == RC_OK && records_has_host(&set, domain))
        rc = find_tlsa(p, p->config, a, &tlsa);
    return rc == RC_OK ? records_make(&set, &tlsa, p->store, domain, a, out) : rc;
}

static enum rc digest_records(const struct records *records, uint8_t out[SHA256_SIZE])
{
    struct buf b;
    buf_init(&b, 4u << 20);
    for (size_t i = 0; i < records->n; i++)
        records_write(&records->rows[i], &b);
    enum rc rc = buf_rc(&b) == RC_OK ? sha256(buf_view(&b), out) : RC_TEMP;
    buf_clear(&b);
    return rc;
}

static struct remembered *remember(struct publish *p, struct view domain)
{
    uint8_t name[SHA256_SIZE];
    if (sha256(domain, name) != RC_OK)
        return NULL;
    for (size_t i = 0; i < p->n_known; i++)
        if (memcmp(p->known[i].domain, name, sizeof name) == 0)
            return &p->known[i];
    if (p->n_known == DOMAINS_MAX)
        return NULL;
    struct remembered *k = &p->known[p->n_known++];
    *k = (struct remembered){.wait_ms = PUBLISH_RETRY_MS};
    memcpy(k->domain, name, sizeof name);
    return k;
}

/* The pages show what came of it. */
static void keep_result(struct publish *p, struct view domain, json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);
    if (text) {
        const struct view v = view_str(text);
        const struct health_result r = {.kind = HEALTH_ASK_PUBLISH, .domain = domain, .made_s = clock_real_s(), .text = {v, v}};
        health_result_put(p->store, &r);
    }
    free(text);
}

static void look_at(struct publish *p, struct view domain, struct arena *a)
{
    struct remembered *k = remember(p, domain);
    struct records records;
    uint8_t state[SHA256_SIZE];
    json_t *j = NULL;
    bool again;
    const struct publish_target to = {p->config, p->secret};
    if (!k || make_records(p, domain, a, &records) != RC_OK || digest_records(&records, state) != RC_OK)
        return;
    if (clock_mono_ms() < k->next_ms && memcmp(k->state, state, sizeof state) == 0)
        return;
    enum rc rc = publish_now(&to, &records, p->store, domain, a, &j, &again);
    const bool done = rc == RC_OK && json_is_null(json_object_get(j, "error"));
    if (rc == RC_OK)
        keep_result(p, domain, j);
    if (done && p->changed_fn && json_integer_value(json_object_get(j, "changed")) > 0)
        p->changed_fn(p->ctx);
    json_decref(j);
    memcpy(k->state, state, sizeof state);
    k->next_ms = deadline_in(done ? PUBLISH_AGAIN_MS : k->wait_ms);
    k->wait_ms = done ? PUBLISH_RETRY_MS : k->wait_ms < PUBLISH_RETRY_MAX_MS / 2 ? 2 * k->wait_ms : PUBLISH_RETRY_MAX_MS;
}

static void look_at_all(struct publish *p, struct arena *a)
{
    struct view *domains;
    size_t n;
    if (directory_domains(p->store, a, &domains, &n) != RC_OK)
        return;
    struct arena one;
    arena_init(&one, MEMORY);
    for (size_t i = 0; i < n && !p->worker.stop; i++) {
        pthread_rwlock_rdlock(&p->settings);
        if (p->config)
            look_at(p, domains[i], &one);
        pthread_rwlock_unlock(&p->settings);
        arena_reset(&one);
    }
    arena_clear(&one);
}

static void run(void *arg)
{
    struct publish *p = arg;
    struct arena a;
    arena_init(&a, MEMORY);
    for (int64_t until_ms = 0; worker_rest(&p->worker, until_ms, NULL); until_ms = deadline_in(PUBLISH_LOOK_MS)) {
        look_at_all(p, &a);
        arena_reset(&a);
    }
    arena_clear(&a);
}

/* --- what others call --- */

static enum rc take_settings(struct publish *p, const struct publish_settings *set)
{
    char *secret = strndup(set->secret.p ? set->secret.p : "", set->secret.n);
    if (!secret)
        return RC_TEMP;
    pthread_rwlock_wrlock(&p->settings); /* waits for the update under way */
    char *old = p->secret;
    if (old)
        explicit_bzero(old, strlen(old));
    p->config = publish_is_configured(set->config) ? set->config : NULL;
    p->secret = secret;
    for (size_t i = 0; i < p->n_known; i++) { /* perhaps the new settings are why it works now */
        p->known[i].next_ms = 0;
        p->known[i].wait_ms = PUBLISH_RETRY_MS;
    }
    pthread_rwlock_unlock(&p->settings);
    free(old);
    return RC_OK;
}

enum rc publish_new(const struct publish_settings *set, struct publish **out)
{
    struct publish *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return RC_TEMP;
    p->store = set->store;
    p->vault = set->vault;
    p->dns = set->dns;
    p->changed_fn = set->changed;
    p->ctx = set->ctx;
    p->known = calloc(DOMAINS_MAX, sizeof *p->known);
    worker_init(&p->worker);
    pthread_rwlock_init(&p->settings, NULL);
    enum rc rc = p->known ? take_settings(p, set) : RC_TEMP;
    if (rc == RC_OK)
        rc = worker_start(&p->worker, "publish", run, p);
    if (rc != RC_OK)
        publish_free(p);
    else
        *out = p;
    return rc;
}

enum rc publish_reload(struct publish *p, const struct publish_settings *set)
{
    enum rc rc = take_settings(p, set);
    publish_wake(p);
    return rc;
}

void publish_wake(struct publish *p)
{
    worker_call(&p->worker);
}

enum rc publish_domain(struct publish *p, struct view domain, struct arena *a, json_t **out)
{
    struct records records;
    bool again;
    *out = NULL;
    pthread_rwlock_rdlock(&p->settings);
    const struct publish_target to = {p->config, p->secret};
    enum rc rc = p->config ? make_records(p, domain, a, &records) : RC_NOTFOUND;
    if (rc == RC_OK)
        rc = publish_now(&to, &records, p->store, domain, a, out, &again);
    pthread_rwlock_unlock(&p->settings);
    return rc;
}

void publish_free(struct publish *p)
{
    if (!p)
        return;
    worker_clear(&p->worker);
    if (p->secret)
        explicit_bzero(p->secret, strlen(p->secret));
    free(p->secret);
    free(p->known);
    pthread_rwlock_destroy(&p->settings);
    free(p);
}
