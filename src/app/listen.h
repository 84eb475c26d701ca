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
/* Closes those that the configuration does not list any more; says how many. */
size_t listeners_drop(struct listeners *have, const struct config *c);

#endif
