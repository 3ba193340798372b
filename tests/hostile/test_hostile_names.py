"""Names that somebody else chose stay names, in every format that a report is written in."""

import csv
import io
import json
import re
import sys
import unicodedata
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parent.parent / "render"))

from report_factory import HOSTILE, KINDS

from covscan.render import BINARY, DRAWN, FORMATS, render
from covscan.render.names import UNPRINTABLE

NAMES = [
    *HOSTILE,
    "<img src=x onerror=alert(1)>",
    "--><svg onload=alert(1)>",
    "&lt;script&gt;&#60;",
    "'\"></title><script>",
    "javascript:alert(1)",
    "${{ secrets.TOKEN }}",
    "##[error]x",
    "::error::x",
    " ::error title=x::y",
    "::debug",
    "a long name with words and then ::stop-commands::token and more words behind it that make it wrap",
    "\r::warning::x",
    "%0A::error::x%0D%25",
    "\x9b31m C1 \x90q\x9c",
    "\u2066\u202ea\u2069\u200b\u2028\u2029\ufeff",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "\t=1+1",
    "-2+3",
    "![image](http://example.org/x.png)",
    "<!-- \u0000 -->",
    "]]><![CDATA[",
    "\ud800 alone".encode("utf-8", "replace").decode(),
    "e\u0301" * 50,
    "x" * 5000,
]
TEXTS = ("site", "finding", "checkpoint", "note", "path", "reason")


def texts_replaced(value, name):
    """The report with ``name`` wherever it lets somebody else choose a text."""
    if isinstance(value, dict):
        return {key: name_for(key, each, name) for key, each in value.items()}
    if isinstance(value, list):
        return [texts_replaced(each, name) for each in value]
    return value


def name_for(key, value, name):
    if key in ("message", "reason", "path", "description", "source", "detail") and isinstance(value, str):
        return name
    if key == "notes" and isinstance(value, list):
        return [name]
    return texts_replaced(value, name)


def hostile_report(name):
    from covscan.report import from_json, to_json

    content = texts_replaced(json.loads(to_json(KINDS["hostile"]())), name)
    old = content["sites"][0]["site"]
    return from_json(json.dumps(content).replace(json.dumps(old), json.dumps(name)))


EVERYWHERE = [(form, name) for form in FORMATS if form not in DRAWN for name in NAMES]
# Drawing takes a second or two, and the page's own tests look at names in a browser.
EVERYWHERE += [(form, name) for form in sorted(DRAWN) for name in NAMES[::9]]


@pytest.mark.parametrize(("form", "name"), EVERYWHERE, ids=range(len(EVERYWHERE)))
def test_a_name_stays_a_name(form, name):
    text = render(hostile_report(name), form)
    if form in BINARY:
        assert text.startswith(b"\x89PNG")
        return
    moving = {c for c in text if unicodedata.category(c) in UNPRINTABLE} - {"\n", "\r", "\t"}
    assert form in ("json", "sarif") or not moving  # in JSON the name itself is a value
    assert form not in ("json", "sarif", "gitlab") or json.loads(text)
    CHECKS.get(form, lambda text: None)(text)


def github(text):
    for line in text.splitlines():
        assert re.match(r"::(error|warning|notice) [^:]*::|covscan: ", line), line
        assert "##[" not in line[:3]
    assert text.count("\n") == len(text.splitlines())


def plain(text):
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]


def table(text):
    assert "\r" not in text.replace("\r\n", "")
    for row in csv.reader(io.StringIO(text)):
        assert len(row) == 11
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number(cell)]


def is_number(cell):
    return re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", cell) is not None


def markdown(text):
    plain(text)
    outside = re.sub(r"(`+).*?\1", "", text)
    assert not re.search(r"<(script|img|svg|/td|!--)", outside, re.IGNORECASE)
    assert not re.search(r"(?<!\\)\]\(http", outside)


def junit(text):
    assert ET.fromstring(text) is not None
    assert not re.search(r"<(script|img|svg)\b", text)


def html(text):
    body = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(script|img|svg onload)|onerror=alert\(1\)>", body, re.IGNORECASE)


CHECKS = {"github": github, "text": plain, "csv": table, "markdown": markdown, "junit": junit, "html": html}


def test_layers_arrays_and_checkpoints_with_such_names(bench, covscan):
    """From the files to the text: the names stand in a network, its checkpoints, the data and the configuration."""
    name = "a\x1b[31m\n::error::b|`<script>"

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module(name, nn.Linear(3, 2))

        def forward(self, x):
            return getattr(self, name)(x)

    torch.save(Net().state_dict(), bench / "m\n::error::x.pt")
    (bench / "odd.py").write_text(
        f"from torch import nn\nclass Net(nn.Module):\n def __init__(self):\n  super().__init__()\n"
        f"  self.add_module({name!r}, nn.Linear(3, 2))\n def forward(self, x):\n  return getattr(self, {name!r})(x)\n",
        encoding="utf-8",
    )
    np.savez(bench / "odd.npz", **{"x": np.ones((8, 3), np.float32), "::error::\n y": np.zeros(8)})
    words = ["--model", "odd.py:Net", "--data", "odd.npz", "m\n::error::x.pt"]
    for form in sorted(set(FORMATS) - BINARY):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code, output, error = covscan("analyze", *words, "-f", form)
        assert code in (0, 2), error
        commands = [
            line
            for line in (output + error).splitlines()
            if line.startswith(("::error::b", "::error::x", "::error:: y"))
        ]
        assert not commands
        assert "\x1b[31m" not in output + error


@pytest.mark.parametrize("name", ["a\n::error::x", "\x1b[2J", "\u202ex"])
@pytest.mark.parametrize(
    "words",
    [
        lambda name: ["analyze", "--data", "sample.npz", name],
        lambda name: ["analyze", "--data", name, "m.pt"],
        lambda name: ["render", name],
        lambda name: ["check", "--report", name],
        lambda name: ["config", "--config", name],
        lambda name: ["rule", name],
        lambda name: ["analyze", "--model", name, "--data", "sample.npz", "m.pt"],
        lambda name: ["analyze", "--model", "nets.py:build", "--target", name, "--data", "sample.npz", "m.pt"],
        lambda name: ["analyze", f"--{name}"],
    ],
)
def test_errors_do_not_repeat_such_names_as_they_are(words, name, bench, refused):
    torch.save({"weight": torch.ones(1)}, bench / "m.pt")
    error = refused(*words(name))
    lines = error.splitlines()
    assert not [line for line in lines if line.lstrip().startswith("::")]
    assert not [c for c in error if unicodedata.category(c) in UNPRINTABLE and c != "\n"]
    assert all(line.startswith(("error[", "  found: ", "  hint:  ")) for line in lines)


@pytest.mark.parametrize("place", ["value", "key", "table"])
def test_errors_about_a_configuration_do_not_either(place, bench, refused):
    evil = '"a\\n::error::x\\u001b[31m"'
    text = {
        "value": f"model = {evil}\npreset = {evil}",
        "key": f"{evil} = 1",
        "table": f"[budgets.{evil}]\nmax = {evil}",
    }
    (bench / "covscan.toml").write_text(text[place], encoding="utf-8")
    error = refused("config")
    assert "\x1b" not in error
    assert not [line for line in error.splitlines() if line.startswith("::")]
