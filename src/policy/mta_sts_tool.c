/* Reads policy files and TXT records for test/test_tls_policy.py: `mta_sts_tool record|policy` with the text on standard input
 * prints what was read, exit 1 where it is none. Not in the program. */
#include <stdio.h>
#include <unistd.h>

#include "policy/mta_sts.h"

static int show_record(struct view text)
{
    struct view id;
    if (!mta_sts_is_record(text) || mta_sts_record_parse(text, &id) != RC_OK)
        return 1;
    printf("id %.*s\n", VIEW_FMT(id));
    return 0;
}

static int show_policy(struct view text)
{
    struct mta_sts_policy p;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = mta_sts_policy_parse(text, &a, &p);
    if (rc == RC_OK)
        printf("mode %s\nmax_age %lld\n", mta_sts_mode_name(p.mode), (long long)p.max_age_s);
    for (size_t i = 0; rc == RC_OK && i < p.n_mx; i++)
        printf("mx %.*s\n", VIEW_FMT(p.mx[i]));
    arena_clear(&a);
    return rc == RC_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    static char text[2 * MTA_STS_POLICY_MAX];
    size_t n = fread(text, 1, sizeof text, stdin);
    if (argc != 2)
        return 2;
    return view_eq(view_str(argv[1]), VIEW("record")) ? show_record(view_of(text, n)) : show_policy(view_of(text, n));
}
