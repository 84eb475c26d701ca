"""How much is held with how little: idle connections, large messages, reloaded limits."""
import os
import re
import resource
import select
import socket
import threading
import time

import pytest

from lab import IS_ROOT, PORTS, SLOW, wait_for
from test_smtp_in import Wire

MANY = 10000


def smaps(pid, what="Pss"):
    """KiB of a process: Pss, or Private_Dirty as what it costs alone."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^%s:\s+(\d+) kB" % what, f.read(), re.M).group(1))


def peak(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", f.read(), re.M).group(1))


def threads(pid):
    return len(os.listdir("/proc/%d/task" % pid))


@pytest.mark.skipif(not IS_ROOT, reason="so many descriptors need root")
def test_ten_thousand_idle_imap_connections(lab):
    server = lab.facteur("foule.test", accounts=("anne",), extra="limits { connections-per-address = 20000 }\n")
    pid = server.child("access")
    m = server.imap("anne@foule.test")
    m.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")
    before = smaps(pid)
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + 1000, max(old[1], MANY + 1000)))
    held = []
    try:
        ready = select.epoll()
        for first in range(0, MANY, 250):
            batch = []
            for i in range(first, first + 250):
                s = socket.create_connection((server.ip, PORTS["imap"]), timeout=30 * SLOW, source_address=(lab.net + str(100 + i // 2500), 0))
                s.sendall(b"a LOGIN anne@foule.test secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
                batch.append(s)
            for s in batch:
                answer = b""
                while b"\r\n+ " not in answer:
                    got = s.recv(65536)
                    assert got, answer
                    answer += got
                s.setblocking(False)
                ready.register(s)
            held += batch
        wait_for("workers to go", lambda: threads(pid) < 50, 30)
        each = (smaps(pid) - before) / MANY
        assert each < 24, "%.1f KiB a connection" % each
        status, data = m.select("INBOX")
        assert status == "OK"
        m.append("INBOX", None, None, b"Subject: y\r\n\r\ny\r\n")  # all of them hear of it
        told, end = 0, time.monotonic() + 30 * SLOW
        waiting = {s.fileno(): s for s in held}
        while waiting and time.monotonic() < end:
            for fd, _ in ready.poll(1):
                if fd in waiting:
                    try:
                        if b"* 2 EXISTS" in waiting[fd].recv(4096):
                            ready.unregister(fd)
                            del waiting[fd]
                    except BlockingIOError:
                        pass
        assert not waiting, "%d were not told" % len(waiting)
        assert threads(pid) < 600
        wait_for("workers to go", lambda: threads(pid) < 50, 30)
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, old)
    wait_for("all closed", lambda: len(os.listdir("/proc/%d/fd" % pid)) < 200, 30)
    m.logout()
    server.stop()


def test_large_message_costs_little_memory(lab):
    """49 MB in by SMTP and by APPEND, out by IMAP, POP3 and to another host."""
    server = lab.facteur("gros.test", accounts=("anne",))
    line = b"0123456789" * 7 + b"\r\n"
    body = b"Subject: large\r\n\r\n" + line * (49 * 1000 * 1000 // len(line))
    server.send("x@labas.test", "anne@gros.test", "Subject: warm\n\nx\n")
    server.wait_messages("anne@gros.test")
    mta, access = server.child("mta"), server.child("access")
    dirty = {p: smaps(p, "Private_Dirty") for p in (mta, access)}
    highest = dict(dirty)
    stop = threading.Event()

    def watch():
        while not stop.wait(0.02):
            for p in highest:
                highest[p] = max(highest[p], smaps(p, "Private_Dirty"))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with Wire(server) as w:
            w.ehlo()
            w.envelope("x@labas.test", "anne@gros.test")
            assert w.cmd("DATA").startswith("354")
            w.send(body + b".\r\n")
            assert w.reply().startswith("250")
        m = server.imap("anne@gros.test")
        assert m.append("INBOX", None, None, body)[0] == "OK"
        wait_for("both", lambda: m.select("INBOX")[1] == [b"3"])
        sizes = sorted(int(re.search(rb"SIZE (\d+)", d).group(1)) for d in m.fetch("1:*", "(RFC822.SIZE)")[1])
        assert sizes[1] == len(body) and len(body) < sizes[2] < len(body) + 1000
        got = [d for d in m.fetch("2:3", "(BODY.PEEK[])")[1] if isinstance(d, tuple)]
        assert len(got) == 2 and all(d[1].endswith(body) for d in got)
        m.logout()
        p = server.pop3("anne@gros.test")
        assert sum(len(l) + 2 for l in p.retr(3)[1]) >= len(body)
        p.quit()
    finally:
        stop.set()
        watcher.join()
    grown = {"mta": highest[mta] - dirty[mta], "access": highest[access] - dirty[access]}
    assert max(grown.values()) < 8 * 1024 * SLOW, grown
    server.stop()


def test_memory_stays_after_many_sessions(lab):
    """Hundreds of sessions, with their errors, leave nothing behind."""
    server = lab.facteur("fuite.test", accounts=("anne",))

    def round():
        for i in range(100):
            with Wire(server) as w:
                w.send("EHLO x\r\nMAIL FROM:<x@labas.test>\r\nRCPT TO:<anne@fuite.test>\r\nRCPT TO:<%s@fuite.test>\r\nDATA\r\n" % ("x" * 60))
                w.send("Subject: x\r\n\r\n%s\r\n.\r\nQUIT\r\n" % ("y" * 900))
                w.rest()
            with socket.create_connection((server.ip, PORTS["imap"]), timeout=20 * SLOW) as s:
                s.sendall(b"a LOGIN anne@fuite.test secret\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS BODYSTRUCTURE)\r\nd SEARCH TEXT y\r\nq nonsense {\r\ne LOGOUT\r\n")
                while s.recv(65536):
                    pass
            with socket.create_connection((server.ip, PORTS["pop3"]), timeout=20 * SLOW) as s:
                s.sendall(b"USER anne@fuite.test\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
                while s.recv(65536):
                    pass
    round()
    pids = [server.child(n) for n in ("vault", "mta", "access")]
    before = [smaps(p, "Private_Dirty") for p in pids]
    for _ in range(3):
        round()
    after = [smaps(p, "Private_Dirty") for p in pids]
    assert all(a < b + 3000 for a, b in zip(after, before)), (before, after)
    fds = [len(os.listdir("/proc/%d/fd" % p)) for p in pids]
    assert max(fds) < 60, fds
    server.stop()


def test_connections_in_all(lab):
    server = lab.facteur("plein.test", accounts=("anne",), extra="limits { connections = 30 }\n")
    held = [socket.create_connection((server.ip, PORTS["smtp"]), timeout=20 * SLOW) for _ in range(40)]
    try:
        greetings = [s.recv(200)[:3] for s in held]
        assert greetings.count(b"220") == 30 and greetings.count(b"421") == 10
        s = socket.create_connection((server.ip, PORTS["imap"]), timeout=20 * SLOW)  # another process, another count
        assert s.recv(200).startswith(b"* OK")
        s.close()
    finally:
        for s in held:
            s.close()
    wait_for("room again", lambda: socket.create_connection((server.ip, PORTS["smtp"]), timeout=20).recv(3) == b"220")
    server.stop()


def test_fewest_workers_serve_many(lab):
    """Four workers, two hundred clients that take turns."""
    server = lab.facteur("peu.test", accounts=("anne",), extra="limits {\n    workers = 4\n    connections-per-address = 300\n}\n")
    wires = [Wire(server) for _ in range(200)]
    try:
        for w in wires:
            w.send("EHLO x\r\nMAIL FROM:<x@labas.test>\r\nRCPT TO:<anne@peu.test>\r\n")
        for w in wires:
            assert [w.reply()[:3] for _ in range(3)] == ["250"] * 3
        assert threads(server.child("mta")) < 30
    finally:
        for w in wires:
            w.__exit__()
    server.stop()
