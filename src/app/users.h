/* app/users: who the processes become when started as root, and that the data folder belongs to them.
 * Without root nobody changes and everything belongs to whoever runs us. */
#ifndef APP_USERS_H
#define APP_USERS_H

#include <sys/types.h>

#include "app/config.h"

#define USER_NAME_MAX 64
struct user_id {
    char name[USER_NAME_MAX]; /* a copy: it outlives the configuration that named it */
    uid_t uid;
    gid_t gid;
    bool missing; /* the configured one does not exist: another stands in */
};
struct users {
    bool root;             /* we may change users */
    struct user_id store;  /* config `user`; without it "nobody" */
    struct user_id vault;  /* config `vault-user`; without it as `store` */
    char closed[4098];     /* a folder above the data that `store` could not pass: its owner stands in for both; or "" */
};

void users_find(const struct config *c, struct users *out);
/* Makes data, data/run and data/vault with their owners and modes. *why: what is in the way. RC_DENIED: not ours, or a
 * folder above is closed to the user. */
enum rc users_prepare_data(const struct config *c, const struct users *u, struct arena *a, const char **why);
/* For commands: effective ids only, so that root can come back. errno says why it failed. */
enum rc users_become_effective(uid_t uid, gid_t gid);

#endif
