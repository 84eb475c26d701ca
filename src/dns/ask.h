/* dns/ask: one question to libunbound or to a script, begun and then waited for. Inside of dns/ only. */
#ifndef DNS_ASK_H
#define DNS_ASK_H

#include "dns/cache.h"

struct unbound; /* dns/unbound.c */
struct script;  /* dns/script.c */
struct dns {
    struct unbound *unbound; /* with the cache before it */
    struct dns_cache *cache;
    struct script *script;   /* instead of both */
    int64_t timeout_ms;
};

/* Answers are put into `cache` as they come, whether somebody waits for them or not; it outlives what this gives. */
enum rc unbound_new(const struct dns_settings *set, struct dns_cache *cache, struct unbound **out, const char **why);
void unbound_free(struct unbound *u);
struct unbound_ask;
/* NULL: it cannot be asked now. */
struct unbound_ask *unbound_start(struct unbound *u, const char *name, enum dns_type type);
/* The same, and nobody waits for it; gives way to questions for which somebody does. */
void unbound_prefetch(struct unbound *u, const char *name, enum dns_type type);
/* Waits, fills in *out and gives the question up. */
void unbound_finish(struct unbound *u, struct unbound_ask *ask, int64_t deadline_ms, struct arena *a, struct dns_answer *out);

enum rc script_new(const char *text, struct script **out);
void script_free(struct script *s);
void script_answer(const struct script *s, const char *name, enum dns_type type, struct arena *a, struct dns_answer *out);

#endif
