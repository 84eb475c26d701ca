/* store/alert: what people are told of without asking: something went wrong, and goes on until it is closed. One open alert of each (kind,
 * domain, subject); one that comes again within a day of its end is the same and is not told again. Beside them how things were when last
 * looked at, so that changes are seen, and the settings of the pages as JSON. Blocks on the disk. Any thread. */
#ifndef STORE_ALERT_H
#define STORE_ALERT_H

#include "base/lang.h"
#include "store/store.h"

#define ALERT_AGAIN_S      86400         /* the same one, if it comes again so soon */
#define ALERT_KEEP_S       (180 * 86400) /* closed ones */
#define ALERT_HOOK_TRIES   5
#define ALERT_SETTINGS_MAX 65536         /* bytes */

struct alert {
    uint64_t id;
    struct view kind;              /* "dmarc.source" */
    struct view domain;            /* one of ours, or empty: the whole server */
    struct view subject;           /* what of it: a source, a host, a record */
    struct view text[LANG_N], repair[LANG_N];
    int64_t first_s, last_s;       /* since when; when it was last so */
    int64_t told_s, silenced_s, closed_s; /* 0: not; silenced until then */
    unsigned hook_left;            /* tries that are left to hand it to the webhook */
};
/* It is so at now_s. *is_new: no such alert was open. */
enum rc alert_see(struct store *s, const struct alert *alert, int64_t now_s, bool *is_new);
/* Those of this kind (and domain) that were not so at since_s or later are over. */
enum rc alert_close(struct store *s, struct view kind, struct view domain, int64_t since_s, int64_t now_s);
/* Open ones that nobody was told of by mail (by_mail), or that wait for the webhook (by_hook); silent ones wait. */
struct alert_wanted {
    bool by_mail, by_hook;
    int64_t now_s;
};
enum rc alert_untold(struct store *s, const struct alert_wanted *wanted, size_t max, struct arena *a, struct alert **out, size_t *n);
enum rc alert_told(struct store *s, uint64_t id, int64_t now_s);
enum rc alert_hooked(struct store *s, uint64_t id, unsigned left);
/* Newest first; `domain` empty: all. */
enum rc alert_list(struct store *s, struct view domain, bool only_open, size_t max, struct arena *a, struct alert **out, size_t *n);
/* How many are open and not silent. `domain` empty: all. */
enum rc alert_count(struct store *s, struct view domain, int64_t now_s, uint64_t *out);
enum rc alert_get(struct store *s, uint64_t id, struct arena *a, struct alert *out); /* RC_NOTFOUND */
/* Silent until then; 0: told again. RC_NOTFOUND. */
enum rc alert_silence(struct store *s, uint64_t id, int64_t until_s);

/* How something was. RC_NOTFOUND: never looked at. */
enum rc alert_known(struct store *s, struct view domain, struct view what, struct view subject, int *mark);
enum rc alert_know(struct store *s, struct view domain, struct view what, struct view subject, int mark, int64_t now_s);
/* Old alerts; what is known of domains that are no longer ours. */
enum rc alert_forget(struct store *s, int64_t now_s);

/* RC_NOTFOUND: nobody has set any. RC_LIMIT: too long. */
enum rc alert_settings_get(struct store *s, struct arena *a, struct view *json);
enum rc alert_settings_put(struct store *s, struct view json);

#endif
