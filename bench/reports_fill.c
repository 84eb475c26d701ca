/* bench/reports_fill: a store's ledger with as many rows as wanted: bench/reports asks it what the pages ask.
 *
 *     reports_fill FOLDER ROWS DOMAIN...     30 days, 20 reporters a day and domain, and TLS reports
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/ledger.h"

#define DAYS      30
#define REPORTERS 20

static uint64_t state = 1;

static unsigned pick(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % n);
}

static void must(enum rc rc, const char *what)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "reports_fill: %s: %s\n", what, rc_name(rc));
    exit(1);
}

/* A third of the mail is ours, much comes from services, a tenth from tens of thousands of hosts of strangers. */
static void fill_row(struct ledger_row *r, uint8_t ip[4], char key[32], char detail[400], const char *domain)
{
    const unsigned kind = pick(100);
    *r = (struct ledger_row){.ip = view_of(ip, 4), .messages = 1 + pick(20), .header_from = view_str(domain), .selector = VIEW("s1")};
    r->source.basis = LEDGER_BY_SIGNATURE;
    if (kind < 35) {
        memcpy(ip, (uint8_t[]){198, 51, 100, (uint8_t)pick(30)}, 4);
        r->spf_aligned = r->dkim_aligned = true;
        r->source.kind = VIEW("ours");
        snprintf(key, 32, "ours");
    } else if (kind < 80) {
        const unsigned service = pick(60);
        memcpy(ip, (uint8_t[]){20, (uint8_t)service, (uint8_t)pick(2), (uint8_t)pick(200)}, 4);
        r->dkim_aligned = pick(10) > 0;
        r->source.kind = VIEW("service");
        snprintf(key, 32, "service-%u", service);
    } else if (kind < 90) {
        memcpy(ip, (uint8_t[]){100, 64, (uint8_t)pick(12), (uint8_t)pick(200)}, 4);
        r->dkim_aligned = pick(8) > 0;
        snprintf(key, 32, "host:forward%u.example", ip[2]);
    } else {
        const unsigned host = pick(60000);
        memcpy(ip, (uint8_t[]){10, (uint8_t)(host / 62500), (uint8_t)(host / 250), (uint8_t)(host % 250)}, 4);
        r->source.basis = LEDGER_BY_NETWORK;
        r->disposition = LEDGER_REJECT;
        snprintf(key, 32, "net:10.%u.%u.0/24", ip[1], ip[2]);
    }
    r->source.key = r->source.name = view_str(key);
    snprintf(detail, 400,
             "{\"disposition\":\"%s\",\"dkim\":\"%s\",\"spf\":\"%s\",\"header_from\":\"%s\",\"envelope_from\":\"b%u.%s\",\"envelope_to\":null,\"reasons\":[],"
             "\"auth_results\":{\"dkim\":[{\"domain\":\"%s\",\"selector\":\"s1\",\"result\":\"%s\",\"human_result\":null}],\"spf\":[]}}",
             r->disposition == LEDGER_REJECT ? "reject" : "none", r->dkim_aligned ? "pass" : "fail", r->spf_aligned ? "pass" : "fail", domain, pick(50),
             domain, domain, r->dkim_aligned ? "pass" : "fail");
    r->detail = view_str(detail);
}

static void add_dmarc(struct store *s, const char *domain, int64_t day, unsigned reporter, uint64_t rows)
{
    char org[64], id[64], key[32], detail[400];
    struct ledger_writer *w;
    uint8_t ip[4];
    uint64_t number;
    snprintf(org, sizeof org, "reporter%u.example", reporter);
    snprintf(id, sizeof id, "%s-%lld-%u", domain, (long long)day, reporter);
    const struct ledger_report r = {.kind = LEDGER_DMARC, .domain = view_str(domain), .org = view_str(org), .email = view_str(org), .report_id = view_str(id),
                                    .begin_s = day * LEDGER_DAY_S, .end_s = day * LEDGER_DAY_S + 86399, .received_s = (day + 1) * LEDGER_DAY_S + reporter,
                                    .counted = true, .why = VIEW("dmarc.pass"), .policy = VIEW("{\"p\":\"none\"}"), .p = VIEW("none")};
    must(ledger_begin(s, &r, &w), "begin");
    for (uint64_t i = 0; i < rows; i++) {
        struct ledger_row row;
        fill_row(&row, ip, key, detail, domain);
        must(ledger_add(w, &row), "add");
    }
    must(ledger_end(w, &number), "end");
}

static void add_tls(struct store *s, const char *domain, int64_t day, unsigned reporter)
{
    char org[64], id[64];
    struct ledger_writer *w;
    uint64_t number;
    snprintf(org, sizeof org, "reporter%u.example", reporter);
    snprintf(id, sizeof id, "tls-%s-%lld-%u", domain, (long long)day, reporter);
    const struct ledger_report r = {.kind = LEDGER_TLS, .domain = view_str(domain), .org = view_str(org), .report_id = view_str(id),
                                    .begin_s = day * LEDGER_DAY_S, .end_s = day * LEDGER_DAY_S + 86399, .received_s = (day + 1) * LEDGER_DAY_S + reporter,
                                    .counted = true, .why = VIEW("dmarc.pass"), .policy = VIEW("[]")};
    must(ledger_begin(s, &r, &w), "begin");
    must(ledger_add_tls(w, &(struct ledger_tls){VIEW("sts"), VIEW("mx.example"), 1000 + pick(1000), pick(3)}), "add");
    must(ledger_add_tls_failure(w, &(struct ledger_tls_failure){VIEW("certificate-expired"), VIEW("mx.example"), pick(3)}), "add");
    must(ledger_end(w, &number), "end");
}

int main(int argc, char **argv)
{
    struct store *s = NULL;
    struct arena a;
    const char *why = NULL;
    const uint64_t rows = argc > 3 ? strtoull(argv[2], NULL, 10) : 0, reports = (uint64_t)(argc - 3) * DAYS * REPORTERS;
    const int64_t today = clock_real_s() / LEDGER_DAY_S, began = clock_mono_ms();
    if (argc < 4) {
        fprintf(stderr, "usage: reports_fill FOLDER ROWS DOMAIN...\n");
        return 2;
    }
    arena_init(&a, 1u << 20);
    must(store_open(&(struct store_settings){.data = argv[1], .node = "bench"}, &a, &s, &why), why ? why : "open");
    for (int64_t day = today - DAYS; day < today; day++)
        for (int d = 3; d < argc; d++)
            for (unsigned reporter = 0; reporter < REPORTERS; reporter++) {
                add_dmarc(s, argv[d], day, reporter, rows / reports);
                add_tls(s, argv[d], day, reporter);
            }
    printf("%llu rows in %llu reports, %.1f s\n", (unsigned long long)(rows / reports * reports), (unsigned long long)reports,
           (double)(clock_mono_ms() - began) / 1e3);
    store_close(s);
    arena_clear(&a);
    return 0;
}
