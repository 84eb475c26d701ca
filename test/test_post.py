"""The post between servers: Facteur to Facteur, and Postfix as the foreign server in both directions."""
import re
import subprocess

import pytest

from lab import IS_ROOT, wait_for

needs_root = pytest.mark.skipif(not IS_ROOT, reason="Postfix needs root")


def letter(sender, to, subject, body="Bonjour\r\n"):
    return "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.test>\r\n\r\n%s" % (
        sender, to, subject, subject.replace(" ", "."), body)


def test_there_and_back(ici, labas):
    with ici.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["zoe@labas.test"], letter("anne@ici.test", "zoe@labas.test", "there"))
    got = labas.wait_messages("zoe@labas.test")[0]
    assert b"Subject: there" in got
    assert re.search(rb"Received: from mx\.ici\.test .*?with ESMTPS.*?TLSv1\.3", got, re.S)
    assert got.startswith(b"Return-Path: <anne@ici.test>\r\n")
    with labas.submission("zoe@labas.test") as s:
        s.sendmail("zoe@labas.test", ["anne@ici.test", "bob@ici.test"], letter("zoe@labas.test", "anne@ici.test", "back"))
    for user in ("anne@ici.test", "bob@ici.test"):
        assert b"Subject: back" in ici.wait_messages(user)[0]


def test_unknown_recipient_bounces(ici, labas):
    with ici.submission("carol@ici.test") as s:
        s.sendmail("carol@ici.test", ["nobody@labas.test"], letter("carol@ici.test", "nobody@labas.test", "lost"))
    bounce = ici.wait_messages("carol@ici.test")[0]
    assert bounce.startswith(b"Return-Path: <>\r\n")
    assert b"multipart/report" in bounce and b"Status: 5.1.1" in bounce and b"Action: failed" in bounce
    assert b"nobody@labas.test" in bounce


@pytest.fixture(scope="module")
def postfix(lab):
    return lab.postfix("poste.test")


@needs_root
def test_to_postfix(ici, postfix):
    body = "".join("line %d\r\n.\r\n..dots\r\n" % i for i in range(1000))
    with ici.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["paul@poste.test", "petra@poste.test"], letter("anne@ici.test", "paul@poste.test", "to postfix", body))
    for user in ("paul@poste.test", "petra@poste.test"):
        got = wait_for("mail for " + user, lambda: postfix.messages(user))
        assert body.replace("\r\n", "\n").encode() in got[0]
        assert re.search(rb"with ESMTPS", got[0])
    # one connection, one transaction for both
    assert len(set(re.findall(r"postfix/smtpd\[\d+\]: ([0-9A-F]+): client=.*%s" % re.escape(ici.ip), postfix.log_text()))) == 1


@needs_root
def test_postfix_refuses_a_recipient(ici, postfix):
    with ici.submission("bob@ici.test") as s:
        s.sendmail("bob@ici.test", ["stranger@poste.test", "paul@poste.test"], letter("bob@ici.test", "paul@poste.test", "half"))
    wait_for("the good half", lambda: any(b"Subject: half" in m for m in postfix.messages("paul@poste.test")))
    bounce = wait_for("the bounce", lambda: [m for m in ici.messages("bob@ici.test") if b"multipart/report" in m])[0]
    assert b"stranger@poste.test" in bounce and b"Final-Recipient: rfc822; paul@" not in bounce


@needs_root
def test_from_postfix(ici, postfix):
    postfix.sendmail("paul@poste.test", ["bob@ici.test"], "From: paul@poste.test\nSubject: from postfix\n\n.\n..\nend\n")
    got = wait_for("mail", lambda: [m for m in ici.messages("bob@ici.test") if b"Subject: from postfix" in m])[0]
    assert got.endswith(b"\r\n\r\n.\r\n..\r\nend\r\n")
    assert b"with ESMTPS" in got
    wait_for("Postfix's log line", lambda: re.search(r"status=sent \(250 2\.0\.0", postfix.log_text()))


@needs_root
def test_bounce_from_ici_to_postfix(ici, postfix):
    postfix.sendmail("petra@poste.test", ["nobody@ici.test"], "From: petra@poste.test\nSubject: x\n\nx\n")
    got = wait_for("Postfix's bounce", lambda: [m for m in postfix.messages("petra@poste.test") if b"Undelivered" in m])[0]
    assert b"550 5.1.1" in got.replace(b"\n    ", b" ")


@needs_root
def test_smtp_source_as_a_load(ici):
    user = ici.account("load@ici.test")
    subprocess.run(["smtp-source", "-4", "-s", "20", "-m", "1000", "-l", "5000", "-f", "x@example.test", "-t", user, "%s:25" % ici.ip],
                   check=True, timeout=120)
    assert len(set(ici.wait_messages(user, 1000, seconds=60))) == 1000
