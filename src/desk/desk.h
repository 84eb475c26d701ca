/* desk/desk: what becomes of the reports that others send us: read by received/, believed or not by verdict, told whose mail they speak
 * of by senders, kept by store/ledger. DMARC (RFC 7489, RFC 9990), failures (RFC 6591, RFC 9991), TLS (RFC 8460).
 *
 * A report is believed, and adds to totals, when the mail that brought it passed DMARC at our door, or, where its author's domain publishes no
 * policy, when SPF or DKIM passed for that domain; when it is our own; or when a person who is logged in put the file there. What comes by
 * HTTPS POST is from nobody: RFC 8460 §5.4 has no proof of who posts, so it is shown and not counted.
 *
 * Any thread. I/O: the store; names of addresses are looked up by naming alone. */
#ifndef DESK_DESK_H
#define DESK_DESK_H

#include "desk/senders.h"
#include "mailauth/psl.h"
#include "net/addr.h"
#include "store/directory.h"

#define DESK_PATH           "/reports/tls" /* of POSTs, at our host name and at mta-sts.DOMAIN */
#define DESK_POST_PLAIN_MAX (16u << 20) /* decompressed bytes of one; TLS reports are far smaller */

struct desk_settings {
    struct store *store;
    const char *hostname;    /* ours: in Authentication-Results, and the MX */
    const struct addr *own;  /* addresses that we send from and listen at */
    size_t n_own;
};
struct desk;
/* Settings are copied, the store is borrowed. RC_TEMP. */
enum rc desk_new(const struct desk_settings *set, struct desk **out);
enum rc desk_reload(struct desk *d, const struct desk_settings *set);
void desk_free(struct desk *d); /* accepts NULL; nobody may be using it */
/* Reading under way ends soon, with RC_TEMP: for a shutdown. */
void desk_stop(struct desk *d);

struct desk_asked {
    struct view file;         /* a mail as it was delivered, or a report's file or body */
    enum ledger_via via;
    bool trusted;             /* by mail: our own, or submitted with a password */
    struct view domain;       /* the domain of ours that it was sent to; by file: whose reports may come, empty: all of ours */
    int64_t received_s;
    /* Told of what is refused, in English; may be NULL. name: of the part or archive member, may be empty. */
    void (*refused)(void *ctx, struct view name, struct view reason);
    void *ctx;
};
struct desk_outcome {
    unsigned read, again, refused; /* reports: new, known already, unreadable or not ours */
};
/* RC_OK: all that could be read is durable. RC_NOTFOUND: there is no report of ours in it. RC_TEMP, RC_FULL, RC_CORRUPT: later, or never; what was
 * read stays, and is not read twice. */
enum rc desk_read(struct desk *d, const struct desk_asked *asked, struct desk_outcome *out);

/* The table of known senders as it is now; given back by desk_senders_done. */
struct senders *desk_senders(struct desk *d);
void desk_senders_done(struct desk *d);
/* People changed it (ledger_sender_set). */
enum rc desk_senders_changed(struct desk *d);
/* What an address belongs to: its reverse name where it is known, which leads back to it; empty else. Texts are the arena's or the desk's. */
enum rc desk_name_address(struct desk *d, struct view ip, struct view host, struct arena *a, struct ledger_name *out);

#endif
