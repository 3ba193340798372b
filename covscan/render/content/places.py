"""How a site is called in a table, in a sentence and in a list."""

from collections.abc import Sequence

from covscan.render.blocks import Line, Span, line
from covscan.render.look import Look
from covscan.render.names import columns, printable, shorten_all

SIDES = {"input": "in", "output": "out", "logits": "logits"}
LEAST_NAME = 12
WIDER = (0.0, 0.1, 0.2)
"""What is added to the share of a terminal that names take, until no two of them look the same."""


def fitted(sites: Sequence[str], look: Look, share: float) -> dict[str, Span]:
    """Each site's name as a table shows it; cut to about ``share`` of a terminal, whole anywhere else."""
    return shortened(sites, name_width(sites, look, share), look)


def shortened(sites: Sequence[str], width: int | None, look: Look) -> dict[str, Span]:
    """Each site's name in at most ``width`` columns, whole where that is None."""
    shown = [printable(site) for site in sites]
    cut = {name: name for name in shown}
    if width is not None:
        cut = shorten_all(shown, width, look.glyphs.ellipsis)
    return {site: Span(cut[name], "name") for site, name in zip(sites, shown, strict=True)}


def name_width(sites: Sequence[str], look: Look, share: float) -> int | None:
    """The columns that names need, up to a share of a terminal; None where nothing limits them."""
    if look.width is None or not look.terminal:
        return None
    shown = list({printable(site) for site in sites})
    longest = max((columns(name) for name in shown), default=0)
    widths = [min(longest, max(int(look.width * (share + wider)), LEAST_NAME)) for wider in WIDER]
    for width in widths:
        if len(set(shorten_all(shown, width, look.glyphs.ellipsis).values())) == len(shown):
            return width
    return widths[0]


def side(position: str) -> Span:
    """Which tensor of the module it is."""
    return Span(SIDES[position], "faint")


def place(site: str, position: str) -> Line:
    """A site inside a sentence, never cut."""
    return line(Span(printable(site), "name"), " ", side(position))
