#include "desk/desk_impl.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/log.h"

/* --- whose address it is --- */

static bool is_own(const struct desk *d, struct view ip)
{
    for (size_t i = 0; i < d->set.n_own; i++) {
        const struct sockaddr_storage *ss = &d->set.own[i].ss;
        const void *bytes = ss->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr
                                                      : (const void *)&((const struct sockaddr_in *)ss)->sin_addr;
        if (view_eq(ip, view_of(bytes, ss->ss_family == AF_INET6 ? 16 : 4)))
            return true;
    }
    return false;
}

static enum rc name_ours(struct desk *d, struct arena *a, struct ledger_name *out)
{
    *out = (struct ledger_name){.key = VIEW("ours"), .kind = VIEW("ours"), .basis = LEDGER_BY_US};
    return view_dup(a, view_str(d->set.hostname), &out->name);
}

static enum rc name_sender(const struct sender *s, enum ledger_basis basis, struct arena *a, struct ledger_name *out)
{
    *out = (struct ledger_name){.basis = basis};
    enum rc rc = view_dup(a, s->key, &out->key);
    if (rc == RC_OK)
        rc = view_dup(a, s->name, &out->name);
    return rc == RC_OK ? view_dup(a, s->kind, &out->kind) : rc;
}

/* A network that is mostly one's: /24, /48. */
static enum rc name_network(struct view ip, struct arena *a, struct ledger_name *out)
{
    uint8_t net[16] = {0};
    char text[INET6_ADDRSTRLEN] = "";
    const bool is_v6 = ip.n == 16;
    memcpy(net, ip.p, is_v6 ? 6 : 3);
    inet_ntop(is_v6 ? AF_INET6 : AF_INET, net, text, sizeof text);
    const char *name = arena_printf(a, "net:%s/%d", text, is_v6 ? 48 : 24);
    if (!name)
        return RC_TEMP;
    *out = (struct ledger_name){.key = view_str(name), .name = view_from(view_str(name), 4), .basis = LEDGER_BY_NETWORK};
    return RC_OK;
}

enum rc desk_source_of(struct desk *d, struct view ip, const struct desk_signs *signs, struct arena *a, struct ledger_name *out)
{
    if (is_own(d, ip))
        return name_ours(d, a, out);
    /* SPF speaks of who hands the mail over. A signature may have come along from elsewhere: alone it says nothing of the address. */
    const struct sender *s = signs->spf.n > 0 ? senders_find(d->senders, SENDER_BY_SPF, signs->spf) : NULL;
    for (size_t i = 0; i < signs->n_dkim && signs->spf.n > 0 && !s; i++)
        s = senders_find(d->senders, SENDER_BY_DKIM, signs->dkim[i]);
    return s ? name_sender(s, LEDGER_BY_SIGNATURE, a, out) : name_network(ip, a, out);
}

enum rc desk_name_address(struct desk *d, struct view ip, struct view host, struct arena *a, struct ledger_name *out)
{
    enum rc rc;
    pthread_rwlock_rdlock(&d->lock);
    const struct sender *s = senders_find(d->senders, SENDER_BY_HOST, host);
    struct view organization = d->psl && host.n > 0 ? psl_list_organization(d->psl, host) : host;
    if (is_own(d, ip) || view_ieq(host, view_str(d->set.hostname))) {
        rc = name_ours(d, a, out);
    } else if (s) {
        rc = name_sender(s, LEDGER_BY_REVERSE, a, out);
    } else if (host.n == 0) {
        rc = name_network(ip, a, out);
    } else {
        const char *key = arena_printf(a, "host:%.*s", VIEW_FMT(organization));
        *out = (struct ledger_name){.key = view_str(key), .name = view_from(view_str(key), 5), .basis = LEDGER_BY_REVERSE};
        rc = key ? RC_OK : RC_TEMP;
    }
    pthread_rwlock_unlock(&d->lock);
    return rc;
}

/* --- known senders --- */

static enum rc read_senders(struct store *store, struct senders **out)
{
    struct ledger_sender *changes = NULL;
    struct arena a;
    size_t n = 0, line;
    arena_init(&a, 16u << 20);
    enum rc rc = ledger_senders(store, &a, &changes, &n);
    if (rc != RC_OK) /* the table that was built in will do */
        n = 0;
    rc = senders_new(senders_shipped(), changes, n, out, &line);
    bug_if(rc == RC_SYNTAX);
    arena_clear(&a);
    return rc;
}

struct senders *desk_senders(struct desk *d)
{
    pthread_rwlock_rdlock(&d->lock);
    return d->senders;
}

void desk_senders_done(struct desk *d)
{
    pthread_rwlock_unlock(&d->lock);
}

enum rc desk_senders_changed(struct desk *d)
{
    struct senders *new = NULL;
    enum rc rc = read_senders(d->store, &new);
    if (rc != RC_OK)
        return rc;
    pthread_rwlock_wrlock(&d->lock);
    struct senders *old = d->senders;
    d->senders = new;
    pthread_rwlock_unlock(&d->lock);
    senders_free(old);
    return RC_OK;
}

/* --- life --- */

static enum rc copy_settings(const struct desk_settings *set, struct arena *a, struct desk_settings *out)
{
    struct addr *own = arena_new_array(a, set->n_own + 1, struct addr);
    *out = *set;
    out->hostname = arena_printf(a, "%s", set->hostname);
    out->own = own;
    if (own && set->n_own > 0)
        memcpy(own, set->own, set->n_own * sizeof *own);
    return out->hostname && own ? RC_OK : RC_TEMP;
}

enum rc desk_new(const struct desk_settings *set, struct desk **out)
{
    struct desk *d = calloc(1, sizeof *d);
    if (!d)
        return RC_TEMP;
    d->store = set->store;
    atomic_init(&d->stop, false);
    pthread_rwlock_init(&d->lock, NULL);
    arena_init(&d->mem, 1u << 20);
    if (psl_list_open(NULL, &d->psl) != RC_OK)
        d->psl = NULL;
    enum rc rc = copy_settings(set, &d->mem, &d->set);
    if (rc == RC_OK)
        rc = read_senders(set->store, &d->senders);
    if (rc == RC_OK)
        *out = d;
    else
        desk_free(d);
    return rc;
}

enum rc desk_reload(struct desk *d, const struct desk_settings *set)
{
    struct desk_settings copy;
    struct arena mem;
    arena_init(&mem, 1u << 20);
    enum rc rc = copy_settings(set, &mem, &copy);
    if (rc != RC_OK) {
        arena_clear(&mem);
        return rc;
    }
    pthread_rwlock_wrlock(&d->lock);
    struct arena old = d->mem;
    d->mem = mem;
    d->set = copy;
    pthread_rwlock_unlock(&d->lock);
    arena_clear(&old);
    return RC_OK;
}

void desk_stop(struct desk *d)
{
    atomic_store(&d->stop, true);
}

void desk_free(struct desk *d)
{
    if (!d)
        return;
    senders_free(d->senders);
    psl_list_free(d->psl);
    arena_clear(&d->mem);
    pthread_rwlock_destroy(&d->lock);
    free(d);
}
