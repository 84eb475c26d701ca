"""Records published at Knot by dynamic update with TSIG (RFC 2136, RFC 8945): set up, rotation, what is left alone, and failures."""
import base64
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import pytest

from lab import DNS_PORT, IS_ROOT, Lab, wait_for
from test_acme import Pebble, certificate, reload, serve

KEY = base64.b64encode(b"a shared secret of thirty-two by").decode()


class Zone:
    """A Knot that is authoritative for ici.test alone, and takes updates of one key."""

    def __init__(self, folder, ip):
        self.dir, self.ip, self.process = folder, ip, None
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        with open(self.path("zone"), "w") as f:
            f.write("$TTL 5\n@ SOA ns h 1 3600 600 86400 5\n@ NS ns\nns A %s\n" % ip)
        with open(self.path("knot.conf"), "w") as f:
            f.write("""server:
    listen: %s@%d
    rundir: %s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: %s/knot.log
    any: info
database:
    storage: %s
key:
  - id: facteur.
    algorithm: hmac-sha256
    secret: %s
acl:
  - id: update
    key: facteur.
    action: update
zone:
  - domain: ici.test
    storage: %s
    file: zone
    acl: update
""" % (ip, DNS_PORT, folder, folder, folder, KEY, folder))
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def launch(self):
        self.process = subprocess.Popen(["knotd", "-c", self.path("knot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self):
        if self.process.poll() is not None:  # now and then it dies at its start: see lab.Dns
            self.launch()
        r = subprocess.run(["knotc", "-c", self.path("knot.conf"), "-t", "10", "status"], capture_output=True, timeout=20)
        return r.returncode == 0 and self.ask("ici.test", "SOA")

    def start(self):
        self.launch()
        wait_for("knotd", self.answers)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def ask(self, name, kind):
        r = subprocess.run(["kdig", "@" + self.ip, "-p", str(DNS_PORT), "+short", "+tcp", "+retry=0", name, kind], capture_output=True, text=True, timeout=20)
        return [line for line in r.stdout.splitlines() if line and not line.startswith(";")]

    def update(self, *lines):
        text = "server %s %d\nkey hmac-sha256:facteur. %s\nzone ici.test.\n%s\nsend\n" % (self.ip, DNS_PORT, KEY, "\n".join(lines))
        subprocess.run(["knsupdate"], input=text, text=True, check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def world():
    lab = Lab()
    zone = None
    try:
        zone = Zone(os.path.join(lab.dir, "zone"), lab.ip())
        ici = lab.facteur("ici.test", accounts=("anne",), start=False)
        with open(os.path.join(ici.dir, "update.key"), "w") as f:
            f.write(KEY + "\n")
        ici.write(ici.text + '\ndns-update {\n    server   = "%s:%d"\n    key-name = "facteur"\n    key-file = "update.key"\n}\n' % (zone.ip, DNS_PORT))
        yield lab, zone, ici
    finally:
        if zone:
            zone.stop()
        lab.close()


def publish(ici, code=0):
    r = ici.run("dns", "ici.test", "--publish", "--json", check=False)
    assert r.returncode == code, r.stderr
    return {(x["name"], x["type"]): x for x in json.loads(r.stdout)["records"]} if code == 0 else r.stderr


def selectors(ici):
    return [r["name"].split(".")[0] for r in json.loads(ici.run("dns", "ici.test", "--json")) if "._domainkey." in r["name"]]


def test_published_and_left_alone(world):
    lab, zone, ici = world
    zone.update("add ici.test. 60 TXT \"v=spf1 include:other.test -all\"", "add ici.test. 60 TXT \"verify=123\"",
                "add _dmarc.ici.test. 60 TXT \"v=DMARC1; p=reject\"")
    first = publish(ici)
    assert first["ici.test.", "MX"]["outcome"] == "changed" and zone.ask("ici.test", "MX") == ["10 mx.ici.test."]
    # the owner's own words stay, and are shown
    assert first["ici.test.", "TXT"]["outcome"] == "kept" and "other.test" in first["ici.test.", "TXT"]["found"]
    assert first["_dmarc.ici.test.", "TXT"]["outcome"] == "kept"
    assert sorted(zone.ask("ici.test", "TXT")) == ['"v=spf1 include:other.test -all"', '"verify=123"']
    for s in selectors(ici):
        assert zone.ask(s + "._domainkey.ici.test", "TXT")[0].startswith('"v=DKIM1')
    assert zone.ask("_imaps._tcp.ici.test", "SRV") and zone.ask("_smtp._tls.ici.test", "TXT")
    assert zone.ask("mx.ici.test", "A") == [ici.ip]
    assert {x["outcome"] for x in publish(ici).values()} == {"same", "kept"}  # nothing is done twice
    # ours to say: what somebody else put there goes
    name = selectors(ici)[0] + "._domainkey.ici.test."
    zone.update("del %s TXT" % name, 'add %s 60 TXT "v=DKIM1; p=xxxx"' % name)
    assert publish(ici)[name, "TXT"]["outcome"] == "changed" and "xxxx" not in zone.ask(name, "TXT")[0]
    zone.update('del ici.test. TXT "v=spf1 include:other.test -all"')
    assert publish(ici)["ici.test.", "TXT"]["outcome"] == "changed"
    assert sorted(zone.ask("ici.test", "TXT")) == sorted(['"verify=123"'] + [r["value"] for r in json.loads(ici.run("dns", "ici.test", "--json"))
                                                                             if r["value"].startswith('"v=spf1')])


@pytest.mark.parametrize("setting,words", [
    ('key-name = "other"', "does not know the key (BADKEY)"),
    ('key-file = "wrong.key"', "another secret for the key (BADSIG)"),
    ('key-algorithm = "rot13"', "key cannot be used"),
    ("zones = {\"test\"}", "does not serve the zone"),
    ('server = "%s"', "does not answer"),
])
def test_refused(world, setting, words):
    lab, zone, ici = world
    kept = ici.text
    name = setting.split(" ")[0]
    with open(os.path.join(ici.dir, "wrong.key"), "w") as f:
        f.write(base64.b64encode(b"another").decode())
    lines = [line for line in kept.splitlines() if not (line.strip().startswith(name + " ") and "listen" not in line)]
    at = next(i for i, line in enumerate(lines) if line.startswith("dns-update"))
    zone.update("del %s._domainkey.ici.test. TXT" % selectors(ici)[0])  # there is something to do
    lines.insert(at + 1, "    " + (setting % lab.ip() if "%s" in setting else setting))
    ici.write("\n".join(lines) + "\n")
    try:
        assert words in publish(ici, code=1)
    finally:
        ici.write(kept)


def test_the_server_publishes_by_itself(world):
    """Each change that others must see: a key rotation, the policy's id; and a DNS server that is away is asked again."""
    lab, zone, ici = world
    old = selectors(ici)
    for s in old:
        zone.update("del %s._domainkey.ici.test. TXT" % s)
    zone.stop()
    ici.start()
    wait_for("a failed update", lambda: "dns.update.failed" in ici.log_text(), 30)
    assert "the DNS server does not answer" in ici.log_text()
    zone.start()
    ici.run("domain", "rotate-keys", "ici.test")  # records change: published without waiting for the next try
    new = [s for s in selectors(ici) if s not in old]
    assert len(new) == 2
    wait_for("the new keys in the DNS", lambda: all(zone.ask(s + "._domainkey.ici.test", "TXT") for s in new + old), 60)
    assert "dns.update.done" in ici.log_text()


class Liar:
    """A server for updates that answers as it is told to: `how` makes the answer to a question."""

    def __init__(self, ip, how):
        self.how, self.updates = how, 0
        self.listener = socket.create_server((ip, DNS_PORT))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                try:
                    s.settimeout(20)
                    n = struct.unpack("!H", s.recv(2))[0]
                    wire = b""
                    while len(wire) < n:
                        wire += s.recv(n - len(wire))
                    q = dns.message.from_wire(wire, keyring=KEYRING)
                    self.updates += q.opcode() == 5
                    answer = self.how(q)
                    s.sendall(struct.pack("!H", len(answer)) + answer)
                except (OSError, struct.error):
                    pass


KEYRING = dns.tsigkeyring.from_text({"facteur.": KEY})
OTHER = dns.tsigkeyring.from_text({"facteur.": base64.b64encode(b"a key that somebody guessed wrong").decode()})


def answer_to(q, rcode=dns.rcode.NOERROR):
    r = dns.message.make_response(q)
    r.set_rcode(rcode)
    return r


def unsigned(q, rcode=dns.rcode.NOERROR):
    r = answer_to(q, rcode)
    r.tsig = None
    r.keyring = None
    return r.to_wire()


def signed(q, rcode=dns.rcode.NOERROR, keyring=KEYRING, error=0):
    r = answer_to(q, rcode)
    r.use_tsig(keyring, "facteur.", tsig_error=error, algorithm=dns.tsig.HMAC_SHA256)
    r.request_mac = q.mac
    return r.to_wire()


@pytest.mark.parametrize("how,words", [
    (lambda q: signed(q, dns.rcode.REFUSED), "refuses"),
    (lambda q: unsigned(q, dns.rcode.REFUSED), "refuses"),
    (lambda q: unsigned(q, dns.rcode.NOTAUTH), "does not serve the zone"),
    (lambda q: signed(q, dns.rcode.NOTAUTH, error=18), "clocks"),
    (lambda q: unsigned(q, dns.rcode.SERVFAIL), "the DNS server fails"),
    (lambda q: unsigned(q, dns.rcode.NOTIMP), "does not take updates"),
    # what is not proven counts for nothing, however good it sounds
    (unsigned, "not signed with our key"),
    (lambda q: unsigned(q, dns.rcode.NXDOMAIN), "not signed with our key"),
    (lambda q: signed(q, keyring=OTHER), "not signed with our key"),
    (lambda q: b"\0\1nonsense", "cannot be read"),
], ids=["refused", "refused-unsigned", "notauth", "badtime", "servfail", "notimpl", "unsigned", "unsigned-nxdomain", "wrong-key", "nonsense"])
def test_answers_that_lie_or_refuse(world, how, words):
    """Nobody but the server with our key is believed (RFC 8945 §5.3), and each refusal has words of its own."""
    lab, zone, ici = world
    kept = ici.text
    ip = lab.ip()
    liar = Liar(ip, how)
    ici.write(re.sub(r'server   = "[^"]*"', 'server   = "%s:%d"' % (ip, DNS_PORT), kept))
    try:
        assert words in publish(ici, code=1)
        assert liar.updates == 0  # nothing is changed on the word of a stranger
    finally:
        ici.write(kept)
        liar.listener.close()


# --- all of it: a signed zone, certificates from an authority, rotations ---

TTL = 1


class SignedWorld:
    """ici.test is a zone of its own, signed and proven by the lab's root, and takes updates; Facteur has its certificates from Pebble."""

    def __init__(self):
        self.lab = lab = Lab(signed=True)
        self.zone = "ici.test."
        self.pebble = Pebble(lab, "acme.lab.test")
        self.server = serve(lab, "ici.test", self.pebble.directory(), accounts=("anne",))
        self.server.write(self.server.text + """
queue {
    expire = 3s
}
dns-update {
    server   = "%s:%d"
    key-name = "facteur"
    key-file = "update.key"
    ttl      = %ds
}
""" % (lab.dns.ip, DNS_PORT, TTL))
        lab.dns.stop()
        with open(os.path.join(lab.dns.dir, "ici.zone"), "w") as f:
            f.write("$ORIGIN ici.test.\n$TTL %d\n@ SOA ns.lab.test. h 1 3600 600 86400 %d\n@ NS ns.lab.test.\n@ MX 10 mx\nmx A %s\nmta-sts CNAME mx\n"
                    % (TTL, TTL, self.server.ip))
        with open(lab.dns.conf, "a") as f:
            f.write("""key:
  - id: facteur.
    algorithm: hmac-sha256
    secret: %s
acl:
  - id: update
    key: facteur.
    action: update
zone:
  - domain: ici.test.
    file: ici.zone
    acl: update
    dnssec-signing: on
    dnssec-policy: default
""" % KEY)
        for name in list(lab.dns.records):
            if name.endswith("ici.test."):
                del lab.dns.records[name]
        lab.dns.start()
        keys = wait_for("the zone's key", lambda: self.ask(self.zone, "DNSKEY"))
        key = next(k for k in keys if k.startswith("257 "))
        rdata = dns.rrset.from_text(self.zone, TTL, "IN", "DNSKEY", key)[0]
        lab.dns.set(self.zone, "NS ns.lab.test.", "DS " + dns.dnssec.make_ds(dns.name.from_text(self.zone), rdata, "SHA256").to_text())

    def ask(self, name, kind):
        r = subprocess.run(["kdig", "@" + self.lab.dns.ip, "-p", str(DNS_PORT), "+short", "+tcp", "+retry=0", name, kind], capture_output=True, text=True,
                           timeout=20)
        return [line for line in r.stdout.splitlines() if line and not line.startswith(";")]

    def update(self, *lines):
        text = "server %s %d\nkey hmac-sha256:facteur. %s\nzone ici.test.\n%s\nsend\n" % (self.lab.dns.ip, DNS_PORT, KEY, "\n".join(lines))
        subprocess.run(["knsupdate"], input=text, text=True, check=True, capture_output=True, timeout=20)

    def tlsa(self):
        return {r.split()[-1].lower() if len(r.split()) == 4 else "".join(r.split()[3:]).lower() for r in self.ask("_25._tcp.mx.ici.test", "TLSA")}

    def key(self, secret):
        with open(os.path.join(self.server.dir, "update.key"), "w") as f:
            f.write(secret + "\n")

    def served(self):
        """What senders with DANE would compare with the records."""
        der = certificate(self.server, "smtp", starttls=True)[2]
        spki = subprocess.run("openssl x509 -inform DER -noout -pubkey | openssl pkey -pubin -outform DER", input=der, shell=True, capture_output=True).stdout
        return hashlib.sha256(spki).hexdigest()

    def states(self):
        return {s: state for d in self.server.json("domain", "list") for k in d["keys"] for s, state in [(k["selector"], k["state"])]}


@pytest.fixture(scope="module")
def signed_world():
    w = SignedWorld()
    try:
        yield w
    finally:
        w.lab.close()


@pytest.mark.skipif(not IS_ROOT, reason="the authority looks at port 80")
def test_nothing_switches_before_the_dns_shows_it(signed_world):
    """Keys of certificates and of DKIM: with a server that refuses, nothing moves, and it is told; then the record comes first, the switch after two
    times to live, and the old record goes last (RFC 7671 §8.1)."""
    w = signed_world
    w.key(KEY)
    assert "_25._tcp.mx.ici.test." in w.server.run("dns", "ici.test", "--publish")
    old = hashlib.sha256(subprocess.run(
        "openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform DER" % os.path.join(w.server.dir, "cert.pem"), shell=True,
        capture_output=True).stdout).hexdigest()
    following = next(iter(w.tlsa() - {old}))
    w.update("del _25._tcp.mx.ici.test. TLSA", "add _25._tcp.mx.ici.test. %d TLSA 3 1 1 %s" % (TTL, old))  # as before ACME was set up
    w.key(base64.b64encode(b"not the one").decode())
    first = w.states()
    w.server.start()
    w.server.wait_log(r"dns\.update\.failed .*BADSIG", 30)
    w.server.wait_log(r"acme\.tlsa\.awaited", 30)
    w.server.run("domain", "rotate-keys", "ici.test")
    w.server.run("domain", "rotate-keys", "ici.test")  # "look now"
    w.server.wait_log(r"dkim\.key\.awaited", 30)
    states = w.states()
    assert {s: states[s] for s in first} == first and sorted(states[s] for s in states if s not in first) == ["next", "next"]
    assert w.served() == old and w.tlsa() == {old}

    # the key is mended
    w.key(KEY)
    reload(w.server)
    seen = []

    def switched():
        now = time.monotonic()
        records, key = w.tlsa(), w.served()
        seen.append((now, records, key))
        return key == following
    wait_for("the next certificate", switched, 60)
    for _, records, key in seen[:-1]:
        assert key in records, seen  # at no time does a sender meet a key that is not there
    shown = next(at for at, records, _ in seen if following in records)
    assert seen[-1][0] - shown >= 2 * TTL, seen
    assert all(old in records for _, records, key in seen if key == old), seen  # the old one was there until then
    wait_for("the old record to go", lambda: old not in w.tlsa() and following in w.tlsa() and len(w.tlsa()) == 2, 40)
    assert w.served() == following

    # DKIM: published, then signed with, then the old ones went
    new = [s for s in states if s not in first]
    wait_for("the new DKIM keys to sign", lambda: all(w.states().get(s) == "active" for s in new), 60)
    assert all(w.ask(s + "._domainkey.ici.test", "TXT") for s in new)
    wait_for("the old DKIM keys to go", lambda: not any(s in w.states() for s in first), 30)
    wait_for("their records to go", lambda: not any(w.ask(s + "._domainkey.ici.test", "TXT") for s in first), 40)
    assert all(w.ask(s + "._domainkey.ici.test", "TXT") for s in new)


@pytest.mark.skipif(not IS_ROOT, reason="goes on from the test before")
def test_the_policy_changes_its_id(signed_world):
    w = signed_world
    before = w.ask("_mta-sts.ici.test", "TXT")
    assert len(before) == 1
    said = w.server.json("domain", "mta-sts", "ici.test", "enforce")
    after = wait_for("another id", lambda: (lambda r: r if r != before and r else None)(w.ask("_mta-sts.ici.test", "TXT")), 40)
    assert after == ['"v=STSv1; id=%s;"' % said["id"]]
