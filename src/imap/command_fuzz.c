/* Everything that reads a client's words: sets, FETCH, SEARCH, flags, names, literals. What is taken must hold what the
 * headers promise. */
#include <stdlib.h>

#include "imap/fetch.h"
#include "imap/listmatch.h"
#include "imap/parse.h"
#include "imap/search.h"
#include "imap/seqset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_set(struct view in, struct arena *a)
{
    struct view start = in;
    struct imap_seqset set;

    if (imap_seqset_parse(&in, a, &set) != RC_OK) {
        bug_if(in.p != start.p || in.n != start.n);
        return;
    }
    imap_seqset_resolve(&set, 1000);
    for (size_t i = 0; i < set.n; i++) {
        bug_if(set.ranges[i].lo == 0 || set.ranges[i].lo > set.ranges[i].hi || set.ranges[i].hi > 1000);
        bug_if(i > 0 && set.ranges[i].lo <= set.ranges[i - 1].hi + 1);
        bug_if(!imap_seqset_has(&set, set.ranges[i].lo));
    }
}

static void try_search(struct view in, struct arena *a)
{
    struct search s;
    const uint32_t uids[] = {3, 9, 17};
    struct seqmap *map = seqmap_new(uids, 3, 5);
    const struct item item = {.uid = 17, .envelope = in};
    struct search_facts f = {.seq = 3, .uid = 17, .item = &item, .message = in, .is_open = true};
    bool found;

    if (map && imap_search_parse(in, a, &s) == RC_OK) {
        imap_search_resolve(&s, map);
        imap_search_match(&s, &f, &found);
        imap_search_clear(&s);
    } else if (map) {
        imap_search_clear(&s);
    }
    seqmap_unref(map);
}

static void try_words(struct view in, struct arena *a)
{
    struct view cur, out;
    struct imap_flags flags;
    struct imap_literal lit;
    int64_t when;

    cur = in;
    imap_tag(&cur, &out);
    cur = in;
    imap_astring(&cur, a, &out);
    cur = in;
    if (imap_list_mailbox(&cur, a, &out) == RC_OK)
        imap_list_match(view_slice(out, 0, LIST_PATTERN_MAX), VIEW("a/b/c/a-b/aaaaaaaa"));
    cur = in;
    imap_flag_list(&cur, a, &flags);
    cur = in;
    imap_date_time(&cur, &when);
    if (imap_literal_at_end(in, &lit) == RC_OK)
        bug_if(lit.at >= in.n);
}

/* A name that is read comes out as it went in. */
static void try_mailbox(struct view in, struct arena *a)
{
    struct view name, again, cur = in;
    struct buf wire;

    if (imap_mailbox(&cur, a, &name) != RC_OK)
        return;
    buf_init(&wire, 1u << 20);
    imap_write_mailbox(name, &wire);
    cur = buf_view(&wire);
    bug_if(buf_rc(&wire) != RC_OK || imap_mailbox(&cur, a, &again) != RC_OK || !view_eq(name, again));
    buf_clear(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size);
    struct arena a;
    struct fetch fetch;

    arena_init(&a, 16u << 20);
    try_set(in, &a);
    imap_fetch_parse(in, &a, &fetch);
    try_search(in, &a);
    try_words(in, &a);
    try_mailbox(in, &a);
    arena_clear(&a);
    return 0;
}
