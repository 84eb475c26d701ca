/* What the files of http/ share. */
#ifndef HTTP_HTTP_IMPL_H
#define HTTP_HTTP_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"

struct MHD_Daemon;
struct http_late;
struct bridge; /* a connection between net/ and libmicrohttpd */
struct bridge_slot {
    struct bridge *b; /* NULL: free */
    uint32_t generation, next_free;
};
struct http_server {
    struct http_settings set;
    struct MHD_Daemon *daemon;
    struct pool_service service;
    pthread_t thread;
    bool has_thread;
    int epoll, stop, late_event;
    pthread_mutex_t lock; /* guards the slots */
    struct bridge_slot *slots;
    uint32_t n_slots, free_slot;
    struct http_late *late; /* responses that are held back; guarded by lock */
    atomic_size_t bodies; /* bytes of requests' bodies in memory */
};

/* bridge.c: carries bytes between a connection and libmicrohttpd's end of the socket pair. */
/* http.c: sends those whose time has come, or all. Gives the milliseconds until the next; -1: none waits. */
int http_send_late(struct http_server *s, bool all);
enum rc http_bridge_start(struct http_server *s);
void http_bridge_stop(struct http_server *s);

#endif
