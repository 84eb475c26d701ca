"""Domains whose owners answer to do harm: huge keys, aliases without an end, more names than a cache holds. A message of theirs
ends soon and without a pass, memory stays, and mail of others goes on."""
import re
import smtplib
import socket
import time

import pytest

import names
from lab import PORTS, SLOW

HUGE_SIGNATURES = 10
SOON = 5  # seconds
TXT, A, CNAME, MX, PTR = 16, 1, 5, 15, 12


def alias(name):
    return {CNAME: [names.wire_name(name)]}


def evil(name):
    """What the server says of names that nobody wrote down."""
    labels = name.split(".")
    if name.endswith("huge.test"):  # 64 KB, as four records: none, or all, might be keys
        return {TXT: [names.txt("v=DKIM1; p=" + "A" * 15900) for _ in range(4)]}
    if name.endswith("own.test"):  # a wildcard alias that leads to itself
        return alias(name)
    if name.endswith("ring.test"):
        return alias("%d.ring.test" % ((int(labels[0]) + 1) % 3 if labels[0].isdigit() else 0))
    if name.endswith("deeper.test"):  # a wildcard below a wildcard, for ever
        return alias("x%d.deeper.test" % (int(labels[0][1:]) + 1 if re.fullmatch(r"x\d+", labels[0]) else 0))
    if name.endswith("includes.test"):  # each record includes ten more
        return {TXT: [names.txt("v=spf1 " + " ".join("include:%d.%s" % (i, name) for i in range(10)) + " -all")]}
    if name.endswith("voids.test"):
        return {TXT: [names.txt("v=spf1 " + " ".join("a:%d.absent.test" % i for i in range(60)) + " -all")]} if len(labels) == 2 else None
    if name.endswith("exchangers.test"):
        return {TXT: [names.txt("v=spf1 mx -all")], MX: [b"\0\x01" + names.wire_name("h%d.%s" % (i, name)) for i in range(250)]}
    return None


@pytest.fixture(scope="module")
def far(lab):
    client = lab.ip()
    reverse = ".".join(reversed(client.split("."))) + ".in-addr.arpa"
    zone = {"test": {}, "good.test": {TXT: [names.txt("v=spf1 ip4:%s -all" % client)]},
            "_dmarc.good.test": {TXT: [names.txt("v=DMARC1; p=reject")]}, "in-addr.arpa": {},
            reverse: {PTR: [names.wire_name("n%d.own.test" % i) for i in range(60)]},
            "client.test": {A: [socket.inet_aton(client)]}, "ns.test": {}}
    server = names.FarNames(lab.ip(), zone, 0, evil)
    server.client = client
    lab.parts.append(server)
    return server


@pytest.fixture(scope="module")
def ici(lab, far):
    return lab.facteur("ici.test", "limits {\n    connections-per-address = 1000\n}\n", ["anne"], listen=["smtp"], names=far)


def send(ici, far, domain, signatures="", helo="client.test", sender=None):
    """(reply code, seconds)"""
    text = "%sFrom: x@%s\r\nTo: anne@ici.test\r\nSubject: s\r\n\r\nbody\r\n" % (signatures, domain)
    begin = time.monotonic()
    with smtplib.SMTP(ici.ip, PORTS["smtp"], local_hostname=helo, timeout=60, source_address=(far.client, 0)) as s:
        s.ehlo()
        s.mail(sender or "x@" + domain)
        s.rcpt("anne@ici.test")
        return s.data(text)[0], time.monotonic() - begin


def verdict(ici, domain):
    return ici.wait_log(r"smtp\.message\.\w+ .*from=%s\b.*" % re.escape(domain)) and re.findall(
        r"smtp\.message\.\w+ .*from=%s\b.*" % re.escape(domain), ici.log_text())[-1]


def others_go_on(ici, far):
    code, took = send(ici, far, "good.test")
    assert code == 250 and took < 2 * SLOW
    assert "dmarc=pass" in verdict(ici, "good.test")


def mta_kib(ici):
    pid = ici.child("mta")
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


def test_huge_keys(ici, far):
    signatures = "".join("DKIM-Signature: v=1; a=rsa-sha256; d=huge.test; s=s%d; h=from; bh=%s=; b=%s==\r\n" % (i, "A" * 43, "A" * 342)
                         for i in range(HUGE_SIGNATURES))
    code, took = send(ici, far, "huge.test", signatures)
    assert code == 250 and took < SOON * SLOW
    line = verdict(ici, "huge.test")
    assert "dkim=" in line and "pass" not in re.search(r"dkim=(\S+)", line).group(1)
    others_go_on(ici, far)


@pytest.mark.parametrize("domain", ["a.own.test", "0.ring.test", "x0.deeper.test", "a.includes.test", "voids.test", "a.exchangers.test"])
def test_questions_without_an_end(ici, far, domain):
    """As sender, author, signer and HELO at once."""
    far.asked.clear()
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=s; h=from; bh=%s=; b=%s==\r\n" % (domain, "A" * 43, "A" * 342)
    code, took = send(ici, far, domain, signature, helo="h." + domain)
    assert took < SOON * SLOW, (code, took)
    line = verdict(ici, domain)
    for check in ("dmarc", "spf", "iprev"):
        assert re.search(r"%s=(none|fail|neutral|permerror|temperror)\b" % check, line), line
    assert re.search(r"dkim=(permerror|temperror|fail|neutral):", line), line
    assert len(far.asked) < 200, len(far.asked)
    others_go_on(ici, far)


def test_storm_of_absent_names(ici, far):
    send(ici, far, "good.test")
    before = mta_kib(ici)
    with smtplib.SMTP(ici.ip, PORTS["smtp"], local_hostname="client.test", timeout=60, source_address=(far.client, 0)) as s:
        s.ehlo()
        for i in range(300):
            s.mail("x@n%d.absent.test" % i)
            s.rcpt("anne@ici.test")
            s.data("From: x@m%d.absent.test\r\n%s\r\n\r\nbody\r\n" % (i, "\r\n".join(
                "DKIM-Signature: v=1; a=rsa-sha256; d=k%d-%d.absent.test; s=s; h=from; bh=%s=; b=%s==" % (i, k, "A" * 43, "A" * 342)
                for k in range(10))))
    assert len([n for _, n, _ in far.asked if n.endswith("absent.test")]) > 3000
    assert mta_kib(ici) - before < 24 << 10
    others_go_on(ici, far)


def test_one_of_two_name_servers_is_dead(lab, far):
    """Each message is taken with its verdicts, and none waits for the dead one until the time limit."""
    dead = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dead.bind((lab.ip(), 0))
    server = lab.facteur("aussi.test", accounts=["anne"], listen=["smtp"], names=far, start=False)
    server.write(re.sub(r'servers = \{', 'servers = {"%s:%d", ' % dead.getsockname(), server.text))
    server.start()
    try:
        for i in range(10):
            begin = time.monotonic()
            with smtplib.SMTP(server.ip, PORTS["smtp"], local_hostname="client.test", timeout=60, source_address=(far.client, 0)) as s:
                s.sendmail("x@good.test", ["anne@aussi.test"], "From: x@good.test\r\nSubject: %d\r\n\r\nbody\r\n" % i)
            assert time.monotonic() - begin < 10 * SLOW
        assert len(re.findall(r"smtp\.message\.accepted .*dmarc=pass", server.log_text())) == 10
    finally:
        dead.close()
