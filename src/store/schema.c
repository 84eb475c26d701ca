#include "store/schema.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

/* What engines spell differently. SQLite finds a row whose key is one integer by that integer alone, and keeps tables
 * in the order of a longer key only when asked. */
#define ROW_ID    "INTEGER PRIMARY KEY"
#define CLUSTERED " WITHOUT ROWID"

static const char *const domain_1[] = {
    "CREATE TABLE domain (name TEXT NOT NULL PRIMARY KEY, created_s BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE account (id " ROW_ID ", address TEXT NOT NULL, domain TEXT NOT NULL, role INTEGER NOT NULL,"
    " created_s BIGINT NOT NULL, quota BIGINT NOT NULL, disabled INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX account_address ON account (address)",
    "CREATE INDEX account_domain ON account (domain)",
    "CREATE TABLE alias (address TEXT NOT NULL, place INTEGER NOT NULL, target TEXT NOT NULL, domain TEXT NOT NULL,"
    " PRIMARY KEY (address, place))" CLUSTERED,
    "CREATE INDEX alias_domain ON alias (domain)",
    /* Numbers that are given out once: 'account', 'queue' (messages and recipients share one, see mailq.c). */
    "CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)" CLUSTERED,
    "INSERT INTO counter (name, value) VALUES ('account', 1)",
    /* One row: next number to give out, and the sums that would otherwise need a scan. */
    "CREATE TABLE queue_state (one INTEGER NOT NULL PRIMARY KEY, next_id BIGINT NOT NULL, messages BIGINT NOT NULL,"
    " rcpts BIGINT NOT NULL, held BIGINT NOT NULL, bytes BIGINT NOT NULL)" CLUSTERED,
    "INSERT INTO queue_state (one, next_id, messages, rcpts, held, bytes) VALUES (1, 1, 0, 0, 0, 0)",
    "CREATE TABLE queue_message (id " ROW_ID ", last_rcpt BIGINT NOT NULL, waiting INTEGER NOT NULL, blob BIGINT NOT NULL,"
    " skip INTEGER NOT NULL, size BIGINT NOT NULL, sender TEXT NOT NULL, envid TEXT NOT NULL, ret INTEGER NOT NULL,"
    " body INTEGER NOT NULL, smtputf8 INTEGER NOT NULL, require_tls INTEGER NOT NULL, priority INTEGER NOT NULL,"
    " created_ms BIGINT NOT NULL, release_ms BIGINT NOT NULL, deliver_by_ms BIGINT NOT NULL,"
    " deliver_by_return INTEGER NOT NULL, account BIGINT NOT NULL, peer TEXT NOT NULL)",
    "CREATE TABLE queue_rcpt (id " ROW_ID ", message BIGINT NOT NULL, account BIGINT NOT NULL, route TEXT NOT NULL,"
    " priority INTEGER NOT NULL, held INTEGER NOT NULL, due_ms BIGINT NOT NULL, attempts INTEGER NOT NULL,"
    " delay_told INTEGER NOT NULL, notify INTEGER NOT NULL, forwarded INTEGER NOT NULL, address TEXT NOT NULL,"
    " detail TEXT NOT NULL, orcpt TEXT NOT NULL, original TEXT NOT NULL, last_reply TEXT NOT NULL, last_mx TEXT NOT NULL,"
    " last_attempt_ms BIGINT NOT NULL)",
    "CREATE INDEX queue_rcpt_due ON queue_rcpt (due_ms, id) WHERE held = 0",
    "CREATE INDEX queue_rcpt_route ON queue_rcpt (route, due_ms, id) WHERE held = 0 AND route <> ''",
    NULL,
};
/* seal, sender: what forwarding puts in front and on the envelope. junk: for the Junk folder. lane: 0 mail, 1 reports. */
static const char *const domain_2[] = {
    "ALTER TABLE queue_message ADD COLUMN seal TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE queue_message ADD COLUMN junk INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE queue_message ADD COLUMN lane INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE queue_rcpt ADD COLUMN sender TEXT NOT NULL DEFAULT ''",
    /* MTA-STS: sts_mode 0 none, 1 testing, 2 enforce. */
    "ALTER TABLE domain ADD COLUMN sts_mode INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE domain ADD COLUMN sts_changed_s BIGINT NOT NULL DEFAULT 0",
    /* The public halves; the vault has the private ones. state: enum dkim_key_state. */
    "CREATE TABLE dkim_key (domain TEXT NOT NULL, selector TEXT NOT NULL, algorithm INTEGER NOT NULL, public_key BYTEA NOT NULL,"
    " state INTEGER NOT NULL, created_s BIGINT NOT NULL, active_s BIGINT NOT NULL, retired_s BIGINT NOT NULL,"
    " PRIMARY KEY (domain, selector))" CLUSTERED,
    "CREATE TABLE acme_challenge (token TEXT NOT NULL PRIMARY KEY, answer TEXT NOT NULL, made_s BIGINT NOT NULL)" CLUSTERED,
    /* Random numbers made once, such as the one that SRS addresses are proven with. */
    "CREATE TABLE secret (name TEXT NOT NULL PRIMARY KEY, value BYTEA NOT NULL)" CLUSTERED,
    /* MTA-STS policies of others, as they were fetched, and mail hosts that had TLS when last spoken to. */
    "CREATE TABLE sts_policy (domain TEXT NOT NULL PRIMARY KEY, id TEXT NOT NULL, policy TEXT NOT NULL, fetched_s BIGINT NOT NULL,"
    " expires_s BIGINT NOT NULL, refresh_s BIGINT NOT NULL, used_s BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX sts_policy_refresh ON sts_policy (refresh_s)",
    "CREATE TABLE tls_host (host TEXT NOT NULL PRIMARY KEY, seen_s BIGINT NOT NULL)" CLUSTERED,
    /* What TLS-RPT reports: sessions of a UTC day by the policy that was in force, and those that failed by their reasons.
     * report: the seen_report that tells of them; 0: still counting. type and result: enums of tlsrpt.h. digest: of the policy,
     * which is too long for a key. */
    "CREATE TABLE tls_policy (day BIGINT NOT NULL, domain TEXT NOT NULL, report BIGINT NOT NULL, type INTEGER NOT NULL,"
    " digest TEXT NOT NULL, policy TEXT NOT NULL, mx TEXT NOT NULL, successes BIGINT NOT NULL, failures BIGINT NOT NULL,"
    " PRIMARY KEY (day, domain, report, type, digest))" CLUSTERED,
    "CREATE INDEX tls_policy_open ON tls_policy (day, domain) WHERE report = 0",
    "CREATE TABLE tls_failure (day BIGINT NOT NULL, domain TEXT NOT NULL, report BIGINT NOT NULL, type INTEGER NOT NULL,"
    " digest TEXT NOT NULL, result INTEGER NOT NULL, mx TEXT NOT NULL, sent_from TEXT NOT NULL, sent_to TEXT NOT NULL,"
    " reason TEXT NOT NULL, sessions BIGINT NOT NULL,"
    " PRIMARY KEY (day, domain, report, type, digest, result, mx, sent_from, sent_to, reason))" CLUSTERED,
    /* What is owed to other domains (seen.c). end_s 0: still collecting; finished_s 0: owed. Rows by a digest of themselves. */
    "CREATE TABLE seen_report (id " ROW_ID ", kind INTEGER NOT NULL, day_s BIGINT NOT NULL, domain TEXT NOT NULL,"
    " policy TEXT NOT NULL, begin_s BIGINT NOT NULL, end_s BIGINT NOT NULL, messages BIGINT NOT NULL, bad BIGINT NOT NULL,"
    " n_rows BIGINT NOT NULL, dropped BIGINT NOT NULL, due_s BIGINT NOT NULL, tries INTEGER NOT NULL, finished_s BIGINT NOT NULL,"
    " note TEXT NOT NULL)",
    "CREATE UNIQUE INDEX seen_report_open ON seen_report (kind, day_s, domain, end_s)",
    "CREATE INDEX seen_report_unsealed ON seen_report (day_s) WHERE end_s = 0",
    "CREATE INDEX seen_report_due ON seen_report (due_s, id) WHERE finished_s = 0",
    "CREATE TABLE seen_row (report BIGINT NOT NULL, key BYTEA NOT NULL, n BIGINT NOT NULL, data BYTEA NOT NULL,"
    " PRIMARY KEY (report, key))" CLUSTERED,
    "CREATE TABLE seen_mail (report BIGINT NOT NULL, address TEXT NOT NULL, sent_s BIGINT NOT NULL, PRIMARY KEY (report, address))" CLUSTERED,
    "CREATE TABLE seen_count (day_s BIGINT NOT NULL, name TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (day_s, name))" CLUSTERED,
    "CREATE TABLE seen_pause (address TEXT NOT NULL PRIMARY KEY, bounces BIGINT NOT NULL, until_s BIGINT NOT NULL, why TEXT NOT NULL)" CLUSTERED,
    NULL,
};
static const char *const domain_3[] = {
    /* Attempts that failed. rcpt 0: of all the message's recipients of that route. seq: in order; queue_message.tries has the last. */
    "CREATE TABLE queue_attempt (message BIGINT NOT NULL, route TEXT NOT NULL, rcpt BIGINT NOT NULL, seq BIGINT NOT NULL,"
    " at_ms BIGINT NOT NULL, mx TEXT NOT NULL, address TEXT NOT NULL, tls TEXT NOT NULL, policy TEXT NOT NULL, reply TEXT NOT NULL,"
    " result TEXT NOT NULL, PRIMARY KEY (message, route, rcpt, seq))" CLUSTERED,
    "ALTER TABLE queue_message ADD COLUMN tries BIGINT NOT NULL DEFAULT 0",
    /* Of who sends over HTTP. kind: enum suppression_kind. answer: '' while the request is under way. events, event: enum webhook_event. */
    "CREATE TABLE suppression (account BIGINT NOT NULL, address TEXT NOT NULL, kind INTEGER NOT NULL, reason TEXT NOT NULL,"
    " since_s BIGINT NOT NULL, PRIMARY KEY (account, address))" CLUSTERED,
    "CREATE TABLE send_key (account BIGINT NOT NULL, digest BYTEA NOT NULL, body BYTEA NOT NULL, made_s BIGINT NOT NULL, answer TEXT NOT NULL,"
    " PRIMARY KEY (account, digest))" CLUSTERED,
    "CREATE INDEX send_key_made ON send_key (made_s)",
    "CREATE TABLE webhook (id " ROW_ID ", account BIGINT NOT NULL, url TEXT NOT NULL, events INTEGER NOT NULL, secret TEXT NOT NULL,"
    " created_s BIGINT NOT NULL, last TEXT NOT NULL, last_s BIGINT NOT NULL)",
    "CREATE INDEX webhook_account ON webhook (account)",
    "CREATE TABLE webhook_call (id " ROW_ID ", hook BIGINT NOT NULL, due_s BIGINT NOT NULL, tries INTEGER NOT NULL, made_s BIGINT NOT NULL,"
    " event INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX webhook_call_due ON webhook_call (due_s, id)",
    "CREATE INDEX webhook_call_hook ON webhook_call (hook)",
    /* What is shown of application passwords, whose verifiers the vault has under the same ids; public keys of passkeys. */
    "CREATE TABLE app_password (account BIGINT NOT NULL, id BIGINT NOT NULL, name TEXT NOT NULL, scope INTEGER NOT NULL,"
    " created_s BIGINT NOT NULL, used_s BIGINT NOT NULL, used_peer TEXT NOT NULL, PRIMARY KEY (account, id))" CLUSTERED,
    "CREATE TABLE passkey (id BYTEA NOT NULL PRIMARY KEY, account BIGINT NOT NULL, public_key BYTEA NOT NULL, rp TEXT NOT NULL,"
    " name TEXT NOT NULL, sign_count BIGINT NOT NULL, created_s BIGINT NOT NULL, used_s BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX passkey_account ON passkey (account)",
    /* Challenges that were answered well, until they have run out: none is good twice. */
    "CREATE TABLE passkey_challenge (mac BYTEA NOT NULL PRIMARY KEY, until_s BIGINT NOT NULL)" CLUSTERED,
    /* What the doctor was asked and found (health_result.c). kind: enum health_asked. en, fr: JSON. */
    "CREATE TABLE logo (domain TEXT NOT NULL PRIMARY KEY, svg BYTEA NOT NULL, made_s BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE logo_fetched (location TEXT NOT NULL, authority TEXT NOT NULL, domain TEXT NOT NULL, good INTEGER NOT NULL,"
    " svg BYTEA NOT NULL, why TEXT NOT NULL, fetched_s BIGINT NOT NULL, PRIMARY KEY (location, authority, domain))" CLUSTERED,
    "CREATE INDEX logo_fetched_age ON logo_fetched (fetched_s)",
    "CREATE TABLE health_result (kind INTEGER NOT NULL, domain TEXT NOT NULL, question TEXT NOT NULL, asker BIGINT NOT NULL,"
    " asked_s BIGINT NOT NULL, made_s BIGINT NOT NULL, waiting INTEGER NOT NULL, good INTEGER NOT NULL, note INTEGER NOT NULL,"
    " warn INTEGER NOT NULL, bad INTEGER NOT NULL, unknown INTEGER NOT NULL, en TEXT NOT NULL, fr TEXT NOT NULL,"
    " PRIMARY KEY (kind, domain))" CLUSTERED,
    "CREATE INDEX health_result_waiting ON health_result (asked_s) WHERE waiting = 1",
    /* The pages: who is logged in, links that log in once (digests of tokens alone), and what was changed by whom. */
    "ALTER TABLE account ADD COLUMN language TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE web_session (id " ROW_ID ", token BYTEA NOT NULL, account BIGINT NOT NULL, peer TEXT NOT NULL, agent TEXT NOT NULL,"
    " created_s BIGINT NOT NULL, seen_s BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX web_session_token ON web_session (token)",
    "CREATE INDEX web_session_account ON web_session (account)",
    "CREATE TABLE web_link (token BYTEA NOT NULL PRIMARY KEY, account BIGINT NOT NULL, made_s BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE audit (id " ROW_ID ", at_ms BIGINT NOT NULL, who TEXT NOT NULL, peer TEXT NOT NULL, what TEXT NOT NULL,"
    " about TEXT NOT NULL, detail TEXT NOT NULL)",
    "CREATE INDEX audit_at ON audit (at_ms, id)",
    /* What people are told of (alert.c). kind: by name. closed_s, told_s 0: not yet. hook_left: tries that are left to hand it to the webhook.
     * alert_known: how things were when last looked at. */
    "CREATE TABLE alert (id " ROW_ID ", kind TEXT NOT NULL, domain TEXT NOT NULL, subject TEXT NOT NULL, en TEXT NOT NULL, fr TEXT NOT NULL,"
    " repair_en TEXT NOT NULL, repair_fr TEXT NOT NULL, first_s BIGINT NOT NULL, last_s BIGINT NOT NULL, told_s BIGINT NOT NULL,"
    " silenced_s BIGINT NOT NULL, closed_s BIGINT NOT NULL, hook_left INTEGER NOT NULL)",
    "CREATE INDEX alert_about ON alert (kind, domain, subject, id)",
    "CREATE INDEX alert_open ON alert (last_s) WHERE closed_s = 0",
    "CREATE TABLE alert_known (domain TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, mark INTEGER NOT NULL, seen_s BIGINT NOT NULL,"
    " PRIMARY KEY (domain, what, subject))" CLUSTERED,
    "CREATE TABLE alert_setting (one INTEGER NOT NULL PRIMARY KEY, value TEXT NOT NULL)" CLUSTERED,
    NULL,
};
/* Unreleased: further tables of this version are added here. */
static const char *const domain_4[] = {
    /* Rises with each new password of its own. */
    "ALTER TABLE account ADD COLUMN password_n BIGINT NOT NULL DEFAULT 0",
    NULL,
};
static const char *const *const domain_steps[] = {domain_1, domain_2, domain_3, domain_4};
const struct schema schema_domain = {"facteur.db", 4, domain_steps};

/* Every table leads with its account, the shard key, though one database holds one account only: so the same rows fit
 * into one database of many. The sequence of an account is the highest change.seq; ids below 256 are for what each
 * account has (its standard folders). */
static const char *const account_1[] = {
    /* The GUIDs never change; a restored backup gets a new replica_guid, for its sequence goes back. Log entries that
     * are not of vanished items are there from log_from on. */
    "CREATE TABLE mailbox (account BIGINT NOT NULL PRIMARY KEY, mailbox_guid BYTEA NOT NULL, replica_guid BYTEA NOT NULL,"
    " mapping_guid BYTEA NOT NULL, uidvalidity BIGINT NOT NULL, log_from BIGINT NOT NULL, created_s BIGINT NOT NULL)" CLUSTERED,
    /* cn: number of the last change to the folder itself (name, parent); modseq: of the last one inside. */
    "CREATE TABLE folder (account BIGINT NOT NULL, id BIGINT NOT NULL, parent BIGINT NOT NULL, name TEXT NOT NULL,"
    " role INTEGER NOT NULL, kind INTEGER NOT NULL, container_class TEXT NOT NULL, subscribed INTEGER NOT NULL,"
    " uidvalidity BIGINT NOT NULL, cn BIGINT NOT NULL, uidnext BIGINT NOT NULL, modseq BIGINT NOT NULL,"
    " n_exists BIGINT NOT NULL, n_unseen BIGINT NOT NULL, n_deleted BIGINT NOT NULL, n_bytes BIGINT NOT NULL,"
    " recent_from BIGINT NOT NULL, PRIMARY KEY (account, id))" CLUSTERED,
    "CREATE UNIQUE INDEX folder_name ON folder (account, parent, name)",
    /* Small rows in the order in which IMAP reads them. state: 0 live, 1 kept for a while after its deletion (deleted_on,
     * origin), 2 gone for all but administrators. read_cn: last change of \Seen alone. mapi_id: the third identity, other
     * than id after a move. is_associated: not shown to mail clients. */
    "CREATE TABLE item (account BIGINT NOT NULL, folder BIGINT NOT NULL, uid BIGINT NOT NULL, id BIGINT NOT NULL,"
    " modseq BIGINT NOT NULL, flags INTEGER NOT NULL, keywords TEXT NOT NULL, internaldate BIGINT NOT NULL,"
    " sent_date BIGINT NOT NULL, blob BIGINT NOT NULL, skip INTEGER NOT NULL, size BIGINT NOT NULL, thread BIGINT NOT NULL,"
    " state INTEGER NOT NULL DEFAULT 0, is_associated INTEGER NOT NULL DEFAULT 0, deleted_on BIGINT, origin BIGINT,"
    " mapi_id BIGINT, read_cn BIGINT, PRIMARY KEY (account, folder, uid))" CLUSTERED,
    /* What is computed once at delivery; large, written once, found by the item's id. */
    "CREATE TABLE summary (id " ROW_ID ", account BIGINT NOT NULL, envelope BYTEA NOT NULL, structure BYTEA NOT NULL,"
    " parts BYTEA NOT NULL, message_id BYTEA NOT NULL, subject_base BYTEA NOT NULL, refs BYTEA NOT NULL)",
    /* The log. kind: 0 new, 1 flags, 2 gone from the folder, 3 the folder itself. source: the queue's recipient that was
     * delivered by this entry; source_high: the highest source in the log up to here, so that the search for an older
     * source can stop. */
    "CREATE TABLE change (account BIGINT NOT NULL, seq BIGINT NOT NULL, folder BIGINT NOT NULL, item BIGINT NOT NULL,"
    " uid BIGINT NOT NULL, kind INTEGER NOT NULL, source BIGINT NOT NULL, source_high BIGINT NOT NULL,"
    " PRIMARY KEY (account, seq))" CLUSTERED,
    /* For what comes later, so that old databases need no rewrite (SCHEMA of the design: 2, 7, 8). */
    "CREATE TABLE reserved_range (account BIGINT NOT NULL, low BIGINT NOT NULL, high BIGINT NOT NULL, owner TEXT NOT NULL,"
    " PRIMARY KEY (account, low))" CLUSTERED,
    "CREATE TABLE named_property (account BIGINT NOT NULL, property INTEGER NOT NULL, guid BYTEA NOT NULL, lid BIGINT,"
    " name TEXT, PRIMARY KEY (account, property))" CLUSTERED,
    "CREATE TABLE item_property (account BIGINT NOT NULL, item BIGINT NOT NULL, property INTEGER NOT NULL,"
    " type INTEGER NOT NULL, value BYTEA NOT NULL, PRIMARY KEY (account, item, property))" CLUSTERED,
    NULL,
};
static const char *const *const account_steps[] = {account_1};
const struct schema schema_account = {"the account's database", 1, account_steps};

/* Reports of others (ledger.h). state 0: being written. written_s: when that began. policy, detail: JSON. */
#define SUM_COLUMNS                                                                                                                \
    " messages BIGINT NOT NULL, aligned BIGINT NOT NULL, spf BIGINT NOT NULL, dkim BIGINT NOT NULL, spf_passed BIGINT NOT NULL,"   \
    " dkim_passed BIGINT NOT NULL, d_none BIGINT NOT NULL, d_quarantine BIGINT NOT NULL, d_reject BIGINT NOT NULL, forwarded BIGINT NOT NULL,"  \
    " listed BIGINT NOT NULL"
static const char *const reports_1[] = {
    "CREATE TABLE domain (id " ROW_ID ", name TEXT NOT NULL)",
    "CREATE UNIQUE INDEX domain_name ON domain (name)",
    "CREATE TABLE reporter (id " ROW_ID ", name TEXT NOT NULL)",
    "CREATE UNIQUE INDEX reporter_name ON reporter (name)",
    "CREATE TABLE report (id " ROW_ID ", kind INTEGER NOT NULL, state INTEGER NOT NULL, written_s BIGINT NOT NULL, domain BIGINT NOT NULL,"
    " reporter BIGINT NOT NULL, org TEXT NOT NULL, email TEXT NOT NULL, report_id TEXT NOT NULL, begin_s BIGINT NOT NULL,"
    " end_s BIGINT NOT NULL, day BIGINT NOT NULL, received_s BIGINT NOT NULL, via INTEGER NOT NULL, spf TEXT NOT NULL, dkim TEXT NOT NULL,"
    " dmarc TEXT NOT NULL, proven TEXT NOT NULL, counted INTEGER NOT NULL, why TEXT NOT NULL, policy TEXT NOT NULL, p TEXT NOT NULL,"
    " messages BIGINT NOT NULL, n_rows BIGINT NOT NULL, n_kept BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX report_once ON report (domain, kind, reporter, report_id) WHERE state = 1",
    "CREATE INDEX report_list ON report (domain, kind, received_s, id) WHERE state = 1",
    "CREATE INDEX report_unproven ON report (domain, id) WHERE state = 1 AND counted = 0",
    "CREATE INDEX report_unfinished ON report (written_s) WHERE state = 0",
    "CREATE INDEX report_received ON report (received_s)",
    "CREATE INDEX report_kept ON report (received_s) WHERE n_kept > 0",
    /* Many rows of a report say the same but for address and count: what they say is kept once. */
    "CREATE TABLE report_row (report BIGINT NOT NULL, n BIGINT NOT NULL, ip BYTEA NOT NULL, messages BIGINT NOT NULL, said BIGINT NOT NULL,"
    " PRIMARY KEY (report, n))" CLUSTERED,
    "CREATE TABLE report_said (report BIGINT NOT NULL, id BIGINT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (report, id))" CLUSTERED,
    /* Where mail came from. basis: enum ledger_basis. named_s: when its name was looked up; 0: not yet. heard_s: when the last report told
     * of it: what is kept for how long goes by that, for a report may tell of long ago. */
    "CREATE TABLE source (id " ROW_ID ", key TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL)",
    "CREATE UNIQUE INDEX source_key ON source (key)",
    "CREATE TABLE address (id " ROW_ID ", ip BYTEA NOT NULL, source BIGINT NOT NULL, basis INTEGER NOT NULL, host TEXT NOT NULL,"
    " country TEXT NOT NULL, named_s BIGINT NOT NULL, heard_s BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX address_ip ON address (ip)",
    "CREATE INDEX address_source ON address (source)",
    "CREATE INDEX address_unnamed ON address (id) WHERE named_s = 0",
    "CREATE INDEX address_unsure ON address (id) WHERE named_s = 1",
    "CREATE INDEX address_heard ON address (heard_s)",
    "CREATE TABLE address_domain (address BIGINT NOT NULL, domain BIGINT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,"
    " header_from TEXT NOT NULL, envelope_from TEXT NOT NULL, selectors TEXT NOT NULL, PRIMARY KEY (address, domain))" CLUSTERED,
    "CREATE TABLE source_domain (domain BIGINT NOT NULL, source BIGINT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,"
    " since_s BIGINT NOT NULL, heard_s BIGINT NOT NULL, addresses BIGINT NOT NULL, country TEXT NOT NULL, PRIMARY KEY (domain, source))" CLUSTERED,
    "CREATE INDEX source_domain_since ON source_domain (since_s)",
    "CREATE INDEX source_domain_heard ON source_domain (heard_s)",
    "CREATE TABLE source_said (domain BIGINT NOT NULL, source BIGINT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
    " PRIMARY KEY (domain, source))" CLUSTERED,
    /* What people change in the table of known senders (desk/senders). */
    "CREATE TABLE sender (name TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, hosts TEXT NOT NULL, dkim TEXT NOT NULL, spf TEXT NOT NULL)" CLUSTERED,
    /* The daily sums. addresses: rows of address_day that this day has. */
    "CREATE TABLE total_day (domain BIGINT NOT NULL, day BIGINT NOT NULL, heard_s BIGINT NOT NULL, reports BIGINT NOT NULL,"
    " addresses BIGINT NOT NULL," SUM_COLUMNS ", PRIMARY KEY (domain, day))" CLUSTERED,
    "CREATE INDEX total_day_heard ON total_day (heard_s)",
    "CREATE TABLE source_day (domain BIGINT NOT NULL, day BIGINT NOT NULL, source BIGINT NOT NULL," SUM_COLUMNS
    ", PRIMARY KEY (domain, day, source))" CLUSTERED,
    "CREATE TABLE address_day (address BIGINT NOT NULL, domain BIGINT NOT NULL, day BIGINT NOT NULL, reporter BIGINT NOT NULL," SUM_COLUMNS
    ", PRIMARY KEY (address, domain, day, reporter))" CLUSTERED,
    "CREATE INDEX address_day_day ON address_day (domain, day)",
    /* what 0: type of an override, 1: policy in force. */
    "CREATE TABLE word_day (domain BIGINT NOT NULL, day BIGINT NOT NULL, what INTEGER NOT NULL, word TEXT NOT NULL, messages BIGINT NOT NULL,"
    " PRIMARY KEY (domain, day, what, word))" CLUSTERED,
    "CREATE TABLE tls_day (domain BIGINT NOT NULL, day BIGINT NOT NULL, reporter BIGINT NOT NULL, type TEXT NOT NULL, mx TEXT NOT NULL,"
    " heard_s BIGINT NOT NULL, reports BIGINT NOT NULL, successes BIGINT NOT NULL, failures BIGINT NOT NULL, PRIMARY KEY (domain, day, reporter, type, mx))" CLUSTERED,
    "CREATE TABLE tls_failure_day (domain BIGINT NOT NULL, day BIGINT NOT NULL, reporter BIGINT NOT NULL, result TEXT NOT NULL,"
    " mx TEXT NOT NULL, heard_s BIGINT NOT NULL, sessions BIGINT NOT NULL, PRIMARY KEY (domain, day, reporter, result, mx))" CLUSTERED,
    "CREATE TABLE failure (id " ROW_ID ", domain BIGINT NOT NULL, digest BYTEA NOT NULL, received_s BIGINT NOT NULL, arrival_s BIGINT NOT NULL,"
    " type TEXT NOT NULL, reporter TEXT NOT NULL, source_ip TEXT NOT NULL, original_from TEXT NOT NULL, original_to TEXT NOT NULL,"
    " subject TEXT NOT NULL, auth_failure TEXT NOT NULL, verdict TEXT NOT NULL, counted INTEGER NOT NULL, headers TEXT NOT NULL)",
    "CREATE UNIQUE INDEX failure_once ON failure (domain, digest)",
    "CREATE INDEX failure_list ON failure (domain, id)",
    "CREATE INDEX failure_received ON failure (received_s)",
    NULL,
};
static const char *const *const reports_steps[] = {reports_1};
const struct schema schema_reports = {"reports.db", 1, reports_steps};

/* 0: an empty database. */
static enum rc read_version(struct db *db, int *version)
{
    struct db_query *q = NULL;

    *version = 0;
    if (!db_has_table(db, "schema_info"))
        return RC_OK;
    enum rc rc = db_first(db, &q, "SELECT version FROM schema_info WHERE one = 1");
    if (rc == RC_OK)
        *version = (int)db_number(q, 0);
    db_done(q);
    return rc == RC_NOTFOUND ? RC_CORRUPT : rc;
}

struct migration {
    const struct schema *schema;
    const char *fresh, *copy; /* where the copy was made, NULL: none; and where it is to be */
};

static enum rc take_steps(struct db *db, void *ctx)
{
    struct migration *m = ctx;
    const struct schema *schema = m->schema;
    int from;
    enum rc rc = read_version(db, &from); /* another process may have been here since: then its copy is the one from before */

    if (rc == RC_OK && m->fresh && from < schema->version) {
        rc = rename(m->fresh, m->copy) == 0 ? RC_OK : RC_TEMP;
        m->fresh = NULL;
    }
    if (rc == RC_OK && from == 0)
        rc = db_define(db, "CREATE TABLE schema_info (one INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL)" CLUSTERED);
    for (int v = from; v < schema->version; v++) {
        for (const char *const *sql = schema->steps[v]; *sql && rc == RC_OK; sql++)
            rc = db_define(db, *sql);
    }
    if (rc == RC_OK && from < schema->version)
        rc = db_exec(db, "INSERT INTO schema_info (one, version) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = $1",
                     DB_N(schema->version));
    return rc;
}

enum rc schema_bring(struct db *db, const struct schema *schema, const char *path, struct arena *a, const char **why)
{
    struct migration m = {.schema = schema};
    int from;
    enum rc rc = read_version(db, &from);

    *why = "the database cannot be read or written; the log has the reason";
    if (rc != RC_OK || from == schema->version)
        return rc;
    if (from > schema->version) {
        *why = arena_printf(a, "%s has schema %d, this program knows %d: install the newer version", schema->name, from,
                            schema->version);
        return RC_DENIED;
    }
    if (from > 0) {
        m.copy = arena_printf(a, "%s.v%d-before-v%d", path, from, schema->version);
        m.fresh = m.copy ? arena_printf(a, "%s.%ld", m.copy, (long)getpid()) : NULL;
        rc = m.fresh ? db_copy(db, m.fresh) : RC_TEMP;
        if (rc != RC_OK) {
            if (m.fresh)
                unlink(m.fresh);
            *why = arena_printf(a, "no copy of %s could be made before its schema is changed", schema->name);
            return rc;
        }
        log_info("store.schema.migrating", F_CSTR("file", path), F_INT("from", from), F_INT("to", schema->version),
                 F_CSTR("copy", m.copy));
    }
    rc = db_txn(db, take_steps, &m);
    if (m.fresh)
        unlink(m.fresh);
    return rc == RC_OK ? db_sync(db) : rc;
}
