"""Small authoritative DNS servers for tests that Knot cannot serve: lookups that are never answered, or answered late."""
import queue
import socket
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from lab import Dns, wait_for


def spf_zone(zonedata):
    """The zone of a document of the SPF suites (README there): {name: ({type: [rdata text]}, has a TIMEOUT)}."""
    zone = {}
    for name, entries in zonedata.items():
        records, timeout = {}, False
        has_txt = any(isinstance(e, dict) and "TXT" in e for e in entries)
        for entry in entries:
            if entry == "TIMEOUT":
                timeout = True
                continue
            (kind, value), = entry.items()
            if kind == "SPF":
                if has_txt:
                    continue
                kind = "TXT"
            if kind == "TXT":
                if value == "NONE":
                    continue
                value = quoted(value)
            elif kind == "MX":
                value = "%d %s" % (value[0], absolute(value[1]))
            elif kind in ("PTR", "CNAME"):
                value = absolute(value)
            records.setdefault(kind, []).append(str(value))
        zone[absolute(name).lower()] = (records, timeout)
    return zone


def absolute(name):
    """A zone file's form: odd bytes escaped, a dot at the end."""
    text = "".join(c if c.isalnum() or c in "-_." else "\\%03d" % ord(c) for c in name)
    return text if text.endswith(".") else text + "."


def quoted(value):
    strings = value if isinstance(value, list) else [value[i:i + 255] for i in range(0, len(value), 255)]
    out = []
    for s in strings or [""]:
        out.append('"%s"' % "".join(chr(b) if 32 <= b < 127 and b not in b'"\\;' else "\\%03d" % b for b in s.encode("latin-1")))
    return " ".join(out)


class Names:
    """Answers from such a zone over UDP and TCP; what times out is not answered at all."""

    def __init__(self, ip, zone):
        self.zone, self.ip, self.open = zone, ip, True
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ip, 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.create_server((ip, self.port))
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def answer(self, wire):
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        for _ in range(9):
            known = self.zone.get(name.to_text().lower())
            if known is None:
                if not any(n.endswith("." + name.to_text().lower()) for n in self.zone):  # else an empty non-terminal
                    response.set_rcode(dns.rcode.NXDOMAIN)
                break
            records, timeout = known
            found = records.get(kind) or records.get("CNAME")
            if not found and timeout:
                return None
            if found:
                kind_found = kind if kind in records else "CNAME"
                response.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind_found, found))
            if not found or kind in records:
                break
            name = dns.name.from_text(found[0])
        return response.to_wire()

    def serve_udp(self):
        while self.open:
            try:
                wire, peer = self.udp.recvfrom(65535)
                answer = self.answer(wire)
                if answer:
                    self.udp.sendto(answer, peer)
            except (OSError, dns.exception.DNSException):
                pass

    def serve_tcp(self):
        while self.open:
            try:
                c, _ = self.tcp.accept()
                with c:
                    c.settimeout(2)
                    size, = struct.unpack("!H", c.recv(2))
                    answer = self.answer(c.recv(size))
                    if answer:
                        c.sendall(struct.pack("!H", len(answer)) + answer)
            except (OSError, struct.error, dns.exception.DNSException):
                pass

    def stop(self):
        self.open = False
        self.udp.close()
        self.tcp.close()


class FarNames:
    """Every answer comes `delay` seconds after its question, however many are asked at once, as from a server far away.
    answers: name in lower case -> {type number: [rdata bytes]}; wild(name) is asked about others: such a dict, or None for a
    name that does not exist. Long answers are truncated over UDP. It builds answers itself since dnspython would be the
    bottleneck."""

    def __init__(self, ip, answers, delay, wild=lambda name: None):
        self.ip, self.answers, self.delay, self.wild, self.open = ip, answers, delay, wild, True
        self.asked = []  # (seconds, name, type)
        self.due = queue.SimpleQueue()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.udp.bind((ip, 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.create_server((ip, self.port), backlog=256)
        for run in (self.listen, self.speak, self.accept):
            threading.Thread(target=run, daemon=True).start()

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])
        self.asked.append((time.monotonic(), name, kind))
        known = self.answers.get(name)
        if known is None:
            known = self.wild(name)
        records = (known or {}).get(kind, [])
        if known and not records and 5 in known:
            kind, records = 5, known[5]
        head = query[:2] + struct.pack("!HHHHH", 0x8580 if known is not None else 0x8583, 1, len(records), 0 if records else 1, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(r)) + r for r in records)
        absence = b"" if records else b"\0" + struct.pack("!HHIH", 6, 1, 60, 22) + b"\0\0" + struct.pack("!IIIII", 1, 60, 60, 60, 60)
        return head + query[12:at + 5] + body + absence

    def listen(self):
        while self.open:
            try:
                query, peer = self.udp.recvfrom(4096)
                answer = self.answer(query)
                if len(answer) > 1232:
                    answer = query[:2] + struct.pack("!HHHHH", 0x8780, 1, 0, 0, 0) + query[12:query.index(b"\0", 12) + 5]
                self.due.put((time.monotonic() + self.delay, answer, peer))
            except (OSError, IndexError, ValueError, struct.error):
                pass

    def accept(self):
        while self.open:
            try:
                threading.Thread(target=self.converse, args=(self.tcp.accept()[0],), daemon=True).start()
            except OSError:
                pass

    def converse(self, c):
        try:
            with c, c.makefile("rb") as lines:
                c.settimeout(5)
                while self.open:
                    size, = struct.unpack("!H", lines.read(2))
                    answer = self.answer(lines.read(size))
                    time.sleep(self.delay)
                    c.sendall(struct.pack("!H", len(answer)) + answer)
        except (OSError, IndexError, struct.error):
            pass

    def speak(self):
        while True:
            due, answer, peer = self.due.get()
            if not self.open:
                return
            time.sleep(max(0, due - time.monotonic()))
            try:
                self.udp.sendto(answer, peer)
            except OSError:
                pass

    def stop(self):
        self.open = False
        self.udp.close()
        self.tcp.close()
        self.due.put((0, b"", None))


def txt(text):
    """Wire form of a TXT record."""
    parts = [text[i:i + 255].encode() for i in range(0, len(text), 255)]
    return b"".join(bytes([len(p)]) + p for p in parts)


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def sender_domains(n, client, key, key_name="s"):
    """What FarNames answers for n domains d0.test, d1.test, ... that send from one client address: SPF through an include
    and a host name, a DKIM key, DMARC, and the client's reverse name. The longest chain is three questions."""
    a = socket.inet_aton(client)
    reverse = ".".join(reversed(client.split("."))) + ".in-addr.arpa"
    zone = {"test": {}, "in-addr.arpa": {}, "sender.test": {}, reverse: {12: [wire_name("out.sender.test")]},
            "out.sender.test": {1: [a], 16: [txt("v=spf1 a -all")]}}
    for i in range(n):
        d = "d%d.test" % i
        zone[d] = {16: [txt("v=spf1 include:_spf.%s -all" % d)]}
        zone["_spf." + d] = {16: [txt("v=spf1 a:out.%s -all" % d)]}
        zone["out." + d] = {1: [a]}
        zone["%s._domainkey.%s" % (key_name, d)] = {16: [txt(key)]}
        zone["_domainkey." + d] = {}
        zone["_dmarc." + d] = {16: [txt("v=DMARC1; p=reject")]}
    return zone


def knot(folder, ip, port, zone):
    """Knot with such a zone; nothing in it may time out."""
    server = Dns(folder, ip, port)
    for name, (records, timeout) in zone.items():
        assert not timeout
        server.records[name] = ["%s %s" % (kind, r) for kind, rs in records.items() for r in dict.fromkeys(rs)]
    server.start()
    return server


__all__ = ["FarNames", "Names", "absolute", "knot", "quoted", "sender_domains", "spf_zone", "txt", "wait_for", "wire_name"]
