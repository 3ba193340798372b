"""Containers that somebody else put together: of a bounded depth and size, and not inside themselves."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 64
MOST = 10_000_000


def check_containers(value: Any) -> None:
    """Raise ValueError where mappings, lists and tuples in ``value`` are no tree that can be walked.

    A pickle of a hundred bytes can nest containers a thousand deep, put one into itself, or hold the same two lists so
    often inside each other that a walk takes years. Each object is looked at once.
    """
    sizes: dict[int, tuple[int, int]] = {}  # by identity: how many places a walk comes to, and how deep it goes
    pending = [(value, False)]
    entered: set[int] = set()
    while pending:
        each, done = pending.pop()
        if id(each) in sizes or not isinstance(each, Mapping | list | tuple | set | frozenset):
            continue
        inner = list(each.values()) if isinstance(each, Mapping) else list(each)
        inner = [one for one in inner if isinstance(one, Mapping | list | tuple | set | frozenset)]
        if done:
            found = [sizes[id(one)] for one in inner]
            size = 1 + len(each) + sum(size for size, _ in found)
            sizes[id(each)] = size, 1 + max((depth for _, depth in found), default=0)
            if size > MOST:
                raise ValueError(f"containers that hold each other over {MOST:,} times")
            if sizes[id(each)][1] > DEEPEST:
                raise ValueError(f"containers nested over {DEEPEST} deep")
            entered.discard(id(each))
            continue
        if id(each) in entered:
            raise ValueError("a container that holds itself")
        entered.add(id(each))
        pending.append((each, True))
        pending += [(one, False) for one in inner if id(one) not in sizes]
        if any(id(one) in entered for one in inner):
            raise ValueError("a container that holds itself")
