"""backup, restore and store commands on a server that runs."""
import pathlib
import shutil
import tempfile
import threading

import pytest

from test_import import listing


@pytest.fixture
def place(lab):
    """A folder that the user of the mail store can reach."""
    path = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
    path.chmod(0o755)
    return path


def append(server, user, n, first=0, folder="INBOX"):
    m = server.imap(user)
    for i in range(first, first + n):
        m.append(folder, "(\\Seen)" if i % 2 else None, None, b"Message-ID: <%d@%s>\r\nSubject: %d\r\n\r\nbody\r\n" % (i, user.encode(), i))
    m.logout()


def empty(server, user, folder="INBOX"):
    m = server.imap(user, folder=folder)
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()


def test_account_and_message_come_back(ici, place):
    who, copy = ici.account("back@ici.test"), str(place / "backup")
    m = ici.imap(who)
    m.create("Work/Old")
    m.logout()
    append(ici, who, 20)
    append(ici, who, 5, 20, "Work/Old")
    before = listing(ici, who)
    assert ici.json("backup", copy)["passwords"]
    assert ici.json("restore", copy, who)["restored"] == 0
    empty(ici, who)
    assert ici.json("restore", copy, who, "INBOX", "<7@back@ici.test>")["restored"] == 1
    answer = ici.json("restore", copy, who)
    assert (answer["restored"], answer["present"]) == (19, 6)
    after = listing(ici, who)
    assert {f: sorted(rows) for f, rows in after.items()} == {f: sorted(rows) for f, rows in before.items()}
    assert ici.json("store", "verify")["damage"] == 0
    assert "stop it first" in ici.run("restore", copy, check=False).stderr
    assert {f: len(rows) for f, rows in listing(ici, who).items()} == {f: len(rows) for f, rows in before.items()}


def test_copy_under_load_is_whole(lab, ici, place):
    who, copy = ici.account("load@ici.test"), str(place / "backup")
    stop = threading.Event()

    def work():
        first = 0
        while not stop.is_set() and first < 2000:
            append(ici, who, 10, first)
            first += 10

    t = threading.Thread(target=work)
    t.start()
    try:
        for _ in range(4):
            ici.json("backup", copy)
    finally:
        stop.set()
        t.join()
    ici.json("backup", copy)
    before = listing(ici, who)
    # all of it into another place: the same server, stopped, with an empty data folder
    ici.stop()
    shutil.move(ici.data, str(place / "old"))
    try:
        assert ici.json("restore", copy)["passwords"]
        assert ici.json("store", "verify")["damage"] == 0
        ici.start()
        assert listing(ici, who) == before
    finally:
        ici.stop()
        shutil.rmtree(ici.data)
        shutil.move(str(place / "old"), ici.data)
        ici.start()


def test_salvage(ici, place):
    who = ici.account("salvage@ici.test")
    append(ici, who, 30)
    saved = str(place / "saved")
    assert "stop it first" in ici.run("store", "salvage", saved, check=False).stderr
    ici.stop()
    try:
        answer = ici.json("store", "salvage", saved)
        assert answer["lost"] == answer["from_blobs"] == 0 and answer["messages"] >= 30
    finally:
        ici.start()
