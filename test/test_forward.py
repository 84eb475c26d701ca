"""Forwarding: aliases to foreign addresses. The next host finds SPF in order, bounces reach whoever wrote, and strangers cannot use
the way back."""
import base64
import hashlib
import hmac
import os
import re
import smtplib
import sqlite3
import time

import pytest

from lab import IS_ROOT, wait_for
from test_queue import Host, submit
from test_smtp_in import Wire

pytestmark = [pytest.mark.sanitize, pytest.mark.skipif(not IS_ROOT, reason="Postfix needs root")]
TEXT = "From: Paul <paul@loin.test>\r\nTo: away@ici.test\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 04:00:00 +0000\r\nMessage-ID: <%s@loin.test>\r\n\r\nHello\r\n"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def publish(lab, domain, ip, *more):
    """MX as the lab makes it, an SPF record for the one address that sends."""
    lab.dns.set(domain + ".", "MX 10 mx.%s." % domain, 'TXT "v=spf1 ip4:%s -all"' % ip, *more)


@pytest.fixture(scope="module")
def loin(lab):
    """Where mail comes from: Postfix, whose domain lets nobody else send and asks for rejection."""
    made = lab.postfix("loin.test")
    publish(lab, "loin.test", made.ip)
    lab.dns.set("_dmarc.loin.test.", 'TXT "v=DMARC1; p=reject"')
    return made


@pytest.fixture(scope="module")
def labas(lab):
    made = lab.facteur("labas.test", accounts=("zoe", "yves"))
    publish(lab, "labas.test", made.ip)
    made.run("alias", "add", "hop@labas.test", "x@fin.test")
    made.run("alias", "add", "lost@labas.test", "nobody@fin.test")
    return made


@pytest.fixture(scope="module")
def ici(lab, labas):
    made = lab.facteur("ici.test", accounts=("anne",))
    publish(lab, "ici.test", made.ip)
    made.run("domain", "add", "deux.test")
    lab.dns.set("deux.test.", "MX 10 mx.ici.test.", 'TXT "v=spf1 ip4:%s -all"' % made.ip)
    for alias, *to in (("away@ici.test", "zoe@labas.test"), ("away@deux.test", "yves@labas.test"), ("gone@ici.test", "nobody@labas.test"),
                       ("both@ici.test", "anne@ici.test", "zoe@labas.test"), ("hop@ici.test", "hop@labas.test"),
                       ("lost@ici.test", "lost@labas.test"), ("fin@ici.test", "x@fin.test")):
        made.run("alias", "add", alias, *to)
    return made


@pytest.fixture(scope="module")
def fin(lab):
    """The last of a chain: knows everybody but nobody."""
    ip = lab.ip()
    lab.dns.records["mx.fin.test."] = ["A " + ip]
    lab.dns.set("fin.test.", "MX 10 mx.fin.test.")
    made = Host(ip, extensions=("8BITMIME", "DSN", "SMTPUTF8"), answers={"RCPT TO:<nobody": b"550 5.1.1 unknown\r\n"})
    yield made
    made.stop()


def found(server, user, subject):
    return wait_for("%r at %s" % (subject, user), lambda: [m for m in server.messages(user) if b"Subject: %s\r\n" % subject.encode() in m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")])[0]


def return_path(message):
    return re.match(rb"Return-Path: <(.*)>\r?\n", message).group(1).decode()


def srs_hash(server, *words):
    """The scheme written once more, with the server's own secret."""
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(server.data, "facteur.db"), uri=True) as db:
        secret, = db.execute("SELECT value FROM secret WHERE name = 'srs'").fetchone()
    text = "".join(w.lower() + "=" for w in words).encode()
    return base64.b32encode(hmac.new(secret, text, hashlib.sha256).digest()[:5]).decode()


def srs0(server, domain, local, at, days_ago=0):
    day = (int(time.time()) // 86400 - days_ago) % 1024
    stamp = BASE32[day >> 5] + BASE32[day & 31]
    return "SRS0=%s=%s=%s=%s@%s" % (srs_hash(server, "SRS0", stamp, domain, local), stamp, domain, local, at)


def test_the_next_host_sees_our_sender(loin, ici, labas):
    loin.sendmail("paul@loin.test", ["away@ici.test", "away@deux.test", "both@ici.test"], TEXT % ("once", "once"))
    sender = return_path(found(labas, "zoe@labas.test", "once"))
    assert sender == srs0(ici, "loin.test", "paul", "ici.test")
    # each alias speaks in its own domain's name; who is here sees the sender as he is
    assert return_path(found(labas, "yves@labas.test", "once")) == srs0(ici, "loin.test", "paul", "deux.test")
    assert return_path(found(ici, "anne@ici.test", "once")) == "paul@loin.test"
    assert len([m for m in labas.messages("zoe@labas.test") if b"Subject: once" in m]) == 1
    assert re.search(r"queue\.sent .*from=paul@loin\.test to=zoe@labas\.test .* as=\"?SRS0=", ici.log_text())


def test_our_own_senders_stay(ici, labas):
    submit(ici, "anne@ici.test", ["away@ici.test"], "Subject: own\r\n\r\nx\r\n")
    assert return_path(found(labas, "zoe@labas.test", "own")) == "anne@ici.test"


def test_null_sender_stays(ici, labas):
    ici.send("", ["away@ici.test"], TEXT % ("null", "null"))
    assert return_path(found(labas, "zoe@labas.test", "null")) == ""


def test_a_refusal_is_told_to_the_sender(loin, ici):
    """What the next host refuses at once we tell the original sender ourselves."""
    loin.sendmail("paul@loin.test", ["gone@ici.test"], TEXT % ("refused", "refused"))
    bounce = wait_for("the bounce", lambda: [m for m in loin.messages("paul@loin.test") if b"refused@loin.test" in m])[0]
    assert return_path(bounce) == "" and b"multipart/report" in bounce
    assert b"gone@ici.test" in bounce and b"SRS0" not in bounce
    assert b"Final-Recipient: rfc822; gone@ici.test" in bounce  # where an alias leads is its owner's affair


def test_a_later_bounce_comes_back(loin, ici, labas, fin):
    """labas takes it, cannot deliver it, and bounces to our address: it goes to the original sender."""
    loin.sendmail("paul@loin.test", ["lost@ici.test"], TEXT % ("later", "later"))
    bounce = wait_for("the bounce", lambda: [m for m in loin.messages("paul@loin.test") if b"later@loin.test" in m])[0]
    assert return_path(bounce) == "" and b"From: Mail Delivery System <MAILER-DAEMON@mx.labas.test>" in bounce
    ici.wait_log(r"smtp\.rcpt\.returned .*to=paul@loin\.test")


def test_two_forwards_and_back(loin, ici, labas, fin):
    loin.sendmail("paul@loin.test", ["hop@ici.test"], TEXT % ("chain", "chain"))
    wait_for("the message", lambda: any(b"Subject: chain" in m for m in fin.messages))
    sender = next(re.match("MAIL FROM:<([^>]+)>", l).group(1) for l in fin.transcript if l.startswith("MAIL FROM:<SRS1="))
    first = srs0(ici, "loin.test", "paul", "ici.test")
    rest = first.split("@")[0][4:]
    assert sender == "SRS1=%s=ici.test=%s@labas.test" % (srs_hash(labas, "SRS1", "ici.test", rest), rest)
    for sender in (sender, sender.lower()):  # some hosts fold case
        labas.send("", [sender], "From: MAILER-DAEMON@fin.test\r\nSubject: chain bounced %d\r\n\r\nx\r\n" % sender.islower())
        back = wait_for("the bounce", lambda: [m for m in loin.messages("paul@loin.test") if b"chain bounced %d" % sender.islower() in m])[0]
        assert return_path(back) == ""


def test_wishes_go_along(ici, fin):
    """RFC 3461 §5.2.7.2: NOTIFY, ORCPT, ENVID and RET of the sender stay with the message."""
    with ici.smtp() as s:
        s.sendmail("paul@loin.test", ["fin@ici.test"], TEXT % ("wishes", "wishes"), mail_options=["ENVID=w1", "RET=HDRS"],
                   rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;someone@loin.test"])
    wait_for("the message", lambda: any(b"Subject: wishes" in m for m in fin.messages))
    mail = next(l for l in fin.transcript if l.startswith("MAIL") and "ENVID=w1" in l)
    assert mail.startswith("MAIL FROM:<SRS0=") and "RET=HDRS" in mail
    assert any(l.startswith("RCPT TO:<x@fin.test> ") and "NOTIFY=FAILURE ORCPT=rfc822;someone@loin.test" in l for l in fin.transcript)


@pytest.mark.parametrize("local", ['"john doe"', "a=b+c", "bounce-list=member%example.org", "x" * 64, "j\u00fcrgen"])
def test_odd_senders_come_back(ici, fin, local):
    utf8 = "" if local.isascii() else " SMTPUTF8"
    n = len(fin.transcript)
    with Wire(ici) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<%s@loin.test>%s" % (local, utf8)).startswith("250")
        assert w.cmd("RCPT TO:<fin@ici.test>").startswith("250")
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: odd\r\n\r\nx\r\n.\r\n")
        assert w.reply().startswith("250")
    back = wait_for("the message", lambda: [re.match("MAIL FROM:<([^>]+)>", l).group(1) for l in fin.transcript[n:] if l.startswith("MAIL")])[0]
    assert "SRS0=" in back and back.endswith("@ici.test")
    with Wire(ici) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<>" + utf8).startswith("250")
        assert w.cmd("RCPT TO:<%s>" % back).startswith("250")
        assert w.cmd("DATA").startswith("354")
        w.send("Subject: odd bounce\r\n\r\nx\r\n.\r\n")
        ident = re.match("250 2.0.0 Ok: queued as ([0-9a-f]+)", w.reply()).group(1)
    sent = ici.wait_log(r"queue\.\w+ id=%s from=\S* to=(.*?) mx=" % ident).group(1)
    to = sent.strip('"').replace('\\"', '"')
    assert to == local + "@loin.test" or (utf8 and to.startswith("j"))


def refused(server, sender, rcpt):
    with Wire(server) as w:
        w.ehlo()
        assert w.cmd("MAIL FROM:<%s>" % sender).startswith("250")
        return w.cmd("RCPT TO:<%s>" % rcpt)


def test_the_way_back_is_no_relay(ici, labas, loin):
    loin.sendmail("paul@loin.test", ["away@ici.test"], TEXT % ("seen", "seen"))
    good = return_path(found(labas, "zoe@labas.test", "seen"))
    assert refused(ici, "", good).startswith("250 ")
    for sender in ("paul@loin.test", "spammer@labas.test", "anne@ici.test", good):
        assert refused(ici, sender, good) == "550 5.7.1 This return address takes bounces alone"
    mark, proof, stamp, domain, local = good.split("@")[0].split("=")
    assert len(proof) == 8
    other = BASE32[BASE32.index(proof[0]) ^ 1] + proof[1:]
    for forged in ("SRS0=%s=%s=loin.test=paul" % (other, stamp), "SRS0=%s=%s=loin.test=petra" % (proof, stamp),
                   "SRS0=%s=%s=labas.test=paul" % (proof, stamp), "SRS0=%s==loin.test=paul" % stamp, "SRS0=%s=AA=loin.test=paul" % proof,
                   "SRS1=%s=loin.test==%s=%s=loin.test=paul" % (proof, proof, stamp), "SRS0==%s=loin.test=paul" % stamp, "SRS0=x",
                   '"SRS0=%s=%s=loin.test=paul petra"' % (proof, stamp)):
        for sender in ("", "paul@loin.test"):
            assert refused(ici, sender, forged + "@ici.test").startswith("550 5."), forged
    assert refused(ici, "", good.replace("@ici.test", "@labas.test")).startswith("550 5.7.1 ")  # not ours
    assert refused(labas, "", good.replace("@ici.test", "@labas.test")) == "550 5.1.1 This return address is not from here"
    assert refused(ici, "", srs0(ici, "loin.test", "paul", "ici.test", 21)).startswith("250 ")
    assert refused(ici, "", srs0(ici, "loin.test", "paul", "ici.test", 22)) == "550 5.1.1 This return address has expired"
    assert refused(ici, "", srs0(ici, "loin.test", "paul", "ici.test", -2)) == "550 5.1.1 This return address has expired"
    # circles: an address of ours that leads to an address of ours
    inner = srs0(ici, "loin.test", "paul", "ici.test").split("@")[0]
    assert refused(ici, "", srs0(ici, "ici.test", inner, "ici.test")).startswith("250 ")
    twice = srs0(ici, "ici.test", inner, "ici.test").split("@")[0]
    assert refused(ici, "", srs0(ici, "ici.test", twice, "ici.test")) == "550 5.1.1 This return address is not from here"


def test_a_backup_keeps_the_way_back(lab, ici, loin, tmp_path_factory):
    before = srs0(ici, "loin.test", "paul", "ici.test")
    folder = os.path.join(lab.dir, "backup-forward")
    ici.run("backup", folder)
    ici.stop()
    os.rename(ici.data, ici.data + ".lost")
    ici.run("restore", folder)
    ici.start()
    assert srs0(ici, "loin.test", "paul", "ici.test") == before
    assert refused(ici, "", before).startswith("250 ")
