"""Outgoing TLS: MTA-STS, DANE, REQUIRETLS and the settings of our own, against hosts, policy hosts and name servers that lie.
Each case says what became of the message, what the queue says of it, and what is kept for TLS-RPT."""
import glob
import hashlib
import http.server
import json
import os
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

from lab import BIN, IS_ROOT, SHARED, Lab, wait_for
from test_queue import submit, waiting

TOOL = os.path.join(os.path.dirname(BIN), "src", "policy", "mta_sts_tool")
DATA = SHARED / "data" / "mta-sts"
SECRET = b"the secret of this message"
pytestmark = [pytest.mark.sanitize,
              pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443, and TLSA records name port 25"),
              pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")]


# --- what others publish ---

def read(kind, text):
    r = subprocess.run([TOOL, kind], input=text, capture_output=True, timeout=20)
    assert r.returncode in (0, 1), r.stderr
    return r.stdout.decode().split("\n")[:-1] if r.returncode == 0 else None


@pytest.mark.skipif(not DATA.exists() or not os.path.exists(TOOL), reason="no vectors here")
def test_vectors_of_others():
    for kind in ("record", "policy"):
        with open(DATA / ("mox-%s-vectors.json" % kind), encoding="utf-8") as f:
            for case in json.load(f):
                assert (read(kind, case["text"].encode()) is not None) == case["valid"], case
    unread = []
    for path in sorted(glob.glob(str(DATA / "deployed" / "*"))):
        with open(path, "rb") as f:
            text = f.read()
        told = read("policy", text)
        if told is None:
            unread.append(text)
        else:
            assert len(told) == 2 + text.lower().count(b"\nmx:"), path
    assert all(t[:1] == b" " for t in unread), "only a file that begins with blanks is none"


# --- the others ---

class Peer:
    """A mail host. tls: a context, or None: no STARTTLS. refuse: 454 to STARTTLS. break_: nonsense instead of a handshake."""

    def __init__(self, ip, tls=None, refuse=False, break_=False, requiretls=False):
        self.tls, self.refuse, self.break_, self.requiretls = tls, refuse, break_, requiretls
        self.clear, self.messages, self.mail, self.connections = b"", [], [], 0
        self.socket = socket.create_server((ip, 25))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        try:
            c.settimeout(30)
            self.converse(c)
        except (OSError, ssl.SSLError):
            pass
        finally:
            c.close()

    def converse(self, c):
        secure, f, data, body = None, c.makefile("rb"), False, []
        c.sendall(b"220 host ESMTP\r\n")
        while True:
            line = f.readline()
            if not line:
                return
            if not secure:
                self.clear += line
            if data:
                body.append(line)
                if line == b".\r\n":
                    data = False
                    self.messages.append((secure, b"".join(body)))
                    c.sendall(b"250 2.0.0 taken\r\n")
                continue
            verb = line[:4].upper()
            if verb == b"EHLO":
                offered = [b"STARTTLS"] if (self.tls or self.refuse or self.break_) and not secure else []
                offered += [b"REQUIRETLS"] if self.requiretls and secure else []
                c.sendall(b"".join(b"250-%s\r\n" % e for e in [b"host", *offered]) + b"250 8BITMIME\r\n")
            elif verb == b"STAR" and self.refuse:
                c.sendall(b"454 4.7.0 TLS not available just now\r\n")
            elif verb == b"STAR":
                c.sendall(b"220 go\r\n")
                if self.break_:
                    c.sendall(b"this is no handshake\r\n")
                    return
                c = self.tls.wrap_socket(c, server_side=True)
                f, secure = c.makefile("rb"), c.version()
            elif verb == b"DATA":
                data, body = True, []
                c.sendall(b"354 go\r\n")
            elif verb == b"QUIT":
                c.sendall(b"221 bye\r\n")
                return
            else:
                if verb == b"MAIL":
                    self.mail.append(line.decode().strip())
                c.sendall(b"250 2.0.0 ok\r\n")

    def stop(self):
        self.socket.close()


class PolicyHost(http.server.ThreadingHTTPServer):
    """Serves policies by host name; `policies` has text, or a function of the handler."""
    daemon_threads = True

    def __init__(self, ip, context):
        self.policies, self.asked = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                host = handler.headers["Host"].split(":")[0]
                self.asked.append((host, handler.path))
                policy = self.policies.get(host)
                if callable(policy):
                    return policy(handler)
                handler.send_response(200 if policy else 404)
                handler.send_header("Content-Type", "text/plain")
                handler.end_headers()
                handler.wfile.write((policy or "no").encode())

            def log_message(handler, *args):
                pass
        super().__init__((ip, 443), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass


class World:
    """Domains with hosts and policies of all kinds, and one server of ours, at ici.test."""

    def __init__(self, lab, retry="300ms", **kw):
        self.lab, self.peers, self.made, self.web = lab, [], 0, None
        self.server = lab.facteur("ici.test", accounts=("anne",), extra="queue {\n    retry = {%s}\n    expire = 1h\n}\n" % retry, **kw)

    def cert(self, *names, ca=None, days="20", self_signed=False, chain=False):
        """A context of a server with such a certificate, and the certificate's file."""
        self.made += 1
        base = os.path.join(self.lab.dir, "c%d" % self.made)
        cert, key, csr, ext = (base + s for s in (".pem", ".key", ".csr", ".ext"))
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + names[0][:60], "-keyout", key]
        san = "subjectAltName=" + ",".join("DNS:" + n for n in names)
        if self_signed:
            self.lab.openssl("req", "-x509", *new, "-days", days, "-addext", san, "-out", cert)
        else:
            ca_cert, ca_key = ca or (self.lab.ca, self.lab.ca_key)
            self.lab.openssl("req", *new, "-out", csr)
            with open(ext, "w") as f:
                f.write(san + "\n")
            self.lab.openssl("x509", "-req", "-in", csr, "-CA", ca_cert, "-CAkey", ca_key, "-CAcreateserial", "-days", days, "-extfile",
                             ext, "-out", cert)
            if chain:
                with open(cert, "a") as f:
                    f.write(open(ca_cert).read())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context, cert

    def authority(self):
        self.made += 1
        cert, key = (os.path.join(self.lab.dir, "ca%d.%s" % (self.made, e)) for e in ("pem", "key"))
        self.lab.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "20", "-subj",
                         "/CN=Another CA %d" % self.made, "-keyout", key, "-out", cert)
        return cert, key

    def peer(self, domain, mx=None, preference=10, **kw):
        """A host that is an MX of the domain, with a good certificate where none is given."""
        ip, mx = self.lab.ip(), mx or "mx." + domain
        if "tls" not in kw:
            kw["tls"] = self.cert(mx)[0]
        self.peers.append(Peer(ip, **kw))
        self.lab.dns.records[mx + "."] = ["A " + ip]
        self.lab.dns.records.setdefault(domain + ".", []).append("MX %d %s." % (preference, mx))
        self.lab.dns.publish()
        return self.peers[-1]

    def sts(self, domain, policy, id="1"):
        """Publishes it. The policy: lines, or a function that answers."""
        host = "mta-sts." + domain
        if self.web is None:
            names = ["mta-sts.s%d.test" % i for i in range(1, 40)]
            self.web_ip = self.lab.ip()
            self.web = PolicyHost(self.web_ip, self.cert(*names)[0])
        self.web.policies[host] = "".join(p + "\r\n" for p in policy) if isinstance(policy, (list, tuple)) else policy
        self.lab.dns.records[host + "."] = ["A " + self.web_ip]
        self.lab.dns.set("_mta-sts." + domain + ".", 'TXT "v=STSv1; id=%s"' % id)

    def enforce(self, domain, mx=None, mode="enforce", max_age=3600):
        self.sts(domain, ["version: STSv1", "mode: " + mode, "mx: " + (mx or "mx." + domain), "max_age: %d" % max_age])

    def send(self, domain, header="", sender="anne@ici.test", options=()):
        to = "zoe@" + domain
        submit(self.server, sender, [to], "Subject: x\r\n%s\r\n%s\r\n" % (header, SECRET.decode()), mail_options=list(options))
        return to

    def waits(self, to, pattern):
        """The message waits, and the queue says why."""
        def told():
            return [r["last_reply"] for m in waiting(self.server, to) for r in m["recipients"] if re.search(pattern, r["last_reply"])]
        try:
            return wait_for("reason", told)
        except AssertionError:
            raise AssertionError("%s: not /%s/ but %s\n%s" % (to, pattern, waiting(self.server, to), self.server.log_text()[-1500:]))

    def results(self, domain):
        """What is kept for TLS-RPT: {type: {result: sessions}}. Written when the server stops, so a test that asks stops it."""
        self.server.stop()
        db = sqlite3.connect(os.path.join(self.server.data, "facteur.db"))
        out = {}
        for type_, good in db.execute("SELECT type, successes FROM tls_policy WHERE domain = ?", (domain,)):
            out.setdefault(TYPES[type_], {})["success"] = good
        for type_, result, n in db.execute("SELECT type, result, SUM(sessions) FROM tls_failure WHERE domain = ? GROUP BY type, result", (domain,)):
            out.setdefault(TYPES[type_], {})[RESULTS[result]] = n
        db.close()
        self.server.start()
        return out

    def stop(self):
        for p in self.peers:
            p.stop()
        if self.web:
            self.web.shutdown()
            self.web.server_close()


TYPES = ["no-policy-found", "sts", "tlsa"]
RESULTS = ["success", "starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted", "validation-failure",
           "tlsa-invalid", "dnssec-invalid", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"]


@pytest.fixture(scope="module")
def world():
    lab = Lab(signed=True)
    try:
        made = World(lab)
        yield made
        made.stop()
    finally:
        lab.close()


def arrives(peer, n=1):
    wait_for("mail", lambda: len(peer.messages) >= n)
    assert SECRET in peer.messages[-1][1]
    return peer.messages[-1][0]


def nothing_leaked(peer):
    assert not peer.messages and SECRET not in peer.clear and b"zoe@" not in peer.clear


# --- MTA-STS ---

def test_sts_enforced(world):
    good = world.peer("s1.test")
    world.enforce("s1.test")
    world.send("s1.test")
    assert arrives(good) == "TLSv1.3"
    assert world.web.asked.count(("mta-sts.s1.test", "/.well-known/mta-sts.txt")) == 1
    assert world.results("s1.test") == {"sts": {"success": 1}}


def test_sts_hosts_that_fail(world):
    """RFC 8461 §5: each of them gets nothing; the queue has a reason for people, the report its word."""
    other = world.authority()
    cases = {
        "s2.test": (dict(tls=None), "does not offer TLS.*MTA-STS", "starttls-not-supported"),
        "s3.test": (dict(tls=None, refuse=True), "454 4.7.0 TLS not available.*MTA-STS", "starttls-not-supported"),
        "s4.test": (dict(tls=None, break_=True), "TLS could not be started.*MTA-STS", "validation-failure"),
        "s5.test": (dict(tls=world.cert("mx.evil.test")[0]), "hostname mismatch.*MTA-STS", "certificate-host-mismatch"),
        "s6.test": (dict(tls=world.cert("mx.s6.test", days="-1")[0]), "expired.*MTA-STS", "certificate-expired"),
        "s7.test": (dict(tls=world.cert("mx.s7.test", self_signed=True)[0]), "self.signed.*MTA-STS", "certificate-not-trusted"),
        "s8.test": (dict(tls=world.cert("mx.s8.test", ca=other)[0]), "unable to get.*issuer.*MTA-STS", "certificate-not-trusted"),
    }
    peers = {}
    for domain, (how, _, _) in cases.items():
        peers[domain] = world.peer(domain, **how)
        world.enforce(domain)
    sent = {domain: world.send(domain) for domain in cases}
    for domain, (_, words, _) in cases.items():
        world.waits(sent[domain], words)
        nothing_leaked(peers[domain])
    kept = world.results("s2.test")["sts"]
    assert set(kept) == {"success", "starttls-not-supported"} and kept["success"] == 0
    db = sqlite3.connect(os.path.join(world.server.data, "facteur.db"))
    for domain, (_, _, result) in cases.items():
        found = {RESULTS[r] for r, in db.execute("SELECT result FROM tls_failure WHERE domain = ? AND type = 1", (domain,))}
        assert found == {result}, (domain, found)
    db.close()


def test_sts_old_versions_are_refused(world):
    context = world.cert("mx.s9.test")[0]
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    peer = world.peer("s9.test", tls=context)
    world.enforce("s9.test")
    world.waits(world.send("s9.test"), "TLS could not be started")
    nothing_leaked(peer)


def test_sts_mx_of_somebody_else(world):
    """The attacker's host has a good certificate of its own, and even TLS; it is not in the policy."""
    evil = world.peer("s10.test", mx="mx.evil10.test")
    world.enforce("s10.test", mx="*.s10.test")
    world.waits(world.send("s10.test"), "mx.evil10.test: .*MTA-STS policy does not list")
    nothing_leaked(evil)
    assert evil.connections == 0
    # The right host beside it gets the mail.
    good = world.peer("s10.test", preference=20)
    time.sleep(1.1)  # the TTL of the MX records
    world.server.run("queue", "flush", check=False)
    assert arrives(good) == "TLSv1.3"
    assert world.results("s10.test")["sts"]["success"] == 1


def test_sts_testing_delivers_and_tells(world):
    plain = world.peer("s11.test", tls=None)
    world.enforce("s11.test", mode="testing")
    wrong = world.peer("s12.test", tls=world.cert("mx.evil.test")[0])
    world.enforce("s12.test", mode="testing")
    stranger = world.peer("s13.test")
    world.enforce("s13.test", mx="mx.other.test", mode="testing")
    for domain in ("s11.test", "s12.test", "s13.test"):
        world.send(domain)
    assert arrives(plain) is None and arrives(wrong) == "TLSv1.3" and arrives(stranger) == "TLSv1.3"
    world.server.wait_log(r"queue\.tls\.told route=s12.test")
    world.server.wait_log(r"queue\.tls\.told route=s13.test")
    assert world.results("s11.test") == {"sts": {"success": 0, "starttls-not-supported": 1}}
    assert world.results("s12.test") == {"sts": {"success": 0, "certificate-host-mismatch": 1}}
    assert world.results("s13.test")["sts"]["validation-failure"] == 1


def test_sts_policy_that_cannot_be_had(world):
    """RFC 8461 §3.3: then the domain has none; the report tells."""
    def redirect(handler):
        handler.send_response(301)
        handler.send_header("Location", "https://mta-sts.s1.test/.well-known/mta-sts.txt")
        handler.end_headers()

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        for _ in range(10000):
            handler.wfile.write(b"version: STSv1\n" * 1000)

    def html(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        handler.wfile.write(b"version: STSv1\nmode: enforce\nmx: mx.nowhere.test\nmax_age: 600\n")

    cases = {"s14.test": (redirect, "sts-policy-fetch-error"), "s15.test": (endless, "sts-policy-fetch-error"),
             "s16.test": (html, "sts-policy-fetch-error"), "s17.test": (["<html>"], "sts-policy-invalid"),
             "s18.test": (["version: STSv1", "mode: enforce", "max_age: 600"], "sts-policy-invalid"), "s19.test": (None, "sts-policy-fetch-error")}
    peers = {}
    for domain, (policy, _) in cases.items():
        peers[domain] = world.peer(domain, tls=None)
        world.sts(domain, policy)
        world.send(domain)
    for domain in cases:
        assert arrives(peers[domain]) is None
    world.results("s14.test")
    db = sqlite3.connect(os.path.join(world.server.data, "facteur.db"))
    for domain, (_, result) in cases.items():
        found = {RESULTS[r] for r, in db.execute("SELECT result FROM tls_failure WHERE domain = ? AND type = 1", (domain,))}
        assert found == {result}, (domain, found)
    db.close()


def test_sts_wrong_certificate_of_the_policy_host(world):
    peer = world.peer("unnamed.test", tls=None)  # no name of the policy host's certificate
    world.enforce("unnamed.test")
    world.send("unnamed.test")
    assert arrives(peer) is None
    assert world.results("unnamed.test")["sts"] == {"success": 0, "sts-webpki-invalid": 1}


def test_sts_protects_when_all_of_it_disappears(world):
    """RFC 8461 §5.1: the attacker takes away the record and the policy host, and the server has just been started."""
    good = world.peer("s20.test")
    world.enforce("s20.test")
    world.send("s20.test")
    arrives(good)
    good.stop()
    world.lab.dns.set("_mta-sts.s20.test.")
    world.lab.dns.set("mta-sts.s20.test.")
    world.lab.dns.records.pop("s20.test.")
    evil = world.peer("s20.test", mx="mx.evil20.test", tls=None)
    world.server.stop()
    world.server.start()
    world.waits(world.send("s20.test"), "MTA-STS policy does not list")
    nothing_leaked(evil)


def test_sts_bounce_says_why(world):
    lab, mx = world.lab, world.peer("s21.test", tls=None)
    world.enforce("s21.test")
    server = lab.facteur("tard.test", accounts=("anne",), extra="queue {\n    retry = {300ms}\n    expire = 2s\n}\n")
    submit(server, "anne@tard.test", ["zoe@s21.test"])
    bounce = server.wait_messages("anne@tard.test")[0].decode()
    told = re.sub(r"\s+", " ", bounce)
    assert "does not offer TLS, which is required" in told and "MTA-STS policy (enforce)" in told, told
    nothing_leaked(mx)


# --- DANE ---

def spki(cert):
    public = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


def whole(cert):
    return hashlib.sha256(subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], check=True, capture_output=True).stdout).hexdigest()


def tlsa(world, domain, *records):
    world.lab.dns.set("_25._tcp.mx.%s." % domain, *("TLSA " + r for r in records))


def test_dane(world):
    """The host's certificate is one that nobody knows, for another name, and expired: only its key counts (RFC 7672 §3.1.1)."""
    tls, cert = world.cert("elsewhere.test", self_signed=True)
    peer = world.peer("d1.test", tls=tls)
    tlsa(world, "d1.test", "3 1 1 " + spki(cert))
    world.send("d1.test")
    assert arrives(peer) == "TLSv1.3"
    world.server.wait_log(r"queue\.mx\.connected route=d1.test mx=mx.d1.test tls=TLSv1.3 policy=tlsa")
    assert world.results("d1.test") == {"tlsa": {"success": 1}}


def test_dane_authority_and_roll_over(world):
    ca = world.authority()
    tls, _ = world.cert("mx.d2.test", ca=ca, chain=True)
    two = world.peer("d2.test", tls=tls)
    tlsa(world, "d2.test", "2 0 1 " + whole(ca[0]))
    named = world.peer("d3.test", tls=world.cert("d3.test", ca=ca, chain=True)[0])  # the domain instead of the host (§3.2.2)
    tlsa(world, "d3.test", "2 0 1 " + whole(ca[0]))
    tls, cert = world.cert("x.test", self_signed=True)
    rolling = world.peer("d4.test", tls=tls)
    tlsa(world, "d4.test", "3 1 1 " + "00" * 32, "3 1 1 " + spki(cert))
    wrong_name = world.peer("d5.test", tls=world.cert("mx.evil.test", ca=ca, chain=True)[0])
    tlsa(world, "d5.test", "2 0 1 " + whole(ca[0]))
    for domain in ("d2.test", "d3.test", "d4.test"):
        world.send(domain)
    assert arrives(two) and arrives(named) and arrives(rolling)
    world.waits(world.send("d5.test"), "hostname mismatch.*DANE")
    nothing_leaked(wrong_name)


def test_dane_that_fails_waits(world):
    """With a certificate that every authority of ours stands for: DANE asks for another one. And MTA-STS has no say (RFC 8461 §2)."""
    wrong = world.peer("s22.test")
    tlsa(world, "s22.test", "3 1 1 " + "11" * 32)
    world.enforce("s22.test", mode="none")
    stripped = world.peer("d6.test", tls=None)
    tlsa(world, "d6.test", "3 1 1 " + "11" * 32)
    unusable = world.peer("d7.test", tls=None)
    tlsa(world, "d7.test", "1 1 1 " + "11" * 32)
    world.waits(world.send("s22.test"), "no matching DANE TLSA records.*DANE")
    world.waits(world.send("d6.test"), "does not offer TLS.*DANE")
    world.waits(world.send("d7.test"), "does not offer TLS.*none of them can be used")
    for peer in (wrong, stripped, unusable):
        nothing_leaked(peer)
    kept = world.results("d6.test")
    assert set(kept["tlsa"]) == {"success", "starttls-not-supported"}
    assert "tlsa-invalid" in world.results("s22.test")["tlsa"]


def test_unusable_records_ask_for_encryption(world):
    peer = world.peer("d8.test", tls=world.cert("who.test", self_signed=True)[0])
    tlsa(world, "d8.test", "1 1 1 " + "11" * 32, "3 0 0 3003020100")  # the second holds no certificate (RFC 6698 §4.1)
    world.send("d8.test")
    assert arrives(peer) == "TLSv1.3"


def test_signatures_that_do_not_hold(world):
    """RFC 7672 §2.1.2: bogus answers delay; they never mean that there is no DANE, or no mail host."""
    peer = world.peer("there.bogus", tls=None)
    world.waits(world.send("there.bogus"), "DNSSEC of the domain is broken")
    # The MX is proven, its host lies in the bogus zone.
    world.lab.dns.set("d9.test.", "MX 10 mx.there.bogus.")
    world.waits(world.send("d9.test"), "DNSSEC of the addresses of its mail servers is broken")
    # The TLSA record is an alias into the bogus zone: absence is not proven.
    stripped = world.peer("d10.test", tls=None)
    world.lab.dns.set("_25._tcp.mx.d10.test.", "CNAME nothing.bogus.")
    world.waits(world.send("d10.test"), "DNSSEC of its TLSA records is broken")
    for p in (peer, stripped):
        nothing_leaked(p)
    assert stripped.connections == 0
    assert "dnssec-invalid" in world.results("there.bogus")["tlsa"]


def test_zones_without_signatures(world):
    """No DNSSEC, no DANE: whoever could forge MX could forge TLSA too."""
    peer = world.peer("plain.insecure", tls=world.cert("who.test", self_signed=True)[0])
    tlsa(world, "plain.insecure", "3 1 1 " + "11" * 32)
    world.send("plain.insecure")
    assert arrives(peer) == "TLSv1.3"
    assert world.results("plain.insecure") == {"no-policy-found": {"success": 1}}


# --- without policy ---

def test_lost_starttls_is_told(world):
    peer = world.peer("lost.test", tls=world.cert("who.test", self_signed=True)[0])
    world.send("lost.test")
    assert arrives(peer) == "TLSv1.3"
    peer.tls = None
    world.server.stop()  # the connection that is still open would be used
    world.server.start()
    world.send("lost.test")
    assert arrives(peer, 2) is None
    world.server.wait_log(r"queue\.tls\.lost route=lost.test mx=mx.lost.test")
    assert world.results("lost.test") == {"no-policy-found": {"success": 1, "starttls-not-supported": 1}}


# --- RFC 8689 ---

def test_requiretls_out(world):
    peer = world.peer("r1.test", requiretls=True)
    world.send("r1.test", options=["REQUIRETLS"])
    assert arrives(peer) == "TLSv1.3"
    assert peer.mail[-1].endswith("REQUIRETLS")


def test_requiretls_that_cannot_be_kept(world):
    """Back at once, with the code of RFC 8689 §4.2.1, and without the body."""
    lacks = world.peer("r2.test")
    plain = world.peer("r3.test", tls=None, requiretls=True)
    stranger = world.peer("r4.test", tls=world.cert("mx.evil.test")[0], requiretls=True)
    unproven = world.peer("r5.insecure", requiretls=True)
    before = len(world.server.messages("anne@ici.test"))
    for domain, code in (("r2.test", "5.7.30"), ("r3.test", "5.7.10"), ("r4.test", "5.7.10"), ("r5.insecure", "5.7.10")):
        world.send(domain, options=["REQUIRETLS", "RET=FULL"])
        before += 1
        bounces = [m for m in world.server.wait_messages("anne@ici.test", before) if b"zoe@" + domain.encode() in m]
        assert bounces and ("Status: " + code).encode() in bounces[0] and SECRET not in bounces[0], domain
    for peer in (lacks, plain, stranger, unproven):
        nothing_leaked(peer)


def test_requiretls_in(world):
    server = world.server
    with server.smtp() as s:
        s.ehlo()
        assert not s.has_extn("requiretls")
        assert s.docmd("MAIL", "FROM:<x@labas.test> REQUIRETLS")[0] == 555
        s.starttls(context=world.lab.tls())
        s.ehlo()
        assert s.has_extn("requiretls")
        assert s.docmd("MAIL", "FROM:<x@labas.test> REQUIRETLS")[0] == 250


def test_tls_required_no(world):
    """The postmaster of a broken host can be told that it is broken, while the mail of others for it waits."""
    peer = world.peer("s23.test", tls=world.cert("mx.evil.test")[0])
    world.enforce("s23.test")
    to = world.send("s23.test")
    world.waits(to, "hostname mismatch")
    world.send("s23.test", header="TLS-Required: No\r\n")
    assert arrives(peer) == "TLSv1.3"
    assert len(peer.messages) == 1 and waiting(world.server, to)


# --- the operator's word ---

def test_destinations_of_the_configuration(world):
    lab = world.lab
    ca = world.authority()
    pinned_tls, pinned_cert = world.cert("who.test", self_signed=True)
    old = world.cert("mx.o1.test", self_signed=True)[0]
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
    old.set_ciphers("ALL:@SECLEVEL=0")
    peers = {"o1.test": world.peer("o1.test", tls=old), "o2.test": world.peer("o2.test"),
             "o3.test": world.peer("o3.test", tls=world.cert("mx.o3.test", ca=ca)[0]), "o4.test": world.peer("o4.test", tls=pinned_tls),
             "o5.test": world.peer("o5.test", tls=None), "o6.test": world.peer("o6.test", tls=world.cert("who.test", self_signed=True)[0]),
             "o7.test": world.peer("o7.test", mx="mx.evil7.test"), "o8.test": world.peer("o8.test"), "s24.test": world.peer("s24.test", tls=None),
             "o9.test": world.peer("o9.test", tls=None)}
    world.enforce("s24.test")
    server = lab.facteur("propre.test", accounts=("anne",), start=False, extra="queue {\n    retry = {300ms}\n}\n")
    with open(os.path.join(server.dir, "partner.pem"), "w") as f:
        f.write(open(ca[0]).read())
    words = ["o1.test tls=legacy", "o2.test tls=required", "o3.test trust=partner.pem", "o4.test key=" + spki(pinned_cert), "o5.test tls=required",
             "o6.test tls=encrypted", "o7.test mx=*.o7.test", "o8.test key=" + "22" * 32, "s24.test tls=optional", "o9.test tls=encrypted"]
    server.write(server.text.replace("outbound {", "outbound {\n    destination = {%s}" % ", ".join('"%s"' % w for w in words)))
    server.start()
    for domain in peers:
        submit(server, "anne@propre.test", ["zoe@" + domain], "Subject: x\r\n\r\n%s\r\n" % SECRET.decode())
    for domain, version in {"o1.test": "TLSv1", "o2.test": "TLSv1.3", "o3.test": "TLSv1.3", "o4.test": "TLSv1.3", "o6.test": "TLSv1.3",
                            "s24.test": None}.items():
        assert arrives(peers[domain]) == version, domain
    for domain, pattern in {"o5.test": "configuration requires verified TLS", "o7.test": "configuration allows", "o8.test": "no matching",
                            "o9.test": "configuration requires TLS"}.items():
        wait_for(domain, lambda: [r for m in waiting(server, "zoe@" + domain) for r in m["recipients"] if re.search(pattern, r["last_reply"])])
        nothing_leaked(peers[domain])


def test_connections_do_not_mix(world):
    """One after the other to one host: what asks for more, or for less, gets a connection of its own."""
    peer = world.peer("mix.test", requiretls=True)
    world.send("mix.test")
    arrives(peer, 1)
    world.send("mix.test", options=["REQUIRETLS"])
    arrives(peer, 2)
    world.send("mix.test", header="TLS-Required: No\r\n")
    arrives(peer, 3)
    assert peer.connections == 3
