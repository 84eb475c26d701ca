/* app/config_words: what each setting means and what it is where it is not set, for the pages. The table is made of
 * docs/configuration.md and config_words.fr when the program is built. */
#ifndef APP_CONFIG_WORDS_H
#define APP_CONFIG_WORDS_H

#include "base/lang.h"

struct config_word {
    const char *section, *name;       /* name NULL: the end */
    const char *otherwise[LANG_N];    /* the default; empty: none */
    const char *meaning[LANG_N];
};
extern const struct config_word config_words[];

#endif
