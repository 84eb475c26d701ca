"""`facteur quickstart` in a folder of its own, without changes to the system."""
import http.client
import json
import os
import re
import subprocess

import lab as lab_module


def test_quickstart_gives_a_server_that_runs(lab):
    folder = os.path.join(lab.dir, "quick")
    conf, ip = os.path.join(folder, "etc", "facteur.conf"), lab.ip()
    run = [lab_module.BIN, "-c", conf]
    r = subprocess.run([*run, "quickstart", "--no-system", "--listen", ip, "--data", os.path.join(folder, "data"), "olga@vite.test"],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert "vite.test. 3600 IN MX 10 mx.vite.test." in r.stdout
    password = re.search(r"shown only now:\n\n    (\S+)\n", r.stdout).group(1)
    assert os.stat(os.path.join(folder, "etc", "tls", "key.pem")).st_mode & 0o077 == 0
    assert subprocess.run([*run, "config", "check"], timeout=20).returncode == 0
    with open(conf) as f:  # what it offers is right, too
        offered = re.sub(r"^#(?=    http)|^# (?=acme|    |\})", "", f.read(), flags=re.M)
    assert "\n    https " in offered and "\nacme {" in offered
    with open(conf + ".offered", "w") as f:
        f.write(offered)
    told = subprocess.run([lab_module.BIN, "-c", conf + ".offered", "config", "check"], capture_output=True, text=True, timeout=20)
    assert told.returncode == 0, told.stderr
    assert "operator" in subprocess.run([*run, "account", "list"], capture_output=True, text=True, timeout=20).stdout

    again = subprocess.run([*run, "quickstart", "olga@vite.test"], capture_output=True, text=True, timeout=20)
    assert again.returncode == 1 and "is there already" in again.stderr

    server = lab_module.Facteur.__new__(lab_module.Facteur)
    server.lab, server.ip, server.dir, server.conf, server.binary = lab, ip, folder, conf, lab_module.BIN
    server.log, server.process = os.path.join(folder, "log"), None
    server.start()
    lab.parts.append(server)
    lab.tls = no_check  # its certificate is signed by itself
    # the link opens the pages once
    link = re.search(r"https://mx\.vite\.test(:\d+)?/admin/#/link/(\S+)\n", r.stdout)
    again = json.loads(subprocess.run([*run, "account", "link", "olga@vite.test", "--json"], capture_output=True, text=True, timeout=20).stdout)
    tokens = {"new": again["link"].split("/")[-1], "old": link.group(2)}

    def use(token):
        c = http.client.HTTPSConnection(ip, int((link.group(1) or ":443")[1:]), timeout=20, context=no_check())
        c.request("POST", "/admin/api/session/link", json.dumps({"token": token}), {"Content-Type": "application/json", "Host": "mx.vite.test"})
        return c.getresponse().status
    assert [use(tokens["old"]), use("x"), use(tokens["new"]), use(tokens["new"])] == [401, 401, 200, 401]
    m = server.imap("olga@vite.test", password)
    assert m.select("INBOX")[0] == "OK"
    m.logout()
    server.stop()


def no_check():
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_quickstart_wants_an_address():
    for bad in ([], ["olga"], ["olga@"], ["@vite.test"], ["--what", "olga@vite.test"]):
        r = subprocess.run([lab_module.BIN, "-c", "/nonexistent/facteur.conf", "quickstart", *bad], capture_output=True, timeout=20)
        assert r.returncode == 2
