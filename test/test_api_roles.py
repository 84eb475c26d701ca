"""Every route of the API's own description times every role; answers as described; and generated hostile input to every route."""
import gzip
import http.client
import json
import random
import re
import urllib.parse

import pytest

from answers import Answers, wrong_schemas
from lab import PORTS, SERVICES, SLOW

PASSWORD = "une phrase assez longue"
HERE, THERE = "roles.test", "ailleurs.test"
ROLES = {"nobody": None, "user": "ugo@" + HERE, "owner": "olga@" + HERE, "other": "otto@" + THERE, "operator": "anne@" + HERE}
ANY_DOMAIN = {"/doctor"}  # looks at any domain, ours or not
METHODS = ("get", "post", "put", "patch", "delete")


class Client:
    """One connection, kept; logs in again when its session was ended by what was asked."""

    def __init__(self, server, lab, address):
        self.server, self.lab, self.address, self.cookie, self.c = server, lab, address, None, None
        self.login()

    def login(self):
        if self.address:
            status, body, headers = self.send("POST", "/session", json.dumps({"address": self.address, "password": PASSWORD}))
            assert status == 200, body
            self.cookie = headers["Set-Cookie"].split(";")[0]

    def send(self, method, path, body=None, headers=None):
        send = {"Host": self.server.hostname, "Content-Type": "application/json", **(headers or {})}
        if self.cookie:
            send["Cookie"] = self.cookie
        for attempt in range(2):  # the server may have closed a connection after a refusal
            if not self.c:
                context = self.lab.tls()
                context.check_hostname = False
                self.c = http.client.HTTPSConnection(self.server.ip, PORTS["https"], timeout=30 * SLOW, context=context)
            try:
                self.c.request(method, "/admin/api" + path, body=body, headers=send)
                answer = self.c.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                self.c.close()
                self.c = None
                if attempt:
                    raise
        if answer.getheader("Connection", "").lower() == "close":
            self.c.close()
            self.c = None
        is_json = answer.getheader("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json else text, answer.headers


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur(HERE, accounts=(), listen=SERVICES + ["http", "https"])
    server.run("domain", "add", THERE)
    for name, address in [*ROLES.items(), ("second", "zoe@" + HERE)]:
        if address:
            server.run("account", "add", address, stdin=PASSWORD + "\n")
            role = {"other": "owner", "second": "operator", "target": "user"}.get(name, name)
            if role != "user":
                server.run("account", "role", address, role)
    return server


@pytest.fixture(scope="module")
def description(desk, lab):
    return Client(desk, lab, None).send("GET", "/openapi.json")[1]


@pytest.fixture(scope="module")
def clients(desk, lab):
    return {role: Client(desk, lab, address) for role, address in ROLES.items()}


def routes(description):
    for path, methods in description["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def look_up(description, thing):
    while "$ref" in thing:
        node = description
        for part in thing["$ref"].split("/")[1:]:
            node = node[part]
        thing = node
    return thing


def queries(description, words):
    return [look_up(description, p) for p in words.get("parameters", []) if look_up(description, p)["in"] == "query"]


def fill(path, values):
    out = []
    for part in path.split("/"):
        out.append(urllib.parse.quote(values.get(part[1:-1], "1"), safe="@") if part.startswith("{") else part)
    return "/".join(out)


def code(body):
    return body.get("error", {}).get("code") if isinstance(body, dict) and isinstance(body.get("error"), dict) else None


def expected(description, method, path, words, role):
    """"session.none", "session.right", or None: let through to the handler."""
    right = words["x-right"]
    if right == "none":
        return None
    if role == "nobody":
        return "session.none"
    if right == "user" or role == "operator":
        return None
    if right == "operator" or role == "user":
        return "session.right"
    ours = "{domain}" in path or "{address}" in path or any(q["name"] == "domain" for q in queries(description, words))
    return "session.right" if role == "other" and ours and path not in ANY_DOMAIN else None


def ask(client, description, method, path, words, values, body="{}"):
    target = fill(path, values)
    asked = [q["name"] for q in queries(description, words)]
    if "domain" in asked:
        target += "?domain=" + values["domain"]
    return client.send(method, target, body if method != "GET" else None)


@pytest.mark.sanitize
def test_every_route_times_every_role(desk, lab, description, clients):
    values = {"domain": HERE, "address": "cible@" + HERE, "id": "1"}
    wrong, n = [], 0
    for method, path, words in routes(description):
        for role, client in clients.items():
            status, body, _ = ask(client, description, method, path, words, values)
            want = expected(description, method, path, words, role)
            got = code(body)
            n += 1
            if want and (status, got) != ({"session.none": 401, "session.right": 403}[want], want):
                wrong.append((method, path, role, "wanted " + want, status, got))
            elif not want and (got in ("session.none", "session.right") or status == 405 or status >= 500 and status not in (503, 507)):
                wrong.append((method, path, role, "wanted to be let through", status, got))
            if (method, path) == ("DELETE", "/session") and client.cookie:
                client.login()
    assert not wrong, "\n".join(map(str, wrong))
    assert n >= 5 * 20


def test_what_does_not_exist_looks_like_what_is_not_ours(description, clients):
    """An owner learns nothing of other domains, whether they are hosted here or not."""
    wrong = []
    for method, path, words in routes(description):
        if words["x-right"] != "owner" or expected(description, method, path, words, "other") is None:
            continue
        answers = [ask(clients["other"], description, method, path, words, {"domain": d, "address": "x@" + d, "id": "1"})[:2]
                   for d in (HERE, "nowhere.test")]
        if answers[0] != answers[1]:
            wrong.append((method, path, answers))
    assert not wrong, "\n".join(map(str, wrong))


def test_unknown_paths_and_methods(description, clients):
    for path in ("/", "/x", "/accounts/a/b/c/d", "/session/session", "/%2e%2e/healthz", "/openapi.json/x"):
        assert code(clients["nobody"].send("GET", path)[1]) == "session.none", path
    for method, path, words in routes(description):
        if words["x-right"] != "none":
            for odd in ("TRACE", "OPTIONS", "PROPFIND"):
                assert clients["nobody"].send(odd, fill(path, {}))[0] in (401, 405, 501), (odd, path)


# --- answers as described ---

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None)}


def test_answers_are_as_described(description, clients):
    answers, wrong = Answers(description), []
    for method, path, words in routes(description):
        if method != "GET":
            continue
        for role in ("operator", "user", "nobody"):
            status, body, headers = ask(clients[role], description, method, path, words, {"domain": HERE, "address": "ugo@" + HERE, "id": "1"})
            is_json = headers.get("Content-Type", "").startswith("application/json")
            wrong += answers.faults(method, fill(path, {"domain": HERE, "address": "ugo@" + HERE, "id": "1"}), status, body, is_json)
    assert not wrong, "\n".join(wrong)


def test_description_is_sound(description):
    """OpenAPI 3.1: every reference leads somewhere, schemas are JSON Schema, names are used once, parameters of paths are declared."""
    def walk(thing):
        if isinstance(thing, dict):
            if isinstance(thing.get("$ref"), str):
                assert look_up(description, thing)
            for inner in thing.values():
                walk(inner)
        elif isinstance(thing, list):
            for inner in thing:
                walk(inner)
    walk(description)
    names = [words["operationId"] for _, _, words in routes(description)]
    assert len(set(names)) == len(names)
    for method, path, words in routes(description):
        declared = {look_up(description, p)["name"] for p in words.get("parameters", []) if look_up(description, p)["in"] == "path"}
        assert declared == {p[1:-1] for p in path.split("/") if p.startswith("{")}, path
        assert words["responses"] and all(re.fullmatch(r"[1-5]\d\d|default", s) for s in words["responses"]), path
    assert not wrong_schemas(description), wrong_schemas(description)


# --- hostile input ---

TEXTS = ["", " ", "x" * 5000, "\u0000", "a\u0000b", "\r\nSet-Cookie: a=b", "'; DROP TABLE account; --", "../../etc/passwd", "%00", "%s%n%x",
         "\u202e", "\ufeff", "é" * 300, "a@b@c", "@", "@" + HERE, "<script>alert(1)</script>", "0", "-1", "99999999999999999999", "NaN",
         "9999-99-99", "2026-02-31T25:61:61Z", "*", "[", "\\", '"', "x@" + "y" * 300 + ".test", "a." * 130, "xn--\u0080", HERE, "cible@" + HERE]
VALUES = [None, True, False, 0, -1, 1 << 62, 1 << 80, 1.5, 1e308, [], {}, [[[]]], [None] * 2000, {"a": {"b": {}}}, *TEXTS]
NOT_PASSWORDS = [None, 7, "", "x" * 5000, "a\u0000b", {}, []]  # a wrong one would be answered late
RAW = ["", "{", "[]", "null", "1", '"x"', "{}{}", '{"a":}', '{"a":1,"a":2}', "[" * 3000, '{"a":' * 3000, "\udc80", '{"a":"\\ud800"}', "\x00", "{" + " " * 60000 + "}"]


FILES = [b"", b"\x00" * 1000, b"PK\x03\x04" + b"\xff" * 300, gzip.compress(b"0" * (1 << 20)), gzip.compress(gzip.compress(b"x" * 100000)),
         b"<svg>" * 20000, b'<svg xmlns="http://www.w3.org/2000/svg" baseProfile="tiny-ps" version="1.2"><script/></svg>',
         b'<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><feedback>&b;</feedback>',
         b"<feedback>" + b"<record>" * 5000, b'{"policies": ' + b"[" * 5000, b"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 3000]
NAMED = {"domain": HERE, "address": "cible@" + HERE, "to": "cible@" + HERE, "from": "ugo@" + HERE, "targets": ["cible@" + HERE], "url": "https://%s/x" % HERE,
         "mail": ["anne@" + HERE], "webhook": "https://%s/x" % HERE, "content": "eHg=", "name": "a name", "days": 1, "quota": 1000}


def sample(description, schema, chance, name=""):
    """What the description takes for good."""
    schema = look_up(description, schema)
    if name in ("password", "old", "new"):
        return chance.choice(NOT_PASSWORDS)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return sample(description, chance.choice(schema[key]), chance, name)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if name in NAMED and kind != "object" and isinstance(NAMED[name], TYPES[kind]):
        return NAMED[name]
    if kind == "object":
        return {n: sample(description, s, chance, n) for n, s in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(description, schema.get("items", {}), chance, name) for _ in range(chance.randint(1, 3))]
    return {"string": "text", "integer": chance.randint(schema.get("minimum", 0), 10), "number": 1.5, "boolean": True, "null": None}[kind]


def spoil(value, chance):
    """One thing in it becomes hostile."""
    if isinstance(value, dict) and value and chance.random() < .85:
        name = chance.choice(list(value))
        return {**value, name: chance.choice(NOT_PASSWORDS) if name in ("password", "old", "new") else spoil(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < .7:
        at = chance.randrange(len(value))
        return value[:at] + [spoil(value[at], chance)] + value[at + 1:]
    return chance.choice(VALUES)


def hostile_requests(description, method, path, words, chance):
    content = words.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    names = list(look_up(description, schema).get("properties", {})) or ["x"]
    for i in range(16):
        if i % 3 == 2 and method != "GET":  # all is as described but for one thing
            target = fill(path, {"domain": HERE, "address": "cible@" + HERE, "id": "1"})
            asked = "?domain=" + HERE if "domain" in [q["name"] for q in queries(description, words)] else ""
            yield target + asked, chance.choice(FILES) if content and "application/json" not in content else json.dumps(
                spoil(sample(description, schema, chance), chance))
            continue
        target = "/".join(urllib.parse.quote(chance.choice(TEXTS), safe="") if p.startswith("{") else p for p in path.split("/"))
        asked = ["%s=%s" % (q["name"], urllib.parse.quote(chance.choice(TEXTS), safe="")) for q in queries(description, words) if chance.random() < .7]
        asked += ["x=%s" % urllib.parse.quote(chance.choice(TEXTS), safe="")] if chance.random() < .1 else []
        body = None
        if method != "GET":
            body = json.dumps({name: chance.choice(NOT_PASSWORDS if name in ("password", "old") else VALUES)
                               for name in names if chance.random() < .8})
            if chance.random() < .25:
                body = chance.choice(RAW)
        yield target + ("?" + "&".join(asked) if asked else ""), body


@pytest.mark.sanitize
def test_hostile_input_to_every_route(desk, lab, description, clients):
    chance = random.Random(5)
    wrong = []
    for method, path, words in routes(description):
        for role in ("operator", "user", "nobody") if words["x-right"] in ("none", "user") else ("operator", "owner"):
            client = clients[role]
            for target, body in hostile_requests(description, method, path, words, chance):
                try:
                    status, answer, headers = client.send(method, target, body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body)
                except (http.client.HTTPException, OSError, ValueError) as e:
                    wrong.append((method, target[:200], body and body[:200], repr(e)))
                    client.c = None
                    continue
                if status >= 500 and status != 503 or "Set-Cookie" in headers and headers["Set-Cookie"] == "a=b":
                    wrong.append((method, target[:200], body and body[:200], status, str(answer)[:200]))
                if status >= 400 and headers.get("Content-Type", "").startswith("application/json") and code(answer) is None:
                    wrong.append((method, target[:200], body and body[:200], status, "refused without a code"))
                if client.cookie and code(answer) == "session.none":
                    client.login()
            if (method, path) == ("DELETE", "/session") and client.cookie:
                client.login()
    assert not wrong, "%d\n%s" % (len(wrong), "\n".join(map(str, wrong[:40])))
    assert clients["operator"].send("GET", "/domains")[0] == 200
    assert "process.died" not in desk.log_text()
