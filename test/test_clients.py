"""Clients that we did not write, used as their users use them: swaks, mutt, mbsync, fetchmail, curl, nodemailer, imapflow."""
import json
import mailbox
import os
import re
import shutil
import subprocess

import pytest

from lab import PORTS, ROOT, wait_for

pytestmark = pytest.mark.skipif(shutil.which("mbsync") is None, reason="./setup --tests installs the clients")


def run(*cmd, ok=(0,), timeout=120, **kw):
    r = subprocess.run(cmd, capture_output=True, timeout=timeout, **kw)
    assert r.returncode in ok, "%s: exit %d\n%s\n%s" % (cmd[0], r.returncode, r.stdout.decode(errors="replace")[-3000:],
                                                       r.stderr.decode(errors="replace")[-3000:])
    return r.stdout.decode(errors="replace")


def swaks(ici, *args, **kw):
    return run("swaks", "--server", ici.ip, "--helo", "client.example.test", *args, **kw)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port,tls", [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_swaks_submits(ici, mechanism, port, tls):
    subject = "swaks %s %s" % (mechanism, port)
    out = swaks(ici, "--port", str(PORTS[port]), tls, "--auth", mechanism, "--auth-user", "anne@ici.test", "--auth-password", "secret",
                "--from", "anne@ici.test", "--to", "bob@ici.test", "--header", "Subject: " + subject)
    assert "235" in out
    wait_for(subject, lambda: any(subject.encode() in m for m in ici.messages("bob@ici.test")))


def test_swaks_receives_pipelined(ici):
    swaks(ici, "--port", str(PORTS["smtp"]), "--tls", "--pipeline", "--from", "x@example.test", "--to", "bob@ici.test",
          "--header", "Subject: pipelined")
    wait_for("message", lambda: any(b"Subject: pipelined" in m for m in ici.messages("bob@ici.test")))


def test_swaks_is_refused_without_login(ici):
    out = swaks(ici, "--port", str(PORTS["submission"]), "--tls", "--from", "anne@ici.test", "--to", "bob@ici.test", ok=range(1, 60))
    assert re.search(r"530[ -]5\.7\.0", out)


def test_curl_sends_and_reads(ici, tmp_path):
    letter = tmp_path / "letter"
    letter.write_bytes(b"From: anne@ici.test\r\nTo: carol@ici.test\r\nSubject: by curl\r\n\r\nhello\r\n")
    tls = ["--cacert", ici.lab.ca, "--connect-to", "%s::%s:" % (ici.hostname, ici.ip)]
    run("curl", "-sS", *tls, "--user", "anne@ici.test:secret", "--mail-from", "anne@ici.test", "--mail-rcpt", "carol@ici.test",
        "--upload-file", str(letter), "smtps://%s:%d/laptop.example.test" % (ici.hostname, PORTS["submissions"]))
    ici.wait_messages("carol@ici.test")
    out = run("curl", "-sS", *tls, "--user", "carol@ici.test:secret", "imaps://%s:%d/INBOX;MAILINDEX=1" % (ici.hostname, PORTS["imaps"]))
    assert "Subject: by curl" in out
    out = run("curl", "-sS", *tls, "--user", "carol@ici.test:secret", "pop3s://%s:%d/1" % (ici.hostname, PORTS["pop3s"]))
    assert "Subject: by curl" in out


@pytest.fixture(scope="module")
def mbsync(ici, tmp_path_factory):
    """mbsync on an account with 1,000 messages in INBOX."""
    user = ici.account("sync@ici.test")
    source = tmp_path_factory.mktemp("source") / "many.mbox"
    with open(source, "wb") as f:
        for i in range(1000):
            f.write(b"From x@example.test Sun Nov 22 10:%02d:%02d 2026\nFrom: x@example.test\nTo: sync@ici.test\nSubject: number %d\n"
                    b"Message-ID: <sync%d@example.test>\n\nbody %d\n\n" % (i // 60 % 60, i % 60, i, i, i))
    ici.run("import", user, str(source))
    folder = tmp_path_factory.mktemp("mbsync")
    store = folder / "mail"
    store.mkdir()
    rc = folder / "mbsyncrc"
    rc.write_text("""IMAPAccount ici
Tunnel "openssl s_client -quiet -connect %s:%d -CAfile %s -verify_return_error"
User %s
Pass secret

IMAPStore ici-remote
Account ici

MaildirStore ici-local
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel ici
Far :ici-remote:
Near :ici-local:
Patterns INBOX
Create Near
Expunge Both
SyncState *
""" % (ici.ip, PORTS["imaps"], ici.lab.ca, user, store, store))
    return lambda: run("mbsync", "-V", "-c", str(rc), "-a", env=dict(os.environ, HOME=str(folder))), store, user


def test_mbsync_both_ways(ici, mbsync):
    sync, store, user = mbsync
    sync()
    local = mailbox.Maildir(str(store / "INBOX"))
    assert len(local) == 1000
    quiet = sync()
    assert len(mailbox.Maildir(str(store / "INBOX"))) == 1000
    assert not re.search(r"(pulled|pushed|[+*#])[^0-9]*[1-9]\d* (new|message)", quiet)
    # The other way: a new local message, a flag, a removal.
    message = mailbox.MaildirMessage(b"From: y@example.test\nSubject: pushed\n\nup\n")
    message.set_subdir("cur")
    message.set_flags("S")
    local.add(message)
    names = sorted(os.listdir(store / "INBOX" / "cur") + os.listdir(store / "INBOX" / "new"))
    gone = [n for n in os.listdir(store / "INBOX" / "new") + os.listdir(store / "INBOX" / "cur") if "U=1:" in n or n.endswith("U=1")]
    assert gone, names[:3]
    for folder in ("cur", "new"):
        path = store / "INBOX" / folder / gone[0]
        if path.exists():
            path.unlink()
    sync()
    m = ici.imap(user, folder="INBOX")
    assert m.uid("SEARCH", "SUBJECT", "pushed", "SEEN")[1][0].split()
    assert not m.uid("SEARCH", "UID", "1")[1][0].split()
    m.logout()


def test_mutt_reads(ici, tmp_path):
    ici.send("x@example.test", "carol@ici.test", "From: x@example.test\r\nTo: carol@ici.test\r\nSubject: for mutt\r\n\r\nhi\r\n")
    wait_for("message", lambda: any(b"for mutt" in m for m in ici.messages("carol@ici.test")))
    saved = tmp_path / "saved"
    rc = tmp_path / "muttrc"
    rc.write_text("""set folder="imaps://%s:%d/"
set imap_user="carol@ici.test"
set imap_pass="secret"
set ssl_ca_certificates_file="%s"
set certificate_file="%s"
set ssl_verify_host=no
set ssl_usesystemcerts=no
set header_cache=""
set spoolfile="=INBOX"
set mbox_type=mbox
set confirmcreate=no
set confirmappend=no
set copy=no
set quit=yes
set delete=no
push "<tag-pattern>~s 'for mutt'<enter><tag-prefix><copy-message>%s<enter><quit>"
""" % (ici.ip, PORTS["imaps"], ici.lab.ca, ici.lab.ca, saved))
    run("script", "-qec", "timeout --foreground 60 mutt -n -F %s" % rc, "/dev/null", env=dict(os.environ, TERM="xterm", HOME=str(tmp_path)),
        stdin=subprocess.DEVNULL)
    assert b"for mutt" in saved.read_bytes()


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_fetchmail_fetches(ici, tmp_path, protocol):
    user = ici.account("fetch-%s@ici.test" % protocol)
    for i in range(3):
        ici.send("x@example.test", user, "From: x@example.test\r\nTo: %s\r\nSubject: fetch %d\r\n\r\n.dot\r\n" % (user, i))
    ici.wait_messages(user, 3)
    out = tmp_path / "out"
    rc = tmp_path / "fetchmailrc"
    rc.write_text("""poll %s proto %s port %d user "%s" password "secret" ssl sslproto 'auto' sslcertfile "%s"
  no sslcertck keep mda "cat >> %s"
""" % (ici.ip, protocol, PORTS[protocol + "s"], user, ici.lab.ca, out))
    rc.chmod(0o600)
    env = dict(os.environ, HOME=str(tmp_path), FETCHMAILHOME=str(tmp_path))
    run("fetchmail", "-f", str(rc), "--nodetach", "--uidl" if protocol == "pop3" else "-v", ok=(0, 1), env=env)
    text = out.read_bytes()
    assert text.count(b"Subject: fetch") == 3 and b"\n.dot" in text


def node(what, **options):
    if not os.path.isdir(ROOT / "test" / "node_modules"):
        pytest.skip("./setup --tests installs the npm clients")
    return json.loads(run("node", str(ROOT / "test" / "clients.mjs"), what, json.dumps(options)))


@pytest.mark.parametrize("secure", [True, False])
def test_nodemailer_and_imapflow(ici, secure):
    user = ici.account("node%d@ici.test" % secure)
    common = {"host": ici.ip, "hostname": ici.hostname, "ca": ici.lab.ca, "pass": "secret"}
    sent = node("SEND", port=PORTS["submissions" if secure else "submission"], secure=secure, user="anne@ici.test", message={
        "from": "Anne <anne@ici.test>", "to": user, "subject": "Déjà vu ✉", "text": "Zoë\n.\n..dots\n", "html": "<p>Zoë</p>",
        "attachments": [{"filename": "naïve.bin", "content": "AAECAw==", "encoding": "base64"}]}, **common)
    assert sent["accepted"] == [user]
    ici.wait_messages(user)
    got = node("READ", port=PORTS["imaps"], user=user, flag="1", append="Subject: appended\r\n\r\nx\r\n", **common)
    assert got["messages"][0]["subject"] == "Déjà vu ✉"
    assert got["messages"][0]["from"] == "anne@ici.test"
    assert got["messages"][0]["type"].startswith("multipart/")
    assert got["found"] == [1] and got["appended"]["uid"] and got["moved"]
    assert ["Sent", "\\Sent"] in got["folders"] and ["Trash", "\\Trash"] in got["folders"]
    assert "IDLE" in got["capabilities"]
