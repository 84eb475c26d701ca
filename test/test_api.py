"""The JSON API at /admin/api: sessions, rights, requests from elsewhere, and what is refused before a handler runs."""
import hashlib
import http.client
import json
import os
import subprocess
import threading

import pytest

from answers import Answers
from lab import Lab, PORTS, SERVICES, SLOW, wait_for

PASSWORD = "une phrase assez longue"


class Api:
    """A client with a cookie, as a browser keeps it. Every answer is held against the API's description."""
    answers = None  # of the first server that is asked; all are of one build

    def __init__(self, server, lab, tls=True, headers=None):
        self.server, self.lab, self.tls, self.cookie, self.headers = server, lab, tls, None, headers or {}

    def ask(self, method, path, body=None, headers=None, raw=None):
        """(status, JSON or text, response)"""
        if self.tls:
            context = self.lab.tls()
            context.check_hostname = False
            c = http.client.HTTPSConnection(self.server.ip, PORTS["https"], timeout=20 * SLOW, context=context)
        else:
            c = http.client.HTTPConnection(self.server.ip, PORTS["http"], timeout=20 * SLOW)
        send = {"Host": self.server.hostname, **self.headers}
        if body is not None or raw is not None or method in ("POST", "PUT", "PATCH"):
            send["Content-Type"] = "application/json"
        if self.cookie:
            send["Cookie"] = "facteur_session=" + self.cookie
        send.update(headers or {})
        c.request(method, path if path.startswith("/") and path.startswith("/admin") else "/admin/api" + path,
                  body=raw if raw is not None else json.dumps(body) if body is not None else None, headers=send)
        answer = c.getresponse()
        text = answer.read().decode()
        c.close()
        set_cookie = answer.headers.get("Set-Cookie")
        if set_cookie and set_cookie.startswith("facteur_session="):
            self.cookie = set_cookie.split(";")[0].split("=", 1)[1] or None
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        body = json.loads(text) if is_json and text else text
        if path == "/openapi.json":
            Api.answers = Answers(body)
        elif not path.startswith("/admin") and self.tls:
            if Api.answers is None:
                self.ask("GET", "/openapi.json")
            faults = Api.answers.faults(method, path, answer.status, body, is_json and bool(text))
            assert not faults, "\n".join(faults)
        return answer.status, body, answer

    def login(self, address, password=PASSWORD):
        status, body, answer = self.ask("POST", "/session", {"address": address, "password": password})
        assert status == 200, body
        return self

    def get(self, path):
        status, body, _ = self.ask("GET", path)
        assert status == 200, (path, status, body)
        return body


def code(answer):
    return answer[0], answer[1]["error"]["code"] if isinstance(answer[1], dict) else answer[1]


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur("bureau.test", accounts=(), listen=SERVICES + ["http", "https"],
                         extra='web {\n    proxies = {"127.0.0.1"}\n}\n')
    server.run("domain", "add", "autre.test")
    for address, role in (("anne@bureau.test", "operator"), ("olga@bureau.test", "owner"), ("otto@autre.test", "owner"),
                          ("ugo@bureau.test", "user")):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
        server.run("account", "role", address, role)
    return server


@pytest.mark.sanitize
def test_a_session_begins_and_ends(desk, lab):
    api = Api(desk, lab)
    assert code(api.ask("GET", "/session")) == (401, "session.none")
    assert code(api.ask("POST", "/session", {"address": "anne@bureau.test", "password": "wrong"})) == (401, "login.wrong")
    assert code(api.ask("POST", "/session", {"address": "nobody@bureau.test", "password": "wrong"})) == (401, "login.wrong")
    assert code(api.ask("POST", "/session", {"address": 7, "password": None})) == (401, "login.wrong")
    status, body, answer = api.ask("POST", "/session", {"address": "Anne@Bureau.test", "password": PASSWORD})
    assert status == 200 and body["account"]["address"] == "anne@bureau.test" and body["account"]["role"] == "operator"
    parts = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/admin", "Secure"} <= set(parts)
    assert answer.headers["Cache-Control"] == "no-store" and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert api.get("/session")["account"]["domain"] == "bureau.test"
    other = Api(desk, lab).login("anne@bureau.test")
    listed = api.get("/me/sessions")["sessions"]
    assert len(listed) == 2 and [s["current"] for s in listed].count(True) == 1
    other_id = [s["id"] for s in listed if not s["current"]][0]
    assert api.ask("DELETE", "/me/sessions/" + other_id)[0] == 204
    assert other.ask("GET", "/session")[0] == 401
    assert code(api.ask("DELETE", "/me/sessions/" + other_id)) == (404, "request.notfound")
    cookie = api.cookie
    assert api.ask("DELETE", "/session")[0] == 204 and api.cookie is None
    api.cookie = cookie
    assert api.ask("GET", "/session")[0] == 401


def test_sessions_end_when_the_account_changes(desk, lab):
    for change in (("account", "role", "rita@bureau.test", "owner"), ("account", "passwd", "rita@bureau.test"),
                   ("account", "remove", "rita@bureau.test")):
        if change[1] == "role":
            desk.run("account", "add", "rita@bureau.test", stdin=PASSWORD + "\n")
        api = Api(desk, lab).login("rita@bureau.test")
        api.get("/session")
        desk.run(*change, stdin=PASSWORD + "\n" if change[1] == "passwd" else "")
        assert api.ask("GET", "/session")[0] == 401, change


def test_what_is_refused_before_anything_is_looked_at(desk, lab):
    nobody = Api(desk, lab)
    for method, path in (("GET", "/nothing/here"), ("DELETE", "/nothing"), ("GET", ""), ("GET", "/"), ("GET", "/session/x"),
                         ("POST", "/me/sessions"), ("OPTIONS", "/me/sessions")):
        assert code(nobody.ask(method, path)) == (401, "session.none"), (method, path)
    api = Api(desk, lab).login("ugo@bureau.test")
    assert code(api.ask("GET", "/nothing/here")) == (404, "request.path")
    status, body, answer = api.ask("PUT", "/me/sessions", {})
    assert status == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert api.ask("HEAD", "/session")[0] == 200


def test_other_sites_cannot_write(desk, lab):
    api = Api(desk, lab)
    login = {"address": "ugo@bureau.test", "password": PASSWORD}
    own = "https://%s" % desk.hostname
    for headers in ({"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": "http://" + desk.hostname},
                    {"Origin": own + ".evil.test"}, {"Origin": own + ":81"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert code(api.ask("POST", "/session", login, headers)) == (403, "request.foreign"), headers
    assert api.ask("POST", "/session", login, {"Origin": own, "Sec-Fetch-Site": "same-origin"})[0] == 200
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": ""}):
        assert code(api.ask("POST", "/session", login, headers)) == (415, "request.type"), headers
    for raw in ("", "{", "[]", "null", '{"address": 1, "address": 2}', "[" * 50000, '{"a":"\\u0000"}', "\xff", '{"a":1e999}'):
        status = api.ask("POST", "/session", raw=raw.encode("latin-1"))[0]
        assert status in (400, 401), raw[:20]
    assert api.ask("POST", "/session", raw=b'{"address":"' + b"x" * 70000 + b'"}')[0] == 413


def test_names_in_paths(desk, lab):
    api = Api(desk, lab).login("ugo@bureau.test")
    for path in ("/me/sessions/", "/me/sessions/%00", "/me/sessions/..%2f..", "/me/sessions/a/b/c", "/me/sessions/" + "x" * 5000):
        assert api.ask("DELETE", path)[0] in (400, 401, 404, 405), path


def test_plain_http_is_for_this_machine_and_its_proxies(desk, lab):
    """The lab speaks from 127.0.0.1, which this server trusts as a proxy."""
    login = {"address": "ugo@bureau.test", "password": PASSWORD}
    api = Api(desk, lab, tls=False)
    status, body, answer = api.ask("POST", "/session", login)  # no proxy's words: loopback itself
    assert status == 200 and "Secure" not in answer.headers["Set-Cookie"]
    proxied = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}
    api = Api(desk, lab, tls=False, headers=proxied)
    status, body, answer = api.ask("POST", "/session", login)
    assert status == 200 and "Secure" in answer.headers["Set-Cookie"] and "Strict-Transport-Security" in answer.headers
    mine = [s for s in api.get("/me/sessions")["sessions"] if s["current"]]
    assert mine[0]["peer"] == "198.51.100.7"  # what stands before it, anybody can have written
    status, text, answer = api.ask("GET", "/session", headers={"X-Forwarded-Proto": "http"})
    assert status == 308 and answer.headers["Location"] == "https://%s/admin/api/session" % desk.hostname


def test_pages(desk, lab):
    api = Api(desk, lab)
    status, text, answer = api.ask("GET", "/admin")
    assert status == 308 and answer.headers["Location"] == "/admin/"
    status, text, answer = api.ask("GET", "/admin/anything/else")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"] and "unsafe" not in answer.headers["Content-Security-Policy"]
    assert api.ask("POST", "/admin/", {})[0] == 405
    document = api.ask("GET", "/openapi.json")[1]
    assert document["openapi"].startswith("3.1")


def test_guessing_is_slowed(desk, lab):
    """Failures count together with those of other protocols, by the client's address; answers that are held back hold nobody else."""
    desk.run("account", "add", "cible@bureau.test", stdin=PASSWORD + "\n")
    seen = []

    def guess(i):
        api = Api(desk, lab, tls=False, headers={"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "https"})
        seen.append(code(api.ask("POST", "/session", {"address": "cible@bureau.test", "password": "wrong%d" % i})))
    threads = [threading.Thread(target=guess, args=(i,)) for i in range(14)]
    for t in threads:
        t.start()
    elsewhere = Api(desk, lab, tls=False, headers={"X-Forwarded-For": "192.0.2.78", "X-Forwarded-Proto": "https"})
    elsewhere.login("cible@bureau.test")  # the owner gets in from elsewhere
    for t in threads:
        t.join()
    assert set(seen) == {(401, "login.wrong"), (429, "login.slow")} and seen.count((401, "login.wrong")) <= 12


# --- domains, accounts, aliases ---

@pytest.fixture(scope="module")
def who(desk, lab):
    """Clients of each role, logged in."""
    return {name: Api(desk, lab).login(address) for name, address in (
        ("operator", "anne@bureau.test"), ("owner", "olga@bureau.test"), ("other", "otto@autre.test"), ("user", "ugo@bureau.test"))}


@pytest.mark.sanitize
def test_domains(desk, lab, who):
    op, owner = who["operator"], who["owner"]
    assert [d["domain"] for d in op.get("/domains")["domains"]] == ["autre.test", "bureau.test"]
    mine, = owner.get("/domains")["domains"]
    assert mine["domain"] == "bureau.test" and mine["accounts"] >= 3 and mine["mta_sts"]["mode"] == "testing"
    assert {k["algorithm"] for k in mine["keys"]} == {"rsa", "ed25519"} and mine["health"] is None or mine["health"]["made"]
    status, made, _ = op.ask("POST", "/domains", {"domain": "Neuf.test"})
    assert status == 201 and made["domain"] == "neuf.test" and {k["state"] for k in made["keys"]} == {"active"}
    assert code(op.ask("POST", "/domains", {"domain": "neuf.test"})) == (409, "domain.exists")
    assert code(op.ask("POST", "/domains", {"domain": "no domain"})) == (400, "request.field")
    assert code(owner.ask("POST", "/domains", {"domain": "mien.test"})) == (403, "session.right")
    for domain in ("neuf.test", "autre.test", "nowhere.test", "%00", "x"):  # there or not: all the same to who may not see it
        for method, path, body in (("PATCH", "/domains/" + domain, {"mta_sts": "none"}), ("GET", "/domains/%s/records" % domain, None),
                                   ("POST", "/domains/%s/keys" % domain, {})):
            if domain != "%00":
                assert code(owner.ask(method, path, body)) == (403, "session.right"), (method, path)
    assert owner.ask("PATCH", "/domains/bureau.test", {"mta_sts": "enforce"})[1]["mta_sts"]["mode"] == "enforce"
    assert code(owner.ask("PATCH", "/domains/bureau.test", {"mta_sts": "x"})) == (400, "request.field")
    status, body, _ = owner.ask("POST", "/domains/bureau.test/keys", {})
    assert status == 200 and [k["state"] for k in body["keys"]].count("next") == 2
    assert code(owner.ask("POST", "/domains/bureau.test/keys", {})) == (409, "keys.waiting")
    # the vault signs with them, the command sees the same
    assert [d for d in desk.json("domain", "list") if d["domain"] == "bureau.test"][0]["keys"] == body["keys"]
    records = owner.get("/domains/bureau.test/records")
    assert records["zone"] == desk.run("dns", "bureau.test") and records["records"] == desk.json("dns", "bureau.test")
    assert code(op.ask("DELETE", "/domains/bureau.test")) == (409, "domain.used")
    assert op.ask("DELETE", "/domains/neuf.test")[0] == 204
    assert code(op.ask("DELETE", "/domains/neuf.test")) == (404, "domain.notfound")
    assert op.ask("POST", "/domains", {"domain": "neuf.test"})[0] == 201  # with keys of other names
    assert op.ask("DELETE", "/domains/neuf.test")[0] == 204


@pytest.mark.sanitize
def test_accounts(desk, lab, who):
    op, owner, user = who["operator"], who["owner"], who["user"]
    status, made, _ = owner.ask("POST", "/accounts", {"address": "Eva+x@bureau.test", "password": "short"})
    assert status == 400 and made["error"]["field"] == "password"
    status, made, _ = owner.ask("POST", "/accounts", {"address": "Eva@bureau.test", "password": PASSWORD, "quota": 1000000})
    assert status == 201 and made == {"address": "eva@bureau.test", "domain": "bureau.test", "role": "user", "created": made["created"],
                                      "disabled": False, "quota": 1000000, "used": 0, "messages": 0}
    assert code(owner.ask("POST", "/accounts", {"address": "eva@bureau.test", "password": PASSWORD})) == (409, "account.exists")
    for body in ({"address": "eve@autre.test", "password": PASSWORD}, {"address": "eve@nowhere.test", "password": PASSWORD},
                 {"address": "eve@bureau.test", "password": PASSWORD, "role": "operator"}):
        assert code(owner.ask("POST", "/accounts", body)) == (403, "session.right"), body
    assert code(op.ask("POST", "/accounts", {"address": "eve@nowhere.test", "password": PASSWORD})) == (404, "domain.notfound")
    for address in ("eve", "", "@bureau.test", "a@b@", "x\u0000y@bureau.test", 7):
        assert op.ask("POST", "/accounts", {"address": address, "password": PASSWORD})[0] in (400, 404), address
    eva = Api(desk, lab).login("eva@bureau.test")
    desk.imap("eva@bureau.test", PASSWORD).logout()
    assert owner.ask("PATCH", "/accounts/eva@bureau.test", {"password": PASSWORD + "!", "quota": 0})[1]["quota"] == 0
    assert eva.ask("GET", "/session")[0] == 401
    eva.login("eva@bureau.test", PASSWORD + "!")
    assert owner.ask("PATCH", "/accounts/eva@bureau.test", {"disabled": True})[1]["disabled"] is True
    assert eva.ask("GET", "/session")[0] == 401
    assert code(eva.ask("POST", "/session", {"address": "eva@bureau.test", "password": PASSWORD + "!"})) == (401, "login.wrong")
    assert owner.ask("PATCH", "/accounts/eva@bureau.test", {"disabled": False, "role": "owner"})[1]["role"] == "owner"
    # an operator's account is not an owner's to take over, and the last operator stays
    for method, body in (("PATCH", {"password": PASSWORD}), ("PATCH", {"role": "user"}), ("DELETE", None)):
        assert code(owner.ask(method, "/accounts/anne@bureau.test", body)) == (403, "session.right"), body
    assert code(op.ask("PATCH", "/accounts/anne@bureau.test", {"role": "user"})) == (409, "account.last_operator")
    assert code(op.ask("PATCH", "/accounts/anne@bureau.test", {"disabled": True})) == (409, "account.last_operator")
    assert code(op.ask("DELETE", "/accounts/anne@bureau.test")) == (409, "account.last_operator")
    for bad in ({"quota": -1}, {"quota": "x"}, {"role": "king"}, {"disabled": 1}, {"quota": 1 << 70}):
        assert op.ask("PATCH", "/accounts/eva@bureau.test", bad)[0] == 400, bad
    session = desk.imap("eva@bureau.test", PASSWORD + "!", "INBOX")
    assert owner.ask("DELETE", "/accounts/eva@bureau.test")[0] == 204
    with pytest.raises(Exception):
        for _ in range(20):
            session.noop()
            session.fetch("1:*", "(FLAGS)")
            session.select("INBOX")
    listed = owner.get("/accounts")["accounts"]
    assert [a["address"] for a in listed] == sorted(a["address"] for a in listed) and all(a["domain"] == "bureau.test" for a in listed)
    assert len(op.get("/accounts?domain=autre.test")["accounts"]) == 1
    assert [{k: a[k] for k in ("address", "role", "quota")} for a in op.get("/accounts")["accounts"]] == \
        [{k: a[k] for k in ("address", "role", "quota")} for a in desk.json("account", "list")]
    pages, after = [], ""
    while after is not None:
        page = op.get("/accounts?limit=2" + ("&after=" + after if after else ""))
        pages += page["accounts"]
        after = page["next"]
    assert pages == op.get("/accounts")["accounts"]
    assert code(owner.ask("GET", "/accounts?domain=autre.test")) == (403, "session.right")
    assert code(user.ask("GET", "/accounts")) == (403, "session.right")


def test_aliases(desk, lab, who):
    op, owner = who["operator"], who["owner"]
    group = {"address": "tous@bureau.test", "targets": ["ugo@bureau.test", "anne@bureau.test"]}
    assert owner.ask("PUT", "/aliases/Tous@bureau.test", {"targets": group["targets"]})[1] == group
    assert owner.ask("PUT", "/aliases/@bureau.test", {"targets": ["ugo@bureau.test"]})[0] == 200
    assert code(owner.ask("PUT", "/aliases/@autre.test", {"targets": ["ugo@bureau.test"]})) == (403, "session.right")
    assert code(owner.ask("PUT", "/aliases/ugo@bureau.test", {"targets": ["anne@bureau.test"]})) == (409, "alias.account")
    for targets in (None, [], [1], ["x"], "ugo@bureau.test", ["a@b.test"] * 1001):
        assert code(owner.ask("PUT", "/aliases/x@bureau.test", {"targets": targets})) == (400, "request.field"), targets
    assert [a["address"] for a in owner.get("/aliases")["aliases"]] == ["@bureau.test", "tous@bureau.test"]
    assert desk.json("alias", "list") == op.get("/aliases")["aliases"]
    assert owner.ask("DELETE", "/aliases/@bureau.test")[0] == 204 and owner.ask("DELETE", "/aliases/tous@bureau.test")[0] == 204
    assert code(owner.ask("DELETE", "/aliases/tous@bureau.test")) == (404, "alias.notfound")


def test_oneself_and_the_audit_trail(desk, lab, who):
    op, owner = who["operator"], who["owner"]
    desk.run("account", "add", "zoe@bureau.test", stdin=PASSWORD + "\n")
    zoe, second = Api(desk, lab).login("zoe@bureau.test"), Api(desk, lab).login("zoe@bureau.test")
    assert zoe.ask("PATCH", "/me", {"language": "fr"})[1]["account"]["language"] == "fr"
    assert code(zoe.ask("PATCH", "/me", {"language": "xx"})) == (400, "request.field")
    assert code(zoe.ask("PUT", "/me/password", {"old": "wrong", "new": PASSWORD + "2"})) == (403, "password.wrong")
    assert zoe.ask("PUT", "/me/password", {"old": PASSWORD, "new": PASSWORD + "2"})[0] == 204
    assert zoe.get("/session")["account"]["language"] == "fr" and second.ask("GET", "/session")[0] == 401
    trail = op.get("/audit")["audit"]
    assert {"domain.add", "account.add", "account.password"} <= {a["what"] for a in trail}
    last = trail[0]
    assert (last["who"], last["what"], last["about"]) == ("zoe@bureau.test", "account.password", "zoe@bureau.test")
    assert PASSWORD not in json.dumps(trail)
    assert {a["about"].split("@")[-1] for a in owner.get("/audit")["audit"]} == {"bureau.test"}
    first = op.get("/audit?limit=3")
    assert first["audit"] + op.get("/audit?limit=3&after=" + first["next"])["audit"] == trail[:6]
    assert op.get("/audit?to=2020-01-01")["audit"] == [] and op.get("/audit?from=2020-01-01&limit=1")["audit"] == trail[:1]


def test_settings(desk, lab, who):
    op = who["operator"]
    now = op.get("/settings")
    assert now["text"] == desk.text and now["was"] == hashlib.sha256(desk.text.encode()).hexdigest()
    by_name = {(s["section"], s["name"]): s for s in now["settings"]}
    assert by_name["", "hostname"]["value"] == "mx.bureau.test" and by_name["", "hostname"]["line"] == 1
    assert by_name["web", "proxies"]["value"] == ["127.0.0.1"] and by_name["queue", "expire"]["value"] is None
    assert by_name["queue", "expire"]["default"] == "5d" and by_name["limits", "workers"]["default"] == "512"
    french = op.get("/settings?lang=fr")["settings"]
    assert [s["name"] for s in french if s["meaning"] == by_name[s["section"], s["name"]]["meaning"]] == ["log-level"]
    assert op.ask("POST", "/settings/check", {"text": now["text"]})[1] == {"errors": []}
    wrong = op.ask("POST", "/settings/check", {"text": "hostnam = x\n" + now["text"] + "limits { workers = many }\n"})[1]["errors"]
    assert [e["line"] for e in wrong] == [1, now["text"].count("\n") + 2] and "many" in wrong[1]["text"]

    def put(text, was=None):
        return code(op.ask("PUT", "/settings", {"text": text, "was": was or now["was"]}))
    before = os.stat(desk.conf)
    assert put(now["text"].replace("hostname", "hostnam"))[0] == 422
    assert put(now["text"] + "# x\n", "0" * 64) == (409, "settings.changed")
    assert put(now["text"] + "# x\n", "short") == (409, "settings.changed")
    for text in (now["text"] + 'relay {\n host = "a.test"\n username = "x"\n password-file = "/etc/shadow"\n}\n',
                 now["text"].replace("outbound {\n", 'outbound {\n    destination = "x.test tls=required trust=/etc/shadow"\n'),
                 now["text"].replace('key = "key.pem"', 'key = "other.pem"'), 'vault-user = "nobody"\n' + now["text"]):
        answer = put(text)
        assert answer == (403, "settings.fixed") or (answer[0] == 422 and "vault-user" in text), text
        assert open(desk.conf).read() == desk.text
    assert put(now["text"].replace('data = "data"', 'data = "other"')) == (403, "settings.fixed")
    text = now["text"] + "# a remark that stays\nlimits {\n    message-size = 1mb\n}\n"
    since = len(desk.log_text())
    assert op.ask("PUT", "/settings", {"text": text, "was": now["was"]})[0] == 204
    after = os.stat(desk.conf)
    assert open(desk.conf).read() == text and (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    desk.wait_log("process.reloaded name=access", since=since)
    desk.wait_log("process.reloaded name=mta", since=since)
    wait_for("the new text", lambda: op.get("/settings")["text"] == text)
    with desk.smtp() as s:
        s.ehlo()
        assert s.esmtp_features["size"] == str(1 << 20)
    assert op.get("/audit?limit=1")["audit"][0]["what"] == "settings.change"
    assert code(who["owner"].ask("GET", "/settings")) == (403, "session.right")
    desk.text = text


def test_every_change_is_in_the_trail_once(desk, lab, who, tmp_path):
    """By command and by API: who, what, about what, from what to what."""
    op, user = who["operator"], "command:" + subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    seen = op.get("/audit?limit=1")["audit"][0]

    def added():
        nonlocal seen
        rows = op.get("/audit?limit=20")["audit"]
        new = rows[:rows.index(seen)] if seen in rows else rows
        seen = rows[0]
        return [(r["who"], r["what"], r["about"], r["detail"]) for r in reversed(new)]

    def command(*args, stdin=""):
        out = desk.run(*args, stdin=stdin)
        rows = added()
        assert all(r[0] == (user if not os.environ.get("SUDO_USER") else "command:" + os.environ["SUDO_USER"]) for r in rows), rows
        return [r[1:] for r in rows], out
    mail = "trace@suivi.test"
    assert command("domain", "add", "suivi.test")[0] == [("domain.add", "suivi.test", "")]
    assert command("account", "add", mail, stdin=PASSWORD + "\n")[0] == [("account.add", mail, "")]
    assert command("account", "role", mail, "owner")[0] == [("account.role", mail, "user -> owner")]
    assert command("account", "passwd", mail, stdin=PASSWORD + "\n")[0] == [("account.password", mail, "")]
    assert command("alias", "add", "a@suivi.test", mail)[0] == [("alias.set", "a@suivi.test", "- -> " + mail)]
    assert command("alias", "add", "a@suivi.test", "x@elsewhere.test")[0] == [("alias.set", "a@suivi.test", "%s -> %s, x@elsewhere.test" % (mail, mail))]
    assert command("alias", "remove", "a@suivi.test", mail)[0] == [("alias.set", "a@suivi.test", mail + ", x@elsewhere.test -> x@elsewhere.test")]
    assert command("alias", "remove", "a@suivi.test")[0] == [("alias.remove", "a@suivi.test", "x@elsewhere.test -> -")]
    assert command("domain", "mta-sts", "suivi.test", "enforce")[0] == [("domain.mta_sts", "suivi.test", "testing -> enforce")]
    assert command("domain", "rotate-keys", "suivi.test", "--now")[0] == [("domain.keys", "suivi.test", "active")]
    assert command("account", "app-password", "add", mail, "telephone")[0] == [("app-password.add", mail, "telephone")]
    number = desk.json("account", "app-password", "list", mail)[0]["id"]
    assert command("account", "app-password", "remove", mail, str(number))[0] == [("app-password.remove", mail, str(number))]
    assert command("account", "second-factor", mail, "off")[0] == [("totp.off", mail, "")]
    (tmp_path / "box").write_text("From x\nSubject: un\n\nun\n\n")
    assert command("import", mail, str(tmp_path / "box"))[0] == [("account.import", mail, "1")]
    m = desk.imap(mail, PASSWORD, "INBOX")
    m.store("1", "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.logout()
    assert command("account", "undelete", mail)[0] == [("account.undelete", mail, "1")]
    # the queue
    lab.dns.set("lointain.test.", "MX 10 mx.lointain.test.")
    lab.dns.set("mx.lointain.test.", "A " + lab.ip())
    with desk.submission(mail, PASSWORD) as s:
        s.sendmail(mail, ["b@lointain.test", "c@lointain.test"], "From: %s\r\nSubject: x\r\n\r\nx\r\n" % mail)
    waiting = wait_for("a message that waits", lambda: [q for q in op.get("/queue")["queue"] if q["sender"] == mail])[0]["id"]
    whose = "<%s> -> <b@lointain.test> (+1)" % mail
    for verb, args in (("hold", [waiting]), ("release", [waiting]), ("hold", [waiting])):
        assert command("queue", verb, *args)[0] == [("queue." + verb, waiting, whose)]
    assert command("queue", "flush", "lointain.test")[0] == [("queue.flush", "lointain.test", "")]
    for verb in ("release", "hold", "remove"):
        assert op.ask("POST", "/queue/%s/%s" % (waiting, verb), {})[0] == 200
        assert added() == [("anne@bureau.test", "queue." + verb, waiting, whose)]
    # apply: each difference, and nothing where there is none
    state = desk.run("apply", "--export")
    plan = tmp_path / "plan"
    plan.write_text(state.replace("account %s owner" % mail, "account %s user\naccount neuf@suivi.test owner\nalias tous@suivi.test %s" % (mail, mail)))
    assert command("apply", str(plan), "--dry-run")[0] == []
    assert sorted(command("apply", str(plan))[0]) == [("account.add", "neuf@suivi.test", "owner"), ("account.role", mail, "owner -> user"),
                                                      ("alias.set", "tous@suivi.test", "- -> " + mail)]
    assert command("apply", str(plan))[0] == []
    # the same by the API
    for method, path, body, *row in (
            ("PATCH", "/accounts/" + mail, {"role": "owner"}, "account.role", mail, "user -> owner"),
            ("PATCH", "/accounts/" + mail, {"quota": 5000}, "account.quota", mail, "0 -> 5000"),
            ("PATCH", "/domains/suivi.test", {"mta_sts": "none"}, "domain.mta_sts", "suivi.test", "enforce -> none"),
            ("PUT", "/aliases/tous@suivi.test", {"targets": ["neuf@suivi.test"]}, "alias.set", "tous@suivi.test", mail + " -> neuf@suivi.test"),
            ("DELETE", "/aliases/tous@suivi.test", None, "alias.remove", "tous@suivi.test", "neuf@suivi.test -> -"),
            ("PATCH", "/me", {"language": "fr"}, "account.language", "anne@bureau.test", " -> fr"),
            ("DELETE", "/accounts/neuf@suivi.test", None, "account.remove", "neuf@suivi.test", "")):
        assert op.ask(method, path, body)[0] in (200, 204), path
        assert added() == [("anne@bureau.test", *row)], path
    plan.write_text("".join(line for line in state.splitlines(True) if "suivi.test" not in line))
    assert command("apply", str(plan))[0] == [("account.remove", mail, ""), ("domain.remove", "suivi.test", "")]


def test_overview(desk, who):
    op, owner = who["operator"].get("/overview"), who["owner"].get("/overview")
    assert op["domains"] == 2 and op["queue"]["messages"] == 0 and op["accounts"] >= 4 and op["since"]
    assert owner["domains"] == 1 and owner["queue"] is None and owner["messages"]["sent_today"] is None


def test_quota(desk, lab, who):
    """A full mailbox is said to be full at the door; what is on its way already waits; IMAP refuses; room brings the mail in."""
    op, full = who["operator"], "plein@bureau.test"
    assert op.ask("POST", "/accounts", {"address": full, "password": PASSWORD, "quota": 3000})[0] == 201
    message = "Subject: un\r\n\r\n" + "x" * 60 * 20 + "\r\n"
    desk.send("x@outside.test", full, message)
    desk.wait_messages(full, 1, password=PASSWORD)
    account, = [a for a in op.get("/accounts?domain=bureau.test")["accounts"] if a["address"] == full]
    assert account["messages"] == 1 and 1200 < account["used"] < 3000
    with desk.smtp() as s:
        s.ehlo()
        s.mail("x@outside.test", ["SIZE=4000"])
        assert s.rcpt(full)[0] == 452
    with desk.smtp() as s:  # without SIZE nobody knows before
        s.ehlo()
        s.mail("x@outside.test")
        assert s.rcpt(full)[0] == 250 and s.data(message + "y" * 1500 + "\r\n")[0] == 250
    desk.wait_log(r"queue.deferred .*to=%s .*4\.2\.2" % full)
    m = desk.imap(full, PASSWORD)
    assert m.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"z" * 3000)[0] == "NO"
    # a copy of what is there would not fit twice; what is moved needs no room, nor does a deleted one
    assert op.ask("PATCH", "/accounts/" + full, {"quota": 2 * account["used"] + 100})[0] == 200
    m.create("Dossier")
    m.select("INBOX")
    assert m.copy("1", "Dossier")[0] == "OK"
    kind, said = m.copy("1", "Dossier")
    assert kind == "NO" and b"[OVERQUOTA]" in said[0] and m.status("Dossier", "(MESSAGES)")[1] == [b'"Dossier" (MESSAGES 1)']
    assert m._simple_command("MOVE", "1", "Dossier")[0] == "OK"
    m.select("Dossier")
    m.store("1", "+FLAGS", "(\\Deleted)")
    m.expunge()
    assert m._simple_command("MOVE", "1", "INBOX")[0] == "OK"
    m.logout()
    assert op.ask("PATCH", "/accounts/" + full, {"quota": 0})[0] == 200
    desk.run("queue", "flush")
    desk.wait_messages(full, 2, password=PASSWORD)


def test_records_of_a_signed_zone():
    """Where DNSSEC proves the host, TLSA records are among those to publish, the same that `facteur dns` prints."""
    signed = Lab(signed=True)
    try:
        server = signed.facteur("signe.test", accounts=("anne",), listen=SERVICES + ["http", "https"])
        server.run("account", "role", "anne@signe.test", "operator")
        op = Api(server, signed)
        assert op.ask("POST", "/session", {"address": "anne@signe.test", "password": "secret"})[0] == 200
        assert not [r for r in op.get("/domains/signe.test/records")["records"] if r["type"] == "TLSA"]  # nobody has looked yet
        wait_for("the doctor", lambda: op.ask("GET", "/doctor?domain=signe.test")[1].get("doctor"), 60)
        records = op.get("/domains/signe.test/records")
        assert [r["type"] for r in records["records"]].count("TLSA") == 1
        assert records["zone"] == server.run("dns", "signe.test")
    finally:
        signed.close()
