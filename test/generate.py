"""Random but repeatable inputs for test_differential.py: SPF zones and DMARC zones with questions about them."""
import ipaddress
import random

DOMAINS = ["d%d.test" % i for i in range(8)]
HOSTS = ["h%d.d%d.test" % (i, i) for i in range(6)] + ["empty.d0.test", "absent.d1.test"]
CLIENTS = ["192.0.2.1", "192.0.2.77", "198.51.100.9", "203.0.113.200", "2001:db8::1", "2001:db8:0:1::77", "2001:db8:ffff::1"]


class Spf:
    """One zone, and questions (ip, helo, sender) about its domains."""
    LETTERS = "sslloodddiipvvhh"

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.zone = {}
        for host in HOSTS[:-1]:
            records = self.zone[host] = {}
            if host.startswith("empty"):
                records["TXT"] = ["nothing to see"]
                continue
            records["A"] = self.random.sample([c for c in CLIENTS if ":" not in c], self.random.randint(1, 2))
            if self.random.random() < 0.6:
                records["AAAA"] = self.random.sample([c for c in CLIENTS if ":" in c], 1)
        for ip in CLIENTS:
            if self.random.random() < 0.7:
                self.zone[reverse(ip)] = {"PTR": self.random.sample(HOSTS, self.random.randint(1, 3))}
        for domain in DOMAINS:
            records = self.zone[domain] = {}
            roll = self.random.random()
            if roll < 0.9:
                records["TXT"] = ["v=spf1" + "".join(" " + self.term() for _ in range(self.random.randint(0, 5))) + self.ending()]
            if roll > 0.97:
                records.setdefault("TXT", []).append("v=spf1 -all")
            if self.random.random() < 0.5:
                records["A"] = [self.random.choice([c for c in CLIENTS if ":" not in c])]
            if self.random.random() < 0.5:
                records["MX"] = self.random.sample(HOSTS, self.random.randint(1, 3))
        self.zone["why.test"] = {"TXT": [self.explanation()]}

    def pick(self, *choices):
        return self.random.choice(choices)

    def odd(self, good, broken):
        return self.random.choice(broken if self.random.random() < 0.02 else good)

    def macro(self, letters=LETTERS):
        if self.random.random() < 0.1:
            return self.pick("%%", "%_", "%-")
        letter = self.random.choice(letters)
        if self.random.random() < 0.2:
            letter = letter.upper()
        digits = self.pick("", "", "1", "2", "3", "10")
        return "%{" + letter + digits + self.pick("", "", "r", "R") + self.pick("", "", "", ".", "-", "+-", "_=", "/,") + "}"

    def spec(self):
        roll = self.random.random()
        if roll < 0.35:
            return self.random.choice(DOMAINS)
        if roll < 0.65:
            return self.random.choice(HOSTS)
        if roll < 0.9:
            return "".join(self.pick(self.macro() + ".", "x.", "a-b.", self.macro() + "-") for _ in range(self.random.randint(1, 2))) + \
                self.random.choice(DOMAINS)
        return self.odd(["%{d}", "%{o}", "%{h}", "%{p}", "d1.test.", "D1.TEST", "%{dr.}", "%{d2}"],
                        ["test", "d1.test%%", "d1.123", "d1.te-st", "d1.-t", "d1..test", "%{d", "%{z}", "%(d)", "%{d0}", "%{1}", "d1.test:25",
                         "x" * 64 + ".d1.test", "%"])

    def length(self):
        return self.odd(["", "", "", "/24", "/32", "/0", "//64", "//128", "//0", "/24//64"], ["/33", "//129", "/", "//", "/024", "/8/64", "/-1"])

    def term(self):
        qualifier = self.pick("", "", "+", "-", "~", "?")
        if self.random.random() < 0.03:
            return qualifier + self.pick("all:x", "foo", "foo:bar", "a=", "ip4", "ip4:", "ip6:x", "include", "include:", "exists", "1a", "a.b:c",
                                         "mx:", "a:", "ptr/24", "all/8", "redirect:d1.test", "x=%", "x=%{d}", "unknown=abc", "a=b%{c}", "-a", "")
        kind = self.random.choice(["a", "a", "mx", "mx", "ptr", "ip4", "ip6", "exists", "include", "include", "modifier"])
        if self.random.random() < 0.1:
            kind = kind.upper()
        low = kind.lower()
        if low in ("a", "mx"):
            return qualifier + kind + self.pick("", ":" + self.spec()) + self.length()
        if low == "ptr":
            return qualifier + kind + self.pick("", ":" + self.spec())
        if low == "ip4":
            return qualifier + kind + ":" + self.odd(["192.0.2.0", "192.0.2.1", "198.51.100.9"], ["192.0.2", "192.0.2.256", "192.00.2.1", "::1"]) + \
                self.odd(["", "", "/24", "/32", "/0"], ["/33", "/", "/024", "//24"])
        if low == "ip6":
            return qualifier + kind + ":" + self.odd(["2001:db8::", "2001:db8::1", "2001:DB8:0:1::", "::ffff:192.0.2.1"], ["2001:db8", "1::2::3"]) + \
                self.odd(["", "", "/64", "/128", "/0", "/32"], ["/129", "/", "//64"])
        if low in ("exists", "include"):
            return qualifier + kind + ":" + self.spec()
        return self.pick("exp=why.test", "exp=" + self.spec(), "x-new=" + self.macro(), "redirect=" + self.spec())

    def ending(self):
        return self.pick(" -all", " -all", " ~all", " ?all", " +all", "", " redirect=" + self.spec(), " -all exp=why.test", " -ALL exp=why.test ")

    def explanation(self):
        return " ".join(self.pick("see", "%{i}", "%{c}", "%{s}", "%{t}", "%{r}", "%{h}", "%{S}", "%{lr-}", "%{d2}", "%{p}", "%%", "%_", "%-") for _ in range(4))

    def questions(self, n):
        for _ in range(n):
            domain = self.random.choice(DOMAINS)
            local = self.pick("anne", "bob-smith", "a.b-c+d", "strange_local=part/x", "UPPER", "")
            sender = "" if self.random.random() < 0.05 else (local + "@" if local else "") + domain
            yield self.random.choice(CLIENTS), self.pick("h0.d0.test", "h1.d1.test", "d2.test", "mail", "[192.0.2.1]", "D3.Test"), sender


def reverse(ip):
    return ipaddress.ip_address(ip).reverse_pointer


class Dmarc:
    """Domains of one seed with policies, and questions (author, SPF's domain, DKIM's domain) about them; an empty domain did not pass."""
    SHAPES = ["{0}.com", "mail.{0}.com", "a.b.mail.{0}.com", "{0}.co.uk", "x.{0}.co.uk", "{0}.github.io", "y.{0}.github.io", "z.nul.{0}.com"]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = [shape.format("s%d" % seed) for shape in self.SHAPES]
        self.zone = {}
        for name in self.names[:-1]:
            self.zone[name] = {"A": ["192.0.2.1"]}
            if self.random.random() < 0.6:
                self.zone["_dmarc." + name] = {"TXT": [self.record()] + ([self.record()] if self.random.random() < 0.05 else [])}

    def pick(self, *choices):
        return self.random.choice(choices)

    def record(self):
        version = self.pick(*["v=DMARC1"] * 20, "v=DMARC2", "v=dmarc1", " v=DMARC1", "v = DMARC1", "v=DMARC1 ")
        policy = self.pick(*["none", "quarantine", "reject"] * 5, "Reject", "bogus", "")
        tags = ["p=" + policy] if self.random.random() < 0.95 else []
        for tag, values in {"sp": ["none", "quarantine", "reject", "x"], "adkim": ["r", "s", "S"], "aspf": ["r", "s", "q"], "pct": ["100", "50"],
                            "rua": ["mailto:d@s.test", "mailto:a@s.test!10m,mailto:b@s.test"], "fo": ["1", "0:d"], "ri": ["86400"],
                            "unknown": ["x"], "np": ["reject", "none"], "t": ["n"]}.items():
            if self.random.random() < 0.25:
                tags.append(tag + "=" + self.random.choice(values))
        if self.random.random() < 0.2:
            tags.append(self.random.choice(tags or ["p=none"]).upper() if self.random.random() < 0.3 else "")
        glue = self.pick("; ", ";", " ; ", ";\t")
        return version + ";" + self.pick(" ", "") + glue.join(tags)

    def questions(self, n):
        for _ in range(n):
            yield self.random.choice(self.names), self.pick("", *self.names), self.pick("", *self.names)
