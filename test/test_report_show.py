"""`facteur report show`: every report of the shared data is read as an independent reader reads it, or refused with a reason; the odd ones
that senders make are read, and hostile ones do no harm."""
import base64
import datetime
import email
import gzip
import io
import json
import os
import quopri
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
import zlib

import pytest

from lab import BIN, SHARED, SLOW

DATA = SHARED / "data"
AGGREGATE = DATA / "dmarc-reports" / "aggregate"
FAILURE = DATA / "dmarc-reports" / "failure"
TLS = DATA / "tlsrpt" / "reports"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside this checkout")
MEMORY_KB = 400 << 10


def run(*args, stdin=b"", code=None):
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (int(120 * SLOW), int(120 * SLOW)))
    r = subprocess.run([BIN, "report", "show", *map(str, args)], input=stdin, capture_output=True, timeout=240 * SLOW, preexec_fn=limit)
    assert r.returncode >= 0, "killed by signal %d" % -r.returncode
    if code is not None:
        assert r.returncode == code, (r.returncode, r.stderr[-500:])
    return r


def show(*args, stdin=b"", code=0):
    return json.loads(run(*args, "--json", stdin=stdin, code=code).stdout)


def read(data, code=0):
    return show("-", stdin=data, code=code)


def one(data):
    got = read(data)
    assert len(got["dmarc"]) == 1 and got["refused"] == [], got["refused"]
    return got["dmarc"][0]


def refusal(data):
    got = read(data, code=1)
    assert got["dmarc"] == got["failure"] == got["tls"] == [] and len(got["refused"]) == 1
    return got["refused"][0]["reason"]


def utc(seconds):
    return datetime.datetime.fromtimestamp(int(float(seconds)), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- an independent reader ---

def unpack(data):
    """The bytes of a report out of a plain, gzipped or zipped file, or of the mail that carries it."""
    if data[:2] == b"\x1f\x8b":
        return unpack(zlib.decompressobj(31).decompress(data))
    if data[:2] == b"PK":
        z = zipfile.ZipFile(io.BytesIO(data))
        return unpack(z.read(z.namelist()[0]))
    if data.lstrip()[:1] in (b"<", b"{"):
        return data
    for part in email.message_from_bytes(data).walk():
        inside = part.get_payload(decode=True) or b""
        if part.get_filename():
            return unpack(inside)
    raise ValueError


def bare(root):
    for e in root.iter():
        e.tag = e.tag.split("}")[-1]
    return root


def said(e, path):
    return (e.findtext(path) or "").strip()


WORDS = {"hardfail": "fail"}


def expected(xml):
    root = bare(ET.fromstring(xml))
    rows = []
    for r in root.findall("record"):
        if not said(r, "row/source_ip"):
            continue
        ids = r.find("identifiers")
        rows.append({
            "source_ip": said(r, "row/source_ip"), "count": int(said(r, "row/count")),
            "disposition": said(r, "row/policy_evaluated/disposition"), "dkim": said(r, "row/policy_evaluated/dkim"),
            "spf": said(r, "row/policy_evaluated/spf"), "header_from": said(ids, "header_from"),
            "envelope_from": None if ids.find("envelope_from") is None else said(ids, "envelope_from"),
            "envelope_to": None if ids.find("envelope_to") is None else said(ids, "envelope_to"),
            "reasons": [{"type": said(x, "type"), "comment": said(x, "comment") or None} for x in r.findall("row/policy_evaluated/reason")],
            "auth_results": {
                "dkim": [{"domain": said(x, "domain"), "selector": said(x, "selector") or None, "result": WORDS.get(said(x, "result"), said(x, "result")),
                          "human_result": said(x, "human_result") or None} for x in r.findall("auth_results/dkim")],
                "spf": [{"domain": said(x, "domain"), "scope": said(x, "scope") or None, "result": WORDS.get(said(x, "result"), said(x, "result")),
                         "human_result": said(x, "human_result") or None} for x in r.findall("auth_results/spf") if said(x, "result")]}})
    return {"org": said(root, "report_metadata/org_name") or said(root, "report_metadata/email").split("@")[-1],
            "email": said(root, "report_metadata/email"), "report_id": said(root, "report_metadata/report_id"),
            "domain": said(root, "policy_published/domain"), "begin": utc(said(root, "report_metadata/date_range/begin")),
            "end": utc(said(root, "report_metadata/date_range/end")), "rows": rows,
            "errors": [x.text for x in root.findall("report_metadata/error")], "p": said(root, "policy_published/p")}


def files(folder):
    return sorted(os.path.join(d, f) for d, _, names in os.walk(folder) for f in names)


@needs_data
def test_every_aggregate_report():
    paths = [p for p in files(AGGREGATE) if "invalid_xml" not in p]
    assert len(paths) > 20
    got = show(*paths)
    assert got["refused"] == [] and len(got["dmarc"]) == len(paths)
    for path, report in zip(paths, got["dmarc"]):
        with open(path, "rb") as f:
            want = expected(unpack(f.read()))
        assert report["file"] == path
        report["p"] = report["policy"]["p"]
        for name in want:
            assert report[name] == want[name], "%s: %s" % (path, name)
        assert report["messages"] == sum(r["count"] for r in want["rows"]) and report["rows_total"] == len(want["rows"])


@needs_data
def test_numbers_that_were_counted_by_hand():
    by = {os.path.basename(r["file"]): r for r in show(AGGREGATE)["dmarc"]}
    assert by["good.com_example.com_1337270400_1337356799.xml"]["messages"] == 183934
    assert by["good.com_example.com_1337270400_1337356799.xml"]["begin"] == "2012-05-17T16:00:00Z"  # 1337270400.0
    assert by["test.xml"]["end"] == "2018-04-20T23:59:59Z"  # "1524268799 "
    assert by["test_empty.xml"]["rows"] == [] and by["test_empty.xml"]["rows_left_out"] == 1
    assert by["hardfail.xml"]["rows"][0]["auth_results"]["spf"] == [{"domain": "mydomain.org", "scope": None, "result": "fail", "human_result": None}]
    assert by["_example.com_1538204542_1538463818.xml"]["org"] == "accurateplastics.com"
    assert by["gmxnet.xml"]["policy"]["discovery_method"] == "psl" and by["gmxnet.xml"]["policy"]["testing"] == "n"
    assert by["usssa.com_example.com_1538784000_1538870399.xml"]["rows"][0]["envelope_from"] == ""
    assert by["veeam.com_example.com_1530133200_1530219600.xml"]["rows"][0]["envelope_from"] is None
    assert by["mimecast-weird-gzip.eml"]["org"] == "Mimecast" and by["mimecast-weird-gzip.eml"]["from"] == "no-reply@au-1.mimecastreport.com"


@needs_data
def test_packing_changes_nothing():
    def plain(path):
        r = show(path)["dmarc"][0]
        return {k: v for k, v in r.items() if k != "file"}
    nice = AGGREGATE / "parsedmarc-extract"
    assert plain(nice / "nice-input.xml") == plain(nice / "nice-input.xml.gz") == plain(nice / "nice-input.xml.zip")
    tests = AGGREGATE / "dmarc-report-converter"
    assert plain(tests / "test.xml.gz") == plain(tests / "test.xml.gz.gz") == plain(tests / "test.xml.zip") == plain(tests / "test.xml")


@needs_data
def test_what_is_no_report_is_refused_with_a_reason():
    reason = show(AGGREGATE / "parsedmarc" / "invalid_xml.xml", code=1)["refused"][0]["reason"]
    assert "not well-formed" in reason and "line 5" in reason
    assert "no <feedback>" in show(DATA / "dmarc-reports" / "rua-schema.xsd", code=1)["refused"][0]["reason"]
    assert show(DATA / "tlsrpt" / "mox-record-vectors.json", code=1)["refused"]
    r = run(AGGREGATE / "parsedmarc" / "invalid_xml.xml", code=1)
    assert b"invalid_xml.xml: it is not well-formed" in r.stderr and r.stdout == b""


@needs_data
def test_every_tls_report():
    paths = files(TLS)
    got = show(*paths)
    assert got["refused"] == [] and len(got["tls"]) == len(paths) > 6
    for path, report in zip(paths, got["tls"]):
        with open(path, "rb") as f:
            want = json.loads(unpack(f.read()))
        assert (report["org"], report["report_id"], report["contact"]) == (want["organization-name"], want["report-id"], want["contact-info"])
        assert (report["begin"], report["end"]) == tuple(  # one sender leaves the zone out
            want["date-range"][name].rstrip("Z") + "Z" for name in ("start-datetime", "end-datetime"))
        assert len(report["policies"]) == len(want["policies"])
        for p, w in zip(report["policies"], want["policies"]):
            assert (p["type"], p["domain"]) == (w["policy"]["policy-type"], w["policy"]["policy-domain"])
            assert p["success"] == w["summary"]["total-successful-session-count"] and p["failure"] == w["summary"]["total-failure-session-count"]
            assert p["strings"] == w["policy"].get("policy-string", [])
            assert [(f["result_type"], f["count"], f["receiving_mx"], f["reason_code"]) for f in p["failures"]] == [
                (f["result-type"], f["failed-session-count"], f.get("receiving-mx-hostname"), f.get("failure-reason-code"))
                for f in w.get("failure-details", [])]


@needs_data
def test_every_failure_report():
    got = show(FAILURE)["failure"]
    assert len(got) == 3
    yahoo, mimekit, parsedmarc = got
    assert {k: yahoo[k] for k in ("type", "reporter", "source_ip", "original_from", "original_to", "subject", "arrival", "header_from", "domain")} == {
        "type": "abuse", "reporter": "feedback@arf.mail.yahoo.com", "source_ip": None, "original_from": "bounce+705f77.d4a-user=yahoo.com@example.com",
        "original_to": "user@yahoo.com", "subject": "Some subject", "arrival": "2012-07-11T01:50:18Z", "header_from": "support@example.com",
        "domain": "example.com"}
    assert yahoo["headers"].startswith("X-Apparently-To: ") and "X-Example-Sid: WyI3ZWFm" in yahoo["headers"] and "<html>" not in yahoo["headers"]
    assert (mimekit["source_ip"], mimekit["arrival"], mimekit["subject"]) == ("192.0.2.2", "2005-03-08T18:00:00Z", "Earn money")
    assert "spf=fail smtp.mail=somespammer@example.com" in mimekit["authentication_results"]
    assert {k: parsedmarc[k] for k in ("type", "auth_failure", "source_ip", "original_from", "original_to", "arrival", "delivery_result")} == {
        "type": "auth-failure", "auth_failure": "dmarc", "source_ip": "10.10.10.10", "original_from": "sharepoint@domain.de",
        "original_to": "peter.pan@domain.de", "arrival": "2018-10-01T09:20:27Z", "delivery_result": "smg-policy-action"}


@needs_data
def test_people_read_it():
    r = run(AGGREGATE / "parsedmarc-extract" / "nice-input.xml", TLS / "dmarc-report-viewer" / "rfc-example.json", FAILURE, code=0)
    text = r.stdout.decode()
    assert r.stderr == b"" and "DMARC  example.com  2024-06-13" in text
    assert re.search(r"messages +3,047\n +aligned +3,047 +100 %\n +by DKIM +3,046 +99.9 %\n +by SPF +2,637 +86.5 %", text)
    assert re.search(r"\n  209\.85\.220\.69 +2,253 +100 % ", text) or re.search(r"\n  209\.85\.220\.69 ", text)
    assert "5,629 sessions, 303 failed (5.4 %)" in text and re.search(r"starttls-not-supported +200 +mx2\.mail", text)
    assert "auth-failure/dmarc" in text and "Earn money" in text


# --- reports made here ---

def report(rows="", meta=None, policy=None, head='<?xml version="1.0"?>\n<feedback>', tail="</feedback>"):
    meta = meta if meta is not None else ("<org_name>Org</org_name><email>a@org.test</email><report_id>1</report_id>"
                                          "<date_range><begin>1700000000</begin><end>1700086399</end></date_range>")
    policy = policy if policy is not None else "<domain>ours.test</domain><p>none</p>"
    return ("%s<report_metadata>%s</report_metadata><policy_published>%s</policy_published>%s%s" % (head, meta, policy, rows or row(), tail)).encode()


def row(ip="192.0.2.1", count="2", evaluated="<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>",
        ids="<header_from>ours.test</header_from>", auth="<spf><domain>ours.test</domain><result>pass</result></spf>"):
    return ("<record><row><source_ip>%s</source_ip><count>%s</count><policy_evaluated>%s</policy_evaluated></row><identifiers>%s</identifiers>"
            "<auth_results>%s</auth_results></record>" % (ip, count, evaluated, ids, auth))


def mail(*parts, subject="Report Domain: ours.test", encoding="base64"):
    out = ["From: Reports <noreply@org.test>", "Subject: " + subject, "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', ""]
    for kind, body in parts:
        out += ["--b", "Content-Type: " + kind, "Content-Transfer-Encoding: " + encoding, "",
                base64.encodebytes(body).decode() if encoding == "base64" else body.decode()]
    return "\r\n".join(out + ["--b--", ""]).encode()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


def streamed(data):
    """A zip archive whose sizes stand after its members."""
    class Pipe(io.RawIOBase):
        def writable(self):
            return True

        def write(self, b):
            out.extend(b)
            return len(b)
    out = bytearray()
    with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x.xml", data)
    return bytes(out)


def plain(r):
    return {k: v for k, v in r.items() if k not in ("file", "from", "notes")}


def test_the_rfc_and_its_successor():
    """RFC 9990 renames nothing, but has a namespace, dispositions, elements and extensions of its own."""
    new = report(head='<?xml version="1.0"?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:ext="urn:x"><version>1.0</version>',
                 meta="<org_name>Org</org_name><email>a@org.test</email><extra_contact_info lang='fr'>c</extra_contact_info><report_id>1@org.test</report_id>"
                      "<date_range><begin>1700000000</begin><end>1700086399</end></date_range><error lang='en'>two records</error><generator>G 1</generator>",
                 policy="<domain>ours.test</domain><discovery_method>treewalk</discovery_method><p>reject</p><sp>none</sp><np>reject</np><fo>1:d</fo>"
                        "<adkim>s</adkim><aspf>r</aspf><testing>y</testing>",
                 rows="<extension><ext:arc-override>never</ext:arc-override><ext:record><row/></ext:record></extension>"
                      + row(evaluated="<disposition>pass</disposition><dkim>pass</dkim><spf>pass</spf><reason><type>policy_test_mode</type>"
                            "<comment lang='en'>t=y</comment></reason>",
                            ids="<envelope_to>org.test</envelope_to><envelope_from/><header_from>ours.test</header_from>").replace(
                                "</auth_results>", "</auth_results><ext:row><source_ip>192.0.2.9</source_ip></ext:row>"))
    r = one(new)
    assert r["policy"] == {"p": "reject", "sp": "none", "np": "reject", "pct": None, "adkim": "s", "aspf": "r", "fo": "1:d", "testing": "y",
                           "discovery_method": "treewalk"}
    assert r["errors"] == ["two records"] and r["contact"] == "c" and len(r["rows"]) == 1
    assert r["rows"][0]["disposition"] == "pass" and r["rows"][0]["envelope_from"] == "" and r["rows"][0]["envelope_to"] == "org.test"
    assert r["rows"][0]["reasons"] == [{"type": "policy_test_mode", "comment": "t=y"}] and r["rows"][0]["source_ip"] == "192.0.2.1"


def test_senders_bend_the_format():
    """What deployed senders get wrong, and what it means all the same."""
    good = plain(one(report()))
    same = {
        "a wrong namespace": report(head='<feedback xmlns="http://dmarc.org/dmarc-xml/9.9">'),
        "an undeclared prefix": re.sub(rb"<(/?)(?=\w)", rb"<\1ns2:", report(head="<feedback>")),
        "a byte order mark": b"\xef\xbb\xbf" + report(),
        "text before it": b"\r\nThis is the report of today:\r\n\r\n" + report(),
        "an unclosed schema": report(head='<?xml version="1.0"?><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="x"><feedback>'),
        "text after it": report() + b"\r\n\r\n-- \r\nsent by a machine & more <\x00\x00\x00",
        "a document type": report(head='<?xml version="1.0"?><!DOCTYPE feedback SYSTEM "http://192.0.2.1/x.dtd"><feedback>'),
        "UTF-16": report().decode().replace("1.0\"?", '1.0" encoding="UTF-16"?').encode("utf-16"),
        "UTF-16 without a mark": report().decode().encode("utf-16-be"),
        "said to be UTF-16": report().replace(b'"1.0"?', b'"1.0" encoding="utf-16"?'),
        "an unknown charset": report().replace(b'"1.0"?', b'"1.0" encoding="x-none"?'),
        "blanks in numbers": report(rows=row(count=" 2\n")),
        "decimals in numbers": report(rows=row(count="2.0")),
        "an address in brackets": report(rows=row(ip=" [192.0.2.1] ")),
        "a mapped address": report(rows=row(ip="::ffff:192.0.2.1")),
        "other case": report(rows=row(ids="<header_from>OURS.test.</header_from>", evaluated="<disposition>None</disposition><dkim>Pass</dkim><spf>FAIL</spf>")),
        "an address for a domain": report(rows=row(ids="<header_from>someone@ours.test</header_from>")),
        "an early draft": report(rows=row().replace("identifiers>", "identities>")),
        "an empty reason": report(rows=row(evaluated="<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason/>")),
        "an empty signature": report(rows=row(auth="<dkim><domain></domain><selector/><result></result></dkim><spf><domain>ours.test</domain><result>pass</result></spf>")),
        "results in two groups": report(rows=row(auth="").replace("</record>", "<auth_results><spf><domain>ours.test</domain><result>pass</result></spf></auth_results></record>")),
        "no disposition": report(rows=row(evaluated="<dkim>pass</dkim><spf></spf>")),
        "milliseconds": report().replace(b"1700000000", b"1700000000000").replace(b"1700086399", b"1700086399999"),
        "dates in words": report().replace(b"1700000000", b"2023-11-14T22:13:20Z").replace(b"1700086399", b"2023-11-15 22:13:19"),
        "CDATA": report().replace(b"<org_name>Org<", b"<org_name><![CDATA[Org]]><"),
        "its head at its end": re.sub(rb"(<report_metadata>.*</policy_published>)(.*)</feedback>", rb"\2\1</feedback>", report()),
        "an unknown element": report(rows=row().replace("<row>", "<row><geo><source_ip>192.0.2.9</source_ip></geo>")),
        "records in a group": report(rows="<records>" + row() + "</records>"),
        "comments in values": report().replace(b"<count>2<", b"<count><!-- a -->2<!-- b --><").replace(b">Org<", b">Or<!-- x -->g<"),
        "a style sheet": report().replace(b"<report_metadata>", b"<?xml-stylesheet href='x.xsl'?><report_metadata>"),
        "two declarations": b'<?xml version="1.0"?>\n' + report(),
        "an envelope": report(head='<?xml version="1.0"?><soap:Envelope xmlns:soap="x"><soap:Body><feedback>', tail="</feedback></soap:Body></soap:Envelope>"),
        "a document type with a subset": report(head='<!DOCTYPE feedback [<!ELEMENT feedback ANY>]><feedback>'),
        "all of it in capitals": re.sub(rb"</?\w+", lambda m: m.group(0).upper(), report(head="<feedback>")),
        "a head that comes twice": re.sub(rb"(<report_metadata>.*</report_metadata>)", rb"\1\1", report()),
        "blanks around all": report().replace(b"><", b">\r\n\t<"),
        "a version where it does not belong": report().replace(b"<org_name>", b"<version>1.0</version><org_name>"),
    }
    for name, data in same.items():
        assert plain(one(data)) == good, name
    assert one(report(head='<?xml version="1.0" encoding="iso-8859-1"?><feedback>').replace(b">Org<", b">B\xfcro<"))["org"] == "Büro"
    assert one(report().replace(b">Org<", b">B\xfcro<"))["org"] == "B\ufffdro"
    assert one(report().replace(b">Org<", b">AT&T & Co<"))["org"].startswith("AT")
    assert one(report().replace(b">Org<", "> Büro \n 東京 <".encode()))["org"] == "Büro 東京"
    for said, means in (("<reason>forwarded</reason>", ["forwarded"]), ("<reasons><reason><type>Forwarded</type></reason></reasons>", ["forwarded"]),
                        ("<reason><type>forwarded</type></reason><reason><type>local_policy</type></reason>", ["forwarded", "local_policy"])):
        r = one(report(rows=row(evaluated="<disposition>Rejected</disposition><dkim>fail</dkim><spf>fail</spf>" + said)))["rows"][0]
        assert ([x["type"] for x in r["reasons"]], r["disposition"]) == (means, "reject")
    words = {"unknown": "temperror", "error": "permerror", "hardfail": "fail", "SoftFail": "softfail", "neutral": "neutral"}
    for theirs, ours in words.items():
        r = one(report(rows=row(auth="<spf><domain>ours.test</domain><result>%s</result></spf>" % theirs)))
        assert r["rows"][0]["auth_results"]["spf"][0]["result"] == ours
    several = "".join("<dkim><domain>d%d.test</domain><result>pass</result></dkim>" % i for i in range(3))
    assert [d["domain"] for d in one(report(rows=row(auth=several)))["rows"][0]["auth_results"]["dkim"]] == ["d0.test", "d1.test", "d2.test"]


def test_what_is_missing():
    assert one(report(policy=""))["domain"] == "ours.test"  # the rows'
    r = one(report(meta="<email>reports@big.test</email><date_range><begin>1700000000</begin></date_range>"))
    assert (r["org"], r["report_id"], r["end"]) == ("big.test", "", "2023-11-15T22:13:19Z") and r["notes"]
    assert "which period" in refusal(report(meta="<org_name>Org</org_name>"))
    assert "which domain" in refusal(report(policy="", rows=row(ids="")))
    assert "nothing of a report" in refusal(b"<feedback/>")
    assert refusal(b"") == "it is empty"
    for cut in (report()[:-11], report()[:200], b"<feedback"):
        assert refusal(cut)
    for bad in ("-2", "2x", "", "99999999999999999999", "1e3", "0x2", "1,000"):
        r = one(report(rows=row(count=bad) + row(ip="192.0.2.2")))
        assert [x["source_ip"] for x in r["rows"]] == ["192.0.2.2"] and r["messages"] == 2 and r["rows_left_out"] == 1 and r["notes"], bad
    for bad in ("", "example.com", "192.0.2.300", "::g"):
        assert one(report(rows=row(ip=bad) + row()))["rows_left_out"] == 1
    twice = one(report(rows=row().replace("<count>2</count>", "<count>2</count><count>1000000</count>")))
    assert twice["messages"] == 2 and "more than one <count>" in twice["notes"][0]


def test_mails_of_any_shape():
    good = plain(one(report()))
    packed = gzip.compress(report())
    archive = zipped(("x.xml", report()))
    same = {
        "gzip as text": mail(("text/plain", packed)),
        "zip as gzip": mail(("application/gzip", archive)),
        "gzip as zip": mail(("application/zip; name=report.zip", packed)),
        "XML as octets": mail(("application/octet-stream", report())),
        "beside texts": mail(("text/plain", b"hello"), ("text/html", b"<html><body>hi</body></html>"), ("application/x-zip-compressed", archive)),
        "8bit": mail(("text/xml", report()), encoding="8bit"),
        "base64 without its name": mail(("application/gzip", base64.encodebytes(packed)), encoding="7bit"),
        "in a mail": mail(("message/rfc822", mail(("application/gzip", packed)))),
        "in a mail as it should be": mail(("message/rfc822", mail(("application/gzip", packed))), encoding="7bit"),
        "the mail in an archive": zipped(("mail.eml", mail(("application/gzip", packed)))),
        "the whole body": b"From: noreply@org.test\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(packed),
        "from a mailbox file": b"From noreply@org.test Wed Jul 11 03:43:34 2012\n" + mail(("application/gzip", packed)).replace(b"\r\n", b"\n"),
        "a stored archive": zipped(("x.xml", report()), method=zipfile.ZIP_STORED),
        "gzip in zip": zipped(("x.xml.gz", packed)),
        "zip in gzip": gzip.compress(archive),
        "zlib": zlib.compress(report()),
        "two gzip members": gzip.compress(report()[:300]) + gzip.compress(report()[300:]),
        "gzip with padding": packed + b"\0" * 600,
        "base64 in a file": base64.encodebytes(packed),
        "base64 of XML": base64.encodebytes(report()),
        "base64 with empty lines and a footer": mail(("application/gzip", packed)).replace(
            b"--b--", b"____\r\nScanned by a machine!\r\n--b--"),
        "XML in quoted-printable": b"From: noreply@org.test\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                                   + quopri.encodestring(report()),
        "as text, quoted": b"From: noreply@org.test\r\n\r\n" + b"\r\n".join(b"> " + line for line in report().splitlines()),
        "no last boundary": mail(("application/gzip", packed)).replace(b"--b--\r\n", b""),
        "an archive made as it was sent": streamed(report()),
        "other compression": zipped(("x.xml", report()), method=zipfile.ZIP_BZIP2),
        "a name that climbs": zipped(("../../../etc/x.xml", report())),
        "an archive with other files": zipped(("README", b"hello"), ("__MACOSX/._x", b"\0\5\26\7"), ("x.xml", report())),
    }
    for name, data in same.items():
        assert plain(one(data)) == good, name
    several = read(mail(("application/gzip", packed), ("application/zip", zipped(("a.xml", report()), ("b.xml", report()), ("c.xml", b"<feedback>"))),
                        ("application/tlsrpt+gzip", gzip.compress(b'{"organization-name": "O", "policies": []}'))))
    assert len(several["dmarc"]) == 3 and len(several["tls"]) == 1 and [r["part"] for r in several["refused"]] == ["c.xml"]
    assert all(r["from"] == "noreply@org.test" for r in several["dmarc"])
    assert refusal(mail(("text/plain", b"hello"))) == "the mail holds no report"
    assert refusal(zipped(("README", b"hello"))) == "the archive holds no report"


def feedback(fields, sample=b"From: a@ours.test\r\nSubject: s\r\n\r\nbody\r\n", kind="message/feedback-report", sample_kind="message/rfc822"):
    return ("From: arf@org.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
            "--b\r\n\r\nprose\r\n--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b\r\nContent-Type: %s\r\n\r\n" % (kind, fields, sample_kind)).encode() + sample + b"\r\n--b--\r\n"


def test_failure_reports_of_any_shape():
    fields = "Feedback-Type: auth-failure\r\nVersion: 1\r\nAuth-Failure: DMARC\r\nSource-IP: 192.0.2.7\r\nIdentity-Alignment: none\r\nIncidents: 3\r\n"
    for data in (feedback(fields), feedback(fields, kind="text/plain"), feedback(fields, sample_kind="text/rfc822-headers"),
                 feedback("\r\n" + fields), feedback(fields.replace("192.0.2.7", "192.0.2.7 (mail.x.test)")), feedback(fields.lower())):
        got = read(data)
        assert len(got["failure"]) == 1 and got["dmarc"] == got["refused"] == []
        f = got["failure"][0]
        assert (f["type"], f["auth_failure"], f["source_ip"], f["incidents"], f["header_from"], f["subject"], f["domain"]) == (
            "auth-failure", "dmarc", "192.0.2.7", 3, "a@ours.test", "s", "ours.test")
        assert f["headers"] == "From: a@ours.test\nSubject: s\n"
    # The reported message is not looked into: whoever wrote it is no reporter.
    assert read(feedback(fields, sample=mail(("application/gzip", gzip.compress(report())))))["dmarc"] == []
    prose = (b"From: gate@org.test\r\nSubject: DMARC failure\r\n\r\nA message claiming to be from you has failed the published DMARC\r\npolicy for your domain.\r\n\r\n"
             b"  Sender Domain: ours.test\r\n  Sender IP Address: 192.0.2.8\r\n  Received Date: Tue, 25 Jun 2019 12:53:21 +0000\r\n"
             b"  DMARC Results: None, Accept\r\n\r\n------ This is a copy of the headers that were received before the error\r\nwas detected.\r\n\r\n"
             b"Received: from x\r\nFrom: boss@ours.test\r\nSubject: pay\r\n")
    f = read(prose)["failure"][0]
    assert (f["source_ip"], f["arrival"], f["header_from"], f["subject"], f["domain"]) == (
        "192.0.2.8", "2019-06-25T12:53:21Z", "boss@ours.test", "pay", "ours.test")
    hostile = feedback("Feedback-Type: abuse\r\nSource-IP: \x1b[31m\r\nIncidents: 99999999999999999999\r\nArrival-Date: yesterday\r\n",
                       sample=b"Subject: \x1b]0;x\x07 =?utf-8?q?a=0D=0A=1B[2J?=\r\n" + b"X: y\r\n" * 20000 + b"\r\n")
    f = read(hostile)["failure"][0]
    assert f["source_ip"] is None and f["incidents"] == 1 and f["arrival"] is None and len(f["headers"]) <= 32768
    assert "\x1b" not in json.dumps(f, ensure_ascii=False)


def test_tls_reports_of_any_shape():
    def tls(**changes):
        whole = {"organization-name": "O", "date-range": {"start-datetime": "2026-01-11T00:00:00Z", "end-datetime": "2026-01-11T23:59:59Z"},
                 "contact-info": "a@o.test", "report-id": "1", "policies": [{
                     "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "ours.test", "mx-host": ["mx.ours.test"]},
                     "summary": {"total-successful-session-count": 5, "total-failure-session-count": 3},
                     "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 3, "receiving-mx-hostname": "mx.ours.test"}]}]}
        whole.update(changes)
        return read(json.dumps({k: v for k, v in whole.items() if v != "gone"}).encode())["tls"][0]
    good = tls()
    assert good["policies"][0]["failures"][0] == {"result_type": "certificate-expired", "count": 3, "receiving_mx": "mx.ours.test", "receiving_ip": None,
                                                  "sending_mta_ip": None, "receiving_mx_helo": None, "reason_code": None, "additional_information": None}
    for name in ("organization-name", "date-range", "contact-info", "report-id", "policies"):
        assert tls(**{name: "gone"}) and tls(**{name: None})
    assert tls(**{"date-range": "gone"})["begin"] is None and tls(**{"organization-name": "gone"})["org"] == "o.test"
    p = {"policy": {"policy-type": "STS", "policy-string": "one", "policy-domain": "Ours.test.", "mx-host": "mx.ours.test"},
         "summary": {"total-successful-session-count": "5", "total-failure-session-count": 3.0}, "failure-details": None}
    got = tls(policies=p)["policies"][0]
    assert (got["type"], got["domain"], got["strings"], got["mx_hosts"], got["success"], got["failure"]) == ("sts", "ours.test", ["one"], ["mx.ours.test"], 5, 3)
    assert tls(policies=[{"failure-details": [{"failed-session-count": 2}, {"failed-session-count": 3}]}])["policies"][0]["failure"] == 5
    assert tls(policies=[{}])["policies"][0]["type"] == ""
    for bad in (-1, 1e30, "x", [], True):
        p = {"policy": {}, "summary": {"total-successful-session-count": bad}}
        assert "not to be believed" in refusal(json.dumps({"policies": [p]}).encode())
    assert "nested" in refusal(b'{"policies": ' + b"[" * 100000)
    assert "nested" in refusal(b'{"policies": ' + b'{"a":' * 100000)
    assert "more values" in refusal(b'{"policies": [' + b"0," * 600000 + b"0]}")
    assert "more policies" in refusal(json.dumps({"policies": [{}] * 1001}).encode())
    assert "more failure details" in refusal(json.dumps({"policies": [{"failure-details": [{"failed-session-count": 1}] * 10001}]}).encode())
    assert "cannot be read" in refusal(b'{"policies": [')
    assert "no TLS report" in refusal(b'{"hello": "world"}')
    assert read(b'\xef\xbb\xbf{"organization-name": "a\\u0000\\u001b[31m\xff", "policies": []}')["tls"][0]["org"] == "a[31m\ufffd"


# --- hostile ones ---

# A process begins with the memory of the one it was made by, so a small one makes it and says on its last line what it took.
WATCH = """import os, sys
_, status, use = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print("\\n%d %d %f" % (os.waitstatus_to_exitcode(status), use.ru_maxrss, use.ru_utime + use.ru_stime), file=sys.stderr)
"""


def measured(*args, stdin=b""):
    """Peak memory in KiB and seconds of the processor and of the clock, and what it said; its output is thrown away."""
    began = time.monotonic()
    r = subprocess.run([sys.executable, "-S", "-c", WATCH, BIN, "report", "show", *map(str, args)], input=stdin, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, timeout=300 * SLOW)
    error, told = r.stderr.rsplit(b"\n", 2)[:2]
    code, rss, cpu = told.split()
    assert int(code) in (0, 1), (code, error[-300:])
    return int(rss), float(cpu), time.monotonic() - began, error


def test_bombs(tmp_path):
    zeros = b"\0" * (1 << 20)

    def squeeze(pieces):
        c = zlib.compressobj(6, wbits=31)
        return b"".join(c.compress(p) for p in pieces) + c.flush()
    spaces = b" " * (1 << 20)
    blanks = squeeze([b"<feedback>"] + [spaces] * 80)
    bombs = {
        "gzip of zeros": squeeze([zeros] * 80),
        "gzip of blanks in a report": blanks,
        "gzip of gzip": gzip.compress(blanks),
        "zip of zeros": zipped(("x.xml", zeros * 40)),
        "zip in zip in zip": zipped(*[("%d.zip" % i, zipped(*[("%d.zip" % k, zipped(("x.xml", b"<feedback>" + spaces))) for k in range(20)])) for i in range(20)]),
        "a mail full of them": mail(*[("application/gzip", blanks[:-1000])] * 3),
        "one endless text": squeeze([b"<feedback><report_metadata><org_name>"] + [b"A" * (1 << 20)] * 80),
        "one endless tag": squeeze([b"<feedback><"] + [b"A" * (1 << 20)] * 80),
        "one endless attribute": squeeze([b"<feedback a='"] + [b"A" * (1 << 20)] * 80),
        "one endless comment": squeeze([b"<feedback><!--"] + [b"A" * (1 << 20)] * 80),
        "many attributes": squeeze([b"<feedback "] + [b"".join(b"a%d='' " % i for i in range(k, k + 1000)) for k in range(0, 300000, 1000)]),
        "endless names": squeeze([b"<feedback>"] + [b"".join(b"<a%d/>" % i for i in range(k, k + 1000)) for k in range(0, 200000, 1000)]),
    }
    nested = zipped(("x.xml", report()))
    for _ in range(40):
        nested = zipped(("x.zip", nested))
    bombs["forty zips"] = nested
    for _ in range(20):
        nested = gzip.compress(nested)
    bombs["twenty gzips"] = nested
    letter = report()
    for _ in range(15):
        letter = mail(("message/rfc822", letter))
    bombs["fifteen mails"] = letter
    for name, data in bombs.items():
        rss, cpu, _, error = measured("-", stdin=data)
        assert rss < MEMORY_KB and cpu < 30 * SLOW, "%s: %d KiB, %.1f s" % (name, rss, cpu)
        assert error.count(b"facteur: ") >= 1, name
    assert "encrypted" in refusal(bytes(bytearray(_with_flag(zipped(("x.xml", report()))))))


def _with_flag(data):
    """Marks the members of an archive as encrypted."""
    out = bytearray(data)
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        out[data.index(magic) + at] |= 1
    return out


def test_markup_of_attackers():
    laughs = '<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY l "lol">' + "".join(
        '<!ENTITY l%d "%s">' % (i, ("&l%s;" % (i - 1 if i > 1 else "")) * 10) for i in range(1, 10)) + "]><feedback>"
    assert "entities" in refusal(report(head=laughs).replace(b">Org<", b">&l9;<"))
    outside = '<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>'
    assert "entities" in refusal(report(head=outside).replace(b">Org<", b">&x;<"))
    within = report().replace(b"<report_metadata>", b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]><report_metadata>').replace(b">Org<", b">&x;<")
    got = read(within, code=run("-", stdin=within).returncode)
    assert "root:" not in json.dumps(got)
    assert "nested" in refusal(b"<feedback>" + b"<a>" * 100000)
    assert "nested" in refusal(report(rows="<x>" * 5000 + "</x>" * 5000))
    include = report().replace(b"<report_metadata>", b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/><report_metadata>')
    assert "root:" not in json.dumps(read(include))


def test_what_is_shown_is_clean():
    """No byte of a stranger moves the cursor, colours the terminal or turns the text around."""
    nasty = "&#x9b;31mEvil\u202etxt.exe\u200b\u2066 &#10;FAKE LINE"
    data = report().decode().replace(">Org<", ">%s<" % nasty).replace(">ours.test<", ">ours\u202e.test<").encode().replace(b">1<", b">\x1b[2J\x00\x071<")
    r = one(data)
    assert r["org"] == "31mEviltxt.exe FAKE LINE" and r["report_id"].endswith("[2J\ufffd\ufffd1") and r["domain"] == "ours.test"
    out = run("-", stdin=data, code=0).stdout
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]", out)
    long = one(report().replace(b">Org<", b">" + "é".encode() * 500000 + b"<"))["org"]
    assert 900 <= len(long.encode()) <= 1000 and set(long) == {"é"}
    name = run(mail_file := "-", stdin=mail(("application/zip", zipped(("\x1b[31mx.xml", b"<feedback>")))))
    assert name.returncode == 1 and b"\x1b" not in name.stderr, mail_file


def test_damage():
    packed = gzip.compress(report(rows=row() * 500))
    for cut in (5, 12, 100, len(packed) - 20):
        assert "early" in refusal(packed[:cut]) or "damaged" in refusal(packed[:cut])
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0x55
    assert refusal(bytes(broken))
    archive = zipped(("x.xml", report(rows=row() * 500)))
    assert {r["part"] for r in read(archive[: len(archive) // 2], code=1)["refused"]} >= {"x.xml"}
    some = report(rows=row() * 3)
    for i in range(0, len(some), 13):  # cut anywhere it is refused, and told so
        assert refusal(some[:i]) if i < len(some) - 11 else True


def test_a_million_rows(tmp_path):
    path = tmp_path / "big.xml.gz"
    block = "".join(row(ip="10.1.%d.%d" % (k >> 8, k & 255), ids="<header_from>ours.test</header_from><envelope_to>%d.test</envelope_to>" % (k * 7919))
                    for k in range(1000)).encode()
    before, after = report(rows="<!--rows-->").split(b"<!--rows-->")
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(before)
        for _ in range(1000):
            f.write(block)
        f.write(after)
    rss, cpu, _, _ = measured(path)
    print("a million rows: %d MiB, %.1f s" % (rss >> 10, cpu))
    assert rss < 200 << 10 and cpu < 60 * SLOW


def test_files_folders_and_usage(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.xml").write_bytes(report())
    (tmp_path / "two.xml").write_bytes(report(meta="<org_name>B</org_name><report_id>2</report_id><date_range><begin>1700000000</begin></date_range>"))
    (tmp_path / "three.txt").write_bytes(b"hello")
    got = show(tmp_path)
    assert [r["org"] for r in got["dmarc"]] == ["Org", "B"] and [os.path.basename(r["file"]) for r in got["refused"]] == ["three.txt"]
    assert show(tmp_path / "none.xml", code=1)["refused"][0]["reason"] == "no such file"
    text = run(tmp_path / "a", tmp_path / "two.xml", tmp_path / "a" / "one.xml", code=0).stdout.decode()
    assert re.search(r"reports +2, p=none", text) and "came more than once" in text
    assert b"\nusage:" in run(code=2).stderr and b"--frobnicate" in run("--frobnicate", code=2).stderr
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", code=1).stderr
