"""Sending over HTTP: the message that comes out, whose it may be, keys that send once, suppressed addresses, webhooks."""
import base64
import email
import email.policy
import hmac
import http.server
import json
import os
import re
import signal
import sqlite3
import ssl
import threading

import pytest

from lab import SERVICES, wait_for
from test_api import PASSWORD, Api, code
from test_queue import Host


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur("ici.test", accounts=(), listen=SERVICES + ["http", "https"], extra="queue {\n    retry = {1h}\n}\n"
                         "limits {\n    message-size = 2mb\n}\n")
    for name in ("anne", "bert"):
        server.run("account", "add", name + "@ici.test", stdin=PASSWORD + "\n")
    server.run("alias", "add", "info@ici.test", "anne@ici.test")
    return server


@pytest.fixture(scope="module")
def anne(desk, lab):
    return Api(desk, lab).login("anne@ici.test")


def send(api, expect=202, fields=None, **message):
    status, body, _ = api.ask("POST", "/messages", {"from": "anne@ici.test", "subject": "x", "text": "y", **message}, headers=fields)
    assert status == expect, body
    return body


def basic(password, name="anne@ici.test"):
    return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (name, password)).encode()).decode()}


def newest(desk, user, seen):
    return email.message_from_bytes(desk.wait_messages(user, seen + 1, password=PASSWORD)[-1], policy=email.policy.default)


def test_a_message_comes_out_as_it_was_meant(desk, anne):
    pdf = bytes(range(256)) * 200
    body = send(anne, to=["Bert Élan <bert@ici.test>"], cc="anne@ici.test", bcc=["bert@ici.test"], subject="Été à Paris — " + "long " * 40,
                **{"from": "Anne Dupré <info@ici.test>"}, text="Bonjour,\nà bientôt\n", html="<p>Bonjour</p>", reply_to="info@ici.test",
                headers={"X-Campaign": "été", "In-Reply-To": "<1@x.test>"},
                attachments=[{"name": "été \"2026\".pdf", "type": "application/pdf", "content": base64.b64encode(pdf).decode()}])
    assert body["suppressed"] == [] and body["recipients"] == 2 and int(body["id"], 16) > 0
    raw = desk.wait_messages("bert@ici.test", 1, password=PASSWORD)[-1]
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert not any(d for part in m.walk() for d in part.defects)
    assert raw.replace(b"\r\n", b"").count(b"\n") == 0 and max(map(len, raw.split(b"\r\n"))) <= 998
    assert m["Subject"].strip() == ("Été à Paris — " + "long " * 40).strip() and m["Bcc"] is None
    assert m["From"].addresses[0].display_name == "Anne Dupré" and m["From"].addresses[0].addr_spec == "info@ici.test"
    assert m["To"].addresses[0].display_name == "Bert Élan" and m["X-Campaign"] == "été" and m["In-Reply-To"] == "<1@x.test>"
    assert m["Message-ID"] == "<%s>" % body["message_id"] and m["Date"].datetime and m["DKIM-Signature"] and m["Received"]
    assert m.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Bonjour,\nà bientôt\n"
    assert m.get_body(("html",)).get_content().strip() == "<p>Bonjour</p>"
    files = list(m.iter_attachments())
    assert [f.get_filename() for f in files] == ["été \"2026\".pdf"] and files[0].get_content() == pdf
    assert len(desk.wait_messages("bert@ici.test", 1, password=PASSWORD)) == 1  # to and bcc: once
    trace = desk.json("trace", "--id", body["id"])[0]
    assert trace["steps"][0]["event"] == "web.message.accepted" and trace["sender"] == "info@ici.test"


def test_what_is_refused(desk, anne):
    for change, expected in ((dict({"from": "bert@ici.test"}), (403, "send.from")), ({"from": "x"}, (400, "request.field")),
                             ({"from": "anne@ici.test, bert@ici.test"}, (400, "request.field")), ({"to": []}, (400, "request.field")),
                             ({"to": ["a@b\r\nBcc: c@d.test"]}, (400, "request.field")), ({"subject": "a\r\nBcc: c@d.test"}, (400, "send.message")),
                             ({"headers": {"Bcc": "c@d.test"}}, (400, "send.message")), ({"headers": {"X-A": "b\nBcc: c@d.test"}}, (400, "send.message")),
                             ({"headers": {"DKIM-Signature": "v=1"}}, (400, "send.message")), ({"headers": []}, (400, "request.field")),
                             ({"attachments": [{"name": "a", "content": "no base64!"}]}, (400, "request.field")),
                             ({"attachments": [{"name": "a", "type": "text/plain\r\nX: y", "content": "eA=="}]}, (400, "send.message")),
                             ({"to": ["nobody@ici.test"]}, (422, "send.recipient")), ({"to": ["x@%s.test" % i for i in range(1001)]}, (400, "request.field")),
                             ({"text": "x" * 3000000}, (413, "send.size"))):
        body = {"from": "anne@ici.test", "to": ["bert@ici.test"], "subject": "x", "text": "y", **change}
        assert code(anne.ask("POST", "/messages", body)) == expected, change
    assert anne.ask("POST", "/messages")[0] == 400
    assert desk.json("queue", "list") == []


def test_programs_log_in_by_basic(desk, lab, anne):
    made = anne.ask("POST", "/me/app-passwords", {"name": "mailer", "scope": "send"})
    reader = anne.ask("POST", "/me/app-passwords", {"name": "reader", "scope": "read"})
    nobody = Api(desk, lab)
    assert code(nobody.ask("POST", "/messages", {"from": "anne@ici.test"})) == (401, "session.none")
    assert code(nobody.ask("POST", "/messages", {}, headers=basic("wrong"))) == (401, "login.wrong")
    assert nobody.ask("GET", "/me/suppressions", headers=basic(PASSWORD))[0] == 401  # for sending alone
    body = {"from": "anne@ici.test", "to": "bert@ici.test", "subject": "by a program", "text": "x" * 200000}
    seen = len(desk.messages("bert@ici.test", password=PASSWORD))
    assert made[0] == reader[0] == 201
    assert nobody.ask("POST", "/messages", body, headers=basic(made[1]["password"]))[0] == 202
    assert code(nobody.ask("POST", "/messages", {**body, "text": "x"}, headers=basic(reader[1]["password"]))) == (403, "login.scope")
    assert newest(desk, "bert@ici.test", seen)["Subject"] == "by a program"
    # that it was good a moment ago is not remembered longer than it is there
    assert anne.ask("DELETE", "/me/app-passwords/%s" % made[1]["id"])[0] == 204
    assert code(nobody.ask("POST", "/messages", {**body, "text": "x"}, headers=basic(made[1]["password"]))) == (401, "login.wrong")


def test_a_key_sends_once(desk, anne):
    key = {"Idempotency-Key": "order 7"}
    seen = len(desk.messages("bert@ici.test", password=PASSWORD))
    first = send(anne, to="bert@ici.test", subject="once", fields=key)
    assert send(anne, to="bert@ici.test", subject="once", fields=key) == first
    assert code(anne.ask("POST", "/messages", {"from": "anne@ici.test", "to": "bert@ici.test", "text": "other"}, headers=key)) == (409, "send.key")
    assert newest(desk, "bert@ici.test", seen)["Subject"] == "once"
    assert len(desk.messages("bert@ici.test", password=PASSWORD)) == seen + 1
    refused = {"Idempotency-Key": "order 8"}
    assert send(anne, 422, to="nobody@ici.test", fields=refused)
    send(anne, to="bert@ici.test", fields=refused)  # what failed has used no key


class Hook:
    """A web host on loopback that keeps what it is told; `status` is what it answers."""

    def __init__(self, lab, ip, name):
        self.calls, self.status, hook = [], 200, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.calls.append((self.headers["Facteur-Signature"], body))
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        cert, key = os.path.join(lab.dir, name + ".pem"), os.path.join(lab.dir, name + ".key")
        lab.certificate(cert, key, name)
        lab.dns.set(name + ".", "A " + ip)
        self.server = http.server.ThreadingHTTPServer((ip, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "https://%s:%d/told?x=1" % (name, self.server.server_port)

    def events(self):
        return [json.loads(body) for _, body in self.calls]


@pytest.fixture(scope="module")
def far(lab):
    ip = lab.ip()
    lab.dns.records["mx.loin.test."] = ["A " + ip]
    lab.dns.set("loin.test.", "MX 10 mx.loin.test.")
    host = Host(ip, answers={"RCPT TO:<no@": b"550 5.1.1 unknown\r\n", "RCPT TO:<full@": b"552 5.2.2 full\r\n", "RCPT TO:<later@": b"451 4.7.1 later\r\n"})
    yield host
    host.stop()


def test_dead_addresses_are_suppressed(desk, lab, anne, far):
    body = send(anne, to=["no@loin.test", "full@loin.test", "yes@loin.test"])
    assert body["suppressed"] == []
    listed = wait_for("the list", lambda: anne.get("/me/suppressions")["suppressions"])
    assert [(s["address"], s["kind"], s["reason"]) for s in listed] == [("no@loin.test", "bounce", "550 5.1.1 unknown")]
    body = send(anne, to=["No@loin.test", "yes@loin.test"])
    assert body["suppressed"] == ["No@loin.test"] and body["recipients"] == 1
    assert send(anne, 200, to="no@loin.test")["id"] is None
    assert Api(desk, lab).login("bert@ici.test").get("/me/suppressions")["suppressions"] == []
    assert anne.ask("DELETE", "/me/suppressions/no@loin.test")[0] == 204
    assert anne.ask("DELETE", "/me/suppressions/no@loin.test")[0] == 404


def test_operators_look_after_suppressions_by_command(desk, lab, anne, far):
    """What is submitted by SMTP feeds the list, and is not held to it."""
    since = len(desk.log_text())
    with desk.submission("anne@ici.test", PASSWORD) as s:
        s.sendmail("anne@ici.test", ["no@loin.test"], "From: anne@ici.test\r\nSubject: x\r\n\r\nx\r\n")
    one, = wait_for("the list", lambda: desk.json("suppression", "list", "anne@ici.test"))
    assert (one["address"], one["kind"], one["reason"]) == ("no@loin.test", "bounce", "550 5.1.1 unknown") and one["since"].startswith("20")
    assert "no@loin.test" in desk.run("suppression", "list", "anne@ici.test")
    with desk.submission("anne@ici.test", PASSWORD) as s:
        assert s.sendmail("anne@ici.test", ["no@loin.test"], "From: anne@ici.test\r\nSubject: x\r\n\r\nx\r\n") == {}
    wait_for("the second bounce", lambda: desk.log_text()[since:].count("suppression.added") == 2)
    desk.run("suppression", "remove", "anne@ici.test", "NO@loin.test")
    assert desk.run("suppression", "remove", "anne@ici.test", "no@loin.test", check=False).returncode == 1
    assert desk.run("suppression", "list", "nobody@ici.test", check=False).returncode == 1
    with sqlite3.connect("file:%s/facteur.db?mode=ro" % desk.data, uri=True) as db:
        assert db.execute("SELECT what, about, detail FROM audit ORDER BY id DESC LIMIT 1").fetchone() == (
            "suppression.remove", "anne@ici.test", "NO@loin.test")


def complaint(message_id, sender="fbl@fbl.test", to="yes@loin.test"):
    return ("From: %s\r\nTo: abuse@ici.test\r\nSubject: complaint\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
            "report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nspam\r\n--b\r\n"
            "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n"
            "Original-Mail-From: <anne@ici.test>\r\nOriginal-Rcpt-To: <%s>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
            "From: anne@ici.test\r\nTo: %s\r\nMessage-ID: <%s>\r\n\r\nx\r\n--b--\r\n") % (sender, to, to, message_id)


def test_complaints_suppress_too(desk, lab, anne, far):
    lab.dns.records["_dmarc.fbl.test."] = ['TXT "v=DMARC1; p=none"']
    lab.dns.set("fbl.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"', "MX 10 mx.loin.test.")
    desk.run("alias", "add", "abuse@ici.test", "bert@ici.test")
    sent = send(anne, to="yes@loin.test")["message_id"]
    for who, message in (("fbl@forged.test", complaint(sent, "fbl@forged.test")), ("fbl@fbl.test", complaint("1234567890abcdef.1.00@ici.test")),
                         ("fbl@fbl.test", complaint(sent, to="other@loin.test").replace("Type: abuse", "Type: not-spam"))):
        desk.send(who, ["abuse@ici.test"], message)
    desk.send("fbl@fbl.test", ["abuse@ici.test"], complaint(sent))
    listed = wait_for("the list", lambda: anne.get("/me/suppressions")["suppressions"])
    assert [(s["address"], s["kind"], s["reason"]) for s in listed] == [("yes@loin.test", "complaint", "abuse")]
    assert anne.ask("DELETE", "/me/suppressions/yes@loin.test")[0] == 204


def test_webhooks_tell_a_messages_fate(desk, lab, anne, far):
    for bad in ("http://hook.test/", "https://", "https://a@hook.test/", "file:///etc/passwd", 7):
        assert code(anne.ask("POST", "/me/webhooks", {"url": bad, "events": ["bounced"]})) == (400, "request.field")
    assert code(anne.ask("POST", "/me/webhooks", {"url": "https://hook.test/", "events": ["sent"]})) == (400, "request.field")
    hook = Hook(lab, lab.ip(), "hook.test")
    hook.status = 500
    secret = "a secret of twenty bytes"
    made = anne.ask("POST", "/me/webhooks", {"url": hook.url, "events": ["delivered", "deferred", "bounced"], "secret": secret})
    assert made[0] == 201 and made[1]["secret"] == secret
    body = send(anne, to=["full@loin.test", "yes@loin.test", "later@loin.test", "bert@ici.test"])
    # It leads to a private address: not called, and never again.
    desk.wait_log(r"webhook\.dropped .*public Internet")
    assert hook.calls == [] and "public Internet" in anne.get("/me/webhooks")["webhooks"][0]["last"]
    desk.write(desk.text + "web {\n    webhooks-private = yes\n}\n")
    since = len(desk.log_text())
    desk.process.send_signal(signal.SIGHUP)
    desk.wait_log(r" process\.reloaded name=mta", since=since)
    body = send(anne, to=["full@loin.test", "yes@loin.test", "later@loin.test", "bert@ici.test"])
    wait_for("a call", lambda: hook.calls)
    desk.wait_log(r"webhook\.failed .*reason=500")
    assert len(hook.calls) == 1  # the others wait as long
    hook.status = 204
    wait_for("all calls, after their wait", lambda: {e["recipient"] for e in hook.events()} ==
             {"full@loin.test", "yes@loin.test", "later@loin.test", "bert@ici.test"}, 60)
    told = {e["recipient"]: e for e in hook.events()}
    assert {a: e["event"] for a, e in told.items()} == {"full@loin.test": "bounced", "yes@loin.test": "delivered", "later@loin.test": "deferred",
                                                        "bert@ici.test": "delivered"}
    assert all(e["id"] == body["id"] and e["sender"] == "anne@ici.test" for e in told.values())
    # what was told before an answer that it did not like comes again as the same event
    assert len({e["event_id"] for e in told.values()}) == 4 and hook.events()[0] in hook.events()[1:]
    assert (told["full@loin.test"]["status"], told["full@loin.test"]["reply"]) == ("5.2.2", "552 5.2.2 full")
    for signature, raw in hook.calls:
        seconds, mac = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", signature).groups()
        assert hmac.new(secret.encode(), seconds.encode() + b"." + raw, "sha256").hexdigest() == mac
    shown = anne.get("/me/webhooks")["webhooks"][0]
    assert shown["last"] == "204" and "secret" not in shown
    assert Api(desk, lab).login("bert@ici.test").ask("DELETE", "/me/webhooks/" + shown["id"])[0] == 404
    assert anne.ask("DELETE", "/me/webhooks/" + shown["id"])[0] == 204 and anne.get("/me/webhooks")["webhooks"] == []
