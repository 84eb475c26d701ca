"""The queue seen from outside: hosts that fail, are slow, refuse or lie; `facteur queue`; the smarthost."""
import base64
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from lab import PORTS, wait_for

QUEUE = "queue {\n    retry = {1s, 2s}\n    delay-notice = 1h\n    expire = 1h\n}\n"


class Host:
    """A mail server of one page. `answers` maps a command's prefix to the answer instead of the usual one; None closes."""

    def __init__(self, ip, port=PORTS["smtp"], extensions=("8BITMIME",), answers=(), tls=None, login=None):
        self.extensions, self.answers, self.tls, self.login = list(extensions), dict(answers), tls, login
        self.transcript, self.messages, self.connections, self.secure, self.lock = [], [], 0, 0, threading.Lock()
        self.socket = socket.create_server((ip, port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        try:
            self.converse(c)
        except (OSError, ssl.SSLError):
            pass
        finally:
            c.close()

    def converse(self, c):
        c.settimeout(30)
        c.sendall(self.answers.get("connect", b"220 host ESMTP\r\n"))
        f = c.makefile("rb")
        for line in f:
            with self.lock:
                self.transcript.append(line.decode().rstrip("\r\n"))
            verb = line[:4].upper()
            answer = next((a for p, a in self.answers.items() if line.decode().startswith(p)), b"")
            if answer is None:
                return
            if answer:
                c.sendall(answer)
            elif verb == b"EHLO":
                offered = self.extensions + (["STARTTLS"] if self.tls else [])
                c.sendall(b"250-host\r\n" + b"".join(b"250-%s\r\n" % e.encode() for e in offered) + b"250 HELP\r\n")
            elif verb == b"STAR":
                c.sendall(b"220 go\r\n")
                c = self.tls.wrap_socket(c, server_side=True)
                f = c.makefile("rb")
                self.secure += 1
                self.rest(c, f)
                return
            elif verb == b"QUIT":
                c.sendall(b"221 bye\r\n")
                return
            elif verb == b"DATA":
                c.sendall(b"354 go\r\n")
                self.messages.append(self.data(f))
                c.sendall(b"250 2.0.0 taken\r\n")
            else:
                c.sendall(b"250 2.0.0 ok\r\n")

    def rest(self, c, f):
        for line in f:
            with self.lock:
                self.transcript.append(line.decode().rstrip("\r\n"))
            verb = line[:4].upper()
            if verb == b"EHLO":
                c.sendall(b"250-host\r\n" + (b"250-AUTH PLAIN\r\n" if self.login else b"") + b"250 8BITMIME\r\n")
            elif verb == b"AUTH":
                good = base64.b64decode(line.split()[2]).decode() == "\0%s\0%s" % self.login
                c.sendall(b"235 2.7.0 welcome\r\n" if good else b"535 5.7.8 no\r\n")
            elif verb == b"DATA":
                c.sendall(b"354 go\r\n")
                self.messages.append(self.data(f))
                c.sendall(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                c.sendall(b"221 bye\r\n")
                return
            else:
                c.sendall(b"250 2.0.0 ok\r\n")

    @staticmethod
    def data(f):
        lines = []
        for line in f:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        raise OSError("closed in DATA")

    def stop(self):
        self.socket.close()


@pytest.fixture(scope="module")
def post(lab):
    return lab.facteur("post.test", accounts=("anne", "bob", "carol"), extra=QUEUE)


@pytest.fixture
def hosts(lab):
    """Makes foreign hosts: hosts("there.test", ...) is its only MX."""
    made = []

    def make(domain, up=True, **kw):
        ip = lab.ip()
        lab.dns.records["mx." + domain + "."] = ["A " + ip]
        lab.dns.set(domain + ".", "MX 10 mx.%s." % domain)
        if not up:
            return ip
        made.append(Host(ip, **kw))
        return made[-1]
    yield make
    for h in made:
        h.stop()


def submit(server, sender, to, text="Subject: hello\r\n\r\nbody\r\n", **kw):
    head = "From: %s\r\n" % sender
    text = head.encode() + text if isinstance(text, bytes) else head + text
    with server.submission(sender) as s:
        return s.sendmail(sender, to, text, **kw)


def waiting(server, address):
    return [m for m in server.json("queue", "list") if any(r["address"] == address for r in m["recipients"])]


def bounces(server, user, n=1):
    return [m for m in server.wait_messages(user, n) if b"multipart/report" in m]


def test_queue_commands_act_at_once(lab, post, hosts):
    ip = hosts("down.test", up=False)
    submit(post, "anne@post.test", ["x@down.test"])
    message = wait_for("a first attempt", lambda: [m for m in waiting(post, "x@down.test") if m["recipients"][0]["attempts"] > 0])[0]
    assert "refused" in message["recipients"][0]["last_reply"]
    assert message["sender"] == "anne@post.test"
    ident = message["id"]
    assert "x@down.test" in post.run("queue", "list") and "refused" in post.run("queue", "show", ident)
    assert post.json("queue", "show", ident)["recipients"][0]["state"] == "ready"
    story = post.json("queue", "show", ident)["recipients"][0]["story"]
    assert (story[0]["mx"], story[0]["address"], story[0]["tls"], story[0]["result"]) == ("mx.down.test", ip, "", "unreachable"), story
    assert "refused" in story[0]["reply"] and story[0]["policy"] == "TLS when offered" and story[0]["at"] > message["created"][:10]
    assert "mx.down.test [%s] unreachable: " % ip in post.run("queue", "show", ident)
    post.run("queue", "hold", ident)
    assert post.json("queue", "show", ident)["recipients"][0]["state"] == "held"
    refused = post.run("queue", "flush", ident, check=False)
    assert refused.returncode == 1 and "is held" in refused.stderr
    host = Host(ip)
    try:
        post.run("queue", "flush")
        time.sleep(0.3)  # nothing may happen: there is no event to wait for
        assert host.messages == []
        post.run("queue", "release", ident)
        post.run("queue", "flush", ident, check=False)  # it may have gone by itself
        wait_for("the message", lambda: host.messages, 5)
        wait_for("an empty queue", lambda: not waiting(post, "x@down.test"))
    finally:
        host.stop()
    r = post.run("queue", "show", ident, check=False)
    assert r.returncode == 1 and ident in r.stderr
    assert post.run("queue", "show", "zz", check=False).returncode == 1
    assert post.run("queue", "nonsense", check=False).returncode == 2


def test_removed_mail_is_gone(post, hosts):
    hosts("gone.test", up=False)
    submit(post, "anne@post.test", ["x@gone.test"])
    ident = wait_for("the row", lambda: waiting(post, "x@gone.test"))[0]["id"]
    post.run("queue", "remove", ident)
    assert not waiting(post, "x@gone.test")


def test_dead_host_delays_nobody(post, hosts):
    hosts("dead.test", up=False)
    alive = hosts("alive.test")
    for _ in range(20):
        submit(post, "bob@post.test", ["x@dead.test"])
    begin = time.monotonic()
    submit(post, "bob@post.test", ["x@alive.test"])
    wait_for("the message", lambda: alive.messages, 10)
    assert time.monotonic() - begin < 10
    for m in waiting(post, "x@dead.test"):
        post.run("queue", "remove", m["id"])


def test_many_recipients_one_transaction_and_connection(post, hosts):
    host = hosts("many.test", extensions=["PIPELINING", "8BITMIME"], answers={"RCPT TO:<no@": b"550 5.1.1 unknown\r\n"})
    submit(post, "carol@post.test", ["a@many.test", "no@many.test", "b@many.test"])
    submit(post, "carol@post.test", ["c@many.test"])
    wait_for("both", lambda: len(host.messages) == 2)
    assert [l for l in host.transcript if l.startswith("RCPT")].count("RCPT TO:<no@many.test>") == 1
    assert sum(l.startswith("MAIL") for l in host.transcript) == 2
    bounce = bounces(post, "carol@post.test")[0]
    assert b"no@many.test" in bounce and b"a@many.test" not in bounce and b"550 5.1.1 unknown" in bounce


def test_domains_that_take_no_mail(lab, post):
    lab.dns.records["null.test."] = ["MX 0 ."]
    lab.dns.records["circle.test."] = ["MX 10 mx.post.test.", "MX 20 elsewhere.test."]
    lab.dns.set("elsewhere.test.", "A 127.0.0.1")
    for n, (domain, status) in enumerate([("null.test", b"5.1.10"), ("nowhere.test", b"5.1.2"), ("circle.test", b"5.4.6")]):
        user = ["anne@post.test", "bob@post.test", "carol@post.test"][n]
        seen = len(post.messages(user))
        submit(post, user, ["x@" + domain])
        assert b"Status: " + status + b"\r\n" in post.wait_messages(user, seen + 1)[-1]


def test_eight_bit_for_a_host_without_it_bounces(post, hosts):
    host = hosts("seven.test", extensions=[])
    seen = len(post.messages("anne@post.test"))
    submit(post, "anne@post.test", ["x@seven.test"], "Subject: x\r\n\r\n\u00e9\r\n".encode(), mail_options=["BODY=8BITMIME"])
    assert b"Status: 5.6.3\r\n" in post.wait_messages("anne@post.test", seen + 1)[-1]
    assert host.messages == []


def test_broken_starttls_falls_back_to_clear(post, hosts):
    host = hosts("badtls.test", extensions=["STARTTLS"], answers={"STARTTLS": b"220 go\r\nnot TLS at all\r\n"})
    submit(post, "bob@post.test", ["x@badtls.test"])
    wait_for("the message", lambda: host.messages)
    assert host.connections == 2


def test_temporary_answer_is_tried_again(post, hosts):
    host = hosts("grey.test", answers={"RCPT": b"451 4.7.1 greylisted\r\n"})
    submit(post, "bob@post.test", ["x@grey.test"])
    story = wait_for("a refusal", lambda: [r["story"] for m in waiting(post, "x@grey.test")
                                           for r in post.json("queue", "show", m["id"])["recipients"] if r["story"]])[0]
    assert (story[0]["reply"], story[0]["result"], story[0]["mx"]) == ("451 4.7.1 greylisted", "deferred", "mx.grey.test"), story
    del host.answers["RCPT"]
    wait_for("the message", lambda: host.messages)


def test_second_mx_where_the_first_is_down(lab, post, hosts):
    host = hosts("backup.test")
    lab.dns.records["down.backup.test."] = ["A " + lab.ip()]
    lab.dns.set("backup.test.", "MX 5 down.backup.test.", "MX 10 mx.backup.test.")
    submit(post, "bob@post.test", ["x@backup.test"])
    wait_for("the message", lambda: host.messages)


def test_dead_resolver_is_temporary(lab, hosts):
    server = lab.facteur("deaf.test", accounts=("anne",), extra=QUEUE)
    host = hosts("later.test")
    lab.dns.process.send_signal(signal.SIGSTOP)
    try:
        submit(server, "anne@deaf.test", ["x@later.test"])
        wait_for("an attempt", lambda: any(m["recipients"][0]["attempts"] for m in waiting(server, "x@later.test")), 40)
        assert server.messages("anne@deaf.test") == []
    finally:
        lab.dns.process.send_signal(signal.SIGCONT)
    wait_for("the message", lambda: host.messages, 40)
    server.stop()


def test_mail_that_waits_survives_a_restart(post, hosts):
    ip = hosts("restart.test", up=False)
    submit(post, "anne@post.test", ["x@restart.test"])
    wait_for("an attempt", lambda: any(m["recipients"][0]["attempts"] for m in waiting(post, "x@restart.test")))
    post.stop()
    host = Host(ip)
    post.start()
    try:
        wait_for("the message", lambda: host.messages, 30)
        wait_for("an empty queue", lambda: not waiting(post, "x@restart.test"))
        assert len(host.messages) == 1
    finally:
        host.stop()


def smarthost_context(lab, name):
    cert, key = os.path.join(lab.dir, name + ".crt"), os.path.join(lab.dir, name + ".key")
    lab.certificate(cert, key, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def test_smarthost_takes_everything_after_login(lab):
    ip = lab.ip()
    lab.dns.set("smart.test.", "A " + ip)
    host = Host(ip, port=PORTS["submission"], tls=smarthost_context(lab, "smart.test"), login=("us", "secret"))
    secret = os.path.join(lab.dir, "smart.secret")
    with open(secret, "w") as f:
        f.write("secret\n")
    os.chmod(secret, 0o644)
    extra = QUEUE + 'relay {\n    host = "smart.test:%d"\n    username = "us"\n    password-file = "%s"\n}\n' % (PORTS["submission"], secret)
    server = lab.facteur("home.test", accounts=("anne",), extra=extra)
    try:
        submit(server, "anne@home.test", ["x@one.test", "y@two.test"])
        wait_for("the message", lambda: host.messages)
        assert {l for l in host.transcript if l.startswith("RCPT")} == {"RCPT TO:<x@one.test>", "RCPT TO:<y@two.test>"}
        assert any(l.startswith("AUTH PLAIN ") for l in host.transcript) and len(host.messages) == 1
    finally:
        host.stop()
        server.stop()


def test_smarthost_with_a_wrong_certificate_gets_no_password(lab):
    ip = lab.ip()
    lab.dns.set("liar.test.", "A " + ip)
    host = Host(ip, port=PORTS["submission"], tls=smarthost_context(lab, "other.test"), login=("us", "secret"))
    secret = os.path.join(lab.dir, "liar.secret")
    with open(secret, "w") as f:
        f.write("secret\n")
    os.chmod(secret, 0o644)
    extra = QUEUE + 'relay {\n    host = "liar.test:%d"\n    username = "us"\n    password-file = "%s"\n}\n' % (PORTS["submission"], secret)
    server = lab.facteur("wary.test", accounts=("anne",), extra=extra)
    try:
        submit(server, "anne@wary.test", ["x@one.test"])
        wait_for("a failed attempt", lambda: any(m["recipients"][0]["attempts"] for m in waiting(server, "x@one.test")))
        assert host.messages == [] and not any(re.match("AUTH|MAIL", l) for l in host.transcript)
    finally:
        host.stop()
        server.stop()


class Crowd(Host):
    """Answers a message once a second conversation has begun, or after a moment, and remembers the most at a time."""

    def __init__(self, *args, **kw):
        self.now = self.most = 0
        self.second = threading.Event()
        super().__init__(*args, **kw)

    def talk(self, c):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now > 1:
                self.second.set()
        try:
            super().talk(c)
        finally:
            with self.lock:
                self.now -= 1

    def data(self, f):
        message = super().data(f)
        self.second.wait(0.3)
        return message


@pytest.mark.parametrize("limit", [1, 20])
def test_connections_per_destination(lab, limit):
    server = lab.facteur("per%d.test" % limit, accounts=("anne",), start=False)
    server.write(server.text.replace("outbound {", "outbound {\n    connections-per-destination = %d" % limit))
    server.start()
    ip = lab.ip()
    lab.domain("crowd%d.test" % limit, "mx.crowd%d.test" % limit, ip)
    crowd = Crowd(ip)
    me = "anne@per%d.test" % limit
    with server.submission(me) as s:
        for i in range(6):
            s.sendmail(me, ["x@crowd%d.test" % limit], "From: %s\r\nSubject: %d\r\n\r\nx\r\n" % (me, i))
    wait_for("six messages", lambda: len(crowd.messages) == 6)
    assert (crowd.most == 1) == (limit == 1), crowd.most
    crowd.socket.close()
    server.stop()
