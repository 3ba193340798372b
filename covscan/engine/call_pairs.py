"""Which calls of two networks are the same, by the names that modules and exporters gave them."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field

from covscan.capture.types import Module, Network

_REPEATED = re.compile(r"_\d+(?=\.|$)")
"""What the TorchScript exporter puts behind the name of a module that is called again."""


@dataclass(slots=True)
class CallPairs:
    """Calls that are the same, by their places among the modules of either network.

    ``origins_here`` and ``origins_there`` are those of the calls in common words. ``unclear`` says of a call's name why
    it could not be told from others.
    """

    here: Sequence[Module]
    there: Sequence[Module]
    origins_here: Sequence[str | None]
    origins_there: Sequence[str | None]
    pairs: dict[int, int] = field(default_factory=dict)
    unclear: dict[str, str] = field(default_factory=dict)

    def partner(self, place: int) -> Module | None:
        """The call there that is the one at ``place`` here."""
        return self.there[self.pairs[place]] if place in self.pairs else None

    def by_origin(self, key: Callable[[Module, str], Hashable | None]) -> None:
        """Pair the calls of one module in their order, where both networks have as many of one ``key``."""
        left = _grouped(self.here, self.origins_here, self.pairs.keys(), key)
        right = _grouped(self.there, self.origins_there, set(self.pairs.values()), key)
        for name, mine in left.items():
            yours = right.get(name, [])
            if len(mine) == len(yours):
                self.pairs.update(zip(mine, yours, strict=True))
            elif yours:
                why = f"one of {len(mine)} calls in one model and of {len(yours)} in the other"
                self.unclear |= {self.here[place].name: why for place in mine}
                self.unclear |= {self.there[place].name: why for place in yours}

    def by_name(self) -> None:
        """Pair calls of one type whose value or node has the same name, where their origins do not contradict."""
        taken = set(self.pairs.values())
        named: dict[str, list[int]] = defaultdict(list)
        for place, call in enumerate(self.there):
            if place not in taken:
                for name in _names(call):
                    named[name].append(place)
        for place, call in enumerate(self.here):
            if place in self.pairs:
                continue
            found = {n for name in _names(call) for n in named[name] if self._may_be(place, n)} - taken
            if len(found) == 1:
                self.pairs[place] = found.pop()
                taken.add(self.pairs[place])

    def _may_be(self, mine: int, yours: int) -> bool:
        call, other = self.here[mine], self.there[yours]
        origins = {self.origins_here[mine], self.origins_there[yours]} - {None}
        return (call.role, call.type) == (other.role, other.type) and len(origins) < 2


def pair_calls(here: Network, there: Network) -> CallPairs:
    """Pair the calls of two networks: by their modules, else by the names of values and nodes."""
    known = {call.origin for call in here.modules if call.origin is not None}
    others = {call.origin for call in there.modules if call.origin is not None}
    mine, yours = _prefixes(known, others)
    renamed = {name: mine + name.removeprefix(yours) if name.startswith(yours) else name for name in others}
    found = CallPairs(
        here.modules,
        there.modules,
        [None if call.origin is None else _plain(call.origin, set(renamed.values())) for call in here.modules],
        [None if call.origin is None else _plain(renamed[call.origin], known) for call in there.modules],
    )
    found.by_origin(lambda call, origin: (origin, call.role, call.type))
    found.by_origin(lambda call, origin: (origin, call.role) if call.role != "block" else None)
    found.by_name()
    found.by_origin(lambda call, origin: origin)
    return found


def _grouped(
    calls: Sequence[Module],
    origins: Sequence[str | None],
    paired: Collection[int],
    key: Callable[[Module, str], Hashable | None],
) -> dict[Hashable, list[int]]:
    """Places of the calls that have an origin and an output and are not paired yet."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, (call, origin) in enumerate(zip(calls, origins, strict=True)):
        name = None if origin is None or call.output is None else key(call, origin)
        if name is not None and place not in paired:
            groups[name].append(place)
    return groups


def _names(call: Module) -> set[str]:
    return {call.name, *call.nodes[-1:]}


def _plain(origin: str, known: Collection[str]) -> str:
    """The origin without an exporter's numbers, where only so the other network knows it."""
    plain = _REPEATED.sub("", origin)
    return plain if origin not in known and plain in known else origin


def _prefixes(known: set[str], others: set[str]) -> tuple[str, str]:
    """(prefix here, prefix there) without which most names are the same; a wrapper around a network adds one."""
    choices = [("", "")]
    choices += [("", prefix) for prefix in _heads(others)]
    choices += [(prefix, "") for prefix in _heads(known)]
    return max(choices, key=lambda pair: (_shared(known, others, *pair), -len(pair[0] + pair[1])))


def _heads(names: set[str]) -> list[str]:
    """Every beginning of a name that ends at a dot."""
    return sorted({name[: match.end()] for name in names for match in re.finditer(r"\.", name)})


def _shared(known: set[str], others: set[str], mine: str, yours: str) -> int:
    return sum(mine + name.removeprefix(yours) in known for name in others if name.startswith(yours))
