"""SMTP in: port 25, submission on 587 and 465, relay-from; and what strangers try there."""
import base64
import hashlib
import hmac
import os
import re
import secrets
import shutil
import smtplib
import socket
import ssl
import subprocess

import pytest

from lab import IS_ROOT, PORTS, SLOW, wait_for

LIMITS = """
limits {
    message-size = 400kb
    recipients   = 10
}
"""


@pytest.fixture(scope="module")
def mx(lab):
    """With small limits; .9 of its net is a device that may relay, .8 a proxy."""
    made = lab.facteur("ici.test", accounts=("anne", "bob"), extra=LIMITS + 'relay-from = {"%s9/32", "192.0.2.9/32"}\nproxy-from = "%s8"\n' % (lab.net, lab.net))
    made.run("alias", "add", "info@ici.test", "anne@ici.test", "bob@ici.test")
    return made


class Wire:
    """A client that sends bytes as they are."""

    def __init__(self, server, port="smtp", source=None, greet=True):
        self.server = server
        self.s = socket.create_connection((server.ip, PORTS[port]), timeout=20 * SLOW, source_address=(source, 0) if source else None)
        self.f = self.s.makefile("rb")
        if port == "submissions":
            self.wrap()
        if greet:
            assert self.reply().startswith("220 ")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.f.close()
        self.s.close()

    def wrap(self):
        context = ssl.create_default_context(cafile=self.server.lab.ca)
        self.s = context.wrap_socket(self.s, server_hostname=self.server.hostname)
        self.f = self.s.makefile("rb")

    def send(self, data):
        self.s.sendall(data.encode() if isinstance(data, str) else data)

    def reply(self):
        """One whole reply, lines joined; "" where the connection has ended."""
        lines = []
        while True:
            try:
                line = self.f.readline()
            except ConnectionError:
                line = b""
            if not line:
                return "\n".join(lines)
            assert line.endswith(b"\r\n")
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def cmd(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def ehlo(self):
        return self.cmd("EHLO client.example.test")

    def envelope(self, sender="x@labas.test", *to):
        assert self.cmd("MAIL FROM:<%s>" % sender).startswith("250 2.1.0 ")
        for address in to or ("anne@ici.test",):
            assert self.cmd("RCPT TO:<%s>" % address).startswith("250 2.1.5 ")

    def starttls(self):
        assert self.cmd("STARTTLS").startswith("220 2.0.0 ")
        self.wrap()
        return self.ehlo()

    def rest(self):
        """All that still comes until the server closes."""
        out = []
        while True:
            r = self.reply()
            if not r:
                return out
            out.append(r)


def letter(subject, body="x\r\n", sender="anne@ici.test"):
    return "From: %s\r\nTo: bob@ici.test\r\nSubject: %s\r\n\r\n%s" % (sender, subject, body)


def subjects(server, user):
    return [re.search(rb"^Subject: (.*?)\r$", m, re.M).group(1).decode() for m in server.messages(user) if b"\nSubject:" in m]


def accepted(server):
    return len(re.findall(r"smtp\.message\.accepted", server.log_text()))


# --- what is offered ---

def test_ehlo_offers(mx):
    with Wire(mx) as w:
        words = {line[4:].split(" ")[0] for line in w.ehlo().split("\n")[1:]}
        assert words == {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "LIMITS",
                         "STARTTLS", "HELP"}
        again = w.starttls()
        assert "STARTTLS" not in again and "AUTH" not in again
        assert "250-SIZE 409600" in again and "RCPTMAX=10" in again
    with Wire(mx, "submission") as w:
        plain = w.ehlo()
        assert "STARTTLS" in plain and "AUTH" not in plain
        tls = w.starttls()
        offered = re.search(r"AUTH (.*)", tls).group(1).split()
        assert {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} <= set(offered)
        assert re.search(r"FUTURERELEASE \d+ \d{4}-\d\d-\d\dT", tls) and "DELIVERBY" in tls and "MT-PRIORITY" in tls


def test_small_commands(mx):
    with Wire(mx) as w:
        assert w.cmd("MAIL FROM:<a@b>").startswith("503 5.5.1 ")
        w.ehlo()
        for line, code in (("NOOP hi", "250"), ("RSET", "250"), ("HELP", "214"), ("VRFY anne", "252"), ("EXPN info", "502"), ("ETRN x", "500"),
                           ("TURN", "500"), ("XCLIENT ADDR=127.0.0.1", "500"), ("QUIT", "221")):
            assert w.cmd(line).startswith(code + " ")
        assert w.rest() == []


# --- what comes in ---

def test_message_is_kept_byte_for_byte(mx):
    body = "Return-Path: <old@x.test>\r\nsubject: kept\r\nX-Odd:\tvalue \r\n\r\n.leading dot\r\n..\r\n\r\n" + "long " * 500 + "\r\n\x00\xe9\r\n"
    raw = body.encode("latin-1")
    with Wire(mx) as w:
        w.ehlo()
        w.envelope("x@labas.test", "bob@ici.test")
        assert w.cmd("DATA").startswith("354 ")
        w.send(re.sub(rb"(?m)^\.", b"..", raw) + b".\r\n")
        assert re.match(r"250 2\.0\.0 Ok: queued as [0-9a-f]+$", w.reply())

    def found():
        return [m for m in mx.messages("bob@ici.test") if b"subject: kept" in m]
    got = wait_for("the message", found)[0]
    assert got.endswith(b"\r\n" + raw)
    ours = got[:-len(raw)].decode()
    assert re.fullmatch(r"Return-Path: <x@labas\.test>\r\nAuthentication-Results: mx\.ici\.test;(?:[^\r]*\r\n[\t ])+[^\r]*\r\n"
                        r"Received: from client\.example\.test \(\[127\.[\d.]+\]\)\r\n"
                        r"\tby mx\.ici\.test with ESMTP id [0-9a-f]+\.1\r\n\tfor <bob@ici\.test>;\r\n\t[^\r]+ \+0000\r\n", ours)


def test_pipelined_group_gets_one_answer_each(mx):
    with Wire(mx) as w:
        w.send("EHLO c\r\nMAIL FROM:<x@labas.test>\r\nRCPT TO:<anne@ici.test>\r\nRCPT TO:<nobody@ici.test>\r\nRCPT TO:<info@ici.test>\r\nDATA\r\n")
        assert [w.reply()[:3] for _ in range(6)] == ["250", "250", "250", "550", "250", "354"]
        w.send("Subject: piped\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [w.reply()[:3] for _ in range(2)] == ["250", "221"]
    wait_for("one copy each", lambda: subjects(mx, "anne@ici.test").count("piped") == 1 and subjects(mx, "bob@ici.test").count("piped") == 1)
    got = [m for m in mx.messages("anne@ici.test") if b"Subject: piped" in m]
    assert len(got) == 1 and b"for <" not in got[0]  # two recipients: neither is named


def test_unknown_recipient_and_postmaster(mx):
    with Wire(mx) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<>").startswith("250")
        assert w.cmd("RCPT TO:<nobody@ici.test>").startswith("550 5.1.1 ")
        for who in ("postmaster", "Postmaster", "postmaster@ici.test", "POSTMASTER@ICI.TEST", "postmaster@mx.ici.test",
                    "postmaster@[%s]" % mx.ip, "anne+tag@ici.test", "ANNE@ici.test", '"anne"@ici.test'):
            assert w.cmd("RCPT TO:<%s>" % who).startswith("250 2.1.5 "), who


def test_chunks_and_binary(mx):
    first, second = b"Subject: binary\r\n\r\nbare\nlf", b" and\rcr\r\n.\r\n\x00\xff"
    with Wire(mx) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<x@labas.test> BODY=BINARYMIME").startswith("250")
        assert w.cmd("RCPT TO:<anne@ici.test>").startswith("250")
        assert w.cmd("DATA").startswith("503 ")
        w.send(b"BDAT %d\r\n" % len(first) + first + b"BDAT %d LAST\r\n" % len(second) + second)
        assert w.reply().startswith("250") and w.reply().startswith("250 2.0.0 Ok: queued")
    wait_for("binary", lambda: any(m.endswith(first + second) for m in mx.messages("anne@ici.test")))
    with Wire(mx) as w:  # text chunks obey the rules of text
        w.ehlo()
        w.envelope()
        w.send(b"BDAT %d LAST\r\n" % len(first) + first)
        assert w.reply().startswith("550 5.6.0 ")
        w.send("BDAT nonsense\r\nQUIT\r\n")  # nobody knows how much data follows: not read as commands
        assert w.reply().startswith("501 ") and w.rest() == []


def test_dsn_parameters(mx):
    with Wire(mx) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<x@labas.test> RET=HDRS ENVID=QQ+2B1").startswith("250")
        assert w.cmd("RCPT TO:<anne@ici.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@x").startswith("250")
        for bad in ("NOTIFY=NEVER,SUCCESS", "NOTIFY=MAYBE", "ORCPT=rfc822;a+0D+0Ab", "ORCPT=x", "NOTIFY=NEVER NOTIFY=NEVER"):
            assert w.cmd("RCPT TO:<anne@ici.test> " + bad).startswith("501 5.5.4 "), bad
        assert w.cmd("RCPT TO:<anne@ici.test> X=1").startswith("555 5.5.4 ")
        w.cmd("RSET")
        for bad in ("RET=ALL", "ENVID=a+0A", "BODY=9BIT", "SIZE=x", "SMTPUTF8=1"):
            assert w.cmd("MAIL FROM:<x@labas.test> " + bad).startswith("501 5.5.4 "), bad
        for submission_only in ("HOLDFOR=60", "BY=100;R", "MT-PRIORITY=1", "AUTH=<>"):
            assert w.cmd("MAIL FROM:<x@labas.test> " + submission_only).startswith("555 "), submission_only


def test_smtputf8(mx):
    with Wire(mx) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<jos\u00e9@b\u00fccher.test>").startswith("553 5.6.7 ")
        assert w.cmd("MAIL FROM:<jos\u00e9@b\u00fccher.test> SMTPUTF8").startswith("250")
        assert w.cmd("RCPT TO:<anne@ici.test>").startswith("250")
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: d\u00e9j\u00e0\r\n\r\n\u00e9\r\n.\r\n")
        assert w.reply().startswith("250")
    got = wait_for("utf8", lambda: [m for m in mx.messages("anne@ici.test") if "d\u00e9j\u00e0".encode() in m])[0]
    assert b" with UTF8SMTP id " in got and got.startswith("Return-Path: <jos\u00e9@b\u00fccher.test>".encode())


# --- limits ---

def test_size(mx):
    with Wire(mx) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<x@labas.test> SIZE=409601").startswith("552 5.3.4 ")
        assert w.cmd("MAIL FROM:<x@labas.test> SIZE=99999999999999999999").startswith("552 5.3.4 ")
        w.envelope()
        assert w.cmd("DATA").startswith("354")
        w.send(b"Subject: large\r\n\r\n" + b"0123456789012345678901234567890123456789\r\n" * 12000 + b".\r\n")
        assert w.reply().startswith("552 5.3.4 ")
        w.envelope()
        w.send(b"BDAT 500000 LAST\r\n" + b"x" * 500000)
        assert w.reply().startswith("552 5.3.4 ")
        assert w.cmd("NOOP").startswith("250")
        w.envelope()
        w.send("BDAT 99999999999 LAST\r\n")
        assert w.reply().startswith("552 5.3.4 ") and w.rest() == []
    assert "large" not in subjects(mx, "anne@ici.test")


def test_recipient_limit(mx):
    with Wire(mx) as w:
        w.ehlo()
        w.envelope("x@labas.test", *["anne+%d@ici.test" % i for i in range(10)])
        assert w.cmd("RCPT TO:<bob@ici.test>").startswith("452 4.5.3 ")


def test_lines_errors_and_hops(mx):
    with Wire(mx) as w:
        assert w.cmd("NOOP " + "x" * 3000).startswith("500 ")
        assert w.cmd("NOOP " + "x" * 100000).startswith("500 ")
        w.ehlo()
        w.envelope()
        assert w.cmd("DATA").startswith("354")
        w.send("Received: x\r\n" * 51 + "\r\nx\r\n.\r\n")
        assert w.reply().startswith("554 5.4.6 ")
        w.send("XYZZY\r\n" * 30)
        replies = w.rest()
        assert replies[-1].startswith("421 4.7.0 ") and len(replies) < 25


def test_browsers_are_dropped(mx):
    for request in ("POST / HTTP/1.1\r\nHost: mx\r\n\r\nEHLO x\r\nMAIL FROM:<x@labas.test>\r\n", "GET /%0D%0AHELO HTTP/1.0\r\n\r\n"):
        with Wire(mx) as w:
            w.send(request)
            assert w.rest() == []


# --- attacks ---

SMUGGLING = [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\r.\r\n", b"\n\n.\r\n", b"\r\n.\r\r\n", b"\r\n..\n.\n",
             b"\r\n\x00.\n", b"\n.\x00\r\n"]


@pytest.mark.parametrize("end", SMUGGLING)
def test_smuggling(mx, end):
    before = accepted(mx)
    inner = b"MAIL FROM:<admin@ici.test>\r\nRCPT TO:<anne@ici.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
    with Wire(mx) as w:
        w.ehlo()
        w.envelope()
        assert w.cmd("DATA").startswith("354")
        w.send(b"Subject: outer\r\n\r\nx" + end + inner + b"QUIT\r\n")
        replies = w.rest()
        assert [r[:3] for r in replies] == ["550", "221"], replies
    assert accepted(mx) == before


def test_starttls_injection(mx):
    for port in ("smtp", "submission"):
        with Wire(mx, port) as w:  # behind STARTTLS in the same segment
            w.ehlo()
            w.send("STARTTLS\r\nMAIL FROM:<x@labas.test>\r\nRSET\r\n")
            assert w.reply().startswith("220 2.0.0 ")
            w.wrap()
            assert w.cmd("RCPT TO:<anne@ici.test>").startswith("503 ")  # neither MAIL nor RSET was run or answered
            assert "STARTTLS" not in w.ehlo()
        with Wire(mx, port) as w:  # before the handshake, but after the go-ahead
            w.ehlo()
            assert w.cmd("STARTTLS").startswith("220")
            w.send("RSET\r\n")
            assert all(not r.startswith("250") for r in w.rest())


def test_nothing_survives_starttls(mx):
    with Wire(mx) as w:
        w.ehlo()
        w.envelope()
        assert w.cmd("STARTTLS").startswith("220")
        w.wrap()
        assert w.cmd("DATA").startswith("503 ")
        assert w.cmd("MAIL FROM:<x@labas.test>").startswith("503 ")  # EHLO again
        assert "STARTTLS" not in w.ehlo()
        assert w.cmd("DATA").startswith("503 ")
        assert w.cmd("STARTTLS").startswith("503 ")


RELAYS = ["<user@labas.test>", "<@ici.test:user@labas.test>", "<@mx.ici.test:user@labas.test>", "<@ici.test,@mx.ici.test:user@labas.test>",
          "<@[{ip}]:user@labas.test>", "<user%labas.test@ici.test>", "<user%labas.test@mx.ici.test>", "<user%labas.test@[{ip}]>",
          "<user%labas.test>", '<"user@labas.test"@ici.test>', '<"user@labas.test">', '<"user\\@labas.test"@ici.test>',
          '<"user%labas.test"@ici.test>', '<"user@labas.test"@[{ip}]>', "<user@labas.test@ici.test>", "<user@labas.test@[{ip}]>",
          "<labas.test!user@ici.test>", "<labas.test!user>", "<labas.test!user@[{ip}]>", "<ici.test!labas.test!user>", "<user@[192.0.2.1]>",
          "<user@[IPv6:2001:db8::1]>", "<user@labas.test.>", "<user@ici.test.labas.test>", "<user@mx.ici.test>", "<user@localhost>",
          "user@labas.test", "<<user@labas.test>>", "<user@labas.test,anne@ici.test>", "<anne@ici.test> <user@labas.test>",
          '<"anne@ici.test"@labas.test>', "<user@labas.test\\@ici.test>", "<user@LABAS.TEST>", "<SRS0=AAAAAAAA=AA=labas.test=user@ici.test>",
          "<SRS0=AAAA=AA=labas.test=user@labas.test>", "<SRS1=AAAAAAAA=labas.test==AAAA=AA=labas.test=user@ici.test>",
          "<srs0+aaaaaaaa=aa=labas.test=user@ici.test>", '<"SRS0=AAAAAAAA=AA=labas.test=user name"@ici.test>', "<SRS0=user@ici.test>", "<>"]


@pytest.mark.parametrize("sender", ["<spammer@labas.test>", "<>", "<anne@ici.test>", "<user@mx.ici.test>"])
def test_open_relay(mx, sender):
    before = accepted(mx)
    for form in RELAYS:
        with Wire(mx) as w:
            w.ehlo()
            assert w.cmd("MAIL FROM:" + sender).startswith("250")
            reply = w.cmd("RCPT TO:" + form.format(ip=mx.ip))
            assert reply[:3] in ("550", "501", "553", "555"), (form, reply)
            assert w.cmd("DATA").startswith("554 5.5.1 ")
    assert accepted(mx) == before


def test_header_injection_by_helo(mx):
    with Wire(mx) as w:
        assert w.cmd("EHLO x)(;\"<evil>").startswith("250")
        w.envelope()
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: odd helo\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
    got = wait_for("odd helo", lambda: [m for m in mx.messages("anne@ici.test") if b"Subject: odd helo" in m])[0]
    assert b"Received: from x?????evil? ([" in got


# --- submission ---

def test_submission_needs_tls_and_login(mx):
    token = base64.b64encode(b"\0anne@ici.test\0secret").decode()
    with Wire(mx, "submission") as w:
        w.ehlo()
        assert w.cmd("AUTH PLAIN " + token).startswith("538 5.7.11 ")
        assert w.cmd("MAIL FROM:<anne@ici.test>").startswith("530 5.7.0 ")
        w.starttls()
        assert w.cmd("MAIL FROM:<anne@ici.test>").startswith("530 5.7.0 ")
        assert w.cmd("AUTH XYZZY").startswith("504 ")
        assert w.cmd("AUTH PLAIN %%%").startswith("501 ")
        assert w.cmd("AUTH PLAIN").startswith("334")
        assert w.cmd("*").startswith("501 ")
        assert w.cmd("AUTH PLAIN " + base64.b64encode(b"\0anne@ici.test\0wrong").decode()).startswith("535 5.7.8 ")
        assert w.cmd("AUTH PLAIN").startswith("334")
        assert w.cmd(token).startswith("235 2.7.0 ")
        assert w.cmd("AUTH PLAIN " + token).startswith("503 ")
    with Wire(mx) as w:  # not on port 25
        w.ehlo()
        w.starttls()
        assert w.cmd("AUTH PLAIN " + token).startswith("502 ")


def test_logins_of_a_session_are_bounded(mx):
    with Wire(mx, "submissions", source=mx.lab.net + "77") as w:
        w.ehlo()
        codes = []
        while True:
            r = w.cmd("AUTH PLAIN " + base64.b64encode(b"\0bob@ici.test\0wrong").decode())
            codes.append(r[:3])
            if not r or r.startswith("421"):
                break
        assert 2 <= len(codes) <= 5 and codes[-1] == "421" and set(codes[:-1]) == {"535"}
    with mx.submission("bob@ici.test") as s:  # the owner is not locked out elsewhere
        assert s.noop()[0] == 250


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_login_by_smtplib(mx, mechanism):
    with smtplib.SMTP(mx.ip, PORTS["submission"], timeout=20 * SLOW) as s:
        s.starttls(context=mx.lab.tls())
        s.ehlo()
        s.user, s.password = "anne@ici.test", "secret"
        assert s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))[0] == 235


def scram(w, user, password, plus):
    """RFC 5802 as a client, with RFC 5929 tls-server-end-point where `plus`."""
    gs2 = b"p=tls-server-end-point,," if plus else b"n,,"
    binding = hashlib.sha256(w.s.getpeercert(True)).digest() if plus else b""
    bare = b"n=%s,r=%s" % (user.encode(), secrets.token_hex(12).encode())
    r = w.cmd("AUTH SCRAM-SHA-256%s %s" % ("-PLUS" if plus else "", base64.b64encode(gs2 + bare).decode()))
    assert r.startswith("334 ")
    first = base64.b64decode(r[4:])
    part = dict(p.split(b"=", 1) for p in first.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(part[b"s"]), int(part[b"i"]))
    without = b"c=" + base64.b64encode(gs2 + binding) + b",r=" + part[b"r"]
    message = b",".join([bare, first, without])
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    r = w.cmd(base64.b64encode(without + b",p=" + base64.b64encode(proof)).decode())
    if not r.startswith("334 "):
        return r
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    assert base64.b64decode(r[4:]) == b"v=" + base64.b64encode(server)
    return w.cmd("")


@pytest.mark.parametrize("plus", [False, True])
def test_scram(mx, plus):
    with Wire(mx, "submissions") as w:
        w.ehlo()
        assert scram(w, "anne@ici.test", "wrong", plus).startswith("535 ")
        assert scram(w, "anne@ici.test", "secret", plus).startswith("235 ")


@pytest.mark.parametrize("arguments", [["--auth", "PLAIN", "-tls", "-p", str(PORTS["submission"])],
                                       ["--auth", "LOGIN", "-tlsc", "-p", str(PORTS["submissions"])]])
def test_swaks(mx, arguments):
    subject = "swaks " + arguments[1]
    r = subprocess.run(["swaks", "--server", mx.ip, *arguments, "-au", "anne@ici.test", "-ap", "secret", "-f", "anne@ici.test", "-t",
                        "bob@ici.test", "--header", "Subject: " + subject], capture_output=True, text=True, timeout=60 * SLOW)
    assert r.returncode == 0, r.stdout + r.stderr
    wait_for(subject, lambda: subject in subjects(mx, "bob@ici.test"))


def test_submission_mends_the_header(mx):
    with mx.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["bob@ici.test"], "Bcc: secret@x.test,\r\n other@x.test\r\nReturn-Path: <z@x.test>\r\n" + letter("mended"))
    got = wait_for("mended", lambda: [m for m in mx.messages("bob@ici.test") if b"Subject: mended" in m])[0].decode()
    assert "Bcc" not in got and "x.test" not in got
    assert len(re.findall(r"(?m)^Date: .* \+0000\r$", got)) == 1 and len(re.findall(r"(?m)^Message-ID: <\S+@mx\.ici\.test>\r$", got)) == 1
    assert re.search(r"with ESMTPSA id \S+\r\n\t\(using TLSv1\.3 with cipher \S+ \(\d+ bits\)\)\r\n\tfor <bob@ici\.test>;", got)
    complete = "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <own@x>\r\n" + letter("complete")
    with mx.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["bob@ici.test"], complete)
    got = wait_for("complete", lambda: [m for m in mx.messages("bob@ici.test") if b"Subject: complete" in m])[0]
    assert got.endswith(complete.encode())


@pytest.mark.parametrize("header", ["From: bob@ici.test\r\n", "From: anne@ici.test, bob@ici.test\r\n", "From: anne@ici.test\r\nSender: bob@ici.test\r\n",
                                    "From: anne@ici.test <bob@ici.test>\r\n", "From: \"anne@ici.test\" <boss@labas.test>\r\n", "",
                                    "From: anne@ici.test\r\nFrom: bob@ici.test\r\n", "From : bob@ici.test\r\n", " folded\r\nFrom: anne@ici.test\r\n"])
def test_from_must_be_theirs(mx, header):
    with mx.submission("anne@ici.test") as s, pytest.raises(smtplib.SMTPDataError) as e:
        s.sendmail("anne@ici.test", ["bob@ici.test"], header + "Subject: not theirs\r\n\r\nx\r\n")
    assert e.value.smtp_code == 550
    assert "not theirs" not in subjects(mx, "bob@ici.test")


def test_sender_must_be_theirs(mx):
    with mx.submission("anne@ici.test") as s:
        for sender in ("bob@ici.test", "x@labas.test", "postmaster@labas.test"):
            code, text = s.mail(sender)
            assert code == 553 and text.startswith(b"5.7.1 "), (sender, text)
        for sender in ("anne@ici.test", "Anne+tag@ici.test", "info@ici.test"):
            assert s.mail(sender)[0] == 250, sender
            s.rset()


def test_header_too_large(mx):
    with mx.submission("anne@ici.test") as s, pytest.raises(smtplib.SMTPDataError) as e:
        s.sendmail("anne@ici.test", ["bob@ici.test"], "From: anne@ici.test\r\n" + "X: %s\r\n" % ("y" * 70) * 3600 + "\r\nx\r\n")
    assert e.value.smtp_code == 552


def test_device_relays_by_address(mx, lab):
    device = lab.net + "9"
    with Wire(mx, source=device) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<x@labas.test>").startswith("250")
        assert w.cmd("RCPT TO:<user@ailleurs.test>").startswith("550 5.7.1 ")
        assert w.cmd("RCPT TO:<anne@ici.test>").startswith("250")
        w.cmd("RSET")
        assert w.cmd("MAIL FROM:<printer@ici.test>").startswith("250")
        assert w.cmd("RCPT TO:<user@ailleurs.test>").startswith("250")
        w.cmd("RSET")
        w.envelope("printer@ici.test", "anne@ici.test")
        w.cmd("DATA")
        w.send("From: printer@ici.test\r\nSubject: scan\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
    got = wait_for("scan", lambda: [m for m in mx.messages("anne@ici.test") if b"Subject: scan" in m])[0]
    assert b"\r\nDate: " in got and b"\r\nMessage-ID: <" in got
    with Wire(mx, source=lab.net + "10") as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<printer@ici.test>").startswith("250")
        assert w.cmd("RCPT TO:<user@ailleurs.test>").startswith("550 5.7.1 ")


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n",
                                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x9c\x40\0\x19"])
def test_proxy_names_the_client(mx, lab, header):
    with Wire(mx, source=lab.net + "8", greet=False) as w:
        w.send(header)
        assert w.reply().startswith("220 ")
        w.ehlo()
        w.envelope()
        w.cmd("DATA")
        w.send("Subject: by proxy\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
        assert w.cmd("MAIL FROM:<printer@ici.test>").startswith("250")
        assert w.cmd("RCPT TO:<user@ailleurs.test>").startswith("550 5.7.1 ")
    wait_for("by proxy", lambda: any(b"Subject: by proxy" in m and b"([192.0.2.7])" in m for m in mx.messages("anne@ici.test")))
    with Wire(mx) as w:  # from others it is no command, and changes nobody's address
        assert w.cmd("PROXY TCP4 192.0.2.9 192.0.2.1 40000 25").startswith("500 ")
        w.ehlo()
        assert w.cmd("MAIL FROM:<printer@ici.test>").startswith("250")
        assert w.cmd("RCPT TO:<user@ailleurs.test>").startswith("550 5.7.1 ")


def test_future_release_is_held(mx):
    with mx.submission("anne@ici.test") as s:
        assert s.mail("anne@ici.test", ["HOLDFOR=3"])[0] == 250
        assert s.rcpt("bob@ici.test")[0] == 250
        assert s.data(letter("later"))[0] == 250
    assert "later" not in subjects(mx, "bob@ici.test")
    wait_for("its time", lambda: "later" in subjects(mx, "bob@ici.test"))


def test_log_tells_each_end(mx):
    since = len(mx.log_text())
    with Wire(mx) as w:
        w.ehlo()
        w.envelope()
        assert w.cmd("RCPT TO:<nobody\u0022@ici.test>").startswith("501 ")
        assert w.cmd("RCPT TO:<nobody@ici.test>").startswith("550 ")
        w.cmd("DATA")
        w.send("Subject: logged\r\n\r\nx\r\n.\r\n")
        queued = re.search(r"queued as ([0-9a-f]+)", w.reply()).group(1)
        w.cmd("QUIT")
    mx.wait_log(r"smtp\.message\.accepted sid=\S+ n=1 id=%s " % queued, since=since)
    mx.wait_log(r"smtp\.rcpt\.rejected .*rcpt=nobody@ici\.test code=550", since=since)
    mx.wait_log(r"smtp\.session\.end .*accepted=1 .*last=QUIT end=quit", since=since)


def test_secrets_are_not_logged(mx):
    assert "secret" not in mx.log_text() and base64.b64encode(b"\0anne@ici.test\0secret").decode() not in mx.log_text()


def test_slow_messages_hold_up_nobody(mx):
    wires = [Wire(mx) for _ in range(20)]
    try:
        for w in wires:
            w.ehlo()
            w.envelope()
            assert w.cmd("DATA").startswith("354")
            w.send("Subject: slow\r\n\r\n")
        with Wire(mx) as w:
            assert w.ehlo().startswith("250")
        for w in wires:
            w.send("x\r\n.\r\n")
        assert all(w.reply().startswith("250") for w in wires)
    finally:
        for w in wires:
            w.__exit__()


@pytest.fixture
def full(lab):
    """A server on a file system of 24 MB."""
    server = lab.facteur("plein.test", start=False)
    os.makedirs(server.data, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", server.data], check=True)
    shutil.chown(server.data, "mail")
    try:
        server.account("anne@plein.test")
        yield server.start()
    finally:
        server.stop()
        subprocess.run(["umount", "-l", server.data], check=True)


@pytest.mark.skipif(not IS_ROOT, reason="mounting needs root")
def test_full_disk_is_452_and_recovers(full):
    def send():
        with Wire(full) as w:
            w.ehlo()
            for command, good in (("MAIL FROM:<x@labas.test>", "250"), ("RCPT TO:<anne@plein.test>", "250"), ("DATA", "354")):
                r = w.cmd(command)
                if not r.startswith(good):
                    return r
            w.send(b"Subject: n\r\n\r\n" + b"0123456789012345678901234567890123456789\r\n" * 10000 + b".\r\n")
            return w.reply()
    ballast = os.path.join(full.data, "ballast")
    assert send().startswith("250")
    with open(ballast, "wb", buffering=0) as f:
        try:
            while f.write(b"x" * 4096):
                pass
        except OSError:
            pass
    replies = [send() for _ in range(3)]
    assert all(r[:4] in ("452 ", "451 ") for r in replies) and any(r.startswith("452 4.3.1 ") for r in replies), replies
    os.unlink(ballast)
    wait_for("room again", lambda: send().startswith("250"))
