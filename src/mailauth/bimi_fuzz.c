/* Records and drawings of strangers, and their certificates. */
#include "crypto/mark.h"
#include "mailauth/bimi.h"
#include "mailauth/bimi_svg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"ici.test"};
    const struct view in = view_of(data, size);
    struct bimi_record record;
    struct bimi_svg svg;
    struct mark mark;
    struct view selector;
    struct arena a;
    const char *why;
    arena_init(&a, 4u << 20);
    bimi_record_parse(in, &a, &record, &why);
    bimi_selector_parse(in, &a, &selector);
    bimi_svg_check(in, &a, &svg);
    if (mark_check(in, NULL, names, 1, 1800000000, &a, &mark) == RC_OK)
        bimi_svg_check(mark.logo, &a, &svg);
    arena_clear(&a);
    return 0;
}
