"""The programs of others that judge and sign mail, each behind the same few functions: dkimpy, pyspf, mailauth (npm) and, behind
milter.py, OpenDKIM; and our own libraries beside them. A verdict of DKIM is (domain, selector, first characters of b=, "pass" or what
else, reason)."""
import base64
import json
import logging
import os
import re
import subprocess
from pathlib import Path

import dkim

from lab import BIN, ROOT

TOOL = Path(BIN).parent / "src" / "mailauth" / "mailauth_tool"
NODE = ROOT / "test" / "node_modules" / "mailauth"
logging.getLogger("dkimpy").setLevel(logging.CRITICAL)


def tool(*args, message=b""):
    r = subprocess.run([str(TOOL), *map(str, args)], input=message, capture_output=True, timeout=600)
    assert r.returncode == 0, (args, r.stderr)
    return r.stdout


def script(zone):
    """The zone {name: {type: [text]}} as dns_new_scripted reads it."""
    lines = []
    for name, records in zone.items():
        for kind, values in records.items():
            for value in values:
                if kind == "TXT":
                    value = " ".join('"%s"' % value[i:i + 250] for i in range(0, len(value), 250)) or '""'
                elif kind == "MX":
                    value = "10 " + value
                lines.append("%s %s %s" % (name, kind, value))
    return "\n".join(lines) + "\n"


class Keys:
    """An RSA and an Ed25519 key with their records, in the forms that each signer wants."""

    def __init__(self, folder):
        self.zone = {}
        self.rsa, rsa = self.make(folder, "rsa")
        self.ed25519, ed25519 = self.make(folder, "ed25519")
        self.records = {"r": rsa, "e": ed25519}
        traditional = subprocess.run(["openssl", "rsa", "-traditional", "-in", self.rsa], capture_output=True, check=True).stdout
        self.rsa_traditional = traditional
        with open(self.rsa + ".traditional", "wb") as f:
            f.write(traditional)
        der = subprocess.run(["openssl", "pkey", "-in", self.ed25519, "-outform", "DER"], capture_output=True, check=True).stdout
        self.ed25519_seed = base64.b64encode(der[-32:])

    @staticmethod
    def make(folder, kind):
        path = os.path.join(str(folder), kind + ".pem")
        return path, "".join(re.findall(r'"([^"]*)"', tool("key", kind, path).decode()))

    def publish(self, domain):
        for selector, text in self.records.items():
            self.zone["%s._domainkey.%s" % (selector, domain)] = {"TXT": [text]}
        return domain


class Dkimpy:
    def __init__(self, zone):
        self.zone = zone

    def txt(self, name, timeout=5):
        name = name.decode("latin-1") if isinstance(name, bytes) else name
        found = self.zone.get(name.rstrip(".").lower(), {}).get("TXT")
        return found[0].encode("latin-1") if found else None

    def verify(self, message):
        out = []
        try:
            d = dkim.DKIM(message, minkey=1024)
            n = len([1 for name, _ in d.headers if name.lower() == b"dkim-signature"])
        except dkim.DKIMException as e:
            return [("", "", "", "unreadable", str(e))]
        for i in range(n):
            d = dkim.DKIM(message, minkey=1024)
            try:
                ok, why = d.verify(idx=i, dnsfunc=self.txt), ""
            except (dkim.DKIMException, ValueError, KeyError, IndexError, TypeError) as e:
                ok, why = False, "%s: %s" % (type(e).__name__, e)
            fields = d.signature_fields
            value = [v for k, v in d.headers if k.lower() == b"dkim-signature"][i]
            b = fields.get(b"b") or (re.findall(rb"\bb\s*=([^;]*)", value) or [b""])[-1]
            out.append((fields.get(b"d", b"").decode("latin-1"), fields.get(b"s", b"").decode("latin-1"),
                        re.sub(rb"\s", b"", b)[:8].decode("latin-1"), "pass" if ok else "fail", why))
        return out

    def arc(self, message):
        try:
            cv, _, why = dkim.arc_verify(message, dnsfunc=self.txt, minkey=1024)
            return cv.decode() if cv else "fail", why
        except (dkim.DKIMException, ValueError, KeyError, IndexError, TypeError) as e:
            return "fail", "%s: %s" % (type(e).__name__, e)


def ours(zone, folder, paths, now):
    """Verdicts of each file by our library."""
    dns = os.path.join(str(folder), "zone.script")
    with open(dns, "w", encoding="latin-1") as f:
        f.write(script(zone))
    out, current = [], []
    for at in range(0, len(paths), 200):
        for line in tool("dkim-verify", dns, now, *paths[at:at + 200]).decode("latin-1").split("\n")[:-1]:
            if not line:
                out.append(current)
                current = []
                continue
            result, domain, selector, _, _, _, _, reason, b = line.split("\t")
            current.append((domain, selector, b, result, reason))
    assert len(out) == len(paths)
    return out


def mailauth(zone, folder, jobs):
    """One answer for each job (see peers.mjs)."""
    z, j = os.path.join(str(folder), "zone.json"), os.path.join(str(folder), "jobs")
    with open(z, "w") as f:
        json.dump({n.lower(): r for n, r in zone.items()}, f)
    with open(j, "w") as f:
        f.write("".join(json.dumps(job) + "\n" for job in jobs))
    r = subprocess.run(["node", str(ROOT / "test" / "peers.mjs"), z, j], capture_output=True, timeout=1200)
    assert r.returncode == 0, r.stderr[-2000:]
    out = [json.loads(line) for line in r.stdout.decode().splitlines()]
    assert len(out) == len(jobs)
    return out


def mailauth_verdicts(answer):
    if "error" in answer:
        return [("", "", "", "unreadable", answer["error"])]
    return [(s["domain"] or "", s["selector"] or "", s["b"][:8], s["result"], s["comment"]) for s in answer["dkim"]]


def opendkim_verdicts(fields):
    """Of the Authentication-Results that OpenDKIM inserts."""
    out = []
    for field in fields:
        text = re.sub(r"\([^)]*\)", "", field.decode("latin-1").replace("\r\n", " "))
        for part in text.split(";")[1:]:
            m = re.match(r"\s*dkim=(\w+)", part)
            if not m or m[1] == "none":
                continue
            prop = {k: v.strip('"') for k, v in re.findall(r'header\.(\w+)=("[^"]*"|\S+)', part)}
            reason = re.search(r'reason="([^"]*)"', part)
            out.append((prop.get("d", ""), prop.get("s", ""), prop.get("b", ""), m[1], reason[1] if reason else ""))
    return out


def opendkim_verify(client, message):
    """OpenDKIM's results field has room for few signatures, and one that it cannot read takes others with it; none covers another: ours
    and our peers' three at a time, others alone."""
    header, end, body = message.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    signatures = [i for i, f in enumerate(fields) if re.match(rb"(?i)dkim-signature[ \t]*:", f)]
    own = [i for i in signatures if re.search(rb"\bd=(ours|dkimpy|mailauth|opendkim)\.test\b", fields[i])]
    out = []
    for kept in [own[at:at + 3] for at in range(0, len(own), 3)] + [[i] for i in signatures if i not in own]:
        part = b"\r\n".join(f for i, f in enumerate(fields) if i in kept or i not in signatures) + end + body
        out += opendkim_verdicts(client.message(part)[1])
    return out
