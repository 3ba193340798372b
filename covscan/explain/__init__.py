"""How the numbers of a report came about, from the report alone."""

from msgspec.structs import replace

from covscan.catalog.measure_pages import measure_page
from covscan.catalog.measures import MEASURES, STATISTICS
from covscan.catalog.statistics import BASES, DEFINITIONS, meaning
from covscan.explain import gradients, measures, origin, statistics
from covscan.explain.citations import citations, cited_by
from covscan.explain.request import Request, find
from covscan.report.explanation import Definition, Explanation, Value
from covscan.report.types import Report, Shift, Site

CHANNELS = "channels_shifted"


def explain(report: Report, request: Request, source: str) -> Explanation:
    """Everything that is known of the numbers of one site; ``source`` names the report. Raises UsageError."""
    site = find(report, request)
    shifts = _shifts(report, site)
    every = [*_statistics(report, site), *_measures(report, site, shifts)]
    every += gradients.values(report, site.site) if site.position == "output" else ()
    made = citations(report, site, every)
    values = [
        replace(value, cited_by=cited_by(value, made)) for value in every if request.takes(value.name, value.checkpoint)
    ]
    if request.names or request.checkpoints:
        cited = {what for value in values for what in value.cited_by}
        made = [each for each in made if each.what in cited]
    checks = [(value, check) for value in values for check in value.checks]
    named = [f"{value.name} at {value.checkpoint}: {check.stated}, but {check.numbers} ({check.formula})"
             for value, check in checks if not check.agrees]  # fmt: skip
    named += [f"{each.what}: {check.stated}, but {check.numbers} ({check.formula})"
              for each in made for check in each.checks if not check.agrees]  # fmt: skip
    return Explanation(
        report=source,
        version=report.tool.version,
        command=report.run.command,
        site=site.site,
        position=site.position,
        others=[each.position for each in report.sites if each.site == site.site and each.position != site.position],
        type=site.type,
        role=site.role,
        channels=site.channels,
        channel_axis=site.channel_axis,
        shape=site.shape,
        same_as=site.same_as,
        normalized_by=site.normalized_by,
        source=site.source,
        reading=origin.reading(report, site),
        columns=origin.columns(report, site, request),
        definitions=_definitions(values),
        values=values,
        citations=made,
        certainty=measures.certainty(report, shifts),
        checked=len(checks) + sum(len(each.checks) for each in made),
        disagreeing=named,
    )


def _shifts(report: Report, site: Site) -> list[Shift]:
    """The shifts of a site; of one that sees another's tensor that one's, where the report has no own ones."""
    own = [shift for shift in report.shifts if (shift.site, shift.position) == (site.site, site.position)]
    if own or site.same_as is None:
        return own
    seen = (site.same_as.site, site.same_as.position)
    return [shift for shift in report.shifts if (shift.site, shift.position) == seen]


def _statistics(report: Report, site: Site) -> list[Value]:
    values = []
    for checkpoint in report.checkpoints:
        found = site.statistics.get(checkpoint.id)
        if found is None:
            continue
        checks = statistics.checks(site, found, origin.positions(report, checkpoint.id))
        for name in STATISTICS:
            value = getattr(found, name)
            status = found.status if value is None else None
            values.append(
                Value(
                    name=name,
                    kind="statistic",
                    checkpoint=checkpoint.id,
                    value=value,
                    status=origin.missing(site, found, name) if value is None and status is None else status,
                    checks=checks.get(name, []),
                )
            )
    return values


def _measures(report: Report, site: Site, shifts: list[Shift]) -> list[Value]:
    values = []
    for shift in shifts:
        checks = measures.checks(report, site, shift)
        for name, found in shift.measures.items():
            values.append(
                Value(
                    name=name,
                    kind="measure",
                    from_checkpoint=shift.from_,
                    checkpoint=shift.to,
                    value=found.value,
                    noise=found.noise,
                    low=found.low,
                    high=found.high,
                    significant=found.significant,
                    status=found.status,
                    why=measures.why(name, found, shift),
                    checks=checks.get(name, []),
                )
            )
        if shift.channels_shifted is not None:
            values.append(
                Value(
                    name=CHANNELS,
                    kind="measure",
                    from_checkpoint=shift.from_,
                    checkpoint=shift.to,
                    value=shift.channels_shifted,
                )
            )
    return values


def _definitions(values: list[Value]) -> list[Definition]:
    """Each name that occurs, once."""
    known = {definition.name: definition for definition in gradients.definitions()}
    found: dict[tuple[str, str], Definition] = {}
    for value in values:
        if (value.kind, value.name) not in found:
            found[value.kind, value.name] = (
                _statistic(value.name)
                if value.kind == "statistic"
                else _measure(value.name)
                if value.kind == "measure"
                else known[value.name]
            )
    return list(found.values())


def _statistic(name: str) -> Definition:
    known = DEFINITIONS[name]
    return Definition(
        name=name,
        kind="statistic",
        meaning=meaning(name),
        formula=known.formula,
        basis=BASES[known.basis],
        source=known.source,
    )


def _measure(name: str) -> Definition:
    page = measure_page(name)
    if page is None:
        return _other(name)
    return Definition(
        name=name,
        kind="measure",
        meaning=MEASURES.get(name, ""),
        formula=f"{page.summary} {page.body}".strip(),
        basis=measures.basis(page),
        material=page.material or None,
    )


def _other(name: str) -> Definition:
    """What stands beside the measures, and what a later version may have added."""
    if name != CHANNELS:
        unknown = "this version of covscan does not know this measure"
        return Definition(name=name, kind="measure", meaning=unknown, formula="", basis="")
    return Definition(
        name=name,
        kind="measure",
        meaning="share of the channels, 0 to 1, whose mean moved",
        formula="channels beyond 0.2 sd at a false discovery rate of 5 % / channels that vary",
        basis=measures.BASES["moments"],
        source="Benjamini, Hochberg 1995",
    )


__all__ = ["Request", "explain"]
