"""What the machine does to us: full disks, taken ports, unreadable files, a newer store, a vault that died."""
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess

import pytest

from lab import IS_ROOT, PORTS, SLOW, wait_for
from test_smtp_in import Wire

root_only = pytest.mark.skipif(not IS_ROOT, reason="needs root")


def serve(server):
    """A start that must fail: its exit code and what it said."""
    r = subprocess.run([server.binary, "-c", server.conf, "serve"], capture_output=True, text=True, timeout=30 * SLOW, stdin=subprocess.DEVNULL)
    return r.returncode, r.stderr


# --- a start that cannot be ---

def test_taken_port_is_named(lab, ici):
    other = lab.facteur("autre.test", start=False)
    other.write(other.text.replace(other.ip + ":%d" % PORTS["imap"], ici.ip + ":%d" % PORTS["imap"]))
    code, said = serve(other)
    assert code == 1 and "%s:%d" % (ici.ip, PORTS["imap"]) in said and "in use" in said, said
    assert ici.imap("anne@ici.test").noop()[0] == "OK"


def test_foreign_address_is_named(lab):
    other = lab.facteur("ailleurs.test", start=False)
    other.write(other.text.replace(other.ip + ":%d" % PORTS["imap"], "192.0.2.1:%d" % PORTS["imap"]))
    code, said = serve(other)
    assert code == 1 and "192.0.2.1:%d" % PORTS["imap"] in said, said


@pytest.mark.parametrize("break_it", ["missing", "empty", "garbage", "key missing", "key garbage"])
def test_bad_certificate_is_named(lab, break_it):
    server = lab.facteur("cert-%s.test" % break_it.replace(" ", "-"), start=False)
    path = os.path.join(server.dir, "key.pem" if "key" in break_it else "cert.pem")
    os.remove(path)
    if "missing" not in break_it:
        with open(path, "w") as f:
            f.write("-----BEGIN CERTIFICATE-----\nnonsense\n" if "garbage" in break_it else "")
    code, said = serve(server)
    assert code == 1 and os.path.basename(path) in said, said


@pytest.mark.parametrize("which", ["facteur.db", "account"])
def test_newer_store_is_refused_and_left_alone(lab, which):
    server = lab.facteur("neuf-%s.test" % which[:4], accounts=("anne",))
    user = "anne@" + server.hostname[3:]
    server.send("x@labas.test", user, "Subject: kept\n\nx\n")
    server.wait_messages(user)
    server.stop()
    found = []
    for root, _, files in os.walk(server.data):
        found += [os.path.join(root, f) for f in files if f.endswith(".db")]
    path = [f for f in found if f.endswith("/facteur.db")] if which == "facteur.db" else [
        f for f in found if not f.endswith(("/facteur.db", "/vault.db"))]
    assert path, found
    with sqlite3.connect(path[0]) as db:
        db.execute("UPDATE schema_info SET version = version + 1")
    db.close()
    if which == "facteur.db":
        code, said = serve(server)
        assert code == 1 and "newer" in said, said
        r = server.run("account", "list", check=False)
        assert r.returncode == 1 and "newer" in r.stderr
    else:  # one account's database: the others go on
        server.account("bob@" + server.hostname[3:])
        server.start()
        m = server.imap("bob@" + server.hostname[3:], folder="INBOX")
        m.logout()
        try:
            m = server.imap(user)
            assert m.select("INBOX")[0] == "NO"
        except Exception as e:
            assert "OK" not in str(e)
        assert "newer" in server.log_text()
        server.send("x@labas.test", user, "Subject: waits\n\nx\n")
        server.stop()
    with sqlite3.connect(path[0]) as db:
        db.execute("UPDATE schema_info SET version = version - 1")
    db.close()
    server.start()
    server.run("queue", "flush")
    server.wait_messages(user, 1 if which == "facteur.db" else 2)
    server.stop()


@pytest.mark.parametrize("conf,reason", [
    ('hostname = "x', ""), ("limits { message-size = 50xb }\n", "message-size"), ("limits { message-size = -1 }\n", "message-size"),
    ("limits { workers = 99999999999999999999 }\n", "workers"), ('relay-from = {"300.1.1.1/8"}\n', "relay-from"), ('relay-from = {"10.0.0.0/99"}\n', "relay-from"),
    ("queue { retry = {1x} }\n", "retry"), ('listen { smtp = "nowhere" }\n', "smtp"), ('listen { smtp = "127.0.0.1:99999" }\n', "smtp"),
    ('listen { http = "127.0.0.1:80" nonsense = "x" }\n', "nonsense"), ('store = "mysql://x"\n', "store"), ("queue { expire = 5 }\n", "expire"),
    ('hostname = "bad name\\r\\nX: y"\n', "hostname"), ("# only\n}\n", ""), ("\x00\xff\n", ""), ("include(\"/etc/passwd\")\n", ""),
    ("tls { certificate = \"c\" }\n", "key"), ('relay { username = "x" }\n', "relay")])
def test_mistakes_of_the_configuration(lab, tmp_path, conf, reason):
    """File and line, exit 1, and no server."""
    path = tmp_path / "facteur.conf"
    path.write_bytes(('data = "%s"\n' % tmp_path).encode() + conf.encode("latin-1"))
    from lab import BIN
    for command in (["config", "check"], ["serve"]):
        r = subprocess.run([BIN, "-c", str(path), *command], capture_output=True, text=True, timeout=20 * SLOW, errors="replace")
        assert r.returncode == 1 and r.stderr.strip(), (command, r)
        assert re.search(r"facteur\.conf:\d+: ", r.stderr) and reason in r.stderr, r.stderr


# --- a full disk ---

@pytest.fixture
def small(lab, request):
    """A server on a file system of 24 MB; fill() and free()."""
    server = lab.facteur("petit%d.test" % len(request.node.name), start=False)
    server.anne, server.bob = ("%s@%s" % (u, server.hostname[3:]) for u in ("anne", "bob"))
    os.makedirs(server.data, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", server.data], check=True)
    shutil.chown(server.data, "mail")
    ballast = os.path.join(server.data, "ballast")

    def fill():
        with open(ballast, "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
    server.fill, server.free = fill, lambda: os.unlink(ballast)
    try:
        server.account(server.anne)
        server.account(server.bob)
        yield server.start()
    finally:
        server.stop()
        subprocess.run(["umount", "-l", server.data], check=True)


@root_only
def test_full_disk_for_imap_and_pop3(small):
    """No tagged OK is a lie; reading goes on; writing comes back by itself."""
    letter = b"Subject: %d\r\n\r\n" + b"0123456789012345678901234567890123456789\r\n" * 2000
    m = small.imap(small.anne, folder="INBOX")
    held = set()
    for i in range(5):
        assert m.append("INBOX", None, None, letter % i)[0] == "OK"
        held.add(i)
    m.noop()
    m.create("Copies")
    small.fill()
    refused = []
    for i in range(100, 112):
        status, data = m.append("INBOX", None, None, letter % i)
        if status == "OK":
            held.add(i)
        else:
            refused.append(data[0])
    assert refused and all(re.match(rb"\[(OVERQUOTA|LIMIT|SERVERBUG|UNAVAILABLE|INUSE)\]|.*(space|full|later|room)", r) for r in refused), refused
    copies = sum(m.copy("1:5", "Copies")[0] == "OK" for _ in range(3))
    flagged = m.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
    assert m.fetch("1", "(BODY.PEEK[])")[0] == "OK"  # reading goes on
    p = small.pop3(small.anne)
    assert p.stat()[0] >= 5
    p.quit()
    replies = []
    with Wire(small) as w:
        w.ehlo()
        for _ in range(3):
            for line in ("MAIL FROM:<x@labas.test>", "RCPT TO:<%s>" % small.bob, "DATA"):
                r = w.cmd(line)
                if r[0] not in "23":
                    break
            else:
                w.send(letter % 7 + b".\r\n")
                r = w.reply()
            replies.append(r)
            w.cmd("RSET")
    small.free()
    wait_for("room for IMAP", lambda: m.append("INBOX", None, None, letter % 999)[0] == "OK")
    m.noop()
    if flagged:
        assert b"\\Flagged" in m.fetch("1", "(FLAGS)")[1][0]
    found = [int(re.match(rb"Subject: (\d+)", x).group(1)) for x in small.messages(small.anne)]
    assert held <= set(found) and 999 in found and len(found) == len(set(found))
    assert len(small.messages(small.anne, "Copies")) == 5 * copies
    n = sum(r.startswith("250") for r in replies)
    small.send("x@labas.test", small.bob, "Subject: after\n\nx\n")
    small.run("queue", "flush")
    got = small.wait_messages(small.bob, n + 1)
    assert len(got) == n + 1
    m.logout()


@root_only
def test_commands_on_a_full_disk_say_so(small):
    small.fill()
    results = [small.run("account", "add", "c%d" % i + small.anne[4:], stdin="secret\n", check=False) for i in range(3)]
    for r in results:
        assert r.returncode in (0, 1)
        if r.returncode:
            assert re.match(r"facteur: .*(full|space|disk)", r.stderr.strip().splitlines()[-1]), r.stderr
    small.free()
    listed = [a["address"] for a in small.json("account", "list")]
    for i, r in enumerate(results):
        if r.returncode == 0:
            assert "c%d" % i + small.anne[4:] in listed
    r = small.run("account", "add", "c0" + small.anne[4:], stdin="secret\n", check=False)  # half an account must not stand in the way
    assert r.returncode == 0 or results[0].returncode == 0, r.stderr
    small.imap("c0" + small.anne[4:]).logout()


# --- a vault that is not there ---

def test_stopped_vault_means_try_later(lab):
    """Logins are told "later", not "wrong"; mail is taken meanwhile; afterwards all is well."""
    server = lab.facteur("coffre.test", accounts=("anne",), extra="")
    m = server.imap("anne@coffre.test", folder="INBOX")
    pid = server.child("vault")
    os.kill(pid, signal.SIGSTOP)
    try:
        with socket.create_connection((server.ip, PORTS["smtp"]), timeout=10 * SLOW) as s:
            f = s.makefile("rb")
            assert f.readline().startswith(b"220")
            for line in (b"EHLO x", b"MAIL FROM:<x@labas.test>", b"RCPT TO:<anne@coffre.test>", b"DATA", b"Subject: n\r\n\r\nx\r\n."):
                s.sendall(line + b"\r\n")
                while f.readline()[3:4] == b"-":
                    pass
        assert m.noop()[0] == "OK"
        with socket.create_connection((server.ip, PORTS["imap"]), timeout=40 * SLOW) as s:
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"a LOGIN anne@coffre.test secret\r\n")
            answer = f.readline()
            assert answer.startswith(b"a NO [UNAVAILABLE]") or answer.startswith(b"* BYE"), answer
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    server.imap("anne@coffre.test").logout()
    assert len(server.wait_messages("anne@coffre.test")) == 1
    m.logout()
    server.stop()


def test_every_child_killed_at_once(lab):
    server = lab.facteur("phenix.test", accounts=("anne",))
    server.send("x@labas.test", "anne@phenix.test", "Subject: before\n\nx\n")
    for round in range(3):
        since = len(server.log_text())
        for name in ("vault", "mta", "access"):
            os.kill(server.child(name), signal.SIGKILL)
        for name in ("vault", "mta", "access"):
            server.wait_log(r"process\.ready name=%s" % name, since=since, seconds=10)
    assert len(server.wait_messages("anne@phenix.test")) == 1
    server.stop()


def test_nothing_is_left_behind(lab):
    """After SIGTERM: no process, no socket, and a second stop and start find all in place."""
    server = lab.facteur("fin.test", accounts=("anne",))
    server.send("x@labas.test", "anne@fin.test", "Subject: before\n\nx\n")
    for _ in range(2):
        pids = server.processes()
        assert server.stop() == 0
        for pid in pids:
            assert not os.path.exists("/proc/%d" % pid)
        server.start()
    assert len(server.wait_messages("anne@fin.test")) == 1
    server.stop()


def test_parent_reads_no_network(ici):
    """With sessions open it holds listening sockets at most, and none of their connections."""
    held = [socket.create_connection((ici.ip, PORTS[p])) for p in ("smtp", "imap", "pop3", "submissions")]
    for s in held[:3]:
        assert s.recv(1000)
    pid = ici.process.pid
    inodes = {os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
    for table in ("tcp", "tcp6"):
        with open("/proc/net/" + table) as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                assert fields[3] == "0A" or "socket:[%s]" % fields[9] not in inodes, line  # 0A: listening
    for s in held:
        s.close()
