"""What each site's values look like at one checkpoint."""

from collections.abc import Callable

from covscan.render.blocks import Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.content import places
from covscan.render.content.columns import label
from covscan.render.content.shift_rows import shown
from covscan.render.figures import compact, counted, percent
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Report, Site, Statistics

Reading = Callable[[Statistics], float | None]

NUMBERS: dict[str, Reading] = {
    "mean": lambda found: found.mean,
    "std": lambda found: found.std,
    "p15": lambda found: found.p15,
    "p50": lambda found: found.p50,
    "p85": lambda found: found.p85,
}
SHARES: dict[str, Reading] = {
    "zero": lambda found: found.zero_share,
    "sat": lambda found: found.saturated_share,
    "nan/inf": lambda found: found.nonfinite_share,
}
NAMES = 0.3


def section(report: Report, look: Look) -> Section:
    """The table of the last checkpoint, and where it is the only one, that no shift can be seen."""
    if not report.checkpoints:
        return Section("Statistics", (Prose(line("No checkpoint was measured.")),))
    last = report.checkpoints[-1]
    sites = [site for site in shown(report.sites, look.verbose) if last.id in site.statistics]
    shares = {name: read for name, read in SHARES.items() if _matters(name, read, sites, last.id)}
    names = places.fitted([site.site for site in sites], look, NAMES)
    columns = [Column("site"), Column("at"), *(Column(name, "right") for name in (*NUMBERS, *shares))]
    rows = tuple(_row(site, site.statistics[last.id], shares, names) for site in sites)
    blocks = (Table(tuple(columns), rows) if rows else Prose(line("No site was measured.")),)
    legend = "p15, p50, p85: percentiles. zero: exactly 0."
    if "sat" in shares:
        legend += " sat: where the activation is flat, n/a where it never is."
    remarks = Items(tuple(_remarks(report, sites, last.id)))
    read = (*blocks, remarks, Prose(line(Span(legend, "faint"))))
    return Section(f"Statistics at {label(report, last)}", read, detail=True)


def _matters(name: str, read: Reading, sites: list[Site], checkpoint: str) -> bool:
    values = [read(site.statistics[checkpoint]) for site in sites]
    return any(values) if name == "nan/inf" else any(value is not None for value in values)


def _row(site: Site, found: Statistics, shares: dict[str, Reading], names: dict[str, Span]) -> tuple[Line, ...]:
    cells = [line(names[site.site]), line(places.side(site.position))]
    cells += [line(_value(read(found), compact)) for read in NUMBERS.values()]
    cells += [line(_value(read(found), percent)) for read in shares.values()]
    return tuple(cells)


def _value(value: float | None, write: Callable[[float], str]) -> Span:
    return Span("n/a", "faint") if value is None else Span(write(value), "faint" if value == 0 else "plain")


def _remarks(report: Report, sites: list[Site], checkpoint: str) -> list[Line]:
    remarks = []
    if len(report.checkpoints) == 1:
        remarks.append(line("One checkpoint shows no shift: give two or more to see what moved between them."))
    reasons: dict[str, int] = {}
    for status in (site.statistics[checkpoint].status for site in sites):
        if status is not None:
            reasons[printable(status)] = reasons.get(printable(status), 0) + 1
    return remarks + [line(f"n/a at {counted(count, 'site')}: {reason}.") for reason, count in reasons.items()]
