/* The first line as a key record, the rest as a message: nothing may crash, tags tile their list, and what a verdict says
 * has no line ends. The body hashes alike whole and in pieces. */
#include "mailauth/dkim_signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        bug_if(v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == 0);
}

static void check_list(const struct dkim_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        check_words(list->verdicts[i].domain);
        check_words(list->verdicts[i].selector);
        check_words(list->verdicts[i].identity);
        check_words(list->verdicts[i].signature);
        bug_if((list->verdicts[i].result == DKIM_PASS) != (list->verdicts[i].reason[0] == 0));
    }
}

/* In pieces and at once: the same hash. */
static void check_body(struct view body)
{
    struct dkim_body *whole = dkim_body_new(), *pieces = dkim_body_new();
    uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
    size_t slot;
    for (int canon = DKIM_SIMPLE; canon <= DKIM_RELAXED; canon++) {
        bug_if(dkim_body_want(whole, (enum dkim_canon)canon, DKIM_WHOLE, &slot) != RC_OK);
        bug_if(dkim_body_want(pieces, (enum dkim_canon)canon, DKIM_WHOLE, &slot) != RC_OK);
        bug_if(dkim_body_want(pieces, (enum dkim_canon)canon, body.n / 2, &slot) != RC_OK);
    }
    dkim_body_add(whole, body);
    for (size_t i = 0; i < body.n; i += 3)
        dkim_body_add(pieces, view_slice(body, i, 3));
    bug_if(dkim_body_end(whole) != RC_OK || dkim_body_end(pieces) != RC_OK);
    bug_if(!dkim_body_hash(whole, 0, a) || !dkim_body_hash(pieces, 0, b) || memcmp(a, b, sizeof a) != 0);
    bug_if(!dkim_body_hash(whole, 1, a) || !dkim_body_hash(pieces, 2, b) || memcmp(a, b, sizeof a) != 0);
    dkim_body_free(whole);
    dkim_body_free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view message = view_of(data, size), record;
    struct dkim_list list;
    struct dkim_tags tags;
    struct dkim_key key;
    struct arena a;
    struct buf zone;
    struct dns *dns;
    const char *why;

    view_split(&message, '\n', &record);
    arena_init(&a, 16u << 20);
    buf_init(&zone, 1u << 20);
    if (dkim_tags_parse(record, &tags) == RC_OK)
        for (size_t i = 0; i < tags.n; i++)
            bug_if(!view_eq(view_trim(view_slice(record, tags.tag[i].at, tags.tag[i].n)), tags.tag[i].value));
    dkim_key_parse(record, &a, &key, &why);
    buf_str(&zone, "s._domainkey.d.test TXT \"");
    for (size_t i = 0; i < record.n && i < 250; i++)
        buf_chr(&zone, record.p[i] == '"' || record.p[i] == 0 ? '\'' : record.p[i]);
    buf_str(&zone, "\"\n");
    buf_chr(&zone, 0);
    bug_if(dns_new_scripted(zone.p, &dns) != RC_OK);
    if (dkim_verify_message(message, dns, 1700000000, NO_DEADLINE, &a, &list) == RC_OK)
        check_list(&list);
    check_body(header_body(message));
    dns_free(dns);
    buf_clear(&zone);
    arena_clear(&a);
    return 0;
}
