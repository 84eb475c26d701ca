"""What clients choose and prove by TLS: the protocol at port 443 (ALPN), and who they are (certificates at submission)."""
import base64
import imaplib
import os
import re
import smtplib
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from lab import PORTS, SERVICES, SLOW, wait_for

MAIL = "From: anne@ici.test\r\nTo: bob@ici.test\r\nSubject: %s\r\n\r\nHello\r\n"


def run(*command, **kw):
    subprocess.run(command, check=True, capture_output=True, **kw)


def make_authority(path, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
        "-keyout", path + ".key", "-out", path + ".pem")


def make_client(folder, authority, mailboxes, name="client", usage="clientAuth", days="2"):
    """A certificate for these mailboxes and its key, in one file."""
    path = os.path.join(folder, name)
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", path + ".key",
        "-out", path + ".csr")
    with open(path + ".ext", "w") as f:
        f.write("extendedKeyUsage = %s\nsubjectAltName = %s\n" % (usage, ",".join("email:" + m for m in mailboxes) or "DNS:client.test"))
    run("openssl", "x509", "-req", "-in", path + ".csr", "-CA", authority + ".pem", "-CAkey", authority + ".key", "-CAcreateserial", "-days", days,
        "-extfile", path + ".ext", "-out", path + ".pem")
    return path


@pytest.fixture(scope="module")
def server(lab):
    authority = os.path.join(lab.dir, "clients")
    make_authority(authority, "Our devices")
    server = lab.facteur("ici.test", accounts=("anne", "bob"), listen=SERVICES + ["http", "https"], start=False)
    server.authority = authority
    server.write(server.text.replace("tls {", 'tls {\n    client-trust = "%s.pem"' % authority))
    server.start()
    return server


def context(lab, *protocols, client=None):
    c = lab.tls()
    c.check_hostname = False
    if protocols:
        c.set_alpn_protocols(list(protocols))
    if client:
        c.load_cert_chain(client + ".pem", client + ".key")
    return c


# --- one port for all ---

@pytest.mark.sanitize
def test_imap_at_the_web_port(server, lab):
    m = imaplib.IMAP4_SSL(server.ip, PORTS["https"], ssl_context=context(lab, "imap"), timeout=20 * SLOW)
    assert m.sock.selected_alpn_protocol() == "imap"
    m.login("anne@ici.test", "secret")
    assert m.select("INBOX")[0] == "OK"
    m.logout()


@pytest.mark.sanitize
def test_submission_at_the_web_port(server, lab):
    since = len(server.log_text())
    with smtplib.SMTP_SSL(server.ip, PORTS["https"], context=context(lab, "smtp"), timeout=20 * SLOW) as s:
        assert s.sock.selected_alpn_protocol() == "smtp"
        s.login("anne@ici.test", "secret")
        s.sendmail("anne@ici.test", ["bob@ici.test"], MAIL % "by 443")
    wait_for("the message", lambda: any(b"Subject: by 443" in t for t in server.messages("bob@ici.test")))
    line = server.wait_log(r"smtp\.auth\.ok.*", since=since).group(0)
    assert "peer=127." in line  # the client's address went along


def test_hello_in_pieces(server, lab):
    """A ClientHello that comes byte by byte: nothing spins, and the right process gets it."""
    c = context(lab, "smtp")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = c.wrap_bio(incoming, outgoing, server_hostname="mx.ici.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    with socket.create_connection((server.ip, PORTS["https"]), timeout=20 * SLOW) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(hello), 40):
            s.sendall(hello[at:at + 40])
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                s.sendall(outgoing.read())
                incoming.write(s.recv(16384))
        s.sendall(outgoing.read())
        while True:
            try:
                assert tls.read(4096).startswith(b"220 mx.ici.test")
                break
            except ssl.SSLWantReadError:
                incoming.write(s.recv(16384))
    # half of one, and the end
    with socket.create_connection((server.ip, PORTS["https"]), timeout=20 * SLOW) as s:
        s.sendall(hello[:50])
        s.shutdown(socket.SHUT_WR)
        assert s.recv(100) == b""


@pytest.mark.sanitize
def test_protocols_are_not_mixed(server, lab):
    """Bytes meant for one protocol must not reach another (RFC 9325 §3.8)."""
    for port, asked, served in [("https", "http/1.1", True), ("https", "h2", False), ("https", "pop3", False), ("imaps", "imap", True),
                                ("imaps", "http/1.1", False), ("submissions", "smtp", True), ("submissions", "http/1.1", False),
                                ("pop3s", "pop3", True), ("pop3s", "imap", False)]:
        with socket.create_connection((server.ip, PORTS[port]), timeout=20 * SLOW) as plain:
            try:
                with context(lab, asked).wrap_socket(plain) as s:
                    assert served and s.selected_alpn_protocol() == asked, (port, asked)
            except ssl.SSLError as e:
                assert not served and "no application protocol" in str(e).lower(), (port, asked, e)
    # between servers any TLS is better than none
    s = smtplib.SMTP(server.ip, PORTS["smtp"], timeout=20 * SLOW)
    s.starttls(context=context(lab, "http/1.1"))
    assert s.sock.selected_alpn_protocol() is None and s.ehlo()[0] == 250
    s.quit()


def test_what_is_not_listed_is_not_served(lab):
    server = lab.facteur("peu.test", listen=["smtp", "https"])
    for protocol in ("imap", "smtp"):
        with socket.create_connection((server.ip, PORTS["https"]), timeout=20 * SLOW) as plain, pytest.raises(ssl.SSLError):
            context(lab, protocol).wrap_socket(plain)
    server.stop()


# --- clients' certificates ---

def submission(server, lab, client, port="submission"):
    c = context(lab, client=client)
    if port == "submissions":
        s = smtplib.SMTP_SSL(server.ip, PORTS[port], context=c, timeout=20 * SLOW)
    else:
        s = smtplib.SMTP(server.ip, PORTS[port], timeout=20 * SLOW)
        s.starttls(context=c)
    s.ehlo()
    return s


def external(s, name=""):
    return s.docmd("AUTH", "EXTERNAL " + (base64.b64encode(name.encode()).decode() or "="))[0]


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_certificate_logs_in(server, lab, port):
    client = make_client(lab.dir, server.authority, ["nobody@ici.test", "Anne@ici.test"], "printer-" + port)
    with submission(server, lab, client, port) as s:
        assert "EXTERNAL" in s.esmtp_features["auth"].split()
        assert external(s) == 235
        s.sendmail("anne@ici.test", ["bob@ici.test"], MAIL % ("certified " + port))
        with pytest.raises(smtplib.SMTPSenderRefused):
            s.sendmail("bob@ici.test", ["bob@ici.test"], MAIL % "forged")
    wait_for("the message", lambda: any(("Subject: certified " + port).encode() in t for t in server.messages("bob@ici.test")))
    assert re.search("smtp.auth.ok.*login=anne@ici.test mechanism=EXTERNAL", server.log_text())
    with submission(server, lab, client, port) as s:
        assert external(s, "anne@ici.test") == 235
    with submission(server, lab, client, port) as s:
        assert external(s, "bob@ici.test") == 535  # not one of its mailboxes
    with submission(server, lab, client, port) as s:  # a password goes as ever
        s.login("bob@ici.test", "secret")


def test_certificates_that_do_not_count(server, lab):
    other = os.path.join(lab.dir, "strangers")
    make_authority(other, "Our devices")  # the same name, another key
    for name, authority, mailboxes, usage in [("foreign", other, ["anne@ici.test"], "clientAuth"), ("server", server.authority, ["anne@ici.test"], "serverAuth"),
                                             ("nameless", server.authority, [], "clientAuth")]:
        with submission(server, lab, make_client(lab.dir, authority, mailboxes, name, usage)) as s:
            assert "EXTERNAL" not in s.esmtp_features["auth"].split(), name
            assert external(s) == 538, name
    with submission(server, lab, make_client(lab.dir, server.authority, ["zoe@ici.test", "anne@elsewhere.test"], "gone")) as s:
        assert external(s) == 535
    with submission(server, lab, None) as s:
        assert "EXTERNAL" not in s.esmtp_features["auth"].split() and external(s) == 538
    # nobody is asked at the other ports, and there it proves nothing
    c = context(lab, client=make_client(lab.dir, server.authority, ["anne@ici.test"], "reader"))
    m = imaplib.IMAP4_SSL(server.ip, PORTS["imaps"], ssl_context=c, timeout=20 * SLOW)
    assert "AUTH=EXTERNAL" not in m.capabilities
    m.logout()


# --- keys that change ---

def test_no_handshake_fails_while_the_key_changes(lab):
    """A reload brings another vault with another key: handshakes go on with the certificate before until all is in place."""
    server = lab.facteur("change.test", listen=["smtp", "imaps"])
    failures, done, stop = [], [0], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                with socket.create_connection((server.ip, PORTS["imaps"]), timeout=20 * SLOW) as plain, context(lab).wrap_socket(plain):
                    done[0] += 1
            except OSError as e:
                failures.append(e)

    threads = [threading.Thread(target=knock) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for _ in range(5):
            lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.change.test")
            since, before = len(server.log_text()), done[0]
            server.process.send_signal(signal.SIGHUP)
            for name in ("mta", "access"):
                server.wait_log("process.reloaded name=" + name, since=since)
            wait_for("handshakes", lambda: done[0] > before + 5)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures[:3]
    with open(os.path.join(server.dir, "cert.pem")) as f:
        last = ssl.PEM_cert_to_DER_cert(f.read())
    with socket.create_connection((server.ip, PORTS["imaps"]), timeout=20 * SLOW) as plain, context(lab).wrap_socket(plain) as s:
        assert s.getpeercert(True) == last
    children = ["pgrep", "-c", "-P", str(server.process.pid)]
    assert int(subprocess.run(children, capture_output=True, text=True).stdout) <= 4  # of those that were replaced the last alone
    server.stop()
