"""Deleted messages come back for a while: whichever way they went, seen by no client meanwhile, gone for good in the end."""
import re

import pytest

pytestmark = pytest.mark.sanitize
ANNE = "anne@ici.test"


def mail(n):
    return ("From: =?utf-8?q?Andr=C3=A9?= <a@example.test>\r\nTo: anne@ici.test\r\nSubject: =?utf-8?q?num=C3=A9ro?= %d\r\n"
            "Message-ID: <%d@example.test>\r\n\r\nHello %d\r\n" % (n, n, n)).encode()


def listed(ici):
    return ici.json("account", "undelete", ANNE, "--list")


def subjects(ici, folder="INBOX"):
    return sorted(int(re.search(rb"Hello (\d)", m)[1]) for m in ici.messages(ANNE, folder))


def test_what_went_comes_back(ici):
    for n in range(6):
        ici.send("a@example.test", ANNE, mail(n))
    ici.wait_messages(ANNE, 6)
    m = ici.imap(ANNE, folder="INBOX")
    assert m.create("Work")[0] == "OK" and m.uid("MOVE", "4", "Work")[0] == "OK"
    m.store("1:2", "+FLAGS", "(\\Deleted \\Flagged)")
    assert m.expunge()[1][-2:] == [b"2", b"1"]  # after that of the MOVE
    assert m.select("INBOX")[1] == [b"3"]
    assert m.delete("Work")[0] == "OK"
    m.logout()
    p = ici.pop3(ANNE)
    p.dele(1)
    p.quit()
    assert subjects(ici) == [4, 5]
    kept = listed(ici)
    assert [(k["subject"], k["folder"]) for k in kept] == [("numéro 2", "INBOX"), ("numéro 3", ""), ("numéro 1", "INBOX"), ("numéro 0", "INBOX")]
    assert kept[0]["from"] == "André <a@example.test>" and kept[0]["size"] > 100
    verified = ici.json("store", "verify")
    assert verified["messages"] >= 2 and verified["damage"] == 0 and verified["unreferenced"] == 0

    idle = ici.imap(ANNE, folder="INBOX")  # sees them arrive
    assert ici.json("account", "undelete", ANNE, "--since", "2999-01-01") == {"restored": 0}
    assert ici.json("account", "undelete", ANNE) == {"restored": 4}
    assert listed(ici) == [] and subjects(ici) == [0, 1, 2, 3, 4, 5]
    idle.noop()
    assert idle.response("EXISTS")[1][-1] == b"6"
    flags = idle.uid("FETCH", "7:*", "(FLAGS)")[1]
    assert len(flags) == 4 and sum(b"\\Flagged" in f for f in flags) == 2 and not any(b"\\Deleted" in f for f in flags)
    idle.logout()


def test_a_backup_has_them(ici, tmp_path_factory):
    m = ici.imap(ANNE, folder="INBOX")
    m.store("1", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    folder = ici.dir + "/backup"
    ici.run("backup", folder)
    ici.run("account", "undelete", ANNE)
    assert subjects(ici) == [0, 1, 2, 3, 4, 5] and ici.json("store", "verify")["damage"] == 0


def test_switched_off_they_go_at_once(ici):
    m = ici.imap(ANNE, folder="INBOX")
    m.store("1", "+FLAGS", "\\Deleted")
    m.expunge()
    assert len(listed(ici)) == 1
    ici.write(ici.text + "limits {\n    keep-deleted = 0s\n}\n")
    ici.process.send_signal(1)
    ici.wait_log(r"process\.reloaded .*access")
    m.store("1", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    assert len(listed(ici)) == 1
    assert ici.json("store", "compact")["purged"] == 1  # what is kept still, is kept no longer
    assert listed(ici) == [] and ici.json("store", "verify")["damage"] == 0


def test_commands_say_what_is_wrong(ici):
    for args, code, words in (((ANNE, "--since", "yesterday"), 2, "is no date"), (("x@ici.test",), 1, "no account"), ((), 2, "usage")):
        r = ici.run("account", "undelete", *args, check=False)
        assert r.returncode == code and words in r.stderr
