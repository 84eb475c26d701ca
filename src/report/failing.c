#include "report/failing.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/hex.h"
#include "crypto/random.h"
#include "report/bounce.h"
#include "report/mail.h"
#include "sys/board.h"

#define JOB_ARENA     (256u << 10)
#define FEEDBACK_MAX  16384
#define FAILURE_CAPS  (PLAN_CAPS + 1)

struct job {
    struct job *next;
    struct arena arena;
    struct view domain, author, record;   /* where the policy was found; the author's domain; the record */
    struct view feedback, header;         /* the parts, but for SPF-DNS */
    struct view spf_domain;               /* whose record is shown; or empty */
    char ip[ADDR_TEXT_MAX];
    int64_t now_s;
};
struct failing {
    uint8_t key[FAILURE_KEY_SIZE];
    pthread_mutex_t lock; /* guards all below */
    struct job *first, **last;
    size_t n;
};

_Static_assert((int)FAILURE_KEY_SIZE == (int)SEEN_SECRET_SIZE, "one key");

enum rc failing_new(struct store *s, struct failing **out)
{
    struct failing *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f)
        return RC_TEMP;
    enum rc rc = seen_secret(s, "redaction", f->key);
    if (rc != RC_OK) {
        free(f);
        return rc;
    }
    pthread_mutex_init(&f->lock, NULL);
    f->last = &f->first;
    *out = f;
    return RC_OK;
}

static void free_job(struct job *job)
{
    if (!job)
        return;
    arena_clear(&job->arena);
    free(job);
}

void failing_free(struct failing *f)
{
    if (!f)
        return;
    for (struct job *job = f->first, *next; job; job = next) {
        next = job->next;
        free_job(job);
    }
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static enum rc fill_job(const struct failing *f, const struct report_settings *set, const struct judgement *j,
                        const struct report_facts *facts, struct job *job)
{
    struct buf feedback, header;
    buf_init(&feedback, FEEDBACK_MAX);
    buf_init(&header, FAILURE_HEADER_MAX);
    job->now_s = j->facts.now_s;
    addr_write_ip(&j->facts.ip, job->ip);
    enum rc rc = failure_feedback(j, set->hostname, f->key, &feedback);
    if (rc == RC_OK)
        rc = failure_redact(facts->header, f->key, &job->arena, &header);
    if (rc == RC_OK)
        rc = view_dup(&job->arena, buf_view(&feedback), &job->feedback);
    if (rc == RC_OK)
        rc = view_dup(&job->arena, buf_view(&header), &job->header);
    if (rc == RC_OK)
        rc = view_dup(&job->arena, j->dmarc.policy_domain, &job->domain);
    if (rc == RC_OK)
        rc = view_dup(&job->arena, j->dmarc.author, &job->author);
    if (rc == RC_OK)
        rc = view_dup(&job->arena, j->dmarc.record.text, &job->record);
    if (rc == RC_OK && failure_wants_spf(j))
        rc = view_dup(&job->arena, j->spf.domain, &job->spf_domain);
    buf_clear(&feedback);
    buf_clear(&header);
    return rc;
}

void failing_note(struct failing *f, const struct report_settings *set, const struct judgement *j, const struct report_facts *facts)
{
    if (!failure_is_wanted(j, facts))
        return;
    pthread_mutex_lock(&f->lock);
    bool full = f->n >= FAILING_MAX;
    f->n += !full;
    pthread_mutex_unlock(&f->lock);
    if (full)
        return;
    struct job *job = calloc(1, sizeof *job);
    enum rc rc = RC_TEMP;
    if (job) {
        arena_init(&job->arena, JOB_ARENA);
        rc = fill_job(f, set, j, facts, job);
    }
    pthread_mutex_lock(&f->lock);
    if (rc == RC_OK) {
        *f->last = job;
        f->last = &job->next;
        job = NULL;
    } else {
        f->n--;
    }
    pthread_mutex_unlock(&f->lock);
    free_job(job);
}

static struct job *take_job(struct failing *f)
{
    pthread_mutex_lock(&f->lock);
    struct job *job = f->first;
    if (job) {
        f->first = job->next;
        if (!f->first)
            f->last = &f->first;
        f->n--;
    }
    pthread_mutex_unlock(&f->lock);
    return job;
}

/* --- sending --- */

struct failure {
    struct store *s;
    struct dns *dns;
    const struct report_settings *set;
    struct job *job;
    struct arena *a;
    struct view from;
    struct buf feedback; /* with SPF-DNS */
};

static void tell(const struct failure *x, struct view to, const char *why)
{
    log_info("report.skipped", F_VIEW("domain", x->job->domain), F_VIEW("to", to), F_CSTR("reason", why));
}

/* RFC 6591 §3.2.6: the record as it is now. */
static void add_spf(struct failure *x)
{
    struct dns_answer answer;
    struct view *texts;
    size_t n;
    if (x->job->spf_domain.n == 0 ||
        dns_txt(x->dns, x->job->spf_domain, deadline_in(REPORT_TIME_MS), x->a, &answer, &texts, &n) != DNS_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!spf_is_record(texts[i]) || view_has_ctl(texts[i]) || !view_is_ascii(texts[i]) || view_chr(texts[i], '"') != VIEW_NONE)
            continue;
        buf_printf(&x->feedback, "SPF-DNS: txt : %.*s :\r\n \"%.*s\"\r\n", VIEW_FMT(x->job->spf_domain),
                   VIEW_FMT(view_slice(texts[i], 0, 900)));
        return;
    }
}

static enum rc write_mail(struct failure *x, struct view to, struct buf *out)
{
    uint8_t random[8];
    char unique[2 * sizeof random + 1];
    const struct job *job = x->job;
    random_bytes(random, sizeof random);
    hex_write(view_of(random, sizeof random), unique);
    size_t at = view_rchr(x->from, '@');
    char *id = arena_printf(x->a, "%s.failure%.*s", unique, VIEW_FMT(view_from(x->from, at)));
    char *subject = arena_printf(x->a, "DMARC failure report for %.*s from %s", VIEW_FMT(job->author), job->ip);
    char *text = arena_printf(x->a,
                              "This is a DMARC failure report (RFC 9991) on a message that named %.*s\r\n"
                              "as its author's domain and came from the address %s.\r\n"
                              "It was sent because the DMARC record of %.*s asks for such reports (ruf).\r\n"
                              "Body, subject and names are left out, and local parts of addresses replaced (RFC 6590).\r\n",
                              VIEW_FMT(job->author), job->ip, VIEW_FMT(job->domain));
    if (!id || !subject || !text)
        return RC_TEMP;
    const struct mail_part parts[] = {{.type = VIEW("text/plain; charset=us-ascii"), .bytes = view_str(text)},
                                      {.type = VIEW("message/feedback-report"), .bytes = buf_view(&x->feedback)},
                                      {.type = VIEW("text/rfc822-headers"), .bytes = job->header}};
    const struct mail m = {.name = view_str(x->set->organization), .from = x->from, .to = to, .subject = view_str(subject),
                           .message_id = view_str(id), .type = VIEW("multipart/report; report-type=feedback-report"), .parts = parts,
                           .n_parts = 3, .now_s = job->now_s};
    return mail_write(&m, out);
}

/* The domain's cap stands first, so that it alone is told where all are reached. */
static enum rc count(struct failure *x, struct view to, struct seen_cap caps[FAILURE_CAPS])
{
    size_t which;
    char *name = arena_printf(x->a, "failures %.*s", VIEW_FMT(x->job->domain));
    enum rc rc = name ? plan_caps(x->set, to, x->a, caps + 1) : RC_TEMP;
    if (rc != RC_OK)
        return rc;
    caps[0] = (struct seen_cap){view_str(name), x->set->failures ? x->set->failures : REPORT_FAILURES};
    return seen_count_mail(x->s, 0, to, clock_real_s(), caps, FAILURE_CAPS, &which);
}

static void send_to(struct failure *x, const struct destination *d)
{
    struct seen_cap caps[FAILURE_CAPS];
    struct buf message;
    struct view why;
    int64_t until;
    uint64_t id = 0;
    if (d->state != DESTINATION_OK) {
        tell(x, d->address.n > 0 ? d->address : d->uri, d->why);
        return;
    }
    enum rc rc = seen_paused(x->s, d->address, x->a, &until, &why);
    if (plan_is_never(x->set, d->address) || rc != RC_OK || until > clock_real_s()) {
        tell(x, d->address, rc != RC_OK ? "the store failed" : until > 0 ? "it bounced" : "the setting `never` names it");
        return;
    }
    rc = count(x, d->address, caps);
    if (rc != RC_OK) {
        tell(x, d->address, rc == RC_LIMIT ? "as many as one day allows have gone" : "the store failed");
        return;
    }
    buf_init(&message, MAIL_MAX);
    rc = write_mail(x, d->address, &message);
    struct view sender = x->from;
    if (rc == RC_OK && x->set->bounce_key)
        rc = bounce_sender(x->set->bounce_key, x->from, d->address, x->a, &sender);
    if (rc == RC_OK)
        rc = mail_queue(x->s, x->set->sign, x->set->sign_ctx, buf_view(&message), sender, d->address, clock_real_ms(), &id);
    if (rc == RC_OK)
        board_count(BOARD_REPORTS_SENT, "failure");
    if (rc == RC_OK)
        log_info("report.failure.queued", F_VIEW("domain", x->job->domain), F_VIEW("to", d->address), F_ID("id", id),
                 F_VIEW("author", x->job->author), F_CSTR("peer", x->job->ip));
    else
        tell(x, d->address, "it could not be signed or queued");
    buf_clear(&message);
}

static void send_job(struct failure *x)
{
    struct dmarc_record record;
    struct destination *list;
    size_t n = 0;
    buf_init(&x->feedback, FEEDBACK_MAX * 2);
    enum rc rc = plan_is_never(x->set, x->job->domain) ? RC_DENIED : report_from(x->s, x->set, x->a, &x->from);
    if (rc == RC_OK)
        rc = dmarc_record_parse(x->job->record, x->a, &record);
    if (rc == RC_OK)
        rc = destinations_find(x->dns, &x->set->dmarc, x->job->domain, record.ruf, record.n_ruf, true, deadline_in(REPORT_TIME_MS), x->a,
                               &list, &n);
    if (rc == RC_OK && n > 0) {
        buf_add(&x->feedback, x->job->feedback);
        add_spf(x);
    }
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        send_to(x, &list[i]);
    if (rc != RC_OK)
        tell(x, VIEW(""), rc == RC_DENIED ? "the setting `never` names it" : rc_name(rc));
    buf_clear(&x->feedback);
}

void failing_send(struct failing *f, struct store *s, struct dns *dns, const struct report_settings *set, const atomic_bool *stop)
{
    struct job *job;
    while (!atomic_load(stop) && (job = take_job(f))) {
        struct arena a;
        arena_init(&a, 4u << 20);
        struct failure x = {.s = s, .dns = dns, .set = set, .job = job, .a = &a};
        send_job(&x);
        arena_clear(&a);
        free_job(job);
    }
}
