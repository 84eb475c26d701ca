/* Unit tests of store/mailbox: folders, items, the log, and that each delivery is there once. */
#include "store/store_fixture.h"

#include "store/bus.h"
#include "store/mailbox_internal.h"

#define INBOX FOLDER_INBOX

static struct mailbox *open_mailbox(struct fixture *f, uint64_t account)
{
    struct mailbox *mb = NULL;
    assert_int_equal(mailbox_open(f->s, account, &mb), RC_OK);
    return mb;
}

static struct new_item an_item(uint64_t source)
{
    return (struct new_item){.blob = 77, .skip = 2, .size = 1000, .internaldate = 1700000000, .sent_date = 1600000000,
                             .envelope = VIEW("env"), .structure = VIEW("str"), .index = VIEW("idx"),
                             .message_id = VIEW("<a@b>"), .subject_base = VIEW("hi\xff"), .source = source};
}

static void fill(struct mailbox *mb, uint64_t folder, size_t n)
{
    struct new_item items[64];
    struct born born[64];
    uint32_t uidvalidity;

    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        items[i] = an_item(0);
    assert_int_equal(mailbox_append(mb, folder, items, n, born, &uidvalidity), RC_OK);
    assert_true(uidvalidity > 0);
}

static uint64_t path_id(struct fixture *f, struct mailbox *mb, const char *path)
{
    struct folder folder;
    assert_int_equal(mailbox_folder(mb, view_str(path), &f->a, &folder), RC_OK);
    return folder.id;
}

static void new_accounts_have_their_folders(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test")), *none;
    static const char *const names[] = {"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"};
    struct folder *list, one;
    size_t n;

    assert_int_equal(mailbox_open(f->s, 4711, &none), RC_NOTFOUND);
    assert_int_equal(mailbox_folders(mb, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(view_eq(list[i].path, view_str(names[i])));
        assert_int_equal(list[i].uidnext, 1);
        assert_int_equal(list[i].exists, 0);
        assert_true(list[i].modseq > 0);
        assert_true(list[i].subscribed);
        for (size_t j = 0; j < i; j++)
            assert_true(list[i].uidvalidity != list[j].uidvalidity);
    }
    assert_int_equal(mailbox_folder(mb, VIEW("inBOX"), &f->a, &one), RC_OK);
    assert_int_equal(one.role, FOLDER_INBOX);
    assert_true(view_eq(one.path, VIEW("INBOX")));
    assert_int_equal(mailbox_folder(mb, VIEW("sent"), &f->a, &one), RC_NOTFOUND);
    assert_int_equal(mailbox_folder_by_role(mb, FOLDER_TRASH, &f->a, &one), RC_OK);
    assert_true(view_eq(one.path, VIEW("Trash")));
    assert_int_equal(mailbox_folder_by_id(mb, one.id, &f->a, &one), RC_OK);
    assert_int_equal(mailbox_folder_by_id(mb, 99999, &f->a, &one), RC_NOTFOUND);
    mailbox_close(mb);
}

static void folder_names_are_checked(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    static const struct {
        const char *path;
        enum rc rc;
    } cases[] = {
        {"work", RC_OK},          {"work", RC_EXISTS},    {"Inbox", RC_EXISTS},     {"a/b/c", RC_OK},
        {"a/b", RC_EXISTS},       {"inbox/x", RC_OK},     {"INBOX/x", RC_EXISTS},   {"Caf\xc3\xa9", RC_OK},
        {"", RC_SYNTAX},          {"/", RC_SYNTAX},       {"a/", RC_SYNTAX},        {"/a", RC_SYNTAX},
        {"a//b", RC_SYNTAX},      {"..", RC_SYNTAX},      {"a/../b", RC_SYNTAX},    {".", RC_SYNTAX},
        {"a\nb", RC_SYNTAX},      {"a\x7f", RC_SYNTAX},   {"\xff", RC_SYNTAX},      {"' OR 1=1 --", RC_OK},
        {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20", RC_OK},
        {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21", RC_LIMIT},
    };
    char longest[FOLDER_NAME_MAX + 2];
    uint64_t id;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].path);
        char *exact = malloc(n);
        memcpy(exact, cases[i].path, n);
        assert_int_equal(mailbox_folder_create(mb, view_of(exact, n), FOLDER_PLAIN, &id), cases[i].rc);
        assert_true((id != 0) == (cases[i].rc == RC_OK));
        free(exact);
    }
    memset(longest, 'x', sizeof longest);
    assert_int_equal(mailbox_folder_create(mb, view_of(longest, FOLDER_NAME_MAX), FOLDER_PLAIN, &id), RC_OK);
    assert_int_equal(mailbox_folder_create(mb, view_of(longest, FOLDER_NAME_MAX + 1), FOLDER_PLAIN, &id), RC_LIMIT);
    assert_int_equal(mailbox_folder_create(mb, VIEW("Sent2"), FOLDER_SENT, &id), RC_DENIED);
    mailbox_close(mb);
}

static void folders_are_renamed_with_all_below(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    struct folder before, after, *list;
    uint64_t id;
    size_t n;

    assert_int_equal(mailbox_folder_create(mb, VIEW("a/b/c"), FOLDER_PLAIN, &id), RC_OK);
    fill(mb, id, 3);
    assert_int_equal(mailbox_folder(mb, VIEW("a/b/c"), &f->a, &before), RC_OK);
    assert_int_equal(before.exists, 3);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("a"), VIEW("x/y")), RC_OK);
    assert_int_equal(mailbox_folder(mb, VIEW("a"), &f->a, &after), RC_NOTFOUND);
    assert_int_equal(mailbox_folder(mb, VIEW("x/y/b/c"), &f->a, &after), RC_OK);
    assert_int_equal(after.id, before.id);
    assert_int_equal(after.uidvalidity, before.uidvalidity);
    assert_true(view_eq(after.path, VIEW("x/y/b/c")));
    assert_int_equal(mailbox_folder(mb, VIEW("x"), &f->a, &after), RC_OK);
    assert_true(after.has_children);
    assert_int_equal(mailbox_folders(mb, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 10);
    assert_true(view_eq(list[9].path, VIEW("x/y/b/c")));

    assert_int_equal(mailbox_folder_rename(mb, VIEW("x"), VIEW("x/z")), RC_DENIED);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("x"), VIEW("inbox")), RC_EXISTS);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("nowhere"), VIEW("z")), RC_NOTFOUND);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("x"), VIEW("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18")), RC_LIMIT);
    assert_int_equal(mailbox_folder(mb, VIEW("1"), &f->a, &after), RC_NOTFOUND); /* nothing of it was done */

    assert_int_equal(mailbox_folder_delete(mb, VIEW("x")), RC_DENIED);
    assert_int_equal(mailbox_folder_delete(mb, VIEW("INBOX")), RC_DENIED);
    assert_int_equal(mailbox_folder_delete(mb, VIEW("x/y/b/c")), RC_OK);
    assert_int_equal(mailbox_folder_delete(mb, VIEW("x/y/b/c")), RC_NOTFOUND);
    uint64_t again;
    assert_int_equal(mailbox_folder_create(mb, VIEW("x/y/b/c"), FOLDER_PLAIN, &again), RC_OK);
    assert_true(again > id);
    assert_int_equal(mailbox_folder_by_id(mb, again, &f->a, &after), RC_OK);
    assert_true(after.uidvalidity > before.uidvalidity); /* RFC 3501 §2.3.1.1 */
    assert_int_equal(after.exists, 0);
    assert_int_equal(mailbox_folder_subscribe(mb, VIEW("x/y/b/c"), true), RC_OK);
    assert_int_equal(mailbox_folder_by_id(mb, again, &f->a, &after), RC_OK);
    assert_true(after.subscribed);
    assert_int_equal(mailbox_folder_subscribe(mb, VIEW("none"), true), RC_NOTFOUND);
    mailbox_close(mb);
}

static void renaming_inbox_moves_its_messages(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    struct folder inbox, old;
    uint64_t id;

    assert_int_equal(mailbox_folder_create(mb, VIEW("INBOX/sub"), FOLDER_PLAIN, &id), RC_OK);
    fill(mb, INBOX, 5);
    assert_int_equal(mailbox_folder_rename(mb, VIEW("inbox"), VIEW("old/mail")), RC_OK);
    assert_int_equal(mailbox_folder(mb, VIEW("INBOX"), &f->a, &inbox), RC_OK);
    assert_int_equal(inbox.exists, 0);
    assert_int_equal(inbox.uidnext, 6);
    assert_true(inbox.has_children);
    assert_int_equal(mailbox_folder(mb, VIEW("old/mail"), &f->a, &old), RC_OK);
    assert_int_equal(old.exists, 5);
    assert_int_equal(old.unseen, 5);
    assert_int_equal(old.bytes, 5000);
    mailbox_close(mb);
}

static void items_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    uint64_t account = fixture_account(f, "alice@ici.test");
    struct mailbox *mb = open_mailbox(f, account);
    struct new_item in = an_item(0);
    struct item it, *list;
    struct born born;
    struct folder folder;
    uint32_t uidvalidity, *uids;
    size_t n;

    in.flags = FLAG_SEEN | 0x100; /* unknown bits are dropped */
    in.keywords = VIEW("$Junk  work $junk");
    assert_int_equal(mailbox_append(mb, INBOX, &in, 1, &born, &uidvalidity), RC_OK);
    assert_int_equal(born.uid, 1);
    assert_int_equal(born.id, born.modseq);
    mailbox_close(mb);
    fixture_reopen(f);
    mb = open_mailbox(f, account);
    assert_int_equal(mailbox_item(mb, INBOX, 1, ITEM_ENVELOPE | ITEM_STRUCTURE | ITEM_INDEX | ITEM_THREADING, &f->a, &it), RC_OK);
    assert_int_equal(it.id, born.id);
    assert_int_equal(it.thread, born.id);
    assert_int_equal(it.flags, FLAG_SEEN);
    assert_true(view_eq(it.keywords, VIEW("$Junk work")));
    assert_int_equal(it.internaldate, 1700000000);
    assert_int_equal(it.sent_date, 1600000000);
    assert_int_equal(it.blob, 77);
    assert_int_equal(it.skip, 2);
    assert_int_equal(it.size, 1000);
    assert_true(view_eq(it.envelope, VIEW("env")));
    assert_true(view_eq(it.structure, VIEW("str")));
    assert_true(view_eq(it.index, VIEW("idx")));
    assert_true(view_eq(it.message_id, VIEW("<a@b>")));
    assert_true(view_eq(it.subject_base, VIEW("hi\xff")));
    assert_int_equal(mailbox_item(mb, INBOX, 1, ITEM_FLAGS, &f->a, &it), RC_OK);
    assert_true(view_is_empty(it.envelope));
    assert_int_equal(mailbox_item(mb, INBOX, 2, ITEM_FLAGS, &f->a, &it), RC_NOTFOUND);

    fill(mb, INBOX, 40);
    assert_int_equal(mailbox_uids(mb, INBOX, &f->a, &folder, &uids, &n), RC_OK);
    assert_int_equal(n, 41);
    assert_int_equal(uids[40], 41);
    assert_int_equal(folder.exists, 41);
    assert_int_equal(folder.unseen, 40);
    free(uids);
    assert_int_equal(mailbox_items(mb, INBOX, 5, UINT32_MAX, 0, ITEM_FLAGS, 20, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 20);
    assert_int_equal(list[0].uid, 5);
    assert_int_equal(list[19].uid, 24);
    assert_int_equal(mailbox_items(mb, INBOX, 1, UINT32_MAX, list[19].modseq, ITEM_FLAGS, 100, &f->a, &list, &n), RC_OK);
    assert_int_equal(n, 17);
    assert_int_equal(mailbox_append(mb, 999, &in, 1, &born, &uidvalidity), RC_NOTFOUND);
    mailbox_close(mb);
}

static void flags_change_and_the_log_tells(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    struct folder folder;
    struct flagged *flagged;
    struct change *changes;
    uint64_t start, modseq;
    uint32_t uids[] = {1, 2, 3, 9}, *gone;
    size_t n;

    assert_int_equal(mailbox_folder_modseq(mb, INBOX, &start), RC_OK);
    fill(mb, INBOX, 4);
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 4);
    assert_int_equal(changes[3].kind, CHANGE_NEW);
    start = modseq;
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(modseq, start);

    assert_int_equal(mailbox_flag(mb, INBOX, uids, 4, FLAGS_ADD, FLAG_SEEN | FLAG_DELETED, VIEW("b a"), UINT64_MAX, &f->a,
                                  &flagged, &n), RC_OK);
    assert_int_equal(n, 3);
    assert_true(flagged[0].changed);
    assert_true(view_eq(flagged[0].keywords, VIEW("a b")));
    assert_true(flagged[2].modseq > flagged[0].modseq);
    uint64_t second = flagged[1].modseq;
    assert_int_equal(mailbox_flag(mb, INBOX, uids, 1, FLAGS_ADD, FLAG_SEEN, VIEW("A"), UINT64_MAX, &f->a, &flagged, &n), RC_OK);
    assert_false(flagged[0].changed);
    assert_int_equal(mailbox_flag(mb, INBOX, uids, 3, FLAGS_REMOVE, FLAG_DELETED, VIEW("B"), second, &f->a, &flagged, &n), RC_OK);
    assert_true(flagged[0].changed);
    assert_true(view_eq(flagged[0].keywords, VIEW("a")));
    assert_true(flagged[1].changed);
    assert_true(flagged[2].modified); /* RFC 7162 §3.1.3 */
    assert_false(flagged[2].changed);
    assert_int_equal(flagged[2].flags, FLAG_SEEN | FLAG_DELETED);
    assert_int_equal(mailbox_folder_by_id(mb, INBOX, &f->a, &folder), RC_OK);
    assert_int_equal(folder.unseen, 1);
    assert_int_equal(folder.deleted, 1);
    assert_int_equal(folder.bytes, 4000);

    fill(mb, INBOX, 1); /* 5 */
    assert_int_equal(mailbox_expunge(mb, INBOX, NULL, 0, &f->a, &gone, &n, &modseq), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(gone[0], 3);
    uint32_t five = 5;
    assert_int_equal(mailbox_remove(mb, INBOX, &five, 1), RC_OK);
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 3); /* 5 came and went */
    assert_int_equal(changes[0].uid, 1);
    assert_int_equal(changes[0].kind, CHANGE_FLAGS);
    assert_int_equal(changes[0].flags, FLAG_SEEN);
    assert_true(view_eq(changes[0].keywords, VIEW("a")));
    assert_int_equal(changes[2].uid, 3);
    assert_int_equal(changes[2].kind, CHANGE_GONE);
    assert_int_equal(mailbox_vanished(mb, INBOX, start, &f->a, &gone, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(gone[1], 5);
    assert_int_equal(mailbox_expunge(mb, INBOX, uids, 2, &f->a, &gone, &n, &modseq), RC_OK); /* have no \Deleted */
    assert_int_equal(n, 0);
    assert_int_equal(mailbox_changes(mb, 999, 0, &f->a, &changes, &n, &modseq), RC_NOTFOUND);
    mailbox_close(mb);
}

static void ids_stay_when_items_move(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    uint64_t trash = path_id(f, mb, "Trash"), modseq, start;
    uint32_t uids[] = {2, 3, 17};
    struct copied copied, full;
    struct item was, is;
    struct folder folder;
    struct change *changes;
    uint64_t *blobs;
    size_t n;

    fill(mb, INBOX, 3);
    assert_int_equal(mailbox_folder_modseq(mb, INBOX, &start), RC_OK);
    assert_int_equal(mailbox_item(mb, INBOX, 2, 0, &f->a, &was), RC_OK);
    assert_int_equal(mailbox_move(mb, INBOX, uids, 3, trash, &f->a, &copied), RC_OK);
    assert_int_equal(copied.n, 2);
    assert_int_equal(copied.from[0], 2);
    assert_int_equal(copied.to[0], 1);
    assert_int_equal(mailbox_item(mb, trash, 1, ITEM_ENVELOPE, &f->a, &is), RC_OK);
    assert_int_equal(is.id, was.id);
    assert_true(is.modseq > was.modseq);
    assert_true(view_eq(is.envelope, VIEW("env")));
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 2);
    assert_int_equal(changes[0].kind, CHANGE_GONE);
    assert_int_equal(modseq, copied.modseq);

    assert_int_equal(mailbox_copy(mb, trash, uids, 1, INBOX, UINT64_MAX, &f->a, &copied), RC_OK); /* uid 2 of Trash */
    assert_int_equal(copied.n, 1);
    assert_int_equal(copied.to[0], 4);
    assert_int_equal(mailbox_item(mb, INBOX, 4, ITEM_ENVELOPE, &f->a, &is), RC_OK);
    assert_true(is.id > was.id);
    assert_true(view_eq(is.envelope, VIEW("env")));
    assert_int_equal(mailbox_copy(mb, INBOX, copied.to, 1, INBOX, UINT64_MAX, &f->a, &copied), RC_OK);
    assert_int_equal(mailbox_move(mb, INBOX, copied.to, 1, INBOX, &f->a, &copied), RC_OK);
    assert_int_equal(copied.to[0], 6);
    assert_int_equal(mailbox_folder_by_id(mb, INBOX, &f->a, &folder), RC_OK);
    assert_int_equal(folder.exists, 3);
    assert_int_equal(folder.uidnext, 7);
    assert_int_equal(mailbox_copy(mb, INBOX, copied.to, 1, trash, 0, &f->a, &full), RC_FULL);
    assert_int_equal(mailbox_copy(mb, INBOX, uids, 3, 999, UINT64_MAX, &f->a, &copied), RC_NOTFOUND);
    assert_int_equal(mailbox_blobs(mb, &blobs, &n), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(blobs[0], 77);
    free(blobs);
    mailbox_close(mb);
}

static void each_source_is_delivered_once(void **state)
{
    struct fixture *f = *state;
    uint64_t account = fixture_account(f, "alice@ici.test");
    struct mailbox *mb = open_mailbox(f, account);
    static const uint64_t sources[] = {5, 9, 7, 9, 5, 6, 10, 7, 1};
    static const bool repeated[] = {false, false, false, true, true, false, false, true, false};
    struct delivery d[2] = {{.item = an_item(20)}, {.item = an_item(20)}};
    struct born born[2], first;
    struct folder folder;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        struct delivery one = {.item = an_item(sources[i])};
        if (i == 4) {
            mailbox_close(mb);
            fixture_reopen(f);
            mb = open_mailbox(f, account);
        }
        assert_int_equal(mailbox_deliver(mb, &one, 1, born), RC_OK);
        assert_int_equal(born[0].repeated, repeated[i]);
        if (i == 0)
            first = born[0];
        if (sources[i] == 5) {
            assert_int_equal(born[0].id, first.id);
            assert_int_equal(born[0].uid, first.uid);
        }
    }
    assert_int_equal(mailbox_deliver(mb, d, 2, born), RC_OK); /* within one call too */
    assert_false(born[0].repeated);
    assert_true(born[1].repeated);
    d[0].item.source = 30;
    d[1].item.source = 31;
    d[1].folder = path_id(f, mb, "Junk");
    assert_int_equal(mailbox_deliver(mb, d, 2, born), RC_OK);
    assert_int_equal(born[1].uid, 1);
    assert_int_equal(store_settle(f->s), RC_OK);
    assert_int_equal(mailbox_folder_by_id(mb, INBOX, &f->a, &folder), RC_OK);
    assert_int_equal(folder.exists, 8);
    d[0].item.source = 40;
    d[1].item.source = 41;
    d[1].folder = 999;
    assert_int_equal(mailbox_deliver(mb, d, 2, born), RC_NOTFOUND); /* all or none */
    assert_int_equal(mailbox_folder_by_id(mb, INBOX, &f->a, &folder), RC_OK);
    assert_int_equal(folder.exists, 8);
    mailbox_close(mb);
}

static void recent_is_claimed_once(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    uint32_t from;

    fill(mb, INBOX, 3);
    assert_int_equal(mailbox_folder_claim_recent(mb, INBOX, &from), RC_OK);
    assert_int_equal(from, 1);
    assert_int_equal(mailbox_folder_claim_recent(mb, INBOX, &from), RC_OK);
    assert_int_equal(from, 4);
    assert_int_equal(mailbox_folder_claim_recent(mb, 999, &from), RC_NOTFOUND);
    mailbox_close(mb);
}

struct heard {
    unsigned n;
    uint64_t folder;
};
static void hear(void *ctx, uint64_t account, uint64_t folder)
{
    struct heard *h = ctx;
    (void)account;
    h->n++;
    h->folder = folder;
}

static void watchers_hear_their_folder(void **state)
{
    struct fixture *f = *state;
    uint64_t account = fixture_account(f, "alice@ici.test"), other = fixture_account(f, "bob@ici.test");
    struct mailbox *mb = open_mailbox(f, account);
    struct heard any = {0}, inbox = {0}, foreign = {0}, process = {0};
    struct bus_watch w[3] = {{.account = account, .fn = hear, .ctx = &any},
                             {.account = account, .folder = INBOX, .fn = hear, .ctx = &inbox},
                             {.account = other, .fn = hear, .ctx = &foreign}};
    struct bus_watch never = {0};

    for (int i = 0; i < 3; i++)
        bus_watch(f->s, &w[i]);
    bus_set_forward(f->s, hear, &process);
    fill(mb, INBOX, 2);
    fill(mb, path_id(f, mb, "Sent"), 1);
    assert_int_equal(any.n, 2);
    assert_int_equal(inbox.n, 1);
    assert_int_equal(foreign.n, 0);
    assert_int_equal(process.n, 2);
    bus_receive(f->s, account, INBOX); /* from the other process: not sent back */
    assert_int_equal(inbox.n, 2);
    assert_int_equal(process.n, 2);
    bus_unwatch(f->s, &w[1]);
    bus_unwatch(f->s, &w[1]);
    bus_unwatch(f->s, &never);
    fill(mb, INBOX, 1);
    assert_int_equal(inbox.n, 2);
    assert_int_equal(any.n, 4);
    bus_unwatch(f->s, &w[0]);
    bus_unwatch(f->s, &w[2]);
    mailbox_close(mb);
}

static void idle_databases_are_closed_and_come_back(void **state)
{
    struct fixture *f = *state;
    struct store_settings set = {.data = f->folder, .node = "test", .max_open = 2};
    struct store *s;
    struct mailbox *mb[4];
    const char *why;
    struct folder folder;
    char address[32];
    uint64_t id[4];

    for (int i = 0; i < 4; i++) {
        snprintf(address, sizeof address, "user%d@ici.test", i);
        id[i] = fixture_account(f, address);
    }
    store_close(f->s);
    assert_int_equal(store_open(&set, &f->a, &s, &why), RC_OK);
    f->s = s;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            mb[i] = open_mailbox(f, id[i]);
        for (int i = 0; i < 4; i++) {
            fill(mb[i], INBOX, 1);
            mailbox_close(mb[i]);
        }
    }
    for (int i = 0; i < 4; i++) {
        mb[i] = open_mailbox(f, id[i]);
        assert_int_equal(mailbox_folder_by_id(mb[i], INBOX, &f->a, &folder), RC_OK);
        assert_int_equal(folder.exists, 3);
    }
    assert_int_equal(store_maintain(f->s, true), RC_OK);
    uint64_t gone;
    assert_int_equal(directory_account_remove(f->s, VIEW("user0@ici.test"), &gone), RC_OK);
    struct mailbox *none;
    assert_int_equal(mailbox_open(f->s, gone, &none), RC_NOTFOUND);
    for (int i = 0; i < 4; i++)
        mailbox_close(mb[i]); /* one of them has no file any more */
}

static void the_log_is_trimmed_but_not_what_vanished(void **state)
{
    struct fixture *f = *state;
    struct mailbox *mb = open_mailbox(f, fixture_account(f, "alice@ici.test"));
    struct flagged *flagged;
    struct change *changes;
    uint64_t start, modseq;
    uint32_t uids[1000], *gone, one = 1;
    size_t n;

    assert_int_equal(mailbox_folder_modseq(mb, INBOX, &start), RC_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        if (i % 50 == 0)
            fill(mb, INBOX, 50);
        uids[i] = i + 1;
    }
    assert_int_equal(mailbox_remove(mb, INBOX, &one, 1), RC_OK);
    for (size_t i = 0; i < MAILBOX_LOG_KEEP / 1000 + 30; i++) {
        arena_reset(&f->a);
        assert_int_equal(mailbox_flag(mb, INBOX, uids, 1000, i & 1 ? FLAGS_REMOVE : FLAGS_ADD, FLAG_SEEN, VIEW(""), UINT64_MAX,
                                      &f->a, &flagged, &n), RC_OK);
        assert_int_equal(n, 999);
    }
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 999);
    assert_int_equal(store_maintain(f->s, true), RC_OK);
    assert_int_equal(mailbox_changes(mb, INBOX, start, &f->a, &changes, &n, &modseq), RC_LIMIT);
    assert_int_equal(mailbox_changes(mb, INBOX, modseq - MAILBOX_LOG_KEEP, &f->a, &changes, &n, &modseq), RC_OK);
    assert_int_equal(n, 999);
    assert_int_equal(mailbox_vanished(mb, INBOX, start, &f->a, &gone, &n), RC_OK);
    assert_int_equal(n, 1);
    fill(mb, INBOX, 1);
    mailbox_close(mb);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(new_accounts_have_their_folders),   WITH_STORE(folder_names_are_checked),
        WITH_STORE(folders_are_renamed_with_all_below), WITH_STORE(renaming_inbox_moves_its_messages),
        WITH_STORE(items_come_back_as_they_went_in),   WITH_STORE(flags_change_and_the_log_tells),
        WITH_STORE(ids_stay_when_items_move),          WITH_STORE(each_source_is_delivered_once),
        WITH_STORE(recent_is_claimed_once),            WITH_STORE(watchers_hear_their_folder),
        WITH_STORE(idle_databases_are_closed_and_come_back), WITH_STORE(the_log_is_trimmed_but_not_what_vanished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
