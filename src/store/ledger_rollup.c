/* store/ledger_rollup: the sums of a report go into the sums of its day: of the domain, of each source, of each address. */
#include "store/ledger_internal.h"

#define WORDS_MAX 8   /* domains or selectors that are remembered of one address */
#define WORDS_N   512 /* and their bytes */

#define SUM_VALUES(s)                                                                                                               \
    DB_N((s)->messages), DB_N((s)->aligned), DB_N((s)->spf), DB_N((s)->dkim), DB_N((s)->spf_passed), DB_N((s)->dkim_passed), DB_N((s)->none), \
        DB_N((s)->quarantine), DB_N((s)->reject), DB_N((s)->forwarded), DB_N((s)->listed)
#define SUM_ADD(t)                                                                                                                  \
    "messages = " t ".messages + excluded.messages, aligned = " t ".aligned + excluded.aligned, spf = " t ".spf + excluded.spf, dkim = " t \
    ".dkim + excluded.dkim, spf_passed = " t ".spf_passed + excluded.spf_passed, dkim_passed = " t ".dkim_passed + excluded.dkim_passed, d_none = " t \
    ".d_none + excluded.d_none, d_quarantine = " t ".d_quarantine + excluded.d_quarantine, d_reject = " t ".d_reject + excluded.d_reject, forwarded = " t ".forwarded + excluded.forwarded, listed = " t ".listed + excluded.listed"

/* What the transaction knows of its day while it works. */
struct working {
    const struct rollup *r;
    int64_t sources;    /* that the domain has */
    int64_t known;      /* addresses in all */
    int64_t day_lines;  /* rows of address_day */
    int64_t *source_rows; /* by index in parts.sources; 0: not looked up yet */
    int64_t others;     /* 0: not looked up yet */
};

/* --- sources --- */

static enum rc add_source_day(struct db *db, int64_t domain, int64_t day, int64_t source, const struct ledger_sum *sum)
{
    return db_exec(db, "INSERT INTO source_day (domain, day, source, " SUM_NAMES ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
                       " $14) ON CONFLICT (domain, day, source) DO UPDATE SET " SUM_ADD("source_day"),
                   DB_N(domain), DB_N(day), DB_N(source), SUM_VALUES(sum));
}

static enum rc touch_source(struct db *db, int64_t domain, int64_t source, int64_t first, int64_t last, int64_t since_s,
                            int64_t heard_s)
{
    return db_exec(db, "INSERT INTO source_domain (domain, source, first, last, since_s, heard_s, addresses, country) VALUES ($1, $2, $3, $4, $5, $6,"
                       " 0, '') ON CONFLICT (domain, source) DO UPDATE SET first = MIN(source_domain.first, $3), last = MAX(source_domain.last, $4),"
                       " since_s = MIN(source_domain.since_s, $5), heard_s = MAX(source_domain.heard_s, $6)",
                   DB_N(domain), DB_N(source), DB_N(first), DB_N(last), DB_N(since_s), DB_N(heard_s));
}

/* This source is one of the domain, or `others` is where there are too many. */
static enum rc admit_source(struct db *db, struct working *x, int64_t *source)
{
    static const struct ledger_name others = {.key = VIEW_INIT(LEDGER_OTHERS), .name = VIEW_INIT(""), .kind = VIEW_INIT("")};
    struct db_query *q;
    int64_t there = 0;
    enum rc rc = db_first(db, &q, "SELECT 1 FROM source_domain WHERE domain = $1 AND source = $2", DB_N(x->r->domain), DB_N(*source));
    rc = ledger_number(q, rc, &there);
    if (rc == RC_NOTFOUND) {
        rc = RC_OK;
        if (x->sources >= LEDGER_DOMAIN_SOURCES) {
            if (x->others == 0)
                rc = ledger_source_row(db, &others, &x->others);
            *source = x->others;
        } else {
            x->sources++;
        }
    }
    return rc == RC_OK ? touch_source(db, x->r->domain, *source, x->r->day, x->r->day, x->r->now_s, x->r->now_s) : rc;
}

static enum rc find_source(struct db *db, struct working *x, const struct parts *p, uint32_t index, int64_t *out)
{
    enum rc rc = RC_OK;
    if (x->source_rows[index] == 0)
        rc = ledger_source_row(db, &p->sources[index].name, &x->source_rows[index]);
    *out = x->source_rows[index];
    return rc;
}

/* "--": several. */
enum rc ledger_add_country(struct db *db, int64_t address, int64_t source, int64_t domain, int more)
{
    return db_exec(db, "UPDATE source_domain SET addresses = addresses + $1, country = (SELECT CASE WHEN address.country = '' OR"
                       " source_domain.country = address.country THEN source_domain.country WHEN source_domain.country = '' THEN address.country"
                       " ELSE '--' END FROM address WHERE id = $2) WHERE domain = $3 AND source = $4",
                   DB_N(more), DB_N(address), DB_N(domain), DB_N(source));
}

struct moved_day {
    int64_t domain, day;
    struct ledger_sum sum;
};

static enum rc move_days(struct db *db, int64_t address, int64_t from, int64_t to, struct arena *a)
{
    struct moved_day *days = NULL;
    struct db_query *q;
    size_t n = 0;
    enum rc rc = db_query(db, &q, "SELECT domain, day, " SUM_TOTALS " FROM address_day WHERE address = $1 GROUP BY domain, day", DB_N(address));
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(a, days, n)) {
            rc = RC_TEMP;
            break;
        }
        days[n++] = (struct moved_day){db_number(q, 0), db_number(q, 1), ledger_sum_of(q, 2)};
    }
    db_done(q);
    if (rc == RC_NOTFOUND)
        rc = RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        const struct ledger_sum *s = &days[i].sum;
        rc = db_exec(db, "UPDATE source_day SET messages = messages - $1, aligned = aligned - $2, spf = spf - $3, dkim = dkim - $4,"
                         " spf_passed = spf_passed - $5, dkim_passed = dkim_passed - $6, d_none = d_none - $7, d_quarantine = d_quarantine - $8,"
                         " d_reject = d_reject - $9, forwarded = forwarded - $10, listed = listed - $11 WHERE domain = $12 AND day = $13 AND source = $14",
                     SUM_VALUES(s), DB_N(days[i].domain), DB_N(days[i].day), DB_N(from));
        if (rc == RC_OK)
            rc = db_exec(db, "DELETE FROM source_day WHERE domain = $1 AND day = $2 AND source = $3 AND messages <= 0", DB_N(days[i].domain),
                         DB_N(days[i].day), DB_N(from));
        if (rc == RC_OK)
            rc = add_source_day(db, days[i].domain, days[i].day, to, s);
    }
    return rc;
}

struct moved_domain {
    int64_t domain, first, last;
};

/* The source that it leaves may have nothing left; what is new here is as old as it was there. */
static enum rc move_domain(struct db *db, int64_t address, const struct moved_domain *d, int64_t from, int64_t to)
{
    struct db_query *q;
    int64_t since = 0, heard = 0;
    enum rc rc = db_first(db, &q, "SELECT since_s, heard_s FROM source_domain WHERE domain = $1 AND source = $2", DB_N(d->domain), DB_N(from));
    if (rc == RC_OK) {
        since = db_number(q, 0);
        heard = db_number(q, 1);
    }
    db_done(q);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    rc = db_exec(db, "UPDATE source_domain SET addresses = addresses - 1 WHERE domain = $1 AND source = $2", DB_N(d->domain), DB_N(from));
    if (rc == RC_OK)
        rc = db_exec(db, "DELETE FROM source_domain WHERE domain = $1 AND source = $2 AND addresses <= 0 AND NOT EXISTS"
                         " (SELECT 1 FROM source_day WHERE source_day.domain = $1 AND source_day.source = $2)", DB_N(d->domain), DB_N(from));
    if (rc == RC_OK)
        rc = touch_source(db, d->domain, to, d->first, d->last, since, heard);
    return rc == RC_OK ? ledger_add_country(db, address, to, d->domain, 1) : rc;
}

enum rc ledger_move(struct db *db, int64_t address, int64_t from, int64_t to, enum ledger_basis basis)
{
    struct moved_domain *domains = NULL;
    struct db_query *q;
    struct arena a;
    size_t n = 0;
    arena_init(&a, 16u << 20);
    enum rc rc = db_exec(db, "UPDATE address SET source = $1, basis = $2 WHERE id = $3", DB_N(to), DB_N(basis), DB_N(address));
    if (rc == RC_OK && from != to)
        rc = move_days(db, address, from, to, &a);
    if (rc == RC_OK && from != to)
        rc = db_query(db, &q, "SELECT domain, first, last FROM address_domain WHERE address = $1", DB_N(address));
    else
        goto done;
    while (rc == RC_OK && (rc = db_next(q)) == RC_OK) {
        if (!arena_room(&a, domains, n)) {
            rc = RC_TEMP;
            break;
        }
        domains[n++] = (struct moved_domain){db_number(q, 0), db_number(q, 1), db_number(q, 2)};
    }
    db_done(q);
    if (rc == RC_NOTFOUND)
        rc = RC_OK;
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = move_domain(db, address, &domains[i], from, to);
done:
    arena_clear(&a);
    return rc;
}

/* --- addresses --- */

/* Adds a word to words with spaces between, where it is new. False: nothing changes. */
static bool add_word(struct view words, struct view word, char out[WORDS_N], struct view *now)
{
    size_t n = 0;
    struct view rest = words, one;
    while (rest.n > 0) {
        view_split(&rest, ' ', &one);
        n++;
        if (view_eq(one, word))
            return false;
    }
    if (word.n == 0 || n >= WORDS_MAX || words.n + word.n + 1 > WORDS_N || view_chr(word, ' ') != VIEW_NONE)
        return false;
    memcpy(out, words.p, words.n);
    size_t at = words.n;
    if (at > 0)
        out[at++] = ' ';
    memcpy(&out[at], word.p, word.n);
    *now = view_of(out, at + word.n);
    return true;
}

/* What is seen of an address in the name of this domain. */
static enum rc note_address(struct db *db, const struct working *x, int64_t address, int64_t source, const struct part_address *p)
{
    const struct rollup *r = x->r;
    char room[3][WORDS_N];
    struct view words[3];
    const struct view new[3] = {p->header_from, p->envelope_from, p->selector};
    bool changed = false;
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT header_from, envelope_from, selectors, first, last FROM address_domain WHERE address = $1 AND domain = $2",
                          DB_N(address), DB_N(r->domain));
    if (rc == RC_NOTFOUND) {
        rc = db_exec(db, "INSERT INTO address_domain (address, domain, first, last, header_from, envelope_from, selectors)"
                         " VALUES ($1, $2, $3, $3, $4, $5, $6)",
                     DB_N(address), DB_N(r->domain), DB_N(r->day), DB_T(new[0]), DB_T(new[1]), DB_T(new[2]));
        return rc != RC_OK ? rc
                           : ledger_add_country(db, address, source, r->domain, 1);
    }
    if (rc != RC_OK)
        return rc;
    for (int i = 0; i < 3; i++) {
        struct view have = view_slice(db_bytes(q, i), 0, WORDS_N);
        if (add_word(have, new[i], room[i], &words[i])) {
            changed = true;
        } else {
            if (have.n > 0)
                memcpy(room[i], have.p, have.n);
            words[i] = view_of(room[i], have.n);
        }
    }
    changed |= db_number(q, 3) > r->day || db_number(q, 4) < r->day;
    db_done(q);
    return !changed ? RC_OK
                    : db_exec(db, "UPDATE address_domain SET first = MIN(first, $1), last = MAX(last, $1), header_from = $2, envelope_from = $3,"
                                  " selectors = $4 WHERE address = $5 AND domain = $6",
                              DB_N(r->day), DB_T(words[0]), DB_T(words[1]), DB_T(words[2]), DB_N(address), DB_N(r->domain));
}

/* Its line of the day, where there is room for one. */
static enum rc add_address_day(struct db *db, struct working *x, int64_t address, const struct ledger_sum *sum)
{
    const struct rollup *r = x->r;
    struct db_query *q;
    int64_t there = 0;
    enum rc rc = RC_OK;
    if (x->day_lines >= LEDGER_DAY_ADDRESSES) {
        rc = db_first(db, &q, "SELECT 1 FROM address_day WHERE address = $1 AND domain = $2 AND day = $3 AND reporter = $4", DB_N(address),
                      DB_N(r->domain), DB_N(r->day), DB_N(r->reporter));
        rc = ledger_number(q, rc, &there);
        if (rc != RC_OK)
            return rc == RC_NOTFOUND ? RC_OK : rc;
    }
    rc = db_exec(db, "INSERT INTO address_day (address, domain, day, reporter, " SUM_NAMES
                     ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (address, domain, day, reporter) DO UPDATE SET "
                     SUM_ADD("address_day"), DB_N(address), DB_N(r->domain), DB_N(r->day), DB_N(r->reporter), SUM_VALUES(sum));
    x->day_lines++; /* one too many where the line was there: a bound, not a count */
    return rc;
}

/* The address and its source as the table has them, made or moved where this report knows more. *address 0: there is no room. */
static enum rc find_address(struct db *db, struct working *x, const struct parts *p, const struct part_address *part, int64_t *address,
                            int64_t *source)
{
    const struct rollup *r = x->r;
    const enum ledger_basis basis = p->sources[part->source].name.basis;
    const struct view ip = view_of(part->ip, part->ip_n);
    struct db_query *q;
    int64_t was = 0, id = 0, known_by = 0, heard = 0;
    *address = 0;
    enum rc rc = db_first(db, &q, "SELECT id, source, basis, heard_s FROM address WHERE ip = $1", DB_B(ip));
    if (rc == RC_OK) {
        id = db_number(q, 0);
        was = db_number(q, 1);
        known_by = db_number(q, 2);
        heard = db_number(q, 3);
    }
    db_done(q);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return rc;
    const bool is_new = rc == RC_NOTFOUND;
    *source = was;
    rc = RC_OK;
    if (is_new || (int64_t)basis > known_by)
        rc = find_source(db, x, p, part->source, source);
    if (rc == RC_OK)
        rc = admit_source(db, x, source);
    if (rc != RC_OK || (is_new && x->known >= LEDGER_ALL_ADDRESSES))
        return rc;
    if (is_new) {
        rc = db_exec(db, "INSERT INTO address (ip, source, basis, host, country, named_s, heard_s) VALUES ($1, $2, $3, '', '', 0, $4)", DB_B(ip),
                     DB_N(*source), DB_N(basis), DB_N(r->now_s));
        if (rc == RC_OK)
            rc = db_first(db, &q, "SELECT id FROM address WHERE ip = $1", DB_B(ip));
        if (rc == RC_OK)
            rc = ledger_number(q, rc, &id);
        x->known++;
    } else if (*source != was) {
        rc = ledger_move(db, id, was, *source, basis);
    }
    if (rc == RC_OK && !is_new && heard < r->now_s - LEDGER_DAY_S) /* a day is near enough */
        rc = db_exec(db, "UPDATE address SET heard_s = $1 WHERE id = $2", DB_N(r->now_s), DB_N(id));
    *address = id;
    return rc;
}

static enum rc add_address(struct db *db, struct working *x, const struct parts *p, const struct part_address *part)
{
    int64_t address, source;
    enum rc rc = find_address(db, x, p, part, &address, &source);
    if (rc == RC_OK)
        rc = add_source_day(db, x->r->domain, x->r->day, source, &part->sum);
    if (rc == RC_OK && address != 0)
        rc = note_address(db, x, address, source, part);
    if (rc == RC_OK && address != 0)
        rc = add_address_day(db, x, address, &part->sum);
    return rc;
}

/* Of addresses that are not told apart. */
static enum rc add_rest(struct db *db, struct working *x, const struct parts *p, uint32_t i)
{
    int64_t source;
    enum rc rc = find_source(db, x, p, i, &source);
    if (rc == RC_OK)
        rc = admit_source(db, x, &source);
    return rc == RC_OK ? add_source_day(db, x->r->domain, x->r->day, source, &p->sources[i].rest) : rc;
}

/* --- the day --- */

static enum rc add_word_day(struct db *db, const struct rollup *r, int what, struct view word, uint64_t messages)
{
    return db_exec(db, "INSERT INTO word_day (domain, day, what, word, messages) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (domain, day, what, word)"
                       " DO UPDATE SET messages = word_day.messages + $5",
                   DB_N(r->domain), DB_N(r->day), DB_N(what), DB_T(word), DB_N(messages));
}

static enum rc read_working(struct db *db, struct working *x)
{
    struct db_query *q;
    enum rc rc = db_first(db, &q, "SELECT addresses FROM total_day WHERE domain = $1 AND day = $2", DB_N(x->r->domain), DB_N(x->r->day));
    rc = ledger_number(q, rc, &x->day_lines);
    if (rc == RC_OK || rc == RC_NOTFOUND) {
        rc = db_first(db, &q, "SELECT COUNT(*) FROM source_domain WHERE domain = $1", DB_N(x->r->domain));
        rc = ledger_number(q, rc, &x->sources);
    }
    if (rc == RC_OK) {
        rc = db_first(db, &q, "SELECT COALESCE(MAX(id), 0) FROM address"); /* those that went make room only when they were the last */
        rc = ledger_number(q, rc, &x->known);
    }
    return rc;
}

enum rc ledger_rollup_dmarc(struct db *db, const struct rollup *r, const struct parts *p)
{
    struct working x = {.r = r};
    struct arena a;
    arena_init(&a, 1u << 20);
    x.source_rows = arena_new_array(&a, p->n_sources + 1, int64_t);
    enum rc rc = x.source_rows ? read_working(db, &x) : RC_TEMP;
    for (size_t i = 0; i < p->n_addresses && rc == RC_OK; i++)
        rc = add_address(db, &x, p, &p->addresses[i]);
    for (uint32_t i = 0; i < p->n_sources && rc == RC_OK; i++)
        if (p->sources[i].rest.messages > 0)
            rc = add_rest(db, &x, p, i);
    for (size_t i = 0; i < p->n_reasons && rc == RC_OK; i++)
        rc = add_word_day(db, r, 0, p->reasons[i].word, p->reasons[i].messages);
    if (rc == RC_OK && p->total.messages > 0)
        rc = add_word_day(db, r, 1, r->p, p->total.messages);
    if (rc == RC_OK)
        rc = db_exec(db, "INSERT INTO total_day (domain, day, heard_s, reports, addresses, " SUM_NAMES
                         ") VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (domain, day) DO UPDATE SET"
                         " heard_s = MAX(total_day.heard_s, $3), reports = total_day.reports + 1, addresses = excluded.addresses, " SUM_ADD("total_day"),
                     DB_N(r->domain), DB_N(r->day), DB_N(r->now_s), DB_N(x.day_lines), SUM_VALUES(&p->total));
    arena_clear(&a);
    return rc;
}
