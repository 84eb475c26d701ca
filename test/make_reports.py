#!/usr/bin/python3
"""A month of DMARC reports for some domains, made from real samples: each report keeps the form of one of them, with its quirks, and has new
numbers. make_reports.py SAMPLES FOLDER ROWS DOMAIN... [--days N] [--reporters N] [--last YYYY-MM-DD]"""
import argparse
import datetime
import gzip
import io
import pathlib
import random
import re
import zipfile

DAY = 86400
SOURCES = [  # share, first octets, count of hosts, SPF aligned, DKIM aligned, domain that SPF passed for
    (40, "198.51.100", 30, 1.0, 1.0, None),
    (25, "203.0.113", 200, 0.0, 0.97, "amazonses.com"),
    (15, "192.0.2", 120, 0.1, 0.2, "sendgrid.net"),
    (10, "100.64", 2000, 0.0, 0.9, "forward.example"),
    (10, "10", 60000, 0.0, 0.0, None),
]


class Sample:
    """The text of a sample with holes."""

    def __init__(self, text):
        records = list(re.finditer(r"<record\b.*?</record>", text, re.S))
        self.head, self.tail = text[:records[0].start()], text[records[-1].end():]
        self.records = [r.group(0) for r in records[:40]]

    def report(self, out, org, report_id, domain, begin, rows):
        def put(text, tag, value):
            return re.sub(r"(<%s>)[^<]*(</%s>)" % (tag, tag), lambda m: m.group(1) + value + m.group(2), text)
        head = put(put(put(put(self.head, "org_name", org), "report_id", report_id), "begin", str(begin)), "end", str(begin + DAY - 1))
        out.write(re.sub(r"(<policy_published>.*?<domain>)[^<]*", lambda m: m.group(1) + domain, head, flags=re.S))
        for i, (ip, count, spf, dkim, passed) in enumerate(rows):
            text = self.records[i % len(self.records)]
            evaluated = re.search(r"<policy_evaluated>.*?</policy_evaluated>", text, re.S)
            if evaluated:
                new = put(put(evaluated.group(0), "dkim", "pass" if dkim else "fail"), "spf", "pass" if spf else "fail")
                text = text.replace(evaluated.group(0), new)
            text = put(put(put(text, "source_ip", ip), "count", str(count)), "header_from", domain)
            results = re.search(r"<spf>\s*<domain>.*?</spf>", text, re.S)
            if results:
                new = put(put(results.group(0), "domain", domain if spf or not passed else passed), "result",
                          "pass" if spf or passed else "fail")
                text = text.replace(results.group(0), new)
            out.write(text + "\n")
        out.write(self.tail)


def read_samples(folder):
    samples = []
    for path in sorted(pathlib.Path(folder).glob("*/*.xml")):
        text = path.read_text("utf-8", "replace")
        if "empty" in path.name or "invalid" in path.name or not re.search(r"<record\b.*?<source_ip>.*?<count>.*?</record>", text, re.S):
            continue
        if not all("<%s>" % t in text for t in ("report_id", "begin", "end", "header_from", "policy_published", "org_name")) or "<org_name></org_name>" in text:
            continue
        samples.append(Sample(text))
    return samples


def make_row(rng):
    share = rng.randrange(100)
    for weight, net, hosts, spf, dkim, passed in SOURCES:
        if share < weight:
            break
        share -= weight
    host = min(int(rng.paretovariate(0.6)), hosts) - 1 if hosts < 10000 else rng.randrange(hosts)
    ip = {1: "%s.%d.%d.%d", 2: "%s.%d.%d"}.get(net.count(".") + 1)
    if net.count(".") == 2:
        ip = "%s.%d" % (net, host % 254 + 1)
    elif net.count(".") == 1:
        ip = "%s.%d.%d" % (net, host // 250, host % 250 + 1)
    else:
        ip = "%s.%d.%d.%d" % (net, host // 62500, host // 250 % 250, host % 250 + 1)
    return ip, rng.randrange(1, 20), rng.random() < spf, rng.random() < dkim, passed


def make(samples, folder, rows, domains, days=30, reporters=20, last=None, seed=1):
    """Files of all kinds that reports come in; every hundredth comes twice."""
    rng = random.Random(seed)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    last = last or datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    first = int(datetime.datetime.combine(last, datetime.time(), datetime.timezone.utc).timestamp()) - (days - 1) * DAY
    reports = [(d, day, r) for d in domains for day in range(days) for r in range(reporters)]
    forms = read_samples(samples)
    left = rows
    for i, (domain, day, reporter) in enumerate(reports):
        n = left // (len(reports) - i)
        left -= n
        out = io.StringIO()
        report_id = "%s-%d-%d" % (domain, day, reporter)
        forms[reporter % len(forms)].report(out, "reporter%d.example" % reporter, report_id, domain, first + day * DAY,
                                            [make_row(rng) for _ in range(n)])
        data = out.getvalue().encode()
        names = [report_id] + ([report_id + "-again"] if i % 100 == 7 else [])
        for name in names:
            if i % 3 == 0:
                (folder / (name + ".xml.gz")).write_bytes(gzip.compress(data, 1))
            elif i % 3 == 1:
                with zipfile.ZipFile(folder / (name + ".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
                    z.writestr(name + ".xml", data)
            else:
                (folder / (name + ".xml")).write_bytes(data)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("samples")
    p.add_argument("folder")
    p.add_argument("rows", type=int)
    p.add_argument("domains", nargs="+")
    p.add_argument("--days", type=int, default=30)
    p.add_argument("--reporters", type=int, default=20)
    p.add_argument("--last", type=datetime.date.fromisoformat)
    a = p.parse_args()
    make(a.samples, a.folder, a.rows, a.domains, a.days, a.reporters, a.last)
