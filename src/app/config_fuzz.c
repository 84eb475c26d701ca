/* The configuration file from memory: any bytes give a struct or errors, each with file and line. */
#include "app/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf errors;
    struct config *c;

    buf_init(&errors, 1 << 20);
    enum rc rc = config_parse("facteur.conf", view_of(data, size), &c, &errors);
    bug_if((rc == RC_OK) != (c != NULL) || (rc == RC_OK) != (errors.n == 0));
    for (struct view rest = buf_view(&errors), line; rest.n > 0;) {
        view_split(&rest, '\n', &line);
        bug_if(!view_starts(line, VIEW("facteur.conf:")));
    }
    config_free(c);
    buf_clear(&errors);
    return 0;
}
