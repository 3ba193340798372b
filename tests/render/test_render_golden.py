import os
from pathlib import Path

import pytest
from report_factory import KINDS

from covscan.render import DRAWN, FORMATS, Look, render

GOLDEN = Path(__file__).parent.parent / "golden"
UPDATE = os.environ.get("COVSCAN_UPDATE_GOLDEN") == "1"

LOOKS = {
    "pipe.txt": ("text", Look()),
    "terminal-80.txt": ("text", Look(width=80, terminal=True)),
    "terminal-200.txt": ("text", Look(width=200, terminal=True)),
    "verbose-ascii.txt": ("text", Look(verbose=True, unicode=False)),
    "md": ("markdown", Look()),
    "json": ("json", Look()),
}
MACHINE = {
    "csv": ("csv", Look()),
    "github.txt": ("github", Look()),
    "gitlab": ("gitlab", Look()),
    "junit.xml": ("junit", Look()),
    "sarif": ("sarif", Look()),
}
TOO_LONG = {("deep", "csv"), ("digits", "csv")}
COLORED = {"color.txt": ("text", Look(width=100, terminal=True, color=True))}
CASES = [(kind, suffix) for kind in KINDS for suffix in LOOKS | MACHINE if (kind, suffix) not in TOO_LONG]
CASES += [(kind, "color.txt") for kind in ("digits", "trained", "gated")]


@pytest.mark.parametrize(("kind", "suffix"), CASES)
def test_a_rendering_is_what_it_was(kind, suffix):
    form, look = (LOOKS | MACHINE | COLORED)[suffix]
    path = GOLDEN / f"{kind}.{suffix}"
    text = render(KINDS[kind](), form, look).encode()
    if UPDATE:
        path.write_bytes(text)
    assert text == path.read_bytes()


def test_every_format_has_a_golden_file():
    # Drawn ones hold the installed chart library, or what it drew: test_render_html.py, test_render_picture.py.
    assert {form for form, _ in (LOOKS | MACHINE).values()} == set(FORMATS) - DRAWN


def test_no_golden_file_is_left_over():
    assert {path.name for path in GOLDEN.iterdir()} == {f"{kind}.{suffix}" for kind, suffix in CASES}
