#include "store/store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"

#define SEGMENT_BYTES (64u << 20)
#define MAX_OPEN      64

char *store_path(const struct store *s, const char *name)
{
    size_t n = strlen(s->data) + 1 + strlen(name) + 1;
    char *path = malloc(n);
    struct buf b;

    if (!path)
        return NULL;
    buf_init(&b, n);
    buf_printf(&b, "%s/%s", s->data, name);
    enum rc rc = view_cstr(buf_view(&b), path, n);
    if (buf_rc(&b) != RC_OK || rc != RC_OK) {
        free(path);
        path = NULL;
    }
    buf_clear(&b);
    return path;
}

/* The folder with all missing parents; ours alone to read. */
static enum rc make_folder(char *path)
{
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        int made = mkdir(path, 0755);
        path[i] = '/';
        if (made < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return errno == ENOSPC ? RC_FULL : RC_TEMP;
    }
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return errno == ENOSPC ? RC_FULL : errno == EACCES ? RC_DENIED : RC_TEMP;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return RC_DENIED;
    return RC_OK;
}

enum rc store_open(const struct store_settings *set, struct arena *a, struct store **out, const char **why)
{
    enum rc rc = RC_TEMP;
    size_t n = strlen(set->data);
    struct store *s = calloc(1, sizeof *s);

    *why = "out of memory";
    if (!s)
        return RC_TEMP;
    while (n > 1 && set->data[n - 1] == '/')
        n--;
    s->data = strndup(set->data, n);
    s->node = strdup(set->node);
    s->segment_bytes = set->segment_bytes ? set->segment_bytes : SEGMENT_BYTES;
    s->max_open = set->max_open ? set->max_open : MAX_OPEN;
    if (!s->data || !s->node)
        goto done;
    rc = make_folder(s->data);
    if (rc != RC_OK) {
        *why = arena_printf(a, "cannot make the folder %s", s->data);
        goto done;
    }
    rc = bus_open(&s->bus);
    if (rc != RC_OK)
        goto done;
    rc = blobs_open(s, a, &s->blobs, why);
done:
    if (rc != RC_OK)
        store_close(s);
    else
        *out = s;
    if (!*why)
        *why = "out of memory";
    return rc;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    blobs_close(s->blobs);
    bus_close(s->bus);
    free(s->data);
    free(s->node);
    free(s);
}
