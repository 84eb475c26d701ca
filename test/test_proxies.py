"""Behind real reverse proxies, nginx and Caddy, set up as docs/web.md says."""
import base64
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from lab import IS_ROOT, PORTS, ROOT, SLOW, wait_for
from test_api import PASSWORD, code

BACKEND = 8080
DOMAIN, HOST = "bureau.test", "mx.bureau.test"

pytestmark = pytest.mark.skipif(not shutil.which("caddy") or not os.path.exists("/usr/sbin/nginx"), reason="needs nginx and Caddy")


def documented(first):
    """The indented block of docs/web.md that begins with this line."""
    lines = (ROOT / "docs" / "web.md").read_text().split("\n")
    start = lines.index("    " + first)
    end = next(i for i in range(start, len(lines)) if lines[i] == "")
    return "\n".join(line[4:] for line in lines[start:end]).replace("example.org", DOMAIN) + "\n"


def change(text, *pairs):
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


class Proxy:
    """One that runs until the lab ends, with its own files and on its own address."""

    def __init__(self, lab, kind, conf, command, env=None):
        self.lab, self.kind, self.log = lab, kind, conf + ".log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        lab.parts.append(self)

    def wait(self, ip, port):
        def listens():
            if self.process.poll() is not None:
                with open(self.log) as f:
                    raise AssertionError("%s has ended: %s" % (self.kind, f.read()[-2000:]))
            return not socket.socket().connect_ex((ip, port))
        wait_for("%s on %s:%d" % (self.kind, ip, port), listens, 30)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client:
    """Somebody at an address of their own who knows only the outside: names, 80 and 443 of the proxy."""

    def __init__(self, lab, ip, source, host=HOST):
        self.lab, self.ip, self.source, self.host, self.cookie = lab, ip, source, host, None

    def ask(self, method, path, body=None, headers=None, raw=None, tls=True):
        where = {"timeout": 20 * SLOW, "source_address": (self.source, 0)}
        if tls:
            context = self.lab.tls()
            c = http.client.HTTPSConnection(self.ip, PORTS["https"], context=context, **where)
            c.sock = context.wrap_socket(socket.create_connection((self.ip, PORTS["https"]), 20 * SLOW, (self.source, 0)), server_hostname=self.host)
        else:
            c = http.client.HTTPConnection(self.ip, PORTS["http"], **where)
        send = {"Host": self.host, "Content-Type": "application/json", **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        c.request(method, path, body=raw if raw is not None else json.dumps(body) if body is not None else None, headers=send)
        answer = c.getresponse()
        data = answer.read()
        c.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(data) if is_json and data else data, answer

    def login(self, address="anne@bureau.test", headers=None):
        status, body, answer = self.ask("POST", "/admin/api/session", {"address": address, "password": PASSWORD},
                                        {"Origin": "https://%s" % self.outside(), "Sec-Fetch-Site": "same-origin", "Host": self.outside(), **(headers or {})})
        assert status == 200, body
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return answer

    def outside(self):
        return self.host if PORTS["https"] == 443 else "%s:%d" % (self.host, PORTS["https"])


@pytest.fixture(scope="module")
def desk(lab):
    ip = lab.ip()
    server = lab.facteur(DOMAIN, accounts=(), listen=["smtp"], start=False, extra="")
    server.write(server.text.replace("listen {\n", 'listen {\n    http = "%s:%d"\n' % (ip, BACKEND)) + "limits {\n    connections-per-address = 5\n}\n" +
                 'web {\n    proxies = {"127.0.0.1"}\n}\n')
    server.backend = "%s:%d" % (ip, BACKEND)
    for address, role in (("anne@bureau.test", "operator"), ("cible@bureau.test", "user")):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
        server.run("account", "role", address, role)
    return server.start()


@pytest.fixture(scope="module")
def pem(lab):
    cert, key = os.path.join(lab.dir, "outside.pem"), os.path.join(lab.dir, "outside.key")
    lab.certificate(cert, key, HOST, "mta-sts." + DOMAIN)
    return cert, key


def nginx(lab, desk, pem):
    """Beside the documented server one on another address that the settings do not name."""
    ip, stranger = lab.ip(), lab.ip()
    folder = os.path.join(lab.dir, "nginx")
    os.makedirs(folder)
    conf = os.path.join(folder, "nginx.conf")
    server = change(documented("server {"), ("127.0.0.1:8080", desk.backend), ("/etc/ssl/mx.%s.pem" % DOMAIN, pem[0]),
                    ("/etc/ssl/private/mx.%s.key" % DOMAIN, pem[1]))

    def at(address):
        return change(server, ("listen 80;", "listen %s:%d;" % (address, PORTS["http"])), ("listen 443 ssl;", "listen %s:%d ssl;" % (address, PORTS["https"])))
    unnamed = change(at(stranger), ("proxy_pass", "proxy_bind %s;\n        proxy_pass" % stranger))
    temp = "".join("%s_temp_path %s;\n" % (kind, os.path.join(folder, kind)) for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(conf, "w") as f:
        f.write("%sdaemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n%s%s%s}\n" % (
            "user root;\n" if IS_ROOT else "", folder, temp, at(ip), unnamed))
    p = Proxy(lab, "nginx", conf, ["/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", conf])
    p.wait(stranger, PORTS["https"])
    return ip, stranger


def caddy(lab, desk, pem):
    ip = lab.ip()
    folder = os.path.join(lab.dir, "caddy")
    os.makedirs(folder)
    conf = os.path.join(folder, "Caddyfile")
    site = change(documented("mx.example.org, mta-sts.example.org {"), ("127.0.0.1:8080", desk.backend),
                  (" {\n", " {\n    bind %s\n    tls %s %s\n" % (ip, *pem)))
    with open(conf, "w") as f:
        f.write("{\n    admin off\n    http_port %d\n    https_port %d\n    skip_install_trust\n}\n%s" % (PORTS["http"], PORTS["https"], site))
    env = {**os.environ, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, "HOME": folder}
    p = Proxy(lab, "caddy", conf, ["caddy", "run", "--adapter", "caddyfile", "--config", conf], env)
    p.wait(ip, PORTS["https"])
    p.wait(ip, PORTS["http"])
    return ip, None


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy(request, lab, desk, pem):
    return request.param(lab, desk, pem)


@pytest.fixture
def client(lab, proxy):
    return Client(lab, proxy[0], lab.ip())


def test_a_session(desk, lab, client):
    since = len(desk.log_text())
    answer = client.login()
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/admin"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert answer.headers["Strict-Transport-Security"]
    desk.wait_log(r"web\.login account=anne@bureau\.test peer=%s\b" % re.escape(client.source), since=since)
    mine, = [s for s in client.ask("GET", "/admin/api/me/sessions")[1]["sessions"] if s["current"]]
    assert mine["peer"] == client.source
    # a client's own words about itself count for nothing
    for field in ("X-Forwarded-For", "x-forwarded-for"):
        other = Client(lab, client.ip, lab.ip())
        other.login(headers={field: "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "http"})
        mine, = [s for s in other.ask("GET", "/admin/api/me/sessions")[1]["sessions"] if s["current"]]
        assert mine["peer"] == other.source
    assert "203.0.113.9" not in desk.log_text()
    for origin in ("https://evil.test", "http://" + client.outside(), "null", "https://%s.evil.test" % HOST):
        assert code(client.ask("PATCH", "/admin/api/me", {"language": "fr"}, {"Origin": origin, "Host": client.outside()})) == (403, "request.foreign"), origin
    assert client.ask("PATCH", "/admin/api/me", {"language": "fr"}, {"Origin": "https://" + client.outside(), "Host": client.outside()})[0] in (200, 204)
    assert client.ask("DELETE", "/admin/api/session")[0] == 204


def test_the_first_log_in_by_a_link(desk, client):
    link = desk.run("account", "link", "anne@bureau.test").strip()
    token = re.fullmatch(r"https://%s/admin/#/link/(\S+)" % re.escape(HOST), link).group(1)
    status, body, answer = client.ask("POST", "/admin/api/session/link", {"token": token})
    assert status == 200 and "Secure" in answer.headers["Set-Cookie"] and body["account"]["address"] == "anne@bureau.test"


def test_redirects_keep_the_name(client):
    status, _, answer = client.ask("GET", "/admin")
    assert status == 308 and answer.headers["Location"] in ("/admin/", "https://%s/admin/" % client.outside())
    status, _, answer = client.ask("GET", "/admin/", tls=False)
    assert status in (301, 308) and answer.headers["Location"].startswith("https://%s/admin/" % HOST)
    status, _, answer = client.ask("POST", "/admin/api/session", {"address": "anne@bureau.test", "password": PASSWORD}, tls=False)
    assert status == 308 and "Set-Cookie" not in answer.headers


def test_what_others_ask_for(desk, lab, client):
    assert "_mta-sts.%s." % DOMAIN in desk.run("dns", DOMAIN)
    sts = Client(lab, client.ip, client.source, "mta-sts." + DOMAIN)
    status, body, answer = sts.ask("GET", "/.well-known/mta-sts.txt")
    assert status == 200 and answer.headers["Content-Type"].startswith("text/plain") and b"mx: " + HOST.encode() in body
    with sqlite3.connect("%s/facteur.db" % desk.data, timeout=20) as db:
        db.execute("INSERT OR REPLACE INTO acme_challenge (token, answer, made_s) VALUES ('jeton', 'jeton.cle', ?)", (int(time.time()),))
    db.close()
    status, body, answer = client.ask("GET", "/.well-known/acme-challenge/jeton", tls=False)
    if status == 308:  # Caddy leads all of port 80 to HTTPS; an authority follows (RFC 8555 §8.3)
        assert answer.headers["Location"].startswith("https://%s/.well-known/acme-challenge/jeton" % HOST)
        status, body, answer = client.ask("GET", "/.well-known/acme-challenge/jeton")
    assert (status, body) == (200, b"jeton.cle")
    now = int(time.time())
    report = {"organization-name": "Elsewhere", "date-range": {"start-datetime": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(now - 86400)),
                                                               "end-datetime": time.strftime("%Y-%m-%dT23:59:59Z", time.gmtime(now - 86400))},
              "contact-info": "x@elsewhere.test", "report-id": "by-%s" % client.source, "policies": [
                  {"policy": {"policy-type": "no-policy-found", "policy-domain": DOMAIN},
                   "summary": {"total-successful-session-count": 3, "total-failure-session-count": 0}}]}
    since = len(desk.log_text())
    assert client.ask("POST", "/reports/tls", report, {"Content-Type": "application/tlsrpt+json"})[0] == 201
    desk.wait_log(r"desk\.post peer=%s\b" % re.escape(client.source), since=since)
    client.login()
    assert ("by-%s" % client.source) in [r["report_id"] for r in client.ask("GET", "/admin/api/reports/tls?domain=" + DOMAIN)[1]["tls"]]
    assert client.ask("GET", "/healthz")[0] == 200 and client.ask("GET", "/metrics")[0] == 403


def test_large_bodies(client):
    """The limits are ours, not the proxy's; what a stranger may send is small."""
    large = b"x" * (5 << 20)
    assert client.ask("POST", "/admin/api/reports?name=x.xml", raw=b"x" * 100000)[0] in (401, 413)
    client.login()
    status, body, _ = client.ask("POST", "/admin/api/reports?name=x.xml", raw=large, headers={"Content-Type": "application/octet-stream"})
    assert status == 200 and body["refused"], body
    assert client.ask("PATCH", "/admin/api/me", raw=large)[0] == 413


def test_guessing_counts_against_the_client(desk, lab, client):
    """Also with Basic and a large body, which are looked at before the body is read; others log in meanwhile."""
    seen, since = [], len(desk.log_text())

    def guess(i):
        headers = {"X-Forwarded-For": "198.51.100.%d" % i}
        if i % 2:
            basic = base64.b64encode(b"cible@bureau.test:wrong%d" % i).decode()
            seen.append(client.ask("POST", "/admin/api/messages", raw=b'{"x":"' + b"x" * 70000 + b'"}', headers={**headers, "Authorization": "Basic " + basic})[0])
        else:
            seen.append(client.ask("POST", "/admin/api/session", {"address": "cible@bureau.test", "password": "wrong%d" % i}, headers)[0])
    threads = [threading.Thread(target=guess, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    Client(lab, client.ip, lab.ip()).login("cible@bureau.test")  # more at once than connections-per-address
    for t in threads:
        t.join()
    assert len(seen) == 16 and 429 in seen and set(seen) <= {401, 413, 429}, seen
    failed = set(re.findall(r"web\.login\.failed .*peer=(\S+)", desk.log_text()[since:]))
    assert failed == {client.source}
    Client(lab, client.ip, lab.ip()).login("cible@bureau.test")


def test_who_is_no_proxy_is_not_believed(desk, lab, proxy):
    """From an address that the settings do not name: by a proxy, and as one who plays a proxy."""
    ip, port = desk.backend.split(":")
    forged = {"Host": HOST, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Content-Type": "application/json"}
    c = http.client.HTTPConnection(ip, int(port), timeout=20 * SLOW, source_address=(lab.ip(), 0))
    c.request("POST", "/admin/api/session", json.dumps({"address": "anne@bureau.test", "password": PASSWORD}), forged)
    assert c.getresponse().status == 403
    if proxy[1]:
        status, body, answer = Client(lab, proxy[1], lab.ip()).ask("GET", "/admin/")
        assert status == 403 and b"web { proxies }" in body and "Set-Cookie" not in answer.headers
    assert "203.0.113.9" not in desk.log_text()
