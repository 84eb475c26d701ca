/* For the tests of verify, backup and salvage: accounts full of messages that can be told apart and counted. */
#ifndef STORE_TOOLS_FIXTURE_H
#define STORE_TOOLS_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "store/mailbox.h"
#include "store/rebuild.h"
#include "store/store_fixture.h"
#include "store/store_internal.h"
#include "store/verify.h"

#define MESSAGE_MAX 9000

static inline size_t make_message(unsigned n, char out[MESSAGE_MAX + 200])
{
    int at = snprintf(out, 200, "Message-ID: <m%u@ici.test>\r\nSubject: number %u\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n\r\n", n, n);
    size_t size = (size_t)at + (n * 7919) % MESSAGE_MAX;
    uint64_t x = n + 1;
    for (size_t i = (size_t)at; i < size; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (char)('a' + (x >> 33) % 26);
    }
    return size;
}

static inline uint64_t add_to(struct store *s, uint64_t account, const char *path, unsigned n, uint32_t flags)
{
    char text[MESSAGE_MAX + 200];
    struct view message = view_of(text, make_message(n, text));
    struct new_item item = {.flags = flags, .internaldate = 1780000000 + n};
    struct mailbox *mb;
    struct born born;
    struct arena a;
    uint64_t folder;
    uint32_t v;

    arena_init(&a, 8u << 20);
    assert_int_equal(mailbox_open(s, account, &mb), RC_OK);
    assert_int_equal(rebuild_folder(mb, view_str(path), FOLDER_PLAIN, &a, &folder), RC_OK);
    assert_int_equal(mailbox_describe(message, &a, &item), RC_OK);
    assert_int_equal(rebuild_copy(s, account, message, 0, &item.blob), RC_OK);
    assert_int_equal(blob_sync(s), RC_OK);
    assert_int_equal(mailbox_append(mb, folder, &item, 1, &born, &v), RC_OK);
    mailbox_close(mb);
    arena_clear(&a);
    return item.blob;
}

/* How often the account has message n, by its Message-ID and whole text, for n < max. `flags` may be NULL. */
static inline void count_messages(struct store *s, uint64_t account, unsigned *seen, uint32_t *flags, unsigned max)
{
    struct mailbox *mb;
    struct folder *folders;
    struct item *items;
    struct arena a;
    size_t n, n_items;

    memset(seen, 0, max * sizeof *seen);
    arena_init(&a, 64u << 20);
    assert_int_equal(mailbox_open(s, account, &mb), RC_OK);
    assert_int_equal(mailbox_folders(mb, &a, &folders, &n), RC_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mailbox_items(mb, folders[i].id, 1, UINT32_MAX, 0, ITEM_THREADING, 100000, &a, &items, &n_items), RC_OK);
        assert_int_equal(n_items, folders[i].exists);
        for (size_t k = 0; k < n_items; k++) {
            char text[MESSAGE_MAX + 200];
            struct blob blob;
            struct view id = items[k].message_id;
            uint32_t number;
            assert_true(view_take(&id, VIEW("m")));
            assert_int_equal(view_u32(&id, UINT32_MAX, &number), RC_OK);
            assert_true(number < max);
            size_t size = make_message(number, text);
            assert_int_equal(blob_open(s, items[k].blob, true, &blob), RC_OK);
            assert_int_equal(blob.bytes.n, size);
            assert_memory_equal(blob.bytes.p, text, size);
            blob_close(&blob);
            seen[number]++;
            if (flags)
                flags[number] = items[k].flags;
        }
    }
    mailbox_close(mb);
    arena_clear(&a);
}

static inline void note_finding(void *ctx, const struct finding *f)
{
    unsigned *n = ctx;
    n[f->kind]++;
}

/* Findings by kind. */
static inline uint64_t verify(struct store *s, unsigned n[FINDING_GAP + 1])
{
    struct verify_settings set = {.found = note_finding, .ctx = n, .young_s = -1};
    struct verify_stats stats;

    memset(n, 0, (FINDING_GAP + 1) * sizeof *n);
    assert_int_equal(store_verify(s, &set, &stats), RC_OK);
    return stats.damage;
}

static inline void change_file(const char *path, long offset, const char *bytes, size_t n)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, offset), n);
    close(fd);
}

#endif
