/* Any bytes as an address list: what is written of a good address is read back as the same. */
#include "message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spec(const struct address *a, struct arena *arena)
{
    struct buf out;
    struct address *again;
    buf_init(&out, 1 << 20);
    address_write_spec(a->local, a->domain, &out);
    if (buf_rc(&out) == RC_OK && address_list_parse(buf_view(&out), arena, &again) == RC_OK)
        bug_if(!again || again->next || !view_eq(again->local, a->local) ||
               !view_eq(again->domain, a->domain));
    buf_reset(&out);
    address_write(a->name, a->local, a->domain, &out);
    if (buf_rc(&out) == RC_OK && address_list_parse(buf_view(&out), arena, &again) == RC_OK)
        bug_if(!again || again->next || !view_eq(again->local, a->local) ||
               !view_eq(again->domain, a->domain));
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct address *list;
    arena_init(&a, 64 << 20);
    if (address_list_parse(view_of(data, size), &a, &list) == RC_OK)
        for (unsigned n = 0; list && n < 100; list = list->next, n++)
            if (list->kind == ADDRESS_MAILBOX && !list->bad)
                check_spec(list, &a);
    arena_clear(&a);
    return 0;
}
