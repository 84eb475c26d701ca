/* app/reading: reports of others in the processes of `facteur serve`: settings of the desk, mail that the queue hands to it, names of
 * addresses. */
#ifndef APP_READING_H
#define APP_READING_H

#include "app/config.h"
#include "desk/desk.h"
#include "desk/naming.h"
#include "queue/local.h"

/* For mta. */
struct reading {
    struct store *store;
    struct desk *desk;
    struct naming *naming;
    struct country_file *countries; /* NULL: none is set, or it cannot be read (logged) */
};
/* Opens what is out of reach after the process was confined. */
void reading_open_files(struct reading *r, const struct config *c);
bool reading_begin(struct reading *r, const struct config *c, struct store *s, struct dns *dns);
/* The table of known senders may have been changed by the other process. */
void reading_tick(struct reading *r, int64_t now_s, bool daily);
/* Reports came, or the table of known senders changed. */
void reading_wake(struct reading *r);
void reading_end(struct reading *r);
/* A local_desk_fn; ctx is struct reading *. */
enum rc reading_take(void *ctx, const struct local_desk_mail *mail);

enum rc reading_desk(const struct config *c, struct store *s, struct desk **out);
enum rc reading_reload(struct desk *d, const struct config *c, struct store *s);

#endif
