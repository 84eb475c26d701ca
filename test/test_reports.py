"""DMARC reports that we owe: gathered at the door, sent to whom they may go, valid against RFC 9990's schema."""
import email
import email.policy
import gzip
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET

import pytest

from lab import ROOT, wait_for

XSD = ROOT / "test" / "dmarc-aggregate.xsd"
NS = "{urn:ietf:params:xml:ns:dmarc-2.0}"
MESSAGE = """From: Somebody <%s>
To: anne@ici.test
Subject: %s
Date: Sun, 22 Nov 2026 00:40:00 +0000
Message-ID: <%s@client>

Hello.
"""


@pytest.fixture(scope="module")
def here(lab):
    """Who reports: ici.test."""
    return lab.facteur("ici.test", accounts=("anne",), extra="""
reports {
    organization = "Ici & Compagnie"
    contact = "https://ici.test/<abuse>"
    never = {"never.test"}
}
queue {
    retry = {1s}
}
""")


@pytest.fixture(scope="module")
def there(lab):
    """Who gets reports: labas.test."""
    return lab.facteur("labas.test", accounts=("dmarc", "other", "victim"))


count = 0


def send(here, author, mail_from=None, subject="hello", n=1):
    """Mail that names `author`; a rejection is as good as anything."""
    global count
    for _ in range(n):
        count += 1
        try:
            here.send(mail_from if mail_from is not None else author, "anne@ici.test", MESSAGE % (author, subject, count))
        except Exception as e:
            assert "550" in str(e), e


def report_mails(there, user):
    return [email.message_from_bytes(m, policy=email.policy.default) for m in there.messages(user)]


def attachment(mail):
    for part in mail.walk():
        if part.get_content_type() == "application/gzip":
            return part.get_filename(), gzip.decompress(part.get_payload(decode=True))
    raise AssertionError("no report in it")


def validate(xml, tmp_path):
    path = tmp_path / "report.xml"
    path.write_bytes(xml)
    r = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", str(XSD), str(path)], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr + xml.decode()
    return ET.fromstring(xml)


def record(dns, domain, text):
    dns.set("_dmarc." + domain + ".", 'TXT "%s"' % text)


def by_domain(listing):
    return {r["domain"]: r for r in listing}


@pytest.mark.skipif(not shutil.which("xmllint"), reason="no xmllint here")
def test_aggregate_reports(lab, here, there, tmp_path):
    dns = lab.dns
    dns.load(here.run("dns", "ici.test"))  # its keys: the other server looks
    record(dns, "good.test", "v=DMARC1; p=reject; sp=quarantine; np=none; fo=1:d:s; rua=mailto:dmarc%2Breports@labas.test!10m")
    dns.set("good.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"', "A 127.0.0.1")
    dns.set("good.test._report._dmarc.labas.test.", 'TXT "v=DMARC1"')
    record(dns, "testing.test", "v=DMARC1; p=reject; t=y; adkim=s; aspf=s; rua=mailto:dmarc@labas.test; x-unknown=1")
    dns.set("testing.test._report._dmarc.labas.test.", 'TXT "v=DMARC1; rua=mailto:other@labas.test"')
    record(dns, "bomb.test", "v=DMARC1; p=none; rua=mailto:victim@labas.test,mailto:victim@nowhere.test")
    record(dns, "sub.never.test", "v=DMARC1; p=none; rua=mailto:dmarc@sub.never.test")
    record(dns, "quiet.test", "v=DMARC1; p=none")

    send(here, "a@good.test", n=3)                             # SPF passes
    send(here, "a@good.test", "bounce@bad.test", n=2)          # SPF of another domain
    send(here, "b@sub.good.test", "", n=1)                     # the policy of the domain above; null reverse-path
    send(here, "a@testing.test", "x@elsewhere.test", n=1)
    send(here, "a@bomb.test", n=1)
    send(here, "a@sub.never.test", n=1)
    send(here, "a@quiet.test", n=1)

    def listed():
        found = by_domain(here.json("report", "list"))
        return found if {"good.test", "testing.test", "bomb.test", "sub.never.test"} <= set(found) else None
    found = wait_for("what was seen to be written", listed)
    assert "quiet.test" not in found
    assert found["good.test"]["messages"] == 6 and found["good.test"]["state"] == "collecting"
    (to,) = found["good.test"]["destinations"]
    assert to["goes"] and to["external"] and to["authorised"] and to["address"] == "dmarc+reports@labas.test"
    assert [d["authorised"] for d in found["bomb.test"]["destinations"]] == [False, False]
    assert not found["sub.never.test"]["destinations"] and "never" in found["sub.never.test"]["reason"]
    text = here.run("report", "list")
    assert "good.test" in text and "no TXT record" in text

    sent = by_domain(here.json("report", "send"))
    assert sent["good.test"]["note"] == "sent to 1" and sent["testing.test"]["state"] == "sent"
    assert sent["bomb.test"]["state"] == "not sent" and sent["sub.never.test"]["state"] == "not sent"

    (mail,) = [email.message_from_bytes(m, policy=email.policy.default) for m in there.wait_messages("dmarc@labas.test")]
    name, xml = attachment(mail)
    begin, end = re.fullmatch(r"ici\.test!good\.test!(\d+)!(\d+)\.xml\.gz", name).groups()
    assert re.fullmatch(r"Report Domain: good\.test +Submitter: ici\.test +Report-ID: <([^>]+)>", mail["Subject"])
    assert mail["From"].addresses[0].addr_spec == "postmaster@ici.test" and mail["Auto-Submitted"] == "auto-generated"
    assert len(mail.get_all("DKIM-Signature")) == 2 and "dmarc=pass" in mail["Authentication-Results"], mail.as_string()
    root = validate(xml, tmp_path)

    def get(path, at=root):
        return at.findtext("/".join(NS + p for p in path.split("/")))
    assert get("version") == "1.0"
    assert get("report_metadata/org_name") == "Ici & Compagnie"
    assert get("report_metadata/extra_contact_info") == "https://ici.test/<abuse>"
    assert get("report_metadata/report_id") in mail["Subject"]
    assert get("report_metadata/date_range/begin") == begin and int(begin) % 86400 == 0
    assert get("report_metadata/date_range/end") == end and int(end) <= time.time()
    published = {e.tag[len(NS):]: e.text for e in root.find(NS + "policy_published")}
    assert published == {"domain": "good.test", "discovery_method": "treewalk", "p": "reject", "sp": "quarantine", "np": "none", "adkim": "r",
                         "aspf": "r", "fo": "1:d:s", "testing": "n"}
    rows = {}
    for r in root.findall(NS + "record"):
        rows[(get("identifiers/header_from", r), get("identifiers/envelope_from", r))] = {
            "count": int(get("row/count", r)), "disposition": get("row/policy_evaluated/disposition", r),
            "spf": get("row/policy_evaluated/spf", r), "dkim": get("row/policy_evaluated/dkim", r),
            "result": get("auth_results/spf/result", r)}
        assert get("row/source_ip", r).startswith("127.") and get("identifiers/envelope_to", r) == "ici.test"
    assert rows[("good.test", "good.test")] == {"count": 3, "disposition": "pass", "spf": "pass", "dkim": "fail", "result": "pass"}
    assert rows[("good.test", "bad.test")] == {"count": 2, "disposition": "reject", "spf": "fail", "dkim": "fail", "result": "none"}
    sub = rows[("sub.good.test", "")]
    assert sub["count"] == 1 and sub["disposition"] in ("none", "quarantine")
    assert sum(r["count"] for r in rows.values()) == 6
    assert "somebody" not in xml.decode().lower() and "a@good" not in xml.decode()

    (mail,) = [email.message_from_bytes(m, policy=email.policy.default) for m in there.wait_messages("other@labas.test")]
    root = validate(attachment(mail)[1], tmp_path)
    reason = root.find(NS + "record/" + NS + "row/" + NS + "policy_evaluated/" + NS + "reason")
    assert reason.findtext(NS + "type") == "policy_test_mode" and "x-unknown" in root.findtext(NS + "report_metadata/" + NS + "error")
    assert get("policy_published/testing", root) == "y" and get("policy_published/adkim", root) == "s"
    assert there.messages("victim@labas.test") == []

    # The same day goes on with a further report, whose period begins where the other ended.
    send(here, "a@good.test", n=2)
    wait_for("the further report", lambda: [r for r in here.json("report", "list") if r["domain"] == "good.test" and r["state"] == "collecting"])
    here.run("report", "send")
    mails = [email.message_from_bytes(m, policy=email.policy.default) for m in there.wait_messages("dmarc@labas.test", 2)]
    names = sorted(attachment(m)[0] for m in mails)
    assert len(set(names)) == 2
    periods = [tuple(map(int, re.findall(r"!(\d+)", n))) for n in names]
    assert periods[0][1] + 1 == periods[1][0] or periods[1][1] + 1 == periods[0][0]


def test_hostile_names_stay_data(lab, here, there, tmp_path):
    long = ".".join(["l" * 60] * 3 + ["l" * 45]) + ".test"
    for domain in ("evil.test", long):
        record(lab.dns, domain, "v=DMARC1; p=none; rua=mailto:dmarc@labas.test%0d%0aBcc:victim@labas.test,mailto:dmarc@labas.test?cc=victim@labas.test")
        lab.dns.set(domain + "._report._dmarc.labas.test.", 'TXT "v=DMARC1"') if len(domain) < 100 else None
    signature = ("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=evil.test; s=</domain><x>&amp\x01; h=from;\n"
                 " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n")
    here.send('"</header_from>"@evil.test', "anne@ici.test", signature + MESSAGE % ("x@evil.test", "markup", "evil"))
    here.send("x@" + long, "anne@ici.test", MESSAGE % ("x@" + long, "long", "evil2"))
    wait_for("both", lambda: {"evil.test", long} <= set(by_domain(here.json("report", "list"))))
    before = len(there.messages("dmarc@labas.test"))
    sent = by_domain(here.json("report", "send"))
    assert sent["evil.test"]["state"] == "sent" and sent[long]["state"] == "not sent"  # the name to ask for is too long
    mails = [email.message_from_bytes(m, policy=email.policy.default) for m in there.wait_messages("dmarc@labas.test", before + 1)]
    xml = [attachment(m)[1] for m in mails if "evil.test" in m["Subject"]]
    assert len(xml) == 1
    root = validate(xml[0], tmp_path)
    assert root.find(NS + "record") is not None
    assert there.messages("victim@labas.test") == []


def test_bounces_pause_a_destination(lab, here, there):
    record(lab.dns, "gone.test", "v=DMARC1; p=none; rua=mailto:nobody@labas.test")
    lab.dns.set("gone.test._report._dmarc.labas.test.", 'TXT "v=DMARC1"')
    send(here, "a@gone.test")
    wait_for("it", lambda: "gone.test" in by_domain(here.json("report", "list")))
    here.run("report", "send")
    here.wait_log(r"report\.paused to=nobody@labas\.test")
    here.wait_log(r"queue\.dropped .*to=nobody@labas\.test")
    send(here, "a@gone.test")

    def paused():
        (r,) = [r for r in here.json("report", "list") if r["domain"] == "gone.test" and r["state"] == "collecting"] or [None]
        return r and r["destinations"]
    (to,) = wait_for("the next report", paused)
    assert to["paused"] and not to["goes"] and "bounced" in to["reason"]
    here.run("report", "send")
    assert len(re.findall(r"report\.queued domain=gone\.test", here.log_text())) == 1
    assert here.messages("anne@ici.test") and not [m for m in here.messages("anne@ici.test") if b"multipart/report" in m]


def test_bounces_that_come_back_later(lab, here, there):
    record(lab.dns, "late.test", "v=DMARC1; p=none; rua=mailto:other@labas.test")
    lab.dns.set("late.test._report._dmarc.labas.test.", 'TXT "v=DMARC1"')
    before = len(there.messages("other@labas.test"))
    send(here, "a@late.test")
    wait_for("it", lambda: "late.test" in by_domain(here.json("report", "list")))
    here.run("report", "send")
    mail = email.message_from_bytes(there.wait_messages("other@labas.test", before + 1)[-1])
    sender = mail["Return-Path"].strip("<>")
    assert re.fullmatch(r"postmaster\+bounce-[0-9a-f]{16}@ici\.test", sender)
    vacation = "From: other@labas.test\nAuto-Submitted: auto-replied\nSubject: away\n\nI am away.\n"
    dsn = ("From: mailer-daemon@labas.test\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
           "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.labas.test\n\n"
           "Final-Recipient: rfc822; other@labas.test\nAction: failed\nStatus: 5.1.1\n--b--\n")
    here.send("", sender, vacation)
    here.send("", sender.replace("bounce-", "bounce-0000")[:-len("0000@ici.test")] + "@ici.test", dsn)  # somebody guesses
    here.send("someone@labas.test", sender, dsn)  # not a bounce
    here.send("", sender, dsn)
    here.wait_log(r"report\.paused to=other@labas\.test .*came back")
    assert len(re.findall(r"report\.paused to=other@labas", here.log_text())) == 1


def test_crash_loses_seconds_at_most(lab, here, there):
    record(lab.dns, "crash.test", "v=DMARC1; p=none; rua=mailto:dmarc@labas.test")
    send(here, "a@crash.test", n=5)
    wait_for("it", lambda: by_domain(here.json("report", "list")).get("crash.test", {}).get("messages") == 5)
    here.being_killed = True
    subprocess.run(["kill", "-9", str(here.child("mta"))], check=True)
    here.wait_log(r"process\.ready .*name=mta|process\.ready name=mta")
    send_again = lambda: send(here, "a@crash.test") or True
    wait_for("the door to be open again", lambda: _quietly(send_again))
    wait_for("one more", lambda: by_domain(here.json("report", "list"))["crash.test"]["messages"] == 6)


def _quietly(f):
    try:
        return f()
    except OSError:
        return False


def test_a_stopped_server_keeps_what_it_owes(lab, there):
    server = lab.facteur("stop.test", accounts=("anne",))
    record(lab.dns, "asks.test", "v=DMARC1; p=none; rua=mailto:dmarc@asks.test")
    server.send("a@asks.test", "anne@stop.test", MESSAGE % ("a@asks.test", "x", "stop"))
    server.stop()
    (r,) = server.json("report", "list")
    assert r["messages"] == 1
    assert "not running: 1 report goes" in server.run("report", "send")
    assert server.run("report", "send", "--day", "2026-02-31", check=False).returncode == 1
    assert server.run("report", "send", "--day", "2999-01-01", check=False).returncode == 1
    assert server.run("report", "post", check=False).returncode == 2
    server.start()
    server.wait_log(r"report\.queued domain=asks\.test to=dmarc@asks\.test")


def test_failure_reports(lab, there):
    server = lab.facteur("echec.test", accounts=("anne",), extra="reports {\n    failure = yes\n    from = \"nobody@echec.test\"\n    failures-per-domain = 2\n}\n")
    server.wait_log(r"report\.from\.unusable address=nobody@echec\.test")
    lab.dns.load(server.run("dns", "echec.test"))
    record(lab.dns, "forged.test", "v=DMARC1; p=none; ruf=mailto:other@labas.test,mailto:victim@labas.test!1")
    lab.dns.set("forged.test.", 'TXT "v=spf1 -all"')
    lab.dns.set("forged.test._report._dmarc.labas.test.", 'TXT "v=DMARC1; ruf=mailto:dmarc@labas.test"')
    before = len(there.messages("dmarc@labas.test"))
    for i in range(4):
        server.send("secret.person@forged.test", "anne@echec.test", MESSAGE % ("secret.person@forged.test", "secret subject", i))
    # Both of the record's addresses lead to the one that the destination's record names; two of the day.
    server.wait_log(r"report\.skipped domain=forged\.test .*as many as one day allows")
    mails = [m for m in there.wait_messages("dmarc@labas.test", before + 2) if b"Auth-Failure" in m]
    assert len(mails) == 2
    raw = mails[0].decode()
    mail = email.message_from_string(raw, policy=email.policy.default)
    assert mail.get_content_type() == "multipart/report" and mail["Content-Type"].params["report-type"] == "feedback-report"
    kinds = [p.get_content_type() for p in mail.walk()][1:]
    assert kinds[0] == "text/plain" and "message/feedback-report" in kinds and kinds[-1] == "text/rfc822-headers"
    assert "secret" not in raw and "Somebody" not in raw and "Hello." not in raw and "anne" not in raw
    assert "Identity-Alignment: dkim, spf" in raw and "Reported-Domain: forged.test" in raw
    assert re.search(r'SPF-DNS: txt : forged.test :\s+"v=spf1 -all"', raw) and "@echec.test>" in raw
    assert "dmarc=pass" in mail["Authentication-Results"]
    assert there.messages("victim@labas.test") == []
    # A report is an automatic mail: no report about it.
    server.send("dmarc@forged.test", "anne@echec.test", "Auto-Submitted: auto-generated\n" + MESSAGE % ("dmarc@forged.test", "x", "auto"))
    assert len(server.wait_messages("anne@echec.test", 5)) == 5
    assert len(re.findall(r"report\.failure\.queued", server.log_text())) == 2
