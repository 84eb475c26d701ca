"""DKIM signatures and key records made by hand, one rule of RFC 6376, RFC 8301 or RFC 8463 each, through mailauth_tool. The signer here is
written from the RFC alone and shares nothing with ours."""
import base64
import hashlib
import re
import subprocess

import pytest

from peers import script, tool

NOW = 1_700_000_000
HEADER = b"From: Anne <anne@ici.test>\r\nTo: bob@labas.test\r\nSubject: one  two\r\n\tthree\r\n"
BODY = b"Hello  there \r\n\r\nbye\r\n\r\n\r\n"


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    out = {}
    for name, args in (("rsa", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")), ("ed25519", ("-algorithm", "ed25519")),
                       ("small", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:768")),
                       ("least", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"))):
        path = str(folder / (name + ".pem"))
        subprocess.run(["openssl", "genpkey", *args, "-out", path], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        out[name] = (path, der)
    return out


def canonical_field(field, relaxed):
    if not relaxed:
        return field
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def canonical_body(body, relaxed):
    if relaxed:
        body = re.sub(rb"[ \t]+\r\n", b"\r\n", re.sub(rb"[ \t]+", b" ", body))
    body = re.sub(rb"(\r\n)*\Z", b"", body)
    return body + b"\r\n" if body or not relaxed else b""


def sign(pems, template, header=HEADER, body=BODY, key="rsa", h="from:to:subject", canon="relaxed/relaxed", length=None):
    """The message with the signature whose tags `template` gives: {bh} and {b} are where those go."""
    path, _ = pems[key]
    relaxed = [c == "relaxed" for c in canon.split("/")]
    text = canonical_body(body, relaxed[1])
    bh = base64.b64encode(hashlib.sha256(text[:length]).digest()).decode()
    field = template if ":" in template.split("=")[0] else "DKIM-Signature: " + template
    field = field.replace("{bh}", bh)
    fields = re.findall(rb"[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*", header)
    data = b""
    left = list(fields)
    for name in h.lower().split(":"):
        for f in reversed(left):
            if f.partition(b":")[0].strip().lower().decode() == name.strip():
                left.remove(f)
                data += canonical_field(f[:-2], relaxed[0]) + b"\r\n"
                break
    data += canonical_field(re.sub(r"\s*\{b\}\s*", "", field).encode(), relaxed[0])  # §3.7: with the white space around
    if key == "ed25519":
        with open(path + ".digest", "wb") as f:
            f.write(hashlib.sha256(data).digest())
        b = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", path, "-rawin", "-in", path + ".digest"], check=True, capture_output=True).stdout
    else:
        b = subprocess.run(["openssl", "dgst", "-sha256", "-sign", path], input=data, check=True, capture_output=True).stdout
    return field.replace("{b}", base64.b64encode(b).decode()).encode() + b"\r\n" + header + b"\r\n" + body


def verdict(tmp_path, pems, message, record=None, key="rsa", name="s._domainkey.ici.test"):
    der = pems[key][1]
    if key == "ed25519":
        der = der[-32:]
    p = base64.b64encode(der).decode()
    records = [r.replace("{p}", p) for r in (record if isinstance(record, list) else [record if record is not None else "v=DKIM1; k=%s; p={p}" % ("ed25519" if key == "ed25519" else "rsa")])]
    path = tmp_path / "dns"
    path.write_text(script({name: {"TXT": records}}))
    line = tool("dkim-verify", path, NOW, message=message).decode().split("\n")[0].split("\t")
    return line[0], line[5], line[7]


T = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=ici.test; s=s; h=from:to:subject; bh={bh}; b={b}"
LONGEST = "9" * 76

# name: (template, result, how it was signed)
SIGNATURES = {
    "plain": (T, "pass", {}),
    "unknown tag": (T.replace("v=1;", "v=1; unknown=x;"), "pass", {}),
    "empty value": (T.replace("v=1;", "v=1; z=;"), "pass", {}),
    "semicolon at the end": (T + ";", "pass", {}),
    "semicolon and fold at the end": (T + ";\r\n ", "pass", {}),
    "semicolon first": (";" + T, "neutral", {}),
    "two semicolons": (T.replace("v=1;", "v=1;;"), "neutral", {}),
    "no equals": (T.replace("v=1;", "v=1; x;"), "neutral", {}),
    "tag twice": (T.replace("v=1;", "v=1; q=dns/txt; q=dns/txt;"), "neutral", {}),
    "tag in capitals is another": (T.replace("d=ici", "D=ici"), "neutral", {}),
    "tag in capitals beside it": (T.replace("v=1;", "v=1; D=x;"), "pass", {}),
    "version 2": (T.replace("v=1", "v=2"), "neutral", {}),
    "version missing": (T.replace("v=1; ", ""), "neutral", {}),
    "version 1.0": (T.replace("v=1", "v=1.0"), "neutral", {}),
    "version later": ("a=rsa-sha256; v=1; " + T.split("; ", 2)[2], "pass", {}),
    "blanks around everything": (T.replace("=rsa", " =\r\n\t rsa").replace("; d=", " ;\r\n  d = "), "pass", {}),
    "b first": ("b={b}; " + T.replace("; b={b}", ""), "pass", {}),
    "b in the middle, folded before": (T.replace("; b={b}", "").replace("d=ici", "b=\r\n\t{b}\r\n ; d=ici"), "pass", {}),
    "c missing": (T.replace("c=relaxed/relaxed; ", ""), "pass", {"canon": "simple/simple"}),
    "c for the header only": (T.replace("relaxed/relaxed", "relaxed"), "pass", {"canon": "relaxed/simple"}),
    "c simple for the header only": (T.replace("relaxed/relaxed", "simple"), "pass", {"canon": "simple/simple"}),
    "c simple/relaxed": (T.replace("relaxed/relaxed", "simple/relaxed"), "pass", {"canon": "simple/relaxed"}),
    "c unknown": (T.replace("relaxed/relaxed", "relaxed/nofws"), "neutral", {}),
    "c with an empty half": (T.replace("relaxed/relaxed", "relaxed/"), "neutral", {}),
    "a unknown": (T.replace("rsa-sha256", "rsa-sha512"), "neutral", {}),
    "a missing": (T.replace("a=rsa-sha256; ", ""), "neutral", {}),
    "a is rsa-sha1": (T.replace("rsa-sha256", "rsa-sha1"), "fail", {}),
    "h missing": (T.replace("h=from:to:subject; ", ""), "neutral", {}),
    "h empty": (T.replace("h=from:to:subject", "h="), "permerror", {"h": ""}),
    "h without From": (T.replace("from:to:subject", "to:subject"), "permerror", {"h": "to:subject"}),
    "h in capitals": (T.replace("from:to:subject", "FROM:To:sUBJECT"), "pass", {}),
    "h with folds": (T.replace("from:to:subject", " from :\r\n\tto:\r\n subject "), "pass", {}),
    "h with what is not there": (T.replace("from:to", "from:from:cc:to"), "pass", {"h": "from:from:cc:to:subject"}),
    "h with itself": (T.replace("from:to", "dkim-signature:from:to"), "pass", {}),
    "d missing": (T.replace("d=ici.test; ", ""), "neutral", {}),
    "d empty": (T.replace("d=ici.test", "d="), "neutral", {}),
    "d in capitals": (T.replace("d=ici.test", "d=ICI.Test"), "pass", {}),
    "d with a dot at its end": (T.replace("d=ici.test", "d=ici.test."), "pass", {}),
    "s missing": (T.replace("s=s; ", ""), "neutral", {}),
    "i below d": (T.replace("s=s;", "s=s; i=@mail.ici.test;"), "pass", {}),
    "i with a local part": (T.replace("s=s;", "s=s; i=anne@ici.test;"), "pass", {}),
    "i in capitals": (T.replace("s=s;", "s=s; i=@ICI.TEST;"), "pass", {}),
    "i quoted": (T.replace("s=s;", "s=s; i=a=3Db=40c@ici.test;"), "pass", {}),
    "i elsewhere": (T.replace("s=s;", "s=s; i=@labas.test;"), "permerror", {}),
    "i ends like d": (T.replace("s=s;", "s=s; i=@merici.test;"), "permerror", {}),
    "i above d": (T.replace("s=s;", "s=s; i=@test;"), "permerror", {}),
    "i without at": (T.replace("s=s;", "s=s; i=ici.test;"), "permerror", {}),
    "q": (T.replace("s=s;", "s=s; q=dns/txt;"), "pass", {}),
    "q among others": (T.replace("s=s;", "s=s; q=http : dns/txt;"), "pass", {}),
    "q unknown": (T.replace("s=s;", "s=s; q=http;"), "neutral", {}),
    "t later than now": (T.replace("s=s;", "s=s; t=%d;" % (NOW + 9)), "pass", {}),
    "t is no number": (T.replace("s=s;", "s=s; t=yesterday;"), "neutral", {}),
    "t negative": (T.replace("s=s;", "s=s; t=-1;"), "neutral", {}),
    "x to come": (T.replace("s=s;", "s=s; t=%d; x=%d;" % (NOW - 9, NOW + 9)), "pass", {}),
    "x alone": (T.replace("s=s;", "s=s; x=%d;" % (NOW + 9)), "pass", {}),
    "x gone by": (T.replace("s=s;", "s=s; t=%d; x=%d;" % (NOW - 9, NOW - 1)), "permerror", {}),
    "x before t": (T.replace("s=s;", "s=s; t=%d; x=%d;" % (NOW + 9, NOW + 1)), "neutral", {}),
    "x is t": (T.replace("s=s;", "s=s; t=%d; x=%d;" % (NOW + 9, NOW + 9)), "neutral", {}),
    "x has twelve digits": (T.replace("s=s;", "s=s; x=999999999999;"), "pass", {}),
    "l none of it": (T.replace("s=s;", "s=s; l=0;"), "pass", {"length": 0}),
    "l part of it": (T.replace("s=s;", "s=s; l=5;"), "pass", {"length": 5}),
    "l all of it": (T.replace("s=s;", "s=s; l=20;"), "pass", {"length": 20}),
    "l more than there is": (T.replace("s=s;", "s=s; l=21;"), "permerror", {}),
    "l longest": (T.replace("s=s;", "s=s; l=%s;" % LONGEST), "permerror", {}),
    "l too long": (T.replace("s=s;", "s=s; l=1%s;" % LONGEST), "neutral", {}),
    "l negative": (T.replace("s=s;", "s=s; l=-5;"), "neutral", {}),
    "l empty": (T.replace("s=s;", "s=s; l=;"), "neutral", {}),
    "bh folded": (T.replace("bh={bh}", "bh=\r\n {bh} \r\n\t"), "pass", {}),
    "bh missing": (T.replace("bh={bh}; ", ""), "neutral", {}),
    "bh of something else": (T.replace("{bh}", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), "fail", {}),
    "bh no base64": (T.replace("{bh}", "!!!!"), "neutral", {}),
    "b missing": (T.replace("; b={b}", ""), "neutral", {}),
    "b empty": (T.replace("{b}", ""), "neutral", {}),
    "b no base64": (T.replace("{b}", "(x)"), "neutral", {}),
    "z is not looked at": (T.replace("s=s;", "s=s; z=From:eve=40e.test|To:x;"), "pass", {}),
    "name in lower case": ("dkim-signature:" + T, "pass", {}),
    "name in lower case, simple": ("dkim-signature:" + T.replace("relaxed/relaxed", "simple/simple"), "pass", {"canon": "simple/simple"}),
    "blanks before the colon": ("DKIM-Signature \t:" + T, "pass", {}),
    "blanks before the colon, simple": ("DKIM-Signature \t: " + T.replace("relaxed/relaxed", "simple/simple"), "pass", {"canon": "simple/simple"}),
    "begins with a fold": ("DKIM-Signature:\r\n\t" + T, "pass", {}),
    "ed25519": (T.replace("rsa", "ed25519"), "pass", {"key": "ed25519"}),
    "768 bits": (T, "permerror", {"key": "small"}),
    "1024 bits": (T, "pass", {"key": "least"}),
    "empty body": (T, "pass", {"body": b""}),
    "empty body, simple": (T.replace("relaxed/relaxed", "simple/simple"), "pass", {"body": b"", "canon": "simple/simple"}),
    "blank body": (T, "pass", {"body": b" \t \r\n"}),
    "control byte": (T.replace("s=s;", "s=s; n=a\x01b;"), "neutral", {}),
    "UTF-8 in a value": (T.replace("s=s;", "s=s; n=é;"), "pass", {}),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(tmp_path, pems, name):
    template, expected, how = SIGNATURES[name]
    message = sign(pems, template, **how)
    result, cover, reason = verdict(tmp_path, pems, message, key=how.get("key", "rsa"))
    assert result == expected, reason
    if expected == "pass":
        assert cover == ("partial" if "length" in how else "whole")
        changed = message.replace(b"Anne", b"Eve")
        assert verdict(tmp_path, pems, changed, key=how.get("key", "rsa"))[0] == "fail"


def test_what_oversigning_forbids(tmp_path, pems):
    message = sign(pems, T.replace("from:to", "from:from:cc:to"), h="from:from:cc:to:subject")
    for field in (b"From: eve@e.test\r\n", b"Cc: eve@e.test\r\n"):
        assert verdict(tmp_path, pems, message.replace(b"To:", field + b"To:"))[0] == "fail"
    assert verdict(tmp_path, pems, message.replace(b"To:", b"Bcc: x@e.test\r\nTo:"))[0] == "pass"


def test_fields_are_taken_from_the_bottom(tmp_path, pems):
    header = b"Subject: third\r\nSubject: second\r\nSubject: first\r\nFrom: anne@ici.test\r\n"
    message = sign(pems, T.replace("from:to:subject", "from:subject:subject"), header=header, h="from:subject:subject")
    assert verdict(tmp_path, pems, message)[0] == "pass"
    assert verdict(tmp_path, pems, message.replace(b"third", b"other"))[0] == "pass"
    for word in (b"first", b"second"):
        assert verdict(tmp_path, pems, message.replace(word, b"other"))[0] == "fail"


RECORDS = {
    "plain": ("v=DKIM1; k=rsa; p={p}", "pass"),
    "p alone": ("p={p}", "pass"),
    "v alone before": ("v=DKIM1;p={p};", "pass"),
    "blanks": (" v = DKIM1 ; p = {p} ; ", "pass"),
    "v not first": ("p={p}; v=DKIM1", "permerror"),
    "v in lower case": ("v=dkim1; p={p}", "permerror"),
    "another version": ("v=DKIM2; p={p}", "permerror"),
    "revoked": ("v=DKIM1; p=", "permerror"),
    "revoked, with blanks": ("v=DKIM1; p= ; n=gone", "permerror"),
    "p missing": ("v=DKIM1; k=rsa", "permerror"),
    "p twice": ("p={p}; p={p}", "permerror"),
    "p is no base64": ("v=DKIM1; p=***", "permerror"),
    "p is no key": ("v=DKIM1; p=aGVsbG8gd29ybGQ=", "permerror"),
    "unknown tag": ("v=DKIM1; new=x; p={p}", "pass"),
    "notes": ("v=DKIM1; n=we=20sign; p={p}", "pass"),
    "g of RFC 4871": ("v=DKIM1; g=nobody; p={p}", "pass"),
    "k unknown": ("v=DKIM1; k=dsa; p={p}", "permerror"),
    "k of another kind": ("v=DKIM1; k=ed25519; p={p}", "permerror"),
    "h sha256": ("v=DKIM1; h=sha256; p={p}", "pass"),
    "h sha1": ("v=DKIM1; h=sha1; p={p}", "permerror"),
    "h both": ("v=DKIM1; h=sha1 : sha256; p={p}", "pass"),
    "h with unknown ones": ("v=DKIM1; h=sha3:sha256; p={p}", "pass"),
    "s email": ("v=DKIM1; s=email; p={p}", "pass"),
    "s all": ("v=DKIM1; s=*; p={p}", "pass"),
    "s of something else": ("v=DKIM1; s=tlsrpt; p={p}", "permerror"),
    "s among others": ("v=DKIM1; s=tlsrpt:email; p={p}", "pass"),
    "t unknown": ("v=DKIM1; t=z; p={p}", "pass"),
    "t y": ("v=DKIM1; t=y; p={p}", "pass"),
    "empty": ("", "permerror"),
    "no list": ("hello world", "permerror"),
    "two semicolons": ("v=DKIM1;; p={p}", "permerror"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_key_record(tmp_path, pems, name):
    record, expected = RECORDS[name]
    assert verdict(tmp_path, pems, sign(pems, T), record)[0] == expected


@pytest.mark.parametrize("flags,identity,expected", [
    ("s", "@ici.test", "pass"), ("s", "@mail.ici.test", "permerror"), ("y:s", "@mail.ici.test", "permerror"), (" y : s ", "@mail.ici.test", "permerror"),
    ("s", "anne@ICI.test", "pass"), ("y", "@mail.ici.test", "pass"), ("S", "@mail.ici.test", "pass"), ("", "@mail.ici.test", "pass")])
def test_strict_key(tmp_path, pems, flags, identity, expected):
    message = sign(pems, T.replace("s=s;", "s=s; i=%s;" % identity))
    assert verdict(tmp_path, pems, message, "v=DKIM1; t=%s; p={p}" % flags)[0] == expected


def test_other_texts_at_the_name(tmp_path, pems):
    message = sign(pems, T)
    assert verdict(tmp_path, pems, message, ["v=spf1 -all", "v=DKIM1; p={p}"])[0] == "pass"
    assert verdict(tmp_path, pems, message, ["v=DKIM1; p=", "v=DKIM1; p=aGVsbG8="])[0] == "permerror"


def test_rsa_key_as_the_rfc_names_it(tmp_path, pems):
    """RFC 6376 §3.6.1 says RSAPublicKey, its examples and everybody have SubjectPublicKeyInfo around it."""
    path, _ = pems["rsa"]
    der = subprocess.run(["openssl", "rsa", "-in", path, "-RSAPublicKey_out", "-outform", "DER"], check=True, capture_output=True).stdout
    assert verdict(tmp_path, pems, sign(pems, T), "v=DKIM1; p=" + base64.b64encode(der).decode())[0] == "pass"


def test_ed25519_key(tmp_path, pems):
    message = sign(pems, T.replace("rsa", "ed25519"), key="ed25519")
    assert verdict(tmp_path, pems, message, "v=DKIM1; k=ed25519; p={p}", key="ed25519")[0] == "pass"
    assert verdict(tmp_path, pems, message, "v=DKIM1; p={p}", key="ed25519")[0] == "permerror"
    wrapped = base64.b64encode(pems["ed25519"][1]).decode()  # RFC 8463 §4.2: the bare 32 bytes
    assert verdict(tmp_path, pems, message, "v=DKIM1; k=ed25519; p=" + wrapped)[0] == "permerror"
