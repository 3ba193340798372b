"""What the place that a rendering goes to can show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs that an encoding may lack, with what stands in for them."""

    within_noise: str
    ellipsis: str
    arrow: str
    dot: str
    bullet: str
    source: str
    severities: tuple[str, str, str]
    ramp: str
    rule: str


UNICODE = Glyphs("·", "…", "→", "·", "•", "◀", ("✖", "▲", "●"), "▁▂▃▄▅▆▇█", "─")
ASCII = Glyphs(".", "...", "->", "|", "-", "<", ("x", "!", "i"), "_.-~=+*#", "-")


@dataclass(frozen=True, slots=True)
class Look:
    """How a rendering is to look; the default suits a pipe or a file.

    ``width`` is in columns, None for as wide as the content is. Only on a ``terminal`` may names be shortened
    and rows be folded away, since nobody can ask a pipe for the rest. ``plots`` names the sites whose percentiles
    are to be drawn.
    """

    width: int | None = None
    terminal: bool = False
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    plots: tuple[str, ...] = ()

    @property
    def glyphs(self) -> Glyphs:
        """The signs that can be shown here."""
        return UNICODE if self.unicode else ASCII

    @property
    def brief(self) -> bool:
        """Whether long lists are cut, with a word on what was cut."""
        return self.terminal and not self.verbose
