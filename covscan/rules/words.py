"""Numbers and lists as the messages write them."""

from collections.abc import Sequence


def number(value: float) -> str:
    """Three significant digits, or an integer of four, without an exponent where it can be read without."""
    text = f"{value:.3g}"
    if "e+0" not in text or abs(value) >= 1e7:
        return text
    return f"{value if abs(value) < 1e4 else float(text):,.0f}"


def share(value: float) -> str:
    """A share between 0 and 1 as a percentage."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.2g} %"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def plural(count: int, one: str, many: str | None = None) -> str:
    """``3 samples``, ``1 sample``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
