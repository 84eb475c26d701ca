#include "report/collect.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/random.h"

#define BUCKETS 4096

struct entry {
    struct entry *next;
    struct seen_add row; /* views point behind the entry */
};
struct table {
    struct entry *buckets[BUCKETS];
    size_t n, bytes;
};
struct collect {
    pthread_mutex_t lock; /* guards table and lost */
    struct table *table;
    uint64_t lost;
    uint64_t seed; /* odd: nobody outside can aim rows at one bucket */
};

enum rc collect_new(struct collect **out)
{
    struct collect *c = calloc(1, sizeof *c);
    *out = c;
    if (!c)
        return RC_TEMP;
    pthread_mutex_init(&c->lock, NULL);
    c->seed = random_u64() | 1;
    c->table = calloc(1, sizeof *c->table);
    if (c->table)
        return RC_OK;
    collect_free(c);
    *out = NULL;
    return RC_TEMP;
}

static void free_table(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            free(e);
        }
    free(t);
}

void collect_free(struct collect *c)
{
    if (!c)
        return;
    free_table(c->table);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int64_t day_of(const struct seen_add *row)
{
    return row->time_s / SEEN_DAY_S;
}

static struct entry *make_entry(const struct seen_add *row, size_t *bytes)
{
    const struct view parts[] = {row->domain, row->policy, row->row};
    *bytes = sizeof(struct entry) + row->domain.n + row->policy.n + row->row.n;
    struct entry *e = malloc(*bytes);
    if (!e)
        return NULL;
    *e = (struct entry){.row = *row};
    struct view *const to[] = {&e->row.domain, &e->row.policy, &e->row.row};
    char *p = (char *)(e + 1);
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].n > 0)
            memcpy(p, parts[i].p, parts[i].n);
        *to[i] = view_of(p, parts[i].n);
        p += parts[i].n;
    }
    return e;
}

static struct entry **find(const struct collect *c, const struct seen_add *row)
{
    uint64_t key;
    memcpy(&key, row->key, sizeof key);
    struct entry **at = &c->table->buckets[(key * c->seed >> 48) % BUCKETS];
    while (*at && (memcmp((*at)->row.key, row->key, SEEN_KEY_SIZE) != 0 || day_of(&(*at)->row) != day_of(row) ||
                   !view_eq((*at)->row.domain, row->domain)))
        at = &(*at)->next;
    return at;
}

enum rc collect_add(struct collect *c, const struct seen_add *row)
{
    size_t bytes = 0;
    enum rc rc = RC_OK;
    pthread_mutex_lock(&c->lock);
    struct table *t = c->table;
    struct entry **at = find(c, row);
    if (*at) {
        (*at)->row.n += row->n;
        (*at)->row.n_bad += row->n_bad;
    } else if (t->n >= COLLECT_ROWS_MAX || t->bytes >= COLLECT_BYTES_MAX) {
        rc = RC_LIMIT;
    } else if (!(*at = make_entry(row, &bytes))) {
        rc = RC_TEMP;
    } else {
        t->n++;
        t->bytes += bytes;
    }
    if (rc != RC_OK)
        c->lost += row->n;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

static void write_some(struct store *s, const struct seen_add *rows, size_t n, uint64_t *lost)
{
    uint64_t missed = 0;
    if (seen_add(s, SEEN_DMARC, rows, n, REPORT_ROWS_MAX, REPORT_DAY_MAX, &missed) == RC_OK) {
        *lost += missed;
        return;
    }
    for (size_t i = 0; i < n; i++)
        *lost += rows[i].n;
}

void collect_flush(struct collect *c, struct store *s)
{
    struct seen_add rows[COLLECT_WRITE_MAX];
    size_t n = 0;
    struct table *fresh = calloc(1, sizeof *fresh), *t = NULL;
    if (!fresh)
        return; /* it goes on with the one it has */
    pthread_mutex_lock(&c->lock);
    uint64_t lost = c->lost;
    c->lost = 0;
    if (c->table->n > 0) {
        t = c->table;
        c->table = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; t && i < BUCKETS; i++) {
        for (struct entry *e = t->buckets[i]; e; e = e->next) {
            rows[n++] = e->row;
            if (n == COLLECT_WRITE_MAX) {
                write_some(s, rows, n, &lost);
                n = 0;
            }
        }
    }
    if (n > 0)
        write_some(s, rows, n, &lost);
    if (lost > 0)
        log_warn("report.lost", F_INT("messages", lost), F_CSTR("reason", "more different messages than are counted, or no room"));
    free(fresh);
    free_table(t);
}
