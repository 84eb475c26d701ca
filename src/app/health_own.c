#include "app/health_own.h"

#include "mailauth/dkim_key.h"
#include "store/directory.h"
#include "store/directory_dkim.h"

#define RECORD_MAX 4096

static enum rc write_record(const struct directory_dkim_key *key, struct arena *a, struct view *out)
{
    struct buf record;
    buf_init(&record, RECORD_MAX);
    dkim_key_write((enum pkey_kind)key->algorithm, key->public_key, &record);
    enum rc rc = buf_rc(&record) == RC_OK ? view_dup(a, buf_view(&record), out) : buf_rc(&record);
    buf_clear(&record);
    return rc;
}

enum rc health_own(struct store *store, struct view domain, struct arena *a, struct health_settings *set)
{
    static const enum health_key_state states[] = {
        [DKIM_KEY_NEXT] = HEALTH_KEY_NEXT, [DKIM_KEY_ACTIVE] = HEALTH_KEY_ACTIVE, [DKIM_KEY_RETIRED] = HEALTH_KEY_RETIRED};
    struct directory_dkim_key *keys;
    struct view ascii;
    size_t n;
    set->ours = false;
    set->selectors = NULL;
    set->n_selectors = 0;
    if (!store || dns_domain_ascii(domain, a, &ascii) != RC_OK)
        return RC_OK; /* health_look says that it is no domain */
    enum rc rc = directory_has_domain(store, ascii, &set->ours);
    if (rc != RC_OK || !set->ours)
        return rc;
    rc = directory_dkim_keys(store, ascii, a, &keys, &n);
    if (rc != RC_OK)
        return rc;
    struct health_selector *own = arena_new_array(a, n + 1, struct health_selector);
    for (size_t i = 0; own && i < n && rc == RC_OK; i++) {
        if (keys[i].state == DKIM_KEY_GONE)
            continue;
        own[set->n_selectors] = (struct health_selector){.selector = keys[i].selector, .state = states[keys[i].state], .since_s = keys[i].active_s};
        rc = write_record(&keys[i], a, &own[set->n_selectors++].record);
    }
    set->selectors = own;
    return own ? rc : RC_TEMP;
}
