/* facteur dns DOMAIN: the records that DOMAIN should publish (policy/records.h), as zone-file lines. */
#include <stdio.h>

#include "app/commands.h"
#include "app/own_records.h"
#include "app/resolver.h"
#include "app/tlsa.h"
#include "dns/dns.h"
#include "store/directory.h"
#include "web/records_json.h"

#define DNS_ASK_MS 3000

/* Only where DNSSEC proves the host's address, and so the records: elsewhere nobody may believe them (RFC 7672 §2.2). */
static int find_tlsa(struct app *app, const struct records_settings *set, struct view domain, struct records_tlsa *out)
{
    struct dns_answer answer;
    struct addr *addrs;
    struct tlsa_keys keys;
    struct view ascii;
    size_t n;

    *out = (struct records_tlsa){0};
    if (dns_domain_ascii(domain, &app->arena, &ascii) != RC_OK || !records_has_host(set, ascii))
        return EXIT_DONE;
    struct dns *dns = app_resolver(app);
    if (!dns)
        return EXIT_FAILED;
    dns_addrs(dns, view_str(set->hostname), 0, deadline_in(DNS_ASK_MS), &app->arena, &answer, &addrs, &n);
    bool serves = n > 0 && answer.secure;
    dns_free(dns);
    if (!serves)
        return EXIT_DONE;
    if (tlsa_keys_find(app, &keys) != EXIT_DONE)
        return EXIT_FAILED;
    for (; out->n < keys.n && out->n < RECORDS_TLSA_MAX; out->n++)
        memcpy(out->key[out->n], keys.key[out->n], sizeof out->key[0]);
    return EXIT_DONE;
}

static int print_records(const struct records *r)
{
    struct buf text;
    buf_init(&text, 1u << 20);
    for (size_t i = 0; i < r->n; i++)
        records_write(&r->rows[i], &text);
    printf("%.*s", VIEW_FMT(buf_view(&text)));
    enum rc rc = buf_rc(&text);
    buf_clear(&text);
    return rc == RC_OK ? EXIT_DONE : app_fail_rc(rc, "write the records");
}

int cmd_dns(struct app *app, int argc, char **argv)
{
    struct records_settings set;
    struct records_tlsa tlsa;
    struct records records;
    struct view domain = view_str(argc == 2 ? argv[1] : "");
    bool ours;

    if (argc != 2)
        return app_usage(app);
    const struct config *c = app_config(app);
    if (!c || !app_store(app))
        return EXIT_FAILED;
    enum rc rc = directory_has_domain(app->store, domain, &ours);
    if (rc == RC_OK && !ours)
        return app_fail("%s is not hosted here: `facteur domain add %s` first", argv[1], argv[1]);
    if (rc == RC_OK)
        rc = own_records(c, &app->arena, &set);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the domain");
    if (find_tlsa(app, &set, domain, &tlsa) != EXIT_DONE)
        return EXIT_FAILED;
    rc = records_make(&set, &tlsa, app->store, domain, &app->arena, &records);
    if (rc != RC_OK)
        return app_fail_rc(rc, "read the domain");
    if (records.n_keys == 0)
        fprintf(stderr, "facteur: %s has no DKIM keys, its mail goes unsigned: `facteur domain rotate-keys %s` makes them\n", argv[1], argv[1]);
    return app->json ? app_print_json(records_json(&records)) : print_records(&records);
}
