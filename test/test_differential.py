"""Our verdicts beside those of others' programs: pyspf, dkimpy, mailauth (npm), OpenDKIM, OpenDMARC. Every message of the shared data is
signed by each signer in every canonicalisation, changed in small ways, and verified by each; SPF and DMARC are asked about random
records that a seed repeats. Where two differ, the difference must be one that docs/differences.md explains by RFC.
A part of it runs always; all of it with FACTEUR_LONG=1 (./check --long)."""
import collections
import json
import os
import random
import re
import subprocess
import time

import dkim
import pytest
import spf

import generate
import milter
import peers
from lab import BIN, IS_ROOT, ROOT, SHARED
from names import quoted
from test_corpus import FOLDERS, messages

DATA = SHARED / "data"
CANONICALISATIONS = ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"]
NOW = int(time.time())
LONG = bool(os.environ.get("FACTEUR_LONG"))
DOCS = (ROOT / "docs" / "differences.md").read_text()
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside this checkout")
needs_npm = pytest.mark.skipif(not peers.NODE.is_dir(), reason="without npm")


class Known:
    """Differences that docs/differences.md explains, each under a heading with its name."""

    def __init__(self, *rows):
        self.rows = rows  # (name, peer, condition on what the difference is)
        self.met = collections.Counter()
        for name, _, _ in rows:
            assert "\n### %s\n" % name in DOCS, "docs/differences.md does not explain %s" % name

    def explains(self, peer, facts):
        for name, who, condition in self.rows:
            if who == peer and condition(facts):
                self.met[name] += 1
                return True
        return False


def none_left(wrong, tmp_path):
    path = tmp_path / "differences"
    path.write_text("\n".join(wrong))
    assert not wrong, "%d differences, all in %s:\n%s" % (len(wrong), path, "\n".join(wrong[:40]))


# --- DKIM ---

def odd():
    """Messages as few programs write them."""
    header = b"From: Anne <anne@ici.test>\r\nTo: bob@ici.test\r\nSubject: odd\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@ici.test>\r\n"
    bodies = {"empty": b"", "one-line-end": b"\r\n", "line-ends-only": b"\r\n" * 9, "no-line-end": b"text", "trailing": b"text \t \r\n\r\n \r\n\r\n",
              "blanks": b" \t \r\n", "blank-first": b"\r\n\r\n text\r\n", "8-bit": bytes(range(128, 256)) + b"\r\n", "controls": bytes(range(1, 9)) + b"\r\n",
              "nul": b"a\0b\r\n", "long": b"x" * 20000 + b"\r\n", "long-blanks": b"x" + b" " * 700 + b"y\r\n", "bare-cr": b"a\rb\r\n",
              "dots": b".\r\n..\r\n", "from-line": b"From x\r\n>From y\r\n", "tabs": b"a\tb \t c\r\n\td\r\n"}
    for name, body in bodies.items():
        yield "odd/" + name, header + b"\r\n" + body
    yield "odd/no-body", header
    fields = {"folded": b"Subject: a\r\n b\r\n\tc\r\n", "folded-first": b"Subject:\r\n a\r\n", "no-blank": b"Subject:a\r\n", "blanks": b"Subject:  a  b\t c  \r\n",
              "empty": b"Subject:\r\n", "empty-blank": b"Subject: \r\n", "8-bit": b"Subject: \xe9\xff\r\n", "utf-8": "Subject: é\r\n".encode(),
              "twice": b"Subject: a\r\nSubject: b\r\n", "case": b"SUBJECT: a\r\nsuBject: b\r\n", "long": b"Subject: " + b"x" * 5000 + b"\r\n",
              "many": b"".join(b"Received: r%d\r\n" % i for i in range(300)), "only-blanks-folded": b"Subject: a\r\n  \t\r\n b\r\n",
              "colon": b"Subject: a:b:c;d=e\r\n", "received-like": b"X-DKIM: v=1; b=abc\r\n"}
    for name, field in fields.items():
        yield "odd-header/" + name, field + header.replace(b"Subject: odd\r\n", b"") + b"\r\nbody\r\n"


def corpus(every):
    """One in `every` message, and all the odd ones. CRLF alone ends lines."""
    yield from odd()
    n = 0
    for folder in ["dkim", "arc", "dmarc"] + FOLDERS:
        for name, message in messages(folder):
            if len(message) > 300_000 or not re.search(rb"(?im)^from[ \t]*:", message.split(b"\r\n\r\n")[0]):
                continue
            n += 1
            if n % every == 0:
                yield folder + "/" + name, message


def change(random, message):
    """A small change that one or the other canonicalisation may forgive; its name and the message."""
    header, end, body = message.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    i = random.choice([i for i, f in enumerate(fields) if not f.startswith(b"DKIM-Signature:")] or [0])
    name, _, value = fields[i].partition(b":")
    kind = random.choice(["more line ends", "no line ends", "blank in body", "blanks at line end", "case of name", "blanks at field's end", "fold",
                          "field on top", "field below", "tab", "body cut", "line end first", "case of value", "blank line end"])
    if kind == "more line ends":
        body += b"\r\n" * random.randint(1, 3)
    elif kind == "no line ends":
        body = body.rstrip(b"\r\n")
    elif kind == "blank in body":
        body = re.sub(rb" (?=\S)", b"  ", body, count=1)
    elif kind == "blanks at line end":
        body = body.replace(b"\r\n", b" \t\r\n", 1)
    elif kind == "case of name":
        fields[i] = name.swapcase() + b":" + value
    elif kind == "blanks at field's end":
        fields[i] += b"  "
    elif kind == "fold":
        fields[i] = re.sub(rb"(?<=\S) (?=\S)", b"\r\n ", fields[i], count=1)
    elif kind == "field on top":
        fields.insert(0, random.choice([b"Subject: x", b"From: eve@e.test", b"List-Id: <x>", b"X-A: b"]))
    elif kind == "field below":
        fields.append(random.choice([b"Subject: x", b"From: eve@e.test", b"List-Id: <x>", b"X-A: b"]))
    elif kind == "tab":
        fields[i] = fields[i].replace(b": ", b":\t", 1)
    elif kind == "body cut":
        body = body.rstrip(b"\r\n")[:-1] + b"\r\n"
    elif kind == "line end first":
        body = b"\r\n" + body
    elif kind == "case of value":
        fields[i] = name + b":" + value.swapcase()
    else:
        body += b" \r\n"
    return kind, b"\r\n".join(fields) + b"\r\n\r\n" + body


class Matrix:
    """Every signer's signatures on every message, and every verifier's word on each."""

    def __init__(self, lab, folder, seed):
        self.lab, self.folder, self.random = lab, str(folder), random.Random(seed)
        self.keys = peers.Keys(folder)
        for signer in ("ours", "dkimpy", "mailauth", "opendkim"):
            self.keys.publish(signer + ".test")
        self.zone = self.keys.zone
        for name, records in self.zone.items():
            lab.dns.records[name + "."] = ["TXT " + quoted(text) for text in records["TXT"]]
        lab.dns.publish()
        self.signers = [milter.opendkim_signer(lab, "opendkim.test", [("r", self.keys.rsa)], c, name="opendkim-%d" % i)
                        for i, c in enumerate(CANONICALISATIONS)]
        self.verifier = milter.opendkim_verifier(lab)
        self.files, self.names, self.unsigned = [], [], collections.Counter()

    def put(self, name, message):
        path = os.path.join(self.folder, "m%d" % len(self.files))
        with open(path, "wb") as f:
            f.write(message)
        self.files.append(path)
        self.names.append(name)

    def by_ours(self, message):
        r = subprocess.run([str(peers.TOOL), "dkim-sign", "ours.test", "r", str(NOW), self.keys.rsa, "e", self.keys.ed25519], input=message,
                           capture_output=True, timeout=60)
        return r.stdout[:len(r.stdout) - len(message)] if r.returncode == 0 else b""

    def by_dkimpy(self, message):
        out = b""
        for algorithm, canon in [(b"rsa-sha256", c) for c in CANONICALISATIONS] + [(b"ed25519-sha256", "relaxed/relaxed")]:
            rsa = algorithm.startswith(b"rsa")
            try:
                out += dkim.sign(message, b"r" if rsa else b"e", b"dkimpy.test", self.keys.rsa_traditional if rsa else self.keys.ed25519_seed,
                                 canonicalize=tuple(canon.encode().split(b"/")), signature_algorithm=algorithm,
                                 length=self.random.random() < 0.2)
            except dkim.DKIMException:
                pass
        return out

    def by_opendkim(self, clients, message):
        if not milter.can_take(message):
            return b""
        return b"".join(field + b"\r\n" for c in clients for field in c.message(message)[1])

    def sign(self, sources):
        sources = list(sources)
        keys = [{"signingDomain": "mailauth.test", "selector": s, "privateKey": open(k).read(), "algorithm": a, "canonicalization": c}
                for s, k, a, c in [("r", self.keys.rsa, "rsa-sha256", c) for c in CANONICALISATIONS] +
                [("e", self.keys.ed25519, "ed25519-sha256", "relaxed/relaxed")]]
        jobs = []
        for i, (_, message) in enumerate(sources):
            path = os.path.join(self.folder, "source%d" % i)
            with open(path, "wb") as f:
                f.write(message)
            jobs.append({"do": "sign", "file": path, "time": NOW, "keys": keys})
        theirs = peers.mailauth(self.zone, self.folder, jobs)
        clients = [s.client() for s in self.signers]
        for (name, message), mailauth in zip(sources, theirs):
            parts = {"ours": self.by_ours(message), "dkimpy": self.by_dkimpy(message), "mailauth": mailauth.get("fields", "").encode("latin-1"),
                     "opendkim": self.by_opendkim(clients, message)}
            for signer, fields in parts.items():
                self.unsigned[signer] += not fields
            # No more at once than are looked at (DKIM_SIGNATURES_MAX), and none covers another.
            self.put(name, parts["dkimpy"] + parts["ours"] + message)
            self.put(name, parts["mailauth"] + parts["opendkim"] + message)
        for c in clients:
            c.close()

    def change(self, n, one_in):
        for path, name in list(zip(self.files, self.names)):
            with open(path, "rb") as f:
                message = f.read()
            for _ in range(n if self.random.random() < 1 / one_in else 0):
                kind, changed = change(self.random, message)
                self.put("%s, %s" % (name, kind), changed)

    def verify(self):
        """(name, message, our verdict, {peer: its verdict or None}) of every signature of ours and theirs."""
        ours = peers.ours(self.zone, self.folder, self.files, NOW)
        mailauth = peers.mailauth(self.zone, self.folder, [{"do": "verify", "file": p} for p in self.files])
        dkimpy, opendkim = peers.Dkimpy(self.zone), self.verifier.client()
        for name, path, verdicts, theirs in zip(self.names, self.files, ours, mailauth):
            with open(path, "rb") as f:
                message = f.read()
            others = {"dkimpy": dkimpy.verify(message), "mailauth": peers.mailauth_verdicts(theirs),
                      "opendkim": peers.opendkim_verify(opendkim, message) if milter.can_take(message) else []}
            for v in verdicts:
                found = {peer: next((o for o in all_ if o[0].lower() == v[0] and o[2][:6] and o[2][:6] == v[2][:6]), None)
                         for peer, all_ in others.items()}
                yield name, message, v, found, others
        opendkim.close()


def header_of(message):
    return message.partition(b"\r\n\r\n")[0]


def has_two_froms(facts):
    return len(re.findall(rb"(?im)^from[ \t]*:", header_of(facts["message"]))) > 1


def body_of(facts):
    return facts["message"].partition(b"\r\n\r\n")[2]


def has_bare_cr(facts):
    return re.search(rb"\r(?!\n)", facts["message"]) is not None


def has_blank_before_colon(facts):
    return re.search(rb"(?m)^[!-9;-~]+[ \t]+:", header_of(facts["message"])) is not None


def has_odd_line(facts):
    """A header line that is no field: no name, or no colon behind it."""
    return any(not re.match(rb"[!-9;-~]+[ \t]*:", f) for f in re.split(rb"\r\n(?![ \t])", header_of(facts["message"])))


def has_open_blanks(facts):
    return re.search(rb"[ \t]\Z", body_of(facts)) is not None


DKIM_KNOWN = [
    ("A From field that OpenDKIM cannot read", "opendkim", lambda f: f["all"] and all(v[3] == "permerror" and not v[0] for v in f["all"])),
    ("Header lines that are no fields", "dkimpy", has_odd_line),
    ("Header lines that are no fields", "mailauth", has_odd_line),
    ("Header lines that are no fields", "opendkim", has_odd_line),
    ("Blanks before the colon", "dkimpy", has_blank_before_colon),
    ("Blanks before the colon", "opendkim", has_blank_before_colon),
    ("Bytes that look like blanks", "mailauth", lambda f: b"\xa0" in header_of(f["message"])),
    ("A second From field", "dkimpy", has_two_froms),
    ("A bare CR", "opendkim", has_bare_cr),
    ("A bare CR", "mailauth", has_bare_cr),
    ("A last line without an end", "opendkim", has_open_blanks),
    ("A last line without an end", "mailauth", has_open_blanks),
    ("A message without an empty line", "mailauth", lambda f: b"\r\n\r\n" not in f["message"]),
    ("What no milter can be told", "opendkim", lambda f: not milter.can_take(f["message"])),
]


@needs_data
@needs_npm
@pytest.mark.skipif(not IS_ROOT, reason="OpenDKIM needs root to see the lab's DNS")
@pytest.mark.parametrize("every", [pytest.param(70, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
def test_dkim(lab, tmp_path, every):
    known = Known(*DKIM_KNOWN)
    matrix = Matrix(lab, tmp_path, seed=1)
    matrix.sign(corpus(every))
    matrix.change(2, one_in=1 if every > 1 else 5)
    count, wrong = collections.Counter(), []
    for name, message, ours, found, others in matrix.verify():
        signer = ours[0].partition(".")[0]
        passes = ours[3] == "pass"
        count[signer, passes] += 1
        # What a signer makes of such a message nobody else may understand.
        is_odd = any(odd({"message": message}) for odd in (has_bare_cr, has_open_blanks, has_odd_line, has_blank_before_colon)) or \
            b"\xa0" in header_of(message)
        if ours[0].endswith(".test") and "," not in name and not passes and not is_odd:
            wrong.append("%s: %s should pass: %s" % (name, signer, ours))
        for peer, theirs in found.items():
            facts = {"name": name, "message": message, "ours": ours, "theirs": theirs, "all": others[peer]}
            if (theirs is not None and theirs[3] == "pass") == passes or known.explains(peer, facts):
                continue
            wrong.append("%s: we say %s, %s says %s" % (name, ours, peer, theirs or others[peer]))
    print(dict(count), dict(matrix.unsigned), dict(known.met))
    none_left(wrong, tmp_path)
    assert all(count[signer, passes] > 0 for signer in ("ours", "dkimpy", "mailauth", "opendkim") for passes in (True, False))


# --- SPF ---

class Pyspf:
    def __init__(self, zone):
        self.zone = zone

    def lookup(self, name, kind, *_, **__):
        name = name.decode("latin-1") if isinstance(name, bytes) else name
        found = self.zone.get(name.lower().rstrip("."), {}).get(kind, [])
        return [((name, kind), [v.encode("latin-1")] if kind == "TXT" else (10, v) if kind == "MX" else v) for v in found]

    def check(self, monkeypatch, ip, helo, sender):
        monkeypatch.setattr(spf, "DNSLookup", self.lookup)
        return spf.check2(i=ip, s=sender, h=helo, receiver="mx.receiver.test")


def says(key, pattern):
    return lambda facts: re.search(pattern, str(facts[key])) is not None


SPF_KNOWN = [
    ("Which look-ups found nothing", "pyspf", says("words", "Void lookup limit")),
    ("A macro with nothing but a percent sign", "pyspf", says("words", "invalid-macro-char : %[%_-]")),
    ("A modifier without a meaning, twice", "pyspf", says("words", "x-new= MUST appear at most once")),
    ("An include of oneself", "pyspf", says("words", "trivial recursion")),
    ("exists without a domain", "pyspf", says("record", r"(?i) [-+~?]?exists( |$)")),
    ("exists without a domain", "pyspf", says("reason", r"exists.*it needs a domain")),
    ("Explanations", "pyspf explanation", lambda f: f["words"].startswith("SPF fail") or "postmaster" in f["ours"] or "%{p}" in f["why"] or
     f["words"].lower() == f["ours"].lower()),
    ("Networks and names that mailauth reads differently", "mailauth", says("words", "invalid CIDR|Invalid")),
    ("Networks and names that mailauth reads differently", "mailauth", says("record", r"(?i)ip[46]:\S+/0|%\{p")),
    ("mailauth reads only as far as it must", "mailauth", lambda f: f["ours"] == "permerror" and "record of" in f["reason"]),
    ("A macro that keeps no part", "pyspf", says("record", r"%\{[a-zA-Z]0")),
    ("Which look-ups found nothing", "mailauth", says("reason", "look-ups found nothing")),
    ("Which look-ups found nothing", "mailauth", says("words", "void|lookups")),
]


@needs_npm
@pytest.mark.parametrize("seeds", [pytest.param(range(0, 60), id="some"), pytest.param(range(60, 1500), id="all", marks=pytest.mark.long)])
def test_spf(tmp_path, monkeypatch, seeds):
    known, wrong, count, explained = Known(*SPF_KNOWN), [], collections.Counter(), 0
    for seed in seeds:
        made = generate.Spf(seed)
        questions = list(made.questions(15))
        path = tmp_path / "zone"
        path.write_text(peers.script(made.zone))
        ours = peers.tool("spf", path, message="\n".join("\t".join(q) for q in questions).encode()).decode().split("\n")
        mailauth = [{}] * len(questions)
        if seed % 20 == 0:  # a program to start for each zone
            mailauth = peers.mailauth(made.zone, tmp_path, [{"do": "spf", "ip": i, "helo": h, "sender": s or "postmaster@" + h} for i, h, s in questions])
        for question, line, third in zip(questions, ours, mailauth):
            result, mechanism, explanation, _, _, reason = line.split("\t")
            theirs, words = Pyspf(made.zone).check(monkeypatch, *question)
            count[result] += 1
            domain = (question[2] or question[1]).rpartition("@")[2].lower()
            record = made.zone.get(domain, {}).get("TXT")
            facts = {"ours": result, "reason": reason, "theirs": theirs, "words": words, "record": " ".join(record or []), "question": question}
            if result != theirs and not known.explains("pyspf", facts):
                wrong.append("seed %d %s: we say %s (%s), pyspf %s (%s): %s" % (seed, question, result, reason, theirs, words, record))
            if result == theirs == "fail" and explanation and "%{t}" not in str(made.zone["why.test"]):
                explained += 1
                facts.update(ours=explanation, why=str(made.zone["why.test"]))
                if explanation != words and not known.explains("pyspf explanation", facts):
                    wrong.append("seed %d %s: we explain %r, pyspf %r: %s" % (seed, question, explanation, words, made.zone["why.test"]))
            facts.update(ours=result, theirs=third.get("result"), words=third.get("comment") or third.get("error"))
            if third and third.get("result") != result and not known.explains("mailauth", facts):
                wrong.append("seed %d %s: we say %s (%s), mailauth %s: %s" % (seed, question, result, reason, third, record))
    print(dict(count), explained, dict(known.met))
    none_left(wrong, tmp_path)
    assert len(count) >= 6 and explained > 0


# --- DMARC ---

def has_errors(facts):
    """A record that RFC 7489 §6.4 does not allow, or several."""
    for texts in facts["records"].values():
        for text in texts:
            tags = [tag.partition("=") for tag in text.split(";") if tag.strip()]
            names = [name.strip().lower() for name, _, _ in tags]
            values = {name.strip().lower(): value.strip() for name, _, value in tags}
            if len(texts) > 1 or len(set(names)) < len(names) or not text.startswith("v=DMARC1;") or names[1:2] != ["p"] or \
               values["p"].lower() not in ("none", "quarantine", "reject") or values.get("sp") == "x" or values.get("aspf") == "q" or \
               values.get("adkim") == "S":
                return True
    return False


DMARC_KNOWN = [
    ("A second From field", "dkimpy", has_two_froms),
    ("Records with errors", "opendmarc", has_errors),
    ("Records with errors", "mailauth", has_errors),
    ("Strict alignment", "opendmarc", lambda f: f["ours"] == "fail" and f["theirs"] == "pass" and re.search("a(spf|dkim)=s", f["record"])),
    ("Strict alignment", "mailauth", lambda f: f["ours"] == "fail" and f["theirs"] == "pass" and re.search("a(spf|dkim)=s", f["record"])),
]
FOOTER = b"-- \r\nfooter\r\n"


@needs_npm
@pytest.mark.skipif(not IS_ROOT, reason="OpenDMARC needs root to see the lab's DNS")
@pytest.mark.parametrize("seeds", [pytest.param(range(0, 40), id="some"), pytest.param(range(40, 400), id="all", marks=pytest.mark.long)])
def test_dmarc(lab, tmp_path, seeds):
    """By RFC 7489, which they still follow."""
    known, wrong, count, zone, questions = Known(*DMARC_KNOWN), [], collections.Counter(), {}, []
    for seed in seeds:
        made = generate.Dmarc(seed)
        zone.update(made.zone)
        questions += made.questions(12)
    path = tmp_path / "zone"
    path.write_text(peers.script(zone))
    lines = ["a@%s\t%s\t%s" % q for q in questions]
    ours = peers.tool("dmarc", path, "psl", message="\n".join(lines).encode()).decode().split("\n")
    mailauth = peers.mailauth(zone, tmp_path, [{"do": "dmarc", "from": "a@" + f, "spf": [s] if s else [], "dkim": [{"domain": d}] if d else []}
                                               for f, s, d in questions])
    for name, records in zone.items():
        lab.dns.records[name + "."] = ["%s %s" % (kind, quoted(v) if kind == "TXT" else v) for kind, vs in records.items() for v in dict.fromkeys(vs)]
    lab.dns.publish()
    client = milter.opendmarc(lab, "auth.test", name="opendmarc-%d" % seeds[0]).client()
    for (author, by_spf, by_dkim), line, third in zip(questions, ours, mailauth):
        result, policy, disposition, policy_domain, _, _, _, reason = line.split("\t")
        told = (["spf=pass smtp.mailfrom=" + by_spf] if by_spf else []) + (["dkim=pass header.d=" + by_dkim] if by_dkim else [])
        message = "Authentication-Results: auth.test; %s\r\nFrom: a@%s\r\n\r\nx\r\n" % ("; ".join(told) or "none", author)
        text = b" ".join(client.message(message.encode(), sender="x@" + (by_spf or "nowhere.test"))[1]).decode()
        theirs = re.search(r"dmarc=(\w+)(?: \(p=(\w+) dis=(\w+)\))?", text)
        count[result] += 1
        records = {n: r["TXT"] for n, r in zone.items() if n.startswith("_dmarc.") and ("." + author).endswith("." + n[7:])}
        for peer, said in (("opendmarc", theirs[1] if theirs else "nothing"), ("mailauth", third.get("result"))):
            facts = {"ours": result, "theirs": said, "record": str(list(records.values())), "records": records, "reason": reason, "author": author}
            if said != result and not known.explains(peer, facts):
                wrong.append("%s spf=%s dkim=%s: we say %s (%s), %s says %s: %s" % (author, by_spf, by_dkim, result, reason, peer, said, records))
    client.close()
    print(dict(count), dict(known.met))
    none_left(wrong, tmp_path)
    assert all(count[r] > 0 for r in ("pass", "fail", "none"))


# --- ARC ---

ARC_KNOWN = [
    ("A second From field", "dkimpy", has_two_froms),
    ("Header lines that are no fields", "dkimpy", has_odd_line),
    ("Header lines that are no fields", "mailauth", has_odd_line),
    ("Bytes that look like blanks", "mailauth", lambda f: b"\xa0" in header_of(f["message"])),
    ("A list of results that dkimpy cannot read", "dkimpy", says("words", "IndexError")),
]
FOOTER = b"-- \r\nfooter\r\n"


class Chains:
    """Messages that several sealers have had in hand."""

    def __init__(self, folder, seed):
        self.folder, self.random = str(folder), random.Random(seed)
        self.keys = peers.Keys(folder)
        for sealer in ("ours", "dkimpy", "mailauth"):
            self.keys.publish(sealer + ".test")
        self.script = os.path.join(self.folder, "zone.script")
        with open(self.script, "w") as f:
            f.write(peers.script(self.keys.zone))

    def path(self, i, message):
        path = os.path.join(self.folder, "chain%d" % i)
        with open(path, "wb") as f:
            f.write(message)
        return path

    def hop(self, messages, results=b"dmarc=pass header.from=ici.test"):
        """Each message changed a little, then sealed by one of the sealers; with the sealer's name, or None where it would not."""
        chosen = [self.random.choice(["ours", "dkimpy", "mailauth"]) for _ in messages]
        changed = [self.random.choice([m, m, m + FOOTER, b"List-Id: <l.test>\r\n" + m]) for m in messages]
        jobs = [{"do": "seal", "file": self.path(i, m), "results": "mailauth.test; " + results.decode(),
                 "key": {"signingDomain": "mailauth.test", "selector": "r", "privateKey": open(self.keys.rsa).read(), "signTime": NOW * 1000}}
                for i, (m, who) in enumerate(zip(changed, chosen)) if who == "mailauth"]
        answers = iter(peers.mailauth(self.keys.zone, self.folder, jobs))
        out = []
        for who, message in zip(chosen, changed):
            told = b"Authentication-Results: %s.test; %s\r\n" % (who.encode(), results) + message
            fields = b""
            if who == "ours":
                r = subprocess.run([str(peers.TOOL), "arc-seal", self.script, "ours.test", "r", str(NOW), self.keys.rsa, "ours.test"], input=told,
                                   capture_output=True, timeout=60)
                fields, message = r.stdout[:len(r.stdout) - len(told)], told
            elif who == "dkimpy":
                try:
                    fields, message = b"".join(dkim.arc_sign(told, b"r", b"dkimpy.test", self.keys.rsa_traditional, b"dkimpy.test")), told
                except dkim.DKIMException:
                    pass
            else:
                fields = next(answers).get("fields", "").encode("latin-1")
            out.append((who if fields else None, fields + message))
        return out


@needs_data
@needs_npm
@pytest.mark.parametrize("every", [pytest.param(60, id="some"), pytest.param(3, id="all", marks=pytest.mark.long)])
def test_arc(tmp_path, every):
    known, wrong, count = Known(*ARC_KNOWN), [], collections.Counter()
    chains = Chains(tmp_path, 1)
    current = [(name, [], message, message.count(FOOTER)) for name, message in corpus(every)
               if b"\r\n\r\n" in message and not re.search(rb"(?im)^arc-", message.partition(b"\r\n\r\n")[0])]
    cases = []
    for hop in range(3):
        sealed = chains.hop([m for _, _, m, _ in current])
        # Sealers looked at what they changed: it breaks the signature of the one before (RFC 8617 §5.2), and nobody adds to a failed chain.
        current = [(name, by + [who], m, footers if hop == 0 or m.count(FOOTER) == footers else -1)
                   for (name, by, _, footers), (who, m) in zip(current, sealed) if who]
        if hop == 0:
            current = [(name, by, m, m.count(FOOTER)) for name, by, m, _ in current]
        for name, by, m, footers in current:
            cases.append((name, by, "" if footers >= 0 else "changed before", m))
            kind, changed = change(chains.random, m)
            cases.append((name, by, kind, changed))
    mailauth = peers.mailauth(chains.keys.zone, tmp_path, [{"do": "verify", "arc": True, "file": chains.path(i, m)} for i, (_, _, _, m) in enumerate(cases)])
    dkimpy = peers.Dkimpy(chains.keys.zone)
    for (name, by, kind, message), third in zip(cases, mailauth):
        result, at, _, reason = peers.tool("arc-verify", chains.script, message=message).decode().split("\n")[0].split("\t")
        count[len(by), result] += 1
        if not kind and result != "pass" and not ("mailauth" in by and b"\xa0" in header_of(message)):
            wrong.append("%s by %s should pass: %s at %s" % (name, by, reason, at))
        for peer, said in (("dkimpy", dkimpy.arc(message)), ("mailauth", (third.get("arc"), third.get("arcComment") or third.get("error")))):
            facts = {"name": name, "by": by, "kind": kind, "ours": result, "theirs": said[0], "words": str(said[1]), "reason": reason, "message": message}
            if said[0] != result and not known.explains(peer, facts):
                wrong.append("%s by %s, %s: we say %s (%s), %s says %s" % (name, by, kind, result, reason, peer, said))
    print({str(k): v for k, v in count.items()}, dict(known.met))
    none_left(wrong, tmp_path)
    assert count[3, "pass"] > 0 and count[3, "fail"] > 0


# --- as the door would judge them ---

REAL_KNOWN = [
    ("A From field that OpenDKIM cannot read", "opendmarc", lambda f: f["said"] is None or f["ours"]["dmarc"]["result"] == "permerror"),
    ("Header lines that are no fields", "dkimpy arc", has_odd_line),
    ("What no milter can be told", "opendmarc", lambda f: not milter.can_take(f["message"])),
]


def real(every):
    """Real messages as they came, with an envelope sender made of From."""
    for name, message in corpus(every):
        if name.startswith("odd") or b"\r\n\r\n" not in message:
            continue
        found = re.search(rb"(?im)^from[ \t]*:(?:.*\r\n(?=[ \t]))*?.*?([a-z0-9._+-]+)@([a-z0-9.-]+\.[a-z]+)", message.partition(b"\r\n\r\n")[0])
        if found:
            yield name, message, found[1].decode(), found[2].decode().lower()


def body_fits(verdict):
    """Whether the reason of a failure is another than the body; None where it is neither."""
    return False if re.search(r"body (?:hash|is not)|bodyhash", verdict[4]) else True if re.search("bad signature|header is not|^$", verdict[4]) else None


@needs_data
@needs_npm
@pytest.mark.skipif(not IS_ROOT, reason="OpenDMARC needs root to see the lab's DNS")
@pytest.mark.parametrize("every", [pytest.param(60, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
def test_real_messages(lab, tmp_path, monkeypatch, every):
    """`facteur check`: SPF beside pyspf, DKIM and ARC beside dkimpy and mailauth, DMARC beside OpenDMARC. Their keys are long gone: one of ours
    stands in for each, so that at least what was made of the body can be compared."""
    known, wrong, count = Known(*REAL_KNOWN), [], collections.Counter()
    keys, zone, cases = peers.Keys(tmp_path), {}, list(real(every))
    for name, message, _, domain in cases:
        n = sum(domain.encode())
        zone["_dmarc." + domain] = {"TXT": ["v=DMARC1; p=" + ("none", "quarantine", "reject")[n % 3]]}
        zone[domain] = {"TXT": ["v=spf1 ip4:192.0.2.%d %sall" % (1 + n % 2, "-~?"[n % 3])]}
        for field in re.findall(rb"(?im)^(?:dkim-signature|arc-seal|arc-message-signature):((?:.*\r\n[ \t])*.*)", message.partition(b"\r\n\r\n")[0]):
            tags = dict(re.findall(r"(?:^|;)\s*([a-z]+)\s*=\s*([^;\s]*)", re.sub(r"\s*\r\n\s+", " ", field.decode("latin-1"))))
            if re.fullmatch("[A-Za-z0-9._-]+", tags.get("s", "")) and re.fullmatch("[A-Za-z0-9._-]+", tags.get("d", "")):
                zone["%s._domainkey.%s" % (tags["s"].lower(), tags["d"].lower())] = {"TXT": [keys.records["r"]]}
    lab.dns.records.update({n + ".": ["TXT " + quoted(r["TXT"][0])] for n, r in zone.items()})
    lab.dns.publish()
    conf = tmp_path / "facteur.conf"
    conf.write_text('hostname = "mx.receiver.test"\ndns {\n    servers = {"%s:%d"}\n}\n' % (lab.dns.ip, lab.dns.port))
    paths = []
    for i, (_, message, _, _) in enumerate(cases):
        paths.append(tmp_path / ("m%d" % i))
        paths[i].write_bytes(message)
    theirs = peers.mailauth(zone, tmp_path, [{"do": "verify", "arc": True, "file": str(p)} for p in paths])
    dkimpy, opendmarc = peers.Dkimpy(zone), milter.opendmarc(lab, "mx.receiver.test", name="opendmarc-real-%d" % every).client()
    for (name, message, local, domain), path, mailauth in zip(cases, paths, theirs):
        sender = local + "@" + domain
        r = subprocess.run([BIN, "-c", str(conf), "check", str(path), "--json", "--psl", "--ip", "192.0.2.1", "--helo", "client.example", "--mail-from",
                            sender], capture_output=True, timeout=60)
        assert r.returncode == 0, (name, r.stderr)
        ours = json.loads(r.stdout)
        facts = {"name": name, "message": message, "ours": ours}
        spf_said = Pyspf(zone).check(monkeypatch, "192.0.2.1", "client.example", sender)[0]
        count["spf " + spf_said] += 1
        if spf_said != ours["spf"]["result"] and not known.explains("pyspf", facts):
            wrong.append("%s: SPF of %s: we say %s, pyspf %s" % (name, sender, ours["spf"], spf_said))
        mine = peers.ours(zone, tmp_path, [str(path)], NOW)[0]
        assert [v[3] for v in mine] == [v["result"] for v in ours["dkim"]]
        for v in mine:
            for peer, verdicts in (("dkimpy", dkimpy.verify(message)), ("mailauth", peers.mailauth_verdicts(mailauth))):
                other = next((o for o in verdicts if o[0].lower() == v[0] and o[2] and o[2] == v[2]), None)
                facts.update(v=v, theirs=other)
                fits = body_fits(v), body_fits(other) if other else None
                count["DKIM %s, body %s" % (v[3], fits[0])] += peer == "dkimpy"
                if (None not in fits and fits[0] != fits[1] or (v[3] == "pass") != (other is not None and other[3] == "pass")) \
                        and not known.explains(peer, facts):
                    wrong.append("%s: DKIM: we say %s, %s says %s" % (name, v, peer, other))
        arc = ours["arc"]["result"]
        count["arc " + arc] += 1
        for peer, said in (("dkimpy", dkimpy.arc(message)[0]), ("mailauth", mailauth.get("arc"))):
            if said != arc and not known.explains(peer + " arc", facts):
                wrong.append("%s: ARC: we say %s, %s says %s" % (name, ours["arc"], peer, said))
        results = ["spf=%s smtp.mailfrom=%s" % (ours["spf"]["result"], domain)] + \
            ["dkim=pass header.d=" + v["domain"] for v in ours["dkim"] if v["result"] == "pass" and not v["partial"]]
        plain = b"\r\n".join(f for f in re.split(rb"\r\n(?![ \t])", message.partition(b"\r\n\r\n")[0]) if not f.lower().startswith(b"authentication-results"))
        told = b"Authentication-Results: mx.receiver.test; %s\r\n" % "; ".join(results).encode() + plain + b"\r\n\r\nx\r\n"
        fields = b" ".join(opendmarc.message(told, sender=sender)[1]) if milter.can_take(told) else b""
        said = re.search(rb"dmarc=(\w+)", fields)
        count["dmarc " + ours["dmarc"]["result"]] += 1
        facts["said"] = said
        if (said[1].decode() if said else None) != ours["dmarc"]["result"] and not known.explains("opendmarc", facts):
            wrong.append("%s: DMARC: we say %s, OpenDMARC %s" % (name, {k: ours["dmarc"][k] for k in ("result", "reason", "domain")}, said and said[1]))
    opendmarc.close()
    print(dict(count), dict(known.met))
    none_left(wrong, tmp_path)
