#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "store/directory_internal.h"
#include "store/mailbox_internal.h"
#include "store/mailq_internal.h"
#include "store/ledger_internal.h"
#include "store/schema.h"
#include "store/seen_internal.h"
#include "store/store_internal.h"

#define SEGMENT_BYTES (64u << 20)
#define MAX_OPEN      128

#define DIRECTORY_CACHE_KIB 128
#define MAILQ_CACHE_KIB     1024
#define SEEN_CACHE_KIB      128

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

/* A connection to facteur.db. */
static enum rc open_domain_db(struct store *s, unsigned cache_kib, struct arena *a, struct db **out, const char **why)
{
    struct db_settings set = {.create = true, .page_bytes = 4096, .cache_kib = cache_kib, .checkpoint_kib = 4096};
    char *path = store_path(s, "facteur.db");
    enum rc rc;

    set.path = path;
    rc = path ? db_open(&set, out) : RC_TEMP;
    if (rc == RC_OK)
        rc = schema_bring(*out, &schema_domain, path, a, why);
    else
        *why = arena_printf(a, "cannot open the database %s", path ? path : "facteur.db");
    free(path);
    return rc;
}

static enum rc open_directory(struct store *s, struct arena *a, const char **why)
{
    s->directory = calloc(1, sizeof *s->directory);
    if (!s->directory)
        return RC_TEMP;
    pthread_mutex_init(&s->directory->mutex, NULL);
    return open_domain_db(s, DIRECTORY_CACHE_KIB, a, &s->directory->db, why);
}

static void close_directory(struct directory *d)
{
    if (!d)
        return;
    db_close(d->db);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

static enum rc open_seen(struct store *s, struct arena *a, const char **why)
{
    s->seen = calloc(1, sizeof *s->seen);
    if (!s->seen)
        return RC_TEMP;
    pthread_mutex_init(&s->seen->mutex, NULL);
    return open_domain_db(s, SEEN_CACHE_KIB, a, &s->seen->db, why);
}

static void close_seen(struct seen *seen)
{
    if (!seen)
        return;
    db_close(seen->db);
    pthread_mutex_destroy(&seen->mutex);
    free(seen);
}

static enum rc open_mailq(struct store *s, struct arena *a, const char **why)
{
    struct db *db = NULL;
    enum rc rc = open_domain_db(s, MAILQ_CACHE_KIB, a, &db, why);

    if (rc == RC_OK)
        rc = mailq_open(db, &s->mailq);
    if (rc != RC_OK)
        db_close(db);
    return rc;
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
    atomic_store(&s->keep_deleted_s, set->keep_deleted_s);
    s->max_open = set->max_open ? set->max_open : MAX_OPEN;
    if (!s->data || !s->node)
        goto done;
    rc = make_folder(s->data);
    if (rc != RC_OK) {
        *why = arena_printf(a, "cannot make or use the folder %s", s->data);
        goto done;
    }
    rc = open_directory(s, a, why);
    if (rc == RC_OK)
        rc = open_mailq(s, a, why);
    if (rc == RC_OK)
        rc = open_seen(s, a, why);
    if (rc == RC_OK)
        rc = ledger_new(&s->ledger);
    if (rc == RC_OK)
        rc = bus_open(&s->bus);
    if (rc == RC_OK)
        rc = mailboxes_open(s, &s->mailboxes);
    if (rc == RC_OK)
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
    mailboxes_close(s->mailboxes);
    bus_close(s->bus);
    ledger_free(s->ledger);
    close_seen(s->seen);
    mailq_close(s->mailq);
    close_directory(s->directory);
    free(s->data);
    free(s->node);
    free(s);
}

void store_keep_deleted(struct store *s, int64_t seconds)
{
    atomic_store(&s->keep_deleted_s, seconds);
}

enum rc store_settle(struct store *s)
{
    return mailboxes_settle(s);
}

enum rc store_maintain(struct store *s, bool compact)
{
    enum rc rc = mailboxes_maintain(s);
    enum rc queue = mailq_sync(s);
    enum rc purge = compact ? deleted_maintain(s) : RC_OK;
    enum rc blobs = blobs_maintain(s, compact);

    return rc != RC_OK ? rc : purge != RC_OK ? purge : queue != RC_OK ? queue : blobs;
}
