"""The JSON API at /admin/api: sessions, rights, requests from elsewhere, and what is refused before a handler runs."""
import http.client
import json
import threading

import pytest

from lab import PORTS, SERVICES, SLOW

PASSWORD = "une phrase assez longue"


class Api:
    """A client with a cookie, as a browser keeps it."""

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
        return answer.status, json.loads(text) if is_json and text else text, answer

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
