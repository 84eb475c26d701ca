"""The pages at /admin/ in Debian's Chromium, against what ./demo shows: real mail flowing, a month of reports (ui/test/*.mjs do it, this gives
them the server). Every task as operator, domain owner and user, by mouse, by keyboard alone and on a phone; every page looked at by axe-core,
in both themes and languages."""
import base64
import contextlib
import datetime
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

import demo
import demo_reports
from lab import BIN, PORTS, ROOT, SHARED, SLOW, wait_for
from test_api import Api

UI = ROOT / "ui"
CHROMIUM = "/usr/bin/chromium"
HANDS = ("mouse", "keyboard", "phone")

pytestmark = pytest.mark.skipif(not shutil.which("node") or not os.path.exists(CHROMIUM) or not (UI / "node_modules" / "playwright-core").exists(),
                                reason="needs node, chromium and the packages of ui/")


def node(script, *args, site=None, seconds=420):
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


NEWCOMERS = {"mouse": ("mcsv.net", "205.201.128.9"), "keyboard": ("mailjet.com", "87.253.232.7"), "phone": ("mtasv.net", "50.31.156.6")}


def newcomers(domain):
    """A report of yesterday about sources that nobody has seen before: one a way to work the pages."""
    day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    rows = [demo_reports.row(domain, ip, 40, False, False, demo_reports.Source([ip], 40, 0, 0, other)) for other, ip in NEWCOMERS.values()]
    return demo_reports.aggregate(domain, "orange.fr", "dmarc@orange.fr", day, rows)


def known_sources(server):
    with contextlib.closing(sqlite3.connect("file:%s/facteur.db?mode=ro" % server.data, uri=True)) as db:
        return db.execute("SELECT COUNT(*) FROM alert_known WHERE what = 'sources'").fetchone()[0]


def fill(lab, ici, labas, people):
    """What the tasks need beside the demo's: for each way to work something of its own."""
    anne = Api(ici, lab).login("anne@ici.test", "secret")
    assert anne.ask("PUT", "/alerts/settings", {"mail": []})[0] == 200  # and so all is looked at
    wait_for("the sources are known", lambda: known_sources(ici) == 2)
    for domain in ("ici.test", "voisin.test"):
        status, body, _ = anne.ask("POST", "/reports", raw=newcomers(domain), headers={"Content-Type": "text/xml"})
        assert status == 200 and body["read"] == 1, body
    assert anne.ask("PUT", "/alerts/settings", {"kinds": {"queue.growing": {"on": True, "threshold": 1}}})[0] == 200
    # a report that nothing proves
    ici.send("noreply@unproven.test", ["dmarc-reports@ici.test"], "From: noreply@unproven.test\r\nTo: dmarc-reports@ici.test\r\nSubject: Report Domain: ici.test\r\n"
             "MIME-Version: 1.0\r\nContent-Type: text/xml\r\n\r\n" + newcomers("ici.test").replace("orange.fr", "unproven.test"))
    with ici.submission("emil@ici.test") as s:
        for how in HANDS:
            s.sendmail("emil@ici.test", [how + "@deaf.test"], demo.letter("emil@ici.test", how + "@deaf.test", "To nobody"))
    with labas.submission("bert@labas.test") as s:
        for how in HANDS:
            for subject in ("Apples", "Pears"):
                s.sendmail("bert@labas.test", [people[how]["user"]], demo.letter("bert@labas.test", people[how]["user"], subject))
    for how in HANDS:
        address = people[how]["user"]
        ici.wait_messages(address, 2)
        m = ici.imap(address, folder="INBOX")
        m.store("1:2", "+FLAGS", "\\Deleted")
        m.expunge()
        m.logout()
        status, body, _ = Api(ici, lab).login(address, "secret").ask("POST", "/messages", {
            "from": address, "to": ["gone.%s@labas.test" % how], "subject": "Are you there?", "text": "?"})
        assert status == 202, body
    for how in HANDS:
        api = Api(ici, lab).login(people[how]["user"], "secret")
        wait_for("a dead address", lambda: api.get("/me/suppressions")["suppressions"])
        lab.dns.records["neuf-%s.test." % how] = ["MX 10 %s." % ici.hostname]  # of a domain that is set up by and by
    lab.dns.publish()
    wait_for("alerts", lambda: len(anne.get("/alerts?state=open")["alerts"]) >= 7)
    wait_for("attempts", lambda: all(r["attempts"] for q in ici.json("queue", "list") for r in q["recipients"]))


def make_site(lab):
    """What ./demo shows, another domain beside it, and an owner and a user for each way to work the pages."""
    ici, labas = demo.servers(lab, extra="limits {\n    message-size = 50mb\n}\n")
    ici.run("account", "role", "anne@ici.test", "operator")
    demo_reports.load(ici, "ici.test", "anne@ici.test", "secret")
    demo.fill(lab, ici, labas)
    ici.account("vera@voisin.test")
    demo_reports.load(ici, "voisin.test", "anne@ici.test", "secret")
    people = {how: {"operator": "anne@ici.test"} for how in HANDS}
    names = [("odile@ici.test", "operator")]
    for how in HANDS:
        people[how].update(owner="olga.%s@ici.test" % how, user="ugo.%s@ici.test" % how)
        names += [(people[how]["owner"], "owner"), (people[how]["user"], "user")]
    for address, role in names:
        ici.account(address)
        ici.run("account", "role", address, role)
    fill(lab, ici, labas, people)
    return {"base": "https://%s:%d/admin/" % (ici.hostname, PORTS["https"]), "domain": "ici.test", "other": "voisin.test", "foreign": "labas.test", "people": people,
            "walkers": {"operator": ["anne@ici.test", "odile@ici.test"], "owner": "claire@ici.test", "user": "emil@ici.test"}, "password": "secret", "patience": 20000 * SLOW,
            "samples": str(SHARED / "data") if (SHARED / "data").is_dir() else None,
            "flags": ["--host-resolver-rules=MAP %s %s" % (ici.hostname, ici.ip), "--ignore-certificate-errors-spki-list=" + key_pin(ici)]}


@pytest.fixture(scope="module")
def site(lab):
    return make_site(lab)


def test_words():
    node("texts.mjs")
    node("codes.mjs")


def test_pages_are_in_the_program():
    with open(BIN, "rb") as f:
        assert b"assets/main-" in f.read(), "built without pages"


def test_every_task(site):
    node("tasks.mjs", site=site)


def test_every_page(site):
    node("walk.mjs", site=site)
