"""kill -9 of any process at random moments under load: every message answered with 250 is there once, every tagged OK held.
./check runs a few rounds, ./check --long 200 (FACTEUR_ROUNDS chooses)."""
import imaplib
import os
import random
import re
import signal
import smtplib
import threading
import time

from lab import SLOW, wait_for

ROUNDS = int(os.environ.get("FACTEUR_ROUNDS") or (200 if os.environ.get("FACTEUR_LONG") else 8))
USERS = ["kill%d@kill.test" % i for i in range(4)]


class Load:
    """Threads that send and append until told to stop, and remember what was promised."""

    def __init__(self, server):
        self.server, self.stop, self.sent, self.appended, self.flagged, self.lock = server, threading.Event(), [], [], [], threading.Lock()
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(4)]
        self.threads += [threading.Thread(target=self.append, args=(u,)) for u in USERS]
        self.counter = 0
        for t in self.threads:
            t.start()

    def number(self):
        with self.lock:
            self.counter += 1
            return self.counter

    def send(self, i):
        while not self.stop.is_set():
            try:
                with self.server.smtp() as s:
                    for _ in range(20):
                        n, rcpts = self.number(), random.sample(USERS, random.randint(1, 3))
                        s.sendmail("x@example.test", rcpts, "Subject: smtp-%d-\r\n\r\n%s\r\n" % (n, "x" * random.choice([10, 5000, 300000])))
                        with self.lock:
                            self.sent += [(u, b"smtp-%d-" % n) for u in rcpts]
                        if self.stop.is_set():
                            break
            except (OSError, smtplib.SMTPException):
                self.stop.wait(0.02)

    def append(self, user):
        while not self.stop.is_set():
            try:
                m = self.server.imap(user, folder="INBOX")
                for _ in range(20):
                    n = self.number()
                    status, data = m.append("INBOX", None, None, b"Subject: imap-%d-\r\n\r\nx\r\n" % n)
                    if status == "OK":
                        uid = re.search(rb"APPENDUID \d+ (\d+)", data[0]).group(1)
                        with self.lock:
                            self.appended.append((user, b"imap-%d-" % n))
                        if m.uid("STORE", uid, "+FLAGS", "(\\Flagged)")[0] == "OK":
                            with self.lock:
                                self.flagged.append((user, b"imap-%d-" % n))
                    if self.stop.is_set():
                        break
                m.logout()
            except (OSError, imaplib.IMAP4.error, AttributeError):
                self.stop.wait(0.02)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60 * SLOW)
            assert not t.is_alive()


def headers(server, user):
    """(subject mark, flags) of all messages."""
    m = server.imap(user, folder="INBOX")
    status, data = m.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    m.logout()
    return [(re.search(rb"Subject: (\S+)", d[1]).group(1), d[0]) for d in data if isinstance(d, tuple)]


def test_kill_at_random(lab):
    server = lab.facteur("kill.test")
    server.being_killed = True
    for u in USERS:
        server.account(u)
    load = Load(server)
    kills = {"mta": 0, "access": 0, "vault": 0, "parent": 0}
    try:
        for _ in range(ROUNDS):
            time.sleep(random.uniform(0.05, 0.4))
            victim = random.choice(["mta", "mta", "access", "access", "vault", "parent"])
            if victim == "parent":
                kills[victim] += 1
                children = server.processes()[1:]
                os.kill(server.process.pid, signal.SIGKILL)
                server.process.wait()
                wait_for("orphans to end", lambda: not any(os.path.exists("/proc/%d" % p) for p in children))
                server.start()
            else:
                try:
                    os.kill(server.child(victim), signal.SIGKILL)
                    kills[victim] += 1
                except (AssertionError, ProcessLookupError):
                    pass  # it is just being restarted
    finally:
        load.end()
    def empty():
        q = server.json("queue", "list")
        return not (q["messages"] if isinstance(q, dict) else q)
    wait_for("the queue to drain", empty, 60)
    found = {}
    for u in USERS:
        for mark, flags in headers(server, u):
            found.setdefault((u, mark), []).append(flags)
    promised = load.sent + load.appended
    assert promised and sum(kills.values()) >= ROUNDS * 3 // 4, kills
    lost = [p for p in promised if p not in found]
    twice = [k for k, v in found.items() if len(v) > 1]
    unflagged = [p for p in load.flagged if p in found and not all(b"\\Flagged" in f for f in found[p])]
    assert not lost and not twice and not unflagged, (kills, len(promised), lost[:5], twice[:5], unflagged[:5])
    print("%d promises held over %s" % (len(promised), kills))
    server.run("store", "verify")
