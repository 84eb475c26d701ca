"""What ./demo runs once everything is installed and built."""
import email
import email.policy
import json
import os
import re
import signal
import smtplib
import sys
import time

import demo_reports
import lab as lab_module
from lab import IS_ROOT, PORTS, SERVICES, SHIFT

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text=""):
    print(text, flush=True)


def show(message):
    """The letter's way, read from what the servers wrote into it."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    say("%s%s%s, from %s to %s" % (BOLD, parsed["Subject"], PLAIN, parsed["From"], parsed["To"]))
    for i, hop in enumerate(reversed(parsed.get_all("Received")), 1):
        hop = re.sub(r"\s+", " ", str(hop))
        say("  hop %d: %s" % (i, hop))
        tls = re.search(r"TLSv1\.\d with cipher \S+", hop)
        say("         encrypted: %s" % (tls.group() if tls else "no"))
    say("  envelope sender: %s" % parsed["Return-Path"])
    for field in parsed.get_all("DKIM-Signature", []):
        tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s+", "", str(field))))
        say("  signed by %s with %s (key %s)" % (tags["d"], tags["a"], tags["s"]))
    for field in parsed.get_all("Authentication-Results", []):
        found = re.findall(r";\s*(\w+)=(\w+)", str(field))
        say("  what %s found at its door: %s" % (str(field).split(";")[0].strip(), ", ".join("%s=%s" % f for f in found)))


def judge(server, message, ip, helo, mail_from):
    """What `facteur check` says of a message that came from there."""
    path = os.path.join(server.dir, "letter.eml")
    with open(path, "wb") as f:
        f.write(message)
    verdict = json.loads(server.run("check", path, "--ip", ip, "--helo", helo, "--mail-from", mail_from, "--json"))
    for name in ("spf", "dkim", "dmarc"):
        found = verdict.get(name) or []
        for one in found if isinstance(found, list) else [found]:
            say("  %s: %s (%s)" % (name.upper(), one["result"], one["reason"]))


PEOPLE = (("anne", "operator", "sees and changes everything"), ("claire", "owner", "looks after ici.test"), ("emil", "user", "sees their own pages"))


def letter(sender, recipient, subject):
    return "From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nBonjour!\r\n" % (sender, recipient, subject)


def servers(lab, **kw):
    """ici.test and labas.test, with all their records in the DNS."""
    made = [lab.facteur(domain, accounts=(name,), start=False, listen=SERVICES + ["http", "https"], **kw)
            for domain, name in (("ici.test", "anne"), ("labas.test", "bert"))]
    for server in made:
        domain = server.hostname[3:]
        lab.certificate(os.path.join(server.dir, "cert.pem"), os.path.join(server.dir, "key.pem"), server.hostname, "mta-sts." + domain)
        server.start()
        lab.dns.load(server.run("dns", domain))
        lab.dns.set(".".join(reversed(server.ip.split("."))) + ".in-addr.arpa.", "PTR %s." % server.hostname)
    return made


def fill(lab, ici, labas):
    """Mail of all kinds, so that the pages have something to show."""
    for name, role, _ in PEOPLE:
        if name != "anne":
            ici.account(name + "@ici.test")
        ici.run("account", "role", name + "@ici.test", role)
    ici.run("alias", "add", "info@ici.test", "claire@ici.test")
    ici.run("alias", "add", "team@ici.test", "anne@ici.test", "claire@ici.test", "emil@ici.test")
    lab.domain("deaf.test", "mx.deaf.test", lab.net + "200")  # where nobody listens
    with labas.submission("bert@labas.test") as s:
        for recipient, subject in (("team@ici.test", "Minutes of Tuesday"), ("info@ici.test", "A question"), ("anne@ici.test", "Photos"),
                                   ("emil@ici.test", "Apples")):
            s.sendmail("bert@labas.test", [recipient], letter("bert@labas.test", recipient, subject))
    with ici.submission("emil@ici.test") as s:
        for recipient, subject in (("bert@labas.test", "Re: Apples"), ("office@deaf.test", "To a server that does not answer")):
            s.sendmail("emil@ici.test", [recipient], letter("emil@ici.test", recipient, subject))
    try:
        ici.send("anne@labas.test", ["anne@ici.test"], letter("ceo@ici.test", "anne@ici.test", "A forged letter"))
    except smtplib.SMTPException:
        pass  # refused at the door, as it should be
    ici.wait_messages("anne@ici.test", 2)
    m = ici.imap("anne@ici.test", folder="INBOX")
    m.store("1", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()


def main():
    once = "--once" in sys.argv[1:]
    say("%sA small internet on this machine%s" % (BOLD, PLAIN))
    lab = lab_module.Lab(fixed=("127.0.0.", "127.0.0.1", 5300 + SHIFT))
    try:
        ici, labas = servers(lab)
        for server in (ici, labas):
            say("  %s is served by %s at %s" % (server.hostname[3:], server.hostname, server.ip))
        say("  the DNS is Knot at %s:%d\n" % (lab.dns.ip, lab.dns.port))

        began = time.monotonic()
        with ici.submission("anne@ici.test") as s:
            s.sendmail("anne@ici.test", ["bert@labas.test"], (
                "From: Anne <anne@ici.test>\r\nTo: Bert <bert@labas.test>\r\nSubject: =?utf-8?q?Une_lettre_d=27ici?=\r\n\r\n"
                "Bonjour Bert,\r\n\r\nit works: handed in by submission, carried by SMTP, read by IMAP.\r\n\r\nAnne\r\n"))
        got = labas.wait_messages("bert@labas.test", seconds=30)[0]
        say("A letter went from ici.test to labas.test and was read back by IMAP in %.0f ms:" % ((time.monotonic() - began) * 1000))
        show(got)
        judge(labas, got, ici.ip, ici.hostname, "anne@ici.test")
        ici.run("account", "role", "anne@ici.test", "operator")
        say("\n%d reports of a made-up month were read in." % demo_reports.load(ici, "ici.test", "anne@ici.test", "secret"))
        if once:
            return 0

        fill(lab, ici, labas)
        say("\n%sTry it yourself%s (every password is: secret)" % (BOLD, PLAIN))
        say("  %sthe pages: http://%s%s/admin/%s" % (BOLD, ici.ip, ":%d" % PORTS["http"] if SHIFT else "", PLAIN))
        for name, role, does in PEOPLE:
            say("    %-16s %s: %s" % (name + "@ici.test", role, does))
        for server, user in ((ici, "anne@ici.test"), (labas, "bert@labas.test")):
            say("  %s: IMAP %s port %d (TLS), submission %s port %d (TLS), POP3 port %d (TLS)" % (
                user, server.ip, PORTS["imaps"], server.ip, PORTS["submissions"], PORTS["pop3s"]))
        say("  curl -k --user anne@ici.test:secret imaps://%s:%d/INBOX" % (ici.ip, PORTS["imaps"]))
        say("  %s -c %s queue list" % (os.path.relpath(lab_module.BIN), ici.conf))
        say("  the certificates are signed by %s" % lab.ca)
        say("  logs: %s and %s" % (ici.log, labas.log))
        if not IS_ROOT:
            say("  (ports are 10000 higher than usual, because this is not run as root)")
        say("\nServing until Ctrl-C.")
        try:
            signal.pause()
        except KeyboardInterrupt:
            say()
        return 0
    finally:
        say("stopping ...")
        lab.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main()
    except KeyboardInterrupt:
        code = 1
    except AssertionError as e:
        print("demo: %s" % e, file=sys.stderr)
        code = 1
    sys.exit(code)
