"""DMARC records and whole evaluations that others recorded (README of the data), by the tree walk of RFC 9989."""
import json

import pytest

import peers
from lab import SHARED

FOLDER = SHARED / "data" / "dmarc"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data is not beside this checkout")


def load(name):
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else []


def record_data(value):
    return value["exchange"] if isinstance(value, dict) else "".join(value)


def evaluate(tmp_path, zone, author, by_spf=(), by_dkim=()):
    path = tmp_path / "zone"
    lines, good = [], {}
    for name, records in zone.items():
        for kind, values in records.items():
            if isinstance(values, dict):
                lines.append("%s %s !temp\n" % (name, kind))
            else:
                good.setdefault(name, {})[kind] = [record_data(v) for v in values]
    path.write_text(peers.script(good) + "".join(lines))
    line = "%s\t%s\t%s" % (author, (list(by_spf) + [""])[0], (list(by_dkim) + [""])[0])
    names = ("result", "policy", "disposition", "policy_domain", "organization", "spf_aligned", "dkim_aligned", "reason")
    return dict(zip(names, peers.tool("dmarc", path, "treewalk", message=line.encode()).decode().rstrip("\n").split("\t")))


@pytest.mark.parametrize("case", load("mailauth-evaluation-vectors.json"), ids=lambda c: c["case"][:60])
def test_evaluation(tmp_path, case):
    for i, evaluation in enumerate(case["evaluations"]):
        given = evaluation["input"]
        authors = given["headerFrom"] if isinstance(given["headerFrom"], list) else [given["headerFrom"]]
        author = ", ".join(a if "@" in a else "a@" + a for a in authors)
        got = evaluate(tmp_path, evaluation["zone"], author, [d["domain"] for d in given.get("spfDomains", [])],
                       [d["domain"] for d in given.get("dkimDomains", [])])
        for expected in case["expect"]:
            subject = expected["subject"].partition(".")
            if subject[0] != "result%d" % i or expected["assert"] != "to.equal":
                continue
            if subject[2] == "status.result":
                assert got["result"] == expected["args"][0], got["reason"]
            elif subject[2] == "policy":  # the one published, or after t=y the one to be applied
                assert expected["args"][0] in (got["policy"], got["disposition"]), got["reason"]


# mox refuses what RFC 9989 §4.8 has ignored: broken values of optional tags, and what came with RFC 7489 alone. What makes a record
# count as none for both is a wrong version, a missing or wrong policy without reports to send, and a tag that is there twice.
@pytest.mark.parametrize("vector", load("mox-record-vectors.json"), ids=lambda v: v["text"][:40] or "empty")
def test_record(tmp_path, vector):
    got = evaluate(tmp_path, {"_dmarc.e.test": {"TXT": [vector["text"]]}}, "a@e.test")
    assert (got["result"] != "none") == vector["valid"], got["reason"]
