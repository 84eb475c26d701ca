"""facteur doctor: domains in the lab as an outside peer sees them."""
import http.server
import json
import os
import socket
import ssl
import threading

import pytest

from lab import IS_ROOT, Lab, PORTS, SERVICES, SLOW


def points(server, domain, code=None):
    r = server.run("doctor", domain, "--json", check=False)
    assert r.returncode in (0, 1) if code is None else r.returncode == code, r.stderr
    return json.loads(r.stdout)[0]


def marks(answer, point):
    return [p["mark"] for p in answer["points"] if p["id"] == point]


@pytest.fixture(scope="module")
def good(lab):
    """Our own domain, all records published."""
    ici = lab.facteur("ici.test", accounts=("anne",), start=False, listen=SERVICES + ["https"])
    lab.certificate(os.path.join(ici.dir, "cert.pem"), os.path.join(ici.dir, "key.pem"), "mx.ici.test", "mta-sts.ici.test")
    ici.start()
    lab.dns.load(ici.run("dns", "ici.test"))
    lab.dns.set("%s.in-addr.arpa." % ".".join(reversed(ici.ip.split("."))), "PTR mx.ici.test.")
    lab.dns.set("_dmarc.ici.test.", 'TXT "v=DMARC1; p=reject; rua=mailto:dmarc@ici.test"')
    return ici


@pytest.mark.sanitize
def test_good_domain(good):
    answer = points(good, "ici.test")
    assert marks(answer, "mx.records") == ["good"] and marks(answer, "mx.host") == ["good"]
    assert marks(answer, "tls.starttls") == ["good"] and marks(answer, "tls.certificate") == ["good"], answer
    assert marks(answer, "ptr.name") == ["good"] and marks(answer, "spf.record") == ["good"]
    assert marks(answer, "dmarc.policy") == ["good"] and marks(answer, "tlsrpt.record") == ["good"]
    assert marks(answer, "dkim.key") == ["good", "good"], answer
    for p in answer["points"]:
        assert p["mark"] not in ("bad", "warn") or p["repair"], p
    assert answer["spf"]["lookups"] >= 1 and answer["spf"]["tree"][0]["term"] == "mx"


def test_text_is_for_people(good):
    text = good.run("doctor", "ici.test", check=False).stdout
    assert "STARTTLS" in text and "ok" in text and "could not be told" in text
    assert "mx   (1 look-up)" in text
    french = good.run("doctor", "ici.test", "--lang", "fr", check=False).stdout
    assert "Enregistrements MX : 1." in french and "requête" in french and "MX records" not in french, french
    assert good.run("doctor", "ici.test", "--lang", "de", check=False).returncode == 1


@pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443")
def test_mta_sts_policy(good, lab):
    assert marks(points(good, "ici.test"), "sts.mode") == ["note"]  # testing, as new domains do
    before = [r for r in good.run("dns", "ici.test").splitlines() if r.startswith("_mta-sts.")]
    assert "enforce" not in good.run("domain", "mta-sts", "ici.test", "testing")
    changed = json.loads(good.run("domain", "mta-sts", "ici.test", "enforce", "--json"))
    after = [r for r in good.run("dns", "ici.test").splitlines() if r.startswith("_mta-sts.")]
    assert before != after and str(changed["id"]) in after[0]
    answer = points(good, "ici.test")
    assert marks(answer, "sts.mode") == ["good"] and marks(answer, "sts.mx") == ["good"], answer
    # an MX that the policy does not name
    lab.dns.set("other.ici.test.", "A %s" % good.ip)
    lab.dns.set("ici.test.", *lab.dns.records["ici.test."], "MX 20 other.ici.test.")
    answer = points(good, "ici.test", code=1)
    assert [p["subject"] for p in answer["points"] if p["id"] == "sts.mx" and p["mark"] == "bad"] == ["other.ici.test"]
    lab.dns.set("ici.test.", *[r for r in lab.dns.records["ici.test."] if "other" not in r])
    # a policy that nobody can fetch
    lab.dns.set("_mta-sts.sts.test.", 'TXT "v=STSv1; id=1;"')
    lab.dns.set("mta-sts.sts.test.", "A %s" % good.ip)
    lab.dns.set("sts.test.", "MX 10 mx.ici.test.")
    found = [p for p in points(good, "sts.test", code=1)["points"] if p["id"] == "sts.fetch"]
    assert found[0]["mark"] == "bad" and "certificate" in found[0]["repair"], found
    assert good.run("domain", "mta-sts", "ici.test", "sometimes", check=False).returncode == 2
    assert good.run("domain", "mta-sts", "elsewhere.test", "none", check=False).returncode == 1


def test_key_that_is_not_ours(good, lab):
    name = [n for n in lab.dns.records if n.startswith("r20") and n.endswith("._domainkey.ici.test.")][0]
    kept = lab.dns.records[name]
    lab.dns.set(name, 'TXT "v=DKIM1; k=rsa; p=MCowBQYDK2VwAyEA"')
    answer = points(good, "ici.test", code=1)
    assert "bad" in marks(answer, "dkim.key")
    lab.dns.set(name)
    found = [p for p in points(good, "ici.test", code=1)["points"] if p["id"] == "dkim.key" and p["mark"] == "bad"]
    assert "not in the DNS" in found[0]["text"]
    lab.dns.set(name, *kept)


def test_all_our_domains_without_a_name(good):
    answer = json.loads(good.run("doctor", "--json", check=False).stdout)
    assert [a["domain"] for a in answer] == ["ici.test"]


def test_domain_without_anything(good, lab):
    lab.dns.set("empty.test.", 'TXT "nothing of mail"')
    answer = points(good, "empty.test", code=1)
    assert marks(answer, "mx.records") == ["warn"] and marks(answer, "spf.record") == ["bad"] and marks(answer, "dmarc.record") == ["bad"]
    answer = points(good, "nothing.test", code=1)  # a name that is not there lacks nothing else
    assert marks(answer, "mx.records") == ["bad"] and not marks(answer, "spf.record")


def serve(ip, lines, n=4):
    """A host on port 25 that says one line and then answers each command by the next."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ip, PORTS["smtp"]))
    listener.listen(8)

    def one(s):
        with s:
            s.settimeout(10 * SLOW)
            try:
                s.sendall(lines[0])
                for line in lines[1:]:
                    if not s.recv(1000):
                        return
                    s.sendall(line)
                if len(lines) > 1 and s.recv(1000):
                    s.sendall(b"221 bye\r\n")
            except OSError:
                return

    def run():
        for _ in range(n):
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(s,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    return listener


@pytest.mark.parametrize("lines,point,mark,words", [
    ([b"220 x ESMTP\r\n", b"250 x\r\n"], "tls.starttls", "bad", "does not offer STARTTLS"),
    ([b"220 x ESMTP\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n", b"this is not TLS\r\n"], "tls.starttls", "bad", "handshake fails"),
    ([b"554 go away\r\n"], "tls.connect", "bad", "554 go away"),
    ([b""], "tls.connect", "bad", "does not answer"),
])
def test_hosts_that_are_not_well(good, lab, lines, point, mark, words):
    ip = lab.ip()
    lab.dns.set("sick.test.", "MX 10 mx.sick.test.")
    lab.dns.set("mx.sick.test.", "A %s" % ip)
    listener = serve(ip, lines)
    try:
        answer = points(good, "sick.test", code=1)
    finally:
        listener.close()
    found = [p for p in answer["points"] if p["id"] == point]
    assert found and found[0]["mark"] == mark and words in found[0]["text"] and found[0]["repair"], answer["points"]


def test_what_is_no_domain(good):
    r = good.run("doctor", "not a domain", check=False)
    assert r.returncode == 1 and "not a domain name" in r.stderr
    assert good.run("doctor", "a", "b", check=False).returncode == 2


@pytest.mark.skipif(not IS_ROOT, reason="TLSA records name port 25")
def test_tlsa_records_against_what_is_served():
    """DANE needs proof by DNSSEC, so a lab of its own: the records as `facteur dns` prints them, then of another key, then no TLS."""
    lab = Lab(signed=True)
    try:
        ici = lab.facteur("ici.test", accounts=("anne",))
        lab.dns.load(ici.run("dns", "ici.test"))
        answer = points(ici, "ici.test")
        assert marks(answer, "dane.tlsa") == ["good"] and marks(answer, "dane.match") == ["good"], answer["points"]
        tlsa = "_25._tcp.mx.ici.test."
        lab.dns.set(tlsa, "TLSA 3 1 1 " + "11" * 32, *lab.dns.records[tlsa])  # a key that is still to come
        assert marks(points(ici, "ici.test"), "dane.match") == ["good"]
        lab.dns.set(tlsa, "TLSA 3 1 1 " + "11" * 32)
        found = [p for p in points(ici, "ici.test", code=1)["points"] if p["id"] == "dane.match"]
        assert [p["mark"] for p in found] == ["bad"] and "fits none" in found[0]["text"] and "facteur dns" in found[0]["repair"], found
        ip = lab.ip()
        lab.dns.set("clear.test.", "MX 10 mx.clear.test.")
        lab.dns.set("mx.clear.test.", "A " + ip)
        lab.dns.set("_25._tcp.mx.clear.test.", "TLSA 3 1 1 " + "11" * 32)
        listener = serve(ip, [b"220 x ESMTP\r\n", b"250 x\r\n"])
        try:
            found = [p for p in points(ici, "clear.test", code=1)["points"] if p["id"] == "dane.match"]
        finally:
            listener.close()
        assert [p["mark"] for p in found] == ["bad"] and "no TLS" in found[0]["text"], found
    finally:
        lab.close()


class WeakServer:
    """Port 25 with STARTTLS as it was made ten years ago."""

    def __init__(self, lab, hostname):
        self.ip = lab.ip()
        cert, key, csr, dh = (os.path.join(lab.dir, "weak." + e) for e in ("pem", "key", "csr", "dh"))
        lab.openssl("req", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=other.test", "-keyout", key, "-out", csr)
        lab.openssl("x509", "-req", "-sha1", "-in", csr, "-CA", lab.ca, "-CAkey", lab.ca_key, "-CAcreateserial", "-days", "20", "-out", cert)
        lab.openssl("dhparam", "-dsaparam", "-out", dh, "1024")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("ALL:COMPLEMENTOFALL:aNULL:eNULL:@SECLEVEL=0")
        self.context.minimum_version, self.context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2
        self.context.load_dh_params(dh)
        self.context.load_cert_chain(cert, key)
        self.context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        self.context.options |= 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION
        self.listener = socket.create_server((self.ip, PORTS["smtp"]))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        with s:
            s.settimeout(10 * SLOW)
            try:
                s.sendall(b"220 weak.test ESMTP\r\n")
                for answer in (b"250-weak.test\r\n250 STARTTLS\r\n", b"220 go\r\n"):
                    if not s.recv(1000):
                        return
                    s.sendall(answer)
                with self.context.wrap_socket(s, server_side=True) as t:
                    while t.recv(1000):
                        t.sendall(b"250 weak.test\r\n")
            except (OSError, ssl.SSLError):
                return


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_of_ten_years_ago(good, lab):
    weak = WeakServer(lab, "mx.weak.test")
    lab.dns.set("weak.test.", "MX 10 mx.weak.test.")
    lab.dns.set("mx.weak.test.", "A %s" % weak.ip)
    lab.dns.set("test.", 'CAA 0 issue "ca.test"')
    try:
        answer = points(good, "weak.test", code=1)
    finally:
        weak.listener.close()
    for point, mark, words in [("tls.versions", "warn", "TLS 1.0"), ("tls.ciphers", "warn", "protect nothing"), ("tls.order", "note", "worse"),
                               ("tls.exchange", "warn", "1024 bits"), ("tls.client-renegotiation", "note", "new handshakes"),
                               ("tls.compression", "good", ""), ("tls.renegotiation", "good", ""), ("tls.early-data", "good", ""),
                               ("cert.key", "warn", "1024 bits"), ("cert.signature", "warn", "SHA1"), ("cert.name", "note", "not for this name"),
                               ("caa.record", "good", "ca.test"), ("send.host", "good", "TLS when offered")]:
        found = [p for p in answer["points"] if p["id"] == point]
        assert found and found[0]["mark"] == mark and words in found[0]["text"], (point, answer["points"])
        assert mark == "good" or found[0]["repair"]
    assert answer["dmarc"]["walk"][0] == {"name": "_dmarc.weak.test", "record": None, "used": False}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_each_address_of_a_host(good, lab):
    """One name, two machines behind it: what is wrong with one alone is told with its address, what is alike once."""
    weak = WeakServer(lab, "mx.two.test")
    lab.dns.set("two.test.", "MX 10 mx.two.test.", "MX 20 none.two.test.")
    lab.dns.set("mx.two.test.", "A " + good.ip, "A " + weak.ip)
    try:
        answer = points(good, "two.test", code=1)
    finally:
        weak.listener.close()
    old = [p for p in answer["points"] if p["id"] == "tls.versions"]
    assert {(p["address"], p["mark"]) for p in old} == {(weak.ip, "warn"), (good.ip, "good")}, old
    assert all(p["text"].startswith(p["address"] + ": ") for p in old)
    assert marks(answer, "tls.compression") == ["good"]  # both the same
    first, second = answer["hosts"]
    assert (first["host"], first["preference"], sorted(first["addresses"])) == ("mx.two.test", 10, sorted([good.ip, weak.ip]))
    assert (second["host"], second["addresses"], second["seen"], second["tls"]) == ("none.two.test", [], [], None)
    seen = {s["address"]: s for s in first["seen"]}
    assert seen[good.ip]["tls"] == "TLSv1.3" and seen[weak.ip]["tls"] == "TLSv1.2" and all(s["answers"] for s in seen.values())
    assert not seen[weak.ip]["valid"] and seen[weak.ip]["why"] and seen[weak.ip]["days"] in (19, 20)
    leaf = first["certificate"]
    assert "CN" not in leaf["issuer"] and leaf["issuer"] == "Lab CA" and leaf["not_after"] and leaf["days"] in (19, 20) and not leaf["valid"]


def test_tables_of_a_good_domain(good):
    answer = points(good, "ici.test")
    keys = {k["algorithm"]: k for k in answer["selectors"]}
    assert keys["rsa"]["bits"] == 2048 and keys["ed25519"]["bits"] == 256
    assert all(k["state"] == "active" and k["published"] and k["mark"] == "good" and k["since"] and k["days"] == 0 for k in keys.values()), keys
    host = answer["hosts"][0]
    assert host["host"] == "mx.ici.test" and host["tls"] == "TLSv1.3" and host["certificate"]["valid"] and host["certificate"]["why"] is None
    assert "mx.ici.test" in host["certificate"]["names"] and host["certificate"]["key"] == "ECDSA" and host["dane"] is False
    certificate = [p for p in answer["points"] if p["id"] == "tls.certificate"]
    assert len(certificate) == 1 and certificate[0]["valid"] and certificate[0]["days"] in (19, 20) and all("days" not in p for p in answer["points"] if p["id"] != "tls.certificate")


class PolicyHost(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, fields, body = self.server.answer
        self.send_response(status)
        for field in fields:
            self.send_header(*field)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443")
def test_policies_of_others(good, lab):
    """MTA-STS: each way to have a policy that does not work, with its own next step (RFC 8461 section 3.2, 3.3, 4)."""
    ip = lab.ip()
    lab.dns.set("regle.test.", "MX 10 mx.ici.test.", "MX 20 mx.regle.test.")
    lab.dns.set("mx.regle.test.", "A " + good.ip)  # whose certificate has another name
    lab.dns.set("mta-sts.regle.test.", "A " + ip)
    lab.dns.set("_mta-sts.regle.test.", 'TXT "v=STSv1; id=1;"')
    made = {}
    for name, days in (("fresh", "20"), ("old", "-1")):
        cert, key, csr = (os.path.join(lab.dir, name + "-policy." + e) for e in ("pem", "key", "csr"))
        lab.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:mta-sts.regle.test",
                    "-keyout", key, "-out", csr)
        lab.openssl("x509", "-req", "-in", csr, "-CA", lab.ca, "-CAkey", lab.ca_key, "-CAcreateserial", "-days", days, "-copy_extensions", "copy", "-out", cert)
        made[name] = (cert, key)
    text = [("Content-Type", "text/plain")]

    def look(answer, certificate="fresh"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*made[certificate])
        s = http.server.ThreadingHTTPServer((ip, 443), PolicyHost)
        s.answer = answer
        s.socket = context.wrap_socket(s.socket, server_side=True)
        threading.Thread(target=s.serve_forever, daemon=True).start()
        try:
            found = points(good, "regle.test", code=1)["points"]
        finally:
            s.shutdown()
            s.server_close()
        return {(p["id"], p["subject"]): p for p in found if p["id"].startswith("sts.")}

    def policy(mode, *mx):
        return (200, text, ("version: STSv1\nmode: %s\n%smax_age: 604800\n" % (mode, "".join("mx: %s\n" % m for m in mx))).encode())
    for answer, certificate, words, repair in [
            ((301, [("Location", "https://mx.ici.test/")], b""), "fresh", "301", "no redirect"),
            ((200, [("Content-Type", "text/html")], policy("enforce", "mx.ici.test")[2]), "fresh", "", "text/plain"),
            ((200, text, b"mode: enforce\n" * 20000), "fresh", "", "few lines"),
            (policy("enforce", "mx.ici.test"), "old", "expired", "certificate")]:
        p = look(answer, certificate)["sts.fetch", "mta-sts.regle.test"]
        assert p["mark"] == "bad" and words in p["text"] and repair in p["repair"], p
    p = look((200, text, b"what is this"))["sts.policy", "mta-sts.regle.test"]
    assert p["mark"] == "bad" and p["repair"]
    found = look(policy("enforce", "mx.regle.test"))
    assert found["sts.mx", "mx.ici.test"]["mark"] == "bad" and "Add it to the policy" in found["sts.mx", "mx.ici.test"]["repair"]
    assert found["sts.certificate", "mx.regle.test"]["mark"] == "bad" and "do not deliver" in found["sts.certificate", "mx.regle.test"]["text"]
    found = look(policy("testing", "mx.regle.test", "mx.ici.test"))
    assert found["sts.certificate", "mx.regle.test"]["mark"] == "warn" and ("sts.certificate", "mx.ici.test") not in found
    assert found["sts.mode", "regle.test"]["mark"] == "note" and "regle.test" in found["sts.mode", "regle.test"]["repair"]
