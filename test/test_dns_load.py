"""Name servers that are far away: what a message waits for them is their distance times the longest chain of questions,
not the number of questions, nor the number of other messages."""
import base64
import re
import smtplib
import subprocess
import threading
import time

import dkim
import pytest

import names
from lab import PORTS, SLOW

DELAY = 0.1
CHAIN = 3  # SPF: the domain, its include, the host in that
DOMAINS = 200


@pytest.fixture(scope="module")
def key():
    pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
    return pem, "v=DKIM1; p=" + base64.b64encode(der).decode()


@pytest.fixture(scope="module")
def far(lab, key):
    client = lab.ip()
    server = names.FarNames(lab.ip(), names.sender_domains(2 * DOMAINS, client, key[1]), DELAY)
    server.client = client
    lab.parts.append(server)
    return server


@pytest.fixture(scope="module")
def ici(lab, far):
    return lab.facteur("ici.test", "limits {\n    connections-per-address = 1000\n}\n", ["anne"], listen=["smtp", "imaps"],
                       names=far)


def message(i, pem):
    text = ("From: sender@d%d.test\r\nTo: anne@ici.test\r\nSubject: from afar %d\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\n"
            "Message-ID: <%d@d%d.test>\r\n\r\nGood morning.\r\n" % (i, i, i, i)).encode()
    return dkim.sign(text, b"s", b"d%d.test" % i, pem, include_headers=[b"from", b"to", b"subject", b"date"]) + text


class Sender(threading.Thread):
    """One message in a session of its own; `took` is from its content's end to the answer."""

    def __init__(self, ici, far, i, pem, gate=None):
        super().__init__(daemon=True)
        self.ici, self.far, self.i, self.text, self.gate, self.took, self.error = ici, far, i, message(i, pem), gate, None, None

    def run(self):
        try:
            with smtplib.SMTP(self.ici.ip, PORTS["smtp"], local_hostname="out.sender.test", timeout=60,
                              source_address=(self.far.client, 0)) as s:
                s.ehlo()
                if self.gate:
                    self.gate.wait(60)
                begin = time.monotonic()
                s.sendmail("sender@d%d.test" % self.i, ["anne@ici.test"], self.text)
                self.took = time.monotonic() - begin
        except (OSError, smtplib.SMTPException, threading.BrokenBarrierError) as e:
            self.error = e


def send_all(ici, far, first, n, pem):
    gate = threading.Barrier(n + 1)
    senders = [Sender(ici, far, i, pem, gate) for i in range(first, first + n)]
    for s in senders:
        s.start()
    gate.wait(60)
    for s in senders:
        s.join(60)
    assert not [s.error for s in senders if s.error or s.took is None]
    return sorted(s.took for s in senders)


def test_questions_of_a_message_go_side_by_side(ici, far, key):
    far.asked.clear()
    took, = send_all(ici, far, 0, 1, key[0])
    kinds = {(n, t) for _, n, t in far.asked}
    assert len(kinds) >= 8  # else this test shows nothing
    assert took < (CHAIN + 4) * DELAY * SLOW, far.asked
    log = ici.wait_log(r"smtp.message.accepted.*from=d0\.test.*")
    assert re.search(r"dmarc=pass.*spf=pass.*dkim=pass:d0\.test.*iprev=pass", str(log) + ici.log_text())


def test_messages_do_not_queue_behind_one_another(ici, far, key):
    """As many messages as domains, all at once, nothing known of any: all of them take about as long as one."""
    took = send_all(ici, far, 1, DOMAINS, key[0])
    assert took[len(took) // 2] < 2 * SLOW
    assert took[-1] < 5 * SLOW  # one after the other it would be more than a minute
    accepted = re.findall(r"smtp\.message\.accepted.*dmarc=(\S+) from=d\d+\.test", ici.log_text())
    assert accepted.count("pass") == DOMAINS + 1


def test_what_is_known_is_not_asked_again(ici, far, key):
    send_all(ici, far, DOMAINS + 1, 1, key[0])
    far.asked.clear()
    took, = send_all(ici, far, DOMAINS + 1, 1, key[0])
    assert far.asked == []
    assert took < CHAIN * DELAY * SLOW
