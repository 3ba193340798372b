"""Markdown of what ``peers.py`` and ``growth.py`` measured, from their JSON alone.

    python benchmarks/tables.py [FOLDER]

Writes ``peers.md`` and ``growth.md`` anew beside the JSON files that are there.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, Contender

NONE = "–"
LEGEND = (
    "Each row is a process of its own, in turn with the others; median (least) of the rounds. *bare* loads the same "
    "checkpoints, runs the same batches and does nothing else. *seen*: sites, layers or tensors. *inside* is without "
    "Python's start and imports, as far as a contender tells. *× bare* is the ratio to the bare run of as many "
    "checkpoints in the same round. *÷ covscan*: whole time over that of the row of covscan beside it, `analyze` for "
    "two checkpoints and `capture alone` for one."
)
GROWTH_LEGEND = (
    "`covscan analyze` beside a bare load and forward of the same checkpoints and samples, each a process of its own; "
    "of each point the least time and the least peak of its runs. *slope*: by which power the time grew since the "
    "point before, 1 where it is proportional."
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells] + [""]


def measured_on(machine: dict[str, Any]) -> str:
    """The machine and the releases, in a sentence."""
    peers = ", ".join(f"{name} {release}" for name, release in machine.get("peers", {}).items())
    named = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, torch {machine['torch']}"
    return f"{named}, covscan {machine['covscan']}{f'; {peers}' if peers else ''}."


def peers(results: dict[str, Any]) -> str:
    """The tables of every part, then what each contender computes."""
    parts = results["parts"]
    lines = [
        "# covscan and its peers",
        "",
        LEGEND,
        "",
    ]
    machines = list(dict.fromkeys(measured_on(part["machine"]) for part in parts.values()))
    lines += [line for each in machines for line in (each, "")]
    for name, part in parts.items():
        if "rows" in part:
            lines += network(name, part)
    if "flat" in parts:
        lines += flat(parts["flat"])
    if any("rows" in part for part in parts.values()):
        lines += computed({part["engine"] for part in parts.values() if "rows" in part})
    if "traps" in parts:
        lines += traps(parts["traps"])
    return "\n".join(lines).rstrip() + "\n"


def network(name: str, part: dict[str, Any]) -> list[str]:
    """One network and engine: the contenders, and the targets."""
    head = ("", "checkpoints", "seen", "seconds", "inside", "peak, MiB", "× bare", "× bare, inside", "÷ covscan")
    rows = [row(each, part) for each in CONTENDERS if each.engine == part["engine"]]
    lines = [f"## {part['heading']}", "", *table(head, rows)]
    checked = [
        (
            each["name"],
            f"{'≥' if each['at_least'] else '≤'} {each['limit']:g}",
            f"{each['median']:.2f} ({each['least']:.2f})",
            "met" if each["met"] else "**missed**",
        )
        for each in part["targets"]
    ]
    if checked:
        lines += [*table(("target", "bound", "found", ""), checked)]
    beyond = {key: value for key, value in part["beyond_bare_mib"].items() if value is not None}
    if beyond:
        found = ", ".join(f"{key} {value:+d}" for key, value in beyond.items())
        lines += [f"Peak beyond 1.1 × the bare one, MiB: {found}.", ""]
    return lines


def row(contender: Contender, part: dict[str, Any]) -> list[str]:
    """One contender, or why it has no figures."""
    found = part["rows"].get(contender.name)
    if found is None:
        seconds = f"> {part['over'][contender.name]:g}" if contender.name in part["over"] else NONE
        return [contender.title, str(contender.checkpoints), absent(contender.name, part), seconds, *[NONE] * 5]
    beside = part["rows"].get(contender.against)
    return [
        contender.title,
        str(contender.checkpoints),
        str(found["seen"] or NONE),
        figure(found["seconds"], 1),
        figure(found["inside"], 1),
        f"{found['peak_mib']['median']:.0f}",
        figure(found["ratio"], 2),
        figure(found["inside_ratio"], 2),
        f"{found['seconds']['median'] / beside['seconds']['median']:.2f}" if beside else NONE,
    ]


def absent(name: str, part: dict[str, Any]) -> str:
    if name in part["missing"]:
        return part["missing"][name]
    if name in part["over"]:
        return "ended at the limit"
    return "failed" if name in part["failed"] else "not run"


def figure(found: dict[str, float] | None, digits: int) -> str:
    return NONE if found is None else f"{found['median']:.{digits}f} ({found['least']:.{digits}f})"


def flat(part: dict[str, Any]) -> list[str]:
    """Peaks over samples, of every contender."""
    few, many = part["samples"]
    titles = {(each.engine, each.name): each.title for each in CONTENDERS}
    rows = []
    for engine, peaks in part["peaks_mib"].items():
        for name, (least, most) in peaks.items():
            known = least is not None and most is not None
            grown = f"{1024 * (most - least) / (many - few):+.0f}" if known else NONE
            rows.append(
                (titles[engine, name], engine, *(f"{each:.0f}" if each else NONE for each in (least, most)), grown)
            )
    head = ("", "engine", f"peak at {few} samples, MiB", f"at {many}", "KiB for each further sample")
    return [
        f"## Memory over samples: {part['layers']} convolutions, 64 KiB a sample at each of their outputs",
        "",
        *table(head, rows),
    ]


def computed(engines: set[str]) -> list[str]:
    """What each contender does for its time."""
    rows: dict[str, tuple[str, ...]] = {}
    for each in CONTENDERS:
        if each.engine in engines and not each.bare:
            rows.setdefault(each.title, (each.title, each.reads, each.computes, each.beyond))
    return ["## What each computes", "", *table(("", "reads", "computes", "noise, advice"), rows.values())]


def traps(part: dict[str, Any]) -> list[str]:
    """What peers get wrong or leave out."""
    if not part["traps"]:
        return []
    rows = [(each["peer"], each["what"], each["expected"], each["found"]) for each in part["traps"]]
    return ["## What they get wrong or leave out", "", *table(("", "asked", "expected", "found"), rows)]


def growth(results: dict[str, Any]) -> str:
    """Curves as tables, one for each axis, with the bounds that belong to it."""
    parts = results["parts"]
    lines = [
        "# What an analysis costs as its input grows",
        "",
        GROWTH_LEGEND,
        "",
    ]
    machines = list(dict.fromkeys(measured_on(part["machine"]) for part in parts.values()))
    lines += [line for each in machines for line in (each, "")]
    for name, part in parts.items():
        lines += [f"## {name}: {part['heading']}", ""]
        lines += table((name, *(str(point[name]) for point in part["points"])), curve(part["points"]))
        lines += [f"{each['sentence']} ({'met' if each['met'] else '**missed**'})" for each in part["bounds"]]
        lines += [""] * bool(part["bounds"])
    return "\n".join(lines).rstrip() + "\n"


def curve(points: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Rows over the points of one axis."""
    shown: dict[str, Callable[[dict[str, Any]], str]] = {
        "sites measured": lambda point: str(point["measured"]),
        "covscan, s": lambda point: f"{point['covscan']['seconds']:.1f}",
        "bare, s": lambda point: f"{point['bare']['seconds']:.1f}",
        "×": lambda point: f"{point['covscan']['seconds'] / point['bare']['seconds']:.2f}",
        "slope": lambda point: NONE if point["slope"] is None else f"{point['slope']:.2f}",
        "covscan, peak MiB": lambda point: f"{point['covscan']['peak_mib']:.0f}",
        "bare, peak MiB": lambda point: f"{point['bare']['peak_mib']:.0f}",
    }
    return [[title, *(show(point) for point in points)] for title, show in shown.items()]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results"
    for name, render in (("peers", peers), ("growth", growth)):
        if (path := folder / f"{name}.json").exists():
            path.with_suffix(".md").write_text(render(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
