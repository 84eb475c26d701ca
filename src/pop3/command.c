#include "pop3/command.h"

enum arguments { ARGS_NONE, ARGS_TEXT, ARGS_TEXT_MAYBE, ARGS_NUMBER, ARGS_NUMBER_MAYBE, ARGS_TWO_NUMBERS };

static const struct {
    const char *name;
    enum pop3_verb verb;
    enum arguments args;
} verbs[] = {
    {"APOP", POP3_APOP, ARGS_TEXT},         {"AUTH", POP3_AUTH, ARGS_TEXT_MAYBE}, {"CAPA", POP3_CAPA, ARGS_NONE},
    {"DELE", POP3_DELE, ARGS_NUMBER},       {"LIST", POP3_LIST, ARGS_NUMBER_MAYBE}, {"NOOP", POP3_NOOP, ARGS_NONE},
    {"PASS", POP3_PASS, ARGS_TEXT},         {"QUIT", POP3_QUIT, ARGS_NONE},       {"RETR", POP3_RETR, ARGS_NUMBER},
    {"RSET", POP3_RSET, ARGS_NONE},         {"STAT", POP3_STAT, ARGS_NONE},       {"STLS", POP3_STLS, ARGS_NONE},
    {"TOP", POP3_TOP, ARGS_TWO_NUMBERS},    {"UIDL", POP3_UIDL, ARGS_NUMBER_MAYBE}, {"USER", POP3_USER, ARGS_TEXT},
    {"UTF8", POP3_UTF8, ARGS_NONE},
};

static enum rc parse_numbers(struct view arg, unsigned least, unsigned most, struct pop3_command *out)
{
    arg = view_trim(arg);
    while (arg.n > 0) {
        if (out->n_numbers == most || view_u32(&arg, UINT32_MAX, &out->number[out->n_numbers]) != RC_OK)
            return RC_SYNTAX;
        out->n_numbers++;
        if (arg.n > 0 && view_take_wsp(&arg) == 0)
            return RC_SYNTAX;
    }
    return out->n_numbers >= least ? RC_OK : RC_SYNTAX;
}

enum rc pop3_command_parse(struct view line, struct pop3_command *out)
{
    struct view word;
    enum arguments args = ARGS_TEXT_MAYBE;

    *out = (struct pop3_command){.verb = POP3_UNKNOWN};
    view_split(&line, ' ', &word);
    out->arg = line;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (view_ieq(word, view_str(verbs[i].name))) {
            out->verb = verbs[i].verb;
            args = verbs[i].args;
        }
    switch (args) {
    case ARGS_NONE:         return view_trim(line).n == 0 ? RC_OK : RC_SYNTAX;
    case ARGS_TEXT:         return line.n > 0 ? RC_OK : RC_SYNTAX;
    case ARGS_TEXT_MAYBE:   return RC_OK;
    case ARGS_NUMBER:       return parse_numbers(line, 1, 1, out);
    case ARGS_NUMBER_MAYBE: return parse_numbers(line, 0, 1, out);
    case ARGS_TWO_NUMBERS:  return parse_numbers(line, 2, 2, out);
    }
    return RC_SYNTAX;
}
