"""The four processes of `facteur serve`: rights, crashes, reload, stop."""
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import lab as lab_module
from lab import PORTS, wait_for

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def reload(server):
    since = len(server.log_text())
    server.process.send_signal(signal.SIGHUP)
    for name in ("mta", "access"):
        server.wait_log(r"process\.reloaded name=%s" % name, since=since)


def peer_certificate(server, port="imaps"):
    with socket.create_connection((server.ip, PORTS[port]), timeout=10) as s:
        with server.lab.tls().wrap_socket(s) as t:
            return t.getpeercert(binary_form=True)


@root_only
def test_children_gave_up_their_rights(ici):
    for name, uid in (("vault", "1"), ("mta", "8"), ("access", "8")):  # daemon, mail
        s = status(ici.child(name))
        assert s["Uid"].split() == [uid] * 4, name
        assert "0" not in s["Groups"].split()
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", name
        assert int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0, name


@root_only
def test_passwords_and_keys_are_the_vaults_alone(ici):
    db = os.path.join(ici.data, "vault", "vault.db")
    assert os.stat(db).st_uid == 1 and os.stat(db).st_mode & 0o077 == 0
    assert os.stat(os.path.dirname(db)).st_mode & 0o077 == 0
    r = subprocess.run(["setpriv", "--reuid=8", "--regid=8", "--clear-groups", "cat", db], capture_output=True)
    assert r.returncode != 0
    for name in ("mta", "access"):
        pid = ici.child(name)
        opened = [os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)]
        assert not [o for o in opened if "vault.db" in o or o.endswith(".pem")], name


def test_vault_has_no_network(ici):
    pid = ici.child("vault")
    inodes = {os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open("/proc/net/" + table) as f:
            for line in f.readlines()[1:]:
                assert "socket:[%s]" % line.split()[9] not in inodes


def test_a_killed_child_comes_back(ici):
    for name, probe in (("vault", lambda: ici.imap("anne@ici.test").logout()),
                        ("mta", lambda: ici.send("a@labas.test", "anne@ici.test", "Subject: after\n\nx\n")),
                        ("access", lambda: ici.pop3("anne@ici.test").quit())):
        pid, since = ici.child(name), len(ici.log_text())
        os.kill(pid, signal.SIGKILL)
        ici.wait_log(r"process\.died name=%s signal=9" % name, since=since)
        ici.wait_log(r"process\.ready name=%s" % name, since=since)
        assert ici.child(name) != pid
        probe()


def test_a_killed_vault_does_not_end_sessions(ici):
    m = ici.imap("anne@ici.test", folder="INBOX")
    since = len(ici.log_text())
    os.kill(ici.child("vault"), signal.SIGKILL)
    ici.imap("bob@ici.test").logout()  # waits for the new one
    ici.wait_log(r"process\.ready name=vault", since=since)
    assert m.noop()[0] == "OK"
    m.logout()


def test_delivery_reaches_idle_after_mta_and_access_restarted(ici):
    """The bus between the two is made anew."""
    for name in ("mta", "access"):
        since = len(ici.log_text())
        os.kill(ici.child(name), signal.SIGKILL)
        ici.wait_log(r"process\.ready name=%s" % name, since=since)
    m = ici.imap("carol@ici.test", folder="INBOX")
    m.send(b"i IDLE\r\n")
    assert m.readline().startswith(b"+")
    sent = time.monotonic()
    ici.send("a@labas.test", "carol@ici.test", "Subject: bus\n\nx\n")
    while b"EXISTS" not in m.readline():
        pass
    assert time.monotonic() - sent < 5 * lab_module.SLOW
    m.send(b"DONE\r\n")
    while not m.readline().startswith(b"i OK"):
        pass
    m.logout()


def test_reload_keeps_connections_and_takes_new_certificates(ici):
    m = ici.imap("anne@ici.test", folder="INBOX")
    s = ici.smtp()
    s.ehlo()
    before = peer_certificate(ici)
    ici.lab.certificate(os.path.join(ici.dir, "cert.pem"), os.path.join(ici.dir, "key.pem"), ici.hostname)
    reload(ici)
    assert peer_certificate(ici) != before
    assert peer_certificate(ici, "submissions") != before
    assert m.noop()[0] == "OK"
    assert s.mail("a@labas.test")[0] == 250
    s.starttls(context=ici.lab.tls())  # also an old session gets the new key
    s.quit()
    m.logout()
    ici.imap("anne@ici.test").logout()
    wait_for("the old vault to end", lambda: len(ici.processes()) == 4)


def test_reload_with_a_mistake_changes_nothing(ici):
    text, since = ici.text, len(ici.log_text())
    ici.write(text + "lisen { }\n")
    ici.process.send_signal(signal.SIGHUP)
    ici.wait_log(r"config\.mistake .*no such option 'lisen'", since=since)
    ici.wait_log(r"reload\.failed", since=since)
    ici.imap("anne@ici.test").logout()
    ici.write(text)
    since = len(ici.log_text())
    os.rename(os.path.join(ici.dir, "key.pem"), os.path.join(ici.dir, "key.away"))
    ici.process.send_signal(signal.SIGHUP)
    ici.wait_log(r"reload\.failed", since=since)
    os.rename(os.path.join(ici.dir, "key.away"), os.path.join(ici.dir, "key.pem"))
    ici.imap("anne@ici.test").logout()
    ici.send("a@labas.test", "anne@ici.test", "Subject: still\n\nx\n")


def test_reload_binds_and_leaves_listeners(ici):
    text, other = ici.text, ici.lab.ip()
    old, new = '    pop3 = "%s:%d"' % (ici.ip, PORTS["pop3"]), '    pop3 = "%s:%d"' % (other, PORTS["pop3"])
    for conf, good, bad in ((text.replace(old, new), other, ici.ip), (text, ici.ip, other)):
        ici.write(conf)
        reload(ici)
        wait_for("the new listener", lambda: lab_module.port_open(good, PORTS["pop3"]))
        wait_for("the old listener to go", lambda: not lab_module.port_open(bad, PORTS["pop3"]))


def test_limits_of_a_reload_hold_for_new_sessions(ici):
    text = ici.text
    ici.write(text + "limits { message-size = 64kb }\n")
    reload(ici)
    with ici.smtp() as s:
        s.ehlo()
        assert s.esmtp_features["size"] == "65536"
    ici.write(text)
    reload(ici)


@pytest.fixture
def fresh(lab, request):
    domain = request.node.name.replace("_", "-")[:40].rstrip("-") + ".test"
    made = lab.facteur(domain, accounts=("vera",))
    made.vera = "vera@" + domain
    yield made
    if made.process:
        made.stop()


def test_stop_finishes_what_is_under_way(fresh):
    s = fresh.smtp()
    s.ehlo()
    s.mail("a@labas.test")
    s.rcpt(fresh.vera)
    assert s.docmd("DATA")[0] == 354
    fresh.process.send_signal(signal.SIGTERM)
    fresh.wait_log(r"parent stopping")
    s.send(b"Subject: last\r\n\r\nx\r\n.\r\n")
    code, text = s.getreply()
    assert code == 250, text
    assert fresh.process.wait(30) == 0
    fresh.process = None
    fresh.start()
    assert len(fresh.wait_messages(fresh.vera)) == 1


def test_stop_says_goodbye_to_idle_sessions(fresh):
    m = fresh.imap(fresh.vera, folder="INBOX")
    s = fresh.smtp()
    s.ehlo()
    fresh.process.send_signal(signal.SIGTERM)
    assert b"BYE" in m.readline()
    assert s.getreply()[0] == 421
    assert fresh.process.wait(30) == 0
    fresh.process = None


def test_children_of_a_killed_parent_end_and_the_next_server_waits(fresh):
    kids = fresh.processes()[1:]
    assert len(kids) == 3
    s = fresh.smtp()
    s.ehlo()
    s.mail("a@labas.test")
    s.rcpt(fresh.vera)
    assert s.docmd("DATA")[0] == 354  # keeps mta busy
    fresh.process.kill()
    fresh.process.wait()
    starter = threading.Thread(target=fresh.start)
    starter.start()
    s.send(b"Subject: orphan\r\n\r\nx\r\n.\r\n")
    assert s.getreply()[0] == 250
    starter.join(40)
    assert not starter.is_alive()
    assert not [k for k in kids if alive(k)]
    assert len(fresh.wait_messages(fresh.vera)) == 1


def test_two_servers_do_not_share_data(fresh):
    r = subprocess.run([fresh.binary, "-c", fresh.conf, "serve"], capture_output=True, text=True, timeout=40)
    assert r.returncode == 1
    assert "another server is using" in r.stderr


def test_a_wrong_key_stops_the_start(lab):
    f = lab.facteur("faux.test", start=False)
    lab.certificate(os.path.join(f.dir, "other.pem"), os.path.join(f.dir, "key.pem"), f.hostname)
    r = subprocess.run([f.binary, "-c", f.conf, "serve"], capture_output=True, text=True, timeout=40)
    assert r.returncode == 1
    assert re.search(r"tls\.failed .*is not that of the certificate", r.stderr)


def test_config_check_names_every_mistake(ici):
    conf = os.path.join(ici.dir, "wrong.conf")
    with open(conf, "w") as f:
        f.write('hostname = "mx.ici.test"\nlisen {\n}\nlimits {\n    workers = many\n}\n')
    r = subprocess.run([ici.binary, "-c", conf, "config", "check"], capture_output=True, text=True)
    assert r.returncode == 1
    assert "%s:2: no such option 'lisen'" % conf in r.stderr
    assert "%s:5: 'workers' must be a number" % conf in r.stderr
    assert ici.run("config", "check").strip().endswith("no mistakes")


def test_guessing_is_slowed_then_refused_from_there_only(fresh):
    """A password tried too often from one address; the owner elsewhere gets in."""
    def attempt(source, password):
        with socket.create_connection((fresh.ip, PORTS["imaps"]), timeout=30, source_address=(source, 0)) as raw:
            with fresh.lab.tls().wrap_socket(raw) as t:
                t.recv(1000)
                t.sendall(b"a LOGIN %s %s\r\n" % (fresh.vera.encode(), password))
                return t.recv(1000)
    bad, good = fresh.lab.ip(), fresh.lab.ip()
    for i in range(12):
        answer = attempt(bad, b"guess%d" % i)
        if b"LIMIT" in answer or b"BYE" in answer:
            break
    assert b"OK" not in attempt(bad, b"secret").split(b"\r\n")[0]  # not even the right one
    assert b"a OK" in attempt(good, b"secret")
