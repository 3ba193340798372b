"""What of a report is to be explained: a site, one of its positions, some checkpoints and some numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from covscan.catalog.measures import MEASURES, STATISTICS
from covscan.errors import UsageError
from covscan.explain.gradients import OF_LAYER, OF_SHIFT
from covscan.render.choosing import check_known, matches
from covscan.render.names import nearest
from covscan.report.types import Report, Site

PREFERRED = ("output", "input", "logits")


@dataclass(frozen=True, slots=True)
class Request:
    """``position`` None takes the output where there is one; empty tuples take everything."""

    site: str
    position: str | None = None
    checkpoints: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def takes(self, name: str, checkpoint: str) -> bool:
        """Whether a number is asked for."""
        wanted = not self.names or any(matches(name, word) for word in self.names)
        return wanted and (not self.checkpoints or checkpoint in self.checkpoints)


def find(report: Report, request: Request) -> Site:
    """The site that is asked for. Raises UsageError where the report lacks it, or anything else that is asked for."""
    here = {site.position: site for site in report.sites if site.site == request.site}
    if not here:
        raise _unknown(report, request.site)
    if request.position is not None and request.position not in here:
        raise UsageError(
            "unknown-site",
            f"'{request.site}' has no {request.position}",
            found=f"measured there: {', '.join(here)}",
            hint=f"say --position {next(iter(here))}, or leave it out",
        )
    _check("checkpoint", request.checkpoints, [checkpoint.id for checkpoint in report.checkpoints])
    _check_names(report, request.names)
    order = PREFERRED if request.position is None else (request.position,)
    return min((site for site in here.values() if site.position in order), key=lambda site: order.index(site.position))


def _unknown(report: Report, name: str) -> UsageError:
    """Why a site is not there, where the report says so, else the nearest ones."""
    for skipped in report.coverage.skipped:
        if skipped.site == name:
            return UsageError("unmeasured-site", f"'{name}' was not measured", found=skipped.reason)
    if name in report.coverage.never_fired:
        found = "the forward pass never called it"
        return UsageError("unmeasured-site", f"'{name}' was not measured", found=found)
    try:
        check_known([site.site for site in report.sites], [name], "covscan render REPORT --verbose lists them")
    except UsageError as error:
        return error
    return UsageError("unknown-site", f"'{name}' is a glob, and one site is explained at a time")


def _check(what: str, words: Sequence[str], known: Sequence[str]) -> None:
    for word in words:
        if word not in known:
            hint = nearest(word, known) if known else ""
            raise UsageError(f"unknown-{what}", f"the report has no {what} '{word}'", hint=hint)


def _check_names(report: Report, words: Sequence[str]) -> None:
    """Raise UsageError for a word that covers no number a report can have."""
    held = (name for shift in report.shifts for name in shift.measures)
    known = list(dict.fromkeys([*STATISTICS, *MEASURES, *OF_LAYER, *OF_SHIFT, *held]))
    for word in words:
        if not any(matches(name, word) for name in known):
            raise UsageError("unknown-measure", f"there is no measure or statistic '{word}'", hint=nearest(word, known))
