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

import dkim
import pytest

import peers
from lab import IS_ROOT, Postfix, wait_for
from test_queue import Host, submit
from test_smtp_in import Wire

pytestmark = [pytest.mark.sanitize, pytest.mark.skipif(not IS_ROOT, reason="Postfix needs root")]
TEXT = "From: Paul <paul@loin.test>\r\nTo: away@ici.test\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 04:00:00 +0000\r\nMessage-ID: <%s@loin.test>\r\n\r\nHello\r\n"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def publish(lab, server, *domains, dmarc=None):
    """What `facteur dns` says, but that mail comes from the one address of the lab; and a DMARC policy."""
    for domain in domains:
        lab.dns.load(server.run("dns", domain))
        lab.dns.set(domain + ".", "MX 10 %s." % server.hostname, 'TXT "v=spf1 ip4:%s -all"' % server.ip)
        lab.dns.set("_dmarc.%s." % domain, *['TXT "v=DMARC1; p=%s"' % dmarc] * bool(dmarc))


@pytest.fixture(scope="module")
def loin(lab):
    """Where unsigned mail comes from: Postfix, whose domains let nobody else send. ferme.test asks to reject what fails."""
    ip = lab.ip()
    lab.domain("loin.test", "mx.loin.test", ip)
    made = Postfix(lab, "loin.test", ip, "mx.loin.test", ["loin.test", "ferme.test"])
    lab.parts.append(made)
    for domain in made.domains:
        lab.dns.set(domain + ".", "MX 10 mx.loin.test.", 'TXT "v=spf1 ip4:%s -all"' % ip)
    lab.dns.set("_dmarc.ferme.test.", 'TXT "v=DMARC1; p=reject"')
    return made.start()


@pytest.fixture(scope="module")
def clair(lab):
    """Where signed mail comes from."""
    made = lab.facteur("clair.test", accounts=("claire",))
    publish(lab, made, "clair.test", dmarc="reject")
    return made


@pytest.fixture(scope="module")
def labas(lab):
    """Believes the seals of ici.test."""
    made = lab.facteur("labas.test", accounts=("zoe", "yves"), extra='authentication {\n    trusted-sealers = {"ici.test"}\n}\n')
    publish(lab, made, "labas.test")
    made.run("alias", "add", "hop@labas.test", "x@fin.test")
    made.run("alias", "add", "lost@labas.test", "nobody@fin.test")
    made.run("alias", "add", "strict@labas.test", "martin@mefiant.test")
    return made


@pytest.fixture(scope="module")
def mefiant(lab):
    """Believes nobody's."""
    made = lab.facteur("mefiant.test", accounts=("martin",))
    publish(lab, made, "mefiant.test")
    return made


@pytest.fixture(scope="module")
def ici(lab, labas):
    made = lab.facteur("ici.test", accounts=("anne",))
    made.run("domain", "add", "deux.test")
    publish(lab, made, "ici.test", "deux.test", dmarc="none")
    for alias, *to in (("away@ici.test", "zoe@labas.test"), ("away@deux.test", "yves@labas.test"), ("gone@ici.test", "nobody@labas.test"),
                       ("both@ici.test", "anne@ici.test", "zoe@labas.test"), ("hop@ici.test", "hop@labas.test"),
                       ("lost@ici.test", "lost@labas.test"), ("fin@ici.test", "x@fin.test"), ("strict@ici.test", "martin@mefiant.test"),
                       ("strict2@ici.test", "strict@labas.test")):
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


def found(server, user, subject, folder="INBOX"):
    wanted = re.compile(rb"^Subject: %s\r?$" % subject.encode(), re.M)
    return wait_for("%r at %s" % (subject, user), lambda: [m for m in server.messages(user, folder) if wanted.search(m)])[0]


def field(message, name):
    """The first field of the name, on one line; "" without one."""
    head = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0].decode(errors="replace")
    got = re.search(r"^%s: *(.*(?:\r?\n[ \t].*)*)" % name, head, re.M | re.I)
    return re.sub(r"\s+", " ", got.group(1)) if got else ""


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
    assert return_path(bounce) == "" and "MAILER-DAEMON@labas.test" in field(bounce, "From")
    ici.wait_log(r"smtp\.rcpt\.returned .*to=paul@loin\.test")
    assert "d=ici.test" in field(bounce, "ARC-Seal") and "dkim=pass" in field(bounce, "ARC-Authentication-Results")


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


# --- seals ---

def test_a_signature_survives(clair, ici, labas):
    """SPF of the next hop holds for our sender, DKIM for the author, so DMARC passes."""
    submit(clair, "claire@clair.test", ["away@ici.test"], "Subject: signed\r\n\r\nhello\r\n")
    message = found(labas, "zoe@labas.test", "signed")
    results = field(message, "Authentication-Results")
    assert results.startswith("mx.labas.test;") and return_path(message).endswith("=clair.test=claire@ici.test")
    assert re.search(r"spf=pass [^;]*smtp\.mailfrom=\S*ici\.test", results) and "dmarc=pass" in results and "arc=pass" in results
    assert re.search(r"dkim=pass [^;]*header\.d=clair\.test", results)
    assert re.match(rb"Return-Path: .*\r\nAuthentication-Results: mx\.labas\.test;", message)
    names = re.findall(rb"^([A-Za-z-]+):", message.split(b"\r\n\r\n")[0], re.M)
    seal = names.index(b"ARC-Seal")
    assert names[seal:seal + 5] == [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results", b"Authentication-Results", b"Received"]
    aar = field(message, "ARC-Authentication-Results")
    assert aar.startswith("i=1; mx.ici.test;") and "dmarc=pass" in aar and "spf=pass" in aar
    assert "d=ici.test;" in field(message, "ARC-Seal") and "cv=none" in field(message, "ARC-Seal")


def test_seals_carry_unsigned_mail(loin, ici, labas, mefiant):
    """Unsigned, and its domain asks to reject: whoever believes our seal takes it, others refuse, and the sender is told."""
    text = (TEXT % ("unsigned", "unsigned")).replace("loin.test", "ferme.test")
    loin.sendmail("paul@ferme.test", ["away@ici.test", "strict@ici.test", "strict2@ici.test"], text)
    results = field(found(labas, "zoe@labas.test", "unsigned"), "Authentication-Results")
    assert "dmarc=fail" in results and "arc=pass" in results and re.search(r"spf=pass [^;]*ici\.test", results)
    labas.wait_log(r"smtp\.message\.accepted .*dmarc=fail .*override=\w+")
    bounces = wait_for("two bounces", lambda: (lambda b: b if len(b) > 1 else None)([m for m in loin.messages("paul@ferme.test") if b"unsigned@ferme.test" in m]))
    assert sorted(field(b, "From") for b in bounces) == ["Mail Delivery System <MAILER-DAEMON@%s>" % d for d in ("ici.test", "labas.test")]
    for b in bounces:
        assert return_path(b) == "" and b"5.7.26" in b
    ici.wait_log(r"smtp\.rcpt\.returned .*to=paul@ferme\.test")
    assert not mefiant.messages("martin@mefiant.test")


def dns_txt(lab):
    import dns.message
    import dns.query

    def txt(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        answer = dns.query.udp(dns.message.make_query(name, "TXT"), lab.dns.ip, port=lab.dns.port, timeout=timeout)
        return next((b"".join(r[0].strings) for r in answer.answer), None)
    return txt


def captured(fin, subject):
    return wait_for(subject, lambda: [m for m in fin.messages if b"Subject: %s\r\n" % subject.encode() in m])[0].replace(b"\r\n..", b"\r\n.")


def instances(message):
    return [int(i) for i in re.findall(rb"^ARC-Seal: i=(\d+)", re.sub(rb"\r\n[ \t]+", b" ", message), re.M)] or \
        [int(i) for i in re.findall(rb"^ARC-Seal:.*?\bi=(\d+)", re.sub(rb"\r\n[ \t]+", b" ", message), re.M)]


def test_chains_grow(lab, clair, ici, labas, fin):
    """Two forwards, two sets; dkimpy and our own check verify both."""
    submit(clair, "claire@clair.test", ["hop@ici.test"], "Subject: two hops\r\n\r\n.dot\r\nhello \u00e9\r\n".encode())
    message = captured(fin, "two hops")
    cv, results, reason = dkim.ARC(message).verify(dnsfunc=dns_txt(lab))
    assert cv == dkim.CV_Pass, reason
    assert instances(message) == [2, 1]
    seal = field(message, "ARC-Seal")
    assert "d=labas.test" in seal and "cv=pass" in seal
    assert all(r["ams-valid"] for r in results if r["instance"] == 2)
    assert "arc=pass" in field(message, "ARC-Authentication-Results")
    if peers.NODE.exists():
        txt = dns_txt(lab)
        zone = {name.rstrip("."): {"TXT": [text.decode()]} for name, text in ((n, txt(n)) for n in lab.dns.records) if text}
        path = os.path.join(lab.dir, "chain.eml")
        with open(path, "wb") as f:
            f.write(message)
        answer, = peers.mailauth(zone, lab.dir, [{"do": "verify", "file": path, "arc": True}])
        assert answer["arc"] == "pass", answer
    verdict = check(labas, message, labas.ip, "mx.labas.test")
    assert "arc=pass" in verdict or "arc pass" in re.sub(r"[^a-z]+", " ", verdict), verdict


def test_large_messages_are_sealed(lab, clair, ici, labas, fin):
    """Hashed as they stream into the store, sent by BDAT and by DATA."""
    body = "".join("line %d of a long message, with a few words more\r\n" % i for i in range(12000))
    submit(clair, "claire@clair.test", ["hop@ici.test", "away@ici.test"], "Subject: large\r\n\r\n" + body)
    assert "arc=pass" in field(found(labas, "zoe@labas.test", "large"), "Authentication-Results")
    cv, _, reason = dkim.ARC(captured(fin, "large")).verify(dnsfunc=dns_txt(lab))
    assert cv == dkim.CV_Pass, reason


def test_circles_of_aliases_end(loin, ici, labas):
    """Round and round between two servers, until there are too many Received fields; then the sender hears of it."""
    ici.run("alias", "add", "round@ici.test", "round@labas.test")
    labas.run("alias", "add", "round@labas.test", "round@ici.test")
    loin.sendmail("paul@loin.test", ["round@ici.test"], TEXT % ("round", "round"))
    bounce = wait_for("the bounce", lambda: [m for m in loin.messages("paul@loin.test") if b"round@loin.test" in m], 60)[0]
    assert b"5.4.6" in bounce and return_path(bounce) == ""


def check(server, message, ip, helo):
    path = os.path.join(server.dir, "check.eml")
    with open(path, "wb") as f:
        f.write(message)
    return server.run("check", path, "--ip", ip, "--helo", helo, check=False).stdout.lower()


BROKEN = ("ARC-Seal: i=1; a=rsa-sha256; cv=%s; d=clair.test; s=nokey; t=1; b=aGVsbG8=\r\n"
          "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=clair.test; s=nokey; h=From; bh=aGVsbG8=; b=aGVsbG8=\r\n"
          "ARC-Authentication-Results: i=1; mx.clair.test; none\r\n")


def test_broken_chains(ici, fin):
    """RFC 8617 §5.1: a chain that fails is sealed once more, as failed; after that nothing is added."""
    ici.send("paul@loin.test", ["fin@ici.test"], BROKEN % "none" + TEXT % ("broken chain", "broken"))
    message = captured(fin, "broken chain")
    assert "i=2" in field(message, "ARC-Seal") and "cv=fail" in field(message, "ARC-Seal") and "d=ici.test" in field(message, "ARC-Seal")
    assert message.count(b"ARC-Seal:") == 2
    ici.send("paul@loin.test", ["fin@ici.test"], BROKEN % "fail" + TEXT % ("dead chain", "dead"))
    assert captured(fin, "dead chain").count(b"ARC-Seal:") == 1
    ici.wait_log(r"smtp\.forward\.unsealed ")


def test_one_set_for_two_domains(loin, ici, labas):
    loin.sendmail("paul@loin.test", ["away@deux.test", "away@ici.test"], TEXT % ("two domains", "twodomains"))
    for user in ("zoe@labas.test", "yves@labas.test"):
        message = found(labas, user, "two domains")
        assert message.count(b"ARC-Seal:") == 1 and "arc=pass" in field(message, "Authentication-Results")


def test_what_stays_is_not_sealed(loin, ici):
    loin.sendmail("paul@loin.test", ["both@ici.test"], TEXT % ("kept", "kept"))
    assert b"ARC-Seal" not in found(ici, "anne@ici.test", "kept")


def test_our_name_is_not_lent(ici, labas, fin):
    """Nobody gains our SPF by having mail in our name forwarded: ici.test publishes p=none, and lets only itself send."""
    forged = (TEXT % ("forged", "forged")).replace("paul@loin.test", "anne@ici.test")
    for sender in ("anne@ici.test", ""):
        with pytest.raises(smtplib.SMTPDataError) as e:
            ici.send(sender, ["fin@ici.test"], forged)
        assert e.value.smtp_code == 550 and b"5.7.1 " in e.value.smtp_error
    with pytest.raises(smtplib.SMTPDataError) as e:  # a bounce of ours that is none
        ici.send("", [srs0(ici, "loin.test", "paul", "ici.test")], forged)
    assert e.value.smtp_code == 550
    n = len(fin.transcript)
    ici.send("paul@loin.test", ["fin@ici.test"], forged)  # a list, say: it goes on, but not in our name
    captured(fin, "forged")
    assert any(l.startswith("MAIL FROM:<paul@loin.test>") for l in fin.transcript[n:])
    ici.wait_log(r"smtp\.forward\.unproven .*from=ici\.test")


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
