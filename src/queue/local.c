#include "queue/local.h"
#include "queue/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "message/summary.h"
#include "queue/idset.h"
#include "store/blob.h"
#include "store/directory.h"
#include "store/mailbox.h"
#include "store/quota.h"
#include "sys/board.h"

#define FATE_ARENA 65536
#define LOCAL_BUCKETS    4096
#define LOCAL_RETRY_MS   1000      /* after the store could not settle */
#define LOCAL_RESULTS    512       /* rows of one transaction of results */

/* One message for all its local recipients in memory. */
struct local_message {
    pthread_mutex_t lock; /* guards what is below until `ready` */
    bool ready;
    enum rc rc;
    struct arena arena;
    struct new_item described; /* what its text says */

    unsigned refs; /* under local.lock */
    uint64_t id, blob, size;
    int64_t created_ms;
    bool junk, trusted;
    uint64_t account;   /* who submitted it; 0: from outside */
    struct view sender; /* in the arena, where there is an account */
};

struct local_job {
    struct local_job *next;
    struct local_message *msg;
    uint64_t rcpt;
    bool tell_success;
    size_t address_n;
    char address[];
};

/* What waits for one account. At most one worker is busy with it: so its order is that of arrival. */
struct local_account {
    uint64_t account;
    struct local_job *first, **last;
    bool busy;
    struct local_account *hash_next, *ready_next;
};

/* Accounts that wait for a worker. The desk has a list and a worker of its own. */
struct local_list {
    struct local_account *first, **last;
    pthread_cond_t work;
};

struct local {
    struct store *store;
    struct local_settings set;
    pthread_t *threads;
    unsigned n_threads;
    pthread_t settler, desk;
    bool has_settler, has_desk;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t idle, settle;
    struct local_account *buckets[LOCAL_BUCKETS];
    struct local_list for_mail, for_desk;
    struct idset known;
    size_t pending, busy;
    uint64_t delivered;
    bool stop, stop_settler;
    uint64_t *done; /* delivered rows that are to go */
    int64_t done_ms; /* when the last of them was delivered */
    size_t n_done, size_done;
};

/* --- messages and jobs --- */

static struct local_message *message_new(const struct mailq_message *m)
{
    struct local_message *msg = calloc(1, sizeof *msg);
    if (!msg)
        return NULL;
    pthread_mutex_init(&msg->lock, NULL);
    arena_init(&msg->arena, SUMMARY_ARENA_MAX);
    msg->refs = 1;
    msg->id = m->id;
    msg->blob = m->blob;
    msg->size = m->size + m->skip; /* mailboxes have the Return-Path too */
    msg->created_ms = m->created_ms;
    msg->junk = m->junk;
    msg->trusted = m->account != 0 || m->lane == LANE_REPORTS;
    msg->account = m->account;
    if (m->account && view_dup(&msg->arena, m->sender, &msg->sender) != RC_OK)
        msg->account = 0; /* no memory: it goes, and is not told of */
    return msg;
}

static void message_unref(struct local *l, struct local_message *msg)
{
    pthread_mutex_lock(&l->lock);
    bool last = --msg->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (!last)
        return;
    arena_clear(&msg->arena);
    pthread_mutex_destroy(&msg->lock);
    free(msg);
}

/* Computed by the first who needs it. */
static enum rc message_prepare(struct store *s, struct local_message *msg)
{
    pthread_mutex_lock(&msg->lock);
    if (!msg->ready) {
        struct blob blob = {0};
        msg->rc = blob_open(s, msg->blob, false, &blob);
        if (msg->rc == RC_OK)
            msg->rc = mailbox_describe(blob.bytes, &msg->arena, &msg->described);
        blob_close(&blob);
        msg->ready = true;
    }
    enum rc rc = msg->rc;
    pthread_mutex_unlock(&msg->lock);
    return rc;
}

static struct local_account *account_find(struct local *l, uint64_t account, bool make)
{
    struct local_account **at = &l->buckets[account % LOCAL_BUCKETS];
    for (; *at; at = &(*at)->hash_next)
        if ((*at)->account == account)
            return *at;
    if (!make)
        return NULL;
    struct local_account *acc = calloc(1, sizeof *acc);
    if (!acc)
        return NULL;
    acc->account = account;
    acc->last = &acc->first;
    *at = acc;
    return acc;
}

static void account_drop(struct local *l, struct local_account *acc)
{
    struct local_account **at = &l->buckets[acc->account % LOCAL_BUCKETS];
    while (*at != acc)
        at = &(*at)->hash_next;
    *at = acc->hash_next;
    free(acc);
}

static void account_make_ready(struct local *l, struct local_account *acc)
{
    struct local_list *list = acc->account == DIRECTORY_DESK ? &l->for_desk : &l->for_mail;
    acc->ready_next = NULL;
    *list->last = acc;
    list->last = &acc->ready_next;
    pthread_cond_signal(&list->work);
}

/* With the lock held. */
static enum rc add_one(struct local *l, struct local_message *msg, const struct mailq_rcpt *r)
{
    enum rc rc = idset_add(&l->known, r->id);
    if (rc != RC_OK)
        return rc;
    struct local_account *acc = account_find(l, r->account, true);
    struct local_job *job = acc ? malloc(sizeof *job + r->address.n) : NULL;
    if (!job) {
        idset_remove(&l->known, r->id);
        if (acc && !acc->first && !acc->busy)
            account_drop(l, acc);
        return RC_TEMP;
    }
    *job = (struct local_job){.msg = msg, .rcpt = r->id, .tell_success = (r->notify & NOTIFY_SUCCESS) != 0,
                              .address_n = r->address.n};
    if (r->address.n > 0)
        memcpy(job->address, r->address.p, r->address.n);
    msg->refs++;
    if (!acc->first && !acc->busy)
        account_make_ready(l, acc);
    *acc->last = job;
    acc->last = &job->next;
    l->pending++;
    return RC_OK;
}

/* --- a worker --- */

/* Delivered: the row goes with the next settlement. */
static void job_done(struct local *l, struct local_job *job)
{
    pthread_mutex_lock(&l->lock);
    l->delivered++;
    l->done_ms = clock_mono_ms();
    if (l->n_done == l->size_done) {
        size_t size = l->size_done ? l->size_done * 2 : 1024;
        uint64_t *more = realloc(l->done, size * sizeof *more);
        if (more) {
            l->done = more;
            l->size_done = size;
        }
    }
    if (l->n_done < l->size_done)
        l->done[l->n_done++] = job->rcpt;
    else /* the row stays and is delivered again, which adds nothing */
        idset_remove(&l->known, job->rcpt);
    if (l->n_done == 1 || l->n_done >= LOCAL_SETTLE_ROWS)
        pthread_cond_signal(&l->settle);
    pthread_mutex_unlock(&l->lock);
}

/* Before the row goes: it is told at least once. */
static enum rc tell_fate(struct local *l, const struct local_job *job, struct view address)
{
    const struct queue_fate f = {.kind = FATE_DELIVERED, .message = job->msg->id, .account = job->msg->account, .sender = job->msg->sender,
                                 .recipient = address, .status = VIEW("2.0.0")};
    struct mailq_event event = {0};
    struct arena a;
    if (!l->set.fate || f.account == 0)
        return RC_OK;
    arena_init(&a, FATE_ARENA);
    enum rc rc = l->set.fate(l->set.fate_ctx, &f, &a, &event);
    if (rc == RC_OK)
        rc = mailq_tell(l->store, &event);
    if (rc == RC_OK)
        l->set.fate_told(l->set.fate_ctx, &event);
    else
        log_warn("queue.fate.failed", F_ID("id", f.message), F_VIEW("to", address), F_CSTR("reason", rc_name(rc)));
    arena_clear(&a);
    return rc;
}

static void tell(struct local *l, uint64_t account, struct local_job *job, enum rc rc, enum folder_role folder,
                 const struct born *born)
{
    struct view address = view_of(job->address, job->address_n);
    if (rc != RC_OK) {
        log_warn("queue.local.failed", F_ID("id", job->msg->id), F_VIEW("to", address), F_INT("account", account),
                 F_CSTR("reason", rc_name(rc)));
        l->set.told(l->set.told_ctx, job->msg->id, job->rcpt, rc);
        return;
    }
    board_count(BOARD_DELIVERED, folder == FOLDER_JUNK ? "junk" : "inbox");
    log_info("queue.delivered", F_ID("id", job->msg->id), F_VIEW("to", address), F_INT("account", account),
             F_INT("uid", born->uid), F_INT("ms", clock_real_ms() - job->msg->created_ms),
             F_CSTR("folder", folder == FOLDER_JUNK ? "junk" : "inbox"));
    rc = tell_fate(l, job, address);
    if (rc != RC_OK) { /* delivered again, which adds nothing but this */
        l->set.told(l->set.told_ctx, job->msg->id, job->rcpt, RC_TEMP);
        return;
    }
    if (job->tell_success)
        l->set.told(l->set.told_ctx, job->msg->id, job->rcpt, RC_OK);
    else
        job_done(l, job);
}

static void tell_desk(struct local *l, struct local_job *job)
{
    log_info("queue.delivered", F_ID("id", job->msg->id), F_VIEW("to", view_of(job->address, job->address_n)),
             F_INT("ms", clock_real_ms() - job->msg->created_ms), F_CSTR("folder", "desk"));
    if (job->tell_success)
        l->set.told(l->set.told_ctx, job->msg->id, job->rcpt, RC_OK);
    else
        job_done(l, job);
}

static struct delivery delivery_of(const struct local_job *job)
{
    const struct local_message *msg = job->msg;
    struct delivery d = {.item = msg->described};
    d.item.blob = msg->blob;
    d.item.size = (uint32_t)msg->size;
    d.item.internaldate = msg->created_ms / 1000;
    d.item.source = job->rcpt;
    return d;
}

/* Who has no such folder gets it into INBOX (0). */
static enum rc find_junk(struct mailbox *mb, uint64_t *folder)
{
    struct arena a;
    struct folder junk;
    arena_init(&a, 65536);
    enum rc rc = mailbox_folder_by_role(mb, FOLDER_JUNK, &a, &junk);
    *folder = rc == RC_OK ? junk.id : 0;
    arena_clear(&a);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

static enum rc choose_folders(struct mailbox *mb, struct local_job **jobs, struct delivery *d, size_t n)
{
    uint64_t junk = 0;
    bool looked = false;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        if (!jobs[i]->msg->junk)
            continue;
        if (!looked)
            rc = find_junk(mb, &junk);
        looked = true;
        d[i].folder = junk;
    }
    return rc;
}

/* The folder may be gone by now. */
static enum rc deliver_one(struct mailbox *mb, struct delivery *d, struct born *born)
{
    enum rc rc = mailbox_deliver(mb, d, 1, born);
    if (rc != RC_NOTFOUND || d->folder == 0)
        return rc;
    d->folder = 0;
    return mailbox_deliver(mb, d, 1, born);
}

/* All of them in one transaction; when one of them spoils it, each alone. */
static void deliver(struct local *l, uint64_t account, struct local_job **jobs, size_t n)
{
    struct delivery d[LOCAL_BATCH_MAX];
    struct born born[LOCAL_BATCH_MAX];
    struct mailbox *mb = NULL;
    enum rc rc = mailbox_open(l->store, account, &mb);
    for (size_t i = 0; i < n; i++)
        d[i] = delivery_of(jobs[i]);
    if (rc == RC_OK)
        rc = choose_folders(mb, jobs, d, n);
    if (rc == RC_OK)
        rc = mailbox_deliver(mb, d, n, born);
    for (size_t i = 0; i < n; i++) {
        enum rc one = rc;
        if (mb && (n > 1 || d[i].folder) && rc != RC_OK && rc != RC_TEMP && rc != RC_FULL)
            one = deliver_one(mb, &d[i], &born[i]);
        tell(l, account, jobs[i], one, d[i].folder ? FOLDER_JUNK : FOLDER_INBOX, &born[i]);
    }
    mailbox_close(mb);
}

/* --- the desk --- */

static enum rc hand_over(struct local *l, const struct local_job *job)
{
    const struct local_message *msg = job->msg;
    struct blob blob = {0};
    if (!l->set.desk)
        return RC_NOTFOUND;
    enum rc rc = blob_open(l->store, msg->blob, false, &blob);
    const struct local_desk_mail mail = {.message = blob.bytes, .address = view_of(job->address, job->address_n), .trusted = msg->trusted,
                                         .created_ms = msg->created_ms};
    if (rc == RC_OK) {
        rc = l->set.desk(l->set.desk_ctx, &mail);
        blob_close(&blob);
    } else if (rc == RC_NOTFOUND) {
        rc = RC_CORRUPT; /* the blob is lost: not the desk's word */
    }
    return rc;
}

/* Unless somebody else has it, for there is an alias or account of that name. */
static enum rc give_to_postmaster(struct local *l, struct local_job *job)
{
    struct view address = view_of(job->address, job->address_n);
    struct directory_target postmaster, *targets;
    size_t at = view_rchr(address, '@'), n = 0;
    struct arena a;
    arena_init(&a, 1u << 20);
    enum rc rc = directory_route(l->store, address, &a, &targets, &n);
    if (rc == RC_OK && n > 1) {
        tell_desk(l, job);
        goto done;
    }
    rc = directory_postmaster(l->store, view_from(address, at == VIEW_NONE ? 0 : at + 1), &a, &postmaster);
    if (rc == RC_OK)
        rc = message_prepare(l->store, job->msg);
    if (rc == RC_OK)
        deliver(l, postmaster.account, &job, 1);
done:
    arena_clear(&a);
    return rc == RC_NOTFOUND ? RC_TEMP : rc; /* no account at all: somebody will make one */
}

static void run_desk(struct local *l, struct local_job *job)
{
    enum rc rc = hand_over(l, job);
    if (rc == RC_OK) {
        tell_desk(l, job);
        return;
    }
    if (rc == RC_NOTFOUND)
        rc = give_to_postmaster(l, job);
    if (rc != RC_OK)
        tell(l, DIRECTORY_DESK, job, rc, FOLDER_INBOX, NULL);
}

/* Takes a message's bytes off the mailbox's room, which is looked at once a batch. RC_FULL: it does not fit. */
static enum rc take_room(struct local *l, uint64_t account, uint64_t size, uint64_t *room, bool *looked)
{
    if (!*looked && quota_room(l->store, account, room) != RC_OK)
        *room = QUOTA_NONE; /* delivery says what is wrong */
    *looked = true;
    if (*room == QUOTA_NONE)
        return RC_OK;
    if (size > *room)
        return RC_FULL;
    *room -= size;
    return RC_OK;
}

static void run_batch(struct local *l, uint64_t account, struct local_job *first)
{
    struct local_job *good[LOCAL_BATCH_MAX];
    uint64_t room = QUOTA_NONE;
    bool looked = false;
    size_t n = 0;
    for (struct local_job *job = first; job; job = job->next) {
        if (account == DIRECTORY_DESK) {
            run_desk(l, job);
            continue;
        }
        enum rc rc = message_prepare(l->store, job->msg);
        if (rc == RC_OK)
            rc = take_room(l, account, job->msg->size, &room, &looked);
        if (rc == RC_OK)
            good[n++] = job;
        else
            tell(l, account, job, rc, FOLDER_INBOX, NULL);
    }
    if (n > 0)
        deliver(l, account, good, n);
    for (struct local_job *next; first; first = next) {
        next = first->next;
        message_unref(l, first->msg);
        free(first);
    }
}

static void work_on(struct local *l, struct local_list *list)
{
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!list->first && !l->stop)
            pthread_cond_wait(&list->work, &l->lock);
        if (l->stop)
            break;
        struct local_account *acc = list->first;
        list->first = acc->ready_next;
        if (!list->first)
            list->last = &list->first;
        struct local_job *first = acc->first, **end = &acc->first;
        size_t n = 0;
        while (*end && n < LOCAL_BATCH_MAX) {
            end = &(*end)->next;
            n++;
        }
        acc->first = *end;
        *end = NULL;
        if (!acc->first)
            acc->last = &acc->first;
        acc->busy = true;
        l->busy++;
        pthread_mutex_unlock(&l->lock);

        run_batch(l, acc->account, first);

        pthread_mutex_lock(&l->lock);
        acc->busy = false;
        l->busy--;
        l->pending -= n;
        if (acc->first)
            account_make_ready(l, acc);
        else
            account_drop(l, acc);
        if (l->pending == 0)
            pthread_cond_broadcast(&l->idle);
    }
    pthread_mutex_unlock(&l->lock);
}

static void *work(void *arg)
{
    struct local *l = arg;
    work_on(l, &l->for_mail);
    return NULL;
}

static void *work_for_desk(void *arg)
{
    struct local *l = arg;
    work_on(l, &l->for_desk);
    return NULL;
}

/* --- settlement --- */

static enum rc settle_rows(struct local *l, const uint64_t *rows, size_t n)
{
    struct mailq_result r[LOCAL_RESULTS];
    enum rc rc = store_settle(l->store);
    for (size_t i = 0; i < n && rc == RC_OK;) {
        size_t k = 0;
        while (k < LOCAL_RESULTS && i < n)
            r[k++] = (struct mailq_result){.rcpt = rows[i++], .kind = RESULT_DONE};
        rc = mailq_results(l->store, r, k);
    }
    return rc;
}

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms)
{
    struct timespec ts = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_cond_timedwait(cond, lock, &ts);
}

static void *settle(void *arg)
{
    struct local *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (l->n_done == 0 && !l->stop_settler)
            pthread_cond_wait(&l->settle, &l->lock);
        int64_t at = deadline_in(LOCAL_SETTLE_MS), now;
        while (l->n_done < LOCAL_SETTLE_ROWS && !l->stop_settler && (now = clock_mono_ms()) < at &&
               now < l->done_ms + LOCAL_QUIET_MS)
            wait_until(&l->settle, &l->lock, at < l->done_ms + LOCAL_QUIET_MS ? at : l->done_ms + LOCAL_QUIET_MS);
        if (l->n_done == 0)
            break; /* only when stopping */
        uint64_t *rows = l->done;
        size_t n = l->n_done;
        l->done = NULL;
        l->n_done = l->size_done = 0;
        pthread_mutex_unlock(&l->lock);

        enum rc rc = settle_rows(l, rows, n);
        if (rc != RC_OK)
            log_warn("queue.local.unsettled", F_INT("rows", n), F_CSTR("reason", rc_name(rc)));

        pthread_mutex_lock(&l->lock);
        for (size_t i = 0; i < n; i++)
            idset_remove(&l->known, rows[i]); /* rows that did not go are met again: delivered twice they add nothing */
        free(rows);
        at = deadline_in(LOCAL_RETRY_MS);
        while (rc != RC_OK && !l->stop_settler && clock_mono_ms() < at)
            wait_until(&l->settle, &l->lock, at);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* --- public --- */

enum rc local_new(struct store *s, const struct local_settings *set, struct local **out)
{
    struct local *l = calloc(1, sizeof *l);
    pthread_condattr_t attr;
    if (!l)
        return RC_TEMP;
    l->store = s;
    l->set = *set;
    l->for_mail.last = &l->for_mail.first;
    l->for_desk.last = &l->for_desk.first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->for_mail.work, &attr);
    pthread_cond_init(&l->for_desk.work, &attr);
    pthread_cond_init(&l->idle, &attr);
    pthread_cond_init(&l->settle, &attr);
    pthread_condattr_destroy(&attr);
    l->threads = calloc(set->workers, sizeof *l->threads);
    while (l->threads && l->n_threads < set->workers && pthread_create(&l->threads[l->n_threads], NULL, work, l) == 0)
        l->n_threads++;
    l->has_settler = pthread_create(&l->settler, NULL, settle, l) == 0;
    l->has_desk = pthread_create(&l->desk, NULL, work_for_desk, l) == 0;
    if (!l->threads || l->n_threads < set->workers || !l->has_settler || !l->has_desk) {
        local_free(l);
        return RC_TEMP;
    }
    *out = l;
    return RC_OK;
}

bool local_add(struct local *l, const struct mailq_message *m, const struct mailq_rcpt *rcpts, size_t n)
{
    struct local_message *msg = NULL;
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        if (rcpts[i].account == 0)
            continue;
        if (!msg && !(msg = message_new(m)))
            return false;
        pthread_mutex_lock(&l->lock);
        if (l->pending >= LOCAL_PENDING_MAX || add_one(l, msg, &rcpts[i]) == RC_TEMP)
            all = false;
        pthread_mutex_unlock(&l->lock);
    }
    if (msg)
        message_unref(l, msg);
    return all;
}

bool local_has(struct local *l, uint64_t rcpt)
{
    pthread_mutex_lock(&l->lock);
    bool has = idset_has(&l->known, rcpt);
    pthread_mutex_unlock(&l->lock);
    return has;
}

void local_forget(struct local *l, uint64_t rcpt)
{
    pthread_mutex_lock(&l->lock);
    idset_remove(&l->known, rcpt);
    pthread_mutex_unlock(&l->lock);
}

size_t local_pending(struct local *l)
{
    pthread_mutex_lock(&l->lock);
    size_t n = l->pending;
    pthread_mutex_unlock(&l->lock);
    return n;
}

uint64_t local_delivered(struct local *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->delivered;
    pthread_mutex_unlock(&l->lock);
    return n;
}

void local_drain(struct local *l, int64_t deadline_ms)
{
    pthread_mutex_lock(&l->lock);
    while (l->pending > 0 && clock_mono_ms() < deadline_ms)
        wait_until(&l->idle, &l->lock, deadline_ms);
    l->stop = true;
    pthread_cond_broadcast(&l->for_mail.work);
    pthread_cond_broadcast(&l->for_desk.work);
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->n_threads; i++)
        pthread_join(l->threads[i], NULL);
    l->n_threads = 0;
    if (l->has_desk)
        pthread_join(l->desk, NULL);
    l->has_desk = false;
    pthread_mutex_lock(&l->lock);
    l->stop_settler = true;
    pthread_cond_broadcast(&l->settle);
    pthread_mutex_unlock(&l->lock);
    if (l->has_settler)
        pthread_join(l->settler, NULL);
    l->has_settler = false;
}

void local_free(struct local *l)
{
    if (!l)
        return;
    local_drain(l, 0);
    for (size_t i = 0; i < LOCAL_BUCKETS; i++) {
        for (struct local_account *acc = l->buckets[i], *next; acc; acc = next) {
            next = acc->hash_next;
            for (struct local_job *job = acc->first, *after; job; job = after) {
                after = job->next;
                message_unref(l, job->msg);
                free(job);
            }
            free(acc);
        }
    }
    idset_clear(&l->known);
    pthread_cond_destroy(&l->for_mail.work);
    pthread_cond_destroy(&l->for_desk.work);
    pthread_cond_destroy(&l->idle);
    pthread_cond_destroy(&l->settle);
    pthread_mutex_destroy(&l->lock);
    free(l->done);
    free(l->threads);
    free(l);
}
