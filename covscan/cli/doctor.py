"""``covscan doctor``: what covscan finds on this machine."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from covscan.cli.streams import deliver, look_for, payload_only
from covscan.cli.values import choice, read_wishes
from covscan.confinement import in_force
from covscan.errors import ExitCode
from covscan.render.blocks import Column, Line, Section, Span, Table, line
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.version import __version__

NEEDED = ("torch", "onnx", "onnxruntime", "numpy", "safetensors", "msgspec", "rich", "typer")
EXTRAS = {"browse": "textual", "hf": "transformers", "html": "altair", "images": "pillow", "tables": "pyarrow"}
MISSING = "missing"


def run(words: Mapping[str, Any]) -> int:
    """Run the command; ``words`` are its parameters. Returns the exit code."""
    wishes = read_wishes(words)
    form = choice("--format", words["form"], ("text", "json"))
    with payload_only() as stdout:
        look = look_for(stdout, wishes)
        found = examine(look, stdout.encoding)
        if form == "json":
            deliver(stdout, json.dumps(found, indent=2) + "\n", encoding="utf-8")
        else:
            from covscan.render.as_text import draw

            deliver(stdout, draw(_sections(found), look))
    return ExitCode.OK


def examine(look: Look, encoding: str) -> dict[str, dict[str, str]]:
    """Everything that decides what works here, by heading and name."""
    return {
        "versions": {"covscan": __version__, "python": platform.python_version(), **_installed(NEEDED)},
        "extras": {f"{extra} ({package})": _version(package) for extra, package in EXTRAS.items()},
        "machine": {
            "platform": platform.platform(),
            "processors": str(os.cpu_count()),
            **_torch(),
            **_onnxruntime(),
            "models are kept from": " and ".join(in_force()) or "nothing: this system confines no threads",
        },
        "terminal": {
            "terminal": "yes" if look.terminal else "no",
            "width": "as wide as needed" if look.width is None else str(look.width),
            "color": "yes" if look.color else "no",
            "encoding": encoding + ("" if look.unicode else ", so tables are drawn in ASCII"),
            "TERM": os.environ.get("TERM", "not set"),
        },
    }


def _installed(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        extra = next((extra for extra, wanted in EXTRAS.items() if wanted == package), None)
        wanted = "covscan" if extra is None else f"'covscan[{extra}]'"
        return f"{MISSING}: {os.path.basename(sys.executable)} -m pip install {wanted}"


def _torch() -> dict[str, str]:
    try:
        import torch
    except Exception as error:  # noqa: BLE001 - a broken installation is what the command is there to show
        return {"torch": f"cannot be imported: {error}"}
    devices = ["cpu"]
    devices += [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return {"devices": ", ".join(devices), "threads": str(torch.get_num_threads())}


def _onnxruntime() -> dict[str, str]:
    try:
        from covscan.capture.onnx_runtime import onnxruntime
    except Exception as error:  # noqa: BLE001 - as above
        return {"onnxruntime": f"cannot be imported: {error}"}
    return {"onnx providers": ", ".join(onnxruntime.get_available_providers())}


def _sections(found: Mapping[str, Mapping[str, str]]) -> list[Section]:
    return [
        Section(
            title.capitalize(),
            (Table((Column("what"), Column("found", wraps=True)), tuple(_row(*entry) for entry in entries.items())),),
        )
        for title, entries in found.items()
    ]


def _row(name: str, value: str) -> tuple[Line, ...]:
    bad = value.startswith((MISSING, "cannot"))
    return (line(name), line(Span(printable(value), "warning" if bad else "plain")))
