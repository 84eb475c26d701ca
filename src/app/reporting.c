#include "app/reporting.h"

struct report_settings reporting_settings(const struct config *f, const struct psl_list *psl)
{
    return (struct report_settings){.aggregate = f->reports.aggregate,
                                    .failure = f->reports.failure,
                                    .tls = f->reports.tls,
                                    .hostname = f->hostname,
                                    .from = f->reports.from,
                                    .organization = f->reports.organization,
                                    .contact = f->reports.contact,
                                    .never = f->reports.never.v,
                                    .n_never = f->reports.never.n,
                                    .per_day = f->reports.per_day,
                                    .per_destination = f->reports.per_destination,
                                    .failures = f->reports.failures_per_domain,
                                    .dmarc = {.method = f->authentication.organizational_domain, .psl = psl}};
}

void reporting_seen(void *report, const struct smtp_seen *seen)
{
    struct report_facts facts = {.header = seen->header};
    if (seen->n_rcpts > 0) {
        struct view to = seen->rcpts[0].original;
        size_t at = view_rchr(to, '@');
        facts.envelope_to = at == VIEW_NONE ? VIEW("") : view_from(to, at + 1);
    }
    for (size_t i = 0; i < seen->n_rcpts && seen->found->facts.mail_from.n == 0; i++)
        report_returned(report, seen->header, seen->rcpts[i].original);
    report_note(report, seen->found, &facts);
}

void reporting_failed(void *report, struct view address, struct view why)
{
    report_bounced(report, address, why);
}
