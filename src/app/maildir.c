#include "app/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imap/mutf7.h"
#include "store/mailbox.h"
#include "sys/file.h"

static const struct {
    char letter;
    uint32_t flag;
} letters_of_flags[] = {{'D', FLAG_DRAFT}, {'F', FLAG_FLAGGED}, {'R', FLAG_ANSWERED}, {'S', FLAG_SEEN}, {'T', FLAG_DELETED}};
#define N_LETTERS (sizeof letters_of_flags / sizeof *letters_of_flags)

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ".A.B&AC4-c" to "A/B.c". Names that are not modified UTF-7 are taken as they are. */
static enum rc folder_path(struct view name, struct arena *a, struct view *out)
{
    struct buf path;
    struct view level;
    bool more = true;
    enum rc rc = RC_OK;

    buf_init(&path, FOLDER_DEPTH_MAX * (FOLDER_NAME_MAX + 1));
    view_take_chr(&name, '.');
    while (more) {
        more = view_split(&name, '.', &level);
        if (path.n > 0)
            buf_chr(&path, '/');
        for (size_t at; level.n > 0; view_skip(&level, at)) {
            struct view dot = VIEW("&AC4-");
            if (view_take(&level, dot)) {
                buf_chr(&path, '.');
                at = 0;
                continue;
            }
            at = view_find(level, dot);
            struct view piece = view_slice(level, 0, at);
            size_t before = path.n;
            if (imap_mutf7_decode(piece, &path) == RC_SYNTAX) {
                path.n = before;
                buf_add(&path, piece);
            }
            at = piece.n;
        }
    }
    rc = buf_rc(&path) == RC_OK ? view_dup(a, buf_view(&path), out) : buf_rc(&path);
    buf_clear(&path);
    return rc;
}

enum rc maildir_folders(const char *path, struct arena *a, struct maildir_folder **out, size_t *n)
{
    const char *cur = arena_printf(a, "%s/cur", path);
    struct maildir_folder *list = arena_new_array(a, MAILDIR_FOLDERS_MAX, struct maildir_folder);
    enum rc rc = RC_OK;

    if (!cur || !list)
        return RC_TEMP;
    if (!is_folder(cur))
        return RC_SYNTAX;
    list[0] = (struct maildir_folder){VIEW("INBOX"), path};
    *n = 1;
    DIR *d = opendir(path);
    if (!d)
        return file_rc(errno);
    for (struct dirent *e; rc == RC_OK && (e = readdir(d));) {
        if (e->d_name[0] != '.' || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        const char *dir = arena_printf(a, "%s/%s", path, e->d_name);
        const char *sub = arena_printf(a, "%s/%s/cur", path, e->d_name);
        if (!dir || !sub)
            rc = RC_TEMP;
        else if (!is_folder(sub))
            continue;
        else if (*n == MAILDIR_FOLDERS_MAX)
            rc = RC_LIMIT;
        else
            rc = folder_path(view_str(e->d_name), a, &list[*n].path);
        if (rc == RC_OK)
            list[(*n)++].dir = dir;
    }
    closedir(d);
    *out = list;
    return rc;
}

enum rc maildir_read_keywords(const char *dir, struct arena *a, struct maildir_keywords *out)
{
    const char *path = arena_printf(a, "%s/dovecot-keywords", dir);
    struct buf text;
    struct view rest, line;
    uint32_t number;

    *out = (struct maildir_keywords){{NULL}};
    if (!path)
        return RC_TEMP;
    buf_init(&text, 1u << 20);
    enum rc rc = file_read(path, 1u << 20, &text);
    if (rc == RC_OK)
        for (rest = buf_view(&text); rest.n > 0;) {
            view_split(&rest, '\n', &line);
            if (view_u32(&line, MAILDIR_KEYWORDS - 1, &number) == RC_OK && view_take_chr(&line, ' '))
                out->name[number] = arena_cstr(a, view_trim(line));
        }
    buf_clear(&text);
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* ":2,FS" or "!2,FS" at the end of a file's name. */
static enum rc read_flags(struct view name, const struct maildir_keywords *k, struct arena *a, struct maildir_message *m)
{
    size_t at = view_find(name, VIEW("2,"));
    size_t colon = view_rchr(name, ':');
    if (colon == VIEW_NONE)
        colon = view_rchr(name, '!');
    if (at == VIEW_NONE || colon == VIEW_NONE || !view_starts(view_from(name, colon + 1), VIEW("2,")))
        return RC_OK;
    struct view letters = view_from(name, colon + 3);
    struct buf words;
    buf_init(&words, KEYWORDS_MAX * (KEYWORD_MAX + 1));
    for (size_t i = 0; i < letters.n; i++) {
        for (size_t j = 0; j < N_LETTERS; j++)
            if (letters.p[i] == letters_of_flags[j].letter)
                m->flags |= letters_of_flags[j].flag;
        if (letters.p[i] >= 'a' && letters.p[i] <= 'z' && k->name[letters.p[i] - 'a']) {
            if (words.n > 0)
                buf_chr(&words, ' ');
            buf_str(&words, k->name[letters.p[i] - 'a']);
        }
    }
    enum rc rc = buf_rc(&words) == RC_OK ? view_dup(a, buf_view(&words), &m->keywords) : buf_rc(&words);
    buf_clear(&words);
    return rc;
}

static int by_date(const void *x, const void *y)
{
    const struct maildir_message *a = x, *b = y;
    if (a->date != b->date)
        return a->date < b->date ? -1 : 1;
    return strcmp(a->file, b->file);
}

struct list {
    struct maildir_message *m;
    size_t n, size;
};

static enum rc read_part(const char *dir, const char *part, const struct maildir_keywords *k, struct arena *a, struct list *list)
{
    const char *path = arena_printf(a, "%s/%s", dir, part);
    enum rc rc = RC_OK;
    struct stat st;
    DIR *d = path ? opendir(path) : NULL;

    if (!d)
        return path ? errno == ENOENT ? RC_OK : file_rc(errno) : RC_TEMP;
    for (struct dirent *e; rc == RC_OK && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        const char *file = arena_printf(a, "%s/%s", path, e->d_name);
        if (!file) {
            rc = RC_TEMP;
            break;
        }
        if (stat(file, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (list->n == list->size) {
            size_t size = list->size ? list->size * 2 : 256;
            struct maildir_message *more = realloc(list->m, size * sizeof *more);
            if (!more) {
                rc = RC_TEMP;
                break;
            }
            list->m = more;
            list->size = size;
        }
        struct maildir_message *m = &list->m[list->n];
        *m = (struct maildir_message){.file = file, .date = st.st_mtime};
        rc = read_flags(view_str(e->d_name), k, a, m);
        list->n++;
    }
    closedir(d);
    return rc;
}

enum rc maildir_messages(const char *dir, struct arena *a, struct maildir_message **out, size_t *n)
{
    struct maildir_keywords k;
    struct list list = {0};
    enum rc rc = maildir_read_keywords(dir, a, &k);

    if (rc == RC_OK)
        rc = read_part(dir, "cur", &k, a, &list);
    if (rc == RC_OK)
        rc = read_part(dir, "new", &k, a, &list);
    if (rc == RC_OK && list.n > 0) {
        qsort(list.m, list.n, sizeof *list.m, by_date);
        *out = arena_new_array(a, list.n, struct maildir_message);
        if (*out)
            memcpy(*out, list.m, list.n * sizeof *list.m);
        else
            rc = RC_TEMP;
    }
    *n = list.n;
    free(list.m);
    return rc;
}

/* --- writing --- */

static enum rc dir_name(struct view path, struct buf *out)
{
    struct view level;
    struct buf encoded;
    enum rc rc = RC_OK;
    bool more = true;

    buf_init(&encoded, FOLDER_NAME_MAX * 4);
    while (more && rc == RC_OK) {
        more = view_split(&path, '/', &level);
        buf_reset(&encoded);
        rc = imap_mutf7_encode(level, &encoded);
        struct view rest = buf_view(&encoded), piece;
        buf_chr(out, '.');
        while (view_split(&rest, '.', &piece)) {
            buf_add(out, piece);
            buf_str(out, "&AC4-");
        }
        buf_add(out, piece);
    }
    buf_clear(&encoded);
    return rc == RC_OK ? buf_rc(out) : rc;
}

enum rc maildir_make(const char *root, struct view path, struct arena *a, const char **dir)
{
    static const char *const parts[] = {"cur", "new", "tmp"};
    struct buf name;
    enum rc rc = RC_OK;

    buf_init(&name, 4096);
    if (!view_eq(path, VIEW("INBOX"))) {
        buf_chr(&name, '/');
        rc = dir_name(path, &name);
    }
    buf_chr(&name, '\0');
    *dir = rc == RC_OK && buf_rc(&name) == RC_OK ? arena_printf(a, "%s%s", root, name.p) : NULL;
    buf_clear(&name);
    if (!*dir)
        return rc == RC_OK ? RC_TEMP : rc;
    for (size_t i = 0; rc == RC_OK && i < 3; i++) {
        const char *sub = arena_printf(a, "%s/%s", *dir, parts[i]);
        rc = sub ? file_mkdirs(sub, 0700) : RC_TEMP;
    }
    return rc;
}

enum rc maildir_letters(struct maildir_keywords *k, struct view keywords, struct arena *a, char letters[MAILDIR_KEYWORDS + 1])
{
    struct view word;
    enum rc rc = RC_OK;
    bool used[MAILDIR_KEYWORDS] = {false};

    while (keywords.n > 0) {
        view_split(&keywords, ' ', &word);
        size_t i = 0;
        while (i < MAILDIR_KEYWORDS && k->name[i] && !view_ieq(view_str(k->name[i]), word))
            i++;
        if (i == MAILDIR_KEYWORDS) {
            rc = RC_LIMIT;
            continue;
        }
        if (!k->name[i] && !(k->name[i] = arena_cstr(a, word)))
            return RC_TEMP;
        used[i] = true;
    }
    size_t n = 0;
    for (size_t i = 0; i < MAILDIR_KEYWORDS; i++)
        if (used[i])
            letters[n++] = (char)('a' + i);
    letters[n] = '\0';
    return rc;
}

enum rc maildir_write_keywords(const char *dir, const struct maildir_keywords *k)
{
    struct buf text;
    char path[4096];

    if (!k->name[0])
        return RC_OK;
    if (snprintf(path, sizeof path, "%s/dovecot-keywords", dir) >= (int)sizeof path)
        return RC_LIMIT;
    buf_init(&text, MAILDIR_KEYWORDS * (KEYWORD_MAX + 8));
    for (size_t i = 0; i < MAILDIR_KEYWORDS && k->name[i]; i++)
        buf_printf(&text, "%zu %s\n", i, k->name[i]);
    enum rc rc = buf_rc(&text) == RC_OK ? file_write_atomic(path, buf_view(&text), 0600) : buf_rc(&text);
    buf_clear(&text);
    return rc;
}

enum rc maildir_write(const char *dir, struct view message, uint32_t flags, const char *letters, int64_t date, uint64_t unique)
{
    char tmp[4096], cur[4096], marks[N_LETTERS + 1];
    size_t n = 0;

    for (size_t i = 0; i < N_LETTERS; i++)
        if (flags & letters_of_flags[i].flag)
            marks[n++] = letters_of_flags[i].letter;
    marks[n] = '\0';
    if (snprintf(tmp, sizeof tmp, "%s/tmp/%lld.%llu.facteur", dir, (long long)date, (unsigned long long)unique) >= (int)sizeof tmp ||
        snprintf(cur, sizeof cur, "%s/cur/%lld.%llu.facteur:2,%s%s", dir, (long long)date, (unsigned long long)unique, marks, letters) >=
            (int)sizeof cur)
        return RC_LIMIT;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_rc(errno);
    struct timespec times[2] = {{.tv_sec = date}, {.tv_sec = date}};
    enum rc rc = file_write_all(fd, message);
    if (rc == RC_OK && futimens(fd, times) != 0)
        rc = file_rc(errno);
    if (close(fd) != 0 && rc == RC_OK)
        rc = file_rc(errno);
    if (rc == RC_OK && rename(tmp, cur) != 0)
        rc = file_rc(errno);
    if (rc != RC_OK)
        unlink(tmp);
    return rc;
}
