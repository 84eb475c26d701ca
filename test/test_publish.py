"""Records published at Knot by dynamic update with TSIG (RFC 2136, RFC 8945): set up, rotation, what is left alone, and failures."""
import base64
import json
import os
import subprocess

import pytest

from lab import DNS_PORT, Lab, wait_for

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

    def start(self):
        self.process = subprocess.Popen(["knotd", "-c", self.path("knot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("knotd", lambda: self.ask("ici.test", "SOA"))

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
    ('key-name = "other"', "does not accept the key"),
    ('key-file = "wrong.key"', "does not accept the key"),
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
