"""What the script reads: packed, so that the page is small and that nothing in it can be taken for markup."""

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = ("unpacking", "theme", "numbers", "tree", "rows", "heat", "charts", "layer", "table", "start")
LEVEL = 6
"""Of compression; the highest takes three times as long for two in a hundred."""
LIBRARY = "window.vegaEmbed = vegaEmbed;"
"""What the bundle of Vega, Vega-Lite and Vega-Embed is to leave behind."""


def packed(text: str) -> str:
    """Compressed (RFC 1952, without a time) and in base64."""
    return base64.b64encode(gzip.compress(text.encode(), LEVEL, mtime=0)).decode()


def as_json(content: Any) -> str:
    """JSON of one line. Raises ValueError for what no JSON holds."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@cache
def library() -> str:
    """The chart library, from the installed package; a second or two."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(LIBRARY)
    return bundle


@cache
def script() -> str:
    """The page's own script, of its parts."""
    parts = [_asset(f"{name}.js") for name in SCRIPTS]
    return f'(() => {{\n"use strict";\n{"".join(parts)}}})();\n'


@cache
def style() -> str:
    """The page's style sheet."""
    return _asset("page.css")


def _asset(name: str) -> str:
    return (files("covscan.render.web") / "assets" / name).read_text(encoding="utf-8")


def policy() -> str:
    """The Content-Security-Policy: no network, no frame, no form; these scripts and this style alone."""
    return (
        f"default-src 'none'; script-src {_hash(script())} {_hash(library())}; style-src {_hash(style())}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
