"""Write requirements-dev.lock: every release of constraints.txt with the digests of all of its files."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-dev.lock"
BY_INDEX = ("torch",)
"""Of which each index has files of its own (PyPI's brings CUDA, download.pytorch.org's does not) with digests of their
own; their versions are pinned in constraints.txt alone."""

HEAD = f"""\
# Written by make lock from constraints.txt: every pinned release with the digests of all of its files on PyPI.
# Without {", ".join(BY_INDEX)}, which each index builds for itself: its version is pinned in constraints.txt.
# To install from it:
#   pip install --no-deps --require-hashes -r requirements-dev.lock
#   pip install --no-deps -c constraints.txt torch
"""


def pins() -> list[str]:
    """What is to be locked, as it stands in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#") and line.partition("==")[0] not in BY_INDEX]


def main() -> None:
    """Ask the index for the digests; nothing is resolved and nothing installed."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, found = Path(folder, "pins.in"), Path(folder, "found.txt")
        wanted.write_text("\n".join(pins()) + "\n", encoding="utf-8")
        uv = Path(sysconfig.get_path("scripts"), "uv")
        options = [
            "--no-deps",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--python-version",
            "3.11",
            "--quiet",
        ]
        done = subprocess.run([uv, "pip", "compile", *options, wanted, "-o", found], check=False)
        if done.returncode:
            sys.exit(done.returncode)
        LOCK.write_text(HEAD + found.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    main()
