"""Numbers as a table shows them."""

from collections.abc import Sequence


def compact(value: float) -> str:
    """The number in about five characters: three significant digits at most, no trailing noise."""
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 99_950 or size < 0.00095:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.00995:
        return f"{value:.2f}" if size >= 0.0995 else f"{value:.3f}"
    return f"{value:.2g}"


def percent(share: float) -> str:
    """A share of 1 as a percentage that says 0 and 100 only where it is exactly that."""
    if share in {0, 1}:
        return f"{share:.0%}"
    if share < 0.001:
        return "<0.1%"
    if share > 0.999:
        return ">99.9%"
    return f"{share:.1%}" if share < 0.0995 or share > 0.9 else f"{share:.0%}"


def sparkline(values: Sequence[float | None], ramp: str, top: float) -> str:
    """One sign of ``ramp`` per value from 0 to ``top``, the first for 0 alone; a blank where there is no value."""
    return "".join(" " if value is None else _level(value, ramp, top) for value in values)


def _level(value: float, ramp: str, top: float) -> str:
    if value <= 0 or top <= 0:
        return ramp[0]
    return ramp[max(min(int(value / top * len(ramp)), len(ramp) - 1), 1)]


def evenly(count: int, keep: int) -> list[int]:
    """At most ``keep`` of the indices 0 … count-1, spread evenly, the first and the last among them.

    Where only one can be kept it is the last.
    """
    if count <= keep:
        return list(range(count))
    if keep <= 1:
        return [count - 1]
    return sorted({round(place * (count - 1) / (keep - 1)) for place in range(keep)})


def counted(count: int, singular: str, plural: str = "") -> str:
    """``1 site``, ``14 sites``, ``1,024 samples``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
