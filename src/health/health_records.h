/* health/health_records: whether the DNS shows the records that a domain should publish. Asks the resolver; blocks until the
 * deadline; any thread. Names and values come as `facteur dns` prints them. */
#ifndef HEALTH_HEALTH_RECORDS_H
#define HEALTH_HEALTH_RECORDS_H

#include <jansson.h>

#include "dns/dns.h"

#define HEALTH_RECORDS_MAX 200

enum health_record_state {
    HEALTH_RECORD_PUBLISHED, /* just so; others may stand beside it */
    HEALTH_RECORD_DIFFERENT, /* the name has other data for the same purpose */
    HEALTH_RECORD_MISSING,
    HEALTH_RECORD_UNKNOWN,   /* no answer now */
};
/* "published", "different", "missing", "unknown". */
const char *health_record_state_name(enum health_record_state state);

struct health_record {
    struct view name, type, value; /* "_dmarc.ici.test.", "TXT", "\"v=DMARC1; p=none\"" */
    enum health_record_state state;
    struct view *found; /* what stands there instead or as well, in the same form */
    size_t n_found;
};
/* Fills in state and found. RC_TEMP: no memory. */
enum rc health_records_compare(struct dns *dns, struct health_record *records, size_t n, int64_t deadline_ms, struct arena *a);

/* {"records": [{"name", "type", "value"}]} gives the same with "state" and "found", and "made". RC_SYNTAX: not in that form. */
enum rc health_records_answer(struct dns *dns, struct view question, int64_t now_s, int64_t deadline_ms, struct arena *a, json_t **out);

#endif
