"""Ranks within a network, which make signals of any scale comparable."""

from collections.abc import Sequence


def ranks(values: Sequence[float | None]) -> list[float | None]:
    """Each value's rank among those that are there, between 0 and 1; ties share theirs."""
    known = [value for value in values if value is not None]
    return [
        None if mine is None else (sum(v < mine for v in known) + sum(v == mine for v in known) / 2) / len(known)
        for mine in values
    ]
