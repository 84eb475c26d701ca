"""Each release opens the data of every earlier one. data/ has a folder of each, as a server left it that was stopped.

first-release: of schema 1 (no keys, no forwarding, no reports). ici.test with anne and bob (password "secret") and info@ici.test for
both; "old" in both INBOXes, "filed" in anne's folder Work, and "waiting" from anne to zoe@labas.test in the queue.
second-release: of schema 2 (vault.db 3): the same with DKIM keys, "old" with its verdicts, "waiting" signed."""
import os
import shutil
import sqlite3
import subprocess
import tarfile

import pytest

from lab import IS_ROOT, ROOT, Lab, wait_for

DATA = ROOT / "test" / "data"


def unpack(server, name):
    with tarfile.open(DATA / (name + ".tar.xz")) as tar:
        tar.extractall(server.data)
    for folder, _, files in os.walk(server.data):
        for path in [folder] + [os.path.join(folder, f) for f in files]:
            if IS_ROOT:
                shutil.chown(path, *("daemon", "daemon") if "/data/vault" in path else ("mail", "mail"))


def one_number(path, sql):
    with sqlite3.connect("file:%s?mode=ro" % path, uri=True) as db:
        return db.execute(sql).fetchone()[0]


@pytest.fixture
def own_lab():
    """The same domain comes with another address and other keys each time: no name server may remember the one before."""
    made = Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("release, schema, vault_schema", [("first-release", 1, 1), ("second-release", 2, 3)])
def test_older_data_is_brought_up_to_date(own_lab, release, schema, vault_schema):
    lab, labas = own_lab, own_lab.facteur("labas.test", accounts=("zoe",), start=False)
    server = lab.facteur("ici.test", start=False, fresh=False)
    unpack(server, release)
    server.start()
    log = server.log_text()
    assert log.count("store.schema.migrating") == 2, log  # the accounts' databases have not changed

    assert b"Subject: old\r\n" in server.messages("anne@ici.test")[0]
    assert b"Subject: old\r\n" in server.messages("bob@ici.test")[0]
    m = server.imap("anne@ici.test", folder="Work")
    status, data = m.fetch("1", "(FLAGS BODY.PEEK[])")
    m.logout()
    assert b"\\Flagged" in data[0][0] + data[1] and b"Subject: filed\r\n" in data[0][1]
    if schema == 1:
        server.run("domain", "rotate-keys", "ici.test", "--now")
    lab.dns.load(server.run("dns", "ici.test"))
    labas.start()  # not before: it would remember that there were no keys
    server.run("queue", "flush")
    assert b"Subject: waiting\r\n" in labas.wait_messages("zoe@labas.test")[0]
    wait_for("an empty queue", lambda: not server.json("queue", "list"))

    # what is new works on it
    with server.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["zoe@labas.test"], "From: anne@ici.test\r\nSubject: signed\r\n\r\nHello\r\n")
    got = labas.wait_messages("zoe@labas.test", 2)[1]
    assert got.count(b"DKIM-Signature:") == 2 and got.count(b"dkim=pass") == 2, got
    server.send("x@example.test", "info@ici.test", "Subject: new\r\n\r\nHello\r\n")
    server.wait_messages("anne@ici.test", 2)
    server.wait_messages("bob@ici.test", 2)
    server.run("store", "verify")

    # what was there before can be had back
    domain, vault = ("%s/%s.v%d-before-v%d" % (server.data, *f) for f in (("facteur.db", schema, 4), ("vault/vault.db", vault_schema, 4)))
    assert one_number(domain, "SELECT version FROM schema_info") == schema
    assert one_number(domain, "SELECT count(*) FROM queue_message") == 1
    assert one_number(vault, "PRAGMA user_version") == vault_schema
    assert one_number(vault, "SELECT count(*) FROM credential") == 2
    assert os.stat(vault).st_mode & 0o777 == 0o600

    server.stop()
    server.start()  # a second time there is nothing to bring
    assert server.log_text().count("store.schema.migrating") == 2
    kept = [m for m in server.messages("anne@ici.test") if b"\r\nSubject: old\r\n" in m or b"\r\nSubject: new\r\n" in m]
    assert len(kept) == 2  # perhaps also a notice about the one that has waited for so long


def test_the_copy_is_of_before_whoever_is_first(lab):
    """Commands by cron and the server may all find the older data at once."""
    server = lab.facteur("beaucoup.test", start=False, fresh=False)
    unpack(server, "first-release")
    runs = [subprocess.Popen([server.binary, "-c", server.conf, "account", "list"], stdout=subprocess.PIPE) for _ in range(12)]
    assert [(r.communicate()[0].count(b"@ici.test"), r.returncode) for r in runs] == [(2, 0)] * len(runs)
    assert one_number(server.data + "/facteur.db.v1-before-v4", "SELECT version FROM schema_info") == 1
    assert [f for f in os.listdir(server.data) if "before" in f] == ["facteur.db.v1-before-v4"]


def test_schema_3_gets_what_4_added(own_lab):
    server = own_lab.facteur("trois.test", accounts=("anne",))
    server.stop()
    with sqlite3.connect(server.data + "/facteur.db") as db:
        db.execute("ALTER TABLE account DROP COLUMN password_n")
        db.execute("UPDATE schema_info SET version = 3")
    db.close()
    server.start()
    assert server.log_text().count("store.schema.migrating") == 1
    server.imap("anne@trois.test").logout()
    server.run("account", "passwd", "anne@trois.test", stdin="another\n")
    server.imap("anne@trois.test", "another").logout()
    assert one_number(server.data + "/facteur.db", "SELECT password_n FROM account") == 1
