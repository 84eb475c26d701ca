"""What is served by HTTP and HTTPS: MTA-STS policies, health, the way to HTTPS."""
import http.client
import socket
import ssl
import threading

import pytest

from lab import PORTS, SERVICES, SLOW, wait_for

STS = "/.well-known/mta-sts.txt"


@pytest.fixture(scope="module")
def web(lab):
    return lab.facteur("ici.test", accounts=("anne",), listen=SERVICES + ["http", "https"])


def https(server, lab):
    context = lab.tls()
    context.check_hostname = False  # the certificate is the MX host's; names are for ACME to get
    return http.client.HTTPSConnection(server.ip, PORTS["https"], timeout=20 * SLOW, context=context)


def get(connection, path, host, method="GET", body=None):
    connection.request(method, path, body=body, headers={"Host": host})
    answer = connection.getresponse()
    return answer, answer.read().decode()


@pytest.mark.sanitize
def test_policy_is_served_for_our_domains(web, lab):
    c = https(web, lab)
    answer, text = get(c, STS, "mta-sts.ici.test")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain"
    assert text.splitlines() == ["version: STSv1", "mode: testing", "mx: mx.ici.test", "max_age: 604800"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    # the same connection: other hosts have none, whatever their names look like
    for host in ("ici.test", "mta-sts.elsewhere.test", "mta-sts..", "mta-sts.", "", "mta-sts.ici.test.evil.test"):
        assert get(c, STS, host)[0].status == 404, host
    assert get(c, STS, "MTA-STS.ICI.TEST.:%d" % PORTS["https"])[0].status == 200
    assert get(c, STS + "/..", "mta-sts.ici.test")[0].status == 404
    assert get(c, STS, "mta-sts.ici.test", "POST", "x=y")[0].status == 405
    head, text = get(c, STS, "mta-sts.ici.test", "HEAD")
    assert head.status == 200 and text == ""


def test_plain_http_leads_to_https(web):
    c = http.client.HTTPConnection(web.ip, PORTS["http"], timeout=20 * SLOW)
    answer, text = get(c, STS, "mta-sts.ici.test")
    port = "" if PORTS["https"] == 443 else ":%d" % PORTS["https"]
    assert answer.status == 308 and answer.headers["Location"] == "https://mta-sts.ici.test%s%s" % (port, STS)
    # nobody is sent to a place that the request names
    assert get(c, "/", "evil.test")[0].status == 404
    answer, _ = get(c, "//evil.test/%0d%0aSet-Cookie:a=b", "ici.test")
    assert answer.status == 308 and "Set-Cookie" not in answer.headers
    assert answer.headers["Location"].startswith("https://ici.test%s/" % port)
    assert get(c, "/healthz", web.ip)[1] == "ok\n"


def test_idle_and_slow_clients_hold_no_thread(web, lab):
    """Two hundred connections that say half a request and nothing: others are served meanwhile."""
    held = []
    for i in range(200):
        s = socket.create_connection((web.ip, PORTS["http"]), timeout=20, source_address=("127.0.%d.1" % (100 + i % 100), 0))
        s.sendall(b"GET /healthz HT" if i % 2 else b"")
        held.append(s)
    for _ in range(20):
        assert get(http.client.HTTPConnection(web.ip, PORTS["http"], timeout=20 * SLOW), "/healthz", web.ip)[0].status == 200
    for s in held[1::2]:
        s.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
    for s in held:
        s.close()


def test_garbage(web):
    for request in (b"\x00" * 100 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nfff\r\n",
                    b"EHLO x\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
        s = socket.create_connection((web.ip, PORTS["http"]), timeout=20)
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
        s.recv(4096)
        s.close()
    assert get(http.client.HTTPConnection(web.ip, PORTS["http"], timeout=20), "/healthz", "x")[0].status == 200


def test_requests_that_can_be_read_in_two_ways(web):
    """RFC 9112 §3.2, §5.1, §6: refused, and nothing behind them is taken for another request."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for fields, body in ((b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), (b"Content-Length: 0\r\nContent-Length: 40\r\n", b""),
                         (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
                         (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), (b"Content-Length : 40\r\n", b""), (b"Host: y\r\n", b""),
                         (b"Content-Length: +0\r\n", b""), (b"Content-Length: 0, 40\r\n", b"")):
        s = socket.create_connection((web.ip, PORTS["http"]), timeout=20)
        s.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n" + body + hidden)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := s.recv(4096):
                answer += piece
        except ConnectionResetError:  # the rest of what we said was not read
            pass
        s.close()
        assert answer[:10] in (b"", b"HTTP/1.1 4") and b" 200 " not in answer, (fields, answer)


def test_many_at_once(web, lab):
    wrong = []

    def ask():
        c = https(web, lab)
        for _ in range(20):
            if get(c, STS, "mta-sts.ici.test")[0].status != 200:
                wrong.append(1)
    threads = [threading.Thread(target=ask) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_alpn_and_old_tls(web, lab):
    context = lab.tls()
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((web.ip, PORTS["https"]), timeout=20) as plain, context.wrap_socket(plain) as s:
        assert s.selected_alpn_protocol() == "http/1.1" and s.version() == "TLSv1.3"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((web.ip, PORTS["https"]), timeout=20) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def test_server_stops_with_open_connections(lab):
    server = lab.facteur("arrete.test", accounts=(), listen=["smtp", "http"])
    s = socket.create_connection((server.ip, PORTS["http"]), timeout=20)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert s.recv(12) == b"HTTP/1.1 200"
    server.stop()
    wait_for("the end of the connection", lambda: s.recv(4096) == b"" or None)
