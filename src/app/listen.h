/* app/listen: the listening sockets, bound by the parent. Single-threaded. */
#ifndef APP_LISTEN_H
#define APP_LISTEN_H

#include "app/process.h"

struct listeners {
    struct listener v[LISTENERS_MAX];
    size_t n;
};
/* Binds what the configuration lists and `have` lacks; the new ones are at the end. False: one could not be bound (logged);
 * those before it are there. */
bool listeners_bind(struct listeners *have, const struct config *c);
/* Ends those that the configuration does not list any more, wherever they are open; says how many. */
size_t listeners_drop(struct listeners *have, const struct config *c);
/* Closes all beyond the first n. */
void listeners_cut(struct listeners *have, size_t n);

#endif
