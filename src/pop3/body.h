/* pop3/body: a message as RETR and TOP send it: dots at the beginning of lines doubled, ended by CRLF "." CRLF (RFC 1939 §3).
 * Pure; any thread. */
#ifndef POP3_BODY_H
#define POP3_BODY_H

#include "base/view.h"

#define POP3_ALL_LINES UINT32_MAX

/* Gets the pieces in order; they borrow from the message or are static. */
typedef void (*pop3_emit_fn)(void *ctx, struct view piece);
/* Header, empty line and `body_lines` lines of the body (POP3_ALL_LINES: the whole message). A last line without CRLF gets
 * one. Lines end at CRLF alone, so a bare LF or CR before a dot needs and gets no second dot. */
void pop3_body_emit(struct view message, uint32_t body_lines, pop3_emit_fn emit, void *ctx);

#endif
