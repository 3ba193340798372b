"""Name checkpoints by their paths, and read the training step that a name holds."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covscan.models.checkpoint_files import INDEX_SUFFIX
from covscan.models.formats import SUFFIXES

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[\s_\-=.:]*$")
_WORD_BEHIND = re.compile(r"^[\s_\-]*([A-Za-z]+)(?![A-Za-z\s_\-=.:]*\d)")  # "-ep" in "0.12-ep3" is the 3's
_THOUSANDS = re.compile(r"^[kKmM](?![A-Za-z])")
_COUNTERS = (
    {"step", "steps", "globalstep", "iter", "iters", "iteration", "iterations", "it", "update", "updates"},
    {"epoch", "epochs", "ep", "e"},
    {"checkpoint", "checkpoints", "ckpt", "chkpt", "cp", "ck", "snapshot", "save"},
)
_UNNAMED = len(_COUNTERS)
_FIRST_WORDS = re.compile(r"(^|[^a-z])(init|initial|initialized|initialised|start|untrained|random|before)($|[^a-z])")
_LAST_WORDS = re.compile(r"(^|[^a-z])(last|latest|final|end|after)($|[^a-z])")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a name; ``rank`` 0 counts steps, 1 epochs, 2 checkpoints, 3 who knows what."""

    rank: int
    value: int | None


def labels_of(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its stem, with as many of its folders in front as make all of them different."""
    parts = [_parts(path) for path in paths]
    labels = [part[-1] for part in parts]
    for depth in range(2, max(map(len, parts), default=1) + 1):
        counts = Counter(labels)
        if len(counts) == len(labels):
            return labels
        labels = [
            "/".join(part[-depth:]) if counts[label] > 1 else label for label, part in zip(labels, parts, strict=True)
        ]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    return labels


def steps_of(labels: Sequence[str]) -> list[int] | None:
    """The step that each label holds, or None where not every label holds one of its own."""
    numbers = [numbers_in(label) for label in labels]
    if len(labels) == 1:
        named = sorted((number.rank, number.value) for number in numbers[0] if number.value is not None)
        whole = labels[0].isdecimal()
        return [named[0][1]] if named and (named[0][0] < _UNNAMED or whole) else None
    if len({_NUMBER.sub("#", label) for label in labels}) == 1:
        columns = [list(column) for column in zip(*numbers, strict=True)]
        columns.sort(key=lambda column: column[0].rank)
        for column in columns:
            steps = _distinct([number.value for number in column])
            if steps is not None:
                return steps
        return None
    for rank in range(_UNNAMED):
        steps = _distinct([next((n.value for n in found if n.rank == rank), None) for found in numbers])
        if steps is not None:
            return steps
    lone = [[n.value for n in found if n.value is not None] for found in numbers]
    return _distinct([values[0] if len(values) == 1 else None for values in lone])


def order_of(labels: Sequence[str]) -> tuple[list[int], list[int | None]] | None:
    """The order of training that the labels tell, as indices into them, and the step of each label.

    Names without a number that say where they belong (``init``, ``final``) go to the ends. None where the
    names tell no order.
    """
    places = [_place(label) for label in labels]
    inner = [i for i, place in enumerate(places) if place == 0]
    if places.count(-1) > 1 or places.count(1) > 1:
        return None
    keys: dict[int, tuple[int, ...]] = dict.fromkeys(inner, ())
    steps: list[int | None] = [None] * len(labels)
    found = steps_of([labels[i] for i in inner]) if inner else []
    if found is not None:
        for i, step in zip(inner, found, strict=True):
            steps[i], keys[i] = step, (step,)
    elif len(inner) > 1:
        counted = _counted([labels[i] for i in inner])
        if counted is None:
            return None
        keys = dict(zip(inner, counted, strict=True))
    elif len(labels) == 1:
        return None
    order = sorted(range(len(labels)), key=lambda i: (places[i], keys.get(i, ())))
    return order, steps


def numbers_in(label: str) -> list[Number]:
    """The numbers in a label, each with what it seems to count."""
    found = []
    for match in _NUMBER.finditer(label):
        before = _WORD_BEFORE.search(label[: match.start()])
        rest = label[match.end() :]
        scale = _THOUSANDS.match(rest)
        behind = _WORD_BEHIND.match(rest[1:] if scale else rest)
        ranks = [_rank(word[1]) for word in (before, behind) if word is not None]
        value = float(match[0]) * ({"k": 1e3, "m": 1e6}[scale[0].lower()] if scale else 1)
        whole = round(value) if value == round(value) and ("." not in match[0] or scale) else None
        found.append(Number(min(ranks, default=_UNNAMED), whole))
    return found


def _parts(path: Path) -> tuple[str, ...]:
    full = path if path.name not in ("", "..") else path.resolve()
    return (*(part for part in full.parts[:-1] if part not in ("/", "..")), _stem(full))


def _stem(path: Path) -> str:
    name = path.name.removesuffix(INDEX_SUFFIX)
    while Path(name).suffix.lower() in SUFFIXES:
        name = Path(name).stem
    return name


def _rank(word: str) -> int:
    return next((rank for rank, words in enumerate(_COUNTERS) if word.lower() in words), _UNNAMED)


def _distinct(values: list[int | None]) -> list[int] | None:
    known = [value for value in values if value is not None]
    return known if len(set(known)) == len(values) else None


def _counted(labels: Sequence[str]) -> list[tuple[int, ...]] | None:
    """Several counters together, where none alone tells the labels apart (``epoch1_batch200``)."""
    if len({_NUMBER.sub("#", label) for label in labels}) != 1:
        return None
    columns = list(zip(*map(numbers_in, labels), strict=True))
    whole = [column for column in columns if all(number.value is not None for number in column)]
    keys = [tuple(number.value or 0 for number in row) for row in zip(*whole, strict=True)]
    return keys if len(set(keys)) == len(labels) else None


def _place(label: str) -> int:
    """-1 for a name of the beginning, 1 for one of the end, 0 for a counter or one that says nothing."""
    if any(number.rank < _UNNAMED for number in numbers_in(label)):
        return 0
    last = label.rpartition("/")[2].lower()
    if _FIRST_WORDS.search(last):
        return -1
    return 1 if _LAST_WORDS.search(last) else 0
