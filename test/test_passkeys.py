"""Passkeys: an authenticator made of python3-cryptography keeps, proves, and lies; then a browser with a virtual one."""
import base64
import hashlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import PORTS, SERVICES, SLOW, wait_for
from test_api import PASSWORD, Api, code

ANNE, BERT = "anne@bureau.test", "bert@bureau.test"
HOST = "mx.bureau.test"


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur("bureau.test", accounts=(), listen=SERVICES + ["http", "https"])
    for address in (ANNE, BERT):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
    return server


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    return bytes([major << 5 | 24, n]) if n < 256 else bytes([major << 5 | 25]) + struct.pack(">H", n)


def cbor(x):
    if isinstance(x, int):
        return head(0, x) if x >= 0 else head(1, -1 - x)
    if isinstance(x, bytes):
        return head(2, len(x)) + x
    if isinstance(x, str):
        return head(3, len(x.encode())) + x.encode()
    return head(5, len(x)) + b"".join(cbor(k) + cbor(v) for k, v in x.items())


class Authenticator:
    """One credential. Whoever tests it may bend what it says by keyword arguments."""

    def __init__(self, kind="ES256"):
        self.kind, self.id, self.count, self.user = kind, os.urandom(32), 0, b""
        if kind == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
            n = self.key.public_key().public_numbers()
            self.cose = cbor({1: 2, 3: -7, -1: 1, -2: n.x.to_bytes(32, "big"), -3: n.y.to_bytes(32, "big")})
        elif kind == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            self.cose = cbor({1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)})
        else:
            self.key = rsa.generate_private_key(65537, 2048)
            n = self.key.public_key().public_numbers()
            self.cose = cbor({1: 3, 3: -257, -1: n.n.to_bytes(256, "big"), -2: b"\1\0\1"})

    def sign(self, message):
        if self.kind == "ES256":
            return self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return self.key.sign(message) if self.kind == "EdDSA" else self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def client(self, kind, asked, **bent):
        return json.dumps({"type": kind, "challenge": asked, "origin": "https://" + HOST, "crossOrigin": False, **bent}).encode()

    def data(self, flags, rp=HOST, count=None, more=b""):
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + struct.pack(">I", self.count if count is None else count) + more

    def create(self, options, flags=0x45, rp=HOST, client=None, **bent):
        self.user = unb64(options["user"]["id"])
        data = self.data(flags, rp, more=bytes(16) + struct.pack(">H", len(self.id)) + self.id + self.cose)
        client = client or self.client("webauthn.create", options["challenge"], **bent)
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "attestationObject": b64(cbor({"fmt": "none", "attStmt": {}, "authData": data}))}}

    def get(self, options, flags=0x05, rp=HOST, count=None, client=None, user=None, signature=None, **bent):
        self.count += 1
        data = self.data(flags, rp, count)
        client = client or self.client("webauthn.get", options["challenge"], **bent)
        signature = signature or self.sign(data + hashlib.sha256(client).digest())
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature),
                             "userHandle": b64(self.user if user is None else user)}}


def keep(api, key, name="laptop", **bent):
    options = api.ask("POST", "/me/passkeys/begin", {})[1]["publicKey"]
    return api.ask("POST", "/me/passkeys", {"name": name, **key.create(options, **bent)})


def log_in(desk, lab, key, password=None, **bent):
    api = Api(desk, lab)
    status, begun, _ = api.ask("POST", "/session/passkey/begin", {"address": ANNE, "password": password} if password else {})
    assert status == 200, begun
    return api, api.ask("POST", "/session/passkey", key.get(begun["publicKey"], **bent))


@pytest.fixture(scope="module")
def keys(desk, lab):
    """Anne's: one of each kind."""
    api = Api(desk, lab).login(ANNE)
    made = [Authenticator(kind) for kind in ("ES256", "EdDSA", "RS256")]
    for i, key in enumerate(made):
        status, body, _ = keep(api, key, key.kind)
        assert status == 201 and body["id"] == b64(key.id), body
        assert len(body.get("recovery", [])) == (10 if i == 0 else 0)
        made[0].recovery = body.get("recovery") or made[0].recovery
    return made


@pytest.mark.sanitize
def test_kept_shown_and_the_password_alone_no_more(desk, lab, keys):
    api, answer = log_in(desk, lab, keys[0])
    assert answer[0] == 200 and answer[1]["account"]["address"] == ANNE and answer[1]["account"]["passkeys"] == 3
    listed = api.get("/me/passkeys")["passkeys"]
    assert {k["name"]: bool(k["last_used"]) for k in listed} == {"ES256": True, "EdDSA": False, "RS256": False}
    options = api.ask("POST", "/me/passkeys/begin", {})[1]["publicKey"]
    assert options["rp"]["id"] == HOST and {k["id"] for k in options["excludeCredentials"]} == {b64(k.id) for k in keys}
    status, body, _ = Api(desk, lab).ask("POST", "/session", {"address": ANNE, "password": PASSWORD})
    assert status == 401 and body["error"]["code"] == "login.second_factor" and body["error"]["methods"] == ["passkey", "recovery"]
    api = Api(desk, lab)
    assert api.ask("POST", "/session", {"address": ANNE, "password": PASSWORD, "code": keys[0].recovery[0]})[0] == 200
    assert code(api.ask("POST", "/session", {"address": ANNE, "password": PASSWORD, "code": "123456"})) == (401, "login.code")
    assert desk.json("account", "second-factor", ANNE) == {"totp": False, "recovery": 9, "passkeys": 3}


@pytest.mark.sanitize
def test_every_kind_logs_in_alone_and_after_the_password(desk, lab, keys):
    for key in keys:
        assert log_in(desk, lab, key)[1][0] == 200
        assert log_in(desk, lab, key, flags=0x01, password=PASSWORD)[1][0] == 200  # a touch is enough after the password
        assert code(log_in(desk, lab, key, flags=0x01)[1]) == (401, "login.passkey")  # but not alone
    wrong = Api(desk, lab).ask("POST", "/session/passkey/begin", {"address": ANNE, "password": "wrong"})
    assert code(wrong) == (401, "login.wrong")


@pytest.mark.sanitize
def test_what_does_not_fit_opens_nothing(desk, lab, keys):
    key = keys[0]
    for bent in ({"rp": "evil.test"}, {"rp": "bureau.test"}, {"flags": 0x04}, {"origin": "https://evil.test"}, {"origin": "http://" + HOST},
                 {"origin": "https://%s.evil.test" % HOST}, {"origin": "https://%s:444" % HOST}, {"crossOrigin": True}, {"type": "webauthn.create"},
                 {"challenge": b64(os.urandom(65))}, {"challenge": ""}, {"challenge": 7}, {"signature": b"x"}, {"signature": os.urandom(71)},
                 {"client": b"{"}, {"client": b"[]"}, {"client": b"\xff" * 100}, {"client": b"x" * 9000}, {"count": 0}, {"user": b"\0" * 8}):
        assert code(log_in(desk, lab, key, **bent)[1]) == (401, "login.passkey"), bent
    assert code(log_in(desk, lab, Authenticator())[1]) == (401, "login.passkey")  # nobody's
    api = Api(desk, lab)
    options = api.ask("POST", "/session/passkey/begin", {})[1]["publicKey"]
    answer = key.get(options)
    assert api.ask("POST", "/session/passkey", answer)[0] == 200
    assert code(Api(desk, lab).ask("POST", "/session/passkey", answer)) == (401, "login.passkey")  # once
    key.count -= 1
    assert code(log_in(desk, lab, key, count=key.count)[1]) == (401, "login.passkey")  # a copy lags behind
    assert "web.passkey.copied" in desk.log_text()
    key.count += 5
    assert log_in(desk, lab, key)[1][0] == 200
    for body in ({}, {"rawId": b64(key.id)}, {"rawId": 7, "response": []}, {"rawId": "!", "response": {}}, {"response": None}):
        assert code(api.ask("POST", "/session/passkey", body)) == (401, "login.passkey")
    # a challenge for keeping a key is none for logging in; and one after Anne's password is none for Bert's key
    options = Api(desk, lab).login(BERT).ask("POST", "/me/passkeys/begin", {})[1]["publicKey"]
    assert code(api.ask("POST", "/session/passkey", key.get(options))) == (401, "login.passkey")


@pytest.mark.sanitize
def test_keeping_is_checked(desk, lab, keys):
    bert, anne = Api(desk, lab).login(BERT), log_in(desk, lab, keys[0])[0]
    for bent in ({"rp": "evil.test"}, {"flags": 0x44}, {"flags": 0x05}, {"origin": "https://evil.test"}, {"type": "webauthn.get"}, {"challenge": "x"},
                 {"client": b"{}"}):
        assert code(keep(bert, Authenticator(), **bent)) == (400, "passkey.bad"), bent
    for name in ("", "x" * 101, "a\nb"):
        assert code(keep(bert, Authenticator(), name)) == (400, "request.field")
    options = anne.ask("POST", "/me/passkeys/begin", {})[1]["publicKey"]
    stolen = {"name": "x", **Authenticator().create(options)}
    assert code(bert.ask("POST", "/me/passkeys", stolen)) == (400, "passkey.bad")  # Anne's challenge
    assert code(keep(bert, keys[0])) == (409, "request.exists")  # Anne's key
    for body in ({}, {"name": "x"}, {"name": "x", "response": []}, {"name": "x", "response": {"clientDataJSON": "e30"}}):
        assert code(bert.ask("POST", "/me/passkeys", body)) == (400, "passkey.bad")
    own = Authenticator()
    status, body, _ = keep(bert, own)
    assert status == 201
    # Bert's key does not follow on Anne's password
    assert code(log_in(desk, lab, own, password=PASSWORD)[1]) == (401, "login.passkey")
    assert code(anne.ask("DELETE", "/me/passkeys/" + body["id"])) == (404, "request.notfound")
    assert code(bert.ask("DELETE", "/me/passkeys/!")) == (404, "request.notfound")
    assert bert.ask("DELETE", "/me/passkeys/" + body["id"])[0] == 204
    assert code(log_in(desk, lab, own)[1]) == (401, "login.passkey")
    assert desk.json("account", "second-factor", BERT) == {"totp": False, "recovery": 0, "passkeys": 0}
    Api(desk, lab).login(BERT)


class Browser:
    """Chromium by its debugging pipe: one page, with a virtual authenticator."""

    def __init__(self, desk, folder):
        to_read, to_write = os.pipe(), os.pipe()
        rules = "MAP %s %s:%d" % (HOST, desk.ip, PORTS["https"])

        def at_3_and_4():
            os.dup2(to_read[0], 3)
            os.dup2(to_write[1], 4)

        self.process = subprocess.Popen(
            [shutil.which("chromium"), "--headless=new", "--no-sandbox", "--no-first-run", "--disable-gpu", "--remote-debugging-pipe",
             "--ignore-certificate-errors", "--host-resolver-rules=" + rules, "--user-data-dir=%s" % folder, "about:blank"],
            preexec_fn=at_3_and_4, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_read[0])
        os.close(to_write[1])
        self.out, self.inp, self.n, self.session, self.text = to_read[1], to_write[0], 0, None, b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("WebAuthn.enable")
        self.call("WebAuthn.addVirtualAuthenticator", options={
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
            "automaticPresenceSimulation": True})

    def read(self):
        while b"\0" not in self.text:
            assert select.select([self.inp], [], [], 30 * SLOW)[0], "the browser says nothing"
            more = os.read(self.inp, 65536)
            assert more, "the browser has gone"
            self.text += more
        one, self.text = self.text.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.n:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)
        wait_for("the page", lambda: self.run("return location.href === %s && document.readyState === 'complete'" % json.dumps(url)))

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression="(async () => {%s})()" % script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]["exception"]["description"]
        return answer["result"].get("value")

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.out)
        os.close(self.inp)


ASK = """
async function ask(method, path, body) {
  const answer = await fetch('/admin/api' + path, {method, headers: {'Content-Type': 'application/json'}, body: body && JSON.stringify(body)});
  const text = await answer.text();
  return {status: answer.status, body: text ? JSON.parse(text) : null};
}
"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_in_a_browser(desk, tmp_path):
    desk.run("account", "add", "clara@bureau.test", stdin=PASSWORD + "\n")
    browser = Browser(desk, tmp_path)
    try:
        browser.open("https://%s/admin/" % HOST)
        login = json.dumps({"address": "clara@bureau.test", "password": PASSWORD})
        kept = browser.run(ASK + """
            const login = await ask('POST', '/session', %s);
            const options = (await ask('POST', '/me/passkeys/begin', {})).body.publicKey;
            const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
            const credential = await navigator.credentials.create({publicKey});
            const kept = await ask('POST', '/me/passkeys', {name: 'browser', ...credential.toJSON()});
            const out = await ask('DELETE', '/session');
            return [login.status, kept.status, kept.body.recovery.length, out.status];""" % login)
        assert kept == [200, 201, 10, 204]
        log_in_script = ASK + """
            const options = (await ask('POST', '/session/passkey/begin', %s)).body.publicKey;
            const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
            const credential = await navigator.credentials.get({publicKey});
            const answer = await ask('POST', '/session/passkey', credential.toJSON());
            return [answer.status, answer.body.account && answer.body.account.address];"""
        assert browser.run(log_in_script % "{}") == [200, "clara@bureau.test"]  # the browser knows whose it is
        assert browser.run(log_in_script % login) == [200, "clara@bureau.test"]
        assert browser.run(ASK + "return (await ask('GET', '/me/passkeys')).body.passkeys.map(k => k.name)") == ["browser"]
    finally:
        browser.close()


HANDS = """
const sleep = (ms) => new Promise(r => setTimeout(r, ms));
async function until(what) {
  for (let i = 0; i < 400; i++) { const v = what(); if (v) return v; await sleep(50); }
  throw new Error('waited in vain: ' + what + '\\n' + document.body.innerText);
}
const called = (text) => [...document.querySelectorAll('button, a')].find(b => b.innerText.trim() === text);
const press = async (text) => (await until(() => called(text))).click();
const field = (name) => document.querySelector(`input[name="${name}"]`);
async function fill(name, value) {
  const f = await until(() => field(name));
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(f, value);
  f.dispatchEvent(new Event('input', {bubbles: true}));
}
const says = (text) => document.body.innerText.includes(text);
async function enter() {
  await fill('address', 'dora@bureau.test');
  await fill('password', '%s');
  await press('Log in');
}
""" % PASSWORD


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_on_the_pages(desk, lab, tmp_path):
    """A person adds a passkey, keeps the recovery codes, and logs in with each."""
    if "assets/" not in Api(desk, lab).ask("GET", "/admin/")[1]:
        pytest.skip("built without pages")
    desk.run("account", "add", "dora@bureau.test", stdin=PASSWORD + "\n")
    page = "https://%s/admin/" % HOST
    browser = Browser(desk, tmp_path)
    try:
        browser.open(page)
        codes = browser.run(HANDS + """
            await enter();
            await until(() => says('My account'));
            await press('Log-in security');
            await press('Add a passkey');
            await fill('name', 'This computer');
            await press('Go on');
            await until(() => document.querySelector('.codes'));
            const codes = [...document.querySelectorAll('.codes li')].map(c => c.innerText);
            await press('Done');
            await until(() => says('This computer'));
            return codes;""")
        assert len(codes) == 10
        for how in ("await press('Use a passkey');",  # alone
                    "await enter(); await until(() => field('code')); await press('Use a passkey');",
                    "await enter(); await fill('code', '%s'); await press('Log in');" % codes[7]):
            browser.run(ASK + "await ask('DELETE', '/session')")
            browser.open(page)
            assert browser.run(HANDS + how + "return until(() => says('My account') && says('dora@bureau.test'))")
    finally:
        browser.close()
