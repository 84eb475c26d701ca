#include "desk/senders.h"

#include <stdlib.h>

#define MEMORY_MAX (16u << 20)
#define KEY_MAX    100

struct entry {
    struct view domain;
    const struct sender *sender;
};
struct index {
    struct entry *v;
    size_t n;
};
struct senders {
    struct arena mem;
    struct sender *all;
    size_t n;
    struct index index[3]; /* by enum sender_by; in order of domains */
};

bool senders_is_kind(struct view kind)
{
    return view_eq(kind, VIEW("service")) || view_eq(kind, VIEW("forwarder")) || view_eq(kind, VIEW("list"));
}

static bool is_domain(struct view v)
{
    if (v.n == 0 || v.n > 253 || v.p[0] == '.' || v.p[v.n - 1] == '.' || view_chr(v, '.') == VIEW_NONE)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != to_lower((unsigned char)v.p[i]) || (!is_alnum((unsigned char)v.p[i]) && view_chr(VIEW(".-_"), v.p[i]) == VIEW_NONE))
            return false;
    return true;
}

bool senders_is_list(struct view domains)
{
    struct view one;
    size_t n = 0;
    for (; domains.n > 0; n++)
        if (!view_split(&domains, ' ', &one) ? !is_domain(one) : !is_domain(one) || domains.n == 0)
            return false;
    return n <= SENDERS_DOMAINS;
}

/* "Amazon SES" is amazon-ses. */
static enum rc make_key(struct arena *a, struct view name, struct view *out)
{
    char *key = arena_alloc(a, KEY_MAX);
    size_t n = 0;
    for (size_t i = 0; key && i < name.n && n < KEY_MAX; i++) {
        if (is_alnum((unsigned char)name.p[i]))
            key[n++] = (char)to_lower((unsigned char)name.p[i]);
        else if (n > 0 && key[n - 1] != '-')
            key[n++] = '-';
    }
    while (n > 0 && key[n - 1] == '-')
        n--;
    *out = view_of(key, n);
    return !key ? RC_TEMP : n > 0 ? RC_OK : RC_SYNTAX;
}

static struct sender *find_name(struct senders *s, struct view name)
{
    for (size_t i = 0; i < s->n; i++)
        if (view_ieq(s->all[i].name, name))
            return &s->all[i];
    return NULL;
}

static enum rc add_sender(struct senders *s, const struct sender *from)
{
    if (from->name.n == 0 || from->name.n > KEY_MAX || !senders_is_kind(from->kind) || !senders_is_list(from->hosts) ||
        !senders_is_list(from->dkim) || !senders_is_list(from->spf) || (find_name(s, from->name) && !from->changed) || s->n == SENDERS_MAX)
        return RC_SYNTAX;
    struct sender *to = find_name(s, from->name);
    if (!to)
        to = &s->all[s->n++];
    *to = *from;
    enum rc rc = view_dup(&s->mem, from->name, &to->name);
    if (rc == RC_OK)
        rc = view_dup(&s->mem, from->kind, &to->kind);
    if (rc == RC_OK)
        rc = view_dup(&s->mem, from->hosts, &to->hosts);
    if (rc == RC_OK)
        rc = view_dup(&s->mem, from->dkim, &to->dkim);
    if (rc == RC_OK)
        rc = view_dup(&s->mem, from->spf, &to->spf);
    return rc == RC_OK ? make_key(&s->mem, to->name, &to->key) : rc;
}

static void take_column(struct view *line, struct view *out)
{
    view_split(line, '\t', out);
    *out = view_trim(*out);
    if (view_eq(*out, VIEW("-")))
        *out = VIEW("");
}

static enum rc read_line(struct senders *s, struct view line)
{
    struct sender one = {0};
    if (line.n == 0 || line.p[0] == '#')
        return RC_OK;
    take_column(&line, &one.name);
    take_column(&line, &one.kind);
    take_column(&line, &one.hosts);
    take_column(&line, &one.dkim);
    take_column(&line, &one.spf);
    return line.n > 0 ? RC_SYNTAX : add_sender(s, &one);
}

static enum rc change(struct senders *s, const struct ledger_sender *c)
{
    enum rc rc = add_sender(s, &(struct sender){.name = c->name, .kind = c->kind, .hosts = c->hosts, .dkim = c->dkim, .spf = c->spf, .changed = true});
    return rc == RC_SYNTAX ? RC_OK : rc;
}

static int compare_entries(const void *a, const void *b)
{
    return view_cmp(((const struct entry *)a)->domain, ((const struct entry *)b)->domain);
}

static int compare_names(const void *a, const void *b)
{
    return view_icmp(((const struct sender *)a)->name, ((const struct sender *)b)->name);
}

static enum rc make_index(struct senders *s, struct index *x, enum sender_by by)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct sender *one = &s->all[i];
        struct view list = by == SENDER_BY_HOST ? one->hosts : by == SENDER_BY_DKIM ? one->dkim : one->spf, domain;
        while (list.n > 0) {
            if ((x->n & (x->n - 1)) == 0) { /* room doubles at each power of two */
                struct entry *more = arena_new_array(&s->mem, x->n ? 2 * x->n : 1, struct entry);
                if (!more)
                    return RC_TEMP;
                if (x->n > 0)
                    memcpy(more, x->v, x->n * sizeof *more);
                x->v = more;
            }
            view_split(&list, ' ', &domain);
            x->v[x->n++] = (struct entry){domain, one};
        }
    }
    if (x->n > 0)
        qsort(x->v, x->n, sizeof *x->v, compare_entries);
    return RC_OK;
}

enum rc senders_new(struct view table, const struct ledger_sender *changes, size_t n, struct senders **out, size_t *line)
{
    struct senders *s = calloc(1, sizeof *s);
    struct view one;
    enum rc rc = s ? RC_OK : RC_TEMP;
    *line = 0;
    if (!s)
        return rc;
    arena_init(&s->mem, MEMORY_MAX);
    s->all = arena_new_array(&s->mem, SENDERS_MAX, struct sender);
    rc = s->all ? RC_OK : RC_TEMP;
    while (rc == RC_OK && table.n > 0) {
        ++*line;
        view_split(&table, '\n', &one);
        rc = read_line(s, one);
    }
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = change(s, &changes[i]);
    if (rc == RC_OK && s->n > 0)
        qsort(s->all, s->n, sizeof *s->all, compare_names);
    for (enum sender_by by = SENDER_BY_HOST; by <= SENDER_BY_SPF && rc == RC_OK; by++)
        rc = make_index(s, &s->index[by], by);
    if (rc == RC_OK)
        *out = s;
    else
        senders_free(s);
    return rc;
}

void senders_free(struct senders *s)
{
    if (!s)
        return;
    arena_clear(&s->mem);
    free(s);
}

const struct sender *senders_all(const struct senders *s, size_t *n)
{
    *n = s->n;
    return s->all;
}

static const struct sender *find_exactly(const struct index *x, struct view domain)
{
    const struct entry wanted = {.domain = domain};
    const struct entry *found = x->n > 0 ? bsearch(&wanted, x->v, x->n, sizeof *x->v, compare_entries) : NULL;
    return found ? found->sender : NULL;
}

const struct sender *senders_find(const struct senders *s, enum sender_by by, struct view domain)
{
    const struct sender *found = NULL;
    while (!found && domain.n > 0) {
        found = find_exactly(&s->index[by], domain);
        size_t dot = view_chr(domain, '.');
        domain = view_from(domain, dot == VIEW_NONE ? domain.n : dot + 1);
    }
    return found;
}
