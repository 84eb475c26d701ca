/* base/lang: sentences that the server makes for people, in English and in French. The English format string stands in the
 * code and is the key; a module's table of pairs has the French one. test/test_lang.py finds sentences without a pair.
 * Formats know %s, %.*s, %d, %u, %zu, %lld and %%; the French may order its conversions by "%2$s" (the second conversion of the English,
 * whatever its kind). An argument of %s or %.*s that is itself a sentence of the table, such as a reason, is translated too.
 * Pure; any thread. */
#ifndef BASE_LANG_H
#define BASE_LANG_H

#include "base/buf.h"

#define LANG_ARGS_MAX 12 /* conversions in one format */

enum lang { LANG_EN, LANG_FR };
#define LANG_N 2
struct lang_pair {
    const char *en, *fr;
};

/* "en", "fr". */
const char *lang_name(enum lang lang);
/* Of "fr", "fr-CA", "fr_FR.UTF-8". False: another language. */
bool lang_read(struct view tag, enum lang *out);
/* Of an Accept-Language field (RFC 9110 §12.5.4): the one of ours that is liked best; English where none is named. */
enum lang lang_accept(struct view field);
/* Of LC_ALL, LC_MESSAGES, LANG. */
enum lang lang_environment(void);

/* `pairs` end with {NULL, NULL}. The English itself where there is no pair. */
const char *lang_of(const struct lang_pair *pairs, enum lang lang, const char *en);
/* Appends the sentence. */
void lang_vprintf(struct buf *out, const struct lang_pair *pairs, enum lang lang, const char *en, va_list args);
void lang_printf(struct buf *out, const struct lang_pair *pairs, enum lang lang, const char *en, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends what `text`, a sentence that an English format of `pairs` made before (a line of the log, a row), says in `lang`: its arguments
 * are found again by the words between them, and are read again in turn. False: no format made it, and nothing is appended. `out` NULL: only asks. */
bool lang_reread(struct buf *out, const struct lang_pair *pairs, enum lang lang, struct view text);
/* Whether both ask for the same arguments: for tests of tables. */
bool lang_pair_agrees(const struct lang_pair *pair);

#endif
