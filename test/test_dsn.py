"""Notices to senders (RFC 3461 to 3464): who gets which, when, and who never does."""
import email
import re

import pytest

from lab import wait_for
from test_queue import Host, submit, waiting
from test_smtp_in import Wire

pytestmark = pytest.mark.sanitize
SHORT = "queue {\n    retry = {1s}\n    delay-notice = 2s\n    expire = 5s\n}\n"


@pytest.fixture(scope="module")
def post(lab):
    return lab.facteur("post.test", accounts=("anne", "bob", "carol", "dora"), extra=SHORT)


@pytest.fixture
def hosts(lab):
    made = []

    def make(domain, up=True, **kw):
        ip = lab.ip()
        lab.dns.records["mx." + domain + "."] = ["A " + ip]
        lab.dns.set(domain + ".", "MX 10 mx.%s." % domain)
        if up:
            made.append(Host(ip, **kw))
            return made[-1]
    yield make
    for h in made:
        h.stop()


def reports(server, user):
    """(fields of the message, [fields of each recipient]) of every report in the mailbox."""
    out = []
    for raw in server.messages(user):
        m = email.message_from_bytes(raw)
        if m.get_content_type() == "multipart/report":
            assert m.get_param("report-type") == "delivery-status" and m["Auto-Submitted"] == "auto-replied"
            assert m["Return-Path"] == "<>" and "Message-ID" in m and "Date" in m
            fields = m.get_payload()[1].get_payload()
            out.append((fields[0], fields[1:]))
    return out


def actions(server, user):
    return [(r["Action"], r["Final-Recipient"].split(";")[1].strip()) for _, rcpts in reports(server, user) for r in rcpts]


def test_delay_notice_once_then_bounce(post, hosts):
    hosts("down.test", up=False)
    submit(post, "anne@post.test", ["x@down.test", "y@down.test"])
    wait_for("a notice", lambda: ("delayed", "x@down.test") in actions(post, "anne@post.test"))
    wait_for("the bounce", lambda: ("failed", "y@down.test") in actions(post, "anne@post.test"))
    seen = actions(post, "anne@post.test")
    assert sorted(seen) == [(a, r) for a in ("delayed", "failed") for r in ("x@down.test", "y@down.test")]
    for head, rcpts in reports(post, "anne@post.test"):
        assert head["Reporting-MTA"] == "dns; mx.post.test" and "Arrival-Date" in head
        for r in rcpts:
            assert r["Status"].startswith("4." if r["Action"] == "delayed" else ("4.", "5."))
            assert ("Will-Retry-Until" in r) == (r["Action"] == "delayed")
    assert not waiting(post, "x@down.test")


def test_notify_chooses(post, hosts):
    host = hosts("mixed.test", answers={"RCPT TO:<no": b"550 5.1.1 unknown\r\n"})  # offers no DSN
    for option, to in (("NOTIFY=NEVER", "no1@mixed.test"), ("NOTIFY=SUCCESS", "no2@mixed.test"), ("NOTIFY=DELAY", "no3@mixed.test"),
                       ("NOTIFY=FAILURE", "no4@mixed.test"), ("NOTIFY=SUCCESS,FAILURE", "yes1@mixed.test"), ("NOTIFY=NEVER", "yes2@mixed.test")):
        submit(post, "bob@post.test", [to], rcpt_options=[option])
    submit(post, "bob@post.test", ["carol@post.test"], rcpt_options=["NOTIFY=SUCCESS"])
    wait_for("three reports", lambda: len(actions(post, "bob@post.test")) >= 3)
    wait_for("an empty queue", lambda: not post.json("queue", "list"))
    assert sorted(actions(post, "bob@post.test")) == [("delivered", "carol@post.test"), ("failed", "no4@mixed.test"), ("relayed", "yes1@mixed.test")]
    assert len(host.messages) == 2


def test_dsn_is_passed_on(post, hosts):
    """A host that offers DSN tells the sender itself."""
    host = hosts("aware.test", extensions=["DSN", "8BITMIME"])
    submit(post, "carol@post.test", ["x@aware.test"], mail_options=["RET=HDRS", "ENVID=a+2Bb"], rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;o+2Bx@post.test"])
    wait_for("the message", lambda: host.messages)
    mail, rcpt = [next(l for l in host.transcript if l.startswith(w)) for w in ("MAIL", "RCPT")]
    assert "RET=HDRS" in mail and "ENVID=a+2Bb" in mail and "NOTIFY=SUCCESS,FAILURE" in rcpt and "ORCPT=rfc822;o+2Bx@post.test" in rcpt
    wait_for("an empty queue", lambda: not post.json("queue", "list"))
    assert reports(post, "carol@post.test") == []


def test_null_sender_is_never_told(lab, post, hosts):
    """Mail that came with <> and cannot go on ends in silence; so do bounces that bounce."""
    hosts("nobody.test", answers={"RCPT": b"550 5.1.1 unknown\r\n"})
    post.run("alias", "add", "away@post.test", "x@nobody.test")
    with Wire(post) as w:
        w.ehlo()
        for _ in range(3):
            assert w.cmd("MAIL FROM:<>").startswith("250")
            assert w.cmd("RCPT TO:<away@post.test>").startswith("250")
            assert w.cmd("DATA").startswith("354")
            w.send("Subject: nobody\r\n\r\nx\r\n.\r\n")
            assert w.reply().startswith("250")
    with Wire(post) as w:  # a sender that cannot be reached either
        w.ehlo()
        w.envelope("y@nobody.test", "away@post.test")
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: nobody\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
    wait_for("an empty queue", lambda: not post.json("queue", "list"))
    assert post.messages("dora@post.test") == [] and not any(b"Subject: nobody" in m for u in ("anne", "bob", "carol") for m in post.messages(u + "@post.test"))


def test_utf8_address_at_a_host_without_it(post, hosts):
    host = hosts("ascii.test")
    submit(post, "dora@post.test", ["jos\u00e9@ascii.test"], mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    bounce = post.wait_messages("dora@post.test")[0]  # RFC 6533
    assert re.search(rb"^Status: 5\.6\.[79]\r$", bounce, re.M) and b"Final-Recipient: utf-8; jos\xc3\xa9@ascii.test\r\n" in bounce
    assert b"message/global-delivery-status" in bounce and host.messages == []


def test_deliver_by(post, hosts):
    """RFC 2852: R returns what would be late, N tells and goes on."""
    hosts("late.test", up=False)
    with post.submission("dora@post.test") as s:
        for mode, to in (("R", "r@late.test"), ("N", "n@late.test")):
            code, text = s.docmd("MAIL FROM:<dora@post.test> BY=1;%s" % mode)
            assert code == 250, text
            assert s.rcpt(to)[0] == 250
            assert s.data("From: dora@post.test\r\nSubject: late\r\n\r\nx\r\n")[0] == 250
    wait_for("both told", lambda: {"r@late.test", "n@late.test"} <= {r for _, r in actions(post, "dora@post.test")})
    seen = actions(post, "dora@post.test")
    assert ("failed", "r@late.test") in seen and ("delayed", "n@late.test") in seen


def test_deliver_by_trace(post, hosts):
    """RFC 2852 §4.1.4: with T each relay is told, whatever NOTIFY asks short of NEVER, and the T goes on."""
    host = hosts("traced.test", extensions=("DSN", "DELIVERBY"))
    with post.submission("dora@post.test") as s:
        assert s.docmd("MAIL FROM:<dora@post.test> BY=300;NT")[0] == 250
        assert s.docmd("RCPT TO:<t@traced.test> NOTIFY=FAILURE")[0] == 250
        assert s.docmd("RCPT TO:<never@traced.test> NOTIFY=NEVER")[0] == 250
        assert s.data("From: dora@post.test\r\nSubject: traced\r\n\r\nx\r\n")[0] == 250
    wait_for("the trace", lambda: ("relayed", "t@traced.test") in actions(post, "dora@post.test"))
    assert "never@traced.test" not in {r for _, r in actions(post, "dora@post.test")}
    assert any(re.search(r"MAIL FROM.* BY=\d+;NT\b", line) for line in host.transcript), host.transcript
