/* desk/naming: names of the addresses that reports tell of, looked up on a thread of its own: reverse names that lead back (as RFC 8601 §3 has
 * iprev), and countries where there is a MaxMind file. Each address is asked for once, and once more a day later where the DNS did not answer.
 * I/O: network, store. */
#ifndef DESK_NAMING_H
#define DESK_NAMING_H

#include "desk/desk.h"
#include "dns/dns.h"

#define NAMING_BATCH  64    /* addresses of one look into the ledger */
#define NAMING_ASK_MS 5000  /* for one address */
#define NAMING_IDLE_MS 60000

struct country_file;
/* Opens a file in MaxMind's form (country or city); before the process is confined. RC_NOTFOUND, RC_CORRUPT. */
enum rc country_open(const char *path, struct country_file **out);
void country_close(struct country_file *f); /* accepts NULL */
/* Two letters; empty where it is not known. `f` may be NULL. */
struct view country_of(const struct country_file *f, struct view ip);

struct naming;
/* Starts the thread. All is borrowed; countries may be NULL. RC_TEMP. */
enum rc naming_new(struct desk *d, struct store *s, struct dns *dns, const struct country_file *countries, struct naming **out);
/* There may be new addresses. Never blocks. */
void naming_wake(struct naming *n);
void naming_free(struct naming *n); /* waits for the look-up under way; accepts NULL */

#endif
