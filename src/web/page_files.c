#include "web/page_files.h"

/* A build without the front end: the API serves, /admin/ says that there are no pages. */
const struct page_file page_files[] = {{.path = NULL}};
