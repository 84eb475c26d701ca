/* facteur dns DOMAIN: the records that DOMAIN should publish (policy/records.h), as zone-file lines. */
#include <stdio.h>

#include "app/commands.h"
#include "app/own_records.h"
#include "app/publish.h"
#include "app/resolver.h"
#include "app/tlsa.h"
#include "dns/dns.h"
#include "store/directory.h"
#include "sys/file.h"
#include "web/records_json.h"

#define DNS_ASK_MS   3000
#define KEY_FILE_MAX 8192

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

static const char *text_in(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    return text ? text : "";
}

static void print_outcome(const json_t *j)
{
    const json_t *list = json_object_get(j, "records");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i);
        printf("%-8s %s %s", text_in(r, "outcome"), text_in(r, "name"), text_in(r, "type"));
        if (text_in(r, "found")[0])
            printf("   (there is: %s)", text_in(r, "found"));
        printf("\n");
    }
}

/* The key's file may be root's alone. */
static bool read_key(struct app *app, const struct config *c, struct buf *out)
{
    struct view all, line;
    if (!c->dns_update.key_file)
        return true;
    bool ok = app_become(app, APP_ROOT);
    if (ok && file_read(c->dns_update.key_file, KEY_FILE_MAX, out) != RC_OK) {
        app_fail("cannot read %s", c->dns_update.key_file);
        ok = false;
    }
    all = buf_view(out);
    view_split(&all, '\n', &line);
    out->n = view_trim(line).n;
    buf_chr(out, 0);
    return app_become(app, APP_STORE_USER) && ok;
}

/* At the DNS server of the configuration (RFC 2136). */
static int publish_records(struct app *app, const struct config *c, const struct records *records, struct view domain)
{
    struct view ascii;
    struct buf key;
    json_t *j = NULL;
    bool again;
    int code = EXIT_FAILED;
    if (!publish_is_configured(c))
        return app_fail("no DNS server is configured for it: see dns-update in the configuration");
    if (dns_domain_ascii(domain, &app->arena, &ascii) != RC_OK)
        return app_fail("'%.*s' is not a domain name", VIEW_FMT(domain));
    buf_init(&key, KEY_FILE_MAX);
    if (read_key(app, c, &key)) {
        const struct publish_target to = {c, key.n > 0 ? key.p : NULL};
        enum rc rc = publish_now(&to, records, app->store, ascii, &app->arena, &j, &again);
        const char *error = rc == RC_OK ? json_string_value(json_object_get(j, "error")) : NULL;
        if (rc != RC_OK)
            app_fail_rc(rc, "publish the records");
        else if (error)
            app_fail("%s is not published at %s: %s", text_in(j, "zone"), text_in(j, "server"), error);
        else
            code = EXIT_DONE;
        if (code == EXIT_DONE && app->json)
            code = app_print_json(json_incref(j));
        else if (code == EXIT_DONE)
            print_outcome(j);
    }
    json_decref(j);
    buf_wipe(&key);
    buf_clear(&key);
    return code;
}

int cmd_dns(struct app *app, int argc, char **argv)
{
    struct records_settings set;
    struct records_tlsa tlsa;
    struct records records;
    bool ours, publishes = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--publish") != 0)
            continue;
        publishes = true;
        memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof *argv);
        argc--;
        break;
    }
    struct view domain = view_str(argc == 2 ? argv[1] : "");
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
    if (publishes)
        return publish_records(app, c, &records, domain);
    return app->json ? app_print_json(records_json(&records)) : print_records(&records);
}
