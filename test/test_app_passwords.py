"""Application passwords: one for each program, with a scope, taken by every protocol and mechanism."""
import base64
import hashlib
import hmac
import imaplib
import poplib
import smtplib

import pytest

from lab import PORTS, SLOW, wait_for

pytestmark = pytest.mark.sanitize
MAIL = "From: x@example.test\r\nTo: anne@ici.test\r\nSubject: one\r\nMessage-ID: <1@example.test>\r\n\r\nHello\r\n"
ANNE = "anne@ici.test"


@pytest.fixture(scope="module")
def passwords(ici):
    made = {scope: ici.json("account", "app-password", "add", ANNE, "for " + scope, "--scope", scope) for scope in ("all", "read", "send")}
    ici.send("x@example.test", ANNE, MAIL)
    ici.wait_messages(ANNE)
    return made


def listed(ici):
    return {p["id"]: p for p in ici.json("account", "app-password", "list", ANNE)}


def no(reply, word):
    return reply[0] == "NO" and word in reply[1][0]


def test_a_password_for_all_opens_all_and_its_use_is_shown(ici, passwords):
    password = passwords["all"]["password"]
    assert listed(ici)[passwords["all"]["id"]]["last_used"] == 0
    m = ici.imap(ANNE, password, "INBOX")
    assert m.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
    m.logout()
    shown = listed(ici)[passwords["all"]["id"]]
    assert shown["last_used"] > 0 and shown["last_peer"].startswith("127.") and shown["name"] == "for all" and shown["scope"] == "all"
    ici.pop3(ANNE, password).quit()
    with ici.submission(ANNE, password.replace("-", "").upper()) as s:
        s.sendmail(ANNE, [ANNE], MAIL.replace("one", "two").replace("x@example.test", ANNE))
    ici.wait_messages(ANNE, 2)
    m = ici.imap(ANNE, "secret")  # the account's own still works
    m.logout()


def test_a_password_for_reading_changes_nothing(ici, passwords):
    password = passwords["read"]["password"]
    m = ici.imap(ANNE, password)
    with pytest.raises(imaplib.IMAP4.readonly):
        m.select("INBOX")
    m.is_readonly = True
    before = m.fetch("1:*", "(UID FLAGS)")[1]
    assert b"one" in m.fetch("1", "(BODY[])")[1][0][1]
    assert no(m.store("1", "+FLAGS", "(\\Deleted)"), b"[NOPERM]")
    assert no(m.expunge(), b"[NOPERM]")
    assert no(m.uid("EXPUNGE", "1:*"), b"[NOPERM]")
    assert no(m.copy("1", "Trash"), b"[NOPERM]")
    assert no(m.uid("MOVE", "1", "Trash"), b"[NOPERM]")
    assert no(m.create("new"), b"[NOPERM]")
    assert no(m.delete("Archive"), b"[NOPERM]")
    assert no(m.rename("Archive", "other"), b"[NOPERM]")
    assert no(m.subscribe("Archive"), b"[NOPERM]")
    assert no(m.append("INBOX", None, None, MAIL.encode()), b"[NOPERM]")
    assert m.fetch("1:*", "(UID FLAGS)")[1] == before
    assert m.close()[0] == "OK"
    m.logout()
    p = ici.pop3(ANNE, password)
    assert b"Hello" in p.retr(1)[1]
    with pytest.raises(poplib.error_proto, match="may only read"):
        p.dele(1)
    p.quit()
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        ici.submission(ANNE, password)
    assert refused.value.smtp_code == 535


def test_a_password_for_sending_reads_nothing(ici, passwords):
    password = passwords["send"]["password"]
    with ici.submission(ANNE, password) as s:
        s.sendmail(ANNE, ["bob@ici.test"], MAIL.replace("x@example.test", ANNE))
    with pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
        ici.imap(ANNE, password)
    with pytest.raises(poplib.error_proto, match="not for this service"):
        ici.pop3(ANNE, password)


def scram(ici, password):
    m = imaplib.IMAP4(ici.ip, PORTS["imap"], timeout=20 * SLOW)
    m.starttls(ici.lab.tls())
    state = {}

    def step(challenge):
        if not challenge:
            state["bare"] = b"n=" + ANNE.encode() + b",r=fyko"
            return b"n,," + state["bare"]
        if challenge.startswith(b"v="):
            state["verified"] = challenge[2:] == state["server"]
            return b""
        fields = dict(f.split(b"=", 1) for f in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        final = b"c=biws,r=" + fields[b"r"]
        auth = b",".join((state["bare"], challenge, final))
        key = hmac.digest(salted, b"Client Key", "sha256")
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), auth, "sha256")))
        state["server"] = base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256"))
        return final + b",p=" + base64.b64encode(proof)

    status = m.authenticate("SCRAM-SHA-256", step)[0]
    m.logout()
    return status == "OK" and state["verified"]


def test_scram_takes_them_even_after_the_own_password_has_changed(ici, passwords):
    ici.run("account", "passwd", ANNE, stdin="another\n")
    try:
        assert scram(ici, passwords["read"]["password"])
        assert scram(ici, "another")
        with pytest.raises(imaplib.IMAP4.error):
            scram(ici, "secret")
    finally:
        ici.run("account", "passwd", ANNE, stdin="secret\n")


def test_one_that_is_removed_opens_nothing(ici, passwords):
    gone = passwords["read"]
    idle, busy = (ici.imap(ANNE, gone["password"]) for _ in range(2))
    idle.select("INBOX", readonly=True)
    idle.send(b"i IDLE\r\n")
    assert idle.readline().startswith(b"+")
    ici.run("account", "app-password", "remove", ANNE, str(gone["id"]))
    assert gone["id"] not in listed(ici)
    assert idle.readline().startswith(b"* BYE")  # a lost telephone hears no more
    with pytest.raises(imaplib.IMAP4.abort):
        busy.noop()
    with pytest.raises(imaplib.IMAP4.error):
        ici.imap(ANNE, gone["password"])
    ici.imap(ANNE, passwords["all"]["password"]).logout()


def maildrop(server, user, password):
    """Once the session before has let go of it."""
    def opened():
        try:
            return server.pop3(user, password)
        except poplib.error_proto as e:
            assert "IN-USE" in str(e)
    return wait_for("the maildrop", opened)


class Sessions:
    """One of each protocol, open; in each something has been begun that the end of the session must undo."""

    def __init__(self, server, user, password):
        self.imap, self.idle, self.pop3 = server.imap(user, password, "INBOX"), server.imap(user, password, "INBOX"), maildrop(server, user, password)
        self.smtp, self.parked = (server.submission(user, password) for _ in range(2))
        self.pop3.dele(1)
        self.smtp.ehlo()
        assert self.smtp.mail(user)[0] == 250 and self.smtp.rcpt("bob@ici.test")[0] == 250
        self.idle.send(b"i IDLE\r\n")
        assert self.idle.readline().startswith(b"+")

    def go_on(self):
        self.imap.noop()
        assert self.pop3.noop().startswith(b"+OK") and self.parked.noop()[0] == 250

    def have_ended(self):
        assert self.idle.readline().startswith(b"* BYE")
        with pytest.raises(imaplib.IMAP4.abort):
            self.imap.select("INBOX")
        with pytest.raises(poplib.error_proto, match="no longer good"):
            self.pop3.quit()
        assert self.smtp.docmd("DATA")[0] == 421
        assert self.parked.docmd("MAIL FROM:<x@ici.test>")[0] == 421

    def close(self):
        for c in (self.imap, self.idle):
            c.shutdown()
        self.pop3.close()
        self.smtp.close()
        self.parked.close()


def test_sessions_lose_their_right(ici):
    """With the password that opened them, whichever way it goes; others stay."""
    user = "olive@ici.test"
    ici.run("account", "add", user, stdin="first\n")
    ici.send("x@example.test", user, "Subject: un\r\n\r\nun\r\n")
    ici.wait_messages(user, password="first")
    made = ici.json("account", "app-password", "add", user, "telephone")
    by_app = Sessions(ici, user, made["password"])
    by_app.pop3.close()  # of one maildrop there is one session
    by_own = Sessions(ici, user, "first")
    ici.run("account", "passwd", user, stdin="second\n")
    by_own.have_ended()
    by_app.pop3 = maildrop(ici, user, made["password"])
    assert by_app.pop3.stat()[0] == 1  # nothing was removed
    by_app.go_on()
    ici.run("account", "app-password", "remove", user, str(made["id"]))
    by_app.have_ended()
    by_app.close()
    by_own.close()
    # the account itself
    last = Sessions(ici, user, "second")
    last.go_on()
    ici.run("account", "remove", user)
    assert last.smtp.docmd("DATA")[0] == 421
    with pytest.raises((poplib.error_proto, OSError)):
        last.pop3.quit()
    last.close()


def test_commands_say_what_is_wrong(ici, passwords):
    for args, code, words in (
        (("remove", ANNE, "999"), 1, "no application password 999"),
        (("remove", ANNE, "x"), 2, "not the number"),
        (("add", ANNE, "bell\x07"), 1, "is no name"),
        (("add", ANNE, "x", "--scope", "write"), 2, "usage"),
        (("add", "nobody@ici.test", "x"), 1, "there is no account"),
    ):
        r = ici.run("account", "app-password", *args, check=False)
        assert r.returncode == code and words in r.stderr, (args, r)
    text = ici.run("account", "app-password", "list", ANNE)
    assert "for send" in text and passwords["all"]["password"] not in text
