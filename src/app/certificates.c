#include "app/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "store/challenge.h"
#include "store/directory.h"
#include "sys/worker.h"

#define MEMORY      (64u << 20)
#define NAME_MAX_N  256
#define TLSA_ASK_MS 10000
#define LAST_PART   12 /* of a certificate's life: then it is renewed whatever the DNS shows */

/* What is known of one name between looks. */
struct keeping {
    struct keeping *next;
    char name[NAME_MAX_N], key[NAME_MAX_N + 8];
    int64_t next_try_ms, next_suggestion_ms; /* monotonic */
    int64_t renew_s;                         /* suggested; 0: not asked yet, or nothing was suggested */
    int64_t from_s, until_s;                 /* of the certificate in use; 0: none */
    bool is_own;                             /* its key is in the vault, not in a file */
    unsigned failures;
    bool tls_first;                          /* changes with each failure: one port may be closed where the other is open */
    uint8_t tlsa_key[SHA256_SIZE];           /* whose record was seen since... */
    int64_t tlsa_seen_ms;                    /* 0: not yet */
    uint32_t tlsa_ttl_s;                     /* the longest since: what a cache gives is what is left of it */
    int64_t tell_ms;                         /* when to log again that it is awaited */
};
struct certificates {
    struct certificates_settings set;
    struct arena texts;
    struct worker worker;
    struct keeping *names; /* the worker's alone */
};

/* --- challenges --- */

/* Where the store keeps it. */
static const char *place_of(enum acme_way way, struct view token_or_name, char out[NAME_MAX_N])
{
    snprintf(out, NAME_MAX_N, "%s%.*s", way == ACME_TLS ? CHALLENGE_TLS : "", VIEW_FMT(token_or_name));
    return out;
}

static enum rc publish(void *ctx, enum acme_way way, struct view token_or_name, struct view answer)
{
    struct certificates *c = ctx;
    char place[NAME_MAX_N];
    return challenge_put(c->set.store, view_str(place_of(way, token_or_name, place)), answer);
}

static void withdraw(void *ctx, enum acme_way way, struct view token_or_name)
{
    struct certificates *c = ctx;
    char place[NAME_MAX_N];
    enum rc rc = challenge_remove(c->set.store, view_str(place_of(way, token_or_name, place)));
    if (rc != RC_OK)
        log_warn("acme.challenge.failed", F_CSTR("reason", rc_name(rc))); /* it goes with a later one */
}

static struct acme_settings acme_settings_of(struct certificates *c)
{
    return (struct acme_settings){.directory = c->set.directory,
                                  .contact = c->set.contact,
                                  .eab_key_id = c->set.eab_key_id,
                                  .eab_key = c->set.eab_key,
                                  .vault = c->set.vault,
                                  .dns = c->set.dns,
                                  .trust = c->set.trust,
                                  .publish = publish,
                                  .withdraw = withdraw,
                                  .ctx = c,
                                  .by_http = c->set.http,
                                  .by_tls = c->set.https,
                                  .stop = &c->worker.stop};
}

/* --- one name --- */

/* The chain that serves this name: the first that an authority has issued for it. NULL: none. */
static const char *find_chain(const char *const *chains, const char *name, struct acme_certificate *facts)
{
    for (size_t i = 0; chains[i]; i++) {
        struct view pem = view_str(chains[i]);
        if (acme_certificate_read(pem, facts) == RC_OK && !facts->self_signed && acme_certificate_covers(pem, name))
            return chains[i];
    }
    return NULL;
}

/* A moment of the suggested window, another one for each server. */
static void ask_when(struct certificates *c, struct keeping *k, const char *chain)
{
    const struct acme_settings set = acme_settings_of(c);
    int64_t start, end;
    if (clock_mono_ms() < k->next_suggestion_ms)
        return;
    k->next_suggestion_ms = deadline_in(CERTIFICATES_SUGGEST_MS);
    if (acme_renewal_window(&set, view_str(chain), deadline_in(CERTIFICATES_ORDER_MS), &start, &end) != RC_OK)
        return;
    if (k->renew_s < start || k->renew_s >= end)
        k->renew_s = start + (int64_t)(random_u64() % (uint64_t)(end - start));
}

static bool has_serving_key(struct certificates *c, const struct keeping *k)
{
    struct buf spki;
    buf_init(&spki, 1024);
    enum rc rc = vault_key_public(c->set.vault, view_str(k->key), TLS_KEY_SERVING, &spki);
    buf_clear(&spki);
    return rc == RC_OK;
}

static bool is_due(struct certificates *c, struct keeping *k, const char *const *chains)
{
    struct acme_certificate facts;
    const char *chain = find_chain(chains, k->name, &facts);
    int64_t now = clock_real_s();
    if (!chain)
        return true;
    if (k->until_s != facts.until_s) { /* another one since */
        k->from_s = facts.from_s;
        k->until_s = facts.until_s;
        k->is_own = has_serving_key(c, k);
        k->renew_s = 0;
        k->next_suggestion_ms = 0;
    }
    ask_when(c, k, chain);
    int64_t third = facts.until_s - (facts.until_s - facts.from_s) / 3;
    return now >= (k->renew_s > 0 ? k->renew_s : third);
}

/* --- TLSA records (RFC 7671 §8.1): the next key is published before it serves --- */

/* Makes it when there is none, so that `facteur dns` can tell it long before. */
static enum rc next_key(struct certificates *c, const struct keeping *k, uint8_t out[SHA256_SIZE])
{
    struct buf spki;
    buf_init(&spki, 1024);
    enum rc rc = vault_key_public(c->set.vault, view_str(k->key), TLS_KEY_NEXT, &spki);
    if (rc == RC_OK)
        rc = sha256(buf_view(&spki), out);
    buf_clear(&spki);
    return rc;
}

/* A record that the next certificate will fit: its key, or an authority's (usage 2), which is the operator's to choose. */
static bool fits_next(const struct dns_tlsa *t, const uint8_t next[SHA256_SIZE])
{
    bool is_next = t->usage == 3 && t->selector == 1 && t->matching == 1 && view_eq(t->data, view_of(next, SHA256_SIZE));
    return is_next || t->usage == 2;
}

/* The DNS tells nobody to hold us to another key, and has not for two lives of what caches keep. */
static bool dns_is_ready(struct certificates *c, struct keeping *k, const uint8_t next[SHA256_SIZE])
{
    struct dns_answer answer;
    struct dns_tlsa *tlsa;
    struct arena a;
    size_t n;
    bool fits = false;
    arena_init(&a, 1 << 20);
    const char *name = arena_printf(&a, "_25._tcp.%s", k->name);
    dns_tlsa(c->set.dns, view_str(name ? name : ""), deadline_in(TLSA_ASK_MS), &a, &answer, &tlsa, &n);
    bool asked = answer.status == DNS_OK || answer.status == DNS_NODATA || answer.status == DNS_NXDOMAIN;
    bool bound = !asked || (n > 0 && answer.secure);
    for (size_t i = 0; i < n; i++)
        fits |= fits_next(&tlsa[i], next);
    uint32_t ttl = answer.ttl_s;
    arena_clear(&a);
    if (!bound)
        return true;
    if (!asked || !fits) {
        int64_t wait_ms = 1000 * ((int64_t)ttl + 1); /* then the resolver may know better */
        k->tlsa_seen_ms = 0;
        k->next_try_ms = deadline_in(wait_ms < CERTIFICATES_LOOK_MS ? wait_ms : CERTIFICATES_LOOK_MS);
        return false;
    }
    if (k->tlsa_seen_ms == 0 || memcmp(k->tlsa_key, next, SHA256_SIZE) != 0) {
        memcpy(k->tlsa_key, next, SHA256_SIZE);
        k->tlsa_seen_ms = clock_mono_ms();
        k->tlsa_ttl_s = ttl;
        k->next_try_ms = deadline_in(1000 * ((int64_t)ttl + 1)); /* then it is asked for anew, and the whole time to live is seen */
        return false;
    }
    if (ttl > k->tlsa_ttl_s)
        k->tlsa_ttl_s = ttl;
    k->next_try_ms = k->tlsa_seen_ms + 2000 * ((int64_t)k->tlsa_ttl_s + 1); /* RFC 7671 §8.1 */
    return clock_mono_ms() >= k->next_try_ms;
}

/* With which key; false: not now. A certificate about to end is renewed with the key that everybody knows. */
static bool choose_key(struct certificates *c, struct keeping *k, enum tls_key_which *which)
{
    uint8_t next[SHA256_SIZE];
    *which = TLS_KEY_NEXT;
    if (next_key(c, k, next) != RC_OK)
        return false;
    if (dns_is_ready(c, k, next))
        return true;
    *which = TLS_KEY_SERVING;
    if (k->is_own && k->until_s > 0 && clock_real_s() > k->until_s - (k->until_s - k->from_s) / LAST_PART)
        return true;
    if (k->tlsa_seen_ms == 0 && clock_mono_ms() >= k->tell_ms) {
        k->tell_ms = deadline_in(CERTIFICATES_TELL_MS);
        log_warn("acme.tlsa.awaited", F_CSTR("name", k->name),
                 F_CSTR("reason", "the TLSA records do not show the next key: see `facteur dns`"));
    }
    return false;
}

/* True: there is a new certificate. */
static bool obtain(struct certificates *c, struct keeping *k)
{
    struct acme_settings set = acme_settings_of(c);
    const struct view name = view_str(k->name);
    struct acme_result result;
    enum tls_key_which which;
    uint8_t next[SHA256_SIZE];
    if (!choose_key(c, k, &which))
        return false;
    set.tls_first = k->tls_first;
    enum rc rc = acme_obtain(&set, view_str(k->key), which, &name, 1, deadline_in(CERTIFICATES_ORDER_MS), &result);
    if (rc == RC_OK) {
        log_info("acme.certificate.new", F_CSTR("name", k->name), F_CSTR("directory", c->set.directory));
        k->failures = 0;
        if (next_key(c, k, next) != RC_OK) /* made at the next look then */
            log_warn("acme.key.failed", F_CSTR("name", k->name));
        return true;
    }
    if (atomic_load(&c->worker.stop))
        return false;
    int64_t wait = CERTIFICATES_RETRY_S;
    for (unsigned i = 0; i < k->failures && wait < CERTIFICATES_RETRY_MAX_S; i++)
        wait *= 2;
    if (wait < result.retry_after_s)
        wait = result.retry_after_s;
    if (wait > CERTIFICATES_RETRY_MAX_S)
        wait = CERTIFICATES_RETRY_MAX_S;
    k->failures++;
    k->tls_first = !k->tls_first;
    k->next_try_ms = deadline_in(wait * 1000);
    log_error("acme.certificate.failed", F_CSTR("name", k->name), F_CSTR("reason", result.why), F_INT("again_s", wait));
    return false;
}

/* --- which names --- */

static struct keeping *keep_name(struct certificates *c, const char *key, const char *name)
{
    struct keeping *k = c->names;
    while (k && strcmp(k->name, name) != 0)
        k = k->next;
    if (!k && strlen(name) < NAME_MAX_N && (k = calloc(1, sizeof *k))) {
        memcpy(k->name, name, strlen(name));
        snprintf(k->key, sizeof k->key, "%s %s", key, name);
        k->next = c->names;
        c->names = k;
    }
    return k;
}

static bool has_address(struct certificates *c, const char *name, struct arena *a)
{
    struct dns_answer answer;
    struct addr *addrs;
    size_t n;
    dns_addrs(c->set.dns, view_str(name), 0, deadline_in(10000), a, &answer, &addrs, &n);
    return n > 0;
}

/* Names sort by their keys in the vault, and the first chain is for clients that name no host: "cert" goes before "name". */
static bool look_at(struct certificates *c, const char *key, const char *name, const char *const *chains)
{
    struct keeping *k = keep_name(c, key, name);
    return k && !atomic_load(&c->worker.stop) && clock_mono_ms() >= k->next_try_ms && is_due(c, k, chains) && obtain(c, k);
}

static void look_at_all(struct certificates *c)
{
    const char *const *chains;
    struct view *domains;
    struct arena a;
    size_t n = 0;
    bool any;
    arena_init(&a, MEMORY);
    enum rc rc = vault_tls_chains(c->set.vault, &a, &chains);
    if (rc == RC_OK)
        rc = directory_domains(c->set.store, &a, &domains, &n);
    if (rc != RC_OK) { /* next time */
        arena_clear(&a);
        return;
    }
    any = look_at(c, "cert", c->set.hostname, chains);
    for (size_t i = 0; c->set.https && i < n; i++) {
        const char *name = arena_printf(&a, "mta-sts.%.*s", VIEW_FMT(domains[i]));
        if (name && has_address(c, name, &a))
            any |= look_at(c, "name", name, chains);
    }
    arena_clear(&a);
    if (any)
        c->set.changed(c->set.ctx);
}

/* When something may be due: what waits for the DNS does not wait for long. */
static int64_t next_look(const struct certificates *c)
{
    int64_t next = deadline_in(CERTIFICATES_LOOK_MS), now = clock_mono_ms();
    for (const struct keeping *k = c->names; k; k = k->next)
        if (k->next_try_ms > now && k->next_try_ms < next)
            next = k->next_try_ms;
    return next;
}

static void run(void *arg)
{
    struct certificates *c = arg;
    for (int64_t until_ms = 0; worker_rest(&c->worker, until_ms, NULL); until_ms = next_look(c))
        look_at_all(c);
}

/* --- life --- */

static enum rc copy_settings(struct certificates *c, const struct certificates_settings *set)
{
    const char *texts[] = {set->directory, set->contact, set->eab_key_id, set->hostname};
    const char **to[] = {&c->set.directory, &c->set.contact, &c->set.eab_key_id, &c->set.hostname};
    c->set = *set;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i] && !(*to[i] = arena_printf(&c->texts, "%s", texts[i])))
            return RC_TEMP;
    return view_dup(&c->texts, set->eab_key, &c->set.eab_key);
}

static enum rc begin(struct certificates *c)
{
    return c->set.directory ? worker_start(&c->worker, "acme", run, c) : RC_OK;
}

enum rc certificates_new(const struct certificates_settings *set, struct certificates **out)
{
    struct certificates *c = calloc(1, sizeof *c);
    if (!c)
        return RC_TEMP;
    worker_init(&c->worker);
    arena_init(&c->texts, 1 << 20);
    enum rc rc = copy_settings(c, set);
    if (rc == RC_OK)
        rc = begin(c);
    if (rc != RC_OK)
        certificates_free(c);
    else
        *out = c;
    return rc;
}

/* What was put off is tried at once: perhaps the new settings are why it works now. */
enum rc certificates_reload(struct certificates *c, const struct certificates_settings *set)
{
    worker_end(&c->worker);
    for (struct keeping *k = c->names; k; k = k->next) {
        k->next_try_ms = 0;
        k->failures = 0;
    }
    arena_reset(&c->texts);
    enum rc rc = copy_settings(c, set);
    return rc == RC_OK ? begin(c) : rc;
}

void certificates_free(struct certificates *c)
{
    if (!c)
        return;
    worker_clear(&c->worker);
    for (struct keeping *k; (k = c->names);) {
        c->names = k->next;
        free(k);
    }
    arena_clear(&c->texts);
    free(c);
}
