"""The results as a page."""

from collections.abc import Iterable, Mapping
from typing import Any

_COLUMNS = {"spearman": "Spearman", "regret": "top-1 regret", "ndcg": "NDCG@3", "auroc": "AUROC of gain > 5 %"}


def page(results: Mapping[str, Any]) -> str:
    """Markdown; brackets hold 95 % intervals over networks."""
    truth, ranking = results["truth"], results["ranking"]
    parts = [
        "# normgain: what was measured",
        "Written by `score.py`. Brackets hold 95 % intervals over networks; what the columns mean is in README.md.",
        "## The truth",
        _table(["", *truth["all"]], [[group, *map(_cell, row.values())] for group, row in truth.items()]),
        "## Orders, over the networks whose places can be told apart",
        _table(
            ["", "networks", *_COLUMNS.values()],
            [
                [name, str(found["networks"]), *(_cell(found[column]) for column in _COLUMNS)]
                for name, found in ranking["all"].items()
            ],
        ),
    ]
    for column, title in _COLUMNS.items():
        families = [family for family in ranking if family != "all"]
        rows = [[name, *(_cell(ranking[f][name][column]) for f in families)] for name in ranking["all"]]
        parts += [f"### {title} by family", _table(["", *families], rows)]
    for tier, others in results["against"].items():
        parts += [
            f"## {tier} less others, network by network",
            "Positive where the tier is better.",
            _table(["", "Spearman", "top-1 regret"], [[n, *map(_cell, found.values())] for n, found in others.items()]),
        ]
    for tier, groups in results["calls"].items():
        parts += [
            f"## Suggestions, {tier}",
            _table(["", *groups["all"]], [[group, *map(_cell, row.values())] for group, row in groups.items()]),
        ]
    parts += [
        "## Intervals and cost",
        _table(
            [
                "tier",
                "90 % intervals",
                "hold the gain",
                "median width",
                "mean absolute error",
                "forward passes",
                "seconds",
            ],
            [
                [
                    tier,
                    str(found["intervals"]),
                    *(_cell(found.get(name)) for name in ("share", "median width", "mean absolute error")),
                    *map(_cell, results["cost"][tier].values()),
                ]
                for tier, found in results["coverage"].items()
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping) and "value" in value:
        ends = f" [{value['low']:.2f}, {value['high']:.2f}]" if value["low"] is not None else ""
        return f"{value['value']:.2f}{ends}"
    if isinstance(value, Mapping):
        return "–" if value["share"] is None else f"{value['share']:.2f} of {value['of']}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}"
