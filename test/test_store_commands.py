"""The commands of an operator: their forms, exit codes, words and --json; and a store that is damaged byte by byte."""
import glob
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

from lab import BIN, IS_ROOT, SLOW, wait_for


@pytest.fixture
def place(lab):
    """A folder that the user of the mail store can reach."""
    path = pathlib.Path(tempfile.mkdtemp(dir=lab.dir))
    path.chmod(0o755)
    if IS_ROOT:
        shutil.chown(path, "mail")
    return path


def fails(server, code, *args, stdin=""):
    """A command that cannot be done; gives what it said last."""
    r = server.run(*args, stdin=stdin, check=False)
    assert r.returncode == code, (args, r.returncode, r.stdout, r.stderr)
    assert r.stderr.strip() and not r.stdout.strip(), (args, r.stdout, r.stderr)
    assert code == 2 or len(r.stderr.strip().splitlines()) == 1, r.stderr
    return r.stderr.strip().splitlines()[-1]


WRONG_USAGE = [["nonsense"], ["domain"], ["domain", "add"], ["domain", "frobnicate", "x.test"], ["account"], ["account", "add"], ["account", "role", "a@ici.test"],
               ["account", "role", "a@ici.test", "king"], ["alias", "add", "x@ici.test"], ["alias"], ["dns"], ["queue"], ["queue", "show"], ["queue", "hold"],
               ["apply"], ["backup"], ["restore"], ["store"], ["store", "frobnicate"], ["store", "salvage"], ["import"], ["import", "anne@ici.test"],
               ["export", "anne@ici.test"], ["config"], ["config", "frobnicate"], ["domain", "add", "a.test", "b.test"], ["queue", "list", "--frobnicate"]]


@pytest.mark.parametrize("args", WRONG_USAGE, ids=" ".join)
def test_wrong_usage_is_2(ici, args):
    assert re.search("usage|facteur help|facteur", ici.run(*args, check=False).stderr)
    fails(ici, 2, *args)


WORDS = {("queue", "shov"): "there is no `queue shov`", ("queue",): "wants a word", ("queue", "list", "--frob"): "has no option --frob", ("backup",): "too little",
         ("account", "add"): "behind `account add`", ("log", "--limit", "x"): "a number of lines", ("log", "--level", "loud"): "debug, info",
         ("quickstart", "me"): "me is no address", ("help", "frob"): "no command 'frob'", ("--frob",): "no option --frob"}


def test_wrong_usage_says_what_is_wrong(ici):
    for args, words in WORDS.items():
        said = ici.run(*args, check=False)
        assert said.returncode == 2 and words in said.stderr.splitlines()[0], said.stderr
    assert "account passwd" not in ici.run("account", "add", check=False).stderr, "the forms of what was meant"


IMPOSSIBLE = [(["account", "list", "nowhere.test"], "nowhere.test"), (["alias", "list", "nowhere.test"], "nowhere.test"),
              (["domain", "remove", "nowhere.test"], "nowhere.test"), (["domain", "add", "ici.test"], "ici.test"), (["domain", "add", "bad domain"], "bad domain"),
              (["domain", "add", "x" * 70 + ".test"], ""), (["domain", "add", "-x.test"], "-x.test"), (["domain", "remove", "ici.test"], "account"),
              (["account", "add", "x@nowhere.test"], "nowhere.test"), (["account", "add", "anne@ici.test"], "anne@ici.test"), (["account", "add", "noat"], "noat"),
              (["account", "add", "a\nb@ici.test"], "a?b@ici.test"), (["account", "remove", "nobody@ici.test"], "nobody@ici.test"),
              (["account", "passwd", "nobody@ici.test"], "nobody@ici.test"), (["account", "role", "nobody@ici.test", "owner"], "nobody@ici.test"),
              (["alias", "add", "anne@ici.test", "bob@ici.test"], "anne@ici.test"), (["alias", "add", "x@nowhere.test", "anne@ici.test"], "nowhere.test"),
              (["alias", "remove", "nobody@ici.test"], "nobody@ici.test"), (["dns", "nowhere.test"], "nowhere.test"), (["queue", "show", "ffff"], "ffff"),
              (["queue", "remove", "ffff"], "ffff"), (["queue", "hold", "zz"], "zz"), (["apply", "/nonexistent"], "/nonexistent"),
              (["restore", "/nonexistent", "anne@ici.test"], "/nonexistent"), (["import", "nobody@ici.test", "/tmp"], "nobody@ici.test"),
              (["import", "anne@ici.test", "/nonexistent"], "/nonexistent"), (["export", "nobody@ici.test", "/tmp/x"], "nobody@ici.test"),
              (["backup", "/nonexistent/deep/er"], "/nonexistent"), (["store", "salvage", "/nonexistent/deep"], "")]


@pytest.mark.parametrize("args,word", IMPOSSIBLE, ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "")
def test_impossible_is_1_and_says_what(ici, args, word):
    before = ici.run("apply", "--export")
    said = fails(ici, 1, *args, stdin="secret\n")
    assert said.startswith("facteur: ") and word in said, said
    assert ici.run("apply", "--export") == before


def test_no_configuration_says_so(tmp_path):
    for args in (["serve"], ["domain", "list"], ["config", "check"], ["queue", "list"], ["backup", str(tmp_path / "b")]):
        r = subprocess.run([BIN, "-c", str(tmp_path / "none.conf"), *args], capture_output=True, text=True, timeout=20 * SLOW)
        assert r.returncode == 1 and "none.conf" in r.stderr and not r.stdout, (args, r)
    for args in (["--version"], ["--help"], ["help"], ["help", "queue"]):
        r = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=20 * SLOW)
        assert r.returncode == 0 and r.stdout and not r.stderr
    assert subprocess.run([BIN], capture_output=True, timeout=20 * SLOW).returncode == 2
    assert subprocess.run([BIN, "-x"], capture_output=True, timeout=20 * SLOW).returncode == 2


def test_output_that_cannot_be_written_is_1(ici):
    with open("/dev/full", "w") as full:
        r = subprocess.run([ici.binary, "-c", ici.conf, "account", "list"], stdout=full, stderr=subprocess.PIPE, timeout=20 * SLOW)
    assert r.returncode == 1 and r.stderr


def test_people_and_their_json(ici):
    ici.run("domain", "add", "autre.test")
    assert {"autre.test", "ici.test"} <= {d["domain"] for d in ici.json("domain", "list")}
    assert "autre.test" in ici.run("domain", "list")
    ici.run("account", "add", "dora@autre.test", stdin="one\n")
    ici.run("account", "role", "dora@autre.test", "owner")
    dora = [a for a in ici.json("account", "list") if a["address"] == "dora@autre.test"]
    assert len(dora) == 1 and dora[0]["role"] == "owner"
    assert [a["address"] for a in ici.json("account", "list", "autre.test")] == ["dora@autre.test"]
    ici.imap("dora@autre.test", "one").logout()
    ici.run("account", "passwd", "dora@autre.test", stdin="two\n")
    ici.imap("dora@autre.test", "two").logout()
    with pytest.raises(Exception):
        ici.imap("dora@autre.test", "one")
    for bad in ("", "\n"):
        assert ici.run("account", "passwd", "dora@autre.test", stdin=bad, check=False).returncode == 1
    ici.run("alias", "add", "all@autre.test", "dora@autre.test", "anne@ici.test")
    ici.run("alias", "add", "@autre.test", "dora@autre.test")
    aliases = {a["address"]: sorted(a["targets"]) for a in ici.json("alias", "list")}
    assert aliases["all@autre.test"] == ["anne@ici.test", "dora@autre.test"] and aliases["@autre.test"] == ["dora@autre.test"]
    ici.send("x@labas.test", "anything@autre.test", "Subject: caught\n\nx\n")
    ici.send("x@labas.test", "all@autre.test", "Subject: for all\n\nx\n")
    ici.wait_messages("dora@autre.test", 2, password="two")
    ici.run("alias", "remove", "all@autre.test", "anne@ici.test")
    assert {a["address"]: a["targets"] for a in ici.json("alias", "list")}["all@autre.test"] == ["dora@autre.test"]
    ici.run("alias", "remove", "all@autre.test")
    ici.run("alias", "remove", "@autre.test")
    assert "autre.test" not in json.dumps(ici.json("alias", "list"))
    m = ici.imap("dora@autre.test", "two")
    ici.run("account", "remove", "dora@autre.test")
    with pytest.raises(Exception):
        ici.imap("dora@autre.test", "two")
    with pytest.raises(Exception):  # nor does an open session go on
        m.select("INBOX")
        raise AssertionError("still there") if m.append("INBOX", None, None, b"x")[0] == "OK" else ValueError
    ici.run("domain", "remove", "autre.test")
    assert "autre.test" not in [d["domain"] for d in ici.json("domain", "list")]
    with ici.smtp() as s:
        s.ehlo()
        s.mail("x@labas.test")
        assert s.rcpt("dora@autre.test")[0] == 550


def test_alias_loops_deliver_nothing_twice_and_end(ici):
    for a, b in (("r1", "r2"), ("r2", "r3"), ("r3", "r1")):
        ici.run("alias", "add", "%s@ici.test" % a, "%s@ici.test" % b, check=False)
    with ici.smtp() as s:
        s.ehlo()
        s.mail("x@labas.test")
        assert s.rcpt("r1@ici.test")[0] // 100 in (4, 5)
    ici.run("alias", "remove", "r3@ici.test", check=False)
    ici.run("alias", "add", "r3@ici.test", "anne@ici.test", "r1@ici.test", check=False)
    for a in ("r1", "r2", "r3"):
        ici.run("alias", "remove", a + "@ici.test", check=False)


def test_dns_loads_in_a_name_server(ici, tmp_path):
    text = ici.run("dns", "ici.test")
    assert re.search(r"ici\.test\.\s.*MX\s+\d+ mx\.ici\.test\.", text)
    zone = tmp_path / "ici.test.zone"
    zone.write_text("$TTL 3600\nici.test. SOA ns.ici.test. h.ici.test. 1 3600 600 86400 1\nici.test. NS ns.ici.test.\nns.ici.test. A 127.0.0.1\n" + text)
    conf = tmp_path / "knot.conf"
    conf.write_text("database:\n    storage: %s\nzone:\n  - domain: ici.test\n    file: %s\n" % (tmp_path, zone))
    r = subprocess.run(["knotc", "-c", str(conf), "zone-check", "ici.test"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0 and "rror" not in r.stdout + r.stderr, r.stdout + r.stderr + text


def test_dns_of_an_international_domain_is_in_a_labels(ici):
    ici.run("domain", "add", "b\u00fccher.test")
    text = ici.run("dns", "b\u00fccher.test")
    ici.run("domain", "remove", "b\u00fccher.test")
    assert text.isascii() and "rua=mailto:dmarc-reports@xn--bcher-kva.test" in text
    for line in text.splitlines():
        assert re.match(r"([\w-]+\.)*xn--bcher-kva\.test\. 3600 IN ", line), line


def test_apply(ici, tmp_path):
    before = ici.run("apply", "--export")
    path = tmp_path / "people"
    path.write_text(before)
    r = ici.run("apply", str(path))  # its own export changes nothing
    assert ici.run("apply", "--export") == before
    assert r == "nothing to do\n" and ici.json("apply", str(path), "--dry-run") == []
    lines = before.replace("ici.test", "neuf.test")
    path.write_text(before + lines)
    dry = ici.run("apply", str(path), "--dry-run")
    assert "neuf.test" in dry and ici.run("apply", "--export") == before
    ici.run("apply", str(path))
    after = ici.run("apply", "--export")
    assert "anne@neuf.test" in after and after != before
    assert {"kind": "account", "name": "anne@neuf.test", "role": "user"} in ici.json("apply", "--export")
    assert ici.json("apply", str(path)) == [] and ici.run("apply", "--export") == after
    path.write_text(before)
    for broken in ("frobnicate x\n", "domain bad domain\n", "account noat\n", "alias x@ici.test\n", "\x00\n", "account \u00e9@\n"):
        path.write_text(before + broken)
        r = ici.run("apply", str(path), check=False)
        assert r.returncode == 1 and re.search(r"people:%d" % (len(before.splitlines()) + 1), r.stderr), (broken, r.stderr)
        assert ici.run("apply", "--export") == after
    path.write_text(before)
    ici.run("apply", str(path))
    assert ici.run("apply", "--export") == before
    ici.imap("anne@ici.test").logout()  # untouched by all that


# --- damage ---

@pytest.fixture
def store(lab, request):
    """A stopped server with 20 messages, whose bodies hold "marker NN"."""
    domain = "store%d.test" % (abs(hash(request.node.name)) % 10 ** 6)
    server = lab.facteur(domain, accounts=("anne", "bob"))
    server.user = "anne@" + domain
    m = server.imap(server.user)
    for i in range(20):
        assert m.append("INBOX", None, None, b"Subject: %d\r\nMessage-ID: <%d@x.test>\r\n\r\n" % (i, i) + b"marker %02d. " % i * 200 + b"\r\n")[0] == "OK"
    m.logout()
    server.stop()
    assert server.json("store", "verify")["damage"] == 0
    yield server
    if server.process:
        server.stop()


def flip(server, marker):
    """One bit of the body with this marker."""
    for root, _, files in os.walk(server.data):
        for name in files:
            path = os.path.join(root, name)
            if name.endswith((".db", "-wal", "-shm", ".sock")):
                continue
            data = pathlib.Path(path).read_bytes()
            at = data.find(marker)
            if at >= 0:
                with open(path, "r+b") as f:
                    f.seek(at)
                    f.write(bytes([data[at] ^ 1]))
                return path
    raise AssertionError("no body with %r" % marker)


def account_db(server):
    sizes = {}
    for path in glob.glob(server.data + "/**/*.db", recursive=True):
        if os.path.basename(path) not in ("facteur.db", "vault.db"):
            with sqlite3.connect("file:%s?mode=ro" % path, uri=True) as db:
                sizes[db.execute("SELECT count(*) FROM item").fetchone()[0]] = path
            db.close()
    return sizes[max(sizes)]


def test_verify_finds_a_flipped_bit_and_the_rest_can_be_read(store):
    flip(store, b"marker 07. ")
    r = store.run("store", "verify", check=False)
    assert r.returncode == 1 and store.user in r.stdout + r.stderr and "INBOX" in r.stdout + r.stderr, (r.stdout, r.stderr)
    r = store.run("store", "verify", "--json", check=False)
    found = json.loads(r.stdout)
    assert r.returncode == 1 and found["damage"] >= 1, found
    store.start()
    m = store.imap(store.user, folder="INBOX")
    good = 0
    for i in range(1, 21):
        try:
            status, data = m.fetch(str(i), "(BODY.PEEK[])")
            if status == "OK" and data and isinstance(data[0], tuple):
                assert i != 8, "damaged bytes were given out"
                good += 1
        except Exception:
            m = store.imap(store.user, folder="INBOX")
    assert good == 19
    m.logout()
    p = store.pop3(store.user)
    assert len(p.list()[1]) == 20
    p.quit()


def test_verify_finds_a_missing_and_an_unreferenced_blob(store):
    path = account_db(store)
    owner = os.stat(path)
    with sqlite3.connect(path) as db:
        columns = [c[1] for c in db.execute("PRAGMA table_info(item)")]
        assert "blob" in columns, columns
        ids = [r[0] for r in db.execute("SELECT blob FROM item ORDER BY blob")]
        db.execute("UPDATE item SET blob = blob + 1000000000000 WHERE blob = ?", (ids[3],))  # this row misses its blob; the blob its row
    db.close()
    for side in (path, path + "-wal", path + "-shm"):
        if os.path.exists(side):
            os.chown(side, owner.st_uid, owner.st_gid)
    r = store.run("store", "verify", "--json", check=False)
    found = json.loads(r.stdout)
    assert r.returncode == 1 and found["damage"] >= 1, found
    kinds = json.dumps(found)
    assert re.search("missing", kinds) and re.search("unreferenced", kinds), kinds


@pytest.mark.parametrize("damage", ["body", "segment head", "account database", "domain database", "half of the segment"])
def test_salvage_saves_what_is_readable(store, place, damage):
    segment = flip(store, b"marker 07. ") if damage == "body" else None
    lost = 1 if damage == "body" else 0
    if "segment" in damage:
        segment = [os.path.join(r, f) for r, _, fs in os.walk(store.data) for f in fs
                   if not f.endswith((".db", "-wal", "-shm", ".sock")) and b"marker 07. " in pathlib.Path(os.path.join(r, f)).read_bytes()][0]
        data = bytearray(pathlib.Path(segment).read_bytes())
        if damage == "segment head":
            data[:16] = b"\xff" * 16
        else:
            at = data.find(b"marker 10. ")
            data[at:] = os.urandom(len(data) - at)
            lost = 11
        with open(segment, "r+b") as f:
            f.write(data)
    if "database" in damage:
        path = os.path.join(store.data, "facteur.db") if damage == "domain database" else account_db(store)
        size = os.path.getsize(path)
        with open(path, "r+b") as f:
            f.seek(0 if damage == "account database" else 4096)
            f.write(os.urandom(4096 if size > 8192 else 512))
    new = str(place / "new")
    answer = store.json("store", "salvage", new)
    assert answer["messages"] + answer["from_blobs"] >= 20 - lost, answer
    old = os.path.join(place, "old")
    shutil.move(store.data, old)
    shutil.move(new, store.data)
    if os.path.isdir(os.path.join(old, "vault")) and not os.path.exists(os.path.join(store.data, "vault")):
        shutil.move(os.path.join(old, "vault"), os.path.join(store.data, "vault"))
    assert store.json("store", "verify")["damage"] == 0
    if "database" in damage:
        held = [a["address"] for a in store.json("account", "list")]
        assert held, "no account was saved"
        user = store.user if store.user in held else None
        for a in held:
            store.run("account", "passwd", a, stdin="secret\n")
    store.start()
    found = set()
    for user in [a["address"] for a in store.json("account", "list")]:
        if damage == "domain database" and user.endswith("salvaged.invalid"):
            target = place / ("export-" + user.split("@")[0])
            store.run("export", user, str(target))
            texts = [p.read_bytes() for p in target.rglob("*") if p.is_file()]
        else:
            texts = store.messages(user) + store.messages(user, "Salvaged")
        for t in texts:
            n = re.search(rb"marker (\d\d)\. ", t)
            if n:
                found.add(int(n.group(1)))
    assert len(found) >= 20 - lost, (sorted(found), answer)


# --- the queue's words ---

def test_queue_by_hand(ici):
    ici.lab.dns.set("absent.test.", "MX 10 mx.absent.test.")
    ici.lab.dns.set("mx.absent.test.", "A %s" % ici.lab.ip())
    with ici.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["x@absent.test", "y@absent.test"], "From: anne@ici.test\r\nSubject: \u20ac\r\n\r\nx\r\n".encode())
    rows = wait_for("the queue", lambda: [m for m in ici.json("queue", "list") if any(r["attempts"] for r in m["recipients"])])
    ident = rows[0]["id"]
    assert {r["address"] for r in rows[0]["recipients"]} == {"x@absent.test", "y@absent.test"}
    for args in (["list"], ["show", ident], ["hold", ident], ["show", ident], ["release", ident], ["flush", "absent.test"], ["flush", ident], ["flush"]):
        assert ici.run("queue", *args, check=False).returncode == 0, args
    assert ici.json("queue", "show", ident)["id"] == ident
    ici.run("queue", "remove", ident)
    assert ident not in ici.run("queue", "list")
    assert "y@absent.test" not in "".join(m.decode("latin-1") for m in ici.messages("anne@ici.test"))  # no bounce
