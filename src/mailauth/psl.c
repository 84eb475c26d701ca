#include "mailauth/psl.h"

#include <libpsl.h>

#include "dns/dns.h"

/* struct psl_list is libpsl's psl_ctx_t: nothing has to be added. */

enum rc psl_list_open(const char *file, struct psl_list **out)
{
    *out = (struct psl_list *)(file ? psl_load_file(file) : psl_latest(NULL));
    return *out ? RC_OK : RC_NOTFOUND;
}

void psl_list_free(struct psl_list *l)
{
    psl_free((psl_ctx_t *)l);
}

struct view psl_list_organization(const struct psl_list *l, struct view domain)
{
    char name[DNS_NAME_MAX];
    const char *found;
    if (view_cstr(domain, name, sizeof name) != RC_OK)
        return domain;
    for (char *p = name; *p; p++)
        *p = (char)to_lower((unsigned char)*p);
    found = psl_registrable_domain((const psl_ctx_t *)l, name);
    return found ? view_from(domain, domain.n - strlen(found)) : domain;
}
