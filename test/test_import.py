"""import and export: mbox and Maildir, byte for byte, flags, keywords and dates kept."""
import mailbox
import os
import re

from lab import SHARED, wait_for


def listing(server, user):
    """{folder: [(message, flags, internaldate)]} over IMAP."""
    out = {}
    m = server.imap(user)
    for line in m.list()[1]:
        name = re.search(rb'"/" (.*)$', line).group(1).strip(b'"').decode()
        m.select('"%s"' % name, readonly=True)
        status, data = m.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        rows = []
        for d in data:
            if isinstance(d, tuple):
                flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", d[0]).group(1).split()) - {b"\\Recent"}
                rows.append((d[1], flags, re.search(rb'INTERNALDATE "([^"]*)"', d[0]).group(1)))
        out[name] = rows
        m.unselect() if "UNSELECT" in m.capabilities else None
    m.logout()
    return out


def fill(server, user):
    m = server.imap(user)
    m.create("Projets/&AOk-t&AOk-.v2")
    m.append("INBOX", "(\\Seen $Important)", '"01-Feb-2020 03:04:05 +0000"', b"Subject: one\r\nStatus: RO\r\n\r\nFrom me\r\n>From you\r\n")
    m.append("INBOX", "(\\Answered \\Flagged)", '"29-Feb-2024 23:59:59 +0000"', b"Subject: two\r\n\r\n\r\n.\r\n")
    m.append("INBOX", "(\\Draft)", '"02-Jan-1999 00:00:00 +0000"', "Subject: déjà\r\n\r\nno end".encode())
    m.append('"Projets/&AOk-t&AOk-.v2"', "(todo later)", '"03-Mar-2021 10:00:00 +0000"', b"Subject: deep\r\n\r\nx\r\n")
    m.logout()


def same(a, b, folder="INBOX"):
    assert sorted(a[folder]) == sorted(b[folder])


def test_maildir_round_trip(ici, tmp_path):
    one, two = ici.account("md1@ici.test"), ici.account("md2@ici.test")
    fill(ici, one)
    out = tmp_path / "maildir"
    assert "4 messages" in ici.run("export", one, str(out))
    assert len(mailbox.Maildir(str(out))) == 3  # another program's reader agrees
    assert ici.json("import", two, str(out))["imported"] == 4
    a, b = listing(ici, one), listing(ici, two)
    assert set(a) == set(b)
    for folder in a:
        same(a, b, folder)


def test_mbox_round_trip(ici, tmp_path):
    one, two = ici.account("mb1@ici.test"), ici.account("mb2@ici.test")
    fill(ici, one)
    out = tmp_path / "inbox.mbox"
    ici.run("export", one, str(out))
    assert len(mailbox.mbox(str(out))) == 3
    ici.run("import", two, str(out))
    a, b = listing(ici, one), listing(ici, two)
    # mbox always ends a line: the message without a last line end gains one
    fix = [(m if m.endswith(b"\r\n") else m + b"\r\n", f, d) for m, f, d in a["INBOX"]]
    assert sorted(fix) == sorted(b["INBOX"])


def test_import_is_seen_by_an_open_session(ici, tmp_path):
    user = ici.account("live@ici.test")
    m = ici.imap(user, folder="INBOX")
    box = tmp_path / "x.mbox"
    box.write_text("From a Sun Nov 22 10:00:00 2026\nSubject: live\n\nx\n\n")
    ici.run("import", user, str(box))
    wait_for("EXISTS", lambda: m.noop()[0] == "OK" and m.response("EXISTS")[1] != [None])
    m.logout()


def test_import_into_nothing_says_why(ici, tmp_path):
    r = ici.run("import", "nobody@ici.test", str(tmp_path), check=False)
    assert r.returncode == 1 and "no account nobody@ici.test" in r.stderr
    r = ici.run("import", "anne@ici.test", str(tmp_path / "absent"), check=False)
    assert r.returncode == 1 and "No such file" in r.stderr
    r = ici.run("import", "anne@ici.test", str(tmp_path), check=False)
    assert r.returncode == 1 and "neither an mbox file nor a Maildir" in r.stderr
    assert ici.run("import", check=False).returncode == 2


def test_real_mbox_files(ici, tmp_path):
    files = sorted((SHARED / "data" / "mime" / "mimekit" / "mbox").glob("issue*.mbox*")) if SHARED.is_dir() else []
    for path in files:
        user = ici.account("real%d@ici.test" % files.index(path))
        r = ici.json("import", user, str(path))
        theirs = len(mailbox.mbox(str(path), create=False))
        assert abs(r["imported"] - theirs) <= theirs // 10, path
    assert files or not SHARED.is_dir() or not os.path.isdir(SHARED / "data" / "mime" / "mimekit" / "mbox")
