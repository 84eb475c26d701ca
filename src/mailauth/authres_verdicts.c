#include "mailauth/authres.h"

#include <stdio.h>

#include "mailauth/arc.h"
#include "mailauth/dkim.h"

void authres_dkim(struct authres *r, const struct dkim_list *list)
{
    char comment[80];
    if (list->n == 0 && list->n_skipped > 0)
        authres_add(r, "dkim", "neutral", VIEW(""), VIEW("the header is too large"));
    else if (list->n == 0)
        authres_add(r, "dkim", "none", VIEW(""), VIEW(""));
    for (size_t i = 0; i < list->n; i++) {
        const struct dkim_verdict *v = &list->verdicts[i];
        comment[0] = 0;
        if (v->bits > 0)
            snprintf(comment, sizeof comment, "%u bits%s%s", v->bits, v->is_partial ? ", part of the body" : "",
                     v->is_testing ? ", testing" : "");
        authres_add(r, "dkim", dkim_result_name(v->result), view_str(comment), view_str(v->reason));
        authres_property(r, "header", "d", v->domain);
        authres_property(r, "header", "i", v->identity);
        authres_property(r, "header", "s", v->selector);
        if (v->algorithm != DKIM_UNKNOWN_ALGORITHM)
            authres_property(r, "header", "a", view_str(dkim_algorithm_name(v->algorithm)));
        authres_property(r, "header", "b", v->signature);
    }
}

void authres_arc(struct authres *r, const struct arc_verdict *v)
{
    struct buf text;
    authres_add(r, "arc", arc_result_name(v->result), VIEW(""), view_str(v->result == ARC_FAIL ? v->reason : ""));
    if (v->result != ARC_PASS)
        return;
    buf_init(&text, 10);
    buf_u64(&text, v->oldest_pass);
    authres_property(r, "header", "oldest-pass", buf_view(&text)); /* RFC 8617 §6 */
    buf_clear(&text);
    authres_property(r, "header", "d", v->sets[v->n_sets - 1].seal_domain);
}
