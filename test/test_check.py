"""`facteur check` says what the door would do: of one message, of folders, and with name servers that never answer."""
import json
import os
import subprocess
import time

import pytest

from lab import BIN, SLOW
from names import Names

ZONE = {
    "bank.test.": ({"TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}, False),
    "_dmarc.bank.test.": ({"TXT": ['"v=DMARC1; p=reject"']}, False),
    "soft.test.": ({"TXT": ['"v=spf1 ip4:192.0.2.1 ~all"']}, False),
    "_dmarc.soft.test.": ({"TXT": ['"v=DMARC1; p=quarantine"']}, False),
    "1.2.0.192.in-addr.arpa.": ({"PTR": ["mx.bank.test."]}, False),
    "mx.bank.test.": ({"A": ["192.0.2.1"]}, False),
    "slow.test.": ({}, True),
    "_dmarc.slow.test.": ({}, True),
    "s._domainkey.slow.test.": ({}, True),
    "t._domainkey.slow.test.": ({}, True),
    "mail.slow.test.": ({}, True),
    "9.2.0.192.in-addr.arpa.": ({}, True),
}
SPOOFED = b"From: anne@bank.test\nSubject: s\n\nx\n"
LIMIT_S = 4


@pytest.fixture(scope="module")
def server(lab):
    server = Names(lab.ip(), ZONE)
    yield server
    server.stop()


def write_conf(folder, server, *authentication):
    path = os.path.join(str(folder), "facteur.conf")
    with open(path, "w") as f:
        f.write('hostname = "mx.receiver.test"\ndns {\n    servers = {"%s:%d"}\n}\nauthentication {\n    time-limit = %ds\n'
                % (server.ip, server.port, LIMIT_S))
        f.writelines("    %s\n" % line for line in authentication)
        f.write("}\n")
    return path


@pytest.fixture(scope="module")
def conf(server, tmp_path_factory):
    return write_conf(tmp_path_factory.mktemp("judge"), server)


def run(conf, *args, message=b""):
    r = subprocess.run([BIN, "-c", conf, "check", *args], input=message, capture_output=True, timeout=90 * SLOW)
    assert r.returncode == 0, r.stderr
    return r


def judge(conf, message, *args):
    return json.loads(run(conf, "-", "--json", *args, message=message).stdout)


def test_the_action_and_why(conf):
    got = judge(conf, SPOOFED, "--ip", "192.0.2.10", "--helo", "x y", "--mail-from", "a@soft.test")
    assert got["action"] == "reject" and got["reply"] == {"code": 550, "status": "5.7.26"}
    assert "bank.test" in got["action_reason"] and "SPF softfail for soft.test" in got["action_reason"]
    assert got["helo"]["note"] == "the HELO name is not a host name"
    assert "dmarc=fail" in got["authentication_results"] and "header.from=bank.test" in got["authentication_results"]
    got = judge(conf, SPOOFED, "--ip", "192.0.2.1", "--helo", "mx.bank.test", "--mail-from", "a@bank.test")
    assert (got["action"], got["action_reason"], got["helo"]["note"]) == ("accept", None, "")
    assert got["iprev"] == {"result": "pass", "reason": "the address has a name that leads back to it", "name": "mx.bank.test"}
    assert "'ip4:192.0.2.1' of bank.test" in got["authentication_results"]
    assert got["arc"]["reason"] == "the message has no ARC sets"
    assert judge(conf, b"From: a@soft.test\n\nx\n")["action"] == "junk"
    in_brackets = judge(conf, SPOOFED, "--ip", "192.0.2.1", "--helo", "mx.bank.test", "--mail-from", "<a@bank.test>")
    assert (in_brackets["spf"]["result"], in_brackets["spf"]["domain"]) == ("pass", "bank.test")


def test_the_settings_of_the_door_count(server, tmp_path):
    conf = write_conf(tmp_path, server, "enforce = false")
    got = judge(conf, SPOOFED, "--ip", "192.0.2.10")
    assert (got["action"], got["dmarc"]["result"], got["dmarc"]["override"]) == ("accept", "fail", "local_policy")
    conf = write_conf(tmp_path, server, 'trusted-forwarders = "192.0.2.8/30"')
    got = judge(conf, SPOOFED, "--ip", "192.0.2.10")
    assert (got["action"], got["dmarc"]["result"], got["dmarc"]["override"]) == ("accept", "fail", "trusted_forwarder")
    assert judge(conf, SPOOFED, "--ip", "192.0.2.20")["action"] == "reject"


def test_a_pipe_has_a_name(conf, tmp_path):
    assert json.loads(run(conf, "/dev/stdin", "--json", message=SPOOFED).stdout)["action"] == "reject"
    assert json.loads(run(conf, "/dev/null", "--json").stdout)["dmarc"]["reason"] == "the message has no From field"


def test_folders(conf, tmp_path):
    (tmp_path / "in" / "cur").mkdir(parents=True)
    for i in range(50):
        (tmp_path / "in" / "cur" / ("%03d.eml" % i)).write_bytes(SPOOFED if i % 2 else b"From: b@soft.test\n\nx\n")
    (tmp_path / "in" / ".hidden").write_bytes(SPOOFED)
    (tmp_path / "in" / "none").write_bytes(b"From: c@nobody.test\n\n")
    folder = str(tmp_path / "in")
    r = run(conf, folder, "--json", "--ip", "192.0.2.10")
    got = [json.loads(line) for line in r.stdout.decode().splitlines()]
    assert [os.path.relpath(g["file"], folder) for g in got] == ["cur/%03d.eml" % i for i in range(50)] + ["none"]
    assert [g["action"] for g in got] == ["junk", "reject"] * 25 + ["accept"]
    assert b"51 messages" in r.stderr and b"a second" in r.stderr
    lines = run(conf, folder + "/none", folder + "/cur/001.eml", "--ip", "192.0.2.10").stdout.decode().splitlines()
    assert run(conf, folder + "/", "--ip", "192.0.2.10").stdout.decode().splitlines()[-1] == lines[0]
    assert lines[0].startswith(folder + "/none: accept, ") and "/cur/001.eml: reject, " in lines[1] and len(lines) == 2


def test_a_file_that_cannot_be_read_does_not_end_it(conf, tmp_path):
    (tmp_path / "a").write_bytes(SPOOFED)
    r = subprocess.run([BIN, "-c", conf, "check", str(tmp_path / "gone"), str(tmp_path / "a")], capture_output=True, timeout=60)
    assert r.returncode == 1 and b"no such file" in r.stderr and b"/a: reject" in r.stdout


def test_dead_name_servers_cost_the_limit_once(conf):
    signatures = b"".join(b"DKIM-Signature: v=1; a=rsa-sha256; d=slow.test; s=%s; h=from; bh=%s; b=AAAA\n" % (s, b"A" * 43 + b"=")
                          for s in (b"s", b"t", b"s"))
    start = time.monotonic()
    got = judge(conf, signatures + b"From: a@slow.test\n\nx\n", "--ip", "192.0.2.9", "--helo", "mail.slow.test", "--mail-from", "a@slow.test")
    assert time.monotonic() - start < LIMIT_S + 3 * SLOW
    assert (got["spf"]["result"], got["iprev"]["result"]) == ("temperror", "temperror")
    assert [d["result"] for d in got["dkim"]] == ["temperror"] * 3
    assert (got["dmarc"]["result"], got["action"]) == ("temperror", "accept")


def test_a_strangers_dead_server_hides_no_policy(conf):
    got = judge(conf, b"DKIM-Signature: v=1; a=rsa-sha256; d=slow.test; s=s; h=from; bh=%s; b=AAAA\n" % (b"A" * 43 + b"=") + SPOOFED,
                "--ip", "192.0.2.9", "--helo", "mail.slow.test", "--mail-from", "a@slow.test")
    assert got["spf"]["result"] == "temperror" and got["dkim"][0]["result"] == "temperror"
    assert (got["dmarc"]["result"], got["action"]) == ("fail", "reject")
