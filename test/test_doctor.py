"""facteur doctor: domains in the lab as an outside peer sees them."""
import json
import socket
import threading

import pytest

from lab import PORTS, SLOW


def points(server, domain, code=None):
    r = server.run("doctor", domain, "--json", check=False)
    assert r.returncode in (0, 1) if code is None else r.returncode == code, r.stderr
    return json.loads(r.stdout)[0]


def marks(answer, point):
    return [p["mark"] for p in answer["points"] if p["id"] == point]


@pytest.fixture(scope="module")
def good(ici, lab):
    """Our own domain, all records published."""
    lab.dns.load(ici.run("dns", "ici.test"))
    lab.dns.set("%s.in-addr.arpa." % ".".join(reversed(ici.ip.split("."))), "PTR mx.ici.test.")
    lab.dns.set("_dmarc.ici.test.", 'TXT "v=DMARC1; p=reject; rua=mailto:dmarc@ici.test"')
    lab.dns.set("_smtp._tls.ici.test.", 'TXT "v=TLSRPTv1; rua=mailto:tls@ici.test"')
    return ici


@pytest.mark.sanitize
def test_good_domain(good):
    answer = points(good, "ici.test")
    assert marks(answer, "mx.records") == ["good"] and marks(answer, "mx.host") == ["good"]
    assert marks(answer, "tls.starttls") == ["good"] and marks(answer, "tls.certificate") == ["good"], answer
    assert marks(answer, "ptr.name") == ["good"] and marks(answer, "spf.record") == ["good"]
    assert marks(answer, "dmarc.policy") == ["good"] and marks(answer, "tlsrpt.record") == ["good"]
    for p in answer["points"]:
        assert p["mark"] not in ("bad", "warn") or p["repair"], p
    assert answer["spf"]["lookups"] >= 1 and answer["spf"]["tree"][0]["term"] == "mx"


def test_text_is_for_people(good):
    text = good.run("doctor", "ici.test", check=False).stdout
    assert "STARTTLS" in text and "ok" in text and text.rstrip().endswith("bad")
    assert "mx   (1 look-up)" in text


def test_all_our_domains_without_a_name(good):
    answer = json.loads(good.run("doctor", "--json", check=False).stdout)
    assert [a["domain"] for a in answer] == ["ici.test"]


def test_domain_without_anything(good):
    answer = points(good, "nothing.test", code=1)
    assert marks(answer, "mx.records") == ["bad"] and marks(answer, "spf.record") == ["bad"] and marks(answer, "dmarc.record") == ["bad"]


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
