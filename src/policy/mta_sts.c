#include "policy/mta_sts.h"

#include "base/utf8.h"

#define FIELD_NAME_MAX 32 /* RFC 8461 §3.1, §3.2 */

static bool is_name_rest(unsigned char c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool is_field_name(struct view name)
{
    if (name.n == 0 || name.n > FIELD_NAME_MAX || !is_alnum((unsigned char)name.p[0]))
        return false;
    return view_take_while(&name, is_name_rest).n > 0 && name.n == 0;
}

/* --- TXT --- */

/* %x21-3A / %x3C / %x3E-7E */
static bool is_record_value_chr(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != ';' && c != '=';
}

bool mta_sts_is_record(struct view txt)
{
    if (!view_take(&txt, VIEW("v=STSv1")))
        return false;
    view_take_wsp(&txt);
    return txt.n == 0 || txt.p[0] == ';';
}

/* "name=value" at the cursor. */
static enum rc read_record_field(struct view *in, struct view *id)
{
    struct view name = view_take_while(in, is_name_rest);
    if (!is_field_name(name) || !view_take_chr(in, '='))
        return RC_SYNTAX;
    struct view value = view_take_while(in, is_record_value_chr);
    if (value.n == 0)
        return RC_SYNTAX;
    if (!view_eq(name, VIEW("id")) || id->n > 0)
        return RC_OK;
    *id = value;
    struct view rest = value;
    return value.n <= MTA_STS_ID_MAX && view_take_while(&rest, is_alnum).n == value.n ? RC_OK : RC_SYNTAX;
}

enum rc mta_sts_record_parse(struct view txt, struct view *id)
{
    *id = (struct view){0};
    if (!view_take(&txt, VIEW("v=STSv1")))
        return RC_SYNTAX;
    for (;;) {
        view_take_wsp(&txt);
        if (txt.n == 0)
            break;
        if (!view_take_chr(&txt, ';'))
            return RC_SYNTAX;
        view_take_wsp(&txt);
        if (txt.n == 0)
            break;
        if (read_record_field(&txt, id) != RC_OK)
            return RC_SYNTAX;
    }
    return id->n > 0 ? RC_OK : RC_SYNTAX;
}

/* --- the file --- */

static bool is_label_chr(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '_'; /* '_' is no letter of host names, but some have it */
}

/* RFC 5321 §4.1.2 Domain, in A-labels. */
static bool is_domain(struct view v)
{
    if (v.n == 0 || v.n > 253)
        return false;
    for (bool more = true; more;) {
        struct view label;
        more = view_split(&v, '.', &label);
        size_t n = label.n;
        if (n == 0 || n > 63 || label.p[0] == '-' || label.p[n - 1] == '-' || view_take_while(&label, is_label_chr).n != n)
            return false;
    }
    return true;
}

/* sts-policy-ext-value: UTF-8 without controls; blanks at the ends were taken off. */
static bool is_value(struct view v)
{
    return v.n > 0 && utf8_is_valid(v) && !view_has_ctl(v);
}

static enum rc read_mx(struct view value, struct arena *a, struct mta_sts_policy *p)
{
    struct view name = value;
    view_take(&name, VIEW("*."));
    if (!is_domain(name))
        return RC_SYNTAX;
    if (p->n_mx == MTA_STS_MX_MAX)
        return RC_LIMIT;
    if (!p->mx)
        p->mx = arena_new_array(a, MTA_STS_MX_MAX, struct view);
    if (!p->mx)
        return RC_TEMP;
    p->mx[p->n_mx++] = value;
    return RC_OK;
}

static enum rc read_mode(struct view value, enum mta_sts_mode *out)
{
    for (enum mta_sts_mode m = MTA_STS_NONE; m <= MTA_STS_ENFORCE; m++) {
        if (view_eq(value, view_str(mta_sts_mode_name(m)))) {
            *out = m;
            return RC_OK;
        }
    }
    return RC_SYNTAX;
}

static enum rc read_max_age(struct view value, int64_t *out)
{
    uint64_t n;
    if (value.n > 10 || !view_is_u64(value, 9999999999, &n))
        return RC_SYNTAX;
    *out = n < MTA_STS_MAX_AGE_MAX ? (int64_t)n : MTA_STS_MAX_AGE_MAX;
    return RC_OK;
}

enum { SEEN_VERSION = 1, SEEN_MODE = 2, SEEN_MAX_AGE = 4 };

/* True when the field is met for the first time: the first one counts (RFC 8461 §3.2). */
static bool is_first(unsigned *seen, unsigned field)
{
    bool first = !(*seen & field);
    *seen |= field;
    return first;
}

static enum rc read_policy_field(struct view line, struct arena *a, unsigned *seen, struct mta_sts_policy *p)
{
    struct view name;
    if (!view_split(&line, ':', &name) || !is_field_name(name))
        return RC_SYNTAX;
    view_take_wsp(&line);
    while (line.n > 0 && is_wsp((unsigned char)line.p[line.n - 1]))
        line.n--;
    if (view_eq(name, VIEW("version")))
        return !is_first(seen, SEEN_VERSION) || view_eq(line, VIEW("STSv1")) ? RC_OK : RC_SYNTAX;
    if (view_eq(name, VIEW("mode")))
        return is_first(seen, SEEN_MODE) ? read_mode(line, &p->mode) : RC_OK;
    if (view_eq(name, VIEW("max_age")))
        return is_first(seen, SEEN_MAX_AGE) ? read_max_age(line, &p->max_age_s) : RC_OK;
    if (view_eq(name, VIEW("mx")))
        return read_mx(line, a, p);
    return is_value(line) ? RC_OK : RC_SYNTAX;
}

enum rc mta_sts_policy_parse(struct view file, struct arena *a, struct mta_sts_policy *out)
{
    unsigned seen = 0;
    *out = (struct mta_sts_policy){0};
    if (file.n > MTA_STS_POLICY_MAX)
        return RC_LIMIT;
    for (bool more = file.n > 0; more;) {
        struct view line;
        more = view_split(&file, '\n', &line);
        if (more && view_ends(line, VIEW("\r")))
            line.n--;
        enum rc rc = read_policy_field(line, a, &seen, out);
        if (rc != RC_OK)
            return rc;
        more = more && file.n > 0;
    }
    if (seen != (SEEN_VERSION | SEEN_MODE | SEEN_MAX_AGE))
        return RC_SYNTAX;
    return out->n_mx > 0 || out->mode == MTA_STS_NONE ? RC_OK : RC_SYNTAX;
}

const char *mta_sts_mode_name(enum mta_sts_mode mode)
{
    static const char *const names[] = {"none", "testing", "enforce"};
    return mode <= MTA_STS_ENFORCE ? names[mode] : "?";
}

bool mta_sts_pattern_matches(struct view pattern, struct view host)
{
    struct view label;
    if (view_ends(host, VIEW(".")))
        host.n--;
    if (!view_take(&pattern, VIEW("*.")))
        return host.n > 0 && view_ieq(pattern, host);
    return view_split(&host, '.', &label) && label.n > 0 && view_ieq(pattern, host);
}

bool mta_sts_policy_allows(const struct mta_sts_policy *p, struct view host)
{
    for (size_t i = 0; i < p->n_mx; i++)
        if (mta_sts_pattern_matches(p->mx[i], host))
            return true;
    return false;
}
