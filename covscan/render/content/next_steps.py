"""Commands that would tell more."""

from covscan.render.blocks import Items, Line, Section, Span, line
from covscan.render.content.columns import kind
from covscan.render.content.findings import top
from covscan.render.content.shift_rows import primary, size
from covscan.render.look import Look
from covscan.report.types import Report

MATERIAL = 0.2
"""A shift of this many standard deviations would matter if it stood out of the noise."""
NOISY_SHARE = 0.25
MORE_SAMPLES = 4


def section(report: Report, _look: Look) -> Section:
    """What to do next, the most useful first."""
    return Section("Next", (Items(lines(report)),))


def lines(report: Report) -> tuple[Line, ...]:
    """A line for each step."""
    steps: list[Line] = []
    finding = top(report.findings)
    if finding is not None:
        steps.append(line(Span(f"covscan rule {finding.code}", "code"), " (what it means, and when it misleads)"))
    if len(report.checkpoints) == 1:
        steps.append(line("Give more checkpoints of the same run: shifts are measured between them."))
    if len(report.checkpoints) == 2 and kind(report) == "checkpoints":
        steps.append(line("Give the checkpoints in between as well: they show when it happened."))
    if kind(report) == "data":
        shown = Span("--per-channel -o json=report.json", "code")
        steps.append(line(shown, " (mean and deviation of each channel on both data sets)"))
    steps += _samples(report)
    steps.append(line(Span("-o json=report.json", "code"), " (keeps every number; covscan render shows it again)"))
    if report.gate is None and report.coverage.measured:
        hint = " (a covscan.toml with budgets from this run)"
        steps.append(line(Span("covscan init --report report.json", "code"), hint))
    return tuple(steps)


def _samples(report: Report) -> list[Line]:
    """More samples, where they would decide something that noise now hides."""
    data = report.data
    found = [measure for measure in map(primary, report.shifts) if measure is not None and measure.value is not None]
    hidden = [measure for measure in found if not measure.significant and size(measure) >= MATERIAL]
    if not found or len(hidden) < NOISY_SHARE * len(found):
        return []
    wanted = data.samples * MORE_SAMPLES
    why = f"{len(hidden)} of {len(found)} shifts look large enough to matter but do not clear their noise"
    if data.available is None or data.available > data.samples:
        most = wanted if data.available is None else min(wanted, data.available)
        return [line(Span(f"--samples {most}", "code"), f" ({why})")]
    return [line(f"Give more sample data: {why}.")]
