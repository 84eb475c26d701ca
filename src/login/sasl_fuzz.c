/* SCRAM messages as a stranger sends them: any bytes give a result, and every part lies inside the input. */
#include "login/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct view part, struct view whole)
{
    bug_if(part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct view in = view_of(data, size);
    struct scram_first f;
    struct scram_final l;
    struct buf name;

    buf_init(&name, SCRAM_NAME_MAX);
    if (scram_first_parse(in, &f) == RC_OK) {
        check_inside(f.nonce, in);
        check_inside(f.authzid, in);
        bug_if(f.gs2.n + f.bare.n != in.n || f.nonce.n == 0);
        scram_name_decode(f.name, &name);
    }
    if (scram_final_parse(in, &l) == RC_OK) {
        check_inside(l.proof, in);
        check_inside(l.binding, in);
        bug_if(l.without_proof.n + 3 + l.proof.n != in.n);
    }
    buf_clear(&name);
    return 0;
}
