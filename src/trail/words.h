/* trail/words: the reasons that the server wrote down (in the log, and with the rows of the queue), for people in another language.
 * What is kept is English, always: a reason is its own code, and what it speaks of is found again in it (base/lang.h). What others
 * said, which begins with the code of a reply, stays as it is. test/test_lang.py finds reasons without a pair. Pure; any thread. */
#ifndef TRAIL_WORDS_H
#define TRAIL_WORDS_H

#include "base/lang.h"

#define TRAIL_PARTS_MAX 16 /* sentences in one reason */

extern const struct lang_pair trail_reasons[];

/* "451 4.7.1 come back later": the words of the other side. */
bool trail_is_reply(struct view said);
/* Appends `said` in that language, as far as it is known. */
void trail_say(struct view said, enum lang lang, struct buf *out);

#endif
