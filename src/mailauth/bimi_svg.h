/* mailauth/bimi_svg: is a drawing an SVG Tiny Portable/Secure logo (draft-svg-tiny-ps-abrotman), so that a mail program can show it
 * without running, fetching or revealing anything? Read by libxml2 without entities, network or DTD, and bounded.
 * Pure; any thread. The input is hostile. */
#ifndef MAILAUTH_BIMI_SVG_H
#define MAILAUTH_BIMI_SVG_H

#include "base/arena.h"

#define BIMI_SVG_MAX       (32u << 10) /* bytes, uncompressed, as the guidelines of mailbox providers have it */
#define BIMI_SVG_DEPTH_MAX 64
#define BIMI_SVG_NODES_MAX 5000

enum bimi_svg_fault {
    BIMI_SVG_OK,
    BIMI_SVG_TOO_LARGE,
    BIMI_SVG_NOT_SVG,   /* not XML, not SVG, or with a document type that could define anything */
    BIMI_SVG_PROFILE,   /* baseProfile is not tiny-ps, or version another than 1.2 */
    BIMI_SVG_TITLE,     /* no <title>, or an empty one */
    BIMI_SVG_ROOT,      /* x or y on the root */
    BIMI_SVG_ELEMENT,   /* an element that the profile does not have: scripts, animation, images */
    BIMI_SVG_REFERENCE, /* to something outside the file */
    BIMI_SVG_ATTRIBUTE, /* of an event, or a style that could load something */
    BIMI_SVG_NO_MEMORY,
};
/* "" for OK; else "LOGO_INVALID_ELEMENT" and the like, as others name them. */
const char *bimi_svg_code(enum bimi_svg_fault fault);
/* The same as an English sentence, for people; health_words has its French. */
const char *bimi_svg_words(enum bimi_svg_fault fault);

struct bimi_svg {
    enum bimi_svg_fault fault;
    struct view detail; /* the element or attribute; may be empty */
    long line;          /* 0: unknown */
    struct view text;   /* the drawing itself, uncompressed; in the arena */
    struct view title;
    bool has_version;   /* version="1.2", which strict readers want */
    bool is_square;     /* of its viewBox; true where there is none */
};
/* svg or svgz. */
void bimi_svg_check(struct view bytes, struct arena *a, struct bimi_svg *out);

#endif
