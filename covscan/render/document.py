"""The order in which a rendered report is read."""

from collections.abc import Iterator

from covscan.render.blocks import Section
from covscan.render.choosing import chosen
from covscan.render.content import (
    bands,
    coverage,
    findings,
    gate,
    gradients,
    headline,
    measures,
    next_steps,
    shifts,
    statistics,
    suggestions,
    trials,
)
from covscan.render.look import Look
from covscan.report.types import Report


def document(report: Report, look: Look) -> Iterator[Section]:
    """The sections, the headline first; then the verdict, for whoever reads no further."""
    yield headline.section(report, look)
    if report.gate is not None:
        yield gate.section(report.gate, look)
    if len(report.checkpoints) > 1:
        yield shifts.section(report, look)
    if len(report.checkpoints) <= 1 or look.verbose:
        yield statistics.section(report, look)
    if look.verbose and report.shifts:
        yield measures.section(report, look)
    for site in chosen(report.sites, look.plots):
        yield bands.section(report, site, look)
    yield findings.section(report, look)
    slopes = gradients.section(report, look)
    if slopes is not None:
        yield slopes
    yield suggestions.section(report, look)
    trained = trials.section(report)
    if trained is not None:
        yield trained
    if report.candidates:
        yield suggestions.candidates(report, look)
    yield coverage.section(report, look)
    if report.notes:
        yield coverage.notes(report)
    yield next_steps.section(report, look)
