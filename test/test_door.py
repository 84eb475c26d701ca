"""What strangers hand us is judged: SPF, DKIM, ARC and DMARC, seen from outside. Letters are signed by dkimpy, an implementation
of its own; names are served by Knot, or by a server of ours that keeps silent."""
import base64
import contextlib
import email
import email.policy
import re
import signal
import smtplib
import socket
import subprocess
import threading
import time

import dkim
import pytest

from lab import PORTS, SLOW, wait_for
from names import Names

GOOD, BAD, LIST = "66", "67", "68"  # hosts of the lab's net: what SPF permits, a stranger, and one who passes mail on


@pytest.fixture(scope="module")
def keys(lab):
    """A private key a domain, with its public half in the DNS."""
    def make(domain, selector="s"):
        path = "%s/%s.key" % (lab.dir, domain)
        lab.openssl("genrsa", "-out", path, "2048")
        public = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        text = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        lab.dns.records["%s._domainkey.%s." % (selector, domain)] = ["TXT \"%s\" \"%s\"" % (text[:200], text[200:])]
        with open(path, "rb") as f:
            return f.read()
    made = {d: make(d) for d in ("none.test", "quarantine.test", "reject.test", "list.test", "other.test")}
    for policy in ("none", "quarantine", "reject"):
        domain = policy + ".test."
        lab.dns.records[domain] = ['TXT "v=spf1 ip4:%s%s -all"' % (lab.net, GOOD)]
        lab.dns.records["_dmarc." + domain] = ['TXT "v=DMARC1; p=%s"' % policy]
    lab.dns.records["soft.test."] = ['TXT "v=spf1 ~all"']
    lab.dns.records["hello.test."] = ['TXT "v=spf1 ip4:%s%s -all"' % (lab.net, GOOD), "A " + lab.net + GOOD]
    reverse = ".".join(reversed((lab.net + GOOD).split("."))) + ".in-addr.arpa."
    lab.dns.records[reverse] = ["PTR hello.test."]
    lab.dns.publish()
    return made


SETTINGS = """
authentication {
    trusted-sealers = {"list.test"}
    trusted-forwarders = {"%s69"}
    time-limit = 5s
}
"""


@pytest.fixture(scope="module")
def door(lab, keys):
    server = lab.facteur("ici.test", SETTINGS % lab.net, accounts=("anne", "bob"))
    server.run("alias", "add", "away@ici.test", "far@elsewhere.test")
    return server


serial = iter(range(1, 100000))


def letter(sender, body="Bonjour.\r\n", extra=""):
    """A message and a word in its Subject by which it is found again."""
    word = "letter-%d-x" % next(serial)
    text = "%sFrom: %s\r\nTo: anne@ici.test\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 04:00:00 +0000\r\n" \
           "Message-ID: <%s@labas.test>\r\n\r\n%s" % (extra, sender, word, word, body)
    return word, text.encode()


def sign(keys, domain, message, **kw):
    field = dkim.sign(message, b"s", domain.encode(), keys[domain], canonicalize=(b"relaxed", b"relaxed"), **kw)
    return field + message


def give(door, message, sender, host=BAD, rcpt="anne@ici.test", helo="hello.test", bdat=0, timeout=30):
    """(code, text) of the end of DATA or BDAT."""
    with smtplib.SMTP(door.ip, PORTS["smtp"], local_hostname=helo, timeout=timeout * SLOW,
                      source_address=(door.lab.net + host, 0)) as s:
        s.ehlo()
        s.mail(sender)
        code, text = s.rcpt(rcpt)
        assert code == 250, text
        if not bdat:
            code, text = s.data(message)
        else:
            for at in range(0, len(message), bdat):
                chunk = message[at:at + bdat]
                s.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if at + bdat >= len(message) else b"") + chunk)
                code, text = s.getreply()
        return code, text.decode()


def fetch(door, word, folder="INBOX", user="anne@ici.test"):
    """The message with that word, once it is there."""
    found = []

    def there():
        m = door.imap(user, folder=folder)
        try:
            uids = m.uid("SEARCH", "SUBJECT", word)[1][0].split()
            if uids:
                found.append(m.uid("FETCH", uids[0], "(BODY.PEEK[])")[1][0][1])
            return uids
        finally:
            m.logout()
    wait_for("%s in %s" % (word, folder), there)
    return found[0]


def results(message, name="mx.ici.test"):
    """{method: [(result, {property: value})]} of our Authentication-Results field; it is the first, and the only one of ours."""
    fields = email.message_from_bytes(message, policy=email.policy.compat32).get_all("Authentication-Results") or []
    ours = [re.sub(r"\s+", " ", f) for f in fields if f.lower().lstrip().startswith(name)]
    assert len(ours) == 1 and re.sub(r"\s+", " ", fields[0]) == ours[0], fields
    out = {}
    text = re.sub(r"\([^()]*\)", "", re.sub(r'"[^"]*"', '""', ours[0]))
    for part in text.split(";")[1:]:
        words = part.split()
        method, result = words[0].split("=")
        out.setdefault(method, []).append((result, dict(w.split("=", 1) for w in words[1:] if "=" in w and not w.startswith("reason"))))
    return out


def verdict(door, sender_header, envelope, host=BAD, folder="INBOX", message=None, **kw):
    word, plain = letter(sender_header)
    code, text = give(door, message(plain) if message else plain, envelope, host, **kw)
    assert code == 250, text
    return results(fetch(door, word, folder))


# --- verdicts in the message ---

@pytest.mark.parametrize("envelope,host,spf", [("x@none.test", GOOD, "pass"), ("x@none.test", BAD, "fail"), ("x@soft.test", BAD, "softfail"),
                                               ("x@nobody.test", BAD, "none")])
def test_spf_is_told(door, envelope, host, spf):
    r = verdict(door, "x@labas.test", envelope, host)
    assert r["spf"][0][0] == spf and r["spf"][0][1]["smtp.mailfrom"] == envelope
    assert r["dkim"][0][0] == "none" and r["dmarc"][0][0] == "none"
    assert r["iprev"][0][0] == ("pass" if host == GOOD else "permerror")


def test_null_sender_is_judged_by_its_helo(door):
    assert verdict(door, "x@labas.test", "", GOOD)["spf"][0] == ("pass", {"smtp.helo": "hello.test"})
    assert verdict(door, "x@labas.test", "", BAD)["spf"][0][0] == "fail"


@pytest.mark.parametrize("lines,bdat", [(1, 0), (1, 100), (3000, 0), (3000, 65536), (150000, 0)])  # in memory, streamed, and 10 MB
def test_signature_holds(door, keys, lines, bdat):
    body = "".join("%06d La lettre est longue, sans fin, sans fin, sans fin. x %s\r\n" % (i, "." * (i % 9)) for i in range(lines))
    word, plain = letter("x@reject.test", body)
    signed = sign(keys, "reject.test", plain)
    code, text = give(door, signed, "x@nobody.test", bdat=bdat)
    assert code == 250, text
    got = fetch(door, word)
    assert got.endswith(signed)
    r = results(got)
    assert r["dkim"][0][0] == "pass" and r["dkim"][0][1]["header.d"] == "reject.test"
    assert r["dmarc"][0] == ("pass", {"header.from": "reject.test", "policy.dmarc": "reject"})


def test_tampered_letter_fails(door, keys):
    r = verdict(door, "x@none.test", "x@nobody.test", message=lambda m: sign(keys, "none.test", m).replace(b"Bonjour", b"Bonsoir"))
    assert r["dkim"][0][0] == "fail" and r["dmarc"][0][0] == "fail"


def test_verdicts_are_found_by_search(door, keys):
    word, plain = letter("x@none.test")
    assert give(door, sign(keys, "none.test", plain), "x@none.test", GOOD)[0] == 250
    fetch(door, word)
    m = door.imap("anne@ici.test", folder="INBOX")
    try:
        hits = m.uid("SEARCH", "SUBJECT", word, "HEADER", "Authentication-Results", "dmarc=pass")[1][0].split()
        assert len(hits) == 1
        assert m.uid("SEARCH", "SUBJECT", word, "HEADER", "Authentication-Results", "dmarc=fail")[1][0].split() == []
    finally:
        m.logout()


# --- what is done ---

def test_reject_is_refused_by_name(door, keys):
    for change in (lambda m: m, lambda m: sign(keys, "other.test", m), lambda m: sign(keys, "reject.test", m) + b"More.\r\n"):
        code, text = give(door, change(letter("Bank <x@reject.test>")[1]), "x@none.test")
        assert code == 550 and text.startswith("5.7.26 ") and "reject.test" in text
    code, text = give(door, letter("x@sub.reject.test")[1], "x@none.test", bdat=100)
    assert code == 550 and text.startswith("5.7.26 ")


def test_quarantine_goes_to_junk(door):
    r = verdict(door, "x@quarantine.test", "x@none.test", folder="Junk")
    assert r["dmarc"][0][0] == "fail"
    door.wait_log(r"queue\.delivered .*folder=junk")
    assert verdict(door, "x@quarantine.test", "x@quarantine.test", GOOD)["dmarc"][0][0] == "pass"  # in INBOX


def test_without_a_junk_folder_it_goes_to_inbox(door):
    m = door.imap("bob@ici.test")
    assert m.delete("Junk")[0] == "OK"
    m.logout()
    word, plain = letter("x@quarantine.test")
    assert give(door, plain, "x@none.test", rcpt="bob@ici.test")[0] == 250
    assert results(fetch(door, word, user="bob@ici.test"))["dmarc"][0][0] == "fail"


def test_none_goes_to_inbox(door):
    assert verdict(door, "x@none.test", "x@nobody.test")["dmarc"][0][0] == "fail"


@pytest.mark.parametrize("fields", ["From: x@reject.test\r\nFrom: x@labas.test\r\n", "From: x@labas.test\r\nfrom : x@reject.test\r\n",
                                    "From: x@labas.test, y@reject.test\r\n", "From: x@labas.test <y@reject.test>\r\n",
                                    "From: \"x@reject.test\r\n\" <y@labas.test>\r\n", "From: friends: x@reject.test;\r\n",
                                    "From:\r\n x@REJECT.test\r\n", "From: =?utf-8?q?x=40labas.test?= <x@reject.test>\r\n"])
def test_tricks_with_from_never_pass(door, fields):
    word = "letter-%d-x" % next(serial)
    code, text = give(door, ("%sSubject: %s\r\n\r\nx\r\n" % (fields, word)).encode(), "x@labas.test", GOOD)
    if code == 550:
        return
    assert code == 250, text
    found = []
    wait_for("it somewhere", lambda: [found.append((f, m)) for f in ("INBOX", "Junk") for m in door.messages("anne@ici.test", f)
                                      if word.encode() in m])
    assert found[0][0] == "Junk" and results(found[0][1])["dmarc"][0][0] != "pass"


def test_trusted_forwarder_is_excused(door):
    since = len(door.log_text())
    assert verdict(door, "x@reject.test", "x@none.test", "69")["dmarc"][0][0] == "fail"
    assert "override=trusted_forwarder" in door.log_text()[since:]


def seal(keys, message, domain="list.test", results=b"dmarc=pass header.from=reject.test"):
    """As a list does: it checks, changes the text, and seals."""
    checked = b"Authentication-Results: mx.%s; %s\r\n" % (domain.encode(), results) + message + b"-- \r\nThe list\r\n"
    return b"".join(dkim.arc_sign(checked, b"s", domain.encode(), keys[domain], ("mx." + domain).encode())) + checked


def test_arc_of_a_trusted_sealer_counts(door, keys):
    since = len(door.log_text())
    word, plain = letter("x@reject.test")
    code, text = give(door, seal(keys, sign(keys, "reject.test", plain)), "list@list.test", LIST)
    assert code == 250, text
    r = results(fetch(door, word))
    assert r["arc"][0][0] == "pass" and r["dmarc"][0][0] == "fail"
    assert "override=local_policy" in door.log_text()[since:]


def test_arc_of_others_does_not(door, keys):
    signed = sign(keys, "reject.test", letter("x@reject.test")[1])
    for message in (seal(keys, signed, "other.test"),  # not trusted
                    seal(keys, signed, results=b"dmarc=fail header.from=reject.test"),  # it did not pass there
                    seal(keys, signed).replace(b"The list", b"The thief")):
        code, text = give(door, message, "list@list.test", LIST)
        assert code == 550 and text.startswith("5.7.26 "), text


# --- in our name ---

FORGED = ["Authentication-Results: mx.ici.test; dmarc=pass", "authentication-results: MX.ICI.TEST; dmarc=pass", "Authentication-Results:mx.ici.test 1; dmarc=pass",
          "Authentication-Results: (us) mx.ici.test (yes); dmarc=pass", "Authentication-Results:\r\n\tmx.ici.test;\r\n\tdmarc=pass",
          "Authentication-Results: mx.ici.test.; dmarc=pass", "Authentication-Results : \"mx.ici.test\"; dmarc=pass", "Authentication-Results: mx.ici.test; none"]
KEPT = ["Authentication-Results: mx.labas.test; dmarc=pass", "X-Authentication-Results: mx.ici.test; dmarc=pass",
        "Authentication-Results: ici.test; dmarc=pass", "Authentication-Results: mx.ici.test.labas.test; spf=pass"]


def test_forged_results_are_removed(door, keys):
    extra = "".join("%s\r\n%s\r\n" % (f, k) for f, k in zip(FORGED, KEPT + KEPT))
    word, plain = letter("x@none.test", extra=extra)
    assert give(door, plain, "x@nobody.test")[0] == 250
    got = fetch(door, word)
    _, _, theirs = got.partition(b"+0000\r\n")  # behind our Received field
    assert theirs == plain.replace(extra.encode(), "".join(k + "\r\n" for k in KEPT + KEPT).encode())


def test_a_signature_over_a_forged_field_still_holds(door, keys):
    word, plain = letter("x@reject.test", extra=FORGED[0] + "\r\n")
    signed = sign(keys, "reject.test", plain, include_headers=[b"from", b"subject", b"authentication-results"])
    code, text = give(door, signed, "x@nobody.test")
    assert code == 250, text
    assert results(fetch(door, word))["dkim"][0][0] == "pass"


def test_users_cannot_forge_either(door):
    word, plain = letter("anne@ici.test", extra=FORGED[0] + "\r\n")
    with door.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["anne@ici.test"], plain)
    assert b"Authentication-Results" not in fetch(door, word)


# --- who is not judged, and how that is set ---

def test_users_and_devices_are_not_judged(lab, keys):
    device = lab.net + "70"
    server = lab.facteur("devices.test", 'relay-from = {"%s"}\nproxy-from = {"%s71"}\n' % (device, lab.net), accounts=("anne",))
    word, plain = letter("x@reject.test", extra="Authentication-Results: mx.devices.test; dmarc=pass\r\n")
    assert give(server, plain, "x@none.test", "70", rcpt="anne@devices.test")[0] == 250
    assert b"Authentication-Results" not in fetch(server, word, user="anne@devices.test")
    assert "dmarc=" not in server.log_text()
    for ip, want in ((lab.net + BAD, 550), (lab.net + GOOD, 550), (device, 250)):  # behind a balancer its client counts
        with socket.create_connection((server.ip, PORTS["smtp"]), timeout=20, source_address=(lab.net + "71", 0)) as c:
            c.sendall(b"PROXY TCP4 %s %s 1000 25\r\n" % (ip.encode(), server.ip.encode()))
            talk = c.makefile("rwb")
            for line, code in ((b"", 220), (b"HELO hello.test", 250), (b"MAIL FROM:<x@none.test>", 250), (b"RCPT TO:<anne@devices.test>", 250),
                               (b"DATA", 354), (b"From: x@reject.test\r\n\r\nx\r\n.", want)):
                if line:
                    talk.write(line + b"\r\n")
                    talk.flush()
                assert talk.readline().startswith(b"%d " % code)
    assert re.search(r"smtp\.message\.rejected .*peer=%s .*spf=pass" % re.escape(lab.net + GOOD), server.log_text())


def test_a_message_for_junk_is_forwarded(door):
    since = len(door.log_text())
    assert give(door, letter("x@quarantine.test")[1], "x@none.test", rcpt="away@ici.test")[0] == 250
    found = door.wait_log(r"smtp\.message\.accepted .* id=(\w+) .*action=junk", since=since)
    assert re.search(r"far@elsewhere\.test", door.run("queue", "list")) or \
        door.wait_log(r"queue\.\w+ id=%s .*far@elsewhere\.test" % found.group(1), since=since)


def reconfigure(server, old, new):
    since = len(server.log_text())
    server.write(server.text.replace(old, new))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"process\.reloaded name=mta", since=since)


def test_reload_switches_it_off(lab, keys):
    server = lab.facteur("reload.test", "authentication {\n    enforce = yes\n}\n", accounts=("anne",))

    def outcome():
        word, plain = letter("x@reject.test")
        return give(server, plain, "x@none.test", rcpt="anne@reload.test")[0], word
    assert outcome()[0] == 550
    reconfigure(server, "enforce = yes", "enforce = no")
    word = wait_for("250", lambda: [w for code, w in [outcome()] if code == 250])[0]
    told = results(fetch(server, word, user="anne@reload.test"), "mx.reload.test")
    assert told["dmarc"][0][0] == "fail"
    reconfigure(server, "enforce = no", "check = no")
    word, plain = letter("x@none.test", extra="Authentication-Results: mx.reload.test; dmarc=pass\r\n")

    def untold():
        w, message = letter("x@none.test", extra="Authentication-Results: mx.reload.test; dmarc=pass\r\n")
        assert give(server, message, "x@none.test", rcpt="anne@reload.test")[0] == 250
        return b"Authentication-Results" not in fetch(server, w, user="anne@reload.test")
    wait_for("no verdicts any more", untold)


def test_wrong_settings_are_told(door):
    wrong = door.conf + ".wrong"
    with open(wrong, "w") as f:
        f.write("hostname = mx.ici.test\nauthentication {\n    enforce = perhaps\n    time-limit = 1d\n}\n")
    r = subprocess.run([door.binary, "-c", wrong, "config", "check"], capture_output=True, text=True, timeout=20)
    assert r.returncode != 0 and ":3: 'enforce' must be yes or no" in r.stdout + r.stderr and ":4: 'time-limit'" in r.stdout + r.stderr


def test_log_line(door, keys):
    since = len(door.log_text())
    signed = sign(keys, "none.test", letter("Ann <x@none.test>")[1])
    assert give(door, signed, "x@none.test", GOOD)[0] == 250
    line = door.wait_log(r"smtp\.message\.accepted .*", since=since).group(0)
    for field in ("action=accept", "dmarc=pass", "from=none.test", "policy=none", "spf=pass", "dkim=pass:none.test", "arc=none", "iprev=pass"):
        assert " " + field + " " in line, line
    assert re.search(r" dns_ms=\d+$", line)
    assert give(door, letter("x@reject.test")[1], "x@none.test")[0] == 550
    line = door.wait_log(r"smtp\.message\.rejected .*", since=since).group(0)
    for field in ("code=550", "action=reject", "dmarc=fail", "from=reject.test", "policy=reject", "spf=fail", "dkim=none"):
        assert " " + field + " " in line, line


# --- hostile messages ---

def sized(text, size):
    return text * (size // len(text))


HOSTILE = {
    "1,000 signatures": lambda: sized("DKIM-Signature: v=1; a=rsa-sha256; d=none.test; s=s; h=from:to; bh=YQ==; b=YQ==\r\n", 90000),
    "10,000 fields": lambda: "X: y\r\n" * 10000,
    "many sets": lambda: "".join("ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=none.test; s=s; b=YQ==\r\n" % i for i in range(1, 2000)),
    "long h=": lambda: "DKIM-Signature: v=1; a=rsa-sha256; d=none.test; s=s; bh=YQ==; b=YQ==; h=" + ":\r\n ".join(["from"] * 2000) + "\r\n",
    "results": lambda: "Authentication-Results: mx.labas.test; %s\r\n" % sized("(", 50000),
    "senders": lambda: "From: " + sized("a@none.test,\r\n ", 200000) + "b@none.test\r\n",
    "comments": lambda: "From: " + sized("(((((((((\r\n ", 500000) + "x@none.test\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_headers(door, kind):
    before = time.monotonic()
    code, text = give(door, letter("x@none.test", extra=HOSTILE[kind]())[1], "x@none.test", GOOD)
    assert code in (250, 550), text
    assert time.monotonic() - before < 10 * SLOW


# --- name servers that do not answer ---

class Silent(Names):
    """Knows the server's own names; never answers for those of *.dark.test."""

    def __init__(self, ip, ours):
        super().__init__(ip, {"ici.test.": ({"MX": ["10 mx.dark-door.test."]}, False), "quick.test.": ({"TXT": ['"v=spf1 -all"']}, False)})
        self.asked = 0

    def answer(self, wire):
        if b"\x04dark\x04test" in wire.lower():
            self.asked += 1
            return None
        return super().answer(wire)


@contextlib.contextmanager
def dark_door(lab, name, limits="", seconds=3):
    names = Silent(lab.net + "54", name)
    server = lab.facteur(name, "authentication {\n    time-limit = %ds\n}\n" % seconds + limits, accounts=("anne",), start=False)
    server.write(re.sub(r'servers = \{.*\}', 'servers = {"%s:%d"}' % (names.ip, names.port), server.text))
    server.start()
    try:
        yield server, names
    finally:
        names.stop()
        server.stop()


def test_dead_name_servers_cost_the_limit_and_nobody_else(lab, keys):
    with dark_door(lab, "dark-door.test") as (server, names):
        to = "anne@dark-door.test"
        took = []

        def slow(i):
            start = time.monotonic()
            code, text = give(server, letter("x@a%d.dark.test" % i)[1], "x@b%d.dark.test" % i, rcpt=to)
            took.append((code, time.monotonic() - start))
        threads = [threading.Thread(target=slow, args=(i,)) for i in range(10)]
        for t in threads:
            t.start()
        wait_for("look-ups for the slow ones", lambda: names.asked >= 10)
        while any(t.is_alive() for t in threads):
            start = time.monotonic()
            assert give(server, letter("x@quick.test")[1], "x@quick.test", rcpt=to)[0] == 250
            assert time.monotonic() - start < 1.5 * SLOW
        assert len(took) == 10 and all(code == 250 for code, _ in took)
        assert all(seconds < 3 * SLOW + 3 for _, seconds in took), took
        assert re.search(r"dmarc=temperror from=a1\.dark\.test .*dns_ms=[23]\d\d\d\b", server.log_text())


def test_a_flood_of_slow_ones_leaves_workers_for_others(lab, keys):
    with dark_door(lab, "flood-door.test", "limits {\n    workers = 8\n}\n", 8) as (server, names):
        to, stop, codes = "anne@flood-door.test", threading.Event(), []

        def flood(i):
            n = 0
            while not stop.is_set():
                n += 1
                codes.append(give(server, letter("x@a%d-%d.dark.test" % (i, n))[1], "x@b%d-%d.dark.test" % (i, n), rcpt=to)[0])
        threads = [threading.Thread(target=flood, args=(i,)) for i in range(24)]
        for t in threads:
            t.start()
        try:
            wait_for("look-ups for the flood", lambda: names.asked >= 24)
            quick = []
            for _ in range(20):
                start = time.monotonic()
                quick.append(give(server, letter("x@quick.test")[1], "x@quick.test", rcpt=to)[0])
                assert time.monotonic() - start < 3 * SLOW
        finally:
            stop.set()
            for t in threads:
                t.join()
        assert set(codes) <= {250, 451} and 451 in codes
        assert quick.count(250) > 10, quick
