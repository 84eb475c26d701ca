"""A small internet on loopback for the black-box tests and ./demo: Knot DNS, Facteur servers, Postfix.

Every Lab takes a /24 of its own below 127.0.0.0/8, so labs can run side by side: the DNS is on .53, mail servers on
other addresses. As root the standard ports are used; otherwise the same numbers plus 10000. Nothing here knows how
Facteur works inside: it writes configuration files, runs the commands and speaks the protocols."""
import imaplib
import json
import os
import pathlib
import poplib
import random
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = os.environ.get("FACTEUR_BIN", str(ROOT / "build" / "facteur"))
SHARED = ROOT.parent / "shared"
IS_ROOT = os.geteuid() == 0
SHIFT = 0 if IS_ROOT else 10000
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}
SERVICES = list(PORTS)  # what a server listens for unless told otherwise
PORTS.update({"http": 80, "https": 443})
PORTS = {k: v + SHIFT for k, v in PORTS.items()}
DNS_PORT = 53 + SHIFT
SLOW = 4 if "asan" in BIN or "tsan" in BIN else 1  # sanitizers cost time
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")  # looking for leaks takes rights that the processes gave up
os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")


def wait_for(what, condition, seconds=20):
    """Polls until condition() gives something true, and returns that; fails the test at the deadline."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s in vain: %s" % (seconds * SLOW, what))
        time.sleep(0.01)


def port_open(ip, port):
    try:
        socket.create_connection((ip, port), timeout=1).close()
        return True
    except OSError:
        return False


class Dns:
    """Knot DNS that is authoritative for the root, so every name is either in `records` or does not exist.

    signed: the root is signed by Knot, and `anchor` is a file with its key, for validating resolvers. All names below "insecure."
    are in a zone without signatures that the root proves to have none; those below "bogus." in one that should have them."""
    OTHERS = ("insecure.", "bogus.")

    def __init__(self, folder, ip, port, signed=False):
        self.dir, self.ip, self.port, self.records, self.serial, self.process = folder, ip, port, {}, 0, None
        self.signed, self.anchor = signed, os.path.join(folder, "anchor.key") if signed else None
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self.conf = os.path.join(folder, "knot.conf")
        with open(self.conf, "w") as f:
            f.write("""server:
    listen: %s@%d
    rundir: %s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: %s/knot.log
    any: info
database:
    storage: %s
template:
  - id: default
    storage: %s
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: .
    file: root.zone
""" % (ip, port, folder, folder, folder, folder))
            if signed:
                f.write("    dnssec-signing: on\n    dnssec-policy: default\n")
                for other in self.OTHERS:
                    f.write("  - domain: %s\n    file: %szone\n" % (other, other))

    def zone_of(self, name):
        return next((z for z in self.OTHERS if self.signed and name.endswith("." + z)), ".")

    def zone(self, zone="."):
        # a signed zone's serial grows by signing also
        lines = ["$TTL 1", "%s SOA ns.lab.test. hostmaster.lab.test. %d 3600 600 86400 1" % (zone, self.serial * 1000),
                 "%s NS ns.lab.test." % zone]
        if zone == ".":
            lines.append("ns.lab.test. A %s" % self.ip)
            if self.signed:
                lines += ["insecure. NS ns.lab.test.", "bogus. NS ns.lab.test.", "bogus. DS 12345 13 2 " + "00" * 32]
        for name, records in self.records.items():
            if self.zone_of(name) == zone:
                lines += ["%s %s" % (name, r) for r in records]
        return "\n".join(lines) + "\n"

    def zones(self):
        return (".", *self.OTHERS) if self.signed else (".",)

    def write_anchor(self):
        def keys():
            r = subprocess.run(["kdig", "@" + self.ip, "-p", str(self.port), "+short", ".", "DNSKEY"], capture_output=True, text=True, timeout=20)
            return [line for line in r.stdout.splitlines() if line.startswith("257 ")]
        with open(self.anchor, "w") as f:
            f.write("".join(". IN DNSKEY %s\n" % k for k in wait_for("the root's key", keys)))

    def set(self, name, *records):
        """set("ici.test.", "MX 10 mx.ici.test.", 'TXT "..."'): replaces all of the name; none removes it."""
        if records:
            self.records[name] = list(records)
        else:
            self.records.pop(name, None)
        self.publish()

    def load(self, zone_text):
        """Zone-file lines with full names, as `facteur dns` prints them, beside what is there."""
        for line in zone_text.splitlines():
            line = line.strip()
            if line and line[0] not in ";$":
                name, rest = line.split(None, 1)
                rest = re.sub(r"^(\d+\s+)?(IN\s+)?", "", rest)
                known = self.records.setdefault(name, [])
                if rest not in known:
                    known.append(rest)
        self.publish()

    def publish(self):
        self.serial += 1
        for zone in self.zones():
            with open(os.path.join(self.dir, "root.zone" if zone == "." else zone + "zone"), "w") as f:
                f.write(self.zone(zone))
        if self.process:
            wait_for("knotd to load its zone again", self.reload, 30)

    def reload(self):
        """Knot refuses while it is still busy with the reload before: asked again until it has done it."""
        if self.process.poll() is not None:
            self.launch()
        r = subprocess.run(["knotc", "-c", self.conf, "-b", "-t", "10", "zone-reload", *self.zones()], capture_output=True, timeout=20)
        return r.returncode == 0

    def launch(self):
        """Debian's Knot 3.2.6 dies of SIGBUS in its first moments about once in a hundred starts (at times just after it has
        answered for the first time), so whoever waits for it looks whether it still lives and launches it again."""
        self.process = subprocess.Popen(["knotd", "-c", self.conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self):
        if self.process.poll() is not None:
            self.launch()
        r = subprocess.run(["knotc", "-c", self.conf, "-t", "10", "status"], capture_output=True, timeout=20)
        return r.returncode == 0 and port_open(self.ip, self.port)

    def start(self):
        self.publish()
        self.launch()
        wait_for("knotd on %s" % self.ip, self.answers, 30)
        if self.signed:
            self.write_anchor()

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class Facteur:
    """One server with a configuration of its own. `extra` is configuration text added at the end; `names` answers its
    questions in place of the lab's DNS."""
    being_killed = False  # set by tests that kill processes: one that starts meanwhile may give up and be started again

    def __init__(self, lab, name, ip, hostname, extra="", listen=None, binary=None, names=None):
        names = names or lab.dns
        self.lab, self.ip, self.hostname, self.process = lab, ip, hostname, None
        self.binary = binary or BIN
        self.dir = os.path.join(lab.dir, name)
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.conf = os.path.join(self.dir, "facteur.conf")
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        lab.certificate(os.path.join(self.dir, "cert.pem"), os.path.join(self.dir, "key.pem"), hostname)
        services = listen if listen is not None else SERVICES
        lines = ['hostname = "%s"' % hostname, 'data = "data"']
        if IS_ROOT:  # unprivileged users that every Debian has
            lines += ['user = "mail"', 'vault-user = "daemon"']
        lines.append("listen {")
        lines += ['    %s = "%s:%d"' % (s, ip, PORTS[s]) for s in services]
        lines += ["}", "tls {", '    certificate = "cert.pem"', '    key = "key.pem"', '    trust = "%s"' % lab.ca, "}",
                  "dns {", '    servers = {"%s:%d"}' % (names.ip, names.port),
                  *(['    trust-anchor = "%s"' % lab.dns.anchor] if lab.dns.signed else []), "}",
                  "outbound {", '    bind = "%s"' % ip, "    port = %d" % PORTS["smtp"], "}"]
        self.write("\n".join(lines) + "\n" + extra)

    def write(self, text):
        self.text = text
        with open(self.conf, "w") as f:
            f.write(text)

    def run(self, *args, stdin="", check=True):
        """A command; gives its standard output, or with check=False the whole result."""
        r = subprocess.run([self.binary, "-c", self.conf, *args], input=stdin, capture_output=True, text=True, timeout=60 * SLOW)
        if not check:
            return r
        if r.returncode != 0:
            raise AssertionError("facteur %s: exit %d: %s%s" % (" ".join(args), r.returncode, r.stdout, r.stderr))
        return r.stdout

    def json(self, *args):
        return json.loads(self.run(*args, "--json"))

    def account(self, address, password="secret"):
        self.run("domain", "add", address.split("@")[1], check=False)
        self.run("account", "add", address, stdin=password + "\n")
        return address

    def start(self, wrap=()):
        with open(self.log, "ab") as log:
            start = log.tell()
            self.process = subprocess.Popen([*wrap, self.binary, "-c", self.conf, "serve"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

        def ready():
            text = self.log_text()[start:]
            if self.process.poll() is not None:
                raise AssertionError("facteur serve ended with %s:\n%s" % (self.process.returncode, text[-3000:]))
            return re.search(r"\bready\b", text)
        wait_for("facteur ready", ready, 30)
        return self

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds=20, since=0):
        return wait_for("log line /%s/" % pattern, lambda: re.search(pattern, self.log_text()[since:]), seconds)

    def processes(self):
        """The pids of the parent and its children."""
        kids = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return [self.process.pid] + [int(k) for k in kids]

    def child(self, name):
        """The pid of "vault", "mta" or "access", by the name that the process gave itself: of the newest, as one that was
        replaced stays for a while."""
        found = []
        for pid in self.processes():
            try:
                with open("/proc/%d/stat" % pid) as f:
                    comm, rest = f.read().split("(", 1)[1].rsplit(")", 1)
                if name in comm:
                    found.append((int(rest.split()[19]), pid))  # when it was started
            except OSError:
                pass
        if found:
            return max(found)[1]
        raise AssertionError("no process %s" % name)

    def stop(self, number=signal.SIGTERM, seconds=30):
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("facteur did not stop within %g s" % (seconds * SLOW))
        self.process = None
        died = r"process\.died .*signal=(?!9\b).*" if self.being_killed else r"process\.died .*(?:status=|signal=(?!9\b)).*"
        faults = re.findall(died + r"|.*runtime error: .*|.*ERROR: \w+Sanitizer.*|WARNING: ThreadSanitizer.*", self.log_text())
        at = self.log_text().find(faults[0]) if faults else 0
        assert not faults, "%s\n%s" % (faults[0], self.log_text()[max(0, at - 4000):at + 2000])
        return code

    # --- clients of Python's own library ---
    def smtp(self, port="smtp", **kw):
        return smtplib.SMTP(self.ip, PORTS[port], local_hostname="client.example.test", timeout=20 * SLOW, **kw)

    def submission(self, user, password="secret"):
        s = smtplib.SMTP_SSL(self.ip, PORTS["submissions"], local_hostname="laptop.example.test", timeout=20 * SLOW,
                             context=self.lab.tls())
        s.login(user, password)
        return s

    def imap(self, user, password="secret", folder=None):
        m = imaplib.IMAP4_SSL(self.ip, PORTS["imaps"], ssl_context=self.lab.tls(), timeout=20 * SLOW)
        m.login(user, password)
        if folder:
            status, data = m.select(folder)
            assert status == "OK", data
        return m

    def pop3(self, user, password="secret"):
        p = poplib.POP3_SSL(self.ip, PORTS["pop3s"], context=self.lab.tls(), timeout=20 * SLOW)
        p.user(user)
        p.pass_(password)
        return p

    def send(self, sender, recipients, message, **kw):
        """As a foreign server on port 25. recipients: one or a list; message: bytes or str with any line ends."""
        if isinstance(message, str):
            message = message.encode()
        message = re.sub(rb"\r?\n", b"\r\n", message)
        with self.smtp() as s:
            return s.sendmail(sender, recipients, message, **kw)

    def messages(self, user, folder="INBOX", password="secret"):
        """Every message of the folder, as bytes, by UID."""
        m = self.imap(user, password)
        try:
            if m.select('"%s"' % folder, readonly=True)[0] != "OK":
                return []
            status, data = m.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return [d[1] for d in data if isinstance(d, tuple)]
        finally:
            m.logout()

    def wait_messages(self, user, n=1, folder="INBOX", seconds=20, password="secret"):
        found = []

        def enough():
            found[:] = self.messages(user, folder, password)
            return len(found) >= n
        wait_for("%d message(s) in %s of %s" % (n, folder, user), enough, seconds)
        return found


class Postfix:
    """A foreign mail server (root only): takes mail for its users into maildirs; sends through the lab's DNS."""

    def __init__(self, lab, name, ip, hostname, domains, settings=(), users=("paul", "petra", "sink")):
        self.lab, self.ip, self.hostname, self.domains, self.running = lab, ip, hostname, domains, False
        self.dir = os.path.join(lab.dir, name)
        self.etc = os.path.join(self.dir, "etc")
        for d in ("etc", "queue", "data", "mail"):
            os.makedirs(os.path.join(self.dir, d))
        os.chmod(self.dir, 0o755)
        shutil.chown(os.path.join(self.dir, "data"), "postfix")
        os.chown(os.path.join(self.dir, "mail"), 5000, 5000)
        lab.certificate(os.path.join(self.etc, "cert.pem"), os.path.join(self.etc, "key.pem"), hostname)
        shutil.copy("/usr/share/postfix/master.cf.dist", os.path.join(self.etc, "master.cf"))
        with open(os.path.join(self.etc, "mailboxes"), "w") as f:
            f.write("".join("%s@%s %s/%s/\n" % (u, d, d, u) for d in domains for u in users))
        with open(os.path.join(self.etc, "main.cf"), "w") as f:
            f.write("\n".join([
                "compatibility_level = 3.6", "queue_directory = %s/queue" % self.dir, "data_directory = %s/data" % self.dir,
                "command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin", "meta_directory = /etc/postfix",
                "mail_owner = postfix", "setgid_group = postdrop", "myhostname = %s" % hostname, "mydestination =",
                "inet_interfaces = 127.0.0.1", "smtp_bind_address = %s" % ip, "inet_protocols = ipv4", "mynetworks = %s/32" % ip,
                "maillog_file = %s/mail.log" % self.dir, "maillog_file_prefixes = /var, /tmp", "biff = no",
                "smtp_tls_security_level = may", "smtpd_tls_security_level = may",
                "smtpd_tls_cert_file = %s/cert.pem" % self.etc, "smtpd_tls_key_file = %s/key.pem" % self.etc,
                "virtual_mailbox_domains = %s" % ", ".join(domains), "virtual_mailbox_base = %s/mail" % self.dir,
                "recipient_delimiter = +", "virtual_mailbox_maps = texthash:%s/mailboxes" % self.etc, "virtual_minimum_uid = 1000",
                "virtual_uid_maps = static:5000", "virtual_gid_maps = static:5000", "minimal_backoff_time = 2s",
                "maximal_backoff_time = 4s", "queue_run_delay = 2s", *settings]) + "\n")
        endpoint = "%s:25/inet" % ip  # inet_interfaces takes only addresses that an interface lists
        for change in (["-M", "-X", "smtp/inet"], ["-M", "%s=%s:25 inet n - n - - smtpd" % (endpoint, ip)], ["-F", "*/*/chroot=n"]):
            subprocess.run(["postconf", "-c", self.etc, *change], check=True, capture_output=True)
        with open(os.path.join(self.dir, "resolv.conf"), "w") as f:
            f.write("nameserver %s\n" % lab.dns.ip)

    def in_dns(self, *cmd, **kw):
        """Runs a command with the lab's DNS as its resolver, in a mount namespace of its own."""
        shell = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        kw.setdefault("timeout", 60)
        return subprocess.run(["unshare", "-m", "sh", "-c", shell, os.path.join(self.dir, "resolv.conf"), *cmd], **kw)

    def start(self):
        with open(os.path.join(self.dir, "start.log"), "w") as log:
            self.in_dns("postfix", "-c", self.etc, "start", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running = True
        wait_for("postfix on %s" % self.ip, lambda: port_open(self.ip, 25))
        return self

    def stop(self):
        if self.running:
            subprocess.run(["postfix", "-c", self.etc, "stop"], capture_output=True, timeout=60)
            self.running = False

    def log_text(self):
        try:
            with open(os.path.join(self.dir, "mail.log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def messages(self, address):
        user, domain = address.split("@")
        out = []
        for sub in ("new", "cur"):
            folder = os.path.join(self.dir, "mail", domain, user, sub)
            if os.path.isdir(folder):
                for name in sorted(os.listdir(folder)):
                    with open(os.path.join(folder, name), "rb") as f:
                        out.append(f.read())
        return out

    def sendmail(self, sender, recipients, message):
        if isinstance(message, str):
            message = message.encode()
        r = self.in_dns("sendmail", "-C", self.etc, "-f", sender, "-i", *recipients, input=message, capture_output=True)
        assert r.returncode == 0, r.stderr


class Lab:
    """fixed: (net, DNS address, DNS port) instead of a /24 of its own, for ./demo. signed: as Dns has it."""

    def __init__(self, keep=False, fixed=None, signed=False):
        self.dir = tempfile.mkdtemp(prefix="facteur-lab-")
        os.chmod(self.dir, 0o755)
        self.keep, self.parts, self.last_ip = keep, [], 1
        self.marker = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.net, dns_ip, dns_port = fixed or self.own_net()
        self.ca = os.path.join(self.dir, "ca.pem")
        self.ca_key = os.path.join(self.dir, "ca.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                     "/CN=Lab CA", "-keyout", self.ca_key, "-out", self.ca)
        self.dns = Dns(os.path.join(self.dir, "dns"), dns_ip, dns_port, signed)
        self.parts.append(self.dns)
        self.dns.start()

    def own_net(self):
        """Whoever can bind a net's marker owns it."""
        for _ in range(100):
            net = "127.%d.%d." % (random.randint(16, 250), random.randint(1, 250))
            try:
                self.marker.bind((net + "254", 9999))
                return net, net + "53", DNS_PORT
            except OSError:
                pass
        raise AssertionError("no free /24 below 127.0.0.0/8")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)

    def certificate(self, cert, key, *names, kind="ec"):
        """Signed by the lab's authority, which every server of the lab trusts."""
        algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
        csr, ext = cert + ".csr", cert + ".ext"
        self.openssl("req", "-newkey", *algorithm, "-nodes", "-subj", "/CN=" + names[0], "-keyout", key, "-out", csr)
        with open(ext, "w") as f:
            f.write("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\n")
        self.openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", "20", "-extfile",
                     ext, "-out", cert)
        os.remove(csr)
        os.remove(ext)
        os.chmod(key, 0o600)

    def tls(self):
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = False  # clients here dial by address
        return context

    def ip(self):
        self.last_ip += 1
        return self.net + str(self.last_ip)

    def domain(self, domain, hostname, ip):
        """MX and A records as a first set-up has them."""
        self.dns.records.setdefault(hostname + ".", []).append("A " + ip)
        self.dns.set(domain + ".", "MX 10 %s." % hostname)

    def facteur(self, domain, extra="", accounts=(), start=True, fresh=True, **kw):
        """A server for one domain; its accounts have the password "secret". Not fresh: without any data, the domain included."""
        ip = self.ip()
        hostname = "mx." + domain
        self.domain(domain, hostname, ip)
        server = Facteur(self, domain, ip, hostname, extra, **kw)
        self.parts.append(server)
        if fresh:
            server.run("domain", "add", domain)
        for a in accounts:
            server.account("%s@%s" % (a, domain))
        return server.start() if start else server

    def postfix(self, domain, **kw):
        ip = self.ip()
        hostname = "mx." + domain
        self.domain(domain, hostname, ip)
        server = Postfix(self, domain, ip, hostname, [domain], **kw)
        self.parts.append(server)
        return server.start()

    def close(self):
        error = None
        for part in reversed(self.parts):
            try:
                part.stop()
            except Exception as e:  # every part gets its turn
                error = error or e
        self.marker.close()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        if error:
            raise error
