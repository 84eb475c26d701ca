/* store/schema: the tables, their version, and the way from each version to the next.
 * A database says which version it has; an older one is brought forward step by step after a copy of it was put
 * beside it (NAME.v1-before-v2), a newer one is refused. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/db.h"

struct schema {
    const char *name;                 /* of the database, for messages: "facteur.db" */
    int version;                      /* the newest: as many as there are steps */
    const char *const *const *steps;  /* steps[v] are the statements, NULL-ended, that lead from version v to v + 1 */
};
extern const struct schema schema_domain;  /* facteur.db */
extern const struct schema schema_account; /* accounts/NN/ID.db */
extern const struct schema schema_reports; /* reports.db */

/* Makes or migrates. RC_DENIED: the database is newer; *why says so in words for people. */
enum rc schema_bring(struct db *db, const struct schema *schema, const char *path, struct arena *a, const char **why);

#endif
