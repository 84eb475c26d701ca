"""Real messages that nobody here wrote: in by SMTP, out by IMAP and POP3, byte for byte; BODYSTRUCTURE against Python's parser."""
import email
import email.policy
import poplib
import re

import pytest

from lab import SHARED

DATA = SHARED / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside this checkout")
FOLDERS = ["mime/mail-parser", "mime/mime4j", "mime/enmime", "mime/mimekit", "mime/ruby-mail", "mime/flanker",
           "mime/nodemailer-mailparser", "mime/python-email", "mime/spamassassin", "mime/mox", "mail-corpus", "mail-heuristics"]
NOT_MAIL = re.compile(r"\.(json|xml|tsv|md|out|bin|svg|png|html|py|LICENSE)$|README|LICENSE|/mbox/|_decoded")
BATCH = 20
ENCODINGS = ("7bit", "8bit", "binary", "base64", "quoted-printable")


poplib._MAXLINE = 10_000_000  # real messages have longer lines than it likes


def crlf(raw):
    """As a strict sender would have it: CRLF alone ends lines."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", raw)


def messages(folder):
    for path in sorted((DATA / folder).rglob("*")):
        if path.is_file() and not NOT_MAIL.search(str(path)):
            raw = path.read_bytes()
            if raw.strip() and len(raw) < 20_000_000:
                if raw.startswith(b"From "):
                    raw = raw.split(b"\n", 1)[1]
                if raw[:1] not in b" \t":  # would go on with the last line of our trace fields
                    yield path.name, crlf(raw)


# --- BODYSTRUCTURE ---

def parse_list(data):
    """An IMAP parenthesized value with literals, as nested lists."""
    def value(at):
        c = data[at:at + 1]
        if c == b"(":
            out, at = [], at + 1
            while data[at:at + 1] != b")":
                if data[at:at + 1] == b" ":
                    at += 1
                    continue
                item, at = value(at)
                out.append(item)
            return out, at + 1
        if c == b'"':
            end = at + 1
            while data[end:end + 1] != b'"':
                end += 2 if data[end:end + 1] == b"\\" else 1
            return re.sub(rb"\\(.)", rb"\1", data[at + 1:end]), end + 1
        if c == b"{":
            end = data.index(b"}\r\n", at)
            n = int(data[at + 1:end])
            return data[end + 3:end + 3 + n], end + 3 + n
        word = re.compile(rb"[^ ()]+").match(data, at)
        return (None if word.group() == b"NIL" else word.group()), word.end()
    return value(0)[0]


def from_imap(b):
    """(type, encoding, children) of a body structure."""
    if isinstance(b[0], list):
        kids = [x for x in b if isinstance(x, list)]
        n = next(i for i, x in enumerate(b) if not isinstance(x, list))
        return ("multipart/" + b[n].decode().lower(), None, [from_imap(k) for k in kids[:n]])
    kind = (b[0] + b"/" + b[1]).decode().lower()
    encoding = (b[5] or b"").decode().lower()
    return (kind, encoding, [from_imap(b[8])] if kind == "message/rfc822" else [])


def from_python(m):
    kind = m.get_content_type()
    if m.is_multipart() and m.get_content_maintype() == "multipart":
        return (kind, None, [from_python(p) for p in m.get_payload()])
    encoding = re.sub(r"\s*\(.*\)|;.*", "", str(m.get("content-transfer-encoding") or "7bit")).strip().lower()
    if kind == "message/rfc822" and m.is_multipart():
        return (kind, encoding, [from_python(m.get_payload()[0])])
    return (kind, encoding, [])


# A boundary twice with nothing between: we show the empty part that it makes, Python passes over it.
EMPTY_PARTS = {"2002_06_12_doublebound.msg", "double-bound.msg"}


def has_opinion(m):
    """Python's parser takes part only where it found nothing to complain of, and knows the same standards."""
    for part in m.walk():
        if part.defects or part.get_content_type() in ("message/delivery-status", "message/partial", "message/external-body",
                                                        "message/global", "message/news"):
            return False
        if part.get_content_maintype() == "message" and part.get_content_type() != "message/rfc822":
            return False
        if str(part.get("content-transfer-encoding") or "7bit").strip().lower() not in ENCODINGS:
            return False
        if len(part.get_all("content-type") or []) > 1 or len(part.get_all("content-transfer-encoding") or []) > 1:
            return False
        if not re.fullmatch(r'[\w.+-]+/[\w.+-]+', str(part.get("content-type") or "text/plain").split(";")[0].strip()):
            return False
        if part.get_content_type() == "message/rfc822" and str(part.get("content-transfer-encoding", "7bit")).lower() not in ("7bit", "8bit", "binary"):
            return False
    return True


@pytest.fixture(scope="module")
def server(lab):
    # Old and odd messages: some have two From fields or one that nobody can read.
    return lab.facteur("corpus.test", extra="limits {\n    message-size = 60mb\n}\nauthentication {\n    enforce = no\n}\n")


@pytest.mark.parametrize("folder", FOLDERS)
def test_byte_for_byte(server, folder):
    user = server.account("c-%s@corpus.test" % folder.replace("/", "-"))
    sent = list(messages(folder))
    if len(sent) > 400:
        sent = sent[::len(sent) // 300]
    assert sent
    with server.smtp() as s:
        for name, raw in sent:
            s.ehlo_or_helo_if_needed()
            s.mail("sender@example.test", ["SIZE=%d" % len(raw)] + (["BODY=8BITMIME"] if s.has_extn("8bitmime") else []))
            s.rcpt(user)
            code, text = s.data(raw)
            assert code == 250, (name, code, text)
    server.wait_messages(user, len(sent), seconds=60)
    m = server.imap(user, folder="INBOX")
    unlike, asked = [], 0
    got, whole = {}, {}
    for first in range(1, len(sent) + 1, BATCH):
        status, data = m.fetch("%d:%d" % (first, min(first + BATCH - 1, len(sent))), "(BODY.PEEK[])")
        assert status == "OK"
        for d in data:
            if isinstance(d, tuple):
                whole[int(d[0].split()[0])] = d[1]
    # Messages of one connection come in the order in which they were sent, but batches may overtake: compare as sets.
    by_body = {}
    for number, text in whole.items():
        rest = text
        for ours in (b"Return-Path", b"Authentication-Results", b"Received"):
            rest = re.sub(rb"\A" + ours + rb":.*?\r\n(?![ \t])", b"", rest, count=1, flags=re.S)
        by_body.setdefault(rest, []).append(number)
    for name, raw in sent:
        want = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
        assert want in by_body, "%s did not come out as it went in" % name
        got[name] = by_body[want][0]
    assert len(whole) == len(sent)

    p = server.pop3(user)
    over_pop = {b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n" for i in range(min(len(sent), 60))}
    p.quit()
    assert over_pop <= set(whole.values())

    for name, raw in sent:
        parsed = email.message_from_bytes(whole[got[name]], policy=email.policy.compat32)
        status, data = m.fetch(str(got[name]), "(BODYSTRUCTURE)")
        assert status == "OK", name
        stream = b"".join(d[0] + b"\r\n" + d[1] if isinstance(d, tuple) else d for d in data)
        structure = parse_list(stream[stream.index(b"(", stream.index(b"BODYSTRUCTURE")):])
        if name not in EMPTY_PARTS and has_opinion(parsed):
            asked += 1
            if from_imap(structure) != from_python(parsed):
                unlike.append((name, from_imap(structure), from_python(parsed)))
    m.logout()
    assert not unlike, "%d of %d differ, first: %s" % (len(unlike), asked, unlike[0])
    assert asked > 0 or len(sent) < 10
