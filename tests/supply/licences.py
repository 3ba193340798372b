"""Write THIRD_PARTY.md: what covscan runs on, and under which licences, by what the packages say of themselves."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "THIRD_PARTY.md"
ACCELERATOR = re.compile(r"(nvidia|cuda|triton|intel)")
"""What torch brings along on some machines only; under NVIDIA's and Intel's licences and, of triton, MIT."""
HEAD = """\
# What covscan runs on

Every package that an installation of covscan on Linux brings, by what it says of its own licence; written by
`make licences`, with the releases of constraints.txt. None of them is part of covscan's own files. PyPI's torch for
Linux brings NVIDIA's libraries as well, which have their own terms.

| package | release | licence | needed for |
|---|---|---|---|
"""


def requirements() -> dict[str, set[str]]:
    """Packages by canonical name → what they are needed for: ``covscan`` itself, or its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed: dict[str, set[str]] = {}
    for line in project["dependencies"]:
        collect(Requirement(line), "covscan", needed)
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            collect(Requirement(line), f"`[{extra}]`", needed)
    return needed


def collect(requirement: Requirement, purpose: str, needed: dict[str, set[str]]) -> None:
    """Note a package and all that it asks for on this machine."""
    name = canonicalize_name(requirement.name)
    if ACCELERATOR.match(name) or purpose in needed.get(name, set()):
        return
    needed.setdefault(name, set()).add(purpose)
    for line in metadata.requires(name) or ():
        further = Requirement(line)
        extras = requirement.extras or {""}
        if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
            collect(further, purpose, needed)


def licence(name: str) -> str:
    """What a package calls its licence, in few words."""
    about = metadata.metadata(name)
    classified = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License")
    ]
    said = str(about.get("License") or "").strip()
    short = said if said and len(said) < 60 and "\n" not in said else ""
    return str(about.get("License-Expression") or short or ", ".join(classified) or "not stated")


def table() -> str:
    """The whole file."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}
    rows = []
    for name, purposes in sorted(requirements().items()):
        purpose = "covscan" if "covscan" in purposes else ", ".join(sorted(purposes))
        rows.append(f"| {name} | {pinned.get(name, 'not pinned')} | {licence(name)} | {purpose} |\n")
    return HEAD + "".join(rows)


def main() -> int:
    """Write the list; with ``--check`` only look whether it is current."""
    if "--check" in sys.argv:
        return int(LIST.read_text(encoding="utf-8") != table())
    LIST.write_text(table(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
