"""Outgoing TLS: MTA-STS, DANE, REQUIRETLS and the settings of our own, against hosts and name servers that lie."""
import glob
import json
import os
import subprocess

import pytest

from lab import BIN, SHARED

TOOL = os.path.join(os.path.dirname(BIN), "src", "policy", "mta_sts_tool")
DATA = SHARED / "data" / "mta-sts"


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
