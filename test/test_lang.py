"""Sentences for people: each that the server makes has its French (base/lang). Sources alone; no server."""
import os
import re

import pytest

SRC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
STRING = r'"(?:[^"\\]|\\.)*"'


def literals(text):
    """Strings of C source, adjoining ones joined."""
    for run in re.findall(r'%s(?:\s*%s)*' % (STRING, STRING), text):
        joined = "".join(s[1:-1] for s in re.findall(STRING, run))
        raw = joined.encode().decode("unicode_escape") if "\\x" in joined else None
        yield raw.encode("latin-1").decode() if raw else joined.replace('\\"', '"')


def calls(text, names):
    """The arguments of each call of these functions."""
    for m in re.finditer(r'(?<![\w"])(?:%s)\(' % "|".join(names), text):
        depth, i, quoted = 1, m.end(), False
        while depth:
            c = text[i]
            if quoted and c == "\\":
                i += 1
            elif c == '"':
                quoted = not quoted
            elif not quoted:
                depth += (c == "(") - (c == ")")
            i += 1
        yield text[m.end():i - 1]


def is_sentence(text):
    plain = re.sub(r"%(?:\.\*)?[a-z]+", "", text)
    return " " in plain.strip() and re.search(r"[A-Za-z]{2}", plain)


TABLE = r"(?s)struct lang_pair \w+\[\] = \{(.*?)\{NULL, NULL\}"
WHY = r"\bwhy = (?:VIEW\()?[^;]*;"  # what a function gives as its reason
# folder, files with its sentences, functions that say them (None: all texts there), functions whose result is one, file of the pairs
AREAS = [("health", r"health.*\.c$", ["health_say", "health_say_repair", "health_progress"], ["fetch_repair"], "health/health_words.c"),
         ("app", r"alerts.*\.c$", ["alert_say", "lang_printf"], [], "app/alert_words.c"),
         ("queue", r"(route|route_tls|deliver|queue)\.c$", ["decide", "bar", "demand", "all_outcomes", "note_try", "arena_printf"], [], "trail/words.c"),
         ("smtp", r".*\.c$", ["client_say", "refuse_all", "refuse", "own_words", "give_up", "report", "refuse_sender", "reject_rcpt", "smtp_intake_refuse"],
          [], "trail/words.c"),
         ("policy", r"dane\.c$", ["arena_printf"], [], "trail/words.c"),
         ("mailauth", r"dkim(_signature|_body|_fields)?\.c$", None, [], "trail/words.c"),
         ("net", r"conn(_tls)?\.c$", [], ["handshake_error"], "trail/words.c"),
         ("dns", r"dns\.c$", [], [], "trail/words.c"),
         ("web", r"trail_json\.c$", ["lang_printf"], [], "web/trail_json.c")]


@pytest.mark.parametrize("folder,files,says,gives,words", AREAS, ids=[a[0] for a in AREAS])
def test_each_sentence_has_its_french(folder, files, says, gives, words):
    table = re.search(TABLE, open(os.path.join(SRC, words)).read()).group(1)
    pairs = list(literals(re.sub(r"(?s)/\*.*?\*/", ",", table)))
    assert len(pairs) % 2 == 0 and all(pairs), "each has two"
    english, french = pairs[0::2], pairs[1::2]
    assert len(set(english)) == len(english), [e for e in english if english.count(e) > 1]
    missing = []
    for name in sorted(os.listdir(os.path.join(SRC, folder))):
        if not re.match(files, name) or re.search(r"_(test|fuzz)\.c$", name):
            continue
        text = re.sub(TABLE, "", re.sub(r"(?s)/\*.*?\*/", "", open(os.path.join(SRC, folder, name)).read()))
        said = [text] if says is None else list(calls(text, says)) if says else []
        said += re.findall(r'#define \w+_REPAIR (.*)', text) + (re.findall(WHY, text) if words == "trail/words.c" else [])
        for give in gives:
            said += re.findall(r"(?sm)^[^\n;]*\b%s\([^;{]*\)\n\{(.*?)^\}" % give, text)
        missing += [s for part in said for s in literals(part) if is_sentence(s) and s not in english]
    assert not missing, "\n".join(missing)
