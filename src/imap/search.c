#include "imap/search.h"

#include "imap/parse.h"
#include "message/charset.h"
#include "message/date.h"

struct parser {
    struct search *out;
    struct arena *a;
    struct view charset;
    unsigned depth;
};

enum argument { ARG_NONE, ARG_TEXT, ARG_FIELD, ARG_DATE, ARG_NUMBER, ARG_KEYWORD, ARG_UIDS, ARG_MODSEQ, ARG_NOT, ARG_OR };
static const struct {
    struct view name;
    enum argument argument;
    enum search_kind kind;
    unsigned flag;
    bool negated;
    struct view field;
} keys[] = {
    {VIEW_INIT("ALL"), ARG_NONE, SEARCH_AND, 0, false, {0}},
    {VIEW_INIT("ANSWERED"), ARG_NONE, SEARCH_FLAG, FLAG_ANSWERED, false, {0}},
    {VIEW_INIT("DELETED"), ARG_NONE, SEARCH_FLAG, FLAG_DELETED, false, {0}},
    {VIEW_INIT("DRAFT"), ARG_NONE, SEARCH_FLAG, FLAG_DRAFT, false, {0}},
    {VIEW_INIT("FLAGGED"), ARG_NONE, SEARCH_FLAG, FLAG_FLAGGED, false, {0}},
    {VIEW_INIT("SEEN"), ARG_NONE, SEARCH_FLAG, FLAG_SEEN, false, {0}},
    {VIEW_INIT("UNANSWERED"), ARG_NONE, SEARCH_FLAG, FLAG_ANSWERED, true, {0}},
    {VIEW_INIT("UNDELETED"), ARG_NONE, SEARCH_FLAG, FLAG_DELETED, true, {0}},
    {VIEW_INIT("UNDRAFT"), ARG_NONE, SEARCH_FLAG, FLAG_DRAFT, true, {0}},
    {VIEW_INIT("UNFLAGGED"), ARG_NONE, SEARCH_FLAG, FLAG_FLAGGED, true, {0}},
    {VIEW_INIT("UNSEEN"), ARG_NONE, SEARCH_FLAG, FLAG_SEEN, true, {0}},
    {VIEW_INIT("RECENT"), ARG_NONE, SEARCH_RECENT, 0, false, {0}},
    {VIEW_INIT("OLD"), ARG_NONE, SEARCH_RECENT, 0, true, {0}},
    {VIEW_INIT("KEYWORD"), ARG_KEYWORD, SEARCH_KEYWORD, 0, false, {0}},
    {VIEW_INIT("UNKEYWORD"), ARG_KEYWORD, SEARCH_KEYWORD, 0, true, {0}},
    {VIEW_INIT("BEFORE"), ARG_DATE, SEARCH_BEFORE, 0, false, {0}},
    {VIEW_INIT("ON"), ARG_DATE, SEARCH_ON, 0, false, {0}},
    {VIEW_INIT("SINCE"), ARG_DATE, SEARCH_SINCE, 0, false, {0}},
    {VIEW_INIT("SENTBEFORE"), ARG_DATE, SEARCH_SENT_BEFORE, 0, false, {0}},
    {VIEW_INIT("SENTON"), ARG_DATE, SEARCH_SENT_ON, 0, false, {0}},
    {VIEW_INIT("SENTSINCE"), ARG_DATE, SEARCH_SENT_SINCE, 0, false, {0}},
    {VIEW_INIT("LARGER"), ARG_NUMBER, SEARCH_LARGER, 0, false, {0}},
    {VIEW_INIT("SMALLER"), ARG_NUMBER, SEARCH_SMALLER, 0, false, {0}},
    {VIEW_INIT("MODSEQ"), ARG_MODSEQ, SEARCH_MODSEQ, 0, false, {0}},
    {VIEW_INIT("UID"), ARG_UIDS, SEARCH_UID, 0, false, {0}},
    {VIEW_INIT("FROM"), ARG_TEXT, SEARCH_HEADER, 0, false, VIEW_INIT("From")},
    {VIEW_INIT("TO"), ARG_TEXT, SEARCH_HEADER, 0, false, VIEW_INIT("To")},
    {VIEW_INIT("CC"), ARG_TEXT, SEARCH_HEADER, 0, false, VIEW_INIT("Cc")},
    {VIEW_INIT("BCC"), ARG_TEXT, SEARCH_HEADER, 0, false, VIEW_INIT("Bcc")},
    {VIEW_INIT("SUBJECT"), ARG_TEXT, SEARCH_HEADER, 0, false, VIEW_INIT("Subject")},
    {VIEW_INIT("HEADER"), ARG_FIELD, SEARCH_HEADER, 0, false, {0}},
    {VIEW_INIT("BODY"), ARG_TEXT, SEARCH_BODY, 0, false, {0}},
    {VIEW_INIT("TEXT"), ARG_TEXT, SEARCH_TEXT, 0, false, {0}},
    {VIEW_INIT("NOT"), ARG_NOT, SEARCH_NOT, 0, false, {0}},
    {VIEW_INIT("OR"), ARG_OR, SEARCH_OR, 0, false, {0}},
};

static enum rc parse_key(struct parser *p, struct view *in, struct search_key **out);

static enum rc key_new(struct parser *p, enum search_kind kind, struct search_key **out)
{
    struct search *s = p->out;

    if (s->n_keys == SEARCH_KEYS_MAX)
        return RC_LIMIT;
    struct search_key *k = arena_new(p->a, struct search_key);
    if (!k)
        return RC_TEMP;
    k->kind = kind;
    k->all_next = s->all;
    s->all = k;
    s->n_keys++;
    *out = k;
    return RC_OK;
}

static enum rc parse_needle(struct parser *p, struct view *in, struct search_key *k)
{
    struct view text;
    struct buf utf8;
    enum rc rc = imap_astring(in, p->a, &text);

    if (rc != RC_OK)
        return rc;
    buf_init(&utf8, 4 * DECODE_NEEDLE_MAX);
    rc = charset_to_utf8(p->charset, text, &utf8);
    if (rc == RC_OK)
        rc = decode_needle_init(&k->needle, buf_view(&utf8));
    buf_clear(&utf8);
    return rc == RC_NOTFOUND ? RC_SYNTAX : rc;
}

static enum rc parse_date(struct view *in, struct search_key *k)
{
    struct view text;

    if (view_take_chr(in, '"')) {
        if (!view_split(in, '"', &text))
            return RC_SYNTAX;
    } else if (imap_atom(in, &text) != RC_OK) {
        return RC_SYNTAX;
    }
    return date_parse_day(text, &k->number);
}

/* [entry-name entry-type] number: we keep one modseq for all flags, which RFC 7162 §3.1.5 allows. */
static enum rc parse_modseq(struct parser *p, struct view *in, struct search_key *k)
{
    struct view entry, type;
    uint64_t n;

    if (view_peek(*in) == '"') {
        if (imap_string(in, p->a, &entry) != RC_OK || !imap_take_sp(in) || imap_atom(in, &type) != RC_OK || !imap_take_sp(in))
            return RC_SYNTAX;
        if (!view_ieq(type, VIEW("all")) && !view_ieq(type, VIEW("priv")) && !view_ieq(type, VIEW("shared")))
            return RC_SYNTAX;
    }
    if (view_u64(in, INT64_MAX, &n) != RC_OK)
        return RC_SYNTAX;
    k->number = (int64_t)n;
    p->out->has_modseq = true;
    return RC_OK;
}

static enum rc parse_number(struct view *in, struct search_key *k)
{
    uint32_t n;

    if (view_u32(in, UINT32_MAX, &n) != RC_OK)
        return RC_SYNTAX;
    k->number = n;
    return RC_OK;
}

/* n keys, each after a space, as children. */
static enum rc parse_children(struct parser *p, struct view *in, struct search_key *k, unsigned n)
{
    struct search_key **end = &k->child;
    enum rc rc = RC_OK;

    for (unsigned i = 0; rc == RC_OK && i < n; i++) {
        if (i > 0 && !imap_take_sp(in))
            return RC_SYNTAX;
        rc = parse_key(p, in, end);
        if (rc == RC_OK)
            end = &(*end)->next;
    }
    return rc;
}

static enum rc parse_argument(struct parser *p, struct view *in, enum argument argument, struct search_key *k)
{
    if (argument != ARG_NONE && !imap_take_sp(in))
        return RC_SYNTAX;
    switch (argument) {
    case ARG_TEXT:    return parse_needle(p, in, k);
    case ARG_DATE:    return parse_date(in, k);
    case ARG_NUMBER:  return parse_number(in, k);
    case ARG_KEYWORD: return imap_atom(in, &k->name);
    case ARG_UIDS:    return imap_seqset_parse(in, p->a, &k->set);
    case ARG_MODSEQ:  return parse_modseq(p, in, k);
    case ARG_NOT:     return parse_children(p, in, k, 1);
    case ARG_OR:      return parse_children(p, in, k, 2);
    case ARG_FIELD:
        if (imap_astring(in, p->a, &k->name) != RC_OK || !imap_take_sp(in))
            return RC_SYNTAX;
        return parse_needle(p, in, k);
    case ARG_NONE:    break;
    }
    return RC_OK;
}

static enum rc parse_named(struct parser *p, struct view *in, struct search_key **out)
{
    struct view name = view_take_while(in, is_alpha);
    struct search_key *k, *not;
    enum rc rc;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!view_ieq(name, keys[i].name))
            continue;
        if ((rc = key_new(p, keys[i].kind, &k)) != RC_OK)
            return rc;
        k->flag = keys[i].flag;
        k->name = keys[i].field;
        if ((rc = parse_argument(p, in, keys[i].argument, k)) != RC_OK)
            return rc;
        *out = k;
        if (!keys[i].negated)
            return RC_OK;
        if ((rc = key_new(p, SEARCH_NOT, &not)) != RC_OK)
            return rc;
        not->child = k;
        *out = not;
        return RC_OK;
    }
    return RC_SYNTAX;
}

/* NEW is (RECENT UNSEEN): the one key that is two. */
static enum rc parse_new(struct parser *p, struct search_key **out)
{
    struct view words = VIEW("RECENT UNSEEN");
    enum rc rc = key_new(p, SEARCH_AND, out);

    return rc == RC_OK ? parse_children(p, &words, *out, 2) : rc;
}

/* Keys parted by spaces, up to ")" or the end. */
static enum rc parse_list(struct parser *p, struct view *in, struct search_key **out)
{
    struct search_key **end;
    enum rc rc = key_new(p, SEARCH_AND, out);

    if (rc != RC_OK)
        return rc;
    end = &(*out)->child;
    do {
        if ((rc = parse_key(p, in, end)) != RC_OK)
            return rc;
        end = &(*end)->next;
    } while (imap_take_sp(in));
    return RC_OK;
}

static enum rc parse_key_within(struct parser *p, struct view *in, struct search_key **out)
{
    int c = view_peek(*in);
    struct view word = *in;
    enum rc rc;

    if (c == '(') {
        view_skip(in, 1);
        rc = parse_list(p, in, out);
        return rc == RC_OK && !view_take_chr(in, ')') ? RC_SYNTAX : rc;
    }
    if (c == '*' || (c >= '0' && c <= '9')) {
        rc = key_new(p, SEARCH_SEQ, out);
        return rc == RC_OK ? imap_seqset_parse(in, p->a, &(*out)->set) : rc;
    }
    if (view_ieq(view_take_while(&word, is_alpha), VIEW("NEW"))) {
        *in = word;
        return parse_new(p, out);
    }
    return parse_named(p, in, out);
}

static enum rc parse_key(struct parser *p, struct view *in, struct search_key **out)
{
    if (p->depth == SEARCH_DEPTH_MAX)
        return RC_LIMIT;
    p->depth++;
    enum rc rc = parse_key_within(p, in, out);
    p->depth--;
    return rc;
}

/* "RETURN (MIN MAX) " */
static enum rc parse_returns(struct view *in, unsigned *out)
{
    static const struct {
        struct view name;
        unsigned bit;
    } names[] = {{VIEW_INIT("MIN"), RETURN_MIN}, {VIEW_INIT("MAX"), RETURN_MAX}, {VIEW_INIT("ALL"), RETURN_ALL},
                 {VIEW_INIT("COUNT"), RETURN_COUNT}};
    struct view name;

    if (!view_itake(in, VIEW("RETURN (")))
        return RC_OK;
    while (!view_take_chr(in, ')')) {
        unsigned bit = 0;
        if ((*out && !imap_take_sp(in)) || imap_atom(in, &name) != RC_OK)
            return RC_SYNTAX;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            bit |= view_ieq(name, names[i].name) ? names[i].bit : 0;
        if (!bit)
            return RC_SYNTAX;
        *out |= bit;
    }
    if (*out == 0)
        *out = RETURN_ALL; /* RFC 4731 §3.1: () means ALL */
    return imap_take_sp(in) ? RC_OK : RC_SYNTAX;
}

static void note_needs(struct search *s, struct search_key *k)
{
    switch (k->kind) {
    case SEARCH_SENT_BEFORE:
    case SEARCH_SENT_ON:
    case SEARCH_SENT_SINCE:
        s->columns |= ITEM_ENVELOPE;
        s->needs_rows = true;
        break;
    case SEARCH_HEADER:
        if (view_ieq(k->name, VIEW("Subject"))) /* the row has it */
            s->columns |= ITEM_ENVELOPE;
        else
            k->reads_body = true;
        s->needs_rows = true;
        break;
    case SEARCH_BODY:
    case SEARCH_TEXT:
        k->reads_body = true;
        s->columns |= ITEM_INDEX;
        s->needs_rows = true;
        break;
    case SEARCH_AND:
    case SEARCH_OR:
    case SEARCH_NOT:
    case SEARCH_SEQ:
    case SEARCH_UID:
    case SEARCH_RECENT:
        break;
    default:
        s->needs_rows = true;
        break;
    }
}

static bool note_bodies(struct search_key *k)
{
    for (struct search_key *c = k->child; c; c = c->next)
        k->reads_body |= note_bodies(c);
    return k->reads_body;
}

enum rc imap_search_parse(struct view in, struct arena *a, struct search *out)
{
    struct parser p = {.out = out, .a = a};
    enum rc rc;

    *out = (struct search){0};
    rc = parse_returns(&in, &out->returns);
    if (rc == RC_OK && view_itake(&in, VIEW("CHARSET "))) {
        rc = imap_astring(&in, a, &p.charset);
        if (rc == RC_OK && !imap_take_sp(&in))
            rc = RC_SYNTAX;
        if (rc == RC_OK && !charset_is_known(p.charset))
            return RC_NOTFOUND;
    }
    if (rc == RC_OK)
        rc = parse_list(&p, &in, &out->root);
    if (rc == RC_OK && in.n > 0)
        rc = RC_SYNTAX;
    if (rc != RC_OK)
        return rc;
    for (struct search_key *k = out->all; k; k = k->all_next)
        note_needs(out, k);
    note_bodies(out->root);
    return RC_OK;
}

void imap_search_clear(struct search *s)
{
    for (struct search_key *k = s->all; k; k = k->all_next)
        decode_needle_clear(&k->needle);
    *s = (struct search){0};
}

void imap_search_resolve(struct search *s, const struct seqmap *map)
{
    for (struct search_key *k = s->all; k; k = k->all_next) {
        if (k->kind == SEARCH_SEQ)
            imap_seqset_resolve(&k->set, seqmap_count(map));
        else if (k->kind == SEARCH_UID)
            imap_seqset_resolve(&k->set, seqmap_last(map));
    }
}
