"""Small reports whose every value is chosen, for what is compared with a baseline."""

from msgspec.structs import replace

from covscan.gate.baseline_noise import NAMES
from covscan.report.types import (
    SCHEMA_VERSION,
    Checkpoint,
    Coverage,
    Data,
    Finding,
    Measure,
    Model,
    Report,
    Run,
    SameAs,
    Shift,
    Site,
    Statistics,
    Tool,
)

NUMBERS = ("mean", "min", "max", "p1", "p5", "p15", "p25", "p50", "p75", "p85", "p95", "p99")


def statistics(samples=400, **more):
    fields = dict.fromkeys(NAMES, 0.5) | {"saturated_share": 0.0, "nonfinite_share": 0.0}
    fields |= dict.fromkeys(NUMBERS, 0.1) | {"dead_channels": 0.0, "std": 1.0}
    return Statistics(samples=samples, count=samples * 10, **(fields | more))


def site(name, position="output", kind="Linear", channels=100, same_as=None, checkpoints=(), **more):
    return Site(
        site=name,
        position=position,
        type=kind,
        role="layer",
        channels=channels,
        channel_axis=1,
        shape=["N", channels],
        depth=0,
        same_as=same_as,
        normalized_by=None,
        statistics={checkpoint: statistics(**more) for checkpoint in checkpoints},
    )


def measured(value, half=0.01, noise=0.05):
    if value is None:
        return Measure(value=None, noise=None, low=None, high=None, significant=False, status="constant")
    ends = (None, None) if half is None else (value - half, value + half)
    return Measure(value=value, noise=noise, low=ends[0], high=ends[1], significant=True)


def shift(name, start, end, position="output", half=0.01, noise=0.05, **values):
    measures = {
        measure: measured(values.get(measure), half, noise)
        for measure in ("standardized_mean_difference", "absolute_log_variance_ratio", "gaussian_w2", "excess_shift")
    }
    return Shift(site=name, position=position, from_=start, to=end, measures=measures, channels_shifted=None)


def series(name, places, **more):
    """Shifts of a site whose mean is at each of ``places``, one per checkpoint: first to each, each to next."""
    pairs = [(0, to) for to in range(1, len(places))] + [(to - 1, to) for to in range(2, len(places))]
    return [
        shift(name, f"step-{start}", f"step-{end}", gaussian_w2=abs(places[end] - places[start]), **more)
        for start, end in pairs
    ]


def finding(code, where=None, severity="warning", **more):
    return Finding(
        code=code, name="name", severity=severity, site=where, message=f"{code} at {where}", evidence={}, **more
    )


def report(places=None, findings=(), half=0.01, noise=0.05, sites=None, **more):
    """A report of ``places``, site → where its mean is at each checkpoint; ``more`` replaces statistics."""
    places = {"fc1": [0.0, 0.5, 1.0], "fc2": [0.0, 0.2, 0.4]} if places is None else places
    count = max((len(each) for each in places.values()), default=0)
    checkpoints = [Checkpoint(id=f"step-{n}", step=n, path=f"step-{n}.pt", sha256="0" * 64) for n in range(count)]
    ids = tuple(checkpoint.id for checkpoint in checkpoints)
    own = [site(name, checkpoints=ids, **more) for name in places]
    alias = [site("alias", "input", same_as=SameAs(site=name, position="output")) for name in list(places)[:1]]
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="covscan", version="0.1.0"),
        run=Run(started="", seconds=0.0, host="", command="", versions={"torch": "2.13.0"}),
        model=Model(description="net", engine="torch", parameters=1, device="cpu"),
        checkpoints=checkpoints,
        data=Data(
            description="x.npz",
            samples=400,
            available=1000,
            fingerprint="ab" * 32,
            blocks=32,
            positions=32,
            seed=0,
            masked=False,
        ),
        coverage=Coverage(measured=len(own), skipped=[], never_fired=[], non_finite=[]),
        sites=[*own, *alias] if sites is None else sites,
        shifts=[each for name, where in places.items() for each in series(name, where, half=half, noise=noise)],
        findings=list(findings),
        candidates=[],
        suggestions=[],
        notes=[],
    )


def sampled(made, **fields):
    """The report with other facts about its samples."""
    return replace(made, data=replace(made.data, **fields))
