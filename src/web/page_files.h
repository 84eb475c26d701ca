/* web/page_files: the front end as it was built, embedded. The table is made at build time. */
#ifndef WEB_PAGE_FILES_H
#define WEB_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct page_file {
    const char *path;          /* below /admin/: "index.html", "assets/app-3f2a91.js"; NULL ends the table */
    const char *type;          /* "text/javascript; charset=utf-8" */
    const char *etag;          /* with quotes, of the content */
    bool is_hashed;            /* its name changes with its content: may be kept for ever */
    const unsigned char *gzip; /* the content, compressed */
    size_t n_gzip, n;          /* compressed; as it is */
};
extern const struct page_file page_files[];

#endif
