"""The first lines: which model, which series, which samples."""

from pathlib import PurePath

from covscan.render.blocks import Prose, Section, Span, line
from covscan.render.content.columns import ends, kind, label
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Data, Report


def section(report: Report, look: Look) -> Section:
    """One line with what was opened and how much of it was read."""
    gap = Span(f" {look.glyphs.dot} ", "faint")
    head = line(Span("covscan", "strong"), " ", Span(models(report, look), "name"))
    for part in parts(report, look):
        head += (gap, Span(part))
    return Section("", (Prose(head),))


def parts(report: Report, look: Look) -> tuple[str, ...]:
    """What ran it, the series and the samples."""
    return (_engines(report, look), _series(report, look), *_mapped(report), _samples(report))


def models(report: Report, look: Look) -> str:
    """What was opened, on both sides where that differs."""
    sides = [] if report.comparison is None else report.comparison.sides
    opened = [side.model.description for side in sides] or [report.model.description]
    return f" {look.glyphs.arrow} ".join(printable(text) for text in dict.fromkeys(opened))


def _engines(report: Report, look: Look) -> str:
    sides = [] if report.comparison is None else report.comparison.sides
    models = [side.model for side in sides] or [report.model]
    found = dict.fromkeys(f"{model.engine} on {printable(model.device)}" for model in models)
    return f" {look.glyphs.arrow} ".join(found)


def _series(report: Report, look: Look) -> str:
    checkpoints = report.checkpoints
    if len(checkpoints) < 2:
        return f"1 checkpoint, {label(report, checkpoints[0])}" if checkpoints else "no checkpoint"
    if kind(report) == "data":
        return f"{ends(report, look)} through {printable(PurePath(checkpoints[-1].path).name)}"
    if kind(report) == "models":
        return ends(report, look)
    return f"{len(checkpoints)} checkpoints, {ends(report, look)}"


def _mapped(report: Report) -> list[str]:
    """How many sites two models have in common."""
    mapped = None if report.comparison is None else report.comparison.mapped
    return [] if mapped is None else [f"{counted(mapped[0], 'site')} of {mapped[1]} and {mapped[2]} are the same"]


def _samples(report: Report) -> str:
    data = report.data
    read = _read(data)
    if report.comparison is not None and not report.comparison.paired:
        read = " and ".join(f"{side.data.samples:,}" for side in report.comparison.sides) + " samples"
    where = "all positions" if data.positions is None else f"up to {counted(data.positions, 'position')} each"
    return f"{read}, {where}" + (", padding left out" if data.masked else "")


def _read(data: Data) -> str:
    if data.available in {None, data.samples}:
        return counted(data.samples, "sample")
    return f"{data.samples:,} of {data.available:,} samples"
