"""The pages at /admin/ in Debian's Chromium, against a server with real mail flowing (ui/test/*.mjs do it, this gives them the server).
Daily work by mouse, by keyboard alone and on a phone; every page looked at by axe-core, in both themes and languages."""
import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest

import demo_reports
from lab import BIN, PORTS, ROOT, SERVICES, SLOW, wait_for

UI = ROOT / "ui"
CHROMIUM = "/usr/bin/chromium"
PASSWORD = "une phrase assez longue"

pytestmark = pytest.mark.skipif(not shutil.which("node") or not os.path.exists(CHROMIUM) or not (UI / "node_modules" / "playwright-core").exists(),
                                reason="needs node, chromium and the packages of ui/")


def node(script, *args, site=None, seconds=240):
    env = dict(os.environ, SITE=json.dumps(site)) if site else os.environ
    r = subprocess.run(["node", str(UI / "test" / script), *args], env=env, capture_output=True, text=True, timeout=seconds * SLOW)
    print(r.stdout)
    assert r.returncode == 0, r.stdout[-6000:] + r.stderr[-3000:]
    return r.stdout


def key_pin(server):
    """What Chromium wants to hear of a key that it shall trust without knowing our authority."""
    public = subprocess.run(["openssl", "x509", "-in", os.path.join(server.dir, "cert.pem"), "-pubkey", "-noout"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public.stdout, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def letter(sender, recipient, subject):
    return "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nBonjour\r\n" % (sender, recipient, subject)


@pytest.fixture(scope="module")
def site(lab):
    """ici.test with its operator, mail of all kinds, and a message that cannot leave."""
    ici = lab.facteur("ici.test", listen=SERVICES + ["http", "https"], extra="limits {\n    message-size = 50mb\n}\n")
    labas = lab.facteur("labas.test", accounts=("zoe",))
    for name, role in (("anne", "operator"), ("odile", "operator"), ("olga", "owner"), ("bert", "user")):
        ici.account(name + "@ici.test", PASSWORD)
        ici.run("account", "role", name + "@ici.test", role)
    for server in (ici, labas):
        lab.dns.load(server.run("dns", server.hostname[3:]))
    demo_reports.load(ici, "ici.test", "anne@ici.test", PASSWORD)
    lab.domain("weg.test", "mx.weg.test", lab.net + "200")  # where nobody listens
    with ici.submission("anne@ici.test", PASSWORD) as s:
        s.sendmail("anne@ici.test", ["zoe@labas.test"], letter("anne@ici.test", "zoe@labas.test", "The minutes"))
        s.sendmail("anne@ici.test", ["nobody@weg.test"], letter("anne@ici.test", "nobody@weg.test", "To nobody"))
    labas.wait_messages("zoe@labas.test")
    labas.send("anne@ici.test", "zoe@labas.test", letter("anne@ici.test", "zoe@labas.test", "Forged"))
    with labas.submission("zoe@labas.test") as s:
        for recipient, subject in (("bert@ici.test", "An answer"), *(("anne@ici.test", "Old news %d" % i) for i in range(4))):
            s.sendmail("zoe@labas.test", [recipient], letter("zoe@labas.test", recipient, subject))
    ici.wait_messages("bert@ici.test", password=PASSWORD)
    ici.wait_messages("anne@ici.test", 4, password=PASSWORD)
    m = ici.imap("anne@ici.test", PASSWORD, "INBOX")
    m.store("1:3", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    wait_for("an attempt at weg.test", lambda: any(r["attempts"] for q in ici.json("queue", "list") for r in q["recipients"]))
    return {"base": "https://%s:%d/admin/" % (ici.hostname, PORTS["https"]), "domain": "ici.test", "address": "bert@ici.test", "delivered": "bert@ici.test",
            "operator": {"address": "anne@ici.test", "password": PASSWORD}, "second": {"address": "odile@ici.test", "password": PASSWORD}, "owner": {"address": "olga@ici.test", "password": PASSWORD},
            "user": {"address": "bert@ici.test", "password": PASSWORD}, "patience": 8000 * SLOW,
            "flags": ["--host-resolver-rules=MAP %s %s" % (ici.hostname, ici.ip), "--ignore-certificate-errors-spki-list=" + key_pin(ici)]}


def test_words():
    node("texts.mjs")
    node("codes.mjs")


def test_pages_are_in_the_program():
    with open(BIN, "rb") as f:
        assert b"assets/main-" in f.read(), "built without pages"


def test_reports_and_health():
    node("desk.mjs")


def test_daily_work(site):
    node("tasks.mjs", site=site)


def test_every_page(site):
    node("walk.mjs", site=site)
