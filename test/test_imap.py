"""IMAP against a running server: RFC 3501 and the extensions that CAPABILITY names."""
import email
import imaplib
import re
import socket
import ssl
import threading
import time

import pytest

from lab import PORTS, SLOW, wait_for

pytestmark = pytest.mark.sanitize
USER = "anne@ici.test"


def letter(n, body="hello\r\n"):
    return ("From: a@example.test\r\nTo: anne@ici.test\r\nSubject: number %d\r\nMessage-ID: <%d@example.test>\r\n"
            "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n%s" % (n, n, body)).encode()


class Raw:
    """Bytes in, lines out: for what client libraries would not send."""

    def __init__(self, ici, login=True, user=USER, tls=False):
        self.s = socket.create_connection((ici.ip, PORTS["imaps" if tls else "imap"]), timeout=20 * SLOW)
        if tls:
            self.s = ssl.create_default_context(cafile=ici.lab.ca).wrap_socket(self.s, server_hostname=ici.hostname)
        self.f = self.s.makefile("rb")
        self.greeting = self.f.readline()
        assert self.greeting.startswith(b"* OK")
        self.n = 0
        if login:
            assert self.ask("LOGIN %s secret" % user)[-1].split()[1] == b"OK"

    def wrap(self, context):
        self.s = context.wrap_socket(self.s)
        self.f = self.s.makefile("rb")

    def send(self, data):
        self.s.sendall(data)

    def until(self, what):
        """Lines up to one that begins so; the end of the connection is an empty last line."""
        lines = []
        while True:
            line = self.f.readline()
            lines.append(line)
            if line == b"" or line.startswith(what):
                return lines

    def ask(self, command):
        self.n += 1
        tag = b"t%d " % self.n
        self.send(tag + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.until(tag)

    def status(self, command):
        return self.ask(command)[-1].split()[1].decode()

    def close(self):
        self.f.close()
        self.s.close()


@pytest.fixture
def box(ici):
    """A mailbox of its own for each test."""
    box.n = getattr(box, "n", 0) + 1
    name = "box%d" % box.n
    raw = Raw(ici)
    assert raw.status("CREATE " + name) == "OK"
    raw.close()
    return name


def fill(ici, box, n, body="hello\r\n"):
    m = ici.imap(USER, folder=None)
    for i in range(n):
        assert m.append(box, None, None, letter(i + 1, body))[0] == "OK"
    return m


def test_login_needs_tls_from_elsewhere_and_is_never_told_apart(ici):
    raw = Raw(ici, login=False)
    assert raw.status("LOGIN anne@ici.test wrong") == "NO"
    assert raw.status("LOGIN nobody@ici.test secret") == "NO"
    a, b = raw.ask("LOGIN anne@ici.test wrong")[-1], raw.ask("LOGIN nobody@ici.test secret")[-1]
    assert a.split(b" ", 1)[1] == b.split(b" ", 1)[1]
    raw.close()


def test_starttls_and_what_was_pipelined_before_it(ici):
    m = imaplib.IMAP4(ici.ip, PORTS["imap"])
    context = ssl.create_default_context(cafile=ici.lab.ca)
    context.check_hostname = False
    assert m.starttls(context)[0] == "OK"
    assert m.login(USER, "secret")[0] == "OK"
    m.logout()
    raw = Raw(ici, login=False)  # a command in plain text behind STARTTLS must not run afterwards
    raw.send(b"a STARTTLS\r\nb NOOP\r\n")
    assert raw.until(b"a ")[-1].startswith(b"a OK")
    raw.wrap(context)
    raw.send(b"c NOOP\r\n")
    lines = raw.until(b"c ")
    assert len(lines) == 1 and lines[0].startswith(b"c OK"), lines
    raw.close()


def test_authenticate(ici):
    import base64
    raw = Raw(ici, login=False, tls=True)
    assert b"AUTH=PLAIN" in raw.greeting and b"STARTTLS" not in raw.greeting and b"LOGINDISABLED" not in raw.greeting
    plain = base64.b64encode(b"\0anne@ici.test\0secret").decode()
    assert raw.status("AUTHENTICATE PLAIN " + plain) == "OK"
    raw.close()
    raw = Raw(ici, login=False, tls=True)
    raw.send(b"a AUTHENTICATE PLAIN\r\n")
    assert raw.f.readline().startswith(b"+ ")
    raw.send(plain.encode() + b"\r\n")
    assert raw.until(b"a ")[-1].startswith(b"a OK")
    raw.close()


def test_append_and_fetch_give_the_same_bytes(ici, box):
    body = letter(1, "".join("line %d\r\n" % i for i in range(200000)))  # 2.7 MB
    m = ici.imap(USER, folder=None)
    kind, data = m.append(box, "(\\Seen $Label1)", '"17-Jul-1996 02:44:25 -0700"', body)
    assert kind == "OK" and b"APPENDUID" in data[0]
    m.select(box)
    assert m.fetch("1", "(RFC822)")[1][0][1] == body
    assert m.fetch("1", "(BODY.PEEK[TEXT]<100.50>)")[1][0][1] == body.split(b"\r\n\r\n", 1)[1][100:150]
    flags = m.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE)")[1][0]
    assert b"\\Seen" in flags and b"$Label1" in flags and b'"17-Jul-1996 09:44:25 +0000"' in flags
    assert b"RFC822.SIZE %d" % len(body) in flags
    m.logout()


def test_append_limits(ici, box):
    raw = Raw(ici)
    assert raw.status("APPEND nosuch {3+}\r\nabc") == "NO"
    assert b"[TOOBIG]" in raw.ask("APPEND %s {4000000000}" % box)[-1]
    assert raw.status("NOOP") == "OK"
    raw.send(b"x APPEND %s {4000000000+}\r\n" % box.encode())
    assert any(b"BYE" in line for line in raw.until(b"* BYE"))
    raw.close()


def test_literals_and_lines_have_limits(ici):
    raw = Raw(ici, login=False)
    assert b"[TOOBIG]" in raw.ask("LOGIN {5000}")[-1]
    raw.send(b"x LOGIN {5000+}\r\n")
    assert raw.until(b"* BYE")[-1].startswith(b"* BYE")
    raw.close()
    raw = Raw(ici)
    assert b"[TOOBIG]" in raw.ask("NOOP " + "x" * 100000)[-1]
    assert raw.status("NOOP") == "OK"
    raw.close()
    raw = Raw(ici, login=False)
    for _ in range(30):
        try:
            raw.send(b"nonsense\r\n")
        except OSError:
            break
    assert any(b"* BYE" in line for line in raw.until(b"* BYE"))
    raw.close()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a//b", "/abs", "a/../b", "x" * 300, "a/" * 30 + "a", "&AOk", "a\tb"])
def test_hostile_names_are_refused(ici, name):
    raw = Raw(ici)
    assert raw.status('CREATE "%s"' % name) in ("NO", "BAD")
    assert raw.status("NOOP") == "OK"
    raw.close()


def test_mailboxes(ici):
    m = ici.imap(USER, folder=None)
    assert m.create("Entw&APw-rfe/unten")[0] == "OK"
    assert any(b'"Entw&APw-rfe"' in x and b"\\HasChildren" in x for x in m.list()[1])
    assert m.create("INBOX")[0] == "NO"
    assert m.rename("Entw&APw-rfe", "oben")[0] == "OK"
    assert any(b'"oben/unten"' in x for x in m.list('""', "oben/%")[1])
    assert m.subscribe("oben/unten")[0] == "OK"
    assert any(b'"oben/unten"' in x for x in m.lsub()[1])
    assert m.delete("oben")[0] == "NO"  # has one below it
    assert m.delete("oben/unten")[0] == "OK" and m.delete("oben")[0] == "OK"
    assert m.select("oben")[0] == "NO"
    assert m.delete("INBOX")[0] == "NO"
    assert any(b"\\Sent" in x for x in m.list()[1])
    m.logout()


def test_flags_expunge_uids_never_come_again(ici, box):
    m = fill(ici, box, 3)
    m.select(box)
    m.store("2", "+FLAGS", "(\\Deleted)")
    assert m.expunge()[1] == [b"2"]
    assert m.uid("SEARCH", "ALL")[1] == [b"1 3"]
    m.append(box, None, None, letter(4))
    m.noop()
    assert m.uid("SEARCH", "ALL")[1] == [b"1 3 4"]
    m.store("3", "+FLAGS", "(\\Deleted)")
    m.close()
    m.append(box, None, None, letter(5))
    m.select(box)
    assert m.uid("SEARCH", "ALL")[1] == [b"1 3 5"]
    m.logout()


def test_copy_move_uidplus(ici, box):
    m = fill(ici, box, 4)
    m.create(box + "b")
    m.select(box)
    kind, data = m.copy("1:2", box + "b")
    assert kind == "OK" and re.search(rb"\[COPYUID \d+ 1:2 1:2\]", data[0])
    raw = Raw(ici)
    raw.ask("SELECT " + box)
    lines = raw.ask("UID MOVE 3:4 %sb" % box)
    assert re.search(rb"COPYUID \d+ 3:4 3:4", lines[0])
    assert sorted(line for line in lines if b"EXPUNGE" in line) == [b"* 3 EXPUNGE\r\n", b"* 4 EXPUNGE\r\n"]
    assert b"TRYCREATE" in raw.ask("COPY 1 nosuch")[-1]
    assert b"MESSAGES 4" in raw.ask("STATUS %sb (MESSAGES)" % box)[0]
    raw.close()
    m.logout()


def test_condstore(ici, box):
    fill(ici, box, 3).logout()
    raw = Raw(ici)
    lines = raw.ask("SELECT %s (CONDSTORE)" % box)
    high = int(re.search(rb"HIGHESTMODSEQ (\d+)", b"".join(lines)).group(1))
    assert raw.status("STORE 2 +FLAGS.SILENT (\\Flagged)") == "OK"
    lines = raw.ask("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % high)
    assert len([x for x in lines if b"FETCH" in x]) == 1 and lines[0].startswith(b"* 2 FETCH") and b"MODSEQ (" in lines[0]
    assert b"[MODIFIED 2]" in raw.ask("STORE 1:3 (UNCHANGEDSINCE %d) +FLAGS (\\Seen)" % high)[-1]
    assert b"* SEARCH 1 2 3 (MODSEQ " in b"".join(raw.ask("SEARCH MODSEQ %d" % (high + 1)))
    raw.close()


def test_search(ici, box):
    m = ici.imap(USER, folder=None)
    m.append(box, "(\\Seen)", None, letter(1, "caf=C3=A9\r\n").replace(
        b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                     b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", 1))
    m.append(box, None, None, letter(2, "tea\r\n"))
    m.select(box)
    assert m.search(None, "SEEN")[1] == [b"1"]
    assert m.search(None, "BODY", "tea")[1] == [b"2"]
    assert m.search(None, "SUBJECT", '"NUMBER 2"')[1] == [b"2"]
    assert m.search(None, "FROM", "example", "NOT", "SEEN")[1] == [b"2"]
    assert m.search(None, "OR", "BODY", "tea", "SEEN")[1] == [b"1 2"]
    assert m.search(None, "SENTON", "22-Nov-2026")[1] == [b"1 2"]
    m.literal = "CAFÉ".encode()
    assert m.search("UTF-8", "BODY")[1] == [b"1"]
    m.literal = "CAFÉ".encode("latin-1")
    assert m.search("ISO-8859-1", "BODY")[1] == [b"1"]
    assert m.search("X-NOBODY-KNOWS", "ALL")[0] == "NO"
    raw = Raw(ici)
    raw.ask("SELECT " + box)
    assert raw.ask("SEARCH RETURN (MIN MAX COUNT ALL) ALL")[0].endswith(b"MIN 1 MAX 2 ALL 1:2 COUNT 2\r\n")
    raw.send(b"d SEARCH " + b"(" * 20000 + b"\r\n")
    assert raw.until(b"d ")[-1].split()[1] in (b"NO", b"BAD")
    raw.close()
    m.logout()


def test_bodystructure_and_parts(ici, box):
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.test", USER, "parts"
    message.set_content("plain\n")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="x.bin")
    data = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    m = ici.imap(USER, folder=None)
    m.append(box, None, None, data)
    m.select(box)
    structure = m.fetch("1", "(BODYSTRUCTURE)")[1][0]
    assert structure.lower().count(b'"text"') == 2 and b"x.bin" in structure
    assert m.fetch("1", "(BODY[1.1])")[1][0][1].strip() == b"plain"
    assert b"text/html" in m.fetch("1", "(BODY[1.2.MIME])")[1][0][1]
    raw = Raw(ici)
    raw.ask("SELECT " + box)
    assert raw.ask("FETCH 1 BINARY.SIZE[2]")[0] == b"* 1 FETCH (BINARY.SIZE[2] 256)\r\n"
    raw.send(b"b FETCH 1 BINARY.PEEK[2]\r\n")
    head = raw.f.readline()
    assert head == b"* 1 FETCH (BINARY[2] ~{256}\r\n"  # holds NUL: literal8
    assert raw.f.read(256) == bytes(range(256))
    assert raw.until(b"b ")[-1].startswith(b"b OK")
    raw.close()
    m.logout()


def test_idle_hears_of_deliveries_and_flags_at_once(ici):
    raw = Raw(ici, user="bob@ici.test")
    raw.ask("SELECT INBOX")
    raw.send(b"i IDLE\r\n")
    assert raw.until(b"+ ")[-1].startswith(b"+ ")
    ici.send("a@example.test", "bob@ici.test", letter(1).decode())
    start = time.monotonic()
    assert b"EXISTS" in raw.until(b"* ")[-1]
    assert time.monotonic() - start < 5 * SLOW  # from 250 on; bench/ measures the milliseconds
    other = Raw(ici, user="bob@ici.test")
    other.ask("SELECT INBOX")
    assert other.status("STORE * +FLAGS (\\Flagged)") == "OK"
    seen = b""
    while b"\\Flagged" not in seen:
        seen = raw.f.readline()
    assert other.status("STORE * +FLAGS.SILENT (\\Deleted)") == "OK" and other.status("EXPUNGE") == "OK"
    while b"EXPUNGE" not in seen:
        seen = raw.f.readline()
    raw.send(b"DONE\r\n")
    assert raw.until(b"i ")[-1].startswith(b"i OK")
    raw.close()
    other.close()


def test_numbers_hold_while_they_are_used(ici, box):
    fill(ici, box, 3).logout()
    a, b = Raw(ici), Raw(ici)
    a.ask("SELECT " + box)
    b.ask("SELECT " + box)
    assert a.status("STORE 1 +FLAGS.SILENT (\\Deleted)") == "OK" and a.status("EXPUNGE") == "OK"
    assert not any(b"EXPUNGE" in line for line in b.ask("FETCH 2:3 (UID)"))  # RFC 3501 §7.4.1
    assert b"* 1 EXPUNGE\r\n" in b.ask("NOOP")
    assert b"* 1 FETCH (UID 2)\r\n" in b.ask("FETCH 1 (UID)")
    a.close()
    b.close()


def test_many_at_once(ici, box):
    """Twenty clients add, flag and expunge in one mailbox: all see the same in the end."""
    fill(ici, box, 20).logout()
    errors = []

    def work(k):
        try:
            raw = Raw(ici)
            assert raw.status("SELECT " + box) == "OK"
            for i in range(5):
                assert raw.status("APPEND %s {%d+}\r\n%s" % (box, len(letter(i)), letter(i).decode())) == "OK"
                assert raw.status("UID STORE %d +FLAGS (k%d)" % (k + 1, i)) == "OK"
            assert raw.status("UID STORE %d +FLAGS.SILENT (\\Deleted)" % (k + 1)) == "OK"
            assert raw.status("UID EXPUNGE %d" % (k + 1)) == "OK"
            raw.close()
        except Exception as e:  # told in the main thread
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(20)]
    [t.start() for t in threads]
    [t.join(120 * SLOW) for t in threads]
    assert not errors
    m = ici.imap(USER, folder=box)
    uids = [int(x) for x in m.uid("SEARCH", "ALL")[1][0].split()]
    assert len(uids) == 100 and uids == sorted(set(uids)) and min(uids) > 20
    m.logout()


def test_cut_anywhere(ici, box):
    script = b"a LOGIN anne@ici.test secret\r\nb SELECT %s\r\nc APPEND %s {5+}\r\nhello\r\nd IDLE\r\nDONE\r\ne LOGOUT\r\n" % (
        box.encode(), box.encode())
    for n in range(0, len(script), 3):
        with socket.create_connection((ici.ip, PORTS["imap"]), timeout=20) as s:
            s.sendall(script[:n])
    wait_for("server answers", lambda: Raw(ici).status("NOOP") == "OK")
