#!/usr/bin/python3
"""Counts DMARC reports by itself, from the files: for comparison with what the desk says. Knows nothing of the program.
recount_reports.py FOLDER"""
import collections
import datetime
import gzip
import json
import pathlib
import sys
import xml.etree.ElementTree as ET
import zipfile


def data_of(path):
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as z:
            return z.read(z.namelist()[0])
    return path.read_bytes()


def plain(tree):
    """Without namespaces and stray blanks."""
    for e in tree.iter():
        e.tag = e.tag.rsplit("}", 1)[-1]
        e.text = (e.text or "").strip()
    return tree


def recount(folder):
    seen, totals = set(), {}
    for path in sorted(pathlib.Path(folder).iterdir()):
        root = plain(ET.fromstring(data_of(path)))
        domain = root.findtext("policy_published/domain")
        key = (root.findtext("report_metadata/org_name").lower(), root.findtext("report_metadata/report_id"), domain)
        t = totals.setdefault(domain, {"reports": 0, "messages": 0, "aligned": 0, "spf": 0, "dkim": 0, "rows": 0,
                                       "days": collections.defaultdict(lambda: [0, 0]), "addresses": collections.defaultdict(lambda: [0, 0])})
        if key in seen:
            continue
        seen.add(key)
        t["reports"] += 1
        middle = (int(root.findtext("report_metadata/date_range/begin")) + int(root.findtext("report_metadata/date_range/end"))) // 2
        day = datetime.datetime.fromtimestamp(middle, datetime.timezone.utc).date().isoformat()
        for row in root.iter("row"):
            n = int(row.findtext("count"))
            spf, dkim = (row.findtext("policy_evaluated/" + x) == "pass" for x in ("spf", "dkim"))
            ip = row.findtext("source_ip")
            t["rows"] += 1
            t["messages"] += n
            t["spf"] += n * spf
            t["dkim"] += n * dkim
            t["aligned"] += n * (spf or dkim)
            for sums in (t["days"][day], t["addresses"][ip]):
                sums[0] += n
                sums[1] += n * (spf or dkim)
    return totals


if __name__ == "__main__":
    print(json.dumps(recount(sys.argv[1]), indent=1))
