"""Globs over names, and what to say about one that matches nothing."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def matches(globs: Iterable[str], name: str) -> bool:
    """Whether a name is one of the globs or matches one."""
    return any(glob in {"*", name} or fnmatchcase(name, glob) for glob in globs)


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to one that is not known; the same whatever order they come in."""
    choices = {choice.lower(): choice for choice in sorted(known)}
    close = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    return choices[close[0]] if close else None


def unmatched(globs: Sequence[str], names: Sequence[str]) -> list[str]:
    """A sentence about each glob that matches no site of a report."""
    said = []
    for glob in globs:
        if not any(matches([glob], name) for name in names):
            near = nearest(glob, names)
            hint = f"; did you mean '{near}'?" if near else "" if names else ": the report has none"
            said.append(f"no site matches '{glob}'{hint}")
    return said
