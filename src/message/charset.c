#include "message/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>

#include "base/utf8.h"

#define CHUNK 2048

enum kind { KIND_UTF8, KIND_LATIN1, KIND_ICONV };

/* Names that the C library does not know, or knows as something narrower than what is sent under them. */
static const struct {
    struct view name;
    enum kind kind;
    const char *iconv_name;
} aliases[] = {
    {VIEW_INIT("utf-8"), KIND_UTF8, NULL},
    {VIEW_INIT("us-ascii"), KIND_UTF8, NULL},
    {VIEW_INIT("iso-8859-1"), KIND_LATIN1, NULL},
    {VIEW_INIT("windows-1252"), KIND_LATIN1, NULL},
    {VIEW_INIT("utf8"), KIND_UTF8, NULL},
    {VIEW_INIT("ascii"), KIND_UTF8, NULL},
    {VIEW_INIT("ansi_x3.4-1968"), KIND_UTF8, NULL},
    {VIEW_INIT("iso-ir-6"), KIND_UTF8, NULL},
    {VIEW_INIT("unknown-8bit"), KIND_UTF8, NULL},
    {VIEW_INIT("8bit"), KIND_UTF8, NULL},
    {VIEW_INIT("x-unknown"), KIND_UTF8, NULL},
    {VIEW_INIT("default"), KIND_UTF8, NULL},
    {VIEW_INIT("cp1252"), KIND_LATIN1, NULL},
    {VIEW_INIT("latin1"), KIND_LATIN1, NULL},
    {VIEW_INIT("iso8859-1"), KIND_LATIN1, NULL},
    {VIEW_INIT("iso_8859-1"), KIND_LATIN1, NULL},
    {VIEW_INIT("iso-8859-8-i"), KIND_ICONV, "ISO-8859-8"},
    {VIEW_INIT("iso-8859-8-e"), KIND_ICONV, "ISO-8859-8"},
    {VIEW_INIT("gb2312"), KIND_ICONV, "GB18030"},
    {VIEW_INIT("gbk"), KIND_ICONV, "GB18030"},
    {VIEW_INIT("ks_c_5601-1987"), KIND_ICONV, "CP949"},
    {VIEW_INIT("ksc5601"), KIND_ICONV, "CP949"},
    {VIEW_INIT("euc-kr"), KIND_ICONV, "CP949"},
    {VIEW_INIT("shift_jis"), KIND_ICONV, "CP932"},
    {VIEW_INIT("shift-jis"), KIND_ICONV, "CP932"},
    {VIEW_INIT("x-sjis"), KIND_ICONV, "CP932"},
    {VIEW_INIT("big5"), KIND_ICONV, "BIG5-HKSCS"},
    {VIEW_INIT("x-mac-roman"), KIND_ICONV, "MACINTOSH"},
    {VIEW_INIT("unicode-1-1-utf-7"), KIND_ICONV, "UTF-7"},
};

/* What mail is written in, beside the above. */
static const char *const common[] = {
    "ISO-8859-2", "ISO-8859-3",  "ISO-8859-4",  "ISO-8859-5",  "ISO-8859-6",  "ISO-8859-7",  "ISO-8859-8",
    "ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16",
    "CP1250",     "CP1251",      "CP1253",      "CP1254",      "CP1255",      "CP1256",      "CP1257",
    "CP1258",     "KOI8-R",      "KOI8-U",      "GB18030",     "BIG5-HKSCS",  "CP949",       "CP932",
    "EUC-JP",     "EUC-TW",      "ISO-2022-JP", "ISO-2022-KR", "ISO-2022-CN", "TIS-620",     "UTF-7",
    "UTF-16",     "UTF-32",      "MACINTOSH",   "IBM850",      "IBM437",      "CP866",
};
#define N_COMMON (sizeof common / sizeof common[0])

/* Written by charset_preload alone, never read: the open descriptors keep the modules in memory. */
static iconv_t preloaded[N_COMMON];

void charset_preload(void)
{
    for (size_t i = 0; i < N_COMMON; i++)
        preloaded[i] = iconv_open("UTF-8", common[i]);
}

/* 0x80 to 0x9f of windows-1252; the five holes stand for themselves. */
static const uint16_t latin1_high[32] = {
    0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
};

static void add_latin1(struct view text, struct buf *out)
{
    while (text.n > 0 && buf_rc(out) == RC_OK) {
        size_t n = 0;
        while (n < text.n && !((unsigned char)text.p[n] & 0x80))
            n++;
        buf_add(out, view_slice(text, 0, n));
        view_skip(&text, n);
        int c = view_next(&text);
        if (c >= 0)
            utf8_put(out, c < 0xa0 ? latin1_high[c - 0x80] : (uint32_t)c);
    }
}

/* Cut to what fits, at a character. */
static void add_whole(struct view text, struct buf *out)
{
    size_t room = out->max - out->n;
    if (text.n <= room) {
        buf_add(out, text);
        return;
    }
    struct view rest = view_from(text, room);
    while (room > 0 && ((unsigned char)view_peek(rest) & 0xc0) == 0x80)
        rest = view_from(text, --room);
    buf_add(out, view_slice(text, 0, room));
    buf_add(out, rest); /* remembers RC_LIMIT */
}

static void add_unnamed(struct view text, struct buf *out)
{
    if (utf8_is_valid(text))
        add_whole(text, out);
    else
        add_latin1(text, out);
}

/* The name that iconv takes, into dst. RC_NOTFOUND: not a name. */
static enum rc resolve(struct view charset, enum kind *kind, char dst[CHARSET_NAME_MAX])
{
    charset = view_trim(charset);
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (view_ieq(charset, aliases[i].name)) {
            *kind = aliases[i].kind;
            snprintf(dst, CHARSET_NAME_MAX, "%s", aliases[i].iconv_name ? aliases[i].iconv_name : "");
            return RC_OK;
        }
    }
    /* A "/" would switch on suffixes such as //TRANSLIT, and no charset's name has other bytes than these. */
    for (size_t i = 0; i < charset.n; i++)
        if (!is_alnum((unsigned char)charset.p[i]) && view_chr(VIEW("-_.:+"), charset.p[i]) == VIEW_NONE)
            return RC_NOTFOUND;
    *kind = KIND_ICONV;
    if (charset.n == 0 || view_cstr(charset, dst, CHARSET_NAME_MAX) != RC_OK)
        return RC_NOTFOUND;
    if (view_istarts(charset, VIEW("windows-")))
        snprintf(dst, CHARSET_NAME_MAX, "CP%.*s", VIEW_FMT(view_slice(view_from(charset, 8), 0, 10)));
    return RC_OK;
}

static void convert(iconv_t cd, struct view text, struct buf *out)
{
    char chunk[CHUNK];
    char *in = (char *)(uintptr_t)text.p; /* iconv does not write there, though its prototype lacks const */
    size_t n_in = text.n;
    bool flushing = false;
    while (buf_rc(out) == RC_OK) {
        char *to = chunk;
        size_t n_to = sizeof chunk;
        size_t rc = iconv(cd, flushing ? NULL : &in, flushing ? NULL : &n_in, &to, &n_to);
        int error = rc == (size_t)-1 ? errno : 0;
        add_whole(view_of(chunk, sizeof chunk - n_to), out);
        if (error == E2BIG)
            continue;
        if (error != 0 && n_in > 0 && !flushing) { /* EILSEQ, or EINVAL at the end: one byte is given up */
            struct view rest = view_of(in, n_in);
            utf8_put(out, 0xfffd);
            view_skip(&rest, 1);
            in = (char *)(uintptr_t)rest.p;
            n_in = rest.n;
        } else if (flushing) {
            return;
        }
        flushing = n_in == 0;
    }
}

enum rc charset_to_utf8(struct view charset, struct view text, struct buf *out)
{
    enum kind kind;
    char name[CHARSET_NAME_MAX];
    if (charset.n == 0) {
        add_unnamed(text, out);
        return buf_rc(out);
    }
    iconv_t cd = (iconv_t)-1;
    enum rc rc = resolve(charset, &kind, name);
    if (rc == RC_OK && kind == KIND_ICONV) {
        cd = iconv_open("UTF-8", name);
        if (cd == (iconv_t)-1)
            rc = RC_NOTFOUND;
    }
    if (rc != RC_OK || kind == KIND_UTF8)
        add_unnamed(text, out);
    else if (kind == KIND_LATIN1)
        add_latin1(text, out);
    else
        convert(cd, text, out);
    if (cd != (iconv_t)-1)
        iconv_close(cd);
    return rc == RC_OK ? buf_rc(out) : rc;
}

bool charset_is_known(struct view charset)
{
    enum kind kind;
    char name[CHARSET_NAME_MAX];
    if (resolve(charset, &kind, name) != RC_OK)
        return false;
    if (kind != KIND_ICONV)
        return true;
    iconv_t cd = iconv_open("UTF-8", name);
    if (cd == (iconv_t)-1)
        return false;
    iconv_close(cd);
    return true;
}

bool charset_is_ascii_superset(struct view charset)
{
    enum kind kind;
    char name[CHARSET_NAME_MAX];
    if (charset.n == 0)
        return true;
    if (resolve(charset, &kind, name) != RC_OK || kind != KIND_ICONV)
        return true; /* unknown ones are read as if unnamed */
    struct view v = view_str(name);
    /* Of the multi-byte ones only the EUC family keeps ASCII bytes to itself. */
    return view_istarts(v, VIEW("iso-8859-")) || view_istarts(v, VIEW("koi8-")) ||
           view_istarts(v, VIEW("cp125")) || view_istarts(v, VIEW("euc-"));
}
