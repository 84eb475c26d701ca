"""Certificates by ACME, from Pebble: an authority that refuses every second nonce."""
import base64
import http.server
import imaplib
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lab import BIN, DNS_PORT, IS_ROOT, Lab, PORTS, SERVICES, SLOW, wait_for

PEBBLE_PORT = 14000
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


class Pebble:
    def __init__(self, lab, name, **settings):
        self.lab, self.ip, self.name = lab, lab.ip(), name
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir)
        cert, key = os.path.join(self.dir, "cert.pem"), os.path.join(self.dir, "key.pem")
        lab.certificate(cert, key, name)
        lab.dns.set(name + ".", "A " + self.ip)
        self.conf = os.path.join(self.dir, "pebble.json")
        with open(self.conf, "w") as f:
            json.dump({"pebble": {"listenAddress": "%s:%d" % (self.ip, PEBBLE_PORT), "managementListenAddress": "",
                                  "certificate": cert, "privateKey": key, "httpPort": PORTS["http"], "tlsPort": PORTS["https"],
                                  "ocspResponderURL": "", **settings}}, f)
        env = dict(os.environ, PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="50", PEBBLE_AUTHZREUSE="0")
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["pebble", "-config", self.conf, "-dnsserver", "%s:%d" % (lab.dns.ip, DNS_PORT), "-strict"],
                                            env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        lab.parts.append(self)  # ends with the lab, whatever happens
        wait_for("pebble", self.answers, 30)

    def answers(self):
        try:
            socket.create_connection((self.ip, PEBBLE_PORT), timeout=1).close()
        except OSError:
            return False
        return True

    def directory(self):
        return "https://%s:%d/dir" % (self.name, PEBBLE_PORT)

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="module")
def pebble(lab):
    made = Pebble(lab, "acme.lab.test")
    yield made
    made.stop()


def certificate(server, port, name=None, starttls=False):
    """What is served to a client that asks for this name: (issuer, names, whole)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if starttls:
        s = smtplib.SMTP(server.ip, PORTS["smtp"], timeout=20 * SLOW)
        s.starttls(context=context)
        der = s.sock.getpeercert(True)
        s.close()
    else:
        with socket.create_connection((server.ip, PORTS[port]), timeout=20 * SLOW) as plain, \
                context.wrap_socket(plain, server_hostname=name) as s:
            der = s.getpeercert(True)
    out = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-issuer", "-ext", "subjectAltName"], input=der, capture_output=True,
                         check=True).stdout.decode()
    return out.split("\n")[0], out, der


def reload(server):
    since = len(server.log_text())
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"\breloaded\b", since=since)


def is_pebbles(server, port, name, **kw):
    try:
        issuer, text, _ = certificate(server, port, name, **kw)
    except OSError:
        return False
    return "Pebble" in issuer and "DNS:" + name in text


def wait_certificate(server, port, name, **kw):
    try:
        wait_for("the certificate for " + name, lambda: is_pebbles(server, port, name, **kw), 100)
    except AssertionError as e:
        told = [line for line in server.log_text().splitlines() if " imap." not in line]
        raise AssertionError("%s; the log ends:\n%s" % (e, "\n".join(told[-20:])))


def serve(lab, domain, directory, extra="", services=SERVICES + ["http", "https"], **kw):
    server = lab.facteur(domain, 'acme {\n    directory = "%s"\n    contact = "mailto:postmaster@%s"\n%s}\n' % (directory, domain, extra),
                         listen=services, start=False, **kw)
    lab.dns.set("mta-sts.%s." % domain, "CNAME mx.%s." % domain)
    # what quickstart makes: good for the first minute
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                    "/CN=first day", "-addext", "subjectAltName=DNS:mx." + domain, "-keyout", os.path.join(server.dir, "key.pem"), "-out",
                    os.path.join(server.dir, "cert.pem")], check=True, capture_output=True)
    return server


def test_certificates_are_had_and_kept(lab, pebble):
    server = serve(lab, "ici.test", pebble.directory(), accounts=("anne",))
    server.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session = imaplib.IMAP4_SSL(server.ip, PORTS["imaps"], ssl_context=context, timeout=20 * SLOW)
    session.login("anne@ici.test", "secret")
    wait_certificate(server, "imaps", "mx.ici.test")
    wait_certificate(server, "https", "mta-sts.ici.test")
    wait_certificate(server, "smtp", "mx.ici.test", starttls=True)
    assert "DNS:mx.ici.test" in certificate(server, "imaps")[1]  # clients that name no host
    assert session.noop()[0] == "OK"  # nobody was thrown out
    session.logout()
    # the keys are where the vault alone reads
    for folder, _, files in os.walk(os.path.join(server.dir, "data")):
        for f in files:
            if not folder.endswith(("/vault", "/run")):
                with open(os.path.join(folder, f), "rb") as data:
                    assert b"PRIVATE KEY" not in data.read(), f
    if IS_ROOT:
        assert os.stat(os.path.join(server.dir, "data", "vault")).st_mode & 0o077 == 0
    # a restart serves the same, and orders nothing
    before = certificate(server, "imaps", "mx.ici.test")[2]
    orders = pebble.log_text().count("Added order")
    assert orders == 2
    server.stop()
    server.start()
    assert certificate(server, "imaps", "mx.ici.test")[2] == before
    reload(server)
    assert certificate(server, "imaps", "mx.ici.test")[2] == before
    assert pebble.log_text().count("Added order") == orders
    server.stop()


def test_name_that_is_not_ours_harms_no_other(lab, pebble):
    """The policy host leads elsewhere: its order fails, in words that help; the host itself has its certificate."""
    server = serve(lab, "labas.test", pebble.directory())
    lab.dns.set("mta-sts.labas.test.", "A %s" % lab.ip())  # nobody there
    server.start()
    wait_certificate(server, "imaps", "mx.labas.test")
    line = server.wait_log("acme.certificate.failed.*", 60).group(0)
    assert "mta-sts.labas.test" in line and "port 80" in line
    # mended: the next try is soon
    lab.dns.set("mta-sts.labas.test.", "CNAME mx.labas.test.")
    reload(server)
    wait_certificate(server, "https", "mta-sts.labas.test")
    server.stop()


def test_authority_that_is_away(lab):
    lab.dns.set("nobody.lab.test.", "A %s" % lab.ip())
    server = serve(lab, "ailleurs.test", "https://nobody.lab.test:14000/dir")
    server.start()
    assert "nobody.lab.test" in server.wait_log("acme.certificate.failed.*", 60).group(0)
    assert "first day" in certificate(server, "imaps")[0]  # the file's still serves
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 15 * SLOW


class Liar(http.server.ThreadingHTTPServer):
    """An authority that takes every name for proven and issues what `spoil` makes of the right chain."""
    daemon_threads = True

    def __init__(self, lab, name):
        self.lab, self.spoil, self.base = lab, None, "https://%s:%d" % (name, PEBBLE_PORT)
        self.days, self.nonces, self.csr = "20", 0, os.path.join(lab.dir, name + ".csr")
        ip, cert, key = lab.ip(), os.path.join(lab.dir, name + ".pem"), os.path.join(lab.dir, name + ".key")
        lab.certificate(cert, key, name)
        lab.dns.set(name + ".", "A " + ip)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                handler.do_POST()
            do_HEAD = do_GET

            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
                answer = self.answer(handler.path, json.loads(body)["payload"] if body else "")
                self.nonces += 1
                handler.send_response(200)
                handler.send_header("Replay-Nonce", "nonce%d" % self.nonces)
                handler.send_header("Location", self.base + ("/account" if handler.path == "/account" else "/order"))
                handler.send_header("Content-Length", str(len(answer)))
                handler.end_headers()
                if handler.command != "HEAD":
                    handler.wfile.write(answer)

            def log_message(handler, *args):
                pass
        super().__init__((ip, PEBBLE_PORT), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path, payload):
        if path == "/finalize":
            with open(self.csr, "wb") as f:
                csr = json.loads(base64.urlsafe_b64decode(payload + "=="))["csr"]
                f.write(base64.urlsafe_b64decode(csr + "=="))
        if path == "/certificate":
            issued = subprocess.run(["openssl", "x509", "-req", "-inform", "DER", "-in", self.csr, "-copy_extensions", "copy", "-CA", self.lab.ca,
                                     "-CAkey", self.lab.ca_key, "-days", self.days], capture_output=True, check=True, timeout=20).stdout
            return self.spoil(issued)
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
        status = {"/order": "valid" if os.path.exists(self.csr) else "ready"}.get(path, "valid")
        if path == "/dir":
            return json.dumps({k: "%s/%s" % (self.base, v) for k, v in names.items()}).encode()
        return json.dumps({"status": status, "authorizations": [self.base + "/authorization"], "finalize": self.base + "/finalize",
                           "certificate": self.base + "/certificate"}).encode()

    def stop(self):
        self.shutdown()
        self.server_close()


def test_authority_that_lies(lab):
    """What could not serve never takes the place of what does: a chain that cannot be read once kept the server from starting."""
    liar = Liar(lab, "liar.lab.test")
    lab.parts.append(liar)
    server = serve(lab, "menti.test", liar.base + "/dir", services=["imaps", "https"])
    lab.dns.set("mta-sts.menti.test.")
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    lies = [("20", lambda pem: pem + broken, "cannot be used: the chain"), ("20", lambda pem: pem + pem[:300], "cannot be used: the chain"),
            ("20", lambda pem: b"<html>", "cannot be used: no certificate"), ("-1", lambda pem: pem, "has expired"),
            ("20", lambda pem: open(lab.ca, "rb").read() + pem, "is not for mx.menti.test")]
    since = 0
    for liar.days, liar.spoil, why in lies:
        if os.path.exists(liar.csr):
            os.remove(liar.csr)
        server.process.send_signal(signal.SIGHUP) if server.process else server.start()
        server.wait_log(r"acme\.certificate\.failed .*%s" % why, since=since)
        since = len(server.log_text())
        assert "first day" in certificate(server, "imaps", "mx.menti.test")[0]
    server.stop()
    server.start()
    assert "first day" in certificate(server, "imaps", "mx.menti.test")[0]
    server.wait_log(r"acme\.certificate\.failed ", since=since)  # the try of the start is over
    os.remove(liar.csr)
    liar.days, liar.spoil = "20", lambda pem: pem
    reload(server)
    wait_for("the honest one", lambda: "Lab CA" in certificate(server, "imaps", "mx.menti.test")[0])
    server.stop()


def test_no_port_80(lab, pebble):
    """The authority looks by TLS (RFC 8737), while others are served by the same port as ever."""
    server = serve(lab, "sanshttp.test", pebble.directory(), services=[s for s in SERVICES + ["https"] if s != "http"], accounts=("anne",))
    server.start()
    wait_certificate(server, "https", "mx.sanshttp.test")
    wait_certificate(server, "https", "mta-sts.sanshttp.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["acme-tls/1"])
    with pytest.raises(OSError), socket.create_connection((server.ip, PORTS["https"]), timeout=20) as plain:
        context.wrap_socket(plain, server_hostname="mx.sanshttp.test")  # nobody asked for that: there is no proof
    server.stop()


def test_closed_port_is_gone_around(lab, pebble):
    """Something else has port 80: after one failure the other way is taken."""
    server = serve(lab, "autour.test", pebble.directory())
    elsewhere = server.text.replace('http = "%s:%d"' % (server.ip, PORTS["http"]), 'http = "%s:%d"' % (server.ip, PORTS["http"] + 8000))
    assert elsewhere != server.text
    server.write(elsewhere)
    server.start()
    server.wait_log("acme.certificate.failed.*port 80", 60)
    reload(server)
    server.wait_log("acme.certificate.new", 100)
    server.stop()


def test_external_account(lab):
    pebble = Pebble(lab, "eab.lab.test", externalAccountBindingRequired=True, externalAccountMACKeys={"kid-1": EAB_KEY})
    try:
        server = serve(lab, "lie.test", pebble.directory())
        server.start()
        assert "eab-key-id" in server.wait_log("acme.certificate.failed.*", 60).group(0)
        secret = os.path.join(server.dir, "eab.secret")
        with open(secret, "w") as f:
            f.write(EAB_KEY + "\n")
        os.chmod(secret, 0o600)
        server.write(server.text.replace("acme {", 'acme {\n    eab-key-id = "kid-1"\n    eab-key-file = "eab.secret"'))
        reload(server)
        wait_certificate(server, "imaps", "mx.lie.test")
        with open(server.log) as f:
            assert EAB_KEY not in f.read()
        server.stop()
    finally:
        pebble.stop()


def test_certificate_of_a_file_that_is_good_stays(lab, pebble):
    """Somebody else's authority vouches for it, and it lives long enough: nothing is ordered."""
    server = serve(lab, "rien.test", pebble.directory())
    lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), "mx.rien.test")
    server.start()
    wait_certificate(server, "https", "mta-sts.rien.test")
    assert "Pebble" not in certificate(server, "imaps", "mx.rien.test")[0]
    server.stop()


@pytest.mark.skipif(not IS_ROOT, reason="the authority asks at port 80")
def test_tlsa_records_stay_right(lab):
    """A host that is bound to a key by DNSSEC gets its certificate for the next key only once that is published."""
    signed = Lab(signed=True)
    try:
        pebble = Pebble(signed, "acme.lab.test")
        server = serve(signed, "ici.test", pebble.directory())
        records = [r for r in server.run("dns", "ici.test").splitlines() if " TLSA " in r]
        assert len(records) == 2 and all(r.startswith("_25._tcp.mx.ici.test. ") for r in records), records
        spki = subprocess.run("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"
                              % os.path.join(server.dir, "cert.pem"), shell=True, capture_output=True, text=True).stdout.split()[0]
        now, after = ([r for r in records if (spki in r) == wanted][0] for wanted in (True, False))
        signed.dns.load(now)  # the next one is forgotten
        server.start()
        server.wait_log("acme.tlsa.awaited", 30)
        assert "first day" in certificate(server, "imaps", "mx.ici.test")[0]
        signed.dns.load(after)
        reload(server)
        wait_certificate(server, "imaps", "mx.ici.test")
        records = [r for r in server.run("dns", "ici.test").splitlines() if " TLSA " in r]
        assert len(records) == 2 and after in records and now not in records
        der = certificate(server, "imaps", "mx.ici.test")[2]
        spki = subprocess.run("openssl x509 -inform DER -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum", input=der, shell=True,
                              capture_output=True).stdout.decode().split()[0]
        assert spki in after
        server.stop()
        pebble.stop()
    finally:
        signed.close()


def test_challenges_are_answered_by_name_only(lab, pebble):
    server = serve(lab, "nulle.test", pebble.directory())
    server.start()
    with socket.create_connection((server.ip, PORTS["http"]), timeout=20) as s:
        s.sendall(b"GET /.well-known/acme-challenge/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 404 " in s.recv(4096)
    server.stop()


@pytest.mark.parametrize("text,words", [
    ('acme {\n directory = "http://x.test/"\n}\n', "https://"),
    ('acme {\n contact = "mailto:a@b.test"\n}\n', "needs a 'directory'"),
    ('acme {\n directory = "https://x.test/"\n eab-key-id = "k"\n}\n', "go together"),
])
def test_mistakes_are_named(text, words, tmp_path):
    conf = tmp_path / "facteur.conf"
    conf.write_text('hostname = "mx.x.test"\nlisten {\n http = "127.0.0.1:80"\n}\n' + text)
    r = subprocess.run([BIN, "-c", str(conf), "config", "check"], capture_output=True, text=True)
    assert r.returncode == 1 and words in r.stderr + r.stdout
