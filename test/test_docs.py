"""What the documentation says of the program is so: commands, settings, log events, files and tests that it names."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from lab import BIN, ROOT


def text(name):
    with open(ROOT / name) as f:
        return f.read()


def sources(pattern):
    return {p: text(p) for p in (os.path.relpath(p, ROOT) for p in glob.glob(str(ROOT / pattern)))}


def facteur(*args):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=20)


def commands():
    return re.findall(r"^  (\w+) +\S", facteur("help").stdout, re.M)


def test_help_and_man_page_agree():
    page = re.sub(r"\s+", " ", re.sub(r"^\.(It Ic|It Fl) ", "", text("docs/facteur.1"), flags=re.M))
    assert len(commands()) > 10
    for c in commands():
        told = facteur("help", c)
        assert told.returncode == 0 and told.stdout == facteur(c, "--help").stdout
        for form in re.findall(r"^  facteur \[-c FILE\] (.*)$", told.stdout, re.M):
            words = form.split()
            verb = " ".join(w for w in words[:2] if re.fullmatch("[a-z]+", w))
            assert verb in page, "%s is not in facteur.1" % verb
            for option in re.findall(r"--([a-z-]+)", form):
                assert "Fl -" + option in page, "--%s of %s is not in facteur.1" % (option, verb)


@pytest.mark.skipif(not shutil.which("man"), reason="no man here")
def test_man_page_is_well_formed():
    r = subprocess.run(["man", "--warnings", "-l", str(ROOT / "docs" / "facteur.1")], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stderr == ""


def test_commands_of_the_pages_exist():
    known = set(commands())
    for name, page in sources("docs/*.md").items():
        for c in re.findall(r"(?:^    (?:sudo )?|`(?:sudo )?)facteur ([a-z]+)\b", page, re.M):
            assert c in known, "%s: there is no facteur %s" % (name, c)


def test_links_lead_somewhere():
    for name, page in {**sources("*.md"), **sources("docs/*.md")}.items():
        for to in re.findall(r"\]\(([^)#:]+)\)", page):
            assert os.path.exists(ROOT / os.path.dirname(name) / to), "%s: %s" % (name, to)


def test_every_log_event_is_told():
    told = set(re.findall(r"`([a-z0-9_.]+)`", text("docs/log.md")))
    for name, code in sources("src/*/*.c").items():
        if not name.endswith(("_test.c", "_fuzz.c")):
            for event in re.findall(r'\blog_(?:info|warn|error)\(\s*"([^"]+)"', code):
                assert event in told, "%s logs %s, which docs/log.md does not know" % (name, event)


def test_every_setting_is_told():
    page, sample = text("docs/configuration.md"), text("share/facteur.conf")
    settings = re.findall(r'^    \{"([a-z]*)", "([a-z-]+)", KIND_', text("src/app/config.c"), re.M)
    assert len(settings) > 20
    for section, name in settings:
        if name != "sieve":  # of a later version
            assert re.search(r"`[^`]*\b%s\b[^`]*`" % name, page), "docs/configuration.md does not tell %s %s" % (section, name)
            if name not in ("store", "blobs"):  # of which there is one choice
                assert re.search(r"\b%s +=" % name, sample), "share/facteur.conf does not show %s %s" % (section, name)


def test_sample_configuration_is_right(tmp_path):
    sample = text("share/facteur.conf")
    everything = re.sub(r"^# (?=[a-z} ])", "", "\n".join(sample.split("\n")[2:]), flags=re.M)
    everything = re.sub(r"^( +)# (?=trust)", r"\1", everything, flags=re.M)
    assert "\nrelay {" in everything and "\nproxy-from = " in everything and "    trust " in everything
    for i, content in enumerate((sample, everything)):
        path = tmp_path / ("%d.conf" % i)
        path.write_text(content)
        r = facteur("-c", str(path), "config", "check")
        assert r.returncode == 0, r.stderr


def test_table_of_standards_names_what_there_is():
    tests = "".join({**sources("src/*/*_test.c"), **sources("test/*.py")}.values())
    for line in text("docs/rfc.md").split("\n"):
        for path in re.findall(r"\b([a-z0-9]+/[a-z0-9_]+\.(?:c|h|py))\b", line):
            assert os.path.exists(ROOT / path if path.startswith("test/") else ROOT / "src" / path), path
        for name in re.findall(r"`([a-z0-9_]{5,})`", line):
            assert re.search(r"\b%s\b" % name, tests), "no test is called %s" % name


def test_settings_are_explained_in_french():
    """src/app/config_words.fr has a line for each row of docs/configuration.md."""
    rows = [line.strip("| ").split(" | ")[0].replace("`", "") for line in text("docs/configuration.md").splitlines() if line.startswith("| `")]
    french = [line.split(": ", 1)[0] for line in text("src/app/config_words.fr").splitlines()]
    assert len(rows) > 40 and set(rows) == set(french)


def test_every_change_in_the_audit_trail_has_words():
    source = "".join([*sources("src/app/*.c").values(), *sources("src/web/api_*.c").values()])
    calls = re.findall(r"\b(?:noted|noted_change|api_audit|api_audit_change)\((?:app|a->app|c), ([^;]*);", source)
    kinds = {k for c in calls for k in re.findall(r'"([a-z-]+\.[a-z_-]+)"', c.split("view_str")[0])}
    assert len(kinds) > 30
    for lang in ("en", "fr"):
        words = json.loads(text("ui/src/lang/%s.json" % lang))
        assert not [k for k in kinds if "did." + k not in words]
