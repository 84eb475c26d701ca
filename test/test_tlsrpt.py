"""TLS reports (RFC 8460): what deliveries met, told to whom the destination's record names, by mail and by HTTPS POST."""
import email
import email.policy
import gzip
import http.server
import json
import re
import threading
import time

import pytest

from lab import IS_ROOT, SHARED, Lab, wait_for
from test_tls_policy import SECRET, World, arrives

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="policies are fetched from port 443")


class Collector(http.server.ThreadingHTTPServer):
    """A web host that takes reports: `status` is its answer."""
    daemon_threads = True

    def __init__(self, ip, context, port=8443):
        self.status, self.posts, self.tries = 200, [], 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                self.tries += 1
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                if self.status // 100 == 2:
                    self.posts.append((handler.path, handler.headers["Content-Type"], body))
                handler.send_response(self.status)
                if self.status // 100 == 3:
                    handler.send_header("Location", "https://" + handler.headers["Host"] + "/elsewhere")
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            def do_GET(handler):
                self.posts.append((handler.path, "GET", b""))
                handler.send_error(404)

            def log_message(handler, *args):
                pass
        super().__init__((ip, port), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass


@pytest.fixture(scope="module")
def lab():
    lab = Lab(signed=True)
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="module")
def world(lab):
    made = World(lab)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def there(lab, world):
    """Who gets reports by mail: labas.test."""
    lab.dns.load(world.server.run("dns", "ici.test"))
    return lab.facteur("labas.test", accounts=("tls", "other"))


def tls(listing):
    return {r["domain"]: r for r in listing if r["kind"] == "tls"}


def collected(world, domain):
    """What the server counted of a domain, once it is written."""
    return wait_for("counts of " + domain, lambda: tls(world.server.json("report", "list")).get(domain), 90)


def send_reports(world):
    return tls(world.server.json("report", "send"))


def flushed(world):
    """Counts reach the store when the server ends; deliveries go on after it starts."""
    world.server.stop()
    world.server.start()


def parse(mail):
    (part,) = [p for p in mail.walk() if p.get_content_type() == "application/tlsrpt+gzip"]
    return part.get_filename(), json.loads(gzip.decompress(part.get_payload(decode=True)))


def shape(value, at=""):
    """The paths of all names in it, each with the kind of value there."""
    if isinstance(value, dict):
        return set().union(*[shape(v, at + "/" + k) for k, v in value.items()], {at + " object"})
    if isinstance(value, list):
        return set().union(*[shape(v, at + "/*") for v in value], {at + " list"})
    return {at + " " + type(value).__name__}


def has_the_shape_of_others(report):
    samples = sorted((SHARED / "data" / "tlsrpt" / "reports").glob("*/*.json")) if SHARED.exists() else []
    known = set().union(*[shape(json.loads(p.read_text())) for p in samples])
    assert not samples or shape(report) <= known, shape(report) - known


def test_report_by_mail(lab, world, there):
    """A destination under MTA-STS testing with a self-signed certificate; the report's own destination has TLS that fails its policy."""
    peer = world.peer("s31.test", tls=world.cert("mx.s31.test", self_signed=True)[0])
    world.enforce("s31.test", mode="testing")
    lab.dns.set("_smtp._tls.s31.test.", 'TXT "v=TLSRPTv1; rua=mailto:tls@labas.test,mailto:zoe@s32.test"')
    lab.dns.set("_smtp._tls.quiet.test.", 'TXT "v=spf1 -all"')
    quiet = world.peer("quiet.test")
    # A report goes to this one even though nothing else may: enforced, and its certificate is another's.
    strict = world.peer("s32.test", tls=world.cert("mx.evil.test")[0])
    world.enforce("s32.test")
    world.send("s31.test")
    arrives(peer)
    world.send("s31.test")
    arrives(peer, 2)
    world.send("quiet.test")
    arrives(quiet)
    waits = world.send("s32.test")
    world.waits(waits, "hostname mismatch")
    assert not strict.messages
    flushed(world)

    found = tls(world.server.json("report", "list"))
    assert found["s31.test"]["state"] == "collecting" and found["s31.test"]["sessions"] >= found["s31.test"]["failures"] >= 1
    assert "quiet.test" not in found
    assert [(d["address"], d["goes"]) for d in found["s31.test"]["destinations"]] == [("tls@labas.test", True), ("zoe@s32.test", True)]
    assert re.search(r"^s31\.test  \d{4}-\d\d-\d\d  TLS of \d+ sessions?, \d+ failed  collecting, goes ", world.server.run("report", "list"), re.M)
    sent = send_reports(world)
    assert sent["s31.test"]["note"] == "sent to 2" and sent["s31.test"]["state"] == "sent", sent

    (mail,) = [email.message_from_bytes(m, policy=email.policy.default) for m in there.wait_messages("tls@labas.test")]
    assert mail.get_content_type() == "multipart/report" and mail["Content-Type"].params["report-type"] == "tlsrpt"
    assert mail["TLS-Report-Domain"] == "s31.test" and mail["TLS-Report-Submitter"] == "ici.test" and mail["TLS-Required"] == "No"
    report_id = re.fullmatch(r"Report Domain: s31\.test +Submitter: ici\.test +Report-ID: <([^>]+)>", mail["Subject"]).group(1)
    assert "dkim=pass" in mail["Authentication-Results"] and "dmarc=pass" in mail["Authentication-Results"], mail.as_string()
    signed = "".join(mail.get_all("DKIM-Signature")).lower().replace("\n", "").replace("\t", "").replace(" ", "")
    assert "tls-report-domain" in signed and "tls-report-submitter" in signed and ";l=" not in signed
    assert [p.get_content_type() for p in mail.iter_parts()] == ["text/plain", "application/tlsrpt+gzip"]
    name, report = parse(mail)
    begin, end = map(int, re.fullmatch(r"ici\.test!s31\.test!(\d+)!(\d+)\.json\.gz", name).groups())
    assert begin % 86400 == 0 and begin < end < begin + 86400
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    assert report["date-range"] == {"start-datetime": time.strftime(stamp, time.gmtime(begin)),
                                    "end-datetime": time.strftime(stamp, time.gmtime(end))}
    assert report["organization-name"] == "ici.test" and report["contact-info"] == "postmaster@ici.test" and report["report-id"] == report_id
    assert list(report) == ["organization-name", "date-range", "contact-info", "report-id", "policies"]
    has_the_shape_of_others(report)
    (entry,) = report["policies"]
    assert entry["policy"] == {"policy-type": "sts", "policy-domain": "s31.test", "mx-host": ["mx.s31.test"],
                               "policy-string": ["version: STSv1", "mode: testing", "mx: mx.s31.test", "max_age: 3600"]}
    (failure,) = entry["failure-details"]
    assert failure["result-type"] == "certificate-not-trusted" and failure["receiving-mx-hostname"] == "mx.s31.test"
    assert failure["sending-mta-ip"] == world.server.ip and failure["receiving-ip"] == peer.socket.getsockname()[0]
    assert failure["failed-session-count"] == found["s31.test"]["failures"] and "self" in failure["failure-reason-code"]
    assert entry["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": found["s31.test"]["failures"]}

    # RFC 8460 §3: policy failures do not hold the report, and nobody reports on its delivery.
    wait_for("the report at the host whose TLS fails", lambda: strict.messages)
    assert all(b"TLS-Report-Domain: s31.test" in m and SECRET not in m for _, m in strict.messages)
    flushed(world)
    assert "s31.test" not in {r["domain"] for r in world.server.json("report", "list") if r["state"] == "collecting"}


def test_dane_is_told_by_its_base_domain(lab, world, there):
    """RFC 8460 §1.1, §4.5; two periods of one day do not overlap."""
    import hashlib
    import ssl
    context, path = world.cert("mx.s33.test")
    with open(path) as f:
        good = hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest().upper()
    peer = world.peer("s33.test", tls=context)
    lab.dns.set("_25._tcp.mx.s33.test.", "TLSA 3 0 1 " + good, "TLSA 3 0 1 " + "AB" * 32)
    lab.dns.set("_smtp._tls.s33.test.", 'TXT "v=TLSRPTv1;" "rua=mailto:other@labas.test"')
    periods = []
    for n in (1, 2):
        world.send("s33.test")
        arrives(peer, n)
        flushed(world)
        assert send_reports(world)["s33.test"]["state"] == "sent"
        mails = there.wait_messages("other@labas.test", n)
        report = [parse(email.message_from_bytes(m, policy=email.policy.default))[1] for m in mails][-1]
        has_the_shape_of_others(report)
        (entry,) = report["policies"]
        assert entry["policy"]["policy-type"] == "tlsa" and entry["policy"]["policy-domain"] == "mx.s33.test" and "mx-host" not in entry["policy"]
        assert sorted(s.upper() for s in entry["policy"]["policy-string"]) == sorted(["3 0 1 " + good, "3 0 1 " + "AB" * 32])
        assert entry["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 0} and "failure-details" not in entry
        periods.append((report["date-range"]["start-datetime"], report["date-range"]["end-datetime"]))
    assert periods[0][1] < periods[1][0]


def test_report_by_post(lab, world):
    ip = lab.ip()
    web = Collector(ip, world.cert("web.test")[0])
    lab.dns.set("web.test.", "A " + ip)
    try:
        for i, domain in enumerate(("s34.test", "s35.test")):
            peer = world.peer(domain)
            lab.dns.set("_smtp._tls.%s." % domain, 'TXT "v=TLSRPTv1; rua=https://web.test:8443/v1/tlsrpt?%d"' % i)
            world.send(domain)
            arrives(peer)
            flushed(world)
            if i == 0:
                assert send_reports(world)[domain]["note"] == "sent to 1"
                ((path, kind, body),) = web.posts
                assert path == "/v1/tlsrpt?0" and kind == "application/tlsrpt+gzip"
                report = json.loads(gzip.decompress(body))
                assert report["policies"] == [{"policy": {"policy-type": "no-policy-found", "policy-domain": "s34.test"},
                                               "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}}]
                assert re.search(r"report\.posted domain=s34\.test", world.server.log_text())
        # The second one meets a host that redirects, and fails; each `report send` is a further try.
        for n, status in enumerate((301, 500, 404, 500, 503, 500, 500)):
            web.status = status
            report = send_reports(world)["s35.test"]
            assert report["state"] == "waiting" and "HTTP status %d" % status in report["note"], report
            assert web.tries == 2 + n and len(web.posts) == 1
        report = send_reports(world)["s35.test"]
        assert report["state"] == "not sent" and report["note"].startswith("not sent: its host answers"), report
        assert re.search(r"report\.dropped domain=s35\.test", world.server.log_text())
        web.status = 200
        send_reports(world)
        assert len(web.posts) == 1
    finally:
        web.shutdown()
        web.server_close()


def test_web_host_that_is_not_the_one(lab, world):
    """No report goes to a host whose certificate does not hold; mail goes on meanwhile."""
    ip = lab.ip()
    web = Collector(ip, world.cert("web2.test", self_signed=True)[0])
    lab.dns.set("web2.test.", "A " + ip)
    peer = world.peer("s36.test")
    lab.dns.set("_smtp._tls.s36.test.", 'TXT "v=TLSRPTv1; rua=https://web2.test:8443/"')
    try:
        world.send("s36.test")
        arrives(peer)
        flushed(world)
        report = send_reports(world)["s36.test"]
        assert report["state"] == "waiting" and not web.posts and web.tries == 0, report
        web.server_close()
        world.send("s36.test")
        arrives(peer, 2)
    finally:
        web.shutdown()


def test_switched_off(lab, world):
    text = world.server.text
    peer = world.peer("s37.test")
    lab.dns.set("_smtp._tls.s37.test.", 'TXT "v=TLSRPTv1; rua=mailto:zoe@s37.test"')
    world.send("s37.test")
    arrives(peer)
    world.server.stop()
    world.server.write(text + "reports {\n    tls = no\n}\n")
    world.server.start()
    try:
        assert "s37.test" not in tls(world.server.json("report", "list"))
        assert "s37.test" not in send_reports(world)
    finally:
        world.server.stop()
        world.server.write(text)
        world.server.start()
