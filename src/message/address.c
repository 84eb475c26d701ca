#include "message/address.h"

#include "message/encoded.h"

/* Text collected while reading: each byte of input gives at most one here, so that one block is enough. */
struct pool {
    char *p;
    size_t n, cap;
    size_t start; /* where the text being collected begins */
};

enum token_kind { TOKEN_WORD, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_SPECIAL, TOKEN_END };

struct token {
    enum token_kind kind;
    struct view text; /* with quotes and brackets */
    bool after_gap;   /* blanks or a comment before it */
};

struct reader {
    struct view in;
    struct pool phrase, comment, local, domain;
    bool no_quotes;   /* a quote was never closed: from there on they are ordinary bytes */
    bool no_comments; /* the same for parentheses */
    bool no_literals; /* and for brackets */
    bool in_group;
    unsigned n_entries;
    struct arena *arena;
    struct address **tail;
};

/* What one entry has shown so far. */
struct entry {
    bool has_local;    /* a word that may be a local part */
    bool has_domain;   /* an "@" outside brackets */
    bool domain_done;  /* and something after its domain */
    bool local_is_odd; /* it holds what a local part cannot, which is of no matter in a name */
    bool joins;        /* the last token was a "." or "@": a word after a gap still belongs */
    bool has_angle;
    bool bad;
    size_t name_end; /* phrase up to here is a name in front of an address without brackets */
    struct view route;
};

static void pool_begin(struct pool *p)
{
    p->start = p->n;
}

static struct view pool_text(const struct pool *p)
{
    return view_of(p->p + p->start, p->n - p->start);
}

static void pool_chr(struct pool *p, char c)
{
    if (p->n < p->cap)
        p->p[p->n++] = c;
}

static void pool_add(struct pool *p, struct view v)
{
    for (size_t i = 0; i < v.n; i++)
        pool_chr(p, v.p[i]);
}

/* Contents of a quoted string or comment: escapes undone, line ends dropped. */
static void pool_unquoted(struct pool *p, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\\' && i + 1 < v.n)
            i++;
        if (v.p[i] != '\r' && v.p[i] != '\n')
            pool_chr(p, v.p[i]);
    }
}

/* Length of the bracketed text at the front, both brackets included; 0 where it is never closed. */
static size_t bracket_length(struct view in, char open, char close)
{
    size_t depth = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '\\' && i + 1 < in.n) {
            i++;
        } else if (in.p[i] == close && (open != close || i > 0)) {
            if (open == close || --depth == 0)
                return i + 1;
        } else if (in.p[i] == open && open == '(') {
            depth++;
        } else if (in.p[i] == open && i == 0) {
            depth = 1;
        }
    }
    return 0;
}

static bool is_special(char c)
{
    return c == '<' || c == '>' || c == ',' || c == ';' || c == ':' || c == '@' || c == '.';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips blanks and comments; the last comment is remembered. True where there were any. */
static bool skip_gap(struct reader *r)
{
    size_t before = r->in.n;
    while (r->in.n > 0) {
        if (is_blank(r->in.p[0])) {
            view_skip(&r->in, 1);
        } else if (r->in.p[0] == '(' && !r->no_comments) {
            size_t n = bracket_length(r->in, '(', ')');
            if (n == 0) {
                r->no_comments = true;
                break;
            }
            pool_begin(&r->comment);
            pool_unquoted(&r->comment, view_trim(view_slice(r->in, 1, n - 2)));
            view_skip(&r->in, n);
        } else {
            break;
        }
    }
    return r->in.n != before;
}

static size_t word_length(const struct reader *r)
{
    size_t n = 1; /* a first byte that opens something unclosed is taken as it is */
    while (n < r->in.n) {
        char c = r->in.p[n];
        if (is_special(c) || is_blank(c) || (c == '"' && !r->no_quotes) || (c == '(' && !r->no_comments) ||
            (c == '[' && !r->no_literals))
            break;
        n++;
    }
    return n;
}

static struct token next_token(struct reader *r)
{
    struct token t = {.after_gap = skip_gap(r)};
    size_t n = 0;
    if (r->in.n == 0) {
        t.kind = TOKEN_END;
        return t;
    }
    char c = r->in.p[0];
    if (c == '"' && !r->no_quotes) {
        n = bracket_length(r->in, '"', '"');
        r->no_quotes = n == 0;
        t.kind = TOKEN_QUOTED;
    } else if (c == '[' && !r->no_literals) {
        n = bracket_length(r->in, '[', ']');
        r->no_literals = n == 0;
        t.kind = TOKEN_LITERAL;
    } else if (is_special(c)) {
        n = 1;
        t.kind = TOKEN_SPECIAL;
    }
    if (n == 0) {
        n = word_length(r);
        t.kind = TOKEN_WORD;
    }
    t.text = view_slice(r->in, 0, n);
    view_skip(&r->in, n);
    return t;
}

static bool is_char(struct token t, char c)
{
    return t.kind == TOKEN_SPECIAL && t.text.p[0] == c;
}

static void add_text(struct pool *p, struct token t)
{
    if (t.kind == TOKEN_QUOTED)
        pool_unquoted(p, view_slice(t.text, 1, t.text.n - 2));
    else if (t.kind == TOKEN_LITERAL)
        for (size_t i = 0; i < t.text.n; i++) { /* RFC 5322 §4.4: blanks inside a literal mean nothing */
            if (!is_blank(t.text.p[i]))
                pool_chr(p, t.text.p[i]);
        }
    else
        pool_add(p, t.text);
}

/* A quoted string is no part of a domain, nor a literal one of a local part; a literal is the whole domain.
 */
static bool is_misplaced(const struct reader *r, bool in_domain, struct token t)
{
    struct view domain = pool_text(&r->domain);
    if (!in_domain)
        return t.kind == TOKEN_LITERAL;
    return t.kind == TOKEN_QUOTED || (t.kind == TOKEN_LITERAL && domain.n > 0) || view_peek(domain) == '[';
}

static enum rc emit(struct reader *r, struct address what)
{
    struct address *a = arena_new(r->arena, struct address);
    if (!a)
        return RC_TEMP;
    *a = what;
    *r->tail = a;
    r->tail = &a->next;
    r->n_entries++;
    return RC_OK;
}

/* "@a,@b:" behind "<" (RFC 5322 §4.4 obs-route). */
static struct view take_route(struct reader *r)
{
    struct view none = view_slice(r->in, 0, 0);
    skip_gap(r);
    if (view_peek(r->in) != '@')
        return none;
    for (size_t i = 0; i < r->in.n && r->in.p[i] != '>' && r->in.p[i] != '<' && r->in.p[i] != '"'; i++) {
        if (r->in.p[i] == ':') {
            struct view route = view_slice(r->in, 0, i);
            view_skip(&r->in, i + 1);
            return route;
        }
    }
    return none;
}

/* What stands in angle brackets, after "<". */
static void read_angle(struct reader *r, struct entry *e)
{
    bool joins = true;
    e->has_angle = true;
    e->has_domain = false;
    pool_begin(&r->local);
    pool_begin(&r->domain);
    e->route = take_route(r);
    for (;;) {
        struct view before = r->in;
        struct token t = next_token(r);
        struct pool *side = e->has_domain ? &r->domain : &r->local;
        if (is_char(t, '>'))
            return;
        if (t.kind == TOKEN_END || is_char(t, ',') || is_char(t, ';')) {
            e->bad = true;
            r->in = before;
            return;
        }
        if (is_char(t, '<')) { /* the last bracket is the one that counts */
            e->bad = true;
            e->has_domain = false;
            joins = true;
            pool_begin(&r->local);
            pool_begin(&r->domain);
            continue;
        }
        if (is_char(t, '@')) {
            if (e->has_domain) { /* the last "@" is the one that counts */
                e->bad = true;
                pool_chr(&r->local, '@');
                pool_add(&r->local, pool_text(&r->domain));
                pool_begin(&r->domain);
            }
            e->has_domain = true;
            joins = true;
            continue;
        }
        if (is_char(t, ':'))
            e->bad = true;
        if (t.after_gap && !joins && t.kind != TOKEN_SPECIAL) {
            e->bad = true;
            if (!e->has_domain)
                pool_chr(side, ' ');
        }
        e->bad |= is_misplaced(r, e->has_domain, t);
        add_text(side, t);
        joins = t.kind == TOKEN_SPECIAL;
    }
}

/* A word, quoted string, literal or "." outside brackets: part of a name, of a local part or of a domain. */
static void read_word(struct reader *r, struct entry *e, struct token t)
{
    bool is_dot = is_char(t, '.');
    bool is_apart = t.after_gap && !is_dot && !e->joins;
    if (t.after_gap && r->phrase.n > r->phrase.start)
        pool_chr(&r->phrase, ' ');
    if (e->has_domain) {
        e->domain_done |= is_apart;
        if (!e->domain_done) {
            e->bad |= is_misplaced(r, true, t);
            add_text(&r->domain, t);
        }
    } else {
        if (is_apart && e->has_local) {
            pool_begin(&r->local);
            e->local_is_odd = false;
            e->name_end = r->phrase.n;
        }
        e->local_is_odd |= is_misplaced(r, false, t);
        add_text(&r->local, t);
        e->has_local = true;
    }
    add_text(&r->phrase, t);
    e->joins = is_dot;
}

static void read_at(struct reader *r, struct entry *e, struct token t)
{
    if (e->has_domain) {
        e->bad = true;
        if (!e->domain_done) {
            pool_chr(&r->local, '@');
            pool_add(&r->local, pool_text(&r->domain));
        }
    }
    pool_begin(&r->domain);
    pool_add(&r->phrase, t.text);
    e->has_domain = true;
    e->domain_done = false;
    e->joins = true;
}

static enum rc finish_mailbox(struct reader *r, const struct entry *e)
{
    struct view phrase = pool_text(&r->phrase), comment = pool_text(&r->comment);
    struct address a = {.kind = ADDRESS_MAILBOX, .bad = e->bad, .route = e->route};
    if (!e->has_angle && !e->has_local && !e->has_domain)
        return RC_OK; /* RFC 5322 §4.4: empty members of a list */
    if (e->has_angle || e->has_domain) {
        a.local = pool_text(&r->local);
        a.domain = pool_text(&r->domain);
    } else if (e->name_end == 0) {
        a.local = pool_text(&r->local); /* one word: a local name */
    }
    if (e->has_angle)
        a.name = phrase;
    else if (e->has_domain)
        a.name = view_slice(phrase, 0, e->name_end > r->phrase.start ? e->name_end - r->phrase.start : 0);
    else if (e->name_end > 0)
        a.name = phrase; /* several words and no address */
    a.bad |= !e->has_angle && e->local_is_odd;
    a.bad |= r->no_quotes || r->no_comments || r->no_literals;
    a.bad |= a.local.n == 0 || a.domain.n == 0 || e->domain_done || (!e->has_angle && e->name_end > 0);
    a.name = view_trim(a.name);
    if (a.name.n == 0)
        a.name = comment;
    return emit(r, a);
}

static enum rc end_group(struct reader *r)
{
    if (!r->in_group)
        return RC_OK;
    r->in_group = false;
    return emit(r, (struct address){.kind = ADDRESS_GROUP_END});
}

static enum rc begin_group(struct reader *r)
{
    r->in_group = true;
    return emit(r, (struct address){.kind = ADDRESS_GROUP, .name = view_trim(pool_text(&r->phrase))});
}

/* One entry, up to and with the "," ";" or ":" that ends it. *more is false at the end of the text. */
static enum rc read_entry(struct reader *r, bool *more)
{
    struct entry e = {0};
    pool_begin(&r->phrase);
    pool_begin(&r->comment);
    pool_begin(&r->local);
    pool_begin(&r->domain);
    for (;;) {
        struct token t = next_token(r);
        if (t.kind == TOKEN_END || is_char(t, ',') || is_char(t, ';')) {
            enum rc rc = finish_mailbox(r, &e);
            *more = t.kind != TOKEN_END;
            if (rc == RC_OK && (!*more || is_char(t, ';')))
                rc = end_group(r);
            return rc;
        }
        if (is_char(t, ':') && !r->in_group && !e.has_angle && !e.has_domain) {
            *more = true;
            return begin_group(r);
        }
        if (e.has_angle) {
            e.bad = true; /* nothing but comments may follow the brackets */
        } else if (is_char(t, '<')) {
            read_angle(r, &e);
        } else if (is_char(t, '@')) {
            read_at(r, &e, t);
        } else if (is_char(t, '>') || is_char(t, ':')) {
            e.bad = true;
        } else {
            read_word(r, &e, t);
        }
    }
}

enum rc address_list_parse(struct view text, struct arena *a, struct address **out)
{
    *out = NULL;
    text = view_trim(view_slice(text, 0, ADDRESS_TEXT_MAX));
    if (text.n == 0)
        return RC_OK;
    struct reader r = {.in = text, .arena = a, .tail = out};
    struct pool *pools[] = {&r.phrase, &r.comment, &r.local, &r.domain};
    char *block = arena_array(a, text.n, 4);
    if (!block)
        return RC_TEMP;
    struct view rest = view_of(block, text.n * 4);
    for (int i = 0; i < 4; i++) {
        pools[i]->p = block + (size_t)i * text.n;
        pools[i]->cap = rest.n / 4;
    }
    enum rc rc = RC_OK;
    for (bool more = true; more && rc == RC_OK && r.n_entries < ADDRESS_LIST_MAX;)
        rc = read_entry(&r, &more);
    if (rc == RC_OK)
        rc = end_group(&r);
    return rc;
}

/* RFC 5322 §3.2.3 atext, with what RFC 6532 §3.2 adds. */
static bool is_atext(unsigned char c)
{
    return is_alnum(c) || c >= 0x80 || view_chr(VIEW("!#$%&'*+-/=?^_`{|}~"), (char)c) != VIEW_NONE;
}

static bool is_dot_atom(struct view v)
{
    bool after_dot = true;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '.' ? after_dot : !is_atext((unsigned char)v.p[i]))
            return false;
        after_dot = v.p[i] == '.';
    }
    return v.n > 0 && !after_dot;
}

/* Atoms with one blank between any two. */
static bool is_phrase(struct view v)
{
    bool after_blank = true;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == ' ' ? after_blank : !is_atext((unsigned char)v.p[i]))
            return false;
        after_blank = v.p[i] == ' ';
    }
    return v.n > 0 && !after_blank;
}

static void write_quoted(struct view v, struct buf *out)
{
    buf_chr(out, '"');
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\')
            buf_chr(out, '\\');
        buf_line_part(out, view_slice(v, i, 1));
    }
    buf_chr(out, '"');
}

void address_write_spec(struct view local, struct view domain, struct buf *out)
{
    if (is_dot_atom(local))
        buf_line_part(out, local);
    else
        write_quoted(local, out);
    buf_chr(out, '@');
    buf_line_part(out, domain);
}

void address_write(struct view name, struct view local, struct view domain, struct buf *out)
{
    if (name.n == 0) {
        address_write_spec(local, domain, out);
        return;
    }
    if (view_has_ctl(name) || view_find(name, VIEW("=?")) != VIEW_NONE)
        write_quoted(name, out); /* refuses line ends; inside quotes nothing is an encoded word */
    else if (!view_is_ascii(name))
        encoded_write(name, out);
    else if (is_phrase(name))
        buf_add(out, name);
    else
        write_quoted(name, out);
    buf_str(out, " <");
    address_write_spec(local, domain, out);
    buf_chr(out, '>');
}
