"""What we publish and serve, as others understand it: Postfix with DANE, postfix-mta-sts-resolver, testssl.sh."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from lab import IS_ROOT, Lab, PORTS, SERVICES, wait_for

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="the standard ports, and Postfix")


class Unbound:
    """A validating resolver on a lab address, for programs that have none of their own. Trusts the lab's root alone."""

    def __init__(self, lab):
        self.ip, self.process = lab.ip(), None
        folder = os.path.join(lab.dir, "unbound")
        os.makedirs(folder)
        with open(os.path.join(folder, "root.hints"), "w") as f:
            f.write(". 3600 IN NS ns.lab.test.\nns.lab.test. 3600 IN A %s\n" % lab.dns.ip)
        conf = os.path.join(folder, "unbound.conf")
        with open(conf, "w") as f:
            f.write("""server:
    interface: %s
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    username: ""
    chroot: ""
    directory: "%s"
    pidfile: ""
    use-syslog: no
    logfile: "%s/log"
    root-hints: "%s/root.hints"
    trust-anchor-file: "%s"
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
remote-control:
    control-enable: no
""" % (self.ip, folder, folder, folder, lab.dns.anchor))
        for zone in ("test.", "in-addr.arpa."):  # which Unbound answers itself otherwise
            with open(conf, "a") as f:
                f.write('server:\n    local-zone: "%s" nodefault\n' % zone)
        self.process = subprocess.Popen(["unbound", "-d", "-c", conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(folder, "err"), "w"))
        lab.parts.append(self)
        wait_for("unbound", lambda: "ad" in self.flags("ns.lab.test"))

    def flags(self, name):
        r = subprocess.run(["kdig", "@" + self.ip, "+dnssec", "+timeout=1", name, "A"], capture_output=True, text=True, timeout=20).stdout
        return [w for line in r.splitlines() if line.startswith(";; Flags:") for w in line.split(";")[2].split()]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


@pytest.fixture(scope="module")
def signed():
    lab = Lab(signed=True)
    try:
        lab.unbound = Unbound(lab)
        server = lab.facteur("ici.test", accounts=("anne",), start=False, listen=SERVICES + ["https"])
        lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.ici.test", "mta-sts.ici.test")
        server.start()
        lab.dns.load(server.run("dns", "ici.test"))
        lab.server = server
        yield lab
    finally:
        lab.close()


def resolver(lab, post):
    """The name server that Postfix and its helpers see."""
    with open(os.path.join(post.dir, "resolv.conf"), "w") as f:
        f.write("nameserver %s\noptions edns0 trust-ad\n" % lab.unbound.ip)


@pytest.fixture(scope="module")
def postfix(signed):
    # "Verified" is Postfix's word in the log for a certificate that fits TLSA records
    lab = signed
    from lab import Postfix
    ip = lab.ip()
    lab.domain("loin.test", "mx.loin.test", ip)
    post = Postfix(lab, "loin.test", ip, "mx.loin.test", ["loin.test"],
                   settings=["smtp_tls_security_level = dane", "smtp_dns_support_level = dnssec", "smtp_tls_loglevel = 1",
                             "smtp_connection_cache_on_demand = no"])
    resolver(lab, post)
    lab.parts.append(post)
    return post.start()


def test_postfix_accepts_our_tlsa_records(signed, postfix):
    postfix.sendmail("paul@loin.test", ["anne@ici.test"], "Subject: by DANE\n\nx\n")
    signed.server.wait_messages("anne@ici.test")
    assert "Verified TLS connection established to mx.ici.test[%s]:25" % signed.server.ip in postfix.log_text(), postfix.log_text()[-2000:]


def test_postfix_refuses_another_key(signed, postfix):
    """And after a change of our key, what Facteur prints then is what Postfix wants."""
    server, name = signed.server, "_25._tcp.mx.ici.test."
    records = signed.dns.records[name]
    signed.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.ici.test", "mta-sts.ici.test")
    since = len(server.log_text())
    server.process.send_signal(signal.SIGHUP)
    for process in ("mta", "access"):
        server.wait_log(r"process\.reloaded name=" + process, since=since)
    postfix.sendmail("paul@loin.test", ["anne@ici.test"], "Subject: by DANE, later\n\nx\n")
    wait_for("a refusal", lambda: "Server certificate not verified" in postfix.log_text() or "Server certificate not trusted" in postfix.log_text())
    assert len(server.messages("anne@ici.test")) == 1
    signed.dns.set(name)
    signed.dns.load("\n".join(r for r in server.run("dns", "ici.test").splitlines() if r.startswith(name)))
    assert signed.dns.records[name] != records
    time.sleep(1.1)  # the TTL of the records
    subprocess.run(["postqueue", "-c", postfix.etc, "-f"], check=True, capture_output=True, timeout=20)
    server.wait_messages("anne@ici.test", 2, seconds=30)


@pytest.mark.skipif(not shutil.which("mta-sts-query"), reason="no postfix-mta-sts-resolver here")
def test_mta_sts_resolver_accepts_our_policy(signed, postfix):
    def asked():
        r = postfix.in_dns("env", "SSL_CERT_FILE=" + signed.ca, "mta-sts-query", "ici.test", capture_output=True, text=True)
        return r.stdout + r.stderr
    for mode in ("testing", "enforce"):
        signed.server.run("domain", "mta-sts", "ici.test", mode)
        signed.dns.set("_mta-sts.ici.test.")
        signed.dns.load("\n".join(r for r in signed.server.run("dns", "ici.test").splitlines() if r.startswith("_mta-sts.")))
        told = wait_for("the policy", lambda: (lambda t: t if "'%s'" % mode in t else None)(asked()))
        assert "STSFetchResult.VALID" in told and "'mx': ['mx.ici.test']" in told, told


# What testssl.sh calls weak and is meant so, with the reason.
MEANT = {
    "cert_chain_of_trust": "the lab's authority is known to the lab alone",
    "cert_revocation": "it has neither CRL nor OCSP",
    "cert_expirationStatus": "its certificates are for twenty days",
    "cert_notAfter": "the same",
}


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("testssl"), reason="no testssl.sh here")
@pytest.mark.parametrize("port,starttls", [("smtp", "smtp"), ("submissions", None), ("imaps", None), ("https", None)])
def test_testssl_finds_nothing_weak(signed, port, starttls):
    out = os.path.join(signed.dir, "testssl-%s.json" % port)
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "min", "--ip", signed.server.ip, "--connect-timeout", "5",
               "--openssl-timeout", "5", "--jsonfile", out, "-p", "-s", "-f", "-S", "-U"]
    command += ["--starttls", starttls] if starttls else []
    subprocess.run(command + ["mx.ici.test:%d" % PORTS[port]], stdin=subprocess.DEVNULL, capture_output=True, timeout=570)
    with open(out) as f:
        found = json.load(f)
    assert len(found) > 20 and any(f["id"] == "TLS1_3" and "offered" in f["finding"] for f in found), found
    weak = [f for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and f["id"].split(" <")[0] not in MEANT]
    assert not weak, weak
