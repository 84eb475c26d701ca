/* Sections of hostile messages: the first line asks as FETCH does, the rest is the message. */
#include "imap/fetch.h"
#include "message/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view message = view_of(data, size), ask, out;
    struct arena a;
    struct fetch fetch;
    struct summary sum;
    struct buf scratch;

    view_split(&message, '\n', &ask);
    arena_init(&a, SUMMARY_ARENA_MAX);
    buf_init(&scratch, 1u << 20);
    if (imap_fetch_parse(ask, &a, &fetch) == RC_OK && summary_make(message, &a, &sum) == RC_OK) {
        for (size_t i = 0; i < fetch.n; i++) {
            buf_reset(&scratch);
            enum rc rc = fetch.items[i].kind >= FETCH_SECTION
                             ? imap_section_get(&fetch.items[i], message, sum.index, &scratch, &out)
                             : RC_NOTFOUND;
            bug_if(rc == RC_OK && fetch.items[i].is_partial && out.n > fetch.items[i].count);
            bug_if(rc == RC_CORRUPT); /* our own index */
        }
        buf_reset(&scratch);
        bug_if(summary_body_from_structure(sum.bodystructure, &scratch) == RC_CORRUPT);
    }
    buf_clear(&scratch);
    arena_clear(&a);
    return 0;
}
