/* Any bytes as a message with ARC and Authentication-Results fields: nothing may crash; what is collected, and what is written
 * of strangers' words, is one field that reads back as ours. */
#include "mailauth/arc.h"
#include "mailauth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_writing(struct view words, struct arena *a)
{
    struct authres r;
    struct buf out;
    struct header_field field;
    struct view results, id, result;
    buf_init(&out, 1u << 20);
    authres_begin(&r, VIEW("mx.ici.test"));
    authres_add(&r, "dkim", "fail", words, words);
    authres_property(&r, "header", "d", words);
    authres_add(&r, "spf", "pass", VIEW(""), VIEW(""));
    bug_if(authres_end(&r, &out) != RC_OK);
    struct view in = buf_view(&out);
    bug_if(!header_next(&in, &field) || in.n > 0 || !authres_is_ours(field.value, VIEW("MX.ici.test")));
    results = field.value;
    bug_if(authres_id(&results, a, &id) != RC_OK || !view_eq(id, VIEW("mx.ici.test")));
    bug_if(authres_result(results, "dkim", a, &result) != RC_OK || !view_eq(result, VIEW("fail")));
    bug_if(authres_result(results, "spf", a, &result) != RC_OK || !view_eq(result, VIEW("pass")));
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view message = view_of(data, size), result;
    struct header_cut cuts[10];
    struct arc_verdict v;
    struct arena a;
    struct buf out;
    struct dns *dns;
    size_t n;

    arena_init(&a, 16u << 20);
    buf_init(&out, 1u << 20);
    bug_if(dns_new_scripted("s._domainkey.d.test TXT \"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n", &dns) != RC_OK);
    if (arc_verify_message(message, dns, NO_DEADLINE, &a, &v) == RC_OK)
        bug_if(v.n_sets > ARC_SETS_MAX || (v.result == ARC_PASS) != (v.n_sets > 0));
    authres_forged(message, VIEW("mx.ici.test"), cuts, 10, &n);
    if (authres_collect(header_of(message), VIEW("mx.ici.test"), &a, &out) == RC_OK) {
        bug_if(view_chr(buf_view(&out), '\n') != VIEW_NONE);
        authres_result(buf_view(&out), "dmarc", &a, &result);
    }
    check_writing(view_slice(message, 0, 500), &a);
    dns_free(dns);
    buf_clear(&out);
    arena_clear(&a);
    return 0;
}
