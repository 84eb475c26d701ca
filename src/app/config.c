#include "app/config.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "policy/judge.h"
#include "report/plan.h"

#define CONFIG_ARENA (8u << 20)
#define DAY_MS       (24 * 3600 * 1000LL)

/* How the text of a value becomes a field of struct config. Every option is a string to libconfuse, so that all values
 * pass through here and errors carry our words with its line number. */
enum kind {
    KIND_TEXT,
    KIND_HOSTNAME,
    KIND_PATH,
    KIND_PATHS,
    KIND_NAMES_ONLY, /* one of a fixed set: `only` */
    KIND_LEVEL,
    KIND_FLAG,
    KIND_NUMBER,
    KIND_SIZE,
    KIND_TIME,
    KIND_TIMES,
    KIND_NETS,
    KIND_ADDRS,  /* endpoints; `min` is the port where none is given */
    KIND_LISTEN, /* endpoint of service `min` */
    KIND_RELAY_HOST,
    KIND_DOMAINS,
    KIND_LINE,     /* words for people */
    KIND_ADDRESS,
    KIND_PARTIES,  /* domains and addresses */
    KIND_DESTINATIONS,
    KIND_DMARC_METHOD,
    KIND_END, /* END_MARK was seen */
};
struct key {
    const char *section; /* "" for the top */
    const char *name;
    enum kind kind;
    bool list;
    size_t offset;
    uint64_t min, max;
    const char *only;
};
/* libconfuse takes the end of the file for a missing brace. So a setting of our own follows the text: where it is
 * not met at the top, something above was not closed. */
#define END_MARK "end-of-file"
#define AT(field) offsetof(struct config, field)

static const struct key keys[] = {
    {"", END_MARK, KIND_END, false, 0},
    {"", "hostname", KIND_HOSTNAME, false, AT(hostname)},
    {"", "data", KIND_PATH, false, AT(data)},
    {"", "user", KIND_TEXT, false, AT(user)},
    {"", "vault-user", KIND_TEXT, false, AT(vault_user)},
    {"", "store", KIND_NAMES_ONLY, false, AT(store), .only = "sqlite"},
    {"", "blobs", KIND_NAMES_ONLY, false, AT(blobs), .only = "segments"},
    {"", "log-level", KIND_LEVEL, false, AT(log_level)},
    {"", "relay-from", KIND_NETS, true, AT(relay_from)},
    {"", "relay-any-sender", KIND_FLAG, false, AT(relay_any_sender)},
    {"", "proxy-from", KIND_NETS, true, AT(proxy_from)},
    {"", "plaintext-login", KIND_FLAG, false, AT(plaintext_login)},
    {"log", "keep", KIND_TIME, false, AT(log.keep), 3600 * 1000, 3650 * DAY_MS},
    {"log", "size", KIND_SIZE, false, AT(log.size), 0, 1ull << 40},
    {"listen", "smtp", KIND_LISTEN, true, 0, SERVICE_SMTP},
    {"listen", "submission", KIND_LISTEN, true, 0, SERVICE_SUBMISSION},
    {"listen", "submissions", KIND_LISTEN, true, 0, SERVICE_SUBMISSIONS},
    {"listen", "imap", KIND_LISTEN, true, 0, SERVICE_IMAP},
    {"listen", "imaps", KIND_LISTEN, true, 0, SERVICE_IMAPS},
    {"listen", "pop3", KIND_LISTEN, true, 0, SERVICE_POP3},
    {"listen", "pop3s", KIND_LISTEN, true, 0, SERVICE_POP3S},
    {"listen", "sieve", KIND_LISTEN, true, 0, SERVICE_SIEVE},
    {"listen", "http", KIND_LISTEN, true, 0, SERVICE_HTTP},
    {"listen", "https", KIND_LISTEN, true, 0, SERVICE_HTTPS},
    {"tls", "certificate", KIND_PATHS, true, AT(tls.certificate)},
    {"tls", "key", KIND_PATHS, true, AT(tls.key)},
    {"tls", "trust", KIND_PATHS, true, AT(tls.trust)},
    {"tls", "client-trust", KIND_PATH, false, AT(tls.client_trust)},
    {"acme", "directory", KIND_TEXT, false, AT(acme.directory)},
    {"acme", "contact", KIND_TEXT, false, AT(acme.contact)},
    {"acme", "eab-key-id", KIND_TEXT, false, AT(acme.eab_key_id)},
    {"acme", "eab-key-file", KIND_PATH, false, AT(acme.eab_key_file)},
    {"dns", "servers", KIND_ADDRS, true, AT(dns.servers), 53},
    {"dns", "trust-anchor", KIND_PATH, false, AT(dns.trust_anchor)},
    {"outbound", "bind", KIND_ADDRS, true, AT(outbound.bind), 0},
    {"outbound", "port", KIND_NUMBER, false, AT(outbound.port), 1, 65535},
    {"outbound", "connections", KIND_NUMBER, false, AT(outbound.connections), 1, 10000},
    {"outbound", "connections-per-destination", KIND_NUMBER, false, AT(outbound.per_destination), 1, 1000},
    {"outbound", "destination", KIND_DESTINATIONS, true, AT(outbound.destinations)},
    {"relay", "host", KIND_RELAY_HOST, false, AT(relay.host)},
    {"relay", "username", KIND_TEXT, false, AT(relay.username)},
    {"relay", "password-file", KIND_PATH, false, AT(relay.password_file)},
    {"limits", "message-size", KIND_SIZE, false, AT(limits.message_size), 1024, 1ull << 30},
    {"limits", "recipients", KIND_NUMBER, false, AT(limits.recipients), 1, 100000},
    {"limits", "connections-per-address", KIND_NUMBER, false, AT(limits.connections_per_address), 1, 1000000},
    {"limits", "connections", KIND_NUMBER, false, AT(limits.connections), 1, 1000000},
    {"limits", "workers", KIND_NUMBER, false, AT(limits.workers), 1, 10000},
    {"limits", "keep-deleted", KIND_TIME, false, AT(limits.keep_deleted), 0, 365 * DAY_MS},
    {"authentication", "check", KIND_FLAG, false, AT(authentication.check)},
    {"authentication", "enforce", KIND_FLAG, false, AT(authentication.enforce)},
    {"authentication", "arc", KIND_FLAG, false, AT(authentication.arc)},
    {"authentication", "time-limit", KIND_TIME, false, AT(authentication.time_limit), 100, 5 * 60 * 1000},
    {"authentication", "trusted-sealers", KIND_DOMAINS, true, AT(authentication.trusted_sealers)},
    {"authentication", "trusted-forwarders", KIND_NETS, true, AT(authentication.trusted_forwarders)},
    {"authentication", "organizational-domain", KIND_DMARC_METHOD, false, AT(authentication.organizational_domain)},
    {"health", "blocklists", KIND_DOMAINS, true, AT(health.blocklists)},
    {"dns-update", "server", KIND_ADDRS, true, AT(dns_update.server), 53},
    {"dns-update", "zones", KIND_DOMAINS, true, AT(dns_update.zones)},
    {"dns-update", "key-name", KIND_TEXT, false, AT(dns_update.key_name)},
    {"dns-update", "key-algorithm", KIND_TEXT, false, AT(dns_update.key_algorithm)},
    {"dns-update", "key-file", KIND_PATH, false, AT(dns_update.key_file)},
    {"dns-update", "ttl", KIND_TIME, false, AT(dns_update.ttl), 1000, 7 * DAY_MS},
    {"bimi", "check", KIND_FLAG, false, AT(bimi.check)},
    {"bimi", "roots", KIND_PATH, false, AT(bimi.roots)},
    {"reports", "aggregate", KIND_FLAG, false, AT(reports.aggregate)},
    {"reports", "failure", KIND_FLAG, false, AT(reports.failure)},
    {"reports", "ask-failure", KIND_FLAG, false, AT(reports.ask_failure)},
    {"reports", "tls", KIND_FLAG, false, AT(reports.tls)},
    {"reports", "from", KIND_ADDRESS, false, AT(reports.from)},
    {"reports", "organization", KIND_LINE, false, AT(reports.organization)},
    {"reports", "contact", KIND_LINE, false, AT(reports.contact)},
    {"reports", "never", KIND_PARTIES, true, AT(reports.never)},
    {"reports", "per-day", KIND_NUMBER, false, AT(reports.per_day), 1, 1000000},
    {"reports", "per-destination", KIND_NUMBER, false, AT(reports.per_destination), 1, 1000000},
    {"reports", "country-file", KIND_PATH, false, AT(reports.country_file)},
    {"reports", "failures-per-domain", KIND_NUMBER, false, AT(reports.failures_per_domain), 1, 1000},
    {"web", "webhooks-private", KIND_FLAG, false, AT(web.webhooks_private)},
    {"web", "metrics-from", KIND_NETS, true, AT(web.metrics_from)},
    {"web", "proxies", KIND_NETS, true, AT(web.proxies)},
    {"web", "session-idle", KIND_TIME, false, AT(web.idle), 1000, 30 * DAY_MS},
    {"web", "session-longest", KIND_TIME, false, AT(web.longest), 1000, 365 * DAY_MS},
    {"queue", "retry", KIND_TIMES, true, AT(queue.retry), 10, 30 * DAY_MS},
    {"queue", "delay-notice", KIND_TIME, false, AT(queue.delay_notice), 10, 365 * DAY_MS},
    {"queue", "expire", KIND_TIME, false, AT(queue.expire), 10, 365 * DAY_MS},
};
#define N_KEYS (sizeof keys / sizeof *keys)

struct mistake {
    int line;
    const char *text;
};
struct parse {
    struct config *config;
    struct arena *arena;
    struct mistake mistakes[CONFIG_ERRORS_MAX];
    size_t n_mistakes;
    int set_at[N_KEYS];  /* line of its setting; 0: none */
    unsigned n_values[N_KEYS];
    const char *last_value[N_KEYS];
    bool twice[N_KEYS];  /* set again, and told */
    struct config_strings values[N_KEYS];
    int unknown_line;    /* libconfuse gave up here because of an unknown name */
    bool no_memory;
};
/* libconfuse hands no context to its callbacks. */
static _Thread_local struct parse *now;
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER; /* guards its scanner, of which there is one */

static const char *const service_names[SERVICE_COUNT] = {"smtp",  "submission", "submissions", "imap", "imaps",
                                                         "pop3",  "pop3s",      "sieve",       "http", "https"};

const char *config_service_name(enum config_service service)
{
    return service < SERVICE_COUNT ? service_names[service] : "?";
}

bool config_service_is_tls(enum config_service service)
{
    return service == SERVICE_SUBMISSIONS || service == SERVICE_IMAPS || service == SERVICE_POP3S || service == SERVICE_HTTPS;
}

/* --- values --- */

static enum rc number_with_unit(struct view v, const char *const *units, const uint64_t *factors, size_t n, uint64_t max,
                                uint64_t *out)
{
    uint64_t number;
    enum rc rc = view_u64(&v, UINT64_MAX, &number);
    if (rc != RC_OK)
        return rc;
    v = view_trim(v);
    for (size_t i = 0; i < n; i++) {
        if (!view_ieq(v, view_str(units[i])))
            continue;
        if (__builtin_mul_overflow(number, factors[i], out) || *out > max)
            return RC_LIMIT;
        return RC_OK;
    }
    return RC_SYNTAX;
}

enum rc config_size(struct view v, uint64_t max, uint64_t *out)
{
    static const char *const units[] = {"", "b", "kb", "mb", "gb"};
    static const uint64_t factors[] = {1, 1, 1ull << 10, 1ull << 20, 1ull << 30};
    return number_with_unit(v, units, factors, sizeof units / sizeof *units, max, out);
}

enum rc config_duration(struct view v, int64_t max_ms, int64_t *out_ms)
{
    static const char *const units[] = {"ms", "s", "min", "h", "d"};
    static const uint64_t factors[] = {1, 1000, 60 * 1000, 3600 * 1000, DAY_MS};
    uint64_t ms;
    enum rc rc = number_with_unit(v, units, factors, sizeof units / sizeof *units, (uint64_t)max_ms, &ms);
    if (rc == RC_OK)
        *out_ms = (int64_t)ms;
    return rc;
}

static void add_mistake(struct parse *p, int line, const char *text)
{
    if (!text)
        p->no_memory = true;
    else if (p->n_mistakes < CONFIG_ERRORS_MAX)
        p->mistakes[p->n_mistakes++] = (struct mistake){line, text};
}

/* Letters, digits, hyphens and dots; the rest is for DNS to say. */
static bool is_hostname(struct view v)
{
    if (v.n == 0 || v.n > 253 || view_starts(v, VIEW("-")) || view_starts(v, VIEW(".")) || view_find(v, VIEW("..")) != VIEW_NONE)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (!is_alnum((unsigned char)v.p[i]) && v.p[i] != '-' && v.p[i] != '.')
            return false;
    return true;
}

/* A path beside the configuration file. NULL: no memory. */
static const char *path_beside(struct parse *p, const char *value)
{
    struct view file = view_str(p->config->file);
    size_t slash = view_rchr(file, '/');
    if (*value == '/' || slash == VIEW_NONE)
        return arena_cstr(p->arena, view_str(value));
    return arena_printf(p->arena, "%.*s/%s", VIEW_FMT(view_slice(file, 0, slash)), value);
}

static bool take_number(const struct key *k, struct view v, uint32_t *out, const char **why)
{
    uint64_t n;
    if (!view_is_u64(v, UINT32_MAX, &n) || n < k->min || n > k->max) {
        *why = arena_printf(now->arena, "'%s' must be a number from %llu to %llu, not '%.*s'", k->name,
                            (unsigned long long)k->min, (unsigned long long)k->max, VIEW_FMT(v));
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool take_time(const struct key *k, struct view v, int64_t *out, const char **why)
{
    if (config_duration(v, (int64_t)k->max, out) == RC_OK && *out >= (int64_t)k->min)
        return true;
    if (k->max < DAY_MS)
        *why = arena_printf(now->arena, "'%s' must be a time such as 20s or 1min (at most %llu minutes), not '%.*s'", k->name,
                            (unsigned long long)k->max / 60000, VIEW_FMT(v));
    else
        *why = arena_printf(now->arena, "'%s' must be a time such as 30s, 5min, 4h or 5d (1s to %lld days), not '%.*s'", k->name,
                            (long long)(k->max / DAY_MS), VIEW_FMT(v));
    return false;
}

static bool take_size(const struct key *k, struct view v, uint64_t *out, const char **why)
{
    if (config_size(v, k->max, out) == RC_OK && *out >= k->min)
        return true;
    *why = arena_printf(now->arena, "'%s' must be a size such as 50mb (%llu kb to %llu mb), not '%.*s'", k->name,
                        (unsigned long long)k->min >> 10, (unsigned long long)k->max >> 20, VIEW_FMT(v));
    return false;
}

static bool take_flag(const struct key *k, struct view v, bool *out, const char **why)
{
    bool yes = view_ieq(v, VIEW("yes")) || view_ieq(v, VIEW("true")) || view_ieq(v, VIEW("on"));
    bool no = view_ieq(v, VIEW("no")) || view_ieq(v, VIEW("false")) || view_ieq(v, VIEW("off"));
    *out = yes;
    if (!yes && !no)
        *why = arena_printf(now->arena, "'%s' must be yes or no, not '%.*s'", k->name, VIEW_FMT(v));
    return yes || no;
}

static bool take_level(struct view v, enum log_level *out, const char **why)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < 4; i++) {
        if (view_ieq(v, view_str(names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    *why = "'log-level' must be debug, info, warn or error";
    return false;
}

/* "host", "host:587"; an IPv6 address has no place here: certificates name hosts. */
static bool take_relay_host(struct config *c, struct view v, const char **why)
{
    struct view host;
    uint64_t port = 587;
    bool has_port = view_split(&v, ':', &host);
    if (!is_hostname(host) || (has_port && (!view_is_u64(v, 65535, &port) || port == 0))) {
        *why = "'host' must be a host name, or host name and port such as \"smarthost.example:587\"";
        return false;
    }
    c->relay.host = arena_cstr(now->arena, host);
    c->relay.port = (uint32_t)port;
    return c->relay.host != NULL;
}

static bool take_addr(const struct key *k, struct view v, bool needs_port, struct addr *out, const char **why)
{
    if (addr_parse(v, out) == RC_OK)
        return true;
    if (!needs_port && addr_parse_ip(v, (unsigned)k->min, out) == RC_OK)
        return true;
    *why = arena_printf(now->arena, "'%s' must be an address%s such as \"127.0.0.2%s\" or \"[::1]%s\", not '%.*s'", k->name,
                        needs_port ? " and port" : "", needs_port ? ":25" : "", needs_port ? ":25" : "", VIEW_FMT(v));
    return false;
}

static bool take_net(const struct key *k, struct view v, struct addr_net *out, const char **why)
{
    if (addr_net_parse(v, out) == RC_OK)
        return true;
    *why = arena_printf(now->arena, "'%s' must be networks such as \"192.0.2.0/24\", not '%.*s'", k->name, VIEW_FMT(v));
    return false;
}

/* In the form in which domains are compared. */
static bool take_domain(const struct key *k, struct view v, struct view *out, const char **why)
{
    enum rc rc = is_hostname(v) || !view_is_ascii(v) ? dns_domain_ascii(v, now->arena, out) : RC_SYNTAX;
    if (rc == RC_SYNTAX)
        *why = arena_printf(now->arena, "'%s' must be domain names such as \"lists.example.org\", not '%.*s'", k->name, VIEW_FMT(v));
    return rc == RC_OK;
}

static bool take_line(const struct key *k, struct view v, const char **out, const char **why)
{
    bool good = v.n > 0 && v.n <= 200 && !view_has_ctl(v) && utf8_is_valid(v);
    if (!good)
        *why = arena_printf(now->arena, "'%s' must be one line of text, at most 200 bytes", k->name);
    *out = good ? arena_cstr(now->arena, v) : NULL;
    return *out != NULL;
}

/* One mailbox; *out with its domain as A-labels. */
static bool take_address(const struct key *k, struct view v, struct view *out, const char **why)
{
    size_t at = view_rchr(v, '@');
    struct view local = view_slice(v, 0, at == VIEW_NONE ? 0 : at), domain;
    bool good = local.n > 0 && local.n <= 64 && view_is_ascii(local) && dns_domain_ascii(view_from(v, at + 1), now->arena, &domain) == RC_OK &&
                is_hostname(domain);
    for (size_t i = 0; i < local.n && good; i++)
        good = is_alnum((unsigned char)local.p[i]) || view_chr(VIEW("!#$%&'*+-/=?^_`{|}~."), local.p[i]) != VIEW_NONE;
    if (!good) {
        *why = arena_printf(now->arena, "'%s' must be an address such as \"dmarc@example.org\", not '%.*s'", k->name, VIEW_FMT(v));
        return false;
    }
    *out = view_str(arena_printf(now->arena, "%.*s@%.*s", VIEW_FMT(local), VIEW_FMT(domain)));
    return out->n > 0;
}

static bool take_destination(struct view v, struct config_destination *out, const char **why)
{
    if (destination_parse(v, now->arena, out, why) != RC_OK)
        return false;
    if (!out->trust)
        return true;
    out->trust = path_beside(now, out->trust);
    return out->trust != NULL;
}

/* How DMARC finds the organizational domain. */
static bool take_dmarc_method(const struct key *k, struct view v, enum dmarc_method *out, const char **why)
{
    bool tree = view_ieq(v, VIEW("tree-walk")), psl = view_ieq(v, VIEW("public-suffix-list"));
    *out = psl ? DMARC_PSL : DMARC_TREEWALK;
    if (!tree && !psl)
        *why = arena_printf(now->arena, "'%s' must be \"tree-walk\" or \"public-suffix-list\", not '%.*s'", k->name, VIEW_FMT(v));
    return tree || psl;
}

/* A zeroed place at the end of a list. NULL: no memory. */
static void *list_push(void *list, size_t size)
{
    struct config_strings *l = list; /* all lists are a pointer and a count */
    if ((l->n & (l->n - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
        void *more = arena_array(now->arena, l->n ? l->n * 2 : 1, size);
        if (!more)
            return NULL;
        if (l->n > 0)
            memcpy(more, l->v, l->n * size);
        l->v = more;
    }
    return (char *)l->v + l->n++ * size;
}

/* A value of option k. False: *why says what is wrong; NULL there: no memory. */
static bool take_value(const struct key *k, const char *value, const char **why)
{
    struct config *c = now->config;
    struct view v = view_str(value);
    char *field = (char *)c + k->offset;

    switch (k->kind) {
    case KIND_TEXT:
        *why = v.n > 0 ? NULL : arena_printf(now->arena, "'%s' is empty", k->name);
        *(const char **)field = arena_cstr(now->arena, v);
        return v.n > 0 && *(const char **)field != NULL;
    case KIND_HOSTNAME:
        *why = is_hostname(v) ? NULL : arena_printf(now->arena, "'%s' must be a host name, not '%s'", k->name, value);
        *(const char **)field = arena_cstr(now->arena, v);
        return is_hostname(v) && *(const char **)field != NULL;
    case KIND_NAMES_ONLY:
        *why = arena_printf(now->arena, "'%s' can only be \"%s\" in this version, not '%s'", k->name, k->only, value);
        *(const char **)field = k->only;
        return view_eq(v, view_str(k->only));
    case KIND_PATH:
        *why = v.n > 0 ? NULL : arena_printf(now->arena, "'%s' is empty", k->name);
        *(const char **)field = path_beside(now, value);
        return v.n > 0 && *(const char **)field != NULL;
    case KIND_PATHS: {
        const char **path = list_push(field, sizeof *path);
        *why = v.n > 0 ? NULL : arena_printf(now->arena, "'%s' is empty", k->name);
        return v.n > 0 && path && (*path = path_beside(now, value)) != NULL;
    }
    case KIND_LEVEL: return take_level(v, (enum log_level *)field, why);
    case KIND_FLAG: return take_flag(k, v, (bool *)field, why);
    case KIND_NUMBER: return take_number(k, v, (uint32_t *)field, why);
    case KIND_SIZE: return take_size(k, v, (uint64_t *)field, why);
    case KIND_TIME: return take_time(k, v, (int64_t *)field, why);
    case KIND_TIMES: {
        int64_t *time = list_push(field, sizeof *time);
        return time && take_time(k, v, time, why);
    }
    case KIND_NETS: {
        struct addr_net *net = list_push(field, sizeof *net);
        return net && take_net(k, v, net, why);
    }
    case KIND_ADDRS: {
        struct addr *addr = list_push(field, sizeof *addr);
        return addr && take_addr(k, v, false, addr, why);
    }
    case KIND_LISTEN: {
        struct config_listener *l = list_push(&c->listen, sizeof *l);
        if (!l)
            return false;
        l->service = (enum config_service)k->min;
        return take_addr(k, v, true, &l->addr, why);
    }
    case KIND_DOMAINS: {
        struct view *domain = list_push(field, sizeof *domain);
        return domain && take_domain(k, v, domain, why);
    }
    case KIND_LINE: return take_line(k, v, (const char **)field, why);
    case KIND_ADDRESS: {
        struct view address;
        bool good = take_address(k, v, &address, why);
        *(const char **)field = good ? address.p : NULL;
        return good;
    }
    case KIND_PARTIES: {
        struct view *party = list_push(field, sizeof *party);
        return party && (view_chr(v, '@') == VIEW_NONE ? take_domain(k, v, party, why) : take_address(k, v, party, why));
    }
    case KIND_DESTINATIONS: {
        struct config_destination *d = list_push(field, sizeof *d);
        return d && take_destination(v, d, why);
    }
    case KIND_DMARC_METHOD: return take_dmarc_method(k, v, (enum dmarc_method *)field, why);
    case KIND_RELAY_HOST: return take_relay_host(c, v, why);
    case KIND_END: return true;
    }
    return false;
}

/* --- what people see --- */

static const char *type_name(enum kind kind)
{
    switch (kind) {
    case KIND_PATH:
    case KIND_PATHS: return "path";
    case KIND_FLAG: return "flag";
    case KIND_NUMBER: return "number";
    case KIND_SIZE: return "size";
    case KIND_TIME:
    case KIND_TIMES: return "time";
    case KIND_NETS:
    case KIND_ADDRS:
    case KIND_LISTEN: return "address";
    case KIND_HOSTNAME:
    case KIND_RELAY_HOST:
    case KIND_DOMAINS: return "name";
    default: return "text";
    }
}

static bool note_seen(struct parse *p)
{
    struct config *c = p->config;
    c->seen = arena_new_array(p->arena, N_KEYS, struct config_seen);
    for (size_t i = 0; c->seen && i < N_KEYS; i++) {
        if (keys[i].kind == KIND_END)
            continue;
        c->seen[c->n_seen++] = (struct config_seen){.section = keys[i].section, .name = keys[i].name, .type = type_name(keys[i].kind),
                                                    .is_list = keys[i].list, .line = p->set_at[i], .values = p->values[i],
                                                    .is_path = keys[i].kind == KIND_PATH || keys[i].kind == KIND_PATHS};
    }
    return c->seen != NULL;
}

/* --- libconfuse --- */

static int key_index(const char *section, const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The first value of a list takes the place of its default. */
static void set_anew(const struct key *k)
{
    if (k->kind == KIND_TIMES)
        *(struct config_times *)((char *)now->config + k->offset) = (struct config_times){0};
}

/* Called by libconfuse when an option got its value. Always goes on, so that one run tells all mistakes. */
static int option_set(cfg_t *cfg, cfg_opt_t *opt)
{
    int i = key_index(strcmp(cfg->name, "root") == 0 ? "" : cfg->name, opt->name);
    bug_if(i < 0);
    const struct key *k = &keys[i];
    unsigned n = cfg_opt_size(opt);
    const char *value = n > 0 ? cfg_opt_getnstr(opt, n - 1) : "", *why = NULL;

    /* For a list it calls after every value, and once more at the closing brace. */
    if (now->set_at[i] && k->list && n == now->n_values[i] && now->last_value[i] && strcmp(value, now->last_value[i]) == 0)
        return 0;
    if (now->set_at[i] && (!k->list || n != now->n_values[i] + 1)) {
        if (!now->twice[i])
            add_mistake(now, cfg->line, arena_printf(now->arena, "'%s' was set before, on line %d", k->name, now->set_at[i]));
        now->twice[i] = true;
    }
    if (now->twice[i])
        return 0;
    if (!now->set_at[i])
        set_anew(k);
    now->set_at[i] = cfg->line;
    now->n_values[i] = n;
    now->last_value[i] = arena_cstr(now->arena, view_str(value));
    const char **place = n > 0 ? list_push(&now->values[i], sizeof *place) : NULL;
    if (place)
        *place = now->last_value[i];
    if (n > 0 && !take_value(k, value ? value : "", &why))
        add_mistake(now, cfg->line, why);
    return 0;
}

static void library_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof text, fmt, ap);
    if (strstr(text, "'" END_MARK "'"))
        snprintf(text, sizeof text, "a '}' is missing above");
    else if (strncmp(text, "no such option", 14) == 0)
        now->unknown_line = cfg->line;
    add_mistake(now, cfg->line, arena_cstr(now->arena, view_str(text)));
}

/* Fills opts with those keys of one section; returns how many. */
static size_t options_of(const char *section, cfg_opt_t *opts)
{
    size_t n = 0;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(keys[i].section, section) != 0)
            continue;
        if (keys[i].list)
            opts[n++] = (cfg_opt_t)CFG_STR_LIST(keys[i].name, NULL, CFGF_NODEFAULT);
        else
            opts[n++] = (cfg_opt_t)CFG_STR(keys[i].name, NULL, CFGF_NODEFAULT);
    }
    return n;
}

/* One run of libconfuse over the text; mistakes are left in `now`. */
static void run_library(const char *text)
{
    static const char *const sections[] = {"log", "listen", "tls", "acme", "dns", "outbound", "relay", "limits", "authentication", "reports", "web", "health", "bimi", "dns-update",
                                          "queue"};
    enum { N_SECTIONS = sizeof sections / sizeof *sections };
    cfg_opt_t inner[N_SECTIONS][16], top[32];
    const cfg_opt_t end = CFG_END();

    size_t n = options_of("", top);
    for (size_t s = 0; s < N_SECTIONS; s++) {
        inner[s][options_of(sections[s], inner[s])] = end;
        top[n++] = (cfg_opt_t)CFG_SEC(sections[s], inner[s], CFGF_NONE);
    }
    top[n] = end;

    cfg_t *cfg = cfg_init(top, CFGF_NONE);
    if (!cfg) {
        now->no_memory = true;
        return;
    }
    cfg_set_error_function(cfg, library_error);
    for (size_t i = 0; i < N_KEYS; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", keys[i].section, *keys[i].section ? "|" : "", keys[i].name);
        cfg_set_validate_func(cfg, name, option_set);
    }
    if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && now->n_mistakes == 0)
        add_mistake(now, cfg->line, "cannot be read");
    else if (now->n_mistakes == 0 && !now->set_at[key_index("", END_MARK)])
        add_mistake(now, cfg->line, "something above does not end: a quote, a comment or a brace");
    cfg_free(cfg);
}

/* Blanks the statement that begins on this line, with its braces if it opens some, so that a further run gets past an
 * unknown name. False: there is nothing to blank. */
static bool blank_statement(char *text, int line)
{
    char *p = text;
    for (int l = 1; l < line; l++) {
        p = strchr(p, '\n');
        if (!p)
            return false;
        p++;
    }
    int depth = 0;
    bool any = false;
    for (; *p && (depth > 0 || *p != '\n'); p++) {
        if (*p == '{')
            depth++;
        else if (*p == '}' && --depth < 0)
            break;
        any |= *p != ' ' && *p != '\n';
        if (*p != '\n')
            *p = ' ';
    }
    return any;
}

static void tell(const struct parse *p, const struct mistake *m, struct buf *errors)
{
    buf_printf(errors, "%s:%d: ", p->config->file, m->line);
    for (const char *c = m->text; *c; c++) /* bytes of the file must not make lines of their own */
        buf_chr(errors, iscntrl((unsigned char)*c) ? '?' : *c);
    buf_chr(errors, '\n');
}

static int by_line(const void *a, const void *b)
{
    return ((const struct mistake *)a)->line - ((const struct mistake *)b)->line;
}

/* --- the whole --- */

static void set_defaults(struct config *c)
{
    static int64_t retry[] = {60000, 300000, 900000, 3600000, 4 * 3600000LL};
    c->data = "/var/lib/facteur";
    c->user = "facteur";
    c->vault_user = "facteur-vault";
    c->store = "sqlite";
    c->blobs = "segments";
    c->log_level = LOG_INFO;
    c->log.keep = 14 * DAY_MS;
    c->log.size = 1ull << 30;
    c->outbound.port = 25;
    c->outbound.connections = 200;
    c->outbound.per_destination = 20;
    c->limits.message_size = 50ull << 20;
    c->plaintext_login = true; /* on loopback alone, where nobody can listen in */
    c->limits.recipients = 1000;
    c->limits.connections_per_address = 50;
    c->limits.connections = 20000;
    c->limits.workers = 512;
    c->limits.keep_deleted = 14 * DAY_MS;
    c->authentication.check = c->authentication.enforce = c->authentication.arc = true;
    c->authentication.time_limit = 20000; /* RFC 7208 §4.6.4 */
    c->reports.aggregate = true;
    c->reports.ask_failure = true;
    c->reports.tls = true;
    c->reports.per_day = REPORT_PER_DAY;
    c->reports.per_destination = REPORT_PER_DESTINATION;
    c->reports.failures_per_domain = REPORT_FAILURES;
    c->web.idle = 2 * 3600000LL;
    c->web.longest = DAY_MS;
    c->queue.retry = (struct config_times){retry, sizeof retry / sizeof *retry};
    c->queue.delay_notice = 4 * 3600000LL;
    c->queue.expire = 5 * DAY_MS;
    c->dns_update.ttl = 3600 * 1000;
}

static int line_of(const struct parse *p, const char *section, const char *name)
{
    int i = key_index(section, name);
    return i >= 0 && p->set_at[i] ? p->set_at[i] : 1;
}

static void check_acme(struct parse *p)
{
    const struct config *c = p->config;
    bool has_way = false;

    /* By TLS an authority can look only where there is a certificate to begin with. */
    for (size_t i = 0; i < c->listen.n; i++)
        has_way |= c->listen.v[i].service == SERVICE_HTTP || (c->listen.v[i].service == SERVICE_HTTPS && c->tls.certificate.n > 0);
    if (c->acme.directory && !view_istarts(view_str(c->acme.directory), VIEW("https://")))
        add_mistake(p, line_of(p, "acme", "directory"), "'directory' is an address that begins with https://");
    if (c->acme.directory && !has_way)
        add_mistake(p, line_of(p, "acme", "directory"),
                    "acme { } needs listen { http } at port 80, or listen { https } at port 443 and a certificate to begin with: there the authority looks");
    if (!c->acme.directory && (c->acme.contact || c->acme.eab_key_id || c->acme.eab_key_file))
        add_mistake(p, line_of(p, "acme", c->acme.contact ? "contact" : c->acme.eab_key_id ? "eab-key-id" : "eab-key-file"),
                    "acme { } needs a 'directory'");
    if ((c->dns_update.key_name != NULL) != (c->dns_update.key_file != NULL))
        add_mistake(p, line_of(p, "dns-update", c->dns_update.key_name ? "key-name" : "key-file"), "'key-name' and 'key-file' go together");
    if ((c->acme.eab_key_id != NULL) != (c->acme.eab_key_file != NULL))
        add_mistake(p, line_of(p, "acme", c->acme.eab_key_id ? "eab-key-id" : "eab-key-file"), "'eab-key-id' and 'eab-key-file' go together");
}

/* What only the whole shows. */
static void check_whole(struct parse *p)
{
    struct config *c = p->config;
    char name[256];

    if (!c->hostname) {
        if (gethostname(name, sizeof name) == 0 && memchr(name, 0, sizeof name) && is_hostname(view_str(name)))
            c->hostname = arena_cstr(p->arena, view_str(name));
        else
            add_mistake(p, 1, "'hostname' is missing, and the system has no usable one");
    }
    if (c->tls.certificate.n != c->tls.key.n)
        add_mistake(p, line_of(p, "tls", c->tls.certificate.n > c->tls.key.n ? "certificate" : "key"),
                    arena_printf(p->arena, "%zu 'certificate' but %zu 'key': they go in pairs", c->tls.certificate.n,
                                 c->tls.key.n));
    for (size_t i = 0; i < c->listen.n; i++) {
        const char *service = config_service_name(c->listen.v[i].service);
        if (config_service_is_tls(c->listen.v[i].service) && c->tls.certificate.n == 0 && !c->acme.directory) {
            add_mistake(p, line_of(p, "listen", service),
                        arena_printf(p->arena, "'%s' needs a certificate and key in tls { }, or acme { }", service));
            break;
        }
    }
    check_acme(p);
    if ((c->relay.username != NULL) != (c->relay.password_file != NULL))
        add_mistake(p, line_of(p, "relay", c->relay.username ? "username" : "password-file"),
                    "'username' and 'password-file' go together");
    if (c->relay.username && !c->relay.host)
        add_mistake(p, line_of(p, "relay", "username"), "relay { } needs a 'host'");
    if (c->authentication.trusted_sealers.n > JUDGE_TRUSTED_MAX || c->authentication.trusted_forwarders.n > JUDGE_TRUSTED_MAX)
        add_mistake(p, line_of(p, "authentication", c->authentication.trusted_sealers.n > JUDGE_TRUSTED_MAX
                                                        ? "trusted-sealers" : "trusted-forwarders"),
                    arena_printf(p->arena, "at most %d can be trusted", JUDGE_TRUSTED_MAX));
    if (c->queue.retry.n == 0)
        add_mistake(p, line_of(p, "queue", "retry"), "'retry' needs at least one time");
}

enum rc config_parse(const char *file, struct view text, struct config **out, struct buf *errors)
{
    size_t n_unknown = 0; /* told already, and blanked */
    struct parse *p = calloc(1, sizeof *p);
    static const char end[] = "\n" END_MARK " = 1\n";
    char *copy = malloc(text.n + sizeof end);
    enum rc rc = RC_TEMP;

    *out = NULL;
    if (!p || !copy)
        goto done;
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    memcpy(copy + text.n, end, sizeof end);
    rc = RC_SYNTAX;
    if (memchr(copy, 0, text.n)) {
        buf_printf(errors, "%s:1: is not text: it contains a NUL byte\n", file);
        goto done;
    }
    pthread_mutex_lock(&library);
    now = p;
    for (;;) {
        config_free(p->config);
        *p = (struct parse){.config = calloc(1, sizeof *p->config)};
        rc = RC_TEMP;
        if (!p->config)
            goto done;
        p->arena = &p->config->arena;
        arena_init(p->arena, CONFIG_ARENA);
        set_defaults(p->config);
        p->config->file = arena_cstr(p->arena, view_str(file));
        if (!p->config->file || view_dup(p->arena, text, &p->config->text) != RC_OK)
            goto done;
        run_library(copy);
        if (p->no_memory)
            goto done;
        if (!p->unknown_line || n_unknown == CONFIG_ERRORS_MAX || p->n_mistakes == 0)
            break;
        struct mistake *last = &p->mistakes[p->n_mistakes - 1];
        if (!blank_statement(copy, p->unknown_line))
            break;
        tell(p, last, errors);
        n_unknown++;
    }
    check_whole(p);
    qsort(p->mistakes, p->n_mistakes, sizeof *p->mistakes, by_line);
    for (size_t i = 0; i < p->n_mistakes; i++)
        tell(p, &p->mistakes[i], errors);
    if (!note_seen(p))
        p->no_memory = true;
    rc = p->no_memory ? RC_TEMP : p->n_mistakes + n_unknown > 0 ? RC_SYNTAX : RC_OK;
    if (rc == RC_OK) {
        *out = p->config;
        p->config = NULL;
    }
done:
    if (now)
        pthread_mutex_unlock(&library);
    now = NULL;
    if (rc == RC_TEMP)
        buf_printf(errors, "%s: out of memory\n", file);
    config_free(p ? p->config : NULL);
    free(p);
    free(copy);
    return rc;
}

enum rc config_load(const char *file, struct config **out, struct buf *errors)
{
    struct buf text;
    enum rc rc = RC_OK;

    *out = NULL;
    buf_init(&text, CONFIG_TEXT_MAX);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = errno == ENOENT || errno == ENOTDIR ? RC_NOTFOUND : errno == EACCES || errno == EPERM ? RC_DENIED : RC_TEMP;
        buf_printf(errors, "%s: %s\n", file, strerror(errno));
        goto done;
    }
    for (ssize_t n = 1; n > 0;) {
        char *room = buf_room(&text, 4096);
        n = room ? read(fd, room, 4096) : -1;
        if (n > 0)
            buf_grew(&text, (size_t)n);
        else if (n < 0) {
            rc = room ? RC_TEMP : buf_rc(&text);
            buf_printf(errors, "%s: %s\n", file, room ? strerror(errno) : "too long");
            goto done;
        }
    }
    rc = config_parse(file, buf_view(&text), out, errors);
done:
    if (fd >= 0)
        close(fd);
    buf_clear(&text);
    return rc;
}

unsigned config_https_port(const struct config *c)
{
    unsigned port = 0;
    for (size_t i = 0; i < c->listen.n; i++) {
        if (c->listen.v[i].service == SERVICE_HTTPS)
            return addr_port(&c->listen.v[i].addr);
        if (c->listen.v[i].service == SERVICE_HTTP && c->web.proxies.n > 0)
            port = 443;
    }
    return port;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_clear(&c->arena);
    free(c);
}
