"""Second factors of the pages, and what people do with their own account there: codes by time, recovery codes, application passwords,
deleted messages."""
import base64
import hmac
import imaplib
import smtplib
import struct
import subprocess
import time

import pytest

from lab import SERVICES
from test_api import PASSWORD, Api, code

ANNE, BERT = "anne@bureau.test", "bert@bureau.test"


@pytest.fixture(scope="module")
def desk(lab):
    server = lab.facteur("bureau.test", accounts=(), listen=SERVICES + ["http", "https"], extra='web {\n    proxies = {"127.0.0.1"}\n}\n')
    for address in (ANNE, BERT):
        server.run("account", "add", address, stdin=PASSWORD + "\n")
    return server


def totp(secret, at=None):
    """RFC 6238, apart from the server's own."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(key, struct.pack(">Q", int(at if at is not None else time.time()) // 30), "sha1")
    return "%06d" % ((struct.unpack_from(">I", mac, mac[-1] & 15)[0] & 0x7fffffff) % 1000000)


def log_in(desk, lab, address, **more):
    api = Api(desk, lab)
    return api, api.ask("POST", "/session", {"address": address, "password": PASSWORD, **more})


@pytest.mark.sanitize
def test_application_passwords_of_ones_own(desk, lab):
    api = Api(desk, lab).login(ANNE)
    for wrong in ({}, {"name": "phone"}, {"scope": "all"}, {"name": "", "scope": "all"}, {"name": "x\n", "scope": "all"},
                  {"name": "phone", "scope": "admin"}, {"name": "x" * 101, "scope": "read"}, {"name": 3, "scope": ["all"]}):
        assert code(api.ask("POST", "/me/app-passwords", wrong)) == (400, "request.field"), wrong
    assert api.get("/me/app-passwords") == {"app_passwords": []}
    status, made, _ = api.ask("POST", "/me/app-passwords", {"name": "le téléphone", "scope": "read"})
    assert status == 201
    desk.imap(ANNE, made["password"]).logout()
    listed = api.get("/me/app-passwords")["app_passwords"]
    assert len(listed) == 1 and listed[0]["id"] == made["id"] and listed[0]["name"] == "le téléphone" and listed[0]["scope"] == "read"
    assert listed[0]["last_used"] and listed[0]["last_peer"].startswith("127.") and "password" not in listed[0]
    assert code(Api(desk, lab).ask("POST", "/session", {"address": ANNE, "password": made["password"]})) == (401, "login.wrong")
    other = Api(desk, lab).login(BERT)
    assert other.get("/me/app-passwords") == {"app_passwords": []}
    assert code(other.ask("DELETE", "/me/app-passwords/" + made["id"])) == (404, "request.notfound")
    assert api.ask("DELETE", "/me/app-passwords/" + made["id"])[0] == 204
    assert code(api.ask("DELETE", "/me/app-passwords/" + made["id"])) == (404, "request.notfound")
    with pytest.raises(imaplib.IMAP4.error):
        desk.imap(ANNE, made["password"])


@pytest.mark.sanitize
def test_deleted_messages_come_back(desk, lab):
    for n in range(3):
        desk.send("a@example.test", BERT, "From: a@example.test\r\nSubject: number %d\r\nMessage-ID: <%d@x.test>\r\n\r\nHello\r\n" % (n, n))
    desk.wait_messages(BERT, 3, password=PASSWORD)
    m = desk.imap(BERT, PASSWORD, "INBOX")
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    api = Api(desk, lab).login(BERT)
    page = api.get("/me/deleted?limit=2")
    rest = api.get("/me/deleted?limit=2&after=" + page["next"])
    rows = page["deleted"] + rest["deleted"]
    assert len(rows) == 3 and rest["next"] is None
    assert [r["subject"] for r in rows] == ["number 2", "number 1", "number 0"]
    assert rows[0]["folder"] == "INBOX" and rows[0]["from"] == "a@example.test" and rows[0]["deleted"] and rows[0]["size"] > 50
    ids = [r["id"] for r in rows]
    assert Api(desk, lab).login(ANNE).ask("POST", "/me/deleted/restore", {"ids": ids})[1] == {"restored": 0}  # not hers
    for wrong in ({}, {"ids": []}, {"ids": "all"}, {"ids": [1]}, {"ids": ["x"]}, {"ids": ["1"] * 1001}):
        assert code(api.ask("POST", "/me/deleted/restore", wrong)) == (400, "request.field"), str(wrong)[:50]
    assert code(api.ask("GET", "/me/deleted?after=x")) == (400, "request.syntax")
    assert api.ask("POST", "/me/deleted/restore", {"ids": ids[:2]})[1] == {"restored": 2}
    assert api.ask("POST", "/me/deleted/restore", {"ids": ids})[1] == {"restored": 1}
    assert [m.split(b"number ")[1][:1] for m in desk.messages(BERT, password=PASSWORD)] == [b"1", b"2", b"0"]
    assert api.get("/me/deleted") == {"deleted": [], "next": None}


def test_codes_by_time(desk, lab):
    api = Api(desk, lab).login(ANNE)
    assert api.get("/session")["account"]["totp"] is False
    assert code(api.ask("PUT", "/me/totp", {"code": "123456"})) == (409, "totp.none")
    first = api.ask("POST", "/me/totp", {})[1]["secret"]
    begun = api.ask("POST", "/me/totp", {})[1]
    secret = begun["secret"]
    assert begun["uri"].startswith("otpauth://totp/mx.bureau.test:anne@bureau.test?secret=%s&issuer=" % secret) and secret != first
    log_in(desk, lab, ANNE)[0].get("/session")  # not in force yet
    for wrong in ("", "12345", "abcdef", totp(first), totp(secret, time.time() - 300)):
        assert code(api.ask("PUT", "/me/totp", {"code": wrong})) == (400, "totp.code")
    status, body, _ = api.ask("PUT", "/me/totp", {"code": totp(secret)})
    recovery = body["recovery"]
    assert status == 200 and len(set(recovery)) == 10
    assert api.get("/session")["account"]["totp"] is True
    assert desk.json("account", "second-factor", ANNE) == {"totp": True, "recovery": 10, "passkeys": 0}
    assert code(api.ask("POST", "/me/totp", {})) == (409, "totp.exists")

    # the password alone opens nothing now
    status, body, answer = log_in(desk, lab, ANNE)[1]
    assert status == 401 and body["error"]["code"] == "login.second_factor" and body["error"]["methods"] == ["totp", "recovery"]
    assert "Set-Cookie" not in answer.headers
    assert code(log_in(desk, lab, ANNE, code=totp(secret))[1]) == (401, "login.code")  # that of the enrolment
    with pytest.raises(imaplib.IMAP4.error, match="application password"):
        desk.imap(ANNE, PASSWORD)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        desk.submission(ANNE, PASSWORD)
    assert refused.value.smtp_code == 535
    made = api.ask("POST", "/me/app-passwords", {"name": "phone", "scope": "all"})[1]
    desk.imap(ANNE, made["password"]).logout()

    # a recovery code is good once
    log_in(desk, lab, ANNE, code=recovery[3].upper().replace("-", " "))[0].get("/session")
    assert code(log_in(desk, lab, ANNE, code=recovery[3])[1]) == (401, "login.code")
    desk.wait_log(r"web.recovery.used account=anne@bureau.test left=9")

    # a code of now is good once
    now = totp(secret, time.time() + 30)  # by a clock that is fast
    assert now in subprocess.run(["oathtool", "--totp", "-b", "-w", "2", secret], capture_output=True, text=True).stdout
    anne, answer = log_in(desk, lab, ANNE, code=now[:3] + " " + now[3:])
    assert answer[0] == 200
    assert code(log_in(desk, lab, ANNE, code=now)[1]) == (401, "login.code")
    wrong = Api(desk, lab).ask("POST", "/session", {"address": ANNE, "password": "wrong", "code": now})
    assert code(wrong) == (401, "login.wrong")  # a code says nothing before the password

    new = anne.ask("POST", "/me/recovery", {"password": PASSWORD})[1]["recovery"]
    assert code(anne.ask("POST", "/me/recovery", {"password": "wrong"})) == (403, "password.wrong")
    assert not set(new) & set(recovery)
    assert code(log_in(desk, lab, ANNE, code=recovery[0])[1]) == (401, "login.code")
    assert code(anne.ask("DELETE", "/me/totp", {"password": "wrong"})) == (403, "password.wrong")
    assert anne.ask("DELETE", "/me/totp", {"password": PASSWORD})[0] == 204
    assert code(anne.ask("DELETE", "/me/totp", {"password": PASSWORD})) == (404, "request.notfound")
    Api(desk, lab).login(ANNE)
    desk.imap(ANNE, PASSWORD).logout()


def test_guessing_codes_is_slowed_and_an_operator_helps(desk, lab):
    api = Api(desk, lab).login(BERT)
    secret = api.ask("POST", "/me/totp", {})[1]["secret"]
    recovery = api.ask("PUT", "/me/totp", {"code": totp(secret)})[1]["recovery"]
    seen = []
    for i in range(30):  # the right password each time, from ever new addresses
        guesser = Api(desk, lab, tls=False, headers={"X-Forwarded-For": "198.51.100.%d" % i, "X-Forwarded-Proto": "https"})
        seen.append(code(guesser.ask("POST", "/session", {"address": BERT, "password": PASSWORD, "code": totp(secret, 1000000 + 30 * i)})))
        if seen[-1][0] == 429:
            break
    assert seen[-1] == (429, "login.slow") and set(seen[:-1]) == {(401, "login.code")} and len(seen) == 21
    desk.wait_log(r"vault.codes.guessed account=")
    assert log_in(desk, lab, BERT, code=recovery[0])[1][0] == 200  # who has one still gets in
    assert "gone" in desk.run("account", "second-factor", BERT, "off")
    Api(desk, lab).login(BERT)
    assert "off" in desk.run("account", "second-factor", BERT)
