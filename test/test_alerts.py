"""Alerts: each happens once, is told once by mail and webhook, is silenced by a click, ends by itself."""
import email
import email.policy
import gzip
import json
import os
import sqlite3
import ssl
import time

import pytest

from lab import SERVICES, wait_for
from test_api import PASSWORD, Api, code
from test_desk_reports import mail, report, row, tls_report
from test_tlsrpt import Collector

HOOK = "https://hook.test:8443/facteur?x=1"


@pytest.fixture(scope="module")
def hook(lab):
    ip = lab.ip()
    cert, key = os.path.join(str(lab.dir), "hook.pem"), os.path.join(str(lab.dir), "hook.key")
    lab.certificate(cert, key, "hook.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Collector(ip, context)
    lab.dns.set("hook.test.", "A " + ip)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def desk(lab, hook):
    server = lab.facteur("bureau.test", accounts=(), listen=SERVICES + ["https"])
    server.run("domain", "add", "autre.test")
    for address, role in (("anne@bureau.test", "operator"), ("olga@bureau.test", "owner"), ("otto@autre.test", "owner"), ("ugo@bureau.test", "user")):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
        server.run("account", "role", address, role)
    for domain in ("bureau.test", "autre.test"):
        lab.dns.load(server.run("dns", domain))
    return server


def alerts(api, state="open", lang="en"):
    return {a["kind"] + "/" + a["subject"]: a for a in api.get("/alerts?state=%s&lang=%s" % (state, lang))["alerts"]}


def look(api, **settings):
    """Saves settings, after which all is looked at at once."""
    status, body, _ = api.ask("PUT", "/alerts/settings", settings)
    assert status == 200, body
    return body


def look_until(api, what, condition):
    """Answers of the DNS are kept for seconds."""
    def looked():
        look(api)
        time.sleep(0.5)
        return condition()
    return wait_for(what, looked)


def mails(desk):
    return [email.message_from_bytes(m, policy=email.policy.default) for m in desk.messages("anne@bureau.test", password=PASSWORD)]


def texts(letters):
    return "\n".join(p.get_content() for m in letters for p in m.walk() if p.get_content_type() == "text/plain")


def posts(hook):
    return [json.loads(body) for _, _, body in hook.posts]


def test_settings(desk, lab):
    api = Api(desk, lab).login("anne@bureau.test")
    first = api.get("/alerts/settings")
    assert first["mail"] == ["anne@bureau.test"] and first["webhook"] is None
    assert first["kinds"]["dmarc.source"] == {"on": True, "threshold": 10} and first["kinds"]["dns.gone"] == {"on": True, "threshold": None}
    for bad in ({"mail": ["nobody"]}, {"mail": "anne@bureau.test"}, {"webhook": "http://hook.test/"}, {"kinds": {"tls.failures": {"threshold": -1}}}):
        assert code(api.ask("PUT", "/alerts/settings", bad)) == (400, "request.field"), bad
    assert api.get("/alerts/settings") == first
    changed = look(api, webhook=HOOK, kinds={"queue.growing": {"threshold": 1}})
    assert changed["webhook"] == HOOK and changed["kinds"]["queue.growing"] == {"on": True, "threshold": 1} and changed["mail"] == ["anne@bureau.test"]
    for who in ("olga@bureau.test", "ugo@bureau.test"):
        other = Api(desk, lab).login(who)
        assert other.ask("GET", "/alerts/settings")[0] == 403 and other.ask("PUT", "/alerts/settings", {})[0] == 403
    assert Api(desk, lab).login("ugo@bureau.test").ask("GET", "/alerts")[0] == 403
    assert Api(desk, lab).ask("GET", "/alerts")[0] == 401


def test_each_is_told_once(desk, lab, hook):
    api = Api(desk, lab).login("anne@bureau.test")
    assert api.ask("PATCH", "/me", {"language": "fr"})[0] in (200, 204)
    look(api, mail=["anne@bureau.test"], webhook=HOOK, kinds={"queue.growing": {"on": False}})
    # the records are as they should be when they are first looked at
    wait_for("records", lambda: sqlite3.connect("file:%s/facteur.db?mode=ro" % desk.data, uri=True).execute(
        "SELECT COUNT(*) FROM alert_known WHERE what = 'records'").fetchone()[0] == 2)
    assert alerts(api) == {}
    kept = lab.dns.records["_dmarc.bureau.test."]
    lab.dns.set("_dmarc.bureau.test.")
    lab.dns.set("_smtp._tls.autre.test.", 'TXT "v=TLSRPTv1; rua=mailto:someone@else.test"')
    with sqlite3.connect("%s/facteur.db" % desk.data, timeout=20) as db:
        point = {"id": "list.listed", "area": "x", "mark": "bad", "subject": "192.0.2.1", "text": "on a list", "repair": "get off it"}
        french = {**point, "text": "sur une liste", "repair": "sortez-en"}
        db.execute("INSERT OR REPLACE INTO health_result (kind, domain, question, asker, asked_s, made_s, waiting, good, note, warn, bad, unknown, en, fr)"
                   " VALUES (0, 'bureau.test', '', 0, 0, ?, 0, 0, 0, 0, 1, 0, ?, ?)",
                   (int(time.time()), json.dumps({"points": [point]}), json.dumps({"points": [french]})))
    db.close()
    found = look_until(api, "three alerts", lambda: (lambda a: a if len(a) == 3 and all(x["told"] for x in a.values()) else None)(alerts(api)))
    gone = found["dns.gone/TXT _dmarc.bureau.test."]
    assert gone["domain"] == "bureau.test" and "no longer shows" in gone["text"] and gone["repair"] and not gone["closed"]
    assert "someone@else.test" in found["dns.changed/TXT _smtp._tls.autre.test."]["text"]
    assert found["blocklist.listed/192.0.2.1"]["text"] == "192.0.2.1: on a list"
    assert "ne montre plus" in alerts(api, lang="fr")["dns.gone/TXT _dmarc.bureau.test."]["text"]
    wait_for("three posts", lambda: len(hook.posts) == 3)
    assert hook.posts[0][:2] == ("/facteur?x=1", "application/json")
    assert {p["kind"] for p in posts(hook)} == {"dns.gone", "dns.changed", "blocklist.listed"}
    assert all(p["text"]["en"] != p["text"]["fr"] and p["repair"]["en"] and p["server"] == desk.hostname for p in posts(hook))
    letters = wait_for("the mails", lambda: (lambda m: m if all(w in texts(m) for w in ("_dmarc.bureau", "else.test", "sortez-en")) else None)(mails(desk)))
    assert all(m["From"] and m["Auto-Submitted"] == "auto-generated" and m["Subject"].encode() for m in letters)
    assert "Que faire : sortez-en" in texts(letters) and "/admin/#/alerts" in texts(letters) and "ne montre plus" in texts(letters)
    n = len(letters)
    # looked at again, nothing is told again
    before = found["dns.gone/TXT _dmarc.bureau.test."]["last"]
    time.sleep(1.1)  # times are of whole seconds
    look(api)
    wait_for("another look", lambda: alerts(api)["dns.gone/TXT _dmarc.bureau.test."]["last"] != before)
    # one that is silent is not told when it would be; one that is opened is told again
    assert api.ask("POST", "/alerts/%d/silence" % gone["id"], {"days": 7})[0] == 204
    assert alerts(api)["dns.gone/TXT _dmarc.bureau.test."]["silenced_until"]
    assert code(api.ask("POST", "/alerts/%d/silence" % gone["id"], {"days": 0})) == (400, "request.field")
    assert len(hook.posts) == 3 and len(mails(desk)) == n
    assert api.ask("POST", "/alerts/%d/open" % gone["id"], {})[0] == 204
    wait_for("it is told again", lambda: len(hook.posts) == 4 and len(mails(desk)) == n + 1)
    assert posts(hook)[3]["kind"] == "dns.gone" and "_dmarc.bureau.test" in mails(desk)[n]["Subject"]
    # published again: it is over
    lab.dns.set("_dmarc.bureau.test.", *kept)
    look_until(api, "it is over", lambda: "dns.gone/TXT _dmarc.bureau.test." not in alerts(api))
    assert alerts(api, "all")["dns.gone/TXT _dmarc.bureau.test."]["closed"]
    assert len(hook.posts) == 4 and len(mails(desk)) == n + 1


def test_owners_see_their_domain(desk, lab):
    operator, olga, otto = (Api(desk, lab).login(a) for a in ("anne@bureau.test", "olga@bureau.test", "otto@autre.test"))
    assert set(alerts(olga)) == {"blocklist.listed/192.0.2.1"} and set(alerts(otto)) == {"dns.changed/TXT _smtp._tls.autre.test."}
    theirs = alerts(otto)["dns.changed/TXT _smtp._tls.autre.test."]["id"]
    assert olga.ask("POST", "/alerts/%d/silence" % theirs, {"days": 1})[0] == olga.ask("POST", "/alerts/999999/silence", {"days": 1})[0] == 403
    assert olga.ask("GET", "/alerts?domain=autre.test")[0] == 403
    assert otto.ask("POST", "/alerts/%d/silence" % theirs, {"days": 1})[0] == 204
    assert operator.ask("POST", "/alerts/999999/silence", {"days": 1})[0] == 404
    assert set(alerts(operator)) == {"blocklist.listed/192.0.2.1", "dns.changed/TXT _smtp._tls.autre.test."}
    # what is silent draws nobody's attention
    assert [api.get("/overview")["alerts"] for api in (operator, olga, otto)] == [1, 1, 0]


@pytest.fixture(scope="module")
def reporter(lab):
    """Somebody whose reports are proven theirs."""
    lab.dns.set("labas.test.", 'TXT "v=spf1 ip4:127.0.0.0/8 -all"', "A 127.0.0.1")
    lab.dns.set("_dmarc.labas.test.", 'TXT "v=DMARC1; p=reject"')


def told(desk, hook, kind, *words):
    """How often by webhook, and in how many mails."""
    return [p["kind"] for p in posts(hook)].count(kind), sum(all(w in texts([m]) for w in words) for m in mails(desk))


def arrives(desk, api, data, name, to="dmarc-reports@bureau.test", kind="gzip", author="dmarc@labas.test"):
    """A report by mail, until the desk has it; its id is the name's first part."""
    desk.send(author, to, mail(gzip.compress(data), name + ".gz", author, to, kind))
    wait_for(name, lambda: name.split(".")[0] in [r["report_id"] for k in ("dmarc", "tls") for r in api.get("/reports/%s?domain=bureau.test" % k)[k]])


def test_reports_that_come_by_mail(desk, lab, hook, reporter):
    api = Api(desk, lab).login("anne@bureau.test")
    hook.status = 200
    failures, tls = "dmarc.failures/", "tls.failures/"
    look(api, mail=["anne@bureau.test"], webhook=HOOK, kinds={"dmarc.source": {"on": True, "threshold": 10}, "dmarc.failures": {"on": True, "threshold": 20},
                                                               "tls.failures": {"on": True, "threshold": 5}})
    # the domain's first: whoever is in it was always there
    arrives(desk, api, report("un", [row("198.51.100.7", 100)]), "un.xml")
    wait_for("it is known", lambda: look(api) and sqlite3.connect("file:%s/facteur.db?mode=ro" % desk.data, uri=True).execute(
        "SELECT COUNT(*) FROM alert_known WHERE what = 'sources' AND domain = 'bureau.test'").fetchone()[0])
    assert not [a for a in alerts(api, "all") if a.startswith("dmarc.")]
    # one that is new, but sends little; then more
    arrives(desk, api, report("deux", [row("203.0.113.9", 9)]), "deux.xml")
    look(api)
    arrives(desk, api, report("trois", [row("203.0.113.9", 1)]), "trois.xml")
    new = look_until(api, "the new source", lambda: [a for k, a in alerts(api).items() if k.startswith("dmarc.source/")])
    assert len(new) == 1 and "10 messages" in new[0]["text"] and new[0]["domain"] == "bureau.test" and "sign" in new[0]["repair"]
    # failures: 30 of 140 are more than 20 per cent; what nobody proves counts for nothing
    desk.send("x@elsewhere.test", "dmarc-reports@bureau.test",
              mail(gzip.compress(report("faux", [row("203.0.113.9", 5000, spf=False, dkim=False)], org="elsewhere.test")), "faux.xml.gz", "x@elsewhere.test"))
    arrives(desk, api, report("quatre", [row("203.0.113.9", 30, spf=False, dkim=False)]), "quatre.xml")
    failing = look_until(api, "failures", lambda: alerts(api).get(failures))
    assert failing["text"].startswith("30 of 140 messages") and failing["repair"]
    arrives(desk, api, tls_report("cinq", 90, [("certificate-expired", 10)]), "cinq.json", "tls-reports@bureau.test", "tlsrpt+gzip", "tls@labas.test")
    broken = look_until(api, "TLS failures", lambda: alerts(api).get(tls))
    assert broken["text"].startswith("10 of 100 connections") and "certificate-expired" in broken["text"] and broken["repair"]
    # each once, by webhook and by mail, with what to do, in the reader's language
    want = ("dmarc.source", "dmarc.failures", "tls.failures")
    french = alerts(api, lang="fr")
    for kind in want:
        alert, = [a for k, a in french.items() if k.startswith(kind + "/")]
        wait_for(kind, lambda: told(desk, hook, kind, alert["text"], "Que faire : " + alert["repair"]) == (1, 1))
    arrives(desk, api, report("six", [row("203.0.113.9", 10, spf=False, dkim=False), row("198.51.100.7", 1)]), "six.xml")
    look_until(api, "more of the same", lambda: alerts(api)[failures]["text"].startswith("40 of 151"))
    for kind in want:
        assert [p["kind"] for p in posts(hook)].count(kind) == 1, kind
    # a click: silent, and out of everybody's sight
    n = api.get("/overview")["alerts"]
    assert api.ask("POST", "/alerts/%d/silence" % failing["id"], {"days": 7})[0] == 204
    assert api.get("/overview")["alerts"] == n - 1 and alerts(api)[failures]["silenced_until"]
    # the threshold is raised: it is over
    look(api, kinds={"dmarc.failures": {"on": True, "threshold": 50}, "tls.failures": {"on": True, "threshold": 50}})
    look_until(api, "they are over", lambda: not {failures, tls} & set(alerts(api)))
    assert len([p for p in posts(hook) if p["kind"] in want]) == 3


def test_queue_and_a_webhook_that_fails(desk, lab, hook):
    api = Api(desk, lab).login("anne@bureau.test")
    n = len(hook.posts)
    hook.status, tries = 500, hook.tries
    lab.dns.set("down.test.", "MX 10 mx.down.test.")
    lab.dns.set("mx.down.test.", "A " + lab.ip())
    desk.send("", ["anne@bureau.test"], "From: x@elsewhere.test\r\nSubject: s\r\n\r\nx\r\n")
    desk.run("alias", "add", "away@bureau.test", "x@down.test")
    desk.send("", ["away@bureau.test"], "From: x@elsewhere.test\r\nSubject: s\r\n\r\nx\r\n")
    wait_for("a message waits", lambda: json.loads(desk.run("queue", "list", "--json")))
    look(api, kinds={"queue.growing": {"on": True, "threshold": 1}})
    alert = wait_for("the alert", lambda: alerts(api).get("queue.growing/count"))
    assert alert["domain"] is None and alert["text"].endswith("wait in the queue.")
    wait_for("a try", lambda: hook.tries > tries)
    hook.status = 200
    look(api)
    wait_for("the post", lambda: len(hook.posts) > n)
    assert posts(hook)[-1]["kind"] == "queue.growing"
    assert "queue.growing/count" not in alerts(Api(desk, lab).login("olga@bureau.test"))
    # one that has waited for long is told of by itself; one that is held waits because somebody wants it to
    waiting, = json.loads(desk.run("queue", "list", "--json"))
    with sqlite3.connect("%s/facteur.db" % desk.data, timeout=20) as db:
        db.execute("UPDATE queue_message SET created_ms = created_ms - 26 * 3600000")
    db.close()
    look(api, kinds={"queue.growing": {"on": True, "threshold": 500}})
    old = look_until(api, "the old message", lambda: (lambda a: a.get("queue.growing/age") if "queue.growing/count" not in a else None)(alerts(api)))
    assert "26 hours" in old["text"] and old["repair"]
    wait_for("it is told", lambda: told(desk, hook, "queue.growing", alerts(api, lang="fr")["queue.growing/age"]["text"]) == (2, 1))
    desk.run("queue", "hold", waiting["id"])
    look_until(api, "it is over", lambda: "queue.growing/age" not in alerts(api))
    desk.run("queue", "remove", waiting["id"])
    assert [p["subject"] for p in posts(hook) if p["kind"] == "queue.growing"] == ["count", "age"]


def test_a_certificate_that_expires(desk, lab, hook):
    """By the doctor's own look: the lab's certificates are good for 20 days."""
    api = Api(desk, lab).login("anne@bureau.test")
    with sqlite3.connect("%s/facteur.db" % desk.data, timeout=20) as db:
        db.execute("DELETE FROM health_result WHERE domain = 'bureau.test'")
    db.close()
    points = wait_for("what it says", lambda: [p for d in api.ask("GET", "/doctor?domain=bureau.test")[1].get("doctor", [])
                                               for p in d["points"] if p["id"] == "tls.certificate"], 60)
    assert [(p["valid"], p["days"]) for p in points] == [(True, 19)]
    look(api, kinds={"certificate.expiring": {"on": True, "threshold": 14}})
    look(api, kinds={"certificate.expiring": {"on": True, "threshold": 30}})
    alert = look_until(api, "the alert", lambda: alerts(api).get("certificate.expiring/mx.bureau.test"))
    assert "19" in alert["text"] and alert["domain"] == "bureau.test"
    assert not [a for a in alerts(api) if a.startswith("certificate.bad/")]
