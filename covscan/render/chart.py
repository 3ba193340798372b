"""Curves drawn with characters."""

from collections.abc import Mapping, Sequence

from covscan.render.look import Look

_NATURAL, _WIDEST, _ROWS = 80, 110, 16
_INDENT = 6
_UNICODE, _ASCII = ("braille", "∙", "x"), ("o", ".", "x")


def curves(lines: Mapping[str, Sequence[float]], look: Look, across: str) -> str:
    """Up to three lines over their index, named in a legend; each has its own sign, so that no colour is needed."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)  # else it asks the terminal for its size, and a pipe has none
    plotext.plotsize(min(_WIDEST, (look.width or _NATURAL) - _INDENT), _ROWS)
    for (name, values), marker in zip(lines.items(), _UNICODE if look.unicode else _ASCII, strict=False):
        plotext.plot(list(range(1, len(values) + 1)), list(values), label=name, marker=marker)
    plotext.xlabel(across)
    drawn: str = plotext.uncolorize(plotext.build())
    if not look.unicode:
        drawn = drawn.translate(str.maketrans("┌┐└┘─│┤├┬┴┼", "++++-||||++"))
    return "\n".join(row.rstrip() for row in drawn.splitlines())
