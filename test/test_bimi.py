"""BIMI: logos of the shared cases, mark certificates made here, and the record of a domain as the doctor sees it."""
import base64
import email
import gzip
import http.client
import http.server
import json
import os
import pathlib
import smtplib
import ssl
import subprocess
import threading

import pytest

from lab import BIN, IS_ROOT, PORTS, SERVICES, SHARED, SLOW, wait_for
from test_api import PASSWORD, Api

DATA = str(SHARED / "data" / "bimi" / "svg")
FACTEUR = BIN
LOGO = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9">' \
       b'<title>Ici</title><rect width="9" height="9" fill="navy"/></svg>\n'


def bimi(*args, code=None):
    r = subprocess.run([FACTEUR, "bimi", *args, "--json"], capture_output=True, text=True, timeout=60)
    assert r.returncode in (0, 1) if code is None else r.returncode == code, r.stderr
    return json.loads(r.stdout)


@pytest.mark.sanitize
@pytest.mark.skipif(not os.path.isdir(DATA), reason="the shared cases are not here")
def test_shared_cases():
    with open(os.path.join(DATA, "expected.tsv")) as f:
        cases = [line.rstrip("\n").split("\t")[:2] for line in f if line.strip() and line[0] != "#"]
    found = {os.path.basename(r["file"]): r for r in bimi(*[os.path.join(DATA, name) for name, _ in cases])}
    assert len(found) == len(cases) > 20
    for name, expected in cases:
        codes = [e["code"] for e in found[name]["svg_errors"]] or ["valid"]
        assert codes[0] in expected.split("|"), (name, expected, found[name])
        assert found[name]["valid"] == (expected == "valid")


@pytest.mark.parametrize("bytes_,code", [
    (LOGO, None),
    (gzip.compress(LOGO), None),
    (LOGO.replace(b'version="1.2"', b'version="1.1"'), "INVALID_BASE_PROFILE"),
    (LOGO.replace(b"<title>Ici</title>", b"<title> </title>"), "LOGO_MISSING_TITLE"),
    (LOGO.replace(b"<rect", b'<rect onclick="x()"'), "LOGO_INVALID_ATTRIBUTE"),
    (LOGO.replace(b"<rect", b'<rect stroke="url(https://x.test/a#b)"'), "LOGO_INCLUDES_REFERENCE"),
    (LOGO.replace(b"</svg>", b"<style>@import 'x'</style></svg>"), "LOGO_INVALID_ELEMENT"),
    (LOGO.replace(b"</svg>", b'<image href="#a"/></svg>'), "LOGO_INVALID_ELEMENT"),
    (LOGO.replace(b"</svg>", b'<x xmlns="http://other.test/"/></svg>'), "LOGO_INVALID_ELEMENT"),
    (LOGO.replace(b"<svg", b'<?xml-stylesheet href="http://x.test/a.css"?><svg', 1), "LOGO_INVALID_ELEMENT"),
    (LOGO.replace(b"<svg", b'<!DOCTYPE svg [<!ENTITY a "b">]><svg', 1), "INVALID_SVG_FILE"),
    (LOGO.replace(b"<svg", b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg', 1).replace(b"Ici", b"&a;"), "INVALID_SVG_FILE"),
    (LOGO.replace(b"</svg>", b"<g>" * 70 + b"</g>" * 70 + b"</svg>"), "LOGO_TOO_LARGE"),
    (LOGO.replace(b"</svg>", b" " * 40000 + b"</svg>"), "LOGO_TOO_LARGE"),
    (gzip.compress(LOGO.replace(b"</svg>", b" " * 10000000 + b"</svg>")), "LOGO_TOO_LARGE"),
    (gzip.compress(LOGO)[:60], "INVALID_SVG_FILE"),
    (b"\x00\xff" * 50, "INVALID_SVG_FILE"),
], ids=lambda x: x if isinstance(x, str) else "-")  # the time is in what gzip makes: all who gather tests must name them alike
def test_hostile_twins(tmp_path, bytes_, code):
    path = tmp_path / "logo.svg"
    path.write_bytes(bytes_)
    (answer,) = bimi(str(path), code=1 if code else 0)
    assert [e["code"] for e in answer["svg_errors"]] == ([code] if code else []), answer
    assert answer["valid"] == (code is None) and all(e["text"] for e in answer["svg_errors"])


def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x82, n >> 8, n & 255])) + body


def logotype(svg):
    """LogotypeExtn with a subjectLogo (RFC 3709 §4.1)."""
    uri = der(0x16, b"data:image/svg+xml;base64," + base64.b64encode(gzip.compress(svg)))
    digest = der(0x30, der(0x30, der(0x06, bytes([0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]))), der(0x04, b"\0" * 32))
    details = der(0x30, der(0x16, b"image/svg+xml"), der(0x30, digest), der(0x30, uri))
    return der(0x30, der(0xa2, der(0xa0, der(0x30, der(0x30, details)))))


class Authority:
    def __init__(self, folder):
        self.dir = str(folder)
        self.ssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=Marks/CN=Mark root", "-days", "30",
                 "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        with open(self.path("facteur.conf"), "w") as f:
            f.write('hostname = "mx.ici.test"\nbimi { roots = "ca.pem" }\n')

    def path(self, name):
        return os.path.join(self.dir, name)

    def ssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)

    def revoked(self, *pem, days="5"):
        """The authority's list of revoked certificates, DER."""
        serials = [subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", p], capture_output=True, text=True, check=True).stdout.strip()[7:] for p in pem]
        with open(self.path("index"), "w") as f:
            f.write("".join("R\t301231000000Z\t201231000000Z\t%s\tunknown\t/O=Ici\n" % s for s in serials))
        with open(self.path("ca.conf"), "w") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%s\ndefault_md=sha256\n" % self.path("index"))
        self.ssl("ca", "-gencrl", "-config", self.path("ca.conf"), "-keyfile", self.path("ca.key"), "-cert", self.path("ca.pem"), "-crldays", days,
                 "-out", self.path("crl.pem"))
        self.ssl("crl", "-in", self.path("crl.pem"), "-outform", "DER", "-out", self.path("crl"))
        with open(self.path("crl"), "rb") as f:
            return f.read()

    def issue(self, name, svg, domain="ici.test", kind="Registered Mark", purpose="1.3.6.1.5.5.7.3.31", crl=None):
        with open(self.path("ext"), "w") as f:
            f.write("subjectAltName=DNS:%s\nextendedKeyUsage=%s\n1.3.6.1.5.5.7.1.12=DER:%s\n" % (domain, purpose, logotype(svg).hex(":")))
            if crl:
                f.write("crlDistributionPoints=URI:%s\n" % crl)
        with open(self.path("req.conf"), "w") as f:
            f.write("oid_section=o\n[o]\nmarkType=1.3.6.1.4.1.53087.1.13\n[req]\ndistinguished_name=d\nprompt=no\n[d]\nO=Ici\nmarkType=%s\n" % kind)
        self.ssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", self.path("req.conf"), "-keyout",
                 self.path("k"), "-out", self.path("csr"))
        self.ssl("x509", "-req", "-in", self.path("csr"), "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                 "-days", "20", "-extfile", self.path("ext"), "-out", self.path(name))
        return self.path(name)

    def check(self, logo, chain, domain="ici.test"):
        r = subprocess.run([FACTEUR, "-c", self.path("facteur.conf"), "bimi", logo, "--certificate", chain, "--domain", domain, "--json"],
                           capture_output=True, text=True, timeout=60)
        assert r.stdout, r.stderr
        return json.loads(r.stdout)[0]["certificate"]


def test_mark_certificates(tmp_path):
    authority, other = Authority(tmp_path), None
    logo = tmp_path / "logo.svg"
    logo.write_bytes(LOGO)
    good = authority.check(str(logo), authority.issue("good.pem", LOGO))
    assert good["valid"] and good["kind"] == "VMC" and good["mark"] == "Registered Mark" and good["subject"] == "Ici" and good["issuer"] == "Marks", good
    common = authority.check(str(logo), authority.issue("cmc.pem", LOGO, kind="Prior Use Mark", domain="default._bimi.ici.test"))
    assert common["valid"] and common["kind"] == "CMC", common
    for words, chain in [("another drawing", authority.issue("a.pem", LOGO.replace(b"navy", b"red"))),
                         ("another domain", authority.issue("b.pem", LOGO, domain="other.test")),
                         ("not a certificate for marks", authority.issue("c.pem", LOGO, purpose="serverAuth")),
                         ("no certificate", str(logo))]:
        answer = authority.check(str(logo), chain)
        assert not answer["valid"] and words in answer["why"], (words, answer)
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    answer = authority.check(str(logo), other.issue("good.pem", LOGO))
    assert not answer["valid"] and "issuer" in answer["why"], answer


def test_the_doctor_on_logos(lab):
    ici = lab.facteur("ici.test", accounts=("anne",), listen=SERVICES)
    lab.dns.set("ici.test.", "MX 10 mx.ici.test.")

    def marks():
        answer = json.loads(ici.run("doctor", "ici.test", "--json", check=False).stdout)[0]
        return {p["id"]: p for p in answer["points"] if p["id"].startswith("bimi.")}, answer["bimi"]
    points, bimi_ = marks()
    assert points["bimi.record"]["mark"] == "note" and bimi_ is None
    lab.dns.set("_dmarc.ici.test.", 'TXT "v=DMARC1; p=none"')
    lab.dns.set("default._bimi.ici.test.", 'TXT "v=BIMI1; l=https://logo.ici.test/a.svg; a="')
    points, bimi_ = marks()
    assert points["bimi.record"]["mark"] == "good" and points["bimi.dmarc"]["mark"] == "warn" and points["bimi.fetch"]["mark"] == "warn", points
    assert bimi_["logo"] == "https://logo.ici.test/a.svg" and bimi_["image"] is None
    lab.dns.set("default._bimi.ici.test.", 'TXT "v=BIMI1; l=; a="')
    assert "no logo is to be shown" in marks()[0]["bimi.record"]["text"]
    lab.dns.set("default._bimi.ici.test.", 'TXT "v=BIMI1; l=http://logo.ici.test/a.svg"')
    assert "not an https address" in marks()[0]["bimi.record"]["text"]


class Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


def serve(ip, port, files, context=None):
    s = http.server.ThreadingHTTPServer((ip, port), Files)
    s.files = files
    if context:
        s.socket = context.wrap_socket(s.socket, server_side=True)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


@pytest.mark.skipif(not IS_ROOT, reason="logos are fetched from port 443")
def test_the_doctor_asks_whether_a_mark_was_revoked(lab):
    """By the list that the certificate names, if its authority signed it and it is of today (RFC 5280 section 6.3)."""
    folders = [pathlib.Path(lab.dir, "marks"), pathlib.Path(lab.dir, "others")]  # where the server's user may read
    for folder in folders:
        folder.mkdir(mode=0o755)
    authority, other = map(Authority, folders)
    tmp_path = folders[0]
    server = lab.facteur("sceau.test", start=False, extra='bimi { roots = "%s" }\n' % authority.path("ca.pem"))
    ip = lab.ip()
    lab.dns.set("logo.sceau.test.", "A " + ip)
    lab.dns.set("_dmarc.sceau.test.", 'TXT "v=DMARC1; p=reject; rua=mailto:a@sceau.test"')
    lab.dns.set("default._bimi.sceau.test.", 'TXT "v=BIMI1; l=https://logo.sceau.test/l.svg; a=https://logo.sceau.test/m.pem"')
    lab.certificate(str(tmp_path / "web.pem"), str(tmp_path / "web.key"), "logo.sceau.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(tmp_path / "web.pem"), str(tmp_path / "web.key"))
    mark = authority.issue("m.pem", LOGO, domain="sceau.test", crl="http://logo.sceau.test/marks.crl")
    silent = authority.issue("s.pem", LOGO, domain="sceau.test")
    files = {"/l.svg": LOGO, "/m.pem": open(mark, "rb").read()}
    https, plain = serve(ip, 443, files, context), serve(ip, 80, files)

    def look():
        answer = json.loads(server.run("doctor", "sceau.test", "--json", check=False).stdout)[0]
        points = {p["id"]: p for p in answer["points"] if p["id"].startswith("bimi.")}
        assert "bimi.revoked" in points, (points, answer["bimi"])
        return points["bimi.revoked"]["mark"], points["bimi.revoked"]["text"], answer["bimi"]["certificate"]["valid"]
    try:
        assert look()[0] == "unknown" and "404" in look()[1]
        for crl, mark_, words, valid in [
                (authority.revoked(silent), "good", "not revoked", True),
                (authority.revoked(mark), "bad", "revoked by its authority", False),
                (other.revoked(), "unknown", "not signed by", True),
                (b"\x30\x80 no list", "unknown", "cannot be read", True)]:
            files["/marks.crl"] = crl
            assert look()[0] == mark_ and words in look()[1] and look()[2] == valid, (words, look())
        files["/m.pem"] = open(silent, "rb").read()
        assert look()[0] == "note" and "names no list" in look()[1]
    finally:
        for s in (https, plain):
            s.shutdown()
            s.server_close()


@pytest.mark.skipif(not IS_ROOT, reason="logos are fetched from port 443")
def test_logo_served_and_shown(lab):
    """Our own logo by the API, at its address and in our records; on incoming mail of a domain that has one; not what strangers claim."""
    server = lab.facteur("marque.test", accounts=("anne",), start=False, listen=SERVICES + ["https"], extra="bimi { check = yes }\n")
    lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.marque.test", "mta-sts.marque.test")
    server.run("account", "add", "olga@marque.test", stdin=PASSWORD + "\n")
    server.run("account", "role", "olga@marque.test", "owner")
    server.start()
    api = Api(server, lab).login("olga@marque.test")
    assert api.get("/bimi?domain=marque.test")["logo"] is None
    bad = api.ask("PUT", "/domains/marque.test/logo", raw=LOGO.replace(b"tiny-ps", b"full"), headers={"Content-Type": "image/svg+xml"})
    assert bad[0] == 422 and bad[1]["error"]["code"] == "logo.INVALID_BASE_PROFILE", bad
    status, body, _ = api.ask("PUT", "/domains/marque.test/logo", raw=LOGO, headers={"Content-Type": "image/svg+xml"})
    assert status == 200, body
    shown = api.get("/bimi?domain=marque.test")
    assert shown["logo"] == "https://mta-sts.marque.test/bimi/logo.svg" and shown["image"].startswith("data:image/svg+xml;base64,"), shown
    context = lab.tls()
    context.check_hostname = False
    c = http.client.HTTPSConnection(server.ip, PORTS["https"], timeout=20 * SLOW, context=context)
    c.request("GET", "/bimi/logo.svg", headers={"Host": "mta-sts.marque.test"})
    r = c.getresponse()
    assert r.status == 200 and r.read() == LOGO and r.headers["Content-Type"] == "image/svg+xml" and "sandbox" in r.headers["Content-Security-Policy"]
    records = server.run("dns", "marque.test")
    assert 'default._bimi.marque.test. 3600 IN TXT "v=BIMI1; l=https://mta-sts.marque.test/bimi/logo.svg; a="' in records
    lab.dns.load(records)
    # the doctor, for the pages: asked there, answered by the other process
    found = wait_for("the doctor's answer", lambda: api.ask("GET", "/doctor?domain=marque.test&lang=fr")[1]["doctor"], 60)
    points = {p["id"]: p for p in found[0]["points"]}
    assert points["bimi.logo"]["mark"] == "good" and "profil" in points["bimi.logo"]["text"], points["bimi.logo"]
    # mail of a domain with that logo
    client = lab.ip()
    lab.dns.set("loin.test.", 'TXT "v=spf1 ip4:%s -all"' % client)
    lab.dns.set("_dmarc.loin.test.", 'TXT "v=DMARC1; p=reject"')
    lab.dns.set("default._bimi.loin.test.", 'TXT "v=BIMI1; l=https://mta-sts.marque.test/bimi/logo.svg"')
    lab.dns.set("weak.test.", 'TXT "v=spf1 ip4:%s -all"' % client)
    lab.dns.set("_dmarc.weak.test.", 'TXT "v=DMARC1; p=none"')

    def send(domain):
        with smtplib.SMTP(server.ip, PORTS["smtp"], source_address=(client, 0), local_hostname="mail." + domain, timeout=30 * SLOW) as s:
            s.sendmail("x@" + domain, ["anne@marque.test"], ("From: x@%s\r\nSubject: %s\r\nBIMI-Indicator: Zm9yZ2Vk\r\nbimi-location: v=BIMI1; "
                                                            "l=https://forged.test/\r\n\r\nHello\r\n" % (domain, domain)).encode())
        return wait_for("the message", lambda: next((m for m in map(email.message_from_bytes, server.messages("anne@marque.test"))
                                                     if m["Subject"] == domain), None), 30)
    good = send("loin.test")
    assert good.get_all("BIMI-Location") == ["v=BIMI1; l=https://mta-sts.marque.test/bimi/logo.svg"], good.items()
    assert base64.b64decode("".join(good["BIMI-Indicator"].split())) == LOGO
    assert "bimi=pass" in good["Authentication-Results"] and len(good.get_all("BIMI-Indicator")) == 1
    weak = send("weak.test")
    assert weak["BIMI-Location"] is None and weak["BIMI-Indicator"] is None and "bimi=skipped" in weak["Authentication-Results"], weak.items()
    status, _, _ = api.ask("DELETE", "/domains/marque.test/logo")
    assert status == 204 and "_bimi" not in server.run("dns", "marque.test")
