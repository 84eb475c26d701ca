/* store/seen_internal: the connection of store/seen: its own, so that gathering never stands in the way of look-ups and mail. */
#ifndef STORE_SEEN_INTERNAL_H
#define STORE_SEEN_INTERNAL_H

#include <pthread.h>

#include "store/db.h"

struct seen {
    pthread_mutex_t mutex; /* guards db */
    struct db *db;
};

#endif
