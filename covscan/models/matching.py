"""Give the tensors of a file the names of the module, or say how the two differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covscan.errors import UsageError
from covscan.models.expectation import Expected, shape_difference
from covscan.models.nesting import Weights, candidates, describe, is_averaged

_WRAPPERS = frozenset(["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"])


_OTHER_FUNCTION = "is it the right function, with the arguments (--model-arg) that the run was trained with?"
_ADAPTER = "the file holds an adapter without the network below it: save the whole model.state_dict(), or merge the two"


@dataclass(frozen=True, slots=True)
class Match:
    """The tensors of a file by the names of the module; ``notes`` say what was chosen and left out.

    ``copied`` is True for tensors that lie in memory and no longer in the file.
    """

    tensors: dict[str, Any]
    notes: tuple[str, ...] = ()
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """How weights differ from what is expected, under the renaming that brings them nearest."""

    tensors: dict[str, Any]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: Mapping[str, str]

    @property
    def size(self) -> int:
        """How many tensors stand in the way of loading."""
        return len(self.missing) + len(self.unexpected) + len(self.shapes)


def match(content: Any, expected: Expected, *, where: str, model: str) -> Match:
    """The weights in ``content`` that fit ``expected``, by its names.

    Every set of weights in the file is tried under every renaming of prefixes. Where several fit, the trained
    network is taken before its moving average, and a note says so. ``where`` and ``model`` name the two sides
    in the UsageError that is raised where nothing fits: the first names and both shapes of the nearest.
    """
    found = candidates(content)
    if not found:
        raise UsageError(
            "no-weights", f"{where} holds no weights", found=describe(content), hint="save model.state_dict()"
        )
    differences = [(weights, nearest(weights.tensors, expected)) for weights in found]
    fitting = [(weights, difference) for weights, difference in differences if not difference.size]
    if fitting:
        chosen, difference = fitting[0]
        return Match(difference.tensors, _notes_on_choice(chosen, [weights for weights, _ in fitting[1:]]))
    inside = _inside_larger(found, expected)
    if inside is not None:
        return inside
    raise _misfit(min((each for _, each in differences), key=lambda each: each.size), found[0], where, model)


def nearest(tensors: Mapping[str, Any], expected: Expected) -> Difference:
    """The difference under the renaming that leaves the least of it, the plainest renaming first."""
    best: Difference | None = None
    for renamed in renamings(tensors, list(expected.tensors)):
        difference = _compare(renamed, expected)
        if best is None or difference.size < best.size:
            best = difference
        if not best.size:
            break
    assert best is not None
    return best


def _compare(tensors: dict[str, Any], expected: Expected) -> Difference:
    given = set(tensors)
    missing = [name for name in expected.tensors if name not in given]
    unexpected = [name for name in tensors if name not in expected.tensors]
    shapes = {
        name: difference
        for name, wanted in expected.tensors.items()
        if name in given and (difference := shape_difference(tensors[name], wanted)) is not None
    }
    return Difference(
        {name: tensor for name, tensor in tensors.items() if name in expected.tensors},
        tuple(name for name in missing if not expected.may_be_absent(name, given)),
        tuple(name for name in unexpected if not expected.is_surplus(name)),
        shapes,
    )


def renamings(tensors: Mapping[str, Any], wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """``tensors`` under their own names, without wrappers, and with common prefixes exchanged for ``wanted``'s."""
    yield dict(tensors)
    plain = {_without_wrappers(name): name for name in wanted}
    given = {_without_wrappers(name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(wanted) or len(given) < len(tensors):
        plain, given = {name: name for name in wanted}, dict(tensors)
    named = [name for name in given if name != "n_averaged"]
    for strip in _common_prefixes(named):
        for add in _common_prefixes(list(plain)):
            renamed = {name if name == "n_averaged" else add + name[len(strip) :]: given[name] for name in given}
            yield {plain.get(name, name): tensor for name, tensor in renamed.items()}


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _common_prefixes(names: Sequence[str]) -> list[str]:
    """``""`` and every longer run of leading segments, dot included, that all names share."""
    prefixes = [""]
    if not names:
        return prefixes
    segments = min(names).split(".")
    largest = max(names).split(".")
    for first, last in zip(segments[:-1], largest[:-1], strict=False):
        if first != last:
            break
        prefixes.append(f"{prefixes[-1]}{first}.")
    return prefixes


def _inside_larger(found: Sequence[Weights], expected: Expected) -> Match | None:
    """The part of a larger network's weights, under one prefix, that is exactly what is expected.

    Only where the file has nothing under the expected names themselves: a network is saved together with its
    loss or its discriminator, and the rest belongs to those.
    """
    longest = max(expected.tensors, key=lambda name: name.count("."), default="")
    fitting = []
    for weights in found:
        names = {_without_wrappers(name): tensor for name, tensor in weights.tensors.items()}
        if names.keys() & expected.tensors.keys() or not longest:
            continue
        for prefix in [name.removesuffix(longest) for name in names if name.endswith(f".{longest}")]:
            part = {name[len(prefix) :]: names[name] for name in names if name.startswith(prefix)}
            difference = _compare(part, expected)
            if not difference.size:
                fitting.append((Weights((*weights.path, prefix[:-1]), difference.tensors), len(names) - len(part)))
    fitting.sort(key=lambda item: is_averaged(item[0].path))
    trained = [item for item in fitting if not is_averaged(item[0].path)]
    if not fitting or len({frozenset(map(id, item[0].tensors.values())) for item in trained}) > 1:
        return None
    chosen, rest = fitting[0]
    note = f"took the weights under {chosen.path[-1]!r}; {rest} other tensors of the file are not the model's"
    return Match(chosen.tensors, (note,))


def _notes_on_choice(chosen: Weights, others: Sequence[Weights]) -> tuple[str, ...]:
    taken = {id(tensor) for tensor in chosen.tensors.values()}
    names = [_name(other) for other in others if not {id(tensor) for tensor in other.tensors.values()} & taken]
    if not names:
        return ()
    return (f"took the weights under {_name(chosen)}; {', '.join(names)} would fit too",)


def _name(weights: Weights) -> str:
    return repr(".".join(weights.path)) if weights.path else "the file's top"


def _misfit(difference: Difference, first: Weights, where: str, model: str) -> UsageError:
    if not difference.tensors:
        own, other = next(iter(difference.missing), "none"), next(iter(first.tensors))
        found = f"not one name in common; the first is {other!r} in the file and {own!r} in the model"
    else:
        parts = []
        if difference.missing:
            parts.append(f"{len(difference.missing)} missing from the file, the first {difference.missing[0]!r}")
        if difference.unexpected:
            parts.append(f"{len(difference.unexpected)} unexpected in it, the first {difference.unexpected[0]!r}")
        if difference.shapes:
            name, shapes = next(iter(difference.shapes.items()))
            what = "shape" if shapes.startswith("(") else "kind"
            parts.append(f"{len(difference.shapes)} of another {what}, the first {name!r}: {shapes}")
        found = "; ".join(parts)
    return UsageError(
        "weights-mismatch",
        f"the weights in {where} do not fit {model}",
        found=found,
        hint=_ADAPTER if first.tensors and all(".lora_" in name for name in first.tensors) else _OTHER_FUNCTION,
    )
