/* app/maildir: Maildir and Maildir++ as Dovecot and Courier lay them out, read and written so that nothing is lost.
 *     PATH/{cur,new,tmp}            INBOX              PATH/.A.B/{cur,new,tmp}     folder A/B (levels in modified UTF-7)
 *     cur/NAME:2,FLAGS              D draft, F flagged, R answered, S seen, T deleted, a-z: keywords named in dovecot-keywords
 * The received date is the file's modification time. I/O: files; single-threaded. */
#ifndef APP_MAILDIR_H
#define APP_MAILDIR_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define MAILDIR_KEYWORDS 26
#define MAILDIR_FOLDERS_MAX 10000

struct maildir_folder {
    struct view path;  /* "INBOX", "A/B" in UTF-8 */
    const char *dir;   /* where its cur and new are */
};
/* INBOX first. RC_SYNTAX: PATH has no cur folder. */
enum rc maildir_folders(const char *path, struct arena *a, struct maildir_folder **out, size_t *n);
struct maildir_keywords {
    char *name[MAILDIR_KEYWORDS]; /* NULL: none */
};
/* dovecot-keywords of a folder; none is fine. */
enum rc maildir_read_keywords(const char *dir, struct arena *a, struct maildir_keywords *out);
struct maildir_message {
    const char *file;  /* full path */
    uint32_t flags;
    struct view keywords;
    int64_t date;
};
/* cur and new, by date and name. */
enum rc maildir_messages(const char *dir, struct arena *a, struct maildir_message **out, size_t *n);

/* The folder for a path, made with cur, new and tmp below `root`. */
enum rc maildir_make(const char *root, struct view path, struct arena *a, const char **dir);
/* Letters for the keywords; a new one gets the next letter. RC_LIMIT: a 27th (the other letters are still right). */
enum rc maildir_letters(struct maildir_keywords *k, struct view keywords, struct arena *a, char letters[MAILDIR_KEYWORDS + 1]);
enum rc maildir_write_keywords(const char *dir, const struct maildir_keywords *k);
/* Written to tmp and renamed into cur; file time = date. `unique` tells this message from others of the same second. */
enum rc maildir_write(const char *dir, struct view message, uint32_t flags, const char *letters, int64_t date, uint64_t unique);

#endif
