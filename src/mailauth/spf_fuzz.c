/* Any bytes as records of two domains that name each other: every look-up is answered from a script, nothing may crash,
 * and what a verdict says is visible ASCII. The first line is the sender, the rest the records. */
#include "mailauth/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_txt(struct buf *zone, const char *name, struct view text)
{
    buf_printf(zone, "%s TXT", name);
    for (size_t i = 0; i < text.n; i += 200) {
        buf_str(zone, " \"");
        for (size_t k = i; k < text.n && k < i + 200; k++)
            buf_chr(zone, text.p[k] == '"' || text.p[k] == '\n' || text.p[k] == 0 ? '\'' : text.p[k]);
        buf_chr(zone, '"');
    }
    buf_str(zone, text.n ? "\n" : " \"\"\n");
}

static void check_words(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        bug_if(v.p[i] < ' ' || v.p[i] >= 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view in = view_of(data, size), sender, first;
    struct spf_facts facts = {.receiver = VIEW("mx.test")};
    struct spf_verdict v;
    struct arena a;
    struct buf zone;
    struct dns *dns;
    const char *why;
    view_split(&in, '\n', &sender);
    view_split(&in, '\n', &first);
    buf_init(&zone, 1u << 20);
    buf_str(&zone, "mail.example.org A 192.0.2.1\nexample.org MX 1 mail.example.org\n1.2.0.192.in-addr.arpa PTR mail.example.org\n");
    add_txt(&zone, "example.org", first);
    add_txt(&zone, "second.test", in);
    buf_chr(&zone, 0);
    arena_init(&a, 1u << 20);
    spf_record_check(first, &why, &sender);
    if (buf_rc(&zone) == RC_OK && dns_new_scripted(zone.p, &dns) == RC_OK) {
        facts.mail_from = size % 2 ? VIEW("a.b-c+d@example.org") : sender;
        facts.helo = sender;
        if (addr_parse_ip(size % 3 ? VIEW("192.0.2.1") : VIEW("2001:db8::1"), 0, &facts.ip) == RC_OK) {
            spf_check(dns, &facts, NO_DEADLINE, &a, &v);
            check_words(v.reason);
            check_words(v.explanation);
            check_words(v.mechanism);
            bug_if(v.lookups > SPF_LOOKUPS_MAX || v.voids > SPF_VOIDS_MAX + 1);
            for (const struct spf_step *s = v.steps; s; s = s->next)
                check_words(s->outcome);
        }
        dns_free(dns);
    }
    arena_clear(&a);
    buf_clear(&zone);
    return 0;
}
