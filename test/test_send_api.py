"""Sending over HTTP: the message that comes out, whose it may be, keys that send once, suppressed addresses, webhooks."""
import base64
import email
import email.policy

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


def send(api, expect=202, http=None, **message):
    status, body, _ = api.ask("POST", "/messages", {"from": "anne@ici.test", "subject": "x", "text": "y", **message}, headers=http)
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
    if made[0] in (200, 201):
        assert nobody.ask("POST", "/messages", body, headers=basic(made[1]["password"]))[0] == 202
        assert code(nobody.ask("POST", "/messages", body, headers=basic(reader[1]["password"]))) == (403, "login.scope")
    else:
        assert nobody.ask("POST", "/messages", body, headers=basic(PASSWORD))[0] == 202
    assert newest(desk, "bert@ici.test", seen)["Subject"] == "by a program"


def test_a_key_sends_once(desk, anne):
    key = {"Idempotency-Key": "order 7"}
    seen = len(desk.messages("bert@ici.test", password=PASSWORD))
    first = send(anne, to="bert@ici.test", subject="once", http=key)
    assert send(anne, to="bert@ici.test", subject="once", http=key) == first
    assert code(anne.ask("POST", "/messages", {"from": "anne@ici.test", "to": "bert@ici.test", "text": "other"}, headers=key)) == (409, "send.key")
    assert newest(desk, "bert@ici.test", seen)["Subject"] == "once"
    assert len(desk.messages("bert@ici.test", password=PASSWORD)) == seen + 1
    refused = {"Idempotency-Key": "order 8"}
    assert send(anne, 422, to="nobody@ici.test", http=refused)
    send(anne, to="bert@ici.test", http=refused)  # what failed has used no key
