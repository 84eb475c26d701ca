/* bench/judge_bench: what judging a message costs, in microseconds of CPU, without the server around it.
 *
 *     judge_bench SERVER ROUNDS FILE...    messages in files, judged in turn as if 127.0.0.1 had sent them from
 *                                          sender@example.org; names are asked of SERVER ("127.0.0.53:53")
 *
 * Prints messages a second on one thread, and the last message's verdicts, so that a check that failed is seen. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "message/header.h"
#include "policy/judge.h"

#define MESSAGE_MAX (64u << 20)
#define ARENA_MAX   (64u << 20)
#define CHUNK       65536 /* the body arrives in pieces, as from a socket */

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e6 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct buf read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct buf b;
    buf_init(&b, MESSAGE_MAX);
    for (size_t n = f ? 1 : 0; n > 0;) {
        char *room = buf_room(&b, CHUNK);
        n = room ? fread(room, 1, CHUNK, f) : 0;
        buf_grew(&b, n);
    }
    if (!f || b.fail != RC_OK) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return b;
}

static void judge(const struct judge_settings *set, struct dns *dns, struct view message, struct arena *a, struct buf *results)
{
    struct judge_facts facts = {.helo = VIEW("mail.example.test"), .mail_from = VIEW("sender@example.org"), .now_s = clock_real_s()};
    struct judgement v;
    struct judge *j;
    if (addr_parse_ip(VIEW("127.0.0.1"), 25, &facts.ip) != RC_OK || judge_new(set, dns, &facts, a, &j) != RC_OK)
        exit(2);
    struct view header = header_of(message), body = header_body(message);
    bool ok = judge_header(j, header) == RC_OK;
    for (; body.n > 0; view_skip(&body, view_slice(body, 0, CHUNK).n))
        judge_body(j, view_slice(body, 0, CHUNK));
    ok = ok && judge_finish(j, &v) == RC_OK && judge_results(set, &v, 16384, results) == RC_OK;
    judge_free(j);
    if (!ok)
        exit(2);
}

int main(int argc, char **argv)
{
    const struct judge_settings set = {.authserv_id = "mail.bench.test", .enforce = true, .arc = true};
    struct dns *dns;
    const char *why;
    if (argc < 4) {
        fputs("judge_bench SERVER ROUNDS FILE...\n", stderr);
        return 2;
    }
    const char *servers[] = {argv[1]};
    const struct dns_settings dns_set = {.servers = servers, .n_servers = 1};
    if (dns_new(&dns_set, &dns, &why) != RC_OK) {
        fprintf(stderr, "%s\n", why);
        return 2;
    }
    size_t n = (size_t)argc - 3, rounds = (size_t)strtoul(argv[2], NULL, 10);
    struct buf *messages = calloc(n, sizeof *messages), results;
    struct arena a;
    arena_init(&a, ARENA_MAX);
    for (size_t i = 0; messages && i < n; i++)
        messages[i] = read_file(argv[i + 3]);
    buf_init(&results, 65536);
    double begin = 0;
    for (size_t r = 0; messages && r <= rounds; r++) { /* the first fills the caches */
        if (r == 1)
            begin = cpu_us();
        for (size_t i = 0; i < n; i++) {
            results.n = 0;
            judge(&set, dns, buf_view(&messages[i]), &a, &results);
            arena_reset(&a);
        }
    }
    double us = (cpu_us() - begin) / (double)(rounds * n);
    printf("%.1f us CPU a message, %.0f messages a second\n%.*s", us, 1e6 / us, (int)results.n, results.p);
    dns_free(dns);
    return 0;
}
