"""The first lines: which model, which series, which samples."""

from covscan.render.blocks import Prose, Section, Span, line
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Checkpoint, Report


def section(report: Report, look: Look) -> Section:
    """One line with what was opened and how much of it was read."""
    gap = Span(f" {look.glyphs.dot} ", "faint")
    parts = (
        f"{report.model.engine} on {printable(report.model.device)}",
        _series(report.checkpoints, look),
        _samples(report),
    )
    head = line(Span("covscan", "strong"), " ", Span(printable(report.model.description), "name"))
    for part in parts:
        head += (gap, Span(part))
    return Section("", (Prose(head),))


def label(checkpoint: Checkpoint) -> str:
    """How a checkpoint is called in a sentence."""
    return f"step {checkpoint.step}" if checkpoint.step is not None else printable(checkpoint.id)


def _series(checkpoints: list[Checkpoint], look: Look) -> str:
    if len(checkpoints) < 2:
        return f"1 checkpoint, {label(checkpoints[0])}" if checkpoints else "no checkpoint"
    first, last = checkpoints[0], checkpoints[-1]
    if first.step is not None and last.step is not None:
        span = f"step {first.step} {look.glyphs.arrow} {last.step}"
    else:
        span = f"{label(first)} {look.glyphs.arrow} {label(last)}"
    return f"{len(checkpoints)} checkpoints, {span}"


def _samples(report: Report) -> str:
    data = report.data
    whole = f" of {data.available:,}" if data.available not in {None, data.samples} else ""
    read = counted(data.samples, "sample")
    if whole:
        read = f"{data.samples:,}{whole} samples"
    where = "all positions" if data.positions is None else f"up to {counted(data.positions, 'position')} each"
    return f"{read}, {where}" + (", padding left out" if data.masked else "")
