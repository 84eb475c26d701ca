"""Messages judged by `facteur check` as rspamd's tests judge them, with their DNS (rspamd's README there), and what
`facteur check` says in general."""
import json
import os
import subprocess

import pytest

from lab import BIN, SHARED, SLOW
from names import Names, absolute, quoted

FOLDER = SHARED / "data" / "dmarc" / "rspamd"
CASES = json.loads((FOLDER / "cases.json").read_text()) if FOLDER.exists() else []
# Where RFC 9989 says something else than RFC 7489, which those tests hold (`--psl` judges by it): pct is history; and a
# domain above the only record of the author's is no organisational domain in a tree walk, so that nothing aligns with it.
DEPARTURES = {"DMARC PCT ZERO REJECT": "fail, policy reject", "DMARC PCT ZERO SP QUARANTINE": "fail, policy quarantine",
              "DMARC SUBDOMAIN PASS SPF RELAXED ALIGNMENT": "fail, policy reject",
              "DMARC SUBDOMAIN PASS DKIM RELAXED ALIGNMENT": "fail, policy reject"}


def zone_of(entries):
    zone = {}
    for e in entries:
        records, timeout = zone.get(absolute(e["name"]).lower(), ({}, False))
        kind = e["type"].upper()
        if e["rcode"] == "timeout":
            timeout = True
        for r in e["replies"]:
            if kind == "TXT":
                r = quoted(r)
            elif kind == "MX":
                r = "%s %s" % (r.split()[0], absolute(r.split()[1]))
            elif kind == "PTR":
                r = absolute(r)
            records.setdefault(kind, []).append(r)
        if e["rcode"] != "nxdomain":
            zone[absolute(e["name"]).lower()] = (records, timeout)
    return zone


def write_conf(folder, server):
    conf = os.path.join(str(folder), "facteur.conf")
    with open(conf, "w") as f:
        f.write('hostname = "mx.receiver.test"\ndns {\n    servers = {"%s:%d"}\n}\n' % (server.ip, server.port))
    return conf


def check(conf, message, *args, text=False):
    command = [BIN, "-c", conf, "check", "-", *args] + ([] if text else ["--json"])
    r = subprocess.run(command, input=message, capture_output=True, timeout=90 * SLOW)
    assert r.returncode == 0, r.stderr
    return r.stdout.decode() if text else json.loads(r.stdout)


@pytest.fixture(scope="module")
def rspamd(lab, tmp_path_factory):
    server = Names(lab.ip(), zone_of(json.loads((FOLDER / "dns.json").read_text())))
    yield write_conf(tmp_path_factory.mktemp("rspamd"), server)
    server.stop()


@pytest.mark.skipif(not CASES, reason="the cases are not there")
@pytest.mark.parametrize("method", ["treewalk", "psl"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["case"].replace(" ", "-"))
def test_rspamd(rspamd, case, method):
    args = ["--psl"] if method == "psl" else []
    for option, key in (("--ip", "ip"), ("--helo", "helo"), ("--mail-from", "mail_from")):
        if case[key]:
            args += [option, case[key]]
    got = check(rspamd, (FOLDER / case["file"]).read_bytes(), *args)["dmarc"]
    words = got["result"]
    if words == "fail":
        words += ", policy " + got["disposition"]
    expected = case["dmarc"] if method == "psl" else DEPARTURES.get(case["case"], case["dmarc"])
    assert got["discovery_method"] == method
    assert words == expected, got["reason"]


ZONE = {
    "e.test.": ({"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}, False),
    "_dmarc.e.test.": ({"TXT": ['"v=DMARC1; p=reject; sp=quarantine"']}, False),
    "_dmarc.com.": ({"TXT": ['"v=DMARC1; p=reject; psd=y; rua=mailto:psd@com.test"']}, False),
}


@pytest.fixture(scope="module")
def conf(lab, tmp_path_factory):
    server = Names(lab.ip(), ZONE)
    yield write_conf(tmp_path_factory.mktemp("check"), server)
    server.stop()


def test_spf_vouches(conf):
    got = check(conf, b"From: Anne <anne@mail.e.test>\n\nx\n", "--ip", "192.0.2.1", "--helo", "x", "--mail-from", "a@e.test")
    assert got["spf"]["result"] == "pass" and got["spf"]["mechanism"] == "ip4:192.0.2.1"
    assert got["dmarc"]["result"] == "pass" and got["dmarc"]["spf_aligned"] and got["dmarc"]["policy_domain"] == "e.test"
    assert got["helo"]["result"] == "none"


def test_spoofed(conf):
    got = check(conf, b"From: anne@e.test\n\nx\n", "--ip", "192.0.2.9", "--mail-from", "a@e.test")
    assert got["spf"]["result"] == "fail"
    assert (got["dmarc"]["result"], got["dmarc"]["disposition"]) == ("fail", "reject")
    assert "e.test" in got["dmarc"]["reason"]


def test_two_froms_never_pass(conf):
    got = check(conf, b"From: anne@e.test\nFrom: bob@bank.test\n\nx\n", "--ip", "192.0.2.1", "--mail-from", "a@e.test")
    assert got["dmarc"]["result"] == "permerror"


def test_without_an_address(conf):
    got = check(conf, b"From: anne@e.test\n\nx\n")
    assert got["spf"]["result"] == "none" and got["spf"]["reason"]


def test_difference_from_rfc_7489_is_told(conf):
    got = check(conf, b"From: anne@shop.com\n\nx\n")
    assert got["dmarc"]["policy_domain"] == "com"
    assert "public suffix list" in got["dmarc"]["difference"]


def test_text_tells_each_step(conf):
    text = check(conf, b"From: anne@e.test\n\nx\n", "--ip", "192.0.2.9", "--mail-from", "a@e.test", text=True)
    assert "ip4:192.0.2.1" in text and "dmarc" in text
