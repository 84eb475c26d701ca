"""POP3 against a running server: RFC 1939, 2449, 2595, 5034, 6856."""
import poplib
import re
import socket

import pytest

from lab import PORTS, SLOW, wait_for

pytestmark = pytest.mark.sanitize


def mail(n, body="hello\r\n"):
    return "From: a@example.test\r\nTo: anne@ici.test\r\nSubject: number %d\r\nMessage-ID: <%d@example.test>\r\n\r\n%s" % (n, n, body)


@pytest.fixture(scope="module")
def anne(ici):
    for n in range(3):
        ici.send("a@example.test", "anne@ici.test", mail(n, "line %d\r\n.dot\r\n..\r\n.\r\nlast\r\n" % n))
    ici.wait_messages("anne@ici.test", 3)
    return "anne@ici.test"


class Raw:
    def __init__(self, ici):
        self.s = socket.create_connection((ici.ip, PORTS["pop3"]), timeout=20 * SLOW)
        self.f = self.s.makefile("rb")
        assert self.f.readline().startswith(b"+OK")

    def ask(self, line):
        self.s.sendall(line + b"\r\n")
        return self.f.readline()


def test_retr_gives_what_imap_gives(ici, anne):
    p = ici.pop3(anne)
    count, octets = p.stat()
    over_imap = ici.messages(anne)
    assert count == len(over_imap)
    assert octets == sum(map(len, over_imap))
    for i, message in enumerate(over_imap, 1):
        reply, lines, _ = p.retr(i)
        assert b"\r\n".join(lines) + b"\r\n" == message
        assert int(p.list(i).split()[2]) == len(message)
    p.quit()


def test_top(ici, anne):
    p = ici.pop3(anne)
    lines = p.top(1, 2)[1]
    assert lines[-3] == b"" and lines[-1] == b".dot"
    assert p.top(1, 0)[1][-1] == b""
    p.quit()


def test_deletes_only_at_quit_and_uidl_is_stable(ici, anne):
    p = ici.pop3(anne)
    uidl = p.uidl()[1]
    p.dele(1)
    with pytest.raises(poplib.error_proto):
        p.retr(1)
    p.close()  # no QUIT: nothing is removed
    p = ici.pop3(anne)
    assert p.uidl()[1] == uidl
    p.dele(1)
    p.rset()
    p.dele(2)
    p.quit()
    p = ici.pop3(anne)
    assert [u.split()[1] for u in p.uidl()[1]] == [uidl[0].split()[1], uidl[2].split()[1]]
    p.quit()


def test_one_session_at_a_time(ici, anne):
    first = ici.pop3(anne)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        ici.pop3(anne)
    first.quit()
    wait_for("the lock to go", lambda: not ici.pop3(anne).quit() is None)


def test_wrong_password_and_unknown_user_look_alike(ici, anne):
    answers = []
    for user in (anne, "nobody@ici.test", "x" * 200):
        with pytest.raises(poplib.error_proto) as e:
            ici.pop3(user, "wrong")
        answers.append(str(e.value))
    assert len(set(answers)) == 1 and "[AUTH]" in answers[0]


def test_capa_and_stls(ici, anne):
    p = poplib.POP3(ici.ip, PORTS["pop3"], timeout=20 * SLOW)
    before = p.capa()
    for name in ("STLS", "UIDL", "TOP", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8"):
        assert name in before
    p.stls(ici.lab.tls())
    after = p.capa()
    assert "STLS" not in after and "SCRAM-SHA-256-PLUS" in after["SASL"] and "PLAIN" in after["SASL"]
    p.user(anne)
    p.pass_("secret")
    p.quit()


def test_commands_before_tls_are_thrown_away(ici, anne):
    raw = Raw(ici)
    raw.s.sendall(b"STLS\r\nUSER " + anne.encode() + b"\r\n")
    assert raw.f.readline().startswith(b"+OK")
    raw.s = ici.lab.tls().wrap_socket(raw.s)
    raw.f = raw.s.makefile("rb")
    assert raw.ask(b"PASS secret").startswith(b"-ERR USER first")  # USER was neither run nor answered


def test_pipelining(ici, anne):
    raw = Raw(ici)
    raw.s.sendall(b"CAPA\r\nNOOP\r\nXYZZY\r\nQUIT\r\n")
    text = raw.f.read()
    assert text.startswith(b"+OK") and b"\r\n.\r\n+OK\r\n-ERR" in text and text.endswith(b"+OK Goodbye\r\n")


def test_bad_input_gets_an_error_and_a_limit(ici):
    raw = Raw(ici)
    assert raw.ask(b"RETR 1").startswith(b"-ERR")
    assert raw.ask(b"USER").startswith(b"-ERR")
    assert raw.ask(b"A" * 5000).startswith(b"-ERR")
    assert raw.ask(b"\x00\xff\x01").startswith(b"-ERR")
    raw.s.sendall(b"BAD\r\n" * 40)
    answers = raw.f.read()  # closed by the server in the end
    assert 10 <= answers.count(b"-ERR") < 40


def test_retr_of_another_clients_expunge_is_an_error_or_the_message(ici, anne):
    p = ici.pop3(anne)
    m = ici.imap(anne, folder="INBOX")
    m.store("1", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    try:
        assert re.search(rb"Subject", b"\n".join(p.retr(1)[1]))
    except poplib.error_proto as e:
        assert "removed" in str(e)
    p.dele(1)
    p.quit()
