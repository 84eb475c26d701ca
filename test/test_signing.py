"""What leaves in our domains' names is signed so that others can verify it, and keys rotate (RFC 6376, RFC 8301, RFC 8463)."""
import os
import re
import shutil
import subprocess
import time

import dkim
import pytest

from lab import IS_ROOT

pytestmark = pytest.mark.sanitize
SHORT = "queue {\n    retry = {1s}\n    expire = 3s\n}\n"


def publish(lab, server, domain):
    """All of `facteur dns`, in place of what was there for DKIM."""
    for name in [n for n in lab.dns.records if n.endswith("._domainkey.%s." % domain)]:
        del lab.dns.records[name]
    lab.dns.load(server.run("dns", domain))


def keys(server, domain):
    """{selector: state} as `domain list` has them."""
    return {k["selector"]: k["state"] for d in server.json("domain", "list") if d["domain"] == domain for k in d["keys"]}


def lookup(lab):
    """For dkimpy: TXT from the lab's name server."""
    import dns.message
    import dns.query

    def txt(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        answer = dns.query.udp(dns.message.make_query(name, "TXT"), lab.dns.ip, port=lab.dns.port, timeout=timeout)
        for rrset in answer.answer:
            return b"".join(rrset[0].strings)
        return None
    return txt


def signatures(message):
    head = message.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    fields = re.findall(rb"^DKIM-Signature:(?:.*\r\n)(?:[ \t].*\r\n)*", head, re.M)
    return [dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s+", "", f.decode().split(":", 1)[1]))) for f in fields]


def verify(lab, message):
    """What dkimpy says of each signature, from the top."""
    def one(i):
        try:
            return dkim.DKIM(message).verify(idx=i, dnsfunc=lookup(lab))
        except dkim.ValidationError:
            return False
    return [one(i) for i in range(len(signatures(message)))]


def write(server, message, sender="anne@ici.test", rcpts=("zoe@labas.test",), options=()):
    with server.submission(sender) as s:
        s.sendmail(sender, list(rcpts), message, mail_options=list(options))


@pytest.fixture(scope="module")
def pair(lab, ici, labas):
    publish(lab, ici, "ici.test")
    publish(lab, labas, "labas.test")
    return ici, labas


def received(lab, pair, message, options=()):
    """The message as labas.test has got it."""
    ici, labas = pair
    before = len(labas.messages("zoe@labas.test"))
    write(ici, message, options=options)
    return labas.wait_messages("zoe@labas.test", before + 1)[-1]


HEAD = b"From: Anne <anne@ici.test>\r\nTo: zoe@labas.test\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 01:02:03 +0000\r\nMessage-ID: <1@ici.test>\r\n"
MESSAGES = {
    "plain": HEAD + b"\r\nHello\r\n",
    "no body": HEAD + b"\r\n",
    "no end of line": HEAD + b"\r\nHello",
    "empty lines at the end": HEAD + b"\r\nHello\r\n\r\n\r\n",
    "blanks": HEAD + b"X-Blank: \t a   b \r\n\r\n \t\r\nHello  you \t\r\n\t\r\n",
    "no subject": b"From: anne@ici.test\r\nTo: zoe@labas.test\r\n\r\nHello\r\n",
    "from last": b"Subject: x\r\nTo: zoe@labas.test\r\nfrom: anne@ici.test\r\n\r\nHello\r\n",
    "folded": b"From: \"Anne\r\n of Ici\"\r\n <anne@ici.test>\r\nSubject: one\r\n\ttwo\r\n   three\r\n\r\nHello\r\n",
    "8 bit": HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.x\r\n",
    "long line": HEAD + b"\r\n" + b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n",
    "many fields": HEAD + b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(150)) + b"Comments: x\r\n" * 20 + b"\r\nHello\r\n",
    "list": HEAD + b"List-Id: <l.ici.test>\r\nList-Unsubscribe: <mailto:l@ici.test>\r\nList-Unsubscribe-Post: x\r\n\r\nHello\r\n",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_submitted_verifies(lab, pair, name):
    got = received(lab, pair, MESSAGES[name], ["BODY=8BITMIME"] if name == "8 bit" else [])
    found = signatures(got)
    assert [(s["a"], s["d"], s["c"]) for s in found] == [("rsa-sha256", "ici.test", "relaxed/relaxed"), ("ed25519-sha256", "ici.test", "relaxed/relaxed")]
    assert all("l" not in s for s in found)
    assert verify(lab, got) == [True, True]
    told = got[:got.index(b"Received:")]  # what labas.test found out
    assert told.count(b"dkim=pass") == 2 and b"dmarc=pass" in told, told


def test_ten_megabytes(lab, pair):
    line = b"0123456789abcdef" * 4 + b"\r\n"
    got = received(lab, pair, HEAD + b"\r\n" + line * (10_000_000 // len(line)))
    assert len(got) > 9_900_000 and verify(lab, got) == [True, True]


@pytest.mark.parametrize("name", ["From", "Subject", "To", "Date", "Reply-To", "Cc", "Content-Type"])
def test_a_replay_with_a_field_more_fails(lab, pair, name):
    got = received(lab, pair, MESSAGES["plain"])
    assert verify(lab, got) == [True, True]
    for more in (name.encode() + b": mallory@evil.test\r\n" + got, got.replace(b"\r\n\r\n", b"\r\n" + name.encode() + b": x\r\n\r\n", 1)):
        assert verify(lab, more) == [False, False]


def test_changes_fail(lab, pair):
    got = received(lab, pair, MESSAGES["plain"])
    assert verify(lab, got.replace(b"Subject: hello", b"Subject: hallo")) == [False, False]
    assert verify(lab, got + b"more\r\n") == [False, False]


@pytest.mark.skipif(not shutil.which("opendkim"), reason="no opendkim here")
def test_opendkim_verifies_it(lab, pair, tmp_path):
    got = received(lab, pair, MESSAGES["many fields"])
    names = ["%s._domainkey.ici.test" % f["s"] for f in signatures(got)]
    (tmp_path / "keys").write_text("".join("%s %s\n" % (name, lookup(lab)(name).decode()) for name in names))
    (tmp_path / "conf").write_text("Mode v\nTestPublicKeys %s\n" % (tmp_path / "keys"))
    (tmp_path / "message").write_bytes(got)
    r = subprocess.run(["opendkim", "-x", str(tmp_path / "conf"), "-t", str(tmp_path / "message"), "-vv"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0 and "succeeded" in r.stdout, r.stdout + r.stderr


def test_a_header_that_cannot_be_signed_is_refused(lab, pair):
    import smtplib
    ici, _ = pair
    with pytest.raises(smtplib.SMTPDataError) as told:
        write(ici, HEAD + b"a:\r\n" * 20000 + b"\r\nx\r\n")
    assert told.value.smtp_code == 550  # for good: it would not get better


def test_strangers_are_not_signed_for(lab, pair):
    ici, _ = pair
    before = len(ici.messages("bob@ici.test"))
    ici.send("x@evil.test", "bob@ici.test", "From: x@evil.test\r\nSubject: in\r\n\r\nx\r\n")
    assert signatures(ici.wait_messages("bob@ici.test", before + 1)[-1]) == []


def test_bounces_are_signed(lab, pair):
    """Ours speak for one of our domains, whether they go to our own people or to strangers."""
    ici, labas = pair
    before = len(ici.messages("carol@ici.test"))
    write(ici, b"From: carol@ici.test\r\nSubject: x\r\n\r\nx\r\n", "carol@ici.test", ["nobody@labas.test"])
    got = ici.wait_messages("carol@ici.test", before + 1)[-1]
    assert b"From: Mail Delivery System <MAILER-DAEMON@ici.test>" in got and verify(lab, got) == [True, True]


def test_a_notice_to_a_stranger_is_signed(lab, pair):
    ici, labas = pair
    before = len(labas.messages("yves@labas.test"))
    ici.send("yves@labas.test", "anne@ici.test", "From: yves@labas.test\r\nSubject: told\r\n\r\nx\r\n", rcpt_options=["NOTIFY=SUCCESS"])
    got = labas.wait_messages("yves@labas.test", before + 1)[-1]
    assert b"MAILER-DAEMON@ici.test" in got and verify(lab, got) == [True, True]
    assert re.search(rb"dkim=pass", got) and re.search(rb"dmarc=pass", got)


def test_international_domains_are_signed_as_a_labels(lab):
    server = lab.facteur("m\u00fcnchen.test".encode("idna").decode(), extra='relay-from = {"127.0.0.0/8"}\nrelay-any-sender = true\n', accounts=("j",))
    name = "xn--mnchen-3ya.test"
    publish(lab, server, name)
    for n, sender in enumerate(["j@m\u00fcnchen.test", "j@XN--MNCHEN-3YA.test"]):
        message = "From: %s\r\nSubject: x\r\n\r\nx\r\n" % sender
        with server.smtp() as s:
            s.ehlo()
            s.sendmail(sender, ["j@" + name], message.encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        got = server.wait_messages("j@" + name, n + 1)[-1]
        assert [f["d"] for f in signatures(got)] == [name, name] and verify(lab, got) == [True, True]
    for sender in ("x@sub." + name, "x@evil.test"):  # devices may write what is not ours, and it is not signed
        with server.smtp() as s:
            s.sendmail(sender, ["j@" + name], "From: %s\r\nSubject: x\r\n\r\nx\r\n" % sender)
    for got in server.wait_messages("j@" + name, 4)[2:]:
        assert signatures(got) == []


def test_nothing_goes_unsigned_while_the_vault_is_away(lab, pair):
    import signal
    import smtplib
    ici, _ = pair
    with ici.submission("anne@ici.test") as s:
        s.sock.settimeout(60)
        vault = ici.child("vault")
        os.kill(vault, signal.SIGSTOP)
        try:
            with pytest.raises(smtplib.SMTPDataError) as told:
                s.sendmail("anne@ici.test", ["bob@ici.test"], MESSAGES["plain"])
        finally:
            os.kill(vault, signal.SIGCONT)
        assert told.value.smtp_code == 451 and b"4.3.0" in told.value.smtp_error
        s.sendmail("anne@ici.test", ["bob@ici.test"], MESSAGES["plain"])
    assert signatures(ici.wait_messages("bob@ici.test")[-1])


# --- keys ---

def test_records_are_loaded_unchanged_by_a_name_server(lab, tmp_path):
    server = lab.facteur("records.test", start=False)
    text = server.run("dns", "records.test")
    assert len(re.findall(r"^[re]20\d{4}a\._domainkey\.records\.test\. 3600 IN TXT \"v=DKIM1; k=(?:rsa|ed25519); p=", text, re.M)) == 2
    assert all(len(s) <= 255 for s in re.findall(r'"([^"]*)"', text))
    assert re.search(r"^_dmarc\.records\.test\. 3600 IN TXT \"v=DMARC1; p=quarantine; rua=mailto:dmarc-reports@records\.test; ruf=mailto:dmarc-reports@records\.test; fo=1\"$", text, re.M)
    zone = tmp_path / "zone"
    zone.write_text("records.test. 3600 IN SOA ns.lab.test. x.lab.test. 1 1 1 1 1\nrecords.test. 3600 IN NS ns.lab.test.\n" + text)
    conf = tmp_path / "knot.conf"
    conf.write_text("zone:\n  - domain: records.test\n    file: %s\n" % zone)
    r = subprocess.run(["knotc", "-c", str(conf), "zone-check", "records.test"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stdout + r.stderr


def test_private_keys_are_the_vaults_alone(lab, ici):
    r = subprocess.run(["grep", "-rlaE", "PRIVATE KEY", ici.data], capture_output=True, text=True, timeout=20)
    files = [os.path.relpath(f, ici.data) for f in r.stdout.split()]
    assert files and all(f.startswith("vault/vault.db") for f in files)
    assert all(os.stat(os.path.join(ici.data, f)).st_mode & 0o077 == 0 for f in files)
    if IS_ROOT:
        import pwd
        assert {os.stat(os.path.join(ici.data, f)).st_uid for f in files} == {pwd.getpwnam("daemon").pw_uid}
    assert b"PRIVATE" not in open(ici.log, "rb").read()


def test_domains_of_before_get_keys_by_rotation(lab, tmp_path):
    server = lab.facteur("old.test", start=False)
    r = server.run("domain", "rotate-keys", "old.test", "--wait", check=False)
    assert r.returncode == 1 and "no server is running" in r.stderr
    subprocess.run(["sqlite3", os.path.join(server.data, "facteur.db"), "DELETE FROM dkim_key"], check=True)
    subprocess.run(["sqlite3", os.path.join(server.data, "vault", "vault.db"), "DELETE FROM dkim_key"], check=True)
    r = server.run("domain", "add", "old.test", check=False)
    assert r.returncode == 1 and "rotate-keys old.test" in r.stderr
    r = server.run("dns", "old.test", check=False)
    assert r.returncode == 0 and "_domainkey" not in r.stdout and "rotate-keys old.test" in r.stderr
    assert "_domainkey" in server.run("domain", "rotate-keys", "old.test", "--now")
    assert set(keys(server, "old.test").values()) == {"active"}


def test_keys_go_with_their_domain_and_selectors_are_never_used_again(lab):
    server = lab.facteur("stay.test", start=False)
    server.run("domain", "add", "go.test")
    first = set(keys(server, "go.test"))
    server.run("domain", "remove", "go.test")
    count = "SELECT count(*) FROM dkim_key WHERE domain = 'go.test'"
    vault = os.path.join(server.data, "vault", "vault.db")
    assert subprocess.run(["sqlite3", vault, count], capture_output=True, text=True).stdout == "0\n"
    server.run("domain", "add", "go.test")
    assert len(first) == 2 and not first & set(keys(server, "go.test"))


def test_apply_makes_and_removes_keys(lab, tmp_path):
    server = lab.facteur("apply.test", start=False)
    state = tmp_path / "state"
    state.write_text("domain apply.test\ndomain more.test\n")
    server.run("apply", str(state))
    assert set(keys(server, "more.test").values()) == {"active"}
    state.write_text("domain apply.test\n")
    server.run("apply", str(state))
    assert "more.test" not in [d["domain"] for d in server.json("domain", "list")] and len(keys(server, "apply.test")) == 2


def test_a_backup_brings_the_keys_back(lab, tmp_path):
    server = lab.facteur("copy.test", accounts=("anne",))
    publish(lab, server, "copy.test")
    where = "/tmp/facteur-signing-backup.%d" % os.getpid()
    try:
        server.run("backup", where)
        server.stop()
        shutil.rmtree(server.data)
        server.run("restore", where)
    finally:
        shutil.rmtree(where, ignore_errors=True)
    server.start()
    write(server, b"From: anne@copy.test\r\nSubject: x\r\n\r\nx\r\n", "anne@copy.test", ["anne@copy.test"])
    assert verify(lab, server.wait_messages("anne@copy.test")[-1]) == [True, True]


def test_rotation(lab):
    server = lab.facteur("turn.test", extra=SHORT, accounts=("anne",))
    publish(lab, server, "turn.test")
    first = keys(server, "turn.test")

    def send(n):
        write(server, b"From: anne@turn.test\r\nSubject: x\r\n\r\nx\r\n", "anne@turn.test", ["anne@turn.test"])
        return server.wait_messages("anne@turn.test", n)[-1]

    early = send(1)
    assert {s["s"] for s in signatures(early)} == set(first) and set(first.values()) == {"active"}
    begun = server.run("domain", "rotate-keys", "turn.test")
    second = {k for k, state in keys(server, "turn.test").items() if state == "next"}
    assert len(second) == 2 and all("%s._domainkey.turn.test. " % k in begun for k in second)
    again = server.json("domain", "rotate-keys", "turn.test")  # says so, and makes no further ones
    assert again["rotation"] == "under-way" and {r["name"].split(".")[0] for r in again["records"]} == second
    server.wait_log("dkim.key.awaited .*turn.test")
    assert {s["s"] for s in signatures(send(2))} == set(first)
    # one of the two is not enough, nor a wrong one
    lab.dns.load("\n".join(r["name"] + " IN TXT " + r["value"] for r in again["records"][:1]))
    lab.dns.load(again["records"][1]["name"] + ' IN TXT "v=DKIM1; k=rsa; p=MCowBQYDK2VwAyEAAAA="')
    since = len(server.log_text())
    time.sleep(1.2)  # the name server's word that there is no such name holds for a second
    server.run("domain", "rotate-keys", "turn.test")
    server.wait_log("dkim.key.awaited .*turn.test", since=since)
    assert set(keys(server, "turn.test").values()) == {"next", "active"}
    publish(lab, server, "turn.test")
    waiting = subprocess.Popen([server.binary, "-c", server.conf, "domain", "rotate-keys", "turn.test", "--wait", "--json"], stdout=subprocess.PIPE)
    try:
        out, _ = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert waiting.returncode == 0 and b'"switched"' in out
    late = send(3)
    assert {s["s"] for s in signatures(late)} == second and verify(lab, late) == [True, True]
    publish(lab, server, "turn.test")
    assert verify(lab, early) == [True, True]  # what was signed before may still be on its way
    for k in first:
        server.wait_log("dkim.key.gone .*selector=%s" % k)
    assert keys(server, "turn.test") == dict.fromkeys(second, "active")
    assert not any(k + "._domainkey" in server.run("dns", "turn.test") for k in first)
    vault = os.path.join(server.data, "vault", "vault.db")
    left = subprocess.run(["sqlite3", vault, "SELECT selector FROM dkim_key"], capture_output=True, text=True).stdout.split()
    assert set(left) == second
    assert verify(lab, send(4)) == [True, True]


def test_rotation_now(lab, pair):
    ici, _ = pair
    before = set(keys(ici, "ici.test"))
    answer = ici.json("domain", "rotate-keys", "ici.test", "--now")
    assert answer["rotation"] == "switched"
    states = keys(ici, "ici.test")
    assert {k for k, s in states.items() if s == "retired"} == before
    publish(lab, ici, "ici.test")
    got = received(lab, pair, MESSAGES["plain"])
    assert {s["s"] for s in signatures(got)} == {k for k, s in states.items() if s == "active"} and verify(lab, got) == [True, True]


def test_rotation_of_what_is_not_there(ici):
    for args in (["nowhere.test"], ["../ici.test"], ["a b"], ["ici.test\n"]):
        r = ici.run("domain", "rotate-keys", *args, check=False)
        assert r.returncode == 1 and "not hosted here" in r.stderr
    for args in ([], ["--wait", "--now", "ici.test"], ["ici.test", "--later"], ["ici.test", "b.test"]):
        assert ici.run("domain", "rotate-keys", *args, check=False).returncode == 2
