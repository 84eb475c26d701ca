/* Requests as the vault reads them, and answers as its clients do: parse, write, parse must agree. */
#include "vault/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vault_request r;
    struct vault_answer a;
    struct buf b;

    buf_init(&b, VAULT_MESSAGE_MAX);
    if (size <= VAULT_MESSAGE_MAX && vault_request_parse(view_of(data, size), &r) == RC_OK) {
        vault_request_write(&r, &b);
        bug_if(!view_eq(buf_view(&b), view_of(data, size)));
    }
    buf_reset(&b);
    if (size <= VAULT_MESSAGE_MAX && vault_answer_parse(view_of(data, size), &a) == RC_OK) {
        vault_answer_write(&a, &b);
        bug_if(!view_eq(buf_view(&b), view_of(data, size)));
    }
    buf_clear(&b);
    return 0;
}
