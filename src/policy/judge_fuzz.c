/* Facts and a message with scripted answers: nothing may crash, what is done follows from what was found, and the field that
 * is written says once what was found, whatever strangers put into it. First line: HELO, second: MAIL FROM, third: TXT
 * records of every name that is asked for, with "|" between them; the rest is the message. */
#include "policy/judge.h"

#include <stdio.h>

#include "mailauth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct view sealers[] = {VIEW_INIT("ici.test"), VIEW_INIT("labas.test")};

static void put_record(const char *name, struct view record, struct buf *zone)
{
    buf_printf(zone, "%s TXT \"", name);
    for (size_t k = 0; k < record.n && k < 250; k++)
        buf_chr(zone, record.p[k] == '"' || record.p[k] == 0 || record.p[k] == '\\' ? '\'' : record.p[k]);
    buf_str(zone, "\"\n");
}

static struct dns *open_dns(struct view records)
{
    static const char *const names[] = {"ici.test",         "labas.test",          "_dmarc.ici.test",   "_dmarc.labas.test",
                                        "_dmarc.test",      "s._domainkey.ici.test", "s._domainkey.labas.test"};
    struct buf zone;
    struct dns *dns;
    buf_init(&zone, 1u << 16);
    buf_str(&zone, "2.0.0.127.in-addr.arpa PTR mx.ici.test\nmx.ici.test A 127.0.0.2\nici.test A 127.0.0.2\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct view rest = records, record;
        for (int n = 0; n < 4 && rest.n > 0; n++) {
            view_split(&rest, '|', &record);
            put_record(names[i], record, &zone);
        }
    }
    buf_chr(&zone, 0);
    bug_if(dns_new_scripted(zone.p, &dns) != RC_OK);
    buf_clear(&zone);
    return dns;
}

static void check_decision(const struct judgement *v)
{
    bug_if((v->action == JUDGE_ACCEPT) != (v->text.n == 0));
    bug_if((v->action == JUDGE_REJECT) != (v->code == 550));
    bug_if(v->text.n > JUDGE_TEXT_MAX || view_has_ctl(v->text) || !view_is_ascii(v->text));
    bug_if(v->dmarc.result == DMARC_PASS && v->action != JUDGE_ACCEPT);
    bug_if(v->dmarc.override != DMARC_NO_OVERRIDE && v->dmarc.result == DMARC_PASS);
}

/* One field, whose DMARC result is what was found, and no other. */
static void check_field(const struct judge_settings *set, const struct judgement *v, struct arena *a)
{
    struct buf out;
    struct header_field field;
    struct authres_item one;
    unsigned n_dmarc = 0;
    buf_init(&out, 1u << 16);
    bug_if(judge_results(set, v, AUTHRES_FIELD_MAX, &out) != RC_OK);
    struct view in = buf_view(&out), id;
    bug_if(!header_next(&in, &field) || in.n > 0 || !view_is_ascii(field.value));
    bug_if(authres_id(&field.value, a, &id) != RC_OK || !view_eq(id, VIEW("mx.ici.test")));
    for (enum rc rc; (rc = authres_next(&field.value, a, &one)) != RC_NOTFOUND;) {
        if (rc == RC_TEMP)
            break;
        if (!view_eq(one.method, VIEW("dmarc")))
            continue;
        n_dmarc++;
        bug_if(!view_eq(one.result, view_str(dmarc_result_name(v->dmarc.result))));
    }
    bug_if(n_dmarc != 1);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct judge_settings set = {
        .authserv_id = "mx.ici.test", .enforce = true, .arc = true, .sealers = sealers, .n_sealers = 2};
    struct judge_facts facts = {.now_s = 1700000000};
    struct view message = view_of(data, size), records;
    struct judgement v;
    struct judge *j;
    struct arena a;
    size_t slot;

    view_split(&message, '\n', &facts.helo);
    view_split(&message, '\n', &facts.mail_from);
    view_split(&message, '\n', &records);
    bug_if(addr_parse_ip(VIEW("127.0.0.2"), 0, &facts.ip) != RC_OK);
    struct dns *dns = open_dns(records);
    arena_init(&a, JUDGE_MEMORY);
    bug_if(judge_new(&set, dns, &facts, &a, &j) != RC_OK);
    bug_if(judge_seal_slot(j, &slot) != RC_OK);
    if (judge_header(j, header_of(message)) == RC_OK) {
        judge_body(j, header_body(message));
        if (judge_finish(j, &v) == RC_OK) {
            check_decision(&v);
            check_field(&set, &v, &a);
        }
    }
    judge_free(j);
    dns_free(dns);
    arena_clear(&a);
    return 0;
}
