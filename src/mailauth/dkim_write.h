/* mailauth/dkim_write: a folded tag=value field as signers write it, b= last to be known. Inside of mailauth/ only. Pure. */
#ifndef MAILAUTH_DKIM_WRITE_H
#define MAILAUTH_DKIM_WRITE_H

#include "base/buf.h"
#include "mailauth/dkim_fields.h"
#include "mailauth/dkim_sign.h"

#define DKIM_WRITE_FOLD 76

/* The names of one h=, one for each instance that is signed. */
struct dkim_names {
    struct view name[DKIM_SIGN_FIELDS_MAX];
    size_t n;
};
/* Those that we sign of this header; for ARC its DKIM-Signature fields too. */
void dkim_names_choose(const struct dkim_fields *f, bool for_arc, struct dkim_names *out);
/* Those given, as often as given. */
void dkim_names_given(const struct view *names, size_t n, struct dkim_names *out);

/* A field that is being written, its b= empty until the end. */
struct dkim_writer {
    struct buf text;
    size_t line;         /* where the current line began */
    size_t n_tags;
    size_t b_at, b_line; /* where b= goes, and where its line began */
    bool is_b_one_line;  /* no folds in b=: seals sign them, and sealers leave them out */
    bool ends_line;      /* what follows b= begins a line, so that b= moves nothing */
};
void dkim_write_begin(struct dkim_writer *w, const char *name);
/* " tag=value", on a new line where it does not fit. */
void dkim_write_tag(struct dkim_writer *w, const char *tag, struct view value);
void dkim_write_number(struct dkim_writer *w, const char *tag, int64_t n);
void dkim_write_base64(struct dkim_writer *w, const char *tag, struct view bytes);
/* h=: names separated by colons, folded wherever needed. */
void dkim_write_names(struct dkim_writer *w, const struct view *names, size_t n);
/* The place of b=; once. */
void dkim_write_b(struct dkim_writer *w);
/* Appends the relaxed form of the field itself, without CRLF: what is signed last. */
void dkim_write_canonical(const struct dkim_writer *w, struct buf *out);
/* SHA-256 of the fields so named, each name once more from the bottom up, and of the field itself (RFC 6376 §3.7). */
enum rc dkim_write_digest(const struct dkim_writer *w, struct dkim_fields *f, const struct view *names, size_t n,
                          uint8_t out[SHA256_SIZE]);
/* Appends the field with its b= and CRLF. The first failure since dkim_write_begin. */
enum rc dkim_write_end(struct dkim_writer *w, struct view signature, struct buf *out);
void dkim_write_clear(struct dkim_writer *w);

/* Whether it can be written as d= or s=: A-labels. */
bool dkim_write_is_domain(struct view v);
/* Signs the digest and checks what came back. RC_TEMP: not a signature. */
enum rc dkim_write_sign(dkim_sign_fn sign, void *ctx, struct view domain, struct view selector, enum dkim_algorithm algorithm,
                        const uint8_t digest[SHA256_SIZE], struct buf *signature);

#endif
