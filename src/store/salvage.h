/* store/salvage: what is readable of a damaged data folder goes into a new one. The old one is only read; no server may
 * be working on it.
 *
 * Blobs: every record that checks out keeps its id. Databases that are whole are taken as they are, without the rows whose
 * blobs are lost. Of a damaged one the readable rows are copied; a mailbox gets new UIDs then, and messages that no row of it
 * tells of any more (deleted ones among them, for nobody can say) go from their blobs into its folder SALVAGE_FOLDER.
 * Accounts whose addresses are lost become ID@SALVAGE_DOMAIN. What could not be read stays beside as NAME.damaged. */
#ifndef STORE_SALVAGE_H
#define STORE_SALVAGE_H

#include "store/store.h"

#define SALVAGE_FOLDER "Salvaged"
#define SALVAGE_DOMAIN "salvaged.invalid" /* RFC 6761 §6.4: reaches nobody */

struct salvage_stats {
    uint64_t segments, blobs, blob_bytes; /* read; records kept */
    uint64_t databases, databases_damaged;
    uint64_t accounts, accounts_renamed;
    uint64_t messages;        /* rows kept or read from damaged databases */
    uint64_t from_blobs;      /* messages put into SALVAGE_FOLDER */
    uint64_t lost;            /* rows whose blob is lost */
    uint64_t queued, queued_lost;
    uint64_t ownerless;       /* blobs without any row that belong to nobody known; kept, `store verify` lists them */
};
struct salvage_settings {
    void (*tell)(void *ctx, struct view what); /* a line for people for each finding; may be NULL */
    void *ctx;
};
/* RC_EXISTS: `to` is not empty. RC_NOTFOUND: no data folder at `from`. RC_FULL, RC_TEMP: `to` cannot be written. */
enum rc salvage_run(const char *from, const char *to, const struct salvage_settings *set, struct salvage_stats *out);

#endif
