"""Which sites of two models are the same, and why the others are not."""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from covscan.capture.types import Module, Network, Site, SiteKey, Skip, base_name
from covscan.engine.call_pairs import CallPairs, pair_calls
from covscan.engine.views import View
from covscan.measures.topology import topology

_BATCHNORMS = ("BatchNorm", "SyncBatchNorm", "BatchNormalization")


@dataclass(slots=True)
class _Sites:
    """Pairs of measured sites, and why a site of either network has none."""

    here: Mapping[SiteKey, Site]
    there: Mapping[SiteKey, Site]
    pairs: dict[SiteKey, SiteKey] = field(default_factory=dict)
    reasons: dict[SiteKey, str] = field(default_factory=dict)
    """Of sites here and there; their keys may be alike, but then they are a pair or fail for one reason."""

    def offer(self, mine: SiteKey | None, yours: SiteKey | None) -> None:
        """Pair two sites that are free and hold tensors of one kind."""
        if mine is None or yours is None or mine not in self.here or yours not in self.there:
            return
        if mine in self.pairs or yours in self.pairs.values():
            return
        reason = _difference(self.here[mine], self.there[yours])
        if reason is None:
            self.pairs[mine] = yours
        else:
            self.reasons.setdefault(mine, reason)
            self.reasons.setdefault(yours, reason)

    def in_order(self) -> None:
        """Give up the pairs that come in another order of execution than most."""
        ordered = sorted(self.pairs.items(), key=lambda pair: self.here[pair[0]].depth)
        kept = set(_longest_ascent([self.there[yours].depth for _, yours in ordered]))
        for place, (mine, yours) in enumerate(ordered):
            if place not in kept:
                del self.pairs[mine]
                self.reasons[mine] = self.reasons[yours] = "another order of execution in the other model"


def correspond(here: Network, there: Network, names: tuple[str, str]) -> tuple[View, View]:
    """What of two networks is the same, as views that call everything as the first network does.

    Calls are the same that bear the same name: of their module, which exporters write into ONNX files, else of the
    graph's value or node. What a call gives is then the same site, and what it reads, if it has as many channels and
    positions and comes in the same order. A BatchNorm that was folded into the layer in front of it is what that layer
    gives. ``names`` are what the two models are called where a site has no counterpart.
    """
    if _is_graph(here) and not _is_graph(there):
        # Matching starts from modules: a graph may be what an exporter made of them, and not the other way round.
        calls, sites = _match(there, here, names[0])
        back = {yours: mine for mine, yours in sites.pairs.items()}
        of_calls = {calls.here[place].name: calls.there[other].name for place, other in calls.pairs.items()}
        return (
            View({mine: mine for mine in back}, {}, tuple(_unmapped(sites, sites.there, back, calls, names[1]))),
            View(sites.pairs, of_calls, tuple(_unmapped(sites, sites.here, sites.pairs, calls, names[0]))),
        )
    calls, sites = _match(here, there, names[1])
    back = {yours: mine for mine, yours in sites.pairs.items()}
    of_calls = {calls.there[other].name: calls.here[place].name for place, other in calls.pairs.items()}
    return (
        View(
            {mine: mine for mine in sites.pairs}, {}, tuple(_unmapped(sites, sites.here, sites.pairs, calls, names[1]))
        ),
        View(back, of_calls, tuple(_unmapped(sites, sites.there, back, calls, names[0]))),
    )


def _is_graph(network: Network) -> bool:
    return any(call.nodes for call in network.modules)


def _match(here: Network, there: Network, other_name: str) -> tuple[CallPairs, _Sites]:
    """Calls and sites that are the same; ``other_name`` is what the second network's model is called."""
    calls = pair_calls(here, there)
    sites = _Sites(_measured(here), _measured(there))
    folds = {fold.layer: fold for fold in _folds(calls, here)}
    same_here, same_there = _canonical(here), _canonical(there)
    pairs = [(place, here.modules[place], there.modules[other]) for place, other in calls.pairs.items()]
    for place, mine, yours in pairs:
        last = folds[place].norm if place in folds else mine
        sites.offer(same_here(last.output), same_there(yours.output))
    for logits, other_logits in _logits(here, there, calls):
        sites.offer(logits, other_logits)
    reading = [(mine, yours) for _, mine, yours in pairs if mine.role == yours.role]
    reading += [(here.modules[fold.layer], fold.into) for fold in folds.values()]
    for mine, yours in reading:
        if len(mine.inputs) == len(yours.inputs):
            for read, other_read in zip(mine.inputs, yours.inputs, strict=True):
                sites.offer(same_here(read), same_there(other_read))
    sites.in_order()
    for fold in folds.values():
        output = same_here(here.modules[fold.layer].output)
        if output is not None:
            sites.reasons[output] = f"the BatchNorm behind it is folded into it in {other_name}"
    return calls, sites


def _unmapped(
    sites: _Sites, own: Mapping[SiteKey, Site], mapped: Mapping[SiteKey, SiteKey], calls: CallPairs, other: str
) -> Iterator[Skip]:
    for key in own:
        if key not in mapped:
            unclear = calls.unclear.get(key.site)
            reason = sites.reasons.get(key) or unclear or f"without a counterpart in {other}"
            yield Skip(key.site, f"its {key.position}: {reason}" if key.position != "output" else reason)


def _measured(network: Network) -> dict[SiteKey, Site]:
    return {site.key: site for site in network.measured()}


def _canonical(network: Network) -> "_Canonical":
    return _Canonical({site.key: site.same_as or site.key for site in network.sites})


@dataclass(frozen=True, slots=True)
class _Canonical:
    """The site that is measured in the place of one that sees the same tensor."""

    same: Mapping[SiteKey, SiteKey]

    def __call__(self, key: SiteKey | None) -> SiteKey | None:
        return None if key is None else self.same.get(key, key)


def _difference(one: Site, other: Site) -> str | None:
    """Why two tensors cannot be compared value by value."""
    if (one.key.position == "logits") != (other.key.position == "logits"):
        return "attention logits in one model and not in the other"
    if one.channels != other.channels:
        return f"{one.channels} channels in one model and {other.channels} in the other"
    if _positions(one) != _positions(other):
        return f"{_positions(one)} positions in one model and {_positions(other)} in the other"
    return None


def _positions(site: Site) -> int:
    taken = {site.layout.sample_axis, site.layout.channel_axis}
    sizes = [size for axis, size in enumerate(site.shape) if axis not in taken]
    return math.prod(size for size in sizes if isinstance(size, int)) * site.layout.folded


@dataclass(frozen=True, slots=True)
class _Fold:
    """A layer, by its place among the calls, whose BatchNorm an exporter folded into ``into``."""

    layer: int
    norm: Module
    into: Module


def _folds(calls: CallPairs, here: Network) -> Iterator[_Fold]:
    """The layers whose partner in an exported graph also does what the BatchNorm behind them does.

    It either bears the BatchNorm's name, or the layer's, with weights that no longer have the names they had or in a
    graph without any BatchNorm.
    """
    graph = topology(here)
    places = {id(module): place for place, module in enumerate(here.modules)}
    for number, norm in enumerate(graph.calls):
        behind = [before for before in graph.before[number] if graph.outputs[before] in graph.inputs[number]]
        if not norm.type.startswith(_BATCHNORMS) or len(behind) != 1 or graph.after[behind[0]] != (number,):
            continue
        place = places[id(graph.calls[behind[0]])]
        of_layer, of_norm = calls.partner(place), calls.partner(places[id(norm)])
        if of_norm is not None and of_norm.role == "layer" and of_layer is None:
            yield _Fold(place, norm, of_norm)
        elif of_layer is not None and of_norm is None and of_layer.role == "layer" and of_layer.nodes:
            renamed = not any(name.startswith(f"{of_layer.origin}.") for name in of_layer.parameters)
            if of_layer.has_bias and (renamed or not any(call.type.startswith(_BATCHNORMS) for call in calls.there)):
                yield _Fold(place, norm, of_layer)


def _logits(here: Network, there: Network, calls: CallPairs) -> Iterator[tuple[SiteKey, SiteKey]]:
    """Attention logits of the modules that have as many of them in both networks."""
    mine = _logits_by_module(here, dict(zip((call.name for call in calls.here), calls.origins_here, strict=True)))
    yours = _logits_by_module(there, dict(zip((call.name for call in calls.there), calls.origins_there, strict=True)))
    for name, keys in mine.items():
        if len(keys) == len(yours.get(name, [])):
            yield from zip(keys, yours[name], strict=True)


def _logits_by_module(network: Network, origins: Mapping[str, str | None]) -> dict[str, list[SiteKey]]:
    readers = {key: call for call in network.modules for key in call.inputs}
    found: dict[str, list[SiteKey]] = defaultdict(list)
    for site in network.measured():
        if site.key.position == "logits":
            reader = readers.get(site.key)
            name = base_name(site.key.site) if reader is None else origins[reader.name]
            found[name or site.key.site].append(site.key)
    return found


def _longest_ascent(values: list[int]) -> list[int]:
    """Places of a longest part of ``values`` that does not descend (patience sorting)."""
    tops: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        pile = bisect.bisect_right(tops, value)
        before.append(last[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(value)
            last.append(place)
        else:
            tops[pile], last[pile] = value, place
    found: list[int] = []
    place = last[-1] if last else -1
    while place >= 0:
        found.append(place)
        place = before[place]
    return found[::-1]
