/* Any texts as the parts of a message: one that is written has the fields and parts that were asked for and no others, and gives back
 * what was put into it. Input: records of a tag, two bytes of length, and so many bytes. */
#include "base/base64.h"
#include "message/compose.h"
#include "message/header.h"
#include "message/mime.h"

#define LIST_MAX    8
#define OUT_MAX     (4u << 20)
#define LINE_LENGTH 998 /* RFC 5322 §2.1.1 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct compose c;
    struct compose_mailbox to[LIST_MAX], cc[LIST_MAX], reply_to[LIST_MAX];
    struct compose_field fields[LIST_MAX];
    struct compose_part parts[LIST_MAX];
    bool has_from;
};

static void add_mailbox(struct compose_mailbox *list, size_t *n, struct view text, struct arena *a)
{
    if (*n < LIST_MAX && compose_mailbox_read(text, a, &list[*n]) == RC_OK)
        (*n)++;
}

static void take(struct input *in, char tag, struct view text, struct arena *a)
{
    struct compose *c = &in->c;
    switch (tag) {
    case 'f': in->has_from = compose_mailbox_read(text, a, &c->from) == RC_OK; return;
    case 't': add_mailbox(in->to, &c->n_to, text, a); return;
    case 'c': add_mailbox(in->cc, &c->n_cc, text, a); return;
    case 'r': add_mailbox(in->reply_to, &c->n_reply_to, text, a); return;
    case 's': c->subject = text; return;
    case 'x': c->text = text; return;
    case 'h': c->html = text; return;
    case 'n':
        if (c->n_fields < LIST_MAX && compose_may_set(text)) /* as the API asks before */
            in->fields[c->n_fields++].name = text;
        return;
    case 'v':
        if (c->n_fields > 0)
            in->fields[c->n_fields - 1].value = text;
        return;
    case 'p':
        if (c->n_parts < LIST_MAX)
            in->parts[c->n_parts++].name = text;
        return;
    case 'y':
        if (c->n_parts > 0)
            in->parts[c->n_parts - 1].type = text;
        return;
    case 'b':
        if (c->n_parts > 0)
            in->parts[c->n_parts - 1].bytes = text;
        return;
    default: return;
    }
}

static void read_input(struct view v, struct arena *a, struct input *in)
{
    in->c = (struct compose){.to = in->to, .cc = in->cc, .reply_to = in->reply_to, .fields = in->fields, .parts = in->parts,
                             .message_id = VIEW("1@ici.test"), .unique = {1, 2}};
    while (v.n >= 3) {
        const char tag = v.p[0];
        const size_t n = (size_t)(unsigned char)v.p[1] << 8 | (unsigned char)v.p[2];
        view_skip(&v, 3);
        struct view text = view_slice(v, 0, n);
        take(in, tag, text, a);
        view_skip(&v, text.n);
    }
    if (!in->has_from)
        bug_if(compose_mailbox_read(VIEW("a@ici.test"), a, &in->c.from) != RC_OK);
}

static void check_lines(struct view v)
{
    size_t line = 0;
    for (size_t i = 0; i < v.n; i++) {
        bug_if(v.p[i] == '\0' || (unsigned char)v.p[i] >= 0x80);
        bug_if(v.p[i] == '\r' && (i + 1 == v.n || v.p[i + 1] != '\n'));
        bug_if(v.p[i] == '\n' && (i == 0 || v.p[i - 1] != '\r'));
        line = v.p[i] == '\n' ? 0 : line + 1;
        bug_if(line > LINE_LENGTH + 1);
    }
}

/* How many of them there are; every other field was asked for. */
static void check_fields(const struct compose *c, struct view message)
{
    static const struct view ours[] = {VIEW_INIT("From"), VIEW_INIT("Reply-To"), VIEW_INIT("To"), VIEW_INIT("Cc"), VIEW_INIT("Subject"), VIEW_INIT("Date"),
                                       VIEW_INIT("Message-ID"), VIEW_INIT("MIME-Version"), VIEW_INIT("Content-Type"), VIEW_INIT("Content-Transfer-Encoding")};
    enum { N_OURS = sizeof ours / sizeof *ours };
    unsigned seen[N_OURS] = {0};
    size_t others = 0;
    struct header_field f;
    struct view section = header_of(message);
    while (header_next(&section, &f)) {
        bool known = false;
        for (size_t i = 0; i < N_OURS; i++)
            if (view_ieq(f.name, ours[i])) {
                bug_if(++seen[i] > 1);
                known = true;
            }
        others += !known;
        bug_if(!known && !compose_may_set(f.name));
    }
    bug_if(seen[0] != 1 || seen[6] != 1 || seen[7] != 1 || seen[8] != 1 || others > c->n_fields);
}

static void check_file(struct view body, struct view bytes)
{
    struct buf text, back;
    buf_init(&text, OUT_MAX);
    buf_init(&back, OUT_MAX);
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] != '\r' && body.p[i] != '\n')
            buf_chr(&text, body.p[i]);
    bug_if(base64_decode(buf_view(&text), &back) != RC_OK || !view_eq(buf_view(&back), bytes));
    buf_clear(&back);
    buf_clear(&text);
}

static void check_parts(const struct compose *c, struct view message, struct arena *a)
{
    const size_t n_texts = c->text.n > 0 && c->html.n > 0 ? 2 : 1;
    struct mime mime;
    size_t leaves = 0;
    bug_if(mime_parse(message, a, &mime) != RC_OK);
    for (const struct mime_part *p = mime.root; p; p = mime_next(p)) {
        if (p->kind == MIME_MULTIPART)
            continue;
        bug_if(p->kind == MIME_MESSAGE);
        if (leaves >= n_texts && leaves < n_texts + c->n_parts)
            check_file(view_slice(view_from(message, p->body_offset), 0, p->body_len), c->parts[leaves - n_texts].bytes);
        leaves++;
    }
    bug_if(leaves != n_texts + c->n_parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {0};
    struct arena a;
    struct buf out;
    const char *why;
    arena_init(&a, 16u << 20);
    buf_init(&out, OUT_MAX);
    read_input(view_of(data, size), &a, &in);
    if (compose_write(&in.c, &out, &why) == RC_OK) {
        check_lines(buf_view(&out));
        check_fields(&in.c, buf_view(&out));
        check_parts(&in.c, buf_view(&out), &a);
    }
    buf_clear(&out);
    arena_clear(&a);
    return 0;
}
