#include "trail/trail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/logfile.h"

#define PIECE_BYTES (256u << 10) /* searched at once for the word */

struct trail {
    struct arena mem;
    const char *data;
    struct logfile *files;
    size_t n_files;
    size_t at;         /* lines of files[at - 1] are next; 0: at the beginning */
    struct view map;   /* that file, once it was needed; as long as it was then */
    size_t end;        /* what stands before it in the map comes next */
    size_t piece;      /* [piece, end) was searched for the word, which is in it */
    bool is_mapped;
    uint64_t seen;     /* bytes */
    struct mapping {
        struct mapping *next;
        void *p;
        size_t n;
    } *mappings;
};

enum rc trail_open(const char *data, struct trail **out)
{
    struct trail *t = calloc(1, sizeof *t);
    if (!t)
        return RC_TEMP;
    arena_init(&t->mem, 16u << 20);
    t->data = arena_cstr(&t->mem, view_str(data));
    enum rc rc = t->data ? logfile_list(data, &t->mem, &t->files, &t->n_files) : RC_TEMP;
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        trail_close(t);
        return rc;
    }
    t->at = t->n_files;
    *out = t;
    return RC_OK;
}

void trail_close(struct trail *t)
{
    if (!t)
        return;
    for (const struct mapping *m = t->mappings; m; m = m->next)
        munmap(m->p, m->n);
    arena_clear(&t->mem);
    free(t);
}

/* --- files --- */

static void keep_mapping(struct trail *t, void *p, size_t n)
{
    struct mapping *m = arena_new(&t->mem, struct mapping);
    if (!m) {
        munmap(p, n);
        t->map = VIEW("");
        return;
    }
    *m = (struct mapping){t->mappings, p, n};
    t->mappings = m;
    t->map = view_of(p, n);
}

/* A file that went meanwhile, or cannot be read, is an empty one. Files only grow, so that a mapping stays good. */
static void map_file(struct trail *t)
{
    char path[4096];
    struct stat st;
    t->map = VIEW("");
    t->is_mapped = true;
    snprintf(path, sizeof path, "%s/" LOGFILE_FOLDER "/%s", t->data, t->files[t->at - 1].name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED)
            keep_mapping(t, p, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    size_t last = view_rchr(t->map, '\n'); /* a line that is just being written is not one yet */
    t->end = t->piece = last == VIEW_NONE ? 0 : last + 1;
}

/* Where the line ends that begins before `at`: just behind the line end in front of it. */
static size_t line_start(const struct trail *t, size_t at)
{
    size_t before = view_rchr(view_slice(t->map, 0, at), '\n');
    return before == VIEW_NONE ? 0 : before + 1;
}

static struct view line_at(const struct trail *t, size_t start)
{
    struct view rest = view_from(t->map, start), line;
    view_split(&rest, '\n', &line);
    return line;
}

/* The place in the map behind all lines up to at_ms; lines are nearly in order. */
static size_t find_time(const struct trail *t, int64_t at_ms)
{
    size_t low = 0, high = t->end;
    while (low < high) {
        size_t start = line_start(t, low + (high - low) / 2);
        struct view line = line_at(t, start);
        int64_t ms;
        if (start < low)
            start = low;
        if (trail_parse_time(line, &ms) == RC_OK && ms > at_ms)
            high = start;
        else
            low = start + line.n + 1;
    }
    return low < t->end ? low : t->end;
}

void trail_seek(struct trail *t, int64_t at_ms)
{
    const int64_t until = at_ms + TRAIL_DISORDER_MS;
    t->at = t->n_files;
    while (t->at > 0 && t->files[t->at - 1].began_s * 1000 > until)
        t->at--;
    t->is_mapped = false;
    if (t->at == 0)
        return;
    map_file(t);
    t->end = t->piece = find_time(t, until);
}

void trail_place(const struct trail *t, char out[TRAIL_PLACE_MAX])
{
    if (t->at == 0)
        snprintf(out, TRAIL_PLACE_MAX, "end");
    else
        snprintf(out, TRAIL_PLACE_MAX, "%s:%zu", t->files[t->at - 1].name, t->is_mapped ? t->end : (size_t)t->files[t->at - 1].bytes);
}

enum rc trail_return(struct trail *t, struct view place)
{
    struct view name;
    uint64_t end;
    if (view_eq(place, VIEW("end"))) {
        t->at = 0;
        return RC_OK;
    }
    if (!view_split(&place, ':', &name) || !view_is_u64(place, SIZE_MAX, &end))
        return RC_SYNTAX;
    t->at = t->n_files;
    while (t->at > 0 && !view_eq(view_str(t->files[t->at - 1].name), name))
        t->at--;
    if (t->at == 0)
        return RC_NOTFOUND;
    map_file(t);
    if (end < t->end)
        t->end = t->piece = line_start(t, (size_t)end);
    return RC_OK;
}

/* --- lines --- */

/* Finds the next piece before t->end that has the word. False: the file is done with, or the budget. */
static bool find_piece(struct trail *t, struct view word, uint64_t budget)
{
    while (t->end > 0 && t->piece == t->end && t->seen < budget) {
        size_t from = t->end > PIECE_BYTES ? line_start(t, t->end - PIECE_BYTES) : 0;
        if (from == t->end) /* no line is so long: damage */
            from = 0;
        t->seen += t->end - from;
        if (word.n > 0 && view_ifind(view_slice(t->map, from, t->end - from), word) == VIEW_NONE)
            t->end = from;
        t->piece = from;
    }
    return t->piece < t->end;
}

static bool next_file(struct trail *t)
{
    if (t->at > 0 && t->is_mapped) {
        t->at--;
        t->is_mapped = false;
    }
    if (t->at == 0)
        return false;
    map_file(t);
    return true;
}

enum rc trail_older(struct trail *t, struct view word, uint64_t budget, struct view *line)
{
    if (t->at == 0 || (!t->is_mapped && !next_file(t)))
        return RC_NOTFOUND;
    for (;;) {
        while (t->piece < t->end) {
            size_t start = line_start(t, t->end - 1);
            *line = view_slice(t->map, start, t->end - 1 - start);
            t->end = start;
            if (word.n == 0 || view_ifind(*line, word) != VIEW_NONE)
                return RC_OK;
        }
        if (find_piece(t, word, budget))
            continue;
        if (t->end > 0)
            return RC_LIMIT;
        if (!next_file(t))
            return RC_NOTFOUND;
    }
}

uint64_t trail_budget(const struct trail *t, uint64_t bytes)
{
    return bytes > UINT64_MAX - t->seen ? UINT64_MAX : t->seen + bytes;
}

/* --- questions --- */

static bool is_event(struct view event, struct view asked)
{
    return view_starts(event, asked) && (event.n == asked.n || event.p[asked.n] == '.');
}

static bool has_words(struct view line, const struct trail_query *q)
{
    for (size_t i = 1; i < q->n_words; i++) /* the first one was found by trail_older */
        if (view_ifind(line, q->words[i]) == VIEW_NONE)
            return false;
    return true;
}

enum rc trail_find(struct trail *t, const struct trail_query *q, uint64_t budget, struct trail_line *out, struct view *line)
{
    const struct view word = q->n_words > 0 ? q->words[0] : q->event;
    for (;;) {
        enum rc rc = trail_older(t, word, budget, line);
        if (rc != RC_OK)
            return rc;
        if (!has_words(*line, q) || trail_parse(*line, out) != RC_OK)
            continue;
        if (out->at_ms < q->from_ms - TRAIL_DISORDER_MS)
            return RC_NOTFOUND;
        if (out->level >= q->level && (q->event.n == 0 || is_event(out->event, q->event)) && out->at_ms >= q->from_ms &&
            (q->to_ms == 0 || out->at_ms <= q->to_ms))
            return RC_OK;
    }
}
