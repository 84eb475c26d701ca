/* Drives the libraries of mailauth/ from test/: a message on standard input, DNS answers from a script, verdicts or fields
 * on standard output. Not installed. */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/hex.h"
#include "crypto/pkey.h"
#include "mailauth/arc.h"
#include "mailauth/authres.h"
#include "mailauth/dkim.h"
#include "mailauth/dkim_fields.h"
#include "mailauth/dkim_key.h"
#include "mailauth/dkim_sign.h"
#include "mailauth/dmarc.h"
#include "mailauth/spf.h"

#define INPUT_MAX (64u << 20)

struct signer {
    struct pkey *rsa, *ed25519;
};

static struct buf read_all(FILE *f)
{
    struct buf b;
    buf_init(&b, INPUT_MAX);
    for (;;) {
        char *room = buf_room(&b, 65536);
        size_t n = room ? fread(room, 1, 65536, f) : 0;
        if (n == 0)
            return b;
        buf_grew(&b, n);
    }
}

static struct buf read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    struct buf b = read_all(f);
    fclose(f);
    return b;
}

static struct dns *read_script(const char *path)
{
    struct buf text = read_file(path);
    struct dns *dns;
    buf_chr(&text, 0);
    if (dns_new_scripted(text.p, &dns) != RC_OK) {
        fprintf(stderr, "%s: not a script of answers\n", path);
        exit(2);
    }
    buf_clear(&text);
    return dns;
}

static struct pkey *read_key(const char *path)
{
    struct buf pem = read_file(path);
    struct pkey *k;
    if (pkey_private(buf_view(&pem), &k) != RC_OK) {
        fprintf(stderr, "%s: not a private key\n", path);
        exit(2);
    }
    buf_wipe(&pem);
    buf_clear(&pem);
    return k;
}

static enum rc sign(void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm, struct view digest,
                    struct buf *signature)
{
    const struct signer *s = ctx;
    const struct pkey *k = algorithm == DKIM_RSA_SHA256 ? s->rsa : s->ed25519;
    (void)domain, (void)selector;
    return k ? pkey_sign(k, digest, signature) : RC_NOTFOUND;
}

static enum rc verify_one(struct dns *dns, int64_t now_s, struct view message)
{
    struct dkim_list list;
    struct arena a;
    arena_init(&a, 64u << 20);
    enum rc rc = dkim_verify_message(message, dns, now_s, NO_DEADLINE, &a, &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct dkim_verdict *v = &list.verdicts[i];
        printf("%s\t%.*s\t%.*s\t%s\t%u\t%s\t%.*s\t%s\t%.*s\n", dkim_result_name(v->result), VIEW_FMT(v->domain),
               VIEW_FMT(v->selector), dkim_algorithm_name(v->algorithm), v->bits, v->is_partial ? "partial" : "whole",
               VIEW_FMT(v->identity), v->reason, VIEW_FMT(v->signature));
    }
    arena_clear(&a);
    return rc;
}

/* SCRIPT TIME [FILE...]: without files, standard input; with them, the verdicts of each end with an empty line. */
static int verify(int argc, char **argv)
{
    struct dns *dns = read_script(argv[0]);
    enum rc rc = RC_OK;
    for (int i = 2; i < argc || (argc == 2 && i == 2); i++) {
        struct buf message = argc == 2 ? read_all(stdin) : read_file(argv[i]);
        rc = verify_one(dns, atoll(argv[1]), buf_view(&message));
        buf_clear(&message);
        if (argc > 2)
            puts("");
    }
    dns_free(dns);
    return rc != RC_OK;
}

/* DOMAIN SELECTOR TIME RSA-PEM [SELECTOR ED25519-PEM] */
static int sign_message(int argc, char **argv)
{
    struct dkim_signing_key keys[2] = {{view_str(argv[1]), DKIM_RSA_SHA256}};
    struct signer s = {.rsa = read_key(argv[3])};
    struct dkim_sign_settings set = {.domain = view_str(argv[0]), .keys = keys, .n_keys = 1, .now_s = atoll(argv[2])};
    struct buf message = read_all(stdin), out;
    if (argc > 5) {
        s.ed25519 = read_key(argv[5]);
        keys[set.n_keys++] = (struct dkim_signing_key){view_str(argv[4]), DKIM_ED25519_SHA256};
    }
    buf_init(&out, 1u << 20);
    enum rc rc = dkim_sign_message(&set, buf_view(&message), sign, &s, &out);
    fwrite(out.p, 1, out.n, stdout);
    fwrite(message.p, 1, message.n, stdout);
    buf_clear(&out);
    buf_clear(&message);
    pkey_free(s.rsa);
    pkey_free(s.ed25519);
    return rc != RC_OK;
}

static int arc_verify(char **argv)
{
    struct dns *dns = read_script(argv[0]);
    struct buf message = read_all(stdin);
    struct arc_verdict v;
    struct arena a;
    arena_init(&a, 64u << 20);
    enum rc rc = arc_verify_message(buf_view(&message), dns, NO_DEADLINE, &a, &v);
    printf("%s\t%u\t%u\t%s\n", arc_result_name(v.result), v.failed_at, v.oldest_pass, v.reason);
    for (size_t i = 0; i < v.n_sets; i++)
        printf("%u\t%.*s\t%.*s\n", v.sets[i].instance, VIEW_FMT(v.sets[i].seal_domain), VIEW_FMT(v.sets[i].results));
    arena_clear(&a);
    buf_clear(&message);
    dns_free(dns);
    return rc != RC_OK;
}

/* SCRIPT DOMAIN SELECTOR TIME RSA-PEM AUTHSERV-ID [NAMES of h=, with colons] */
static int arc_seal_message(int argc, char **argv)
{
    struct dns *dns = read_script(argv[0]);
    struct buf message = read_all(stdin), results, out;
    struct view in = buf_view(&message), header = header_of(in), names[DKIM_SIGN_FIELDS_MAX];
    struct view list = view_str(argc > 6 ? argv[6] : "");
    struct signer s = {.rsa = read_key(argv[4])};
    struct arc_seal_settings set = {.domain = view_str(argv[1]), .selector = view_str(argv[2]), .now_s = atoll(argv[3]),
                                    .algorithm = DKIM_RSA_SHA256, .authserv_id = view_str(argv[5])};
    struct dkim_body *body = dkim_body_new();
    struct arc_verdict found;
    struct arena a;
    size_t slot;
    arena_init(&a, 64u << 20);
    buf_init(&results, 1u << 20);
    buf_init(&out, 1u << 20);
    while (list.n > 0 && set.n_headers < DKIM_SIGN_FIELDS_MAX)
        view_split(&list, ':', &names[set.n_headers++]);
    set.headers = set.n_headers > 0 ? names : NULL;
    if (dkim_sign_want(body, &slot) != RC_OK)
        return 1;
    dkim_body_add(body, header_body(in));
    enum rc rc = dkim_body_end(body);
    if (rc == RC_OK)
        rc = arc_verify_message(in, dns, NO_DEADLINE, &a, &found);
    if (rc == RC_OK)
        rc = authres_collect(header, set.authserv_id, &a, &results);
    if (rc == RC_OK)
        rc = arc_seal(&set, header, body, slot, buf_view(&results), &found, sign, &s, &out);
    fwrite(out.p, 1, out.n, stdout);
    fwrite(message.p, 1, message.n, stdout);
    dkim_body_free(body);
    buf_clear(&message);
    buf_clear(&results);
    buf_clear(&out);
    arena_clear(&a);
    pkey_free(s.rsa);
    dns_free(dns);
    if (rc != RC_OK)
        fprintf(stderr, "%s\n", rc_name(rc));
    return rc != RC_OK;
}

/* SCRIPT: lines of "IP TAB HELO TAB MAIL-FROM" on standard input, a verdict each. */
static int spf(char **argv)
{
    struct dns *dns = read_script(argv[0]);
    struct buf input = read_all(stdin);
    struct view in = buf_view(&input), line, ip;
    while (in.n > 0) {
        struct spf_facts facts = {.receiver = VIEW("mx.receiver.test"), .now_s = 1400000000};
        struct spf_verdict v;
        struct arena a;
        arena_init(&a, 64u << 20);
        view_split(&in, '\n', &line);
        view_split(&line, '\t', &ip);
        view_split(&line, '\t', &facts.helo);
        facts.mail_from = line;
        if (addr_parse_ip(ip, 0, &facts.ip) != RC_OK)
            return 2;
        spf_check(dns, &facts, NO_DEADLINE, &a, &v);
        printf("%s\t%.*s\t%.*s\t%u\t%u\t%.*s\n", spf_result_name(v.result), VIEW_FMT(v.mechanism), VIEW_FMT(v.explanation),
               v.lookups, v.voids, VIEW_FMT(v.reason));
        arena_clear(&a);
    }
    buf_clear(&input);
    dns_free(dns);
    return 0;
}

/* SCRIPT treewalk|psl: lines of "FROM-VALUE TAB SPF-DOMAIN TAB DKIM-DOMAIN", the latter two empty where nothing passed; a
 * verdict each. */
static int dmarc(char **argv)
{
    struct dns *dns = read_script(argv[0]);
    struct psl_list *list = NULL;
    struct buf input = read_all(stdin);
    struct view in = buf_view(&input), line, from;
    const struct dmarc_settings set = {.method = view_eq(view_str(argv[1]), VIEW("psl")) ? DMARC_PSL : DMARC_TREEWALK,
                                       .psl = psl_list_open(NULL, &list) == RC_OK ? list : NULL};
    while (in.n > 0) {
        struct dmarc_dkim dkim = {.pass = true};
        struct dmarc_facts facts = {.dkim = &dkim};
        struct dmarc_verdict v;
        struct arena a;
        arena_init(&a, 64u << 20);
        view_split(&in, '\n', &line);
        view_split(&line, '\t', &from);
        view_split(&line, '\t', &facts.spf_domain);
        dkim.domain = line;
        facts.spf_pass = facts.spf_domain.n > 0;
        facts.n_dkim = dkim.domain.n > 0;
        char *header = arena_printf(&a, "From: %.*s\r\n\r\n", VIEW_FMT(from));
        if (!header)
            return 2;
        facts.header = view_str(header);
        dmarc_check(dns, &set, &facts, NO_DEADLINE, &a, &v);
        printf("%s\t%s\t%s\t%.*s\t%.*s\t%d\t%d\t%.*s\n", dmarc_result_name(v.result), dmarc_policy_name(v.policy),
               dmarc_policy_name(v.disposition), VIEW_FMT(v.policy_domain), VIEW_FMT(v.organization), v.spf_aligned, v.dkim_aligned,
               VIEW_FMT(v.reason));
        arena_clear(&a);
    }
    buf_clear(&input);
    psl_list_free(list);
    dns_free(dns);
    return 0;
}

/* rsa|ed25519 PEM-FILE: writes the key, prints the record. */
static int make_key(char **argv)
{
    enum pkey_kind kind = view_eq(view_str(argv[0]), VIEW("rsa")) ? PKEY_RSA : PKEY_ED25519;
    struct pkey *k;
    struct buf pem, public_key, record;
    buf_init(&pem, PKEY_PEM_MAX);
    buf_init(&public_key, PKEY_PEM_MAX);
    buf_init(&record, PKEY_PEM_MAX);
    enum rc rc = pkey_generate(kind, 2048, &k);
    FILE *f = fopen(argv[1], "wb");
    if (rc == RC_OK && f && pkey_private_write(k, &pem) == RC_OK && pkey_public_write(k, &public_key) == RC_OK) {
        fwrite(pem.p, 1, pem.n, f);
        dkim_key_write_zone(kind, buf_view(&public_key), &record);
        printf("%.*s\n", VIEW_FMT(buf_view(&record)));
    }
    if (f)
        fclose(f);
    buf_wipe(&pem);
    buf_clear(&pem);
    buf_clear(&public_key);
    buf_clear(&record);
    pkey_free(k);
    return rc != RC_OK;
}

/* simple|relaxed: the canonical header, an empty line, the hash of the canonical body. */
static int canonical(char **argv)
{
    enum dkim_canon canon = view_eq(view_str(argv[0]), VIEW("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
    struct buf message = read_all(stdin), out;
    struct view in = buf_view(&message);
    struct dkim_body *body = dkim_body_new();
    struct header_field field;
    uint8_t hash[SHA256_SIZE];
    size_t slot;
    buf_init(&out, INPUT_MAX);
    while (header_next(&in, &field))
        dkim_field_write(canon, &field, &out);
    buf_str(&out, "\r\n");
    if (!body || dkim_body_want(body, canon, DKIM_WHOLE, &slot) != RC_OK)
        return 1;
    dkim_body_add(body, header_body(buf_view(&message)));
    if (dkim_body_end(body) != RC_OK || !dkim_body_hash(body, slot, hash))
        return 1;
    hex_encode(view_of(hash, sizeof hash), &out);
    fwrite(out.p, 1, out.n, stdout);
    dkim_body_free(body);
    buf_clear(&out);
    buf_clear(&message);
    return 0;
}

int main(int argc, char **argv)
{
    struct view verb = view_str(argc > 1 ? argv[1] : "");
    if (view_eq(verb, VIEW("dkim-verify")) && argc >= 4)
        return verify(argc - 2, &argv[2]);
    if (view_eq(verb, VIEW("dkim-sign")) && argc >= 6)
        return sign_message(argc - 2, &argv[2]);
    if (view_eq(verb, VIEW("key")) && argc == 4)
        return make_key(&argv[2]);
    if (view_eq(verb, VIEW("arc-verify")) && argc == 3)
        return arc_verify(&argv[2]);
    if (view_eq(verb, VIEW("arc-seal")) && argc >= 8)
        return arc_seal_message(argc - 2, &argv[2]);
    if (view_eq(verb, VIEW("spf")) && argc == 3)
        return spf(&argv[2]);
    if (view_eq(verb, VIEW("dmarc")) && argc == 4)
        return dmarc(&argv[2]);
    if (view_eq(verb, VIEW("canonical")) && argc == 3)
        return canonical(&argv[2]);
    fprintf(stderr, "usage: mailauth_tool dkim-verify|dkim-sign|arc-verify|arc-seal|spf|dmarc|key|canonical ...\n");
    return 2;
}
