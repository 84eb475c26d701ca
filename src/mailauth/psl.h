/* mailauth/psl: the Public Suffix List by libpsl, for DMARC as RFC 7489 §3.2 had it: to compare with what RFC 9989 says.
 * Reads a file when opened and never again; then pure, any thread. */
#ifndef MAILAUTH_PSL_H
#define MAILAUTH_PSL_H

#include "base/arena.h"

struct psl_list;
/* The newest list that libpsl finds (the system's, or the one built in); `file` NULL. RC_NOTFOUND: there is none. */
enum rc psl_list_open(const char *file, struct psl_list **out);
void psl_list_free(struct psl_list *l); /* accepts NULL */
/* The organisational domain of an A-label domain: a suffix of it. A public suffix, and what is in no list's reach, is its
 * own. */
struct view psl_list_organization(const struct psl_list *l, struct view domain);

#endif
