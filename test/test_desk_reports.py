"""Reports that others send us: from the mail's arrival to the pages' JSON."""
import csv
import datetime
import email.message
import gzip
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import struct
import tempfile
import zipfile

import pytest

import make_reports
import recount_reports
from lab import PORTS, SERVICES, SHARED, wait_for
from test_api import PASSWORD, Api, code

NOW = datetime.datetime.now(datetime.timezone.utc).date()
DAY = NOW - datetime.timedelta(days=1)
BEGIN = int(datetime.datetime.combine(DAY, datetime.time(), datetime.timezone.utc).timestamp())
XML = """<?xml version="1.0" encoding="UTF-8"?>
<feedback><report_metadata><org_name>{org}</org_name><email>dmarc@{org}</email><report_id>{id}</report_id>
<date_range><begin>{begin}</begin><end>{end}</end></date_range></report_metadata>
<policy_published><domain>{domain}</domain><adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct></policy_published>
{rows}</feedback>"""
ROW = """<record><row><source_ip>{ip}</source_ip><count>{n}</count><policy_evaluated><disposition>{done}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>
{reason}</policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers><auth_results>
<spf><domain>{spf_domain}</domain><result>{spf_result}</result></spf></auth_results></record>"""


def row(ip, n, spf=True, dkim=True, domain="bureau.test", spf_domain=None, spf_result=None, done="none", reason=""):
    word = {True: "pass", False: "fail"}
    return ROW.format(ip=ip, n=n, spf=word[spf], dkim=word[dkim], domain=domain, spf_domain=spf_domain or domain,
                      spf_result=spf_result or word[spf], done=done, reason=reason and "<reason><type>%s</type></reason>" % reason)


def report(report_id, rows, org="labas.test", domain="bureau.test", begin=BEGIN):
    return XML.format(org=org, id=report_id, domain=domain, begin=begin, end=begin + 86399, rows="\n".join(rows)).encode()


def mail(data, name, author="dmarc@labas.test", to="dmarc-reports@bureau.test", kind="gzip", extra=()):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = author, to, "Report domain: bureau.test"
    m["Date"], m["Message-ID"] = "Sun, 22 Nov 2026 00:40:00 +0000", "<%s@labas.test>" % name
    m.set_content("A report.")
    m.add_attachment(data, "application", kind, filename=name)
    for k, v in extra:
        m[k] = v
    return m.as_bytes()


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("report.xml", data)
    return out.getvalue()


def tls_report(report_id, success=100, failures=(), domain="bureau.test", day=DAY):
    return json.dumps({
        "organization-name": "Là-bas", "contact-info": "tls@labas.test", "report-id": report_id,
        "date-range": {"start-datetime": "%sT00:00:00Z" % day, "end-datetime": "%sT23:59:59Z" % day},
        "policies": [{"policy": {"policy-type": "sts", "policy-domain": domain, "mx-host": ["mx.bureau.test"]},
                      "summary": {"total-successful-session-count": success, "total-failure-session-count": sum(n for _, n in failures)},
                      "failure-details": [{"result-type": t, "failed-session-count": n, "receiving-mx-hostname": "mx.bureau.test"} for t, n in failures]}]}).encode()


def mmdb(countries):
    """A MaxMind file: {"198.51.100.0/24": "FR"} (format 2.0, records of 32 bits, IPv4)."""
    def text(s):
        return bytes([0x40 | len(s)]) + s.encode()

    def entry(code_of):
        return b"\xe1" + text("country") + b"\xe1" + text("iso_code") + text(code_of)
    nodes, leaves, data = [[None, None]], {}, b""
    for net, value in countries.items():
        if value not in leaves:
            leaves[value] = len(data)
            data += entry(value)
        ip, bits = net.split("/")
        number, at = int.from_bytes(socket.inet_aton(ip), "big"), 0
        for i in range(int(bits)):
            side = number >> (31 - i) & 1
            if i == int(bits) - 1:
                nodes[at][side] = ("leaf", leaves[value])
            else:
                if nodes[at][side] is None:
                    nodes.append([None, None])
                    nodes[at][side] = len(nodes) - 1
                at = nodes[at][side]
    n = len(nodes)
    tree = b"".join(struct.pack(">II", *(n if x is None else n + 16 + x[1] if isinstance(x, tuple) else x for x in node)) for node in nodes)
    u = lambda kind, size, v: (bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])) + v.to_bytes(size, "big")
    meta = {"node_count": u(6, 4, n), "record_size": u(5, 1, 32), "ip_version": u(5, 1, 4), "database_type": text("Test-Country"),
            "languages": b"\x00\x04", "binary_format_major_version": u(5, 1, 2), "binary_format_minor_version": u(5, 1, 0),
            "build_epoch": u(9, 4, 1), "description": b"\xe0"}
    return tree + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + bytes([0xe0 | len(meta)]) + b"".join(text(k) + v for k, v in meta.items())


@pytest.fixture(scope="module")
def desk(lab, tmp_path_factory):
    countries = tmp_path_factory.mktemp("countries") / "country.mmdb"
    countries.write_bytes(mmdb({"198.51.100.0/24": "FR", "203.0.113.0/24": "BE"}))
    server = lab.facteur("bureau.test", accounts=(), listen=SERVICES + ["http", "https"], extra='reports {\n    country-file = "%s"\n}\n' % countries)
    for domain in ("autre.test", "tiers.test"):
        server.run("domain", "add", domain)
    for address, role in (("anne@bureau.test", "operator"), ("olga@bureau.test", "owner"), ("otto@autre.test", "owner"), ("ugo@bureau.test", "user")):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
        server.run("account", "role", address, role)
    dns = lab.dns
    dns.set("labas.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"', "A 127.0.0.1")
    dns.set("_dmarc.labas.test.", 'TXT "v=DMARC1; p=reject"')
    dns.set("plain.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"', "A 127.0.0.1")
    dns.set("7.100.51.198.in-addr.arpa.", "PTR mail7.shop.example.")
    dns.set("mail7.shop.example.", "A 198.51.100.7")
    dns.set("8.100.51.198.in-addr.arpa.", "PTR mail.google.com.")  # a lie: it does not lead back
    return server


@pytest.fixture(scope="module")
def anne(desk, lab):
    return Api(desk, lab).login("anne@bureau.test")


def deliver(server, message, sender="dmarc@labas.test", to="dmarc-reports@bureau.test"):
    server.send(sender, to, message)


def summary(api, domain="bureau.test", **more):
    return api.get("/reports/dmarc/summary?domain=%s%s" % (domain, "".join("&%s=%s" % x for x in more.items())))


def reports(api, domain="bureau.test"):
    return api.get("/reports/dmarc?domain=%s" % domain)["dmarc"]


def wait_reports(api, n, domain="bureau.test"):
    wait_for("%d reports" % n, lambda: len(reports(api, domain)) >= n)
    return reports(api, domain)


def upload(api, data, domain=None):
    status, body, _ = api.ask("POST", "/reports", raw=data, headers={"Content-Type": "application/octet-stream"})
    assert status == 200, body
    return body


@pytest.mark.sanitize
def test_reports_by_mail(desk, anne, lab):
    records = desk.run("dns", "bureau.test")
    assert "rua=mailto:dmarc-reports@bureau.test" in records and "rua=mailto:tls-reports@bureau.test" in records
    rows = [row("198.51.100.7", 10), row("198.51.100.8", 4, spf=False, dkim=True), row("203.0.113.9", 6, False, False, done="reject", reason="local_policy"),
            row("198.51.100.7", 1, spf=False, dkim=False, spf_domain="bounce.sendgrid.net", spf_result="pass")]
    data = report("one", rows)
    deliver(desk, mail(gzip.compress(data), "one.xml.gz"))
    one = wait_reports(anne, 1)[0]
    assert one["verdict"]["counted"] and one["verdict"]["why"] == "dmarc.pass" and one["verdict"]["by"] == "labas.test" and one["via"] == "mail"
    assert all(r["rows"] == [] and r["rows_total"] for r in anne.get("/reports/dmarc?domain=bureau.test&rows=0")["dmarc"])
    assert code(anne.ask("GET", "/reports/dmarc?domain=bureau.test&rows=101")) == (400, "request.field")
    assert one["org"] == "labas.test" and one["messages"] == 21 and one["rows_total"] == 4 and one["policy"]["p"] == "none"
    assert [(r["source_ip"], r["count"], r["spf"], r["dkim"]) for r in one["rows"]][:2] == [("198.51.100.7", 10, "pass", "pass"), ("198.51.100.8", 4, "fail", "pass")]
    s = summary(anne)
    assert (s["messages"], s["aligned"], s["spf_aligned"], s["dkim_aligned"]) == (21, 14, 10, 14)
    assert s["disposition"] == {"none": 15, "quarantine": 0, "reject": 6} and s["overrides"] == {"local_policy": 6}
    assert s["days"] == [{"day": str(DAY), "messages": 21, "aligned": 14, "spf": 10, "dkim": 14, "rejected": 6, "quarantined": 0}]
    assert s["policy"]["seen"] == [{"p": "none", "messages": 21}] and s["path"]["now"] == "none" and s["path"]["next"] == "quarantine" and not s["path"]["ready"]

    # The same once more, in other clothes; by an organization that writes itself otherwise it is still the same.
    deliver(desk, mail(zipped(data), "one.zip", kind="zip"))
    deliver(desk, mail(zipped(report("one", rows, org="LABAS.test")), "one.zip", kind="octet-stream"))
    desk.wait_log(r"desk.report.again.*org=LABAS.test")
    # Not authentic: SPF fails, and there is no signature. It is shown, and adds to nothing.
    deliver(desk, mail(gzip.compress(report("two", rows, org="faux.test")), "two.xml.gz", author="dmarc@faux.test"), sender="x@nowhere.test")
    # No DMARC policy, but SPF passes for the author's domain.
    deliver(desk, mail(gzip.compress(report("three", [row("198.51.100.7", 5)], org="plain.test")), "3.xml.gz", author="d@plain.test"), sender="d@plain.test")
    # Forged results of ours in the header do not help.
    deliver(desk, mail(gzip.compress(report("four", rows, org="faux.test")), "4.gz", author="d@faux.test",
                       extra=[("Authentication-Results", "%s; dmarc=pass header.from=faux.test" % desk.hostname)]), sender="x@nowhere.test")
    found = {r["report_id"]: r for r in wait_reports(anne, 4)}
    assert {k: (r["verdict"]["counted"], r["verdict"]["why"]) for k, r in found.items()} == {
        "one": (True, "dmarc.pass"), "two": (False, "unauthenticated"), "three": (True, "aligned.pass"), "four": (False, "unauthenticated")}
    assert summary(anne)["messages"] == 26 and summary(anne)["reports"] == 2
    # The authentic one takes the place of the one that was not.
    lab.dns.set("faux.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"')
    deliver(desk, mail(gzip.compress(report("two", rows, org="faux.test")), "two.xml.gz", author="dmarc@faux.test"), sender="dmarc@faux.test")
    wait_for("the authentic one", lambda: summary(anne)["messages"] == 47)
    assert len(reports(anne)) == 4

    # What is no report goes to postmaster: nothing is lost. What tells of a domain of others, too.
    deliver(desk, mail(b"PK not a zip", "bad.zip", kind="zip"))
    desk.wait_messages("anne@bureau.test", 1, password=PASSWORD)
    deliver(desk, mail(gzip.compress(report("other", rows, domain="elsewhere.test")), "o.gz"))
    desk.wait_messages("anne@bureau.test", 2, password=PASSWORD)
    desk.wait_log(r"desk.report.refused.*elsewhere.test")
    # An alias of the name gets the mail as well, and what is no report goes there alone.
    desk.run("alias", "add", "dmarc-reports@autre.test", "otto@autre.test")
    deliver(desk, mail(gzip.compress(report("five", [row("198.51.100.7", 3, domain="autre.test")], domain="autre.test")), "5.gz"), to="dmarc-reports@autre.test")
    desk.wait_messages("otto@autre.test", 1, password=PASSWORD)
    wait_reports(anne, 1, "autre.test")


@pytest.mark.sanitize
def test_sources_have_names_and_kinds(desk, anne):
    rows = [row("203.0.113.10", 50, spf=False, dkim=False, spf_domain="bounces.sendgrid.net", spf_result="pass"),
            row("198.51.100.7", 20), row("198.51.100.8", 9, spf=False, dkim=True), row("203.0.113.77", 30, False, False, domain="tiers.test"),
            row("2001:db8::5", 2, False, False)]
    assert upload(anne, report("names", rows, domain="tiers.test")) == {"read": 1, "again": 0, "refused": []}

    def sources(**more):
        return {s["key"]: s for s in anne.get("/reports/dmarc/sources?domain=tiers.test" + "".join("&%s=%s" % x for x in more.items()))["sources"]}
    wait_for("the reverse name", lambda: "host:shop.example" in sources(), 90)
    wait_for("all looked up", lambda: sources()["host:shop.example"]["country"] == "FR" and sources()["twilio-sendgrid"]["country"] == "BE", 90)
    found = sources()
    assert set(found) == {"twilio-sendgrid", "host:shop.example", "net:198.51.100.0/24", "net:203.0.113.0/24", "net:2001:db8::/48"}
    grid, shop, lie = found["twilio-sendgrid"], found["host:shop.example"], found["net:198.51.100.0/24"]
    assert (grid["name"], grid["kind"], grid["advice"], grid["country"], grid["messages"]) == ("Twilio SendGrid", "service", "service.unaligned", "BE", 50)
    assert (shop["name"], shop["kind"], shop["messages"], shop["addresses"]) == ("shop.example", "ours", 20, 1)
    assert (lie["kind"], lie["advice"]) == ("forwarder", "forwarder.good")  # its name does not lead back: it is not believed
    assert (found["net:203.0.113.0/24"]["kind"], found["net:203.0.113.0/24"]["advice"]) == ("threat", "threat.open")
    s = summary(anne, "tiers.test")
    assert s["messages"] == sum(x["messages"] for x in found.values()) == 111
    assert s["path"]["would_break"] == 50 and [b["source"] for b in s["path"]["blockers"]] == ["twilio-sendgrid"] and s["path"]["why"] == "path.failing"
    one = anne.get("/reports/dmarc/sources/host:shop.example?domain=tiers.test")
    assert [(a["ip"], a["host"], a["country"], a["messages"]) for a in one["addresses"]] == [("198.51.100.7", "mail7.shop.example", "FR", 20)]
    assert one["reporters"] == [{"org": "labas.test", "messages": 20}] and one["days"][0]["messages"] == 20
    assert anne.get("/reports/dmarc/sources/net:2001:db8::/48?domain=tiers.test")["addresses"][0]["ip"] == "2001:db8::5"
    # The word of people stands before the table's.
    assert anne.ask("PUT", "/reports/dmarc/sources/host:shop.example?domain=tiers.test", {"name": "Notre boutique", "kind": "service"})[0] == 204
    assert (sources()["host:shop.example"]["name"], sources()["host:shop.example"]["kind"]) == ("Notre boutique", "service")
    assert list(sources(q="boutique")) == ["host:shop.example"] and list(sources(sort="name"))[0].startswith("net:198")
    assert code(anne.ask("PUT", "/reports/dmarc/sources/nobody?domain=tiers.test", {"kind": "ours"})) == (404, "source.missing")
    assert code(anne.ask("PUT", "/reports/dmarc/sources/host:shop.example?domain=tiers.test", {"kind": "friend"})) == (400, "request.field")
    # The table of known senders is long, and can be changed.
    senders = anne.get("/sources")["senders"]
    assert len(senders) >= 80 and {"Google", "Amazon SES", "Mailjet", "Groups.io", "SimpleLogin"} <= {x["name"] for x in senders}
    assert anne.ask("PUT", "/sources/Notre%20service", {"kind": "service", "hosts": ["service.example"], "spf": ["bounce.example"]})[0] == 204
    assert code(anne.ask("PUT", "/sources/Bad", {"kind": "service", "hosts": ["Not a domain"]})) == (400, "request.field")
    upload(anne, report("named", [row("203.0.113.200", 3, False, False, spf_domain="x.bounce.example", spf_result="pass")], domain="tiers.test"))
    assert sources()["notre-service"]["name"] == "Notre service"
    assert anne.ask("DELETE", "/sources/Notre%20service")[0] == 204
    assert "Notre service" not in {x["name"] for x in anne.get("/sources")["senders"]}
    shipped = next(x for x in senders if x["name"] == "Google")
    assert anne.ask("PUT", "/sources/Google", {"kind": "list", "hosts": ["google.example"]})[0] == 204
    assert next(x for x in anne.get("/sources")["senders"] if x["name"] == "Google")["changed"]
    assert anne.ask("DELETE", "/sources/Google")[0] == 204  # and so as it was shipped
    assert next(x for x in anne.get("/sources")["senders"] if x["name"] == "Google") == shipped


@pytest.mark.sanitize
def test_tls_reports(desk, anne, lab):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "tls@labas.test", "tls-reports@bureau.test", "Report Domain: bureau.test"
    m["Date"], m["Message-ID"] = "Sun, 22 Nov 2026 00:40:00 +0000", "<tls@labas.test>"
    m.set_content("A TLS report.")
    m.add_attachment(gzip.compress(tls_report("t-1", 90, [("certificate-expired", 10)])), "application", "tlsrpt+gzip", filename="r.json.gz")
    deliver(desk, m.as_bytes(), sender="tls@labas.test", to="tls-reports@bureau.test")
    get = lambda: anne.get("/reports/tls/summary?domain=bureau.test")
    wait_for("the TLS report", lambda: get()["sessions"] == 100)
    s = get()
    assert s["failures"] == 10 and s["days"] == [{"day": str(DAY), "success": 90, "failure": 10}] and s["enforce"]["why"] == "enforce.failing"
    assert s["results"] == [{"result_type": "certificate-expired", "mx": "mx.bureau.test", "count": 10, "advice": "tls.certificate-expired"}]
    assert s["mx"] == [{"mx": "mx.bureau.test", "success": 90, "failure": 10}] and s["organizations"][0]["org"] == "Là-bas"
    # By POST: taken, shown, not counted; plain or gzip, whatever it claims to be.
    context = lab.tls()
    context.check_hostname = False

    def request(method, data=None):
        c = http.client.HTTPSConnection(desk.ip, PORTS["https"], timeout=20, context=context)
        c.request(method, "/reports/tls", body=data, headers={"Host": desk.hostname, "Content-Type": "application/tlsrpt+gzip"})
        status = c.getresponse().status
        c.close()
        return status
    assert request("POST", gzip.compress(tls_report("t-2", 500))) == 201 and request("POST", tls_report("t-3", 500)) == 201
    assert request("POST", b"hello") == 400 and request("GET") == 405
    assert request("POST", b"x" * (5 << 20)) in (413,)
    assert get()["sessions"] == 100
    found = {r["report_id"]: r["verdict"] for r in anne.get("/reports/tls?domain=bureau.test")["tls"]}
    assert found["t-2"]["counted"] is False and found["t-2"]["why"] == "post" and found["t-1"]["counted"] is True
    statuses = [request("POST", b"{}") for _ in range(40)]
    assert statuses[-1] == 429
    # Seven good days say that enforce is safe.
    for i in range(8):
        upload(anne, tls_report("good-%d" % i, 1000, domain="tiers.test", day=DAY - datetime.timedelta(days=i)))
    assert anne.get("/reports/tls/summary?domain=tiers.test")["enforce"] == {"mode": "testing", "ready": True, "why": "enforce.ready", "days": 8, "sessions": 8000, "failures": 0}
    assert "enforce is safe" in desk.run("domain", "mta-sts", "tiers.test")
    assert "certificate-expired" in desk.run("domain", "mta-sts", "bureau.test") or "fail" in desk.run("domain", "mta-sts", "bureau.test")


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the shared data is not beside this checkout")
def test_failure_reports(desk, anne):
    data = (SHARED / "data/dmarc-reports/failure/parsedmarc").glob("*.eml")
    text = next(data).read_bytes().replace(b"domain.de", b"bureau.test")
    assert upload(anne, text)["read"] == 1 and upload(anne, text)["again"] == 1
    found = anne.get("/reports/failure?domain=bureau.test")["failure"]
    assert len(found) == 1 and found[0]["source_ip"] == "10.10.10.10" and "Received:" in found[0]["headers"]
    # where our own record asks for them (ruf=, fo=1), they arrive
    record = next(r["value"] for r in desk.json("dns", "bureau.test") if r["name"].startswith("_dmarc."))
    to = re.search(r"; ruf=mailto:([^;\"]+); fo=1", record).group(1)
    assert to == "dmarc-reports@bureau.test"
    deliver(desk, """From: <postmaster@labas.test>
To: <%s>
Subject: FW: a bill
Message-ID: <arf.1@labas.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This message failed.
--b
Content-Type: message/feedback-report

Feedback-Type: auth-failure
Version: 1
User-Agent: labas/1
Auth-Failure: dmarc
Reported-Domain: bureau.test
Source-IP: 203.0.113.77
Original-Mail-From: <x@forged.test>
Arrival-Date: Sun, 22 Nov 2026 01:00:00 +0000

--b
Content-Type: text/rfc822-headers

From: <boss@bureau.test>
Subject: a bill

--b--
""" % to, to=to)
    wait_for("the failure report", lambda: "203.0.113.77" in [f["source_ip"] for f in anne.get("/reports/failure?domain=bureau.test")["failure"]])


def test_rights(desk, anne, lab):
    assert code(Api(desk, lab).ask("GET", "/reports/dmarc?domain=bureau.test")) == (401, "session.none")
    otto, olga, ugo = (Api(desk, lab).login(x) for x in ("otto@autre.test", "olga@bureau.test", "ugo@bureau.test"))
    for path in ("/reports/dmarc?", "/reports/dmarc/summary?", "/reports/dmarc/sources?", "/reports/dmarc/sources/ours?", "/reports/tls?",
                 "/reports/tls/summary?", "/reports/failure?", "/reports/export?kind=dmarc&"):
        assert otto.ask("GET", path + "domain=bureau.test")[0] == 403 and otto.ask("GET", path + "domain=nothing.test")[0] == 403
        assert ugo.ask("GET", path + "domain=bureau.test")[0] == 403
        assert olga.ask("GET", path + "domain=bureau.test")[0] in (200, 404)
    assert olga.ask("PUT", "/sources/X", {"kind": "list"})[0] == 403
    # An owner's files count for the own domain alone.
    body = upload(otto, report("stolen", [row("198.51.100.7", 1)]))
    assert body["read"] == 0 and "not yours" in body["refused"][0]["reason"]
    assert code(anne.ask("GET", "/reports/dmarc?domain=bureau.test&from=2026-01-02&to=2026-01-01")) == (422, "reports.span")


@pytest.mark.sanitize
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the shared data is not beside this checkout")
def test_a_recount_agrees(desk, anne, lab, tmp_path):
    """A month for three domains, counted again by a script that knows nothing of the program."""
    domains = ["eins.test", "zwei.test", "drei.test"]
    for d in domains:
        desk.run("domain", "add", d)
    make_reports.make(SHARED / "data/dmarc-reports/aggregate", tmp_path / "files", 6000, domains, days=30, reporters=2)
    agree(anne, tmp_path / "files", domains)


@pytest.mark.long
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the shared data is not beside this checkout")
def test_two_million_rows_agree(desk, anne, tmp_path):
    domains = ["un.test", "deux.test", "trois.test"]
    for d in domains:
        desk.run("domain", "add", d)
    make_reports.make(SHARED / "data/dmarc-reports/aggregate", tmp_path / "files", 2000000, domains, days=30, reporters=20)
    agree(anne, tmp_path / "files", domains)


def agree(api, folder, domains):
    again = 0
    for path in sorted(folder.iterdir()):
        body = upload(api, path.read_bytes())
        assert body["refused"] == [], (path, body)
        again += body["again"]
    assert again > 0
    truth = recount_reports.recount(folder)
    assert set(truth) == set(domains)
    span = "&from=%s" % (NOW - datetime.timedelta(days=40))
    for d in domains:
        t, s = truth[d], summary(api, d + span)
        assert (s["reports"], s["messages"], s["aligned"], s["spf_aligned"], s["dkim_aligned"]) == (t["reports"], t["messages"], t["aligned"], t["spf"], t["dkim"])
        assert {x["day"]: [x["messages"], x["aligned"]] for x in s["days"]} == t["days"]
        sources = api.get("/reports/dmarc/sources?domain=" + d + span)["sources"]
        assert sum(x["messages"] for x in sources) == t["messages"] and sum(x["aligned"] for x in sources) == t["aligned"]
        for x in sources[:12]:
            one = api.get("/reports/dmarc/sources/%s?domain=%s" % (x["key"], d + span))
            rest = one["addresses_rest"]
            for what in ("messages", "aligned"):
                assert sum(a[what] for a in one["addresses"]) + rest[what] == x[what], (x["key"], rest)
            assert sum(r["messages"] for r in one["reporters"]) + one["reporters_rest"] == x["messages"]
            assert all([a["messages"], a["aligned"]] == t["addresses"][a["ip"]] for a in one["addresses"]), x["key"]
            assert rest["messages"] == 0 or len(one["addresses"]) == 500
            assert one["reporters_rest"] == 0
        lines = []
        for back in range(35, -1, -5):  # a file has room for so many rows
            days = "&from=%s&to=%s" % (NOW - datetime.timedelta(days=back), NOW - datetime.timedelta(days=back - 4))
            status, text, answer = api.ask("GET", "/reports/export?domain=%s&kind=dmarc&format=csv" % (d + days))
            assert status == 200 and "attachment" in answer.headers["Content-Disposition"]
            lines += csv.DictReader(io.StringIO(text))
        assert len(lines) == t["rows"] and sum(int(r["messages"]) for r in lines) == t["messages"]
        assert sum(int(r["messages"]) for r in lines if "pass" in (r["spf"], r["dkim"])) == t["aligned"]
        _, rows, _ = api.ask("GET", "/reports/export?domain=%s&kind=sources&format=json" % (d + span))
        assert sum(r["messages"] for r in rows) == t["messages"]


def test_a_crash_counts_nothing_twice(desk, anne, lab):
    """The process dies while it reads a long report; the row of the queue is still there, and the report is read once more."""
    desk.run("domain", "add", "lang.test")
    rows = [row("10.%d.%d.%d" % (i // 62500, i // 250 % 250, i % 250), 1, False, False, domain="lang.test") for i in range(40000)]
    deliver(desk, mail(gzip.compress(report("long", rows, domain="lang.test"), 1), "long.gz", to="dmarc-reports@lang.test"), to="dmarc-reports@lang.test")
    os.kill(desk.child("mta"), signal.SIGKILL)
    wait_for("the report", lambda: summary(anne, "lang.test")["messages"] == 40000, 60)
    assert summary(anne, "lang.test")["reports"] == 1 and len(reports(anne, "lang.test")) == 1
    assert reports(anne, "lang.test")[0]["rows_total"] == 40000
    # Not all have a line of their own, and what is shown says so.
    assert sum(x["messages"] for x in anne.get("/reports/dmarc/sources?domain=lang.test")["sources"]) == 40000
    first, last = (anne.get("/reports/dmarc/sources/net:10.0.%d.0/24?domain=lang.test" % i) for i in (0, 159))
    assert len(first["addresses"]) == first["source"]["messages"] == 250 and first["addresses_rest"]["messages"] == first["reporters_rest"] == 0
    assert last["addresses"] == last["reporters"] == [] and last["addresses_rest"]["messages"] == last["reporters_rest"] == 250
    rows = anne.get("/reports/export?domain=lang.test&kind=dmarc")
    assert len(rows) == 10001 and sum(r["messages"] for r in rows) == 40000 and rows[-1]["source_ip"] == ""
    wait_for("an empty queue", lambda: "lang.test" not in json.dumps(desk.json("queue", "list")))
    # The backup has it, and what verifies the store looks at it.
    copy = os.path.join(tempfile.mkdtemp(dir=lab.dir), "copy")
    shutil.chown(os.path.dirname(copy), "mail") if os.getuid() == 0 else None
    desk.run("backup", copy)
    assert os.path.getsize(os.path.join(copy, "reports.db")) > 100000
    desk.run("store", "verify")


def test_reports_without_a_name(desk, anne):
    desk.run("domain", "add", "anonyme.test")
    rows = [row("198.51.100.7", 1, domain="anonyme.test")]
    for day in (2, 3):  # told apart by their periods
        data = report("", rows, domain="anonyme.test", begin=BEGIN - day * 86400)
        assert upload(anne, data)["read"] == 1 and upload(anne, data)["again"] == 1
    assert summary(anne, "anonyme.test")["messages"] == 2
    late = upload(anne, report("late", rows, domain="anonyme.test", begin=BEGIN + 10 * 86400))
    assert late["read"] == 0 and "future" in late["refused"][0]["reason"]
    undated = json.loads(tls_report("u", domain="anonyme.test"))
    del undated["date-range"]
    assert upload(anne, json.dumps(undated).encode())["read"] == 1
    assert [d["day"] for d in anne.get("/reports/tls/summary?domain=anonyme.test")["days"]] == [str(DAY)]


def test_a_cell_is_no_formula(desk, anne):
    upload(anne, report("=cmd|' /C calc'!A0", [row("198.51.100.7", 1)], org="@SUM(1+1)\"*"))
    upload(anne, report("\uff1d1+1", [row("198.51.100.7", 1)], org="&lt;script&gt;\u202e&#27;[31m"))
    status, text, _ = anne.ask("GET", "/reports/export?domain=bureau.test&kind=dmarc&format=csv")
    assert status == 200 and "\"'=cmd|" in text and "\"'@SUM(1+1)\"\"*\"" in text and not re.search(r'(^|,)"[=+@\uff1d-]', text, re.M)
    assert "\"'\uff1d1+1" in text and "<script>" in text and "\u202e" not in text and "\x1b" not in text
