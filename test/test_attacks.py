"""What a hostile stranger tries, beside the open-relay, smuggling and STARTTLS forms of test_smtp_in.py."""
import base64
import email
import os
import re
import socket
import ssl
import struct
import threading
import time

import pytest

import lab as lab_module
from lab import PORTS, SLOW, wait_for
from test_queue import Host, QUEUE, bounces, smarthost_context, submit
from test_smtp_in import Wire

pytestmark = pytest.mark.sanitize


@pytest.fixture(scope="module")
def mx(lab):
    """.8 of its net is a proxy."""
    return lab.facteur("ici.test", accounts=("anne", "bob", "mallory"), extra=QUEUE + 'proxy-from = "%s8"\n' % lab.net)


class Line:
    """IMAP or POP3, byte by byte."""

    def __init__(self, server, port, source=None, tls=False):
        self.s = socket.create_connection((server.ip, PORTS[port]), timeout=20 * SLOW, source_address=(source, 0) if source else None)
        if tls:
            self.s = server.lab.tls().wrap_socket(self.s)
        self.f = self.s.makefile("rb")
        self.greeting = self.f.readline()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.f.close()
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def until(self, *prefixes):
        """The lines up to one that begins so, or to the end of the connection."""
        lines = []
        while True:
            try:
                line = self.f.readline()
            except (ConnectionError, ssl.SSLError):
                line = b""
            lines.append(line)
            if not line or line.startswith(prefixes):
                return lines

    def ask(self, command):
        self.send(b"t " + command + b"\r\n")
        return self.until(b"t ", b"* BYE")


def imap(server, user="mallory@ici.test"):
    line = Line(server, "imaps", tls=True)
    assert line.ask(b"LOGIN %s secret" % user.encode())[-1].startswith(b"t OK")
    return line


def answered_within(server, seconds):
    """A stranger's whole session on each service."""
    begin = time.monotonic()
    with Wire(server, source=server.lab.net + "200") as w:
        assert w.ehlo().startswith("250")
        assert w.cmd("QUIT").startswith("221")
    with Line(server, "imap", source=server.lab.net + "200") as i:
        assert i.ask(b"LOGOUT")[0].startswith(b"* BYE")
    with Line(server, "pop3", source=server.lab.net + "200") as p:
        p.send(b"QUIT\r\n")
        assert p.f.readline().startswith(b"+OK")
    assert time.monotonic() - begin < seconds * SLOW


# --- what leaves us: only CR LF ends lines, whatever came in ---

@pytest.fixture
def there(lab):
    made = []

    def make(domain, **kw):
        ip = lab.ip()
        lab.dns.records["mx." + domain + "."] = ["A " + ip]
        lab.dns.set(domain + ".", "MX 10 mx.%s." % domain)
        made.append(Host(ip, **kw))
        return made[-1]
    yield make
    for h in made:
        h.stop()


SMUGGLED = b"MAIL FROM:<admin@ici.test>\r\nRCPT TO:<x@there.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r\n"])
def test_binary_smuggling_to_a_third_server(mx, there, end):
    """BINARYMIME lets bare LF in; a server that takes LF . LF for the end must not get it from us."""
    domain = "sloppy%s.test" % end.hex()
    host = there(domain)
    body = b"From: anne@ici.test\r\nSubject: outer\r\n\r\nx" + end + SMUGGLED
    seen = len(mx.messages("anne@ici.test"))
    s = mx.submission("anne@ici.test")
    s.ehlo()
    assert s.docmd("MAIL FROM:<anne@ici.test> BODY=BINARYMIME")[0] == 250
    assert s.docmd("RCPT TO:<x@%s>" % domain)[0] == 250
    s.send(b"BDAT %d LAST\r\n" % len(body) + body)
    assert s.getreply()[0] == 250
    s.quit()
    wait_for("a copy there, or a bounce", lambda: host.messages or len(mx.messages("anne@ici.test")) > seen)
    for m in host.messages + [m for m in mx.messages("anne@ici.test")[seen:]]:
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", m), m
    assert len([l for l in host.transcript if l.startswith("MAIL")]) <= 1


def test_text_chunks_with_bare_ends_are_refused(mx):
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n"):
        with Wire(mx) as w:
            w.ehlo()
            w.envelope()
            body = b"Subject: outer\r\n\r\nx" + end + SMUGGLED
            w.send(b"BDAT %d LAST\r\n" % len(body) + body)
            assert w.reply().startswith("550 5.6.0 "), end
    for first, last in ((b"Subject: x\r\n\r\ny\r", b"z"), (b"Subject: x\r\n\r\ny\r", b"\r\n"), (b"Subject: x\r\n\r\ny", b"\n.\n"), (b"Subject: x\r\n\r\ny\r", b"")):
        with Wire(mx) as w:  # split over chunks
            w.ehlo()
            w.envelope()
            w.send(b"BDAT %d\r\n" % len(first) + first + b"BDAT %d LAST\r\n" % len(last) + last)
            w.reply()
            assert w.reply()[:3] in ("550", "503"), (first, last)
    assert not any(b"smuggled" in m[:200] for m in mx.messages("anne@ici.test"))


# --- header injection ---

def test_addresses_inject_nothing(mx):
    with Wire(mx) as w:
        w.ehlo()
        for sender in ("a\rb@labas.test", "a\nb@labas.test", "a\x00b@labas.test", '"a\r"@labas.test', '"a\\\r"@labas.test', '"a\\\n"@labas.test',
                       "a@labas\r.test", "a@labas.test>\rX-Injected: 1\r<", '"a\\\x00"@labas.test', "a b@labas.test", "a@lab as.test", '"a\x01"@labas.test',
                       '"a\x7f"@labas.test'):
            assert w.cmd("MAIL FROM:<%s>" % sender)[:3] in ("501", "553", "500", "550"), sender
        assert w.cmd("MAIL FROM:<x@labas.test>").startswith("250")
        for to in ("a\rb@ici.test", '"anne\\\r\\\nX: y"@ici.test', "anne\x00@ici.test", '"anne\x00"@ici.test', "anne+x\ry@ici.test", 'anne+"\r"@ici.test'):
            assert w.cmd("RCPT TO:<%s>" % to)[:3] in ("501", "553", "500", "550"), to
        for parameter in ("ORCPT=rfc822;a+0D+0AX:y@x", "ORCPT=rfc822;a+0a@x", "ORCPT=rfc822;a+00@x", "ORCPT=rfc\r822;a@x", "ORCPT=rfc822;a\r@x",
                          "ORCPT=x+0D+0Ay;z"):
            assert w.cmd("RCPT TO:<anne@ici.test> " + parameter)[:3] in ("500", "501"), parameter
    with Wire(mx) as w:
        w.ehlo()
        for envid in ("a+0D+0AX:y", "a+0a", "a+00", "a\rb", "+0"):
            assert w.cmd("MAIL FROM:<x@labas.test> ENVID=" + envid)[:3] in ("500", "501"), envid
    for greeting in ("EHLO a\rb", "HELO a\x00b", "EHLO a\tb", "EHLO \x7f", "EHLO a\nX-Injected: 1"):
        with Wire(mx) as w:
            if w.cmd(greeting).startswith("250"):
                w.envelope()
                assert w.cmd("DATA").startswith("354")
                w.send("Subject: helo\r\n\r\nx\r\n.\r\n")
                assert w.reply().startswith("250")
    for m in mx.messages("anne@ici.test"):
        assert b"X-Injected" not in m and b"\r\nX:" not in m
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", m)


@pytest.mark.parametrize("reply", [b"550 5.1.1 no\rX-Injected: 1\r\n", b"550-5.1.1 no\nX-Injected: 1\n\nbody\r\n550 5.1.1 no\r\n",
                                   b"550 5.1.1 no\x00\x1b[31m\x7f\xff\r\n", b"550 5.1.1\r\n", b"550\r\n", b"550 5.1.1 " + b"x" * 5000 + b"\r\n",
                                   b"550-5.1.1 many\r\n" * 3000 + b"550 5.1.1 lines\r\n", b"550 5.1.1 --=_boundary\r\n"])
def test_replies_inject_nothing_into_bounces(mx, there, reply):
    domain = "rude%d.test" % (abs(hash(reply)) % 10 ** 9)
    there(domain, answers={"RCPT": reply})
    seen = len(mx.messages("bob@ici.test"))
    submit(mx, "bob@ici.test", ["x@" + domain], mail_options=["ENVID=q+2Br"], rcpt_options=["ORCPT=rfc822;x+2By@" + domain])

    def result():
        messages = mx.messages("bob@ici.test")
        waits = [m for m in mx.json("queue", "list") if any(r["address"] == "x@" + domain and r["attempts"] > 0 for r in m["recipients"])]
        return messages[seen:] or waits  # a reply beyond all bounds may count as none
    got = wait_for("a bounce or another attempt", result)[0]
    if isinstance(got, dict):
        mx.run("queue", "remove", got["id"])
        assert len(reply) > 4000 or b"\n" in reply[:-2] or b"\r" in reply[:-2] or b"\x00" in reply
        return
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[\x00\x1b\x7f]", got)
    report = email.message_from_bytes(got)
    assert report.get_content_type() == "multipart/report" and "X-Injected" not in report
    parts = report.get_payload()
    assert [p.get_content_type() for p in parts][:2] == ["text/plain", "message/delivery-status"] and len(parts) == 3
    about_message, about_recipient = parts[1].get_payload()
    assert "X-Injected" not in about_recipient and about_message["Original-Envelope-Id"] == "q+r"
    assert about_recipient["Action"] == "failed" and about_recipient["Status"].startswith("5.")
    assert max(len(l) for l in got.split(b"\r\n")) <= 998 and len(got) < 100000


def test_starttls_answers_in_clear_are_not_taken_for_later_ones(lab, mx, there):
    """What a man in the middle adds behind "220 go" must not count as the answer to EHLO inside TLS."""
    context = smarthost_context(lab, "mx.middle.test")

    class Middle(Host):
        def talk(self, c):
            try:
                c.sendall(b"220 host\r\n")
                f = c.makefile("rb")
                for line in f:
                    self.transcript.append(line.decode().rstrip())
                    if line.startswith(b"EHLO"):
                        c.sendall(b"250-host\r\n250 STARTTLS\r\n" if not self.cut else b"421 no more\r\n")
                    elif line.startswith(b"STARTTLS"):
                        self.cut = True
                        c.sendall(b"220 go\r\n250-injected\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n")
                        t = context.wrap_socket(c, server_side=True)
                        g = t.makefile("rb")
                        for inner in g:
                            self.inside.append(inner)
                            if inner.startswith(b"EHLO"):
                                continue  # the answer came already
                            t.sendall(b"250 ok\r\n")
                    else:
                        c.sendall(b"250 ok\r\n")
            except (OSError, ssl.SSLError):
                pass
            finally:
                c.close()

    ip = lab.ip()
    Middle.cut, Middle.inside = False, []
    lab.dns.records["mx.middle.test."] = ["A " + ip]
    lab.dns.set("middle.test.", "MX 10 mx.middle.test.")
    host = Middle(ip)
    try:
        submit(mx, "anne@ici.test", ["x@middle.test"])
        found = wait_for("an attempt", lambda: [m for m in mx.json("queue", "list") if any(
            r["address"] == "x@middle.test" and r["attempts"] for r in m["recipients"])])
        assert not any(l.startswith((b"MAIL", b"BDAT")) for l in host.inside)
        mx.run("queue", "remove", found[0]["id"])
    finally:
        host.stop()


# --- MIME bombs ---

def nested(depth):
    parts = ["From: x@labas.test\r\nSubject: deep\r\n"]
    for i in range(depth):
        parts.append('Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i))
    parts.append("Content-Type: text/plain\r\n\r\nx\r\n")
    return "".join(parts)


def forwarded(depth):
    return "Subject: deep\r\n" + "Content-Type: message/rfc822\r\n\r\nSubject: deeper\r\n" * depth + "\r\nx\r\n"


BOMBS = {
    "depth": lambda: nested(10000),
    "messages": lambda: forwarded(10000),
    "parts": lambda: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 100000 + "--b--\r\n",
    "boundaries": lambda: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n" * 2000000,
    "near boundaries": lambda: "Content-Type: multipart/mixed; boundary=%s\r\n\r\n" % ("-" * 70) + ("-" * 71 + "\r\n") * 140000,
    "parameters": lambda: "Content-Type: text/plain" + "".join(";\r\n b*%d*=%%41" % i for i in range(12000)) + "\r\n\r\nx\r\n",
    "addresses": lambda: "To: " + ",\r\n ".join("a%d@x.test" % i for i in range(12000)) + "\r\n\r\nx\r\n",
    "groups": lambda: "To: " + "a:" * 50000 + "\r\n\r\nx\r\n",
    "comments": lambda: "From: " + ("(" * 900 + "\r\n ") * 100 + "\r\n\r\nx\r\n",
    "encoded words": lambda: "Subject: " + "=?utf-8?q?=41?=\r\n " * 10000 + "\r\n\r\nx\r\n",
    "folds": lambda: "Subject: x" + "\r\n x" * 50000 + "\r\n\r\nx\r\n",
    "references": lambda: "References: " + "<a@b>\r\n " * 20000 + "x\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_mime_bombs(mx, kind):
    raw = BOMBS[kind]().encode()
    with imap(mx) as line:
        line.ask(b"CREATE bombs")
        line.send(b"a APPEND bombs {%d+}\r\n" % len(raw) + raw + b"\r\n")
        begin = time.monotonic()
        answer = line.until(b"a ")[-1]
        assert answer.startswith(b"a OK"), answer
        assert line.ask(b"SELECT bombs")[-1].startswith(b"t OK")
        for items in (b"BODYSTRUCTURE", b"ENVELOPE", b"BODY", b"BODY.PEEK[HEADER.FIELDS (TO)]", b"RFC822.SIZE BODY.PEEK[1.1.1.1]"):
            answer = line.ask(b"FETCH * (%s)" % items)
            assert answer[-1].startswith(b"t OK"), answer[-1]
            assert sum(map(len, answer)) < 1 << 20, items
        assert line.ask(b"SEARCH SUBJECT deep TO x TEXT y")[-1].startswith(b"t OK")
        assert time.monotonic() - begin < 5 * SLOW
        assert line.ask(b"FETCH * (RFC822.SIZE)")[0].endswith(b"RFC822.SIZE %d)\r\n" % len(raw))
        line.ask(b"STORE 1:* +FLAGS (\\Deleted)")
        line.ask(b"EXPUNGE")
    before = len(re.findall("smtp.message.accepted", mx.log_text()))
    with Wire(mx) as w:
        w.ehlo()
        w.envelope("x@labas.test", "mallory@ici.test")
        assert w.cmd("DATA").startswith("354")
        w.send(re.sub(rb"(?m)^\.", b"..", raw) + b".\r\n")
        begin = time.monotonic()
        r = w.reply()
        assert r[:3] in ("250", "552"), r  # a header may be too large
        assert (r[:3] == "250") == (len(re.findall("smtp.message.accepted", mx.log_text())) > before)
        assert time.monotonic() - begin < 10 * SLOW
    answered_within(mx, 2)


# --- floods and slow peers ---

def test_ten_thousand_recipients_in_one_go(mx):
    with Wire(mx) as w:
        w.ehlo()
        sender = threading.Thread(target=lambda: w.send("MAIL FROM:<x@labas.test>\r\n" + "RCPT TO:<anne@ici.test>\r\n" * 10000 + "RSET\r\nQUIT\r\n"))
        sender.start()
        replies = w.rest()
        sender.join()
    codes = [r[:3] for r in replies]
    assert codes[0] == "250" and codes[1:1001] == ["250"] * 1000 and set(codes[1001:]) <= {"452", "421", "250", "221"}
    assert len(codes) <= 10003
    answered_within(mx, 2)


def test_huge_header_lines(mx):
    for header, code in (("X: " + "y" * 2000000 + "\r\n", ("250", "552")), ("X-Many: y\r\n" * 100000, ("250", "552")),
                         ("X: y" + "\r\n y" * 300000 + "\r\n", ("250", "552"))):
        with Wire(mx) as w:
            w.ehlo()
            w.envelope()
            assert w.cmd("DATA").startswith("354")
            w.send(header + "\r\nx\r\n.\r\n")
            assert w.reply()[:3] in code
            assert w.cmd("NOOP").startswith("250")


@pytest.mark.parametrize("port,bomb", [("smtp", b"NOOP " + b"x" * (1 << 20)), ("submission", b"\x00" * (1 << 20)), ("imap", b"a NOOP " + b"(" * (1 << 20)),
                                       ("imap", b"a FETCH " + b"1," * (1 << 19)), ("pop3", b"USER " + b"x" * (1 << 20)), ("imap", b" " * (1 << 20)),
                                       ("imap", b"a SEARCH " + b"NOT " * (1 << 18)), ("imap", b"a FETCH 1 (BODY[" + b"1." * (1 << 19))])
def test_endless_lines(mx, port, bomb):
    """One answer or an end, no memory; and the line never ends."""
    with Line(mx, port) as line:
        try:
            for _ in range(4):
                line.send(bomb)
            line.send(b"\r\n")
        except ConnectionError:
            pass
        answer = line.until(b"500", b"a BAD", b"a NO", b"* BAD", b"* BYE", b"-ERR", b"421")
        assert answer
    answered_within(mx, 2)


@pytest.mark.parametrize("literal", [b"{4294967295}", b"{99999999999}", b"{4294967296}", b"{18446744073709551617}", b"{-1}", b"{4294967295+}",
                                     b"{99999999999+}", b"{}", b"{0x10}", b"{65536}", b"~{4294967295}"])
def test_literal_bombs_before_login(mx, literal):
    for command in (b"LOGIN ", b"APPEND INBOX ", b"AUTHENTICATE ", b"", b"SEARCH TEXT "):
        with Line(mx, "imap") as line:
            answer = line.ask(command + literal)
            assert not any(l.startswith(b"+") for l in answer), (command, answer)
            assert answer[-1] == b"" or answer[-1].startswith((b"t BAD", b"t NO", b"* BYE")), (command, answer)


def test_literal_bombs_after_login(mx):
    """Many small literals in one command, and lists within lists."""
    with imap(mx) as line:
        try:
            line.send(b"a SEARCH " + b"SUBJECT {1+}\r\nx " * 20000 + b"\r\n")
        except (ConnectionError, ssl.SSLError):
            pass  # it has had enough already, and its answer may be lost with the rest
        assert line.until(b"a ", b"* BYE")[-1][:4] in (b"a BA", b"a NO", b"* BY", b"a OK", b"")
    with imap(mx) as line:
        line.ask(b"SELECT INBOX")
        for bomb in (b"SEARCH " + b"(" * 5000 + b"ALL" + b")" * 5000, b"SEARCH " + b"NOT " * 5000 + b"ALL", b"SEARCH " + b"OR ALL " * 2000 + b"ALL",
                     b"FETCH 1 (" + b"FLAGS " * 5000 + b"UID)", b"FETCH 1:* BODY[" + b"1." * 1000 + b"1]", b"LIST \"\" " + b"*" * 500,
                     b"LIST \"\" " + b"%*" * 400 + b"x", b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % i for i in range(1000)) + b")",
                     b"FETCH " + b"*:1," * 2000 + b"1 FLAGS", b"FETCH 4294967295:1,0 FLAGS", b"UID FETCH 1:4294967295 (FLAGS)",
                     b"FETCH 1 BODY[]<4294967295.4294967295>", b"FETCH 1 BODY[]<0.0>"):
            begin = time.monotonic()
            answer = line.ask(bomb)[-1]
            assert answer[:4] in (b"t BA", b"t NO", b"t OK"), (bomb[:40], answer)
            assert time.monotonic() - begin < 5 * SLOW, bomb[:40]


def test_slow_peers_keep_nobody_from_being_served(lab):
    """200 connections, a byte a second each, some in the middle of a message."""
    server = lab.facteur("lent.test", accounts=("anne",))
    slow = []
    try:
        for i in range(200):
            port = ("smtp", "imap", "pop3", "submissions", "imaps")[i % 5]
            s = socket.create_connection((server.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + str(100 + i // 5), 0))
            if port == "smtp" and i % 2:
                s.sendall(b"EHLO x\r\nMAIL FROM:<x@labas.test>\r\nRCPT TO:<anne@lent.test>\r\nDATA\r\n")
            slow.append(s)
        stop = time.monotonic() + 3 * SLOW
        while time.monotonic() < stop:
            for s in slow:
                try:
                    s.send(b"x")
                except OSError:
                    pass
            begin = time.monotonic()
            server_answers(server)
            assert time.monotonic() - begin < 5 * SLOW  # a busy machine may need that; without a worker it would be minutes
            time.sleep(0.5)  # the drip itself
    finally:
        for s in slow:
            s.close()
        server.stop()


def test_slow_messages_cannot_take_every_worker(lab):
    """As many strangers as there are workers begin a message and fall silent: the later ones get less patience, and others are served."""
    server = lab.facteur("patient.test", "limits {\n    workers = 8\n}\n", accounts=("anne",))
    slow = []
    try:
        for i in range(12):
            s = socket.create_connection((server.ip, PORTS["smtp"]), timeout=20 * SLOW, source_address=(lab.net + str(100 + i), 0))
            s.sendall(b"EHLO x\r\nMAIL FROM:<x@labas.test>\r\nRCPT TO:<anne@patient.test>\r\nDATA\r\n")
            slow.append(s)
        begin = time.monotonic()
        server_answers(server)
        assert time.monotonic() - begin < 20 * SLOW  # it would be a minute
    finally:
        for s in slow:
            s.close()
        server.stop()


def server_answers(server):
    with Wire(server) as w:
        w.ehlo()
        w.envelope("x@labas.test", "anne@%s" % server.hostname[3:])
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: quick\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
    m = server.imap("anne@%s" % server.hostname[3:])
    m.logout()


def test_one_address_cannot_take_all_connections(mx, lab):
    source, held = lab.net + "240", []
    try:
        for _ in range(60):
            s = socket.create_connection((mx.ip, PORTS["smtp"]), timeout=20 * SLOW, source_address=(source, 0))
            held.append(s)
        greetings = [s.recv(100)[:3] for s in held]
        assert greetings[:40] == [b"220"] * 40 and greetings[-5:] == [b"421"] * 5
        answered_within(mx, 2)
    finally:
        for s in held:
            s.close()


# --- names that climb out ---

def tree(folder):
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            found[path] = os.lstat(path).st_mode
    return found


def test_mailbox_names_reach_no_file(mx, lab):
    anne = mx.imap("anne@ici.test")
    anne.create("Private")
    anne.logout()
    before = tree(lab.dir)
    names = [b"../../etc/passwd", b"..", b".", b"../anne", b"a/../../b", b"/etc/passwd", b"/x", b"//x", b"x/", b"x//y", b"~anne", b"#shared/x", b"&AC8-x",
             b"&AC4ALgAv-x", b"&AAA-", b"&AAAALgAu-", b"&", b"&-", b"&A", b"&2ADYAA-", b"\xff\xfe", b"\xc0\xae\xc0\xae/x", b"a" * 5000, b"a/" * 2000, b"INBOX/../x",
             b"inbox/..", b"con:", b"a\\..\\b", b"..\\..\\x", b"%2e%2e%2f", b"*", b"%", b"\x7f", b"anne@ici.test/INBOX", b"../anne@ici.test/INBOX", b"user/anne"]
    with imap(mx) as line:
        for name in names:
            for command in (b"CREATE %s", b"SELECT %s", b"STATUS %s (MESSAGES)", b"RENAME %s away", b"RENAME INBOX %s", b"SUBSCRIBE %s", b"LIST \"\" %s",
                            b"APPEND %s {1+}\r\nx", b"COPY 1 %s", b"DELETE %s"):
                answer = line.ask(command % (b"{%d+}\r\n%s" % (len(name), name)))
                if not answer[-1] or answer[-1].startswith(b"* BYE"):  # a bomb of a literal
                    line.__exit__()
                    line.__init__(mx, "imaps", tls=True)
                    assert line.ask(b"LOGIN mallory@ici.test secret")[-1].startswith(b"t OK")
        for nul in (b"CREATE \"a\x00b\"", b"CREATE {3+}\r\na\x00b", b"SELECT \"..\x00\""):
            assert line.ask(nul)[-1][:4] in (b"t BA", b"t NO")
        listed = b"".join(line.ask(b'LIST "" "*"'))
        assert b"Private" not in listed and b"passwd" not in listed
    after = tree(lab.dir)
    new = {p for p in after if p not in before and "/data/" not in p}
    assert not new, new
    assert not [p for p in after if p not in before and not re.search(r"/(blobs|accounts|vault|segments|queue)?[^/]*[0-9a-z.-]*$", p)]
    assert {p: m for p, m in after.items() if p in before} == {p: before[p] for p in after if p in before}
    assert not [p for p in after if "passwd" in p or "etc" in os.path.basename(p)]
    anne = mx.imap("anne@ici.test")
    assert anne.select("Private")[0] == "OK"
    anne.logout()


# --- guessing ---

def test_unknown_users_look_like_wrong_passwords(mx, lab):
    """The same words and about the same time, on every service."""
    def smtp(user, source):
        with Wire(mx, "submissions", source=source) as w:
            w.ehlo()
            begin = time.monotonic()
            return w.cmd("AUTH PLAIN " + base64.b64encode(b"\0%s\0guess" % user).decode()), time.monotonic() - begin

    def imap_login(user, source):
        with Line(mx, "imaps", source=source, tls=True) as line:
            begin = time.monotonic()
            return line.ask(b"LOGIN %s guess" % user)[-1], time.monotonic() - begin

    def pop3(user, source):
        with Line(mx, "pop3s", source=source, tls=True) as line:
            line.send(b"USER %s\r\n" % user)
            first = line.f.readline()
            begin = time.monotonic()
            line.send(b"PASS guess\r\n")
            return (first.split()[0], line.f.readline()), time.monotonic() - begin

    n = 0
    for ask in (smtp, imap_login, pop3):
        times = {}
        for user in (b"bob@ici.test", b"nobody@ici.test", b"nobody@labas.test", b"bob@ici.test", b"nobody@ici.test"):
            n += 1
            text, took = ask(user, lab.net + str(160 + n))
            times.setdefault(user, []).append(took)
            if user == b"bob@ici.test":
                known = text
            assert text == known, (user, text)
        known, unknown = min(times[b"bob@ici.test"]), min(times[b"nobody@ici.test"])
        assert known < unknown * 3 + 0.02 and unknown < known * 3 + 0.02, times


@pytest.mark.parametrize("port,hello", [("smtp", b"220"), ("submission", b"220"), ("imap", b"* OK"), ("pop3", b"+OK")])
def test_proxy_is_believed_from_the_proxy_alone(mx, lab, port, hello):
    """On every listener: the proxy must speak it, others must not."""
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x9c\x40\0\x19"
    for header in (b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n", v2):
        since = len(mx.log_text())
        with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "8", 0)) as s:
            s.sendall(header)
            assert s.recv(1000).startswith(hello)
        with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "11", 0)) as s:
            s.recv(1000)
            s.sendall(header)
            s.shutdown(socket.SHUT_WR)
            while s.recv(1000):
                pass
        assert "192.0.2.7" not in "".join(l for l in mx.log_text()[since:].splitlines() if "%s11" % lab.net in l)
    for broken in (b"PROXY TCP4 192.0.2.7\r\n", b"PROXY TCP4 999.0.2.7 192.0.2.1 1 2\r\n", b"EHLO x\r\n", b"PROXY " + b"x" * 200, v2[:12] + b"\x11" + v2[13:],
                   v2[:14] + b"\xff\xff" + v2[16:] + b"x" * 70000):
        with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "8", 0)) as s:
            try:
                s.sendall(broken)
                s.shutdown(socket.SHUT_WR)
                assert s.recv(1000) == b""
            except OSError as e:
                assert not isinstance(e, TimeoutError)


@pytest.mark.parametrize("port,hello", [("submissions", b"220"), ("imaps", b"* OK"), ("pop3s", b"+OK")])
def test_proxy_header_stands_before_tls(mx, lab, port, hello):
    with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "8", 0)) as s:
        s.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n")
        with lab.tls().wrap_socket(s) as t:
            assert t.recv(1000).startswith(hello)
    with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "11", 0)) as s:
        s.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            lab.tls().wrap_socket(s)


def test_words_of_other_servers_are_harmless_on_a_terminal(mx, there):
    there("angsi.test", answers={"RCPT": b"450 4.2.0 \x1b]0;owned\x07\x1b[31m \xc2\x9b31m later\r\n"})
    submit(mx, "bob@ici.test", ["x@angsi.test"])
    found = wait_for("an attempt", lambda: [m for m in mx.json("queue", "list") if any(
        r["address"] == "x@angsi.test" and r["attempts"] for r in m["recipients"])])[0]
    for args in (["list"], ["show", found["id"]], ["show", found["id"], "--json"]):
        said = mx.run("queue", *args)
        assert "later" in said and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), (args, said)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", mx.log_text())
    mx.run("queue", "remove", found["id"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("port", ["submissions", "imaps", "pop3s"])
def test_broken_handshakes(mx, lab, port):
    """Bytes that are no TLS, old TLS, and a handshake cut in the middle."""
    for junk in (b"\x16\x03\x01" + b"\xff" * 20, b"EHLO x\r\n", b"\x80\x2e\x01\x03\x01" + b"\x00" * 40, b"\x16\x03\x01\x40\x00\x01" + os.urandom(300), b""):
        with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW, source_address=(lab.net + "12", 0)) as s:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(1000):
                    pass
            except ConnectionError:
                pass
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((mx.ip, PORTS[port]), timeout=20 * SLOW) as s, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(s)
    answered_within(mx, 2)


# --- DNS that lies ---

class Liar:
    """A resolver that answers with what answers[name] makes of the question; UDP and TCP. None: no answer at all."""

    def __init__(self, ip, port):
        self.answers, self.asked = {}, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ip, port))
        self.tcp = socket.create_server((ip, port))
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def reply(self, question, tcp):
        name, at = [], 12
        while question[at]:
            name.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        query, name = question[12:at + 5], ".".join(name)
        self.asked.append((name, kind))
        make = self.answers.get((name, kind), self.answers.get(name))
        if make is None:
            return question[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + query  # NXDOMAIN
        return make(question[:2], query, tcp)

    def serve_udp(self):
        while True:
            try:
                question, peer = self.udp.recvfrom(4096)
                answer = self.reply(question, False)
                if answer is not None:
                    self.udp.sendto(answer[:65000], peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                c, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.one_tcp, args=(c,), daemon=True).start()

    def one_tcp(self, c):
        c.settimeout(20)
        f = c.makefile("rb")
        try:
            while True:
                head = f.read(2)
                if len(head) < 2:
                    return
                answer = self.reply(f.read(struct.unpack(">H", head)[0]), True)
                if answer is not None:
                    c.sendall(struct.pack(">H", min(len(answer), 65535)) + answer[:65535])
        except OSError:
            pass
        finally:
            c.close()

    def stop(self):
        self.udp.close()
        self.tcp.close()


def encode(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def records(*rows, rcode=0, flags=0x8180):
    """rows: (name, type, rdata); the answer section."""
    def make(ident, query, tcp):
        body = b"".join(encode(n) + struct.pack(">HHIH", t, 1, 60, len(d)) + d for n, t, d in rows)
        whole = ident + struct.pack(">HHHHH", flags | rcode, 1, len(rows), 0, 0) + query + body
        if len(whole) > 1200 and not tcp:
            return ident + struct.pack(">HHHHH", flags | 0x200, 1, 0, 0, 0) + query
        return whole
    return make


def mx_rr(name, preference, host):
    return (name, 15, struct.pack(">H", preference) + encode(host))


A, CNAME, MX = 1, 5, 15


def test_lying_dns(lab):
    dns_ip = lab.ip()
    liar = Liar(dns_ip, lab_module.DNS_PORT)
    server = lab.facteur("naif.test", accounts=("anne", "bob"), extra=QUEUE, start=False)
    server.write(server.text.replace("%s:%d" % (lab.dns.ip, lab.dns.port), "%s:%d" % (dns_ip, lab_module.DNS_PORT)))
    server.start()
    good = Host(lab.ip())
    good_a = records(("mx.good.test", A, socket.inet_aton(good.socket.getsockname()[0])))
    permanent = {
        "nowhere.test": {},  # NXDOMAIN
        "null.test": {"null.test": records(mx_rr("null.test", 0, ""))},
        "self.test": {"self.test": records(mx_rr("self.test", 10, "mx.naif.test")), "mx.naif.test": records(("mx.naif.test", A, socket.inet_aton(server.ip)))},
        "hidden-self.test": {"hidden-self.test": records(mx_rr("hidden-self.test", 10, "h.hidden-self.test")),
                             "h.hidden-self.test": records(("h.hidden-self.test", A, socket.inet_aton(server.ip)))},
    }
    loop = {"c%d.loop.test" % i: records(("c%d.loop.test" % i, CNAME, encode("c%d.loop.test" % ((i + 1) % 3)))) for i in range(3)}
    chain = {"c%d.chain.test" % i: records(("c%d.chain.test" % i, CNAME, encode("c%d.chain.test" % (i + 1)))) for i in range(200)}
    temporary = {
        "servfail.test": {"servfail.test": records(rcode=2)},
        "refused.test": {"refused.test": records(rcode=5)},
        "junk.test": {"junk.test": lambda i, q, tcp: i + b"\xff" * 40},
        "short.test": {"short.test": lambda i, q, tcp: i + b"\x81\x80\0\1\0\5\0\0\0\0" + q},
        "pointer.test": {"pointer.test": lambda i, q, tcp: i + b"\x81\x80\0\1\0\1\0\0\0\0" + q + b"\xc0" + bytes([12 + len(q)]) + b"\0\x0f\0\1\0\0\0\x3c\0\4\0\x0a\xc0\x0c"},
        "c0.loop.test": loop,
        "c0.chain.test": chain,
    }
    for names in list(permanent.values()) + list(temporary.values()):
        liar.answers.update(names)
    liar.answers["mx.good.test"] = good_a
    liar.answers[("many.test", MX)] = records(*[mx_rr("many.test", i, "h%d.many.test" % i) for i in range(1, 200)], mx_rr("many.test", 0, "mx.good.test"))
    thousands = b"".join(b"\xc0\x0c" + struct.pack(">HHIHHB", MX, 1, 60, 9, i, 4) + b"%04d" % i + b"\xc0\x0c" for i in range(2500))
    liar.answers[("thousands.test", MX)] = lambda i, q, tcp: i + (struct.pack(">HHHHH", 0x8180, 1, 2500, 0, 0) + q + thousands if tcp else
                                                                  struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + q)
    try:
        for n, domain in enumerate(permanent):
            user = "anne@naif.test"
            submit(server, user, ["x@" + domain])
            bounce = server.wait_messages(user, n + 1, seconds=40)[-1]
            assert b"Status: 5." in bounce and (b"Status: 5.4.6" in bounce) == ("self" in domain), (domain, bounce)
        for domain in temporary:
            submit(server, "bob@naif.test", ["x@" + domain])
        submit(server, "bob@naif.test", ["x@many.test"])
        submit(server, "bob@naif.test", ["x@thousands.test"])
        wait_for("the one host of many", lambda: good.messages, 40)

        def attempts():
            return {r["address"][2:]: r["attempts"] for m in server.json("queue", "list") for r in m["recipients"]}

        def settled():
            now = attempts()
            text = "".join(m.decode("latin-1") for m in server.messages("bob@naif.test"))
            return all(now.get(d, 0) > 0 or "x@" + d in text for d in list(temporary) + ["thousands.test"])
        wait_for("an attempt at each", settled, 60)
        bounced = "".join(m.decode("latin-1") for m in server.messages("bob@naif.test"))
        assert not [d for d in temporary if "x@" + d in bounced and "loop" not in d and "chain" not in d], bounced
        assert len([a for a in liar.asked if a[0].endswith("thousands.test")]) < 100
    finally:
        good.stop()
        server.stop()
        liar.stop()
