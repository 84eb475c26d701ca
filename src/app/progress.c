#include "app/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

void progress_begin(struct progress *p, const char *what)
{
    *p = (struct progress){.what = what, .next_ms = isatty(STDERR_FILENO) ? deadline_in(1000) : NO_DEADLINE};
}

void progress_tell(struct progress *p, uint64_t done, uint64_t total)
{
    if (p->next_ms == NO_DEADLINE || clock_mono_ms() < p->next_ms)
        return;
    if (total > 0)
        fprintf(stderr, "\r%s: %u %%   ", p->what, (unsigned)(done * 100 / total));
    else
        fprintf(stderr, "\r%s: %llu   ", p->what, (unsigned long long)done);
    p->shown = 1;
    p->next_ms = deadline_in(200);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fprintf(stderr, "\r\033[K");
    p->shown = 0;
}
