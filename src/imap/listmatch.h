/* imap/listmatch: LIST's patterns: "*" stands for anything, "%" for anything but the delimiter "/" (RFC 3501 §6.3.8).
 * Pure: no I/O, no globals, any thread. Time is bounded by the product of both lengths. */
#ifndef IMAP_LISTMATCH_H
#define IMAP_LISTMATCH_H

#include "base/view.h"

#define LIST_PATTERN_MAX 1024

bool imap_list_match(struct view pattern, struct view path);

#endif
