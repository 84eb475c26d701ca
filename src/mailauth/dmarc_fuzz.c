/* Any bytes as a policy record, and as a header section: what is read of a record keeps its promises, and no From passes
 * that does not name exactly one domain. The first line is the record, the rest the header. */
#include "mailauth/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct view txt, struct arena *a)
{
    struct dmarc_record r;
    if (dmarc_record_parse(txt, a, &r) != RC_OK)
        return;
    bug_if(!dmarc_is_record(txt) || r.n_rua > DMARC_URIS_MAX || r.n_ruf > DMARC_URIS_MAX || r.fo == 0);
    bug_if(r.broken_policy && (r.p != DMARC_POLICY_NONE || r.has_sp || r.has_np));
    for (size_t i = 0; i < r.n_rua; i++)
        bug_if(r.rua[i].uri.n == 0 || view_has_ctl(r.rua[i].uri));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view header = view_of(data, size), txt;
    struct dmarc_dkim dkim = {.domain = VIEW("example.org"), .pass = true};
    struct dmarc_facts facts = {.dkim = &dkim, .n_dkim = 1};
    const struct dmarc_settings set = {.method = DMARC_TREEWALK};
    struct dmarc_authors authors;
    struct dmarc_verdict v;
    struct arena a;
    struct dns *dns;
    view_split(&header, '\n', &txt);
    arena_init(&a, 64u << 20);
    check_record(txt, &a);
    facts.header = header;
    if (dmarc_authors(header, &a, &authors) == RC_OK &&
        dns_new_scripted("_dmarc.example.org TXT \"v=DMARC1; p=reject\"\n", &dns) == RC_OK) {
        dmarc_check(dns, &set, &facts, NO_DEADLINE, &a, &v);
        bug_if(v.result == DMARC_PASS && (authors.kind != DMARC_FROM_OK || authors.n != 1 || authors.more));
        bug_if(v.result != DMARC_TEMPERROR && authors.kind != DMARC_FROM_OK && v.result != DMARC_PERMERROR);
        dns_free(dns);
    }
    arena_clear(&a);
    return 0;
}
