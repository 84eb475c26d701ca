#!/usr/bin/env python3
"""Makes the table of what settings mean, in both languages, of docs/configuration.md and config_words.fr.
config_words.py OUT.c CONFIGURATION.md CONFIG_WORDS.fr"""
import json
import re
import sys

NOTHING = ("none", "nothing")
DEFAULTS_FR = {"the system's": "celui du système", "the root's": "celle de la racine", "any": "toutes",
               "`postmaster@` our domain": "postmaster@ notre domaine", "the domain of `from`": "le domaine de `from`"}


def plain(text, capital=False):
    """Without Markdown."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = text.replace("`", "").strip()
    return text[:1].upper() + text[1:] if capital else text


def names(cell):
    for quoted in re.findall(r"`([^`]*)`", cell):
        m = re.fullmatch(r"([a-z-]+) \{ (.*) \}", quoted)
        if m:
            yield from ((m[1], name) for name in m[2].split(", "))
        else:
            yield "", quoted


def defaults(cell, n):
    parts = [p.strip() for p in re.split(r",(?![^{]*\})", cell)]
    return parts if len(parts) == n else [cell.strip()] * n


def rows(path):
    """(names as written, [(section, name)], [default], meaning)"""
    with open(path) as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
            if line.startswith("| `") and len(cells) == 3:
                found = list(names(cells[0]))
                yield cells[0].replace("`", ""), found, defaults(cells[1], len(found)), cells[2]


def french(path):
    with open(path) as f:
        return dict(line.rstrip("\n").split(": ", 1) for line in f if ": " in line)


def c_string(text):
    return json.dumps(text, ensure_ascii=False)


def main(out, docs, fr):
    words = french(fr)
    with open(out, "w") as f:
        f.write('#include "app/config_words.h"\n\nconst struct config_word config_words[] = {\n')
        for key, found, default, meaning in rows(docs):
            for (section, name), d in zip(found, default):
                en = "" if d in NOTHING else plain(d)
                f.write("    {%s, %s, {%s, %s}, {%s, %s}},\n" % (
                    c_string(section), c_string(name), c_string(en), c_string(plain(DEFAULTS_FR.get(d, en))),
                    c_string(plain(meaning, True)), c_string(plain(words.get(key, meaning), True))))
        f.write("    {NULL, NULL, {NULL, NULL}, {NULL, NULL}},\n};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
