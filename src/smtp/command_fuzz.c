/* Fuzz target smtp_command: a line as a client sends it. What is read and written again must read the same.
 */
#include <stdint.h>

#include "smtp/command.h"

static void same_path_again(const struct smtp_path *p)
{
    struct buf first, second;
    struct smtp_path again;
    buf_init(&first, 2 * SMTP_PATH_MAX + 2);
    buf_init(&second, 2 * SMTP_PATH_MAX);
    buf_chr(&first, '<');
    smtp_path_write(p, &first);
    buf_chr(&first, '>');
    bug_if(buf_rc(&first) == RC_LIMIT);
    struct view in = buf_view(&first);
    if (buf_rc(&first) == RC_OK && in.n <= SMTP_PATH_MAX &&
        p->local.n <= SMTP_LOCAL_MAX / 2) { /* quotes may grow it */
        bug_if(smtp_path_parse(&in, &again) != RC_OK || in.n > 0);
        smtp_path_write(&again, &second);
        bug_if(!view_eq(buf_view(&second), view_slice(buf_view(&first), 1, first.n - 2)));
    }
    buf_clear(&first);
    buf_clear(&second);
}

static void no_line_ends(struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        bug_if(v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == '\0');
}

static void same_xtext_again(struct view v)
{
    struct buf text, again;
    buf_init(&text, 4 * v.n + 1);
    buf_init(&again, v.n + 1);
    smtp_xtext_encode(v, &text);
    bug_if(smtp_xtext_decode(buf_view(&text), false, &again) != RC_OK || !view_eq(buf_view(&again), v));
    buf_clear(&text);
    buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view args;
    struct smtp_mail mail;
    struct smtp_rcpt rcpt;
    struct arena a;
    bool bad_path, last;
    uint64_t n;

    if (size > SMTP_LINE_MAX)
        return 0;
    struct view line = view_of(data, size);
    arena_init(&a, 64 << 10);
    smtp_is_http(line);
    smtp_verb(line, &args);
    if (smtp_mail_parse(args, &a, &mail, &bad_path) == RC_OK) {
        same_path_again(&mail.path);
        no_line_ends(mail.envid);
        same_xtext_again(mail.envid);
    }
    if (smtp_rcpt_parse(args, &a, &rcpt, &bad_path) == RC_OK) {
        same_path_again(&rcpt.path);
        no_line_ends(rcpt.orcpt);
    }
    smtp_bdat_parse(args, &n, &last);
    arena_clear(&a);
    return 0;
}
