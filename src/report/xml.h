/* report/xml: text into XML 1.0. Pure; any thread. Whatever bytes a stranger chose, the result is well-formed: markup is escaped,
 * what is not UTF-8 or may not stand in XML 1.0 (§2.2 of the recommendation) becomes U+FFFD. */
#ifndef REPORT_XML_H
#define REPORT_XML_H

#include "base/buf.h"

void xml_text(struct buf *out, struct view text);
/* Indented by 2 * depth: "<name>text</name>" and a line end. `name` is ours. */
void xml_element(struct buf *out, unsigned depth, const char *name, struct view text);
void xml_number(struct buf *out, unsigned depth, const char *name, uint64_t number);
/* "<name>" alone, and its end. */
void xml_open(struct buf *out, unsigned depth, const char *name);
void xml_close(struct buf *out, unsigned depth, const char *name);

#endif
