#include "report/xml.h"

#include "base/utf8.h"

static bool is_allowed(uint32_t cp)
{
    return cp == 0x9 || cp == 0xa || cp == 0xd || (cp >= 0x20 && cp != 0xfffe && cp != 0xffff && !(cp >= 0x7f && cp < 0xa0));
}

void xml_text(struct buf *out, struct view text)
{
    while (text.n > 0) {
        uint32_t cp;
        if (utf8_next(&text, &cp) != RC_OK) {
            view_skip(&text, 1);
            cp = 0xfffd;
        }
        switch (cp) {
        case '&':  buf_str(out, "&amp;"); break;
        case '<':  buf_str(out, "&lt;"); break;
        case '>':  buf_str(out, "&gt;"); break;
        case '"':  buf_str(out, "&quot;"); break;
        case '\'': buf_str(out, "&apos;"); break;
        default:   utf8_put(out, is_allowed(cp) ? cp : 0xfffd);
        }
    }
}

static void indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_str(out, "  ");
}

void xml_element(struct buf *out, unsigned depth, const char *name, struct view text)
{
    indent(out, depth);
    buf_printf(out, "<%s>", name);
    xml_text(out, text);
    buf_printf(out, "</%s>\n", name);
}

void xml_number(struct buf *out, unsigned depth, const char *name, uint64_t number)
{
    indent(out, depth);
    buf_printf(out, "<%s>%llu</%s>\n", name, (unsigned long long)number, name);
}

void xml_open(struct buf *out, unsigned depth, const char *name)
{
    indent(out, depth);
    buf_printf(out, "<%s>\n", name);
}

void xml_close(struct buf *out, unsigned depth, const char *name)
{
    indent(out, depth);
    buf_printf(out, "</%s>\n", name);
}
