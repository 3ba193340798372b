"""Which names of a report mean the same tensor."""

from collections.abc import Mapping

from covscan.report.types import Report

Key = tuple[str, str]


def tensors(report: Report) -> dict[Key, Key]:
    """By every name and position the one under which the tensor was measured."""
    return {
        (site.site, site.position): (site.site, site.position)
        if site.same_as is None
        else (site.same_as.site, site.same_as.position)
        for site in report.sites
    }


def names(measured: Mapping[Key, Key], key: Key) -> set[Key]:
    """Every name and position of the tensor that ``key`` means, by what ``tensors`` gave."""
    return {each for each, where in measured.items() if where == measured[key]}
