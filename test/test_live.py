"""Mail between a Postfix with OpenDKIM and us: signed, unsigned, spoofed, forwarded, through a mailing list with and without ARC. What we
answer follows the sender's policy; what we sign verifies there."""
import os
import re
import smtplib

import dkim
import pytest

import milter
import peers
from lab import IS_ROOT, PORTS, SLOW, wait_for
from test_door import fetch, letter, results

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="Postfix needs root")
NAMES = ("loin.test", "quai.test", "libre.test")  # whose policy is reject, quarantine, none; all of them are Postfix's
POLICY = dict(zip(NAMES, ("reject", "quarantine", "none")))


def publish(lab, name, *records):
    lab.dns.records[name + "."] = lab.dns.records.get(name + ".", []) + list(records)
    lab.dns.publish()


def txt(text):
    return "TXT " + " ".join('"%s"' % text[i:i + 250] for i in range(0, len(text), 250))


@pytest.fixture(scope="module")
def keys(lab):
    os.makedirs(os.path.join(lab.dir, "keys"))
    return peers.Keys(os.path.join(lab.dir, "keys"))


@pytest.fixture(scope="module")
def loin(lab, keys):
    """Postfix; OpenDKIM signs for loin.test and quai.test what is submitted there, and verifies what comes in."""
    folder = os.path.join(lab.dir, "opendkim-loin-keys")
    os.makedirs(folder)
    with open(os.path.join(folder, "keys"), "w") as f:
        f.write("".join("%s %s:r:%s\n" % (d, d, keys.rsa) for d in NAMES))
    with open(os.path.join(folder, "signing"), "w") as f:
        f.write("".join("*@%s %s\n" % (d, d) for d in NAMES))
    filter_ = milter.Milter(lab, "opendkim-loin", "/usr/sbin/opendkim", [
        "Mode sv", "AuthservID mx.loin.test", "AlwaysAddARHeader yes", "Canonicalization relaxed/simple", "KeyTable file:%s/keys" % folder,
        "SigningTable refile:%s/signing" % folder, "InternalHosts csl:127.0.0.1", "RequireSafeKeys no", "UserID root", "OversignHeaders From",
        "ResolverConfiguration %(dir)s/unbound.conf"])
    made = lab.postfix("loin.test", settings=("smtpd_milters = unix:" + filter_.path, "non_smtpd_milters = unix:" + filter_.path,
                                              "milter_default_action = tempfail", "milter_protocol = 6"))
    for domain, policy in POLICY.items():
        publish(lab, domain, txt("v=spf1 ip4:%s -all" % made.ip))
        publish(lab, "_dmarc." + domain, txt("v=DMARC1; p=" + policy))
        publish(lab, "r._domainkey." + domain, txt(keys.records["r"]))
    return made


@pytest.fixture(scope="module")
def relais(lab, loin):
    """Postfix without any filter: forwards by alias, leaves the sender as it was, and sends in whatever name it is told to."""
    made = lab.postfix("relais.test", settings=("virtual_alias_maps = texthash:%s/aliases" % lab.dir,))
    with open(os.path.join(lab.dir, "aliases"), "w") as f:
        f.write("anne@relais.test anne@ici.test\n")
    publish(lab, "relais.test", txt("v=spf1 ip4:%s -all" % made.ip))
    return made


@pytest.fixture(scope="module")
def ici(lab):
    made = lab.facteur("ici.test", 'authentication {\n    trusted-sealers = {"liste.test"}\n}\n', accounts=("anne", "bob"))
    lab.dns.load(made.run("dns", "ici.test"))
    return made


def write(postfix, sender, word_and_text, rcpt="anne@ici.test"):
    word, text = word_and_text
    postfix.sendmail(sender, [rcpt], text)
    return word


def refused(postfix, number):
    """Our answer as Postfix's log has it, to the refused message that `number` others came before."""
    return wait_for("a refusal in Postfix's log", lambda: re.findall(r"dsn=5\.7\.\d+, status=bounced \((.*)\)", postfix.log_text())[number:])[0]


def refusals(postfix):
    return len(re.findall(r"dsn=5\.7\.\d+, status=bounced", postfix.log_text()))


# --- in ---

@pytest.mark.parametrize("domain", NAMES)
def test_signed(ici, loin, domain):
    word = write(loin, "paul@" + domain, letter("Paul <paul@%s>" % domain, "Texte  avec  blancs \r\n\r\n\r\n"))
    r = results(fetch(ici, word))
    assert r["dkim"][0][0] == "pass" and r["dkim"][0][1]["header.d"] == domain
    assert r["spf"][0][0] == "pass" and r["dmarc"][0][0] == "pass"


@pytest.mark.parametrize("domain", NAMES)
def test_unsigned_but_from_its_own_host(ici, loin, relais, lab, domain):
    """SPF alone vouches."""
    name = "sans-" + domain
    publish(lab, name, txt("v=spf1 ip4:%s -all" % relais.ip))
    publish(lab, "_dmarc." + name, txt("v=DMARC1; p=" + POLICY[domain]))
    r = results(fetch(ici, write(relais, "x@" + name, letter("x@" + name))))
    assert r["dkim"][0][0] == "none" and r["spf"][0][0] == "pass" and r["dmarc"][0][0] == "pass"


def test_spoofed(ici, loin, relais):
    """Another host writes in their names: what their owners ask for is done."""
    before = refusals(relais)
    write(relais, "x@relais.test", letter("Paul <paul@loin.test>"))
    text = refused(relais, before)
    assert "550" in text and "5.7.26" in text and "loin.test" in text
    word = write(relais, "x@relais.test", letter("Paul <paul@quai.test>"))
    r = results(fetch(ici, word, "Junk"))
    assert r["dmarc"][0][0] == "fail" and r["spf"][0][0] == "pass"
    word = write(relais, "x@relais.test", letter("Paul <paul@libre.test>"))
    assert results(fetch(ici, word))["dmarc"][0][0] == "fail"


def test_spoofed_envelope_too(ici, loin, relais):
    before = refusals(relais)
    write(relais, "paul@loin.test", letter("Paul <paul@loin.test>"))
    assert "5.7.26" in refused(relais, before)


def test_forwarded(ici, loin, relais):
    """An alias at another host: SPF fails there, the signature holds."""
    r = results(fetch(ici, write(loin, "paul@loin.test", letter("paul@loin.test"), "anne@relais.test")))
    assert r["spf"][0][0] == "fail" and r["dkim"][0][0] == "pass" and r["dmarc"][0][0] == "pass"


# --- mailing lists ---

class List:
    """Takes what Postfix delivered, adds a tag and a footer, and sends it on in its own name; may seal."""

    def __init__(self, lab, loin, keys):
        self.lab, self.loin, self.keys, self.ip, self.n = lab, loin, keys, lab.ip(), 0
        publish(lab, "liste.test", txt("v=spf1 ip4:%s -all" % self.ip))
        for domain in ("liste.test", "autre.test"):
            publish(lab, "r._domainkey." + domain, txt(keys.records["r"]))

    def wrap(self, message):
        message = re.sub(rb"\r?\n", b"\r\n", message)
        message = re.sub(rb"(?m)^Subject: ", b"Subject: [liste] ", message, count=1)
        return b"List-Id: <liste.liste.test>\r\nPrecedence: list\r\n" + message + b"-- \r\nListe des amis\r\n"

    def seal(self, message, domain, results):
        told = b"Authentication-Results: liste.test; " + results + b"\r\n" + message
        return b"".join(dkim.arc_sign(told, b"r", domain.encode(), self.keys.rsa_traditional, b"liste.test")) + message

    def send(self, ici, message):
        with smtplib.SMTP(ici.ip, PORTS["smtp"], local_hostname="liste.test", timeout=30 * SLOW, source_address=(self.ip, 0)) as s:
            s.ehlo()
            s.mail("liste-bounces@liste.test")
            s.rcpt("anne@ici.test")
            code, text = s.data(message)
            return code, text.decode()


@pytest.fixture(scope="module")
def liste(lab, loin, keys):
    return List(lab, loin, keys)


@pytest.fixture(scope="module")
def signed(lab, loin):
    """A message that OpenDKIM signed, as a member's mailbox at the same Postfix has it."""
    word, text = letter("Paul <paul@loin.test>")
    loin.sendmail("paul@loin.test", ["sink@loin.test"], text)
    found = wait_for("the message", lambda: [m for m in loin.messages("sink@loin.test") if word.encode() in m])[0]
    assert b"DKIM-Signature:" in found
    return word, re.sub(rb"(?m)\A(?:(?:Return-Path|Delivered-To|X-Original-To):.*\r?\n)+", b"", found)


def test_list_without_arc(ici, liste, signed):
    """It breaks the signature, and the author's domain asks for rejection."""
    code, text = liste.send(ici, liste.wrap(signed[1]))
    assert code == 550 and "5.7.26" in text


def test_list_that_leaves_it_alone(ici, liste, signed):
    code, text = liste.send(ici, b"List-Id: <liste.liste.test>\r\n" + re.sub(rb"\r?\n", b"\r\n", signed[1]))
    assert code == 250, text
    r = results(fetch(ici, signed[0]))
    assert r["dkim"][0][0] == "pass" and r["dmarc"][0][0] == "pass"


GOOD = b"dkim=pass header.d=loin.test; spf=pass smtp.mailfrom=paul@loin.test; dmarc=pass header.from=loin.test"


def test_list_with_arc(ici, liste, signed):
    code, text = liste.send(ici, liste.seal(liste.wrap(signed[1]), "liste.test", GOOD))
    assert code == 250, text
    message = fetch(ici, '"[liste] %s"' % signed[0])
    r = results(message)
    assert r["arc"][0][0] == "pass" and r["dmarc"][0][0] == "fail" and r["dkim"][0][0] == "fail"


@pytest.mark.parametrize("what", ["a stranger's seal", "it failed there", "changed after", "no results"])
def test_list_with_arc_that_does_not_count(ici, liste, signed, what):
    wrapped = liste.wrap(signed[1])
    if what == "a stranger's seal":
        message = liste.seal(wrapped, "autre.test", GOOD)
    elif what == "it failed there":
        message = liste.seal(wrapped, "liste.test", GOOD.replace(b"dmarc=pass", b"dmarc=fail"))
    elif what == "changed after":
        message = liste.seal(wrapped, "liste.test", GOOD).replace(b"Liste des amis", b"Liste des loups")
    else:
        message = liste.seal(wrapped, "liste.test", b"none")
    code, text = liste.send(ici, message)
    assert code == 550 and "5.7.26" in text, text


# --- out ---

OUT = {
    "plain": ("Hello\r\n", ""),
    "blanks": ("  a  b \t c \r\n\r\n\r\n", ""),
    "empty": ("", ""),
    "8-bit": ("été\r\n", 'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n'),
    "long lines": ("x" * 990 + "\r\n", ""),
    "dots": (".\r\n..\r\n.x\r\n", ""),
    "headers": ("x\r\n", "Cc: petra@loin.test\r\nReply-To: anne@ici.test\r\nReferences: <1@loin.test>\r\n\t<2@loin.test>\r\nX-Long: " + "y " * 300 + "\r\n"),
}


@pytest.mark.parametrize("name", OUT)
def test_ours_verifies_there(lab, ici, loin, tmp_path, name):
    body, extra = OUT[name]
    word, text = letter("Anne <anne@ici.test>", body, extra)
    text = text.replace(b"To: anne@ici.test", b"To: paul@loin.test")
    with ici.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["paul@loin.test"], text, mail_options=["BODY=8BITMIME"])
    message = wait_for("the message at Postfix", lambda: [m for m in loin.messages("paul@loin.test") if word.encode() in m])[0]
    message = re.sub(rb"\r?\n", b"\r\n", message)
    theirs = re.search(r"(?m)^Authentication-Results: mx\.loin\.test;.*\r\n(?:[ \t].*\r\n)*", message.decode("latin-1"))[0]
    said = re.sub(r"\s+", " ", re.sub(r"\([^)]*\)", "", theirs))
    passed = re.findall(r"dkim=(\w+) header\.d=(\S+) header\.i=\S+ header\.a=(\S+)", said)
    assert sorted(passed) == [("pass", "ici.test", "ed25519-sha256"), ("pass", "ici.test", "rsa-sha256")], said
    zone = {}
    for owner, records in lab.dns.records.items():
        if "._domainkey.ici.test" in owner:
            zone[owner.rstrip(".")] = {"TXT": ["".join(re.findall(r'"([^"]*)"', r)) for r in records if r.startswith("TXT")]}
    assert [v[3] for v in peers.Dkimpy(zone).verify(message)] == ["pass", "pass"]
    if peers.NODE.is_dir():
        path = tmp_path / "m"
        path.write_bytes(message)
        answer, = peers.mailauth(zone, tmp_path, [{"do": "verify", "file": str(path)}])
        assert [v[3] for v in peers.mailauth_verdicts(answer)] == ["pass", "pass"]
