/* Unit tests of store/mailbox_deleted: what was removed comes back, is seen by nobody meanwhile, and goes in the end. */
#include "store/store_fixture.h"

#include "base/clock.h"
#include "store/mailbox_deleted.h"
#include "store/mailbox_internal.h"
#include "store/verify.h"

#define INBOX FOLDER_INBOX

static struct mailbox *a_mailbox(struct fixture *f)
{
    struct mailbox *mb = NULL;
    store_keep_deleted(f->s, 14 * 86400);
    assert_int_equal(mailbox_open(f->s, fixture_account(f, "alice@ici.test"), &mb), RC_OK);
    return mb;
}

static void fill(struct fixture *f, struct mailbox *mb, uint64_t folder, size_t n, uint32_t flags)
{
    struct new_item item = {.blob = fixture_blob(f, VIEW("Subject: x\r\n\r\nbody\r\n")), .size = 20, .flags = flags, .internaldate = 1700000000,
                            .envelope = VIEW("(NIL \"x\" NIL)"), .structure = VIEW("str"), .index = VIEW("idx")};
    struct born born;
    uint32_t uidvalidity;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(mailbox_append(mb, folder, &item, 1, &born, &uidvalidity), RC_OK);
}

static struct folder look(struct fixture *f, struct mailbox *mb, uint64_t id)
{
    struct folder folder;
    assert_int_equal(mailbox_folder_by_id(mb, id, &f->a, &folder), RC_OK);
    return folder;
}

static size_t kept(struct fixture *f, struct mailbox *mb, struct deleted_item **out)
{
    size_t n;
    assert_int_equal(mailbox_deleted(mb, 0, 1000, &f->a, out, &n), RC_OK);
    return n;
}

static void what_is_expunged_comes_back_as_new(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = a_mailbox(f);
    struct deleted_item *d;
    struct change *changes;
    uint32_t *gone;
    size_t n, n_gone;
    uint64_t modseq, before;

    fill(f, mb, INBOX, 3, FLAG_SEEN | FLAG_FLAGGED);
    const struct folder was = look(f, mb, INBOX);
    const uint32_t two[] = {1, 3};
    struct flagged *flagged;
    assert_int_equal(mailbox_flag(mb, INBOX, two, 2, FLAGS_ADD, FLAG_DELETED, VIEW(""), UINT64_MAX, &f->a, &flagged, &n), RC_OK);
    assert_int_equal(mailbox_folder_modseq(mb, INBOX, &before), RC_OK);
    assert_int_equal(mailbox_expunge(mb, INBOX, NULL, 0, &f->a, &gone, &n_gone, &modseq), RC_OK);
    assert_int_equal(n_gone, 2);
    assert_int_equal(look(f, mb, INBOX).exists, 1);
    assert_int_equal(look(f, mb, INBOX).bytes, 20);
    assert_int_equal(look(f, mb, INBOX).deleted, 0);
    assert_int_equal(mailbox_vanished(mb, INBOX, before, &f->a, &gone, &n_gone), RC_OK);
    assert_true(n_gone == 2 && gone[0] == 1 && gone[1] == 3);

    assert_int_equal(kept(f, mb, &d), 2);
    assert_true(d[0].id > d[1].id && view_eq(d[0].folder, VIEW("INBOX")) && view_eq(d[0].envelope, VIEW("(NIL \"x\" NIL)")));
    assert_true(d[0].deleted_s > 1700000000 && d[0].size == 20);
    const uint64_t ids[] = {d[1].id, d[0].id, 999999, d[0].id};
    assert_int_equal(mailbox_restore(mb, ids, 4, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(kept(f, mb, &d), 0);
    const struct folder now = look(f, mb, INBOX);
    assert_true(now.exists == 3 && now.bytes == was.bytes && now.unseen == 0 && now.deleted == 0 && now.uidnext == was.uidnext + 2);
    assert_int_equal(mailbox_changes(mb, INBOX, modseq, &f->a, &changes, &n, &modseq), RC_OK);
    assert_true(n == 2 && changes[0].kind == CHANGE_NEW && changes[0].uid == 4 && changes[1].uid == 5);
    assert_int_equal(changes[0].flags, FLAG_SEEN | FLAG_FLAGGED);
    struct item item;
    assert_int_equal(mailbox_item(mb, INBOX, 5, ITEM_ENVELOPE, &f->a, &item), RC_OK);
    assert_true(view_eq(item.envelope, VIEW("(NIL \"x\" NIL)")));
    mailbox_close(mb);
}

static void a_folder_that_goes_leaves_its_messages(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = a_mailbox(f);
    struct deleted_item *d;
    uint64_t work, other, ids[8];
    size_t n;

    assert_int_equal(mailbox_folder_create(mb, VIEW("Work"), FOLDER_PLAIN, &work), RC_OK);
    assert_int_equal(mailbox_folder_create(mb, VIEW("Other"), FOLDER_PLAIN, &other), RC_OK);
    fill(f, mb, work, 3, 0);
    fill(f, mb, other, 2, 0);
    fill(f, mb, INBOX, 1, 0);
    assert_int_equal(mailbox_folder_delete(mb, VIEW("Work")), RC_OK);
    const uint32_t one = 1;
    assert_int_equal(mailbox_remove(mb, other, &one, 1), RC_OK); /* numbers go on above those */
    assert_int_equal(mailbox_remove(mb, INBOX, &one, 1), RC_OK);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("Other"), VIEW("Renamed")), RC_OK);
    assert_int_equal(kept(f, mb, &d), 5);
    assert_true(view_eq(d[0].folder, VIEW("INBOX")) && view_eq(d[1].folder, VIEW("Renamed")) && d[2].folder.n == 0);
    for (size_t i = 0; i < 5; i++) {
        ids[i] = d[i].id;
        assert_true(i == 0 || ids[i] < ids[i - 1]);
    }
    struct deleted_item *page;
    assert_int_equal(mailbox_deleted(mb, ids[1], 2, &f->a, &page, &n), RC_OK);
    assert_true(n == 2 && page[0].id == ids[2] && page[1].id == ids[3]);
    assert_int_equal(mailbox_restore(mb, ids, 5, &n), RC_OK);
    assert_int_equal(n, 5);
    assert_int_equal(look(f, mb, INBOX).exists, 4);
    assert_int_equal(look(f, mb, INBOX).uidnext, 6);
    assert_int_equal(look(f, mb, other).exists, 2);
    mailbox_close(mb);
}

static uint64_t damage(struct fixture *f)
{
    const struct verify_settings set = {0};
    struct verify_stats stats;
    assert_int_equal(store_verify(f->s, &set, &stats), RC_OK);
    return stats.damage;
}

static void what_was_kept_long_enough_goes_for_good(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = a_mailbox(f);
    struct deleted_item *d;
    uint64_t *blobs, gone;
    uint32_t uids[700];
    size_t n;

    fill(f, mb, INBOX, 700, 0);
    for (uint32_t i = 0; i < 700; i++)
        uids[i] = i + 1;
    assert_int_equal(mailbox_remove(mb, INBOX, uids, 700), RC_OK);
    assert_int_equal(mailbox_blobs(mb, &blobs, &n), RC_OK); /* compaction leaves them alone */
    assert_int_equal(n, 1);
    free(blobs);
    assert_int_equal(damage(f), 0);
    assert_int_equal(store_purge(f->s, &gone), RC_OK);
    assert_int_equal(gone, 0);
    assert_int_equal(mailbox_purge(mb, clock_real_s() + 10, 10, &n), RC_OK);
    assert_int_equal(n, 10);
    assert_int_equal(kept(f, mb, &d), 690);
    store_keep_deleted(f->s, -10);
    assert_int_equal(store_maintain(f->s, true), RC_OK);
    assert_int_equal(kept(f, mb, &d), 0);
    assert_int_equal(mailbox_blobs(mb, &blobs, &n), RC_OK);
    assert_int_equal(n, 0);
    free(blobs);
    store_keep_deleted(f->s, 0); /* off: nothing is kept */
    fill(f, mb, INBOX, 1, 0);
    const uint32_t last = 701;
    assert_int_equal(mailbox_remove(mb, INBOX, &last, 1), RC_OK);
    assert_int_equal(kept(f, mb, &d), 0);
    mailbox_close(mb);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(what_is_expunged_comes_back_as_new),
        WITH_STORE(a_folder_that_goes_leaves_its_messages),
        WITH_STORE(what_was_kept_long_enough_goes_for_good),
    };
    return cmocka_run_group_tests_name("mailbox_deleted", tests, NULL, NULL);
}
