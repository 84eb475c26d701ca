/* Countries of addresses by libmaxminddb. */
#include <arpa/inet.h>
#include <maxminddb.h>
#include <stdlib.h>

#include "desk/naming.h"

struct country_file {
    MMDB_s db;
};

enum rc country_open(const char *path, struct country_file **out)
{
    struct country_file *f = calloc(1, sizeof *f);
    if (!f)
        return RC_TEMP;
    int code = MMDB_open(path, MMDB_MODE_MMAP, &f->db);
    if (code != MMDB_SUCCESS) {
        free(f);
        return code == MMDB_FILE_OPEN_ERROR ? RC_NOTFOUND : RC_CORRUPT;
    }
    *out = f;
    return RC_OK;
}

void country_close(struct country_file *f)
{
    if (!f)
        return;
    MMDB_close(&f->db);
    free(f);
}

struct view country_of(const struct country_file *f, struct view ip)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    MMDB_entry_data_s data;
    int code = MMDB_SUCCESS;
    if (!f || (ip.n != 4 && ip.n != 16))
        return VIEW("");
    memcpy(ip.n == 4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, ip.p, ip.n);
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&f->db, ip.n == 4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, &code);
    if (code != MMDB_SUCCESS || !found.found_entry || MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL) != MMDB_SUCCESS ||
        !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2)
        return VIEW("");
    return view_of(data.utf8_string, 2);
}
