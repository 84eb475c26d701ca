"""What an operator sees of mail in motion: the queue, traces, the log, live sessions and numbers; and what an owner sees of them."""
import http.client
import re
import urllib.parse

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_metrics

from lab import IS_ROOT, PORTS, ROOT, SERVICES, Lab, wait_for
from test_api import PASSWORD, Api, code
from test_queue import Host
from test_tls_policy import World, tlsa

SETTINGS = """queue {
    retry = {1h}
}
web {
    metrics-from = {"%s"}
}
log {
    size = 64mb
}
"""


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur("ici.test", accounts=(), listen=SERVICES + ["http", "https"], extra=SETTINGS % "127.99.0.0/16")
    server.run("domain", "add", "tiers.test")
    for address, role in (("anne@ici.test", "operator"), ("olga@ici.test", "owner"), ("tom@tiers.test", "owner"), ("ugo@ici.test", "user")):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
        server.run("account", "role", address, role)
    return server


@pytest.fixture(scope="module")
def mail(lab, desk):
    """One message to four: here, to another domain of ours, to a host that refuses one and defers one."""
    ip = lab.ip()
    lab.dns.records["mx.loin.test."] = ["A " + ip]
    lab.dns.set("loin.test.", "MX 10 mx.loin.test.")
    host = Host(ip, answers={"RCPT TO:<no@": b"550 5.1.1 unknown\r\n", "RCPT TO:<later@": b"451 4.7.1 greylisted\r\n"})
    with desk.submission("olga@ici.test", PASSWORD) as s:
        refused = s.sendmail("olga@ici.test", ["ugo@ici.test", "tom@tiers.test", "later@loin.test", "no@loin.test", "nobody@ici.test"],
                             "From: olga@ici.test\r\nSubject: to all\r\n\r\nhello\r\n")
    assert list(refused) == ["nobody@ici.test"]
    desk.wait_log(r"queue\.deferred .*to=later@loin\.test")
    desk.wait_log(r"queue\.delivered .*to=tom@tiers\.test")
    desk.wait_messages("olga@ici.test", password=PASSWORD)  # the bounce
    yield host
    host.stop()


@pytest.fixture(scope="module")
def who(desk, lab, mail):
    return {name: Api(desk, lab).login(address) for name, address in
            (("operator", "anne@ici.test"), ("owner", "olga@ici.test"), ("other", "tom@tiers.test"), ("user", "ugo@ici.test"))}


def traces(api, **kw):
    return api.get("/trace?" + urllib.parse.urlencode(kw))["trace"]


def test_queue_tells_why_a_message_waits(desk, who, mail):
    for name in ("operator", "owner"):
        answer = who[name].get("/queue?state=deferred&q=greylisted")
        assert [m["sender"] for m in answer["queue"]] == ["olga@ici.test"]
        assert (answer["counts"] is not None) == (name == "operator") and answer["next"] is None
    one = answer["queue"][0]
    shown = who["owner"].get("/queue/" + one["id"])
    assert "Subject: to all" in shown["headers"]
    story = shown["message"]["recipients"][0]["story"]
    assert (story[0]["mx"], story[0]["reply"], story[0]["result"]) == ("mx.loin.test", "451 4.7.1 greylisted", "deferred")
    assert story[0]["policy"] == "TLS when offered" and story[0]["address"].startswith("127.")
    assert who["other"].get("/queue")["queue"] == []
    assert code(who["other"].ask("GET", "/queue/" + one["id"])) == code(who["other"].ask("GET", "/queue/77777"))
    assert code(who["other"].ask("GET", "/queue?domain=ici.test"))[0] == 403
    for method, path in (("GET", "/queue"), ("POST", "/queue/%s/remove" % one["id"]), ("POST", "/queue/flush")):
        assert who["user"].ask(method, path, {} if method == "POST" else None)[0] == 403
    assert who["operator"].ask("GET", "/queue/zz")[0] == 404 and who["operator"].ask("GET", "/queue?after=zz")[0] == 400

    assert who["owner"].ask("POST", "/queue/%s/hold" % one["id"], {})[1] == {"recipients": 1}
    assert [m["id"] for m in who["owner"].get("/queue?state=held")["queue"]] == [one["id"]]
    assert who["owner"].ask("POST", "/queue/%s/release" % one["id"], {})[1] == {"recipients": 1}
    assert who["other"].ask("POST", "/queue/%s/remove" % one["id"], {})[0] == 403
    del mail.answers["RCPT TO:<later@"]
    assert who["owner"].ask("POST", "/queue/%s/retry" % one["id"], {})[0] == 200
    wait_for("the message", lambda: mail.messages)
    wait_for("an empty queue", lambda: who["operator"].get("/queue")["queue"] == [])
    with desk.submission("olga@ici.test", PASSWORD) as s:
        s.sendmail("olga@ici.test", ["x@loin.test"], "From: olga@ici.test\r\n\r\nx\r\n", mail_options=["HOLDFOR=600"])
    held = wait_for("a message that waits", lambda: who["owner"].get("/queue?q=x@loin.test")["queue"])[0]["id"]
    desk.run("queue", "remove", held)
    assert traces(who["owner"], id=held)[0]["result"] == "removed"
    assert who["operator"].ask("POST", "/queue/flush", {})[0] == 200 and who["owner"].ask("POST", "/queue/flush", {})[0] == 403


def test_trace_tells_each_step_and_owners_their_part(desk, who):
    def found():
        t = traces(who["owner"], recipient="later@loin.test")
        return t if len(t) == 1 and t[0]["steps"][-1]["event"] == "queue.sent" else None
    one = wait_for("the last step", found)[0]
    events = [s["event"] for s in one["steps"]]
    for event in ("smtp.auth.ok", "smtp.rcpt.rejected", "smtp.message.accepted", "queue.delivered", "queue.mx.connected", "queue.deferred",
                  "queue.bounced", "queue.notice", "queue.held", "queue.released", "queue.flushed", "queue.sent"):
        assert event in events, events
    assert one["sender"] == "olga@ici.test" and one["result"] == "bounced" and "nobody@ici.test" in one["recipients"]
    by_event = {s["event"]: s for s in one["steps"]}
    assert "greylisted" in by_event["queue.deferred"]["text"] and by_event["queue.delivered"]["fields"]["folder"] == "inbox"
    assert by_event["queue.sent"]["fields"]["address"].startswith("127.")
    for key in (dict(id=one["id"]), dict(id=one["session"] + ".1"), dict(sender="olga@", recipient="ugo@ici.test")):
        assert [t["id"] for t in traces(who["operator"], **key)] == [one["id"]], key
    french = traces(who["operator"], id=one["id"], lang="fr")[0]
    assert any("Déposé dans la boîte" in s["text"] for s in french["steps"])

    part = traces(who["other"], recipient="tiers.test")
    assert len(part) == 1 and part[0]["recipients"] == ["tom@tiers.test"]
    assert not any(word in str(part) for word in ("loin.test", "ugo@", "nobody@"))
    assert traces(who["other"], recipient="loin.test") == []
    assert traces(who["other"], id=one["id"])[0]["recipients"] == ["tom@tiers.test"]
    assert who["user"].ask("GET", "/trace")[0] == 403 and who["operator"].ask("GET", "/trace?id=zz")[0] == 400
    refused = traces(who["operator"], sender="olga@ici.test")
    assert one["id"] in [t["id"] for t in refused]
    page = who["operator"].get("/trace?limit=1")
    older = who["operator"].get("/trace?limit=1&after=" + page["next"])
    assert len(page["trace"]) == 1 and len(older["trace"]) == 1 and page["trace"][0]["id"] != older["trace"][0]["id"]
    text = desk.run("trace", "--id", one["id"])
    assert "greylisted" in text and text.startswith("bounced")
    assert desk.json("trace", "--recipient", "later@loin.test", "--since", "1h")[0]["id"] == one["id"]


def test_the_log_is_kept_and_searched(desk, who):
    log = who["operator"].get("/log?event=smtp.rcpt&q=nobody")["log"]
    assert [line["fields"]["rcpt"] for line in log] == ["nobody@ici.test"] and log[0]["level"] == "info" and log[0]["process"] == "mta"
    first = who["operator"].get("/log?limit=3")
    rest = who["operator"].get("/log?limit=3&after=" + first["next"])
    assert len(first["log"]) == 3 and len(rest["log"]) == 3 and rest["log"][0]["at"] <= first["log"][-1]["at"]
    assert who["operator"].get("/log?q=%22no such text%22".replace(" ", "%20")) == {"log": [], "next": None}
    assert who["operator"].get("/log?level=error")["log"] == []
    assert who["owner"].ask("GET", "/log")[0] == 403 and who["operator"].ask("GET", "/log?level=loud")[0] == 400
    assert "rcpt=nobody@ici.test" in desk.run("log", "--event", "smtp.rcpt.rejected", "--since", "1h", "NOBODY")
    assert desk.json("log", "--limit", "1", "ready")[0]["process"] == "parent"
    assert desk.run("log", "--since", "yesterday", check=False).returncode == 1
    assert PASSWORD not in desk.run("log", "--limit", "100000")


def test_live_sessions_rates_and_metrics(desk, lab, who):
    imap = desk.imap("ugo@ici.test", PASSWORD)
    live = who["operator"].get("/live")
    mine = [s for s in live["sessions"] if s["account"] == "ugo@ici.test"]
    assert len(mine) == 1 and mine[0]["service"] in ("imap", "imaps") and mine[0]["tls"] and mine[0]["peer"].startswith("127.")
    assert {p["name"] for p in live["processes"]} == {"parent", "vault", "mta", "access"}
    sums = {name: sum(m["n"] for m in minutes) for name, minutes in live["rates"].items()}
    assert len(live["rates"]["sent"]) == 60 and sums["received"] >= 1 and sums["sent"] == 1 and sums["deferred"] == 1 and sums["refused"] == 1
    imap.logout()
    wait_for("the session's end", lambda: not [s for s in who["operator"].get("/live")["sessions"] if s["account"] == "ugo@ici.test"])
    assert who["owner"].ask("GET", "/live")[0] == 403

    def metrics(**headers):
        c = http.client.HTTPConnection(desk.ip, PORTS["http"], timeout=20, source_address=(headers.pop("source", "127.0.0.1"), 0))
        c.request("GET", "/metrics", headers={"Host": "x", **headers})
        answer = c.getresponse()
        text = answer.read().decode()
        c.close()
        return answer.status, answer.headers["Content-Type"], text
    status, kind, text = metrics()
    assert status == 200 and "version=0.0.4" in kind
    plain = {f.name: f for f in read_metrics(text)}
    status, kind, text = metrics(Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert status == 200 and kind.startswith("application/openmetrics-text") and text.endswith("# EOF\n")
    strict = {f.name: f for f in read_open_metrics(text)}

    def value(families, family, **labels):
        return [s.value for s in families[family].samples if s.labels == labels][0]
    for families in (plain, strict):
        assert value(families, "facteur_deliveries", result="sent") == 1
        assert value(families, "facteur_delivered", folder="inbox") >= 3
        assert value(families, "facteur_refused", stage="recipient") == 1
        assert value(families, "facteur_logins", protocol="smtp") == 2
        assert value(families, "facteur_queue_messages") == 0
        assert len(families["facteur_process_start_time_seconds"].samples) == 4
    assert set(strict) - {"facteur_build"} == set(plain) - {"facteur_build_info"}
    assert metrics(**{"X-Forwarded-For": "192.0.2.1"})[0] == 403
    known = {s.name for f in plain.values() for s in f.samples}
    with open(ROOT / "share" / "grafana-facteur.json") as f, open(ROOT / "docs" / "metrics.md") as page:
        shown, told = set(re.findall(r"facteur_[a-z_]+", f.read())), set(re.findall(r"`(facteur_[a-z_]+)`", page.read()))
    assert shown <= known and told == known


def test_health_means_something(desk):
    def health():
        c = http.client.HTTPConnection(desk.ip, PORTS["http"], timeout=20)
        c.request("GET", "/healthz", headers={"Host": "x"})
        status = c.getresponse().status
        c.close()
        return status
    assert health() == 200


# --- in French ---

@pytest.fixture(scope="module")
def refusals():
    """A message to each kind of trouble that a destination can have, and what the queue and traces say of all of them."""
    lab = Lab(signed=True)
    try:
        world = World(lab, retry="1h", listen=SERVICES + ["http", "https"], start=False)
        world.server.write(world.server.text.replace("outbound {", 'outbound {\n    destination = {"own.test tls=required"}'))
        world.server.start()
        world.peer("s1.test", tls=None)
        world.enforce("s1.test")
        world.peer("s2.test")
        world.enforce("s2.test", mx="mx.elsewhere.test")
        world.peer("s3.test", tls=world.cert("mx.elsewhere.test")[0])
        world.enforce("s3.test")
        world.peer("dane.test")
        tlsa(world, "dane.test", "3 1 1 " + "11" * 32)
        world.peer("own.test", tls=world.cert("mx.own.test", self_signed=True)[0])
        world.peer("there.bogus", tls=None)
        host = Host(lab.ip(), answers={"RCPT TO:<later@": b"451 4.7.1 greylisted; come back: later\r\n", "RCPT TO:<no@": b"550 5.1.1 nobody of that name\r\n"})
        world.peers.append(host)
        host.stop = host.socket.close
        for domain, ip in (("grey.test", host.socket.getsockname()[0]), ("down.test", lab.ip())):
            lab.dns.records["mx.%s." % domain] = ["A " + ip]
            lab.dns.records[domain + "."] = ["MX 10 mx.%s." % domain]
        lab.dns.publish()
        yield world
        world.stop()
    finally:
        lab.close()


def texts(value, path=""):
    """All strings of an answer with their places."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from texts(v, path + "." + k)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from texts(v, "%s.%d" % (path, i))
    elif isinstance(value, str):
        yield path, value


# a reply; words of libunbound behind what failed; verdicts; one word
THEIRS = re.compile(r"^[245]\d\d[ -]|: [45]\d\d |échec de la validation de <[\w. ]+>|^[\w.@<>\[\]:,+-]*$")


@pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443, and TLSA records name port 25")
def test_no_english_sentence_of_ours_in_french(refusals):
    """Each reason and policy that the queue and traces tell is French in French, and the other side's words stay as they are."""
    server, waits = refusals.server, {"zoe@s1.test": "tls", "zoe@s2.test": "tls", "zoe@s3.test": "tls", "zoe@dane.test": "tls", "zoe@own.test": "tls",
                                      "zoe@there.bogus": "dns", "later@grey.test": "greylisted", "zoe@down.test": "unreachable"}
    with server.submission("anne@ici.test") as s:
        for to in waits:
            s.sendmail("anne@ici.test", [to], "From: anne@ici.test\r\nSubject: x\r\n\r\nx\r\n")
        s.sendmail("anne@ici.test", ["no@grey.test", "zoe@nowhere.test"], "From: anne@ici.test\r\n\r\nx\r\n")
        for wrong in ("nobody@ici.test", "x@down.test"):
            s.mail("anne@ici.test", ["HOLDFOR=600"] if wrong.startswith("x") else [])
            s.rcpt(wrong)
            s.docmd("DATA") if wrong.startswith("x") else s.rset()
        s.send("From: someone@else.test\r\n\r\nx\r\n.\r\n")
        assert s.getreply()[0] == 550
        s.sendmail("anne@ici.test", ["held@down.test"], "From: anne@ici.test\r\n\r\nx\r\n", mail_options=["HOLDFOR=600"])
    server.wait_log(r"queue\.bounced .*to=no@grey\.test")
    for to in waits:
        server.wait_log(r"queue\.deferred .*to=" + re.escape(to))
    with server.submission("anne@ici.test") as s:
        s.sendmail("anne@ici.test", ["again@down.test"], "From: anne@ici.test\r\n\r\nx\r\n")
    server.wait_log(r"queue\.deferred .*to=again@down\.test")
    server.run("account", "role", "anne@ici.test", "operator")
    api = Api(server, refusals.lab).login("anne@ici.test", "secret")

    def ids_by_recipient():
        return {m["recipients"][0]["address"]: m["id"] for m in api.get("/queue")["queue"]}
    staying = {*waits, "held@down.test", "again@down.test"}
    wait_for("the bounces to be gone", lambda: set(ids_by_recipient()) == staying)
    ids = ids_by_recipient()
    assert api.ask("POST", "/queue/%s/hold" % ids["held@down.test"], {})[0] == 200
    assert {r["address"]: r["reason"] for m in api.get("/queue")["queue"] for r in m["recipients"] if r["address"] in waits} == waits

    results = set()
    for path in ["/queue?"] + ["/queue/%s?" % ident for ident in ids.values()] + ["/trace?"]:
        english, french = ({p: t for p, t in texts(api.get(path + "lang=" + lang)) if not p.startswith(".headers")} for lang in ("en", "fr"))
        assert set(english) == set(french)
        results |= {t for p, t in english.items() if p.endswith(".result")}
        same = {p: t for p, t in french.items() if t == english[p] and not THEIRS.search(t)}
        assert not same, same
        left = {p: t for p, t in french.items() if re.search(r"\b(the|is|which|cannot|was|could|with|when|our|its)\b", t) and not THEIRS.search(t)}
        assert not left, left
        for p, t in english.items():
            if re.match(r"[245]\d\d ", t):
                assert french[p] == t
    assert results >= {"deferred", "unreachable", "tls", "barred", "routing", "resting", "bounced", "refused"}
    story = api.get("/queue/%s?lang=fr" % ids["zoe@own.test"])["message"]["recipients"][0]["story"][0]
    assert story["reply"] == "TLS n'a pas pu être établi : certificat autosigné" and story["reply_ours"]
    assert story["policy"] == "notre configuration exige un TLS vérifié pour cette destination"
    grey = api.get("/queue/%s?lang=fr" % ids["later@grey.test"])["message"]["recipients"][0]
    assert grey["last_reply"] == "451 4.7.1 greylisted; come back: later" and not grey["last_reply_ours"]
