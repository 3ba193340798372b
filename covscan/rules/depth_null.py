"""What mean dominance a healthy rectifier network would have at each depth."""

import math
from typing import TYPE_CHECKING

from covscan.measures.topology import Topology
from covscan.report.types import Checkpoint, Site
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import Layer, by_key, site_of, statistics

if TYPE_CHECKING:
    from covscan.capture.types import SiteKey

_ODD = ("Tanh", "tanh", "Softsign", "Identity", "Tanhshrink", "Hardtanh")
_HOPS = 64


def rectified_cosine(cosine: float) -> float:
    """Cosine between two samples behind a rectifier and a wide random layer, from that in front (Cho and Saul 2009)."""
    c = min(max(cosine, -1.0), 1.0)
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


def mean_to_variance(cosine: float) -> float:
    """The ratio q = c / (1 - c): the squared mean over the variance that goes with a cosine between samples."""
    return cosine / (1 - cosine) if cosine < 1 else math.inf


def expected(evidence: Evidence, graph: Topology, layer: Layer, checkpoint: Checkpoint) -> float | None:
    """The q that a plain rectifier network with random weights has at a layer, started at its input's own cosine.

    Odd activations keep the cosine. None where the cosine at the start was not measured.
    """
    sites = by_key(evidence)
    rectifiers, start = 0, None
    place = layer.place
    for _ in range(_HOPS):
        keys = graph.inputs[place]
        start = _cosine(keys, sites, checkpoint) if keys else start
        before = graph.before[place]
        if not before:
            break
        place = before[-1]
        call = graph.calls[place]
        if call.role == "norm":
            start = 0.0
            break
        rectifiers += call.role == "activation" and call.type not in _ODD
    if start is None:
        return None
    cosine = max(start, 0.0)
    for _ in range(rectifiers):
        cosine = rectified_cosine(cosine)
    return mean_to_variance(cosine)


def _cosine(keys: "tuple[SiteKey, ...]", sites: dict[tuple[str, str], Site], checkpoint: Checkpoint) -> float | None:
    site = site_of(keys[0], sites)
    found = statistics(site, checkpoint) if site is not None else None
    return found.cross_sample_cosine if found is not None else None
