"""Reports that others could have sent about a domain in the last month: DMARC (RFC 7489), TLS (RFC 8460) and single failures (RFC 6591), all in one zip.
The same ones at each call of a day. ./demo reads them into the desk, so that its pages show something."""
import datetime
import http.client
import io
import json
import random
import xml.sax.saxutils
import zipfile

from lab import PORTS

DAYS = 30
REPORTERS = [("google.com", "noreply-dmarc-support@google.com", 5), ("Outlook.com", "dmarcreport@microsoft.com", 3), ("Yahoo", "dmarchelp@yahooinc.com", 1),
             ("Fastmail Pty Ltd", "reports@fastmaildmarc.com", 1), ("gmx.net", "dmarc@gmxnet.de", 1)]
TLS_REPORTERS = [("Google Inc.", "smtp-tls-reporting@google.com", 6), ("Microsoft Corporation", "tlsrpt-noreply@microsoft.com", 3)]


class Source:
    """mail: messages of a working day. spf, dkim: share that is aligned. By whom: the domain that SPF and DKIM pass for where not ours."""

    def __init__(self, ips, mail, spf, dkim, other=None, reason=None, weekend=0.35):
        self.ips, self.mail, self.spf, self.dkim, self.other, self.reason, self.weekend = ips, mail, spf, dkim, other, reason, weekend


def sources(own_ip):
    return [
        Source([own_ip], 240, 1, 1),
        Source(["149.72.%d.%d" % (90 + i % 3, 20 + i) for i in range(9)], 90, 1, 0, "sendgrid.net"),
        Source(["185.41.28.%d" % (10 + i) for i in range(6)], 45, 0, 1, "sender-sib.com"),
        Source(["54.240.8.%d" % (100 + i) for i in range(12)], 26, 0, 0.997, "amazonses.com"),
        Source(["192.161.148.%d" % (1 + i) for i in range(3)], 12, 0, 0, "zendesk.com"),
        Source(["209.85.220.%d" % (41 + i) for i in range(20)], 12, 0, 0.93, "google.com", "forwarded"),
        Source(["198.51.100.25"], 1.6, 0, 0.05, "lists.example.org", "mailing_list"),
        Source(["203.0.113.%d" % i for i in range(1, 60)], 4, 0, 0, weekend=2),
        Source(["192.0.2.77"], 0.7, 0, 0),
    ]


def element(name, text):
    return "<%s>%s</%s>" % (name, xml.sax.saxutils.escape(str(text)), name)


def row(domain, ip, count, spf, dkim, source):
    back = domain if spf else "bounce." + source.other if source.other else "mail.example.net"
    signed = [(domain, "r2026", "pass")] if dkim else []
    if source.other and source.reason is None:
        signed.append((source.other, "s1", "pass"))
    excused = source.reason and not dkim
    text = "<record><row>" + element("source_ip", ip) + element("count", count)
    text += "<policy_evaluated>" + element("disposition", "none" if spf or dkim or excused else "quarantine")
    text += element("dkim", "pass" if dkim else "fail") + element("spf", "pass" if spf else "fail")
    if excused:
        text += "<reason>" + element("type", source.reason) + "<comment/></reason>"
    text += "</policy_evaluated></row><identifiers>" + element("header_from", domain) + element("envelope_from", back) + "</identifiers><auth_results>"
    for d, selector, result in signed:
        text += "<dkim>" + element("domain", d) + element("selector", selector) + element("result", result) + "</dkim>"
    text += "<spf>" + element("domain", back) + element("result", "pass" if spf or source.other else "fail") + "</spf>"
    return text + "</auth_results></record>"


def spread(rng, n, shares):
    """n messages over these shares, whole ones."""
    out = [int(n * s / sum(shares)) for s in shares]
    for _ in range(n - sum(out)):
        out[rng.randrange(len(out))] += 1
    return out


def aggregate(domain, org, email, day, rows):
    begin = int(datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc).timestamp())
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>\n<feedback><report_metadata>', element("org_name", org), element("email", email),
                    element("report_id", "%s-%d" % (domain, begin)), "<date_range>", element("begin", begin), element("end", begin + 86399), "</date_range></report_metadata>",
                    "<policy_published>", element("domain", domain), "<adkim>r</adkim><aspf>r</aspf><p>quarantine</p><sp>quarantine</sp><pct>100</pct></policy_published>"]
                   + rows + ["</feedback>\n"])


def tls(domain, org, contact, day, good, failed, mx):
    failures = [{"result-type": kind, "sending-mta-ip": "192.0.2.200", "receiving-mx-hostname": mx, "failed-session-count": n} for kind, n in failed if n]
    policy = {"policy": {"policy-type": "sts", "policy-domain": domain, "mx-host": [mx], "policy-string": ["version: STSv1", "mode: testing", "mx: " + mx, "max_age: 604800"]},
              "summary": {"total-successful-session-count": good, "total-failure-session-count": sum(n for _, n in failed)}, "failure-details": failures}
    return json.dumps({"organization-name": org, "contact-info": contact, "report-id": "%s_%s" % (day, domain), "policies": [policy],
                       "date-range": {"start-datetime": "%sT00:00:00Z" % day, "end-datetime": "%sT23:59:59Z" % day}})


def failure(domain, day, n, ip, subject):
    return ("From: Reports <dmarc@labas.test>\r\nTo: <postmaster@%(domain)s>\r\nSubject: Report on a message\r\nMIME-Version: 1.0\r\n"
            "Message-ID: <failure%(n)d@labas.test>\r\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA message failed DMARC.\r\n'
            "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: auth-failure\r\nUser-Agent: demo\r\nVersion: 1\r\nAuth-Failure: dmarc\r\n"
            "Original-Mail-From: <bounce@mail.example.net>\r\nArrival-Date: %(date)s\r\nSource-IP: %(ip)s\r\nReported-Domain: %(domain)s\r\n\r\n"
            "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nReceived: from mail.example.net (%(ip)s) by mx.labas.test; %(date)s\r\n"
            "From: Support <support@%(domain)s>\r\nTo: <bert@labas.test>\r\nSubject: %(subject)s\r\nDate: %(date)s\r\nMessage-ID: <%(n)d@mail.example.net>\r\n\r\n--b--\r\n"
            % {"domain": domain, "n": n, "ip": ip, "subject": subject, "date": day.strftime("%a, %d %b %Y 09:12:44 +0000")})


def make(domain, own_ip, mx, days=DAYS, last=None):
    """The zip's bytes."""
    last = last or datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    rng = random.Random(domain)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for back in reversed(range(days)):  # as they come: the newest last
            day = last - datetime.timedelta(days=back)
            rows = {org: [] for org, _, _ in REPORTERS}
            for s in sources(own_ip):
                n = int(s.mail * (0.75 + rng.random() / 2) * (s.weekend if day.weekday() > 4 else 1) + rng.random())
                for (org, _, _), part in zip(REPORTERS, spread(rng, n, [share for _, _, share in REPORTERS])):
                    counts = {}
                    for _ in range(part):
                        key = (rng.choice(s.ips), rng.random() < s.spf, rng.random() < s.dkim)
                        counts[key] = counts.get(key, 0) + 1
                    rows[org] += [row(domain, ip, count, spf, dkim, s) for (ip, spf, dkim), count in counts.items()]
            for org, email, _ in REPORTERS:
                if rows[org]:
                    z.writestr("dmarc/%s-%s.xml" % (org, day), aggregate(domain, org, email, day, rows[org]))
            for org, contact, share in TLS_REPORTERS:
                bad = 18 <= back <= 20 and share > 3
                failed = [("certificate-expired", rng.randrange(4, 9)), ("starttls-not-supported", rng.randrange(0, 3))] if bad else []
                z.writestr("tls/%s-%s.json" % (org, day), tls(domain, org, contact, day, rng.randrange(25, 45) * share, failed, mx))
        for n, subject in reversed(list(enumerate(("Invoice 4711", "Your parcel", "Password expires")))):
            z.writestr("failure/%d.eml" % n, failure(domain, last - datetime.timedelta(days=4 * n), n, "203.0.113.%d" % (7 + n), subject))
    return out.getvalue()


def load(server, domain, address, password):
    """Hands a month of them in, as an operator does on the pages; gives their number."""
    c = http.client.HTTPConnection(server.ip, PORTS["http"], timeout=60)
    fields = {"Host": server.hostname, "Content-Type": "application/json"}
    c.request("POST", "/admin/api/session", json.dumps({"address": address, "password": password}), fields)
    answer = c.getresponse()
    assert answer.status == 200, "no log-in to the pages: %d" % answer.status
    answer.read()
    fields.update({"Cookie": answer.headers["Set-Cookie"].split(";")[0], "Content-Type": "application/zip"})
    c.request("POST", "/admin/api/reports", make(domain, server.ip, server.hostname), fields)
    answer = c.getresponse()
    result = json.loads(answer.read())
    assert answer.status == 200 and result["read"] > 100 and not result["refused"], result
    return result["read"]
