/* pop3/command: one command line of a POP3 client (RFC 1939 §3, 2449 §4, 2595 §4, 5034, 6856).
 * Pure: no I/O, any thread. Input is hostile and may hold any byte. */
#ifndef POP3_COMMAND_H
#define POP3_COMMAND_H

#include "base/view.h"

#define POP3_LINE_MAX 512  /* RFC 2449 §4 asks for 255 octets with CRLF; passwords may be long */
#define POP3_SASL_MAX 12288 /* a base64 response line, RFC 4954 §4's figure */

enum pop3_verb {
    POP3_UNKNOWN, POP3_APOP, POP3_AUTH, POP3_CAPA, POP3_DELE, POP3_LIST, POP3_NOOP, POP3_PASS, POP3_QUIT, POP3_RETR,
    POP3_RSET, POP3_STAT, POP3_STLS, POP3_TOP, POP3_UIDL, POP3_USER, POP3_UTF8
};
struct pop3_command {
    enum pop3_verb verb;
    struct view arg;     /* all after the verb and one space: PASS takes it as it is, spaces and all */
    unsigned n_numbers;  /* of the arguments that are decimal numbers: LIST, UIDL 0..1; RETR, DELE 1; TOP 2 */
    uint32_t number[2];
};
/* Views borrow the line (which has no CRLF). RC_SYNTAX: number and kind of the arguments do not fit the verb. The verb
 * is set in either case. */
enum rc pop3_command_parse(struct view line, struct pop3_command *out);

#endif
