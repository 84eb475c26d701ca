"""The whole RFC 7208 suite through `facteur check` against real DNS servers: Knot with each document's zone, and where a
lookup of the zone has to time out, a server that does not answer it."""
import concurrent.futures
import json
import os
import subprocess

import pytest
import yaml

from lab import BIN, DNS_PORT, SHARED, SLOW
from names import Names, knot, spf_zone

SUITE = SHARED / "data" / "spf" / "pyspf" / "rfc7208-tests.yml"
DOCUMENTS = [d for d in yaml.safe_load_all(SUITE.read_bytes().decode("utf-8")) if d] if SUITE.exists() else []
MESSAGE = b"From: a@example.com\r\nSubject: x\r\n\r\nx\r\n"
PARALLEL = 4


def check(conf, *args):
    r = subprocess.run([BIN, "-c", conf, "check", "-", "--json", *args], input=MESSAGE, capture_output=True, timeout=90 * SLOW)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def judge(conf, test):
    args = ["--ip", str(test["host"]), "--mail-from", str(test["mailfrom"])]
    if test.get("helo"):
        args += ["--helo", str(test["helo"])]
    return check(conf, *args)["spf"]


def wrong(name, test, got):
    allowed = test["result"] if isinstance(test["result"], list) else [test["result"]]
    if got["result"] not in [a.lower() for a in allowed]:
        return "%s: %s, not %s: %s" % (name, got["result"], allowed, got["reason"])
    if "explanation" in test and got["result"] == "fail":
        expected = None if test["explanation"] == "DEFAULT" else test["explanation"]
        if got["explanation"] != expected:
            return "%s: explains %r, not %r" % (name, got["explanation"], expected)
    return None


@pytest.mark.skipif(not DOCUMENTS, reason="the suite is not there")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d["description"].replace(" ", "-"))
def test_document(lab, tmp_path, document):
    zone = spf_zone(document["zonedata"])
    ip = lab.ip()
    if any(timeout for _, timeout in zone.values()):
        server = Names(ip, zone)
    else:
        server = knot(os.path.join(str(tmp_path), "knot"), ip, DNS_PORT, zone)
    conf = os.path.join(str(tmp_path), "facteur.conf")
    with open(conf, "w") as f:
        f.write('hostname = "mx.receiver.test"\ndns {\n    servers = {"%s:%d"}\n}\n' % (ip, server.port))
    try:
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            jobs = {name: pool.submit(judge, conf, test) for name, test in document["tests"].items()}
            failures = [wrong(name, document["tests"][name], job.result()) for name, job in jobs.items()]
    finally:
        server.stop()
    failures = [f for f in failures if f]
    assert not failures, "\n".join(failures)
