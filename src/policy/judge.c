#include "policy/judge_impl.h"

/* How the time after the end of the message is shared out, in percent of it. The servers asked for keys and SPF are named by whoever
 * wrote the message; the last part is DMARC's, so that a stranger's dead server never hides what the author's domain asks
 * for. All of it has been asked ahead and mostly waits already. */
#define KEYS_SHARE  45 /* until then DKIM and ARC wait */
#define SPF_SHARE   65 /* and SPF of MAIL FROM */
#define NOTE_SHARE  5  /* what decides nothing waits so long from its own start: SPF of HELO, iprev, the HELO name */
#define DMARC_SHARE 100

struct judge {
    const struct judge_settings *set;
    struct dns *dns;
    struct arena *arena;
    struct judge_facts facts;
    struct view header;
    struct dmarc_authors authors;
    struct dkim_body *body;
    struct dkim *dkim;
    struct arc *arc;
};

static enum rc keep_facts(const struct judge_facts *in, struct arena *a, struct judge_facts *out)
{
    *out = *in;
    if (out->ip.len > 0)
        addr_unmap(&out->ip);
    if (view_dup(a, in->helo, &out->helo) != RC_OK || view_dup(a, in->mail_from, &out->mail_from) != RC_OK)
        return RC_TEMP;
    return RC_OK;
}

/* --- asking ahead --- */

static void prefetch_name(struct judge *j, struct view name, enum dns_type type)
{
    struct view ascii;
    if (dns_domain_ascii(name, j->arena, &ascii) == RC_OK && !view_starts(ascii, VIEW("[")))
        dns_prefetch(j->dns, ascii, type);
}

static void prefetch_facts(struct judge *j)
{
    size_t at = view_rchr(j->facts.mail_from, '@');
    if (j->facts.ip.len == 0)
        return; /* none of it will be asked */
    if (at != VIEW_NONE)
        prefetch_name(j, view_from(j->facts.mail_from, at + 1), DNS_TXT);
    prefetch_name(j, j->facts.helo, DNS_TXT);
    prefetch_name(j, j->facts.helo, addr_is_ipv6(&j->facts.ip) ? DNS_AAAA : DNS_A);
    dns_prefetch_ptr(j->dns, &j->facts.ip);
}

/* --- the verdicts --- */

static int64_t deadline_of(const struct judge *j, int64_t start_ms, int share)
{
    int64_t time_ms = j->set->time_ms > 0 ? j->set->time_ms : JUDGE_TIME_MS;
    return start_ms + time_ms * share / 100;
}

static int64_t note_deadline(const struct judge *j)
{
    return deadline_of(j, clock_mono_ms(), NOTE_SHARE);
}

static enum rc judge_signatures(struct judge *j, int64_t deadline_ms, struct judgement *out)
{
    enum rc rc = dkim_finish(j->dkim, j->dns, j->facts.now_s, deadline_ms, j->arena, &out->dkim);
    if (rc == RC_OK && j->arc)
        rc = arc_finish(j->arc, j->dns, deadline_ms, j->arena, &out->arc);
    return rc;
}

static void judge_spf(struct judge *j, int64_t deadline_ms, struct judgement *out)
{
    const struct spf_facts facts = {.ip = j->facts.ip,
                                    .helo = j->facts.helo,
                                    .mail_from = j->facts.mail_from,
                                    .receiver = view_str(j->set->authserv_id),
                                    .now_s = j->facts.now_s};
    spf_check(j->dns, &facts, deadline_ms, j->arena, &out->spf);
    if (out->spf.identity == SPF_HELO)
        out->helo = out->spf;
    else
        spf_check_helo(j->dns, &facts, note_deadline(j), j->arena, &out->helo);
}

static enum rc judge_dmarc(struct judge *j, int64_t deadline_ms, struct judgement *out)
{
    const struct dmarc_settings set = {.method = j->set->method, .psl = j->set->psl, .compare = j->set->compare};
    struct dmarc_dkim *dkim = arena_new_array(j->arena, out->dkim.n, struct dmarc_dkim);
    if (!dkim)
        return RC_TEMP;
    for (size_t i = 0; i < out->dkim.n; i++) {
        const struct dkim_verdict *v = &out->dkim.verdicts[i];
        dkim[i] = (struct dmarc_dkim){.domain = v->domain,
                                      .pass = v->result == DKIM_PASS && !v->is_partial,
                                      .temporary = v->result == DKIM_TEMPERROR && !v->is_partial};
    }
    const struct dmarc_facts facts = {.header = j->header,
                                      .spf_pass = out->spf.result == SPF_PASS,
                                      .spf_temporary = out->spf.result == SPF_TEMPERROR,
                                      .spf_domain = out->spf.domain,
                                      .dkim = dkim,
                                      .n_dkim = out->dkim.n};
    dmarc_check(j->dns, &set, &facts, deadline_ms, j->arena, &out->dmarc);
    return RC_OK;
}

/* --- from MAIL to the end of the message --- */

enum rc judge_new(const struct judge_settings *set, struct dns *dns, const struct judge_facts *facts, struct arena *a,
                  struct judge **out)
{
    struct judge *j = arena_new(a, struct judge);
    *out = NULL;
    if (!j || keep_facts(facts, a, &j->facts) != RC_OK || !(j->body = dkim_body_new()))
        return RC_TEMP;
    j->set = set;
    j->dns = dns;
    j->arena = a;
    prefetch_facts(j);
    *out = j;
    return RC_OK;
}

enum rc judge_header(struct judge *j, struct view header)
{
    j->header = header;
    enum rc rc = dmarc_authors(header, j->arena, &j->authors);
    if (rc == RC_OK)
        rc = dkim_new(header, j->arena, j->body, &j->dkim);
    if (rc == RC_OK && j->set->arc)
        rc = arc_new(header, j->arena, j->body, &j->arc);
    if (rc != RC_OK)
        return rc;
    dmarc_prefetch(j->dns, &j->authors);
    dkim_prefetch(j->dkim, j->dns);
    if (j->arc)
        arc_prefetch(j->arc, j->dns);
    return RC_OK;
}

void judge_body(struct judge *j, struct view bytes)
{
    dkim_body_add(j->body, bytes);
}

enum rc judge_finish(struct judge *j, struct judgement *out)
{
    const int64_t start_ms = clock_mono_ms();
    *out = (struct judgement){.facts = j->facts, .helo_note = "", .arc.reason = "", .status = ""};
    enum rc rc = dkim_body_end(j->body);
    if (rc == RC_OK)
        rc = judge_signatures(j, deadline_of(j, start_ms, KEYS_SHARE), out);
    if (rc != RC_OK)
        return rc;
    judge_client_prefetch(j->dns, &j->facts.ip);
    judge_spf(j, deadline_of(j, start_ms, SPF_SHARE), out);
    judge_client_iprev(j->dns, &j->facts.ip, note_deadline(j), j->arena, &out->iprev);
    out->helo_note = judge_client_helo(j->dns, j->facts.helo, &j->facts.ip, j->set->authserv_id, note_deadline(j));
    rc = judge_dmarc(j, deadline_of(j, start_ms, DMARC_SHARE), out);
    if (rc == RC_OK)
        rc = judge_decide(j->set, &j->authors, j->arena, out);
    if (rc == RC_OK && j->set->logo && out->action == JUDGE_ACCEPT && out->dmarc.result == DMARC_PASS)
        rc = j->set->logo(j->set->logo_ctx, &out->dmarc, j->header, deadline_of(j, start_ms, DMARC_SHARE), j->arena, &out->logo);
    out->look_ups_ms = clock_mono_ms() - start_ms;
    return rc;
}

enum rc judge_seal_slot(struct judge *j, size_t *slot)
{
    return dkim_sign_want(j->body, slot);
}

const struct dkim_body *judge_body_hashes(const struct judge *j)
{
    return j->body;
}

void judge_free(struct judge *j)
{
    if (j)
        dkim_body_free(j->body);
}
