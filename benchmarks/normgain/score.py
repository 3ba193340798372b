"""Scores covscan's tiers against the measured gains, beside simple rules and what one seed tells of the others.

    python benchmarks/normgain/score.py

Reads ``data/truth.jsonl`` and whatever ``data/predictions-*.jsonl`` there are; writes ``results.json`` and
``results.md``. What the metrics are is in README.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from measured import WORTH, Measured, measured, others_mean
from methods import BASELINES, Scores, tier_scores
from metrics import auroc, drawn_again, ndcg, random_ndcg, random_regret, regret, spearman
from page import page
from predict import BACKWARD, TIERS, path_of
from truth import TRUTH
from working import read

HERE = Path(__file__).parent
CEILING = "one seed tells the others"


@dataclass(frozen=True, slots=True)
class Row:
    """What a method reaches on one network: its ranking, where that counts, and what detection is pooled from."""

    family: str
    ranking: dict[str, float] | None
    scores: tuple[float, ...]
    positive: tuple[bool, ...]


def row(network: Measured, scores: Scores) -> Row:
    """A method on one network. Offered places that it says nothing of come last."""
    chosen = network.ranked
    lowest = min(scores.values(), default=0.0) - 1.0
    values = [scores.get(network.places[number], lowest) for number in chosen]
    gains = [network.gains[number] for number in chosen]
    ranking = None
    if network.rankable:
        ranking = {"spearman": spearman(values, gains), "regret": regret(values, gains), "ndcg": ndcg(values, gains)}
    return Row(network.family, ranking, tuple(values), tuple(gain > WORTH for gain in gains))


def _rows(
    networks: Sequence[Measured],
    rule: Callable[[Measured, Mapping[str, Any]], Scores],
    predictions: Mapping[int, Mapping[str, Any]],
) -> list[Row | None]:
    """A method on all networks, None for those that it was not asked about."""
    return [
        row(network, rule(network, predictions[network.number])) if network.number in predictions else None
        for network in networks
    ]


def random_row(network: Measured) -> Row:
    """The expectation over all orders."""
    gains = [network.gains[number] for number in network.ranked]
    ranking = (
        {"spearman": 0.0, "regret": random_regret(gains), "ndcg": random_ndcg(gains)} if network.rankable else None
    )
    return Row(network.family, ranking, (0.0,) * len(gains), tuple(gain > WORTH for gain in gains))


def ceiling_row(network: Measured) -> Row:
    """How well the gains of one seed foretell the mean of the others, averaged over the seeds."""
    by_seed = network.by_seed[network.ranked]
    found, scores, positive = [], [], []
    for seed in range(by_seed.shape[1] if len(by_seed) else 0):
        mine, others = by_seed[:, seed].tolist(), others_mean(by_seed, seed)
        found.append((spearman(mine, others), regret(mine, others), ndcg(mine, others)))
        scores += mine
        positive += [gain > WORTH for gain in others]
    ranking = None
    if network.rankable:
        ranking = dict(
            zip(("spearman", "regret", "ndcg"), (fmean(column) for column in zip(*found, strict=True)), strict=True)
        )
    return Row(network.family, ranking, tuple(scores), tuple(positive))


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over networks with 95 % intervals, and the pooled detection of gains above 5 %."""
    rankings = [each.ranking for each in rows if each.ranking is not None]
    found: dict[str, Any] = {"networks": len(rankings)}
    for name in ("spearman", "regret", "ndcg"):
        values = np.array([ranking[name] for ranking in rankings])
        found[name] = _interval(len(values), lambda drawn, values=values: float(values[drawn].mean()))
    found["auroc"] = _interval(len(rows), lambda drawn: _pooled([rows[number] for number in drawn]), draws=500)
    found["places"] = sum(len(each.scores) for each in rows)
    return found


def differences(rows: Sequence[Row | None], others: Sequence[Row | None]) -> dict[str, Any]:
    """How much better one method ranks than another, network by network; positive is better in both columns."""
    pairs = [
        (a.ranking, b.ranking)
        for a, b in zip(rows, others, strict=True)
        if a is not None and b is not None and a.ranking and b.ranking
    ]
    found = {}
    for name, sign in (("spearman", 1), ("regret", -1)):
        values = np.array([sign * (a[name] - b[name]) for a, b in pairs])
        found[name] = _interval(len(values), lambda drawn, values=values: float(values[drawn].mean()))
    return found


def _pooled(rows: Sequence[Row]) -> float | None:
    return auroc([s for each in rows for s in each.scores], [p for each in rows for p in each.positive])


def _interval(count: int, statistic: Callable[[np.ndarray], float | None], draws: int = 2000) -> dict[str, Any] | None:
    value = statistic(np.arange(count)) if count else None
    if value is None:
        return None
    ends = drawn_again(count, statistic, draws)
    low, high = (None, None) if ends is None else (round(end, 3) for end in ends)
    return {"value": round(value, 3), "low": low, "high": high}


def calls(networks: Sequence[Measured], predictions: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What was suggested: silence where nothing is to gain, speech where something is, and what following it gains."""
    silent, spoken, gained, missed, right, followed = [], [], [], [], [], []
    for network in networks:
        gains = dict(zip(network.places, network.gains, strict=True))
        keys = [(s["site"], s["position"]) for s in predictions[network.number]["suggestions"]]
        (silent if network.healthy else spoken).append(not keys if network.healthy else bool(keys))
        known = [gains[key] for key in keys if key in gains]
        right += [gain > WORTH for gain in known]
        followed.append(len(known) == len(keys))
        if keys and not known:
            continue
        gained.append(known[0] if keys else 0.0)
        missed.append(max(0.0, network.best) - gained[-1])
    return {
        "silent where nothing is to gain": _share(silent),
        "speaks where something is to gain": _share(spoken),
        "suggested places that gain": _share(right),
        "networks whose suggestions were measured": _share(followed),
        "mean gain of following": round(fmean(gained), 4) if gained else None,
        "mean gain missed": round(fmean(missed), 4) if missed else None,
    }


def coverage(networks: Sequence[Measured], predictions: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """How often a predicted 90 % interval holds the measured gain, and how wide it is; nothing where none is given."""
    inside, widths, errors = [], [], []
    for network in networks:
        said = {(p["site"], p["position"]): p["gain"] for p in predictions[network.number]["places"]}
        for place, gain in zip(network.places, network.gains, strict=True):
            found = said.get(place)
            if found is None or found["low"] is None or found["high"] is None:
                continue
            inside.append(found["low"] <= gain <= found["high"])
            widths.append(found["high"] - found["low"])
            errors.append(abs(found["value"] - gain))
    if not inside:
        return {"intervals": 0}
    return {
        **_share(inside),
        "intervals": len(inside),
        "median width": round(median(widths), 4),
        "mean absolute error": round(fmean(errors), 4),
    }


def _share(values: Sequence[bool]) -> dict[str, Any]:
    return {"share": round(sum(values) / len(values), 3) if values else None, "of": len(values)}


def of_the_truth(networks: Sequence[Measured], records: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What the gains look like."""
    best = [network.best for network in networks]
    gaining = [network for network in networks if not network.healthy]
    return {
        "instances": len(networks),
        "healthy": sum(network.healthy for network in networks),
        "rankable": sum(network.rankable for network in networks),
        "places": sum(len(network.places) for network in networks),
        "best gain, quartiles": [round(float(q), 3) for q in np.quantile(best, [0.25, 0.5, 0.75])],
        "places that gain over 5 %": _share([gain > WORTH for network in networks for gain in network.gains]),
        "places that lose over 5 %": _share([gain < -WORTH for network in networks for gain in network.gains]),
        "median gain of all places at once": round(median(network.everywhere for network in networks), 3),
        "fixed affine over normalization at the best place, median": (
            round(median(network.affine / network.best for network in gaining), 3) if gaining else None
        ),
        "reliability, median": round(median(records[network.number]["reliability"] for network in networks), 3),
        "forward passes, median": round(median(BACKWARD * network.updates for network in networks)),
    }


def results(
    records: Mapping[int, Mapping[str, Any]], tiers: Mapping[str, Mapping[int, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Everything, overall and by family; a tier is scored on the networks that it was asked about."""
    networks = [measured(record) for record in records.values()]
    families = sorted({network.family for network in networks})

    def asked(tier: str, chosen: Sequence[Measured]) -> list[Measured]:
        return [network for network in chosen if network.number in tiers[tier]]

    methods: dict[str, list[Row | None]] = {
        **{tier: _rows(networks, tier_scores, known) for tier, known in tiers.items()},
        "random": [random_row(network) for network in networks],
    }
    if "forward" in tiers:
        for name, rule in BASELINES.items():
            methods[name] = _rows(networks, rule, tiers["forward"])
    methods[CEILING] = [ceiling_row(network) for network in networks]
    groups = {"all": networks, **{family: [n for n in networks if n.family == family] for family in families}}
    return {
        "truth": {group: of_the_truth(chosen, records) for group, chosen in groups.items()},
        "ranking": {
            group: {
                name: summary([each for each in rows if each is not None and group in {"all", each.family}])
                for name, rows in methods.items()
            }
            for group in groups
        },
        "against": {
            tier: {name: differences(methods[tier], rows) for name, rows in methods.items() if name != tier}
            for tier in tiers
        },
        "calls": {
            tier: {g: calls(asked(tier, chosen), known) for g, chosen in groups.items()}
            for tier, known in tiers.items()
        },
        "coverage": {tier: coverage(asked(tier, networks), known) for tier, known in tiers.items()},
        "cost": {
            tier: {
                "forward passes, median": median(known[n.number]["forwards"] for n in asked(tier, networks)),
                "seconds, median": median(known[n.number]["seconds"] for n in asked(tier, networks)),
            }
            for tier, known in tiers.items()
        },
    }


def main() -> None:
    tiers = {tier: read(path_of(tier)) for tier in TIERS if path_of(tier).exists()}
    found = results(read(TRUTH), tiers)
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "results.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
