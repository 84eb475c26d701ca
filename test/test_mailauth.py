"""DKIM and ARC against the published samples and against dkimpy, both ways, through build/src/mailauth/mailauth_tool."""
import base64
import hashlib
import os
import re
import subprocess
from pathlib import Path

import dkim
import pytest
import yaml

from lab import BIN, SHARED

TOOL = Path(BIN).parent / "src" / "mailauth" / "mailauth_tool"
DKIM = SHARED / "data" / "dkim"
ARC = SHARED / "data" / "arc" / "valimail"
NOW = 1_400_000_000

pytestmark = pytest.mark.skipif(not DKIM.exists(), reason="no sample data here")


def script(records):
    """Answers for dns_new_scripted: {name: text or None (no such name) or "!temp"}."""
    lines = []
    for name, text in records.items():
        if text is None:
            continue
        if text == "!temp":
            lines.append("%s TXT !temp" % name)
            continue
        text = text.replace("\n", " ")
        strings = [text[i:i + 250] for i in range(0, len(text), 250)] or [""]
        lines.append("%s TXT %s" % (name, " ".join('"%s"' % s for s in strings)))
    return "\n".join(lines) + "\n"


def run(*args, message=b"", ok=True):
    r = subprocess.run([str(TOOL), *map(str, args)], input=message, capture_output=True, timeout=60)
    if ok:
        assert r.returncode == 0, r.stderr
    return r.stdout


@pytest.fixture
def verify(tmp_path):
    def go(message, records, now=NOW):
        path = tmp_path / "dns"
        path.write_text(script(records))
        out = run("dkim-verify", path, now, message=message).decode()
        names = ("result", "domain", "selector", "algorithm", "bits", "cover", "identity", "reason", "b")
        return [dict(zip(names, line.split("\t"))) for line in out.splitlines()]
    return go


def results(verdicts):
    return [v["result"] for v in verdicts]


# --- samples ---

def fake_dns():
    records = {}
    for line in (DKIM / "mail-dkim" / "FAKE_DNS.dat").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.partition(" ")
        value = value.strip()
        records[name] = None if value == "NXDOMAIN" else "!temp" if value.startswith("~~") else value
    return records


def mail_dkim():
    table = DKIM / "mail-dkim" / "expected.tsv"
    for line in table.read_text().splitlines() if table.exists() else ():
        if not line.startswith("#"):
            yield line.split("\t")


# Decided by RFC 6376, 8301 and 8463 where Mail-DKIM, older or wider, says otherwise: rsa-sha1 fails, drafts without v=1 are not
# DKIM, DomainKeys neither.
@pytest.mark.parametrize("name,expected,remark,dkimpy", list(mail_dkim()), ids=lambda v: None)
def test_mail_dkim(verify, name, expected, remark, dkimpy):
    message = (DKIM / "mail-dkim" / name).read_bytes()
    header = re.split(rb"\r?\n\r?\n", message)[0]
    unfolded = re.sub(rb"\r?\n(?=[ \t])", b"", header)
    signatures = re.findall(rb"(?im)^dkim-signature[ \t]*:(.*)$", unfolded)
    got = verify(message, fake_dns())
    assert len(got) == len(signatures)
    for verdict, field in zip(got, signatures):
        if not re.search(rb"(^|;)\s*v\s*=\s*1\s*;", field):
            assert verdict["result"] == "neutral", verdict
        elif re.search(rb"a\s*=\s*rsa-sha1", field):
            assert verdict["result"] in ("fail", "neutral"), verdict
        elif expected == "invalid":
            assert verdict["result"] in ("neutral", "permerror"), verdict
        else:
            assert verdict["result"] == expected, verdict


FOOTBALL = {  # RFC 8463 Appendix A.2
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com":
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qv"
        "x/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}


@pytest.mark.parametrize("path,expected", [
    ("mimekit/rfc8463-example.msg", ["pass", "pass"]),
    ("dkimpy/rfc6376.signed.msg", ["pass", "pass"]),
    ("dkimpy/rfc6376.signed.rsa.msg", ["pass"]),
])
def test_rfc8463(verify, path, expected):
    message = (DKIM / path).read_bytes()
    assert results(verify(message, FOOTBALL)) == expected
    assert results(verify(message.replace(b"hungry", b"sleepy"), FOOTBALL)) == ["fail"] * len(expected)


def test_gmail(verify):
    key = "".join((DKIM / "mimekit" / "gmail.pub").read_text().splitlines()[1:-1])
    message = (DKIM / "mimekit" / "gmail.msg").read_bytes()
    got = verify(message, {"20120113._domainkey.gmail.com": "k=rsa; p=" + key})
    assert results(got) == ["pass"], got


def test_ed25519_sample(verify):
    key = (DKIM / "dkimpy" / "ed25519test.dns").read_text()
    key = key[key.index("k="):].strip()
    got = verify((DKIM / "dkimpy" / "ed25519test2.msg").read_bytes(), {"sed._domainkey.test.ex": key})
    assert len(got) == 1 and got[0]["algorithm"] == "ed25519-sha256"


@pytest.mark.parametrize("kind", ["simple", "relaxed"])
def test_canonicalisation(kind):
    folder = DKIM / "canonicalisation-flanker"
    for path in sorted(folder.glob("email.*")):
        expected = (folder / ("%s.expected.%s" % (kind, path.suffix[1:])))
        if not expected.exists():
            continue
        want = expected.read_bytes()
        header, _, body = (b"", b"", want[2:]) if want.startswith(b"\r\n") else want.partition(b"\r\n\r\n")
        header = header + b"\r\n\r\n" if header else b"\r\n"
        assert run("canonical", kind, message=path.read_bytes()) == header + hashlib.sha256(body).hexdigest().encode(), path


# --- dkimpy, both ways ---

MESSAGES = sorted((DKIM / "dkimpy").glob("*.message")) + sorted((DKIM / "dkimpy").glob("rfc6376.msg"))
KEY = DKIM / "dkimpy" / "2048_testkey.key"


def make_key(tmp_path, kind):
    path = tmp_path / (kind + ".pem")
    zone = run("key", kind, path).decode()
    return path, "".join(re.findall(r'"([^"]*)"', zone))


def dnsfunc(records):
    def txt(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        return records.get(name.rstrip("."), "").encode() or None
    return txt


@pytest.fixture
def keys(tmp_path):
    rsa, rsa_txt = make_key(tmp_path, "rsa")
    ed, ed_txt = make_key(tmp_path, "ed25519")
    return rsa, ed, {"r._domainkey.ici.test": rsa_txt, "e._domainkey.ici.test": ed_txt}


def samples():
    for folder, pattern in (("dkim/dkimpy", "*.message"), ("dkim/mail-dkim", "*.txt"), ("dkim/mimekit", "*.msg"),
                            ("mail-corpus", "**/*.eml")):
        for path in sorted((SHARED / "data" / folder).glob(pattern))[:25]:
            message = path.read_bytes()
            if re.search(rb"(?im)^from[ \t]*:", message.split(b"\n\n")[0].split(b"\r\n\r\n")[0]):
                yield message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_what_we_sign_verifies(verify, keys):
    rsa, ed, records = keys
    for message in samples():
        signed = run("dkim-sign", "ici.test", "r", NOW, rsa, "e", ed, message=message)
        assert signed.endswith(message)
        assert all(len(line) <= 78 for line in signed[:len(signed) - len(message)].split(b"\r\n"))
        assert results(verify(signed, records))[:2] == ["pass", "pass"]
        for i in (0, 1):
            assert dkim.DKIM(signed).verify(idx=i, dnsfunc=dnsfunc(records))


def test_nothing_can_be_added(verify, keys):
    rsa, ed, records = keys
    message = b"From: a@ici.test\r\nTo: b@ici.test\r\nSubject: s\r\n\r\nbody\r\n"
    signed = run("dkim-sign", "ici.test", "r", NOW, rsa, "e", ed, message=message)
    for field in ("From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "MIME-Version", "Content-Type"):
        for changed in (field.encode() + b": x@y\r\n" + signed, signed.replace(b"Subject: s", b"Subject: s\r\n" + field.encode() + b": x@y")):
            assert results(verify(changed, records)) == ["fail", "fail"], field
    assert results(verify(signed + b"more\r\n", records)) == ["fail", "fail"]
    assert results(verify(b"List-Id: <l.test>\r\n" + signed + b"\r\n\r\n", records)) == ["pass", "pass"]


@pytest.mark.parametrize("canon", [(h, b) for h in (b"simple", b"relaxed") for b in (b"simple", b"relaxed")])
@pytest.mark.parametrize("length", [False, True])
def test_what_dkimpy_signs_verifies(verify, keys, canon, length):
    rsa, _, records = keys
    pem = rsa.read_bytes()
    traditional = subprocess.run(["openssl", "rsa", "-traditional"], input=pem, capture_output=True, check=True).stdout
    for message in samples():
        try:
            field = dkim.sign(message, b"r", b"ici.test", traditional, canonicalize=canon, length=length)
        except dkim.DKIMException:
            continue
        got = verify(field + message, records)[0]
        assert (got["result"], got["cover"]) == ("pass", "partial" if length else "whole"), (got, message[:200])
        if not message.partition(b"\r\n\r\n")[2].strip() or not message.endswith(b"\r\n"):
            continue
        with_more = verify(field + message + b"appended\r\n", records)[0]
        assert with_more["result"] == ("pass" if length else "fail")


# --- ARC ---

def arc_cases(name, *wanted):
    for document in yaml.safe_load_all((ARC / name).read_text()) if ARC.exists() else ():
        for key, case in (document or {}).get("tests", {}).items():
            yield pytest.param(document, case, id=key)


def records(document):
    return {name.rstrip("."): text.strip() for name, text in (document.get("txt-records") or {}).items()}


@pytest.mark.parametrize("document,case", list(arc_cases("arc-draft-validation-tests.yml")))
def test_arc_validation(tmp_path, document, case):
    (tmp_path / "dns").write_text(script(records(document)))
    out = run("arc-verify", tmp_path / "dns", message=(case["message"] or "").encode()).decode()
    expected = (case["cv"] or "").strip().lower() or "fail"
    assert out.split("\t")[0] == expected, out


def tags(value):
    return {k.strip(): re.sub(r"\s", "", v) for k, v in (t.split("=", 1) for t in value.strip().strip(";").split(";") if "=" in t)}


@pytest.mark.parametrize("document,case", list(arc_cases("arc-draft-sign-tests.yml")))
def test_arc_sealing(tmp_path, document, case):
    (tmp_path / "dns").write_text(script(records(document)))
    (tmp_path / "key").write_text(document["privatekey"])
    message = case["message"].encode()
    args = ["arc-seal", tmp_path / "dns", document["domain"], document["sel"], case["t"], tmp_path / "key", case["srv-id"],
            case["sig-headers"]]
    if not case["AS"]:
        r = subprocess.run([str(TOOL), *map(str, args)], input=message, capture_output=True, timeout=60)
        assert r.returncode == 1 and r.stderr == b"denied\n"
        return
    out = run(*args, message=message).decode()
    assert out.endswith(case["message"])
    fields = dict(re.findall(r"(ARC-[A-Za-z-]+): ((?:.|\r\n[ \t])*)\r\n", out[:len(out) - len(case["message"])]))
    assert fields["ARC-Authentication-Results"].split() == case["AAR"].split()
    assert tags(fields["ARC-Message-Signature"]) == tags(case["AMS"])
    assert tags(fields["ARC-Seal"]) == tags(case["AS"])
    if "cv=fail" not in case["AS"]:
        sealed = out.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        assert run("arc-verify", tmp_path / "dns", message=sealed).decode().split("\t")[0] == "pass"
        assert dkim.arc_verify(sealed, dnsfunc=dnsfunc(records(document)))[0] == b"pass"
