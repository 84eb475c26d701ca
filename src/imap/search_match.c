#include "imap/parse.h"
#include "imap/search.h"
#include "message/date.h"
#include "message/header.h"

#define DAY_S          86400
#define ENVELOPE_ARENA 65536 /* one of its strings, unquoted */

static int64_t day_of(int64_t seconds)
{
    return seconds >= 0 ? seconds / DAY_S : -((-seconds + DAY_S - 1) / DAY_S);
}

static bool has_keyword(struct view words, struct view keyword)
{
    struct view word;

    while (words.n > 0) {
        view_split(&words, ' ', &word);
        if (view_ieq(word, keyword))
            return true;
    }
    return false;
}

static enum rc open_message(struct search_facts *f)
{
    enum rc rc = f->is_open ? RC_OK : f->open(f->ctx, f->item, &f->message);

    f->is_open |= rc == RC_OK;
    return rc;
}

/* The nth string of the envelope: 0 Date, 1 Subject. False: NIL. */
static bool envelope_string(struct view envelope, unsigned nth, struct arena *a, struct view *out)
{
    bool found = false;

    view_take_chr(&envelope, '(');
    for (unsigned i = 0; i <= nth; i++) {
        if (i > 0 && !imap_take_sp(&envelope))
            return false;
        found = imap_string(&envelope, a, out) == RC_OK;
        if (!found && !view_itake(&envelope, VIEW("NIL")))
            return false;
    }
    return found;
}

/* RFC 3501 §6.4.4: by the Date field's own calendar, time and zone disregarded. */
static bool match_sent(const struct search_key *k, const struct item *item)
{
    struct arena a;
    struct view text;
    struct date date;
    bool found = false;

    arena_init(&a, ENVELOPE_ARENA);
    if (envelope_string(item->envelope, 0, &a, &text) && date_parse(text, &date) == RC_OK) {
        int64_t day = date_day(date);
        found = k->kind == SEARCH_SENT_ON ? day == k->number : k->kind == SEARCH_SENT_BEFORE ? day < k->number : day >= k->number;
    }
    arena_clear(&a);
    return found;
}

static enum rc match_subject(const struct search_key *k, const struct item *item, bool *found)
{
    struct arena a;
    struct view text;
    enum rc rc = RC_OK;

    *found = false;
    arena_init(&a, ENVELOPE_ARENA);
    if (envelope_string(item->envelope, 1, &a, &text))
        rc = decode_field_contains(text, &k->needle, found);
    arena_clear(&a);
    return rc;
}

static enum rc match_header(const struct search_key *k, struct search_facts *f, bool *found)
{
    struct header_field field;
    enum rc rc;

    if (view_ieq(k->name, VIEW("Subject")))
        return match_subject(k, f->item, found);
    *found = false;
    rc = open_message(f);
    if (rc != RC_OK)
        return rc;
    struct view section = header_of(f->message);
    while (rc == RC_OK && !*found && header_next(&section, &field)) {
        if (view_ieq(field.name, k->name))
            rc = decode_field_contains(field.value, &k->needle, found);
    }
    return rc;
}

static enum rc match_text(const struct search_key *k, struct search_facts *f, bool *found)
{
    enum rc rc = open_message(f);

    *found = false;
    if (rc == RC_OK && k->kind == SEARCH_TEXT)
        rc = decode_header_contains(header_of(f->message), &k->needle, found);
    if (rc == RC_OK && !*found)
        rc = decode_body_contains(f->message, f->item->index, &k->needle, found);
    return rc;
}

static enum rc match_key(const struct search_key *k, struct search_facts *f, bool *found);

/* Keys that need no body are asked first. */
static enum rc match_and(const struct search_key *k, struct search_facts *f, bool *found)
{
    enum rc rc = RC_OK;

    *found = true;
    for (int bodies = 0; bodies < 2; bodies++) {
        for (const struct search_key *c = k->child; rc == RC_OK && *found && c; c = c->next) {
            if (c->reads_body == (bodies == 1))
                rc = match_key(c, f, found);
        }
    }
    return rc;
}

static enum rc match_or(const struct search_key *k, struct search_facts *f, bool *found)
{
    enum rc rc = match_key(k->child, f, found);

    return rc == RC_OK && !*found ? match_key(k->child->next, f, found) : rc;
}

static enum rc match_not(const struct search_key *k, struct search_facts *f, bool *found)
{
    enum rc rc = match_key(k->child, f, found);

    *found = !*found;
    return rc;
}

static enum rc match_key(const struct search_key *k, struct search_facts *f, bool *found)
{
    const struct item *it = f->item;

    switch (k->kind) {
    case SEARCH_AND:         return match_and(k, f, found);
    case SEARCH_OR:          return match_or(k, f, found);
    case SEARCH_NOT:         return match_not(k, f, found);
    case SEARCH_HEADER:      return match_header(k, f, found);
    case SEARCH_BODY:
    case SEARCH_TEXT:        return match_text(k, f, found);
    case SEARCH_FLAG:        *found = it->flags & k->flag; break;
    case SEARCH_KEYWORD:     *found = has_keyword(it->keywords, k->name); break;
    case SEARCH_RECENT:      *found = f->uid >= f->recent_from; break;
    case SEARCH_SEQ:         *found = imap_seqset_has(&k->set, f->seq); break;
    case SEARCH_UID:         *found = imap_seqset_has(&k->set, f->uid); break;
    case SEARCH_BEFORE:      *found = day_of(it->internaldate) < k->number; break;
    case SEARCH_ON:          *found = day_of(it->internaldate) == k->number; break;
    case SEARCH_SINCE:       *found = day_of(it->internaldate) >= k->number; break;
    case SEARCH_SENT_BEFORE:
    case SEARCH_SENT_ON:
    case SEARCH_SENT_SINCE:  *found = match_sent(k, it); break;
    case SEARCH_LARGER:      *found = it->size > (uint64_t)k->number; break;
    case SEARCH_SMALLER:     *found = it->size < (uint64_t)k->number; break;
    case SEARCH_MODSEQ:      *found = it->modseq >= (uint64_t)k->number; break;
    }
    return RC_OK;
}

enum rc imap_search_match(const struct search *s, struct search_facts *f, bool *found)
{
    return match_key(s->root, f, found);
}
