/* Authenticator data and attestation objects as a browser posts them. */
#include <stdlib.h>

#include "base/buf.h"
#include "login/webauthn.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct webauthn_data d;
    struct view data;
    const struct view in = view_of(bytes, n);

    if (webauthn_attestation_parse(in, &data) == RC_OK && (data.p < in.p || data.p + data.n > in.p + in.n))
        abort();
    if (webauthn_data_parse(in, &d) == RC_OK && d.key.n > 0 && webauthn_verify(d.key, in, VIEW("{}"), d.id) == RC_OK)
        abort(); /* nobody signed that */
    return 0;
}
