/* queue/hosts: addresses that could not be reached just now, so that domains which share a dead host do not wait for it one
 * after the other. A fixed table: newer failures push out older ones. Any thread. */
#ifndef QUEUE_HOSTS_H
#define QUEUE_HOSTS_H

#include "net/addr.h"

#define HOSTS_SLOTS   1024
#define HOSTS_REST_MS 60000

struct hosts;
enum rc hosts_new(struct hosts **out);
void hosts_free(struct hosts *h); /* accepts NULL */
void hosts_failed(struct hosts *h, const struct addr *a, int64_t rest_ms);
bool hosts_is_dead(struct hosts *h, const struct addr *a);
void hosts_forget(struct hosts *h); /* all */

#endif
