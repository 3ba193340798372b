"""From what contenders took, round by round, to figures beside the bare passes of the same round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Taken = dict[str, Any]
"""``seconds`` and ``peak_mib`` of one process, and what it told: ``load`` and ``forward`` or ``whole``, ``seen``."""
Round = Mapping[str, Taken]
"""One of each contender, ``bare`` among them. Who was ended at the limit has ``over``, who failed ``failed``."""
Figure = dict[str, float]

CAPTURE = {"torch": 1.15, "onnx": 1.30}
ANALYZE = 1.25
START = 2.0
"""Seconds that ``covscan analyze`` may take besides, whatever it is given."""
ALL_POSITIONS = 2.0
MEMORY = 1.1


def figure(values: Sequence[float], digits: int = 2) -> Figure:
    """Median and least."""
    return {"median": round(statistics.median(values), digits), "least": round(min(values), digits)}


def bare_seconds(bare: Taken, checkpoints: int) -> float:
    """Of a whole bare process, had it run the first ``checkpoints`` alone."""
    return bare["seconds"] - sum(bare["load"][checkpoints:]) - sum(bare["forward"][checkpoints:])


def bare_inside(bare: Taken, checkpoints: int) -> float:
    """Loading and passes of the first ``checkpoints``, without Python's start and its imports."""
    return sum(bare["load"][:checkpoints]) + sum(bare["forward"][:checkpoints])


def inside(taken: Taken) -> float | None:
    """The same of a contender, as far as it tells."""
    if "forward" in taken:
        return sum(taken["load"]) + sum(taken["forward"])
    return taken.get("whole")


def rounds_of(rounds: Sequence[Round], *names: str) -> list[Round]:
    """Those in which all of ``names`` ended well."""
    return [each for each in rounds if all(name in each and ended(each[name]) for name in names)]


def ended(taken: Taken) -> bool:
    """Whether it came to its end by itself, and well."""
    return "over" not in taken and "failed" not in taken


def summary(name: str, checkpoints: int, rounds: Sequence[Round]) -> dict[str, Any] | None:
    """Median and least of a contender's time, memory and ratios; None where it never ended well."""
    own = rounds_of(rounds, name, "bare")
    if not own:
        return None
    told = [(inside(each[name]), bare_inside(each["bare"], checkpoints)) for each in own]
    return {
        "rounds": len(own),
        "seen": own[0][name]["seen"],
        "seconds": figure([each[name]["seconds"] for each in own]),
        "inside": None if None in (told[0]) else figure([mine for mine, _ in told]),
        "peak_mib": figure([each[name]["peak_mib"] for each in own], 0),
        "ratio": figure([each[name]["seconds"] / bare_seconds(each["bare"], checkpoints) for each in own]),
        "inside_ratio": None if None in (told[0]) else figure([mine / bare for mine, bare in told]),
    }


def target(name: str, values: Sequence[float], limit: float, *, at_least: bool = False) -> dict[str, Any]:
    """A bound and whether the median keeps it."""
    found = figure(values)
    met = found["median"] >= limit if at_least else found["median"] <= limit
    return {"name": name, "limit": limit, "at_least": at_least, **found, "met": met}


def targets(engine: str, rounds: Sequence[Round], rivals: Mapping[str, tuple[str, float]]) -> list[dict[str, Any]]:
    """Every bound that these rounds can tell of; ``rivals``: by name, the row of covscan beside it and the factor."""
    pairs: list[tuple[str, str, Callable[[Taken, Taken], float], float]] = [
        ("capture / bare passes" if engine == "torch" else "capture / bare session and passes", "capture",
         _capture_ratio(engine), CAPTURE[engine]),
        (f"analyze / ({ANALYZE} × bare load and passes + {START:.0f} s)", "analyze",
         lambda bare, own: own["seconds"] / (ANALYZE * bare_inside(bare, 2) + START), 1.0),
        ("analyze --positions all / bare process", "analyze-all",
         lambda bare, own: own["seconds"] / bare_seconds(bare, 2), ALL_POSITIONS),
    ]  # fmt: skip
    found = []
    for title, name, ratio, limit in pairs:
        own = rounds_of(rounds, name, "bare")
        if own:
            found.append(target(title, [ratio(each["bare"], each[name]) for each in own], limit))
    for rival, (name, factor) in rivals.items():
        # One that was ended at the limit would have taken longer still.
        both = [each for each in rounds_of(rounds, name) if rival in each and "failed" not in each[rival]]
        if both:
            ratio_of = [each[rival]["seconds"] / each[name]["seconds"] for each in both]
            found.append(target(f"{rival} / {name}, whole processes", ratio_of, factor, at_least=True))
    return found


def _capture_ratio(engine: str) -> Callable[[Taken, Taken], float]:
    """Of passes with statistics to bare passes. In onnxruntime a session of its own is part of both."""
    if engine == "torch":
        return lambda bare, own: own["forward"][0] / bare["forward"][0]
    return lambda bare, own: own["forward"][0] / bare_inside(bare, 1)


def beyond_bare(name: str, rounds: Sequence[Round]) -> float | None:
    """MiB by which the peak of ``name`` exceeds the bare one's and a tenth, in the median round."""
    own = rounds_of(rounds, name, "bare")
    if not own:
        return None
    return round(statistics.median(each[name]["peak_mib"] - MEMORY * each["bare"]["peak_mib"] for each in own))
