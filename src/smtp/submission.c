#include "smtp/submission.h"

#include "mailauth/authres.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"

#define ADDRESS_MEMORY (16u * SUBMISSION_HEADER_MAX) /* for the addresses of one field */
#define SPEC_MAX       1024                          /* longer addresses are nobody's */

struct seen {
    unsigned from, sender, date, message_id;
};

static bool is_name(const struct header_field *f, struct view name)
{
    return view_ieq(f->name, name);
}

/* One address of From or Sender. */
static enum rc check_address(const struct address *a, const struct submission_rules *rules, const char **why)
{
    struct buf spec;
    if (a->bad || a->local.n == 0 ||
        a->domain.n == 0) { /* what two readers may read in two ways is refused */
        *why = "From or Sender holds no usable address";
        return RC_SYNTAX;
    }
    buf_init(&spec, SPEC_MAX);
    address_write_spec(a->local, a->domain, &spec);
    enum rc rc = buf_rc(&spec);
    if (rc == RC_OK)
        rc = rules->may_send(rules->ctx, buf_view(&spec));
    else if (rc != RC_TEMP)
        rc = RC_DENIED;
    if (rc == RC_DENIED)
        *why = "From or Sender is not an address of this account";
    buf_clear(&spec);
    return rc;
}

static enum rc check_field(struct view value, const struct submission_rules *rules, const char **why)
{
    struct arena mem;
    struct address *list;
    unsigned n = 0;
    arena_init(&mem, ADDRESS_MEMORY);
    enum rc rc = address_list_parse(value, &mem, &list);
    for (const struct address *a = list; rc == RC_OK && a; a = a->next) {
        if (a->kind != ADDRESS_MAILBOX)
            continue;
        rc = check_address(a, rules, why);
        n++;
    }
    if (rc == RC_OK && n == 0) {
        *why = "From or Sender holds no usable address";
        rc = RC_SYNTAX;
    }
    arena_clear(&mem);
    return rc;
}

static bool is_dropped(const struct header_field *f, const struct submission_rules *rules)
{
    if (is_name(f, VIEW("Authentication-Results"))) /* in our name we alone speak (RFC 8601 §5) */
        return authres_is_ours(f->value, view_str(rules->hostname));
    if (!rules->may_send)
        return false;
    return is_name(f, VIEW("Bcc")) || is_name(f, VIEW("Resent-Bcc")) || is_name(f, VIEW("Return-Path"));
}

/* RFC 5322 §3.6.8. */
static bool is_field_name(struct view name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0;
}

static enum rc look(const struct header_field *f, const struct submission_rules *rules, struct seen *seen,
                    const char **why)
{
    bool from = is_name(f, VIEW("From")), sender = is_name(f, VIEW("Sender"));
    seen->from += from;
    seen->sender += sender;
    seen->date += is_name(f, VIEW("Date"));
    seen->message_id += is_name(f, VIEW("Message-ID"));
    if (!rules->may_send)
        return RC_OK;
    if (!is_field_name(f->name)) {
        *why = "The header has a line that is no field";
        return RC_SYNTAX;
    }
    if (seen->from > 1 || seen->sender > 1) { /* RFC 5322 §3.6 */
        *why = "More than one From or Sender field";
        return RC_SYNTAX;
    }
    return from || sender ? check_field(f->value, rules, why) : RC_OK;
}

static void write_missing(const struct seen *seen, const struct submission_rules *rules, struct buf *out)
{
    if (seen->date == 0) {
        buf_str(out, "Date: ");
        date_write((struct date){.utc = rules->now_s}, out);
        buf_str(out, "\r\n");
    }
    if (seen->message_id == 0)
        buf_printf(out, "Message-ID: <%016llx%016llx@%s>\r\n", (unsigned long long)rules->unique[0],
                   (unsigned long long)rules->unique[1], rules->hostname);
}

enum rc submission_fix(struct view header, const struct submission_rules *rules, struct buf *out,
                       const char **why)
{
    struct seen seen = {0};
    struct header_field f;
    struct view in = header;

    /* What stands in front would become part of the field that we put above it. */
    if (header.n > 0 && is_wsp((unsigned char)header.p[0])) {
        *why = "The header begins with a blank";
        return RC_SYNTAX;
    }
    while (header_next(&in, &f)) {
        enum rc rc = look(&f, rules, &seen, why);
        if (rc != RC_OK)
            return rc;
    }
    if (rules->may_send && seen.from == 0) {
        *why = "The message has no From field";
        return RC_SYNTAX;
    }
    write_missing(&seen, rules, out);
    struct view rest = header;
    while (header_next(&rest, &f))
        if (!is_dropped(&f, rules))
            buf_add(out, f.whole);
    buf_add(out, rest); /* the empty line */
    return buf_rc(out);
}
