"""What orders places: covscan's tiers, and the simple rules that they have to beat."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from measured import Key, Measured

Place = Mapping[str, Any]
Scores = dict[Key, float]
FIRST, LATER = "ckpt-0", "ckpt-40"


def tier_scores(network: Measured, prediction: Mapping[str, Any]) -> Scores:
    """A tier's own scores."""
    del network
    return {(place["site"], place["position"]): place["score"] for place in prediction["places"]}


def first_first(network: Measured, prediction: Mapping[str, Any]) -> Scores:
    """The earlier, the better."""
    del prediction
    return {place: -float(order) for place, order in zip(network.places, network.orders, strict=True)}


def last_first(network: Measured, prediction: Mapping[str, Any]) -> Scores:
    """The later, the better."""
    del prediction
    return {place: float(order) for place, order in zip(network.places, network.orders, strict=True)}


def _of_places(value: Callable[[Place], float | None]) -> Callable[[Measured, Mapping[str, Any]], Scores]:
    def scores(network: Measured, prediction: Mapping[str, Any]) -> Scores:
        del network
        found = {(place["site"], place["position"]): value(place) for place in prediction["places"]}
        return {key: score for key, score in found.items() if score is not None}

    return scores


def _log_variance(place: Place) -> float | None:
    scale = _signal(place, FIRST, "channel_scale")
    return abs(math.log(scale)) if scale else None


def _shift(place: Place) -> float | None:
    signals = place.get("signals")
    return None if signals is None else signals["shifts"].get("absolute_log_variance_ratio")


def _gradient(place: Place) -> float | None:
    found = (place.get("gradients") or {}).get(LATER)
    return None if found is None else found["gradient_norm"]


def _signal(place: Place, checkpoint: str, name: str) -> float | None:
    signals = place.get("signals")
    value: float | None = None if signals is None else signals["checkpoints"][checkpoint].get(name)
    return value


BASELINES: dict[str, Callable[[Measured, Mapping[str, Any]], Scores]] = {
    "first first": first_first,
    "last first": last_first,
    "activation variance": _of_places(_log_variance),
    "shift only": _of_places(_shift),
    "gradient norm": _of_places(_gradient),
}
"""Rules that need what the forward tier's predictions hold."""
