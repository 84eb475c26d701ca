/* What to see first: how much there is, what waits, how today went. */
#include "base/clock.h"
#include "store/alert.h"
#include "store/ledger.h"
#include "store/mailq.h"
#include "sys/board.h"
#include "web/api_impl.h"

#define DAYS       30
#define DOMAINS_MAX 20 /* whose reports are summed up */

static json_t *queue_json(struct api_call *c)
{
    struct mailq_counts n;
    if (c->who.role != ROLE_OPERATOR || mailq_count(c->store, &n) != RC_OK)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "messages", (json_int_t)n.messages, "recipients", (json_int_t)n.rcpts, "held", (json_int_t)n.held,
                     "bytes", (json_int_t)n.bytes);
}

/* Of the whole server, so for operators alone. */
static json_t *today_json(const struct api_call *c)
{
    if (c->who.role != ROLE_OPERATOR)
        return json_pack("{s:n, s:n, s:n}", "received_today", "sent_today", "rejected_today");
    return json_pack("{s:I, s:I, s:I}", "received_today", (json_int_t)board_today(RATE_RECEIVED), "sent_today", (json_int_t)board_today(RATE_SENT),
                     "rejected_today", (json_int_t)board_today(RATE_REFUSED));
}

static json_t *dmarc_json(struct api_call *c, const struct directory_domain *domains, size_t n)
{
    const int64_t today = clock_real_s() / 86400;
    json_t *list = json_array();
    for (size_t i = 0; list && i < n && i < DOMAINS_MAX; i++) {
        const struct ledger_span span = {domains[i].name, today - DAYS + 1, today};
        struct ledger_summary sum;
        if (ledger_summary(c->store, &span, c->arena, &sum) == RC_OK && sum.sum.messages > 0)
            json_array_append_new(list, json_pack("{s:o, s:I, s:I}", "domain", api_view(domains[i].name), "messages", (json_int_t)sum.sum.messages,
                                                  "aligned", (json_int_t)sum.sum.aligned));
    }
    return list;
}

static json_t *since_json(void)
{
    struct board_process p[BOARD_PROCESSES];
    int64_t since = 0;
    size_t n = board_processes(p);
    for (size_t i = 0; i < n; i++)
        if (p[i].since_s && (!since || p[i].since_s < since))
            since = p[i].since_s;
    return api_time(since);
}

static void get_overview(struct api_call *c)
{
    struct directory_domain *domains;
    struct view own = c->who.role == ROLE_OPERATOR ? (struct view){0} : c->who.domain;
    uint64_t accounts = 0, aliases = 0, alerts = 0;
    size_t n;
    enum rc rc = directory_domains_look(c->store, own, c->arena, &domains, &n);
    if (rc == RC_OK)
        rc = alert_count(c->store, own, clock_real_s(), &alerts);
    if (rc != RC_OK) {
        api_refuse_rc(c, rc);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        accounts += domains[i].accounts;
        aliases += domains[i].aliases;
    }
    api_reply(c, json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:s, s:o}", "alerts", (json_int_t)alerts, "domains", (json_int_t)n, "accounts", (json_int_t)accounts, "aliases",
                           (json_int_t)aliases, "queue", queue_json(c), "messages", today_json(c), "dmarc", dmarc_json(c, domains, n), "version",
                           FACTEUR_VERSION, "since", since_json()));
}

const struct api_route api_overview_routes[] = {
    {"GET", "/overview", API_OWNER, get_overview},
    {NULL},
};
