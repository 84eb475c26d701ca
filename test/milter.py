"""Milters (OpenDKIM, OpenDMARC) and a client of their protocol, so that a message can be judged or signed without a mail
server around: what Postfix would say to them, said by a test."""
import os
import re
import socket
import struct
import subprocess

from lab import wait_for

ACTIONS = 0x1FF          # whatever the filter may want to change
LEADING_SPACE = 0x100000  # header values keep the blank after the colon
CONTINUE, ACCEPT, PROGRESS = b"c", b"a", b"p"


def can_take(message):
    """Whether the protocol has words for its header: no NUL, and no more than libmilter reads at once."""
    header = message.partition(b"\r\n\r\n")[0]
    return b"\0" not in header and len(header) < 60000


class Client:
    """One connection to a milter; any number of messages, one after another."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(path)
        self.put(b"O", struct.pack("!III", 6, ACTIONS, LEADING_SPACE))
        kind, data = self.get()
        assert kind == b"O", kind
        _, _, self.steps = struct.unpack("!III", data[:12])

    def put(self, command, data=b""):
        self.s.sendall(struct.pack("!I", 1 + len(data)) + command + data)

    def get(self):
        head = self.exactly(5)
        return head[4:5], self.exactly(struct.unpack("!I", head[:4])[0] - 1)

    def exactly(self, n):
        out = b""
        while len(out) < n:
            more = self.s.recv(n - len(out))
            if not more:
                raise ConnectionError("the milter hung up")
            out += more
        return out

    def step(self, command, data, skip, silent):
        """One step of the session, unless the milter does not want to hear of it or does not answer it."""
        if self.steps & skip:
            return CONTINUE
        self.put(command, data)
        if self.steps & silent:
            return CONTINUE
        return self.get()[0]

    def macros(self, command, *pairs):
        self.put(b"D", command + b"".join(p.encode() + b"\0" for p in pairs))

    def connect(self, ip="127.0.0.9", name="client.example", helo="client.example"):
        self.macros(b"C", "j", "mx.lab.test", "{daemon_name}", "lab")
        self.step(b"C", name.encode() + b"\0" + b"4" + struct.pack("!H", 2525) + ip.encode() + b"\0", 1, 0x1000)
        self.step(b"H", helo.encode() + b"\0", 2, 0x2000)

    def message(self, message, sender="sender@example.com", recipient="rcpt@receiver.test", number="AAAA1"):
        """(verdict, fields that it inserts as bytes "Name: value", reply). The message has CRLF line ends; the last line gets one where it has none, as
        SMTP would give it."""
        if not message.endswith(b"\r\n"):
            message += b"\r\n"
        self.macros(b"M", "i", number)
        self.step(b"M", b"<" + sender.encode() + b">\0", 4, 0x4000)
        self.step(b"R", b"<" + recipient.encode() + b">\0", 8, 0x8000)
        self.step(b"T", b"", 0x200, 0x10000)
        header, _, body = message.partition(b"\r\n\r\n") if not message.startswith(b"\r\n") else (b"", b"", message[2:])
        for field in re.split(rb"\r\n(?![ \t])", header):
            name, colon, value = field.partition(b":")
            if colon:
                answer = self.step(b"L", name.rstrip(b" \t") + b"\0" + value.replace(b"\r\n", b"\n") + b"\0", 0x20, 0x80)
                if answer != CONTINUE:
                    return answer, [], None
        answer = self.step(b"N", b"", 0x40, 0x40000)
        for at in range(0, len(body), 60000):
            if answer == CONTINUE:
                answer = self.step(b"B", body[at:at + 60000], 0x10, 0x80000)
        if answer != CONTINUE:
            return answer, [], None
        fields, reply = [], None
        self.put(b"E")
        while True:
            kind, data = self.get()
            if kind in b"hi":
                name, value = (data[4:] if kind == b"i" else data).split(b"\0")[:2]
                if not value[:1].isspace():
                    value = b" " + value
                fields.insert(0 if kind == b"i" else len(fields), name + b":" + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            elif kind == b"y":
                reply = data.rstrip(b"\0").decode("latin-1")
                return kind, fields, reply
            elif kind in b"acrtdq" and kind != b"q":
                return kind, fields, reply

    def close(self):
        try:
            self.put(b"Q")
        except OSError:
            pass
        self.s.close()


class Milter:
    """A milter's daemon with the lab's DNS as its resolver (root only)."""

    def __init__(self, lab, name, program, settings):
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        self.path = os.path.join(self.dir, "socket")
        with open(os.path.join(self.dir, "resolv.conf"), "w") as f:
            f.write("nameserver %s\n" % lab.dns.ip)
        with open(os.path.join(self.dir, "unbound.conf"), "w") as f:  # Debian's OpenDKIM asks through libunbound
            f.write("server:\n  local-zone: \"test.\" transparent\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n"
                    "forward-zone:\n  name: \".\"\n  forward-addr: %s@%d\n" % (lab.dns.ip, lab.dns.port))
        self.conf = os.path.join(self.dir, "conf")
        with open(self.conf, "w") as f:
            f.write("\n".join(s % {"dir": self.dir} if "%(" in s else s for s in settings) +
                    "\nSocket local:%s\nUMask 000\nPidFile %s/pid\nSyslog no\n" % (self.path, self.dir))
        shell = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        self.log = open(os.path.join(self.dir, "log"), "wb")
        flag = "-x" if "opendkim" in program else "-c"
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", shell, os.path.join(self.dir, "resolv.conf"), program, "-f", flag,
                                         self.conf], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        lab.parts.append(self)
        wait_for(program, lambda: self.process.poll() is not None or self.answers())
        assert self.process.poll() is None, open(self.log.name).read()

    def answers(self):
        try:
            Client(self.path).close()
            return True
        except OSError:
            return False

    def client(self, **kw):
        c = Client(self.path)
        c.connect(**kw)
        return c

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(2)  # it would wait for its clients
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def opendkim_verifier(lab, name="opendkim-verify"):
    return Milter(lab, name, "/usr/sbin/opendkim", [
        "Mode v", "AuthservID opendkim.test", "AlwaysAddARHeader yes", "ResolverConfiguration %(dir)s/unbound.conf", "MinimumKeyBits 1024", "MaximumSignaturesToVerify 50",
        "On-Default accept", "On-Security accept", "InternalHosts csl:192.0.2.255", "MaximumHeaders 0", "RequireSafeKeys no", "UserID root",
        "DNSTimeout 10", "AllowSHA1Only no", "ClockDrift 300"])


def opendkim_signer(lab, domain, keys, canonicalization="relaxed/relaxed", name="opendkim-sign", senders="*"):
    """Signs every message for `domain`; keys: (selector, PEM file, algorithm)."""
    folder = os.path.join(lab.dir, name + "-keys")
    os.makedirs(folder)
    with open(os.path.join(folder, "keys"), "w") as f:
        f.write("".join("k%d %s:%s:%s\n" % (i, domain, selector, path) for i, (selector, path) in enumerate(keys)))
    with open(os.path.join(folder, "signing"), "w") as f:
        f.write("".join("%s k%d\n" % (senders, i) for i in range(len(keys))))
    return Milter(lab, name, "/usr/sbin/opendkim", [
        "Mode s", "Canonicalization " + canonicalization, "KeyTable file:%s/keys" % folder, "SigningTable refile:%s/signing" % folder,
        "MultipleSignatures yes", "InternalHosts csl:0.0.0.0/0", "RequireSafeKeys no", "UserID root", "MaximumHeaders 0",
        "SignatureAlgorithm rsa-sha256", "OversignHeaders From", "ResolverConfiguration %(dir)s/unbound.conf"])


def opendmarc(lab, trusted, name="opendmarc"):
    """Judges by the Authentication-Results of `trusted`."""
    return Milter(lab, name, "/usr/sbin/opendmarc", [
        "AuthservID opendmarc.test", "TrustedAuthservIDs " + trusted, "PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat",
        "RejectFailures false", "IgnoreHosts /dev/null", "FailureReports false", "SPFSelfValidate false", "RequiredHeaders false", "UserID root"])
