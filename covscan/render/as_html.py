"""The report as one page that opens from disk: tables that stand alone, charts where a script may run."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from covscan.render.content import columns, coverage, gate, gradients, shifts, suggestions, trials
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.render.web import findings, measured, overview, packing, subjects, tables
from covscan.render.web.anchors import aliases
from covscan.render.web.markup import Writer, escape, framed
from covscan.report.types import Report, Site

CONTENTS = {
    "overview": "Overview",
    "gate": "Gate",
    "shift": "Shift",
    "depth": "Depth",
    "findings": "Findings",
    "suggestions": "Suggestions",
    "trials": "Trials",
    "gradients": "Gradients",
    "candidates": "Candidates",
    "tables": "Tables",
    "coverage": "Coverage",
    "notes": "Notes",
}


def render(report: Report, _look: Look) -> str:
    """The page. The same report gives the same bytes, as long as the installed chart library is the same."""
    look = Look(verbose=True)
    sites = subjects.sites_of(report)
    links = findings.links_of(report)
    writer = Writer({printable(site): target for (site, position), target in links.items() if not position})
    parts = dict(_parts(report, sites, writer, look))
    listed = "".join(f'<a href="#{key}">{name}</a>' for key, name in CONTENTS.items() if key in parts)
    name = escape(overview.title(report, look))
    data = packing.packed(packing.as_json(_data(report, sites)))
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{packing.policy()}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>covscan · {name}</title>",
            f"<style>{packing.style()}</style>\n</head>\n<body>",
            f'<header class="top"><h1><span class="brand">covscan</span> {name}</h1>',
            f'<ul class="facts">{overview.facts(report, look)}</ul>',
            f'<nav aria-label="Contents">{listed}</nav>',
            '<button type="button" id="scheme" hidden>Scheme: automatic</button></header>',
            f"<main>\n{chr(10).join(parts.values())}\n</main>",
            '<aside id="layer" aria-labelledby="layer-title" hidden></aside>',
            '<div id="tip" hidden></div>',
            _footer(report),
            f'<script type="application/octet-stream" id="library">{packing.packed(packing.library())}</script>',
            f'<script type="application/octet-stream" id="data">{data}</script>',
            f"<script>{packing.script()}</script>\n</body>\n</html>\n",
        )
    )


def _footer(report: Report) -> str:
    run = report.run
    return (
        f"<footer><p>Written by covscan {escape(report.tool.version)} from <code>{escape(run.command)}</code>, "
        f"{escape(run.started)}. Schema {escape(report.schema_version)}. This page asks nothing of any network.</p>"
        "</footer>"
    )


def _parts(report: Report, sites: Sequence[Site], writer: Writer, look: Look) -> Iterator[tuple[str, str]]:
    """The page's sections by their fragments, in the order in which they are read."""
    links = findings.links_of(report)
    yield "overview", overview.overview(report, writer)
    if report.gate is not None:
        yield "gate", writer.section(gate.section(report.gate, look), "gate")
    if len(report.checkpoints) > 1:
        yield "shift", _drawn("shift", shifts.title(report), tables.shift_table(report, writer))
    if sites:
        yield "depth", _drawn("depth", "The network over its depth", "")
    yield "findings", findings.findings(report, look, links)
    yield "suggestions", findings.advice(report, writer, links)
    trained = trials.section(report)
    if trained is not None:
        curves = "" if report.trials is None else tables.curves_table(report.trials)
        yield "trials", writer.section(trained, "trials", below=curves)
    slopes = gradients.section(report, look)
    if slopes is not None:
        yield "gradients", writer.section(slopes, "gradients")
    if report.candidates:
        yield "candidates", writer.section(suggestions.candidates(report, look), "candidates")
    if sites:
        yield "tables", _tables(report, sites)
    yield "coverage", writer.section(coverage.section(report, look), "coverage")
    if report.notes:
        yield "notes", writer.section(coverage.notes(report), "notes")


def _tables(report: Report, sites: Sequence[Site]) -> str:
    last = escape(columns.label(report, report.checkpoints[-1]))
    percentiles = "Percentiles 15 / 50 / 85 of each site"
    body = (
        f"<h3>Statistics at {last}</h3>\n{tables.statistics_table(report, sites)}\n"
        f"<h3>{percentiles}</h3>\n{tables.percentile_table(report, sites)}"
    )
    return framed("tables", "Tables", body)


def _drawn(key: str, title: str, body: str) -> str:
    """A section with a place that the script draws into."""
    return framed(key, title, f'<div class="drawn" id="{key}-drawn" hidden></div>\n{body}')


def _data(report: Report, sites: Sequence[Site]) -> dict[str, Any]:
    """All that the script reads, charts included."""
    from covscan.render.charts import heatmap

    names = measured.measures(report)
    headings = [printable(text) for text in columns.headings(report)]
    trained = report.trials
    return {
        "headings": headings,
        "kind": columns.kind(report),
        "sites": subjects.described(report, sites),
        "aliases": aliases(report),
        "measures": measured.described(names),
        "spans": measured.spans(report, sites, names),
        "fields": list(measured.STATISTICS),
        "statistics": measured.statistics(report, sites),
        "gradients": measured.gradients(report, sites),
        "curves": None if trained is None else {"without": trained.curve_without, "with": trained.curve_with},
        "charts": _charts(heatmap.long(headings[1:])),
    }


@cache
def _charts(tilted: bool) -> dict[str, Any]:
    """What the script fills with data, as Vega-Lite."""
    from covscan.render.charts import heatmap, network, site, theme

    return {
        "heat": theme.finished(heatmap.heatmap(tilted=tilted)),
        "bands": theme.fitted(site.bands()),
        "spread": theme.fitted(site.spread()),
        "trend": theme.fitted(site.trend()),
        "depth": theme.fitted(network.profile()),
        "curves": theme.fitted(network.curves()),
    }
