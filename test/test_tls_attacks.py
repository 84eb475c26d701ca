"""The man in the middle against outgoing mail. For each attack: what became of the message, what the queue says, what is kept for
TLS-RPT; and at the end a capture of all packets, in which nothing of a protected message may be found. docs/tls.md has the table."""
import os
import shutil
import signal
import sqlite3
import ssl
import subprocess
import time

import pytest

from lab import IS_ROOT, Lab, PORTS, SERVICES, port_open, wait_for
from mitm import Mitm
from test_queue import submit, waiting
from test_tls_policy import RESULTS, SECRET, TYPES, Peer, World, arrives, nothing_leaked, spki, tlsa, whole

pytestmark = [pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443, and TLSA records name port 25"),
              pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")]


class Capture:
    """All packets of the lab's port 25, if we may."""

    def __init__(self, lab):
        self.file, self.process = os.path.join(lab.dir, "packets.pcap"), None
        if not shutil.which("tshark"):
            return
        self.process = subprocess.Popen(["tshark", "-q", "-i", "lo", "-f", "net %s0/24 and tcp port 25" % lab.net, "-w", self.file, "-a",
                                         "duration:600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        poke = lab.dns.ip  # nobody is there: a SYN and a RST
        try:
            wait_for("packets", lambda: port_open(poke, 25) or self.process.poll() is not None or b"\0" in self.packets()[100:], 20)
        except AssertionError:
            self.stop()
        if self.process and self.process.poll() is not None:
            self.process = None  # not allowed here

    def packets(self):
        try:
            with open(self.file, "rb") as f:
                return f.read()
        except OSError:
            return b""

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None


class Attacked(World):
    def __init__(self, lab):
        super().__init__(lab)
        self.in_between, self.capture, self.protected, self.open = [], Capture(lab), [], []

    def between(self, domain, trick=None, policy="enforce", **kw):
        """A domain whose host is well, and the attacker on the way to it."""
        peer = self.peer(domain, **({"tls": kw.pop("tls")} if "tls" in kw else {}))
        m = Mitm(self.lab.ip(), peer.socket.getsockname()[0], trick, **kw)
        self.in_between.append(m)
        self.lab.dns.set("mx.%s." % domain, "A " + m.ip)
        if policy in ("enforce", "testing"):
            self.enforce(domain, mode=policy)
        return peer, m

    def send_word(self, domain, protected=True, **kw):
        (self.protected if protected else self.open).append(domain)
        return self.send(domain, header="X-Word: word-for-%s\r\n" % domain, **kw)

    def kept(self, *domains):
        """{domain: {type: results that failed}}, once the server has stopped."""
        self.server.stop()
        db = sqlite3.connect(os.path.join(self.server.data, "facteur.db"))
        out = {}
        for d in domains:
            out[d] = {}
            for type_, result in db.execute("SELECT type, result FROM tls_failure WHERE domain = ?", (d,)):
                out[d].setdefault(TYPES[type_], set()).add(RESULTS[result])
        db.close()
        self.server.start()
        return out

    def change_policy_row(self, **columns):
        """What is kept of policies is changed in the store, as if time had gone on; the server is stopped meanwhile."""
        domain = columns.pop("domain")
        self.server.stop()
        db = sqlite3.connect(os.path.join(self.server.data, "facteur.db"))
        with db:
            n = db.execute("UPDATE sts_policy SET %s WHERE domain = ?" % ", ".join(c + " = ?" for c in columns),
                           (*columns.values(), domain)).rowcount
        db.close()
        assert n == 1
        self.server.start()

    def stop(self):
        self.capture.stop()
        for m in self.in_between:
            m.stop()
        super().stop()


@pytest.fixture(scope="module")
def world():
    lab = Lab(signed=True)
    try:
        made = Attacked(lab)
        yield made
        made.stop()
    finally:
        lab.close()


def nothing_heard(m, domain):
    for secret in (SECRET, b"word-for-", b"zoe@" + domain.encode(), b"MAIL FROM", b"Subject"):
        assert secret not in m.wire and secret not in m.read, (domain, secret)


def old_tls(context):
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_between_with_policy(world):
    """Attacks 1, 2, 3, 4, 10: the same lies told of a domain with MTA-STS and of one with DANE. Nobody hears a word."""
    other = world.authority()
    cases = [  # of both domains: the lie, what the queue says, what the report says with MTA-STS and with DANE
        (dict(trick="strip"), "does not offer TLS", "starttls-not-supported", "starttls-not-supported"),
        (dict(trick="refuse"), "454 4.7.0 TLS not available", "starttls-not-supported", "starttls-not-supported"),
        (dict(trick="break"), "TLS could not be started", "validation-failure", "validation-failure"),
        (dict(trick="cut"), "TLS could not be started", "validation-failure", "validation-failure"),
        (lambda mx: dict(context=world.cert(mx, self_signed=True)[0]), "TLS could not be started", "certificate-not-trusted", "tlsa-invalid"),
        (lambda mx: dict(context=world.cert(mx, ca=other)[0]), "TLS could not be started", "certificate-not-trusted", "tlsa-invalid"),
        (lambda mx: dict(context=world.cert("mx.evil.test")[0]), "TLS could not be started", "certificate-host-mismatch", "tlsa-invalid"),
        (lambda mx: dict(context=old_tls(world.cert(mx)[0])), "TLS could not be started", "validation-failure", "validation-failure"),
    ]
    made = []
    for i, (how, words, sts, dane) in enumerate(cases, 1):
        for domain, result in (("s%d.test" % i, sts), ("d%d.test" % i, dane)):
            kw = how("mx." + domain) if callable(how) else how
            tls, cert = world.cert("mx." + domain)
            peer, m = world.between(domain, policy="enforce" if domain[0] == "s" else None, tls=tls, **kw)
            if domain[0] == "d":
                tlsa(world, domain, "3 1 1 " + spki(cert))
            made.append((domain, peer, m, words, result))
    sent = {domain: world.send_word(domain) for domain, *_ in made}
    for domain, peer, m, words, _ in made:
        world.waits(sent[domain], words)
        assert m.connections > 0
        nothing_heard(m, domain)
        nothing_leaked(peer)
    kept = world.kept(*sent)
    for domain, _, _, _, result in made:
        assert kept[domain] == {"sts" if domain[0] == "s" else "tlsa": {result}}, domain


def test_between_without_policy(world):
    """What these attacks do to a domain that publishes nothing: its mail is read. (And the proof that the capture finds what is there.)"""
    stripped, m = world.between("open1.test", "strip", policy=None)
    impostor, n = world.between("open2.test", policy=None, context=world.cert("mx.evil.test", self_signed=True)[0])
    tested, t = world.between("s20.test", "strip", policy="testing")  # attack 9
    for domain in ("open1.test", "open2.test", "s20.test"):
        world.send_word(domain, protected=False)
    assert arrives(stripped) is None and arrives(impostor) is None and arrives(tested) is None
    assert SECRET in m.wire and SECRET in n.read and SECRET not in n.wire and SECRET in t.wire
    kept = world.kept("open1.test", "open2.test", "s20.test")
    assert kept["open1.test"] == {"no-policy-found": {"starttls-not-supported"}}
    assert kept["open2.test"] == {} and kept["s20.test"] == {"sts": {"starttls-not-supported"}}


def test_only_listening(world):
    """Who only listens, or injects replies in clear behind "220 go" (attack 11), hears nothing and is not believed."""
    peer, m = world.between("s21.test")
    world.send_word("s21.test")
    assert arrives(peer) == "TLSv1.3"
    nothing_heard(m, "s21.test")
    peer, m = world.between("s22.test", "inject")
    world.waits(world.send_word("s22.test"), "plain text behind its reply to STARTTLS.*MTA-STS")
    nothing_heard(m, "s22.test")
    nothing_leaked(peer)
    assert world.kept("s22.test") == {"s22.test": {"sts": {"validation-failure"}}}


def test_spoofed_mx(world):
    """Attack 5: the attacker's own host, with a certificate that holds for its own name, in forged MX records."""
    for domain, protected in (("s24.test", True), ("open3.insecure", False)):
        real = world.peer(domain)
        evil = Peer(world.lab.ip(), tls=world.cert("mx.evil.test")[0])
        world.peers.append(evil)
        world.lab.dns.records["mx.evil-%s." % domain] = ["A " + evil.socket.getsockname()[0]]
        if protected:
            world.enforce(domain)
        world.lab.dns.set(domain + ".", "MX 10 mx.evil-%s." % domain)
        to = world.send_word(domain, protected)
        if protected:
            world.waits(to, "MTA-STS policy does not list")
            nothing_leaked(evil)
            assert evil.connections == 0
        else:
            assert arrives(evil) == "TLSv1.3"
        assert not real.messages
    assert world.kept("s24.test") == {"s24.test": {"sts": {"validation-failure"}}}


def test_policy_in_force_while_the_attacker_holds_its_host(world):
    """Attacks 6, 7: once a policy is known, whatever its host answers later takes nothing away, though the record shows another id."""
    def gone(handler):
        handler.connection.close()

    def redirect(handler):
        handler.send_response(302)
        handler.send_header("Location", "http://mta-sts.evil.test/")
        handler.end_headers()

    def gigabyte(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        block = b"mx: mx.evil.test\r\n" * 4096
        for _ in range((1 << 30) // len(block)):
            handler.wfile.write(block)
            sent[0] += len(block)

    def html(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        handler.wfile.write(b"version: STSv1\r\nmode: none\r\nmax_age: 600\r\n")

    sent = [0]
    answers = {"s25.test": gone, "s26.test": redirect, "s27.test": gigabyte, "s28.test": html, "s29.test": None,
               "s30.test": ["version: STSv1", "mode: no idea", "max_age: 10"]}
    made = {}
    for domain in answers:
        made[domain] = world.between(domain)
        world.send_word(domain)
    for domain, answer in answers.items():
        assert arrives(made[domain][0]) == "TLSv1.3"
    for domain, answer in answers.items():
        world.sts(domain, answer, id="2")
        made[domain][1].trick = "strip"
    world.server.stop()  # connections that are still open would be used
    world.server.start()
    for domain in answers:
        to = world.send_word(domain)
        world.waits(to, "does not offer TLS.*MTA-STS")
        nothing_heard(made[domain][1], domain)
        assert len(made[domain][0].messages) == 1
    assert sent[0] < 64 << 20, "it is cut off long before its end"
    kept = world.kept(*answers)
    for domain in answers:
        fault = "sts-policy-invalid" if domain == "s30.test" else "sts-policy-fetch-error"
        assert kept[domain]["sts"] >= {fault, "starttls-not-supported"}, kept[domain]


def test_policy_of_an_older_record(world):
    """Attack 6: an older id played again makes us look, no more; what HTTPS proves is what counts. And a list without the real host."""
    peer, m = world.between("s31.test")
    world.send_word("s31.test")
    arrives(peer)
    world.lab.dns.set("_mta-sts.s31.test.", 'TXT "v=STSv1; id=0"')
    m.trick = "strip"
    world.server.stop()
    world.server.start()
    world.waits(world.send_word("s31.test"), "does not offer TLS.*MTA-STS")
    nothing_heard(m, "s31.test")
    peer, m = world.between("s32.test", policy=None)
    world.enforce("s32.test", mx="mx.other.test")
    world.waits(world.send_word("s32.test"), "MTA-STS policy does not list")
    assert m.connections == 0
    assert world.kept("s32.test") == {"s32.test": {"sts": {"validation-failure"}}}


def test_name_taken_back(world):
    """Attack 4, revoked by name: the key was stolen, its certificate is still good; the policy and the TLSA records name others now."""
    tls, cert = world.cert("mx.s33.test")
    stolen = world.peer("s33.test", tls=tls)
    world.enforce("s33.test", mx="new.s33.test")
    world.waits(world.send_word("s33.test"), "MTA-STS policy does not list")
    nothing_leaked(stolen)
    tls, cert = world.cert("mx.d20.test")
    stolen = world.peer("d20.test", tls=tls)
    tlsa(world, "d20.test", "3 1 1 " + spki(cert))
    world.send_word("d20.test")
    arrives(stolen)
    tlsa(world, "d20.test", "3 1 1 " + spki(world.cert("mx.d20.test")[1]))
    world.server.stop()
    world.server.start()
    world.waits(world.send_word("d20.test"), "no matching DANE TLSA")
    assert len(stolen.messages) == 1
    assert world.kept("d20.test") == {"d20.test": {"tlsa": {"tlsa-invalid"}}}


def test_dane_one_of_two_and_authority_of_others(world):
    """Attack 8."""
    tls, cert = world.cert("mx.d21.test")
    peer, m = world.between("d21.test", policy=None, tls=tls)
    tlsa(world, "d21.test", "3 1 1 " + "00" * 32, "3 0 1 " + whole(cert))
    world.send_word("d21.test")
    assert arrives(peer) == "TLSv1.3"
    nothing_heard(m, "d21.test")
    ca, other = world.authority(), world.authority()
    peer = world.peer("d22.test", tls=world.cert("mx.d22.test", ca=other, chain=True)[0])
    tlsa(world, "d22.test", "2 0 1 " + whole(ca[0]))
    world.waits(world.send_word("d22.test"), "TLS could not be started.*DANE")
    nothing_leaked(peer)
    peer = world.peer("gone.bogus", tls=None)
    world.waits(world.send_word("gone.bogus"), "DNSSEC")  # signatures and denial that do not hold
    nothing_leaked(peer)
    kept = world.kept("d21.test", "d22.test", "gone.bogus")
    assert kept == {"d21.test": {}, "d22.test": {"tlsa": {"tlsa-invalid"}}, "gone.bogus": {"tlsa": {"dnssec-invalid"}}}, kept


def test_requiretls_and_the_stripper(world):
    """Attack 12: the attacker takes STARTTLS away, or REQUIRETLS was never there: back to its sender, at once and without its text."""
    stripped, m = world.between("s34.test", "strip", policy=None)
    lacks, n = world.between("s35.test", policy=None)
    before = len(world.server.messages("anne@ici.test"))
    for domain, code in (("s34.test", b"5.7.10"), ("s35.test", b"5.7.30")):
        world.send_word(domain, options=("REQUIRETLS", "RET=FULL"))
        before += 1
        bounce = [b for b in world.server.wait_messages("anne@ici.test", before) if b"zoe@" + domain.encode() in b]
        assert bounce and b"Status: " + code in bounce[0] and SECRET not in bounce[0]
    for peer, between, domain in ((stripped, m, "s34.test"), (lacks, n, "s35.test")):
        nothing_leaked(peer)
        nothing_heard(between, domain)


def test_clock_that_jumps(world):
    """Attack 14: forward over the end of a policy while its host answers: it is fetched again before mail goes. Back, so that the policy was
    fetched in what is now the future: it is in force, and newer ones are seen."""
    now = int(time.time())
    peer, m = world.between("s36.test")
    world.send_word("s36.test")
    arrives(peer)
    m.trick = "strip"
    asked = world.web.asked.count(("mta-sts.s36.test", "/.well-known/mta-sts.txt"))
    world.change_policy_row(domain="s36.test", fetched_s=now - 7200, refresh_s=now - 5000, expires_s=now - 3600)
    world.waits(world.send_word("s36.test"), "does not offer TLS.*MTA-STS")
    assert world.web.asked.count(("mta-sts.s36.test", "/.well-known/mta-sts.txt")) > asked
    years = 10 * 365 * 86400
    world.change_policy_row(domain="s36.test", fetched_s=now + years, refresh_s=now + years + 1800, expires_s=now + years + 3600)
    world.waits(world.send_word("s36.test"), "does not offer TLS.*MTA-STS")
    wait_for("a fetch", lambda: world.web.asked.count(("mta-sts.s36.test", "/.well-known/mta-sts.txt")) > asked + 1)
    nothing_heard(m, "s36.test")
    world.enforce("s36.test", mode="none")  # a policy withdrawn as RFC 8461 §8.3 has it
    world.lab.dns.set("_mta-sts.s36.test.", 'TXT "v=STSv1; id=2"')
    world.server.stop()
    world.server.start()
    world.open.append("s36.test")
    world.protected.remove("s36.test")
    world.send("s36.test")
    wait_for("mail in clear", lambda: len(peer.messages) >= 2)
    # A certificate that is past, or not yet good, is refused: that is all that a wrong clock can bring about.
    late = world.peer("s37.test", tls=world.cert("mx.s37.test", days="-1")[0])
    world.enforce("s37.test")
    world.waits(world.send_word("s37.test"), "expired")
    nothing_leaked(late)
    assert world.kept("s37.test") == {"s37.test": {"sts": {"certificate-expired"}}}


def test_certificate_renewed_in_the_middle_of_a_session(world):
    """Attack 13: ours while clients are in it, and a peer's between two messages."""
    server = world.server
    served = lambda s: s.sock.getpeercert(True)  # noqa: E731
    mail, inside, before = server.imap("anne@ici.test"), server.smtp(), server.smtp()
    inside.starttls(context=world.lab.tls())
    before.ehlo()
    old = served(inside)
    since = len(server.log_text())
    world.lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.ici.test")
    server.process.send_signal(signal.SIGHUP)
    for process in ("mta", "access"):
        server.wait_log(r"process\.reloaded name=" + process, since=since)
    assert mail.noop()[0] == "OK" and inside.noop()[0] == 250 and served(inside) == old
    assert inside.sendmail("paul@labas.test", ["anne@ici.test"], "Subject: in the old session\r\n\r\nx\r\n") == {}
    before.starttls(context=world.lab.tls())  # begun before, secured after
    assert served(before) != old
    for s in (inside, before):
        s.quit()
    mail.logout()
    tls, cert = world.cert("mx.d23.test")
    peer, m = world.between("d23.test", policy=None, tls=tls)
    new_tls, new = world.cert("mx.d23.test")
    tlsa(world, "d23.test", "3 1 1 " + spki(cert), "3 1 1 " + spki(new))
    world.send_word("d23.test")
    arrives(peer)
    peer.tls = new_tls
    server.stop()
    server.start()
    world.send_word("d23.test")
    assert arrives(peer, 2) == "TLSv1.3"
    nothing_heard(m, "d23.test")


def test_packets(world):
    """Not one byte of a protected message went in clear, as whoever captures packets sees it."""
    if not world.capture.process or not world.open:
        pytest.skip("packets cannot be captured here; what the man in the middle read was looked at")
    wait_for("the last packets", lambda: b"word-for-open1.test" in world.capture.packets())
    world.capture.stop()
    shown = subprocess.run(["tshark", "-r", world.capture.file, "-Y", 'tcp.payload contains "word-for-"', "-T", "fields", "-e", "tcp.payload"],
                           capture_output=True, text=True, timeout=120, check=True).stdout
    clear = [bytes.fromhex(line.strip().split(",")[0]) for line in shown.splitlines() if line.strip()]
    assert any(b"word-for-open1.test" in c for c in clear)
    packets = world.capture.packets()
    assert len(world.protected) > 30
    for domain in set(world.protected) - set(world.open):
        for word in (b"word-for-%s\r" % domain.encode(), b"<zoe@%s>" % domain.encode()):
            assert word not in packets and not any(word in c for c in clear), domain
