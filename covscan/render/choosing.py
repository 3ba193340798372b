"""Choosing sites by what a user typed: a name, a glob, or either with the side of the module behind a colon."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from covscan.errors import UsageError, raise_collected
from covscan.report.types import Site

SIDES = {"in": "input", "out": "output", "input": "input", "output": "output", "logits": "logits"}
"""What may stand behind the colon, and the position that it is."""


def matches(name: str, word: str) -> bool:
    """Whether a word is the name, to the letter, or a glob that covers it."""
    return name == word or fnmatchcase(name, word)


def check_known(names: Iterable[str], words: Sequence[str], hint: str) -> None:
    """Raise UsageError, with the nearest names or else ``hint``, for each word that covers none of the names."""
    known = list(dict.fromkeys(names))
    raise_collected([_unknown(word, known, hint) for word in words if not any(matches(name, word) for name in known)])


def _unknown(word: str, known: Sequence[str], hint: str) -> UsageError:
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return UsageError(
        "unknown-site",
        f"no site matches '{word}'",
        found=f"{len(known)} sites, the first is '{known[0]}'" if known else "no sites at all",
        hint=f"did you mean {', '.join(repr(name) for name in near)}?" if near else hint,
    )


def check_plots(places: Sequence[tuple[str, str]], words: Sequence[str], hint: str) -> None:
    """Raise UsageError for each word that names none of the places, each a site's name and position."""
    names = [site for site, _ in places]
    wanted = [word for word in words if not any(_names(place, word, names) for place in places)]
    check_known(names, [_parted(word, names)[0] for word in wanted], hint)
    raise_collected([_no_side(word, places, names) for word in wanted])


def _no_side(word: str, places: Sequence[tuple[str, str]], names: Sequence[str]) -> UsageError:
    name, position = _parted(word, names)
    there = dict.fromkeys(side for site, side in places if matches(site, name))
    return UsageError(
        "unknown-site",
        f"'{name}' has no {position}",
        found=f"measured there: {', '.join(there)}",
        hint=f"leave out ':{word.rpartition(':')[2]}'",
    )


def chosen(sites: Sequence[Site], words: Sequence[str]) -> list[Site]:
    """The sites that the words name, in the order of execution, each tensor once. Raises UsageError.

    A tensor that several sites see is taken under the first of its names that was asked for.
    """
    check_plots([(site.site, site.position) for site in sites], words, "covscan sites lists what there is")
    names = [site.site for site in sites]
    found: dict[tuple[str, str], Site] = {}
    for site in sites:
        if any(_names((site.site, site.position), word, names) for word in words):
            own = (site.site, site.position)
            found.setdefault(own if site.same_as is None else (site.same_as.site, site.same_as.position), site)
    return list(found.values())


def _names(place: tuple[str, str], word: str, names: Sequence[str]) -> bool:
    name, position = _parted(word, names)
    return matches(place[0], name) and position in {None, place[1]}


def _parted(word: str, names: Sequence[str]) -> tuple[str, str | None]:
    """The word without the side behind its last colon, and that side; a name that ends so is a name."""
    name, colon, side = word.rpartition(":")
    if not colon or side not in SIDES or any(matches(known, word) for known in names):
        return word, None
    return name, SIDES[side]
