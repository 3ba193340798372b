"""What was seen and what was not, with the reasons."""

from covscan.render.blocks import Items, Line, Section, Span, line, names
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Coverage, Report

SHOWN_NAMES = 3
SHOWN_REASONS = 5


def section(report: Report, look: Look) -> Section:
    """A line each for skipped, silent and non-finite places."""
    return Section(f"Coverage: {summary(report.coverage)}", (Items(tuple(lines(report.coverage, look))),), detail=True)


def notes(report: Report) -> Section:
    """What was decided for the reader, and what the numbers can and cannot say."""
    return Section("Notes", (Items(tuple(line(printable(note)) for note in report.notes)),))


def summary(coverage: Coverage) -> str:
    """The four counts in one line."""
    return (
        f"{counted(coverage.measured, 'site')} measured, {len(coverage.skipped)} skipped, "
        f"{len(coverage.never_fired)} never fired, {len(coverage.non_finite)} non-finite"
    )


def lines(coverage: Coverage, look: Look) -> list[Line]:
    """A line for each reason to skip, for what never fired, and for what is not finite."""
    most = SHOWN_NAMES if look.brief else None
    by_reason: dict[str, list[str]] = {}
    for skipped in coverage.skipped:
        at = f" at {printable(skipped.checkpoint)}" if skipped.checkpoint else ""
        by_reason.setdefault(printable(skipped.reason), []).append(printable(skipped.site) + at)
    ordered = sorted(by_reason.items(), key=lambda entry: len(entry[1]), reverse=True)
    shown = ordered[:SHOWN_REASONS] if look.brief else ordered
    lines: list[Line] = [(Span(f"{len(sites)} skipped, {reason}: "), *names(sites, most)) for reason, sites in shown]
    others = sum(len(sites) for _, sites in ordered[len(shown) :])
    if others:
        lines.append(line(f"{others} skipped for other reasons (--verbose shows them)"))
    if coverage.never_fired:
        silent = [printable(site) for site in coverage.never_fired]
        lines.append((Span(f"{len(silent)} never called by the forward pass: "), *names(silent, most)))
    if coverage.non_finite:
        poisoned = [printable(site) for site in coverage.non_finite]
        lines.append((Span(f"{len(poisoned)} with NaN or infinity: ", "warning"), *names(poisoned, most)))
    return lines
